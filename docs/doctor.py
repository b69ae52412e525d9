"""Prints docs/operate/doctor.md: what `canteen-agent doctor` looks at, from the table in the code.

`python -m docs.doctor` writes the page, `--check` ends with 1 when it differs.
"""

import sys

from agent.terminal.doctor.finding import CHECKS
from docs import printed

PAGE = printed.ROOT / "docs" / "operate" / "doctor.md"
HEAD = """# What is wrong with this terminal?

```
$ sudo canteen-agent doctor
ok      service.state         canteen-agent.service runs
fault   credential.file       /etc/canteen-agent/card-key has mode 0644: others may read it
        mend:                 sudo chmod 600 /etc/canteen-agent/card-key
```

The doctor needs no running agent, and changes nothing.
Each fault and each warning has the line that mends it.
The line is for a shell, as it is, wherever no person must plug, buy or decide something.
Bring what it names in capitals: a FILE, a CODE of the central, the SITE.
What follows `#` says on which machine the line is for, or what else to look at.
[Planted faults](../contribute/planted-faults.md) says which lines are tried, and on what.
It ends with 1 when there is a fault. `--json` is for programs.

Any user may call it. What this user may not see is `hidden`, with the name of who may.
It does not connect to MQTT: a second client of the same name would end the agent's own link.
What the broker grants, and what the central books, is what the running agent says.

## One file for support

```
sudo canteen-agent bundle
sudo canteen-agent bundle -o - | ssh HOST 'cat > bundle.tar.gz'    # on a full disk
```

The file has what the doctor saw, status, incidents, agent.toml, versions, disk,
and the log of this boot and the last.
It has no key, no card number, no token, no name of a child, and no database.
From agent.toml the user name at the broker, the words for help and all comments are withheld.

## What is looked at

| id | what is looked at |
|---|---|
"""


def text() -> str:
    """Return the page."""
    return HEAD + "".join(f"| `{check}` | {what} |\n" for check, what in CHECKS.items())


def main(check: bool) -> int:
    """Write the page, or check it."""
    return printed.finish({PAGE: text()}, check=check)


if __name__ == "__main__":
    sys.exit(main(printed.wants_check()))
