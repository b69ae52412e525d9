"""Every house rule finds a bad sample and leaves a good one alone."""

import subprocess
from collections.abc import Iterable
from pathlib import Path

import pytest

from tests.house_rules import claims, language, shape, walls
from tests.house_rules.__main__ import complaints
from tests.house_rules.source import Complaint, Source
from tests.parts.process import require

LONG_FUNCTION = "def f() -> None:\n" + "    x = 1\n" * shape.FUNCTION_LINES_MAX
COMMAND = "@cli.command()\ndef f({}) -> None:\n    pass\n"


def names(count: int) -> str:
    return ", ".join(f"p{n}: int" for n in range(count))


def rules(complaints: Iterable[Complaint]) -> list[str]:
    return [complaint.rule for complaint in complaints]


def agent(text: str, name: str = "agent/store/x.py") -> Source:
    return Source(name, text)


@pytest.mark.parametrize(
    "text",
    [
        '"""The file is asked for anew."""\n',
        "x = 1  # it lies before the commit\n",
        'log.warning("no central was heard")\n',
        'log.warning("its asker had been TOLD so")\n',
        "def test_what_was_said_is_kept() -> None: ...\n",
        'x = f"{n} bites of work"\n',
        '"""Writes to the journal."""\n',
    ],
)
def test_a_banned_word_is_found_in_a_docstring_comment_string_or_test_name(text: str) -> None:
    assert rules(language.check_phrases(agent(text))) == ["phrases"]


@pytest.mark.parametrize(
    "text",
    [
        '"""Ask again. A retold story; make sim-bite; hearsay."""\n',
        '"""Writes to systemd\'s journal, not the rollback journal."""\n',
        'x = "PRAGMA journal_mode = WAL"\n',
        'x = rows["told"]\n',
    ],
)
def test_other_words_and_words_of_the_contract_are_allowed(text: str) -> None:
    assert rules(language.check_phrases(agent(text))) == []


def test_the_journal_is_at_home_in_ops() -> None:
    assert rules(language.check_phrases(agent('"""The journal."""', "agent/ops/x.py"))) == []


def test_a_document_is_checked_line_by_line() -> None:
    document = Source("docs/X.md", "Fine.\n\nNobody is told.\n")
    assert [(c.line, c.rule) for c in language.check_phrases(document)] == [(3, "phrases")]


@pytest.mark.parametrize(
    "text",
    [
        "found = 1\n",
        "def f(here: int) -> None: ...\n",
        "self._heard_ms = 0\n",
        "class FoundLater: ...\n",
        "[one for one in rows]\n",
        "match x:\n    case told: ...\n",
        "try: ...\nexcept E as bite: ...\n",
        "journal = path\n",
    ],
)
def test_a_banned_name_is_found(text: str) -> None:
    assert rules(language.check_names(agent(text))) == ["names"]


def test_only_a_definition_makes_a_name_and_only_in_agent() -> None:
    assert rules(language.check_names(agent("print(found, written_one, foundry)\n"))) == []
    assert rules(language.check_names(Source("tests/x.py", "found = 1\n"))) == []
    assert rules(language.check_names(agent("journal = 1\n", "agent/ops/x.py"))) == []


@pytest.mark.parametrize(("name", "columns_max"), [("bench/x.py", 100), ("docs/X.md", 120)])
def test_a_line_may_be_as_long_as_the_limit(name: str, columns_max: int) -> None:
    text = "#" * columns_max + "\n" + "#" * (columns_max + 1) + "\n"
    assert [c.line for c in language.check_columns(Source(name, text))] == [2]


def test_a_commit_subject_may_have_72_columns() -> None:
    assert rules(language.check_subjects(["x" * 72, "x" * 73])) == ["subjects"]


def test_a_copy_without_the_history_has_no_subjects(tmp_path: Path) -> None:
    assert language.subjects_since(tmp_path, language.FIRST_COMMIT) is None


