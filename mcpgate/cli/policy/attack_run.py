"""Carries out the attempts of an attack on a policy: each by the real steps, and nothing is sent."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from typing import Final

from mcpgate.attack.account import overdrawn
from mcpgate.attack.attempt import Attempt, Shot, Target
from mcpgate.attack.honest import Refusal, honest_call, plain_call
from mcpgate.attack.plan import Attack, uncovered
from mcpgate.attack.reach import by_effect, counts, counts_calls, is_denied, reaches, takes_away, target_of
from mcpgate.attack.tricks.tools import forbidden_tool
from mcpgate.attack.volleys import Volley, volleys
from mcpgate.cli.policy.attack_bench import Bench, Held, with_accounts
from mcpgate.cli.policy.attack_volley import fire, too_many, without_policy
from mcpgate.toolset import Entry, Toolset
from mcpgate.values import Policy, Request, Rule, Tool

_IN_FULL: Final = 2
_MOST_HOLLOW: Final = 3
# in one volley: tools, and calls where every way is tried
_MOST_TOOLS: Final = 3
_MOST_IN_FULL: Final = 60
SELECTION: Final = "allow and deny"


@dataclass(frozen=True, slots=True)
class Through:
    """An attempt that got through: what arrives that the rule should have refused."""

    rule: str
    origin: str
    tool: str
    attempt: Attempt
    arrives: str
    request: Request
    taken: bool


@dataclass
class Report:
    """What was tried on a policy, and what became of it."""

    rules: int = 0
    counts: dict[tuple[int, str], dict[str, int]] = field(default_factory=dict)
    through: list[Through] = field(default_factory=list)
    not_tried: list[str] = field(default_factory=list)
    by_rule: dict[str, int] = field(default_factory=dict)

    @property
    def attempts(self) -> int:
        """How often something was tried."""
        return sum(sum(by.values()) for by in self.counts.values())

    @property
    def in_numbers(self) -> bool:
        """Whether calls were made in numbers, as rules that count are attacked."""
        return any(row == 5 for row, _ in self.counts)

    def count(self, attempt: Attempt, label: str, by: str) -> None:
        """Enter what became of an attempt."""
        found = self.counts.setdefault((attempt.row, attempt.trick), {})
        found[by] = found.get(by, 0) + 1
        self.by_rule[label] = self.by_rule.get(label, 0) + 1


def attack(policy: Policy, toolset: Toolset) -> Report:
    """Attack every rule of a policy, and what it takes away."""
    bench, report = Bench(with_accounts(toolset)), Report()
    allowed = _attack_selection(bench, policy, report)
    for rule in policy.rules:
        _attack_rule(bench, policy, rule, allowed, report)
    report.not_tried += dict.fromkeys(_beside(rule, policy, allowed) for rule in policy.rules)
    report.not_tried = [note for note in report.not_tried if note]
    return report


def _beside(rule: Rule, policy: Policy, allowed: list[Entry]) -> str:
    """The tools that share an effect with those that a rule names, and that no rule reaches."""
    effects = {effect for entry in allowed if reaches(rule, entry.tool) for effect in entry.tool.effects}
    others = [
        entry.tool.name
        for entry in allowed
        if effects & set(entry.tool.effects) and not any(reaches(each, entry.tool) for each in policy.rules)
    ]
    if by_effect(rule) or not others or rule.mode == "observe":
        return ""
    names = ", ".join(selector.text for selector in rule.selectors)
    return (
        f"row 6 on rules for {names}: they name tools, and no rule reaches {', '.join(others)}, with an"
        " effect in common; mcpgate policy lint looks at that"
    )


# --- tools that are denied -------------------------------------------------------------------------------


def _attack_selection(bench: Bench, policy: Policy, report: Report) -> list[Entry]:
    """Call every tool that the policy takes away; gives those that are left."""
    entries = list(bench.gateway.toolset.entries.values())
    open_ones = [entry for entry in entries if entry.denied is None and not is_denied(policy, entry.tool)]
    denied = [entry for entry in entries if is_denied(policy, entry.tool)]
    rules = _rules(bench)
    honest = next((shot for entry in open_ones[:3] if (shot := _honest(bench, entry, rules))), None)
    for entry in denied:
        _attack_tool(bench, entry.tool, honest, SELECTION, policy.name, report)
    report.rules += bool(denied)
    return open_ones


def _attack_tool(
    bench: Bench, tool: Tool, honest: Shot | None, label: str, origin: str, report: Report
) -> None:
    """Whatever is called: no request of this tool may be built."""
    for attempt in forbidden_tool(plain_call(tool), honest):
        made = bench.fire(attempt)
        if isinstance(made, Held):
            report.count(attempt, label, made.by)
        elif made.request.tool.name == tool.name or (attempt.two_readings and made.taken):
            report.count(attempt, label, "through")
            arrives = f"{tool.name} is called, which the policy denies"
            report.through.append(
                Through(label, origin, tool.name, attempt, arrives, made.request, made.taken)
            )
        else:
            report.count(attempt, label, "harmless" if made.taken else "arguments")


def _honest(bench: Bench, entry: Entry, rules: Iterable[Rule]) -> Shot | None:
    shot, problem = honest_call(entry.tool, rules, bench.probe)
    return None if problem else shot


# --- guardrails ------------------------------------------------------------------------------------------


def _attack_rule(bench: Bench, policy: Policy, rule: Rule, allowed: list[Entry], report: Report) -> None:
    label = f"{rule.template} ({rule.origin})"
    if rule.mode == "observe":
        report.not_tried.append(f"{label}: it only watches (mode: observe)")
        return
    reached = [entry for entry in allowed if reaches(rule, entry.tool)]
    tried = 0
    for entry in bench.gateway.toolset.entries.values():
        left = reaches(rule, entry.tool) and not is_denied(policy, entry.tool)
        if left and takes_away(rule, entry.tool):
            _attack_tool(bench, entry.tool, None, label, rule.origin, report)
            tried += 1
    for entry in reached:
        if takes_away(rule, entry.tool) or counts_calls(rule):
            continue
        tried += _attack_on_tool(bench, rule, entry, label, report, nth=tried)
    if counts(rule):
        counted = [entry for entry in reached if not takes_away(rule, entry.tool)]
        tried += _attack_in_numbers(bench, policy, rule, counted, label, report)
    report.rules += bool(tried)
    if not tried and not any(note.startswith(label) for note in report.not_tried):
        report.not_tried.append(f"{label}: no tool that is left has what it guards")


def _attack_on_tool(bench: Bench, rule: Rule, entry: Entry, label: str, report: Report, nth: int) -> bool:
    target, rules = target_of(rule, entry.tool), _rules(bench)
    if not target.spots and rule.template not in ("time_window", "block_delete"):
        return False
    hollow: list[Shot] = []
    honest, problem = honest_call(
        entry.tool, rules, lambda shot: _probe(bench, target, rules, shot, hollow), rule
    )
    attacked = Attack(target, honest, rules)
    for shot in hollow[:_MOST_HOLLOW]:
        _judge(bench, Attack(target, shot, rules), Attempt(4, "a call as any other", shot), label, report)
    if problem:
        report.not_tried.append(f"{label} on {entry.tool.name}: no call was found that passes ({problem})")
        return bool(hollow)
    blind = _is_blind(bench, attacked)
    note = blind or uncovered(attacked)
    if note:
        report.not_tried.append(f"{label} on {entry.tool.name}: {note}")
    if blind:
        return False
    same_effect = nth > 0 and by_effect(rule)
    for attempt in attacked.attempts(lightly=nth >= _IN_FULL):
        if same_effect and attempt.row == 0:
            attempt = replace(attempt, row=6, trick="another tool of the same kind")
        _judge(bench, attacked, attempt, label, report)
    return True


def _attack_in_numbers(
    bench: Bench, policy: Policy, rule: Rule, entries: list[Entry], label: str, report: Report
) -> bool:
    """Row 5: calls of the tools that a rule counts, together more than it lets through."""
    calls = []
    for entry in entries:
        found, problem = too_many(bench, _rules(bench), rule, entry)
        calls += [found] if found else []
        report.not_tried += [f"{label} on {entry.tool.name}: {problem}"] if problem else []
    if not calls:
        return False
    start = calls[0][0].now
    if overdrawn(rule, without_policy(bench, calls[0], start)) is None:
        report.not_tried.append(f"{label}: the judge does not see what is too much")
        return False
    for volley in volleys(rule, calls[:_MOST_TOOLS], start, lightly=len(calls[0]) > _MOST_IN_FULL):
        if volley.apps == 1 or policy.kind != "preset":
            _fire(bench, rule, volley, label, report)
    return True


def _fire(bench: Bench, rule: Rule, volley: Volley, label: str, report: Report) -> None:
    made, arrived = fire(volley, bench.gateway.toolset)
    found = overdrawn(rule, arrived)
    if found is not None:
        arrives, last = found
        wire = last.wire
        attempt = Attempt(
            5, volley.trick, Shot(wire.tool, dict(wire.request.arguments), wire.before, last.at)
        )
        report.through.append(
            Through(rule.template, rule.origin, wire.tool.name, attempt, arrives, wire.request, taken=True)
        )
    told = found is None
    for shot, stopped in made:
        by = stopped or ("harmless" if told else "through")
        told = told or by == "through"
        report.count(Attempt(5, volley.trick, shot), label, by)


def _probe(
    bench: Bench, target: Target, rules: tuple[Rule, ...], shot: Shot, hollow: list[Shot]
) -> Refusal | None:
    """As the bench's own, and a call is good only if what arrives is: one that is not is kept in `hollow`."""
    made = bench.make(shot.tool.name, shot.arguments, shot)
    if isinstance(made, Held):
        return bench.probe(shot)
    arrives = Attack(target, shot, rules).judge(bench.wire(made.request, shot))
    if not arrives:
        return None
    hollow.append(shot)
    return Refusal(arrives, tuple(".".join(keys) for keys in target.spots))


