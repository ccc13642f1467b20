"""The secret never leaves the client step: canaries in thousands of calls, and all that came out is searched.

Row 13. Every call goes the whole way: over the wire of MCP, through the gateway, the sealed vault and the
client, to a server on loopback that knows the secret and shows it in every way there is.
"""

from __future__ import annotations

import asyncio
import base64
import contextlib
import dataclasses
import io
import json
import logging
import os
import subprocess
import sys
import threading
import traceback
import warnings
from collections.abc import Callable, Iterator
from hashlib import sha256
from itertools import cycle, islice, product
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest

from mcpgate import answers, catalog
from mcpgate.__main__ import main
from mcpgate.apps import App, Grant, open_account
from mcpgate.cli.vaults import open_vault
from mcpgate.engine import client as client_step
from mcpgate.engine import connection as connection_step
from mcpgate.engine import network, response
from mcpgate.engine.body import Body
from mcpgate.engine.client import Client
from mcpgate.engine.http import HTTPBackend
from mcpgate.engine.network import Network
from mcpgate.engine.transport import BrokenError, UnsentError
from mcpgate.errors import CredentialError, MCPGateError, StoreError
from mcpgate.gateway import Gateway
from mcpgate.secrets import Scrubber, Secret
from mcpgate.server.connection import Connection
from mcpgate.server.lines import Lines
from mcpgate.server.messages import Conversation
from mcpgate.spec.connector import read_connector
from mcpgate.store.memory import MemoryStore, MemoryTransaction
from mcpgate.toolset import build_toolset
from mcpgate.values import Account, Connector, Reply, Request, Source
from mcpgate.vault import connected, sealing
from mcpgate.vault.connected import ConnectedVault
from mcpgate.vault.sealed_vault import SealedVault
from tests.engine.raw import RawServer, http
from tests.hunting import WRITINGS, Hunt
from tests.standins.loopback import JSON, Captured, Loopback
from tests.standins.loopback import Reply as Said

# put together here, so that no file holds them
CANARY = "sk" + "_te" + "st_" + "Zq8Kx2Vw7Jp4Hd9T" + "+/&~" + "n5Rb3Gy6Mc1Lf0Ws" + "=="
PASSPHRASE = "phrase: " + "Uc7Qe1Zt5Bm9Xk3Nv8Ra2Ly6"
EXPORTED = "export: " + "Gh4Wd0Sj6Pf8Ti2Ec7Vo1Mq5"
RAW_MASTER = sha256(b"a master key for the taint test").digest()
MASTER = base64.b64encode(RAW_MASTER).decode()
HUNT = Hunt(CANARY, PASSPHRASE, EXPORTED, "12345678" + MASTER, "12345678" + RAW_MASTER.hex())

AUTHS = {
    "bearer": "{ type: bearer, probe: taintbearer_read }",
    "basic": "{ type: basic, probe: taintbasic_read }",
    "pair": "{ type: basic, username: somebody, probe: taintpair_read }",
    "header": "{ type: header, name: X-Api-Key, scheme: Token, probe: taintheader_read }",
    "query": "{ type: query, name: api_key, probe: taintquery_read }",
}
CONNECTOR = """
connector: {name}
title: Taint
base_url: {origin}/{name}
timeout: {timeout}
retry: Should-Retry
auth: {auth}
{errors}
pagination:
  params: {{ limit: {{ type: integer, maximum: 9, default: 2 }}, after: A place. }}
  items: data
  next: {{ after: next }}
  more: more
tools:
  {name}_read:
    {{ description: Read., category: read, request: GET /read, params: {{ n: A plan. }} }}
  {name}_some:
    {{ description: Some., category: read, request: GET /some, params: {{ n: A plan. }}, fields: [id, note] }}
  {name}_text:
    {{ description: Text., category: read, request: GET /text, params: {{ n: A plan. }}, reply: text }}
  {name}_page:
    {{ description: Pages., category: read, request: GET /page, params: {{ n: A plan. }}, paginate: true }}
  {name}_make:
    {{ description: Make., category: write, request: POST /make, params: {{ n: A plan. }}, effects: [erase] }}
  {name}_void:
    {{ description: Void., category: delete, request: DELETE /void, params: {{ n: A plan. }}, reply: none,
       effects: [erase] }}
"""
ERRORS = "errors: { message: error.message, code: error.code }\nidempotency: Key\nrequest_id: Request-Id"
TOOLS = ("read", "some", "text", "page", "make", "void")


