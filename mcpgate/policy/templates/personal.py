"""Personal data in texts: a few honest detectors, named as such."""

from __future__ import annotations

from typing import Final

from mcpgate.policy.detect.personal_data import ENTITIES, personal_data
from mcpgate.policy.templates.template import FIELD, Schema, Template, takes
from mcpgate.policy.templates.text import nothing_like, said_at_field

_ENTITIES: Final[Schema] = {
    "type": "array",
    "minItems": 1,
    "uniqueItems": True,
    "items": {"enum": list(ENTITIES)},
}

PERSONAL: Final[dict[str, Template]] = {
    "pii_block": Template(
        "No text holds what looks like personal data of these entities (email, phone, card, iban, ssn; where"
        " none is named, all): a few detectors, not a guarantee.",
        nothing_like(
            lambda config, text, key: personal_data(text, config.get("entities", ENTITIES), key),
            "personal data",
        ),
        takes({"entities": _ENTITIES, "field": FIELD}),
        "texts",
        allowed=({"entities": ["card", "email"]}, {"note": "Order 4111 of 2026-11-23, to the office"}),
        denied=({"entities": ["card", "email"]}, {"note": "Card 4111-1111 1111-1111"}),
        block=True,
        project=said_at_field(lambda config: "Without personal data."),
    ),
}
