"""What the office does.

A function that changes the books is one transaction, unless it says that its caller has begun one.
"""
