"""A request's body, read up to a limit, and forms. Nothing is decided."""

from urllib.parse import parse_qsl

from starlette.requests import Request

from agent.errors import CentralError

FORM_BYTES_MAX = 16 * 1024
"""A bank's notification has 1 KB."""
FORM_FIELDS_MAX = 200
"""Fields of a form: a bank sends 30."""


async def read_body(request: Request, bytes_max: int) -> bytes:
    """Return a body. Raise `CentralError` as soon as it is longer than the limit."""
    body = b""
    async for part in request.stream():
        body += part
        if len(body) > bytes_max:
            raise CentralError(f"the request has more than {bytes_max} bytes")
    return body


async def read_fields(request: Request) -> dict[str, str]:
    """Return the fields of a form, or of the address. Raise `CentralError`.

    A field that comes twice is refused: which of both the bank signed cannot be known.
    """
    form = request.url.query
    if request.method == "POST":
        form = (await read_body(request, FORM_BYTES_MAX)).decode("utf-8", "replace")
    if len(form) > FORM_BYTES_MAX:
        raise CentralError(f"the request has more than {FORM_BYTES_MAX} characters")
    try:
        pairs = parse_qsl(form, keep_blank_values=True, max_num_fields=FORM_FIELDS_MAX)
    except ValueError:
        raise CentralError(f"the form has more than {FORM_FIELDS_MAX} fields") from None
    fields = dict(pairs)
    if len(fields) != len(pairs):
        raise CentralError("a field of the form comes twice")
    return fields
