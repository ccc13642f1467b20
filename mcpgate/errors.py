"""Everything that can go wrong, in one tree.

MCPGateError                    what went wrong, and what to do about it
├── UsageError                  a flag or argument of a command cannot be used
├── SpecError                   a connector, preset or policy file is wrong; carries every problem of the file
├── NotFoundError               no connector, preset or file of that name
├── CredentialError             the credential is absent, of the wrong kind, or may not go there
│   └── LiveKeyError            it is a live one, and nobody has said --live
├── StoreError                  the database cannot be used
├── UnknownToolError            the client named a tool that does not exist for it
└── RefusedError                a call that is not made
    ├── ArgumentsError          its arguments do not fit the tool's schema, or cannot be put into a request
    └── DeniedError             the policy says no; carries the decision
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from mcpgate.values import Decision


class MCPGateError(Exception):
    """The root of the tree: `message` says what is wrong, `hint` what to do about it."""

    exit_code = 1

    def __init__(self, message: str, hint: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint


class UsageError(MCPGateError):
    """A flag or argument of a command cannot be used."""

    exit_code = 2


class SpecError(MCPGateError):
    """A YAML file is wrong; `problems` holds one `file:line:col: message` per fault."""

    exit_code = 3

    def __init__(self, problems: list[str], hint: str = "") -> None:
        super().__init__("\n".join(problems), hint)
        self.problems = problems


class NotFoundError(MCPGateError):
    """No connector, preset or file has that name."""

    exit_code = 3


class CredentialError(MCPGateError):
    """The credential is absent, of the wrong kind, or may not go where it would be sent."""

    exit_code = 4


class LiveKeyError(CredentialError):
    """The credential is a live one, and nobody has said --live."""


class StoreError(MCPGateError):
    """The database cannot be used, so nothing is decided or sent."""

    exit_code = 6


class UnknownToolError(MCPGateError):
    """The client named a tool that does not exist for it (JSON-RPC -32602)."""


class RefusedError(MCPGateError):
    """A call that is not made."""

    exit_code = 5


class ArgumentsError(RefusedError):
    """The arguments do not fit the tool's schema, or cannot be put into a request."""


class DeniedError(RefusedError):
    """The policy says no; `decision` tells which rule and what would pass."""

    def __init__(self, message: str, decision: Decision, hint: str = "") -> None:
        super().__init__(message, hint)
        self.decision = decision
