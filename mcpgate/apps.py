"""Apps and their grants: who may use which connector, on which account, under which preset."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Collection, Iterable, Mapping
from dataclasses import asdict, dataclass
from typing import Final, Literal, Protocol, TypeAlias
from urllib.parse import quote, unquote, urlsplit

from mcpgate.errors import UsageError
from mcpgate.json_schema import build_validator, compile_pattern
from mcpgate.policy.binding import Layer
from mcpgate.spec.yaml_text import did_you_mean
from mcpgate.values import CATEGORIES, EFFECTS, Account, Connector, Json, Placeholder, Policy, Selector, Tool

Switch: TypeAlias = Literal["on", "off", "new", "changed"]

_LABEL: Final = r"[A-Za-z0-9]([A-Za-z0-9-]{0,61}[A-Za-z0-9])?"
_OFF: Final[Mapping[Switch, str]] = {
    "off": "switched off for {}",
    "new": "new since its connector was granted to {}",
    "changed": "off for {}: it has changed since it was enabled",
}


@dataclass(frozen=True, slots=True)
class Grant:
    """One connector, granted to an app: the account it uses and the preset that alone allows.

    `ceiling` is the most that the account's credential was connected for, where that was said.
    """

    account: Account
    preset: Policy
    ceiling: Policy | None = None

    @property
    def connector(self) -> Connector:
        """The connector that is granted."""
        return self.account.connector


@dataclass(frozen=True, slots=True)
class App:
    """A client of mcpgate: its grants, the tools switched on for it, and its own rules.

    With `discovery` it is also offered the tools that tell what it has; in the `sandbox` nothing that it does
    is real, and it counts apart. `subject` is the person behind it.
    """

    name: str
    grants: tuple[Grant, ...]
    switches: tuple[Policy, ...] = ()
    account_rules: tuple[Policy, ...] = ()
    rules: tuple[Policy, ...] = ()
    discovery: bool = False
    sandbox: bool = False
    subject: str = ""

    def layers(self, grant: Grant) -> tuple[Layer, ...]:
        """The layers that a call under a grant must pass, in the order of deciding."""
        return (
            Layer("app", self.switches),
            Layer("account", self.account_rules),
            Layer("ceiling", (grant.ceiling,) if grant.ceiling is not None else ()),
            Layer("preset", (grant.preset,)),
            Layer("rules", self.rules),
        )


def open_account(
    connector: Connector, settings: Mapping[str, str], name: str = "default", *, live: bool = False
) -> Account:
    """An account of a connector with its settings checked and its address filled in; raises `UsageError`."""
    checked = _check_settings(connector, settings)
    parts = connector.base_url.parts
    # a label needs no encoding in the host, and in the path nothing may leave its segment
    base_url = "".join(
        quote(checked[part.name], safe="") if isinstance(part, Placeholder) else part for part in parts
    )
    url = urlsplit(base_url)
    empty = any(not checked[name] for name in connector.base_url.names)
    if empty or any(part in (".", "..") for part in re.split(r"[/\\]", unquote(url.path))):
        raise UsageError(f"The settings of {connector.name} leave an empty or a dot part in {base_url}.")
    return Account(connector, base_url, f"{url.scheme}://{url.netloc}", checked, name, live)


def _check_settings(connector: Connector, given: Mapping[str, str]) -> dict[str, str]:
    for name in given:
        if name not in connector.settings:
            near = did_you_mean(name, list(connector.settings))
            raise UsageError(f"{connector.name} has no setting '{name}'{near}")
    host = _host_names(connector)
    checked: dict[str, str] = {}
    for name, schema in connector.settings.items():
        text = given.get(name, schema.get("default"))
        if text is None:
            hint = f"{schema.get('description', '')} Add: --setting {name}=…".strip()
            raise UsageError(f"{connector.name} needs the setting '{name}'.", hint)
        fault = next((error.message for error in build_validator(schema).iter_errors(text)), "")
        if fault or not compile_pattern(schema.get("pattern", ".*")).fullmatch(text):
            wanted = f"it has to match {schema['pattern']} in full" if "pattern" in schema else fault
            raise UsageError(f"The setting {name}={text} of {connector.name} is not accepted: {wanted}.")
        if name in host and not compile_pattern(_LABEL).fullmatch(text):
            raise UsageError(f"The setting {name}={text} stands in the host, so it has to be one DNS label.")
        checked[name] = text
    return checked


def _host_names(connector: Connector) -> frozenset[str]:
    """The settings that stand in the host of `base_url`."""
    host = str(connector.base_url).split("/", 3)[2]
    return frozenset(name for name in connector.base_url.names if f"{{{name}}}" in host)


# --- tools that are off, and what is frozen --------------------------------------------------------------


class Frozen(Protocol):
    """What is frozen and since when; an empty name is all of its kind."""

    @property
    def app(self) -> str:
        """The app's name."""
        ...

    @property
    def connector(self) -> str:
        """The connector's name."""
        ...

    @property
    def effect(self) -> str:
        """The effect."""
        ...

    @property
    def since(self) -> str:
        """The moment, as RFC 3339."""
        ...


