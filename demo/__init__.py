"""The demonstration: one lunch with real parts."""
