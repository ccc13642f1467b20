"""One preset or policy file → a checked `Policy`, or every fault of the file at once."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from mcpgate.places import parse_place
from mcpgate.policy.templates import TEMPLATES
from mcpgate.selectors import fault
from mcpgate.spec.check import check_shape
from mcpgate.spec.yaml_text import Document, Path, did_you_mean, load
from mcpgate.values import Policy, Rule, Selector


def read_policy(name: str, data: bytes) -> Policy:
    """Read a preset or policy from its text; `extends` is still to be resolved. Raises `SpecError`."""
    document = load(name, data)
    check_shape(document, "policy")
    value: dict[str, Any] = document.value
    kinds = [kind for kind in ("preset", "policy") if kind in value]
    if len(kinds) != 1:
        document.add((), "say what this file is: `preset: NAME` or `policy: NAME`, one of them")
    if "preset" in value and "extends" not in value and "allow" not in value:
        document.add((), "a preset says what it allows (allow: [read]), or extends one that does")
    allow = _selectors(document, ("allow",), value["allow"]) if "allow" in value else None
    deny = _selectors(document, ("deny",), value.get("deny", []))
    entries = value.get("guardrails")
    rules = [
        rule
        for index, entry in enumerate(entries if isinstance(entries, list) else ())
        for rule in _rules(document, ("guardrails", index), entry, str(value.get(kinds[0])) if kinds else "")
    ]
    extends = value.get("extends", [])
    extends = [extends] if isinstance(extends, str) else extends
    if document.sound("extends") and not all(base.isprintable() for base in extends):
        document.add(("extends",), "a preset's name or path has printable characters only")
    document.finish()
    return Policy(
        name=value[kinds[0]],
        kind="preset" if kinds[0] == "preset" else "policy",
        description=" ".join(value.get("description", "").split()),
        allow=allow,
        deny=deny,
        rules=tuple(rules),
        extends=tuple(extends),
        mask=tuple(map(parse_place, value.get("mask", ()))),
    )


def unite(policy: Policy, bases: Sequence[Policy]) -> Policy:
    """A policy with every one that it extends, directly or not: lists are united, every guardrail holds."""
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
        mask=tuple(dict.fromkeys(place for each in (*bases, policy) for place in each.mask)),
    )


def _selectors(document: Document, path: Path, texts: str | Sequence[str]) -> tuple[Selector, ...]:
    if not document.sound(*path):
        return ()
    listed: list[tuple[Path, str]] = [(path, texts)] if isinstance(texts, str) else []
    listed = listed or [((*path, index), text) for index, text in enumerate(texts)]
    for where, text in listed:
        wrong = fault(text)
        if wrong is not None:
            document.add(where, wrong[0] + did_you_mean(text, wrong[1]))
    return tuple(Selector(text, document.place(where)) for where, text in listed)


def _rules(document: Document, path: Path, entry: dict[str, Any], policy: str) -> list[Rule]:
    if not document.sound(*path):
        return []
    selectors = _selectors(document, (*path, "for"), entry["for"])
    templates = [key for key in entry if key in TEMPLATES]
    for template in templates:
        wrong = TEMPLATES[template].fault(entry[template])
        if wrong:
            document.add((*path, template), wrong)
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
