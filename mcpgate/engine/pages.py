"""One page per call: which arguments, added to the same call, fetch the next one."""

from __future__ import annotations

from typing import Any, Final
from urllib.parse import parse_qsl, urlsplit

from mcpgate.json_schema import compile_pattern
from mcpgate.places import MISSING, Place
from mcpgate.values import Json, Pagination, Placeholder, Reply, Tool

_END: Final = (MISSING, None, False, "", 0)
# RFC 8288: <https://…>; rel="next", with other parameters before or after; on RE2, for it is the API's text
_LINK: Final[Any] = compile_pattern(r'<([^<>]*)>((?:\s*;\s*[^\s=;,]+\s*=\s*(?:"[^"]*"|[^\s;,]*))*)')
_REL_NEXT: Final[Any] = compile_pattern(
    r'(?i);\s*rel\s*=\s*(?:"(?:[^"]*\s)?next(?:\s[^"]*)?"|next(?:[\s;]|$))'
)


def next_arguments(
    tool: Tool, pagination: Pagination, value: Json, items: list[Json], reply: Reply
) -> dict[str, Json]:
    """The arguments to add for the next page; empty at the end (no items, `more` false, null or `""`)."""
    if not items:
        return {}
    if pagination.more is not None and _is_over(pagination.more.first(value, reply.headers)):
        return {}
    if isinstance(pagination.next, Place):
        return _from_url(tool, pagination.next, value, reply)
    total = None if pagination.total is None else _number(pagination.total.first(value, reply.headers))
    found: dict[str, Json] = {}
    for name, step in pagination.next.items():
        if isinstance(step, Place):
            following = step.first(value, reply.headers)
            if isinstance(following, str) and following:
                typed = _typed(tool.schema["properties"].get(name, {}), following)
                following = following if typed is None else typed
        else:
            following = _counted(tool, name, step, len(items), total, reply)
        if following in _END:
            return {}
        found[name] = following
    return found


def _is_over(more: Json) -> bool:
    """Whether `more` says no; a header says it as text."""
    return more in _END or (isinstance(more, str) and more.lower() in ("false", "0"))


def _counted(tool: Tool, name: str, step: str, items: int, total: int | None, reply: Reply) -> Json:
    """The number of the next page, or of its first item; None at the end, or where this page has none."""
    schema = tool.schema["properties"].get(name, {})
    first = 1 if step == "+page" else 0
    here = _number(reply.request.arguments.get(name, schema.get("default", first)))
    if here is None:
        return None
    following = here + (1 if step == "+page" else items)
    # pages are counted from 1 and the last one is `total`; items from 0
    if total is not None and following >= total + first:
        return None
    return str(following) if _types(schema) == ["string"] else following


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
    said = {wires[wire]: text for wire, text in _query(url) if wire in wires}
    typed = {name: _typed(tool.schema["properties"].get(name, {}), text) for name, text in said.items()}
    sent = reply.request.arguments
    return {name: item for name, item in typed.items() if item is not None and sent.get(name) != item}


def _query(url: str) -> list[tuple[str, str]]:
    try:
        return parse_qsl(urlsplit(url).query)
    except ValueError:
        return []


def _types(schema: Json) -> list[str]:
    """The types a parameter may have; one that says none is taken for a text."""
    types = schema.get("type", "string")
    return [types] if isinstance(types, str) else [kind for kind in types if kind != "null"]


def _typed(schema: Json, text: str) -> Json:
    """A text from a query as its parameter's type; None for lists and objects: the same call repeats them."""
    for kind in _types(schema):
        if kind == "integer" and text.isascii() and text.removeprefix("-").isdigit():
            return int(text[:18])
        if kind == "boolean" and text in ("true", "false"):
            return text == "true"
        if kind == "string":
            return text
    return None
