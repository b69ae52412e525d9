"""Tests of agent/central/web."""
