"""A town on PostgreSQL: its own role and schema, its leader, and servers that are not safe."""

import threading
from collections.abc import Iterator
from contextlib import closing

import psycopg
import pytest

from agent.central.books import accounts, entries, town, towns
from agent.central.books.accounts import Account
from agent.central.books.entries import BookedEntry
from agent.central.books.postgres import (
    IDLE_MS,
    LEADER_IDLE_MS,
    LOCK_MS,
    NAME_BYTES_MAX,
    Server,
    TownBooks,
    schema_of,
)
from agent.central.books.town import Town
from agent.domain.ledger import EntryKey
from agent.errors import CentralError
from tests.central.conftest import AT, GENERATION
from tests.parts.postgres import Postgres
from tests.parts.process import wait_for


@pytest.fixture
def other(postgres: Postgres, town_books: TownBooks) -> Iterator[TownBooks]:
    """A second connection to the town."""
    with closing(Server(postgres.address)) as server:
        yield TownBooks(server, town_books.town)


def test_entries_and_postings_cannot_be_rewritten(town_books: TownBooks) -> None:
    add_entry(town_books, boot="b")
    for statement in ("DELETE FROM entry", "UPDATE entry SET body = ''", "TRUNCATE entry"):
        with pytest.raises(psycopg.IntegrityError, match="never"):
            town_books.server.sql.execute(statement)


def test_a_text_with_a_zero_character_is_booked(town_books: TownBooks) -> None:
    """PostgreSQL cannot store the character, and a meal is never rejected."""
    add_entry(town_books, boot="b\0c", body='{"account":"x\\u0000"}', status="set_aside")
    (found,) = [entries.find(town_books, EntryKey("t", "e", 1, "h"))]
    assert found is not None
    assert found.boot == "b�c" and found.body == '{"account":"x\\u0000"}'
    assert entries.meals_of_missing_account(town_books, "x") == []


def add_entry(books: TownBooks, *, boot: str, body: str = "{}", status: str = "applied") -> None:
    entry = BookedEntry(
        *("t", "e", 1, "h", "p", "meal", None, boot, 1, "ok", None, None, None, None, None, None),
        *(None, None, None, status, "unknown_account", body),
    )
    with books.transaction():
        entries.add_all(books, [entry])


def test_a_town_sees_nothing_of_another(server: Server, town_books: TownBooks) -> None:
    with town_books.transaction():
        accounts.add(town_books, Account("a-1", "s", "pupil", "active"))
    second = towns.add(server, f"{town_books.town}-due")
    assert accounts.ids(second) == []
    with pytest.raises(psycopg.errors.InsufficientPrivilege):
        server.sql.execute(f'SELECT * FROM "{schema_of(town_books.town)}".account')
    assert accounts.ids(town_books) == ["a-1"]


def test_a_town_that_does_not_exist_is_a_sentence(server: Server) -> None:
    with pytest.raises(CentralError, match=r"has no town 'none'; add it with: canteen-central"):
        TownBooks(server, "none")


def test_a_town_without_its_schema_is_a_sentence(server: Server, town_books: TownBooks) -> None:
    server.leave()
    server.sql.execute(f'DROP SCHEMA "{schema_of(town_books.town)}" CASCADE')
    with pytest.raises(CentralError, match=f"has no town {town_books.town!r}"):
        TownBooks(server, town_books.town)


@pytest.mark.parametrize("letters", [NAME_BYTES_MAX - 5, NAME_BYTES_MAX - 4])
def test_a_name_that_postgresql_would_cut_is_refused(letters: int) -> None:
    if letters + len("town_") <= NAME_BYTES_MAX:
        assert schema_of("x" * letters) == "town_" + "x" * letters
    else:
        with pytest.raises(CentralError, match="too long"):
            schema_of("x" * letters)


def test_a_newer_schema_is_refused_at_the_start_and_in_between(
    town_books: TownBooks, other: TownBooks
) -> None:
    with town_books.transaction() as _:
        town_books.server.sql.execute("UPDATE alembic_version SET version_num = '99'")
    for refused in (other, town_books):
        with pytest.raises(CentralError, match="has schema 99"), refused.transaction():
            town.next_position(refused)
    with pytest.raises(CentralError, match="install the newer program"):
        TownBooks(other.server, town_books.town)


def test_who_does_not_lead_any_more_writes_nothing(town_books: TownBooks, other: TownBooks) -> None:
    town_books.lease = "first"
    with other.transaction():
        town.lead(other, "first")
    with town_books.transaction():
        town.next_position(town_books)
    with other.transaction():
        town.lead(other, "second")
    with pytest.raises(CentralError, match="led by another process"), town_books.transaction():
        town.next_position(town_books)
    assert town.standing(other).position == 1


def test_a_leader_that_stands_still_within_a_transaction_lets_another_lead(
    postgres: Postgres, other: TownBooks
) -> None:
    with closing(Server(postgres.address, idle_ms=LEADER_IDLE_MS)) as server:
        leading = TownBooks(server, other.town)
        with pytest.raises(CentralError, match="not written"), leading.transaction():
            town.next_position(leading)
            with other.transaction():  # waits for LEADER_IDLE_MS, and not for LOCK_MS
                town.lead(other, "second")
    assert LEADER_IDLE_MS < LOCK_MS < IDLE_MS
    assert town.standing(other).position == 0


