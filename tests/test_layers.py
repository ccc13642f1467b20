"""The edges that are allowed between rooms, what each may reach outside, and no code for a particular API."""

from __future__ import annotations

import ast
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PACKAGE = ROOT / "mcpgate"
MODULES = {
    ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__"): path
    for path in sorted(PACKAGE.rglob("*.py"))
}

# a room is a folder or a module at the top; which rooms each may import, and nothing else
EDGES: dict[str, str] = {
    "__init__": "",
    "places": "",
    "money": "",
    "secrets": "",
    "paths": "",
    "fitting": "",
    "json_schema": "fitting",
    "values": "places",
    "errors": "values",
    "selectors": "values",
    "activity": "values",
    "ledger": "values",
    "store": "activity errors ledger paths secrets selectors values",
    "policy": "json_schema money places selectors values",
    "spec": "errors json_schema places policy selectors values",
    "saved": "__init__ paths",
    "catalog": "errors paths spec values",
    "sandbox": "errors places spec values",
    "clients": "errors paths values",
    "engine": "__init__ errors json_schema places sandbox secrets spec values",
    "vault": "errors json_schema paths policy secrets spec store values",
    "apps": "errors json_schema policy spec values",
    "arguments": "errors policy spec values",
    "toolset": "apps errors json_schema places policy spec values",
    "attack": "json_schema places policy spec values",
    "discovery": "errors spec toolset values",
    "lookup": "engine errors places policy toolset values",
    "plan": "arguments errors policy toolset values",
    "records": "activity apps arguments errors ledger plan toolset values",
    "journal": "activity apps errors plan records secrets store toolset values",
    "answers": "engine errors plan policy secrets values",
    "gateway": "activity answers arguments discovery engine errors journal lookup plan policy records"
    " secrets store toolset values",
    "server": "activity errors values",
    "cli": "__init__ activity apps attack catalog clients discovery engine errors gateway json_schema ledger"
    " money paths places plan policy sandbox saved secrets selectors server spec store toolset values vault",
    "__main__": "__init__ cli saved server",
}
STATE = {"activity", "ledger", "store"}

# rooms and modules that only compute: no files, no network, no clock, no chance, nothing that runs beside
PURE = """
policy spec attack values selectors places discovery records plan answers errors money fitting
json_schema secrets arguments apps toolset ledger activity sandbox.api
sandbox.collection sandbox.matching sandbox.nesting sandbox.pages sandbox.replies engine.request
engine.response engine.encoding engine.remote_messages vault.binding vault.ceiling vault.kinds
engine.pages engine.projection engine.hygiene engine.masking server.messages
"""
IO = """
asyncio concurrent ctypes fcntl glob http httpx2 io logging multiprocessing os pathlib random select selectors
shutil signal socket sqlite3 ssl subprocess sys tempfile threading time
"""
DOING = {"open", "print", "input", "exec", "eval", "__import__", "breakpoint"}


def room(module: str) -> str:
    """The room that a module lies in."""
    return [*module.split("."), "__init__"][1]


