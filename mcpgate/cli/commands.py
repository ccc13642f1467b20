"""The command line: what each command is called, takes and says. What it does is imported when it runs."""

from __future__ import annotations

import io
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from mcpgate import __version__
from mcpgate.cli.flags import (
    AsJson,
    ConnectorName,
    Connectors,
    Live,
    OnConnector,
    Only,
    Policies,
    PresetName,
    Presets,
    Sandbox,
    Settings,
    ToolName,
    Without,
)
from mcpgate.cli.opening import Options
from mcpgate.errors import MCPGateError

if TYPE_CHECKING:
    from mcpgate.gateway import Gateway

app = typer.Typer(
    name="mcpgate",
    help="The safe way to let an AI agent use an API that moves money.",
    epilog="Try it without an account: mcpgate demo",
    no_args_is_help=True,
    rich_markup_mode="markdown",
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)


@app.callback(invoke_without_command=True)
def root(
    version: Annotated[bool, typer.Option("--version", help="Say the version and end.")] = False,
) -> None:
    """The safe way to let an AI agent use an API that moves money."""
    if version:
        typer.echo(f"mcpgate {__version__}")
        raise typer.Exit


@app.command()
def run(
    context: typer.Context,
    connectors: Connectors,
    preset: Presets = [],  # noqa: B006  typer copies it
    policy: Policies = [],  # noqa: B006
    only: Only = [],  # noqa: B006
    without: Without = [],  # noqa: B006
    setting: Settings = [],  # noqa: B006
    sandbox: Sandbox = False,
    live: Live = False,
) -> None:
    """Serve connectors to one MCP client over stdin and stdout.

    The credential comes from the environment: MCPGATE_NAME_KEY, with the connector's name in capitals.
    Without it the tools are listed all the same, and a call says what a person has to do.
    """
    context.obj(
        Options(
            tuple(connectors),
            tuple(preset),
            tuple(policy),
            tuple(only),
            tuple(without),
            tuple(setting),
            sandbox,
            live,
        )
    )


@app.command()
def tools(
    connectors: Connectors,
    preset: Presets = [],  # noqa: B006
    policy: Policies = [],  # noqa: B006
    only: Only = [],  # noqa: B006
    without: Without = [],  # noqa: B006
    setting: Settings = [],  # noqa: B006
    as_json: AsJson = False,
) -> None:
    """Show every tool of a connector: allowed or denied and why, and what listing it costs."""
    from mcpgate.cli.tools import show_tools

    show_tools(
        Options(tuple(connectors), tuple(preset), tuple(policy), tuple(only), tuple(without), tuple(setting)),
        as_json=as_json,
    )


@app.command()
def call(
    tool: ToolName,
    arguments: Annotated[
        list[str],
        typer.Argument(metavar="KEY=VALUE", help="Arguments; a.b=1 for nested ones, key:=JSON for anything."),
    ] = [],  # noqa: B006
    connector: Annotated[
        str,
        typer.Option(
            "--connector", "-c", metavar="CONNECTOR", help="A name or path; default: from the tool's name."
        ),
    ] = "",
    preset: Presets = [],  # noqa: B006
    policy: Policies = [],  # noqa: B006
    only: Only = [],  # noqa: B006
    without: Without = [],  # noqa: B006
    setting: Settings = [],  # noqa: B006
    sandbox: Sandbox = False,
    live: Live = False,
    as_json: AsJson = False,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Decide, and show the trace and the request; send nothing.")
    ] = False,
) -> None:
    """Call one tool, as an agent would, and show what the agent would read."""
    from mcpgate.cli.call import call_tool

    options = Options(
        (connector or tool.split("_")[0],),
        tuple(preset), tuple(policy), tuple(only), tuple(without), tuple(setting), sandbox, live,
    )  # fmt: skip
    code = call_tool(options, tool, arguments, as_json=as_json, dry=dry_run)
    if code:
        raise typer.Exit(code)


@app.command()
def connectors(name: ConnectorName = "", as_json: AsJson = False) -> None:
    """Show which APIs can be used, and of one its tools, their effects, and where its credential goes."""
    from mcpgate.cli.connectors import show_connectors

    code = show_connectors(name, as_json=as_json)
    if code:
        raise typer.Exit(code)


@app.command()
def presets(name: PresetName = "", on: OnConnector = "", as_json: AsJson = False) -> None:
    """Show which presets there are, and what each allows."""
    from mcpgate.cli.presets import show_presets

    show_presets(name, on, as_json=as_json)


@app.command()
def check(
    files: Annotated[list[str], typer.Argument(metavar="FILE", help="Connector, preset or policy files.")],
) -> None:
    """Check YAML files, and say every fault with its place."""
    from mcpgate.cli.check import check_files

    code = check_files(files)
    if code:
        raise typer.Exit(code)


@app.command()
def demo(
    story: Annotated[
        str, typer.Argument(metavar="FILE", help="A story; default: the one that is shipped.")
    ] = "",
) -> None:
    """Play a story through a real server in the sandbox: no account needed."""
    from mcpgate.cli.demo import play

    code = play(story)
    if code:
        raise typer.Exit(code)


def execute(words: Sequence[str]) -> int:
    """Run one command; gives its exit code, and says what went wrong without a traceback."""
    from mcpgate.cli.serving import serve

    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            # a terminal that cannot show ≤ or – gets a question mark, not a failure
            stream.reconfigure(errors="replace")
    codes: list[int] = []
    try:
        app(list(words), prog_name="mcpgate", obj=lambda options: codes.append(serve(words, options)))
    except SystemExit as stop:
        return codes[0] if codes else stop.code if isinstance(stop.code, int) else 1
    except MCPGateError as error:
        _say(error.message, error.hint)
        return error.exit_code
    except KeyboardInterrupt:
        return 130
    except BrokenPipeError:
        sys.stderr.close()
        return 0
    except Exception as error:  # noqa: BLE001  never a traceback
        _say(
            f"mcpgate itself failed: {type(error).__name__} at {_where(error)}.",
            "This is a fault of mcpgate.",
        )
        return 70
    return codes[0] if codes else 0


def gateway_of(words: Sequence[str]) -> Gateway:
    """The gateway of a `run` command's words, which were accepted before."""
    from mcpgate.cli.serving import open_gateway

    gateways: list[Gateway] = []
    app(
        list(words),
        prog_name="mcpgate",
        standalone_mode=False,
        obj=lambda options: gateways.append(open_gateway(options)),
    )
    return gateways[0]


def _say(message: str, hint: str) -> None:
    print(message, file=sys.stderr)
    if hint:
        print(hint, file=sys.stderr)


def _where(error: BaseException) -> str:
    """The innermost place of a traceback, without its texts."""
    trace, place = error.__traceback__, "?"
    while trace is not None:
        place = f"{Path(trace.tb_frame.f_code.co_filename).name}:{trace.tb_lineno}"
        trace = trace.tb_next
    return place
