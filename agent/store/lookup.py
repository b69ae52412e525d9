"""What the staff look up: classes, children by name or card, who has eaten. Nothing here writes.

Only on request, never on a tap's path. A search reads every account once.
"""

import json

from agent.domain.card import Token
from agent.store.database import Database
from agent.store.rows import AccountLine

MATCHES_MAX = 20
"""Lines that fit a screen; a person writes more letters."""
CLASS_MAX = 1_000
"""More than any class has; the town may write one class for a whole school."""

_MEMBERS = "id, body ->> '$.label', body ->> '$.group', body ->> '$.dish'"
_ATE = (
    "EXISTS (SELECT 1 FROM entry m WHERE m.eater = r.id AND m.service = ? AND m.day = ?"
    " AND m.meal_number > 0 AND NOT EXISTS (SELECT 1 FROM entry s WHERE s.reverses = m.n))"
)
# A damaged row has no members: reading them would fail.
_RECORDS = "(SELECT kind, id, iif(json_valid(body), body, '{}') AS body FROM record) r"
# Few bodies contain the text at all, so few are parsed.
_CONTAINS = (
    "CASE WHEN instr(casefold(body), ?) THEN instr(casefold(id || ' ' ||"
    " coalesce(body ->> '$.label', '') || ' ' || coalesce(body ->> '$.group', '')), ?) END"
)
_ACTIVE = "kind = 'account' AND coalesce(body ->> '$.status', 'active') = 'active' AND body <> '{}'"


def classes(db: Database) -> dict[str, int]:
    """Return how many active accounts each class has."""
    return dict(
        db.rows(
            "SELECT body ->> '$.group' AS g, count(*) FROM "
            f"{_RECORDS} WHERE {_ACTIVE} AND g IS NOT NULL GROUP BY g ORDER BY g"
        )
    )


def members(db: Database, group: str, service: str, day: str) -> list[AccountLine]:
    """Return the active accounts of a class, with who has eaten, by label."""
    rows = db.rows(
        f"SELECT {_MEMBERS}, {_ATE} FROM {_RECORDS} WHERE {_ACTIVE} AND body ->> '$.group' = ?"
        f" ORDER BY body ->> '$.label', id LIMIT {CLASS_MAX}",
        (service, day, group),
    )
    return [_line(*row) for row in rows]


def named(db: Database, text: str, service: str, day: str) -> list[AccountLine]:
    """Return up to `MATCHES_MAX` active accounts whose label, class or id contains a text."""
    folded = text.casefold()
    rows = db.rows(
        f"SELECT {_MEMBERS}, {_ATE} FROM {_RECORDS} WHERE kind = 'account' AND {_CONTAINS}"
        f" AND {_ACTIVE} ORDER BY body ->> '$.label', id LIMIT {MATCHES_MAX}",
        (service, day, json.dumps(folded, ensure_ascii=False)[1:-1], folded),
    )
    return [_line(*row) for row in rows]


def holders(db: Database, tokens: list[Token], service: str, day: str) -> list[AccountLine]:
    """Return up to `MATCHES_MAX` accounts of cards with these tokens."""
    places = ", ".join("?" * len(tokens))
    rows = db.rows(
        f"SELECT {_MEMBERS}, {_ATE} FROM {_RECORDS} WHERE {_ACTIVE} AND id IN"
        f" (SELECT body ->> '$.account' FROM record WHERE kind = 'card' AND id IN ({places}))"
        f" ORDER BY id LIMIT {MATCHES_MAX}",
        (service, day, *tokens),
    )
    return [_line(*row) for row in rows]


def _line(
    account: str, label: str | None, group: str | None, dish: str | None, has_eaten: int
) -> AccountLine:
    return AccountLine(account, label, group, dish, bool(has_eaten))
