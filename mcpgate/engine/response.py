"""Reads a reply, judges what became of the call, and shapes what the agent reads. Pure."""

from __future__ import annotations

import json
from collections.abc import Mapping
from math import isinf
from typing import Any, Final

from mcpgate.engine.hygiene import clean, cut, is_clean, visible_text
from mcpgate.engine.masking import hide, redact, without_masked
from mcpgate.engine.pages import next_arguments
from mcpgate.engine.projection import project, project_each
from mcpgate.places import MISSING, Place
from mcpgate.values import Connector, Fate, Json, Outcome, Pagination, Reply, Request, Tool

MAX_DEPTH: Final = 64
_EMPTY: Final[tuple[Json, ...]] = (None, False, 0, "", [], {})
_HINTS: Final = {
    400: "The API did not accept these arguments. Correct them before trying again.",
    401: "The API refused the credential. Ask a person to check it.",
    403: "The credential lacks the permission for this. Ask a person.",
    404: "There is no such object. Check the id.",
    409: "This conflicts with the current state. Read the object before trying again.",
    429: "Too many requests. Wait before trying again.",
}
_NOT_SENT: Final = (
    "Nothing was done. Try again later; if that does not help, ask a person to look at the network."
)
_NO_REPLY: Final = "Try again later; if that does not help, ask a person to look at the network."
_LOOK_FIRST: Final = "Look at what is there before trying again."
_NESTED: Final = frozenset((dict, list))
_UNDONE: Final = (304, 307, 308)
_EXCERPT: Final = 300
_MOST_SAID: Final = 2000


def _refuse_constant(name: str) -> Json:
    raise ValueError(f"{name} is not JSON")


def _finite(text: str) -> float:
    """A number as far as one can be had of it: `1e400` would be written as Infinity, which is not JSON."""
    number = float(text)
    if isinf(number):
        raise ValueError("a number out of range is not JSON")
    return number


# json.dumps and json.loads would make these anew each time
_ENCODE: Final = json.JSONEncoder(ensure_ascii=False, separators=(",", ":")).encode
_DECODE: Final = json.JSONDecoder(parse_constant=_refuse_constant, parse_float=_finite).decode


def read(
    connector: Connector, tool: Tool, request: Request, status: int, headers: Mapping[str, str], body: bytes
) -> Reply:
    """A whole reply, read and judged: 2xx succeeds or says otherwise, 3xx and 4xx fail, 5xx is unknown,
    and so is a redirect to what a write may have done."""
    value, fault = _parse(tool, status, headers, body)
    request_id = _clip(headers.get(connector.request_id.lower(), "")) if connector.request_id else ""

    def reply(fate: Fate, problem: str = "") -> Reply:
        return Reply(request, fate, status, headers, value, problem, request_id=request_id, size=len(body))

    if status >= 500 or status < 200:
        return reply("unknown", f"the API answered {status}")
    if status >= 300 and not is_refusal(tool, status):
        return reply("unknown", f"the API answered {status} (a redirect, which is not followed)")
    if status >= 300:
        said = " (a redirect, which is not followed)" if status < 400 else ""
        return reply("failed", f"the API answered {status}{said}")
    inside = value if tool.reply == "json" else _json(body)
    if _says_failure(connector, tool, inside, headers):
        value = value if inside is MISSING or _too_deep(inside) else inside
        return reply("failed", f"the API answered {status} with an error inside")
    if not fault and tool.reply == "json" and not _is_empty(status, body):
        fault = _misfit(tool, value, headers)
    return reply("unknown", f"the API answered {status}, but {fault}") if fault else reply("succeeded")


def is_refusal(tool: Tool, status: int) -> bool:
    """Whether a status says that nothing was done: 4xx, and a redirect that is not one to what was done.

    A write is answered with 303, and of old with 301 and 302, once it is carried out (RFC 9110, 15.4).
    """
    return 400 <= status < 500 or (300 <= status < 400 and (tool.category == "read" or status in _UNDONE))


