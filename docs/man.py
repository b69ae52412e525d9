"""Writes a manual page and bash completion of each program into a folder, for the packages.

    python -m docs.man FOLDER

The words are the programs' own help.
"""

import sys
from collections.abc import Iterator
from pathlib import Path

import click
from click.shell_completion import BashComplete

from docs.commands import PROGRAMS, commands


def page(name: str, program: click.Command) -> str:
    """Return a program's manual page, in troff."""
    lines = [
        f'.TH {name.upper()} 8 "" "" "School canteen"',
        ".SH NAME",
        f"{name} \\- {_plain(program.help or '').partition('.')[0]}",
        ".SH SYNOPSIS",
        f".B {name}",
        "[OPTIONS] COMMAND [ARGS]...",
        ".SH COMMANDS",
    ]
    for path, command in commands(name, program):
        if command is not program and command.help is not None:
            lines += _command(path, command)
    lines += [".SH OPTIONS", *_options(program)]
    lines += [".SH EXIT STATUS", "0 done; 1 refused with a sentence; 2 a wrong command line;"]
    lines += ["3 a bug; 78 a wrong configuration."]
    return "\n".join(lines) + "\n"


def _command(path: str, command: click.Command) -> Iterator[str]:
    context = click.Context(command, info_name=path)
    yield f".SS {_plain(' '.join([path, *command.collect_usage_pieces(context)]))}"
    yield _plain(command.help or "")
    yield from _options(command)


def _options(command: click.Command) -> Iterator[str]:
    for parameter in command.params:
        if isinstance(parameter, click.Option) and not parameter.hidden:
            yield ".TP"
            yield f".B {_plain(', '.join(parameter.opts))}"
            yield _plain(parameter.help or "")


def _plain(text: str) -> str:
    """Return a text without what troff would take for a request or a hyphen."""
    joined = " ".join(text.split())
    escaped = joined.replace("\\", "\\e").replace("-", "\\-")
    return f"\\&{escaped}" if escaped.startswith((".", "'")) else escaped


def completion(name: str, program: click.Command) -> str:
    """Return the bash script that completes a program's words."""
    variable = f"_{name.replace('-', '_').upper()}_COMPLETE"
    return BashComplete(program, {}, name, variable).source()


def main(folder: Path) -> None:
    for name, program in PROGRAMS.items():
        (folder / f"{name}.8").write_text(page(name, program), encoding="utf-8")
        (folder / f"{name}.bash").write_text(completion(name, program), encoding="utf-8")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
