"""Reads a reply, judges what became of the call, and shapes what the agent reads. Pure."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Final

from mcpgate.engine.pages import next_arguments
from mcpgate.engine.projection import project
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
_TAG: Final = re.compile(r"<(script|style)\b.*?</\1\s*>|<[^>]*>", re.IGNORECASE | re.DOTALL)
_TITLE: Final = re.compile(r"<title[^>]*>(.*?)</title", re.IGNORECASE | re.DOTALL)


def read(
    connector: Connector, tool: Tool, request: Request, status: int, headers: Mapping[str, str], body: bytes
) -> Reply:
    """A whole reply, read and judged: 2xx succeeds unless it says otherwise, 3xx and 4xx fail, 5xx is unknown."""
    value, fault = _parse(tool, status, headers, body)
    request_id = headers.get(connector.request_id.lower(), "") if connector.request_id else ""

    def reply(fate: Fate, problem: str = "") -> Reply:
        return Reply(request, fate, status, headers, value, problem, request_id=request_id, size=len(body))

    if status >= 500:
        return reply("unknown", f"the API answered {status}")
    if not 200 <= status < 300:
        said = "a redirect, which is not followed" if 300 <= status < 400 else "an error"
        return reply("failed", f"the API answered {status} ({said})")
    if fault:
        return reply("unknown", f"the API answered {status}, but {fault}")
    if _says_failure(connector, tool, value, headers):
        return reply("failed", f"the API answered {status} with an error inside")
    return reply("succeeded")


def shape(connector: Connector, tool: Tool, reply: Reply) -> Outcome:
    """What the agent reads of a reply: the projected result, or an error with advice."""
    if reply.fate != "succeeded":
        return _error(connector, tool, reply)
    if tool.reply == "text":
        return Outcome(str(reply.body))
    value = reply.body
    if tool.unwrap is not None:
        value = tool.unwrap.first(value, reply.headers)
        value = None if value is MISSING else value
    if tool.pagination is not None:
        value = _page(connector, tool, tool.pagination, value, reply)
    else:
        value = _project(tool, value)
    return Outcome(compact(value))


def compact(value: Json) -> str:
    """A JSON value as text, with nothing that costs a model tokens for looks."""
    return _printable(json.dumps(value, ensure_ascii=False, separators=(",", ":")))


def _parse(tool: Tool, status: int, headers: Mapping[str, str], body: bytes) -> tuple[Json, str]:
    """The body as a value, and what is wrong with it for a success."""
    html = "html" in headers.get("content-type", "").lower()
    if not body.strip() or status in (204, 205):
        if tool.reply == "none" or tool.category != "read" or tool.reply == "text":
            return ({} if tool.reply != "text" else ""), ""
        return None, "with an empty body where a result was due"
    if 200 <= status < 300 and tool.reply == "none":
        return None, f"with a body where none was due: {_excerpt(body)}"
    if 200 <= status < 300 and tool.reply == "text":
        text = body.decode("utf-8", "replace")
        return text, f"with a web page: {_excerpt(body)}" if html else ""
    try:
        value = json.loads(body, parse_constant=_refuse_constant)
    except (ValueError, RecursionError):
        kind = "a web page" if html else "something that is not JSON, or only part of it"
        return None if 200 <= status < 300 else _excerpt(body), f"with {kind}: {_excerpt(body)}"
    if _too_deep(value):
        return None, f"with JSON nested more than {MAX_DEPTH} deep"
    return value, ""


def _refuse_constant(name: str) -> Json:
    raise ValueError(f"{name} is not JSON")


def _too_deep(value: Json) -> bool:
    level = [value]
    for _ in range(MAX_DEPTH + 1):
        nested = [node for node in level if isinstance(node, dict | list)]
        if not nested:
            return False
        level = [child for node in nested for child in (node.values() if isinstance(node, dict) else node)]
    return True


def _excerpt(body: bytes) -> str:
    """The title or the first text of what came, without tags, at most 300 characters."""
    text = body[:65536].decode("utf-8", "replace")
    title = _TITLE.search(text)
    plain = " ".join(_TAG.sub(" ", title[1] if title else text).split())
    return plain[:300]


def _says_failure(connector: Connector, tool: Tool, value: Json, headers: Mapping[str, str]) -> bool:
    if tool.graphql and isinstance(value, dict) and value.get("errors") not in _EMPTY:
        return True
    when = connector.errors.when
    return when is not None and any(found not in _EMPTY for found in when.all(value, headers))


def _error(connector: Connector, tool: Tool, reply: Reply) -> Outcome:
    errors = connector.errors
    messages = [str(found) for place in errors.message for found in place.all(reply.body, reply.headers)]
    if not messages and tool.graphql:
        messages = [str(found) for found in Place("", ("errors", "message")).all(reply.body)]
    if not messages and isinstance(reply.body, str):
        messages = [reply.body]
    codes = [found for place in errors.code for found in place.all(reply.body, reply.headers)]
    codes = [str(code) for code in codes if code not in _EMPTY]
    said = "; ".join(dict.fromkeys(message for message in messages if message))
    hint = _hint(errors.hints, codes, reply.status)
    facts = {
        "error": reply.problem,
        "status": reply.status,
        "code": codes[0] if codes else None,
        "message": said or None,
        "hint": hint or None,
        "request_id": reply.request_id or None,
        "idempotency_key": reply.request.key or None,
        "outcome": "unknown" if reply.fate == "unknown" and tool.category != "read" else None,
    }
    text = f"{reply.problem}{f' ({codes[0]})' if codes else ''}{f': {said}' if said else ''}"
    text = text[0].upper() + text[1:] + ("" if text.endswith((".", "!", "?")) else ".")
    if facts["outcome"]:
        text += " It is not known whether this was carried out."
        if reply.request.key:
            text += " The same call made again within 24 hours uses the same idempotency key, so that it cannot act twice."
    if hint:
        text += f" {hint}"
    return Outcome(_printable(text), {key: fact for key, fact in facts.items() if fact is not None}, is_error=True)


def _hint(hints: Mapping[str, str], codes: list[str], status: int | None) -> str:
    for key in (*codes, str(status)):
        if key in hints:
            return " ".join(hints[key].split())
    return _HINTS.get(status or 0, "")


def _page(connector: Connector, tool: Tool, pagination: Pagination, value: Json, reply: Reply) -> Json:
    items = value if pagination.items is None else pagination.items.first(value, reply.headers)
    items = items if isinstance(items, list) else []
    following = next_arguments(tool, pagination, value, items, reply)
    page: dict[str, Json] = {"items": [_project(tool, item) for item in items]}
    return {**page, "next": following} if following else page


def _project(tool: Tool, value: Json) -> Json:
    return value if tool.fields is None else project(tool.fields, value)


def _printable(text: str) -> str:
    """A text that can be written as UTF-8: a lone surrogate in a reply becomes a question mark."""
    return text.encode("utf-8", "replace").decode()
