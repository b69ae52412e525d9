"""Prints docs/reference/commands.md: every command of both programs, with arguments and options.

`python -m docs.commands` writes the page, `--check` ends with 1 when it differs. The words are the
programs' own help.
"""

import sys
import textwrap
from collections.abc import Iterator

import click

from agent.central.cli import cli as central
from agent.screen.cli import screen
from agent.terminal.cli import cli as terminal
from docs import printed

PAGE = printed.ROOT / "docs" / "reference" / "commands.md"
# As agent/program.py starts them.
_AGENT = click.Group(
    commands={**terminal.commands, "screen": screen}, params=terminal.params, help=terminal.help
)
PROGRAMS = {"canteen-agent": _AGENT, "canteen-central": central}
LINE_MAX = 118
HEAD = """# Commands

```
canteen-agent status -c agent.toml
canteen-central --db central.db accounts --json
```

`canteen-agent` is the program of a terminal, `canteen-central` that of the central.
A command ends with 0 when it is done, and with 1 when it refuses with a sentence.
It ends with 2 for a wrong command line, with 3 for a bug, and with 78 for a wrong configuration.
`-c FILE` names agent.toml, `--db FILE` names the central's database.
`--json` prints JSON instead of a table. `-h` prints help.

This page is printed from the programs by `python -m docs.commands`.
"""


def text() -> str:
    """Return the page."""
    parts = [HEAD]
    for name, program in PROGRAMS.items():
        parts.append(f"\n## {name}\n")
        for path, command in commands(name, program):
            if command is not program and command.help is not None:
                parts.append(_section(path, command))
        parts.append(f"\n### Options of {name} itself\n\n{_options(program)}")
    return "".join(parts)


def commands(path: str, command: click.Command) -> Iterator[tuple[str, click.Command]]:
    """Yield a command and all commands below it, each with the words that call it."""
    yield path, command
    if isinstance(command, click.Group):
        for name in sorted(command.commands):
            yield from commands(f"{path} {name}", command.commands[name])


def _section(path: str, command: click.Command) -> str:
    context = click.Context(command)
    usage = " ".join([path, *command.collect_usage_pieces(context)])
    help_text = " ".join((command.help or "").split())
    sections = [f"\n### {path}\n", f"`{usage}`\n", textwrap.fill(help_text, LINE_MAX) + "\n"]
    return "\n".join(sections) + (f"\n{_options(command)}" if _listed(command) else "")


def _listed(command: click.Command) -> list[click.Option]:
    return [option for option in command.params if isinstance(option, click.Option)]


def _options(command: click.Command) -> str:
    rows = ["| option | default | meaning |", "|---|---|---|"]
    for option in _listed(command):
        names = ", ".join(f"`{name}`" for name in option.opts)
        if option.required:
            default = "required"
        elif option.show_default and option.default is not None:
            default = f"`{option.default}`"
        else:
            default = ""
        rows.append(f"| {names} | {default} | {_meaning(option)} |")
    return "\n".join(rows) + "\n"


def _meaning(option: click.Option) -> str:
    words = " ".join((option.help or "").split())
    if isinstance(option.type, click.Choice):
        words = f"{words} One of {', '.join(option.type.choices)}.".strip()
    return words.replace("|", "\\|")


def main(check: bool) -> int:
    return printed.finish({PAGE: text()}, check=check)


if __name__ == "__main__":
    sys.exit(main(printed.wants_check()))
