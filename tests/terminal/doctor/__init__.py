"""Faults that are planted, and what the doctor says of each."""
