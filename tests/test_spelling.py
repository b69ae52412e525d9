"""An error names the word that was probably meant."""

import pytest

from agent.spelling import did_you_mean


@pytest.mark.parametrize(
    ("word", "meant"),
    [("Primaria", "primaria"), ("primria", "primaria"), ("MEDIA", "media"), ("lunch", None)],
)
def test_a_near_word_is_named_whatever_its_capitals(word: str, meant: str | None) -> None:
    sentence = did_you_mean(word, ["primaria", "media"])
    assert sentence == (f"; did you mean {meant!r}?" if meant else "")
