"""`canteen-agent doctor`: looks at a terminal and its machine, without the agent, as any user.

Each module looks at one subject and yields findings. Nothing here changes anything; a check that
this user may not do says so, and names who may.
"""
