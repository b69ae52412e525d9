"""Tests mirror the tree of agent/; system/ runs whole processes with real parts."""
