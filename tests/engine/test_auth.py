"""The credential: how it travels, and that it never shows itself (rows 13 and 29)."""

from __future__ import annotations

import asyncio
import base64
import dataclasses
import functools
import json
import logging
import socket
import traceback
from collections.abc import Callable, Iterator
from urllib.parse import quote, quote_plus

import pytest

from mcpgate.engine.network import Network
from mcpgate.engine.request import build
from mcpgate.engine.transport import Attempt, Message, Received
from mcpgate.secrets import Secret
from tests.engine.raw import RawServer, http
from tests.engine.rig import CANARY, Rig, one_tool
from tests.standins.loopback import JSON, LOST, Captured, Loopback, Reply

GET = "category: read\nrequest: GET /x\nparams: {a: Text.}"
POST = "category: write\neffects: []\nrequest: POST /x\nparams: {a: Text.}"
USER = "settings: {user: {type: string, pattern: '.+'}}\n"
BASIC = base64.b64encode(f"{CANARY}:".encode()).decode()
NAMED = base64.b64encode(f"mé@x.example:{CANARY}".encode()).decode()


@pytest.mark.parametrize(
    ("top", "name", "value"),
    [
        ("auth: {type: bearer}", "authorization", f"Bearer {CANARY}"),
        ("auth: {type: bearer, scheme: Bot}", "authorization", f"Bot {CANARY}"),
        ("auth: {type: basic}", "authorization", f"Basic {BASIC}"),
        (USER + "auth: {type: basic, username: '{user}'}", "authorization", f"Basic {NAMED}"),
        ("auth: {type: basic, username: mé@x.example}", "authorization", f"Basic {NAMED}"),
        ("auth: {type: header, name: X-Api-Key}", "x-api-key", CANARY),
        ("auth: {type: header, name: Authorization, scheme: Token}", "authorization", f"Token {CANARY}"),
        ("x-none: 1", "authorization", None),
    ],
)
def test_how_the_secret_travels(capture: Loopback, top: str, name: str, value: str | None) -> None:
    settings = {"user": "mé@x.example"} if "user:" in top else {}
    with Rig(one_tool(GET, top, capture.url), CANARY, settings) as rig:
        assert not rig.call().is_error
    request = capture.requests[0]
    assert request.headers.get(name) == value
    assert request.target == "/x"


@pytest.mark.parametrize(("given", "target"), [({}, "/x?"), ({"a": "b c"}, "/x?a=b%20c&")])
def test_a_secret_in_the_query_comes_last(capture: Loopback, given: dict[str, str], target: str) -> None:
    with Rig(one_tool(GET, "auth: {type: query, name: api-key}", capture.url), CANARY) as rig:
        assert not rig.call(**given).is_error
    assert capture.requests[0].target == f"{target}api-key={quote(CANARY, safe='')}"


@pytest.mark.parametrize(
    ("top", "key", "value"),
    [
        ("auth: {type: header, name: X-Key}", "", CANARY),
        ("auth: {type: bearer}\nidempotency: X-Key", "key-1", "key-1"),
    ],
)
def test_no_argument_takes_the_place_of_a_header_of_ours(top: str, key: str, value: str) -> None:
    with RawServer([http()]) as server, Rig(one_tool(POST, top, server.url), CANARY) as rig:
        built = build(rig.account, rig.connector.tools["t_x"], {})
        forged = (*built.headers, ("x-key", "forged"), ("X-KEY", "forged"))
        rig.run(rig.client.send(dataclasses.replace(built, headers=forged, key=key), rig.account))
    lines = server.heads[0][0].decode().splitlines()
    assert [line for line in lines if line.lower().startswith("x-key")] == [f"X-Key: {value}"]


# --- row 13: a canary through every way a call can go ---


def shown(secret: str) -> set[str]:
    """What would give the secret away: itself and its common encodings, or a good part of either."""
    raw = secret.encode()
    forms = {
        secret,
        quote(secret, safe=""),
        quote_plus(secret),
        raw.hex(),
        json.dumps(secret)[1:-1],
        secret[::-1],
    }
    forms |= {base64.b64encode(b"x" * pad + raw).decode()[4:20] for pad in range(3)}
    return {form[:14] for form in forms}


def echo(request: Captured, status: int = 200, head: str = "") -> Reply:
    """Everything that was sent, sent back: in the body and in headers, as it is and encoded."""
    auth = request.headers.get("authorization", "") + request.headers.get("x-key", "") + request.target
    in_base64 = base64.b64encode(auth.encode()).decode()
    forms = [auth, in_base64, auth.encode().hex(), quote(auth), quote(auth, safe=""), in_base64.rstrip("=")]
    text = " ".join(forms)
    body = json.dumps({"error": {"message": text, "code": auth}, "id": text, text: [text], "secret": forms})
    headers = {**JSON, "X-Id": auth, "X-Echo": auth, "Location": f"/{auth}", "Set-Cookie": f"k={auth}"}
    return Reply(status, (head + body).encode(), headers)


