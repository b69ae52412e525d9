"""What was booked on a day by each channel: the close of a cash desk, with totals."""

from datetime import datetime, time, timedelta
from zoneinfo import ZoneInfo

from agent.central.books import postings
from agent.central.books.database import Books
from agent.central.books.postings import Takings
from agent.domain.clock import Day, format_instant


def takings(books: Books, day: Day, zone: ZoneInfo) -> list[Takings]:
    """Return count and sum of a day's credits and refunds, by channel and kind."""
    begin = datetime.combine(datetime.fromisoformat(day), time(), zone)
    end = datetime.combine(begin.date() + timedelta(days=1), time(), zone)
    return postings.takings(books, format_instant(begin), format_instant(end))
