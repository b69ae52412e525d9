"""Tests of agent/domain."""
