"""The `auth` of a connector file: how the secret travels, how to ask for it, and what proves it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from mcpgate.spec.headers import ENGINE_HEADERS
from mcpgate.spec.params import check_pattern
from mcpgate.spec.templates import parse_template
from mcpgate.spec.yaml_text import Document, Path, did_you_mean
from mcpgate.values import Auth, Kind, Template, Tool

# which types of auth a key is for
_FOR: Final = {"name": ("header", "query"), "scheme": ("bearer", "header"), "username": ("basic",)}


def read_auth(document: Document, spec: Mapping[str, Any], settings: Mapping[str, Any]) -> Auth:
    """Read the auth of a connector; faults are noted in the document."""
    kind = spec["type"]
    for key, types in _FOR.items():
        if key in spec and kind not in types:
            document.add(("auth", key), f"a {key} is for auth of type {' or '.join(types)}", at_key=True)
    if kind in _FOR["name"] and "name" not in spec:
        document.add(("auth",), f"auth of type {kind} needs the name it travels under", at_key=True)
    name = spec.get("name", "")
    if kind == "header" and name.lower() in ENGINE_HEADERS - {"authorization"}:
        document.add(("auth", "name"), f"'{name}' is the engine's own header")
    secret = spec.get("secret", {})
    return Auth(
        type=kind,
        name=name,
        scheme=spec.get("scheme", "Bearer" if kind == "bearer" else ""),
        username=_username(document, spec["username"], settings) if "username" in spec else None,
        label=secret.get("label", "Secret"),
        help=secret.get("help", ""),
        kinds=_kinds(document, secret),
        probe=spec.get("probe", ""),
    )


def check_probe(document: Document, probe: str, tools: Mapping[str, Tool], known: Mapping[str, Any]) -> None:
    """A probe is a read without required arguments; `tools` are those of the `known` that could be read."""
    path: Path = ("auth", "probe")
    if probe not in known:
        document.add(path, f"there is no tool '{probe}'{did_you_mean(probe, list(known))}")
    elif probe in tools:
        tool = tools[probe]
        if tool.category != "read":
            document.add(path, f"a probe is a read; '{probe}' is not")
        elif "required" in tool.schema or tool.exactly_one or tool.at_least_one:
            document.add(path, f"a probe has no required arguments; '{probe}' has")


def _username(document: Document, text: str, settings: Mapping[str, Any]) -> Template:
    path: Path = ("auth", "username")
    try:
        template = parse_template(text)
    except ValueError as error:
        document.add(path, str(error))
        return Template((text,))
    for name in template.names:
        if name not in settings:
            document.add(path, f"{{{name}}} is not a setting{did_you_mean(name, list(settings))}")
    return template


def _kinds(document: Document, secret: Mapping[str, Any]) -> tuple[Kind, ...]:
    path: Path = ("auth", "secret")
    if "pattern" in secret:
        check_pattern(document, (*path, "pattern"), secret["pattern"])
        if "kinds" in secret:
            document.add((*path, "pattern"), "give kinds or one pattern, not both", at_key=True)
        return (Kind(secret["pattern"]),)
    for index, kind in enumerate(secret.get("kinds", ())):
        check_pattern(document, (*path, "kinds", index, "match"), kind["match"])
        if "refuse" in kind and ("mode" in kind or "caution" in kind):
            document.add((*path, "kinds", index), "a kind that is refused has no mode and no caution")
    return tuple(Kind(**kind) for kind in secret.get("kinds", ()))
