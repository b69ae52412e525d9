"""Tests of agent/terminal."""
