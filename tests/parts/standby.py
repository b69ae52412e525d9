"""A standby of a PostgreSQL server of the tests, synchronous once it is connected."""

from tests.parts.postgres import Postgres, program
from tests.parts.process import wait_for

NAME = "standby"


class Standby(Postgres):
    """A copy of a running primary, which follows it. Whatever that commits is on this disk too."""

    def __init__(self, primary: Postgres) -> None:
        self._primary = primary
        super().__init__()

    def _fill(self) -> None:
        primary = f"host=127.0.0.1 port={self._primary.port} user=superuser application_name={NAME}"
        self._run(
            *(program("pg_basebackup"), "--pgdata", str(self.data), "--dbname", primary),
            *("--write-recovery-conf", "--checkpoint", "fast", "--no-sync"),
        )

    def start(self) -> None:
        """Start it, and let the primary wait for it at each commit."""
        super().start()
        with self._primary.connect() as sql:
            sql.execute(f"ALTER SYSTEM SET synchronous_standby_names = '{NAME}'")
            sql.execute("SELECT pg_reload_conf()")
            state = "SELECT sync_state FROM pg_stat_replication"
            wait_for(lambda: sql.execute(state).fetchall() == [("sync",)], "a synchronous standby")

    def promote(self) -> None:
        """Make it the primary. It waits for no standby itself."""
        with self.connect() as sql:
            sql.execute("ALTER SYSTEM SET synchronous_standby_names = ''")
            sql.execute("SELECT pg_promote()")
