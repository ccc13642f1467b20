"""`mcpgate connect`: take a credential from a person, prove it, and keep it for where it may go."""

from __future__ import annotations

import asyncio
import os
import re
import shlex
import sys
from collections.abc import Iterator, Sequence

from mcpgate import catalog, saved
from mcpgate.apps import open_account
from mcpgate.cli.asking import ask_secret
from mcpgate.cli.console import plain
from mcpgate.cli.opening import read_settings
from mcpgate.cli.vault.probing import probe as call_probe
from mcpgate.cli.vault.vault import ensure_set_up, kept
from mcpgate.cli.vaults import connected_vault, note, sealed_vault
from mcpgate.errors import CredentialError, MCPGateError, UsageError
from mcpgate.json_schema import compile_pattern
from mcpgate.secrets import Scrubber, Secret
from mcpgate.values import Account, Json, Outcome, Policy
from mcpgate.vault.binding import DEFAULT, Binding, check_name, said
from mcpgate.vault.ceiling import document, preset_of
from mcpgate.vault.environment import is_set, variable
from mcpgate.vault.kinds import judge, of_its_own
from mcpgate.vault.sealed_vault import SealedVault

_MOST = 64 * 1024
_NAME = re.compile("[a-z][a-z0-9]{0,39}")


def connect_account(
    name: str, account: str, from_env: str, settings: Sequence[str], allow: str | None, *, probe: bool
) -> None:
    """Connect an account; whatever goes wrong, nothing is kept and what was there before stays."""
    if not catalog.is_path(name) and not _NAME.fullmatch(name):
        # it may be a key, so it is not repeated
        raise UsageError("What was given is no connector's name.", "See them all: mcpgate connectors")
    connector = catalog.load_connector(name)
    if connector.auth is None:
        raise UsageError(f"{connector.title} needs no credential.", f"Run it: mcpgate run {name}")
    if any(compile_pattern(kind.match).fullmatch(account) for kind in connector.auth.kinds):
        raise UsageError("What was given as the account's name is a key.", "Name it: --account NAME")
    if allow == "":
        raise UsageError("--allow names no preset.", "Say one, or leave --allow out.")
    ceiling = catalog.load_policy(allow, "preset") if allow else None
    sealed = sealed_vault()
    earlier = _earlier(sealed, connector.name, check_name(account), ceiling)
    if earlier is not None and not earlier.same_kind(connector):
        what = f"{connector.name}/{account} belongs to a connector from elsewhere ({earlier.source})."
        raise UsageError(what, of_its_own(connector))
    stored = earlier.settings if earlier is not None else {}
    known = {setting: text for setting, text in stored.items() if setting in connector.settings}
    given = read_settings(settings, [connector])[connector.name]
    opened = open_account(connector, {**known, **given}, account, live=True)
    scrubber = Scrubber()
    try:
        _connect(opened, sealed, scrubber, from_env, earlier, ceiling, probe=probe)
    except MCPGateError as error:
        # what the API or a keyring said is in it, so the scrubber stands here too
        error.message = plain(scrubber.text(error.message))
        error.hint = plain(scrubber.text(error.hint))
        error.args = (error.message,)
        raise


def _earlier(sealed: SealedVault, connector: str, account: str, ceiling: Policy | None) -> Binding | None:
    """What is connected by that name: its settings and its ceiling stay, once its seal has proved them."""
    if sealed.find(connector, account) is None:
        return None
    sealed.unlock()
    fault = ""
    try:
        kept = sealed.open(connector, account)
        return kept.binding if kept is not None else None
    except CredentialError as error:
        fault = error.message
    if ceiling is None:
        # whoever changed the row may have wanted just that: a key pasted again, under no ceiling
        hint = "Say the most it may be used for: --allow PRESET (--allow full-access for everything)."
        raise UsageError(f"{fault} Whether it had a ceiling is not known.", hint)
    _say(f"{fault} Nothing of it is taken over.")
    return None


def _connect(
    account: Account,
    sealed: SealedVault,
    scrubber: Scrubber,
    from_env: str,
    earlier: Binding | None,
    ceiling: Policy | None,
    *,
    probe: bool,
) -> None:
    auth = account.connector.auth
    assert auth is not None
    record = ensure_set_up(sealed, account.connector.name)
    sealed.unlock()
    stays = ceiling is None and earlier is not None and bool(earlier.ceiling)
    if stays and earlier is not None:
        ceiling = preset_of(earlier.ceiling)
    if ceiling is not None:
        # before a person is asked for anything
        document(ceiling, account.connector)
    for line in _plan(account, kept(record), ceiling, stays=stays):
        _say(line)
    secret = Secret(_read(plain(f"{auth.label} (not shown): "), from_env))
    scrubber.learn(secret.reveal())
    what = from_env or "What was given"
    kind = judge(secret.reveal(), account, catalog.known_connector, what=what, another="Give another one.")
    if kind.caution:
        _say(f"Caution: {kind.caution}")
    if auth.probe and probe:
        _say(f"Trying it with {auth.probe} …")
        outcome = asyncio.run(call_probe(account, lambda *_: secret, scrubber))
        if outcome.is_error:
            raise _refused(account.connector.title, outcome)
    binding = connected_vault(scrubber, sealed).keep(account, secret, kind.mode, ceiling)
    saved.forget()
    note(_done(binding, ceiling), sealed)
    if earlier is not None:
        _say(f"This replaces the one that was connected on {earlier.connected[:10]}.")
    tried = "proved with a call" if auth.probe and probe else "not tried with a call"
    mode = f"a {kind.mode} key, " if kind.mode else ""
    _say(f"Connected {account.connector.name}/{account.name}: {mode}{tried}.")
    for line in _next(account, kind.mode):
        _say(line)


