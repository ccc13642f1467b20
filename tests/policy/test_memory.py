"""Rules that count: windows that slide, what is given back and what is kept, and what a denial says."""

from __future__ import annotations

from typing import Any

import pytest

from mcpgate.apps import App
from mcpgate.cli.stories import Rehearsal, Result
from mcpgate.places import MISSING
from mcpgate.policy.binding import Layer, bind
from mcpgate.policy.call import Call, UndecidableError
from mcpgate.policy.decide import counts, decide, structure
from mcpgate.policy.rule import BoundRule, LayerName, evaluate, tally_of
from mcpgate.spec.story import Case
from mcpgate.toolset import build_toolset
from mcpgate.values import Fate, Tally
from tests.policy.shop import app, connector, guarded, judge, order, policy

ORDER, REFUND, PAYOUT, NOTE = (
    "shop_create_order",
    "shop_create_refund",
    "shop_create_payout",
    "shop_send_note",
)
MINUTE, HOUR, DAY, WEEK = 60.0, 3600.0, 86400.0, 604800.0
# Tuesday, 24 November 2026, 00:00 UTC
MIDNIGHT = 1795478400.0


class Till:
    """A gate that sends nothing, and remembers what it let pass."""

    def __init__(self, *guardrails: str) -> None:
        self._rehearsal = Rehearsal(build_toolset(guarded(*guardrails)))

    def call(
        self,
        at: float = 0.0,
        tool: str = ORDER,
        fate: Fate = "succeeded",
        before: Any = MISSING,
        **given: Any,
    ) -> Result:
        """What becomes of a call so many seconds after midnight."""
        case = Case(tool, given, "allow", before=before, at=MIDNIGHT + at, outcome=fate)
        return self._rehearsal.decide_case(case)

    def order(self, amount: int, at: float = 0.0, fate: Fate = "succeeded", currency: str = "usd") -> bool:
        """Whether an order passes."""
        return self.call(at, fate=fate, amount=amount, currency=currency).came == "allow"


def budget(more: str = "usd: 1000", per: str = "day", reached: str = "effect:money_in") -> str:
    return f"{{ for: '{reached}', budget: {{ {more}, per: {per} }} }}"


# --- windows ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("per", "seconds"), [("minute", MINUTE), ("hour", HOUR), ("day", DAY), ("week", WEEK)]
)
def test_a_window_is_the_last_so_many_seconds(per: str, seconds: float) -> None:
    """Whatever the clock strikes in between: minute, hour, day and, for most starts, week begin anew."""
    for start in (-1.0, -seconds / 2, 0.0, seconds / 3):
        sums, calls = Till(budget(per=per)), Till(f"{{ for: write, rate_limit: {{ max: 1, per: {per} }} }}")
        assert sums.order(1000, start)
        assert calls.order(1, start)
        for later in (0.0, 1.0, seconds / 2, seconds - 0.01):
            assert not sums.order(1, start + later)
            assert not calls.order(1, start + later)
        assert sums.order(1000, start + seconds)
        assert calls.order(1, start + seconds)


def test_a_daily_quota_is_of_the_last_24_hours() -> None:
    till = Till("{ for: write, daily_quota: { max: 2 } }")
    assert [till.order(1, at) for at in (-2, -1, 1, DAY - 2.01, DAY - 2, DAY - 1.5, DAY - 1)] == [
        *(True, True, False, False, True, False, True)
    ]


def test_sums_drop_out_of_a_window_one_by_one() -> None:
    till = Till(budget(per="hour"))
    assert till.order(400, 0)
    assert till.order(600, 1800)
    assert not till.order(1, HOUR - 1)
    assert not till.order(401, HOUR)
    assert till.order(400, HOUR)
    assert not till.order(1, HOUR + 1799)
    assert till.order(600, HOUR + 1800)


# --- what is given back, and what is kept ----------------------------------------------------------------


