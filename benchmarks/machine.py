"""What a run was made on: enough to judge it by, nothing that names the machine."""

from __future__ import annotations

import os
import platform
from pathlib import Path
from typing import Any, Final

_FILES: Final = 8192


def described() -> dict[str, Any]:
    """Python, the system and the processor."""
    return {
        "python": platform.python_version(),
        "system": platform.system(),
        "processors": f"{os.cpu_count()} × {_processor()}",
    }


def more_files() -> None:
    """As many open files as the system gives: each server has up to 128 connections on both sides."""
    try:
        import resource
    except ImportError:
        return
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    most = _FILES if hard == resource.RLIM_INFINITY else min(_FILES, hard)
    if soft != resource.RLIM_INFINITY and soft < most:
        resource.setrlimit(resource.RLIMIT_NOFILE, (most, hard))


def load() -> str:
    """How many processes wanted to run in the last minute, of all on the machine."""
    try:
        return f"{os.getloadavg()[0]:.1f}"
    except (OSError, AttributeError):
        return "unknown"


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        lines = []
    found = (line.partition(":")[2].strip() for line in lines if line.startswith("model name"))
    return next(found, platform.machine())