Way = Callable[[Captured], Reply]
WAYS: dict[str, Way] = {
    **{str(status): functools.partial(echo, status=status) for status in (200, 302, 400, 401, 429, 500)},
    "not JSON": lambda request: echo(request, 200, "x "),
    "an error page": lambda request: echo(request, 502, "<html><p>"),
    "cut off": lambda request: Reply(200, echo(request).body, cut=900),
    "cut off while refusing": lambda request: Reply(400, echo(request).body, cut=900),
    "lost": lambda request: LOST,
    "slow": lambda request: Reply(200, echo(request).body, echo(request).headers, drip=0.01),
    "badly packed": lambda request: Reply(200, echo(request).body, {"Content-Encoding": "gzip"}),
    "packed in another way": lambda request: Reply(200, b"", {"Content-Encoding": request.headers["host"]}),
    "an error inside 200": lambda request: echo(request),
}
AUTHS = {
    "bearer": "auth: {type: bearer}",
    "basic": "auth: {type: basic, username: somebody}",
    "header": "auth: {type: header, name: X-Key}",
    "query": "auth: {type: query, name: key}",
}
TOP = """
request_id: X-Id
timeout: 0.5
idempotency: Idempotency-Key
errors: {message: [error.message, 'header:X-Echo'], code: error.code, when: WHEN}
"""


@pytest.fixture
def log() -> Iterator[list[str]]:
    """Everything that is logged while every logger there is stands at DEBUG."""
    lines: list[str] = []

    class Keep(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            lines.append(logging.Formatter().format(record))

    names = [*logging.Logger.manager.loggerDict, "httpcore2.http11", "httpcore2.connection"]
    loggers = [logging.getLogger(name) for name in names] + [logging.getLogger()]
    before = [logger.level for logger in loggers]
    handler = Keep(0)
    logging.getLogger().addHandler(handler)
    for logger in loggers:
        logger.setLevel(logging.DEBUG)
    logging.getLogger("somewhere").debug("the log works")
    yield lines
    assert "the log works" in lines
    logging.getLogger().removeHandler(handler)
    for logger, level in zip(loggers, before, strict=True):
        logger.setLevel(level)


def told(rig: Rig, log: list[str]) -> str:
    """All that can be read after a call, apart from what the API is sent."""
    rig.run(turn_debug_on())
    outcome = rig.call(a="1")
    parts = [outcome.text, outcome.note, repr(outcome), json.dumps(outcome.structured, default=str)]
    parts += [repr(row) for row in rig.store.rows] + [repr(rig.store.entries), *log]
    parts += [repr(rig.account), repr(rig.client), repr(rig.gateway), repr(vars(rig.client))]
    assert len(rig.store.rows) >= 1
    return "\n".join(parts)


async def turn_debug_on() -> None:
    asyncio.get_running_loop().set_debug(True)


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("auth", AUTHS)
def test_row_13_the_secret_stays_inside(way: str, auth: str, log: list[str]) -> None:
    top = AUTHS[auth] + TOP.replace("WHEN", "error" if way == "an error inside 200" else "nothing")
    with Loopback(otherwise=WAYS[way]) as server:
        with Rig(one_tool(POST, top, server.url), CANARY) as rig:
            everything = told(rig, log)
        assert server.requests, "nothing was sent"
        sent = str(server.requests[0])
        assert any(form in sent for form in shown(CANARY)), "nothing was there to be told"
    for form in shown(CANARY):
        assert form not in everything


class Broken(Network):
    """A transport with a fault that nobody foresaw, and a loud one."""

    async def exchange(self, message: Message, attempt: Attempt) -> Received:
        raise RuntimeError(f"{message.target} {message.headers}")


@pytest.mark.parametrize("auth", AUTHS)
def test_row_13_a_fault_nobody_foresaw_does_not_tell_either(auth: str, log: list[str]) -> None:
    with Rig(one_tool(POST, AUTHS[auth], "https://h"), CANARY, transport=Broken()) as rig:
        try:
            everything = told(rig, log)
        except Exception:
            everything = traceback.format_exc()
    for form in shown(CANARY):
        assert form not in everything


@pytest.mark.parametrize("secret", [f"{CANARY}\nX: y", f"{CANARY}\r", f"{CANARY}\x00", f"{CANARY}é "])
@pytest.mark.parametrize("auth", ["bearer", "header"])
def test_row_13_a_secret_that_no_header_takes_is_not_shown_and_not_sent(
    capture: Loopback, auth: str, secret: str, log: list[str]
) -> None:
    with Rig(one_tool(POST, AUTHS[auth], capture.url), secret) as rig:
        everything = told(rig, log)
        assert rig.store.rows[-1].outcome in ("failed", "succeeded")
    assert CANARY[:14] not in everything
    assert all("\n" not in value for request in capture.requests for value in request.headers.values())


def test_row_13_nobody_listens_and_nothing_is_shown(log: list[str]) -> None:
    with socket.create_server(("127.0.0.1", 0)) as closed:
        port = closed.getsockname()[1]
    with Rig(one_tool(POST, AUTHS["query"] + TOP, f"http://127.0.0.1:{port}"), CANARY) as rig:
        assert CANARY[:14] not in told(rig, log)


def test_row_13_a_secret_that_is_printed_is_three_stars() -> None:
    secret = Secret(CANARY)
    assert f"{secret} {secret!r} {secret!s} {[secret]} {secret:>3}" == "*** *** *** [***] ***"


def test_row_13_the_secret_is_no_part_of_the_request_that_is_shown(capture: Loopback) -> None:
    with Rig(one_tool(POST, AUTHS["bearer"], capture.url), CANARY) as rig:
        reply = rig.send()
    assert CANARY not in repr(reply.request)
    assert "authorization" not in {name.lower() for name, _ in reply.request.headers}


def test_row_29_nothing_goes_upstream_but_what_was_built() -> None:
    with RawServer([http()]) as server, Rig(one_tool(POST, AUTHS["bearer"], server.url), CANARY) as rig:
        rig.call(a="1")
    names = [line.partition(b":")[0].lower() for line in server.heads[0][0].split(b"\r\n")[1:]]
    expected = b"host content-length accept user-agent content-type authorization accept-encoding".split()
    assert sorted(names) == sorted(expected)
