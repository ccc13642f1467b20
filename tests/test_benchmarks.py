"""The harness counts soundly; what it measures is `make bench`'s to say."""

from __future__ import annotations

import json
import os
import random
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from benchmarks import described, goals, install, processes, report, site, stub
from benchmarks.__main__ import SECTIONS
from benchmarks.answers import BALANCE, CUSTOMERS, check, text_of
from benchmarks.bench import Bench
from benchmarks.calls import calls
from benchmarks.cold import cold_start
from benchmarks.direct import Raw, Warm
from benchmarks.figures import Figure, Run, number, percentile, read_run, unsteady
from benchmarks.goals import GOALS, Goal
from benchmarks.lane import Lane, payload
from benchmarks.parts import PARTS, Parts, Sampler
from benchmarks.plot import plot
from benchmarks.processes import FailedError
from benchmarks.subjects import SUBJECTS, Subject
from benchmarks.throughput import throughput
from mcpgate.spec.policy import read_policy

ROOT = Path(__file__).parents[1]
BARE_LOOP = ROOT / "benchmarks" / "peers" / "bare_loop.py"
BALANCES = goals.STDIO.format(BALANCE)


def run_of(**medians: float) -> Run:
    run = Run()
    for subject, median in medians.items():
        run.add(BALANCES, goals.CALL, subject.replace("_", " "), [median * 0.9, median, median * 1.1])
    return run


@pytest.fixture
def place() -> Iterator[site.Site]:
    with site.opened() as found:
        yield found


def bench_of(place: site.Site, *everyone: Subject) -> Bench:
    return Bench(place, Run(), 2, 8, random.Random(1), quick=True, everyone=everyone)


def bare(name: str, folder: Path, *changes: tuple[str, str]) -> Subject:
    """The bare loop, with faults."""
    text = BARE_LOOP.read_text()
    for old, new in changes:
        assert old in text
        text = text.replace(old, new)
    script = folder / f"{name}.py"
    script.write_text(text)
    return Subject(
        name, "stdio", lambda found, _: [sys.executable, str(script), found.listing, str(found.api)]
    )


KEEPS = (
    (
        "    reader, writer = IDLE.pop()",
        "    if path in KEPT: return KEPT[path]\n    reader, writer = IDLE.pop()",
    ),
    ("    return body.decode()", "    KEPT[path] = body.decode()\n    return KEPT[path]"),
    ("IDLE: ", "KEPT: dict[str, str] = {}\nIDLE: "),
)
DIES = ("    method, params =", "    if message['id'] == 14: raise SystemExit\n    method, params =")


@pytest.mark.parametrize(
    ("changes", "named"),
    [
        ((('{"content": [', '{"isError": True, "content": ['),), "a call failed"),
        ((('"text": text', '"text": "{}"'),), "lacks 4180417, 92306"),
        ((('"text": text', '"text": text if int(str(message["id"])) < 14 else "{}"'),), "lacks 4180417"),
        (KEEPS, "the API was asked 0 times for 8 calls"),
        ((DIES,), "the server has ended"),
    ],
    ids=["refuses", "invents", "tires", "remembers", "dies"],
)
def test_a_peer_with_a_fault_is_named_and_the_rest_goes_on(
    place: site.Site, tmp_path: Path, changes: tuple[tuple[str, str], ...], named: str
) -> None:
    bench = bench_of(place, bare("sound", tmp_path), bare("faulty", tmp_path, *changes))
    calls(bench)
    assert bench.run.find(BALANCES, goals.CALL, "sound")
    assert bench.run.find(goals.STDIO.format(CUSTOMERS), goals.CALL, "sound")
    assert not bench.run.find(BALANCES, goals.CALL, "faulty")
    (said,) = bench.run.skipped.items()
    assert said[0].startswith("faulty")
    assert named in said[1]


