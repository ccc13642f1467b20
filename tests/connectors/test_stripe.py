"""The Stripe connector against facts about the API: its parameters, its objects, and what its list costs.

`tests/data/stripe-operations.json` has every parameter of the 15 operations, `stripe-fixtures.json` an
object of each kind, as the API's own description gives them.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import pytest
import stripe

from mcpgate.apps import App, Grant, open_account
from mcpgate.catalog import load_connector, load_policy
from mcpgate.json_schema import build_validator
from mcpgate.places import Place
from mcpgate.spec.story import read_story
from mcpgate.toolset import build_toolset
from mcpgate.values import Tool

ROOT: Final = Path(__file__).parents[2]
DATA: Final = ROOT / "tests" / "data"
OPERATIONS: Final = json.loads((DATA / "stripe-operations.json").read_text("utf-8"))
FIXTURES: Final = json.loads((DATA / "stripe-fixtures.json").read_text("utf-8"))["resources"]

# name: category, effects, required, exactly one, at least one, the kind of object that comes back
TOOLS: Final[dict[str, tuple[str, str, str, str, str, str]]] = {
    "stripe_list_customers": ("read", "", "", "", "", "customer"),
    "stripe_get_customer": ("read", "", "customer", "", "", "customer"),
    "stripe_list_charges": ("read", "", "", "", "", "charge"),
    "stripe_list_invoices": ("read", "", "", "", "", "invoice"),
    "stripe_get_invoice": ("read", "", "invoice", "", "", "invoice"),
    "stripe_list_subscriptions": ("read", "", "", "", "", "subscription"),
    "stripe_list_products": ("read", "", "", "", "", "product"),
    "stripe_get_balance": ("read", "", "", "", "", "balance"),
    "stripe_create_customer": ("write", "", "", "", "", "customer"),
    "stripe_create_charge": ("write", "money_in", "amount currency", "", "customer source", "charge"),
    "stripe_create_invoice": ("write", "", "customer", "", "", "invoice"),
    "stripe_create_subscription": ("write", "commitment money_in", "customer items", "", "", "subscription"),
    "stripe_create_refund": ("write", "reversal money_out", "", "charge payment_intent", "", "refund"),
    "stripe_create_product": ("write", "", "name", "", "", "product"),
    "stripe_cancel_subscription": ("delete", "reversal", "subscription", "", "", "subscription"),
}

EFFECT: Final = "it would add an effect that the tool does not state, or go round a limit on it"
MESSAGE: Final = "it would have a message sent"
CONNECT: Final = "it is for platforms that act for other accounts (Connect)"
RARE: Final = "it is rarely used, and every parameter costs each reader"
SHAPED: Final = "what it brings is not among the fields of the reply"
REASONS: Final = (EFFECT, MESSAGE, CONNECT, RARE, SHAPED)

# Every parameter of the API that a tool does not offer, and why. A nested one by its dotted path.
LEFT_OUT: Final[dict[str, dict[str, str]]] = {
    "stripe_list_customers": {RARE: "test_clock", SHAPED: "expand"},
    "stripe_get_customer": {SHAPED: "expand"},
    "stripe_list_charges": {CONNECT: "transfer_group", SHAPED: "expand"},
    "stripe_list_invoices": {
        CONNECT: "customer_account",
        RARE: "collection_method due_date",
        SHAPED: "expand",
    },
    "stripe_get_invoice": {},
    "stripe_list_subscriptions": {
        CONNECT: "customer_account",
        RARE: "automatic_tax collection_method current_period_end current_period_start plan test_clock",
    },
    "stripe_list_products": {RARE: "created shippable type url"},
    "stripe_get_balance": {SHAPED: "expand"},
    "stripe_create_customer": {
        # balance is credit that the next invoice takes; cash_balance pays open invoices by itself
        EFFECT: "balance cash_balance",
        RARE: "business_name individual_name invoice_prefix invoice_settings next_invoice_sequence"
        " preferred_locales shipping tax tax_exempt tax_id_data test_clock validate",
        SHAPED: "expand",
    },
    "stripe_create_charge": {
        # capture: false holds money that no tool here takes or lets go; the others pass it on
        EFFECT: "capture destination transfer_data",
        MESSAGE: "receipt_email",
        CONNECT: "application_fee application_fee_amount on_behalf_of transfer_group",
        RARE: "radar_options shipping statement_descriptor",
        SHAPED: "expand",
    },
    "stripe_create_invoice": {
        # the first two finalize the draft, which charges or sends it; a revision voids another invoice
        EFFECT: "auto_advance automatically_finalizes_at from_invoice transfer_data",
        CONNECT: "application_fee_amount customer_account issuer on_behalf_of",
        RARE: "account_tax_ids automatic_tax custom_fields default_payment_method default_source"
        " default_tax_rates discounts due_date effective_at footer number payment_settings rendering"
        " shipping_cost shipping_details statement_descriptor subscription",
        SHAPED: "expand",
    },
    "stripe_create_subscription": {
        # amounts of the agent's own making, bills for other times than the price's, credit by proration
        EFFECT: "add_invoice_items backdate_start_date billing_schedules billing_thresholds cancel_at"
        " items.billing_thresholds items.price_data pending_invoice_item_interval transfer_data",
        # send_invoice writes to the customer with every period
        MESSAGE: "collection_method days_until_due",
        CONNECT: "application_fee_percent customer_account on_behalf_of",
        RARE: "automatic_tax billing_cycle_anchor billing_cycle_anchor_config billing_mode currency"
        " default_source default_tax_rates discounts invoice_settings items.current_trial items.discounts"
        " items.metadata items.plan items.tax_rates off_session payment_settings proration_behavior trial_end"
        " trial_from_plan trial_settings",
        SHAPED: "expand",
    },
    "stripe_create_refund": {
        # the first three pay out a customer's cash balance; the others take money back from third parties
        EFFECT: "currency customer origin refund_application_fee reverse_transfer",
        MESSAGE: "instructions_email",
        SHAPED: "expand",
    },
    "stripe_create_product": {
        RARE: "default_price_data.currency_options default_price_data.custom_unit_amount"
        " default_price_data.metadata default_price_data.tax_behavior default_price_data.unit_amount_decimal"
        " id images marketing_features package_dimensions shippable statement_descriptor tax_code"
        " tax_details type unit_label",
        SHAPED: "expand",
    },
    "stripe_cancel_subscription": {
        # invoice_now charges what is pending, prorate gives credit for what is left
        EFFECT: "invoice_now prorate",
        RARE: "cancellation_details.feedback cancellation_details.feedback_option",
        SHAPED: "expand",
    },
}

# What people call a parameter, where the API's own name is another.
RENAMED: Final = {("stripe_cancel_subscription", "subscription"): "subscription_exposed_id"}

# Numbers that the API gives as null at times, though the fixtures show one.
SOMETIMES_NULL: Final = {
    "invoice": {"due_date", "next_payment_attempt"},
    "subscription": {"cancel_at", "canceled_at", "ended_at", "trial_end", "trial_start"},
}

# Fields that stand in no sample: those of an expanded object, by its kind, and the mark of a deleted one.
EXPANDED: Final = {"customer": "customer", "default_price": "price"}
DELETED: Final = FIXTURES["deleted_customer"]


CONNECTOR: Final = load_connector("stripe")
each_tool = pytest.mark.parametrize("tool", CONNECTOR.tools.values(), ids=lambda tool: tool.name)


# --- which tools, and what they do -----------------------------------------------------------------------


def test_the_tools_and_their_order() -> None:
    assert list(CONNECTOR.tools) == list(TOOLS)


@each_tool
def test_category_effects_and_what_must_be_given(tool: Tool) -> None:
    category, effects, required, exactly, at_least, _ = TOOLS[tool.name]
    assert tool.category == category
    assert " ".join(tool.effects) == effects
    assert " ".join(tool.schema.get("required", ())) == required
    assert [" ".join(group) for group in tool.exactly_one] == ([exactly] if exactly else [])
    assert [" ".join(group) for group in tool.at_least_one] == ([at_least] if at_least else [])


@each_tool
def test_what_the_api_really_requires(tool: Tool) -> None:
    really = OPERATIONS[tool.name].get("effective_required", {})
    assert set(really.get("all_of", ())) <= set(tool.schema.get("required", ()))
    for group in really.get("one_of", ()):
        asked = {*tool.schema.get("required", ()), *sum((*tool.exactly_one, *tool.at_least_one), ())}
        assert asked & set(group)


@each_tool
def test_request(tool: Tool) -> None:
    operation = OPERATIONS[tool.name]
    path = "/v1" + "".join(f"/{segment}" for segment in tool.request.path)
    for (name, mine), theirs in RENAMED.items():
        if name == tool.name:
            path = path.replace(f"{{{mine}}}", f"{{{theirs}}}")
    assert (tool.request.method, path) == (operation["method"], operation["path"])


def test_where_money_and_people_stand() -> None:
    tools = CONNECTOR.tools
    charge, refund = tools["stripe_create_charge"].money, tools["stripe_create_refund"].money
    assert charge is not None
    assert refund is not None
    assert [place.text for place in (*charge.amount, *charge.currency)] == ["amount", "currency"]
    assert [place.text for place in refund.amount] == ["amount", "before.amount"]
    assert [place.text for place in refund.currency] == ["before.currency"]
    assert list(map(str, tools["stripe_create_customer"].roles["recipient"])) == ["email"]
    # a refund's currency is that of its charge, so the lookup reads the charge
    lookup = tools["stripe_create_refund"].lookup
    assert lookup is not None
    assert lookup.names == ("charge",)
    assert {"amount", "currency"} <= FIXTURES["charge"].keys()


def test_api_version_is_that_of_the_data() -> None:
    assert str(CONNECTOR.headers["Stripe-Version"]) == OPERATIONS["_meta"]["api_version"]


# --- parameters ------------------------------------------------------------------------------------------


@each_tool
def test_every_parameter_is_offered_or_left_out_for_a_reason(tool: Tool) -> None:
    assert LEFT_OUT[tool.name].keys() <= set(REASONS)
    left_out = " ".join(LEFT_OUT[tool.name].values()).split()
    assert len(left_out) == len(set(left_out))
    offered = set(_offered(tool.name, tool.schema))
    assert not offered & set(left_out), "offered, though the table leaves it out"
    known = set(_known(OPERATIONS[tool.name]["params"], offered))
    assert offered | set(left_out) == known


def _offered(tool: str, schema: Any, path: str = "") -> Iterator[str]:
    for name, member in schema.get("properties", {}).items():
        here = path + RENAMED.get((tool, name), name)
        yield here
        yield from _offered(tool, member.get("items", member), here + ".")


def _known(fields: dict[str, Any], offered: set[str], path: str = "") -> Iterator[str]:
    """The API's parameters, with the members of those that are offered."""
    for name, field in fields.items():
        yield path + name
        if path + name in offered:
            yield from _known(_object(field).get("fields", {}), offered, f"{path}{name}.")


