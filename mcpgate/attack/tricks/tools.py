"""Row 6, and 7 to 9 on a tool's name: a tool that is denied, called all the same. Pure."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Iterator

from mcpgate.attack.attempt import Attempt, Shot, line_of
from mcpgate.attack.tricks.arguments import names
from mcpgate.attack.tricks.letters import disguises

_HEAD = '{"jsonrpc":"2.0","id":1,"method":"tools/call",'


def forbidden_tool(shot: Shot, allowed: Shot | None) -> Iterator[Attempt]:
    """Calls of a denied tool, by its own name, by one that looks like it, and inside a call of another."""
    name, tool = shot.tool.name, shot.tool
    yield Attempt(0, "called by its name", shot)
    yield Attempt(4, "called without arguments", Shot(tool, {}, shot.before, shot.now))
    yield Attempt(1, "called with arguments of no type", Shot(tool, {"x": float("nan")}, shot.before))
    seen = {name}
    for row, (trick, other) in (
        *((9, pair) for pair in disguises(name)),
        *((7, pair) for pair in names(name)),
        *((7, pair) for pair in _paths(name)),
    ):
        if other not in seen:
            seen.add(other)
            line = line_of(other, json.dumps(shot.arguments))
            yield Attempt(row, f"name: {trick}", _renamed(shot, other), line)
    if allowed is not None:
        yield from _inside_another(shot, allowed)


def _renamed(shot: Shot, name: str) -> Shot:
    return dataclasses.replace(shot, tool=dataclasses.replace(shot.tool, name=name))


def _paths(name: str) -> Iterator[tuple[str, str]]:
    prefix, _, rest = name.partition("_")
    yield from (
        ("without its prefix", rest),
        ("dots", name.replace("_", ".")),
        ("slash", f"{prefix}/{rest}"),
        ("client's prefix", f"mcp__{prefix}__{name}"),
        ("wildcard", f"{prefix}_*"),
        ("path up", f"x/../{name}"),
        ("fragment", f"{name}#"),
        ("query", f"{name}?x=1"),
    )


def _inside_another(shot: Shot, allowed: Shot) -> Iterator[Attempt]:
    """Both names in one call, in both orders and places."""
    good, bad = json.dumps(allowed.tool.name), json.dumps(shot.tool.name)
    mine, theirs = json.dumps(shot.arguments), json.dumps(allowed.arguments)
    escaped = '"n\\u0061me"'
    for one, two, order in ((good, bad, "last"), (bad, good, "first")):
        spoken = shot if order == "last" else allowed
        for trick, text in (
            ("name twice", f'"params":{{"name":{one},"name":{two},"arguments":{mine}}}}}'),
            (
                "name twice, once in escapes",
                f'"params":{{"name":{one},{escaped}:{two},"arguments":{mine}}}}}',
            ),
            (
                "params twice",
                f'"params":{{"name":{one},"arguments":{mine}}},"params":{{"name":{two},"arguments":{mine}}}}}',
            ),
        ):
            yield Attempt(
                8, f"{trick}, the bad one {order}", spoken, (_HEAD + text).encode(), two_readings=True
            )
    for trick, text in (
        ("name in a list", f'"params":{{"name":[{good},{bad}],"arguments":{mine}}}}}'),
        ("name in an object", f'"params":{{"name":{{"name":{bad}}},"arguments":{mine}}}}}'),
        ("named as tool", f'"params":{{"name":{good},"tool":{bad},"arguments":{theirs}}}}}'),
        ("named in capitals beside it", f'"params":{{"name":{good},"Name":{bad},"arguments":{theirs}}}}}'),
        ("named in _meta", f'"params":{{"name":{good},"arguments":{theirs},"_meta":{{"name":{bad}}}}}}}'),
        (
            "byte order mark before the name",
            f'"params":{{"name":"\\ufeff{shot.tool.name}","arguments":{mine}}}}}',
        ),
        ("NUL behind the name", f'"params":{{"name":"{shot.tool.name}\\u0000","arguments":{mine}}}}}'),
    ):
        yield Attempt(8, trick, allowed, (_HEAD + text).encode())
