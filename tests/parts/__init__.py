"""Real parts for tests and demo: a broker, a PC/SC daemon with a virtual reader, a serial line. Each ends what it began."""
