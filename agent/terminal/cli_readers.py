"""The technician's commands: `canteen-agent readers …` and `canteen-agent profile …`."""

import secrets
import time
from pathlib import Path

import click

from agent.console import JSON, print_json, print_table
from agent.errors import AgentError, ProfileError, ReaderError
from agent.readers import plugged
from agent.readers.match import clashes
from agent.readers.new_profile import template
from agent.readers.open import ReaderConfig, record_trace
from agent.readers.pcsc_calls import allows_escape, reader_names
from agent.readers.plugged import Device
from agent.readers.profile import Profile, profiles_dir
from agent.readers.profile_rules import all_profiles, load_profile, read_profile, run_selftest
from agent.readers.scrub import scrubbed
from agent.readers.trace import Trace, read_trace, replay, trace_text
from agent.terminal import process as app
from agent.terminal.config import load_places, load_readers

CONFIG = click.option(
    "-c",
    "--config",
    "config_path",
    type=click.Path(path_type=Path, readable=False),
    default="/etc/canteen-agent/agent.toml",
    show_default=True,
    help="The terminal's agent.toml.",
)
# A longer recording would reach the limit of a trace (`trace.LINES_MAX`).
RECORD_S_MAX = 3_600


@click.group(invoke_without_command=True)
@JSON
@click.pass_context
def readers(context: click.Context, as_json: bool) -> None:
    """List the readers that are plugged in, the profile of each, and what must be fixed."""
    if context.invoked_subcommand is not None:
        return
    devices = plugged_devices()
    if as_json:
        print_json([_row(device) for device in devices])
    else:
        _print_devices(devices)


def _print_devices(devices: list[Device]) -> None:
    for device in devices:
        profile = device.profile
        name = f"{profile.id} ({profile.support})" if profile else "no profile"
        click.echo(f"{device.description}: {device.location or '-'}")
        click.echo(f"    {name}: {device.reason}")
        for obstacle in device.obstacles:
            click.echo(f"    problem: {obstacle.problem}\n      fix: {obstacle.fix}")
    if not devices:
        click.echo("no device is plugged in that may be a reader")


def _row(device: Device) -> dict[str, object]:
    profile = device.profile
    return {
        "device": device.description,
        "location": device.location,
        "profile": profile.id if profile else None,
        "support": profile.support if profile else None,
        "reason": device.reason,
        "obstacles": [
            {"problem": obstacle.problem, "fix": obstacle.fix} for obstacle in device.obstacles
        ],
    }


@readers.command("record")
@CONFIG
@click.option(
    "--seconds",
    type=click.IntRange(1, RECORD_S_MAX),
    default=60,
    show_default=True,
    help="How long to record.",
)
@click.option(
    "-o",
    "--output",
    type=click.Path(path_type=Path),
    default=None,
    help="The file to write; NAME.trace if not given.",
)
@click.argument("name")
def record_command(config_path: Path, seconds: int, output: Path | None, name: str) -> int:
    """Record the traffic of reader NAME of agent.toml to a file, without card numbers.

    The agent must not run meanwhile.
    """
    configured = {config.name: config for config in load_readers(config_path)}
    if name not in configured:
        names = ", ".join(configured)
        raise AgentError(f"{config_path}: no reader {name!r}; there are {names}")
    output = output or Path(f"{name}.trace")
    if output.exists():
        raise AgentError(f"{output}: exists already; name another file with -o")
    with app.lock_state_dir(load_places(config_path).database.parent):
        click.echo(
            f"hold cards to '{name}' for {seconds} s; the reader answers each with out of order"
        )
        trace, words = record_trace(configured[name], seconds)
    return _write(configured[name], trace, words, output)


@readers.command("replay")
@click.option(
    "--profile",
    "own",
    type=click.Path(path_type=Path),
    default=None,
    help="A profile of your own, a .toml file.",
)
@click.argument("file", type=click.Path(path_type=Path))
def replay_command(own: Path | None, file: Path) -> int:
    """Replay the trace in FILE with the present code and profile, and print the taps."""
    trace = read_trace(file)
    profile = read_profile(own) if own is not None else load_profile(trace.profile)
    expected = [(line.ms, line.data) for line in trace.lines if line.mark == "="]
    taps = [(line.ms, line.data) for line in replay(profile, trace)]
    for ms, word in taps:
        click.echo(f"{ms:8} ms  {word.decode('ascii')}")
    if taps != expected:
        words = ", ".join(word.decode("ascii") for _, word in expected) or "nothing"
        click.echo(f"{file}: the recording had other taps: {words}")
        return 1
    click.echo(f"{file}: {profile.id}, {len(taps)} taps, the same as in the recording")
    return 0


@click.group()
def profile() -> None:
    """Profiles of reader models: list, show, check, and begin a new one."""


@profile.command("list")
@JSON
def list_profiles(as_json: bool) -> None:
    """List the installed profiles."""
    rows = [
        {
            "id": profile.id,
            "model": f"{profile.device.vendor} {profile.device.model}",
            "transport": profile.transport,
            "support": profile.support,
            "cards": ", ".join(profile.device.tech),
            "signals": _signals(profile),
        }
        for profile in all_profiles()
    ]
    if as_json:
        return print_json(rows)
    columns = ("profile", "model", "transport", "support", "cards", "signals")
    return print_table(columns, [list(row.values()) for row in rows])


