"""The activity: the log of calls, one row each; a call that acts has two, *started* and *finished*.

A *refused* call was never sent, a *lookup* was asked for a rule. *changed* is what a person did to the
configuration, *erased* and *pruned* what was taken out of the log itself.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final, Literal, TypeAlias, get_args

from mcpgate.values import Json

Kind: TypeAlias = Literal["refused", "started", "finished", "read", "lookup", "changed", "erased", "pruned"]
KINDS: Final[tuple[Kind, ...]] = get_args(Kind)


@dataclass(frozen=True, slots=True)
class Row:
    """One row of the log; `at` is seconds since the epoch, `ms` milliseconds, `size` bytes of the reply.

    `arguments` are the canonical ones, of which `private` names those that hold personal data: a store keeps
    both sealed or not at all. `says` is what a person did, in a row that is no call's; in the `sandbox`
    nothing was real.
    """

    at: float
    kind: Kind
    call: str
    app: str
    grant: str
    tool: str
    args_hash: str
    decision: str
    rule: str = ""
    outcome: str = ""
    status: int | None = None
    request_id: str = ""
    key: str = ""
    ms: float = 0.0
    size: int = 0
    subject: str = ""
    tool_digest: str = ""
    policy_digest: str = ""
    says: str = ""
    sandbox: bool = False
    arguments: Mapping[str, Json] | None = field(default=None, repr=False)
    private: tuple[str, ...] = field(default=(), repr=False)
