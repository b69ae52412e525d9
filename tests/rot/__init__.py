"""Damages a terminal's files at random places, and counts what the next start makes of each."""
