"""XML of other people's programs: limits, entities, encodings, prefixes."""

import pytest

from agent.central.payments.xml import (
    DEPTH_MAX,
    DOCUMENT_BYTES_MAX,
    child,
    children,
    descendants,
    local,
    namespace,
    optional_text,
    parse,
    text,
)
from agent.errors import CentralError

LAUGHS = b"""<!DOCTYPE l [<!ENTITY a "ha"><!ENTITY b "&a;&a;&a;&a;&a;&a;&a;&a;&a;&a;">
<!ENTITY c "&b;&b;&b;&b;&b;&b;&b;&b;&b;&b;">]><l>&c;</l>"""
EXTERNAL = b'<!DOCTYPE l [<!ENTITY f SYSTEM "file:///etc/passwd">]><l>&f;</l>'
REMOTE = b'<!DOCTYPE l SYSTEM "http://127.0.0.1:9/x.dtd"><l/>'


@pytest.mark.parametrize("document", [LAUGHS, EXTERNAL, REMOTE])
def test_entities_and_dtds_are_refused(document: bytes) -> None:
    with pytest.raises(CentralError, match="not XML that is read: DTDForbidden"):
        parse(document)


def test_a_document_has_at_most_document_bytes_max() -> None:
    frame = b"<a></a>"
    assert local(parse(frame.replace(b"><", b">%s<" % (b" " * (DOCUMENT_BYTES_MAX - 7)))))
    for more in (DOCUMENT_BYTES_MAX - 6, 50 * 1024 * 1024):
        with pytest.raises(CentralError, match=f"more than {DOCUMENT_BYTES_MAX}"):
            parse(frame.replace(b"><", b">%s<" % (b" " * more)))


def test_a_document_nests_at_most_depth_max_deep() -> None:
    assert parse(b"<a>" * DEPTH_MAX + b"</a>" * DEPTH_MAX) is not None
    with pytest.raises(CentralError, match=f"deeper than {DEPTH_MAX}"):
        parse(b"<a>" * (DEPTH_MAX + 1) + b"</a>" * (DEPTH_MAX + 1))


@pytest.mark.parametrize(
    "document",
    [
        b"",
        b"not xml",
        b"<a>",
        b"<a></b>",
        b"<a/><b/>",
        b"<a>\xff</a>",
        b'<?xml version="1.0" encoding="utf-16"?><a/>',
        b'<?xml version="1.0" encoding="no-such"?><a/>',
        b'<?xml version="1.0" encoding="utf-7"?><a>+ADw-b+AD4-</a>',
        "<a>Città</a>".encode("latin-1"),
        b"<a>\x00</a>",
        b"<x:a/>",
    ],
)
def test_what_is_no_xml_is_a_sentence(document: bytes) -> None:
    with pytest.raises(CentralError, match="not XML that is read"):
        parse(document)


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "latin-1"])
def test_declared_encodings_are_read(encoding: str) -> None:
    name = encoding.removesuffix("-sig")
    document = f'<?xml version="1.0" encoding="{name}"?><a><b>Città</b></a>'
    assert text(parse(document.encode(encoding)), "b") == "Città"


def test_names_are_compared_without_their_prefix() -> None:
    a = parse(b'<p:a xmlns:p="urn:p"><q:b xmlns:q="urn:q"> 1 </q:b><b xmlns="">2</b></p:a>')
    assert (namespace(a), local(a)) == ("urn:p", "a")
    assert [element.text for element in children(a, "b")] == [" 1 ", "2"]
    assert len(list(descendants(a, "b"))) == 2
    with pytest.raises(CentralError, match="a has 2 elements b, not 1"):
        child(a, "b")
    assert optional_text(a, "c") is None


def test_a_sentence_quotes_nothing_of_the_document() -> None:
    with pytest.raises(CentralError) as caught:
        parse(b"<a>Bianchi Aurora</b>")
    assert "Bianchi" not in str(caught.value)
