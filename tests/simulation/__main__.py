"""`python -m tests.simulation`: try seeds, shrink a failure, replay a run. See run.py."""

import sys

from tests.simulation.run import main

if __name__ == "__main__":
    sys.exit(main())
