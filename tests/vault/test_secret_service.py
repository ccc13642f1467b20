"""A real Secret Service: gnome-keyring on a session bus of its own, and mcpgate as a client starts it."""

from __future__ import annotations

import base64
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from mcpgate.vault.os_keyring import UNLOCK
from tests.standins.connectors import pointed_at
from tests.standins.loopback import Loopback

KEY = "sk_test_CanaryCanaryCanary"
PASSWORD = "open sesame"
SECONDS = 30
MESSAGES = [
    {
        "jsonrpc": "2.0",
        "id": 1,
        "method": "initialize",
        "params": {
            "protocolVersion": "2025-11-25",
            "capabilities": {},
            "clientInfo": {"name": "tests", "version": "0"},
        },
    },
    {
        "jsonrpc": "2.0",
        "id": 2,
        "method": "tools/call",
        "params": {"name": "stripe_get_balance", "arguments": {}},
    },
]
LOCK = """
import secretstorage
connection = secretstorage.dbus_init()
secretstorage.get_default_collection(connection).lock()
connection.close()
"""
ITEMS = """
import json, secretstorage
connection = secretstorage.dbus_init()
items = secretstorage.search_items(connection, {"service": "mcpgate"})
print(json.dumps({item.get_attributes()["username"]: item.get_secret().decode() for item in items}))
connection.close()
"""
OWNED = """
import sys
from jeepney.bus_messages import message_bus
from jeepney.io.blocking import Proxy, open_dbus_connection
with open_dbus_connection() as connection:
    sys.exit(not Proxy(message_bus, connection).NameHasOwner("org.freedesktop.secrets")[0])
"""


class Session:
    """A user's session with nothing in its environment that an MCP client leaves out, but the bus."""

    def __init__(self, folder: Path) -> None:
        self.environment = {
            "PATH": os.environ["PATH"],
            "HOME": str(folder),
            "XDG_RUNTIME_DIR": str(folder),
            "DBUS_SESSION_BUS_ADDRESS": f"unix:path={folder}/bus",
        }

    def run(self, *command: str, given: str = "") -> subprocess.CompletedProcess[str]:
        """Run a command to its end, with a file on its stdin: a server answers all that is in it."""
        with tempfile.TemporaryFile("w+") as file:
            file.write(given)
            file.seek(0)
            return subprocess.run(
                command,
                stdin=file,
                env=self.environment,
                capture_output=True,
                text=True,
                timeout=60,
                check=False,
            )

    def mcpgate(self, *words: str, given: str = "") -> subprocess.CompletedProcess[str]:
        """Run mcpgate to its end."""
        return self.run(sys.executable, "-m", "mcpgate", *words, given=given)

    def kept(self) -> dict[str, str]:
        """What mcpgate has in the keyring, as any other program of this session reads it."""
        done = self.run(sys.executable, "-c", ITEMS)
        kept: dict[str, str] = json.loads(done.stdout)
        return kept

    def accounts(self) -> list[dict[str, Any]]:
        """What `mcpgate accounts` knows."""
        rows: list[dict[str, Any]] = json.loads(self.mcpgate("accounts", "--json").stdout)
        return rows


@contextmanager
def process(session: Session, *command: str, given: str = "") -> Iterator[subprocess.Popen[str]]:
    started = subprocess.Popen(
        command,
        env=session.environment,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    )
    try:
        assert started.stdin is not None
        started.stdin.write(given)
        started.stdin.close()
        yield started
    finally:
        started.terminate()
        try:
            started.wait(5)
        except subprocess.TimeoutExpired:
            started.kill()
            started.wait()
        assert started.stdout is not None
        started.stdout.close()


@pytest.fixture
def session(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Session]:
    for program in ("dbus-daemon", "gnome-keyring-daemon"):
        if shutil.which(program) is None:
            pytest.skip(f"{program} is not installed")
    folder = tmp_path_factory.mktemp("s")
    folder.chmod(0o700)
    found = Session(folder)
    address = found.environment["DBUS_SESSION_BUS_ADDRESS"]
    bus = ("dbus-daemon", "--session", "--nofork", "--print-address", f"--address={address}")
    with process(found, *bus) as daemon:
        assert daemon.stdout is not None
        if not daemon.stdout.readline():
            pytest.skip("dbus-daemon does not start here")
        keyring = ("gnome-keyring-daemon", "--foreground", "--unlock", "--components=secrets")
        with process(found, *keyring, given=PASSWORD) as service:
            until = time.monotonic() + SECONDS
            while found.run(sys.executable, "-c", OWNED).returncode:
                if service.poll() is not None or time.monotonic() > until:
                    pytest.skip("gnome-keyring-daemon does not start here")
                time.sleep(0.1)
            yield found


