"""Planted bugs of the central: agent/central. Data; see planted_bug.py."""

from tests.simulation.planted_bug import Bug, Change

CENTRAL_BUGS = (
    Bug(
        "the central acknowledges a message before its commit",
        Change(
            "agent/central/server.py",
            "                try:\n                    answers = self.receive",
            "                yield Acknowledge(receipt)\n"
            "                try:\n"
            "                    answers = self.receive",
        ),
        quick=True,
    ),
    Bug(
        "entries and chain mark are written in two transactions",
        Change(
            "agent/central/booking.py",
            "    chains.advance(",
            '    books.sql.execute("COMMIT")\n'
            '    books.sql.execute("BEGIN IMMEDIATE")\n'
            "    chains.advance(",
        ),
        quick=True,
    ),
    Bug(
        "the central ignores the epoch in an entry's key",
        Change(
            "agent/central/books/entries.py",
            "_HASHES = Query(select(ENTRY.seq, ENTRY.hash).where(*_IN_SPAN))\n",
            "_HASHES = Query(\n"
            "    select(ENTRY.seq, ENTRY.hash).where(_IN_SPAN[0], *_IN_SPAN[2:])\n"
            ")\n",
        ),
        Change(
            "agent/central/booking.py",
            "        if name.hash not in known:",
            "        if not known:",
        ),
    ),
    Bug(
        "the central drops a different entry under a known number",
        Change(
            "agent/central/booking.py",
            "        if name.hash not in known:",
            "        if not known:",
        ),
    ),
    Bug(
        "the central sends balances with more entries than `acked` names",
        Change(
            "agent/central/feed.py",
            "    if notes.is_cut or entries.is_booked_after(",
            "    if notes.is_cut or False and entries.is_booked_after(",
        ),
    ),
    Bug(
        "the central looks up a storno's meal by its number alone",
        Change(
            "agent/central/books/facts.py",
            "        _M.hash == part(keys, 3),\n",
            "",
        ),
        Change(
            "agent/central/verdict.py",
            "    meal = page.entry(key)\n",
            "    known = page._facts.entries\n"
            "    same = [each for each, kept in known.items() if kept and each[:3] == key[:3]]\n"
            "    key = min(same, default=key)\n"
            "    meal = page.entry(key)\n",
        ),
        runs=1000,
    ),
    Bug(
        "a payment reported twice is booked twice",
        Change(
            "agent/central/office/credit.py",
            "        if known is None:\n",
            "        if True:\n",
        ),
        Change(
            "agent/central/office/credit.py",
            "new.kind, at, new.reason, payment.key)",
            "new.kind, at, new.reason,"
            " payment.key._replace(external=str(books.sql.total_changes)))",
        ),
    ),
    Bug(
        "a booking gives its account no new position",
        Change(
            "agent/central/books/accounts.py",
            '    .values(balance=_A.balance + value("cents"), p=value("new_p"))\n',
            '    .values(balance=_A.balance + value("cents"))\n',
        ),
    ),
    Bug(
        "an account that moves to another site leaves no tombstone",
        Change(
            "agent/central/office/cards.py",
            "    tombstones.add_all(books, gone)\n",
            "",
        ),
        runs=100,
    ),
    Bug(
        "a terminal gets what is new only as an answer",
        Change(
            "agent/central/server.py",
            "                yield from self._push_after_booking(at)\n",
            "",
        ),
        Change(
            "agent/central/server.py",
            "            messages = self.push(at)\n",
            "            messages = []\n",
        ),
    ),
    Bug(
        "a restored central keeps its generation",
        Change(
            "agent/central/hello.py",
            "            begin_generation(books, new_generation(), at=at, reason=reason, "
            "terminal=terminal)\n",
            "            incidents.add(books, incident)\n",
        ),
    ),
    Bug(
        "a terminal that is silent at serving time is no incident",
        Change(
            "agent/central/fleet_health.py",
            "        if service is None or service.outside_hours or service == trouble.incident:\n",
            "        if True:\n",
        ),
    ),
    Bug(
        "a terminal is missed while it is well",
        Change(
            "agent/central/terminal_faults.py",
            "SILENT_MS = 660_000\n",
            "SILENT_MS = 60_000\n",
        ),
    ),
    Bug(
        "a second meal of the same service is charged",
        Change(
            "agent/central/double_meals.py",
            "        wanted_cents = -meal.cents if is_second and gives_back else 0\n",
            "        wanted_cents = 0\n",
        ),
    ),
    Bug(
        "a second meal stays given back after a storno of the first",
        Change(
            "agent/central/verdict.py",
            "    page.settle_later(meal)  # its other meals may be paid now\n",
            "",
        ),
        runs=100,
    ),
    Bug(
        "a time that was confirmed before is not replaced",
        Change(
            "agent/central/dating.py",
            "    is_new = known is None or abs(known.zero - time.zero) > REDATE\n",
            "    is_new = known is None\n",
        ),
    ),
    Bug(
        "a meal of another day keeps its price",
        Change(
            "agent/central/dating.py",
            "        price_again(page, moved)\n",
            "        pass\n",
        ),
    ),
    Bug(
        "a corrected clock does not correct earlier entries",
        Change(
            "agent/central/dating.py",
            "    for entry in mine:\n",
            "    for entry in ():\n",
        ),
    ),
    Bug(
        "a meal without a price stays free when its price is known",
        Change(
            "agent/central/corrections.py",
            "            price_again(page, meal)\n",
            "            pass\n",
        ),
    ),
)
