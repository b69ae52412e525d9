"""How a new box becomes a terminal: the town's authority, one-time codes, certificates, broker.

A technician carries one code from the central to the box. The box makes its own key, which never
leaves it. What a code gave can be taken back: see `ruling`.
"""
