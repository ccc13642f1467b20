"""Personal data in texts: a few honest detectors, named as such."""

from __future__ import annotations

from typing import Final

from mcpgate.policy.templates.template import Template

PERSONAL: Final[dict[str, Template]] = {}
