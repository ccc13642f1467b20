"""Where the master key comes from: taken or made once, loaded or refused ever after."""

from __future__ import annotations

import base64
import os
import sys
import threading
import time
import unicodedata
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.kdf.argon2 import Argon2id

from mcpgate.errors import CredentialError, MCPGateError, UsageError
from mcpgate.secrets import Secret
from mcpgate.vault import key_file
from mcpgate.vault.key_file import make_key_file
from mcpgate.vault.os_keyring import Keyring
from mcpgate.vault.providers import (
    PLACES,
    EnvironmentProvider,
    FileProvider,
    KeyringProvider,
    PassphraseProvider,
    Place,
    Provider,
    derive,
)
from mcpgate.vault.sealing import MasterKey
from tests.standins.keyring import FolderBackend, MemoryBackend
from tests.vault.vaults import KEY, PASSPHRASE, told_in_full

BASE64 = base64.b64encode(KEY).decode()
FILES = FileProvider()
posix = pytest.mark.skipif(sys.platform == "win32", reason="Windows has no such bits")


def refused(kind: type[MCPGateError], provider: Provider, place: Place, step: str = "load") -> str:
    """What is said of a step that fails; nothing of what was read is in it, or in any variable."""
    with pytest.raises(kind) as caught:
        getattr(provider, step)("id", place)
    error = caught.value
    told = told_in_full(error)
    for hidden in (BASE64[:20], KEY.hex(), repr(KEY)[2:20], PASSPHRASE, "Canary"):
        assert hidden not in told
    assert len(error.message.splitlines()) == 1
    assert error.hint
    return error.message


def key_at(path: Path, data: bytes | str, mode: int = 0o600) -> dict[str, str]:
    path.parent.mkdir(exist_ok=True)
    path.write_bytes(data.encode() if isinstance(data, str) else data)
    path.chmod(mode)
    return {"path": str(path)}


def is_key(master: MasterKey) -> bool:
    return master.same_key(MasterKey("other", KEY))


def test_every_kind_records_where_it_is() -> None:
    assert set(PLACES) == {"keyring", "passphrase", "file", "environment"}


# --- what is a key ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("text", [BASE64, f"{BASE64}\n", f"  {BASE64}\r\n"])
def test_32_bytes_in_base64_are_a_key(text: str, tmp_path: Path) -> None:
    assert is_key(FILES.load("id", key_at(tmp_path / "key", text)))
    assert is_key(EnvironmentProvider({"VAULT": text}).load("id", {"variable": "VAULT"}))


def test_32_raw_bytes_are_a_key_in_a_file_alone(tmp_path: Path) -> None:
    raw = KEY[:-1] + b"\xff"
    assert FILES.load("id", key_at(tmp_path / "key", raw)).same_key(MasterKey("", raw))
    provider = EnvironmentProvider({"VAULT": raw.decode("latin-1")})
    assert "VAULT is not a master key" in refused(CredentialError, provider, {"variable": "VAULT"})


@pytest.mark.parametrize(
    "text",
    [
        "",
        "\n",
        BASE64[:-4],
        BASE64 + "AAAA",
        KEY.hex(),
        "Canary words of just so many chars"[:32],
        base64.b64encode(os.urandom(24)),  # 32 characters, and 24 bytes
        bytes(32),  # what a crash leaves of a file
        base64.b64encode(bytes(32)),
        base64.b64encode(b"ab" * 16),
        b"\xff" * 32,
        b"\xff\xfe" * 4000,
        "ключ" * 10,
    ],
)
def test_what_is_no_key_is_refused_without_repeating_it(text: bytes | str, tmp_path: Path) -> None:
    place = key_at(tmp_path / "key", text)
    assert any(
        says in refused(CredentialError, FILES, place) for says in ("is not a master key.", "than 4096 bytes")
    )
    backend = MemoryBackend()
    as_text = text if isinstance(text, str) else text.decode("latin-1")
    backend.kept["mcpgate", "master key id"] = as_text
    keyring = KeyringProvider(lambda _: Keyring("Test keyring", backend))
    says = refused(CredentialError, keyring, {"keyring": "Test keyring"})
    assert says == "What the Test keyring has for the master key is not a master key."
    if as_text.strip():
        environ = {"VAULT": as_text}
        says = refused(CredentialError, EnvironmentProvider(environ), {"variable": "VAULT"})
        assert says == "What is in VAULT is not a master key."


