"""The peers: each is installed once into a folder that no one keeps, `benchmarks/.peers`."""

from __future__ import annotations

import shutil
import subprocess
import sys
import venv
from pathlib import Path
from typing import Final

FOLDER: Final = Path(__file__).parent / ".peers"
FASTMCP: Final = FOLDER / "fastmcp" / "bin" / "python"
CONTEXTFORGE: Final = FOLDER / "contextforge" / "bin" / "mcpgateway"
TOOLBOX: Final = FOLDER / "toolbox" / "node_modules" / "@toolbox-sdk"
STRIPE: Final = FOLDER / "stripe" / "node_modules" / "@stripe" / "mcp" / "dist" / "index.js"
_SECONDS: Final = 600


def fastmcp() -> str:
    """Install FastMCP into a venv of its own; why it is not there, or nothing.

    The HTTP parser is what one adds who tunes it: pip brings FastMCP without.
    """
    return _venv("fastmcp", "httptools*/METADATA", "fastmcp>=4,<5", "httptools")


def contextforge() -> str:
    """Install ContextForge into a venv of its own; why it is not there, or nothing."""
    return _venv("contextforge", "mcp_contextforge_gateway*/METADATA", "mcp-contextforge-gateway>=1,<2")


def toolbox() -> str:
    """Install MCP Toolbox, a program of one file that npm brings; why it is not there, or nothing."""
    if toolbox_program():
        return ""
    return _npm("toolbox", "@toolbox-sdk/server@1") or (
        "" if toolbox_program() else "there is no program for this system"
    )


def toolbox_program() -> Path | None:
    """The program itself: the script before it costs a start of node."""
    return next(TOOLBOX.glob("server-*/bin/toolbox"), None)


def stripe() -> str:
    """Install the last of Stripe's servers that runs here; why it is not there, or nothing."""
    if shutil.which("node") is None:
        return "node is not installed"
    return "" if STRIPE.exists() else _npm("stripe", "@stripe/mcp@0.2.5")


def _venv(name: str, last: str, *packages: str) -> str:
    """A venv with packages, of which the `last` file is there when all are."""
    folder = FOLDER / name
    if any(folder.glob(f"lib/*/site-packages/{last}")):
        return ""
    try:
        venv.create(folder, with_pip=True)
    except (OSError, subprocess.CalledProcessError) as error:
        return f"no venv: {error}"
    python = str(folder / "bin" / "python")
    return _run(python, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", *packages)


def _npm(name: str, package: str) -> str:
    npm = shutil.which("npm")
    if npm is None:
        return "npm is not installed"
    return _run(npm, "install", "--prefix", str(FOLDER / name), "--no-audit", "--no-fund", package)


def _run(*command: str) -> str:
    print(f"Installing: {command[-1]} …", file=sys.stderr, flush=True)
    FOLDER.mkdir(exist_ok=True)
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=_SECONDS, check=False)
    except (OSError, subprocess.TimeoutExpired) as error:
        return type(error).__name__
    lines = done.stderr.strip().splitlines() or [f"exit code {done.returncode}"]
    return lines[-1][:200] if done.returncode else ""
