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
from mcpgate.policy.templates.memory import MEMORY
from mcpgate.policy.templates.money import MONEY
from mcpgate.policy.templates.personal import PERSONAL
from mcpgate.policy.templates.template import Schema, Template
from mcpgate.policy.templates.text import TEXT
from mcpgate.policy.templates.urls import URLS
from mcpgate.policy.templates.values import VALUE_TEMPLATES

TEMPLATES: Final[Mapping[str, Template]] = (
    TEXT | URLS | EMAIL | VALUE_TEMPLATES | CODE | DATES | MONEY | MEMORY | PERSONAL
)


def entry_schema() -> Schema:
    """The JSON Schema of a guardrail's templates, for the shipped schema of policy files."""
    return {name: {"description": t.line, **t.config} for name, t in TEMPLATES.items()}
