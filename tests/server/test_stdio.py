"""The server as a process: its two pipes, its calls side by side, and every way it can end."""

from __future__ import annotations

import json
import os
import pty
import signal
import socket
import statistics
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.server.example_server import SECRET
from tests.server.models import check
from tests.server.process import (
    EXAMPLE,
    HEAVY,
    INITIALIZE,
    OPENING,
    ROOT,
    Server,
    modern,
    notification,
    replay,
    request,
    shop,
    text,
    to_line,
)

SIGNALS = [(signal.SIGINT, 130), (signal.SIGTERM, 143), (signal.SIGHUP, 129)]


@pytest.fixture
def server() -> Iterator[Server]:
    with Server() as server:
        yield server


# --- before tools/list -----------------------------------------------------------------------------------


@pytest.mark.parametrize("opening", [OPENING, [modern(0, "server/discover")]])
def test_the_list_is_given_before_anything_is_loaded(opening: list[Any]) -> None:
    with Server("--modules") as server:
        server.send(*opening, (modern if len(opening) == 1 else request)(1, "tools/list"))
        assert server.receive()["id"] == 0
        assert len(server.receive()["result"]["tools"]) == 3
        modules = server.stderr().split("\n")[0].split()
    loaded = {module.partition(".")[0] for module in modules}
    assert not loaded & HEAVY
    assert {module for module in modules if module.startswith("mcpgate")} == {
        "mcpgate",
        "mcpgate.server",
        "mcpgate.server.lines",
        "mcpgate.server.messages",
        "mcpgate.server.stdio",
    }


def test_the_opening_alone_loads_nothing(server: Server) -> None:
    server.ask(*OPENING)
    assert server.ask(request(1, "ping"))["result"] == {}
    server.stdin.close()
    assert server.ends()[0] == 0
    assert server.stderr() == ""


# --- loading ---------------------------------------------------------------------------------------------


def test_once_the_tools_are_listed_the_rest_is_loaded(server: Server) -> None:
    server.send(*OPENING, request(1, "tools/list"))
    deadline = time.monotonic() + 5
    while "loading\n" not in server.stderr() and time.monotonic() < deadline:
        time.sleep(0.01)
    assert server.stderr() == "loading\n"


def test_calls_that_come_together_load_once_and_hold_nothing_back() -> None:
    with Server("--load", "1") as server:
        server.ask(*OPENING)
        server.send(request(0, "tools/list"), *[shop(n) for n in range(1, 20)], request("ping", "ping"))
        server.receive()
        started = time.monotonic()
        assert server.receive()["id"] == "ping"
        assert time.monotonic() - started < 0.5
        assert {server.receive()["id"] for _ in range(1, 20)} == set(range(1, 20))
        assert server.stderr() == "loading\n"


def test_a_call_cancelled_while_loading_takes_nothing_from_the_others() -> None:
    with Server("--load", "0.3") as server:
        server.ask(*OPENING)
        server.send(shop(1), shop(2), request(3, "ping"))
        assert server.receive()["id"] == 3
        server.send(notification("notifications/cancelled", requestId=1))
        assert "result" in server.receive()
        assert server.silent()


def test_what_people_can_mend_is_told_and_tried_again() -> None:
    with Server("--refused") as server:
        server.ask(*OPENING)
        for number in (1, 2):
            answer = server.ask(shop(number))
            assert answer["result"]["isError"] is True
            assert text(answer) == "There is no credential.\nAsk a person to connect."
        assert server.stderr() == "loading\nloading\n"


def test_loading_that_breaks_says_nothing_of_why() -> None:
    with Server("--broken") as server:
        server.ask(*OPENING)
        answer = server.ask(shop(1))
        assert answer["result"]["isError"] is True
        assert text(answer) == "Something broke inside mcpgate before the call was made: nothing was sent."
        assert server.stderr() == "loading\nloading broke: ImportError\n"


# --- calls -----------------------------------------------------------------------------------------------


