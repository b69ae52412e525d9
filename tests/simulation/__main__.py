"""`python -m tests.simulation`: runs seeds, shrinks what fails, replays one run."""

import sys

from tests.simulation.run import main

if __name__ == "__main__":
    sys.exit(main())
