"""Tests of agent/readers."""
