"""The flags that commands share, and what they say of themselves."""

from __future__ import annotations

from typing import Annotated

import typer

from mcpgate import catalog
from mcpgate.cli.opening import DEFAULT_PRESET
from mcpgate.clients.table import BY_NAME
from mcpgate.values import EFFECTS


def complete_connector(start: str) -> list[str]:
    """The connectors whose name begins so, for the shell."""
    return [name for name in catalog.names("connectors") if name.startswith(start)]


def complete_client(start: str) -> list[str]:
    """The clients whose name begins so, for the shell."""
    return [name for name in BY_NAME if name.startswith(start)]


def complete_preset(start: str) -> list[str]:
    """The presets whose name begins so, for the shell."""
    return [name for name in catalog.names("presets") if name.startswith(start)]


def complete_tool(start: str) -> list[str]:
    """The tools whose name begins so, for the shell."""
    connectors = [
        name for name in catalog.names("connectors") if f"{name}_".startswith(start[: len(name) + 1])
    ]
    tools = [tool for name in connectors for tool in catalog.load_connector(name).tools]
    return [tool for tool in tools if tool.startswith(start)]


Connectors = Annotated[
    list[str],
    typer.Argument(
        metavar="CONNECTOR",
        help="Names, or paths of connector files (./shop.yaml).",
        autocompletion=complete_connector,
    ),
]
Presets = Annotated[
    list[str],
    typer.Option(
        "--preset",
        "-p",
        help=f"What the agent may do: a name or path; CONNECTOR=PRESET for one. Default: {DEFAULT_PRESET}.",
        metavar="PRESET",
        autocompletion=complete_preset,
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
Accounts = Annotated[
    list[str],
    typer.Option(
        "--account",
        help="The connected account to use; CONNECTOR=ACCOUNT for one of several.",
        metavar="ACCOUNT",
    ),
]
AccountName = Annotated[
    str,
    typer.Option("--account", help="A name for it, where there are several.", metavar="NAME"),
]
AppName = Annotated[
    str,
    typer.Option("--app", metavar="NAME", help="This app, as mcpgate apps keeps it."),
]
OfConnector = Annotated[
    str,
    typer.Option(
        "--connector", metavar="CONNECTOR", help="This connector.", autocompletion=complete_connector
    ),
]
OfEffect = Annotated[
    str, typer.Option("--effect", metavar="EFFECT", help=f"This effect: {', '.join(EFFECTS)}.")
]
ToConnect = Annotated[
    str,
    typer.Argument(
        metavar="CONNECTOR",
        help="A name, or the path of a connector file (./shop.yaml).",
        autocompletion=complete_connector,
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
ToolName = Annotated[
    str, typer.Argument(metavar="TOOL", help="The tool's name.", autocompletion=complete_tool)
]
ClientName = Annotated[
    str,
    typer.Argument(metavar="CLIENT", help=f"One of {', '.join(BY_NAME)}.", autocompletion=complete_client),
]
ToolsFor = Annotated[
    list[str],
    typer.Option(
        "--for", metavar="TOOL", help="The tools the rules are for: a name, glob, category or effect:NAME."
    ),
]
ConnectorName = Annotated[
    str,
    typer.Argument(metavar="NAME", help="A name or path: it in full.", autocompletion=complete_connector),
]
PresetName = Annotated[
    str,
    typer.Argument(metavar="NAME", help="A name or path: it in full.", autocompletion=complete_preset),
]
OnConnector = Annotated[
    str,
    typer.Option(
        "--on",
        metavar="CONNECTOR",
        help="What is allowed on this one.",
        autocompletion=complete_connector,
    ),
]
