"""ContextForge as it is set up once: a database of its own, the fifteen operations as tools, one server."""

from __future__ import annotations

import json
import os
import subprocess
import time
import urllib.error
import urllib.request
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from benchmarks import install, processes
from benchmarks.over_http import free_port
from benchmarks.processes import FailedError

# made up, for a server on loopback that lives as long as the run
_SECRET: Final = "made-up-for-a-benchmark-"
_STARTS: Final = 90.0


@dataclass(frozen=True)
class Prepared:
    """What the server is started and called with."""

    env: Mapping[str, str]
    path: str
    token: str


def prepare(folder: Path, env: Mapping[str, str], tools: list[dict[str, Any]]) -> Prepared:
    """Start it once, tell it its tools, and stop it. Everything else is as it comes."""
    env = {
        **env,
        "PATH": f"{install.CONTEXTFORGE.parent}{os.pathsep}{env.get('PATH', '')}",
        "DATABASE_URL": f"sqlite:///{folder / 'contextforge.db'}",
        "JWT_SECRET_KEY": _SECRET + "token-0123456789",
        "AUTH_ENCRYPTION_SECRET": _SECRET + "seal-0123456789",
        "BASIC_AUTH_PASSWORD": _SECRET + "Basic-1",
        "PLATFORM_ADMIN_PASSWORD": _SECRET + "Admin-1",
        "DEFAULT_USER_PASSWORD": _SECRET + "User-1",
        # the API is on loopback here, and it is asked more often than a hundred times a minute
        "SSRF_ALLOW_LOCALHOST": "true",
        "RATE_LIMITING_ENABLED": "false",
        "TOOL_RATE_LIMIT": "1000000",
    }
    token, port = _token(env), free_port()
    process = processes.start(command(port), folder, env, errors=subprocess.DEVNULL)
    try:
        where = f"http://127.0.0.1:{port}"
        _wait(f"{where}/health", process)
        made = [_post(f"{where}/tools", token, {"tool": tool})["id"] for tool in tools]
        server = {"name": "stripe", "description": "Stripe", "associated_tools": made}
        number = _post(f"{where}/servers", token, {"server": server})["id"]
    finally:
        processes.end(process)
    return Prepared(env, f"/servers/{number}/mcp", token)


def command(port: int) -> list[str]:
    """Its own program, which is uvicorn with one worker."""
    return [str(install.CONTEXTFORGE), "--host", "127.0.0.1", "--port", str(port)]


def _token(env: Mapping[str, str]) -> str:
    words = ["-m", "mcpgateway.utils.create_jwt_token", "--admin", "--username", "admin@example.com"]
    done = subprocess.run(
        [
            install.CONTEXTFORGE.with_name("python"),
            *words,
            "--exp",
            "1440",
            "--secret",
            env["JWT_SECRET_KEY"],
        ],
        env=env,
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode or not done.stdout.strip():
        raise FailedError(f"ContextForge makes no token: {done.stderr[-200:]}")
    return done.stdout.split()[-1]


def _wait(url: str, process: subprocess.Popen[bytes]) -> None:
    until = time.monotonic() + _STARTS
    while True:
        try:
            with urllib.request.urlopen(url, timeout=5):
                return
        except OSError:
            if process.poll() is not None or time.monotonic() > until:
                raise FailedError("ContextForge does not start") from None
            time.sleep(0.2)


def _post(url: str, token: str, body: Mapping[str, Any]) -> Any:
    headers = {"Authorization": f"Bearer {token}", "Content-Type": "application/json"}
    request = urllib.request.Request(url, json.dumps(body).encode(), headers)
    try:
        with urllib.request.urlopen(request, timeout=30) as reply:
            return json.load(reply)
    except urllib.error.HTTPError as error:
        raise FailedError(f"ContextForge: {error.code} {error.read()[:200]!r}") from None
