"""Templates that look into texts."""

from __future__ import annotations

from typing import Final

from mcpgate.policy.templates.template import Template

TEXT: Final[dict[str, Template]] = {}
