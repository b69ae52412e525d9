"""The server where boxes enrol and terminals renew: HTTPS with the authority's own certificate.

Machines call it, without a reverse proxy: they compare the authority's fingerprint.
"""

import logging
import time
from collections.abc import Callable
from typing import TypeVar

import msgspec
from starlette.applications import Starlette
from starlette.requests import ClientDisconnect, Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route

from agent.central.books.database import Books
from agent.central.enrolment.enrolling import Office, enrol, renew
from agent.central.web.body import read_body
from agent.central.web.rate import RateLimit
from agent.domain.clock import Instant
from agent.errors import CentralError
from agent.sync.enrolment import (
    CA_PATH,
    ENROL_PATH,
    MESSAGE_BYTES_MAX,
    RENEW_PATH,
    EnrolRequest,
    Refusal,
    RenewRequest,
)

log = logging.getLogger("agent.central.web")

_Asked = TypeVar("_Asked", EnrolRequest, RenewRequest)


class EnrolmentDoors:
    """What the handlers share: books, office, time, and how often a client may try."""

    def __init__(self, books: Books, office: Office, now: Callable[[], Instant]) -> None:
        self._books = books
        self._office = office
        self._now = now
        self._rate = RateLimit()

    async def authority(self, request: Request) -> Response:
        """Answer the authority's certificate, which is no secret."""
        return PlainTextResponse(self._office.authority.pem)

    async def enrol(self, request: Request) -> Response:
        """Answer what a code gives."""
        return await self._answer(
            request,
            EnrolRequest,
            lambda asked: enrol(self._books, self._office, asked, at=self._now()),
        )

    async def renew(self, request: Request) -> Response:
        """Answer a terminal's next certificate."""
        return await self._answer(
            request,
            RenewRequest,
            lambda asked: renew(self._books, self._office, asked, at=self._now()),
        )

    async def _answer(
        self, request: Request, shape: type[_Asked], rule: Callable[[_Asked], msgspec.Struct]
    ) -> Response:
        client = request.client.host if request.client else ""
        if not self._rate.allows(client, time.monotonic_ns() // 1_000_000):
            return _json(Refusal("too many attempts; wait a minute"), 429)
        try:
            data = await read_body(request, MESSAGE_BYTES_MAX)
        except CentralError as error:
            return _json(Refusal(str(error)), 413)
        except ClientDisconnect:
            return Response(status_code=400)  # nobody reads it
        try:
            answer = rule(msgspec.json.decode(data, type=shape))
        except (msgspec.DecodeError, UnicodeDecodeError):
            return _json(Refusal("the request cannot be read: another version?"), 400)
        except CentralError as error:
            log.error("Request not answered: %s.", error)
            return _json(Refusal("the central's books do not work now; try again later"), 503)
        if isinstance(answer, Refusal):
            log.warning("%s refused: %s", request.url.path, answer.error)
            return _json(answer, 403)
        log.info("%s answered.", request.url.path)
        return _json(answer, 200)


def make_enrolment_app(doors: EnrolmentDoors) -> Starlette:
    """Return the application."""
    return Starlette(
        routes=[
            Route(CA_PATH, doors.authority),
            Route(ENROL_PATH, doors.enrol, methods=["POST"]),
            Route(RENEW_PATH, doors.renew, methods=["POST"]),
        ]
    )


def _json(answer: msgspec.Struct, status: int) -> Response:
    return Response(msgspec.json.encode(answer), status, media_type="application/json")