def imports(path: Path) -> Iterator[str]:
    """Every module that a file imports, wherever in it; `from package import module` is the module."""
    for node in ast.walk(ast.parse(path.read_text("utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path} imports relatively"
            for alias in node.names:
                full = f"{node.module}.{alias.name}"
                yield full if full in MODULES else str(node.module)


def own(path: Path) -> set[str]:
    """The modules of mcpgate that a file imports."""
    return {module for module in imports(path) if module.split(".")[0] == "mcpgate"}


def in_room(name: str) -> dict[str, Path]:
    return {module: path for module, path in MODULES.items() if room(module) == name}


def test_the_table_names_every_room() -> None:
    assert {room(module) for module in MODULES} == set(EDGES)
    for name, allowed in EDGES.items():
        assert set(allowed.split()) <= set(EDGES), name


@pytest.mark.parametrize("name", EDGES)
def test_a_room_imports_only_what_the_table_allows(name: str) -> None:
    found = {room(imported) for path in in_room(name).values() for imported in own(path)} - {name}
    assert found <= set(EDGES[name].split())


def test_the_table_allows_no_edge_that_nobody_uses() -> None:
    for name, allowed in EDGES.items():
        found = {room(imported) for path in in_room(name).values() for imported in own(path)}
        assert set(allowed.split()) <= found, name


def test_imports_only_go_down() -> None:
    """There is an order of rooms in which each imports only those before it."""
    placed: list[str] = []
    while len(placed) < len(EDGES):
        ready = [name for name in EDGES if name not in placed and set(EDGES[name].split()) <= set(placed)]
        assert ready, f"a circle among {set(EDGES) - set(placed)}"
        placed += ready
    assert placed.index("policy") < placed.index("spec") < placed.index("gateway") < placed.index("cli")


def test_only_the_gateway_knows_both_policy_and_state() -> None:
    """By module: the command line puts both together, in different files."""
    both = [
        module
        for module, path in MODULES.items()
        if any(room(found) == "policy" for found in own(path))
        and STATE & {room(found) for found in own(path)}
    ]
    assert both == ["mcpgate.gateway"]


@pytest.mark.parametrize(
    ("imported", "importers"),
    [
        ("vault", {"cli", "engine"}),
        ("cli", {"__main__"}),
        ("server", {"__main__", "cli"}),
        ("gateway", {"cli"}),
    ],
)
def test_who_may_import_it(imported: str, importers: set[str]) -> None:
    found = {name for name in EDGES for path in in_room(name).values() if imported in map(room, own(path))}
    assert found - {imported} <= importers


@pytest.mark.parametrize(
    ("library", "rooms"),
    [
        ("httptools", {"engine", "server"}),
        ("httpx2", {"engine"}),
        ("yaml", {"spec", "cli"}),
        ("typer", {"cli"}),
        ("rich", {"cli"}),
        ("mcp", {"cli", "server"}),
        ("starlette", {"server"}),
        ("uvicorn", {"cli", "server", "sandbox"}),
        ("prometheus_client", {"server"}),
        ("re2", {"json_schema", "secrets"}),
        ("sqlalchemy", {"store", "vault"}),
        ("cryptography", {"store", "vault"}),
        ("keyring", {"vault"}),
    ],
)
def test_a_library_stays_in_its_room(library: str, rooms: set[str]) -> None:
    found = {
        room(module)
        for module, path in MODULES.items()
        if library in {n.split(".")[0] for n in imports(path)}
    }
    assert found <= rooms


@pytest.mark.parametrize("pure", PURE.split())
def test_what_only_computes_reaches_nothing_outside(pure: str) -> None:
    reached = {name: path for name, path in MODULES.items() if f"{name}.".startswith(f"mcpgate.{pure}.")}
    assert reached
    for module, path in reached.items():
        imported = {part for name in imports(path) for part in (name, name.split(".")[0])}
        assert not imported & {*IO.split(), "urllib.request"}, module
        calls = (
            node.func for node in ast.walk(ast.parse(path.read_text("utf-8"))) if isinstance(node, ast.Call)
        )
        assert not {call.id for call in calls if isinstance(call, ast.Name)} & DOING, module


def test_what_only_computes_stands_on_nothing_else() -> None:
    """The rooms under policy and spec compute as well, so that neither reaches anything by a detour."""
    for name in ("policy", "spec"):
        assert set(EDGES[name].split()) <= set(PURE.split())


def test_the_package_imports_nothing() -> None:
    assert not list(imports(PACKAGE / "__init__.py"))
    code = "import sys; before = set(sys.modules); import mcpgate; print(set(sys.modules) - before)"
    told = subprocess.run(
        [sys.executable, "-I", "-c", code], capture_output=True, text=True, check=True, cwd=ROOT
    )
    assert told.stdout.strip() in ("{'mcpgate'}", "set()")


def test_no_api_is_named_in_the_code() -> None:
    """What `grep -ri` would find, JSON Schemas and messages included."""
    apis = [path.stem for path in (ROOT / "connectors").glob("*.yaml") if not path.stem.endswith(".demo")]
    assert "stripe" in apis
    for path in PACKAGE.rglob("*"):
        if path.is_file() and path.suffix != ".pyc":
            text = path.read_text("utf-8").lower()
            assert not [name for name in apis if name in text], path.name
