"""What outlives the books: files beside the authority's key, which name the certificates it made.

A database that is restored does not know what came after its backup. So each certificate is a file
`made/SERIAL.pem`, the list `revoked.pem` only grows, and `taken-back/TERMINAL` has the time before
which every certificate of a terminal is void, also one that no file names any more.
"""

from dataclasses import dataclass
from pathlib import Path

from agent.central.books import enrolments, town
from agent.central.books.database import Books
from agent.central.books.enrolments import Certificate
from agent.central.enrolment.authority import (
    Authority,
    Issued,
    Own,
    store_revocations,
    stored_revocations,
)
from agent.domain.clock import Instant, format_instant, parse_instant
from agent.errors import CentralError
from agent.sync.topics import Topics
from agent.whole_file import SECRET_MODE, write_whole


@dataclass(frozen=True, slots=True)
class Kept:
    """The files in an authority's folder. All methods raise `CentralError` if they do not work."""

    folder: Path
    authority: Authority

    def keep(self, issued: Issued) -> None:
        """Keep a certificate, before its terminal has it."""
        try:
            self._made.mkdir(mode=0o700, exist_ok=True)
            write_whole(self._made / f"{issued.serial}.pem", issued.pem, SECRET_MODE)
        except OSError as error:
            raise _unusable(self._made, error) from error

    def recall(self, books: Books, at: Instant) -> None:
        """Enter the certificates that were made after the backup in use; delete what has ended."""
        revoked, prefix = self.revoked(), Topics(town.find(books).name).identity("")
        try:
            for path in sorted(self._made.glob("*.pem")):
                known = enrolments.find_certificate(books, path.stem)
                pem = path.read_text(encoding="ascii", errors="replace") if known is None else ""
                made = known or self._read(pem, prefix)
                if made is None:
                    continue
                if made.until <= at:
                    path.unlink()
                elif known is None:
                    revoked_at = at if made.serial in revoked else None
                    enrolments.add_certificate(books, made._replace(revoked_at=revoked_at))
        except OSError as error:
            raise _unusable(self._made, error) from error

    def revoked(self) -> list[str]:
        """Return the numbers on the list: of the present books, or of those before them."""
        try:
            return stored_revocations(self.folder, self.authority)
        except OSError as error:
            raise _unusable(self.folder, error) from error

    def list_revoked(self, books: Books, now: Instant) -> str:
        """Add what the books took back to the list, and return it as PEM text.

        A transaction, so that two programs do not lose each other's numbers.
        """
        with books.transaction():
            serials = enrolments.revoked(books, at=now)
            try:
                return store_revocations(self.folder, self.authority, serials, parse_instant(now))
            except OSError as error:
                raise _unusable(self.folder, error) from error

    def take_back(self, books: Books, terminal: str, at: Instant) -> None:
        """Make what the books took back of a terminal at a time true for later books, too."""
        folder = self._taken_back
        try:
            folder.mkdir(mode=0o700, exist_ok=True)
            write_whole(folder / terminal, at, SECRET_MODE)
        except OSError as error:
            raise _unusable(folder, error) from error
        self.list_revoked(books, at)

    def is_taken_back(self, own: Own, terminal: str) -> bool:
        """Return whether a certificate is void: it is on the list, or was made before a time."""
        if own.serial in self.revoked():
            return True
        try:
            at = parse_instant((self._taken_back / terminal).read_text(encoding="ascii"))
        except FileNotFoundError:
            return False
        except (OSError, ValueError) as error:
            raise _unusable(self._taken_back / terminal, error) from error
        return own.made_at < at.replace(microsecond=0)  # certificates have whole seconds

    def _read(self, pem: str, prefix: str) -> Certificate | None:
        """Return a certificate in a file, None for one of another authority or town."""
        try:
            own = self.authority.read(pem)
        except CentralError:
            return None
        terminal = own.name.removeprefix(prefix)
        return certificate_of(own, terminal, pem) if terminal != own.name else None

    @property
    def _made(self) -> Path:
        return self.folder / "made"

    @property
    def _taken_back(self) -> Path:
        return self.folder / "taken-back"


def certificate_of(own: Own, terminal: str, pem: str) -> Certificate:
    """Return a certificate as the books have it."""
    made_at, until = format_instant(own.made_at), format_instant(own.until)
    return Certificate(own.serial, terminal, pem, made_at, until)


def _unusable(path: Path, error: Exception) -> CentralError:
    reason = error.strerror if isinstance(error, OSError) else error
    return CentralError(f"{path}: cannot be used: {reason}; the enrolment server's user owns it")
