"""A program's ties to its machine: clocks, systemd's journal, notifications to systemd."""