def shape(connector: Connector, tool: Tool, reply: Reply, mask: tuple[Place, ...] = ()) -> Outcome:
    """What the agent reads of a reply: the projected result, or an error with advice."""
    if reply.fate != "succeeded":
        return _error(connector, tool, reply, mask)
    if tool.reply == "text":
        return Outcome(cut(visible_text(str(reply.body))))
    value = reply.body
    if tool.unwrap is not None:
        found = tool.unwrap.first(value, reply.headers)
        value = value if found is MISSING else found
    if tool.pagination is not None:
        value = _page(tool, tool.pagination, value, reply, mask)
    else:
        value = _project(tool, value)
        if mask:
            value = hide(mask, value, tool.unwrap.keys if tool.unwrap is not None else ())
    text = compact(value)
    return Outcome(text if is_clean(text) else compact(clean(value)))


def compact(value: Json) -> str:
    """A JSON value as text, with nothing that costs a model tokens for looks."""
    return _ENCODE(value)


def _parse(tool: Tool, status: int, headers: Mapping[str, str], body: bytes) -> tuple[Json, str]:
    """The body as a value, and what is wrong with it for a success."""
    html = "html" in headers.get("content-type", "").lower()
    if _is_empty(status, body):
        if tool.reply == "none" or tool.category != "read" or tool.reply == "text":
            return ({} if tool.reply != "text" else ""), ""
        return None, "with an empty body where a result was due"
    if 200 <= status < 300 and tool.reply == "none":
        return None, f"with a body where none was due: {_excerpt(body)}"
    if 200 <= status < 300 and tool.reply == "text":
        text = body.decode("utf-8", "replace")
        return text, f"with a web page: {_excerpt(body)}" if html else ""
    value = _json(body)
    if value is MISSING:
        kind = "a web page" if html else "something that is not JSON, or only part of it"
        return None if 200 <= status < 300 else _excerpt(body), f"with {kind}: {_excerpt(body)}"
    # with fewer brackets nothing can be, and most replies have fewer
    if body.count(b"[") + body.count(b"{") > MAX_DEPTH and _too_deep(value):
        return None, f"with JSON nested more than {MAX_DEPTH} deep"
    return value, ""


def _json(body: bytes) -> Any:
    try:
        return _DECODE(body.decode(json.detect_encoding(body), "surrogatepass"))
    except (ValueError, RecursionError):
        return MISSING


def _is_empty(status: int, body: bytes) -> bool:
    return status in (204, 205) or not body.strip()


def _too_deep(value: Json) -> bool:
    nested = [value] if isinstance(value, dict | list) else []
    for _ in range(MAX_DEPTH):
        nested = [
            child
            for node in nested
            for child in (node.values() if isinstance(node, dict) else node)
            if type(child) in _NESTED
        ]
        if not nested:
            return False
    return True


def _misfit(tool: Tool, value: Json, headers: Mapping[str, str]) -> str:
    """Why a value that is JSON cannot be this tool's result. An absent list is one without items."""
    if tool.unwrap is not None:
        value = tool.unwrap.first(value, headers)
        if value is MISSING:
            return f"with nothing at {tool.unwrap}, where its result was due"
    if tool.pagination is not None:
        items = value if tool.pagination.items is None else tool.pagination.items.first(value, headers)
        wanted = "" if isinstance(items, list) or items in (MISSING, None) else "a list"
    else:
        wanted = "" if tool.fields is None or isinstance(value, dict | list | None) else "an object"
    return f"with {_clip(compact(value))} where {wanted} was due" if wanted else ""


def _excerpt(body: bytes) -> str:
    """The title or the first text of what came, without tags, at most 300 characters."""
    text = body[:65536].decode("utf-8", "replace")
    words, title = _texts(text)
    return _clip(" ".join((title or words).split()))


def _texts(page: str) -> tuple[str, str]:
    """A page's text without its tags, and its title; in one pass, since a page may be made to take long."""
    texts: dict[str, list[str]] = {"": [], "title": [], "script": [], "style": []}
    inside = ""
    for place, piece in enumerate(page.split("<")):
        tag, closed, after = piece.partition(">")
        if not place or not closed:
            texts[inside].append(f"<{piece}" if place else piece)
            continue
        name = (tag.lower().split() or [""])[0]
        if name == f"/{inside}":
            inside = ""
        elif not inside and name in texts:
            inside = name
        texts[inside].append(f" {after}")
    return "".join(texts[""]), "".join(texts["title"])


