"""The values that travel through mcpgate: frozen, built once, never changed.

A `Connector` describes an API, a `Policy` says what may be done with it; a call becomes a `Decision`, a
`Request`, a `Reply` and at last an `Outcome`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal, TypeAlias

from mcpgate.places import MISSING, Place

Json: TypeAlias = Any
Category: TypeAlias = Literal["read", "write", "delete"]
Mode: TypeAlias = Literal["enforce", "observe", "ask"]

CATEGORIES: tuple[Category, ...] = ("read", "write", "delete")
EFFECTS = ("money_in", "money_out", "commitment", "reversal", "erase", "message")


# --- the description of an API ---------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Placeholder:
    """`{name}` in a template; with `slashes`, `{name...}`, whose value keeps its slashes."""

    name: str
    slashes: bool = False


@dataclass(frozen=True, slots=True)
class Template:
    """A text with placeholders: literal parts and placeholders in their order."""

    parts: tuple[str | Placeholder, ...]

    @property
    def names(self) -> tuple[str, ...]:
        """The placeholders' names, in order."""
        return tuple(part.name for part in self.parts if isinstance(part, Placeholder))

    def __str__(self) -> str:
        return "".join(
            part if isinstance(part, str) else "{" + part.name + ("...}" if part.slashes else "}")
            for part in self.parts
        )


@dataclass(frozen=True, slots=True)
class RequestTemplate:
    """`METHOD /path/{x}?wire={y}`: the path by segments, the query by wire names."""

    method: str
    path: tuple[Template, ...]
    query: tuple[tuple[str, Template], ...] = ()

    @property
    def names(self) -> tuple[str, ...]:
        """Every placeholder of path and query."""
        templates = (*self.path, *(template for _, template in self.query))
        return tuple(name for template in templates for name in template.names)


@dataclass(frozen=True, slots=True)
class Kind:
    """One kind of secret: what it looks like in full, its mode, and what is said or refused about it."""

    match: str
    mode: str = ""
    caution: str = ""
    refuse: str = ""


@dataclass(frozen=True, slots=True)
class Auth:
    """How the secret travels (`bearer`, `basic`, `header`, `query`) and how to ask a person for it."""

    type: str
    name: str = ""
    scheme: str = ""
    username: Template | None = None
    label: str = "Secret"
    help: str = ""
    kinds: tuple[Kind, ...] = ()
    probe: str = ""


@dataclass(frozen=True, slots=True)
class Pagination:
    """One page per call: where its items lie, and which arguments fetch the next page.

    `next` maps a parameter to a place, `+page` or `+items`; or it is the place of the next page's URL.
    """

    params: Mapping[str, Json]
    next: Mapping[str, Place | str] | Place
    items: Place | None = None
    more: Place | None = None
    total: Place | None = None


@dataclass(frozen=True, slots=True)
class Errors:
    """Where an API puts its errors, and advice for the agent by code or status."""

    when: Place | None = None
    message: tuple[Place, ...] = ()
    code: tuple[Place, ...] = ()
    hints: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Money:
    """Where a call's amount and currency stand; `before` is the lookup's reply."""

    amount: tuple[Place, ...]
    currency: tuple[Place, ...]


@dataclass(frozen=True, slots=True)
class Tool:
    """One operation of an API, offered to the agent.

    `schema` is the tool's own input schema, in full and closed; `query` and `body` say which parameters go
    where under which wire name.
    """

    name: str
    connector: str
    description: str
    category: Category
    effects: tuple[str, ...]
    schema: Mapping[str, Json]
    request: RequestTemplate
    query: Mapping[str, str]
    body: Mapping[str, str]
    digest: str
    body_tree: Json = None
    graphql: str = ""
    headers: Mapping[str, Template] = field(default_factory=dict)
    exactly_one: tuple[tuple[str, ...], ...] = ()
    at_least_one: tuple[tuple[str, ...], ...] = ()
    money: Money | None = None
    lookup: RequestTemplate | None = None
    roles: Mapping[str, tuple[Place, ...]] = field(default_factory=dict)
    summary: Template | None = None
    pagination: Pagination | None = None
    reply: Literal["json", "text", "none"] = "json"
    unwrap: Place | None = None
    fields: tuple[Place, ...] | None = None
    sample: Json = None

    @property
    def title(self) -> str:
        """The name as people read it: `shop_create_refund` is “Create refund”."""
        return self.name.removeprefix(self.connector + "_").replace("_", " ").capitalize()

    @property
    def annotations(self) -> dict[str, bool]:
        """MCP's hints, derived from category, effects and method."""
        read = self.category == "read"
        return {
            "readOnlyHint": read,
            "destructiveHint": self.category == "delete" or bool(self.effects),
            "idempotentHint": read or self.request.method in ("PUT", "DELETE"),
            "openWorldHint": True,
        }


@dataclass(frozen=True, slots=True)
class Source:
    """Where a file came from: `shipped` and `own` are known by name, a `file` by its digest as well."""

    kind: Literal["shipped", "own", "file"]
    path: str
    digest: str


