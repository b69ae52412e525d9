"""The technician's side of the command line: `canteen-agent readers …` and `canteen-agent profile …`."""

import secrets
import time
from pathlib import Path

import click

from agent.console import JSON, print_json, print_table
from agent.errors import AgentError, ProfileError, ReaderError
from agent.readers import plugged
from agent.readers.match import clashes
from agent.readers.new_profile import template
from agent.readers.open import ReaderConfig, record
from agent.readers.pcsc import lets_escape_pass, reader_names
from agent.readers.plugged import Obstacle, Plugged
from agent.readers.profile import Profile, profiles_dir
from agent.readers.profile_rules import all_profiles, load_profile, read_profile, run_selftest
from agent.readers.trace import Trace, read_trace, replay, scrubbed, write_trace
from agent.terminal import process as app
from agent.terminal.config import load_places, load_readers

CONFIG = click.option(
    "-c",
    "--config",
    "config_path",
    type=click.Path(path_type=Path),
    default="/etc/canteen-agent/agent.toml",
    show_default=True,
)


@click.group(invoke_without_command=True)
@JSON
@click.pass_context
def readers(context: click.Context, as_json: bool) -> None:
    """List what is plugged in, which profile it got and why, and what is in its way."""
    if context.invoked_subcommand is not None:
        return
    found = _plugged()
    if as_json:
        print_json(
            [
                {
                    "what": one.what,
                    "place": one.place,
                    "profile": one.profile.id if one.profile else None,
                    "support": one.profile.support if one.profile else None,
                    "why": one.why,
                    "in_the_way": [
                        {"what": obstacle.what, "mend": obstacle.mend} for obstacle in one.obstacles
                    ],
                }
                for one in found
            ]
        )
        return
    for one in found:
        name = f"{one.profile.id} ({one.profile.support})" if one.profile else "no profile"
        click.echo(f"{one.what}: {one.place or '-'}\n    {name}: {one.why}")
        for obstacle in one.obstacles:
            click.echo(f"    in its way: {obstacle.what}\n      mend: {obstacle.mend}")
    if not found:
        click.echo("nothing is plugged in that may be a reader")


@readers.command("record")
@CONFIG
@click.option("--seconds", type=click.IntRange(1, 3_600), default=60, show_default=True)
@click.option(
    "-o", "--output", type=click.Path(path_type=Path), default=None, help="[default: NAME.trace]"
)
@click.argument("name")
def record_trace(config_path: Path, seconds: int, output: Path | None, name: str) -> int:
    """Write what goes over the wire of reader NAME of agent.toml, without any card's number. The agent must not run."""
    configured = load_readers(config_path)
    reader = next((one for one in configured if one.name == name), None)
    if reader is None:
        raise AgentError(
            f"{config_path}: no reader {name!r}; there are {', '.join(one.name for one in configured)}"
        )
    output = output or Path(f"{name}.trace")
    if output.exists():
        raise AgentError(f"{output}: is there already; name another with -o")
    with app.lock_state_dir(load_places(config_path).database.parent):
        click.echo(f"hold cards to '{name}' for {seconds} s; they are told out of order")
        trace, told = record(reader, seconds)
    return _write(reader, trace, told, output)


@readers.command("replay")
@click.option(
    "--profile",
    "own",
    type=click.Path(path_type=Path),
    default=None,
    help="A profile of your own, a .toml file.",
)
@click.argument("file", type=click.Path(path_type=Path))
def replay_trace(own: Path | None, file: Path) -> int:
    """Play the trace in FILE through today's code and profile, and tell what comes of it."""
    trace = read_trace(file)
    profile = read_profile(own) if own is not None else load_profile(trace.profile)
    expected = [(note.ms, note.data) for note in trace.notes if note.mark == "="]
    found = [(note.ms, note.data) for note in replay(profile, trace)]
    for ms, word in found:
        click.echo(f"{ms:8} ms  {word.decode('ascii')}")
    if found != expected:
        click.echo(
            f"{file}: was otherwise when it was recorded: {', '.join(word.decode('ascii') for _, word in expected) or 'nothing'}"
        )
        return 1
    click.echo(f"{file}: {profile.id}, {len(found)} taps, as recorded")
    return 0


@click.group()
def profile() -> None:
    """Reader models: list, show, check, and begin a new one."""


@profile.command("list")
@JSON
def list_profiles(as_json: bool) -> None:
    """List the profiles there are."""
    rows = [
        {
            "id": one.id,
            "model": f"{one.device.vendor} {one.device.model}",
            "transport": one.transport,
            "support": one.support,
            "cards": ", ".join(one.device.tech),
            "signals": _signals(one),
        }
        for one in all_profiles()
    ]
    if as_json:
        return print_json(rows)
    return print_table(
        ("profile", "model", "transport", "support", "cards", "signals"),
        [list(row.values()) for row in rows],
    )


