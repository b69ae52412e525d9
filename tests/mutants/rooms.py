"""Which modules are mutated, and which tests must notice. Data only.

The first tests are those of the module itself: they are quick, and notice most mutants. A mutant
that they let pass meets the tests that its room names. Where the simulator runs the room's code, it
then meets some seeds of it, and the stories.
"""

from typing import NamedTuple

SIMULATED_SEEDS = 10


class Room(NamedTuple):
    """Modules, and the tests that a mutant must pass to survive. `goal`: per cent killed."""

    modules: tuple[str, ...]
    tests: tuple[str, ...]
    goal: int
    is_simulated: bool = True


STORIES = ("tests/test_stories.py", "tests/test_clocks_and_restores.py")
BOOKS = tuple(
    f"tests/central/test_{name}.py"
    for name in ("booking", "corrections", "dating", "double_meals", "feed", "hello", "verdict")
)
ROOMS = {
    "domain": Room(("agent/domain/*.py",), ("tests/docs", "tests/domain"), 95),
    "session": Room(
        ("agent/sync/session.py", "agent/sync/messages.py"),
        ("tests/docs", "tests/sync/test_session.py", "tests/sync/test_messages.py"),
        95,
    ),
    "booking": Room(
        (
            "agent/central/booking.py",
            "agent/central/corrections.py",
            "agent/central/dating.py",
            "agent/central/double_meals.py",
            "agent/central/verdict.py",
        ),
        BOOKS,
        95,
    ),
    "feed": Room(
        ("agent/central/feed.py", "agent/central/hello.py"),
        ("tests/central/test_changes.py", *BOOKS),
        90,
    ),
    "store": Room(
        (
            "agent/store/pruning.py",
            "agent/store/reads.py",
            "agent/store/standing.py",
            "agent/store/writes.py",
        ),
        ("tests/store", "tests/terminal/test_counter.py"),
        90,
    ),
    "payments": Room(
        ("agent/central/payments/*.py",), ("tests/central/payments",), 90, is_simulated=False
    ),
    "readers": Room(
        (
            "agent/readers/framing.py",
            "agent/readers/identity.py",
            "agent/readers/presence.py",
        ),
        ("tests/readers/test_traces.py", "tests/readers/test_profile_bytes.py"),
        90,
        is_simulated=False,
    ),
}

# Operators of cosmic-ray. Those that make an invalid program or the same one are left out.
OPERATORS = tuple(
    f"core/{name}"
    for name in (
        "AddNot",
        "ReplaceAndWithOr",
        "ReplaceOrWithAnd",
        "ReplaceTrueWithFalse",
        "ReplaceFalseWithTrue",
        "ReplaceBreakWithContinue",
        "ReplaceContinueWithBreak",
        "ReplaceUnaryOperator_Delete_Not",
        "ReplaceUnaryOperator_USub_UAdd",
        "ReplaceBinaryOperator_Add_Sub",
        "ReplaceBinaryOperator_Sub_Add",
        "ReplaceBinaryOperator_Mul_Add",
        "ReplaceBinaryOperator_FloorDiv_Mul",
        "ReplaceBinaryOperator_Mod_Mul",
        "ReplaceBinaryOperator_LShift_RShift",
        "ReplaceBinaryOperator_RShift_LShift",
        "ReplaceComparisonOperator_Eq_NotEq",
        "ReplaceComparisonOperator_NotEq_Eq",
        "ReplaceComparisonOperator_Is_IsNot",
        "ReplaceComparisonOperator_IsNot_Is",
        "ReplaceComparisonOperator_Lt_LtE",
        "ReplaceComparisonOperator_Lt_GtE",
        "ReplaceComparisonOperator_LtE_Lt",
        "ReplaceComparisonOperator_LtE_Gt",
        "ReplaceComparisonOperator_Gt_GtE",
        "ReplaceComparisonOperator_Gt_LtE",
        "ReplaceComparisonOperator_GtE_Gt",
        "ReplaceComparisonOperator_GtE_Lt",
        "NumberReplacer",
        "ZeroIterationForLoop",
    )
)