# --- the keyring -----------------------------------------------------------------------------------------


def test_the_keyring_keeps_a_key_of_its_own_for_every_id() -> None:
    backend, asked = MemoryBackend(), list[str]()

    def find(name: str) -> Keyring:
        asked.append(name)
        return Keyring("Test keyring", backend)

    provider = KeyringProvider(find)
    one, place = provider.make("1", {})
    two, _ = provider.make("2", place)
    assert place == {"keyring": "Test keyring"}
    assert not one.same_key(two)
    assert provider.load("1", place).same_key(one)
    provider.forget("1", place)
    assert list(backend.kept) == [("mcpgate", "master key 2")]
    # once it is recorded, it is that keyring and no other
    assert asked == ["", "Test keyring", "Test keyring", "Test keyring"]
    assert refused(CredentialError, provider, place) == "The master key is no longer in the Test keyring."


@pytest.mark.parametrize("step", ["make", "load", "forget"])
def test_without_its_keyring_nothing_is_asked_of_another(step: str) -> None:
    provider = KeyringProvider(lambda name: None)
    assert (
        refused(CredentialError, provider, {"keyring": "KWallet"}, step) == "The KWallet cannot be used here."
    )


@pytest.mark.parametrize("broken", ["get", "set", "forgets"])
def test_a_key_that_a_keyring_does_not_keep_stands_in_no_variable(
    broken: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    backend = MemoryBackend()
    backend.forgets = broken == "forgets"

    def fail(text: object) -> object:
        raise RuntimeError(text)

    if broken != "forgets":
        backend.on[broken] = fail
    monkeypatch.setattr("os.urandom", lambda size: KEY[:size])
    refused(CredentialError, KeyringProvider(lambda _: Keyring("Test keyring", backend)), {}, "make")


# --- a passphrase ----------------------------------------------------------------------------------------


def test_a_key_is_derived_by_argon2id_as_rfc_9106_recommends() -> None:
    salt = bytes(range(16))
    kdf = Argon2id(salt=salt, length=32, iterations=3, lanes=4, memory_cost=65536)
    assert derive("id", Secret("pässphrase"), salt).same_key(MasterKey("", kdf.derive("pässphrase".encode())))


@pytest.mark.usefixtures("quick")
@pytest.mark.parametrize("text", ["pässphrase of words", "naïve Ångström words"])
def test_a_passphrase_is_the_same_from_every_keyboard(text: str) -> None:
    salt = bytes(16)
    forms = {form: derive("", Secret(unicodedata.normalize(form, text)), salt) for form in ("NFC", "NFD")}
    assert forms["NFC"].same_key(forms["NFD"])
    assert not forms["NFC"].same_key(derive("", Secret(text.upper()), salt))


@pytest.mark.usefixtures("quick")
def test_bytes_of_a_variable_that_are_no_text_are_a_passphrase_all_the_same() -> None:
    environ = {"MCPGATE_PASSPHRASE": b"\xff\xfe words of bytes".decode("utf-8", "surrogateescape")}
    provider = PassphraseProvider(environ)
    made, place = provider.make("id", {})
    assert provider.load("id", place).same_key(made)


@pytest.mark.usefixtures("quick")
def test_every_set_up_has_a_salt_of_its_own() -> None:
    provider = PassphraseProvider({"MCPGATE_PASSPHRASE": PASSPHRASE})
    (one, first), (two, second) = provider.make("1", {}), provider.make("2", {})
    assert not one.same_key(two)
    assert provider.load("1", first).same_key(one)
    assert provider.load("2", second).same_key(two)
    assert len(base64.b64decode(first["salt"])) == 16


@pytest.mark.usefixtures("quick")
@pytest.mark.parametrize(
    ("given", "made_of", "opened_with"),
    [
        ({"PASSPHRASE": "one two three four"}, "one two three four", "one two three four"),
        ({"PASSPHRASE_FILE": "five six seven"}, "five six seven", "five six seven"),
        (
            {"PASSPHRASE": "one two three four", "PASSPHRASE_FILE": "five six seven"},
            "one two three four",
            "one two three four",
        ),
        ({"PASSPHRASE": "", "PASSPHRASE_FILE": "five six seven"}, "five six seven", "five six seven"),
        (
            {"PASSPHRASE": "one two three four", "NEW_PASSPHRASE": "seven eight nine"},
            "seven eight nine",
            "one two three four",
        ),
        (
            {"PASSPHRASE_FILE": "one two three four", "NEW_PASSPHRASE_FILE": "seven eight nine"},
            "seven eight nine",
            "one two three four",
        ),
        ({}, "typed at a terminal", "typed at a terminal"),
    ],
)
def test_whose_passphrase_it_is(
    given: dict[str, str], made_of: str, opened_with: str, tmp_path: Path
) -> None:
    environ: dict[str, str] = {}
    for name, text in given.items():
        if name.endswith("_FILE"):
            text = key_at(tmp_path / name, f"{text}\r\n")["path"]
        environ[f"MCPGATE_{name}"] = text
    provider = PassphraseProvider(environ, lambda _: Secret("typed at a terminal"))
    made, place = provider.make("id", {})
    salt = base64.b64decode(place["salt"])
    assert made.same_key(derive("", Secret(made_of), salt))
    assert provider.load("id", place).same_key(derive("", Secret(opened_with), salt))


def test_what_is_asked_says_which_passphrase_is_meant() -> None:
    asked: list[str] = []

    def ask(prompt: str) -> Secret:
        asked.append(prompt)
        return Secret("typed at a terminal")

    provider = PassphraseProvider({}, ask)
    _, place = provider.make("id", {})
    provider.load("id", place)
    assert asked == [
        "New passphrase for the vault (not shown): ",
        "The same again: ",
        "Passphrase of the vault (not shown): ",
    ]


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("elevenchars", "The passphrase has 11 characters, and 12 are the least."),
        (["correct horse battery", "correct horse batterie"], "The two passphrases are not the same."),
    ],
)
def test_a_new_passphrase_is_long_and_typed_twice(text: str | list[str], says: str) -> None:
    typed = iter(text if isinstance(text, list) else [text, text])
    assert refused(UsageError, PassphraseProvider({}, lambda _: Secret(next(typed))), {}, "make") == says


