"""Credentials from the environment: `MCPGATE_<CONNECTOR>_KEY`."""

from __future__ import annotations

from collections.abc import Mapping

from mcpgate.errors import CredentialError
from mcpgate.secrets import Scrubber, Secret
from mcpgate.values import Account, Request
from mcpgate.vault.kinds import Known, check_mode, connect_command, judge


def variable(connector: str) -> str:
    """The environment variable that holds a connector's key."""
    return f"MCPGATE_{connector.upper()}_KEY"


def is_set(environ: Mapping[str, str], connector: str) -> bool:
    """Whether the environment has a key for a connector."""
    return bool(environ.get(variable(connector), "").strip())


class EnvironmentVault:
    """Opens credentials that lie in environment variables; `known` finds the connector of a name."""

    def __init__(self, environ: Mapping[str, str], known: Known, scrubber: Scrubber) -> None:
        self._environ = environ
        self._known = known
        self._scrubber = scrubber
        self._judged: dict[str, tuple[Account, Secret]] = {}

    def open(self, account: Account, request: Request) -> Secret | None:
        """The secret of an account, checked for kind, mode and place; raises `CredentialError`."""
        return self._secret(account)

    def check(self, account: Account) -> None:
        """Whether it is there and may go where the account sends it; raises `CredentialError`."""
        self._secret(account)

    def _secret(self, account: Account) -> Secret | None:
        connector = account.connector
        if connector.auth is None:
            return None
        name = variable(connector.name)
        text = self._environ.get(name, "").strip()
        if not text:
            hint = f"A person has to set {name} to it where mcpgate is started, and start it again; "
            hint += f"or run `{connect_command(connector)}`."
            where = f" It is found at {connector.auth.help}." if connector.auth.help else ""
            raise CredentialError(f"There is no credential for {connector.title}.", hint + where)
        judged, secret = self._judged.get(name, (None, None))
        # neither changes: what was judged of this text and this account stays true
        if secret is not None and judged is account and secret.reveal() == text:
            return secret
        self._scrubber.learn(text)
        another = f"A person has to set {name} to another one where mcpgate is started, and start it again."
        kind = judge(text, account, self._known, what=name, another=another)
        check_mode(account, name, kind.mode)
        secret = Secret(text)
        self._judged[name] = account, secret
        return secret