def test_what_cannot_be_started_or_installed_is_named(place: site.Site, tmp_path: Path) -> None:
    nothing = Subject("nothing", "stdio", lambda *_: ["no-such-program-here"])
    missing = Subject("missing", "stdio", lambda *_: [], install=lambda: "npm is not installed")
    silent = Subject("silent", "stdio", lambda *_: [sys.executable, "-c", "print('no JSON')"])
    bench = bench_of(place, bare("sound", tmp_path), nothing, missing, silent)
    cold_start(bench)
    assert bench.run.find(goals.COLD, "ms", "sound")
    assert bench.run.find(goals.AFTER_IDLE, goals.MORE, "sound")
    assert bench.run.skipped["missing"] == "npm is not installed"
    assert "no-such-program-here" in bench.run.skipped["nothing, started"]
    assert "has ended" in bench.run.skipped["silent, started"]
    assert "- missing: npm is not installed" in report.markdown(bench.run)


def test_without_npm_and_node_the_peers_that_need_them_are_skipped(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setattr(install, "TOOLBOX", tmp_path / "nothing")
    assert install.toolbox() == "npm is not installed"
    assert install.stripe() == "node is not installed"


def test_floods_are_counted_and_looked_at(place: site.Site, tmp_path: Path) -> None:
    wrong = bare("wrong", tmp_path, ('"id": message["id"]', '"id": min(message["id"], 9)'))
    bench = bench_of(place, bare("sound", tmp_path), wrong)
    throughput(bench)
    rates = goals.RATES.format("stdio", goals.AT_ONCE)
    assert bench.run.find(rates, goals.IN_FLIGHT.format(32), "sound")
    assert bench.run.find(goals.RATES.format("stdio", goals.LATE), goals.IN_FLIGHT.format(32), "sound")
    assert bench.run.find(goals.BESIDE.format("stdio", goals.AT_ONCE), "the client's, 32 in flight", "sound")
    held = bench.run.find(goals.HELD.format("stdio"), goals.MORE, "sound")
    assert held
    assert held.median < 1000
    # asked once, and not again
    (said,) = bench.run.skipped.items()
    assert said == (f"wrong: {rates}, 1 in flight, round 1", "what was answered is not what was asked")


def test_a_server_over_http_is_asked_as_one_over_stdio(place: site.Site) -> None:
    bench = bench_of(place, next(each for each in SUBJECTS if (each.name, each.wire) == (goals.SDK, "HTTP")))
    calls(bench)
    assert bench.run.find(goals.HTTP.format(BALANCE), goals.CALL, goals.SDK), bench.run.skipped
    over = bench.run.find(goals.HTTP.format(BALANCE), goals.OVER[0], goals.SDK)
    assert over
    assert over.median > 0


def test_the_api_without_a_server_is_asked_in_the_same_ways(place: site.Site) -> None:
    for direct in (Raw(("127.0.0.1", place.api)), Warm(place.api)):
        before = place.stub.asked()
        answers = [direct.call(CUSTOMERS, {"limit": 10}), *direct.flood(BALANCE, {}, 4, 12).answers]
        check(CUSTOMERS, direct.text(answers[0]))
        for answer in answers[1:]:
            check(BALANCE, direct.text(answer))
        assert place.stub.asked() - before == 13
        with place.stub.delayed(50):
            assert direct.flood(BALANCE, {}, 4, 8).seconds > 0.09
        direct.close()


@pytest.mark.skipif(not Path("/proc/self/task").exists(), reason="what was started is found in /proc")
@pytest.mark.parametrize(
    ("number", "only"), [(signal.SIGTERM, "mcpgate serve"), (signal.SIGINT, "bare asyncio")]
)
def test_whoever_ends_a_run_ends_its_servers(tmp_path: Path, number: signal.Signals, only: str) -> None:
    words = ["calls", "--only", only, "--rounds", "100000", "--json", str(tmp_path / "run.json")]
    with subprocess.Popen(
        [sys.executable, "-m", "benchmarks", *words],
        cwd=ROOT,
        stderr=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
    ) as process:
        assert process.stderr
        said = b""
        while b"round 3" not in said:
            said += os.read(process.stderr.fileno(), 1000) or pytest.fail(said.decode())
        started = children(process.pid)
        process.send_signal(number)
        process.wait(20)
    assert len(started) == 2
    assert process.returncode == 128 + number
    assert not [pid for pid in started if Path(f"/proc/{pid}").exists()]
    assert not (tmp_path / "run.json").exists()


def children(pid: int) -> list[int]:
    return [
        int(child)
        for task in Path(f"/proc/{pid}/task").iterdir()
        for child in (task / "children").read_text().split()
    ]


def test_what_nobody_ended_is_ended_at_last(tmp_path: Path) -> None:
    left = processes.start([sys.executable, "-c", "import time; time.sleep(60)"], tmp_path)
    processes.end_all()
    assert left.returncode is not None


def test_a_signal_waits_until_what_is_being_started_is_known() -> None:
    before = [signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGINT)]
    interrupts = processes.Interrupts()
    interrupts.install()
    reached = []

    def starting() -> None:
        with interrupts.held():
            os.kill(os.getpid(), signal.SIGTERM)
            time.sleep(0.01)
            reached.append("the end of the block")

    try:
        with pytest.raises(SystemExit):
            starting()
    finally:
        for number, handler in zip((signal.SIGTERM, signal.SIGINT), before, strict=True):
            signal.signal(number, handler)
    assert reached


