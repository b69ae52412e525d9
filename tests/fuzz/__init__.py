"""Coverage-guided fuzzing of the readers' pure code: `make fuzz`."""
