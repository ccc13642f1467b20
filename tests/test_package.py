"""The wheel carries what an installed mcpgate needs, and runs from it."""

from __future__ import annotations

import os
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("wheel")
    command = [sys.executable, "-m", "hatchling", "build", "--target", "wheel", "--directory", str(folder)]
    subprocess.run(command, cwd=ROOT, check=True, capture_output=True)
    (built,) = folder.glob("*.whl")
    return built


def test_the_wheel_holds_connectors_presets_and_schemas(wheel: Path) -> None:
    held = set(zipfile.ZipFile(wheel).namelist())
    for folder, pattern in (
        ("connectors", "*.yaml"),
        ("presets", "*.yaml"),
        ("mcpgate/spec", "*.schema.json"),
    ):
        for path in (ROOT / folder).glob(pattern):
            assert f"mcpgate/{path.relative_to(ROOT)}".replace("mcpgate/mcpgate", "mcpgate") in held
    assert {"mcpgate/py.typed", "mcpgate/__main__.py"} <= held
    assert not [name for name in held if name.startswith(("tests/", "docs/", "benchmarks/", "scripts/"))]


def test_the_wheel_runs_away_from_the_checkout(wheel: Path, tmp_path: Path) -> None:
    zipfile.ZipFile(wheel).extractall(tmp_path / "site")
    environment = {**os.environ, "PYTHONPATH": str(tmp_path / "site"), "MCPGATE_HOME": str(tmp_path / "home")}
    command = [
        sys.executable,
        "-c",
        "import sys, mcpgate.__main__ as m; print(m.__file__); sys.exit(m.main())",
    ]
    done = subprocess.run(
        [*command, "tools", "stripe", "--preset", "transact"],
        cwd=tmp_path,
        env=environment,
        capture_output=True,
        text=True,
        check=True,
    )
    assert str(tmp_path) in done.stdout
    assert "13 of 15 tools listed" in done.stdout
