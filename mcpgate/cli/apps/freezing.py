"""`mcpgate freeze` and `mcpgate thaw`: what is frozen is denied from the next call on, in every process."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress
from dataclasses import asdict

from mcpgate import catalog, saved
from mcpgate.cli.apps.kept import as_kept
from mcpgate.cli.console import print_json
from mcpgate.cli.opening import RUN
from mcpgate.cli.vault.vault import say
from mcpgate.cli.vaults import config
from mcpgate.errors import MCPGateError, NotFoundError, UsageError
from mcpgate.spec.yaml_text import did_you_mean
from mcpgate.store.config import Config, Freeze
from mcpgate.values import EFFECTS


def freeze(app: str, connector: str, effect: str, *, as_json: bool) -> None:
    """Freeze what is named, or everything where nothing is."""
    kept = config()
    what = _checked(kept, app, connector, effect)
    new = kept.freeze(*what)
    saved.forget()
    _report(kept, f"{'Frozen' if new else 'Frozen already'}: {_what(what)}.", as_json=as_json)


def thaw(app: str, connector: str, effect: str, *, everything: bool, as_json: bool) -> None:
    """End a freeze by the words it was made with, or every one."""
    kept = config()
    there = kept.freezes()
    named = (app, _name(connector), effect)
    if everything and any(named):
        raise UsageError("--all ends every freeze.", "Give it alone, or leave it out.")
    if not everything and not any(named):
        raise UsageError("What is to be thawed?", f"{_frozen(there)} For every one of them: --all")
    ended = [each for each in there if everything or (each.app, each.connector, each.effect) == named]
    if not ended and not everything:
        raise NotFoundError(f"Not frozen as such: {_what(named)}.", _frozen(there))
    with kept.changing() as changes:
        for each in ended:
            changes.thaw(each.app, each.connector, each.effect)
    saved.forget()
    said = f"Thawed: {'; '.join(each.what for each in ended)}." if ended else ""
    _report(kept, said, as_json=as_json)


def _checked(kept: Config, app: str, connector: str, effect: str) -> tuple[str, str, str]:
    """What is to be frozen, by names that there are; raises `NotFoundError` and `UsageError`."""
    if connector and effect:
        raise UsageError("--connector and --effect are not taken together.", "Freeze one of them, or each.")
    apps = [each.name for each in kept.all()] if app or connector else []
    if app and app not in (*apps, RUN):
        near = did_you_mean(app[:80], [*apps, RUN])
        raise NotFoundError(f"There is no app '{app[:80]}'{near}", "See them all: mcpgate apps list")
    if effect and effect not in EFFECTS:
        near = did_you_mean(effect[:80], EFFECTS)
        raise UsageError(f"'{effect[:80]}' is no effect{near}", f"The effects: {', '.join(EFFECTS)}.")
    name = _name(connector)
    if name:
        known = list(dict.fromkeys(_connectors(kept)))
        if name not in known:
            hint = f"Known are: {', '.join(known)}. One that is a file is given by its path."
            near = did_you_mean(name[:80], known)
            raise NotFoundError(f"There is no connector '{name[:80]}'{near}", hint)
    return app, name, effect


def _connectors(kept: Config) -> Iterator[str]:
    """The names of connectors, as far as they can be told: a fault keeps nobody from freezing."""
    with suppress(MCPGateError):
        yield from catalog.names("connectors")
    for app in kept.all():
        yield from (grant.name for grant in app.grants)


def _name(connector: str) -> str:
    """A connector's name; that of a file stands in it."""
    return catalog.load_connector(as_kept(connector)).name if catalog.is_path(connector) else connector


def _report(kept: Config, said: str, *, as_json: bool) -> None:
    there = kept.freezes()
    if as_json:
        print_json([{**asdict(each), "what": each.what} for each in there])
    else:
        say(said, _frozen(there))


def _frozen(freezes: tuple[Freeze, ...]) -> str:
    """What is frozen and since when, in words."""
    told = "; ".join(f"{each.what}, since {each.since}" for each in freezes)
    return f"Frozen now: {told}." if told else "Nothing is frozen."


def _what(named: tuple[str, str, str]) -> str:
    return Freeze(*named, since="").what
