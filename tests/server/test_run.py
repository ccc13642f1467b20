"""The real command, `mcpgate run`, as its client meets it."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from tests.server.models import check
from tests.server.process import (
    HEAVY,
    INITIALIZE,
    OPENING,
    ROOT,
    Server,
    modern,
    replay,
    request,
    text,
    to_line,
)

WORDS = ["run", "stripe", "--preset", "transact", "--sandbox"]
COMMAND = [str(Path(sys.executable).with_name("mcpgate")), *WORDS]
CUSTOMER = {"name": "stripe_get_customer", "arguments": {"customer": "cus_QXg1o8vcGmoR32"}}

SPY = """
import os, sys
write = os.write
def spy(descriptor, data):
    if b'"tools":[' in data:
        write(2, " ".join(sys.modules).encode() + b"\\n")
    return write(descriptor, data)
os.write = spy
from mcpgate.__main__ import main
sys.exit(main())
"""


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("MCPGATE_HOME", str(tmp_path))
    return tmp_path


def test_the_saved_listing_is_the_same_and_needs_nothing() -> None:
    messages = [*OPENING, request(1, "tools/list")]
    first = replay(messages, command=COMMAND)
    assert len(first[1]["result"]["tools"]) == 13
    check(messages, first)
    done = subprocess.run(
        [sys.executable, "-c", SPY, *WORDS],
        cwd=ROOT,
        input=b"".join(map(to_line, messages)),
        capture_output=True,
        timeout=10,
    )
    assert [json.loads(line) for line in done.stdout.splitlines()] == first
    modules = {module.partition(".")[0] for module in done.stderr.decode().split("\n")[0].split()}
    assert "mcpgate" in modules
    assert not modules & HEAVY


@pytest.mark.parametrize("era", ["handshake", "modern"])
def test_a_conversation_in_each_era(era: str) -> None:
    ask = modern if era == "modern" else request
    opening = [modern(0, "server/discover")] if era == "modern" else OPENING
    messages = [
        *opening,
        ask(1, "tools/list"),
        ask(2, "tools/call", **CUSTOMER),
        ask(3, "tools/call", name="stripe_create_refund", arguments={"charge": "ch_1"}),
        ask(4, "tools/call", name="stripe_no_such"),
        ask(5, "tools/call", name="stripe_get_customer", arguments={"customer": 7}),
    ]
    said = {message["id"]: message for message in replay(messages, command=COMMAND)}
    check(messages, said.values())
    assert json.loads(text(said[2]))["id"].startswith("cus_")
    assert said[3]["result"]["isError"] is True
    assert said[4]["error"]["code"] == -32602
    assert said[5]["result"]["isError"] is True


@pytest.mark.parametrize(("how", "code"), [("end", 0), ("SIGINT", 130), ("SIGTERM", 143)])
def test_it_ends_at_once(how: str, code: int) -> None:
    with Server(command=COMMAND) as server:
        server.ask(*OPENING)
        answer = server.ask(request(1, "tools/call", **CUSTOMER))
        check([INITIALIZE, request(1, "tools/call")], [answer])
        if how == "end":
            server.stdin.close()
        else:
            server.signal(signal.Signals[how])
        assert server.ends()[0] == code
        assert server.stderr() == ""
