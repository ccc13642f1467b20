"""Row 8: lines of JSON in which two parsers read two things, or which one should not read at all. Pure."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any, Final

from mcpgate.attack.attempt import BEFORE, Attempt, Breach, Shot, line_of
from mcpgate.places import MISSING
from mcpgate.policy.fields import Keys
from mcpgate.values import Json

_MARK: Final = "@@here@@"


def raw_lines(breach: Breach, honest: Shot) -> Iterator[Attempt]:
    """The good call and the forbidden one in one line, in every way that JSON has."""
    if not breach.keys or breach.keys[0] == BEFORE:
        return
    bad = breach.on(honest)
    yield from _twice(breach, honest, bad)
    yield from _whole(honest, bad)
    yield from _spelled(breach, honest, bad)


def _twice(breach: Breach, honest: Shot, bad: Shot) -> Iterator[Attempt]:
    """The key of the field twice in its object, written alike or not."""
    key, value = breach.keys[-1], "x" if breach.value is MISSING else breach.value
    plain, wrong = json.dumps(key), json.dumps(value)
    escaped = '"' + "".join(f"\\u{ord(char):04x}" for char in key) + '"'
    partly = f'"\\u{ord(key[0]):04x}{key[1:]}"'
    for trick, name in (
        ("key twice", plain),
        ("key twice, once in escapes", escaped),
        ("key twice, one letter escaped", partly),
        ("key twice, escapes in capitals", escaped.upper().replace("\\U", "\\u")),
    ):
        for order in ("first", "last"):
            line = _with_member(honest, breach.keys, f"{name}:{wrong}", last=order == "last")
            shot = bad if order == "last" else honest
            yield Attempt(8, f"{trick}, the bad one {order}", shot, line, two_readings=True)
    for trick, name in (
        ("key in another case beside it", json.dumps(key.upper())),
        ("key with NUL beside it", f'"{key}\\u0000"'),
        ("key with a byte order mark beside it", f'"\\ufeff{key}"'),
        ("key with a lone surrogate beside it", f'"{key}\\ud800"'),
        ("key with a surrogate turned round beside it", f'"{key}\\udc00\\ud800"'),
    ):
        line = _with_member(honest, breach.keys, f"{name}:{wrong}", last=True)
        yield Attempt(
            8, trick, Shot(bad.tool, {**honest.arguments, f"{key}\0": value}, bad.before, bad.now), line
        )


def _with_member(shot: Shot, keys: Keys, member: str, *, last: bool) -> bytes:
    """The line of a call with one more member in the object that a field stands in."""
    marked = _marked(shot.arguments, keys[:-1], last)
    text = json.dumps(marked).replace(f'"{_MARK}": null', member)
    return line_of(shot.tool.name, text)


def _marked(tree: Any, parent: Keys, last: bool) -> Json:
    if isinstance(tree, list) and tree:
        return [_marked(tree[0], parent[1:] if parent[:1] == ("*",) else parent, last), *tree[1:]]
    if not isinstance(tree, dict):
        return tree
    if not parent:
        return {**tree, _MARK: None} if last else {_MARK: None, **tree}
    return {**tree, parent[0]: _marked(tree.get(parent[0], {}), parent[1:], last)}


def _whole(honest: Shot, bad: Shot) -> Iterator[Attempt]:
    """Arguments, params and whole messages twice."""
    good, wrong = json.dumps(honest.arguments), json.dumps(bad.arguments)
    name = json.dumps(honest.tool.name)
    head, tail = '{"jsonrpc":"2.0","id":1,"method":"tools/call",', "}"
    both = ((good, wrong, "last", bad), (wrong, good, "first", honest))
    for one, two, order, shot in both:
        texts = {
            "arguments twice": f'{head}"params":{{"name":{name},"arguments":{one},"arguments":{two}}}{tail}',
            "arguments twice, once in escapes": (
                f'{head}"params":{{"name":{name},"arguments":{one},"\\u0061rguments":{two}}}{tail}'
            ),
            "params twice": (
                f'{head}"params":{{"name":{name},"arguments":{one}}},'
                f'"params":{{"name":{name},"arguments":{two}}}{tail}'
            ),
            "two messages in one line": f"{_message(honest, one)}{_message(honest, two)}",
            "two messages, comma between": f"{_message(honest, one)},{_message(honest, two)}",
            "batch of two": f"[{_message(honest, one)},{_message(honest, two)}]",
            "carriage return between two messages": f"{_message(honest, one)}\r{_message(honest, two)}",
            "arguments and Arguments": (
                f'{head}"params":{{"name":{name},"arguments":{one},"Arguments":{two}}}{tail}'
            ),
        }
        for trick, text in texts.items():
            two_readings = trick != "arguments and Arguments"
            yield Attempt(8, f"{trick}, the bad one {order}", shot, text.encode(), two_readings=two_readings)


def _message(shot: Shot, arguments: str) -> str:
    return line_of(shot.tool.name, arguments).decode()


def _spelled(breach: Breach, honest: Shot, bad: Shot) -> Iterator[Attempt]:
    """The forbidden call alone, spelled so that a check on the text would not see it."""
    key = breach.keys[-1]
    text = _message(bad, json.dumps(bad.arguments))
    escaped = "".join(f"\\u{ord(char):04x}" for char in key)
    yield from (
        Attempt(8, trick, bad, line)
        for trick, line in (
            ("key in escapes", text.replace(json.dumps(key), f'"{escaped}"').encode()),
            ("byte order mark before", b"\xef\xbb\xbf" + text.encode()),
            ("UTF-16", text.encode("utf-16")),
            ("UTF-16 without a mark", text.encode("utf-16-le")),
            ("UTF-32", text.encode("utf-32")),
            ("UTF-7", text.replace('"', "+ACI-").encode()),
            ("NUL behind", text.encode() + b"\0"),
            ("NUL before", b"\0" + text.encode()),
            ("spaces and tabs around", f" \t{text}\t ".encode()),
            ("form feed before", b"\x0c" + text.encode()),
            ("no-break space before", b"\xc2\xa0" + text.encode()),
            ("comma at the end", text.replace("}}}", ",}}}").encode()),
            ("comment", text.replace('{"name"', '{/* x */"name"').encode()),
            ("comment behind", f"{text}//".encode()),
            ("single quotes", text.replace('"', "'").encode()),
            ("bytes that are no UTF-8", text.encode().replace(key.encode(), key.encode() + b"\xff")),
            (
                "overlong UTF-8",
                text.encode().replace(key[:1].encode(), b"\xc1" + bytes([ord(key[0]) + 0x40 & 0xBF]), 1),
            ),
            ("trailing bracket", f"{text}]".encode()),
            ("arguments as a text", _message(bad, json.dumps(json.dumps(bad.arguments))).encode()),
            ("arguments in a list", _message(bad, json.dumps([bad.arguments])).encode()),
            ("no id", text.replace('"id":1,', "").encode()),
            ("id is a fraction", text.replace('"id":1,', '"id":1.5,').encode()),
            ("method in another case", text.replace("tools/call", "Tools/Call").encode()),
            ("method in escapes", text.replace("tools/call", "tools\\/c\\u0061ll").encode()),
        )
    )
    if isinstance(breach.value, str) and breach.value:
        value = json.dumps(breach.value)
        spelling = '"' + "".join(f"\\u{ord(char):04x}" for char in breach.value if ord(char) < 65536) + '"'
        yield Attempt(8, "value in escapes", bad, text.replace(value, spelling).encode())
        for trick, more in (("NUL in the value", "\\u0000"), ("lone surrogate in the value", "\\ud800")):
            yield Attempt(8, trick, breach.on(honest, breach.value + json.loads(f'"{more}"')),
                          text.replace(value, f'{value[:-1]}{more}"').encode())  # fmt: skip