def test_a_quick_look_is_kept_and_shown_again_and_not_published(tmp_path: Path) -> None:
    kept, page = tmp_path / "run.json", tmp_path / "page.md"
    page.write_text("untouched")
    look = bench_program("calls", "--quick", "--only", "bare", "--json", str(kept))
    assert look.returncode == 0, look.stderr
    assert "not for publishing" in look.stdout
    again = bench_program("--from", str(kept), "--compare", str(kept))
    tables = look.stdout.partition("| goal |")[0]
    assert again.stdout.startswith(tables)
    assert "No goal has changed." in again.stdout
    refused = bench_program("--from", str(kept), "--write", "--page", str(page))
    assert refused.returncode == 2
    assert page.read_text() == "untouched"


def bench_program(*words: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "benchmarks", *words], cwd=ROOT, capture_output=True, text=True, check=False
    )


def test_an_unknown_section_is_refused() -> None:
    done = bench_program("everything")
    assert done.returncode == 2
    assert "there is no section everything" in done.stderr


def test_a_run_that_was_kept_is_written_into_the_page_the_same_each_time(tmp_path: Path) -> None:
    run = run_of(mcpgate=10.0, minimal_SDK_server=25.0)
    run.skipped["FastMCP"] = "npm is not installed"
    run.about = {"rounds": 3, "processors": "2 × one", "system": "Linux", "python": "3.11", "whole": True}
    run.write(tmp_path / "run.json")
    assert read_run(tmp_path / "run.json") == run
    page = tmp_path / "page.md"
    marks = [f"<!-- measured:{name} -->\nold\n<!-- /measured -->\n" for name in ("goals", "plot", "tables")]
    page.write_text("\n".join(["Before", *marks, "After"]))
    written = []
    for _ in range(2):
        assert (
            bench_program("--from", str(tmp_path / "run.json"), "--write", "--page", str(page)).returncode
            == 0
        )
        written.append((page.read_text(), page.with_suffix(".svg").read_text()))
    text, picture = written[0]
    assert written[0] == written[1]
    assert text.startswith("Before\n<!-- measured:goals -->\n| goal | limit |")
    assert text.endswith("- FastMCP: npm is not installed\n<!-- /measured -->\n\nAfter")
    assert "| minimal SDK server | 2.50 | 25.0 (23.8–26.2) |" in text
    assert "](page.svg)" in text
    assert "old" not in text
    assert "2.50 ×  (25.0 ms)" in picture


def test_the_page_has_a_place_for_all_of_it() -> None:
    text = (ROOT / "docs" / "reference" / "performance.md").read_text()
    assert all(text.count(f"<!-- measured:{name} -->") == 1 for name in ("goals", "plot", "tables"))
    assert text.count("<!-- /measured -->") == 3
    assert all(f"`{section}`" in text for section in SECTIONS)