def digest_of(connector: Connector, tool: Tool) -> str:
    """The digest of a tool and of all in its connector that says where and how its calls go."""
    auth = asdict(connector.auth) if connector.auth is not None else {}
    facts: list[Json] = [
        tool.digest,
        str(connector.base_url),
        connector.settings,
        {name: str(template) for name, template in connector.headers.items()},
        [connector.encoding, connector.lists, connector.idempotency, connector.retry],
        [str(connector.errors.when)],
        {key: auth.get(key) for key in ("type", "name", "scheme", "username")},
        [[kind["match"], kind["mode"], kind["refuse"]] for kind in auth.get("kinds", ())],
    ]
    return hashlib.sha256(json.dumps(facts, sort_keys=True).encode()).hexdigest()


def seen(connector: Connector, off: Collection[str] = ()) -> dict[str, dict[str, Json]]:
    """What a grant keeps of a connector's tools: each one's digest, and whether it is on."""
    return {
        name: {"digest": digest_of(connector, tool), "on": name not in off}
        for name, tool in connector.tools.items()
    }


def switch_of(tools: Mapping[str, Mapping[str, Json]], connector: Connector, tool: Tool) -> Switch:
    """Whether a tool is on, by what a grant keeps of it."""
    kept = tools.get(tool.name)
    if kept is None:
        return "new"
    if kept["on"] is not True:
        return "off"
    return "on" if kept["digest"] == digest_of(connector, tool) else "changed"


def switched_off(
    tools: Mapping[str, Mapping[str, Json]], connector: Connector, app: str = "APP"
) -> Policy | None:
    """The policy that denies the tools that are off for an app; None where none is.

    A selector's origin says why, and what enables it. A tool that is new or another since it was looked at is
    off as well.
    """
    states = ((name, switch_of(tools, connector, tool)) for name, tool in connector.tools.items())
    deny = tuple(
        Selector(name, f"{_OFF[state].format(app)} (mcpgate apps enable {app} {name})")
        for name, state in states
        if state != "on"
    )
    return Policy(f"of {app}", "switches", "A person has to enable it.", None, deny, ()) if deny else None


def frozen(freezes: Iterable[Frozen], app: str, connectors: Iterable[str]) -> tuple[Policy, ...]:
    """The policies that deny what is frozen for an app with these connectors."""
    present = set(connectors)
    return tuple(
        _freeze(each) for each in freezes if each.app in ("", app) and each.connector in {"", *present}
    )


def _freeze(freeze: Frozen) -> Policy:
    named = (("app", freeze.app), ("connector", freeze.connector), ("effect", freeze.effect))
    given = [(kind, name) for kind, name in named if name]
    what = ", ".join(f"{kind} {name}" for kind, name in given) or "everything"
    flags = " ".join(f"--{kind} {name}" for kind, name in given) or "--all"
    texts: tuple[str, ...] = (f"effect:{freeze.effect}",) if freeze.effect in EFFECTS else CATEGORIES
    # of a connector's tools with an effect, no selector takes in just those
    texts = (f"{freeze.connector}_*",) if freeze.connector else texts
    deny = tuple(Selector(text, f"frozen since {freeze.since} ({what})") for text in texts)
    return Policy(what, "freeze", f"A person ends that: mcpgate thaw {flags}", None, deny, ())
