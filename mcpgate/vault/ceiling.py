"""The ceiling: a preset sealed beside a credential, the most that it may ever be used for.

It is kept as the text of a preset with everything it extends, so that no file can change it later.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import replace
from functools import lru_cache
from typing import Any, Final

from mcpgate.errors import CredentialError, SpecError, UsageError
from mcpgate.policy.binding import Layer, bind, settled, unmatched
from mcpgate.policy.call import Call
from mcpgate.policy.decide import decide
from mcpgate.spec.policy import read_policy
from mcpgate.spec.yaml_text import did_you_mean
from mcpgate.values import Account, Connector, Finding, Policy, Request, Rule, Selector, Tool

_NAME: Final = "ceiling"
_NOT_ASCII: Final = re.compile(r"[^ -~]")


def document(preset: Policy, connector: Connector) -> str:
    """A preset with all it extends, as the text that is sealed; raises `UsageError` for one that is none."""
    facts: dict[str, Any] = {
        "preset": preset.name,
        "allow": _texts(preset.allow or ()),
        "deny": _texts(preset.deny),
        "guardrails": [_entry(rule) for rule in preset.rules],
        "mask": [str(place) for place in preset.mask],
    }
    said = json.dumps({key: value for key, value in facts.items() if value}, ensure_ascii=False)
    # YAML takes more characters for line ends than JSON does, and some not at all
    text = _NOT_ASCII.sub(lambda found: f"\\U{ord(found[0]):08x}", said)
    fault = "" if _allows_any(preset, connector) else f"it allows no tool of {connector.title}"
    try:
        fault = fault or unfit(text, connector)
        # whatever YAML may make of a text, what is sealed is what was chosen
        if not fault and _essence(preset_of(text)) != _essence(preset):
            fault = "it cannot be sealed word by word"
    except CredentialError as error:
        fault = error.message.partition(": ")[2].rstrip(".")
    if fault:
        raise UsageError(f"The preset {preset.name} is no ceiling: {fault}.", "Name another, or mend it.")
    return text


def ceiling_of(text: str) -> Policy:
    """A sealed text as a layer of its own among an app's policies; raises `CredentialError`."""
    return replace(preset_of(text), kind="ceiling")


@lru_cache(maxsize=64)
def preset_of(text: str) -> Policy:
    """The preset of a sealed text; raises `CredentialError` for one that this mcpgate cannot read."""
    fault = ""
    try:
        return read_policy(_NAME, text.encode())
    except SpecError as error:
        fault = error.problems[0].partition(": ")[2]
    raise CredentialError(
        f"The ceiling that a credential was sealed with cannot be read by this mcpgate: {fault}.",
        "Use the mcpgate that sealed it, or connect the account again with --allow PRESET.",
    )


def unfit(text: str, connector: Connector) -> str:
    """Why a ceiling does not hold for a connector: a name in it that guards nothing there, or nothing."""
    tools = list(connector.tools.values())
    for _, fault, word, known in unmatched(preset_of(text), tools, tools, [connector.name]):
        return fault + did_you_mean(word, known)
    return ""


def beyond(ceiling: str, request: Request, account: Account) -> str:
    """Why a request is more than a ceiling allows; nothing where it is within, or where there is none.

    A rule that counts sees this request alone: what went out before it is counted where calls are decided.
    """
    if not ceiling:
        return ""
    tool = account.connector.tools.get(request.tool.name)
    if tool is None or not _belongs(request, tool):
        return f"this is not how {account.connector.title} describes {request.tool.name}"
    bound = bind(tool, (Layer("preset", (preset_of(ceiling),)),))
    denied = settled(bound)
    if denied is not None:
        return _told(denied)
    if request.purpose == "lookup":
        # a read for the sake of a decision; what is decided on is held against every rule
        return ""
    call = Call(tool, request.arguments, request.before, now=request.now, settings=account.settings)
    reason = decide(bound, call).reason
    return _told(reason) if reason is not None else ""


def _belongs(request: Request, tool: Tool) -> bool:
    """Whether a request is what its tool says: the call itself, or the read that the tool looks up by."""
    known = request.tool.request == tool.lookup if request.purpose == "lookup" else request.tool == tool
    return known and request.method == request.tool.request.method


def _told(denied: Finding) -> str:
    passes = f" (passes: {denied.passes})" if denied.passes else ""
    return f"{denied.says}{passes}{f'. {denied.reason}' if denied.reason else ''}".rstrip(".")


def _allows_any(preset: Policy, connector: Connector) -> bool:
    layers = (Layer("preset", (preset,)),)
    return any(settled(bind(tool, layers)) is None for tool in connector.tools.values())


def _essence(policy: Policy) -> tuple[Any, ...]:
    """All of a preset that decides or hides, whoever wrote it and wherever."""
    return (
        _texts(policy.allow or ()),
        _texts(policy.deny),
        [_entry(rule) for rule in policy.rules],
        [str(place) for place in policy.mask],
    )


def _texts(selectors: tuple[Selector, ...]) -> list[str]:
    return [selector.text for selector in selectors]


def _entry(rule: Rule) -> Mapping[str, Any]:
    entry = {
        "for": _texts(rule.selectors),
        rule.template: dict(rule.config),
        "mode": rule.mode,
        "reason": rule.reason,
        "when_missing": rule.when_missing,
    }
    return {key: value for key, value in entry.items() if value or key == rule.template}