def _done(binding: Binding, ceiling: Policy | None) -> str:
    """What was connected, as the log says it."""
    allowed = f", at most {ceiling.name}" if ceiling is not None else ""
    mode = f", a {binding.mode} key" if binding.mode else ""
    return f"connect {binding.connector}/{binding.account} ({binding.source}){mode}{allowed}"


def _plan(account: Account, key: str, ceiling: Policy | None, *, stays: bool) -> Iterator[str]:
    """What is being connected, and where its credential will go."""
    connector, auth = account.connector, account.connector.auth
    assert auth is not None
    source = connector.source
    sources = {
        "shipped": "shipped with mcpgate",
        "own": f"your own, {source.path}",
        "file": f"the file {source.path}, sha256 {source.digest}",
    }
    yield f"{connector.title}: {auth.label}"
    if auth.help:
        yield f"  found at   {auth.help}"
    yield f"  goes to    {account.origin}, and nowhere else"
    yield f"  connector  {connector.name}, {sources[source.kind]}"
    if account.settings:
        yield f"  settings   {said(account.settings)}"
    yield f"  at most    {_most(ceiling, stays=stays)}"
    yield f"  sealed     as {connector.name}/{account.name}, in the vault whose key is {key}"


def _most(ceiling: Policy | None, *, stays: bool) -> str:
    if ceiling is None:
        return "what a preset allows when it is used (--allow PRESET sets a ceiling)"
    more = ", as before (--allow PRESET says another)" if stays else ", whatever flags are given later"
    return f"what the preset {ceiling.name} allows{more}"


def _read(prompt: str, from_env: str) -> str:
    """The secret from a variable, a hidden prompt, or the one line of stdin; raises `UsageError`."""
    if from_env:
        # a key may have been pasted where the name belongs, so the name is not repeated
        text, none = os.environ.get(from_env, ""), "The variable that --from-env names is not set, or empty."
    elif sys.stdin is not None and sys.stdin.isatty():
        text, none = ask_secret(prompt).reveal(), "Nothing was typed."
    else:
        text, none = sys.stdin.read(_MOST) if sys.stdin is not None else "", "There is nothing on stdin."
    if not text.strip():
        raise UsageError(none, "Give the key at the prompt, on stdin, or with --from-env NAME.")
    return text.strip()


def _refused(title: str, outcome: Outcome) -> CredentialError:
    facts: dict[str, Json] = dict(outcome.structured or {})
    status, hint = facts.get("status"), str(facts.get("hint", ""))
    said_of_it = ": ".join(str(facts[name]) for name in ("error", "message") if facts.get(name))
    if status == 403:
        hint = f"{hint} If the key is meant to lack this permission, add --no-probe.".strip()
    if status in (401, 403):
        return CredentialError(f"{title} refused it, so nothing was kept. {said_of_it}", hint)
    message = f"Nothing shows that {title} accepts it, so nothing was kept. {said_of_it}"
    return CredentialError(message, f"{hint} To keep it all the same, add --no-probe.".strip())


def _next(account: Account, mode: str) -> Iterator[str]:
    """What a person may want to know or do now."""
    connector, auth = account.connector, account.connector.auth
    name = variable(connector.name)
    flags = ["--account", account.name] if account.name != DEFAULT else []
    if mode == "live":
        flags.append("--live")
        yield "It is a live key: real money moves, and it runs only with --live."
    if account.name == DEFAULT and is_set(os.environ, connector.name):
        yield f"{name} is set here and goes first: unset it, or say --account {DEFAULT}."
    path = connector.source.path if connector.source.kind == "file" else ""
    if auth is not None and auth.probe:
        words = ["mcpgate", "call", auth.probe, *(["-c", path] if path else []), *flags]
        yield f"Try it: {shlex.join(words)}"
    yield f"Next: mcpgate install CLIENT {shlex.join([path or connector.name, *flags])}"
    yield "The clients of this machine: mcpgate install --list"


def _say(line: str) -> None:
    print(plain(line), flush=True)
