"""What an agent process costs: start, memory, idling, a backlog, and writes to the device."""

import os
import re
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import paho.mqtt.client as paho
from paho.mqtt.enums import CallbackAPIVersion

from agent.store import reads
from agent.store.database import Database
from agent.store.standing import newest_epoch
from bench.measure import BareInsert, Overwrite, Row
from bench.taps import Counter, account_body, card_body
from tests.crash.ext4 import IMAGE_BYTES, mounted
from tests.parts.broker import Mosquitto
from tests.parts.canteen import canteen, write_backlog
from tests.parts.process import require, wait_for
from tests.parts.town import Terminal
from tests.system.test_backlog import booked

IDLE_S = 20
STARTS = 5
BACKLOG = 100_000
BATCH = 100
TAPS = 500  # a large lunch
REST_S = 5  # after the start, before memory is read
# What an agent imports from other projects: no agent can start faster than this.
IMPORTS = (
    "import sqlite3, msgspec, click, rich, paho.mqtt.client, serial, smartcard.scard, tenacity,"
    " zoneinfo"
)


def start_memory_and_idling(folder: Path) -> list[Row]:
    with (
        Mosquitto(folder / "broker") as broker,
        canteen(folder, central_url=broker.url, terminal_url=broker.url, terminals=1) as town,
    ):
        (terminal,) = town.terminals
        terminal.stop()
        _fill(terminal.db, 100_000)
        started, imported = [], []
        for _ in range(STARTS):
            begun = time.monotonic()
            subprocess.run([sys.executable, "-c", IMPORTS], check=True, timeout=60)
            imported.append(time.monotonic() - begun)
            started.append(_start(terminal))
            if len(started) < STARTS:
                terminal.stop()
        assert terminal.process is not None
        pid = terminal.process.pid
        time.sleep(REST_S)
        rss_kib = int(re.findall(r"VmRSS:\s+(\d+)", Path(f"/proc/{pid}/status").read_text())[0])
        before = cpu_s(pid)
        time.sleep(IDLE_S)
        idle = (cpu_s(pid) - before) / IDLE_S
    start_s, imports_s = sorted(started)[STARTS // 2], sorted(imported)[STARTS // 2]
    return [
        Row(
            "cold start to READY, 100,000 accounts",
            f"{start_s:.2f} s",
            f"python importing the same: {imports_s:.2f} s",
            start_s / imports_s,
            goal="1.5, 0.5 s",
        ),
        Row("memory at rest, 100,000 accounts", f"{rss_kib / 1024:.0f} MiB", goal="40 MiB"),
        Row("idling, one serial reader, link up", f"{100 * idle:.2f} % of a core", goal="0.3 %"),
    ]


def _start(terminal: Terminal) -> float:
    """Start an agent; return the seconds until it serves."""
    size = len(terminal.process.output()) if terminal.process else 0
    begun = time.monotonic()
    terminal.start()
    process = terminal.process
    assert process is not None
    wait_for(lambda: "Serving" in process.output()[size:], "READY")
    return time.monotonic() - begun


def backlog(folder: Path) -> list[Row]:
    """The entries of one terminal until all are acknowledged.

    Floor: the same batches through paho, and the same rows into a bare table.
    """
    with (
        Mosquitto(folder / "broker") as broker,
        canteen(
            folder, central_url=broker.url, terminal_url=broker.url, terminals=1, start=False
        ) as town,
    ):
        (terminal,) = town.terminals
        write_backlog(terminal, 0, BACKLOG)
        town.start(terminal)
        town.central.start()
        wait_for(lambda: booked(town), "the first batch", 60)
        assert terminal.process is not None
        pid = terminal.process.pid
        before = cpu_s(pid)
        begun = time.monotonic()
        wait_for(town.all_booked, "everything booked", 300)
        ours_s = time.monotonic() - begun
        cpu_us = (cpu_s(pid) - before) / BACKLOG * 1e6
        assert booked(town) == BACKLOG
        floor_s = _bare_backlog(terminal.db, broker.port, folder / "bare.db")
    value = f"{BACKLOG / ours_s:.0f} a second, {cpu_us:.0f} µs CPU"
    return [
        Row(
            f"backlog of {BACKLOG:,} entries",
            value,
            f"paho and bare rows: {BACKLOG / floor_s:.0f}",
            floor_s / ours_s,
            goal="0.3, 50,000, 10 µs",
        )
    ]


def _bare_backlog(ledger: Path, port: int, path: Path) -> float:
    """Publish a ledger's batches and insert their rows, nothing more. Return the seconds."""
    db = Database(ledger, read_only=True)
    epoch = newest_epoch(db)
    firsts = range(1, BACKLOG + 1, BATCH)
    batches = [reads.batch(db, epoch, first, BATCH)[1] for first in firsts]
    db.close()
    begun = time.monotonic()
    client = paho.Client(CallbackAPIVersion.VERSION2, protocol=paho.MQTTv5)
    client.connect("127.0.0.1", port)
    client.loop_start()
    for batch in batches:
        client.publish("floor", b"".join(batch), qos=1).wait_for_publish(10)
    client.disconnect()
    client.loop_stop()
    bare = BareInsert(path)
    for batch in batches:
        with bare.sql:
            bare.sql.execute("BEGIN")
            for body in batch:
                bare.insert(body.decode())
    return time.monotonic() - begun


def block_device(folder: Path) -> list[Row]:
    """Writes and flushes that reach a block device, with the checkpoint. Needs root."""
    what = "to the block device per tap"
    if os.geteuid() != 0:
        return [Row(what, "needs root", goal="1.0 flush, 10 KiB")]
    image, mount = folder / "device.img", folder / "device"
    mount.mkdir()
    with open(image, "wb") as file:
        file.truncate(4 * IMAGE_BYTES)
    subprocess.run([require("mkfs.ext4"), "-q", image], check=True, timeout=60)
    with mounted(image, mount):
        counter, block = Counter(mount / "counter"), Overwrite(mount / "block")
        os.sync()
        with _device(mount) as own:
            for _ in range(TAPS):
                counter.tap()
            counter.wire.box.db.checkpoint()
        with _device(mount) as floor:
            for _ in range(TAPS):
                block.write()
        block.close()
        counter.wire.box.db.close()
        counter.wire.central.books.close()
    value = f"{own.flushes / TAPS:.2f} flushes, {own.kib / TAPS:.1f} KiB"
    overwrite = f"4 KiB overwrite: {floor.flushes / TAPS:.2f}, {floor.kib / TAPS:.1f} KiB"
    return [Row(what, value, overwrite, goal="1.0 flush, 10 KiB")]


@dataclass(slots=True)
class _Traffic:
    """What reached a block device."""

    kib: float = 0
    flushes: int = 0


@contextmanager
def _device(mount: Path) -> Iterator[_Traffic]:
    """Count what reaches the loop device under a mount (Documentation/block/stat)."""
    device = next(
        line.split()[0]
        for line in Path("/proc/mounts").read_text().splitlines()
        if line.split()[1] == str(mount.resolve())
    )
    stat = Path(f"/sys/block/{Path(device).name}/stat")
    traffic = _Traffic()
    before = [int(word) for word in stat.read_text().split()]
    yield traffic
    os.sync()
    after = [int(word) for word in stat.read_text().split()]
    # Field 6 counts sectors of 512 bytes that were written, field 15 flushes.
    traffic.kib, traffic.flushes = (after[6] - before[6]) / 2, after[15] - before[15]


def _fill(path: Path, accounts: int) -> None:
    db = Database(path)
    with db.transaction() as sql:
        sql.executemany(
            "INSERT OR REPLACE INTO record VALUES ('account', ?, 1, 0, 1, ?, NULL)",
            ((f"b-{n}", account_body(n)) for n in range(accounts)),
        )
        sql.executemany(
            "INSERT OR REPLACE INTO record VALUES ('card', ?, 1, 0, 1, ?, NULL)",
            ((f"{n:032x}", card_body(f"{n:032x}", n)) for n in range(accounts)),
        )
    db.close()


def cpu_s(pid: int) -> float:
    """Return the processor's seconds that a process has used."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")
