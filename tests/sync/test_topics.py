"""Topics and identities of two towns never meet at one broker."""

import pytest

from agent.sync.topics import IDENTITY_CHARACTERS_MAX, Leaf, Topics, identity_fault

TOPICS = Topics("borgo")
OTHER_TOWN = Topics("montebello")


@pytest.mark.parametrize("leaf", Leaf)
def test_a_topic_is_parsed_into_its_terminal_and_leaf(leaf: Leaf) -> None:
    assert TOPICS.of("t-1", leaf) == f"canteen/v1/borgo/t/t-1/{leaf.value}"
    assert TOPICS.parse(TOPICS.of("t-1", leaf)) == ("t-1", leaf)


@pytest.mark.parametrize(
    "topic",
    [
        OTHER_TOWN.of("t-1", Leaf.HELLO),
        TOPICS.central_state,
        "canteen/v1/borgo/t/t-1/else",
        "canteen/v1/borgo/t/t-1",
        "",
    ],
)
def test_any_other_topic_is_no_terminals(topic: str) -> None:
    assert TOPICS.parse(topic) is None


# C2
def test_identities_of_two_towns_at_one_broker_differ() -> None:
    """A broker disconnects the older of two clients with one identity."""
    assert TOPICS.identity("t-1") != OTHER_TOWN.identity("t-1")
    assert TOPICS.central_identity != OTHER_TOWN.central_identity


def test_a_terminal_named_central_is_not_the_central() -> None:
    assert TOPICS.identity("central") != TOPICS.central_identity
    assert TOPICS.of("central", Leaf.STATE) != TOPICS.central_state


def test_a_topic_begins_with_the_identity_of_its_writer() -> None:
    """The broker's access list needs only the name in the certificate."""
    for leaf in Leaf:
        assert TOPICS.of("t-1", leaf).startswith(f"canteen/v1/{TOPICS.identity('t-1')}/")
    assert TOPICS.central_state == f"canteen/v1/{TOPICS.central_identity}/state"


# C3
def test_a_terminal_reads_its_changes_and_the_central_reads_every_terminal() -> None:
    assert TOPICS.read_by_terminal("t-1") == [
        "canteen/v1/borgo/t/t-1/changes",
        "canteen/v1/borgo/central/state",
    ]
    assert TOPICS.read_by_central() == [
        f"canteen/v1/borgo/t/+/{leaf}" for leaf in ("hello", "entries", "state")
    ]


def test_an_identity_of_64_characters_fits_a_certificate_and_a_longer_one_does_not() -> None:
    longest = TOPICS.identity("x" * (IDENTITY_CHARACTERS_MAX - len(TOPICS.identity(""))))
    assert (len(longest), identity_fault(longest)) == (64, None)
    fault = identity_fault(longest + "x")
    assert fault is not None and "has 65 characters" in fault and "at most 64" in fault
