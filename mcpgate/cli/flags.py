"""The flags that commands share, and what they say of themselves."""

from __future__ import annotations

from typing import Annotated

import typer

from mcpgate.cli.opening import DEFAULT_PRESET

Connectors = Annotated[
    list[str], typer.Argument(metavar="CONNECTOR", help="Names, or paths of connector files (./shop.yaml).")
]
Presets = Annotated[
    list[str],
    typer.Option(
        "--preset",
        "-p",
        help=f"What the agent may do: a name or path; CONNECTOR=PRESET for one. Default: {DEFAULT_PRESET}.",
        metavar="PRESET",
    ),
]
Policies = Annotated[
    list[str],
    typer.Option("--policy", help="A policy file with more rules; may be given again.", metavar="FILE"),
]
Only = Annotated[
    list[str],
    typer.Option("--only", help="Only these tools: a name, glob, category or effect:NAME.", metavar="TOOL"),
]
Without = Annotated[list[str], typer.Option("--without", help="All but these tools.", metavar="TOOL")]
Settings = Annotated[
    list[str],
    typer.Option(
        "--setting",
        help="A value the connector asks for (CONNECTOR.NAME for one of several).",
        metavar="NAME=VALUE",
    ),
]
Sandbox = Annotated[
    bool,
    typer.Option(
        "--sandbox", help="Answer from the connector's samples: no account, no network, no credential."
    ),
]
Live = Annotated[bool, typer.Option("--live", help="Allow a live key. Real money moves.")]
AsJson = Annotated[bool, typer.Option("--json", help="For machines.")]
