"""The wall to defusedxml: XML of other people's programs, read without DTD, entities and network.

Names are compared without their prefix: senders use any, and some none. Raises `CentralError`.
"""

import io
from collections.abc import Iterator
from xml.etree.ElementTree import Element, ParseError

from agent.errors import CentralError

DOCUMENT_BYTES_MAX = 1024 * 1024
"""A receipt has 5 KB. A sender that never ends would fill the memory."""
DEPTH_MAX = 64
"""A receipt in its SOAP envelope is 8 deep. Deeper nesting would exhaust the stack."""


def parse(data: bytes, bytes_max: int = DOCUMENT_BYTES_MAX) -> Element:
    """Return the document's outermost element."""
    try:
        from defusedxml.ElementTree import iterparse  # imported late: it is in the extra `central`
    except ImportError:
        raise CentralError(
            "reading XML needs a library more;"
            " install the central with its extra: pip install 'canteen-agent[central]'"
        ) from None
    if len(data) > bytes_max:
        raise CentralError(f"the document has {len(data)} bytes, more than {bytes_max}")
    depth = 0
    outermost: Element | None = None
    try:
        for event, element in iterparse(io.BytesIO(data), ("start", "end"), forbid_dtd=True):
            depth += 1 if event == "start" else -1
            if depth > DEPTH_MAX:
                raise CentralError(f"the document nests deeper than {DEPTH_MAX} elements")
            outermost = element
    except (ParseError, ValueError, LookupError) as error:
        # ValueError: defusedxml's refusals, and bytes that are not in the encoding
        raise CentralError(f"the document is not XML that is read: {_kind(error)}") from error
    if outermost is None:
        raise CentralError("the document is empty")
    return outermost


def local(element: Element) -> str:
    """Return an element's name without its namespace."""
    return element.tag.rpartition("}")[2]


def namespace(element: Element) -> str:
    """Return an element's namespace, empty without one."""
    return element.tag.rpartition("}")[0].lstrip("{")


def children(parent: Element, name: str) -> list[Element]:
    """Return the direct children of a name."""
    return [child for child in parent if local(child) == name]


def child(parent: Element, name: str) -> Element:
    """Return the only child of a name. Raise `CentralError` for none or several."""
    elements = children(parent, name)
    if len(elements) != 1:
        raise CentralError(f"{local(parent)} has {len(elements)} elements {name}, not 1")
    return elements[0]


def text(parent: Element, name: str) -> str:
    """Return the text of the only child of a name, without blanks around it."""
    return (child(parent, name).text or "").strip()


def optional_text(parent: Element, name: str) -> str | None:
    """Return the text of a child that may be missing."""
    return text(parent, name) if children(parent, name) else None


def descendants(parent: Element, name: str) -> Iterator[Element]:
    """Yield the elements of a name at any depth."""
    return (element for element in parent.iter() if local(element) == name)


def _kind(error: Exception) -> str:
    """Return what is wrong without quoting the document, which holds names of people."""
    if isinstance(error, ParseError):
        line, column = error.position
        return f"not well-formed in line {line}, column {column}"
    return type(error).__name__
