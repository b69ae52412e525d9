"""A client that holds many connections keeps nobody else out."""

import socket
from collections.abc import Iterator

import pytest

from agent.central.web.fair_socket import CONNECTIONS_MAX, FairSocket
from agent.errors import CentralError

SLOW, BOX = "127.0.0.2", "127.0.0.1"


class Server:
    """A server that accepts, and reads nothing."""

    def __init__(self) -> None:
        self.listener = FairSocket("127.0.0.1", 0)
        self.accepted: list[socket.socket] = []
        self.clients: list[socket.socket] = []

    def connect(self, source: str) -> socket.socket:
        client = socket.create_connection(self.listener.getsockname(), 20, (source, 0))
        self.clients.append(client)
        self.accepted.append(self.listener.accept()[0])
        return client

    def close(self) -> None:
        for connection in (*self.accepted, *self.clients, self.listener):
            connection.close()


@pytest.fixture
def server() -> Iterator[Server]:
    server = Server()
    yield server
    server.close()


def is_open(client: socket.socket) -> bool:
    client.settimeout(0)
    try:
        return client.recv(1) != b""
    except BlockingIOError:
        return True


def test_who_opens_too_many_loses_the_oldest_of_its_own(server: Server) -> None:
    box = server.connect(BOX)
    slow = [server.connect(SLOW) for _ in range(2 * CONNECTIONS_MAX)]
    assert is_open(box)
    assert [is_open(client) for client in slow].count(True) == CONNECTIONS_MAX - 1
    assert not is_open(slow[0]) and is_open(slow[-1])


def test_up_to_the_limit_nobody_loses_one(server: Server) -> None:
    clients = [server.connect(SLOW) for _ in range(CONNECTIONS_MAX)]
    assert all(is_open(client) for client in clients)


def test_a_connection_that_was_closed_does_not_count(server: Server) -> None:
    for _ in range(2 * CONNECTIONS_MAX):
        server.connect(SLOW)
        server.accepted[-1].close()
    box = server.connect(BOX)
    for _ in range(CONNECTIONS_MAX - 1):
        server.connect(SLOW)
    assert is_open(box)


def test_a_port_that_is_taken_is_a_sentence() -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        with pytest.raises(CentralError, match=f"port {port}: cannot listen there"):
            FairSocket("127.0.0.1", port)


def test_it_listens_on_ip_6_too() -> None:
    with FairSocket("::1", 0) as listener:
        assert listener.family is socket.AF_INET6
