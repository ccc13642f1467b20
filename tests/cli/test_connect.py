"""`mcpgate connect`, and the commands that use what was connected."""

from __future__ import annotations

import base64
import getpass
import json
import sqlite3
import sys
import warnings
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.cli.conftest import KEY, Ran, kept, leaks
from tests.standins.connectors import pointed_at
from tests.standins.keyring import MemoryBackend
from tests.standins.loopback import LOST, Captured, Loopback, Reply

Run = Callable[..., Ran]
Start = Callable[..., Loopback]
GUIDE = Path(__file__).parents[2] / "docs" / "guides" / "credentials.md"
LIVE = "sk_live_" + "Canary" * 3
OTHER = "rk_test_other"
BALANCE = Reply.json({"object": "balance", "available": [], "pending": [], "livemode": False})
DESK = """
connector: desk
title: Desk
base_url: https://{site}.desk.example/{team}
settings:
  site: { type: string, pattern: '[a-z]+', description: The first part of its address. }
  team: { type: string, pattern: '[a-z]+', default: all }
auth: { type: header, name: X-Token }
tools:
  desk_list_cases: { description: Cases., category: read, request: GET /cases }
"""
WEATHER = """
connector: weather
base_url: https://weather.example
tools:
  weather_get: { description: Weather., category: read, request: GET / }
"""


def authorization(request: Captured) -> str:
    return request.headers["authorization"]


# --- connecting ------------------------------------------------------------------------------------------


def test_from_the_key_to_a_call_and_away_again(
    connect: Run, mcpgate: Run, keyring: MemoryBackend, scripted: Start, tmp_path: Path, home: Path
) -> None:
    server = scripted(BALANCE, BALANCE)
    file = str(pointed_at(server.url, tmp_path))
    connected = connect(file)
    assert connected.code == 0, connected.err
    for says in (
        "Stripe: Secret or restricted key",
        "found at   https://dashboard.stripe.com/apikeys",
        f"goes to    {server.url}, and nowhere else",
        f"connector  stripe, the file {file}, sha256 ",
        "at most    what a preset allows when it is used (--allow PRESET sets a ceiling)",
        "sealed     as stripe/default, in the vault whose key is in the Test keyring",
        "Trying it with stripe_get_balance …",
        "Connected stripe/default: a test key, proved with a call.",
        f"Try it: mcpgate call stripe_get_balance -c {file}\n",
        f"Next: mcpgate install CLIENT {file}\n",
    ):
        assert says in connected.out
    called = mcpgate("call", "stripe_get_balance", "-c", file)
    assert called.code == 0, called.out
    assert [authorization(request) for request in server.requests] == [f"Bearer {KEY}"] * 2
    (row,) = json.loads(mcpgate("accounts", "--json").out)
    assert (row["connector"], row["account"], row["mode"], row["state"]) == (
        "stripe",
        "default",
        "test",
        "sealed",
    )
    assert row["origins"] == [server.url]
    gone = mcpgate("disconnect", file)
    assert (gone.code, gone.out.splitlines()[0]) == (
        0, "Disconnected stripe/default: its key is no longer in the vault.",
    )  # fmt: skip
    assert "The key itself is still valid" in gone.out
    assert kept() == {}
    assert "There is no credential for Stripe." in mcpgate("call", "stripe_get_balance", "-c", file).out
    again = mcpgate("disconnect", "stripe")
    assert (again.code, again.err.splitlines()[0]) == (3, "There is no account stripe/default.")
    assert leaks(home, connected, called, gone) == []


def test_a_live_key_is_connected_with_its_caution_and_runs_only_with_live(
    connect: Run, mcpgate: Run, keyring: MemoryBackend, home: Path
) -> None:  # row 16
    ran = connect("stripe", "--account", "shop", "--no-probe", key=LIVE)
    assert ran.code == 0, ran.err
    for says in (
        "goes to    https://api.stripe.com, and nowhere else",
        "connector  stripe, shipped with mcpgate",
        "Caution: This key can do everything in your live account.",
        "Connected stripe/shop: a live key, not tried with a call.",
        "It is a live key: real money moves, and it runs only with --live.",
        "Try it: mcpgate call stripe_get_balance --account shop --live\n",
        "Next: mcpgate install CLIENT stripe --account shop --live\n",
    ):
        assert says in ran.out
    called = mcpgate("call", "stripe_get_balance", "--account", "shop")
    assert called.code == 4
    assert "The account stripe/shop holds a live key, and live keys run only with --live." in called.out
    assert leaks(home, ran, called, key=LIVE) == []