@pytest.mark.parametrize("rule", [budget("usd: 100"), "{ for: write, rate_limit: { max: 1, per: day } }"])
@pytest.mark.parametrize(
    ("fates", "passes"),
    [
        (["succeeded"], False),
        (["failed"], True),
        (["failed", "failed", "failed"], True),
        (["unknown"], False),
        # a repeat goes under the key of the first, which may have acted whatever becomes of the repeat
        (["unknown", "succeeded"], False),
        (["unknown", "failed"], False),
        (["unknown", "unknown", "failed"], False),
    ],
)
def test_a_failure_gives_back_and_the_unknown_is_kept(rule: str, fates: list[Fate], passes: bool) -> None:
    till = Till(rule)
    # the same call again is never denied here: it is either given back, or counted once
    assert [till.order(100, fate=fate) for fate in fates] == [True] * len(fates)
    assert till.order(99) is passes


def test_an_unknown_call_is_kept_as_long_as_its_window() -> None:
    till = Till(budget("usd: 100", "minute"))
    assert till.order(100, fate="unknown")
    assert not till.order(1, 59.9)
    assert till.order(100, 60, fate="failed")
    assert not till.order(1, 61), "its repeat failed, and it may have acted under the same key"


def test_a_read_of_an_unknown_outcome_counts_as_read() -> None:
    till = Till("{ for: read, rate_limit: { max: 2, per: hour } }")
    fates: list[Fate] = ["failed", "unknown", "failed", "unknown", "succeeded"]
    assert [till.call(tool="shop_list_orders", fate=fate).came for fate in fates] == ["allow"] * 4 + ["deny"]


# --- what counts together --------------------------------------------------------------------------------


def test_tools_that_a_rule_reaches_share_one_counter() -> None:
    till = Till("{ for: [write, delete], rate_limit: { max: 3, per: hour } }")
    said = [
        till.call(tool=ORDER, amount=1).came,
        till.call(tool="shop_list_orders").came,
        till.call(tool="shop_delete_order", order="o").came,
        till.call(tool=NOTE, text="x").came,
        till.call(tool=NOTE, text="y").came,
        till.call(tool="shop_list_orders").came,
    ]
    assert said == ["allow"] * 4 + ["deny", "allow"]


def test_a_budget_counts_every_tool_with_its_effect() -> None:
    till = Till(budget("usd: 1000", "day", "effect:money_out"))
    known = {"amount": 600, "currency": "usd"}
    assert till.call(tool=REFUND, order="o", before=known).came == "allow"
    assert till.call(tool=PAYOUT, currency="usd", parts=[{"amount": 300}, {"amount": 101}]).came == "deny"
    assert till.call(tool=PAYOUT, currency="usd", parts=[{"amount": 300}, {"amount": 100}]).came == "allow"
    assert till.call(tool=REFUND, order="o", amount=1, before=known).came == "deny"
    assert till.order(5000)


def test_each_currency_has_its_own_sum_however_it_is_written() -> None:
    till = Till(budget("usd: 1000, jpy: 50"))
    assert till.order(1000, currency="usd")
    assert not till.order(1, currency="USD")
    assert till.order(30, currency="JPY")
    assert not till.order(21, currency="jpy")
    assert till.order(20, currency="Jpy")


def test_negative_amounts_spend_and_refill_nothing() -> None:
    till = Till(budget("usd: 1000"))
    assert till.order(900)
    assert not till.order(-101)
    assert till.order(-100)
    assert not till.order(1)
    assert till.order(0)


def test_repeats_are_the_same_tool_with_the_same_canonical_arguments() -> None:
    till = Till("{ for: [write, delete], repeat_block: { max: 1, per: day } }")
    assert till.call(amount=5, currency="usd", tags=["a", "b"]).came == "allow"
    again: list[dict[str, Any]] = [
        {"tags": ["a", "b"], "currency": "usd", "amount": 5.0},
        {"amount": 5, "currency": "usd", "tags": ["a", "b"], "note": None},
        {"amount": 5, "currency": "usd", "tags": ["a", "b"], "urgent": "no"},
    ]
    assert [till.call(1, **each).came for each in again] == ["deny"] * 3
    assert till.call(1, amount=5, currency="usd", tags=["b", "a"]).came == "allow"
    assert till.call(1, tool="shop_delete_order", order="o").came == "allow"
    assert till.call(DAY, amount=5, currency="usd", tags=["a", "b"]).came == "allow"