def _judge(bench: Bench, attacked: Attack, attempt: Attempt, label: str, report: Report) -> None:
    made = bench.fire(attempt)
    if isinstance(made, Held):
        report.count(attempt, label, made.by)
        return
    arrives = attacked.judge(bench.wire(made.request, attempt.shot))
    if not arrives and attempt.two_readings and made.taken:
        arrives = "the line was taken, and other parsers read the forbidden call in it"
    report.count(attempt, label, "through" if arrives else "harmless" if made.taken else "arguments")
    if arrives:
        rule, tool = attacked.target.rule, attacked.target.tool.name
        report.through.append(
            Through(rule.template, rule.origin, tool, attempt, arrives, made.request, made.taken)
        )


def _is_blind(bench: Bench, attacked: Attack) -> str:
    """Before the attack the judge is shown forbidden calls that no policy has looked at: it must see them."""
    shown = 0
    for breach in attacked.breaches():
        shot = breach.on(attacked.honest)
        request = None if breach.trick and not breach.now else bench.without_policy(shot)
        if request is not None:
            shown += 1
            if attacked.judge(bench.wire(request, shot)):
                return ""
    return "the judge does not see what it forbids" if shown else ""


def _rules(bench: Bench) -> tuple[Rule, ...]:
    """Every rule that calls must pass here, whoever made it."""
    app = bench.gateway.toolset.app
    policies = [policy for grant in app.grants for layer in app.layers(grant) for policy in layer.policies]
    return tuple({id(rule): rule for policy in policies for rule in policy.rules}.values())