# --- everything that comes out ----------------------------------------------------------------------------


class Collected:
    """All that was seen of a run, each text once; `leaks` searches it."""

    def __init__(self) -> None:
        self.seen: dict[str, str] = {}
        self.calls = 0

    def add(self, where: str, found: object) -> None:
        text = found.decode("utf-8", "replace") if isinstance(found, bytes) else str(found)
        self.seen.setdefault(text, where)

    def error(self, where: str, error: BaseException) -> None:
        """A traceback with every variable of every frame, and of what it came from."""
        told = traceback.TracebackException.from_exception(error, capture_locals=True)
        self.add(where, "".join(told.format()))
        for behind in (error.__context__, error.__cause__):
            if behind is not None:
                self.error(f"{where}, behind it", behind)

    def leaks(self) -> list[str]:
        return [f"{where}: …{shown}…" for text, where in self.seen.items() if (shown := HUNT.sees(text))]


class Listener(logging.Handler):
    """Formats every record, and what it has of exceptions with their variables."""

    def __init__(self, collected: Collected) -> None:
        super().__init__(logging.DEBUG)
        self._collected = collected

    def emit(self, record: logging.LogRecord) -> None:
        where = f"log of {record.name}"
        self._collected.add(where, f"{record.getMessage()} {record.args!r} {record.stack_info}")
        if record.exc_info and record.exc_info[1] is not None:
            self._collected.error(where, record.exc_info[1])


@pytest.fixture
def collected(monkeypatch: pytest.MonkeyPatch) -> Iterator[Collected]:
    """Everything turned up and listened to: every logger, every hook, every warning."""
    collected = Collected()
    listener = Listener(collected)
    loggers = [logging.getLogger(name) for name in logging.root.manager.loggerDict]
    before = [(logger, logger.level) for logger in (logging.root, *loggers)]
    for logger, _ in before:
        logger.setLevel(logging.DEBUG)
        logger.addHandler(listener)
    for module, name in ((sys, "excepthook"), (sys, "unraisablehook"), (threading, "excepthook")):
        monkeypatch.setattr(module, name, lambda *facts, hook=name: _hooked(collected, hook, *facts))
    with warnings.catch_warnings(record=True) as warned:
        warnings.simplefilter("always")
        yield collected
        for warning in warned:
            collected.add("warning", f"{warning.message} {warning.source!r}")
    for logger, level in before:
        logger.setLevel(level)
        logger.removeHandler(listener)


def _hooked(collected: Collected, hook: str, *facts: Any) -> None:
    error = facts[1] if len(facts) == 3 else facts[0].exc_value
    collected.add(hook, facts)
    if error is not None:
        collected.error(hook, error)


class WatchedBackend(HTTPBackend):
    """The backend, and all that leaves the client step: replies that nobody has cleaned yet, exceptions."""

    def __init__(self, client: Client, collected: Collected) -> None:
        super().__init__(client)
        self._collected = collected

    async def send(self, request: Request, account: Account, key: str) -> Reply:
        try:
            reply = await super().send(request, account, key)
        except BaseException as error:
            self._collected.error("an exception of the client step", error)
            raise
        self._collected.add("a reply of the client step", [reply.problem, reply.headers, reply.body])
        return reply


# --- a home whose vault holds the canary for a connector of each kind -------------------------------------


def document(kind: str, origin: str, timeout: float = 20) -> str:
    """The connector of a kind of auth; every other one says where its errors are, and has keys."""
    errors = ERRORS if list(AUTHS).index(kind) % 2 else ""
    return CONNECTOR.format(
        name=f"taint{kind}", origin=origin, auth=AUTHS[kind], errors=errors, timeout=timeout
    )


