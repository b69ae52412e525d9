"""Planted bugs of a terminal: agent/terminal, store, sync and domain. Data; see planted_bug.py."""

from tests.simulation.planted_bug import Bug, Change

TERMINAL_BUGS = (
    Bug(
        "the light goes green before the commit",
        Change(
            "agent/terminal/core.py",
            "            if event is not None:\n                handle = partial",
            "            if isinstance(event, CardPresented):\n"
            "                yield Show(reader=event.reader, tap=event.tap, "
            "signal=Signal.SERVED)\n"
            "            if event is not None:\n                handle = partial",
        ),
        Change(
            "agent/terminal/core.py",
            "    Show,\n    SignalFailed,\n",
            "    Show,\n    Signal,\n    SignalFailed,\n",
        ),
        quick=True,
    ),
    Bug(
        "the terminal acknowledges a message before its commit",
        Change(
            "agent/terminal/core.py",
            "            if event is not None:\n                handle = partial",
            "            if isinstance(event, Arrived):\n"
            "                yield Acknowledge(event.receipt)\n"
            "            if event is not None:\n                handle = partial",
        ),
        quick=True,
    ),
    Bug(
        "a published entry counts as booked",
        Change(
            "agent/terminal/replication.py",
            "                case SendEntries(first=first, count=count):\n",
            "                case SendEntries(first=first, count=count):\n"
            "                    last = Place(own.epoch_number, first + count - 1)\n"
            "                    contact = own.last_contact_at or ''\n"
            "                    writes.acknowledge(self._db, last, [], contact)\n",
        ),
        Change(
            "agent/terminal/replication.py",
            "from agent.domain.digest import Tally\n",
            "from agent.domain.digest import Tally\nfrom agent.domain.ledger import Place\n",
        ),
        quick=True,
    ),
    Bug(
        "a record that arrives again keeps its old h",
        Change(
            "agent/store/writes.py",
            '" p = excluded.p, h = excluded.h, named',
            '" p = excluded.p, named',
        ),
        quick=True,
    ),
    Bug(
        "a gap in the positions is ignored",
        Change(
            "agent/terminal/decision.py",
            "    if message.from_position > standing.position:\n        return Step.GAP\n",
            "",
        ),
        quick=True,
    ),
    Bug(
        "records and position are written in two transactions",
        Change(
            "agent/store/writes.py",
            "        # A new generation may have lost entries: then `acked` may step back.\n",
            '        sql.execute("COMMIT")\n        sql.execute("BEGIN IMMEDIATE")\n',
        ),
        quick=True,
    ),
    Bug(
        "the terminal believes an acknowledgement of another disk's entry",
        Change(
            "agent/terminal/decision.py",
            "    if own is None or own.hash not in (None, message.acked.hash):",
            "    if own is None:",
        ),
    ),
    Bug(
        "one meal can be undone twice",
        Change(
            "agent/store/reads.py",
            '"SELECT e.body, e.hash, s.n IS NOT NULL FROM entry e LEFT',
            '"SELECT e.body, e.hash, 0 FROM entry e LEFT',
        ),
        Change(
            "agent/store/schema.py",
            "CREATE UNIQUE INDEX storno_once",
            "CREATE INDEX storno_once",
        ),
    ),
    Bug(
        "the first own entry after h is left out of the balance",
        Change(
            "agent/store/reads.py",
            "n > h AND",
            "n > h + 1 AND",
        ),
    ),
    Bug(
        "the digest is not compared",
        Change(
            "agent/terminal/replication.py",
            "        if own == (expected.accounts, expected.cards, expected.cents, "
            "expected.sum):\n"
            "            return",
            "        if own is not None:\n            return",
        ),
    ),
    Bug(
        "the digest leaves balances out",
        Change(
            "agent/domain/digest.py",
            "        total += int.from_bytes(hashlib.sha256(body).digest()[:8])",
            "        total += int.from_bytes(hashlib.sha256(body[-20:]).digest()[:8]); cents = 0",
        ),
    ),
    Bug(
        "a resynchronisation keeps records that it did not name",
        Change(
            "agent/store/writes.py",
            '            sql.execute("DELETE FROM record WHERE named < ?", (resync,))\n',
            "",
        ),
        runs=100,
    ),
    Bug(
        "entries are pruned before they are booked",
        Change(
            "agent/store/writes.py",
            '            " WHERE e.n < (SELECT max(n) FROM entry'
            ' WHERE n <= (SELECT acked FROM terminal))"\n',
            "",
        ),
        runs=100,
    ),
    Bug(
        "a late meal is recorded for today",
        Change(
            "agent/terminal/counter.py",
            "        return ServiceNow(service=service, day=late.day, outside_hours=False)",
            "        today = day_of(moment.at, self.zone)\n"
            "        return ServiceNow(service=service, day=today, outside_hours=False)",
        ),
    ),
    Bug(
        "a silent link is not dropped",
        Change(
            "agent/sync/session.py",
            "        return any(deadline is not None and now_ms >= deadline for deadline "
            "in deadlines)",
            "        return False and any(deadlines)",
        ),
        runs=100,
    ),
    Bug(
        "a late message of an abandoned generation is accepted",
        Change(
            "agent/terminal/decision.py",
            "    if not is_snapshot or message.replaces != standing.generation:",
            "    if not is_snapshot:",
        ),
    ),
    Bug(
        "records made while earlier epochs were pending are accepted",
        Change(
            "agent/terminal/decision.py",
            "    if acked.epoch_number != standing.epoch_number or message.notes_after",
            "    if message.notes_after",
        ),
        Change(
            "agent/terminal/decision.py",
            "    if standing.previous is not None and message.before != standing.previous:",
            "    if False:",
        ),
        runs=1000,
    ),
    Bug(
        "a lost note is not noticed",
        Change(
            "agent/terminal/decision.py",
            " or message.notes_after > standing.acked.seq:",
            ":",
        ),
        runs=1000,
    ),
    Bug(
        "a meal with an unknown card is not counted for its account",
        Change(
            "agent/store/reads.py",
            "m.eater IN (?, ?) AND m.day",
            "m.eater = coalesce(?, ?) AND m.day",
        ),
        Change("agent/store/reads.py", "eater IN (record.id, ?)", "eater = coalesce(record.id, ?)"),
    ),
    Bug(
        "every meal is free",
        Change(
            "agent/domain/tap.py",
            "    price_cents = price_on(account.prices, service.service, service.day) or 0",
            "    price_cents = 0",
        ),
    ),
    Bug(
        "a blocked card is served",
        Change(
            "agent/domain/tap.py",
            "    if by_card and facts.card is not None and facts.card.status is not "
            "CardStatus.ACTIVE:",
            "    if False:",
        ),
    ),
    Bug(
        "an older message ends a resynchronisation",
        Change(
            "agent/store/writes.py",
            "        is_complete = not changes.more if resync_to is None "
            "else changes.to >= resync_to\n",
            "        is_complete = not changes.more\n",
        ),
    ),
    Bug(
        "entries are pruned before their account's balance contains them",
        Change(
            "agent/store/writes.py",
            "            if at >= before or not is_inside:",
            "            if at >= before:",
        ),
        runs=2000,
    ),
    Bug(
        "taps answered with out of order are not recorded later",
        Change(
            "agent/terminal/core.py",
            "        ledger.counter.record_unanswered(taps, incidents)\n",
            "        ledger.counter.record_unanswered([], incidents)\n",
        ),
    ),
    Bug(
        "a refusal is recorded twice",
        Change(
            "agent/terminal/counter.py",
            "        entry = writes.append(self.db, outcome.entry)\n        _log_tap",
            "        entry = writes.append(self.db, outcome.entry)\n"
            "        if entry.kind == 'refusal':\n"
            "            entry = writes.append(self.db, outcome.entry)\n"
            "        _log_tap",
        ),
    ),
    Bug(
        "the clock goes below the newest entry's time",
        Change(
            "agent/domain/clock.py",
            "        base = max(base, lowest)\n",
            "",
        ),
    ),
    Bug(
        "an unusable message is not set aside",
        Change(
            "agent/terminal/replication.py",
            "            writes.set_aside(self._db, message)\n",
            "",
        ),
    ),
    Bug(
        "an order is obeyed only from a message with a later time",
        Change(
            "agent/terminal/decision.py",
            "    order = message.order\n",
            "    contact = standing.last_contact_at or ''\n"
            "    order = message.order if message.at >= contact else None\n",
        ),
        runs=3000,
    ),
    Bug(
        "the central's time is a floor under an NTP clock",
        Change(
            "agent/domain/timekeeper.py",
            "            self._contacts, self._central = [], None\n",
            "            pass\n",
        ),
    ),
    Bug(
        "an incident is written in a transaction of its own",
        Change(
            "agent/store/writes.py",
            "        _insert_incident(sql, incident)\n"
            '        (number,) = sql.execute("SELECT max(n) + 1',
            '        (number,) = sql.execute("SELECT max(n) + 1',
        ),
        Change(
            "agent/store/writes.py",
            "(Place(number, 0).n, order))\n    return epoch\n",
            "(Place(number, 0).n, order))\n    add_incident(db, incident)\n    return epoch\n",
        ),
        runs=1000,
    ),
)
