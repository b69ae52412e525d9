"""How money reaches an account: each door parses and checks, and all end in the same intake."""
