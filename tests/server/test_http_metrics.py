"""What is counted, under which names, and who may read it."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

import pytest

from mcpgate.activity import Row
from mcpgate.server.web.metrics import Metrics
from tests.server.http_apps import Apps, Running, call, key_of, running
from tests.standins.loopback import Loopback, Reply

TOKEN = "a-token-for-metrics"


@pytest.fixture
def server() -> Iterator[Running]:
    with Loopback(otherwise=Reply.json([])) as api, running(Apps(api.url, "billing")) as server:
        yield server


def row(**facts: Any) -> Row:
    common: dict[str, Any] = {"at": 1.0, "call": "c", "grant": "shop", "args_hash": ""}
    named = {"kind": "read", "app": "billing", "tool": "shop_list_orders", "decision": "allow"}
    return Row(**{**common, **named, "outcome": "succeeded", **facts})


def series(metrics: Metrics, name: str = "mcpgate_calls_total") -> dict[str, float]:
    """The values of one metric by their labels."""
    found = re.findall(rf"^{name}\{{(.*)\}} (\S+)$", metrics.text().decode(), re.MULTILINE)
    return {labels: float(value) for labels, value in found}


def test_calls_are_counted_as_they_end(server: Running) -> None:
    for message in (
        call("shop_list_orders"),
        call("shop_list_orders"),
        call("shop_send_note", to="a", text="b"),
        call("shop_create_order", amount="much"),
    ):
        server.post("billing", message)
    server.post("billing", call("no_such_" + "x" * 40))
    found = server.ask("/metrics")
    assert found.headers["content-type"].startswith("text/plain")
    counted = series(server.apps.metrics)
    label = 'app="billing",decision="{}",outcome="{}",tool="{}"'.format
    assert counted == {
        label("allow", "succeeded", "shop_list_orders"): 2,
        label("allow", "succeeded", "shop_send_note"): 1,
        label("deny", "refused", "shop_create_order"): 1,
    }
    assert 'mcpgate_call_seconds_count{app="billing",outcome="succeeded"} 3.0' in found.text
    assert "no_such" not in found.text


@pytest.mark.parametrize("kind", ["started", "lookup", "changed", "erased", "pruned"])
def test_what_ends_no_call_is_not_counted(kind: Any) -> None:
    metrics = Metrics()
    metrics.observe(row(kind=kind))
    assert series(metrics) == {}


@pytest.mark.parametrize(
    ("facts", "labels"),
    [
        ({"app": 'x"} 1\nfake{a="b'}, 'app="other",decision="allow",outcome="succeeded",tool="other"'),
        ({"tool": "ключ"}, 'app="other",decision="allow",outcome="succeeded",tool="other"'),
        ({"tool": "x" * 65}, 'app="other",decision="allow",outcome="succeeded",tool="other"'),
        ({"decision": "x\n"}, 'app="billing",decision="other",outcome="succeeded",tool="shop_list_orders"'),
        ({"outcome": "x"}, 'app="billing",decision="allow",outcome="other",tool="shop_list_orders"'),
    ],
)
def test_labels_are_known_names(facts: dict[str, str], labels: str) -> None:
    metrics = Metrics()
    metrics.observe(row(**facts))
    assert series(metrics) == {labels: 1}


def test_there_is_an_end_to_the_series() -> None:
    metrics = Metrics(most=3)
    for number in range(10):
        metrics.observe(row(tool=f"shop_{number}"))
    metrics.observe(row(tool="shop_1"))
    found = series(metrics)
    assert len(found) == 4
    assert found['app="other",decision="allow",outcome="succeeded",tool="other"'] == 7
    assert found['app="billing",decision="allow",outcome="succeeded",tool="shop_1"'] == 2


def test_refused_requests_are_counted(server: Running) -> None:
    server.ask("/mcp")
    server.ask("/mcp")
    server.ask("/mcp", Host="evil.example")
    assert series(server.apps.metrics, "mcpgate_refused_requests_total") == {
        'status="401"': 2,
        'status="421"': 1,
    }


@pytest.mark.parametrize(
    ("token", "headers", "status"),
    [
        ("", {}, 200),
        ("", {"X-Forwarded-For": "192.0.2.1"}, 404),
        ("", {"Forwarded": "for=192.0.2.1"}, 404),
        ("", {"Via": "1.1 proxy"}, 404),
        (TOKEN, {}, 401),
        (TOKEN, {"Authorization": f"Bearer {TOKEN}"}, 200),
        (TOKEN, {"Authorization": f"Bearer {TOKEN}x"}, 401),
        (TOKEN, {"Authorization": f"Bearer {TOKEN[:-1]}"}, 401),
        (TOKEN, {"Authorization": "Bearer é"}, 401),
        (TOKEN, {"Authorization": f"Bearer {TOKEN}", "X-Forwarded-For": "192.0.2.1"}, 200),
    ],
)
def test_who_reads_them(token: str, headers: dict[str, str], status: int) -> None:
    apps = Apps("http://127.0.0.1:9")
    with running(apps, metrics_token=token) as server:
        answer = server.ask("/metrics", **headers)
        assert answer.status == status
        assert ("process_cpu_seconds_total" in answer.text) is (status == 200)
        assert server.ask("/metrics", "POST", **headers).status == 405


def test_an_apps_key_is_no_token_for_metrics() -> None:
    with running(Apps("http://127.0.0.1:9", "billing"), metrics_token=TOKEN) as server:
        assert server.ask("/metrics", Authorization=f"Bearer {key_of('billing')}").status == 401
        assert server.ask("/mcp", "POST", Authorization=f"Bearer {TOKEN}").status == 401