def test_what_only_observes_counts_as_well_and_lets_pass() -> None:
    till = Till("{ for: write, budget: { usd: 100, per: day }, mode: observe }")
    came = [till.call(amount=100, currency="usd") for _ in range(2)]
    assert [each.came for each in came] == ["allow", "allow"]
    verdicts = [[step.verdict for step in each.trace if step.rule == "budget"] for each in came]
    assert verdicts == [["allow"], ["observe"]]


# --- closed ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("tool", "arguments", "before", "says"),
    [
        (ORDER, {"amount": 1, "currency": "eur"}, MISSING, 'no budget is set for "eur"'),
        (ORDER, {"amount": 1}, MISSING, "the currency of this call is not known"),
        (ORDER, {"currency": "usd"}, MISSING, "the amount of this call is not known"),
        (REFUND, {"order": "o", "amount": 1}, MISSING, "the currency of this call is not known"),
        (REFUND, {"order": "o"}, {"currency": "usd"}, "the amount of this call is not known"),
        (REFUND, {"order": "o"}, {"currency": "usd", "amount": "9"}, "is not a whole number"),
        (
            PAYOUT,
            {"currency": "usd", "parts": [{"amount": 1}, {}]},
            MISSING,
            "the amount of this call is not",
        ),
        (NOTE, {"text": "x"}, MISSING, "what shop_send_note moves cannot be told"),
    ],
)
def test_what_is_not_known_is_denied(tool: str, arguments: dict[str, Any], before: Any, says: str) -> None:
    for missing in ("deny", "allow"):
        rule = f"{{ for: write, budget: {{ usd: 1000, per: day }}, when_missing: {missing} }}"
        decision = judge(guarded(rule), tool, arguments, before)
        assert decision.reason is not None
        assert says in decision.reason.says


def test_a_ledger_that_cannot_be_asked_denies() -> None:
    def broken(tally: Tally) -> int:
        raise OSError("a disk at /secret/place")

    toolset = build_toolset(guarded(budget()))
    entry = toolset.find(ORDER)
    found = decide(entry.bound, Call(entry.tool, {"amount": 1, "currency": "usd"}), broken)
    assert found.verdict == "deny"
    assert "/secret/place" not in repr(found)


# --- what is asked of the ledger -------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("layer", "grant", "everyone"),
    [
        ("app", "", False),
        ("account", "", True),
        ("ceiling", "shop", True),
        ("preset", "shop", False),
        ("rules", "", False),
    ],
)
def test_a_counter_belongs_to_the_layer_that_holds_the_rule(
    layer: LayerName, grant: str, everyone: bool
) -> None:
    tool = connector().tools[ORDER]
    rules = policy(f"guardrails:\n  - {budget('usd: 5, eur: 5', 'week')}\n")
    _, bound = bind(tool, (Layer(layer, (rules,)),))
    assert isinstance(bound, BoundRule)
    tally = tally_of(bound, Call(tool, {"amount": 1, "currency": "EUR"}))
    assert tally is not None
    assert (tally.seconds, tally.currency, tally.identical) == (WEEK, "eur", False)
    assert [selector.text for selector in tally.selectors] == ["effect:money_in"]
    assert (tally.grant, tally.everyone) == (grant, everyone)


def test_only_rules_that_count_ask_the_ledger() -> None:
    tool = connector().tools[ORDER]

    def bound(*guardrails: str) -> Any:
        rules = policy("guardrails:\n" + "".join(f"  - {line}\n" for line in guardrails))
        return bind(tool, (Layer("rules", (rules,)),))

    single = "{ for: write, max_amount: { usd: 5 }, max_value: { field: amount, max: 5 } }"
    assert not counts(bound(single))
    assert counts(bound(single, "{ for: write, daily_quota: { max: 5 } }"))
    assert not counts(bound(single, "{ for: read, daily_quota: { max: 5 } }"))
    _, amount, value = bound(single)
    call = Call(tool, {"amount": 5, "currency": "usd"})
    assert tally_of(amount, call) is tally_of(value, call) is None
    _, summed = bound(budget())
    with pytest.raises(UndecidableError):
        tally_of(summed, Call(tool, {"amount": 5}))


