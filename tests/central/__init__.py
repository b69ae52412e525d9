"""Tests of agent/central."""
