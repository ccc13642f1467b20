"""One page per call: which arguments, added to the same call, fetch the next one."""

from __future__ import annotations

import re
from typing import Final
from urllib.parse import parse_qsl, urlsplit

from mcpgate.places import MISSING, Place
from mcpgate.values import Json, Pagination, Placeholder, Reply, Tool

_END: Final = (MISSING, None, False, "", 0)
# RFC 8288: <https://…>; rel="next", with other parameters before or after
_LINK: Final = re.compile(r"<([^>]*)>((?:\s*;\s*[^\s=;,]+\s*=\s*(?:\"[^\"]*\"|[^\s;,]*))*)")
_REL_NEXT: Final = re.compile(r";\s*rel\s*=\s*(?:\"(?:[^\"]*\s)?next(?:\s[^\"]*)?\"|next\b)", re.IGNORECASE)


def next_arguments(
    tool: Tool, pagination: Pagination, value: Json, items: list[Json], reply: Reply
) -> dict[str, Json]:
    """The arguments to add for the next page; empty at the end (no items, `more` false, null or `""`)."""
    if not items:
        return {}
    if pagination.more is not None and pagination.more.first(value, reply.headers) in _END:
        return {}
    if isinstance(pagination.next, Place):
        return _from_url(tool, pagination.next, value, reply)
    total = None if pagination.total is None else _number(pagination.total.first(value, reply.headers))
    found: dict[str, Json] = {}
    for name, step in pagination.next.items():
        if isinstance(step, Place):
            following = step.first(value, reply.headers)
            if following in _END:
                return {}
        else:
            following = _counted(tool, name, step, len(items), reply)
            # pages are counted from 1 and the last one is `total`; items from 0
            if total is not None and (following > total if step == "+page" else following >= total):
                return {}
        found[name] = following
    return found


def _counted(tool: Tool, name: str, step: str, items: int, reply: Reply) -> int:
    first = 1 if step == "+page" else 0
    schema = tool.schema["properties"].get(name, {})
    here = reply.request.arguments.get(name, schema.get("default", first))
    return int(here) + (1 if step == "+page" else items)


def _number(value: object) -> int | None:
    if isinstance(value, str) and value.isascii() and value.isdigit():
        return int(value[:18])
    return value if isinstance(value, int) and not isinstance(value, bool) else None


def _from_url(tool: Tool, place: Place, value: Json, reply: Reply) -> dict[str, Json]:
    """What the query of the next page's URL says that this call did not; the URL itself is not followed."""
    url = place.first(value, reply.headers)
    if place.header is not None and isinstance(url, str):
        links = (link for link in _LINK.finditer(url) if _REL_NEXT.search(link[2]))
        url = next((link[1] for link in links), None)
    if not isinstance(url, str):
        return {}
    wires = {wire: name for name, wire in tool.query.items()}
    for wire, template in tool.request.query:
        if len(template.parts) == 1 and isinstance(template.parts[0], Placeholder):
            wires[wire] = template.parts[0].name
    said = {wires[wire]: text for wire, text in parse_qsl(urlsplit(url).query) if wire in wires}
    typed = {name: _typed(tool.schema["properties"].get(name, {}).get("type"), text) for name, text in said.items()}
    sent = reply.request.arguments
    return {name: item for name, item in typed.items() if item is not None and sent.get(name) != item}


def _typed(kind: Json, text: str) -> Json:
    """A text from a query as its parameter's type; None for lists and objects, which the same call repeats."""
    if kind == "integer":
        return int(text) if text.isascii() and text.removeprefix("-").isdigit() else None
    if kind == "boolean":
        return text == "true"
    return text if kind == "string" else None
