"""The rate limit: windows, clients, memory."""

from agent.central.web.rate import CLIENTS_MAX, REQUESTS_MAX, WINDOW_MS, RateLimit, client_of


def test_a_client_has_requests_max_in_a_window() -> None:
    rate = RateLimit()
    allowed = [rate.allows("192.0.2.1", 5) for _ in range(REQUESTS_MAX + 1)]
    assert allowed == [True] * REQUESTS_MAX + [False]
    assert rate.allows("192.0.2.2", 5)
    assert rate.allows("192.0.2.1", 5 + WINDOW_MS)


def test_a_window_has_clients_max() -> None:
    rate = RateLimit()
    for n in range(CLIENTS_MAX):
        assert rate.allows(f"10.{n >> 16}.{n >> 8 & 255}.{n & 255}", 5)
    assert not rate.allows("192.0.2.1", 5)
    assert rate.allows("10.0.0.0", 5)


def test_an_ipv6_network_is_a_client() -> None:
    assert client_of("2001:db8::1") == client_of("2001:db8::ffff") != client_of("2001:db8:0:1::1")
    assert client_of("unix") == "unix"
