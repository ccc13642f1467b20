"""Starts the stand-ins for Stripe that nobody here wrote, each a process that listens on 127.0.0.1 only."""

from __future__ import annotations

import importlib.util
import os
import shutil
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

NODE_TOOLS = Path(__file__).parents[1] / "node"
LAUNCHER = Path(__file__).with_name("localstripe_on_loopback.py")
START_WITHIN = 30


def node_missing(package: str) -> str:
    """Why a test that needs this npm package cannot run; empty if it can."""
    if shutil.which("node") is None:
        return "node is not installed"
    if not (NODE_TOOLS / "node_modules" / package).is_dir():
        return f"{package} is not installed: run `npm ci` in tests/node"
    return ""


def localstripe_missing() -> str:
    """Why a test that needs localstripe cannot run; empty if it can."""
    return "" if importlib.util.find_spec("localstripe") else "localstripe is not installed"


@contextmanager
def stateful_mock() -> Iterator[str]:
    """The origin of a fresh stripe-stateful-mock."""
    with _running(["node", str(NODE_TOOLS / "stateful-mock.cjs")]) as origin:
        yield origin


@contextmanager
def localstripe() -> Iterator[str]:
    """The origin of a fresh localstripe."""
    with _running([sys.executable, "-P", str(LAUNCHER)]) as origin:
        yield origin


@contextmanager
def _running(command: list[str]) -> Iterator[str]:
    process = subprocess.Popen(
        command,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
        env={**os.environ, "LOG_LEVEL": "silent", "PYTHONWARNINGS": "ignore"},
    )
    assert process.stdout is not None
    rest: threading.Thread | None = None
    try:
        overdue = threading.Timer(START_WITHIN, process.kill)
        overdue.start()
        port = process.stdout.readline().strip()
        overdue.cancel()
        if not port.isdigit():
            raise RuntimeError(f"{command[-1]} did not start: it printed {port!r} and not a port")
        # What it prints later has to go somewhere, or it stops at a full pipe.
        rest = threading.Thread(target=process.stdout.read, daemon=True)
        rest.start()
        yield f"http://127.0.0.1:{port}"
    finally:
        process.terminate()
        try:
            process.wait(5)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
        if rest is not None:
            rest.join()
        process.stdout.close()
