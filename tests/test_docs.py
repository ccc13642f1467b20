"""The documentation is true: what is generated is current, what is shown loads, runs and answers as shown.

Conventions of the pages. A YAML block that is a whole file may begin with `# name.yaml`; the commands of its
page find it under that name. `# name.yaml, with a fault` says that it must not load. A block that is a part
of a connector is completed here. In `console` blocks `…` stands for anything, and `$ echo $?` shows an exit
code other than 0. Commands that would need a network or a key are run in the sandbox. In a `console` block a
command finds the vault as the ones above it left it; where these set up none, there is one with the accounts
`stripe/default` and `stripe/shop-eu`. What a person would type stands in the environment.
"""

from __future__ import annotations

import io
import json
import os
import re
import runpy
import shlex
import subprocess
import sys
import textwrap
import tomllib
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import typer.main

from mcpgate import __version__, catalog, errors
from mcpgate.__main__ import main
from mcpgate.apps import App, Grant, open_account
from mcpgate.cli.commands import app
from mcpgate.errors import MCPGateError, SpecError
from mcpgate.policy.templates import TEMPLATES
from mcpgate.spec.apps_file import read_apps
from mcpgate.spec.check import shipped_schema
from mcpgate.spec.story import read_story
from mcpgate.spec.yaml_text import load
from mcpgate.toolset import build_toolset
from mcpgate.values import EFFECTS, Policy
from mcpgate.vault.os_keyring import Keyring
from tests.standins.connectors import pointed_at
from tests.standins.gateway import InProcess
from tests.standins.keyring import MemoryBackend
from tests.standins.loopback import Loopback, Reply

ROOT = Path(__file__).parent.parent
PAGES = [ROOT / "README.md", ROOT / "CHANGELOG.md", *sorted((ROOT / "docs").rglob("*.md"))]
WRITTEN = runpy.run_path(str(ROOT / "scripts" / "generate.py"))
STRIPE = ROOT / "docs" / "connectors" / "stripe.md"

PART = "connector: shop\nbase_url: https://api.example.com\n"
PING = "tools:\n  shop_ping: { description: Ping., category: read, request: GET /ping }\n"


@dataclass(frozen=True)
class Block:
    """One fenced block of a page."""

    page: Path
    line: int
    language: str
    text: str

    @property
    def keys(self) -> set[str]:
        """The keys at the root of a YAML block."""
        return set(load(str(self.page), self.text.encode()).value)

    @property
    def whole(self) -> bool:
        """Whether a YAML block is a file of its own."""
        return bool(self.keys & {"connector", "preset", "policy", "demo", "test", "apps"})

    @property
    def faulty(self) -> bool:
        """Whether the page says that it is wrong."""
        return ", with " in self.text.partition("\n")[0]

    @property
    def file(self) -> str:
        """The name under which the commands of its page find a YAML block."""
        named = re.match(r"# (\S+\.yaml)", self.text)
        value = load(str(self.page), self.text.encode()).value
        return named[1] if named else f"{value.get('connector', 'part')}.yaml"

    @property
    def completed(self) -> str:
        """A YAML block as a whole file."""
        if self.whole:
            return self.text
        if all(key.startswith("shop_") for key in self.keys):
            return f"{PART}tools:\n{textwrap.indent(self.text, '  ')}"
        return PART + self.text + ("" if "tools" in self.keys else PING)


def blocks_of(page: Path, *languages: str) -> list[Block]:
    text = page.read_text("utf-8")
    found = re.finditer(r"^```(\w+)\n(.*?)^```$", text, re.DOTALL | re.MULTILINE)
    every = [Block(page, text.count("\n", 0, match.start()) + 2, match[1], match[2]) for match in found]
    return [block for block in every if block.language in languages]


def all_blocks(*languages: str) -> list[Block]:
    return [block for page in PAGES for block in blocks_of(page, *languages)]


def name_of(value: Block | Run | Path) -> str:
    page, line = (value, "") if isinstance(value, Path) else (value.page, f":{value.line}")
    return f"{page.relative_to(ROOT)}{line}"


# --- what is generated, and what must be mentioned -------------------------------------------------------


@pytest.mark.parametrize("path", WRITTEN["GENERATED"])
def test_generated_files_are_current(path: str) -> None:
    assert (ROOT / path).read_text("utf-8") == WRITTEN["GENERATED"][path](), "run: make generate"


def keys_of(schema: Any) -> Iterator[str]:
    """Every key that a shipped schema knows, at any depth."""
    if isinstance(schema, dict):
        yield from schema["properties"] if isinstance(schema.get("properties"), dict) else ()
        for inner in schema.values():
            yield from keys_of(inner)


