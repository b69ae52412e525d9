"""Real parts for tests and demo: a broker, pcscd with a virtual reader, ptys. Each ends its own."""
