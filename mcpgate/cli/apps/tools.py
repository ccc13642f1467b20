"""`mcpgate apps enable` and `disable`: an app's tools are switched on and off."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace
from fnmatch import fnmatchcase

from mcpgate.apps import switch_of
from mcpgate.cli.apps.kept import by_policy, change, connector_of, found, switched
from mcpgate.cli.vault.vault import say
from mcpgate.cli.vaults import config
from mcpgate.errors import MCPGateError, NotFoundError
from mcpgate.spec.yaml_text import did_you_mean
from mcpgate.store.config import StoredApp, StoredGrant


def enable(name: str, tools: Sequence[str]) -> None:
    """Switch tools on as they are now: names or globs; new and changed ones too."""
    kept = config()
    app = found(kept, name)
    connectors = {grant.connector: connector_of(grant) for grant in app.grants}
    chosen = _chosen(app, tools, [tool for each in connectors.values() for tool in each.tools])
    grants, switched_on = [], []
    for grant in app.grants:
        connector = connectors[grant.connector]
        own = [tool for each, tool in connector.tools.items() if each in chosen]
        off = [tool.name for tool in own if switch_of(grant.tools, connector, tool) != "on"]
        switched_on += off
        grants.append(switched(grant, connector, dict.fromkeys(off, True)))
    after = replace(app, grants=tuple(grants))
    if switched_on:
        change(kept, app, after, f"apps enable {name}")
        say(f"Enabled for {name}: {', '.join(switched_on)}.")
    else:
        say(f"Enabled already: {', '.join(chosen)}.")
    entries = by_policy(after, kept).entries
    denied = [entries[tool].denied for tool in chosen]
    say(*(f"Still denied: {finding.says}." for finding in denied if finding is not None))


def disable(name: str, tools: Sequence[str]) -> None:
    """Switch tools off: names or globs. This works whatever has become of the connector's file."""
    kept = config()
    app = found(kept, name)
    known = {grant.connector: _known(grant) for grant in app.grants}
    chosen = _chosen(app, tools, [tool for each in known.values() for tool in each])
    grants, gone = [], []
    for grant in app.grants:
        off = [tool for tool in chosen if tool in known[grant.connector]]
        gone += [tool for tool in off if grant.tools.get(tool, {}).get("on") is not False]
        kept_off = {
            tool: {"digest": grant.tools.get(tool, {}).get("digest", ""), "on": False} for tool in off
        }
        grants.append(replace(grant, tools={**grant.tools, **kept_off}))
    if gone:
        after = replace(app, grants=tuple(grants))
        change(kept, app, after, f"apps disable {name}")
        say(f"Disabled for {name}: {', '.join(gone)}.")
    else:
        say(f"Disabled already: {', '.join(chosen)}.")


def _known(grant: StoredGrant) -> list[str]:
    """The tools of a grant, as far as they are known."""
    try:
        now = list(connector_of(grant).tools)
    except MCPGateError:
        now = []
    return list(dict.fromkeys((*grant.tools, *now)))


def _chosen(app: StoredApp, texts: Sequence[str], known: Iterable[str]) -> list[str]:
    """The tools that names and globs mean; raises `NotFoundError` for one that means none."""
    names = list(known)
    for text in texts:
        if not any(fnmatchcase(each, text) for each in names):
            hint = f"See its tools: mcpgate apps show {app.name}"
            raise NotFoundError(f"{app.name} has no tool '{text[:80]}'{did_you_mean(text[:80], names)}", hint)
    return [each for each in names if any(fnmatchcase(each, text) for text in texts)]
