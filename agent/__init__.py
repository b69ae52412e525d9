"""The canteen agent: one program beside each card reader, and the reference central it talks to."""