@profile.command("show")
@click.argument("id")
def show_profile(id: str) -> None:
    """Tell what profile ID (or a .toml file) says, and what its self-tests give."""
    one = _profile(id)
    click.echo(
        f"{one.id} revision {one.revision}, sha256 {one.digest}: {one.device.vendor} {one.device.model}, {one.transport}"
    )
    click.echo(
        f"support: {one.support}; cards: {', '.join(one.device.tech)}; signals: {_signals(one)}"
    )
    click.echo(f"matches: {_matches(one)}")
    if one.uid.clonable:
        click.echo("its cards can be copied with a tool for a few euros")
    for source in one.device.sources:
        click.echo(f"source: {source}")
    for note in one.device.notes:
        click.echo(f"note: {note}")
    for test in one.selftest:
        click.echo(f"self-test: {test.name}: {run_selftest(one, test)[1]}")


@profile.command("check")
@click.argument("files", nargs=-1, type=click.Path(path_type=Path))
def check_profiles(files: tuple[Path, ...]) -> int:
    """Hold each FILE (by default all there are) against the rules, its self-tests included."""
    wrong = 0
    good: list[Profile] = []
    for file in dict.fromkeys(files) or sorted(profiles_dir().glob("*.toml")):
        try:
            one = read_profile(file)
        except ProfileError as error:
            wrong += 1
            click.echo(str(error))
        else:
            good.append(one)
            click.echo(f"{file}: right, {len(one.selftest)} self-tests, support {one.support}")
    known = {one.id for one in good}
    for complaint in clashes(
        [*(one for one in all_profiles() if one.id not in known), *good] if files else good
    ):
        wrong += 1
        click.echo(complaint)
    return 1 if wrong else 0


@profile.command("new")
@click.option("--id", "profile_id", prompt="id (lower case, as the file is to be called)")
@click.option("--vendor", prompt="vendor")
@click.option("--model", prompt="model")
@click.option("--kind", prompt="how it speaks", type=click.Choice(["pcsc", "serial", "keyboard"]))
@click.option("-o", "--folder", type=click.Path(path_type=Path), default=Path())
def new_profile(profile_id: str, vendor: str, model: str, kind: str, folder: Path) -> None:
    """Begin a profile: a commented file that fails its check until it has self-tests."""
    file = folder / f"{profile_id}.toml"
    text = template(profile_id, vendor, model, kind)
    try:
        with open(file, "x", encoding="utf-8") as output:
            output.write(text)
    except FileExistsError:
        raise AgentError(f"{file}: is there already") from None
    except OSError as error:
        raise AgentError(f"{file}: cannot be written: {error}") from error
    click.echo(
        f"{file}: fill in what is marked, add self-tests, then: canteen-agent profile check {file}"
    )


def _profile(name: str) -> Profile:
    return read_profile(Path(name)) if name.endswith(".toml") else load_profile(name)


def _signals(one: Profile) -> str:
    return ", ".join(name for name, _ in one.feedback.named()) or "none"


def _matches(one: Profile) -> str:
    match = one.match
    parts = [f"PC/SC name {match.pcsc_name}"] if one.transport == "pcsc" else []
    parts += [f"USB {usb}" for usb in match.usb]
    return ", ".join(parts) or "nothing by itself: the technician names port and profile"


def _plugged() -> list[Plugged]:
    profiles = all_profiles()
    found = [*plugged.usb_readers(profiles), *plugged.serial_ports(profiles)]
    try:
        names = reader_names()
        escapes = {name: lets_escape_pass(name) for name in names}
        found += plugged.pcsc_readers(profiles, names, escapes)
    except ReaderError as error:
        obstacle: Obstacle = plugged.pcscd_obstacle(str(error))
        found.append(Plugged("PC/SC", None, None, "readers are asked for at pcscd", [obstacle]))
    return found


def _write(reader: ReaderConfig, trace: Trace, told: list[str], output: Path) -> int:
    """Write a trace without numbers; return 1 when its replay is not what the reader saw."""
    trace.remarks.insert(0, time.strftime("recorded %Y-%m-%d"))
    clean = scrubbed(reader.profile, trace, secrets.token_bytes(16))
    try:
        output.write_text(write_trace(clean), encoding="utf-8")
    except OSError as error:
        raise AgentError(f"{output}: cannot be written: {error}") from error
    played = [note.data.decode("ascii") for note in clean.notes if note.mark == "="]
    click.echo(f"{output}: {len(clean.notes)} lines, {len(told)} taps")
    if [word.partition(":")[0] for word in played] != told:
        click.echo(
            f"{output}: played again it gives {', '.join(played) or 'nothing'}, the reader gave {', '.join(told) or 'nothing'}"
        )
        return 1
    return 0