SALT = {"salt": base64.b64encode(bytes(16)).decode()}


@pytest.mark.parametrize(
    ("environ", "place", "says"),
    [
        ({}, SALT, "The vault is locked: its passphrase is not given."),
        ({"MCPGATE_NEW_PASSPHRASE": PASSPHRASE}, SALT, "The vault is locked: its passphrase is not given."),
        ({"MCPGATE_PASSPHRASE": PASSPHRASE}, {"salt": "AAAA"}, "master key is damaged."),
        ({"MCPGATE_PASSPHRASE": PASSPHRASE}, {"salt": "%"}, "master key is damaged."),
        ({"MCPGATE_PASSPHRASE_FILE": "/nowhere/at/all"}, SALT, "cannot be read: No such file or directory."),
        ({"MCPGATE_PASSPHRASE_FILE": "/"}, SALT, "cannot be read: Is a directory."),
    ],
)
def test_without_its_passphrase_the_vault_stays_closed(
    environ: dict[str, str], place: dict[str, str], says: str
) -> None:
    assert says in refused(CredentialError, PassphraseProvider(environ), place)


@pytest.mark.parametrize(
    ("text", "mode", "says"),
    [
        (PASSPHRASE, 0o644, "is open to other users."),
        (b"\xff\xfe\xfd Canary", 0o600, "holds no line of text."),
        ("\n", 0o600, "holds no line of text."),
        ("Canary" * 1000, 0o600, "it has more than 4096 bytes."),
    ],
)
@posix
def test_a_file_that_is_no_passphrase(text: bytes | str, mode: int, says: str, tmp_path: Path) -> None:
    file = key_at(tmp_path / "passphrase", text, mode)["path"]
    provider = PassphraseProvider({"MCPGATE_PASSPHRASE_FILE": file})
    for step in ("load", "make"):
        assert refused(CredentialError, provider, SALT, step).endswith(says)


# --- a file ----------------------------------------------------------------------------------------------


@posix
@pytest.mark.parametrize("umask", [0, 0o077])
def test_a_new_key_file_and_its_folders_are_closed_to_others(umask: int, tmp_path: Path) -> None:
    path = tmp_path / "a" / "b" / "master.key"
    before = os.umask(umask)
    try:
        made, place = FILES.make("id", {"path": str(path)})
    finally:
        os.umask(before)
    assert path.stat().st_mode & 0o777 == 0o600
    assert {folder.stat().st_mode & 0o777 for folder in (path.parent, path.parent.parent)} == {0o700}
    assert [file.name for file in path.parent.iterdir()] == ["master.key"]
    assert FILES.load("id", place).same_key(made)
    # it is taken as it is the next time
    assert FILES.make("2", place)[0].same_key(made)


