"""Tests of agent/central/office."""