every_command = WRITTEN["every_command"]


def flags() -> set[str]:
    group: Any = typer.main.get_command(app)
    return {
        flag
        for command in (group, *(command for _, command in every_command(group)))
        for param in command.params
        for flag in param.opts
    }


ERRORS: dict[str, type[MCPGateError]] = {
    name: value
    for name, value in vars(errors).items()
    if isinstance(value, type) and issubclass(value, MCPGateError)
}
GROUP: Any = typer.main.get_command(app)


@pytest.mark.parametrize(
    ("page", "words"),
    [
        ("reference/commands.md", [f"### mcpgate {name}" for name, _ in every_command(GROUP)]),
        ("reference/commands.md", [flag for flag in flags() if flag.startswith("-")]),
        (
            "reference/commands.md",
            [f"| {code} |" for code in {0, 70, 130} | {e.exit_code for e in ERRORS.values()}],
        ),
        ("reference/commands.md", [f"`{key}`" for key in keys_of(shipped_schema("story"))]),
        ("reference/connector-language.md", [f"`{key}`" for key in keys_of(shipped_schema("connector"))]),
        ("reference/connector-language.md", [f"`{effect}`" for effect in EFFECTS]),
        ("reference/policy-language.md", [f"`{key}`" for key in {"mask", "preset", "policy", "for", "mode"}]),
        ("reference/policy-language.md", [f"`{name}`" for name in TEMPLATES]),
        ("reference/policy-language.md", [f"`effect:{effect}`" for effect in EFFECTS]),
        ("reference/errors.md", [f"| `{name}` | {error.exit_code} |" for name, error in ERRORS.items()]),
        ("quickstart.md", [f"`{name}`" for name in catalog.names("presets")]),
        ("guides/policies.md", [f"`{name}`" for name in catalog.names("presets")]),
        ("README.md", [f"connectors/{name}.md" for name in catalog.names("connectors")]),
    ],
)
def test_everything_is_mentioned(page: str, words: Iterable[str]) -> None:
    text = (ROOT / "docs" / page).read_text("utf-8").replace("\\.", ".")
    assert [word for word in words if word not in text] == []


def test_changelog_names_the_version() -> None:
    text = (ROOT / "CHANGELOG.md").read_text("utf-8")
    assert "## [Unreleased]" in text
    assert __version__ in text


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_links_lead_somewhere(page: Path) -> None:
    prose = re.sub(r"^```.*?^```$", "", page.read_text("utf-8"), flags=re.DOTALL | re.MULTILINE)
    for target in re.findall(r"\]\(([^)\s]+)\)", prose):
        if target.startswith(("https://", "http://")):
            continue
        path, _, anchor = target.partition("#")
        file = (page.parent / path).resolve() if path else page
        assert file.exists(), target
        headings = re.findall(r"^#+ (.*)$", file.read_text("utf-8"), re.MULTILINE) if anchor else ()
        slugs = [re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings]
        assert not anchor or anchor in slugs, target


# --- YAML ------------------------------------------------------------------------------------------------


def bind(policy: Policy, folder: Path) -> None:
    """Bind a policy to the connectors whose tools it names, or to the shipped one."""
    own = [path for path in folder.glob("*.yaml") if path.read_text("utf-8").find("\nconnector: ") >= 0]
    known = [*catalog.names("connectors"), *(str(path) for path in own)]
    connectors = [catalog.load_connector(name) for name in known]
    texts = [selector.text for selectors in (policy.allow or (), policy.deny) for selector in selectors]
    texts += [selector.text for rule in policy.rules for selector in rule.selectors]
    named = [one for one in connectors if any(text.startswith(f"{one.name}_") for text in texts)]
    preset = policy if policy.kind == "preset" else catalog.load_policy("full-access", "preset")
    rules = (policy,) if policy.kind == "policy" else ()
    accounts = [open_account(one, dict.fromkeys(one.settings, "acme")) for one in named or connectors[:1]]
    build_toolset(App("docs", tuple(Grant(account, preset) for account in accounts), rules=rules))


