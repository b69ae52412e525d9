"""Topics are taken apart as they are made."""

import pytest

from agent.sync.topics import Leaf, Topics

TOPICS = Topics("borgo")


def test_a_topic_comes_back_as_it_was() -> None:
    assert TOPICS.of("t-1", Leaf.ENTRIES) == "canteen/v1/borgo/t/t-1/entries"
    assert TOPICS.parse("canteen/v1/borgo/t/t-1/entries") == ("t-1", Leaf.ENTRIES)


@pytest.mark.parametrize(
    "topic",
    [
        "canteen/v1/other/t/t-1/hello",
        "canteen/v1/borgo/central/state",
        "canteen/v1/borgo/t/t-1/else",
        "canteen/v1/borgo/t/t-1",
        "",
    ],
)
def test_other_topics_are_none_of_a_terminals(topic: str) -> None:
    assert TOPICS.parse(topic) is None