def test_a_key_file_is_recorded_by_its_whole_path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    _, place = FILES.make("id", {"path": "master.key"})
    assert place == {"path": str(tmp_path / "master.key")}


def test_many_that_make_the_same_file_get_the_same_key(tmp_path: Path) -> None:
    """Whoever comes second never reads half a file, nor puts its own in place of the first."""
    for turn in range(20):
        place, keys = {"path": str(tmp_path / str(turn))}, list[MasterKey]()
        start = threading.Barrier(6)

        def make(place: dict[str, str] = place, start: threading.Barrier = start) -> None:
            start.wait()
            keys.append(FILES.make("id", place)[0])  # noqa: B023

        threads = [threading.Thread(target=make) for _ in range(6)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert len(keys) == 6
        assert all(key.same_key(keys[0]) for key in keys)


def test_a_file_that_is_there_is_never_replaced(tmp_path: Path) -> None:
    path = tmp_path / "key"
    path.write_text("mine")
    assert make_key_file(path, Secret(BASE64)) == ""
    assert path.read_text() == "mine"


@posix
@pytest.mark.parametrize("where", ["/dev/null/x", "/proc/nowhere/x", f"/tmp/{'x' * 300}"])
def test_a_file_that_cannot_be_made_is_told(where: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("os.urandom", lambda size: KEY[:size])
    says = refused(UsageError, FILES, {"path": where}, "make")
    assert says.startswith(f"The key file {where} cannot be made: ")


def nothing(path: Path) -> None:
    path.unlink()


def unreadable(path: Path) -> None:
    path.unlink()
    path.mkdir()


def empty(path: Path) -> None:
    path.write_bytes(b"")


def cut(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:20])


def dangling(path: Path) -> None:
    path.unlink()
    path.symlink_to("nowhere")


def loop(path: Path) -> None:
    path.unlink()
    path.symlink_to(path.name)


def mode(bits: int) -> Any:
    return lambda path: path.chmod(bits)


@posix
@pytest.mark.parametrize(
    ("what", "says"),
    [
        (nothing, "cannot be read: No such file or directory."),
        (unreadable, "cannot be read: Is a directory."),
        (dangling, "cannot be read: No such file or directory."),
        (loop, "cannot be read: Too many levels of symbolic links."),
        (empty, "is not a master key."),
        (cut, "is not a master key."),
        (mode(0o644), "is open to other users."),
        (mode(0o640), "is open to other users."),
        (mode(0o602), "is open to other users."),
        (mode(0o610), "is open to other users."),
    ],
)
def test_a_key_file_that_cannot_be_trusted_opens_nothing_and_makes_nothing(
    what: Any, says: str, tmp_path: Path
) -> None:
    place = key_at(tmp_path / "keys" / "master.key", BASE64)
    path = Path(place["path"])
    what(path)
    before = os.lstat(path) if os.path.lexists(path) else None
    assert refused(CredentialError, FILES, place).endswith(says)
    assert (os.lstat(path) if os.path.lexists(path) else None) == before


@posix
@pytest.mark.skipif(hasattr(os, "geteuid") and os.geteuid() == 0, reason="root reads everything")
def test_a_key_file_that_may_not_be_read_is_told(tmp_path: Path) -> None:
    place = key_at(tmp_path / "key", BASE64, 0)
    assert refused(CredentialError, FILES, place).endswith("cannot be read: Permission denied.")


@posix
@pytest.mark.parametrize(
    ("owner", "bits", "good"),
    [("me", 0o600, True), ("me", 0o400, True), ("me", 0o440, False), ("other", 0o600, False)]
    + [("root", bits, good) for bits, good in ((0o640, True), (0o440, True), (0o660, False), (0o644, False))],
)
def test_whose_file_may_be_read_by_whom(
    owner: str, bits: int, good: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    place = key_at(tmp_path / "key", BASE64, bits)
    uid, real = {"me": 4711, "other": 4712, "root": 0}[owner], os.fstat

    def status(descriptor: int) -> os.stat_result:
        """Of a file of someone else, which only root could make."""
        found = list(real(descriptor))
        return os.stat_result([*found[:4], uid, *found[5:]])

    monkeypatch.setattr(os, "geteuid", lambda: 4711)
    monkeypatch.setattr(os, "fstat", status)
    if good:
        assert is_key(FILES.load("id", place))
    else:
        says = "belongs to another user." if owner == "other" else "is open to other users."
        assert refused(CredentialError, FILES, place).endswith(says)


@posix
@pytest.mark.parametrize(
    ("bits", "good"), [(0o444, True), (0o440, True), (0o600, True), (0o666, False), (0o464, False)]
)
def test_a_secret_that_was_mounted_may_be_read_by_anyone(
    bits: int, good: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As Docker and systemd mount it, and as Kubernetes does: through two links."""
    mount = tmp_path / "run" / "secrets"
    (mount / "..2026_01_02").mkdir(parents=True)
    key_at(mount / "..2026_01_02" / "master", BASE64, bits)
    (mount / "..data").symlink_to("..2026_01_02")
    (mount / "master").symlink_to("..data/master")
    place = {"path": str(mount / "master")}
    if bits & 0o077:
        refused(CredentialError, FILES, place)
    (tmp_path / "var").symlink_to("run")
    monkeypatch.setattr(key_file, "_MOUNTS", (str(tmp_path / "nowhere"), str(tmp_path / "var" / "secrets")))
    if good:
        assert is_key(FILES.load("id", place))
        assert is_key(FILES.make("id", place)[0])
    else:
        refused(CredentialError, FILES, place)
    # a link out of it leads to a file like any other
    outside = key_at(tmp_path / "key", BASE64, 0o444)
    (mount / "link").symlink_to(outside["path"])
    refused(CredentialError, FILES, {"path": str(mount / "link")})


def test_where_secrets_are_mounted_is_not_for_the_environment_to_say(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert key_file._MOUNTS == ("/run/secrets", "/var/run/secrets", "/run/credentials")
    if sys.platform != "win32":
        monkeypatch.setenv("CREDENTIALS_DIRECTORY", str(tmp_path))
        refused(CredentialError, FILES, key_at(tmp_path / "key", BASE64, 0o444))


@posix
def test_a_file_on_a_read_only_mount_was_given(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    place = key_at(tmp_path / "key", BASE64, 0o664)
    refused(CredentialError, FILES, place)

    class Mount:
        f_flag = os.ST_RDONLY

    monkeypatch.setattr(os, "fstatvfs", lambda _: Mount())
    assert is_key(FILES.load("id", place))


def test_on_windows_the_bits_say_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    place = key_at(tmp_path / "key", BASE64, 0o666)
    monkeypatch.setattr(sys, "platform", "win32")
    assert is_key(FILES.load("id", place))
    made, new = FILES.make("id", {"path": str(tmp_path / "new" / "key")})
    assert FILES.load("id", new).same_key(made)


# --- a variable ------------------------------------------------------------------------------------------


def test_a_variable_is_taken_and_never_made() -> None:
    environ = {"VAULT": BASE64}
    made, place = EnvironmentProvider(environ).make("id", {"variable": "VAULT", "salt": "left over"})
    assert is_key(made)
    assert place == {"variable": "VAULT"}
    for text in ({}, {"VAULT": " \n"}):
        provider = EnvironmentProvider(text)
        for step in ("load", "make"):
            says = refused(CredentialError, provider, place, step)
            assert says == "The vault is locked: VAULT is not set."


@pytest.mark.parametrize("name", [BASE64, "", "A B", "1A", "A=B", "Ä", "A" * 64])
def test_a_key_that_was_given_as_the_name_is_not_repeated(name: str) -> None:
    with pytest.raises(UsageError) as caught:
        EnvironmentProvider({name: BASE64}).make("id", {"variable": name})
    assert caught.value.message == "What was given cannot be the name of a variable."
    assert not name or name not in caught.value.hint


# --- beside each other -----------------------------------------------------------------------------------


def test_a_keyring_that_processes_share_stands_in_for_one(tmp_path: Path) -> None:
    backend = FolderBackend(tmp_path / "keyring")
    provider = KeyringProvider(lambda _: Keyring("Test keyring", backend))
    made, place = provider.make("id", {})
    assert provider.load("id", place).same_key(made)
    provider.forget("id", place)
    assert backend.names() == []


def test_argon2id_takes_a_moment_and_not_longer() -> None:
    began = time.perf_counter()
    derive("id", Secret(PASSPHRASE), bytes(16))
    assert 0.02 < time.perf_counter() - began < 10
