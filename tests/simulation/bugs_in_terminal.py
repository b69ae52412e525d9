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
            "                    with self._db.transaction() as sql:\n"
            '                        statement = "UPDATE terminal SET acked = max(acked, ?)"\n'
            "                        sql.execute(statement, (last.n,))\n",
        ),
        quick=True,
    ),
    Bug(
        "a record that arrives again keeps its old h",
        Change(
            "agent/store/statements.py",
            '" p = excluded.p, h = excluded.h, named',
            '" p = excluded.p, named',
        ),
        quick=True,
    ),
    Bug(
        "a gap in the positions is ignored",
        Change(
            "agent/terminal/decision.py",
            "    return case.message.from_position > case.standing.position\n",
            "    return False\n",
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
    ),
    Bug(
        "the terminal believes an acknowledgement of another disk's entry",
        Change(
            "agent/terminal/decision.py",
            "    return case.own is None or case.own.hash not in (None, case.message.acked.hash)",
            "    return case.own is None",
        ),
    ),
    Bug(
        "one meal can be undone twice",
        Change(
            "agent/domain/tap.py",
            "    if own.is_undone:\n",
            "    if False:\n",
        ),
        Change(
            "agent/terminal/counter.py",
            "            return Recorded(before, is_new=False)\n        if own is None:",
            "            pass\n        if own is None:",
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
            "WHERE eater = record.id AND n > h AND",
            "WHERE eater = record.id AND n > h + 1 AND",
        ),
    ),
    Bug(
        "the digest is not compared",
        Change(
            "agent/terminal/comparison.py",
            "        if own != (expected.accounts, expected.cards, cents, expected.sum):\n",
            "        if own is None:\n",
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
            "            remove_unnamed(sql, resync)\n",
            "",
        ),
        runs=100,
    ),
    Bug(
        "entries are pruned before they are booked",
        Change(
            "agent/store/pruning.py",
            '" WHERE m.n < (SELECT max(n) FROM entry WHERE n <= (SELECT acked FROM terminal))"',
            '" WHERE true"',
        ),
        runs=2000,
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
        "a link without answers stands for ever",
        Change(
            "agent/sync/session.py",
            "        if now_ms - self._contact_ms >= RECONNECT_AFTER_MS:\n",
            "        if False:\n",
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
        "records made while earlier epochs were pending are accepted",
        Change(
            "agent/terminal/decision.py",
            "    return case.acked.epoch_number != case.standing.epoch_number",
            "    return False",
        ),
        Change(
            "agent/terminal/decision.py",
            "    return previous is not None and case.message.before != previous",
            "    return False",
        ),
        runs=1000,
    ),
    Bug(
        "a lost note is not noticed",
        Change(
            "agent/terminal/decision.py",
            "    return case.message.notes_after > case.standing.acked.seq",
            "    return False",
        ),
        runs=1000,
    ),
    Bug(
        "a remark that was withdrawn is not taken away",
        Change(
            "agent/store/writes.py",
            "            store_later_note(sql, note)\n",
            "            pass\n",
        ),
        runs=200,
    ),
    Bug(
        "a meal with an unknown card is not counted for its account",
        Change(
            "agent/store/reads.py",
            "m.eater IN (?, ?) AND m.service",
            "m.eater = coalesce(?, ?) AND m.service",
        ),
        Change("agent/store/reads.py", "eater IN (record.id, ?)", "eater = coalesce(record.id, ?)"),
    ),
    Bug(
        "every meal is free",
        Change(
            "agent/domain/tap.py",
            "    price_cents = price_on(account.prices, service.service, service.day)\n",
            "    price_cents = 0\n",
        ),
    ),
    Bug(
        "a child without a price is refused",
        Change(
            "agent/domain/tap.py",
            "    if price_cents is None:\n",
            "    if price_cents is None and facts.policy.shortage is Shortage.REFUSE:\n"
            "        return _refused(facts, RefusalReason.NO_CREDIT)\n"
            "    if price_cents is None:\n",
        ),
    ),
    Bug(
        "a meal without a price has no flag",
        Change("agent/domain/tap.py", "flags=[Flag.NO_PRICE]", "flags=[]"),
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
            "agent/store/pruning.py",
            "            if is_enough or (is_dated and at >= before) or not is_inside:",
            "            if is_enough or (is_dated and at >= before):",
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
            "            entry = _append(self.db, outcome)\n            _log_tap",
            "            entry = _append(self.db, outcome)\n"
            "            if entry.kind == 'refusal':\n"
            "                entry = _append(self.db, outcome)\n"
            "            _log_tap",
        ),
    ),
    Bug(
        "a storno does not name the staff account that allowed it",
        Change(
            "agent/domain/tap.py",
            "        by=by,\n        account=meal.account,",
            "        account=meal.account,",
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
        "a recorded time is a floor under a time server",
        Change(
            "agent/domain/timekeeper.py",
            "        belief = self._present_belief(reading.mono_ms)\n",
            "        belief = self._present_belief(reading.mono_ms)\n"
            "        if belief is not None and belief.zero < self._newest_recorded:\n"
            "            belief = replace(belief, zero=self._newest_recorded)\n",
        ),
    ),
    Bug(
        "a time server that jumps is trusted at once",
        Change(
            "agent/domain/timekeeper.py",
            "        self._belief = Belief(source, zero, doubt, now_ms)\n",
            '        self._belief = Belief(source, zero, "", now_ms)\n',
        ),
        runs=1000,
    ),
    Bug(
        "a guessed day refuses",
        Change(
            "agent/domain/tap.py",
            "    return facts.how is not How.LATE and not facts.moment.is_day_sure\n",
            "    return False\n",
        ),
    ),
    Bug(
        "a guessed hour says that no service is open",
        Change(
            "agent/terminal/counter.py",
            "        if service is None and moment.trust is not ClockTrust.SYNCED:\n",
            "        if False:\n",
        ),
    ),
    Bug(
        "the day alone says which meal is the same",
        Change(
            "agent/domain/tap.py",
            "    if entry.boot == facts.moment.boot and is_near:\n",
            "    if False:\n",
        ),
        Change(
            "agent/domain/tap.py",
            "    return is_of_day and meal.is_dated and not _is_day_guessed(facts)\n",
            "    return is_of_day\n",
        ),
    ),
    Bug(
        "an entry of a wrong time still counts for its day",
        Change(
            "agent/store/reads.py",
            "    is_dated = entry.clock is ClockTrust.SYNCED and not is_wrong_time\n",
            "    is_dated = True\n",
        ),
    ),
    Bug(
        "the confirmed time is forgotten with the process",
        Change(
            "agent/terminal/wrong_times.py",
            "        writes.keep_belief(self._db, moment.boot, belief)\n",
            "",
        ),
        runs=3000,
    ),
    Bug(
        "an incident is written in a transaction of its own",
        Change(
            "agent/store/writes.py",
            "        insert_incident(sql, incident)\n"
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
