"""`mcpgate install`: every entry starts as it is written, and what else a client's file says stays."""

from __future__ import annotations

import dataclasses
import json
import re
import sys
import tomllib
from pathlib import Path
from typing import Any

import anyio
import pytest
from mcp import Client, StdioServerParameters

from mcpgate.cli import commands
from mcpgate.cli.entry_words import words_of
from mcpgate.cli.opening import Options, open_toolset
from mcpgate.cli.vaults import sealed_vault
from mcpgate.clients.table import BY_NAME, CLIENTS
from mcpgate.secrets import Secret
from mcpgate.vault.binding import Binding
from tests.cli.conftest import Run
from tests.standins.keyring import MemoryBackend

NAMES = list(BY_NAME)
SCRIPT = str(Path(sys.executable).with_name("mcpgate"))
FILES = {
    "claude-desktop": ".config/Claude/claude_desktop_config.json",
    "claude-code": ".claude.json",
    "cursor": ".cursor/mcp.json",
    "vscode": ".config/Code/User/mcp.json",
    "codex": ".codex/config.toml",
    "gemini": ".gemini/settings.json",
}
KEYS = {client.name: client.key for client in CLIENTS}
MOVING = ("XDG_CONFIG_HOME", "CLAUDE_CONFIG_DIR", "CODEX_HOME", "GEMINI_CLI_HOME", "APPDATA", "MCPGATE_HOME")
BARE = ("LOGNAME", "SHELL", "TERM", "USER")