class Home:
    """A person's folder, and the server that its connectors go to: it answers a call by the plan it names."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.plans: dict[str, Said] = {}
        self.otherwise = Said.json({"ok": True})
        self.server = Loopback(otherwise=self._answer)

    def _answer(self, request: Captured) -> Said:
        body = json.loads(request.body or b"{}")
        plan = self.plans.get(dict(request.query).get("n") or body.get("n", ""), self.otherwise)
        if plan.body == ECHO:
            # the request as it came, the secret as it was sent
            came = [request.target, dict(request.headers), request.body.decode()]
            return dataclasses.replace(
                plan, body=json.dumps({"error": {"message": came}, "id": came}).encode()
            )
        return plan


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Home]:
    for name in [name for name in os.environ if name.startswith("MCPGATE_")]:
        monkeypatch.delenv(name)
    home, key_file = Home(tmp_path / "home"), tmp_path / "master.key"
    monkeypatch.setenv("MCPGATE_HOME", str(home.path))
    monkeypatch.setenv("HOME", str(home.path))
    key_file.touch(0o600)
    key_file.write_text(MASTER)
    (home.path / "connectors").mkdir(parents=True)
    with home.server:
        for kind in AUTHS:
            text = document(kind, home.server.url)
            (home.path / "connectors" / f"taint{kind}.yaml").write_text(text)
        assert run("init", "--key-file", str(key_file))[0] == 0
        for kind in AUTHS:
            assert run("connect", f"taint{kind}", given=CANARY)[0] == 0
        yield home


def run(*words: str, given: str = "") -> tuple[int, str, str]:
    """A command inside the test, with a text on stdin: its exit code, and what it printed."""
    out, err = io.StringIO(), io.StringIO()
    stdin, sys.stdin = sys.stdin, io.StringIO(given)
    try:
        with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
            code = main(list(words))
    finally:
        sys.stdin = stdin
    return code, out.getvalue(), err.getvalue()


# --- calls over the wire of MCP ---------------------------------------------------------------------------

Opener = Callable[[Account, Request], Secret | None]
Words = tuple[str, dict[str, Any]]


def converse(
    collected: Collected,
    calls: list[Words],
    folder: Path,
    connectors: list[Connector] | None = None,
    opener: Opener | None = None,
    *,
    debug: bool = False,
) -> None:
    """One session of MCP, put together as `mcpgate run` does it, whose messages are in a file each way."""
    connectors = connectors or [catalog.load_connector(f"taint{kind}") for kind in AUTHS]
    preset = catalog.load_policy("full-access", "preset")
    scrubber = Scrubber()
    if opener is not None:
        scrubber.learn(CANARY)
    client = Client(opener or open_vault(scrubber).open, backoff=0)
    grants = tuple(Grant(open_account(connector, {}), preset) for connector in connectors)
    store = MemoryStore()
    toolset = build_toolset(App("taint", grants))
    gate = Gateway(toolset, WatchedBackend(client, collected), store, scrubber)
    listing = toolset.listing()
    source, sink = folder / "in.jsonl", folder / "out.jsonl"
    source.write_text("".join(_lines(calls)))
    sink.write_bytes(b"")

    async def serve() -> None:
        with source.open("rb") as reads, sink.open("r+b") as writes:
            talk = Conversation(listing, "0")  # type: ignore[arg-type]
            await Connection(talk, lambda: gate, reads.fileno(), writes.fileno()).serve(Lines())

    with asyncio.Runner(debug=debug) as runner:
        # in debug mode every step of the loop is told, for every one is slow
        runner.get_loop().slow_callback_duration = 0 if debug else 0.1
        runner.run(serve())
    for line in sink.read_text().splitlines():
        collected.add("a message of MCP", line)
    for row in store.rows:
        collected.add("a row of the activity", row)
    collected.add("the ledger", store.entries)
    collected.calls += len(calls)


def _lines(calls: list[Words]) -> Iterator[str]:
    hello = {"protocolVersion": "2025-11-25", "capabilities": {}, "clientInfo": {"name": "t", "version": "0"}}
    for place, (method, params) in enumerate(
        [
            ("initialize", hello),
            ("notifications/initialized", {}),
            ("tools/list", {}),
            *(("tools/call", {"name": name, "arguments": arguments}) for name, arguments in calls),
        ]
    ):
        head = {"jsonrpc": "2.0", "method": method, "params": params}
        yield json.dumps(head if method.startswith("notifications") else {**head, "id": place}) + "\n"


# --- replies that show it ---------------------------------------------------------------------------------

ECHO = b"echo"


def _value(text: str, status: int) -> Said:
    told = {"message": text, "code": text}
    return Said.json(
        {"error": told, "id": text, "note": text, "data": [told], "next": text, "more": True}, status
    )


def _unescaped(text: str, status: int) -> Said:
    body = f'{{"error": {{"message": "{text}"}}, "id": "{text}", "data": ["{text}"], "next": "{text}"}}'
    return Said(status, body.encode())


def _key(text: str, status: int) -> Said:
    return Said.json({"error": {"message": {text: text}}, text: {text: 1}, "data": [{text: 1}]}, status)


def _page(text: str, status: int) -> Said:
    body = f"<html><title>Refused {text}</title><body><p class='{text}'>{text}</body>"
    return Said(status, body.encode(), {"Content-Type": "text/html"})


def _plain(text: str, status: int) -> Said:
    return Said(status, text.encode(), {"Content-Type": "text/plain"})


def _at_the_cut(text: str, status: int) -> Said:
    """Where what is told of a reply ends: after 300 characters, or after 2000."""
    told = {"message": "x" * 1985 + text, "code": "y" * 285 + text}
    return Said.json({"error": told, "id": "z" * 8170 + text}, status)


def _in_pieces(text: str, status: int) -> Said:
    pieces = [text[place : place + 9] for place in range(0, len(text), 9)] if text.isalnum() else [text, text]
    return Said.json({"errors": pieces, "id": pieces, "data": pieces}, status)


def _in_headers(text: str, status: int) -> Said:
    shown = text if text.isascii() and text.isprintable() else "spaced"
    names = (
        "Request-Id",
        "Location",
        "Set-Cookie",
        "WWW-Authenticate",
        "Retry-After",
        "Should-Retry",
        "Next",
    )
    return Said.json({}, status, {**dict.fromkeys(names, shown), f"X-{text if text.isalnum() else 0}": "1"})


def _deep(text: str, status: int) -> Said:
    return Said(status, b'{"error": ' + b"[" * 90 + json.dumps(text).encode() + b"]" * 90 + b"}", JSON)


def _cut_off(text: str, status: int) -> Said:
    return dataclasses.replace(_value(text, status), cut=len(text) + 40)


def _echo(text: str, status: int) -> Said:
    return Said(status, ECHO)


PLACES = [
    _value,
    _unescaped,
    _key,
    _page,
    _plain,
    _at_the_cut,
    _in_pieces,
    _in_headers,
    _deep,
    _cut_off,
    _echo,
]
STATUSES = [status for status in range(200, 600) if status not in (204, 205, 304)]


def test_whatever_the_reply_the_secret_stays(home: Home, collected: Collected, tmp_path: Path) -> None:
    """Every writing in every place of a reply, for every other kind of auth; every status that has a body."""
    calls: list[Words] = []
    plans = islice(product(AUTHS, WRITINGS.values(), PLACES), 0, None, 2)
    for (kind, write, place), status, tool in zip(plans, cycle(STATUSES), cycle(TOOLS), strict=False):
        number = str(len(calls))
        home.plans[number] = place(write(CANARY), status)
        calls.append((f"taint{kind}_{tool}", {"n": number}))
    assert len(calls) > 3 * len(STATUSES)
    for start in range(0, len(calls), 250):
        converse(collected, calls[start : start + 250], tmp_path)
    huge = json.dumps({"id": CANARY, "x": [WRITINGS["base64"](CANARY)] * 100_000}).encode()
    home.plans["huge"] = Said(200, huge)
    converse(collected, [(f"taint{kind}_read", {"n": "huge"}) for kind in AUTHS], tmp_path, debug=True)
    # on a slow machine a few run out of time before they are sent
    assert len(home.server.requests) > 0.9 * len(calls)
    _search_all(collected, home)


def _search_all(collected: Collected, home: Home) -> None:
    """Add every file of the home and of the cassettes, and find nothing in all there is."""
    for path in [*home.path.rglob("*"), *(Path(__file__).parent / "cassettes").rglob("*")]:
        if path.is_file():
            data = path.read_bytes()
            assert RAW_MASTER not in data, path
            collected.add(f"the file {path.name}", data)
    assert not collected.leaks()


# --- replies that are none --------------------------------------------------------------------------------

SHOWN = CANARY.encode()
BASIC = base64.b64encode(b"somebody:" + SHOWN)
MALFORMED = {
    "no status line": SHOWN,
    "another protocol": b"HTTP/9.9 200 " + SHOWN + b"\r\n\r\n",
    "no number": b"HTTP/1.1 " + SHOWN + b"\r\n\r\n",
    "a long reason": http(b"{}", f"400 {CANARY}"),
    "a reason and nothing else": b"HTTP/1.1 500 " + BASIC + b"\r\n",
    "no colon": b"HTTP/1.1 200 OK\r\n" + SHOWN + b"\r\n\r\n",
    "a space in a name": b"HTTP/1.1 200 OK\r\nX " + SHOWN + b": 1\r\n\r\n",
    "NUL in a header": b"HTTP/1.1 200 OK\r\nX: \0" + SHOWN + b"\r\n\r\n",
    "a folded header": b"HTTP/1.1 400 OK\r\nRequest-Id: " + SHOWN[:9] + b"\r\n " + SHOWN[9:] + b"\r\n\r\n",
    "a length that is none": b"HTTP/1.1 200 OK\r\nContent-Length: " + SHOWN + b"\r\n\r\n",
    "two lengths": b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n" + SHOWN,
    "a chunk that is none": b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n" + SHOWN + b"\r\n",
    "an encoding that is none": http(SHOWN, headers=f"Transfer-Encoding: {CANARY}\r\n"),
    "packed in an unknown way": http(SHOWN, headers=f"Content-Encoding: {CANARY}\r\n"),
    "gzip that is none": http(SHOWN, headers="Content-Encoding: gzip\r\n"),
    "early hints": f"HTTP/1.1 103 Hints\r\nLink: {CANARY}\r\n\r\n".encode() + http(SHOWN, "400 No"),
    "switching": f"HTTP/1.1 101 {CANARY}\r\nUpgrade: {CANARY}\r\n\r\n".encode() + SHOWN,
    "headers without end": b"HTTP/1.1 200 OK\r\nX: " + SHOWN * 3000,
    "cut off in the headers": b"HTTP/1.1 400 " + SHOWN + b"\r\nRequest-Id: " + SHOWN,
    "cut off in the body": b"HTTP/1.1 400 No\r\nContent-Length: 999\r\n\r\n" + SHOWN,
    "closed": b"",
}


def given(account: Account, request: Request) -> Secret:
    """A vault that opens for everybody."""
    return Secret(CANARY)


@pytest.mark.parametrize("kind", AUTHS)
def test_whatever_is_no_reply_the_secret_stays(kind: str, collected: Collected, tmp_path: Path) -> None:
    with RawServer(*([answer] for answer in MALFORMED.values() for _ in range(3))) as server:
        connector = connector_of(kind, server.url)
        for place in range(len(MALFORMED)):
            # one at a time: each is tried up to three times, and the rest is for the next
            converse(collected, [(f"taint{kind}_read", {"n": str(place)})], tmp_path, [connector], given)
        spent = len(server.heads)
    assert spent >= len(MALFORMED)
    assert not collected.leaks()


def connector_of(kind: str, origin: str, timeout: float = 20) -> Connector:
    text = document(kind, origin, timeout).encode()
    return read_connector("t.yaml", text, Source("own", "t.yaml", ""))


def test_whatever_the_connection_the_secret_stays(
    collected: Collected, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """TLS that is none, a server that is not there, a name that is none, proxies that answer, and no time."""

    def call(kind: str, origin: str, timeout: float = 20) -> None:
        connector = connector_of(kind, origin, timeout)
        calls = [(f"taint{kind}_{tool}", {"n": "1"}) for tool in ("read", "make")]
        converse(collected, calls, tmp_path, [connector], given, debug=True)

    with Loopback(otherwise=Said(wait=5, body=SHOWN)) as server:
        for kind in AUTHS:
            call(kind, server.url.replace("http:", "https:"))
            call(kind, "http://127.0.0.1:9")
            call(kind, "https://nobody.invalid")
            call(kind, server.url, timeout=1)
    answers = [
        http(SHOWN, f"407 {CANARY}", f"Proxy-Authenticate: Basic realm={CANARY}\r\n"),
        http(SHOWN, f"502 {CANARY}"),
        SHOWN,
    ]
    for answer in answers:
        with RawServer(*([answer] for _ in range(30))) as proxy:
            address = proxy.url.replace("//", f"//somebody:{quote(PASSPHRASE)}@")
            monkeypatch.setenv("https_proxy", address)
            for kind in AUTHS:
                call(kind, "https://nobody.invalid")
    assert not collected.leaks()


# --- exceptions at each step ------------------------------------------------------------------------------


class CrashError(BaseException):
    """What a library that is not written in Python raises when it panics."""


STEPS: list[tuple[Any, str]] = [
    (ConnectedVault, "open"),
    (SealedVault, "open"),
    (sealing, "_decrypt"),
    (connected, "judge"),
    (client_step, "authorize"),
    (client_step, "_target"),
    (client_step, "Message"),
    (Network, "exchange"),
    (Network, "_connect"),
    (network, "written"),
    (connection_step.Connection, "exchange"),
    (Body, "add"),
    (client_step, "read"),
    (Scrubber, "learn"),
    (Scrubber, "body"),
    (Scrubber, "text"),
    (Scrubber, "tree"),
    (response, "shape"),
    (MemoryStore, "transaction"),
    (MemoryTransaction, "write"),
    (MemoryTransaction, "settle"),
    (answers, "visible"),
]
RAISED: list[type[BaseException]] = [
    RuntimeError,
    KeyError,
    OSError,
    TimeoutError,
    RecursionError,
    UnicodeError,
    UnsentError,
    BrokenError,
    CredentialError,
    StoreError,
    CrashError,
]


MANY = {"open", "judge", "authorize", "exchange", "add", "body"}


@pytest.mark.parametrize("step", range(len(STEPS)), ids=lambda place: STEPS[place][1])
def test_whatever_breaks_the_secret_stays(
    step: int, home: Home, collected: Collected, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Loudly, with the secret in the message; and quietly, where the frames on the way have it.

    What mcpgate raises itself is quiet: its messages are for people.
    """
    home.otherwise = _echo("", 400)
    connectors = [catalog.load_connector(f"taint{kind}") for kind in ("header", "query")]
    calls = [(f"taint{kind}_{tool}", {"n": "1"}) for kind in ("header", "query") for tool in ("read", "make")]
    target, name = STEPS[step]
    for kind in RAISED if name in MANY else (RuntimeError, CrashError):
        for message in ("it broke", f"it broke with {CANARY}"):

            def breaks(*_: Any, kind: Any = kind, message: str = message, **__: Any) -> Any:
                raise kind(message)

            if message == "it broke" or not issubclass(kind, MCPGateError):
                with monkeypatch.context() as broken:
                    broken.setattr(target, name, breaks)
                    converse(collected, calls, tmp_path, connectors, debug=kind is RuntimeError)
    _search_all(collected, home)


