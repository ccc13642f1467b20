"""What is shipped and what the documentation shows is attacked: nothing gets through."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from mcpgate import catalog
from mcpgate.attack.families import ASSAULTS
from mcpgate.cli.policy.attack_run import Report, attack
from mcpgate.cli.policy.scope import open_scopes
from mcpgate.policy.templates import TEMPLATES
from mcpgate.spec.yaml_text import load
from tests.attack.attacked import attacked, told

ROOT = Path(__file__).parents[2]
ORDER, NOTE = "shop_create_order", "shop_send_note"


def attack_file(path: Path | str, *presets: str) -> Report:
    """The report on one file, on the connectors that it is for."""
    (scope,) = open_scopes([str(path)], [], presets)
    return attack(scope.policy, scope.toolset)


def recipes() -> Iterator[tuple[str, str]]:
    """Every preset and policy that the documentation shows whole, but those with a fault."""
    for page in [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]:
        for block in re.findall(r"```yaml\n(# [\w-]+\.yaml\n.*?)```", page.read_text("utf-8"), re.DOTALL):
            if re.search(r"^(?:preset|policy): ", block, re.MULTILINE):
                yield f"{page.stem}-{block[2:].partition('.yaml')[0]}", block


RECIPES = dict(recipes())


def test_the_documentation_has_recipes() -> None:
    assert {"policies-refunds", "policies-billing-bot", "policy-language-till"} <= set(RECIPES)


@pytest.mark.parametrize("name", RECIPES)
def test_nothing_gets_round_a_recipe(name: str, tmp_path: Path) -> None:
    path = tmp_path / f"{name.rpartition('-')[2]}.yaml"
    path.write_text(RECIPES[name])
    report = attack_file(path)
    assert not report.through, told(report)
    assert report.attempts >= 200
    assert not [note for note in report.not_tried if "no call was found" in note or "judge" in note]


@pytest.mark.parametrize("preset", sorted(catalog.names("presets")))
def test_nothing_gets_round_a_shipped_preset(preset: str) -> None:
    report = attack_file(preset)
    assert not report.through, told(report)
    assert (report.attempts >= 100) == bool(report.rules)


def test_nothing_gets_round_the_policy_of_the_demo(tmp_path: Path) -> None:
    path = ROOT / "connectors" / "stripe.demo.yaml"
    story = load(str(path), path.read_bytes()).value
    file = tmp_path / "till.yaml"
    file.write_text(json.dumps(story["policy"]))
    report = attack_file(file, "transact")
    assert not report.through, told(report)
    assert report.rules == 2
    assert report.attempts >= 300


# --- every template --------------------------------------------------------------------------------------

EXAMPLES: dict[str, tuple[str, dict[str, Any]]] = {
    "max_value": (ORDER, {"field": "amount", "max": 500}),
    "min_value": (ORDER, {"field": "ratio", "min": 0.5}),
    "value_range": (ORDER, {"field": "items.quantity", "min": 1, "max": 5}),
    "allow_values": (ORDER, {"field": "size", "values": ["s", "m"]}),
    "block_values": (ORDER, {"field": "items.price", "values": ["p1", "p2"]}),
    "required_fields": (ORDER, {"fields": ["metadata.order", "address.country"]}),
    "block_fields": (ORDER, {"fields": ["metadata.order", "labels", "address.geo.lat"]}),
    "max_items": (ORDER, {"field": "tags", "max": 2}),
    "block_delete": ("delete", {}),
    "max_amount": (ORDER, {"usd": 500, "eur": 400}),
    "keyword_block": (NOTE, {"keywords": ["refund", "wire transfer"]}),
    "content_length": (NOTE, {"field": "text", "max_length": 40}),
    "secret_block": (NOTE, {}),
    "block_mass_mentions": (NOTE, {}),
    "require_prefix": (NOTE, {"field": "text", "prefix": "docs/"}),
    "allow_prefix": (NOTE, {"field": "to", "prefix": ["cus_", "acct_"]}),
    "block_pattern": (NOTE, {"pattern": r"(?i)invoice #[0-9]{4}"}),
    "allow_pattern": (NOTE, {"field": "to", "pattern": "[a-z]{3}-[0-9]+"}),
    "block_urls": (NOTE, {"allow_domains": ["example.com"]}),
    "allow_domains": (NOTE, {"field": "to", "domains": ["example.com", "*.example.org"]}),
    "block_domains": (NOTE, {"field": "to", "domains": ["example.com"]}),
    "allow_addresses": (NOTE, {"field": "to", "addresses": ["jane@example.com"]}),
    "block_addresses": (NOTE, {"field": "to", "addresses": ["jane@example.com"]}),
    "max_recipients": (NOTE, {"field": "to", "max": 2}),
    "block_external": (NOTE, {"field": "to", "domain": "example.com"}),
    "protect_branches": (NOTE, {"field": "to", "branches": ["main", "release/*"]}),
    "allow_repos": (NOTE, {"field": "to", "repos": ["acme/site", "acme/docs-*"]}),
    "deny_past_dates": (NOTE, {"field": "to"}),
    "time_window": (NOTE, {"tz": "Europe/Berlin", "days": ["mon", "fri"], "from": "22:00", "to": "06:00"}),
    "max_duration": (NOTE, {"start": "to", "end": "text", "max": 3600}),
    "pii_block": (NOTE, {"entities": ["email", "card", "iban"]}),
    "rate_limit": ("write", {"max": 3, "per": "hour"}),
    "daily_quota": (NOTE, {"max": 2}),
    "repeat_block": ("write", {"max": 1, "per": "day"}),
    "budget": ("effect:money_in", {"usd": 2000, "eur": 900, "per": "day"}),
}


def test_every_template_has_an_attack_of_its_own() -> None:
    settled, counted = {"block_delete"}, {"rate_limit", "daily_quota", "repeat_block"}
    assert set(EXAMPLES) == set(TEMPLATES)
    assert set(ASSAULTS) == set(TEMPLATES) - settled - counted


@pytest.mark.parametrize("form", [False, True], ids=["json", "form"])
@pytest.mark.parametrize("template", EXAMPLES)
def test_nothing_gets_round_a_template(template: str, form: bool) -> None:
    selector, config = EXAMPLES[template]
    guardrail = {"for": selector, template: config}
    if template == "max_value":
        guardrail["allow_values"] = {"field": "currency", "values": ["usd"]}
    report = attacked(guardrail, form=form)
    assert not report.through, told(report)
    assert not report.not_tried
    assert report.attempts >= (20 if template in ("time_window", "block_delete") else 100)
    assert not any("failure" in by for by in report.counts.values())


# --- what is really open ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("guardrail", "row", "arrives"),
    [
        (
            {"for": ORDER, "max_value": {"field": "amount", "max": 500}},
            3,
            "and no rule limits the currency",
        ),
        (
            {"for": ORDER, "max_value": {"field": "ratio", "max": 5}, "when_missing": "allow"},
            4,
            "ratio is left out",
        ),
        (
            {"for": ORDER, "allow_values": {"field": "size", "values": ["s"]}, "when_missing": "allow"},
            4,
            "size is left out",
        ),
    ],
)
def test_what_a_policy_leaves_open_is_told(guardrail: dict[str, Any], row: int, arrives: str) -> None:
    report = attacked(guardrail)
    assert report.through
    assert {each.attempt.row for each in report.through} == {row}
    assert any(arrives in each.arrives for each in report.through)


def test_a_cap_whose_currency_is_limited_elsewhere_is_closed() -> None:
    report = attacked(
        {"for": ORDER, "max_value": {"field": "amount", "max": 500}},
        {"for": "effect:money_in", "max_amount": {"usd": 900}},
    )
    assert not report.through, told(report)


@pytest.mark.parametrize(
    ("guardrail", "why"),
    [
        ({"for": ORDER, "mode": "observe", "max_value": {"field": "ratio", "max": 5}}, "only watches"),
        ({"for": ORDER, "mode": "ask", "max_amount": {"usd": 5}, "min_value": {"field": "amount", "min": 9}},
         "no call was found that passes"),
        ({"for": NOTE, "block_domains": {"domains": ["example.com"]}}, "no tool that is left"),
        ({"for": "shop_create_refund", "max_value": {"field": "amount", "max": 5}}, "another currency"),
    ],
)  # fmt: skip
def test_what_could_not_be_tried_is_said(guardrail: dict[str, Any], why: str) -> None:
    assert any(why in note for note in attacked(guardrail).not_tried)


def test_a_harmless_spelling_counts_as_held() -> None:
    report = attacked({"for": ORDER, "max_value": {"field": "ratio", "max": 50000}})
    by = report.counts[(2, "-0.0")]
    assert by == {"harmless": 1}
    assert not report.through