def test_a_refusal_tells_what_to_do(server: Server) -> None:
    server.open()
    answer = server.ask(shop(1, refuse="Too much."))
    assert (text(answer), answer["result"]["isError"]) == ("Too much.\nAsk a person.", True)


def test_a_call_that_breaks_says_nothing_of_why(server: Server) -> None:
    server.open()
    answer = server.ask(shop(1, **{"break": True}))
    check([INITIALIZE, shop(1)], [answer])
    assert answer["result"]["isError"] is True
    assert text(answer) == "Something broke inside mcpgate: whether the call took effect is not known."
    assert SECRET not in server.stderr()
    assert server.stderr().endswith("a call broke: ValueError\n")


def test_an_outcome_that_cannot_be_written_is_an_error_all_the_same(server: Server) -> None:
    server.open()
    assert server.ask(shop(1, odd=True))["result"]["isError"] is True


def test_text_that_is_not_unicode_is_still_one_line_of_it(server: Server) -> None:
    server.open()
    assert text(server.ask(shop(1, half=True))) == "half of a pair: ?, a separator: \u2028, a line\nfeed"


def test_a_slow_call_does_not_hold_back_a_quick_one(server: Server) -> None:
    server.open()
    server.send(shop("slow", sleep=1.5))
    times = []
    for number in range(50):
        started = time.perf_counter()
        assert server.ask(shop(number))["id"] == number
        times.append(time.perf_counter() - started)
    assert statistics.median(times) < 0.02
    assert server.receive()["id"] == "slow"


def test_answers_come_as_they_are_ready(server: Server) -> None:
    server.open()
    server.send(*[shop(n, sleep=0.3 - 0.1 * n) for n in range(3)])
    assert [server.receive()["id"] for _ in range(3)] == [2, 1, 0]


def test_a_cancelled_call_stops_and_is_not_answered(server: Server) -> None:
    server.open()
    server.send(shop(1, sleep=30), shop(2, start=0.3))
    assert server.ask(request(0, "ping"))["id"] == 0
    server.send(*[notification("notifications/cancelled", requestId=n, reason="x") for n in (1, 2)])
    assert server.ask(request(3, "ping"))["id"] == 3
    assert server.silent(0.6)
    assert server.stderr() == "loading\nstopped\nsettled\n"


def test_a_thousand_pings_at_once(server: Server) -> None:
    server.open()
    server.send(*[request(n, "ping") for n in range(1000)])
    assert [server.receive() for _ in range(1000)] == [
        {"jsonrpc": "2.0", "id": n, "result": {}} for n in range(1000)
    ]


def test_a_thousand_calls_at_once(server: Server) -> None:
    server.open()
    server.send(*[shop(n, sleep=0.1) for n in range(1000)])
    assert {server.receive()["id"] for _ in range(1000)} == set(range(1000))


@pytest.mark.parametrize("opened", [False, True])
def test_a_message_of_five_megabytes_is_refused_and_the_next_one_served(server: Server, opened: bool) -> None:
    if opened:
        server.open()
    server.send(shop(1, text="x" * 5_000_000))
    answer = server.receive()
    assert (answer["id"], answer["error"]["code"]) == (None, -32600)
    assert server.ask(request(2, "ping"))["id"] == 2


def test_a_message_of_three_megabytes_is_served(server: Server) -> None:
    server.open()
    assert len(text(server.ask(shop(1, item="x" * 3_000_000)))) > 3_000_000