@pytest.mark.parametrize(("name", "fate"), [("authorize", "failed"), ("read", "unknown")])
def test_what_broke_before_anything_was_sent_has_failed(
    name: str, fate: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def breaks(*_: Any) -> Any:
        raise CrashError(CANARY)

    monkeypatch.setattr(client_step, name, breaks)
    collected = Collected()
    with Loopback(otherwise=Said()) as server:
        connector = connector_of("header", server.url)
        converse(collected, [("taintheader_make", {})], tmp_path, [connector], given)
    assert [row for row in collected.seen if f"outcome='{fate}'" in row]


# --- commands ---------------------------------------------------------------------------------------------


def told(collected: Collected, *words: str, given: str = "") -> int:
    """Run a command and keep all that it prints."""
    code, out, err = run(*words, given=given)
    collected.add(f"stdout of {words[0]}", out)
    collected.add(f"stderr of {words[0]}", err)
    collected.calls += 1
    return code


LOOKS = [
    ("doctor",),
    ("doctor", "--json"),
    ("accounts",),
    ("accounts", "--json"),
    ("vault", "status"),
    ("vault", "status", "--json"),
]


def test_whatever_a_command_meets_the_secret_stays(
    home: Home, collected: Collected, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    texts = ["itself", "base64, Basic", "zero-width"]
    replies = [place(WRITINGS[name](CANARY), 401) for name in texts for place in (_page, _in_headers)]
    replies += [_echo("", status) for status in (200, 302, 403, 500)]
    replies += [
        _deep(CANARY, 200),
        Said(silent=True),
        Said(200, SHOWN),
        dataclasses.replace(_value(CANARY, 400), cut=60),
    ]
    for kind, reply in zip(cycle(AUTHS), replies, strict=False):
        home.otherwise = reply
        told(collected, "connect", f"taint{kind}", given=CANARY)
        told(collected, "call", f"taint{kind}_read", "--preset", "full-access")
        told(collected, "call", f"taint{kind}_make", "n=1", "--preset", "full-access", "--json")
        told(collected, *LOOKS[replies.index(reply) % 6])
    monkeypatch.setenv("MCPGATE_TAINTBEARER_KEY", CANARY)
    for words in LOOKS:
        told(collected, *words)
    told(collected, "call", "taintbearer_make", "n=1", "--preset", "full-access")
    for pasted in (f"{CANARY} ", f"{CANARY} {CANARY}", f"{CANARY}\n{CANARY}", CANARY[:20], f"\ufeff{CANARY}"):
        told(collected, "connect", "taintbearer", "--no-probe", given=pasted)
    told(collected, "connect", "taintbearer", "--from-env", CANARY)
    told(collected, "call", "taintbearer_read", "--dry-run")
    told(collected, "run", "taintbearer", "--preset", CANARY[:4])
    _search_all(collected, home)


def test_passphrases_and_the_master_key_stay(
    home: Home, collected: Collected, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    export = str(tmp_path / "export")
    environ = {
        "MCPGATE_PASSPHRASE": PASSPHRASE,
        "MCPGATE_EXPORT_PASSPHRASE": EXPORTED,
        "TAINT_MASTER": MASTER,
    }
    for name, text in environ.items():
        monkeypatch.setenv(name, text)
    assert told(collected, "vault", "export", export) == 0
    assert told(collected, "vault", "rotate", "--passphrase") == 0
    assert told(collected, "call", "taintbearer_read") == 0
    collected.add("the export", Path(export).read_bytes())
    monkeypatch.setenv("MCPGATE_EXPORT_PASSPHRASE", EXPORTED[::-1])
    assert told(collected, "vault", "import", export) == 4
    monkeypatch.setenv("MCPGATE_EXPORT_PASSPHRASE", EXPORTED)
    assert told(collected, "vault", "import", export) == 0
    for wrong in (PASSPHRASE[::-1], PASSPHRASE.upper(), PASSPHRASE[:9], ""):
        monkeypatch.setenv("MCPGATE_PASSPHRASE", wrong)
        for words in (*LOOKS, ("call", "taintquery_read"), ("connect", "taintquery")):
            told(collected, *words, given=CANARY)
    monkeypatch.setenv("MCPGATE_PASSPHRASE", PASSPHRASE)
    assert told(collected, "vault", "rotate", "--key-env", "TAINT_MASTER") == 0
    for wrong in (MASTER[:-5], MASTER[::-1], "x"):
        monkeypatch.setenv("TAINT_MASTER", wrong)
        for words in (*LOOKS, ("call", "taintquery_read")):
            told(collected, *words)
    monkeypatch.setenv("TAINT_MASTER", MASTER)
    (tmp_path / "other.key").touch(0o600)
    (tmp_path / "other.key").write_text(f"{MASTER[:-9]}{PASSPHRASE}")
    assert told(collected, "vault", "rotate", "--key-file", str(tmp_path / "other.key")) != 0
    assert told(collected, "vault", "status") == 0
    _search_all(collected, home)


DEBUGGED = """
import asyncio, logging, sys, traceback
class Told(logging.Formatter):
    def formatException(self, info):
        return "".join(traceback.TracebackException(*info, capture_locals=True).format())
handler = logging.StreamHandler(sys.stderr)
handler.setFormatter(Told("%(name)s %(message)s %(args)r"))
logging.root.addHandler(handler)
logging.root.setLevel(logging.DEBUG)
from mcpgate.__main__ import main
sys.exit(main(sys.argv[1:]))
"""


def test_a_server_that_tells_everything_does_not_tell_it(
    home: Home, collected: Collected, tmp_path: Path
) -> None:
    """`mcpgate run` as a process of its own in Python's development mode, with every logger turned up."""
    calls: list[Words] = []
    for (write, place), status in zip(product(WRITINGS.values(), PLACES[::2]), cycle(STATUSES), strict=False):
        number = str(len(calls))
        home.plans[number] = place(write(CANARY), status)
        calls.append((f"taint{list(AUTHS)[len(calls) % 5]}_{TOOLS[len(calls) % 6]}", {"n": number}))
    source, printed, errors = (tmp_path / name for name in ("in", "out", "err"))
    source.write_text("".join(_lines(calls)))
    words = ["run", *(f"taint{kind}" for kind in AUTHS), "--preset", "full-access"]
    with source.open() as reads, printed.open("w") as out, errors.open("w") as err:
        command = [sys.executable, "-X", "dev", "-c", DEBUGGED, *words]
        done = subprocess.run(command, stdin=reads, stdout=out, stderr=err, timeout=120, check=False)
    assert done.returncode == 0, errors.read_text()[-2000:]
    assert len(printed.read_text().splitlines()) == len(calls) + 2
    assert "Using selector" in errors.read_text()
    for path in (printed, errors):
        collected.add(path.name, path.read_bytes())
    _search_all(collected, home)


# --- the search itself ------------------------------------------------------------------------------------


@pytest.mark.parametrize("writing", WRITINGS.keys() - {"cut at 12"})
def test_the_search_finds_it_however_it_is_written(
    writing: str, collected: Collected, tmp_path: Path
) -> None:
    """In everything that is searched: a secret that were there would be found."""
    shown = f"before {WRITINGS[writing](CANARY)} after"

    def fails() -> None:
        held = [shown]
        raise ValueError(len(held))

    async def forgotten() -> None:
        asyncio.get_running_loop().call_exception_handler({"message": shown})

    assert not collected.leaks()
    plants: list[Callable[[], object]] = [
        lambda: collected.add("a message of MCP", json.dumps({"text": shown})),
        lambda: collected.add("a file", shown.encode()),
        lambda: logging.getLogger("sqlalchemy.engine.Engine").debug("it is %s", shown),
        lambda: asyncio.run(forgotten()),
        lambda: collected.error("raised", _raised(fails)),
        lambda: sys.excepthook(ValueError, _raised(fails), None),
        lambda: collected.add("a file", b"\0\xff" * 50 + shown.encode() + os.urandom(500)),
    ]
    for plant in plants:
        plant()
        assert collected.leaks()
        collected.seen.clear()


def _raised(breaks: Callable[[], None]) -> BaseException:
    with pytest.raises(ValueError, match="1") as raised:
        breaks()
    return raised.value


@pytest.mark.parametrize("secret", [PASSPHRASE, EXPORTED, MASTER, RAW_MASTER.hex()])
def test_the_search_knows_every_secret(secret: str) -> None:
    assert HUNT.sees(f"x {secret} x")
    assert HUNT.sees(base64.b64encode(f"ab{secret}".encode()))
    assert not HUNT.sees(f"x {secret[:7]} x")
