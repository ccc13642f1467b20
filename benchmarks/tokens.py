"""What a model reads: the tools, and typical results."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from benchmarks import goals, stub
from benchmarks.answers import BALANCE, CUSTOMERS, check
from benchmarks.bench import CALLS, Bench
from benchmarks.subjects import Subject

# they list what mcpgate lists, or what another one of theirs does
_SAME = (goals.VAULTED, goals.SERVED, goals.BARE, goals.SDK, goals.SDK_ALONE, goals.TUNED)


def tokens(bench: Bench) -> None:
    """Bytes and estimated tokens of both."""
    for wire in ("stdio", "HTTP"):
        for subject in bench.subjects(wire):
            known = bench.run.find(goals.LISTED, goals.BYTES, subject.name) is not None
            if subject.name not in _SAME and not known:
                with bench.noted(f"{subject.name}: tokens"):
                    _weigh(bench, subject)
    for tool, body in ((BALANCE, stub.balance()), (CUSTOMERS, stub.customers())):
        _put(bench, _said(tool, CALLS[tool]), goals.THE_API, stub.written(body).decode())


def _weigh(bench: Bench, subject: Subject) -> None:
    running, listed = subject.start(bench.site)
    try:
        for tool, arguments in CALLS.items():
            text = running.server.text(running.server.call(running.tools[tool], arguments))
            check(tool, text)
            _put(bench, _said(tool, arguments), subject.name, text)
    finally:
        running.server.close()
    if subject.name == goals.GATE:
        # all fifteen
        words = [subject.command(bench.site, 0)[0], "run", "stripe", "--preset", "full-access"]
        running, listed = subject.start(bench.site, words)
        running.server.close()
    tools = listed["tools"]
    size = len(json.dumps(tools, ensure_ascii=False, separators=(",", ":")).encode())
    for column, value in (
        ("tools", len(tools)),
        ("bytes per tool", size / len(tools)),
        (goals.BYTES, size),
        ("tokens, about", size / 4),
    ):
        bench.run.add(goals.LISTED, column, subject.name, [value])


def _put(bench: Bench, title: str, name: str, text: str) -> None:
    size = len(text.encode())
    bench.run.add(goals.RESULTS.format(title), goals.BYTES, name, [size])
    bench.run.add(goals.RESULTS.format(title), "tokens, about", name, [size / 4])


def _said(tool: str, arguments: Mapping[str, Any]) -> str:
    return f"{tool}({', '.join(f'{name}={value}' for name, value in arguments.items())})"