def test_only_subjects_of_descendants_of_the_first_commit_are_read(tmp_path: Path) -> None:
    def git(*arguments: str) -> str:
        identity = ["-c", "user.name=t", "-c", "user.email=t@example.org"]
        command = [require("git"), *identity, *arguments]
        done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=True)
        return done.stdout.strip()

    git("init", "--quiet", "--initial-branch=main")
    git("commit", "--quiet", "--allow-empty", "-m", "before")
    git("branch", "parallel")
    git("commit", "--quiet", "--allow-empty", "-m", "the rule")
    first = git("rev-parse", "HEAD")
    git("commit", "--quiet", "--allow-empty", "-m", "after")
    git("checkout", "--quiet", "parallel")
    git("commit", "--quiet", "--allow-empty", "-m", "beside")
    git("checkout", "--quiet", "main")
    git("merge", "--quiet", "parallel", "-m", "merged")
    assert language.subjects_since(tmp_path, first) == ["merged", "after"]


@pytest.mark.parametrize(
    ("name", "text", "words"),
    [
        ("agent/x.py", '"""Doc."""\n' + "x = 1\n" * 400, "401 lines"),
        ("agent/x.py", "x = 1\n", "no docstring"),
        ("agent/__init__.py", '"""Doc."""\nfrom agent.x import y\n', "more than the room's"),
        ("agent/utils.py", '"""Doc."""\n', "named by nothing"),
    ],
)
def test_a_module_has_a_docstring_a_name_and_400_lines(name: str, text: str, words: str) -> None:
    (complaint,) = shape.check_module(Source(name, text))
    assert words in complaint.sentence


def test_a_function_may_have_45_lines() -> None:
    shorter = LONG_FUNCTION.removesuffix("    x = 1\n")
    assert rules(shape.check_functions(agent(LONG_FUNCTION))) == ["functions"]
    assert rules(shape.check_functions(agent(shorter))) == []


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (f"def f({names(5)}) -> None: ...\n", []),
        (f"def f({names(6)}) -> None: ...\n", ["parameters"]),
        (f"def f(self, a: int, /, b: int, *, {names(3)}) -> None: ...\n", []),
        (f"def f(self, a: int, /, b: int, *, {names(4)}) -> None: ...\n", ["parameters"]),
        (f"async def f({names(6)}) -> None: ...\n", ["parameters"]),
        (COMMAND.format(names(10)), []),
        (COMMAND.format(names(11)), ["parameters"]),
    ],
)
def test_a_function_takes_five_parameters_and_a_command_ten(text: str, expected: list[str]) -> None:
    assert rules(shape.check_functions(agent(text))) == expected


@pytest.mark.parametrize(
    ("annotation", "expected"),
    [
        ("tuple[int, str]", []),
        ("tuple[int, ...]", []),
        ("tuple[int, str, bytes]", ["tuples"]),
        ("list[tuple[int, str, bytes] | None]", ["tuples"]),
        ("dict[str, Any]", ["any"]),
        ("Mapping[str, object]", []),
    ],
)
def test_a_signature_has_no_large_tuple_and_no_any(annotation: str, expected: list[str]) -> None:
    for text in (f"def f(x: {annotation}) -> None: ...\n", f"def f() -> {annotation}: ...\n"):
        assert rules(shape.check_signatures(agent(text))) == expected
        assert rules(shape.check_signatures(Source("tests/x.py", text))) == []


def test_a_field_of_a_class_is_not_any() -> None:
    assert rules(shape.check_signatures(agent("class C:\n    x: dict[str, Any]\n"))) == ["any"]


@pytest.mark.parametrize(
    ("handler", "expected"),
    [
        ("except Exception: ...", ["exceptions"]),
        ("except (ValueError, BaseException): ...", ["exceptions"]),
        ("except: ...", ["exceptions"]),
        ("except Exception:\n    raise AgentError from None", ["exceptions"]),
        ("except BaseException:\n    undo()\n    raise", []),
        ("except ValueError: ...", []),
    ],
)
def test_a_broad_except_is_allowed_only_to_raise_again(handler: str, expected: list[str]) -> None:
    text = f"try:\n    pass\n{handler}\n"
    assert rules(shape.check_exceptions(agent(text))) == expected
    assert rules(shape.check_exceptions(Source("agent/console.py", text))) == []


@pytest.mark.parametrize("text", ["x = 0.5\n", "float(x)\n", "x: Decimal\n"])
def test_money_is_no_float_and_no_decimal(text: str) -> None:
    assert rules(shape.check_money(agent(text))) == ["money"]
    assert rules(shape.check_money(Source("agent/readers/x.py", text))) == []


