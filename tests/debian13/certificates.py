"""Prints key and certificate that plant a fault, as one PEM text.

python3 -m tests.debian13.certificates own DAYS     of this terminal, made so many days ago
python3 -m tests.debian13.certificates broker       of a broker of another town
python3 -m tests.debian13.certificates authority    the other town's authority, without key
"""

import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path

from agent.central.enrolment.authority import load_authority, new_authority
from agent.ops.keypair import certificate_request, new_key

AUTHORITY = Path("/var/lib/canteen-central/central.db.ca")
IDENTITY = "borgofiorito/t/t-1"


def own(days: int) -> str:
    """Return the terminal's files as they are so many days after they were made."""
    key = new_key()
    made = datetime.now(UTC) - timedelta(days=days)
    authority = load_authority(AUTHORITY)
    return key + authority.issue_terminal(certificate_request(key), IDENTITY, made).pem


def main(words: list[str]) -> None:
    """Print what the words name."""
    other = new_authority("Another town", datetime.now(UTC))
    match words:
        case ["own", days]:
            print(own(int(days)), end="")
        case ["broker"]:
            print(other.make_server("localhost", datetime.now(UTC)), end="")
        case ["authority"]:
            print(other.pem, end="")
        case _:
            sys.exit(__doc__)


if __name__ == "__main__":
    main(sys.argv[1:])