@profile.command("show")
@click.argument("id")
def show_profile(id: str) -> None:
    """Print the facts of profile ID (or of a .toml file) and the results of its self-tests."""
    profile = _profile(id)
    device = profile.device
    click.echo(
        f"{profile.id} revision {profile.revision}, sha256 {profile.digest}:"
        f" {device.vendor} {device.model}, {profile.transport}"
    )
    cards = ", ".join(device.tech)
    click.echo(f"support: {profile.support}; cards: {cards}; signals: {_signals(profile)}")
    click.echo(f"matches: {_matches(profile)}")
    if profile.uid.clonable:
        click.echo("these cards can be copied with a tool that costs a few euros")
    for source in device.sources:
        click.echo(f"source: {source}")
    for note in device.notes:
        click.echo(f"note: {note}")
    for test in profile.selftest:
        click.echo(f"self-test: {test.name}: {run_selftest(profile, test)[1]}")


@profile.command("check")
@click.argument("files", nargs=-1, type=click.Path(path_type=Path))
def check_profiles(files: tuple[Path, ...]) -> int:
    """Check each profile in FILES (default: all installed ones) and run its self-tests."""
    errors = 0
    good: list[Profile] = []
    for file in dict.fromkeys(files) or sorted(profiles_dir().glob("*.toml")):
        try:
            profile = read_profile(file)
        except ProfileError as error:
            errors += 1
            click.echo(str(error))
        else:
            good.append(profile)
            count = len(profile.selftest)
            click.echo(f"{file}: correct, {count} self-tests passed, support {profile.support}")
    checked = {profile.id for profile in good}
    others = [profile for profile in all_profiles() if profile.id not in checked] if files else []
    for clash in clashes([*others, *good]):
        errors += 1
        click.echo(clash)
    return 1 if errors else 0


@profile.command("new")
@click.option(
    "--id",
    "profile_id",
    prompt="id (lower case; also the name of the file)",
    help="The profile's id, in lower case; also the name of the file.",
)
@click.option("--vendor", prompt="vendor", help="Who makes the reader.")
@click.option("--model", prompt="model", help="The reader's model.")
@click.option(
    "--kind",
    prompt="transport",
    type=click.Choice(["pcsc", "serial", "keyboard"]),
    help="How the reader is connected.",
)
@click.option(
    "-o",
    "--folder",
    type=click.Path(path_type=Path),
    default=Path(),
    help="Where to write the file; the current folder if not given.",
)
def new_profile(profile_id: str, vendor: str, model: str, kind: str, folder: Path) -> None:
    """Begin a profile: a commented file that fails its check until it has self-tests."""
    file = folder / f"{profile_id}.toml"
    text = template(profile_id, vendor, model, kind)
    try:
        with open(file, "x", encoding="utf-8") as output:
            output.write(text)
    except FileExistsError:
        raise AgentError(f"{file}: exists already") from None
    except OSError as error:
        raise AgentError(f"{file}: cannot be written: {error}") from error
    click.echo(
        f"{file}: fill in what is marked, add self-tests, then run:"
        f" canteen-agent profile check {file}"
    )


def _profile(name: str) -> Profile:
    return read_profile(Path(name)) if name.endswith(".toml") else load_profile(name)


def _signals(profile: Profile) -> str:
    return ", ".join(name for name, _ in profile.feedback.named()) or "none"


def _matches(profile: Profile) -> str:
    match = profile.match
    parts = [f"PC/SC name {match.pcsc_name}"] if profile.transport == "pcsc" else []
    parts += [f"USB {usb}" for usb in match.usb]
    return ", ".join(parts) or "no device; set its profile and port in agent.toml"


def plugged_devices() -> list[Device]:
    """Return everything plugged in that may be a reader."""
    profiles = all_profiles()
    devices = [*plugged.usb_readers(profiles), *plugged.serial_ports(profiles)]
    try:
        names = reader_names()
        escapes = {name: allows_escape(name) for name in names}
        devices += plugged.pcsc_readers(profiles, names, escapes)
    except ReaderError as error:
        obstacle = plugged.pcscd_obstacle(str(error))
        devices.append(Device("PC/SC", None, None, "pcscd lists the PC/SC readers", [obstacle]))
    return devices


def _write(config: ReaderConfig, trace: Trace, words: list[str], output: Path) -> int:
    """Write a scrubbed trace. Return 1 when its replay differs from what the reader detected."""
    trace.remarks.insert(0, time.strftime("recorded %Y-%m-%d"))
    clean = scrubbed(config.profile, trace, secrets.token_bytes(16))
    try:
        output.write_text(trace_text(clean), encoding="utf-8")
    except OSError as error:
        raise AgentError(f"{output}: cannot be written: {error}") from error
    replayed = [line.data.decode("ascii") for line in clean.lines if line.mark == "="]
    click.echo(f"{output}: {len(clean.lines)} lines, {len(words)} taps")
    if [word.partition(":")[0] for word in replayed] != words:
        click.echo(
            f"{output}: the replay gives {', '.join(replayed) or 'nothing'},"
            f" the reader gave {', '.join(words) or 'nothing'}"
        )
        return 1
    return 0
