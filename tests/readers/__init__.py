"""The readers: on a real pcscd with a virtual reader, and on ptys with far ends."""