@pytest.mark.parametrize(
    "text",
    [
        "from unittest.mock import Mock\n",
        "pytest.skip('no pcscd')\n",
        "@pytest.mark.xfail\n",
        "monkeypatch.setattr(x, 'y', 1)\n",
        "time.sleep(1)\n",
    ],
)
def test_a_test_has_no_mock_skip_patch_or_sleep(text: str) -> None:
    assert rules(shape.check_test_code(Source("tests/test_x.py", text))) == ["tests"]


@pytest.mark.parametrize(
    ("name", "text", "expected"),
    [
        ("agent/readers/x.py", "import smartcard.scard\n", ["walls"]),
        ("agent/readers/pcsc.py", "from smartcard import scard\n", []),
        ("agent/terminal/x.py", "from serial.tools import list_ports\n", ["walls"]),
        ("agent/readers/plugged.py", "from serial.tools import list_ports\n", []),
        ("agent/readers/x.py", "import evdev\n", ["walls"]),
        ("agent/sync/session.py", "import paho.mqtt.client\n", ["walls"]),
        ("agent/central/booking.py", "import sqlite3\n", ["walls"]),
        ("agent/central/books/file.py", "import sqlite3\n", []),
        ("agent/terminal/cli.py", "import sqlite_utils\n", ["walls"]),
        ("agent/terminal/process.py", "from tenacity import wait_exponential\n", ["walls"]),
        ("agent/store/x.py", "def f():\n    import sqlalchemy\n", ["walls"]),
        ("tests/parts/x.py", "import serial\n", []),
    ],
)
def test_a_library_is_imported_only_at_its_wall(name: str, text: str, expected: list[str]) -> None:
    assert rules(walls.check_imports(Source(name, text))) == expected


def test_every_module_needs_a_test_file_of_its_name_at_its_place() -> None:
    modules = [
        Source("agent/a/b.py", ""),
        Source("agent/c.py", ""),
        Source("agent/__init__.py", ""),
    ]
    missing = [complaint.name for complaint in walls.check_mirror(modules)]
    assert missing == ["agent/a/b.py", "agent/c.py"]
    tests = [Source("tests/a/test_b.py", ""), Source("tests/test_c.py", "")]
    assert rules(walls.check_mirror([*modules, *tests])) == []


def test_every_limit_is_named_in_a_test() -> None:
    module = agent("A_MAX = 1\n_B_MIN = 2\nC = 3\n")
    assert rules(walls.check_limits([module])) == ["limits", "limits"]
    test = Source("tests/test_x.py", "assert x.A_MAX and y._B_MIN\n")
    assert rules(walls.check_limits([module, test])) == []


@pytest.mark.parametrize(
    ("body", "is_claim"),
    [
        ("    start()", False),
        ("    part.check()", False),
        ("    assert x == 1", True),
        ("    check()", True),
        ("    with pytest.raises(ValueError):\n        start()", True),
        ("    expect(page).to_be_visible()", True),
    ],
)
def test_a_test_without_an_assertion_is_found(body: str, is_claim: bool) -> None:
    """An assertion in a function of the tests counts, one in a method of a part does not."""
    part = Source("tests/parts/x.py", "def check() -> None:\n    assert 1\n")
    text = f"def start() -> None:\n    pass\ndef test_x() -> None:\n{body}\n"
    complaints = claims.check_claims([part, Source("tests/test_x.py", text)])
    assert rules(complaints) == ([] if is_claim else ["claims"])


def test_a_tree_is_read_whole(tmp_path: Path) -> None:
    (tmp_path / "agent/ops").mkdir(parents=True)
    (tmp_path / "agent/ops/x.py").write_text("found = 1\n" * 401, encoding="utf-8")
    (tmp_path / "README.md").write_text("The file is asked for anew.\n", encoding="utf-8")
    by_file = {(complaint.name, complaint.rule) for complaint in complaints(tmp_path)}
    assert by_file == {
        ("agent/ops/x.py", "names"),
        ("agent/ops/x.py", "module"),
        ("agent/ops/x.py", "mirror"),
        ("README.md", "phrases"),
    }
