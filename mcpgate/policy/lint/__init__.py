"""What a policy leaves open, and which of its rules do nothing: a function for each kind of remark. Pure."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Final, TypeAlias

from mcpgate import money
from mcpgate.policy.binding import Bound
from mcpgate.policy.fields import subschemas
from mcpgate.policy.lint.counting import lets_nothing_pass
from mcpgate.policy.lint.coverage import MONEY_EFFECTS, SUMS, amounts, gaps, limits_amount
from mcpgate.policy.lint.judged import Held, Judged
from mcpgate.policy.lint.names import nearest, unborne, unmasked
from mcpgate.policy.lint.redundancy import (
    always_given,
    fields,
    places,
    taken_away,
    values_listed,
    values_refused,
)
from mcpgate.policy.templates import TEMPLATES
from mcpgate.selectors import names_tools
from mcpgate.values import EFFECTS, Finding, Policy, Tool

_NAMED_AT_MOST: Final = 5
_DOES: Final[Mapping[str, str]] = {
    "money_in": "bring money in",
    "money_out": "pay money out",
    "commitment": "bind someone to pay later",
    "reversal": "undo something earlier",
    "erase": "erase data for good",
    "message": "write to people",
}


@dataclass(frozen=True, slots=True)
class Remark:
    """One thing that there is to say: of which tools, where (`file:line`, or empty), and what to do."""

    code: str
    place: str
    tools: tuple[str, ...]
    says: str
    remedy: str


Find: TypeAlias = Callable[[Judged], Iterator[Remark]]


@dataclass(frozen=True, slots=True)
class Lint:
    """One kind of remark: its line of documentation, and how it is found."""

    line: str
    find: Find


def lint(policy: Policy, every: Sequence[tuple[Tool, Bound]]) -> list[Remark]:
    """All there is to say of a policy, given every tool in its reach with what is bound to it there."""
    judged = Judged(policy, [Held(tool, bound) for tool, bound in every])
    return [remark for each in LINTS.values() for remark in each.find(judged)]


def find_uncovered(judged: Judged) -> Iterator[Remark]:
    """Effects that no rule limits."""
    observed = {name for _, names in judged.observed() for name in names}
    for effect in EFFECTS:
        moves = effect in MONEY_EFFECTS
        bare = [held for held in judged.bare(effect) if not moves or held.tool.name not in observed]
        if bare:
            limited = "how much" if moves else "it"
            says = f"{_said(bare)} can {_DOES[effect]} ({effect}), and no rule limits {limited}"
            how = f"Limit {_bounds(bare)}" if moves else f"Write a guardrail `for: effect:{effect}`"
            remedy = f"{how}; or write {_deny(bare)}"
            yield Remark("uncovered", judged.place(bare[0]), _names(bare), says, remedy)


def find_observed_only(judged: Judged) -> Iterator[Remark]:
    """Money effects whose only limits observe."""
    for rule, names in judged.observed():
        says = f"{_listed(names)} can move money, and {rule.template} only observes it: nothing is refused"
        remedy = "Take `mode: observe` out, or add a limit that is enforced"
        yield Remark("observed-only", rule.origin, tuple(names), says, remedy)


def find_around_budget(judged: Judged) -> Iterator[Remark]:
    """Ways to move money that a budget over the same effect does not count."""
    told: set[str] = set()
    for effect in MONEY_EFFECTS:
        budgets, ways = judged.around_budget(effect)
        around = [held for held in ways if held.tool.name not in told]
        if budgets and around:
            told |= {held.tool.name for held in around}
            says = (
                f"{_said(around)} can {_DOES[effect]} ({effect}) as well, as often as it is called, and the "
                f"budget counts none of it"
            )
            remedy = (
                f"Write the budget `for: effect:{effect}`, or one more for {_said(around)};"
                f" or write {_deny(around)}"
            )
            yield Remark("around-budget", budgets[0].origin, _names(around), says, remedy)


def find_no_currency(judged: Judged) -> Iterator[Remark]:
    """Amounts that are capped while their currency is open."""
    for rule in judged.rules:
        if rule.template not in ("max_value", "value_range"):
            continue
        capped = [held for held, step in judged.live(rule) if limits_amount(held.tool, step)]
        bare = [held for held in capped if not _currency_is_fixed(held)]
        if bare and bare[0].tool.money is not None:
            cap, currency = rule.config["max"], bare[0].tool.money.currency[0].text
            sums = f"{money.show(cap, 'usd')}, but {money.show(cap, 'jpy')}"
            says = f"{_said(bare)} may move up to {cap} in any currency, and {cap} is {sums}"
            remedy = (
                f"Add allow_values: {{ field: {currency}, values: [usd] }},"
                f" or write max_amount: {{ usd: {cap} }}, which has a limit for each currency"
            )
            yield Remark("no-currency", rule.origin, _names(bare), says, remedy)


def find_open_when_missing(judged: Judged) -> Iterator[Remark]:
    """Limits on an amount that let a call pass which leaves it out."""
    for rule in judged.rules:
        if rule.when_missing == "deny" or TEMPLATES[rule.template].block:
            continue
        for held, step in judged.live(rule):
            looked_at = set(places(step)) & set(amounts(held.tool))
            if any(not always_given(held.tool.schema, keys) for keys in looked_at):
                field = fields(step)
                more = "all that is left" if held.tool.lookup is not None else "any amount"
                says = f"{rule.template} lets {held.tool.name} pass without {field}, which can mean {more}"
                remedy = f"Take `when_missing: allow` out, so that {field} has to be given"
                yield Remark("open-when-missing", rule.origin, (held.tool.name,), says, remedy)


def find_deletes(judged: Judged) -> Iterator[Remark]:
    """Delete tools that are allowed."""
    found = [held for held in judged.allowed if held.tool.category == "delete" and not held.always_asks]
    if found:
        says = f"{_said(found)} can delete, and {'is' if len(found) == 1 else 'are'} allowed"
        remedy = f"If that is not meant, write {_deny(found)}, or deny: [delete] for every such tool"
        yield Remark("deletes", judged.place(found[0]), _names(found), says, remedy)


def find_takes_away(judged: Judged) -> Iterator[Remark]:
    """Limits that deny a whole tool, because it has not what they limit."""
    for rule in judged.rules:
        if TEMPLATES[rule.template].looks_at == "tool":
            continue
        open_to_it = [each for each in judged.reached(rule) if each.denied is None]
        gone = [each for each in open_to_it if isinstance(each.step, Finding) and each.step.verdict == "deny"]
        if gone and isinstance(gone[0].step, Finding):
            tools = [each.held for each in gone]
            says = f"{rule.template} takes {_said(tools)} away altogether: {gone[0].step.says}"
            remedy = (
                f"If that is meant, say so: {_deny(tools)}. If not, name under `for` only what it can limit"
            )
            yield Remark("takes-away", rule.origin, _names(tools), says, remedy)


def find_never_fires(judged: Judged) -> Iterator[Remark]:
    """Rules that can deny nothing."""
    for rule in judged.rules:
        reached = judged.reached(rule)
        tools = _names([each.held for each in reached])
        denied = [each.denied for each in reached if each.denied is not None]
        idle = [each.idle for each in reached if each.denied is None]
        if not reached:
            if all(map(names_tools, rule.selectors)):
                continue  # each of these names is remarked upon by itself
            selectors = ", ".join(selector.text for selector in rule.selectors)
            says, remedy = f"no tool here is {selectors}", "Correct its `for`, or take it out"
        elif len(denied) == len(reached):
            says, remedy = f"no tool it is for is allowed; {denied[0].says}", "Take it out"
        elif all(idle):
            says, remedy = idle[0], "Tighten it, or take it out"
        else:
            continue
        yield Remark("never-fires", rule.origin, tools, f"{rule.template} can deny nothing: {says}", remedy)


def find_shadowed(judged: Judged) -> Iterator[Remark]:
    """Rules beside which another one is at least as tight."""
    for rule in judged.rules:
        live = judged.live(rule)
        over = [held.over(step) for held, step in live]
        if not over or over[0] is None or None in over:
            continue
        held, step, other = [held for held, _ in live], live[0][1], over[0]
        at = f"{other.rule.template} ({other.rule.origin})"
        says = f"{rule.template} denies nothing that {at} does not deny as well at {_said(held)}"
        remedy = "Take it out, or tighten it"
        if taken_away(step, other) and step.closed:
            asked = f"{rule.template} asks for {fields(step)}, and {at} blocks it"
            says = f"{asked}, so that no call of {_said(held)} passes"
            remedy = "Take one of the two out"
        yield Remark("shadowed", rule.origin, _names(held), says, remedy)


def find_never_passes(judged: Judged) -> Iterator[Remark]:
    """Limits that let nothing pass which the tool itself takes, and those that are reached from the start."""
    yield from _find_zeros(judged)
    for rule in judged.rules:
        for held, step in judged.live(rule):
            taken = values_refused(step, held.tool)
            if taken:
                field, listed = fields(step), _listed([str(value) for value in taken])
                what = f"no call of {held.tool.name}" if step.closed else f"no {field} of {held.tool.name}"
                says = f"{rule.template} lets {what} pass: {field} takes {listed}, and none of them passes"
                near = nearest(str(rule.config.get("values", [""])[0]), map(str, taken))
                remedy = f"Write {near or 'what it takes'}; or write {_deny([held])}"
                yield Remark("never-passes", rule.origin, (held.tool.name,), says, remedy)


def _find_zeros(judged: Judged) -> Iterator[Remark]:
    for rule in judged.rules:
        live = judged.live(rule)
        if live and lets_nothing_pass(live[0][1]):
            held = [held for held, _ in live]
            what = "money" if rule.template == "budget" else "call"
            says = f"{rule.template} lets no {what} of {_said(held)} pass: 0 is reached before the first"
            remedy = f"Write how much may pass; or write {_deny(held)}"
            yield Remark("never-passes", rule.origin, _names(held), says, remedy)


def find_matches_nothing(judged: Judged) -> Iterator[Remark]:
    """Tool names and globs that no tool here bears."""
    names = [held.tool.name for held in judged.every]
    for selector in unborne(judged):
        near = nearest(selector.text, names) or "the name of a tool"
        says = f"no tool here is called '{selector.text}'"
        yield Remark("matches-nothing", selector.origin, (), says, f"Write {near}, or take it out")


def find_masks_nothing(judged: Judged) -> Iterator[Remark]:
    """Masked names that are in no reply."""
    for place, names in unmasked(judged):
        near = nearest(place.keys[-1], names) or "a name that a reply has"
        says = (
            f"mask: '{place}' is neither in the fields nor in the sample of a tool here, so it hides nothing"
        )
        yield Remark("masks-nothing", "", (), says, f"Write {near}, or take it out")


LINTS: Final[Mapping[str, Lint]] = {
    "uncovered": Lint(
        "An allowed tool has an effect, above all on money, that no rule limits.", find_uncovered
    ),
    "observed-only": Lint("What limits a tool that moves money only observes.", find_observed_only),
    "around-budget": Lint(
        "A tool has the same effect on money as those that a budget counts, and nothing counts its calls.",
        find_around_budget,
    ),
    "no-currency": Lint("An amount is capped while its currency is open.", find_no_currency),
    "open-when-missing": Lint(
        "A limit on an amount lets calls pass that leave the amount out.", find_open_when_missing
    ),
    "deletes": Lint("A tool that deletes is allowed.", find_deletes),
    "takes-away": Lint("A limit denies a whole tool, because it has not what is limited.", find_takes_away),
    "never-fires": Lint(
        "A rule can deny nothing: it is for no allowed tool, or the tool itself takes nothing it would deny.",
        find_never_fires,
    ),
    "never-passes": Lint(
        "A limit lets no call pass: the tool itself takes only values that it denies, or it counts up to 0.",
        find_never_passes,
    ),
    "matches-nothing": Lint("A tool name or glob is that of no tool in reach.", find_matches_nothing),
    "masks-nothing": Lint(
        "A masked name is in no reply: neither in the fields nor in the sample of an allowed tool.",
        find_masks_nothing,
    ),
    "shadowed": Lint(
        "Another rule on the same tools and field, or over the same calls, is at least as tight.",
        find_shadowed,
    ),
}


def _currency_is_fixed(held: Held) -> bool:
    """Whether a rule, or the tool itself, says which currencies there may be."""
    spots = [] if held.tool.money is None else [place.keys for place in held.tool.money.currency]
    listing = [step for step in held.enforced if step.rule.template == "allow_values"]
    if any(keys in spots for step in listing for keys in places(step)):
        return True
    if any(step.rule.template in SUMS for step in held.enforced):
        return True
    schemas = [schema for keys in spots for schema in subschemas(held.tool.schema, keys)]
    return bool(schemas) and all(len(values_listed(schema)) == 1 for schema in schemas)


def _bounds(bare: Sequence[Held]) -> str:
    """What would bound the sum, tool by tool."""
    parts = []
    for held in bare:
        untold = "" if held.tool.money else ", whose arguments do not say what it moves,"
        parts.append(f"{held.tool.name}{untold} with {_listed(gaps(held.tool, held.enforced))}")
    return ", and ".join(parts)


def _deny(held: Sequence[Held]) -> str:
    return f"deny: [{', '.join(_names(held))}]"


def _names(held: Sequence[Held]) -> tuple[str, ...]:
    return tuple(each.tool.name for each in held)


def _said(held: Sequence[Held]) -> str:
    return _listed(_names(held))


def _listed(words: Sequence[str]) -> str:
    """Words as a sentence has them, never all of very many."""
    if len(words) > _NAMED_AT_MOST:
        return f"{', '.join(words[:_NAMED_AT_MOST])} and {len(words) - _NAMED_AT_MOST} more"
    return " and ".join(filter(None, [", ".join(words[:-1]), *words[-1:]]))
