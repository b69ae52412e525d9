"""Tests of agent/central/payments."""
