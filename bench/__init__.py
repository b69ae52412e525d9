"""Measurements. Each figure stands beside its floor, measured in turn in the same run."""
