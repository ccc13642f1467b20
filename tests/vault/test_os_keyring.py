"""Which keyrings are used, how they are found, and what becomes of their failures."""

from __future__ import annotations

import functools
import importlib
import os
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from keyring.backend import KeyringBackend
from keyring.errors import InitError, KeyringLocked

from mcpgate.errors import CredentialError
from mcpgate.secrets import Secret
from mcpgate.vault import os_keyring
from mcpgate.vault.os_keyring import Keyring, find_keyring
from tests.standins.keyring import MemoryBackend
from tests.vault.vaults import told_in_full

CANARY = "sk_test_canarycanarycanary"
PLAINTEXT = """
import pathlib
from keyring.backend import KeyringBackend

pathlib.Path(__file__).with_name("imported").touch()

class Keyring(KeyringBackend):
    priority = 100
    get_password = set_password = delete_password = lambda *_: None
"""


@pytest.fixture
def backend() -> MemoryBackend:
    return MemoryBackend()


# --- which one -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("known", [*os_keyring._MAC, *os_keyring._WINDOWS, *os_keyring._OTHERS], ids=str)
def test_every_known_keyring_is_a_backend_of_the_package(known: tuple[str, str, str]) -> None:
    _, module, kind = known
    assert issubclass(getattr(importlib.import_module(module), kind), KeyringBackend)


