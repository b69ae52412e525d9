"""One run: a town, and a method for each word of its script."""

import logging
from collections.abc import Callable, Iterable
from datetime import timedelta
from pathlib import Path

from tests.parts.wire import ZONE
from tests.simulation.counter_words import CounterWords
from tests.simulation.engine import Engine
from tests.simulation.machine_words import MachineWords
from tests.simulation.message_words import MessageWords
from tests.simulation.model import OfficeFacts
from tests.simulation.office import Office
from tests.simulation.office_words import OfficeWords
from tests.simulation.parts import Box, Central, Environment
from tests.simulation.payers import Payers
from tests.simulation.payment_words import PaymentWords
from tests.simulation.script import Step, Town


class Simulation(CounterWords, MessageWords, MachineWords, OfficeWords, PaymentWords):
    def __init__(
        self, folder: Path, town: Town, central: Callable[[Environment], Central] = Central
    ) -> None:
        logging.disable(logging.CRITICAL)
        self.engine = Engine(folder, town.seed, OfficeFacts(ZONE), central)
        self.office = Office(self.engine, town)
        self.payers = Payers(self.engine, self.office)
        boxes = self.engine.boxes
        for number, count in enumerate(town.terminals):
            for _ in range(count):
                name = f"t-{len(boxes) + 1}"
                self.office.place_terminal(name, number)
                boxes.append(Box(self.engine.environment, name, len(boxes)))
        for process in self.engine.processes:
            self.engine.connect(process)

    def do(self, step: Step) -> None:
        """Do one step and check. Raise `AssertionError` if an invariant is broken."""
        getattr(self, step.word)(step)

    def run(self, steps: Iterable[Step]) -> None:
        """Do steps, then rest. Raise `AssertionError` if an invariant is broken."""
        for step in steps:
            self.do(step)
        self.engine.central.wall_offset = timedelta()
        self._wait_for_lunch()
        self.rest(Step("rest", 0, 0, 0))
        self.spend_to_the_floor()

    def close(self) -> None:
        for process in self.engine.processes:
            if process.alive:
                process.stop()
            process.medium.close()
        for box in self.engine.boxes:
            for image, _ in box.images:
                image.close()
        self.engine.central.office.close()
        self.office.close_backups()
        logging.disable(logging.NOTSET)
