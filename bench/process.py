"""What a whole agent costs: its start, its memory, its idling, a backlog; and what reaches the block device."""

import os
import re
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
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
from tests.system.test_backlog import booked

IDLE_S = 20
STARTS = 5
BACKLOG = 100_000
TAPS = 500  # a large lunch


def start_memory_and_idling(folder: Path) -> list[Row]:
    with (
        Mosquitto(folder / "broker") as broker,
        canteen(folder, central_url=broker.url, terminal_url=broker.url, terminals=1) as town,
    ):
        (terminal,) = town.terminals
        terminal.stop()
        _fill(terminal.db, 100_000)
        ours, floor = [], []
        for _ in range(STARTS):
            begun = time.monotonic()
            imports = "import sqlite3, msgspec, click, rich, paho.mqtt.client, serial, smartcard.scard, tenacity, zoneinfo"
            subprocess.run([sys.executable, "-c", imports], check=True, timeout=60)
            floor.append(time.monotonic() - begun)
            size = len(terminal.process.output()) if terminal.process else 0
            begun = time.monotonic()
            terminal.start()
            assert terminal.process is not None
            process = terminal.process
            wait_for(lambda: "serving" in process.output()[size:], "READY")
            ours.append(time.monotonic() - begun)
            if len(ours) < STARTS:
                terminal.stop()
        time.sleep(5)
        rss_kib = int(
            re.findall(r"VmRSS:\s+(\d+)", Path(f"/proc/{process.pid}/status").read_text())[0]
        )
        before = _cpu_ticks(process.pid)
        time.sleep(IDLE_S)
        idle = (_cpu_ticks(process.pid) - before) / os.sysconf("SC_CLK_TCK") / IDLE_S
    start, imports_s = sorted(ours)[STARTS // 2], sorted(floor)[STARTS // 2]
    return [
        Row(
            "cold start to READY, 100,000 accounts",
            f"{start:.2f} s",
            f"python importing the same: {imports_s:.2f} s",
            start / imports_s,
            None,
            "1.5, 0.5 s",
        ),
        Row(
            "memory at rest, 100,000 accounts",
            f"{rss_kib / 1024:.0f} MiB",
            "",
            None,
            None,
            "40 MiB",
        ),
        Row(
            "idling, one serial reader, link up",
            f"{100 * idle:.2f} % of a core",
            "",
            None,
            None,
            "0.3 %",
        ),
    ]


def backlog(folder: Path) -> list[Row]:
    """Entries of one terminal until all are acknowledged; floor: the same batches through paho, and the same rows into a bare file."""
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
        ticks = _cpu_ticks(terminal.process.pid)
        begun = time.monotonic()
        wait_for(town.all_booked, "everything booked", 300)
        ours = time.monotonic() - begun
        cpu_us = (
            (_cpu_ticks(terminal.process.pid) - ticks) / os.sysconf("SC_CLK_TCK") / BACKLOG * 1e6
        )
        assert booked(town) == BACKLOG
        db = Database(terminal.db, read_only=True)
        batches = [
            reads.batch(db, newest_epoch(db), first, 100)[1] for first in range(1, BACKLOG + 1, 100)
        ]
        db.close()
        begun = time.monotonic()
        client = paho.Client(CallbackAPIVersion.VERSION2, protocol=paho.MQTTv5)
        client.connect("127.0.0.1", broker.port)
        client.loop_start()
        for batch in batches:
            client.publish("floor", b"".join(batch), qos=1).wait_for_publish(10)
        client.disconnect()
        client.loop_stop()
        bare = BareInsert(folder / "bare.db")
        for batch in batches:
            with bare._sql:
                bare._sql.execute("BEGIN")
                for body in batch:
                    bare.insert(body.decode())
        floor = time.monotonic() - begun
    value = (
        f"{BACKLOG / ours:.0f} entries a second, {cpu_us:.0f} µs of the terminal's processor each"
    )
    return [
        Row(
            f"backlog of {BACKLOG:,} entries acknowledged",
            value,
            f"paho and bare rows: {BACKLOG / floor:.0f}",
            floor / ours,
            None,
            "at least 0.3, 50,000 a second, 10 µs",
        )
    ]


def block_device(folder: Path) -> list[Row]:
    """Writes and flushes that reach a block device, checkpoint included (needs root)."""
    if os.geteuid() != 0:
        return [
            Row(
                "flushes and bytes to the block device per tap",
                "needs root",
                "",
                None,
                None,
                "1.0, 10 KiB",
            )
        ]
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
        counter.wire.central.ledger.close()
    value = f"{own['flushes'] / TAPS:.2f} flushes, {own['kib'] / TAPS:.1f} KiB"
    return [
        Row(
            "to the block device per tap, safe against a torn 4 KiB block",
            value,
            f"4 KiB overwrite: {floor['flushes'] / TAPS:.2f}, {floor['kib'] / TAPS:.1f} KiB",
            None,
            None,
            "1.0 flush, 10 KiB",
        )
    ]


@contextmanager
def _device(mount: Path) -> Iterator[dict[str, float]]:
    """Count what reaches the loop device under a mount (Documentation/block/stat)."""
    device = next(
        line.split()[0]
        for line in Path("/proc/mounts").read_text().splitlines()
        if line.split()[1] == str(mount.resolve())
    )
    stat = Path(f"/sys/block/{Path(device).name}/stat")
    found: dict[str, float] = {}
    before = [int(word) for word in stat.read_text().split()]
    yield found
    os.sync()
    after = [int(word) for word in stat.read_text().split()]
    found |= {"kib": (after[6] - before[6]) / 2, "flushes": after[15] - before[15]}


def _fill(path: Path, accounts: int) -> None:
    db = Database(path)
    with db.transaction() as sql:
        sql.executemany(
            "INSERT OR REPLACE INTO record VALUES ('account', ?, 1, 0, 1, ?)",
            ((f"b-{n}", account_body(n)) for n in range(accounts)),
        )
        sql.executemany(
            "INSERT OR REPLACE INTO record VALUES ('card', ?, 1, 0, 1, ?)",
            ((f"{n:032x}", card_body(f"{n:032x}", n)) for n in range(accounts)),
        )
    db.close()


def _cpu_ticks(pid: int) -> int:
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return int(fields[11]) + int(fields[12])