def read_whole(path: Path, keys: set[str], folder: Path) -> None:
    if keys & {"demo", "test"}:
        read_story(str(path), path.read_bytes())
    elif "apps" in keys:
        read_apps(str(path), path.read_bytes())
    elif "connector" in keys or not keys & {"preset", "policy"}:
        catalog.load_connector(str(path))
    else:
        bind(catalog.load_policy(str(path), "preset" if "preset" in keys else "policy"), folder)


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty folder to work in, with a home of its own, no key, and room for wide tables."""
    for name in [name for name in os.environ if name.startswith(("MCPGATE_", "FORCE_COLOR"))]:
        monkeypatch.delenv(name)
    for name in ("HOME", "MCPGATE_HOME"):
        monkeypatch.setenv(name, str(tmp_path / "home"))
    for name, value in {"COLUMNS": "250", "NO_COLOR": "1", "TERM": "dumb"}.items():
        monkeypatch.setenv(name, value)
    (tmp_path / "home").mkdir(mode=0o700)
    work = tmp_path / "work"
    work.mkdir()
    monkeypatch.chdir(work)
    return work


def write_files(page: Path, folder: Path) -> None:
    for block in blocks_of(page, "yaml"):
        if block.whole:
            (folder / block.file).write_text(block.text, "utf-8")


@pytest.mark.parametrize("block", all_blocks("yaml"), ids=name_of)
def test_yaml_loads_as_the_page_says(block: Block, folder: Path) -> None:
    write_files(block.page, folder)
    file = folder / block.file
    file.write_text(block.completed, "utf-8")
    if block.faulty:
        with pytest.raises(SpecError):
            read_whole(file, block.keys, folder)
    else:
        read_whole(file, block.keys, folder)


# --- commands --------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Run:
    """One command of a page, what it is shown to print (None: nothing is shown), and its exit code.

    `above` are the commands of its block that come before it and change the vault.
    """

    page: Path
    line: int
    command: str
    shown: str | None
    code: int
    above: tuple[str, ...] = ()


CHANGES = re.compile(
    r"mcpgate (?:(?:init|connect|disconnect|vault|apps|freeze|thaw|policy apply)\b|call\b.* --app\b)"
)


def runs(block: Block) -> Iterator[Run]:
    if block.language == "sh":
        for number, line in enumerate(block.text.splitlines()):
            if re.match(r"(\.venv/bin/)?mcpgate\b|make\b", line):
                yield Run(block.page, block.line + number, line, None, 0)
        return
    steps = re.findall(r"^\$ (.*)\n((?:(?!\$ ).*\n)*)", block.text, re.MULTILINE)
    above: tuple[str, ...] = ()
    for number, (command, shown) in enumerate(steps):
        following, code = steps[number + 1] if number + 1 < len(steps) else ("", "")
        if command != "echo $?":
            ended = int(code) if following == "echo $?" else 0
            yield Run(block.page, block.line, command, shown, ended, above)
        if (int(code) if following == "echo $?" else 0) == 0 and CHANGES.match(command):
            above += (command,)


RUNS = [run for block in all_blocks("sh", "console") for run in runs(block)]
TARGETS = re.findall(r"^([a-z]+):", (ROOT / "Makefile").read_text("utf-8"), re.MULTILINE)


def perform(words: list[str], capsys: pytest.CaptureFixture[str]) -> tuple[int, str]:
    """Run mcpgate with these words; its exit code and all it printed."""
    if words[0] in ("run", "demo"):
        command = [sys.executable, "-m", "mcpgate", *words]
        done = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=60)
        return done.returncode, done.stdout + done.stderr
    code = main(words)
    return code, "".join(capsys.readouterr())


TYPED = ("MCPGATE_PASSPHRASE", "MCPGATE_NEW_PASSPHRASE", "MCPGATE_EXPORT_PASSPHRASE")


def as_run(words: list[str], monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The words of a command, with the key on stdin that a person would paste."""
    monkeypatch.setattr("sys.stdin", io.StringIO("rk_test_1234567890"))
    return [*words, "--no-probe"] if words[0] == "connect" else words


