"""The payer's pages: what is shown of a notice, in two languages, without a script.

A page has what the payer's notice says, the number and the amount, and whether it is paid. Nothing
of a child, no account, no name.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from jinja2 import Environment, FileSystemLoader, StrictUndefined, select_autoescape
from starlette.requests import Request
from starlette.responses import HTMLResponse

from agent.central.books import payments
from agent.central.books.database import Books
from agent.central.books.references import Reference
from agent.central.payments.settings import Language, PaymentSettings
from agent.central.web.texts import catalogue, euro

ROOM = Path(__file__).parent

View = Literal["enter", "open", "paid", "pending", "unknown", "often", "unsigned", "later"]
STATUS: dict[View, int] = {"unknown": 404, "often": 429, "unsigned": 400, "later": 503}
"""The HTTP status of a view; 200 for the others."""


@dataclass(frozen=True, slots=True)
class Page:
    """What a page shows: a view, and the notice that it is about."""

    view: View
    notice: Reference | None = None


def page_of(books: Books, notice: Reference) -> Page:
    """Return the page of a notice as it stands."""
    if payments.find_credited(books, notice.id) is not None:
        return Page("paid", notice)
    return Page("pending" if payments.is_pending(books, notice.id) else "open", notice)


class Pages:
    """Renders pages of one town."""

    def __init__(self, settings: PaymentSettings) -> None:
        self._settings = settings
        self._template = Environment(
            loader=FileSystemLoader(ROOM / "templates"),
            autoescape=select_autoescape(),
            undefined=StrictUndefined,
        ).get_template("page.html")

    def render(self, request: Request, page: Page) -> HTMLResponse:
        """Return the answer with a page, in the language of the request or of the town."""
        language = language_of(request, self._settings.language)
        words = catalogue(language)
        number = page.notice.notice if page.notice else None
        text = self._template.render(
            language=language,
            other="en" if language == "it" else "it",
            town=self._settings.name,
            view=page.view,
            can_pay=self._settings.pos is not None,
            number=number,
            groups=[number[n : n + 4] for n in range(0, len(number), 4)] if number else [],
            amount=euro(page.notice.cents, language) if page.notice else "",
            _=lambda text: words.get(text, text),
        )
        return HTMLResponse(text, STATUS.get(page.view, 200))


def language_of(request: Request, default: Language) -> Language:
    """Return the language that a request names, else the default."""
    match request.query_params.get("lang"):
        case "it":
            return "it"
        case "en":
            return "en"
        case _:
            return default
