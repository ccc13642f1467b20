"""One preset or policy file → a checked `Policy`, or every fault of the file at once."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from mcpgate.policy.selectors import fault
from mcpgate.policy.templates import TEMPLATES
from mcpgate.spec.check import check_shape
from mcpgate.spec.yaml_text import Document, Path, did_you_mean, load
from mcpgate.values import Policy, Rule, Selector

_COMMON = ("for", "mode", "reason", "when_missing")


def read_policy(name: str, data: bytes) -> Policy:
    """Read a preset or policy from its text; `extends` is still to be resolved. Raises `SpecError`."""
    document = load(name, data)
    if not check_shape(document, "policy"):
        document.finish()
    value = document.value
    kinds = [kind for kind in ("preset", "policy") if kind in value]
    if len(kinds) != 1:
        document.add((), "say what this file is: `preset: NAME` or `policy: NAME`, one of them")
        document.finish()
    kind = kinds[0]
    extends = value.get("extends", [])
    if kind == "preset" and not extends and "allow" not in value:
        document.add((), "a preset says what it allows (allow: [read]), or extends one that does")
    policy = Policy(
        name=value[kind],
        kind="preset" if kind == "preset" else "policy",
        description=" ".join(value.get("description", "").split()),
        allow=_selectors(document, ("allow",), value["allow"]) if "allow" in value else None,
        deny=_selectors(document, ("deny",), value.get("deny", [])),
        rules=tuple(
            rule
            for index, entry in enumerate(value.get("guardrails", []))
            for rule in _rules(document, ("guardrails", index), entry, value[kind])
        ),
        extends=tuple([extends] if isinstance(extends, str) else extends),
    )
    document.finish()
    return policy


def unite(policy: Policy, bases: Sequence[Policy]) -> Policy:
    """A policy with all that it extends: lists are united and every guardrail holds."""
    if not bases:
        return policy
    allows = [each.allow for each in (*bases, policy) if each.allow is not None]
    return Policy(
        name=policy.name,
        kind=policy.kind,
        description=policy.description,
        allow=tuple(selector for allow in allows for selector in allow) if allows else None,
        deny=tuple(selector for each in (*bases, policy) for selector in each.deny),
        rules=tuple(rule for each in (*bases, policy) for rule in each.rules),
        extends=policy.extends,
    )


def _selectors(document: Document, path: Path, texts: str | Sequence[str]) -> tuple[Selector, ...]:
    listed = [(path, texts)] if isinstance(texts, str) else [((*path, i), text) for i, text in enumerate(texts)]
    for where, text in listed:
        wrong = fault(text)
        if wrong is not None:
            document.add(where, wrong[0] + did_you_mean(text, wrong[1]))
    return tuple(Selector(text, document.place(where)) for where, text in listed)


def _rules(document: Document, path: Path, entry: dict[str, Any], policy: str) -> list[Rule]:
    selectors = _selectors(document, (*path, "for"), entry["for"])
    templates = [key for key in entry if key in TEMPLATES]
    if not templates:
        document.add(path, "this entry holds no guardrail, such as max_value: { field: …, max: … }")
    return [
        Rule(
            template=template,
            config=entry[template],
            selectors=selectors,
            policy=policy,
            origin=document.place((*path, template)),
            mode=entry.get("mode", "enforce"),
            reason=" ".join(entry.get("reason", "").split()),
            when_missing=entry.get("when_missing", "deny"),
        )
        for template in templates
    ]