def with_vault(
    run: Run, words: list[str], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """A keyring, passphrases, and the vault that a command finds."""
    backend = MemoryBackend()
    monkeypatch.setattr(
        "mcpgate.vault.os_keyring.find_keyring", lambda name="": Keyring("Secret Service", backend)
    )
    before = [shlex.split(command)[1:] for command in run.above]
    for name in TYPED if before or words[0] in ("init", "vault") else ():
        monkeypatch.setenv(name, "a passphrase that is typed")
    if (*before, words)[0][0] in ("disconnect", "vault", "accounts"):
        before = [["connect", "stripe"], ["connect", "stripe", "--account", "shop-eu"], *before]
    for earlier in before:
        assert perform(as_run(earlier, monkeypatch), capsys)[0] == 0, earlier


def matches(shown: str, printed: str) -> bool:
    """Whether a text was printed as shown: `…` is anything, and spaces are all alike."""
    parts = (re.escape(" ".join(part.split())) for part in shown.split("…"))
    return re.fullmatch(".*".join(parts), " ".join(printed.split())) is not None


@pytest.mark.parametrize("run", RUNS, ids=name_of)
def test_commands_do_what_is_shown(
    run: Run, folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    program, *words = shlex.split(run.command, comments=True)
    if program == "make":
        assert words[0] in TARGETS
        return
    write_files(run.page, folder)
    if words[0] == "call" and not {"--sandbox", "--dry-run", "--app"} & set(words):
        words.append("--sandbox")
    with_vault(run, words, monkeypatch, capsys)
    words = as_run(words, monkeypatch)
    code, printed = perform(words, capsys)
    assert code == run.code, printed
    assert run.shown is None or matches(run.shown, printed), printed


def entries(value: Any) -> Iterator[dict[str, Any]]:
    """The servers in a client's configuration."""
    for key in ("mcpServers", "servers", "mcp_servers"):
        yield from value.get(key, {}).values()


@pytest.mark.parametrize("block", all_blocks("json", "toml"), ids=name_of)
def test_client_entries_start_a_server(
    block: Block, folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    value = json.loads(block.text) if block.language == "json" else tomllib.loads(block.text)
    write_files(block.page, folder)
    for entry in entries(value):
        assert Path(entry["command"]).name == "mcpgate"
        assert not entry.keys() - {"command", "args", "type"}, "no key, nor anything else, is needed here"
        words = [word.replace("/home/you/", f"{folder}/") for word in entry["args"]]
        assert words[0] == "run"
        assert perform(words, capsys) == (0, "")


# --- what an agent reads ---------------------------------------------------------------------------------


@pytest.mark.parametrize("status", WRITTEN["REPLIES"])
def test_errors_of_the_api_read_as_quoted(
    status: str, folder: Path, scripted: Callable[..., Loopback]
) -> None:
    tool, arguments, error = WRITTEN["REPLIES"][status]
    reply = Reply.json({"error": {"type": "invalid_request_error", **error}}, int(status))
    server = scripted(*[reply] * (3 if int(status) >= 500 else 1))
    with InProcess(pointed_at(server.url, folder), "rk_test_1234567890") as gateway:
        answer = gateway.call(tool, **arguments)
    assert answer.is_error
    assert f"```text\n{answer.text}\n```" in STRIPE.read_text("utf-8")


@pytest.mark.parametrize(
    "key",
    ["", "rk_live_" + "12345" * 2, "pk_test_1234567890", "something"],
    ids=["none", "live", "pk", "other"],
)
def test_refusals_of_a_key_read_as_quoted(
    key: str, folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("MCPGATE_STRIPE_KEY", key)
    code, printed = perform(["call", "stripe_get_balance"], capsys)
    assert code == 4
    assert f"```text\n{printed}```" in STRIPE.read_text("utf-8")


def test_refusals_of_the_vault_read_as_quoted(
    folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    guide = (ROOT / "docs" / "guides" / "credentials.md").read_text("utf-8")
    monkeypatch.setattr("mcpgate.vault.os_keyring.find_keyring", lambda *_: None)
    monkeypatch.setattr("sys.platform", "linux")
    monkeypatch.setenv("HOME", str(folder))
    assert quoted(perform(["connect", "stripe"], capsys), folder) in guide
    assert perform(["init", "--key-file", str(folder / "vault.key")], capsys)[0] == 0
    assert perform(as_run(["connect", "stripe", "--allow", "read-only"], monkeypatch), capsys)[0] == 0
    call = ["call", "stripe_create_product", "name=Tea", "-p", "full-access"]
    assert f"{perform(call, capsys)[1]}" in guide
    (folder / "vault.key").unlink()
    assert quoted(perform(["call", "stripe_get_balance"], capsys), folder) in guide


def quoted(ran: tuple[int, str], folder: Path) -> str:
    code, printed = ran
    assert code == 4
    home, work = str(folder.parent / "home"), str(folder)
    return f"```text\n{printed.replace(home, '/home/you/.config/mcpgate').replace(work, '/home/you')}```"


TILL = """
policy: till
guardrails:
  - for: stripe_create_charge
    max_value: { field: amount, max: 50000 }
    reason: Larger payments are taken by a person.
"""


@pytest.mark.parametrize(
    "words",
    [
        "call stripe_create_charge -p transact --policy till.yaml --json amount=90000 currency=usd source=x",
        "call stripe_get_balance --json",
    ],
)
def test_structured_content_is_as_shown(words: str, folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (folder / "till.yaml").write_text(TILL, "utf-8")
    printed = perform(words.split(), capsys)[1]
    shown = [json.loads(block.text) for block in blocks_of(ROOT / "docs/reference/errors.md", "json")]
    assert json.loads(printed)["structured"] in shown
