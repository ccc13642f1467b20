"""`mcpgate sandbox` as a person meets it: what it says, and what it says when it cannot."""

from __future__ import annotations

import os
import pty
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import httpx2
import pytest

from tests.cli.conftest import Ran
from tests.sandbox.served import sandbox

Run = Callable[..., Ran]


@pytest.mark.parametrize(
    ("words", "code", "says"),
    [
        ("", 2, "Missing argument"),
        ("strpe", 3, "There is no connector 'strpe'; did you mean 'stripe'?"),
        ("nowhere.yaml", 3, "nowhere.yaml cannot be read"),
        (
            "stripe --fault slow",
            2,
            "--fault slow: there is no such fault. A status such as 429 or 500, or: ok,",
        ),
        ("stripe --port 70000", 2, "Invalid value for '--port': Input should be less than or equal to 65535"),
        ("stripe --port x", 2, "Invalid value for '--port': Input should be a valid integer"),
        ("stripe gmail", 2, "unexpected extra argument"),
    ],
)
def test_bad_words_are_told_and_nothing_is_served(mcpgate: Run, words: str, code: int, says: str) -> None:
    ran = mcpgate("sandbox", *words.split())
    assert (ran.code, ran.out) == (code, "")
    assert says in " ".join(ran.err.replace("│", " ").split())
    assert "Traceback" not in ran.err


def test_its_help_names_every_fault(mcpgate: Run) -> None:
    said = " ".join(mcpgate("sandbox", "--help").out.replace("│", " ").split())
    assert "Serve a stand-in API on loopback, made from a connector" in said
    for word in ("429", "timeout", "drip", "html", "cut", "ok", "--port", "--fault"):
        assert word in said


def test_it_says_where_it_is_and_what_it_knows() -> None:
    with sandbox("stripe") as served:
        assert served.said == (
            f"Stripe sandbox: http://127.0.0.1:{served.port}/v1\n"
            "It knows the samples and whatever is written to it, until it ends. Any key will do.\n"
            "Stop it with Ctrl-C.\n"
        )
        reply = httpx2.get(f"{served.address}/balance", headers={"Authorization": "Bearer anything"})
        assert reply.json()["object"] == "balance"


def test_a_connector_of_ones_own_with_settings_in_its_address(tmp_path: Path) -> None:
    """Whatever stands where a setting is fits it, and what is listed leads back to where it was asked."""
    file = tmp_path / "sms.yaml"
    file.write_text("""
connector: sms
title: "SMS \\e[31m"
base_url: https://{region}.sms.example/2010/{account}
encoding: form
settings: { region: { type: string, pattern: '[a-z]+' }, account: { type: string, pattern: 'AC\\d+' } }
tools:
  sms_list:
    description: A.
    category: read
    request: GET /Messages.json
    paginate:
      params: { Size: { type: integer }, Page: { type: integer } }
      items: messages
      next: next_page
    sample: { messages: [{ sid: SM1, body: Hi }, { sid: SM0, body: Ho }] }
  sms_get: { description: A., category: read, request: 'GET /Messages/{sid}.json', params: { sid: Its id. } }
  sms_delete:
    description: A.
    category: delete
    effects: [erase]
    request: DELETE /Messages/{sid}.json
    params: { sid: Its id. }
    reply: none
""")
    with sandbox(str(file)) as served:
        assert served.address.endswith("/2010/{account}")
        assert served.said.startswith("SMS \\u001b[31m sandbox: ")
        at = f"{served.origin}/2010/AC7"
        page = httpx2.get(f"{at}/Messages.json?Size=1").json()
        assert page == {
            "messages": [{"sid": "SM1", "body": "Hi"}],
            "next_page": f"{at}/Messages.json?Size=1&Page=2",
        }
        assert httpx2.get(page["next_page"]).json()["messages"] == [{"sid": "SM0", "body": "Ho"}]
        assert httpx2.get(f"{at}/Messages/SM0.json").json() == {"sid": "SM0", "body": "Ho"}
        gone = httpx2.delete(f"{at}/Messages/SM0.json")
        assert (gone.status_code, gone.content, gone.headers.get("content-length")) == (204, b"", None)
        assert httpx2.get(f"{at}/Messages/SM0.json").status_code == 404


@pytest.mark.skipif(sys.platform == "win32", reason="terminals are other there")
def test_ctrl_c_at_a_terminal_ends_it_without_a_word(home: Path) -> None:
    leader, follower = pty.openpty()
    process = subprocess.Popen(
        [sys.executable, "-m", "mcpgate", "sandbox", "stripe", "--port", "0"],
        stdin=follower, stdout=follower, stderr=follower, start_new_session=True,
    )  # fmt: skip
    os.close(follower)
    said = b""
    while b"Ctrl-C" not in said:
        said += os.read(leader, 1024)
    began = time.monotonic()
    process.send_signal(signal.SIGINT)
    assert process.wait(10) == 130
    assert time.monotonic() - began < 2
    rest = b""
    try:
        while piece := os.read(leader, 1024):
            rest += piece
    except OSError:  # the other end is closed
        pass
    os.close(leader)
    assert rest.strip() == b""
