"""The central's web application: the doors of node and bank, and the payer's pages.

Handlers run in the loop's thread, each to its end, with the one connection to the books: a payment
is a transaction of milliseconds. What is answered as taken is on the disk.
"""

import logging
import secrets
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from urllib.parse import urlencode, urlsplit
from zoneinfo import ZoneInfo

from starlette.applications import Starlette
from starlette.datastructures import MutableHeaders
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import PlainTextResponse, RedirectResponse, Response
from starlette.routing import Mount, Route
from starlette.staticfiles import StaticFiles
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from agent.central.books import references, town
from agent.central.books.database import Books
from agent.central.books.references import Reference
from agent.central.payments import pos
from agent.central.payments.doors import receive_notification, receive_soap, recover
from agent.central.payments.giving_out import give_out_order, order_code
from agent.central.payments.numbers import notice_of_text
from agent.central.payments.receipt import Whose
from agent.central.payments.settings import PaymentSettings, Pos
from agent.central.payments.xml import DOCUMENT_BYTES_MAX
from agent.central.web.body import read_body, read_fields
from agent.central.web.pages import ROOM, Page, Pages, language_of, page_of
from agent.central.web.rate import RateLimit
from agent.domain.clock import Instant
from agent.errors import CentralError

ORDERS_MAX = 50
"""Orders of one notice: a payer who begins again makes a new one. Else a script fills the books."""

log = logging.getLogger("agent.central.web")


