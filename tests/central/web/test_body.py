"""Bodies and forms, read up to their limits."""

import asyncio

import pytest

from agent.central.web.body import FORM_BYTES_MAX, FORM_FIELDS_MAX, read_body, read_fields
from agent.errors import CentralError
from tests.parts.asgi import request


def test_a_body_has_at_most_its_limit() -> None:
    assert asyncio.run(read_body(request(b"ab", b"c"), 3)) == b"abc"
    with pytest.raises(CentralError, match="more than 3 bytes"):
        asyncio.run(read_body(request(b"ab", b"cd"), 3))


def test_a_form_has_at_most_form_bytes_max() -> None:
    assert asyncio.run(read_fields(request(b"a=" + b"x" * (FORM_BYTES_MAX - 2))))
    with pytest.raises(CentralError, match=f"more than {FORM_BYTES_MAX}"):
        asyncio.run(read_fields(request(b"a=" + b"x" * (FORM_BYTES_MAX - 1))))
    long = request(query=b"a=" + b"x" * FORM_BYTES_MAX, method="GET")
    with pytest.raises(CentralError, match=f"more than {FORM_BYTES_MAX}"):
        asyncio.run(read_fields(long))


def test_a_form_has_at_most_form_fields_max() -> None:
    fields = [b"f%d=" % n for n in range(FORM_FIELDS_MAX + 1)]
    read = asyncio.run(read_fields(request(b"&".join(fields[1:]))))
    assert len(read) == FORM_FIELDS_MAX and read["f1"] == ""
    with pytest.raises(CentralError, match=f"more than {FORM_FIELDS_MAX} fields"):
        asyncio.run(read_fields(request(b"&".join(fields))))


def test_a_field_comes_once() -> None:
    with pytest.raises(CentralError, match="comes twice"):
        asyncio.run(read_fields(request(b"a=1&b=2&a=1")))
    assert asyncio.run(read_fields(request(query=b"a=%C3%A8", method="GET"))) == {"a": "è"}
