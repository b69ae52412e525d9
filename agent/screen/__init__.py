"""The staff's page: a process of its own beside a terminal.

It speaks to the terminal over the control socket only. It holds no key, opens no database, and
keeps nothing of a child. If it ends, taps go on.
"""
