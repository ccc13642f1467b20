"""A policy under judgement, and every tool in its reach with all that is bound to it there. Pure.

Looked at are the tools that are allowed, and the rules that are enforced: a rule that observes covers
nothing, one that asks a person does. Rules of every layer cover; only the policy's own are judged.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from mcpgate.policy.binding import Bound, Layer, bind, settled
from mcpgate.policy.lint.counting import together
from mcpgate.policy.lint.coverage import MONEY_EFFECTS, SUMS, covers, gaps
from mcpgate.policy.lint.redundancy import idle, needless, taken_away
from mcpgate.policy.rule import BoundRule
from mcpgate.selectors import first_match
from mcpgate.values import Finding, Policy, Rule, Tool


@dataclass(frozen=True, slots=True)
class Held:
    """A tool, and everything that is bound to it."""

    tool: Tool
    bound: Bound

    @property
    def allowed(self) -> bool:
        """Whether it is not denied whatever it is given."""
        return settled(self.bound) is None

    @property
    def enforced(self) -> list[BoundRule]:
        """The rules that a call has to pass."""
        return [step for step in self.bound if isinstance(step, BoundRule) and step.rule.mode != "observe"]

    @property
    def always_asks(self) -> bool:
        """Whether a person is asked whatever it is given."""
        return any(isinstance(step, Finding) and step.verdict == "ask" for step in self.bound)

    def denied_before(self, own: Finding | BoundRule) -> Finding | None:
        """What denies the tool before a rule of its own is asked."""
        for step in self.bound:
            if isinstance(step, Finding):
                if isinstance(own, Finding) and (step.source, step.says) == (own.source, own.says):
                    return None
                if step.verdict == "deny":
                    return step
        return None

    def over(self, step: BoundRule) -> BoundRule | None:
        """The first rule beside which this one is needless; of two that are alike, that is the later one."""
        before = True
        for other in self.enforced:
            if other is step:
                before = False
                continue
            alike = needless(step, other, self.tool) and needless(other, step, self.tool)
            if taken_away(step, other) or (needless(step, other, self.tool) and (before or not alike)):
                return other
        return None


@dataclass(frozen=True, slots=True)
class Reached:
    """A tool that a rule reaches, what the rule is there, and what denies the tool before it."""

    held: Held
    step: Finding | BoundRule
    denied: Finding | None

    @property
    def idle(self) -> str:
        """Why the rule denies nothing here; empty where it does."""
        if isinstance(self.step, BoundRule):
            return idle(self.step, self.held.tool)
        return f"{self.held.tool.name} passes it whatever it is given" if self.step.verdict == "allow" else ""


@dataclass(frozen=True, slots=True)
class Judged:
    """A policy, and every tool in its reach."""

    policy: Policy
    every: Sequence[Held]

    @property
    def allowed(self) -> list[Held]:
        """The tools that are not denied whatever they are given."""
        return [held for held in self.every if held.allowed]

    @property
    def rules(self) -> list[Rule]:
        """The enforced rules of the policy itself, those of what it extends left aside."""
        own = (rule for rule in self.policy.rules if rule.policy == self.policy.name)
        return [rule for rule in own if rule.mode != "observe"]

    def place(self, held: Held) -> str:
        """Where the policy allows a tool; empty where it does not say."""
        selector = first_match(self.policy.allow or (), held.tool)
        return "" if selector is None else selector.origin

    def live(self, rule: Rule) -> list[tuple[Held, BoundRule]]:
        """The allowed tools at which a rule may deny something, and the rule as it is there."""
        found = [(held, step) for held in self.allowed for step in held.enforced if step.rule is rule]
        return [(held, step) for held, step in found if not idle(step, held.tool)]

    def reached(self, rule: Rule) -> list[Reached]:
        """Every tool that a rule reaches, allowed or not."""
        alone = ((held, _bind_alone(rule, held.tool)) for held in self.every)
        return [Reached(held, step, held.denied_before(step)) for held, step in alone if step is not None]

    def bare(self, effect: str) -> list[Held]:
        """The allowed tools with an effect that no rule covers."""
        acting = [held for held in self.allowed if effect in held.tool.effects and not held.always_asks]
        return [held for held in acting if not covers(effect, held.tool, held.enforced)]

    def around_budget(self, effect: str) -> tuple[list[Rule], list[Held]]:
        """The policy's budgets over an effect, and the other ways to it, on which nothing counts calls."""
        acting = [held for held in self.allowed if effect in held.tool.effects and not held.always_asks]
        steps = [step.rule for held in acting for step in held.enforced if step.rule.template == "budget"]
        budgets = [rule for rule in self.rules if any(rule is each for each in steps)]
        bare = self.bare(effect)
        return budgets, [held for held in acting if not together(held.enforced) and held not in bare]

    def observed(self) -> list[tuple[Rule, list[str]]]:
        """Each rule that observes what moves money, with the tools where nothing else limits it."""
        bare = {held.tool.name: held.tool for effect in MONEY_EFFECTS for held in self.bare(effect)}
        found: list[tuple[Rule, list[str]]] = []
        for rule in (each for each in self.policy.rules if each.mode == "observe"):
            names = [name for name, tool in bare.items() if _would_cover(rule, tool)]
            found += [(rule, names)] if names else []
            bare = {name: tool for name, tool in bare.items() if name not in names}
        return found


def _bind_alone(rule: Rule, tool: Tool) -> Finding | BoundRule | None:
    """What a rule is at a tool, whatever else is bound there; None where it does not reach it."""
    alone = Policy(rule.policy, "policy", "", None, (), (rule,))
    return next(iter(bind(tool, (Layer("rules", (alone,)),))[1:]), None)


def _would_cover(rule: Rule, tool: Tool) -> bool:
    step = _bind_alone(rule, tool)
    if isinstance(step, BoundRule):
        return not gaps(tool, [step])
    return step is not None and rule.template in SUMS
