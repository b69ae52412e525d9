"""The mending lines that several looks print. A technician executes each as it is.

FILE, CODE and SITE in a line are what the technician brings. What follows `#` says on which machine
the line is for, or what comes before it.
"""

from pathlib import Path

RESTART = "sudo systemctl restart canteen-agent"
REINSTALL = f"sudo apt-get install --reinstall canteen-agent && {RESTART}"
ENROL = f"sudo canteen-agent enrol CODE; {RESTART}  # at the central: canteen-central enrol new"
CENTRAL = "sudo canteen-central --db /var/lib/canteen-central/central.db"
BROKER_FILES = f"{CENTRAL} broker-config && sudo systemctl restart mosquitto  # at the central"
RESTART_CENTRAL = "sudo systemctl restart canteen-central  # at the central"


def edit(config: Path, hint: str = "") -> str:
    """Return the line with which a person corrects agent.toml."""
    return f"sudo nano {config} && {RESTART}" + (f"  # {hint}" if hint else "")
