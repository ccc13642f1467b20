"""Templates over who is written to: addresses and domains."""

from __future__ import annotations

from typing import Final

from mcpgate.policy.templates.template import Template

EMAIL: Final[dict[str, Template]] = {}
