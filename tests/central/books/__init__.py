"""Tests of agent/central/books."""
