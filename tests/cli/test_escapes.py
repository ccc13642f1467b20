"""Row 33: whatever a text of an API, an agent, a file or a person says, a terminal only shows it."""
# ruff: noqa: E501

from __future__ import annotations

import io
import json
import re
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from mcpgate.cli.console import plain, print_json, stdout, table
from mcpgate.engine.hygiene import visible_text
from mcpgate.vault.os_keyring import Keyring
from tests.cli.conftest import Ran
from tests.standins.keyring import MemoryBackend
from tests.standins.loopback import Loopback, Reply

Run = Callable[..., Ran]
# clears the screen, links, writes backwards, hides: as C0 and C1, bidi, zero-width, tags, blank letters, a flood
CODES = (
    "\x1b[2J\x1b]8;;https://evil.example\x07x\x9b31m\x90\r\x08\u202e\u2066\u200b\u2028"
    "\U000e0041\u3164\ufe0f\u2800" + "e" + "\u0301" * 40
)
HOSTILE = f"[red]evil[/red] :smile: [link=https://evil.example]x[/link] {CODES}"
IN_YAML = "".join(
    char if " " < char < "\x7f" and char not in '"\\' else f"\\U{ord(char):08x}" for char in HOSTILE
)
CONNECTOR = f"""
connector: evil
title: "{IN_YAML}"
description: "{IN_YAML}"
instructions: "{IN_YAML}"
base_url: https://api.evil.example/v1
docs: "https://docs.evil.example/"
settings: {{ region: {{ type: string, pattern: ".*", default: x, description: "{IN_YAML}" }} }}
auth:
  type: bearer
  secret: {{ label: "{IN_YAML}", kinds: [{{ match: "x+", refuse: "{IN_YAML}" }}, {{ match: "good.*", caution: "{IN_YAML}" }}] }}
  probe: evil_read
errors: {{ message: error, hints: {{ 400: "{IN_YAML}" }} }}
tools:
  evil_read:
    description: "{IN_YAML}"
    category: read
    request: GET /x
    params: {{ q: "{IN_YAML}" }}
    sample: {{ id: "{IN_YAML}", "{IN_YAML}": 1 }}
  evil_write:
    description: "{IN_YAML}"
    category: write
    request: POST /x
    params: {{ amount: {{ type: integer, description: "{IN_YAML}" }}, q: "{IN_YAML}" }}
    effects: [money_in]
    summary: "{{q}}"
"""
FLOOD = re.compile("[\\u0300-\\u036f]{5}|\\u2800")
PRESET = f"""
preset: evil
description: "{IN_YAML}"
allow: [read, write]
mask: ["{IN_YAML}"]
guardrails:
  - for: write
    block_values: {{ field: q, values: ["{IN_YAML}"] }}
    reason: "{IN_YAML}"
"""


