"""House rules that no linter knows. `python -m tests.house_rules` prints what breaks them."""
