"""A town in one process, under one seed: real stores, real sessions, the real central, and a world that lies."""