def test_the_key_may_come_from_a_variable(
    mcpgate: Run, keyring: MemoryBackend, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MY_KEY", f" {KEY}\n")
    assert mcpgate("connect", "stripe", "--from-env", "MY_KEY", "--no-probe").code == 0
    assert kept() == {"stripe/default": KEY}


def test_on_a_terminal_it_asks_and_shows_nothing_of_what_is_typed(typed: Run) -> None:
    ran = typed("connect", "stripe", "--no-probe", answers=(KEY,), keyring=True)
    assert ran.code == 0, ran.out
    assert "Secret or restricted key (not shown): " in ran.out
    assert "Connected stripe/default: a test key" in ran.out
    assert "Canary" not in ran.out


def test_a_terminal_that_would_show_the_key_is_not_asked(
    mcpgate: Run, keyring: MemoryBackend, give: Callable[[str], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    def shown(_: str) -> str:
        warnings.warn("Can not control echo on the terminal.", getpass.GetPassWarning, stacklevel=2)
        return KEY

    give("")
    monkeypatch.setattr(sys.stdin, "isatty", lambda: True)
    monkeypatch.setattr(getpass, "getpass", shown)
    ran = mcpgate("connect", "stripe", "--no-probe")
    assert (ran.code, ran.err.splitlines()[0]) == (2, "This terminal would show what is typed.")
    assert kept() == {}


def test_connecting_again_replaces_and_says_so(connect: Run, keyring: MemoryBackend) -> None:
    assert "replaces" not in connect("stripe", "--no-probe", key=OTHER).out
    ran = connect("stripe", "--no-probe")
    assert "This replaces the one that was connected on 20" in ran.out
    assert kept() == {"stripe/default": KEY}


def test_a_variable_that_goes_first_is_told(connect: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MCPGATE_STRIPE_KEY", OTHER)
    told = "MCPGATE_STRIPE_KEY is set here and goes first: unset it, or say --account default."
    assert told in connect("stripe", "--no-probe").out
    assert told not in connect("stripe", "--no-probe", "--account", "work").out


# --- what is refused -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("words", "key", "code", "says"),
    [
        ("stripe", "pk_live_CanaryCanaryCanary", 4, "What was given is refused: This is a publishable key."),
        ("stripe", "whsec_CanaryCanaryCanary", 4, "This is a webhook's signing secret."),
        (
            "stripe",
            "CanaryCanaryCanary",
            4,
            "does not look like what Stripe calls: Secret or restricted key.",
        ),
        ("stripe", f"x{KEY}", 4, "does not look like"),
        ("stripe", f"{KEY}\n{KEY}", 4, "What was given holds spaces, line ends"),
        ("stripe", f"{KEY}\u200b", 4, "characters that no key has"),
        ("stripe", "", 2, "There is nothing on stdin."),
        ("stripe", " \n", 2, "There is nothing on stdin."),
        (f"stripe {KEY}", "", 2, "connect takes one connector, and no key."),
        (f"stripe --from-env {KEY}", "", 2, "The variable that --from-env names is not set, or empty."),
        ("stripe --from-env EMPTY", KEY, 2, "The variable that --from-env names is not set, or empty."),
        ("stripe --from-env PUBLISHABLE", KEY, 4, "PUBLISHABLE is refused: This is a publishable key."),
        ("stripe --account A/b", KEY, 2, "'A/b' cannot be the name of an account."),
        ("stripe --setting site=x", KEY, 2, "there is no setting 'site' here"),
        ("strpe", KEY, 3, "did you mean 'stripe'?"),
        ("./weather.yaml", KEY, 2, "weather needs no credential."),
        ("./desk.yaml", KEY, 2, "desk needs the setting 'site'."),
        (
            "./stripe.yaml",
            KEY,
            4,
            "but sends to https://evil.example: What was given goes only to https://api.stripe.com",
        ),
    ],
)
def test_what_cannot_be_kept_is_refused_with_the_reason(
    words: str,
    key: str,
    code: int,
    says: str,
    connect: Run,
    keyring: MemoryBackend,
    tmp_path: Path,
    home: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("EMPTY", " ")
    monkeypatch.setenv("PUBLISHABLE", "pk_test_CanaryCanaryCanary")
    (tmp_path / "weather.yaml").write_text(WEATHER)
    (tmp_path / "desk.yaml").write_text(DESK)
    pointed_at("https://evil.example", tmp_path)
    ran = connect(*words.split(), "--no-probe", key=key)
    assert ran.code == code
    assert says in ran.err
    assert "Traceback" not in ran.err
    assert "Canary" not in ran.out + ran.err
    assert kept() == {}


def echo(status: int) -> Callable[[Captured], Reply]:
    """An API that repeats what it was sent, plainly and encoded."""

    def answer(request: Captured) -> Reply:
        key = authorization(request).removeprefix("Bearer ")
        said = f"No such key: {key}, {base64.b64encode(key.encode()).decode()}\x1b[2J"
        return Reply.json({"error": {"message": said, "code": key}}, status)

    return answer


@pytest.mark.parametrize("earlier", [True, False])
@pytest.mark.parametrize(
    ("answers", "says", "hint"),
    [
        ([echo(401)], "Stripe refused it, so nothing was kept.", "Stripe refused the key."),
        ([echo(403)], "Stripe refused it, so nothing was kept.", "meant to lack this permission, add"),
        ([echo(400)], "Nothing shows that Stripe accepts it, so nothing was kept.", "add --no-probe"),
        ([echo(500)] * 3, "Nothing shows that Stripe accepts it", "add --no-probe"),
        ([LOST] * 3, "Nothing shows that Stripe accepts it", "add --no-probe"),
        ([Reply(200, b"<html>hello")], "Nothing shows that Stripe accepts it", "add --no-probe"),
        ([], "accepts it, so nothing was kept. no connection to ", "add --no-probe"),
    ],
    ids=["401", "403", "400", "500", "lost", "html", "no network"],
)  # fmt: skip
def test_a_key_that_is_not_proved_is_not_kept(
    answers: list[Reply],
    says: str,
    hint: str,
    earlier: bool,
    connect: Run,
    keyring: MemoryBackend,
    scripted: Start,
    tmp_path: Path,
    home: Path,
) -> None:  # row 13
    server = scripted(*answers)
    file = str(pointed_at(server.url, tmp_path))
    if earlier:
        assert connect(file, "--no-probe", key=OTHER).code == 0
    if not answers:
        server.close()
    ran = connect(file)
    assert ran.code == 4
    assert says in ran.err
    assert hint in ran.err
    assert "\x1b" not in ran.out + ran.err
    assert leaks(home, ran) == []
    assert kept() == ({"stripe/default": OTHER} if earlier else {})


@pytest.mark.parametrize("step", ["get", "set"])
def test_a_keyring_that_fails_loudly_gives_nothing_away(
    step: str, connect: Run, keyring: MemoryBackend, home: Path
) -> None:  # row 13
    def fail(_: object) -> object:
        raise RuntimeError(f"cannot handle {KEY}")

    keyring.on[step] = fail
    ran = connect("stripe", "--no-probe")
    assert (ran.code, ran.err.splitlines()[0]) == (4, "The Test keyring failed (RuntimeError).")
    assert leaks(home, ran) == []
    del keyring.on[step]
    assert kept() == {}


def test_a_fault_of_mcpgate_itself_gives_nothing_away(
    connect: Run, monkeypatch: pytest.MonkeyPatch, home: Path
) -> None:  # row 13
    def fail(*_: object, **__: object) -> object:
        raise ValueError(f"cannot handle {KEY}")

    monkeypatch.setattr("mcpgate.vault.connected.origins_of", fail)
    ran = connect("stripe", "--no-probe")
    assert ran.code == 70
    assert leaks(home, ran) == []


@pytest.mark.usefixtures("headless")
def test_without_a_keyring_nothing_is_asked_and_what_to_type_is_said(
    connect: Run, mcpgate: Run, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    ran = connect("stripe")
    assert (ran.code, ran.out) == (4, "")
    assert sys.stdin.read() == f"{KEY}\n"
    assert not home.exists()
    monkeypatch.setenv("MCPGATE_PASSPHRASE", "correct horse battery")
    monkeypatch.setenv("MCPGATE_VAULT", base64.b64encode(bytes(range(32))).decode())
    typed = [line.split() for line in ran.err.splitlines() if line.startswith("  mcpgate init")]
    assert [words[2] for words in typed] == ["--key-file", "--passphrase", "--key-env"]
    for words in typed:
        # what it says is typed as it stands, and then it works
        assert mcpgate(*words[1:]).code == 0
        assert connect("stripe", "--no-probe").code == 0
        assert kept() == {"stripe/default": KEY}
        (home / "mcpgate.db").unlink()
    assert "read -rs MCPGATE_STRIPE_KEY && export MCPGATE_STRIPE_KEY" in ran.err


@pytest.mark.usefixtures("headless")
def test_a_vault_that_does_not_open_is_told_before_the_key_is_asked_for(
    connect: Run, mcpgate: Run, tmp_path: Path
) -> None:
    mcpgate("init", "--key-file", str(tmp_path / "key"))
    (tmp_path / "key").unlink()
    ran = connect("stripe", "--no-probe")
    assert (ran.code, ran.out) == (4, "")
    assert f"The key file {tmp_path}/key cannot be read: " in ran.err
    assert sys.stdin.read() == f"{KEY}\n"


def test_an_account_of_a_connector_from_elsewhere_is_not_replaced(
    connect: Run, keyring: MemoryBackend, tmp_path: Path
) -> None:  # row 15
    connect("stripe", "--no-probe")
    file = str(pointed_at("http://127.0.0.1:9", tmp_path))
    ran = connect(file, "--no-probe", key=OTHER)
    assert ran.code == 2
    assert "stripe/default belongs to a connector from elsewhere (shipped stripe)." in ran.err
    assert f"mcpgate connect {file} --account NAME" in ran.err
    assert connect(file, "--no-probe", "--account", "here", key=OTHER).code == 0
    assert kept() == {"stripe/default": KEY, "stripe/here": OTHER}


# --- the ceiling -----------------------------------------------------------------------------------------


def test_a_ceiling_stays_until_another_is_said(connect: Run, mcpgate: Run, keyring: MemoryBackend) -> None:
    create = ("call", "stripe_create_customer", "name=Jenny", "-p", "full-access", "--dry-run")
    ran = connect("stripe", "--no-probe", "--allow", "read-only")
    assert "at most    what the preset read-only allows, whatever flags are given later" in ran.out
    refused = mcpgate(*create)
    assert refused.code == 5
    assert "Denied by ceiling: " in refused.out
    assert "8 of 15 tools listed" in mcpgate("tools", "stripe", "-p", "full-access").out
    # a key that is rolled is pasted without a thought of the ceiling
    again = connect("stripe", "--no-probe", key=OTHER)
    assert "at most    what the preset read-only allows, as before (--allow PRESET says another)" in again.out
    assert mcpgate(*create).code == 5
    raised = connect("stripe", "--no-probe", "--allow", "transact")
    assert "at most    what the preset transact allows" in raised.out
    assert mcpgate(*create).code == 0
    (row,) = json.loads(mcpgate("accounts", "--json").out)
    assert row["ceiling"] == "transact"


@pytest.mark.parametrize(
    ("preset", "code"),
    [("allow: [stripe_get_nothing]", 2), ("allow: [read]\nguardrails: [{for: read, no_such: 1}]", 3)],
)
def test_what_is_no_ceiling_is_told_before_the_key_is_asked_for(
    preset: str, code: int, connect: Run, keyring: MemoryBackend, tmp_path: Path
) -> None:
    (tmp_path / "mine.yaml").write_text(f"preset: mine\n{preset}\n")
    ran = connect("stripe", "--no-probe", "--allow", str(tmp_path / "mine.yaml"))
    assert ran.code == code, ran.err
    assert sys.stdin.read() == f"{KEY}\n"
    assert kept() == {}


@pytest.mark.parametrize(
    ("column", "value"),
    [
        ("ceiling", '{"preset": "all", "allow": ["read", "write", "delete"]}'),
        ("settings", '{"site": "evil"}'),
    ],
)
def test_what_was_changed_in_the_database_is_not_taken_over(
    column: str, value: str, connect: Run, mcpgate: Run, keyring: MemoryBackend, tmp_path: Path, home: Path
) -> None:
    file = tmp_path / "desk.yaml"
    file.write_text(DESK)
    words = (str(file), "--setting", "site=acme", "--allow", "read-only")
    assert connect(*words).code == 0
    with sqlite3.connect(home / "mcpgate.db") as database:
        database.execute(f"UPDATE credential SET {column} = ?", (value,))
    database.close()
    # whoever changed it may have wanted just that: the key pasted again, under no ceiling
    ran = connect(str(file))
    assert ran.code == 2
    assert "Whether it had a ceiling is not known.\nSay the most it may be used for: --allow" in ran.err
    ran = connect(str(file), "--allow", "read-only")
    assert "is not as it was sealed: its row was changed. Nothing of it is taken over." in ran.out
    assert "evil" not in ran.out
    # what it was connected with has to be said again, and then all is well
    assert "desk needs the setting 'site'." in ran.err
    assert connect(*words).code == 0
    assert kept() == {"desk/default": KEY}


# --- using what was connected ----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("words", "variable", "used"),
    [
        ([], "", "sk_test_default"),
        ([], "sk_test_variable", "sk_test_variable"),
        (["--account", "work"], "sk_test_variable", "sk_test_work"),
        (["--account", "stripe=work"], "", "sk_test_work"),
        (["--account", "default"], "sk_test_variable", "sk_test_default"),
        (["--account", "home"], "sk_test_variable", "Stripe has no account 'home'."),
    ],
)
def test_which_credential_a_call_uses(
    words: list[str],
    variable: str,
    used: str,
    connect: Run,
    mcpgate: Run,
    capture: Loopback,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    file = str(pointed_at(capture.url, tmp_path))
    for name in ("default", "work"):
        connect(file, "--account", name, "--no-probe", key=f"sk_test_{name}")
    monkeypatch.setenv("MCPGATE_STRIPE_KEY", variable)
    ran = mcpgate("call", "stripe_get_balance", "-c", file, *words)
    sent = [authorization(request) for request in capture.requests]
    assert used in ran.out or sent == [f"Bearer {used}"]


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["stripe", "--account", "A"], "'A' cannot be the name of an account."),
        (["stripe", "--account", "stripe="], "'' cannot be the name of an account."),
        (["stripe", "--account", "a", "--account", "b"], "Two accounts for the same connectors: a and b."),
        (["stripe", "--account", "github=a"], "the connector 'github' is not run here"),
    ],
)
def test_an_account_that_cannot_be_meant_is_told(words: list[str], says: str, mcpgate: Run) -> None:
    for command in ("run", "tools"):
        ran = mcpgate(command, *words)
        assert ran.code == 2
        assert says in ran.err


def test_a_file_that_changes_has_to_be_connected_again(
    connect: Run, mcpgate: Run, capture: Loopback, tmp_path: Path
) -> None:  # row 15
    file = pointed_at(capture.url, tmp_path)
    connect(str(file), "--no-probe")
    with file.open("a") as text:
        text.write("\n# changed\n")
    ran = mcpgate("call", "stripe_get_balance", "-c", str(file))
    assert f"was connected for another version of {file}." in ran.out
    assert f"`mcpgate connect {file}`" in ran.out
    assert capture.requests == []
    connect(str(file), "--no-probe")
    assert mcpgate("call", "stripe_get_balance", "-c", str(file)).code == 0


def test_settings_are_given_once(connect: Run, mcpgate: Run, tmp_path: Path, keyring: MemoryBackend) -> None:
    file = str(tmp_path / "desk.yaml")
    Path(file).write_text(DESK)
    ran = connect(file, "--setting", "site=acme")
    assert "settings   site=acme, team=all" in ran.out
    assert "goes to    https://acme.desk.example, and nowhere else" in ran.out
    assert mcpgate("tools", file).code == 0
    dry = ("call", "desk_list_cases", "-c", file, "--dry-run")
    for words in ([], ["--setting", "site=acme"], ["--setting", "desk.team=all"]):
        assert "GET https://acme.desk.example/all/cases" in mcpgate(*dry, *words).out
    for command in (dry, ("tools", file), ("run", file)):
        other = mcpgate(*command, "--setting", "site=other")
        assert other.code == 2
        assert "desk/default was connected with site=acme, team=all, and not with site=other." in other.err
        assert f"mcpgate connect {file} --account NAME --setting site=other" in other.err
    # rotating the key needs no setting; another value is another place, and said so
    assert "goes to    https://acme.desk.example" in connect(file, key="second").out
    assert "goes to    https://other.desk.example" in connect(file, "--setting", "site=other").out
    assert "GET https://other.desk.example/all/cases" in mcpgate(*dry).out


def test_settings_of_an_account_are_not_those_of_a_file_with_its_name(
    connect: Run, mcpgate: Run, home: Path, tmp_path: Path
) -> None:
    for folder in (home / "connectors", tmp_path):
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "desk.yaml").write_text(DESK)
    assert connect("desk", "--setting", "site=acme").code == 0
    assert mcpgate("tools", "desk").code == 0
    assert "needs the setting 'site'" in mcpgate("tools", str(tmp_path / "desk.yaml")).err


def test_settings_of_an_account_are_not_the_variables(
    connect: Run, mcpgate: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = str(tmp_path / "desk.yaml")
    Path(file).write_text(DESK)
    connect(file, "--setting", "site=acme")
    monkeypatch.setenv("MCPGATE_DESK_KEY", "another")
    assert "needs the setting 'site'" in mcpgate("tools", file).err
    assert mcpgate("tools", file, "--setting", "site=other").code == 0
    assert mcpgate("tools", file, "--account", "default").code == 0


def test_a_locked_keyring_is_told_to_the_agent_in_a_line(
    connect: Run, mcpgate: Run, keyring: MemoryBackend, home: Path
) -> None:
    from keyring.errors import KeyringLocked

    connect("stripe", "--no-probe")

    def locked(_: object) -> object:
        raise KeyringLocked(KEY)

    keyring.on["get"] = locked
    ran = mcpgate("call", "stripe_get_balance")
    assert (ran.code, ran.out.count("\n")) == (4, 1)
    assert ran.out.endswith("The Test keyring is locked. A person has to unlock it, then try again.\n")
    assert leaks(home, ran) == []


def test_the_guide_names_every_command_and_flag() -> None:
    text = GUIDE.read_text("utf-8")
    for word in ("mcpgate connect", "mcpgate accounts", "mcpgate disconnect", "--account", "--from-env"):
        assert word in text
    for word in ("--setting", "--no-probe", "--live", "MCPGATE_STRIPE_KEY"):
        assert word in text


# --- what is said of a ceiling, and what is not repeated ---------------------------------------------------


def test_under_a_ceiling_a_connector_of_ones_own_is_bound_to_its_content(
    connect: Run, mcpgate: Run, keyring: MemoryBackend, home: Path
) -> None:
    """What a tool is stands in the file: a write that calls itself a read would pass a ceiling."""
    own = home / "connectors" / "desk.yaml"
    own.parent.mkdir(parents=True, mode=0o700)
    own.write_text(DESK)
    assert connect("desk", "--setting", "site=acme", "--allow", "read-only").code == 0
    own.write_text(f"{DESK}# changed\n")
    ran = mcpgate("call", "desk_list_cases", "--setting", "site=acme")
    assert ran.code == 4
    assert "was connected for another version of" in ran.out


@pytest.mark.parametrize("words", [("sk_test_" + "C" * 24,), ("stripe", "--account", "sk_test_" + "c" * 24)])
def test_a_key_where_a_name_belongs_is_not_repeated(
    words: tuple[str, ...], mcpgate: Run, keyring: MemoryBackend
) -> None:
    ran = mcpgate("connect", *words)
    assert ran.code == 2
    assert "sk_test_" not in ran.out + ran.err


def test_an_empty_ceiling_is_no_way_to_none(mcpgate: Run, keyring: MemoryBackend) -> None:
    ran = mcpgate("connect", "stripe", "--allow", "")
    assert (ran.code, "--allow names no preset." in ran.err) == (2, True)
