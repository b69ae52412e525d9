"""The reference central: small, real, good for a town."""
