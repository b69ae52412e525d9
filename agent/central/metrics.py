"""What Prometheus scrapes of a central: its terminals, and how much the books hold. On loopback.

Each scrape opens the central's file by itself and writes nothing. No label names a child.
"""

from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager

from prometheus_client import CollectorRegistry, start_http_server
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from agent.central.books import chains, incidents, payments
from agent.central.books.address import Database
from agent.central.books.database import Books
from agent.central.office.fleet import Condition, FleetRow, fleet
from agent.central.terminal_faults import SILENT
from agent.domain.clock import Instant
from agent.errors import CentralError

LOOPBACK = "127.0.0.1"
_LABELS = ("terminal", "site")


class CentralMetrics(Collector):
    """Reads the metrics of one central at each scrape."""

    def __init__(self, database: Database, now: Callable[[], Instant]) -> None:
        self._database = database
        self._now = now

    def collect(self) -> Iterator[Metric]:
        """Yield the metrics; only that the books do not work, while they do not."""
        metrics: list[Metric] = []
        try:
            with closing(self._database.open()) as books:
                metrics += _terminals(fleet(books, self._now()))
                metrics += _books(books)
        except CentralError:
            metrics = []
        help_text = "1 if the central's file could be read"
        yield GaugeMetricFamily("canteen_books_up", help_text, value=1 if metrics else 0)
        yield from metrics


@contextmanager
def exported(database: Database, port: int, now: Callable[[], Instant]) -> Iterator[None]:
    """Answer scrapes at a port of loopback. Raise `CentralError` if it is taken."""
    registry = CollectorRegistry(auto_describe=False)
    registry.register(CentralMetrics(database, now))
    try:
        server, thread = start_http_server(port, addr=LOOPBACK, registry=registry)
    except OSError as error:
        raise CentralError(
            f"metrics: port {port} of {LOOPBACK} cannot be used: {error.strerror};"
            " choose another one with --metrics"
        ) from error
    try:
        yield
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def _terminals(rows: list[FleetRow]) -> Iterator[Metric]:
    up = _gauge("up", "1 if the central receives the terminal")
    pending = _gauge("pending", "entries that wait for the central, as the terminal sent it last")
    contact = _gauge("contact_age_seconds", "age of the terminal's newest hello")
    faults = _gauge("faults", "faults of the terminal, its silence included")
    for row in rows:
        if row.condition is Condition.RETIRED:
            continue
        labels = [row.id, row.site or ""]
        is_up = row.condition is not Condition.NEW and SILENT not in row.faults
        up.add_metric(labels, int(is_up))
        faults.add_metric(labels, len(row.faults))
        if row.pending is not None:
            pending.add_metric(labels, row.pending)
        if row.contact_s is not None:
            contact.add_metric(labels, row.contact_s)
    yield from (up, pending, contact, faults)


def _books(books: Books) -> Iterator[Metric]:
    for name, help_text, count in (
        ("entries", "entries of all terminals that are booked", chains.booked(books)),
        ("incidents", "incidents, without those that a row counts again", incidents.count(books)),
        ("payments", "payments that a door reported", payments.count(books)),
    ):
        yield CounterMetricFamily(f"canteen_{name}", help_text, value=count)


def _gauge(name: str, help_text: str) -> GaugeMetricFamily:
    return GaugeMetricFamily(f"canteen_terminal_{name}", help_text, labels=_LABELS)