def test_a_key_is_kept_used_rotated_locked_unlocked_and_removed(
    session: Session, capture: Loopback, tmp_path: Path
) -> None:
    file = str(pointed_at(capture.url, tmp_path))
    call = ("call", "stripe_get_balance", "-c", file)
    connected = session.mcpgate("connect", file, given=f"{KEY}\n")
    assert connected.returncode == 0, connected.stderr
    assert "in the vault whose key is in the Secret Service" in connected.stdout
    # nobody had to hear of `init`: the master key is in the keyring, and the credential is not
    ((entry, master),) = session.kept().items()
    assert entry.startswith("master key ")
    assert len(base64.b64decode(master)) == 32
    called = session.mcpgate(*call)
    assert called.returncode == 0, called.stdout
    assert [request.headers["authorization"] for request in capture.requests] == [f"Bearer {KEY}"] * 2

    served = session.mcpgate("run", file, given="".join(f"{json.dumps(message)}\n" for message in MESSAGES))
    answers = {answer["id"]: answer["result"] for answer in map(json.loads, served.stdout.splitlines())}
    assert answers[2].get("isError", False) is False, served.stdout
    assert capture.requests[2].headers["authorization"] == f"Bearer {KEY}"

    rotated = session.mcpgate("vault", "rotate")
    assert rotated.returncode == 0, rotated.stderr
    ((other, another),) = session.kept().items()
    assert other != entry
    assert another != master
    assert session.mcpgate(*call).returncode == 0

    assert session.run(sys.executable, "-c", LOCK).returncode == 0
    locked = session.mcpgate(*call)
    assert locked.returncode == 4
    assert "The Secret Service is locked. A person has to unlock it" in locked.stdout
    (row,) = session.accounts()
    assert (row["state"], row["says"]) == ("closed", "The Secret Service is locked.")
    refused = [
        session.mcpgate("connect", file, "--no-probe", given="sk_test_other\n"),
        session.mcpgate("vault", "rotate"),
        session.mcpgate("vault", "rotate", "--key-file", str(tmp_path / "new.key")),
        session.mcpgate("disconnect", "stripe"),
    ]
    for each in refused:
        assert (each.returncode, each.stderr.splitlines()[0]) == (4, "The Secret Service is locked.")
    assert not (tmp_path / "new.key").exists()

    # what a person is told to type, as they would
    assert session.run("bash", "-c", UNLOCK, given=f"{PASSWORD}\n").returncode == 0
    assert session.accounts()[0]["state"] == "sealed"
    assert session.kept() == {other: another}
    again = session.mcpgate("connect", file, "--no-probe", given="sk_test_other\n")
    assert "This replaces the one" in again.stdout
    assert session.mcpgate(*call).returncode == 0
    assert capture.requests[-1].headers["authorization"] == "Bearer sk_test_other"

    gone = session.mcpgate("disconnect", "stripe")
    assert gone.returncode == 0, gone.stderr
    assert session.accounts() == []
    assert session.mcpgate("disconnect", "stripe").returncode == 3
    everything = [connected, called, served, rotated, locked, *refused, again, gone]
    texts = [each.stdout + each.stderr for each in everything]
    assert not [text for text in texts for hidden in ("Canary", master, another) if hidden in text]


def test_a_key_leaves_the_keyring_only_for_another_keeper(session: Session, tmp_path: Path) -> None:
    assert session.mcpgate("connect", "stripe", "--no-probe", given=KEY).returncode == 0
    moved = session.mcpgate("vault", "rotate", "--key-file", str(tmp_path / "new.key"))
    assert moved.returncode == 0, moved.stderr
    assert session.kept() == {}
    assert session.accounts()[0]["state"] == "sealed"
    back = session.mcpgate("vault", "rotate", "--keyring")
    assert back.returncode == 0, back.stderr
    assert len(session.kept()) == 1
    assert session.accounts()[0]["state"] == "sealed"


def test_a_secret_service_that_is_gone_is_told_and_no_other_takes_its_place(session: Session) -> None:
    assert session.mcpgate("connect", "stripe", "--no-probe", given=KEY).returncode == 0
    before = session.kept()
    here = session.environment["DBUS_SESSION_BUS_ADDRESS"]
    session.environment["DBUS_SESSION_BUS_ADDRESS"] += "-elsewhere"
    called = session.mcpgate("call", "stripe_get_balance")
    assert called.returncode == 4
    assert "The Secret Service cannot be used here." in called.stdout
    for words in (("connect", "stripe", "--no-probe"), ("vault", "rotate"), ("disconnect", "stripe")):
        done = session.mcpgate(*words, given=KEY)
        assert (done.returncode, done.stderr.splitlines()[0]) == (
            4,
            "The Secret Service cannot be used here.",
        )
    session.environment["DBUS_SESSION_BUS_ADDRESS"] = here
    assert session.kept() == before
    assert session.accounts()[0]["state"] == "sealed"
