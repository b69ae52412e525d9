"""A planted fault, and the shell words that its tables share."""

from dataclasses import dataclass

STATE, SETTINGS = "/var/lib/canteen-agent", "/etc/canteen-agent"
STOP, START = "systemctl stop canteen-agent", "systemctl restart canteen-agent"
TOML = f"{SETTINGS}/agent.toml"
RIGHT = "/root/right"
"""A copy of the settings of the terminal that serves."""
AGAIN = f"cat {RIGHT}/agent.toml > {TOML}; {START}"
EDITOR = "/usr/local/bin/nano"
TYPES = f"printf '#!/bin/sh\\ncat {RIGHT}/agent.toml > \"$1\"\\n' > {EDITOR}; chmod 755 {EDITOR}"
"""A person at the editor, who writes the right agent.toml."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Planted:
    """A fault in a booted Debian 13, its check, and words of what the doctor says.

    The line that the doctor printed is executed as it is, after what `hand` stands for: a person
    plugs, types, or mends another fault first. Where `mend` is not empty, the line is no command:
    a person mends it, and `mend` does what this person does. `after` prepares the next fault.
    """

    how: str
    plant: str
    check: str
    seen: str
    hand: str = ""
    mend: str = ""
    after: str = ""


@dataclass(frozen=True, slots=True)
class Tested:
    """A fault that a test plants elsewhere.

    `where`: with real parts on `loopback`; in `files` that look like a machine's; as the `answer`
    of a program, which the doctor judges.
    """

    how: str
    check: str
    where: str
    test: str


def toml(how: str, old: str, new: str, seen: str, check: str = "configuration.file") -> Planted:
    """Return a fault of agent.toml, which a person corrects in the editor that the line opens."""
    return Planted(
        how=how,
        plant=f"sed -i 's,{old},{new},' {TOML}; {START} || true",
        check=check,
        seen=seen,
        hand=TYPES,
        after=AGAIN,
    )
