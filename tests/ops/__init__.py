"""Tests of agent/ops."""