def test_subjects_are_told_apart_and_named_by_the_goals() -> None:
    keys = [(subject.name, subject.wire) for subject in SUBJECTS]
    assert len(keys) == len(set(keys))
    assert all(set(subject.tools) == {BALANCE, CUSTOMERS} for subject in SUBJECTS)
    variants = {"15 tools", "1,000 tools", "0 rules", "50 rules", goals.THE_API}
    named = {name for goal in GOALS for name in (goal.subject, goal.over) if name}
    assert named <= {name for name, _ in keys} | variants


@pytest.mark.parametrize(
    ("goal", "value", "met"),
    [
        (Goal("", BALANCES, goals.CALL, "a", "b", most=0.5), 0.5, True),
        (Goal("", BALANCES, goals.CALL, "b", "a", most=1.9), 2.0, False),
        (Goal("", BALANCES, goals.CALL, "a", least=10), 10.0, True),
        (Goal("", BALANCES, goals.CALL, "a", least=11), 10.0, False),
        (Goal("", BALANCES, goals.CALL, "nobody", most=1), None, None),
        (Goal("", BALANCES, goals.CALL, "a", "nobody", most=1), None, None),
    ],
)
def test_a_goal_is_met_or_not_or_not_measured(goal: Goal, value: float | None, met: bool | None) -> None:
    found = goal.value(run_of(a=10.0, b=20.0))
    assert found == value
    assert (None if found is None else goal.met(found)) is met


def test_ratios_are_of_the_rounds() -> None:
    # the third round was disturbed for both: the ratio does not see it
    mine, theirs = Figure("T", "ms", "a", (1, 1, 50)), Figure("T", "ms", "b", (2, 2, 100))
    assert mine.ratios(theirs) == (0.5, 0.5, 0.5)
    assert percentile(range(100), 0.99) == 99
    assert [number(value) for value in (0, 0.01234, 1.234, 1234.5)] == ["0", "0.0123", "1.23", "1,234"]


@pytest.mark.parametrize(("rounds", "is_so"), [((10, 10, 12), False), ((8, 10, 14, 20), True), ((3,), False)])
def test_what_lies_far_apart_is_marked(rounds: tuple[float, ...], is_so: bool) -> None:
    run = Run()
    run.add(BALANCES, goals.CALL, goals.GATE, rounds)
    run.add(BALANCES, goals.MORE, goals.GATE, (-1, 0.1, 3))
    assert unsteady(rounds) is is_so
    # a difference lies round nothing: how far apart says nothing there
    assert ("~" in report.markdown(run)) is is_so


def test_a_comparison_is_of_ratios_and_names_the_goals_that_changed() -> None:
    # the machine was half as fast the second time, and mcpgate lost besides
    old, new = run_of(mcpgate=6.0, minimal_SDK_server=10.0), run_of(mcpgate=16.0, minimal_SDK_server=20.0)
    text = report.comparison(old, new)
    assert f"| {BALANCES} | {goals.CALL} | mcpgate ÷ minimal SDK server | 0.600 | 0.800 | +33% |" in text
    assert f"| {BALANCES} | {goals.CALL} | mcpgate | 6.00 | 16.0 | +167% |" in text
    assert f"- {BALANCE} over stdio, × minimal SDK server: was met, is **not met**" in text
    assert "2 more have changed by less than 5%, or" in report.comparison(old, old)


def test_a_plot_has_a_bar_for_each_and_breaks_off_what_is_far_too_long() -> None:
    run = run_of(mcpgate=1.0, minimal_SDK_server=2.5, ContextForge=60.0)
    picture = plot(run)
    assert picture.count("<rect") == 4
    assert picture.count("<path") == 1
    assert picture.index("ContextForge") > picture.index("minimal SDK server") > picture.index(">mcpgate<")


def test_the_parts_are_where_they_are_said_to_be() -> None:
    assert Parts().missing() == []
    gone = Parts({**PARTS, "another": ("mcpgate.engine.nowhere", "mcpgate.nowhere.at_all")})
    assert gone.missing() == [
        "another: there is no mcpgate.engine.nowhere",
        "another: there is no mcpgate.nowhere.at_all",
    ]


