"""Prints docs/reference/control.md: the local interface, from the types of its messages.

`python -m docs.control` writes the page, `--check` ends with 1 when it differs.
"""

import inspect
import json
import sys
from typing import get_args

import msgspec

from agent.ops import control_messages as messages
from docs import printed

PAGE = printed.ROOT / "docs" / "reference" / "control.md"
SCHEMA = PAGE.with_name("control.schema.json")
HEAD = """# The local interface

```
$ socat - UNIX-CONNECT:/var/lib/canteen-agent/control.sock
{"v":1,"id":"1","do":"search","arguments":{"text":"rossi"}}
{"id":"1","eaters":[{"account":"a-17","label":"Rossi M.","group":"2B"}]}
{"v":1,"id":"2","do":"watch","arguments":{}}
{"id":"2","kind":"snapshot","number":41,"taps":[],"counters":{},"condition":{}}
{"kind":"tapped","number":42,"tap":{"epoch":"1-0f","seq":7,"word":"served"}}
```

Programs on the same machine ask a running terminal over Unix sockets in its state folder.
The screen and the commands `status`, `storno`, `meal`, `day` and `close` use them.

* A request is one line of JSON. `v` is 1, `id` is any text and comes back with the answer.
* An answer has `id`, then its members, or `error` with a sentence.
  Answers come in the order of the requests.
* After `watch` come lines until the program hangs up: first a snapshot, then news.
  Each line has a `number`, which only grows. No line has money in it.
* A watcher that does not read is dropped. It connects again, and begins with a new snapshot.
* A repeated request does nothing twice. A second undo, a late meal typed in again, or a closing
  with the same counts, has the first answer with `repeated`. A second meal is *already served*.
* An unknown request or argument is refused with the word that was probably meant.
* With `unlock = "staff_card"` in `[screen]` of agent.toml, `storno`, `meal`, `closing` and `credit`
  need a staff card at this terminal's reader in the last 3 minutes. Else the answer has `error` and
  `locked`. Whose card it was is in the entry, as `by`.

| socket | takes | who may open it |
|---|---|---|
| `control.sock` | every request | the group of the agent: `canteen-technician` |
| `staff.sock` | every request | `canteen-staff`, of which the screen's user is a member |
| `watch.sock` | `watch`, `status`, `classes` | `watch_group`, else the group of the agent |

The screen uses `staff.sock`, commands use `control.sock`.
A technician may read the ledger beside it. A member of the staff, and the screen, may not.

The same for programs is `docs/reference/control.schema.json`.
Both are printed from the types of the messages, by `python -m docs.control`.
"""
SHOWN = (
    *get_args(messages.News),
    *get_args(messages.Ask),
    messages.Tap,
    messages.Counters,
    messages.Condition,
    messages.Eater,
    messages.Credit,
)


def text() -> str:
    """Return the page."""
    words = ",\n".join(f"`{word.value}`" for word in messages.Word)
    sections = [_section(shape) for shape in SHOWN]
    return f"{HEAD}\nThe words of an outcome:\n{words}.\n" + "".join(sections)


def _section(shape: type[msgspec.Struct]) -> str:
    tag = shape.__struct_config__.tag
    is_ask = shape in get_args(messages.Ask)
    title = f"Request `{tag}`" if is_ask else f"`{tag}`" if tag else shape.__name__
    members = "\n".join(f"* `{field.encode_name}`" for field in msgspec.structs.fields(shape))
    description = inspect.cleandoc(shape.__doc__ or "")
    return f"\n## {title}\n\n{description}\n\n{members}\n"


def schema() -> str:
    """Return the JSON Schema of all lines and of the lists in answers."""
    shapes = [messages.News, messages.Ask, messages.Eater, messages.Credit]
    _, components = msgspec.json.schema_components(shapes, ref_template="#/$defs/{name}")
    for component in components.values():
        if "description" in component:  # Python 3.13 strips the indentation, 3.11 does not
            component["description"] = inspect.cleandoc(component["description"])
    document = {"$schema": "https://json-schema.org/draft/2020-12/schema", "$defs": components}
    return json.dumps(document, indent=1) + "\n"


def main(check: bool) -> int:
    """Write the page, or check it."""
    return printed.finish({PAGE: text(), SCHEMA: schema()}, check=check)


if __name__ == "__main__":
    sys.exit(main(printed.wants_check()))
