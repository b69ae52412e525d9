"""Tests of agent/central/enrolment."""