def test_a_client_that_reads_late_gets_everything_in_order(server: Server) -> None:
    with subprocess.Popen(EXAMPLE, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdin
        assert process.stdout
        process.stdin.write(
            b"".join(map(to_line, [*OPENING, shop("a", large=3_000_000), shop("b", large=10)]))
        )
        process.stdin.flush()
        time.sleep(0.5)
        answers = [json.loads(process.stdout.readline()) for _ in range(3)]
        process.stdin.close()
        assert {a["id"]: len(text(a)) for a in answers[1:]} == {"a": 3_000_000, "b": 10}


def test_a_client_that_never_reads_makes_it_stop_reading_too() -> None:
    command = [*EXAMPLE, "--large"]
    with subprocess.Popen(command, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdin
        os.set_blocking(process.stdin.fileno(), False)
        process.stdin.write(b"".join(map(to_line, [*OPENING, shop("a")])))
        process.stdin.flush()
        time.sleep(0.5)
        chunk, taken, since = to_line(request(1, "tools/list")) * 500, 0, time.monotonic()
        while time.monotonic() - since < 0.5 and taken < 50_000_000:
            try:
                taken += os.write(process.stdin.fileno(), chunk)
                since = time.monotonic()
            except BlockingIOError:
                time.sleep(0.01)
        assert taken < 2_000_000
        pages = int(Path(f"/proc/{process.pid}/statm").read_text().split()[1])
        assert pages * os.sysconf("SC_PAGE_SIZE") < 100_000_000
        process.terminate()
        assert process.wait(1) == 143


def test_other_tools_are_announced(server: Server) -> None:
    server.open()
    server.send(shop(1, rename="Find item"))
    news, answer = sorted((server.receive(), server.receive()), key=lambda message: "id" in message)
    check([INITIALIZE], [news])
    assert answer["id"] == 1
    assert server.ask(request(2, "tools/list"))["result"]["tools"][0]["title"] == "Find item"


def test_other_tools_are_announced_on_a_stream(server: Server) -> None:
    listen = modern("s", "subscriptions/listen", notifications={"toolsListChanged": True})
    rename = modern(1, "tools/call", name="shop_get_item", arguments={"rename": "Find item"})
    assert server.ask(listen)["method"] == "notifications/subscriptions/acknowledged"
    server.send(rename)
    news, answer = sorted((server.receive(), server.receive()), key=lambda message: "id" in message)
    server.signal(signal.SIGTERM)
    ended = server.receive()
    check([listen, rename], [news, answer, ended])
    assert (news["method"], ended["id"]) == ("notifications/tools/list_changed", "s")


# --- nothing but the protocol on stdout ------------------------------------------------------------------


def test_a_stray_print_does_not_reach_the_client(server: Server) -> None:
    server.open()
    answer = server.ask(shop(1, print="STRAY"))
    assert text(answer) == "the child ended with 0"
    assert server.silent()
    assert server.stderr().count("STRAY") == 4


def test_a_child_does_not_read_the_clients_messages(server: Server) -> None:
    server.open()
    server.send(shop(1, print="STRAY"), *[request(n, "ping") for n in range(2, 50)])
    assert {server.receive()["id"] for _ in range(1, 50)} == set(range(1, 50))


# --- other things than pipes -----------------------------------------------------------------------------


def test_a_file_is_answered_whole_calls_included() -> None:
    messages = [*OPENING, request(1, "tools/list"), *[shop(n, sleep=0.1) for n in range(2, 200)]]
    assert {message["id"] for message in replay(messages)} == set(range(200))


def test_a_file_without_a_last_newline(tmp_path: Any) -> None:
    asked, answered = tmp_path / "asked", tmp_path / "answered"
    asked.write_bytes(b"".join(map(to_line, [*OPENING, shop(1)])).rstrip(b"\n"))
    with asked.open("rb") as source, answered.open("wb") as sink:
        done = subprocess.run(
            EXAMPLE, cwd=ROOT, stdin=source, stdout=sink, stderr=subprocess.PIPE, timeout=10
        )
    assert done.returncode == 0
    assert [json.loads(line)["id"] for line in answered.read_bytes().splitlines()] == [0, 1]


def test_a_file_larger_than_a_chunk(tmp_path: Any) -> None:
    calls = [shop(n, item="x" * 1000) for n in range(1, 901)]
    assert {message["id"] for message in replay([*OPENING, *calls])} == set(range(901))


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_ends_it_in_the_middle_of_a_file(tmp_path: Any, number: signal.Signals) -> None:
    asked = tmp_path / "asked"
    asked.write_bytes(b"".join(map(to_line, [*OPENING, shop(1, sleep=30)])))
    with (
        asked.open("rb") as source,
        subprocess.Popen(EXAMPLE, cwd=ROOT, stdin=source, stdout=subprocess.PIPE) as process,
    ):
        time.sleep(0.5)
        process.send_signal(number)
        assert process.wait(1) == 128 + number


@pytest.mark.parametrize("sink", ["pipe", "file"])
def test_no_input_at_all(sink: str, tmp_path: Any) -> None:
    with (tmp_path / "sink").open("wb") as file:
        out = subprocess.PIPE if sink == "pipe" else file
        done = subprocess.run(EXAMPLE, cwd=ROOT, stdin=subprocess.DEVNULL, stdout=out, timeout=10)
    assert (done.returncode, done.stdout or b"") == (0, b"")


def test_closed_descriptors(tmp_path: Any) -> None:
    for closed in ("<&-", ">&-", "2>&-", "<&- >&- 2>&-"):
        done = subprocess.run(
            ["sh", "-c", f'exec "$@" {closed}', "sh", *EXAMPLE],
            cwd=ROOT,
            input=to_line(INITIALIZE),
            capture_output=True,
            timeout=10,
        )
        assert done.returncode == 0, done.stderr
        assert len(done.stdout.splitlines()) == (closed == "2>&-")


def test_a_socket_both_ways() -> None:
    ours, theirs = socket.socketpair()
    with (
        ours,
        theirs,
        subprocess.Popen(EXAMPLE, cwd=ROOT, stdin=theirs.fileno(), stdout=theirs.fileno()) as process,
    ):
        theirs.close()
        lines = ours.makefile("rb")
        ours.sendall(b"".join(map(to_line, [*OPENING, shop(1)])))
        assert [json.loads(lines.readline())["id"] for _ in range(2)] == [0, 1]
        for number in (2, 3):
            ours.sendall(to_line(request(number, "ping")))
            assert json.loads(lines.readline())["id"] == number
        lines.close()
        ours.close()
        assert process.wait(1) == 0


@pytest.mark.parametrize("end", ["control D", "SIGTERM"])
def test_a_terminal(end: str) -> None:
    ours, theirs = pty.openpty()
    with subprocess.Popen(EXAMPLE, cwd=ROOT, stdin=theirs, stdout=subprocess.PIPE) as process:
        assert process.stdout
        os.write(ours, b"".join(map(to_line, [*OPENING, shop(1)])))
        assert [json.loads(process.stdout.readline())["id"] for _ in range(2)] == [0, 1]
        os.write(ours, to_line(request(2, "ping")))
        assert json.loads(process.stdout.readline())["id"] == 2
        if end == "SIGTERM":
            process.terminate()
        else:
            os.write(ours, b"\x04")
        assert process.wait(1) == (143 if end == "SIGTERM" else 0)
    os.close(ours)
    os.close(theirs)


# --- the end ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("opened", [False, True])
def test_end_of_input(server: Server, opened: bool) -> None:
    if opened:
        server.open()
        server.send(shop(1, sleep=30))
        assert server.ask(request(2, "ping"))["id"] == 2
    server.stdin.close()
    code, took = server.ends()
    assert code == 0
    assert took < 1
    if opened:
        assert server.receive()["error"]["code"] == -32000


@pytest.mark.parametrize(("number", "code"), SIGNALS)
def test_a_signal_before_anything_is_loaded(server: Server, number: signal.Signals, code: int) -> None:
    server.ask(*OPENING)
    server.signal(number)
    assert server.ends()[0] in (code, -number)
    assert server.stderr() == ""


@pytest.mark.parametrize(("number", "code"), SIGNALS)
def test_a_signal_during_a_call_that_has_not_started(
    server: Server, number: signal.Signals, code: int
) -> None:
    server.open()
    server.send(shop(1, sleep=30))
    assert server.ask(request(2, "ping"))["id"] == 2
    server.signal(number)
    assert server.ends()[0] == code
    assert server.receive()["error"]["code"] == -32000
    assert server.stderr() == "loading\nstopped\nclosed\n"


def test_closed_output_is_noticed_at_once(server: Server) -> None:
    with subprocess.Popen(EXAMPLE, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdin
        assert process.stdout
        process.stdin.write(b"".join(map(to_line, [*OPENING, shop(1), shop(2, sleep=30)])))
        process.stdin.flush()
        assert [json.loads(process.stdout.readline())["id"] for _ in range(2)] == [0, 1]
        process.stdout.close()
        assert process.wait(1) == 0


def test_closed_output_before_anything_is_loaded() -> None:
    with subprocess.Popen(EXAMPLE, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdin
        assert process.stdout
        process.stdout.close()
        process.stdin.write(to_line(INITIALIZE))
        process.stdin.flush()
        assert process.wait(1) == 0


@pytest.mark.parametrize("how", ["end", "SIGINT", "SIGTERM", "closed"])
def test_a_call_that_has_started_is_settled_first(how: str) -> None:
    errors = subprocess.PIPE
    with subprocess.Popen(
        EXAMPLE, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=errors
    ) as process:
        assert process.stdin
        assert process.stdout
        assert process.stderr
        process.stdin.write(b"".join(map(to_line, [*OPENING, shop(1), shop(2, start=1), request(3, "ping")])))
        process.stdin.flush()
        assert {json.loads(process.stdout.readline())["id"] for _ in range(3)} == {0, 1, 3}
        started = time.monotonic()
        if how == "end":
            process.stdin.close()
        elif how == "closed":
            process.stdout.close()
        else:
            process.send_signal(signal.Signals[how])
        code = process.wait(5)
        assert 0.5 < time.monotonic() - started < 2
        assert code == {"SIGINT": 130, "SIGTERM": 143}.get(how, 0)
        assert process.stderr.read() == b"loading\nsettled\nclosed\n"


@pytest.mark.parametrize("first", ["end", "SIGINT", "SIGTERM"])
def test_a_second_signal_ends_at_once_whatever_has_started(server: Server, first: str) -> None:
    server.open()
    server.send(shop(1, start=30))
    assert server.ask(request(2, "ping"))["id"] == 2
    if first == "end":
        server.stdin.close()
        server.signal(signal.SIGTERM)
    else:
        server.signal(signal.Signals[first])
    time.sleep(0.3)
    assert server.process.poll() is None
    server.signal(signal.SIGINT)
    assert server.ends()[0] == 130


@pytest.mark.parametrize("how", ["end", "SIGTERM"])
def test_loading_holds_nobody_up(how: str) -> None:
    with Server("--load", "30") as server:
        server.ask(*OPENING)
        server.send(shop(1))
        assert server.ask(request(2, "ping"))["id"] == 2
        if how == "end":
            server.stdin.close()
        else:
            server.signal(signal.SIGTERM)
        assert server.ends()[0] == (0 if how == "end" else 143)


def test_an_ignored_signal_stays_ignored() -> None:
    command = ["sh", "-c", 'trap "" INT; exec "$@"', "sh", *EXAMPLE]
    with Server(command=command) as server:
        server.open()
        server.signal(signal.SIGINT)
        time.sleep(0.3)
        assert server.ask(request(2, "ping"))["id"] == 2


def test_what_was_answered_is_sent_before_it_ends() -> None:
    messages = b"".join(map(to_line, [*OPENING, *[request(n, "tools/list") for n in range(1, 500)]]))
    with subprocess.Popen(EXAMPLE, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdin
        assert process.stdout
        process.stdin.write(messages)
        process.stdin.close()
        time.sleep(0.5)
        assert [json.loads(line)["id"] for line in process.stdout] == list(range(500))
        assert process.wait(1) == 0
