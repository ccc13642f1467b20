"""The server as a process: how it starts, what it says, and how it ends."""

from __future__ import annotations

import json
import re
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack

import pytest

from tests.server.http_apps import CANARY, ask, call, enveloped, key_of, post, started_request, until
from tests.server.process import ROOT, request
from tests.standins.loopback import Loopback, Reply

SLOW = 1.0
LIST = request(1, "tools/list")
NOTE = {"to": "someone", "text": "hello"}


class Process:
    """`mcpgate serve`, without its command line."""

    def __init__(self, api: Loopback) -> None:
        self._errors = tempfile.TemporaryFile(mode="w+")  # noqa: SIM115
        command = [sys.executable, "-m", "tests.server.http_apps", api.url]
        self.process = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, stderr=self._errors)
        until(lambda: "serves" in self.errors(), 20)
        found = re.search(r"mcpgate serves http://127\.0\.0\.1:(\d+)/mcp\n", self.errors())
        assert found
        self.port = int(found[1])
        self.api = api

    def errors(self) -> str:
        self._errors.seek(0)
        return self._errors.read()

    def ends(self, within: float) -> tuple[int, float]:
        """The exit code, and how long it took."""
        started = time.monotonic()
        return self.process.wait(within), time.monotonic() - started

    def close(self) -> None:
        self.process.kill()
        self.process.wait()
        assert self.process.stdout
        self.process.stdout.close()
        self._errors.close()


@pytest.fixture
def server() -> Iterator[Process]:
    with Loopback(otherwise=Reply(wait=SLOW)) as api:
        process = Process(api)
        try:
            yield process
        finally:
            process.close()


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_calls_that_have_started_are_answered_and_no_new_ones_taken(
    server: Process, number: signal.Signals
) -> None:
    message, headers = enveloped("tools/call", name="shop_send_note", arguments=NOTE)
    listen, listening = enveloped("subscriptions/listen", notifications={"toolsListChanged": True})
    with ThreadPoolExecutor(4) as threads, ExitStack() as stack:
        stream = stack.enter_context(started_request(server.port, "billing", listen, **listening))
        found = b""
        while b"acknowledged" not in found:
            found += stream.recv(65536)
        idle = stack.enter_context(started_request(server.port, "billing", LIST))
        assert idle.recv(65536)
        earlier = threads.submit(post, server.port, "billing", call("shop_send_note", **NOTE))
        later = threads.submit(post, server.port, "support", message, **headers)
        until(lambda: len(server.api.requests) == 2)
        server.process.send_signal(number)
        while more := stream.recv(65536):
            found += more
        assert b'"resultType":"complete"' in found, "the stream was cut off"
        assert not earlier.done()
        with pytest.raises(OSError):  # noqa: PT011  refused, or closed at once
            ask(server.port, "/healthz")
        for answer in (earlier.result(), later.result()):
            assert answer.message["result"]["isError"] is False
        assert server.ends(2)[0] == 0
    assert server.errors().count("\n") == 1


def test_a_call_whose_client_has_left_is_waited_for(server: Process) -> None:
    with started_request(server.port, "billing", call("shop_send_note", **NOTE)):
        until(lambda: bool(server.api.requests))
    server.process.send_signal(signal.SIGTERM)
    code, took = server.ends(5)
    assert code == 0
    assert took > SLOW / 2


def test_a_second_signal_ends_at_once(server: Process) -> None:
    with started_request(server.port, "billing", call("shop_send_note", **NOTE)):
        until(lambda: bool(server.api.requests))
        server.process.send_signal(signal.SIGTERM)
        time.sleep(0.2)
        server.process.send_signal(signal.SIGTERM)
        code, took = server.ends(5)
    assert code == 128 + signal.SIGTERM
    assert took < SLOW / 2


def test_nothing_is_logged_of_what_is_asked_and_answered(server: Process) -> None:
    key = key_of("billing")
    for message in (LIST, call("shop_send_note", to=CANARY, text=CANARY), call("no_such", a=CANARY)):
        assert post(server.port, "billing", message).status == 200
    for body in (b"{", CANARY.encode(), b"[]", json.dumps({"jsonrpc": "2.0", "id": CANARY}).encode()):
        for version in ("2025-11-25", "2026-07-28", CANARY):
            post(server.port, "billing", body, MCP_Protocol_Version=version)
    for path in (f"/mcp?{key}", f"/{CANARY}", "/mcp"):
        ask(server.port, path, "POST", CANARY, Authorization=f"Bearer {key}", X_A=CANARY, Host=CANARY)
        ask(server.port, path, "POST", CANARY, Authorization=f"Bearer {key}", Upgrade=CANARY)
    server.process.send_signal(signal.SIGTERM)
    assert server.ends(5)[0] == 0
    assert server.process.stdout
    assert server.process.stdout.read() == b""
    assert "Traceback" not in server.errors()
    for secret in (CANARY, key, "mgw_", "127.0.0.1:5"):
        assert secret not in server.errors().partition("\n")[2]


def test_libraries_tell_where_and_what_kind_and_nothing_else() -> None:
    code = f"""
import logging
from mcpgate.server.web.quiet import LIBRARIES, quiet
quiet()
for name in LIBRARIES:
    log = logging.getLogger(name + ".inner")
    log.info("{CANARY}")
    log.warning("{CANARY} %s", "{CANARY}")
    try:
        raise KeyError("{CANARY}")
    except KeyError:
        log.exception("f {CANARY}")
"""
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    lines = done.stderr.splitlines()
    assert len(lines) == 10
    assert CANARY not in done.stderr + done.stdout
    assert lines[1].startswith("mcpgate: error in asyncio.inner, line ")
    assert lines[1].endswith(" (KeyError)")