# --- in words --------------------------------------------------------------------------------------------


def said(holder: App, spent: int, **arguments: Any) -> str:
    """What a rule says of an order after so much was spent."""
    entry = build_toolset(holder).find(ORDER)
    (bound,) = (step for step in entry.bound if isinstance(step, BoundRule))
    found = evaluate(bound, Call(entry.tool, order(**arguments)[1]), lambda tally: spent)
    assert found.verdict == "deny"
    assert structure(found)["rule"] == bound.rule.template
    return f"{found.says}. Passes: {found.passes}."


@pytest.mark.parametrize(
    ("rule", "spent", "amount", "says"),
    [
        (
            "budget: { usd: 10000, eur: 5, per: day }",
            6000,
            6000,
            "6000 usd (60.00 USD) is over what is left: 4000 usd (40.00 USD) of 10000 usd (100.00 USD) in "
            "24 hours. Passes: amount ≤ 4000 usd, or the same once earlier calls are 24 hours old.",
        ),
        (
            "budget: { usd: 10000, per: minute }",
            # more than the limit, which was lowered since
            12000,
            1,
            "1 usd (0.01 USD) is over what is left: 0 usd (0.00 USD) of 10000 usd (100.00 USD) in 60 seconds."
            " Passes: the same once earlier calls are 60 seconds old.",
        ),
        (
            "budget: { usd: 10000, per: week }",
            0,
            10001,
            "10001 usd (100.01 USD) is over the whole budget of 10000 usd (100.00 USD) in 7 days."
            " Passes: amount ≤ 10000 usd, less what was spent.",
        ),
        (
            "rate_limit: { max: 30, per: hour }",
            30,
            1,
            "30 calls went out in the last 60 minutes, and at most 30 may."
            " Passes: the same once earlier calls are 60 minutes old.",
        ),
        (
            "daily_quota: { max: 1 }",
            1,
            1,
            "1 call went out in the last 24 hours, and at most 1 may."
            " Passes: the same once earlier calls are 24 hours old.",
        ),
        (
            "repeat_block: { max: 1, per: minute }",
            2,
            1,
            "2 calls with the same arguments went out in the last 60 seconds, and at most 1 may."
            " Passes: the same once earlier calls are 60 seconds old.",
        ),
        ("rate_limit: { max: 0, per: hour }", 0, 1, "no calls are allowed. Passes: ."),
    ],
)
def test_a_denial_says_what_is_left_and_when_more_passes(
    rule: str, spent: int, amount: int, says: str
) -> None:
    assert said(guarded(f"{{ for: {ORDER}, {rule} }}"), spent, amount=amount, currency="usd") == says


def test_the_figures_of_a_denial_stand_beside_its_words() -> None:
    till = Till(f"{{ for: {ORDER}, budget: {{ usd: 1000, per: day }}, reason: Ask Ada. }}")
    assert till.order(900)
    result = till.call(amount=101, currency="usd")
    assert (result.came, result.rule) == ("deny", "budget")
    assert result.says.startswith("Denied by budget: 101 usd (1.01 USD) is over what is left: 100 usd")
    assert result.says.endswith("Ask Ada.")
    (finding,) = (step for step in result.trace if step.verdict == "deny")
    assert (finding.field, finding.limit, finding.value) == ("amount", 1000, 101)


def test_a_rule_that_asks_denies_until_there_are_approvals() -> None:
    till = Till("{ for: write, daily_quota: { max: 1 }, mode: ask }")
    assert till.order(1)
    assert "which asks a person first" in till.call(amount=1, currency="usd").says


def test_an_account_wide_rule_and_the_apps_own_hold_together() -> None:
    own = f"guardrails:\n  - {budget('usd: 500')}\n"
    rehearsal = Rehearsal(build_toolset(app(own, account=f"policy: house\nguardrails:\n  - {budget()}\n")))
    given = {"amount": 501, "currency": "usd"}
    result = rehearsal.decide_case(Case(ORDER, given, "deny", at=MIDNIGHT))
    assert [(step.layer, step.verdict) for step in result.trace if step.rule == "budget"] == [
        ("account", "allow"),
        ("rules", "deny"),
    ]
