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
            '    sql.execute(\n        "UPDATE chain SET seq = ?1',
            '    sql.execute("COMMIT")\n'
            '    sql.execute("BEGIN IMMEDIATE")\n'
            "    sql.execute(\n"
            '        "UPDATE chain SET seq = ?1',
        ),
        quick=True,
    ),
    Bug(
        "the central ignores the epoch in an entry's key",
        Change(
            "agent/central/booking.py",
            'WHERE terminal = ? AND epoch = ? AND seq BETWEEN ? AND ?",\n'
            "        (terminal, epoch, *span),\n"
            "    ):",
            'WHERE terminal = ? AND seq BETWEEN ? AND ?",\n        (terminal, *span),\n    ):',
        ),
        Change(
            "agent/central/booking.py",
            "        if place.hash not in known:",
            "        if not known:",
        ),
    ),
    Bug(
        "the central drops a different entry under a known number",
        Change(
            "agent/central/booking.py",
            "        if place.hash not in known:",
            "        if not known:",
        ),
    ),
    Bug(
        "the central sends balances with more entries than `acked` names",
        Change(
            "agent/central/feed.py",
            "    if cut or _booked_beyond(sql, terminal, told.epoch, chain):",
            "    if cut:",
        ),
    ),
    Bug(
        "a payment reported twice is booked twice",
        Change(
            "agent/central/office/desk.py",
            "        if known is None:\n            kind",
            "        external = None\n        if True:\n            kind",
        ),
    ),
    Bug(
        "a booking gives its account no new position",
        Change(
            "agent/central/books/file.py",
            '        "UPDATE account SET balance = balance + ?, p = ? WHERE id = ?",\n'
            "        (cents, next_position(sql), account),\n",
            '        "UPDATE account SET balance = balance + ? WHERE id = ?",\n'
            "        (cents, account),\n",
        ),
    ),
    Bug(
        "an account that moves to another site leaves no tombstone",
        Change(
            "agent/central/office/desk.py",
            "        add_tombstone(sql, old_site, kind, record_id)\n",
            "        pass\n",
        ),
        runs=100,
    ),
    Bug(
        "a restored central keeps its generation",
        Change(
            "agent/central/feed.py",
            '    mint_generation(sql, new_generation(), at=at, reason=f"restored from a '
            'backup: {proof}")',
            '    add_incident(sql, at=at, terminal=terminal, kind="new_generation", detail=proof)',
        ),
    ),
    Bug(
        "a second meal of the same service is charged",
        Change(
            "agent/central/booking.py",
            '        wanted = -row["cents"] if is_second and give_back else 0',
            "        wanted = 0",
        ),
    ),
    Bug(
        "a second meal stays given back after a storno of the first",
        Change(
            "agent/central/verdict.py",
            '    if meal["true_day"] is not None:\n'
            '        batch.meals.add((meal["account"], meal["service"], meal["true_day"]))\n'
            "    return None",
            "    return None",
        ),
        runs=100,
    ),
    Bug(
        "a clock that was corrected before is not corrected again",
        Change(
            "agent/central/booking.py",
            "        batch.corrected_boots.discard(entry.boot)\n",
            "        pass\n",
        ),
        runs=1000,
    ),
    Bug(
        "a corrected clock does not correct earlier entries",
        Change(
            "agent/central/booking.py",
            "        _correct_times(sql, batch, entry)\n",
            "",
        ),
    ),
    Bug(
        "an order under a number already done is not renumbered",
        Change(
            "agent/central/feed.py",
            "            renumber_orders(sql, terminal)\n",
            "            pass\n",
        ),
        runs=3000,
    ),
)