def _object(field: dict[str, Any]) -> dict[str, Any]:
    for choice in field.get("any_of", ()):
        if choice["type"] == "object":
            field = choice
    return field.get("items", field)  # type: ignore[no-any-return]


@each_tool
def test_types_and_choices(tool: Tool) -> None:
    operation = {"type": "object", "fields": OPERATIONS[tool.name]["params"]}
    faults = list(_unlike(tool.name, tool.schema, operation))
    assert not faults


def _unlike(
    tool: str, mine: Any, theirs: dict[str, Any], path: str = "", longest: Any = None
) -> Iterator[str]:
    """Where a schema says something that the API does not."""
    if "any_of" in theirs:
        faults = [list(_unlike(tool, mine, choice, path, longest)) for choice in theirs["any_of"]]
        yield from () if [] in faults else faults[0]
        return
    kind = {"map": "object", "decimal_string": "string"}.get(theirs["type"], theirs["type"])
    if mine.get("type") != kind:
        yield f"{path}: {mine.get('type')} where the API has {kind}"
    if "enum" in theirs and not (mine.get("enum") and set(mine["enum"]) <= set(theirs["enum"])):
        yield f"{path}: {mine.get('enum')} where the API has {theirs['enum']}"
    limits = theirs.get("runtime_limits", {})
    if mine.get("minimum", 0) < limits.get("minimum", 0):
        yield f"{path}: minimum {mine.get('minimum')} where the API has {limits['minimum']}"
    most = theirs.get("maxLength", (longest or {}).get(path))
    if "maxLength" in mine and most is not None and mine["maxLength"] > most:
        yield f"{path}: maxLength {mine['maxLength']} where the API has {most}"
    if theirs["type"] == "map":
        yield from _unlike(tool, mine["additionalProperties"], theirs["values"], path + ".*")
    if theirs["type"] == "array":
        yield from _unlike(tool, mine["items"], theirs["items"], path + "[]", longest)
    fields = theirs.get("fields", {})
    for name, member in mine.get("properties", {}).items():
        name = RENAMED.get((tool, name), name)
        if name not in fields:
            yield f"{path}.{name}: not a parameter of the API"
            continue
        lengths = {
            key: value.get("maxLength") for key, value in fields[name].get("nested_constraints", {}).items()
        }
        yield from _unlike(
            tool, member, fields[name], f"{path}.{name}".strip("."), {**(longest or {}), **lengths}
        )
    missing = {name for name, field in fields.items() if field.get("required")} - {
        RENAMED.get((tool, name), name) for name in mine.get("required", ())
    }
    if "properties" in mine and missing:
        yield f"{path}: {sorted(missing)} must be required"