def _says_failure(connector: Connector, tool: Tool, value: Json, headers: Mapping[str, str]) -> bool:
    if tool.graphql and isinstance(value, dict) and value.get("errors") not in _EMPTY:
        return True
    when = connector.errors.when
    return when is not None and any(found not in _EMPTY for found in when.all(value, headers))


def _error(connector: Connector, tool: Tool, reply: Reply, mask: tuple[Place, ...]) -> Outcome:
    """The error as the API sent it: whoever passes it on to an agent takes out what does not show."""
    hidden: list[Json] = []
    if mask:
        reply = without_masked(mask, reply, hidden)
    codes = [found for place in connector.errors.code for found in place.all(reply.body, reply.headers)]
    codes = [_clip(redact(_text(code), hidden)) for code in codes if code not in _EMPTY]
    said = redact(_message(connector, tool, reply), hidden)[:_MOST_SAID]
    unknown = reply.fate == "unknown" and tool.category != "read"
    hint = _hint(connector.errors.hints, codes, reply.status) or _silence(tool, reply)
    if unknown and not reply.request.key and _LOOK_FIRST not in hint:
        hint = f"{hint} {_LOOK_FIRST}".strip()
    facts = {
        "error": reply.problem,
        "status": reply.status,
        "code": codes[0] if codes else None,
        "message": said or None,
        "hint": hint or None,
        "request_id": reply.request_id or None,
        "idempotency_key": reply.request.key or None,
        "outcome": "unknown" if unknown else None,
    }
    text = f"{reply.problem}{f' ({codes[0]})' if codes else ''}{f': {said}' if said else ''}"
    text = text[0].upper() + text[1:] + ("" if text.endswith((".", "!", "?")) else ".")
    if unknown:
        text += " It is not known whether this was carried out."
    if hint:
        text += f" {hint}"
    return Outcome(text, {key: fact for key, fact in facts.items() if fact is not None}, is_error=True)


def _message(connector: Connector, tool: Tool, reply: Reply) -> str:
    """What the API says went wrong: at the places that the connector names, or as far as it can be told."""
    places, body = connector.errors.message, reply.body
    messages = [_text(found) for place in places for found in place.all(body, reply.headers)]
    if not messages and tool.graphql:
        messages = [_text(found) for found in Place("", ("errors", "message")).all(body)]
    if not messages and isinstance(body, str):
        messages = [body]
    if not messages and not places and isinstance(body, dict | list) and body:
        messages = [_clip(compact(body))]
    return "; ".join(dict.fromkeys(message for message in messages if message))


def _text(found: Json) -> str:
    return found if isinstance(found, str) else "" if found is None else compact(found)


def _hint(hints: Mapping[str, str], codes: list[str], status: int | None) -> str:
    for key in (*codes, str(status)):
        if key in hints:
            return " ".join(hints[key].split())
    return _HINTS.get(status or 0, "")


def _silence(tool: Tool, reply: Reply) -> str:
    """What to do where nothing was answered."""
    if reply.status is not None:
        return ""
    if reply.fate == "failed":
        return _NOT_SENT
    return _NO_REPLY if tool.category == "read" else _LOOK_FIRST


def _page(
    tool: Tool, pagination: Pagination, value: Json, reply: Reply, mask: tuple[Place, ...]
) -> dict[str, Json]:
    """`next` is of the reply as it came: what a mask hides of an item may be what leads on from it."""
    items = value if pagination.items is None else pagination.items.first(value, reply.headers)
    items = items if isinstance(items, list) else []
    following = next_arguments(tool, pagination, value, items, reply)
    shown = items if tool.fields is None else project_each(tool.fields, items)
    if mask:
        places = (place for place in (tool.unwrap, pagination.items) if place is not None)
        path = tuple(key for place in places for key in place.keys)
        shown = hide(mask, shown, path, ("items",))
    page: dict[str, Json] = {"items": shown}
    return {**page, "next": following} if following else page


def _project(tool: Tool, value: Json) -> Json:
    return value if tool.fields is None else project(tool.fields, value)


def _clip(text: str) -> str:
    return text[:_EXCERPT]