@pytest.fixture
def person(tmp_path: Path, mcpgate: Run, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A person's home, and a working directory with nothing in it."""
    for name in MOVING:
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(sys, "platform", "linux")
    person, work = tmp_path / "person", tmp_path / "work"
    person.mkdir()
    work.mkdir()
    monkeypatch.setenv("HOME", str(person))
    monkeypatch.chdir(work)
    return person


def read(path: Path) -> dict[str, Any]:
    text = path.read_text("utf-8")
    value: dict[str, Any] = tomllib.loads(text) if path.suffix == ".toml" else json.loads(text)
    return value


def servers(client: str, person: Path) -> dict[str, Any]:
    found: dict[str, Any] = read(person / FILES[client])[KEYS[client]]
    return found


# --- started as written ----------------------------------------------------------------------------------


def start(entry: dict[str, Any], folder: Path, tool: str, **arguments: Any) -> tuple[list[str], Any]:
    """What a client finds that starts an entry: the tools, and what one of them answers."""

    async def talk() -> tuple[list[str], Any]:
        server = StdioServerParameters(
            command=entry["command"], args=entry["args"], env=entry.get("env"), cwd=folder
        )
        async with Client(server, mode="legacy", read_timeout_seconds=30) as client:
            tools = [each.name for each in (await client.list_tools()).tools]
            return tools, await client.call_tool(tool, arguments)

    return anyio.run(talk)


@pytest.mark.parametrize("script", [True, False], ids=["script", "module"])
@pytest.mark.parametrize("client", NAMES)
def test_each_entry_starts_in_a_bare_environment(
    client: str, script: bool, person: Path, mcpgate: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    Path("cap.yaml").write_text("policy: cap\ndeny: [stripe_list_products]\n")
    if not script:
        monkeypatch.setattr(Path, "is_file", lambda path: False)
    words = ("stripe", "--preset", "transact", "--policy", "cap.yaml", "--sandbox", "--write")
    assert mcpgate("install", client, *words).code == 0
    monkeypatch.undo()
    entry = servers(client, person)["stripe"]
    assert entry["command"] == (SCRIPT if script else sys.executable)
    for name in BARE:
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HOME", str(person))
    monkeypatch.setenv("PATH", "/usr/bin:/bin")
    # what lies in the client's working directory is not run in our place
    elsewhere = tmp_path / "elsewhere"
    (elsewhere / "mcpgate").mkdir(parents=True)
    for name in ("mcpgate/__init__.py", "mcpgate/__main__.py", "json.py"):
        (elsewhere / name).write_text("raise SystemExit('the wrong one')\n")
    tools, answer = start(entry, elsewhere, "stripe_get_balance")
    assert len(tools) == 12
    assert "stripe_list_products" not in tools
    assert not answer.is_error, answer.content
    assert "available" in answer.content[0].text


def test_the_folder_of_a_persons_own_files_is_found_again(
    person: Path, mcpgate: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    own = tmp_path / "own"
    (own / "connectors").mkdir(parents=True)
    (own / "connectors" / "shop.yaml").write_text(SHOP)
    monkeypatch.setenv("MCPGATE_HOME", "../own")
    assert mcpgate("install", "cursor", "shop", "--sandbox", "--write").code == 0
    entry = servers("cursor", person)["shop"]
    assert entry["env"] == {"MCPGATE_HOME": str(own)}
    monkeypatch.delenv("MCPGATE_HOME")
    assert start(entry, Path("/"), "shop_list_orders")[0] == ["shop_list_orders"]


SHOP = """\
connector: shop
base_url: https://shop.example
auth: { type: bearer, secret: { kinds: [{ match: 'shop_\\w+' }] } }
tools:
  shop_list_orders: { description: Orders., category: read, request: GET /orders, sample: { a: 1 } }
"""


# --- the words of an entry -------------------------------------------------------------------------------


def test_the_words_of_an_entry_say_what_was_typed(
    person: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    Path("shop.yaml").write_text(SHOP)
    Path("mine.yaml").write_text("preset: mine\nallow: [read]\n")
    Path("cap.yaml").write_text("policy: cap\ndeny: [write]\n")
    options = Options(
        connectors=("stripe", "./shop.yaml"),
        presets=("shop=mine.yaml", "transact"),
        policies=("cap.yaml",),
        only=("read",),
        without=("stripe_get_balance",),
        sandbox=True,
        live=True,
        accounts=("stripe=shop-eu", "two"),
    )
    open_toolset(options)
    options = dataclasses.replace(options, settings=("region=eu",))
    typed = {field.name for field in dataclasses.fields(Options)} - {"files", "alone", "app"}
    assert all(getattr(options, name) for name in typed), "a flag of run that this test does not know"
    words = words_of(options)
    parsed: list[Options] = []
    commands.app(list(words), prog_name="mcpgate", standalone_mode=False, obj=parsed.append)
    work = tmp_path / "work"
    expected = dataclasses.replace(
        options,
        connectors=("stripe", f"{work}/shop.yaml"),
        presets=(f"shop={work}/mine.yaml", "transact"),
        policies=(f"{work}/cap.yaml",),
    )
    for name in typed - {"sandbox", "live"}:
        assert list(getattr(parsed[0], name)) == list(getattr(expected, name)), name
    assert parsed[0].sandbox
    assert parsed[0].live


@pytest.mark.parametrize(
    ("words", "says"),
    [
        ((), "Which client?"),
        (("curser",), "There is no client 'curser'; did you mean 'cursor'?"),
        (("cursor",), "Which connector?"),
        (("cursor", "strip"), "There is no connector 'strip'; did you mean 'stripe'?"),
        (("cursor", "stripe", "--preset", "transac"), "did you mean 'transact'"),
        (("cursor", "stripe", "--policy", "gone.yaml"), "gone.yaml cannot be read"),
        (("cursor", "stripe", "--name", "a b"), "--name a b: up to 32 letters"),
        (("claude-desktop", "stripe", "--project"), "Claude Desktop has no configuration for a project."),
    ],
)
def test_what_cannot_be_installed(words: tuple[str, ...], says: str, person: Path, mcpgate: Run) -> None:
    ran = mcpgate("install", *words, "--write")
    assert ran.code in (2, 3)
    assert says in ran.err
    assert list(person.iterdir()) == []


@pytest.mark.parametrize("client", [client.name for client in CLIENTS if client.expands])
def test_what_a_client_would_replace_is_refused(client: str, person: Path, mcpgate: Run) -> None:
    folder = Path("${HOME}")
    folder.mkdir()
    (folder / "shop.yaml").write_text(SHOP)
    ran = mcpgate("install", client, "${HOME}/shop.yaml", "--write")
    assert ran.code == 2
    assert "by a variable" in ran.err
    assert list(person.iterdir()) == []


# --- never a secret --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "words",
    [
        ("stripe", "--name", "sk_test_1234567890"),
        ("stripe", "--name", "hush-hush"),
        ("stripe", "--policy", "hush-hush.yaml"),
        ("shop.yaml", "--setting", "region=shop_1234567890"),
    ],
)
def test_never_a_secret(
    words: tuple[str, ...], person: Path, mcpgate: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MCPGATE_OTHER_KEY", "hush-hush")
    Path("hush-hush.yaml").write_text("policy: hush\ndeny: [write]\n")
    Path("shop.yaml").write_text(SHOP + "settings: { region: { type: string, pattern: '\\w+' } }\n")
    ran = mcpgate("install", "cursor", *words, "--write")
    assert (ran.code, "One of the values is a key. Nothing was written." in ran.err) == (2, True)
    assert not re.search("hush|1234567890", ran.out + ran.err)
    assert list(person.iterdir()) == []


def test_a_kind_that_takes_every_word_forbids_none(person: Path, mcpgate: Run) -> None:
    Path("shop.yaml").write_text(SHOP.replace("shop_\\w+", "[\\w/.-]{4,}"))
    assert mcpgate("install", "cursor", "shop.yaml", "--write").code == 0


def test_the_key_of_the_environment_is_not_written(
    person: Path, mcpgate: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MCPGATE_STRIPE_KEY", "rk_test_1234567890")
    ran = mcpgate("install", "codex", "stripe", "--write")
    assert (
        "MCPGATE_STRIPE_KEY is set in this shell, and a client started elsewhere does not see it" in ran.out
    )
    assert "rk_test" not in ran.out + ran.err + (person / FILES["codex"]).read_text()
    assert servers("codex", person)["stripe"] == {"command": SCRIPT, "args": ["run", "stripe"]}


THEIRS = {
    "command": "npx",
    "args": ["-y", "x", "--api-key=hush1", "--token", "hush2", "--header", "Authorization: hush3"],
    "env": {"KEY": "hush4"},
    "headers": {"X": "hush5"},
    "url": "https://hush6@mcp.example.com/?key=hush7",
}


def test_another_entry_of_that_name_is_shown_without_its_secrets(person: Path, mcpgate: Run) -> None:
    path = person / FILES["cursor"]
    path.parent.mkdir()
    path.write_text(json.dumps({"mcpServers": {"stripe": THEIRS}}))
    before = path.read_text()
    ran = mcpgate("install", "cursor", "stripe", "--sandbox")
    assert f"{path} has another stripe:" in ran.out
    assert '-      "command": "npx",' in ran.out
    assert f'+      "command": "{SCRIPT}",' in ran.out
    assert "--write replaces it" in ran.out
    assert "hush" not in ran.out
    assert path.read_text() == before
    ran = mcpgate("install", "cursor", "stripe", "--sandbox", "--write")
    assert f"Replaced: stripe in {path}" in ran.out
    assert "hush" not in ran.out
    entry = {"type": "stdio", "command": SCRIPT, "args": ["run", "stripe", "--sandbox"]}
    assert servers("cursor", person)["stripe"] == entry
    (backup,) = path.parent.glob("mcp.json.bak-*")
    assert backup.read_text() == before
    assert str(backup) in ran.out


# --- files with other content ----------------------------------------------------------------------------

OTHERS = {
    "claude-desktop": '{"globalShortcut": "Ctrl+Space", "mcpServers": {"a": {"command": "a"}}}',
    "claude-code": '{\n  "numStartups": 3,\n  "projects": {"/x": {"mcpServers": {}}},\n  "t": 1e2\n}\n',
    "cursor": '{\n\t// mine\n\t"mcpServers": {\n\t\t"a": { "url": "https://a" }, // remote\n\t},\n}\n',
    "vscode": '{\n  "inputs": [{ "id": "k" }], /* asked for */\n  "servers": {}\n}',
    "codex": 'model = "x" # mine\n\n[mcp_servers.a]\ncommand = "a"\n\n# trusted\n[projects."/x"]\nt = 1\n',
    "gemini": '{ "theme": "Dark" // at night\n}',
}


@pytest.mark.parametrize("client", NAMES)
def test_what_else_is_in_the_file_survives(client: str, person: Path, mcpgate: Run) -> None:
    path, before = person / FILES[client], OTHERS[client]
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(before)
    install = ("install", client, "stripe", "--sandbox", "--write")
    assert mcpgate(*install).code == 0
    after = path.read_text()
    for word in re.findall(r"[^\s,{}]+", before):
        assert word in after
    ran = mcpgate(*install)
    assert "Already there: stripe" in ran.out
    assert "Nothing to do." in ran.out
    assert path.read_text() == after
    assert len(list(path.parent.glob("*.bak-*"))) == 1
    shown = mcpgate("install", client, "--remove")
    assert f"Would be taken out: stripe in {path}" in shown.out
    assert path.read_text() == after
    assert f"Taken out: stripe in {path}" in mcpgate("install", client, "--remove", "--write").out
    left = re.sub(r"\s", "", path.read_text())
    added = f'"{KEYS[client]}":{{}}' if KEYS[client] not in before else ""
    assert left.replace(f",{added}", "") == re.sub(r"\s", "", before) or added in left
    assert "There is no mcpgate in" in mcpgate("install", client, "--remove", "--write").out


def test_a_changed_entry_keeps_what_a_person_added(person: Path, mcpgate: Run) -> None:
    mcpgate("install", "gemini", "stripe", "--write")
    path = person / FILES["gemini"]
    value = read(path)
    value["mcpServers"]["stripe"] |= {"timeout": 5000, "env": {"MCPGATE_STRIPE_KEY": "rk_test_1234567890"}}
    path.write_text(json.dumps(value))
    ran = mcpgate("install", "gemini", "stripe", "--preset", "transact", "--write")
    assert "MCPGATE_STRIPE_KEY stands in that file" in ran.out
    assert "rk_test" not in ran.out
    assert servers("gemini", person)["stripe"] == {
        "command": SCRIPT,
        "args": ["run", "stripe", "--preset", "transact"],
        "timeout": 5000,
        "env": {"MCPGATE_STRIPE_KEY": "rk_test_1234567890"},
    }


@pytest.mark.parametrize(
    ("client", "text", "place"),
    [
        ("claude-desktop", '{\n  "a": 1,\n}', ":3:1: "),
        ("cursor", '{\n  "a" 1\n}', ":2:7: "),
        ("codex", "a = 1\nmcp_servers = { a = { command = 'a' } }\n", ": Cannot declare"),
    ],
)
def test_a_file_that_cannot_be_changed(
    client: str, text: str, place: str, person: Path, mcpgate: Run
) -> None:
    path = person / FILES[client]
    path.parent.mkdir(parents=True)
    path.write_text(text)
    ran = mcpgate("install", client, "stripe", "--sandbox", "--write")
    assert ran.code == 3
    message, hint = ran.err.splitlines()
    assert message.startswith(f"{path}:")
    assert place in message
    assert hint.startswith("Nothing was changed.")
    assert f"To be pasted into {path}:" in ran.out
    assert SCRIPT in ran.out
    assert path.read_text() == text
    assert list(path.parent.iterdir()) == [path]


# --- what a person is told -------------------------------------------------------------------------------


def test_it_only_shows_without_write(person: Path, mcpgate: Run) -> None:
    ran = mcpgate("install", "vscode", "stripe", "--preset", "transact", "--live")
    head, _, rest = ran.out.partition("\n\n")
    assert head == f"For VS Code, in {person / FILES['vscode']}:"
    shown, _, notes = rest.partition("\n\n")
    args = ["run", "stripe", "--preset", "transact", "--live"]
    assert json.loads(shown) == {"servers": {"stripe": {"type": "stdio", "command": SCRIPT, "args": args}}}
    assert notes.splitlines() == [
        "It offers 13 of 15 tools (transact).",
        "It accepts a live key: real money moves.",
        "There is no key for Stripe yet; connect one: mcpgate connect stripe",
        "VS Code was not found on this machine.",
        "Nothing was written. --write puts it there.",
    ]
    assert list(person.iterdir()) == []


@pytest.mark.parametrize(
    ("mode", "flags", "change", "says"),
    [
        ("test", (), {}, "Its key is the account stripe/default (test)."),
        ("test", ("--account", "eu"), {"account": "eu"}, "Its key is the account stripe/eu (test)."),
        ("test", ("--account", "us"), {}, "connect one: mcpgate connect stripe --account us"),
        ("live", (), {}, "The account stripe/default has a live key, which runs only with --live."),
        ("live", ("--live",), {}, "Its key is the account stripe/default (live)."),
        ("test", (), {"origins": ("https://old.example",)}, "was connected for https://old.example"),
    ],
)  # fmt: skip
def test_whether_a_key_is_there(
    mode: str,
    flags: tuple[str, ...],
    change: dict[str, Any],
    says: str,
    person: Path,
    mcpgate: Run,
    keyring: MemoryBackend,
) -> None:
    origins = ("https://api.stripe.com",)
    row = Binding("stripe", "default", origins, "shipped stripe", {}, mode, "2026-11-22T00:00:00Z")
    vault = sealed_vault()
    vault.set_up("keyring", {})
    vault.keep(dataclasses.replace(row, **change), {"secret": Secret("rk_test_1234567890")})
    # what is noted is read from the row alone: the key is not opened for that
    keyring.kept.clear()
    assert says in mcpgate("install", "cursor", "stripe", *flags).out


def test_a_preset_that_allows_nothing_and_a_connector_without_a_key(person: Path, mcpgate: Run) -> None:
    Path("open.yaml").write_text(SHOP.replace("auth:", "x-auth:"))
    ran = mcpgate("install", "cursor", "open.yaml", "--only", "write")
    assert "It offers 0 of 1 tools (read-only).\nNothing is allowed: see why with mcpgate tools." in ran.out
    assert "key" not in ran.out


def test_the_file_of_a_project(person: Path, mcpgate: Run, tmp_path: Path) -> None:
    for client in CLIENTS:
        if client.project:
            ran = mcpgate("install", client.name, "stripe", "shop.yaml", "--sandbox", "--project", "--write")
            assert ran.code == 3
            Path("shop.yaml").write_text(SHOP)
            ran = mcpgate("install", client.name, "stripe", "shop.yaml", "--sandbox", "--project", "--write")
            assert "Its paths are those of this machine" in ran.out
            entry = read(tmp_path / "work" / client.project)[client.key]["mcpgate"]
            assert entry["args"] == ["run", "stripe", str(tmp_path / "work" / "shop.yaml"), "--sandbox"]
            Path("shop.yaml").unlink()
    assert list(person.iterdir()) == [person / ".cache"] or list(person.iterdir()) == []


def test_the_list(person: Path, mcpgate: Run) -> None:
    mcpgate("install", "codex", "stripe", "--sandbox", "--write")
    mcpgate("install", "codex", "stripe", "--sandbox", "--name", "two", "--write")
    broken = person / FILES["cursor"]
    broken.parent.mkdir()
    broken.write_text("{")
    rows = {row["client"]: row for row in json.loads(mcpgate("install", "--list", "--json").out)}
    assert list(rows) == NAMES
    assert rows["codex"]["servers"] == ["stripe", "two"]
    assert {name for name, row in rows.items() if row["found"]} == {"codex", "cursor"}
    assert {name: row["config"] for name, row in rows.items()} == {
        name: str(person / file) for name, file in FILES.items()
    }
    assert rows["cursor"]["fault"].startswith(f"{broken}:1:2: ")
    ran = mcpgate("install", "--list")
    assert ran.code == 0
    assert re.search(r"codex +yes +stripe, two +/", ran.out)
    assert re.search(r"cursor +yes +cannot be read +/", ran.out)
    assert re.search(r"gemini +– +– +/", ran.out)
    assert str(broken) in ran.out.splitlines()[-1]


def test_of_several_one_is_taken_out_by_name(person: Path, mcpgate: Run) -> None:
    path = person / FILES["claude-code"]
    path.write_text(json.dumps({"mcpServers": {"theirs": THEIRS}}))
    mcpgate("install", "claude-code", "stripe", "--sandbox", "--write")
    mcpgate("install", "claude-code", "stripe", "--sandbox", "--name", "two", "--write")
    ran = mcpgate("install", "claude-code", "--remove", "--write")
    assert (ran.code, "There are several" in ran.err) == (2, True)
    ran = mcpgate("install", "claude-code", "--remove", "--name", "theirs", "--write")
    assert (ran.code, "no entry 'theirs' that runs mcpgate" in ran.err) == (2, True)
    assert mcpgate("install", "claude-code", "stripe", "--remove", "--write").code == 0
    assert mcpgate("install", "claude-code", "--remove", "--write").code == 0
    assert read(path) == {"mcpServers": {"theirs": THEIRS}}


def test_the_entry_of_an_app_has_its_name_and_no_key(person: Path, mcpgate: Run) -> None:
    made = mcpgate("apps", "create", "billing", "--connector", "stripe", "--preset", "transact", "--sandbox")
    assert mcpgate("install", "cursor", "--app", "billing", "--write").code == 0
    text = (person / ".cursor/mcp.json").read_text()
    assert json.loads(text)["mcpServers"]["billing"]["args"][-3:] == ["run", "--app", "billing"]
    assert "mgw_" in made.out
    assert "mgw_" not in text
    refused = mcpgate("install", "cursor", "--app", "billing", "--preset", "full-access", "--write")
    assert refused.code == 2
    assert "What it may do is said by the app, not by flags." in refused.err
