"""Planted bugs of who gets a meal, and of the records that say so. Data; see planted_bug.py."""

from tests.simulation.planted_bug import Bug, Change

TAP = "agent/domain/tap.py"
COUNTER_BUGS = (
    Bug(
        "every card is refused",
        Change(TAP, "    if by_card and facts.token is None:\n", "    if by_card:\n"),
    ),
    Bug(
        "an unknown card is always refused",
        Change(
            TAP,
            "    if refuses and not _serve_all(facts):\n",
            "    if not _serve_all(facts):\n",
        ),
    ),
    Bug(
        "data is always old",
        Change(
            TAP,
            "    return facts.data_age_ms is None or facts.data_age_ms >",
            "    return True or facts.data_age_ms is None or facts.data_age_ms >",
        ),
    ),
    Bug(
        "serving all never ends",
        Change(
            TAP,
            "    return until is not None and facts.moment.at < until\n",
            "    return until is not None\n",
        ),
    ),
    Bug(
        "the floor is always 0",
        Change(TAP, "after_cents < facts.policy.floor\n", "after_cents < 0\n"),
    ),
    Bug(
        "already served looks like refused",
        Change(
            "agent/terminal/counter.py",
            "    return Signal.ALREADY_SERVED if is_served else Signal.REFUSED\n",
            "    return Signal.REFUSED if is_served else Signal.REFUSED\n",
        ),
    ),
    Bug(
        "no credit reads like a blocked card",
        Change(
            "agent/terminal/watching.py",
            "    RefusalReason.NO_CREDIT: Word.DO_NOT_SERVE,\n",
            "    RefusalReason.NO_CREDIT: Word.BLOCKED,\n",
        ),
    ),
    Bug(
        "already served sounds like a refusal",
        Change(
            "agent/screen/static/screen.js",
            "[[440, .15], [440, .15]]",
            "[[220, .5]]",
        ),
    ),
    Bug(
        "the queue ends with the service",
        Change(
            "agent/domain/canteen.py",
            "    if nearest is None or nearest[0] > OUTSIDE_HOURS_GRACE_MIN * 60:\n",
            "    if nearest is None or nearest[0] > 0:\n",
        ),
    ),
    Bug(
        "the last meal may be one that was undone",
        Change(
            "agent/central/books/records.py",
            "_M.dated == 1, IS_MEAL, STANDS)\n",
            "_M.dated == 1, IS_MEAL)\n",
        ),
    ),
    Bug(
        "only an account's first price is sent",
        Change(
            "agent/central/books/records.py",
            "            prices=prices.get(account, []),\n",
            "            prices=prices.get(account, [])[:1],\n",
        ),
    ),
    Bug(
        "a block is not sent",
        Change(
            "agent/central/books/records.py",
            "status=_CARD_STATUS[status])\n",
            'status=_CARD_STATUS["active" if status == "blocked" else status])\n',
        ),
    ),
    Bug(
        "the digest leaves the town's rules out",
        Change(
            "agent/domain/digest.py",
            "        total += int.from_bytes(hashlib.sha256(body).digest()[:8])",
            '        if kind == "policy":\n            continue\n'
            "        total += int.from_bytes(hashlib.sha256(body).digest()[:8])",
        ),
    ),
    Bug(
        "the end of a resynchronisation is not stored",
        Change(
            "agent/store/writes.py",
            "resync + 1, 1, changes.until\n",
            "resync + 1, 1, None\n",
        ),
    ),
)
