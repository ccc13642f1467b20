"""Templates over branches and repositories."""

from __future__ import annotations

from typing import Final

from mcpgate.policy.templates.template import Template

CODE: Final[dict[str, Template]] = {}
