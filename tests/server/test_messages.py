"""The conversation by itself: what a line leads to, and that nothing it says is outside of the protocol."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mcpgate.server.messages import MOST_AT_ONCE, Call, Cancelled, Conversation
from tests.server.example_server import LISTING
from tests.server.models import check
from tests.server.process import INITIALIZE, OPENING, modern, notification, request, shop, to_line

LISTEN = modern("s", "subscriptions/listen", notifications={"toolsListChanged": True})
CHANGED: Any = {"instructions": "", "tools": [{"name": "shop_new", "inputSchema": {"type": "object"}}]}
ERAS = {"handshake": OPENING, "modern": [modern(0, "server/discover")]}


def talk(*messages: Any) -> tuple[Conversation, list[dict[str, Any]], list[Call | Cancelled]]:
    """A conversation after these messages: what it said, and what is to be done."""
    conversation, said, steps = Conversation(LISTING, "1.2.3"), list[dict[str, Any]](), []
    for message in messages:
        step = conversation.receive(to_line(message))
        if isinstance(step, bytes):
            said += parsed(step)
        elif step is not None:
            steps.append(step)
    check(messages, said)
    return conversation, said, steps


def parsed(lines: bytes) -> list[dict[str, Any]]:
    assert not lines or lines.endswith(b"\n")
    return [json.loads(line) for line in lines.splitlines()]


def in_era(era: str, request_id: Any, method: str, **params: Any) -> dict[str, Any]:
    return (modern if era == "modern" else request)(request_id, method, **params)


@pytest.mark.parametrize("era", ERAS)
def test_a_result_is_text_and_what_it_needs_beside_it(era: str) -> None:
    message = in_era(era, 7, "tools/call", name="shop_get_item", arguments={"item": "é"})
    conversation, _, [call] = talk(*ERAS[era], message)
    assert isinstance(call, Call)
    assert (call.request_id, call.name, call.arguments) == (7, "shop_get_item", {"item": "é"})
    [answer] = parsed(conversation.answer(call, '{"item":"é"}'))
    check([*ERAS[era], message], [answer])
    assert answer["result"].pop("content") == [{"type": "text", "text": '{"item":"é"}'}]
    if era == "modern":
        assert answer["result"] == {
            "resultType": "complete",
            "_meta": {"io.modelcontextprotocol/serverInfo": {"name": "mcpgate", "version": "1.2.3"}},
        }
    else:
        assert answer["result"] == {}


@pytest.mark.parametrize("era", ERAS)
def test_an_error_says_so_and_may_carry_facts(era: str) -> None:
    message = in_era(era, 7, "tools/call", name="shop_get_item")
    conversation, _, [call] = talk(*ERAS[era], message)
    assert isinstance(call, Call)
    [answer] = parsed(
        conversation.answer(call, "No.", structured={"limit": 5, "value": [1.5, None]}, is_error=True)
    )
    check([*ERAS[era], message], [answer])
    assert answer["result"]["isError"] is True
    assert answer["result"]["structuredContent"] == {"limit": 5, "value": [1.5, None]}


@pytest.mark.parametrize("era", ERAS)
def test_a_note_is_a_block_of_its_own(era: str) -> None:
    message = in_era(era, 7, "tools/call", name="shop_get_item")
    conversation, _, [call] = talk(*ERAS[era], message)
    assert isinstance(call, Call)
    [answer] = parsed(conversation.answer(call, "{}", "The same key was used before."))
    check([*ERAS[era], message], [answer])
    texts = [block["text"] for block in answer["result"]["content"]]
    assert texts == ["{}", "The same key was used before."]


def test_a_tool_that_does_not_exist_is_an_error_of_the_protocol() -> None:
    conversation, _, [call] = talk(*OPENING, shop(7))
    assert isinstance(call, Call)
    [answer] = parsed(conversation.refuse(call, "No tool is called that."))
    assert answer == {
        "jsonrpc": "2.0",
        "id": 7,
        "error": {"code": -32602, "message": "No tool is called that."},
    }


def test_what_cannot_be_written_fails_before_the_call_counts_as_answered() -> None:
    conversation, _, [call] = talk(*OPENING, shop(7))
    assert isinstance(call, Call)
    for odd in ({"set": {1}}, {"nan": float("nan")}):
        with pytest.raises((TypeError, ValueError)):
            conversation.answer(call, "", structured=odd)
    assert parsed(conversation.answer(call, "It broke.", is_error=True))


def test_a_cancelled_call_is_never_answered() -> None:
    conversation, said, [call, cancelled] = talk(
        *OPENING, shop(7), notification("notifications/cancelled", requestId=7)
    )
    assert isinstance(call, Call)
    assert isinstance(cancelled, Cancelled)
    assert cancelled.call is call
    assert [message["id"] for message in said] == [0]
    assert conversation.answer(call, "late") == b""
    assert conversation.refuse(call, "late") == b""
    assert conversation.close() == b""


def test_a_late_answer_is_not_taken_for_that_of_a_newer_call() -> None:
    cancel = notification("notifications/cancelled", requestId=7)
    conversation, _, [old, _, new] = talk(*OPENING, shop(7), cancel, shop(7))
    assert isinstance(old, Call)
    assert isinstance(new, Call)
    assert conversation.answer(old, "old") == b""
    [answer] = parsed(conversation.answer(new, "new"))
    assert answer["result"]["content"][0]["text"] == "new"


def test_an_answered_call_cannot_be_cancelled() -> None:
    conversation, _, [call] = talk(*OPENING, shop(7))
    assert isinstance(call, Call)
    assert conversation.answer(call, "done")
    assert conversation.receive(to_line(notification("notifications/cancelled", requestId=7))) is None


@pytest.mark.parametrize("key", [None, True, 7.0, [7], {}])
def test_cancelling_by_no_id_cancels_nothing(key: object) -> None:
    _, _, steps = talk(*OPENING, shop(7), notification("notifications/cancelled", requestId=key))
    assert len(steps) == 1


def test_the_handshake_era_is_told_of_other_tools_without_asking() -> None:
    conversation, _, _ = talk(*OPENING)
    said = parsed(conversation.list_changed(CHANGED))
    check(OPENING, said)
    assert [message["method"] for message in said] == ["notifications/tools/list_changed"]
    message = request(1, "tools/list")
    answer = conversation.receive(to_line(message))
    assert isinstance(answer, bytes)
    assert parsed(answer)[0]["result"]["tools"] == CHANGED["tools"]


@pytest.mark.parametrize("messages", [[], [request(1, "ping")], ERAS["modern"]])
def test_nobody_is_told_who_does_not_wait_for_it(messages: list[Any]) -> None:
    conversation, _, _ = talk(*messages)
    assert conversation.list_changed(CHANGED) == b""


def test_the_modern_era_is_told_on_its_streams() -> None:
    quiet = modern(1, "subscriptions/listen", notifications={"toolsListChanged": False})
    conversation, said, _ = talk(LISTEN, quiet)
    key = "io.modelcontextprotocol/subscriptionId"
    assert [message["params"] for message in said] == [
        {"_meta": {key: "s"}, "notifications": {"toolsListChanged": True}},
        {"_meta": {key: 1}, "notifications": {}},
    ]
    news = parsed(conversation.list_changed(CHANGED))
    check([LISTEN], news)
    assert [(message["method"], message["params"]["_meta"]) for message in news] == [
        ("notifications/tools/list_changed", {key: "s"})
    ]
    assert conversation.receive(to_line(notification("notifications/cancelled", requestId="s"))) is None
    assert conversation.list_changed(CHANGED) == b""


def test_at_the_end_everyone_who_waits_is_told() -> None:
    call = modern(1, "tools/call", name="shop_list_items")
    conversation, _, _ = talk(LISTEN, call)
    ended, unanswered = parsed(conversation.close())
    check([LISTEN, call], [ended, unanswered])
    assert ended["id"] == "s"
    assert ended["result"]["_meta"]["io.modelcontextprotocol/subscriptionId"] == "s"
    assert (unanswered["id"], unanswered["error"]["code"]) == (1, -32000)
    assert conversation.close() == b""


@pytest.mark.parametrize("era", ERAS)
def test_there_is_an_end_to_what_is_carried_out_at_once(era: str) -> None:
    calls = [in_era(era, n, "tools/call", name="x") for n in range(1, MOST_AT_ONCE + 2)]
    conversation, said, steps = talk(*ERAS[era], *calls)
    assert len(steps) == MOST_AT_ONCE
    assert (said[-1]["id"], said[-1]["error"]["code"]) == (MOST_AT_ONCE + 1, -32603)
    assert isinstance(steps[0], Call)
    assert conversation.answer(steps[0], "done")
    assert isinstance(conversation.receive(to_line(in_era(era, "next", "tools/call", name="x"))), Call)


def test_a_line_that_was_too_long_is_refused() -> None:
    conversation = Conversation(LISTING, "1")
    answer = conversation.receive(None)
    assert isinstance(answer, bytes)
    [message] = parsed(answer)
    check([], [message])
    assert (message["id"], message["error"]["code"]) == (None, -32600)


def test_no_instructions_are_left_out() -> None:
    for opening in (INITIALIZE, modern(0, "server/discover")):
        answer = Conversation(CHANGED, "1").receive(to_line(opening))
        assert isinstance(answer, bytes)
        assert "instructions" not in parsed(answer)[0]["result"]


def test_a_long_method_is_not_sent_back_whole() -> None:
    _, said, _ = talk(*OPENING, request(1, "x" * 100_000))
    assert len(json.dumps(said[-1])) < 300


def test_it_is_in_use_from_the_list_on() -> None:
    conversation, _, _ = talk(*OPENING, request(1, "ping"))
    assert not conversation.in_use
    conversation.receive(to_line(request(2, "tools/list")))
    assert conversation.in_use


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=5,
)
keys = st.sampled_from(
    ["name", "arguments", "cursor", "_meta", "requestId", "protocolVersion", "capabilities", "clientInfo"]
)
methods = st.sampled_from(
    [
        *("initialize", "ping", "tools/list", "tools/call", "server/discover", "subscriptions/listen"),
        *("notifications/initialized", "notifications/cancelled", "no/such"),
    ]
)
parts = {
    "jsonrpc": st.just("2.0") | json_values,
    "id": st.integers(0, 3) | json_values,
    "method": methods | json_values,
    "params": st.dictionaries(keys, json_values) | json_values,
}
messages_of_any_kind = st.fixed_dictionaries({}, optional=parts) | json_values


@pytest.mark.parametrize("era", ERAS)
@given(st.lists(messages_of_any_kind, max_size=6))
def test_whatever_comes_each_request_has_one_answer_at_most(era: str, messages: list[Any]) -> None:
    conversation = Conversation(LISTING, "1")
    for message in ERAS[era]:
        conversation.receive(to_line(message))
    answered = []
    for message in messages:
        step = conversation.receive(json.dumps(message).encode())
        said = parsed(step) if isinstance(step, bytes) else []
        check([*ERAS[era], *messages], [m for m in said if "error" in m or "method" in m])
        answered += [m["id"] for m in said if "id" in m and m["id"] is not None]
    requests = [m["id"] for m in messages if isinstance(m, dict) and "id" in m]
    assert len(answered) <= len(requests)