@dataclass(frozen=True, slots=True)
class Connector:
    """One API, as its YAML file describes it; `timeout` is seconds for a whole call, retries included."""

    name: str
    base_url: Template
    tools: Mapping[str, Tool]
    source: Source
    title: str = ""
    description: str = ""
    docs: str = ""
    instructions: str = ""
    settings: Mapping[str, Json] = field(default_factory=dict)
    headers: Mapping[str, Template] = field(default_factory=dict)
    encoding: Literal["json", "form"] = "json"
    lists: Literal["repeat", "comma", "brackets", "indexed"] = "repeat"
    idempotency: str = ""
    retry: str = ""
    request_id: str = ""
    timeout: float = 30.0
    private: tuple[str, ...] = ()
    auth: Auth | None = None
    errors: Errors = field(default_factory=Errors)


# --- what an agent may do --------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Selector:
    """A category, `effect:NAME`, or a tool name or glob; `origin` is where it was written (`file:line`)."""

    text: str
    origin: str = ""


@dataclass(frozen=True, slots=True)
class Rule:
    """One guardrail: a template with its configuration, for the tools that its selectors match.

    `origin` is where it was written (`file:line`), `policy` the preset or policy file it belongs to.
    """

    template: str
    config: Mapping[str, Json]
    selectors: tuple[Selector, ...]
    policy: str
    origin: str
    mode: Mode = "enforce"
    reason: str = ""
    when_missing: Literal["deny", "allow"] = "deny"


@dataclass(frozen=True, slots=True)
class Tally:
    """What a counting rule asks of the ledger: how many calls, or how much of one currency, of the last
    `seconds`.

    It counts the calls that its selectors take in: of one app, of one of its connectors (`grant`), or of
    *everyone*. With `identical` only those of the same tool with the same arguments.
    """

    seconds: float
    selectors: tuple[Selector, ...]
    grant: str = ""
    everyone: bool = False
    identical: bool = False
    currency: str = ""


@dataclass(frozen=True, slots=True)
class Policy:
    """A preset or policy file, with all that it extends: `allow` of None narrows nothing."""

    name: str
    kind: Literal["preset", "policy", "flags", "ceiling", "freeze", "switches"]
    description: str
    allow: tuple[Selector, ...] | None
    deny: tuple[Selector, ...]
    rules: tuple[Rule, ...]
    extends: tuple[str, ...] = ()
    mask: tuple[Place, ...] = ()


@dataclass(frozen=True, slots=True)
class Finding:
    """What one rule said of one call: one line of the trace.

    `says` is a sentence; `passes` what would pass; `limit` and `value` the figures behind it.
    """

    layer: str
    rule: str
    verdict: Literal["allow", "deny", "ask", "observe"]
    says: str
    source: str = ""
    field: str = ""
    limit: Json = None
    value: Json = None
    passes: str = ""
    reason: str = ""


@dataclass(frozen=True, slots=True)
class Decision:
    """Allow or not, with the whole trace; the first finding that denies or asks is the reason."""

    verdict: Literal["allow", "deny", "ask"]
    trace: tuple[Finding, ...]
    reason: Finding | None = None


# --- one call --------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Account:
    """The account whose credential a call uses: bound to a connector, its origin and its source.

    `base_url` has its settings filled in; `origin` is its scheme, host and port; `name` is empty while nobody
    has named an account.
    """

    connector: Connector
    base_url: str
    origin: str
    settings: Mapping[str, str]
    name: str = "default"
    live: bool = False


@dataclass(frozen=True, slots=True)
class Request:
    """An HTTP request that knows no secret; `repeatable` says whether it may be sent a second time.

    `arguments` are the canonical ones it was built from, `before` and `now` what was decided on besides;
    `key_header` names the header that takes the idempotency key, empty where there is none.
    """

    method: str
    url: str
    headers: tuple[tuple[str, str], ...]
    body: bytes | None
    tool: Tool
    arguments: Mapping[str, Json]
    timeout: float
    repeatable: Literal["always", "unsent"]
    key_header: str = ""
    key: str = ""
    purpose: Literal["call", "lookup"] = "call"
    before: Json = MISSING
    now: float | None = None


Fate: TypeAlias = Literal["succeeded", "failed", "unknown"]


@dataclass(frozen=True, slots=True)
class Reply:
    """What came back, read and judged; `problem` is set whenever `fate` is not *succeeded*.

    *Unknown* is: sent and then timed out, cut off, unreadable, 5xx, or a write that is redirected to what it
    may have done. *Failed* is: never sent, another 3xx, 4xx, or an error inside a 200.
    """

    request: Request
    fate: Fate
    status: int | None
    headers: Mapping[str, str]
    body: Json
    problem: str = ""
    request_id: str = ""
    attempts: int = 1
    size: int = 0


@dataclass(frozen=True, slots=True)
class Outcome:
    """What the agent reads: compact JSON text, and for denials and errors the same facts in `structured`.

    A `note` is a second text, about the call rather than its result. `exit_code` is what a command ends with
    when it is an error; the agent is never shown it.
    """

    text: str
    structured: Mapping[str, Json] | None = None
    is_error: bool = False
    note: str = ""
    exit_code: int = field(default=1, repr=False, compare=False)
