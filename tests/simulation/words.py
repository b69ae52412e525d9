"""What the words of a script have in common: how a step selects a terminal, an account, a card."""

from agent.domain.card import CardId
from tests.simulation.engine import Engine
from tests.simulation.office import Office
from tests.simulation.parts import Box, Process
from tests.simulation.payers import Payers
from tests.simulation.script import Step

FEW = 4  # of so many accounts and cards most steps choose, so that their effects meet


class Words:
    """A method per word of a script: its name is the word, its argument the step."""

    engine: Engine
    office: Office
    payers: Payers

    def _box(self, step: Step) -> Box:
        return self.engine.boxes[step.a % len(self.engine.boxes)]

    def _process(self, step: Step) -> Process:
        """Return a terminal, or, one time in five, the central."""
        return self.engine.central if step.b % 5 == 0 else self._box(step)

    def _account(self, step: Step) -> str:
        accounts = self.office.accounts
        return accounts[step.b % (min(len(accounts), FEW) if step.c % 3 else len(accounts))]

    def _card(self, step: Step) -> CardId:
        """Return one of the first cards, mostly, or one of the newest, whose account is unknown."""
        cards = self.office.cards
        few = min(len(cards), FEW)
        chosen = [cards, cards[:few], cards[:few], cards[-few:]][step.c % 4]
        return chosen[step.b % len(chosen)]

    def _is_alone(self, box: Box) -> bool:
        """Return whether no other box has its identity."""
        return sum(other.client_id == box.client_id for other in self.engine.boxes) == 1
