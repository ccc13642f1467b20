"""The shipped connectors, with another origin."""

from __future__ import annotations

from pathlib import Path

CONNECTORS = Path(__file__).parents[2] / "connectors"


def pointed_at(origin: str, folder: Path, name: str = "stripe") -> Path:
    """A copy of a shipped connector in this folder: another origin in its `base_url`, and all else alike."""
    lines = (CONNECTORS / f"{name}.yaml").read_text(encoding="utf-8").splitlines(keepends=True)
    found = [number for number, line in enumerate(lines) if line.startswith("base_url: https://")]
    assert len(found) == 1, f"{name}.yaml has {len(found)} lines with its base_url"
    path = lines[found[0]].strip().removeprefix("base_url: https://").partition("/")[2]
    lines[found[0]] = f"base_url: {origin}/{path}\n"
    copy = folder / f"{name}.yaml"
    copy.write_text("".join(lines), encoding="utf-8")
    return copy
