"""Documents that are printed by the code, and checked against it."""
