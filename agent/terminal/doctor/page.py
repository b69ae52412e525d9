"""Whether the staff's page answers. A terminal that has no screen gets no finding."""

import http.client
import subprocess
from collections.abc import Iterator

from agent.terminal.doctor.finding import Finding, fault, ok

UNIT = "canteen-screen.service"
ANSWER_S = 5.0


def look_at_page(port: int) -> Iterator[Finding]:
    """Yield whether the page at a port of 127.0.0.1 answers, if its unit is to run."""
    try:
        done = subprocess.run(
            ["systemctl", "is-enabled", UNIT],
            capture_output=True,
            text=True,
            timeout=ANSWER_S,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired):
        return  # `service.state` says that systemd does not answer
    if done.stdout.strip() == "enabled":
        yield judge_page(port)


def judge_page(port: int) -> Finding:
    """Return whether a page answers at a port."""
    check = "screen.answer"
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=ANSWER_S)
    try:
        connection.request("GET", "/")
        status = connection.getresponse().status
    except (OSError, http.client.HTTPException) as error:
        seen = f"no page at port {port}: {error}"
        return fault(check, seen, f"sudo systemctl restart {UNIT}")
    finally:
        connection.close()
    if status != http.client.OK:
        mend = f"sudo fuser -k {port}/tcp; sudo systemctl restart {UNIT}  # ends that program"
        return fault(check, f"what answers at port {port} is no page of ours: {status}", mend)
    return ok(check, f"the page answers at port {port}")
