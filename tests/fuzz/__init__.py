"""Bytes chosen by what they reach, against the readers' pure code: `make fuzz`."""
