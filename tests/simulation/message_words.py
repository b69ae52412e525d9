"""The words of a script about messages, and about connections to the broker."""

from agent.sync.topics import Leaf
from tests.simulation.broker import Message, garbage, oversized
from tests.simulation.parts import CENTRAL, TOPICS
from tests.simulation.script import Step
from tests.simulation.words import Words


class MessageWords(Words):
    def deliver(self, step: Step) -> None:
        """A terminal receives its next message."""
        self.engine.deliver(self._box(step).client_id)

    def deliver_central(self, step: Step) -> None:
        """The central receives its next message."""
        self.engine.deliver(CENTRAL)

    def overtake(self, step: Step) -> None:
        """A terminal receives a message before others that were sent earlier."""
        self.engine.deliver(self._box(step).client_id, pick=step.b)

    def overtake_central(self, step: Step) -> None:
        """The central receives a message before others that were sent earlier."""
        self.engine.deliver(CENTRAL, pick=step.b)

    def lose(self, step: Step) -> None:
        """A message to a terminal is lost."""
        self.engine.deliver(self._box(step).client_id, pick=step.b, times=0)

    def lose_central(self, step: Step) -> None:
        """A message to the central is lost."""
        self.engine.deliver(CENTRAL, pick=step.b, times=0)

    def double(self, step: Step) -> None:
        """A terminal receives a message twice."""
        self.engine.deliver(self._box(step).client_id, times=2)

    def double_central(self, step: Step) -> None:
        """The central receives a message twice."""
        self.engine.deliver(CENTRAL, times=2)

    def late_copy(self, step: Step) -> None:
        """A message that was delivered long ago is sent again."""
        if self.engine.copies:
            name, message = self.engine.copies[step.a % len(self.engine.copies)]
            self.engine.broker.clients[name].put(message)

    def _copy(self, step: Step) -> tuple[str, Message] | None:
        """Return a client and a message that it has received."""
        return self.engine.copies[step.b % len(self.engine.copies)] if self.engine.copies else None

    def garbage(self, step: Step) -> None:
        """A terminal is sent a payload that is no message."""
        box, copy = self._box(step), self._copy(step)
        is_state = step.b % 3 == 0
        topic = TOPICS.central_state if is_state else TOPICS.of(box.client_id, Leaf.CHANGES)
        payload = garbage(lambda n: step.c % n, copy[1].payload if copy else None)
        self.engine.client(box).put(Message(topic, payload, is_garbage=True))

    def garbage_central(self, step: Step) -> None:
        """The central is sent a payload that is no message."""
        copy = self._copy(step)
        topic = copy[1].topic if copy else TOPICS.of("t-1", Leaf.HELLO)
        payload = garbage(lambda n: step.c % n, copy[1].payload if copy else None)
        client = self.engine.client(self.engine.central)
        client.put(Message(topic, payload, is_garbage=True))

    def oversized(self, step: Step) -> None:
        """Somebody is sent a message that exceeds the contract's limit."""
        if copy := self._copy(step):
            name, message = copy
            too_long = Message(message.topic, oversized(message.payload), is_garbage=True)
            self.engine.broker.clients[name].put(too_long)

    def join(self, step: Step) -> None:
        """A terminal without a connection connects."""
        if not self._box(step).linked:
            self.engine.connect(self._box(step))

    def join_central(self, step: Step) -> None:
        """The central starts, if it is dead, and connects."""
        self.engine.start(self.engine.central)
        if not self.engine.central.linked:
            self.engine.connect(self.engine.central)

    def cut(self, step: Step) -> None:
        """A connection ends."""
        self.engine.broker.disconnect(self._process(step), "cut")
        self.engine.run(self._process(step))

    def cut_silently(self, step: Step) -> None:
        """A connection breaks in both directions and nobody notices."""
        client = self.engine.client(self._process(step))
        client.loses_incoming = client.loses_outgoing = True

    def cut_one_way(self, step: Step) -> None:
        """A connection breaks in one direction and nobody notices."""
        client = self.engine.client(self._process(step))
        if step.c % 2:
            client.loses_incoming = True
        else:
            client.loses_outgoing = True

    def notice(self, step: Step) -> None:
        """The broker's keep-alive ends all broken connections."""
        for process in self.engine.processes:
            client = self.engine.client(process)
            if client.process is process and (client.is_broken or not process.alive):
                self.engine.broker.disconnect(process, "keepalive")
                self.engine.run(process)

    def forget_session(self, step: Step) -> None:
        """The broker loses a client's session."""
        self.engine.client(self._process(step)).forget()

    def broker_restarts(self, step: Step) -> None:
        """The broker ends and loses sessions and retained messages."""
        for process in self.engine.processes:
            self.engine.broker.disconnect(process, "the broker is gone")
        for client in self.engine.broker.clients.values():
            client.forget()
        self.engine.broker.retained.clear()

    def drop_retained(self, step: Step) -> None:
        """The broker loses its retained messages."""
        self.engine.broker.retained.clear()