@each_tool
def test_metadata_has_the_apis_limits(tool: Tool) -> None:
    metadata = tool.schema["properties"].get("metadata")
    if tool.category == "write":
        assert (metadata["maxProperties"], metadata["additionalProperties"]["maxLength"]) == (50, 500)
    else:
        assert metadata is None


@each_tool
def test_lists_have_the_apis_pages(tool: Tool) -> None:
    pages = OPERATIONS[tool.name].get("pagination")
    assert (tool.pagination is not None) == (pages is not None)
    if tool.pagination is None:
        return
    assert {pages["limit_param"], *pages["cursor_params"]} == set(tool.pagination.params)
    assert str(tool.pagination.items) == pages["items_field"]
    assert str(tool.pagination.more) == pages["has_more_field"]
    assert isinstance(tool.pagination.next, dict)
    assert {name: str(place) for name, place in tool.pagination.next.items()} == {
        "starting_after": "data.-1.id"
    }
    limits = OPERATIONS[tool.name]["params"]["limit"]["runtime_limits"]
    limit = tool.schema["properties"]["limit"]
    assert (limit["minimum"], limit["maximum"]) == (limits["minimum"], limits["maximum"])


@pytest.mark.parametrize(
    ("tool", "arguments", "fits"),
    [
        ("stripe_create_charge", {"amount": 4200, "currency": "usd", "customer": "cus_1"}, True),
        ("stripe_create_charge", {"amount": 4200, "currency": "USD", "customer": "cus_1"}, False),
        ("stripe_create_charge", {"amount": 4200, "currency": "us", "customer": "cus_1"}, False),
        ("stripe_create_charge", {"amount": 0, "currency": "usd", "customer": "cus_1"}, False),
        ("stripe_create_charge", {"amount": 150_000_000, "currency": "idr", "customer": "cus_1"}, True),
        ("stripe_create_charge", {"amount": 10**12, "currency": "usd", "customer": "cus_1"}, False),
        (
            "stripe_create_charge",
            {"amount": 4200, "currency": "usd", "source": "tok_1", "capture": False},
            False,
        ),
        ("stripe_create_customer", {"balance": -5000}, False),
        ("stripe_create_customer", {"metadata": {"a": "x" * 501}}, False),
        ("stripe_create_customer", {"metadata": {str(n): "x" for n in range(51)}}, False),
        ("stripe_create_customer", {"address": {"country": "DE", "planet": "Earth"}}, False),
        ("stripe_create_invoice", {"customer": "cus_1", "auto_advance": True}, False),
        ("stripe_create_subscription", {"customer": "cus_1", "items": []}, False),
        ("stripe_create_subscription", {"customer": "cus_1", "items": [{"quantity": 2}]}, False),
        (
            "stripe_create_subscription",
            {"customer": "cus_1", "items": [{"price": "price_1", "quantity": 2}]},
            True,
        ),
        ("stripe_create_product", {"name": "A", "default_price_data": {"currency": "usd"}}, False),
        (
            "stripe_create_product",
            {"name": "A", "default_price_data": {"currency": "usd", "unit_amount": 0}},
            True,
        ),
        ("stripe_list_charges", {"created": {"gte": 1, "lt": 2}}, True),
        ("stripe_list_charges", {"created": {"from": 1}}, False),
        ("stripe_get_invoice", {"invoice": "in_1", "expand": ["customer"]}, False),
    ],
)
def test_arguments(tool: str, arguments: dict[str, Any], fits: bool) -> None:
    assert build_validator(CONNECTOR.tools[tool].schema).is_valid(arguments) is fits


