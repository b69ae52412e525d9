"""What the office does: roster, cards, credits, rules, lists, checks."""