@pytest.fixture
def evil(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with hostile files of hostile names."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("MCPGATE_EVIL_KEY", raising=False)
    name = "e\x1b[2J\u202e\u200b[red]"
    for file, text in (("c", CONNECTOR), ("p", PRESET)):
        (tmp_path / f"{file}.yaml").write_text(text)
        (tmp_path / f"{name}{file}.yaml").write_text(text)
    (tmp_path / f"{name}wrong.yaml").write_text(
        f'connector: "{IN_YAML}"\n"{IN_YAML}": 1\ntools: "{IN_YAML}"\n'
    )
    return tmp_path / name


def shows(text: str) -> bool:
    """Whether a terminal only shows it: nothing invisible, no control character but line ends, no flood."""
    kept = text.replace("\n", "")
    return kept.isprintable() and visible_text(kept) == kept and not FLOOD.search(kept)


COMMANDS = [
    "tools ./c.yaml",
    "tools ./c.yaml --json",
    "tools ./c.yaml --without {hostile}",
    "tools ./c.yaml --setting region={hostile}",
    "tools ./c.yaml --setting {hostile}=1",
    "tools {hostile}",
    "tools {bare}",
    "tools ./{hostile}.yaml",
    "tools {evil}c.yaml -p {evil}p.yaml",
    "tools {evil}wrong.yaml",
    "tools ./c.yaml -p {hostile}",
    "tools ./c.yaml --account {hostile}",
    "connectors",
    "connectors --json",
    "presets",
    "connectors ./c.yaml",
    "connectors ./c.yaml --json",
    "connectors {evil}c.yaml",
    "connectors {hostile}",
    "presets ./p.yaml",
    "presets ./p.yaml --json",
    "presets {evil}p.yaml --on {evil}c.yaml",
    "presets --on {evil}c.yaml",
    "check {evil}c.yaml {evil}p.yaml {evil}wrong.yaml ./{hostile}.yaml",
    "call evil_read -c ./c.yaml --sandbox",
    "call evil_read -c ./c.yaml --sandbox --json",
    "call evil_read -c ./c.yaml q={hostile}",
    "call evil_read -c ./c.yaml q={hostile} --dry-run",
    "call evil_read -c ./c.yaml {hostile}=1 --sandbox",
    "call evil_read -c ./c.yaml {hostile} --sandbox",
    "call evil_read -c ./c.yaml q:={hostile} --sandbox",
    "call {hostile} -c ./c.yaml",
    "call evil_write -c {evil}c.yaml -p {evil}p.yaml q={hostile}",
    "call evil_write -c {evil}c.yaml -p {evil}p.yaml q={hostile} --json",
    "call evil_write -c {evil}c.yaml -p {evil}p.yaml q={hostile} --dry-run",
    "call evil_write -c {evil}c.yaml -p {evil}p.yaml q={hostile} --dry-run --json",
    "call evil_write -c {evil}c.yaml -p {evil}p.yaml q=x amount={hostile}",
    "call evil_write -c {evil}c.yaml -p {evil}p.yaml q=x{hostile} --dry-run",
    "connect ./c.yaml --from-env {hostile}",
    "connect ./c.yaml --from-env EVIL",
    "connect ./c.yaml --setting region={hostile}",
    "connect ./c.yaml --account {hostile}",
    "disconnect {hostile}",
    "disconnect ./c.yaml --account {hostile}",
    "accounts",
    "accounts --json",
    "install {hostile}",
    "install cursor {evil}c.yaml -p {evil}p.yaml",
    "install cursor ./c.yaml --name {hostile}",
    "sandbox ./c.yaml --fault {hostile}",
    "run {hostile}",
    "run {evil}wrong.yaml",
    "demo {evil}wrong.yaml",
    "demo {hostile}",
    "doctor --offline",
    "doctor --offline --json",
    "{hostile}",
    "accounts {hostile}",
    "tools --{hostile}",
    "--{hostile}",
    "sandbox ./c.yaml --port {hostile}",
]


@pytest.mark.parametrize("command", COMMANDS)
def test_a_terminal_shows_what_is_said_and_obeys_nothing(
    command: str, mcpgate: Run, evil: Path, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("EVIL", "xxxxxxxx")
    for room, text in (("connectors", CONNECTOR), ("presets", PRESET)):
        (home / room).mkdir(parents=True)
        (home / room / "evil.yaml").write_text(text)
        (home / room / "\x1b[2J\u202e.yaml").write_text(text)
    words = command.replace("{evil}", "{0}").replace("{hostile}", "{1}").replace("{bare}", "{2}").split()
    ran = mcpgate(*(word.format(evil, HOSTILE, HOSTILE.replace("/", "")) for word in words))
    assert ran.out + ran.err
    assert shows(ran.out), plain(ran.out)
    assert shows(ran.err), plain(ran.err)
    assert "fault of mcpgate" not in ran.err


REPLIES: list[tuple[Any, int]] = [
    ({"id": HOSTILE, HOSTILE: [HOSTILE]}, 200),
    (HOSTILE, 200),
    ({"error": HOSTILE}, 400),
    ({"error": {HOSTILE: HOSTILE}}, 501),
]


@pytest.mark.parametrize("words", [(), ("--json",)])
@pytest.mark.parametrize(("value", "status"), REPLIES)
def test_a_reply_is_shown_and_not_obeyed(
    value: Any,
    status: int,
    words: tuple[str, ...],
    mcpgate: Run,
    evil: Path,
    monkeypatch: pytest.MonkeyPatch,
    scripted: Callable[..., Loopback],
) -> None:
    server = scripted(Reply.json(value, status, {"X-Id": "\x9b31m"}))
    file = Path("l.yaml")
    file.write_text(CONNECTOR.replace("https://api.evil.example", server.url) + "request_id: X-Id\n")
    monkeypatch.setenv("MCPGATE_EVIL_KEY", "good-key")
    ran = mcpgate("call", "evil_read", "-c", "./l.yaml", *words)
    assert ran.code == (0 if status == 200 else 1)
    assert "[red]evil[/red] :smile: [link=https://evil.example]x[/link]" in ran.out
    assert shows(ran.out), plain(ran.out)
    assert shows(ran.err), plain(ran.err)


def test_connecting_shows_and_does_not_obey(
    mcpgate: Run, evil: Path, monkeypatch: pytest.MonkeyPatch, scripted: Callable[..., Loopback]
) -> None:
    backend, prompts = MemoryBackend(), list[str]()
    monkeypatch.setattr("mcpgate.vault.os_keyring.find_keyring", lambda *_: Keyring("Test keyring", backend))
    monkeypatch.setattr(sys, "stdin", io.StringIO())
    monkeypatch.setattr(sys.stdin, "isatty", lambda: True)

    def ask(prompt: str) -> str:
        prompts.append(prompt)
        return "good-key"

    monkeypatch.setattr("getpass.getpass", ask)
    server = scripted(Reply.json({"error": HOSTILE}, 403), Reply.json({}))
    Path("l.yaml").write_text(CONNECTOR.replace("https://api.evil.example", server.url))
    said = [mcpgate("connect", "./l.yaml"), mcpgate("connect", "./l.yaml"), mcpgate("accounts")]
    assert [ran.code for ran in said] == [4, 0, 0]
    for text in (*prompts, *(ran.out + ran.err for ran in said[:2])):
        assert "[red]evil[/red]" in text
        assert shows(text), plain(text)


def test_the_sandbox_says_and_does_not_obey(
    mcpgate: Run, evil: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("mcpgate.cli.sandbox.serve", lambda *given: given[-1]("http://127.0.0.1:1"))
    ran = mcpgate("sandbox", "./c.yaml")
    assert "[red]evil[/red]" in ran.out
    assert shows(ran.out), plain(ran.out)


def test_a_demo_shows_and_does_not_obey(mcpgate: Run, evil: Path) -> None:
    text = IN_YAML.replace('"', '\\"')
    Path("s.yaml").write_text(
        f'demo: "{text}"\nrun: [./c.yaml]\ncases:\n  - say: "{text}"\n'
        f'    call: {{ tool: evil_read, arguments: {{ q: "{text}" }} }}\n    expect: allow\n    show: request\n'
    )
    ran = mcpgate("demo", "s.yaml")
    assert ran.code == 0, ran.err
    assert "[red]evil[/red]" in ran.out
    assert shows(ran.out), plain(ran.out)
    assert shows(ran.err), plain(ran.err)


def test_all_that_an_agent_never_sees_is_escaped_for_people_too() -> None:
    """And nothing that a terminal shows as it is is lost."""
    every = [chr(code) for code in range(sys.maxunicode + 1)]
    assert not [
        char for char in every if char not in "\n\t" and char == plain(char) and not visible_text(char)
    ]
    for text in ("née – 日本 👍 Ω ≤ ✓", "tiếng Việt", "שָׁלוֹם", "नमस्ते", "กิ๊ก", "e" + "\u0301" * 4, "a\nb"):
        assert plain(text) == text
    assert plain("e" + "\u0301" * 6) == "e" + "\u0301" * 4 + r"\u0301\u0301"
    assert plain("\U000e0041\x1b\ud800") == r"\U000e0041\u001b\ud800"


def test_json_for_machines_is_the_same_value(capsys: pytest.CaptureFixture[str]) -> None:
    print_json({HOSTILE: [HOSTILE, "é"]})
    printed = capsys.readouterr().out
    assert json.loads(printed) == {HOSTILE: [HOSTILE, "é"]}
    assert shows(printed)
    assert "é" in printed


def test_nothing_that_is_printed_needs_to_be_escaped_first(monkeypatch: pytest.MonkeyPatch) -> None:
    """The console itself escapes, headings and cells too; on a terminal only its own colours are codes."""
    monkeypatch.setattr(sys, "stdout", screen := io.StringIO())
    for tell in (False, True):
        monkeypatch.setenv("FORCE_COLOR", "1") if tell else monkeypatch.delenv("FORCE_COLOR", raising=False)
        shown = table("x", HOSTILE)
        shown.add_row(HOSTILE, HOSTILE)
        stdout().print(HOSTILE, shown, style="red")
        printed = screen.getvalue()
        assert "[red]evil[/red] :smile:" in printed
        assert "\x1b[2J" not in printed
        assert "\x1b]8" not in printed
        assert tell or shows(printed)
