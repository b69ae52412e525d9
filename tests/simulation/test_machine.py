"""The simulator's town as a hypothesis state machine: its rules are the words of a script."""

import shutil
import tempfile
from pathlib import Path

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, rule

from tests.simulation.script import EVERY_DAY, FAULTS, Step, Town
from tests.simulation.simulation import Simulation

NUMBERS = st.integers(min_value=0, max_value=200)
FAULT_WORDS = {word for words in FAULTS.values() for word in words}
FAULTY = sorted(FAULT_WORDS | {"join", "join_central", "start"})
TOWNS = st.builds(
    Town,
    seed=st.integers(0, 2**32 - 1),
    terminals=st.lists(st.integers(1, 2), min_size=1, max_size=3).map(tuple),
    accounts=st.integers(5, 12),
    cards_unknown=st.integers(0, 3),
    refuses=st.booleans(),
    floor_cents=st.sampled_from([0, -1000]),
    gives_back=st.booleans(),
    serves_unknown=st.booleans(),
    keep_days=st.sampled_from([1, 60]),
    services=st.integers(1, 2),
    unpriced_every=st.sampled_from([0, 2]),
)


class TownMachine(RuleBasedStateMachine):
    def __init__(self) -> None:
        super().__init__()
        self.folder = Path(tempfile.mkdtemp(prefix="canteen-machine-"))

    @initialize(town=TOWNS)
    def create(self, town: Town) -> None:
        self.simulation = Simulation(self.folder, town)

    @rule(word=st.sampled_from(sorted(EVERY_DAY)), a=NUMBERS, b=NUMBERS, c=NUMBERS)
    def ordinary_step(self, word: str, a: int, b: int, c: int) -> None:
        self.simulation.do(Step(word, a, b, c))

    @rule(a=NUMBERS, taps=st.integers(1, 5))
    def queue_at_the_counter(self, a: int, taps: int) -> None:
        for card in range(taps):
            self.simulation.do(Step("tap", a, card, 1))
            self.simulation.do(Step("deliver_central", 0, 0, 0))
            self.simulation.do(Step("deliver", a, 0, 0))

    @rule(word=st.sampled_from(FAULTY), a=NUMBERS, b=NUMBERS, c=NUMBERS)
    def fault(self, word: str, a: int, b: int, c: int) -> None:
        self.simulation.do(Step(word, a, b, c))

    def teardown(self) -> None:
        if hasattr(self, "simulation"):
            try:
                self.simulation.run([])
            finally:
                self.simulation.close()
        shutil.rmtree(self.folder)


TownMachine.TestCase.settings = settings(
    max_examples=30,
    stateful_step_count=60,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
)
TestTown = TownMachine.TestCase
