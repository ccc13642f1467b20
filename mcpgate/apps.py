"""Apps and their grants: who may use which connector, on which account, under which preset."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final
from urllib.parse import quote, unquote, urlsplit

from mcpgate.errors import UsageError
from mcpgate.json_schema import build_validator, compile_pattern
from mcpgate.policy.binding import Layer
from mcpgate.spec.yaml_text import did_you_mean
from mcpgate.values import Account, Connector, Placeholder, Policy

_LABEL: Final = r"[A-Za-z0-9]([A-Za-z0-9-]{0,61}[A-Za-z0-9])?"


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
    """A client of mcpgate: its grants, the tools switched on for it, and its own rules."""

    name: str
    grants: tuple[Grant, ...]
    switches: tuple[Policy, ...] = ()
    account_rules: tuple[Policy, ...] = ()
    rules: tuple[Policy, ...] = ()

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
