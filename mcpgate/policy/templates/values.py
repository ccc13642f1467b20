"""Templates that hold single values against a limit or a list."""

from __future__ import annotations

from typing import Any, Final

from mcpgate.policy.call import Call, Config, Miss, UndecidableError, shown
from mcpgate.policy.folding import fold, same
from mcpgate.policy.templates.shown import at_least, at_most, between, none, only
from mcpgate.policy.templates.template import COUNT, FIELD, FIELDS, NUMBER, VALUES, Template, takes
from mcpgate.values import Json


def within(config: Config, call: Call, values: list[Any]) -> Miss | None:
    """Every value is a number from `min` to `max`, where each is given."""
    low, high = config.get("min"), config.get("max")
    for value in values:
        if isinstance(value, bool) or not isinstance(value, int | float):
            raise UndecidableError(f"{config['field']} is not a number", config["field"])
        if high is not None and not value <= high:
            return _outside(config, value, f"over the limit of {high}")
        if low is not None and not value >= low:
            return _outside(config, value, f"under the limit of {low}")
    return None


def _outside(config: Config, value: Json, how: str) -> Miss:
    low, high, field = config.get("min"), config.get("max"), config["field"]
    limit: Json = [low, high] if None not in (low, high) else high if low is None else low
    passes = " ≤ ".join(str(part) for part in (low, field, high) if part is not None)
    return Miss(f"{field} {value} is {how}", passes, field, limit, value)


def one_of(config: Config, call: Call, values: list[Any]) -> Miss | None:
    """Every value is one of `values`, to the letter."""
    field, allowed = config["field"], config["values"]
    for value in values:
        # most are texts, and a text equals only itself
        if not (isinstance(value, str) and value in allowed) and not any(same(value, o) for o in allowed):
            passes = f"{field}: {', '.join(map(str, allowed))}"
            return Miss(f"{field} {shown(value)} is not allowed", passes, field, allowed, value)
    return None


def none_of(config: Config, call: Call, values: list[Any]) -> Miss | None:
    """No value is one of `values`, look-alikes and case aside."""
    field = config["field"]
    for value in values:
        if isinstance(value, dict):
            raise UndecidableError(f"{field} is an object, not a value", field)
        if any(fold(value) == fold(blocked) for blocked in config["values"]):
            passes = f"{field} other than {', '.join(map(str, config['values']))}"
            return Miss(f"{field} {shown(value)} is blocked", passes, field, config["values"], value)
    return None


def at_most_items(config: Config, call: Call, values: list[Any]) -> Miss | None:
    """Every list has at most `max` items."""
    field, limit = config["field"], config["max"]
    for value in values:
        if not isinstance(value, list | dict):
            raise UndecidableError(f"{field} is not a list", field)
        if len(value) > limit:
            says = f"{field} has {len(value)} items, over the limit of {limit}"
            return Miss(says, f"at most {limit} items in {field}", field, limit, len(value))
    return None


def given(config: Config, call: Call, values: list[Any]) -> Miss | None:
    """The field is there; the decision has dealt with missing ones, so what is left is."""
    return None


def absent(config: Config, call: Call, values: list[Any]) -> Miss | None:
    """The field is not there."""
    if not values:
        return None
    field = config["field"]
    return Miss(f"{field} may not be given", f"leave out {field}", field, None, values[0])


def not_delete(config: Config, call: Call, values: list[Any]) -> Miss | None:
    """The tool is not of category delete."""
    if call.tool.category != "delete":
        return None
    return Miss(f"{call.tool.name} deletes", "tools that read or write")


VALUE_TEMPLATES: Final[dict[str, Template]] = {
    "max_value": Template(
        "A number is at most max.",
        within,
        takes(field=FIELD, max=NUMBER),
        "values",
        allowed=({"field": "amount", "max": 50000}, {"amount": 50000}),
        denied=({"field": "amount", "max": 50000}, {"amount": 50001}),
        project=at_most("maximum", "max"),
    ),
    "min_value": Template(
        "A number is at least min.",
        within,
        takes(field=FIELD, min=NUMBER),
        "values",
        allowed=({"field": "amount", "min": 100}, {"amount": 100}),
        denied=({"field": "amount", "min": 100}, {"amount": 99}),
        project=at_least("minimum", "min"),
    ),
    "value_range": Template(
        "A number is from min to max.",
        within,
        takes(field=FIELD, min=NUMBER, max=NUMBER),
        "values",
        allowed=({"field": "quantity", "min": 1, "max": 10}, {"quantity": 10}),
        denied=({"field": "quantity", "min": 1, "max": 10}, {"quantity": 0}),
        project=between,
    ),
    "allow_values": Template(
        "A value is one of these, to the letter.",
        one_of,
        takes(field=FIELD, values=VALUES),
        "values",
        allowed=({"field": "currency", "values": ["usd", "eur"]}, {"currency": "eur"}),
        denied=({"field": "currency", "values": ["usd", "eur"]}, {"currency": "jpy"}),
        project=only,
    ),
    "block_values": Template(
        "A value is none of these; case, width and invisible characters aside.",
        none_of,
        takes(field=FIELD, values=VALUES),
        "values",
        allowed=({"field": "source", "values": ["tok_amex"]}, {"source": "tok_visa"}),
        denied=({"field": "source", "values": ["tok_amex"]}, {"source": "TOK_AMEX"}),
        block=True,
        project=none,
    ),
    "required_fields": Template(
        "Each of these fields is given.",
        given,
        takes(fields=FIELDS),
        "fields",
        allowed=({"fields": ["metadata.order"]}, {"metadata": {"order": "17"}}),
        denied=({"fields": ["metadata.order"]}, {"metadata": {}}),
    ),
    "block_fields": Template(
        "None of these fields is given.",
        absent,
        takes(fields=FIELDS),
        "fields",
        allowed=({"fields": ["trial_end"]}, {"customer": "cus_1"}),
        denied=({"fields": ["trial_end"]}, {"trial_end": 1893456000}),
        block=True,
    ),
    "max_items": Template(
        "A list has at most max items.",
        at_most_items,
        takes(field=FIELD, max=COUNT),
        "field",
        allowed=({"field": "items", "max": 2}, {"items": [{"id": "a"}, {"id": "b"}]}),
        denied=({"field": "items", "max": 2}, {"items": [{"id": "a"}, {"id": "b"}, {"id": "c"}]}),
        project=at_most("maxItems", "max"),
    ),
    "block_delete": Template(
        "No tool that deletes.",
        not_delete,
        takes(),
        "tool",
        allowed=({}, {}),
        denied=({}, {}),
        block=True,
    ),
}