@pytest.mark.parametrize(
    ("module", "function", "part"),
    [
        ("mcpgate.policy.decide", "decide", "mcpgate: decide"),
        ("mcpgate.engine.request", "build", "mcpgate: build the request"),
        ("mcpgate.engine.something_new", "send", "mcpgate: send and receive"),
        ("mcpgate.another_room", "f", "mcpgate: another_room"),
        ("uvicorn.protocols.http.h11_impl", "f", "uvicorn"),
        ("asyncio.events", "Handle._run", "Python: the event loop"),
        ("asyncio.events", "Handle.cancel", None),
        ("json", "loads", None),
    ],
)
def test_a_function_belongs_to_a_part_or_to_whoever_calls_it(
    module: str, function: str, part: str | None
) -> None:
    assert Parts().named(module, function) == part


@pytest.mark.skipif(not hasattr(signal, "setitimer"), reason="there is no interval timer")
def test_what_runs_is_found_with_the_part_that_called_it() -> None:
    before = signal.getsignal(signal.SIGALRM)
    sampler = Sampler(Parts({"this file": (__name__,)}))
    sampler.begin()
    until = time.perf_counter() + 0.1
    while time.perf_counter() < until:
        json.dumps([*range(50)])
    sampler.end()
    signal.signal(signal.SIGALRM, before)
    assert set(sampler.found) == {"this file"}
    assert sampler.found["this file"] > 20


def test_the_stub_answers_both_requests_and_the_rules_are_sound() -> None:
    with stub.running() as api:
        raw = Raw(("127.0.0.1", api.port))
        try:
            assert json.loads(raw.call(BALANCE, {})) == stub.balance()
            page: dict[str, Any] = json.loads(raw.call(CUSTOMERS, {"limit": 10}))
        finally:
            raw.close()
    assert len(page["data"]) == 10
    lines = "".join(f"  - {rule}\n" for rule in site.RULES)
    assert len(read_policy("p.yaml", f"policy: p\nguardrails:\n{lines}".encode()).rules) == 10
    count = sum(len(methods) for methods in described.openapi()["paths"].values())
    told = (described.toolbox(1, "key")["tools"], described.registered(1))
    assert count == len(described.operations()) == len(told[0]) == len(told[1]) == 15


def chunked(*pieces: bytes) -> bytes:
    return b"".join(b"%x\r\n%s\r\n" % (len(piece), piece) for piece in (*pieces, b""))


@pytest.mark.parametrize(
    "reply",
    [
        b'{"id": 1}',
        b'event: message\r\ndata: {"id": 1}\r\n\r\n',
        chunked(b'{"id": 1}'),
        chunked(b"data: ", b'{"id": 1}\r\n\r\n'),
        chunked(b"id: 7\r\ndata:\r\n\r\n", b'id: 8\r\ndata: {"id": 1}\n\n'),
    ],
)
def test_a_reply_is_read_however_it_comes(reply: bytes) -> None:
    assert payload(reply) == b'{"id": 1}'


@pytest.mark.parametrize(
    "answer",
    [
        {"error": {"code": -32602, "message": "no"}},
        {"result": {"isError": True, "content": [{"type": "text", "text": "no"}]}},
        {"result": None},
    ],
)
def test_an_error_is_no_answer(answer: dict[str, Any]) -> None:
    with pytest.raises(FailedError):
        text_of(json.dumps({"jsonrpc": "2.0", "id": 1, **answer}).encode())


def test_a_connection_that_was_closed_meanwhile_is_made_again() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        lane = Lane(listener.getsockname())
        first = listener.accept()[0]
        lane.renew()
        kept = lane.socket
        first.close()
        kept.recv(1, socket.MSG_PEEK)
        lane.renew()
        assert lane.socket is not kept
        second = listener.accept()[0]
        lane.send(b"hello")
        assert second.recv(5) == b"hello"
        second.close()
        lane.socket.close()
