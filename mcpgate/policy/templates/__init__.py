"""The guardrail templates, as one table: name → check, configuration, projection, examples, documentation.

Names and fields are those of the commercial product's published templates where it has them, so that its
rules carry over unchanged.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from mcpgate.policy.templates.code import CODE
from mcpgate.policy.templates.dates import DATES
from mcpgate.policy.templates.email import EMAIL
from mcpgate.policy.templates.money import MONEY
from mcpgate.policy.templates.personal import PERSONAL
from mcpgate.policy.templates.template import Schema, Template
from mcpgate.policy.templates.text import TEXT
from mcpgate.policy.templates.urls import URLS
from mcpgate.policy.templates.values import VALUE_TEMPLATES

TEMPLATES: Final[Mapping[str, Template]] = (
    TEXT | URLS | EMAIL | VALUE_TEMPLATES | CODE | DATES | MONEY | PERSONAL
)

_LATER: Final = "budget daily_quota rate_limit repeat_block"
LATER: Final = frozenset(_LATER.split())


def entry_schema() -> Schema:
    """The JSON Schema of a guardrail's templates, for the shipped schema of policy files."""
    built: Schema = {name: {"description": t.line, **t.config} for name, t in TEMPLATES.items()}
    later: Schema = {
        name: {"not": {}, "errorMessage": f"'{name}' comes later: it is not built yet"}
        for name in sorted(LATER)
    }
    return built | later