# --- replies ---------------------------------------------------------------------------------------------


@each_tool
def test_sample_is_of_the_apis_shape(tool: Tool) -> None:
    kind = TOOLS[tool.name][5]
    objects = [tool.sample]
    if tool.pagination is not None:
        assert tool.sample.keys() == {"object", "url", "has_more", "data"}
        assert (tool.sample["object"], "/v1" + tool.sample["url"].removeprefix("/v1")) == (
            "list",
            OPERATIONS[tool.name]["path"],
        )
        objects = tool.sample["data"]
        assert objects
    for found in objects:
        faults = list(_misshapen(found, FIXTURES[kind], SOMETIMES_NULL.get(kind, set())))
        assert not faults


def _misshapen(sample: Any, fixture: Any, nullable: set[str], path: str = "") -> Iterator[str]:
    """Where a sample has a key or a type that the fixture has not; the fixture's null may be anything."""
    if fixture is None or sample is None:
        if sample is None and fixture is not None and not isinstance(fixture, dict) and path not in nullable:
            yield f"{path}: null where the fixture has {fixture!r}"
    elif type(sample) is not type(fixture):
        yield f"{path}: {type(sample).__name__} where the fixture has {type(fixture).__name__}"
    elif isinstance(sample, dict) and path.split(".")[-1] != "metadata":
        for key, value in sample.items():
            here = f"{path}.{key}".strip(".")
            if key not in fixture:
                yield f"{here}: not in the fixture"
            else:
                yield from _misshapen(value, fixture[key], nullable, here)
    elif isinstance(sample, list) and fixture:
        for value in sample:
            yield from _misshapen(value, fixture[0], nullable, path + "[]")