@pytest.mark.parametrize(
    ("platform", "works", "name", "found"),
    [
        ("linux", {"SecretService", "libsecret", "kwallet"}, "", ("Secret Service", "SecretService")),
        ("linux", {"libsecret", "kwallet"}, "", ("Secret Service", "libsecret")),
        ("linux", {"kwallet"}, "", ("KWallet", "kwallet")),
        ("linux", {"SecretService", "kwallet"}, "KWallet", ("KWallet", "kwallet")),
        ("linux", {"kwallet"}, "Secret Service", None),
        ("linux", {"macOS", "Windows"}, "", None),
        ("freebsd15", {"SecretService"}, "", ("Secret Service", "SecretService")),
        ("darwin", {"macOS", "SecretService"}, "", ("macOS Keychain", "macOS")),
        ("darwin", {"SecretService"}, "", None),
        ("win32", {"Windows"}, "", ("Windows Credential Manager", "Windows")),
    ],
)
def test_the_known_ones_in_a_fixed_order_and_no_other(
    platform: str,
    works: set[str],
    name: str,
    found: tuple[str, str] | None,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    loaded: list[str] = []

    def load(module: str, _: str) -> MemoryBackend | None:
        loaded.append(module.rpartition(".")[2])
        return MemoryBackend() if loaded[-1] in works else None

    monkeypatch.setattr(os_keyring, "_load", load)
    monkeypatch.setattr(os_keyring, "_find_session_bus", lambda: None)
    monkeypatch.setattr(sys, "platform", platform)
    keyring = find_keyring(name)
    assert (keyring and (keyring.name, loaded[-1])) == found


def test_a_plaintext_keyring_is_not_used_whatever_is_configured(tmp_path: Path) -> None:
    """Chosen by variable, by configuration file and by priority at once: keyring itself would take it."""
    (tmp_path / "plaintext.py").write_text(PLAINTEXT)
    config = tmp_path / "config" / "python_keyring" / "keyringrc.cfg"
    config.parent.mkdir(parents=True)
    config.write_text(f"[backend]\ndefault-keyring=plaintext.Keyring\nkeyring-path={tmp_path}\n")
    environment = {
        "PATH": os.environ["PATH"],
        "HOME": str(tmp_path),
        "XDG_CONFIG_HOME": str(tmp_path / "config"),
        "PYTHON_KEYRING_BACKEND": "plaintext.Keyring",
        "PYTHONPATH": str(tmp_path),
        # nobody listens here
        "DBUS_SESSION_BUS_ADDRESS": f"unix:path={tmp_path}/bus",
    }

    def run(code: str) -> str:
        command = [sys.executable, "-c", code]
        done = subprocess.run(
            command, env=environment, capture_output=True, text=True, timeout=60, check=True
        )
        return done.stdout.strip()

    ours = "from mcpgate.vault.os_keyring import find_keyring; print(find_keyring())"
    assert run(ours) == "None"
    assert not (tmp_path / "imported").exists()
    assert "plaintext.Keyring" in run("import keyring; print(keyring.get_keyring())")


@pytest.mark.skipif(sys.platform in ("darwin", "win32"), reason="keyrings are reached over D-Bus elsewhere")
@pytest.mark.parametrize(
    ("given", "there", "then"),
    [
        (None, "socket", "unix:path={run}/{user}/bus"),
        ("", "socket", "unix:path={run}/{user}/bus"),
        ("unix:path=/elsewhere", "socket", "unix:path=/elsewhere"),
        (None, "file", None),
        (None, "", None),
    ],
)
def test_the_users_own_bus_is_found_where_a_client_left_it_out(
    given: str | None, there: str, then: str | None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / str(os.getuid())
    folder.mkdir()
    monkeypatch.setattr(os_keyring, "_RUN", str(tmp_path))
    monkeypatch.setattr(os_keyring, "_OTHERS", ())
    # set first, so that it is put back at the end
    monkeypatch.setenv("DBUS_SESSION_BUS_ADDRESS", given or "")
    if given is None:
        monkeypatch.delenv("DBUS_SESSION_BUS_ADDRESS")
    with socket.socket(socket.AF_UNIX) as bus:
        if there == "socket":
            monkeypatch.chdir(folder)  # the name of a socket is short
            bus.bind("bus")
        elif there:
            (folder / "bus").touch()
        find_keyring()
    expected = then and then.format(run=tmp_path, user=os.getuid())
    assert os.environ.get("DBUS_SESSION_BUS_ADDRESS") == (expected or given)


def test_keyring_is_imported_only_when_it_is_looked_for() -> None:
    code = "import sys, mcpgate.cli.opening, mcpgate.vault.os_keyring; print('keyring' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"


# --- how it is asked -------------------------------------------------------------------------------------


def test_what_is_put_is_got_until_it_is_deleted(backend: MemoryBackend) -> None:
    keyring = Keyring("Test keyring", backend)
    assert keyring.get("shop/default") is None
    keyring.put("shop/default", Secret("text"))
    kept = keyring.get("shop/default")
    assert kept is not None
    assert kept.reveal() == "text"
    assert backend.kept == {("mcpgate", "shop/default"): "text"}
    assert keyring.delete("shop/default")
    assert not keyring.delete("shop/default")
    assert backend.kept == {}


def failing(error: BaseException) -> Callable[[object], object]:
    def fail(_: object) -> object:
        raise error

    return fail


@pytest.mark.parametrize(
    ("error", "says"),
    [
        (KeyringLocked(CANARY), "The Test keyring is locked."),
        (InitError(CANARY), "The Test keyring is locked."),
        (RuntimeError(CANARY), "The Test keyring failed (RuntimeError)."),
        (TimeoutError(CANARY), "The Test keyring failed (TimeoutError)."),
        # what a library written in Rust raises when it fails for good
        (type("PanicException", (BaseException,), {})(CANARY), "The Test keyring failed (PanicException)."),
        (OSError(1783, CANARY), "The Test keyring failed (OSError)."),
    ],
)
@pytest.mark.parametrize("step", ["get", "set", "delete"])
def test_a_keyring_that_fails_is_told_without_its_own_words(  # row 13
    error: BaseException, says: str, step: str, backend: MemoryBackend
) -> None:
    keyring = Keyring("Test keyring", backend)
    keyring.put("shop/default", Secret(CANARY))
    backend.on[step] = failing(error)
    put = functools.partial(keyring.put, text=Secret(CANARY))
    steps: dict[str, Callable[[str], object]] = {"get": keyring.get, "set": put, "delete": keyring.delete}
    with pytest.raises(CredentialError) as caught:
        steps[step]("shop/default")
    assert caught.value.message == says
    # nor do they hang on to it for a log to find
    assert caught.value.__cause__ is None
    assert caught.value.__context__ is None
    assert CANARY not in told_in_full(caught.value)


def test_the_way_to_unlock_a_secret_service_is_told(backend: MemoryBackend) -> None:
    backend.on["get"] = failing(KeyringLocked())
    with pytest.raises(CredentialError) as caught:
        Keyring("Secret Service", backend).get("shop/default")
    assert "gnome-keyring-daemon --replace --unlock" in caught.value.hint


def test_a_keyring_that_waits_for_ever_is_not_waited_for(backend: MemoryBackend) -> None:
    released, began = threading.Event(), time.monotonic()
    backend.on["get"] = lambda _: released.wait(60)
    with pytest.raises(CredentialError, match=r"did not answer within 0\.05 s"):
        Keyring("Test keyring", backend, seconds=0.05).get("shop/default")
    assert time.monotonic() - began < 2
    released.set()


def test_a_keyring_that_forgets_without_a_word_is_found_out(backend: MemoryBackend) -> None:
    backend.forgets = True
    with pytest.raises(CredentialError, match="did not keep what it was given"):
        Keyring("Test keyring", backend).put("shop/default", Secret(CANARY))
