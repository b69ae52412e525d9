"""Runs `make demo` and `make test` in a new, minimal Debian: `make test-debian13`."""
