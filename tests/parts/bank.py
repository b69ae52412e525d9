"""A bank's payment page as a far end: it takes an order, notifies, and sends the browser back.

It does what banks do: it checks the order's MAC, notifies the server before the browser returns,
sends a notification again until it is answered with 200, and may send it twice.
"""

import threading
import urllib.error
import urllib.request
from dataclasses import dataclass, field
from html import escape
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from typing import Self
from urllib.parse import parse_qsl, urlencode, urlsplit

from agent.central.books.references import Reference
from agent.central.payments.pos import Addresses, order_fields
from agent.central.payments.settings import Pos
from tests.parts.payment_messages import SECRET, Notification, form, notification

ALIAS = "ALIAS_1"
ATTEMPTS = 5


@dataclass
class Bank:
    """The bank on a free loopback port. `notified` are the HTTP statuses of its notifications.

    `times` is how often a notification is sent. `browser_only` notifies through the browser alone.
    """

    times: int = 1
    browser_only: bool = False
    notified: list[int] = field(default_factory=list)
    orders: list[dict[str, str]] = field(default_factory=list)

    def __post_init__(self) -> None:
        bank = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                path, query = urlsplit(self.path).path, dict(parse_qsl(urlsplit(self.path).query))
                if path == "/pay":
                    self._answer(bank.page(query))
                elif "order" not in query:
                    self.send_error(404)  # a browser asks for an icon
                else:
                    self.send_response(303)
                    self.send_header("Location", bank.decide(path.strip("/"), query["order"]))
                    self.send_header("Content-Length", "0")
                    self.end_headers()

            def _answer(self, text: str) -> None:
                body = text.encode()
                self.send_response(200)
                self.send_header("Content-Type", "text/html; charset=utf-8")
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, format: str, *args: object) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.05,))

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._server.server_port}/pay"

    def page(self, order: dict[str, str]) -> str:
        """Take an order and return the page on which its payer decides."""
        named = Reference(order["codTrans"], None, "", int(order["importo"]), "")
        addresses = Addresses(order["url"], order["url_back"], order["urlpost"])
        if order != order_fields(named, Pos(ALIAS, self.url, SECRET), addresses):
            return "<p>Order refused.</p>"
        self.orders.append(order)
        n = len(self.orders) - 1
        links = "".join(
            f'<p><a id="{word}" href="/{word}?order={n}">{word}</a></p>'
            for word in ("OK", "KO", "PEN", "back")
        )
        head = f"<title>Banca Esempio</title><h1>{int(order['importo'])} cent</h1>"
        return f'<!doctype html><html lang="it">{head}<p>{escape(ALIAS)}</p>{links}</html>'

    def decide(self, word: str, n: str) -> str:
        """Notify what the payer decided, and return where the browser goes."""
        order = self.orders[int(n)]
        if word == "back":
            return order["url_back"]
        time = f"12{len(self.notified):02d}00"
        fields = notification(Notification(order["codTrans"], word, order["importo"], time))
        for _ in range(0 if self.browser_only else self.times):
            self.notify(order["urlpost"], fields)
        return f"{order['url']}?{urlencode(fields)}"

    def notify(self, address: str, fields: dict[str, str]) -> None:
        """Send a notification until it is answered with 200."""
        for _ in range(ATTEMPTS):
            status = post(address, form(fields), "application/x-www-form-urlencoded").status
            self.notified.append(status)
            if status == 200:
                return

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()


@dataclass(frozen=True)
class Answer:
    """An HTTP answer. `url` is where redirects ended."""

    status: int
    text: str
    url: str
    headers: dict[str, str]


def post(url: str, body: bytes, content_type: str = "text/xml") -> Answer:
    """Send a body and return the answer, whatever its status."""
    return answer_to(urllib.request.Request(url, body, {"Content-Type": content_type}))


def get(url: str) -> Answer:
    """Return the answer for an address, whatever its status."""
    return answer_to(urllib.request.Request(url))


def answer_to(request: urllib.request.Request) -> Answer:
    try:
        with urllib.request.urlopen(request, timeout=20) as answer:
            text = answer.read().decode()
            return Answer(answer.status, text, answer.url, dict(answer.headers))
    except urllib.error.HTTPError as error:
        with error:
            return Answer(error.code, error.read().decode(), error.url, dict(error.headers))
