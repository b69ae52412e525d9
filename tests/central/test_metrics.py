"""What Prometheus scrapes of a central, over HTTP, read with its own parser."""

import urllib.request
from contextlib import ExitStack
from pathlib import Path

import pytest
from prometheus_client.parser import text_string_to_metric_families

from agent.central.books import payments
from agent.central.books.address import parse
from agent.central.books.incidents import Incident, add
from agent.central.books.payments import NewPayment
from agent.central.books.postings import PaymentKey
from agent.central.metrics import LOOPBACK, exported
from agent.central.office.terminals import add_terminal, retire_terminal
from agent.errors import CentralError
from tests.parts.broker import Mosquitto, free_port
from tests.parts.foreign_terminal import NAME, ForeignTerminal, meal
from tests.parts.process import listens, wait_for
from tests.parts.town import Access, Central
from tests.parts.wire import SITE

Samples = dict[tuple[str, str], float]


def scrape(port: int) -> str:
    with urllib.request.urlopen(f"http://{LOOPBACK}:{port}/metrics", timeout=10) as answer:
        return str(answer.read().decode())


def samples(text: str) -> Samples:
    """Return the values by name and terminal; an empty name where it is of no terminal."""
    return {
        (sample.name, sample.labels.get("terminal", "")): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }


def scraped(foreign: ForeignTerminal, path: Path | None = None) -> Samples:
    port, clock = free_port(), foreign.central.clock
    with exported(parse(str(path or foreign.central.path)), port, lambda: clock.instant):
        return samples(scrape(port))


def test_each_terminal_is_measured(foreign: ForeignTerminal) -> None:
    foreign.receive(
        "state", {"online": True, "pending": 7, "faults": [{"id": "disk", "words": "full"}]}
    )
    foreign.central.clock.pass_ms(90_000)
    found = scraped(foreign)
    assert found["canteen_terminal_up", NAME] == 1
    assert found["canteen_terminal_pending", NAME] == 7
    assert found["canteen_terminal_contact_age_seconds", NAME] == 90
    assert found["canteen_terminal_faults", NAME] == 1
    assert found["canteen_books_up", ""] == 1


def test_a_lost_and_a_new_terminal_are_not_up_and_a_retired_terminal_is_not_measured(
    foreign: ForeignTerminal,
) -> None:
    foreign.receive("state", {"online": False})
    for name in ("new", "retired"):
        add_terminal(foreign.central.books, name, SITE)
    retire_terminal(foreign.central.books, "retired")
    up = {
        name: value for (metric, name), value in scraped(foreign).items() if metric.endswith("_up")
    }
    assert up == {"": 1, "t-1": 1, NAME: 0, "new": 0}


def test_entries_incidents_and_payments_are_counted(foreign: ForeignTerminal) -> None:
    before = scraped(foreign)
    foreign.send(meal(), meal(day="2026-11-24"))
    books, at = foreign.central.books, foreign.central.clock.instant
    with books.transaction():
        add(books, Incident(at, "hole", "lost", NAME))
        payment = NewPayment(PaymentKey("pos", "r-1"), "n-1", 100, None)
        payments.add(books, payment, at, "parked", "unknown_notice")
    after = scraped(foreign)
    rise = [
        after[name, ""] - before[name, ""]
        for name in ("canteen_entries_total", "canteen_incidents_total", "canteen_payments_total")
    ]
    assert rise == [2, 1, 1]


def test_no_label_or_value_names_a_child_an_account_or_a_card(foreign: ForeignTerminal) -> None:
    foreign.central.books.sql.execute("UPDATE account SET label = 'Nora K.'")
    foreign.send(meal(), meal(kind="unknown_meal", account=None, card="ab" * 16, cents=0))
    port = free_port()
    with exported(parse(str(foreign.central.path)), port, lambda: foreign.central.clock.instant):
        text = scrape(port)
    assert not any(word in text for word in ("a-1", "Nora", "abab"))
    labels = {
        name
        for family in text_string_to_metric_families(text)
        for sample in family.samples
        for name in sample.labels
    }
    assert labels == {"terminal", "site"}


def test_books_that_cannot_be_read_are_a_metric_and_no_error(
    foreign: ForeignTerminal, tmp_path: Path
) -> None:
    assert scraped(foreign, tmp_path / "none.db") == {("canteen_books_up", ""): 0}


def test_a_port_that_is_taken_is_a_sentence(foreign: ForeignTerminal) -> None:
    port, path = free_port(), foreign.central.path
    with (
        exported(parse(str(path)), port, lambda: ""),
        pytest.raises(CentralError, match=f"port {port} of 127.0.0.1 cannot be used"),
        exported(parse(str(path)), port, lambda: ""),
    ):
        pass


def test_a_serving_central_answers_scrapes_and_ends(tmp_path: Path) -> None:
    port = free_port()
    with ExitStack() as stack:
        broker = stack.enter_context(Mosquitto(tmp_path / "broker"))
        central = Central(tmp_path / "central", Access(broker.url))
        central.start("--metrics", str(port))
        stack.callback(central.stop)
        wait_for(lambda: listens(port), "the metrics")
        assert samples(scrape(port))["canteen_entries_total", ""] == 0
        assert central.process is not None
        assert central.process.stop() == 0