@dataclass
class Doors:
    """The handlers, and what they share: the books, the settings, the time, the rate limit."""

    books: Books
    settings: PaymentSettings
    now: Callable[[], Instant]
    rate: RateLimit = field(default_factory=RateLimit)

    def __post_init__(self) -> None:
        self.pages = Pages(self.settings)
        self.whose = Whose(self.settings.creditor, ZoneInfo(town.find(self.books).zone))

    async def receipt(self, request: Request) -> Response:
        """Answer a receipt of the node, in SOAP."""
        try:
            data = await read_body(request, DOCUMENT_BYTES_MAX)
        except CentralError as error:
            return PlainTextResponse(str(error), 413)
        soap = receive_soap(self.books, data, self.whose, self.now())
        log.info("Receipt: %s.", soap.ruling.result if soap.ruling else "answered KO")
        return Response(soap.body, media_type="text/xml; charset=utf-8")

    async def notified(self, request: Request) -> Response:
        """Answer the bank's notification; without a 200 the bank sends it again."""
        try:
            fields = await read_fields(request)
        except CentralError as error:
            return PlainTextResponse(str(error), 400)
        ruling = receive_notification(self.books, fields, self._bank(), self.now())
        log.info("Notification: %s.", ruling.result if ruling else "not the bank's")
        return PlainTextResponse("OK" if ruling else "not signed", 200 if ruling else 400)

    async def returned(self, request: Request) -> Response:
        """Take in what the bank sends through the browser, and show the notice."""
        try:
            fields = await read_fields(request)
        except CentralError:
            return self.pages.render(request, Page("unsigned"))
        ruling = receive_notification(self.books, fields, self._bank(), self.now())
        order = references.find(self.books, fields.get("codTrans", ""))
        notice = references.find(self.books, order.root) if order and ruling else None
        if notice is None:
            return self.pages.render(request, Page("unsigned"))
        return self._to_notice(request, notice)

    async def enter(self, request: Request) -> Response:
        """Show the field for a notice's number."""
        return self.pages.render(request, Page("enter"))

    async def typed(self, request: Request) -> Response:
        """Go to the notice whose number was typed."""
        if not self._may_look(request):
            return self.pages.render(request, Page("often"))
        notice = self._notice(request.query_params.get("number", ""))
        if notice is None:
            return self.pages.render(request, Page("unknown"))
        return self._to_notice(request, notice)

    async def notice(self, request: Request) -> Response:
        """Show a notice."""
        if not self._may_look(request):
            return self.pages.render(request, Page("often"))
        notice = self._notice(request.path_params["number"])
        page = page_of(self.books, notice) if notice else Page("unknown")
        return self.pages.render(request, page)

    async def pay(self, request: Request) -> Response:
        """Give out an order for a notice, and send the browser to the bank with it."""
        if not self._may_look(request):
            return self.pages.render(request, Page("often"))
        notice = self._notice(request.path_params["number"])
        contract = self.settings.pos
        if notice is None or contract is None:
            return self.pages.render(request, Page("unknown"))
        if page_of(self.books, notice).view != "open":
            return self._to_notice(request, notice)
        if references.count_orders(self.books, notice.id) >= ORDERS_MAX:
            return self.pages.render(request, Page("often"))
        order = give_out_order(self.books, notice, order_code(secrets.randbelow), self.now())
        return self._to_bank(request, notice, order, contract)

    async def failed(self, request: Request, error: Exception) -> Response:
        """Answer that the books do not work now. The sender tries again."""
        log.error("Request not answered: %s.", error)
        recover(self.books)
        return self.pages.render(request, Page("later"))

    def _to_bank(
        self, request: Request, notice: Reference, order: Reference, contract: Pos
    ) -> Response:
        own = self.settings.public_url
        language = language_of(request, self.settings.language)
        back = f"{own}/notice/{notice.notice}?lang={language}"
        addresses = pos.Addresses(f"{own}/bank/return", back, f"{own}/bank/notify")
        fields = pos.order_fields(order, contract, addresses)
        return RedirectResponse(f"{contract.url}?{urlencode(fields)}", 303)

    def _to_notice(self, request: Request, notice: Reference) -> Response:
        language = language_of(request, self.settings.language)
        return RedirectResponse(f"/notice/{notice.notice}?lang={language}", 303)

    def _notice(self, text: str) -> Reference | None:
        number = notice_of_text(text)
        return references.find_notice(self.books, number) if number else None

    def _may_look(self, request: Request) -> bool:
        address = request.client.host if request.client else ""
        return self.rate.allows(address, time.monotonic_ns() // 1_000_000)

    def _bank(self) -> pos.Door | None:
        contract = self.settings.pos
        return pos.Door(contract.secret, self.whose.zone) if contract else None


def make_app(doors: Doors) -> Starlette:
    """Return the application."""
    return Starlette(
        routes=[
            Route("/pagopa", doors.receipt, methods=["POST"]),
            Route("/bank/notify", doors.notified, methods=["POST"]),
            Route("/bank/return", doors.returned, methods=["GET", "POST"]),
            Route("/", doors.enter),
            Route("/notice", doors.typed),
            Route("/notice/{number}", doors.notice),
            Route("/notice/{number}/pay", doors.pay, methods=["POST"]),
            Mount("/static", StaticFiles(directory=ROOM / "static")),
        ],
        middleware=[Middleware(_Secured, security(doors.settings.pos))],
        exception_handlers={CentralError: doors.failed},
    )


def security(contract: Pos | None) -> dict[str, str]:
    """Return the headers of every answer. A form may lead here and to the bank, nowhere else."""
    bank = ""
    if contract is not None:
        parts = urlsplit(contract.url)
        bank = f" {parts.scheme}://{parts.netloc}"
    return {
        "Content-Security-Policy": (
            f"default-src 'none'; style-src 'self'; form-action 'self'{bank};"
            " base-uri 'none'; frame-ancestors 'none'"
        ),
        "Cache-Control": "no-store",
        "Referrer-Policy": "no-referrer",
        "X-Content-Type-Options": "nosniff",
    }


class _Secured:
    """Adds the headers of `security` to every answer."""

    def __init__(self, app: ASGIApp, headers: dict[str, str]) -> None:
        self._app = app
        self._headers = headers

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        async def send_secured(message: Message) -> None:
            if message["type"] == "http.response.start":
                MutableHeaders(scope=message).update(self._headers)
            await send(message)

        await self._app(scope, receive, send_secured)
