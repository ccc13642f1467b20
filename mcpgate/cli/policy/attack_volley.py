"""Carries out row 5: calls in numbers, by gateways over one ledger, to an API that is made up."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Mapping
from dataclasses import replace
from itertools import cycle
from typing import Final

from mcpgate.attack.account import Arrived
from mcpgate.attack.attempt import Shot
from mcpgate.attack.honest import honest_call
from mcpgate.attack.volleys import Volley, apart, each_its_own, filled, small
from mcpgate.attack.wire import read_wire
from mcpgate.cli.policy.attack_bench import Bench
from mcpgate.engine import request as requests
from mcpgate.gateway import Gateway
from mcpgate.places import MISSING, Place
from mcpgate.secrets import Scrubber
from mcpgate.store.memory import MemoryStore
from mcpgate.toolset import Entry, Toolset, build_toolset
from mcpgate.values import Account, Fate, Json, Outcome, Reply, Request, Rule, Tool

_SENT: Final = "sent"
_MOST_CALLS: Final = 1000


class _API:
    """Answers lookups with what was made up, and calls with their fates in turn; others get on meanwhile."""

    def __init__(self, volley: Volley) -> None:
        self.now = 0.0
        self.arrived: list[Arrived] = []
        self._fates = cycle(volley.fates)
        self._before = {shot.tool.name: shot.before for _, shots in volley.waves for shot in shots}

    def prepare(self, tool: Tool, arguments: Mapping[str, Json], account: Account) -> Request:
        return requests.build(account, tool, arguments)

    async def send(self, request: Request, account: Account, key: str) -> Reply:
        await asyncio.sleep(0)
        before = self._before[request.tool.name]
        if request.purpose == "lookup":
            known = before is not MISSING
            return Reply(request, "succeeded" if known else "failed", 200 if known else 404, {}, before)
        fate: Fate = next(self._fates)
        self.arrived.append(Arrived(self.now, read_wire(request, account, before, self.now), key, fate))
        await asyncio.sleep(0)
        return Reply(request, fate, None, {}, None)

    def shape(self, tool: Tool, reply: Reply, account: Account, mask: tuple[Place, ...] = ()) -> Outcome:
        return Outcome(_SENT)

    async def close(self) -> None:
        """Nothing is open."""


def fire(volley: Volley, toolset: Toolset) -> tuple[list[tuple[Shot, str]], list[Arrived]]:
    """Make the calls of a volley: what stopped each of them, nothing where it was sent, and what arrived."""
    api, store = _API(volley), MemoryStore()
    gateways = [
        Gateway(each, api, store, Scrubber(), lambda: api.now) for each in _apps(toolset, volley.apps)
    ]
    turns = cycle(gateways)

    async def all_of_them() -> list[tuple[Shot, str]]:
        made: list[tuple[Shot, str]] = []
        for moment, shots in volley.waves:
            api.now = moment
            pairs = zip(shots, turns, strict=False)
            calls = [gateway.call(shot.tool.name, dict(shot.arguments)) for shot, gateway in pairs]
            made += zip(shots, map(_stopped, await asyncio.gather(*calls)), strict=True)
        return made

    return asyncio.run(all_of_them()), api.arrived


def too_many(bench: Bench, rules: Iterable[Rule], rule: Rule, entry: Entry) -> tuple[list[Shot], str]:
    """Calls of one tool that are together too much for a rule; none, and why, where there are no such."""
    honest, problem = honest_call(entry.tool, rules, bench.probe, rule)
    if problem:
        return [], f"no call was found that passes ({problem})"
    fitting = ((shot, number) for shot, number in small(rule, honest) if bench.probe(shot) is None)
    shot, number = next(fitting, (honest, 0))
    if not number:
        return [], "no call was found of which it lets one through"
    if number > _MOST_CALLS:
        return [], f"it takes {number:,} calls to go over it, and no more than {_MOST_CALLS:,} are made"
    if rule.template == "repeat_block":
        return [next(each for each in filled(shot) if bench.probe(each) is None)] * number, ""
    ways = (each_its_own(shot, keys, number) for keys in apart(shot))
    return next((calls for calls in ways if bench.probe(calls[0]) is None), [shot] * number), ""


def without_policy(bench: Bench, shots: list[Shot], moment: float) -> list[Arrived]:
    """What would arrive of calls if there were no rules, all at one moment."""
    made = ((shot, bench.without_policy(shot)) for shot in shots)
    return [Arrived(moment, bench.wire(request, shot)) for shot, request in made if request is not None]


def _stopped(outcome: Outcome) -> str:
    """What stopped a call: a rule, or its arguments; nothing where it was sent."""
    if outcome.text == _SENT:
        return ""
    return "rule" if (outcome.structured or {}).get("denied") else "arguments"


def _apps(toolset: Toolset, number: int) -> Iterable[Toolset]:
    """The toolset, or those of more apps than one, for which the app's own rules hold as everyone's."""
    app = toolset.app
    if number == 1:
        return [toolset]
    shared = replace(app, rules=(), account_rules=(*app.account_rules, *app.rules))
    return [build_toolset(replace(shared, name=f"{app.name} {at}")) for at in range(number)]
