"""The two ledgers agree, sooner or later. This room knows the contract and owns no data."""
