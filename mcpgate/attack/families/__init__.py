"""How the rules of each template are attacked, as one table by the template's name."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from mcpgate.attack.attempt import Assault
from mcpgate.attack.families.code import CODE
from mcpgate.attack.families.dates import DATES
from mcpgate.attack.families.fields import FIELDS
from mcpgate.attack.families.links import LINKS
from mcpgate.attack.families.mail import MAIL
from mcpgate.attack.families.money import MONEY
from mcpgate.attack.families.other import OTHER
from mcpgate.attack.families.people import PEOPLE
from mcpgate.attack.families.texts import TEXTS
from mcpgate.attack.families.values import VALUES

ASSAULTS: Final[Mapping[str, Assault]] = (
    VALUES | FIELDS | MONEY | TEXTS | LINKS | MAIL | PEOPLE | CODE | DATES
)


def assault_of(template: str) -> Assault:
    """How a template is attacked; one that has nothing of its own, by its example of what is denied."""
    return ASSAULTS.get(template, OTHER)
