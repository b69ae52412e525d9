"""Whole processes with real parts: broker, pcscd, ptys, systemd."""