@each_tool
def test_every_field_finds_something(tool: Tool) -> None:
    assert tool.fields is not None
    alike = [other.sample for other in CONNECTOR.tools.values() if other.fields == tool.fields]
    objects = [found for sample in alike for found in sample.get("data", [sample])]
    lost = [str(place) for place in tool.fields if not _is_known(place, objects)]
    assert not lost


def _is_known(place: Place, objects: list[Any]) -> bool:
    keys = place.keys[:-1] if place.keys[-1] == "*" else place.keys
    found = Place(place.text, keys)
    if any(found.all(each) for each in objects):
        return True
    if keys[0] in EXPANDED:
        return bool(Place(place.text, keys[1:]).all(FIXTURES[EXPANDED[keys[0]]]))
    if keys[:3] == ("payments", "data", "payment"):
        # younger than the fixtures; the official client names it
        return (
            "payments" in stripe.Invoice.__annotations__
            and keys[3] in stripe.InvoicePayment.Payment.__annotations__
        )
    return str(place) in DELETED


@each_tool
def test_expand_brings_only_what_the_fields_keep(tool: Tool) -> None:
    expand = tool.schema["properties"].get("expand")
    if expand is not None:
        assert tool.fields is not None
        for value in expand["items"]["enum"]:
            assert any(str(place).startswith(value.removeprefix("data.") + ".") for place in tool.fields)


# --- what people and agents are told ---------------------------------------------------------------------


@each_tool
def test_writes_have_a_summary(tool: Tool) -> None:
    assert (tool.summary is None) == (tool.category == "read")


def test_the_whole_list_stays_small() -> None:
    grant = Grant(open_account(CONNECTOR, {}), load_policy("full-access", "preset"))
    tools = build_toolset(App("test", (grant,))).listing()["tools"]
    assert len(tools) == len(TOOLS)
    assert len(json.dumps({"tools": tools}, separators=(",", ":")).encode()) < 11_000


def test_the_story_is_about_these_tools() -> None:
    path = ROOT / "connectors" / "stripe.demo.yaml"
    story = read_story(path.name, path.read_bytes())
    assert story.run[0] == CONNECTOR.name
    assert [case.expect for case in story.cases] == ["allow", "allow", "deny", "deny", "deny"]
    assert [case.rule for case in story.cases] == ["", "", "max_value", "allow_values", "preset"]
    assert any(case.shows_request for case in story.cases)
    for case in story.cases:
        assert build_validator(CONNECTOR.tools[case.tool].schema).is_valid(case.arguments)
