"""A town in one process under one seed: real stores, sessions and central, faulty surroundings."""
