"""The tools that tell an agent what it has: all that it is offered, and nothing beyond that."""

from __future__ import annotations

import asyncio
import dataclasses
import json
from typing import Any

import pytest

from mcpgate.apps import App, Grant, open_account
from mcpgate.discovery import DISCOVERY_TOOLS, LIST_CONNECTORS, TOOL_METADATA, discover, risk_of
from mcpgate.engine.client import Client
from mcpgate.engine.http import HTTPBackend
from mcpgate.errors import ArgumentsError, UnknownToolError
from mcpgate.gateway import Gateway
from mcpgate.json_schema import build_validator
from mcpgate.secrets import Scrubber
from mcpgate.store.memory import MemoryStore
from mcpgate.toolset import Toolset, build_toolset
from tests.policy.shop import EVERYTHING, app, connector, policy

MAIL = """
connector: mail
title: Mail
description: Letters.
docs: https://mail.example/docs
base_url: https://api.mail.example
tools:
  mail_send_letter:
    description: Send a letter.
    category: write
    request: POST /letters
    params: { to: { type: string } }
    effects: [message]
    summary: "Send a letter to {to}"
  mail_rename_draft:
    description: Rename a draft.
    category: write
    request: POST /drafts
    params: { name: { type: string } }
    effects: []
"""


def toolset(rules: str = "", switches: str = "") -> Toolset:
    """The shop and the mail under one app."""
    everything = policy(EVERYTHING)
    grants = tuple(Grant(open_account(each, {}), everything) for each in (connector(), connector(MAIL)))
    return build_toolset(
        App(
            "test",
            grants,
            switches=(policy(switches),) if switches else (),
            rules=(policy(rules),) if rules else (),
        )
    )


def told(found: Toolset, name: str, **arguments: Any) -> Any:
    outcome = discover(found, name, arguments)
    assert not outcome.is_error
    return json.loads(outcome.text)


def test_connectors() -> None:
    assert told(toolset(), LIST_CONNECTORS) == [
        {"connector": "shop", "title": "Shop", "preset": "everything", "tools": 6},
        {
            "connector": "mail",
            "title": "Mail",
            "description": "Letters.",
            "docs": "https://mail.example/docs",
            "preset": "everything",
            "tools": 2,
        },
    ]


def test_the_metadata_of_one_tool() -> None:
    assert told(toolset(), TOOL_METADATA, tool="mail_send_letter") == [
        {
            "tool": "mail_send_letter",
            "title": "Send letter",
            "connector": "mail",
            "category": "write",
            "risk": "high",
            "effects": ["message"],
            "summary": "Send a letter to {to}",
        }
    ]


@pytest.mark.parametrize(
    ("tool", "risk"),
    [
        ("shop_list_orders", "low"),
        ("mail_rename_draft", "medium"),
        ("shop_create_order", "high"),
        ("shop_send_note", "high"),
        ("shop_delete_order", "high"),
    ],
)
def test_risk(tool: str, risk: str) -> None:
    assert risk_of(toolset().find(tool).tool) == risk
    harmless = dataclasses.replace(toolset().find("shop_delete_order").tool, effects=())
    assert risk_of(harmless) == "high"


@pytest.mark.parametrize("arguments", [{}, {"tool": None}])
@pytest.mark.parametrize(
    ("rules", "switches"),
    [
        ("", ""),
        ("deny: [shop_send_note]", ""),
        ("", "deny: [mail_send_letter]"),
        ("deny: ['effect:message']", ""),
        ("allow: [read]", ""),
        ("", "deny: ['*']"),
    ],
)
def test_no_more_is_told_than_is_listed(rules: str, switches: str, arguments: dict[str, Any]) -> None:
    """Also not by a count, a guess at what was meant, or another error than for what was never there."""
    found = toolset(rules, switches)
    listed = [tool["name"] for tool in found.listing()["tools"]]
    assert [each["tool"] for each in told(found, TOOL_METADATA, **arguments)] == listed
    assert sum(each["tools"] for each in told(found, LIST_CONNECTORS)) == len(listed)
    for name in set(found.entries) - set(listed):
        with pytest.raises(ArgumentsError) as denied:
            discover(found, TOOL_METADATA, {"tool": name})
        with pytest.raises(ArgumentsError) as absent:
            discover(found, TOOL_METADATA, {"tool": "q" + name[1:] + "q"})
        assert denied.value.message.startswith(f"There is no tool '{name}' here")
        assert absent.value.message.startswith("There is no tool 'q")
        with pytest.raises(ArgumentsError) as nearly:
            discover(found, TOOL_METADATA, {"tool": name[:-1]})
        assert f"'{name}'" not in nearly.value.message


