"""What a template is, and the pieces that its configuration is described with."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Final, Literal, TypeAlias

from mcpgate.policy.call import Check, Config
from mcpgate.values import Json

Schema: TypeAlias = dict[str, Json]
Projection: TypeAlias = Callable[[Mapping[str, Json], Schema], None]
Example: TypeAlias = tuple[Mapping[str, Json], Mapping[str, Json]]
LooksAt: TypeAlias = Literal["values", "field", "fields", "texts", "span", "call", "money", "tool"]

FIELD: Final[Schema] = {
    "type": "string",
    "pattern": r"^([^.\\]|\\.)+(\.([^.\\]|\\.)+)*$",
    "patternErrorMessage": "a field is a dotted path such as items.quantity",
}
TEXT: Final[Schema] = {"type": "string", "minLength": 1}
TEXTS: Final[Schema] = {"type": "array", "minItems": 1, "uniqueItems": True, "items": TEXT}
NUMBER: Final[Schema] = {"type": "number", "minimum": -(2**53 - 1), "maximum": 2**53 - 1}
COUNT: Final[Schema] = {"type": "integer", "minimum": 0}
VALUES: Final[Schema] = {"type": "array", "minItems": 1, "items": {"type": ["string", "number", "boolean"]}}
FIELDS: Final[Schema] = {"type": "array", "minItems": 1, "uniqueItems": True, "items": FIELD}

# the moment at which the examples are true: Monday, 23 November 2026, 10:00 UTC
EXAMPLE_NOW: Final = 1795428000.0


def takes(optional: Mapping[str, Schema] | None = None, **required: Schema) -> Schema:
    """The schema of a configuration that has these keys and no others."""
    return {
        "type": "object",
        "properties": {**required, **(optional or {})},
        "required": list(required),
        "additionalProperties": False,
    }


def as_it_is(config: Mapping[str, Json], schema: Schema) -> None:
    """Writes nothing: that the field is required, or gone, says it all."""


def sound(config: Config) -> str:
    """Nothing to find fault with beyond the schema."""
    return ""


@dataclass(frozen=True, slots=True)
class Template:
    """One kind of guardrail.

    `looks_at` says what its check is given: all *values* at `field`, those in a list one by one; what stands
    at `field` or at each of `fields` as it is; each of the *texts* at `field`, of every argument where it
    names none; the *span* from `start` to `end`; the *call* as such; its *money*; or the *tool* alone, which
    is settled before any call. Where no field is named, it is the one with the tool's `role`.

    A *block* passes where its field is missing; every other template with a field is a limit, which does not.
    `project` writes the limit into the schema at the field, so that the model does not try in vain. `fault`
    says what is wrong with a configuration that its schema cannot tell.

    With `seconds` it counts over the ledger, so far back: its check is given what was spent before, by all
    the calls that its rule reaches, or by the *identical* ones.
    """

    line: str
    check: Check
    config: Schema
    looks_at: LooksAt
    allowed: Example
    denied: Example
    block: bool = False
    role: str = ""
    project: Projection = as_it_is
    fault: Callable[[Config], str] = sound
    seconds: Callable[[Config], float] | None = None
    identical: bool = False
