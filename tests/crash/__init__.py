"""Power cuts: cut a terminal's file after every write, open each disk that may result."""
