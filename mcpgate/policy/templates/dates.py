"""Templates over moments and spans of time."""

from __future__ import annotations

from typing import Final

from mcpgate.policy.templates.template import Template

DATES: Final[dict[str, Template]] = {}
