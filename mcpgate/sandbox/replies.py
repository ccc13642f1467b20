"""What the stand-in replies: a result in its tool's own form, or an error where its connector has them."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

from mcpgate.places import Place
from mcpgate.sandbox.nesting import put
from mcpgate.values import Connector, Json, Tool

_JSON: Final = {"Content-Type": "application/json"}
_TEXT: Final = {"Content-Type": "text/plain; charset=utf-8"}


@dataclass(frozen=True, slots=True)
class Answer:
    """A status, a body and headers, as they go over a wire."""

    status: int
    body: bytes
    headers: Mapping[str, str] = field(default_factory=dict)


def result(tool: Tool, value: Json, headers: Mapping[str, str]) -> Answer:
    """A success: the value where the tool unwraps it from, or whatever else its `reply` says."""
    if tool.reply == "none":
        return Answer(204, b"", headers)
    if tool.reply == "text":
        return Answer(200, str(tool.sample or "").encode(), {**_TEXT, **headers})
    value = {} if value is None else value
    if tool.unwrap is not None:
        value = put(tool.sample, tool.unwrap.keys, value)
    return Answer(200, json.dumps(value).encode(), {**_JSON, **headers})


def error(connector: Connector, tool: Tool | None, status: int, code: str, message: str) -> Answer:
    """An error in the places where the connector's errors lie."""
    errors, headers = connector.errors, dict(_JSON)
    otherwise = ("errors", "0", "message") if tool is not None and tool.graphql else ("message",)
    # of several places for codes the one that is called so is the general one
    codes = [*(place for place in errors.code if place.keys[-1:] == ("code",)), *errors.code]
    said = [(errors.when, "true")] if errors.when is not None else []
    said += [(place, code) for place in codes[:1]]
    said += [((errors.message or (Place("", otherwise),))[0], message)]
    root: Json = {}
    for place, text in said:
        if place.header is not None:
            headers[place.header] = "".join(sign if " " <= sign <= "~" else "?" for sign in text)
        else:
            root = put(root, place.keys, text)
    return Answer(status, json.dumps(root).encode(), headers)