def test_a_lost_connection_is_a_sentence_and_is_made_again(
    postgres: Postgres, town_books: TownBooks
) -> None:
    with postgres.connect() as sql:
        sql.execute("SELECT pg_terminate_backend(%s)", (town_books.server.sql.info.backend_pid,))
    not_written = f"town {town_books.town}: not written"
    with pytest.raises(CentralError, match=not_written), town_books.transaction():
        town.next_position(town_books)
    assert not town_books.is_usable()
    town_books.reopen()
    assert town.standing(town_books).position == 0


def test_a_server_that_is_away_is_a_sentence(postgres: Postgres) -> None:
    nobody = postgres.address.replace(str(postgres.port), "1")
    with pytest.raises(CentralError, match=r"cannot be opened: .*refused"):
        Server(nobody)


@pytest.fixture
def careless(postgres: Postgres) -> Iterator[str]:
    """The address of a role whose settings a test changes."""
    with postgres.connect() as sql:
        sql.execute("CREATE ROLE careless LOGIN")
    yield postgres.address.replace("superuser", "careless")
    with postgres.connect() as sql:
        sql.execute("DROP ROLE careless")


@pytest.mark.parametrize("value", ["off", "local", "remote_write"])
def test_a_server_that_does_not_keep_what_it_commits_is_refused(
    postgres: Postgres, careless: str, value: str
) -> None:
    with postgres.connect() as sql:
        sql.execute(f"ALTER ROLE careless SET synchronous_commit = {value}")
    with pytest.raises(CentralError, match=f"synchronous_commit = {value}: a crash loses"):
        Server(careless)


def test_a_server_that_is_read_only_is_refused(postgres: Postgres, careless: str) -> None:
    with postgres.connect() as sql:
        sql.execute("ALTER ROLE careless SET default_transaction_read_only = on")
    with pytest.raises(CentralError, match="is read-only, as a standby is"):
        Server(careless)


def test_fsync_off_is_refused() -> None:
    with Postgres(fsync="off") as unsafe, pytest.raises(CentralError, match="fsync = off: a power"):
        Server(unsafe.address)


def test_what_another_connection_commits_is_notified(
    postgres: Postgres, town_books: TownBooks, other: TownBooks
) -> None:
    with postgres.connect() as sql:
        sql.execute("LISTEN canteen")
        with other.transaction():
            town.next_position(other)
        (notice,) = sql.notifies(timeout=60, stop_after=1)
        assert notice.payload == town_books.town
        town_books.lease = "mine"
        with other.transaction():
            town.lead(other, "mine")
        with town_books.transaction():  # the leader knows what it wrote
            town.next_position(town_books)
        seen = [each.payload for each in sql.notifies(timeout=0.1, stop_after=2)]
        assert seen == [town_books.town]


def test_a_commit_that_no_standby_has_is_not_acknowledged() -> None:
    """An administrator cancels a commit that waits for a standby: it is committed here alone."""
    with Postgres() as own, closing(Server(own.address)) as server, own.connect() as sql:
        books = towns.add(server, "sola")
        town.initialise(books, Town("sola", "Europe/Rome"), GENERATION, at=AT)
        sql.execute("ALTER SYSTEM SET synchronous_standby_names = 'nobody'")
        sql.execute("SELECT pg_reload_conf()")
        pid = server.sql.info.backend_pid
        named = "SHOW synchronous_standby_names"
        wait_for(lambda: server.sql.execute(named).fetchone() == ("nobody",), "the reload")

        def cancel() -> None:
            waiting = "SELECT 1 FROM pg_stat_activity WHERE pid = %s AND wait_event = 'SyncRep'"
            wait_for(lambda: sql.execute(waiting, (pid,)).fetchone() is not None, "the wait")
            sql.execute("SELECT pg_cancel_backend(%s)", (pid,))

        thread = threading.Thread(target=cancel)
        thread.start()
        unsafe = "not safely written: canceling wait for synchronous replication"
        with pytest.raises(CentralError, match=unsafe), books.transaction():
            town.next_position(books)
        thread.join()


def test_a_restored_town_is_opened_by_a_connection_that_knew_the_one_before(
    server: Server, postgres: Postgres
) -> None:
    town.initialise(towns.add(server, "di-nuovo"), Town("di-nuovo", "Europe/Rome"), "a", at=AT)
    with closing(Server(postgres.address)) as other:
        TownBooks(other, "di-nuovo")
        towns.remove(server, "di-nuovo")
        town.initialise(towns.add(server, "di-nuovo"), Town("di-nuovo", "Europe/Rome"), "b", at=AT)
        assert town.standing(TownBooks(other, "di-nuovo")).generation == "b"


def test_a_town_that_is_being_made_has_no_leader(server: Server) -> None:
    books = towns.add(server, "mezza")
    with pytest.raises(CentralError, match="is being made"), books.transaction():
        town.lead(books, "early")
