"""The rules of the canteen. Pure: no I/O, no clock, no randomness, no logging."""
