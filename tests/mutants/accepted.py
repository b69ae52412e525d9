"""Mutants that may survive, each with the reason. Data only."""

from typing import NamedTuple


class Accepted(NamedTuple):
    """A mutant by its file and its changed line, and why no test can or need notice it."""

    file: str
    was: str
    becomes: str
    reason: str


CACHE = "the size of a cache changes no result"
FIRST_VALUE = "the first `due` sets it before anything reads it"
NUMBER = "any number near serves; its test reaches whatever number it is"

ACCEPTED: tuple[Accepted, ...] = (
    Accepted(
        "agent/central/booking.py",
        "if entry is None or entry.service is None or entry.day is None:",
        "if entry is None or entry.service is None and entry.day is None:",
        "it reads the meals of no day, which are none",
    ),
    Accepted(
        "agent/central/booking.py",
        "for raw, name in zip(message.entries, named, strict=True):",
        "for raw, name in zip(message.entries, named, strict=False):",
        "the names are made of these entries, one of each",
    ),
    Accepted(
        "agent/central/verdict.py",
        "if meal.cents is None or meal.account is None:",
        "if meal.cents is None and meal.account is None:",
        "what is set aside has neither, what is booked has both",
    ),
    *(
        Accepted("agent/central/feed.py", "CHUNK_RECORDS = 50", f"CHUNK_RECORDS = {n}", NUMBER)
        for n in (51, 49)
    ),
    *(
        Accepted(
            "agent/central/hello.py",
            "is_older = (hello.mono_ms or 0) <= (before.mono_ms or 0)",
            f"is_older = {compared}",
            "no two hellos are of the first milliseconds of a boot",
        )
        for compared in (
            "(hello.mono_ms or 1) <= (before.mono_ms or 0)",
            "(hello.mono_ms or -1) <= (before.mono_ms or 0)",
            "(hello.mono_ms or 0) <= (before.mono_ms or 1)",
            "(hello.mono_ms or 0) <= (before.mono_ms or -1)",
        )
    ),
    Accepted(
        "agent/domain/canteen.py",
        "if newest is None or price.from_day > newest.from_day:",
        "if newest is None or price.from_day >= newest.from_day:",
        "the books hold one price of a service and day",
    ),
    Accepted(
        "agent/domain/canteen.py",
        "if policy.from_day <= day and (newest is None or policy.from_day > newest.from_day):",
        "if policy.from_day <= day and (newest is None or policy.from_day >= newest.from_day):",
        "a policy's day is its key",
    ),
    *(
        Accepted(
            "agent/domain/canteen.py",
            'DEFAULT_POLICY = PolicyRecord(from_day="1970-01-01", p=0)',
            f'DEFAULT_POLICY = PolicyRecord(from_day="1970-01-01", p= {position})',
            "it is never stored or sent, so nothing reads its position",
        )
        for position in (1, -1)
    ),
    *(
        Accepted(
            "agent/domain/canteen.py",
            "@lru_cache(maxsize=64)",
            f"@lru_cache(maxsize= {size})",
            CACHE,
        )
        for size in (65, 63)
    ),
    *(
        Accepted(
            "agent/domain/clock.py",
            "@lru_cache(maxsize=256)  # every tap of a lunch asks: about 130 minutes",
            f"@lru_cache(maxsize= {size})  # every tap of a lunch asks: about 130 minutes",
            CACHE,
        )
        for size in (257, 255)
    ),
    Accepted(
        "agent/domain/clock.py",
        "return _local_minute(at[:16], zone)",
        "return _local_minute(at[: 17], zone)",
        "Python reads `12:00:` as `12:00`",
    ),
    Accepted(
        "agent/domain/degrade.py",
        "return get_args(form)[0] if get_origin(form) is list else None",
        "return get_args(form)[ -1] if get_origin(form) is list else None",
        "a list has one type of items",
    ),
    Accepted(
        "agent/domain/tap.py",
        "return age_ms(own.entry.at, moment.at) if is_known else 0",
        "return age_ms(own.entry.at, moment.at) if is_known else -1",
        "no undo time is below 0, so both are in time",
    ),
    Accepted(
        "agent/domain/timekeeper.py",
        'side = "ahead of" if gap > timedelta() else "behind"',
        'side = "ahead of" if gap >= timedelta() else "behind"',
        "clocks without a gap agree, and are not compared in words",
    ),
    *(
        Accepted(
            "agent/domain/timekeeper.py",
            "LONG_AGO = datetime.fromtimestamp(0, UTC)",
            f"LONG_AGO = datetime.fromtimestamp( {second}, UTC)",
            "any time before the oldest plausible year serves",
        )
        for second in (1, -1)
    ),
    *(
        Accepted(
            "agent/domain/timekeeper.py",
            "doubted_ms: int = 0",
            f"doubted_ms: int = {moment}",
            "it is read only beside a doubt, which sets it",
        )
        for moment in (1, -1)
    ),
    Accepted(
        "agent/sync/messages.py",
        "return generation == generation_done and int(number) <= int(number_done)",
        "return generation == generation_done and int(number) < int(number_done)",
        "ids with one number are one text, which was compared before",
    ),
    Accepted(
        "agent/readers/framing.py",
        "again = buffer.find(self.start, 1, total) if self.start and self.length_min else -1",
        "again = buffer.find(self.start, 1, total) if self.start and self.length_min else - 0",
        "neither is a place behind the first byte",
    ),
    *(
        Accepted("agent/sync/session.py", f"self.{name} = 0", f"self.{name} = {value}", FIRST_VALUE)
        for name in ("_acked", "_contact_ms", "_hello_ms", "_sent_before_hello")
        for value in (1, -1)
    ),
)