@pytest.mark.parametrize(
    ("name", "arguments", "says"),
    [
        (LIST_CONNECTORS, {"tool": "shop_list_orders"}, f"{LIST_CONNECTORS} takes no argument 'tool'"),
        (TOOL_METADATA, {"tol": "x"}, f"{TOOL_METADATA} takes no argument 'tol'; did you mean 'tool'?"),
        (TOOL_METADATA, {"tool": "shop_list_orders", "more": 1}, "takes no argument 'more'"),
        (TOOL_METADATA, {"tool": 1}, "tool must be a string"),
        (TOOL_METADATA, {"tool": True}, "tool must be a string"),
        (TOOL_METADATA, {"tool": ["shop_list_orders"]}, "tool must be a string"),
        (TOOL_METADATA, {"tool": {"x": 1}}, "tool must be a string"),
        (TOOL_METADATA, {"tool": ""}, "There is no tool ''"),
        (TOOL_METADATA, {"tool": "*"}, "There is no tool '*'"),
        (TOOL_METADATA, {"tool": "Shop_list_orders"}, "did you mean 'shop_list_orders'?"),
        (TOOL_METADATA, {"tool": LIST_CONNECTORS}, "There is no tool"),
    ],
)
def test_arguments_that_cannot_be_used(name: str, arguments: dict[str, Any], says: str) -> None:
    with pytest.raises(ArgumentsError) as refused:
        discover(toolset(), name, arguments)
    assert says in refused.value.message


@pytest.mark.parametrize("arguments", [{"x" * 100_000: 1}, {"tool": "x" * 100_000}])
def test_a_long_word_is_not_repeated(arguments: dict[str, Any]) -> None:
    with pytest.raises(ArgumentsError) as refused:
        discover(toolset(), TOOL_METADATA, arguments)
    assert len(refused.value.message) < 200


@pytest.mark.parametrize("tool", DISCOVERY_TOOLS, ids=lambda tool: tool["name"])
def test_they_take_what_their_schemas_say(tool: dict[str, Any]) -> None:
    """Whatever the schema refuses is refused, and nothing else."""
    validator = build_validator(tool["inputSchema"])
    candidates: list[dict[str, Any]] = [{}, {"tool": "shop_list_orders"}, {"tool": 1}, {"other": "x"}]
    for arguments in candidates:
        try:
            discover(toolset(), tool["name"], arguments)
        except ArgumentsError:
            assert list(validator.iter_errors(arguments)), arguments
        else:
            assert not list(validator.iter_errors(arguments)), arguments


# --- through the gateway ---------------------------------------------------------------------------------


def gateway(discovery: bool) -> Gateway:
    holder = dataclasses.replace(app("deny: [shop_send_note]"), discovery=discovery)
    return Gateway(build_toolset(holder), HTTPBackend(Client(lambda *_: None)), MemoryStore(), Scrubber())


@pytest.mark.parametrize("name", [LIST_CONNECTORS, TOOL_METADATA])
def test_they_are_off_unless_the_app_wants_them(name: str) -> None:
    off, on = gateway(False), gateway(True)
    names = [tool["name"] for tool in off.listing()["tools"]]
    assert name not in names
    assert [tool["name"] for tool in on.listing()["tools"]] == [*names, LIST_CONNECTORS, TOOL_METADATA]
    with pytest.raises(UnknownToolError):
        asyncio.run(off.call(name, {}))
    outcome = asyncio.run(on.call(name, {}))
    assert not outcome.is_error
    assert "shop_send_note" not in outcome.text
    assert asyncio.run(on.call(name, {"nothing": 1})).is_error
