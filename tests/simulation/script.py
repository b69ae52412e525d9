"""What happens in one run: a town and a list of steps. A seed determines both.

A step is a word and three numbers. The numbers select from what exists when the step is done,
modulo its size. So any part of a list of steps is a valid list, and a failure can be shrunk. Each
seed leaves out some families of faults and repeats others often: if every fault occurs in every
run, they hide what two faults do together.

The methods of the `*_words.py` files define the words. Their order here and their weights decide
what a seed draws: a change gives every seed another script.
"""

import itertools
import random
import struct
from dataclasses import dataclass
from typing import NamedTuple

import msgspec

INTENSITIES = (0, 0, 1, 1, 4)  # factors for the weights of a family of faults in one run


class Step(NamedTuple):
    """One thing that happens. `a`, `b` and `c` select who, what and how."""

    word: str
    a: int
    b: int
    c: int

    def __str__(self) -> str:
        return f"{self.word} {self.a} {self.b} {self.c}"

    @classmethod
    def parse(cls, line: str) -> "Step":
        word, *numbers = line.split()
        return cls(word, *map(int, numbers))


# Word -> weight, for what happens in every town.
EVERY_DAY = {
    "tap": 24.0, "double_tap": 2.0, "unreadable": 0.3, "storno": 4.0, "late": 0.6, "by_name": 0.6,
    "closing": 0.2, "staff_card": 4.0, "deliver": 30.0, "deliver_central": 30.0, "turn": 6.0,
    "turn_central": 6.0, "wait": 6.0, "next_day": 1.5, "credit": 5.0, "credit_again": 0.6,
    "credit_taken_back": 0.5,
}  # fmt: skip
# Family -> its words and weights. Each run draws a factor for each family.
FAULTS: dict[str, dict[str, float]] = {
    "loss": {"lose": 2.0, "lose_central": 2.0},
    "doubling": {"double": 2.0, "double_central": 2.0, "late_copy": 3.0},
    "order": {"overtake": 4.0, "overtake_central": 4.0},
    "partition": {"cut": 1.0, "cut_silently": 1.0, "cut_one_way": 1.0, "notice": 1.5},
    "broker": {"forget_session": 0.3, "broker_restarts": 0.3, "drop_retained": 0.2},
    "restart": {"restart": 0.8, "reboot": 0.3, "die_unnoticed": 0.4},
    "kill": {"kill_tap": 1.5, "kill_turn": 1.0, "kill_deliver": 2.0},
    "kill_central": {"kill_central": 1.5, "kill_office": 0.4},
    "clock": {
        "clock_jumps": 0.5, "clock_1970": 0.2, "clock_right": 0.8, "clock_drifts": 0.3,
        "staffs_day": 0.5, "time_server_wrong": 0.4,
    },
    "central_clock": {
        "central_clock_jumps": 0.3, "central_clock_right": 0.6, "central_wrong_once": 0.6,
    },
    "full_disk": {
        "disk_full": 0.3, "disk_free": 0.6, "central_full": 0.1, "central_free": 0.5,
    },
    "old_image": {"image": 0.8, "restore_image": 0.3},
    "two_boxes": {"clone": 0.15},
    "central_restored": {"backup": 0.5, "restore_central": 0.2},
    "cards": {"card_found": 0.8, "card_blocked": 0.4, "card_replaced": 0.4, "card_free": 0.3},
    "siblings": {"siblings_tap": 1.5, "siblings_transfer": 0.5, "siblings_mixed_up": 0.3},
    "moves": {"move": 0.4, "move_terminal": 0.05},
    "rules": {"price": 0.4, "policy": 0.3, "policy_keeps": 0.2, "serve_all": 0.2},
    "orders": {"order": 0.4, "orders_lost": 0.1},
    "retired": {"retire": 0.1, "work_again": 0.3},
    "garbage": {"garbage": 0.5, "garbage_central": 0.5, "oversized": 0.1},
    "damage": {
        "flip_balance": 0.3, "lose_record": 0.2, "rot_record": 0.2, "damage_at_rest": 0.05,
    },
    "crowd": {"rush": 3.0, "lunch": 0.1},
    "rest": {"rest": 0.06},
    "silence": {"silence_at_lunch": 0.08, "answers_lost": 0.05},
    "payments": {
        "notice_given_out": 0.8, "order_stored": 0.5, "receipt": 1.4, "bank_notifies": 1.2,
        "payment_again": 0.8, "payment_killed": 0.3, "flow": 0.6, "missing_credited": 0.2,
        "payment_decided": 0.4, "payment_by_hand": 0.1,
    },
}  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True)
class Town:
    """A town's size and rules.

    `terminals` are the numbers of terminals per site. `cards_unknown` is how many cards have no
    account at first. Every `unpriced_every`th account has no price at first; 0: each has one.
    """

    seed: int
    terminals: tuple[int, ...]
    accounts: int
    cards_unknown: int
    refuses: bool
    floor_cents: int
    gives_back: bool
    serves_unknown: bool
    keep_days: int
    services: int
    unpriced_every: int = 0


def text_of(town: Town) -> str:
    return msgspec.json.encode(town).decode()


def town_of(text: str) -> Town:
    return msgspec.json.decode(text, type=Town)


def script(seed: int, steps: int) -> tuple[Town, list[Step]]:
    """Return the town and the steps of a seed. A longer script begins with the shorter one."""
    draw = random.Random(seed)
    sites = draw.choice([1, 1, 2, 3])
    town = Town(
        seed=seed,
        terminals=tuple(draw.choice([1, 1, 2, 2]) for _ in range(sites)),
        accounts=draw.choice([5, 8, 12, 20, 40, 200]),
        cards_unknown=draw.choice([0, 2, 4]),
        refuses=draw.random() < 0.5,
        floor_cents=draw.choice([0, 0, -1000]),
        gives_back=draw.random() < 0.8,
        serves_unknown=draw.random() < 0.8,
        keep_days=draw.choice([1, 3, 60]),
        services=draw.choice([1, 1, 2]),
        unpriced_every=random.Random(f"{seed} prices").choice([0, 0, 2, 3]),
    )
    words = dict(EVERY_DAY)
    for family in FAULTS:
        often = draw.choice(INTENSITIES)
        words |= {word: often * weight for word, weight in FAULTS[family].items() if often}
    # Every town reconnects and restarts, or most steps after the first cut would do nothing.
    words |= {"join": 2.0, "join_central": 1.0, "start": 1.5}
    drawn = draw.choices(
        list(words), cum_weights=list(itertools.accumulate(words.values())), k=steps
    )
    numbers = random.Random(f"{seed} numbers")
    return town, [Step(word, *struct.unpack("<3H", numbers.randbytes(6))) for word in drawn]
