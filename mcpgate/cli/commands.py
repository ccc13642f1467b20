"""The command line: what each command is called, takes and says. What it does is imported when it runs."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Annotated, Any

import typer
from typer.core import TyperGroup

from mcpgate import __version__
from mcpgate.cli.activity.commands import activity_app, budgets_app
from mcpgate.cli.apps.commands import apps_app
from mcpgate.cli.console import plain
from mcpgate.cli.flags import (
    AccountName,
    Accounts,
    AppName,
    AsJson,
    ClientName,
    ConnectorName,
    Connectors,
    Live,
    OfConnector,
    OfEffect,
    OnConnector,
    Only,
    Policies,
    PresetName,
    Presets,
    Sandbox,
    Settings,
    ToConnect,
    ToolName,
    Without,
    complete_preset,
)
from mcpgate.cli.opening import Options
from mcpgate.cli.policy.commands import policy_app
from mcpgate.cli.vault.commands import init, vault_app
from mcpgate.cli.words import check_one
from mcpgate.errors import UsageError


def _end(code: int) -> None:
    if code:
        raise typer.Exit(code)


@contextmanager
def _told_plainly() -> Iterator[None]:
    try:
        yield
    except typer.TyperException as error:
        error.message = plain(error.message)
        raise


class Commands(TyperGroup):
    """All commands; what was mistyped is repeated without a character that does not show."""

    def make_context(self, *arguments: Any, **options: Any) -> Any:
        """Read the words before the command."""
        with _told_plainly():
            return super().make_context(*arguments, **options)

    def invoke(self, context: Any) -> Any:
        """Read the rest, and run the command."""
        with _told_plainly():
            return super().invoke(context)


app = typer.Typer(
    name="mcpgate",
    cls=Commands,
    help="The safe way to let an AI agent use an API that moves money.",
    epilog="Try it without an account: mcpgate demo",
    no_args_is_help=True,
    rich_markup_mode="markdown",
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
app.add_typer(apps_app, name="apps")
app.add_typer(activity_app, name="activity")
app.add_typer(budgets_app, name="budgets")
app.add_typer(policy_app, name="policy")
app.add_typer(vault_app, name="vault")


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
    connectors: Connectors = [],
    preset: Presets = [],
    policy: Policies = [],
    only: Only = [],
    without: Without = [],
    setting: Settings = [],
    account: Accounts = [],
    sandbox: Sandbox = False,
    live: Live = False,
    app_name: AppName = "",
    url: Annotated[
        str,
        typer.Option(
            "--url",
            metavar="URL",
            help="Pass everything on to mcpgate serve at this address, with the key in MCPGATE_APP_KEY.",
        ),
    ] = "",
) -> None:
    """Serve connectors, or an app, to one MCP client over stdin and stdout.

    The credential is that of --account; without it MCPGATE_NAME_KEY, with the connector's name in capitals;
    without that the account that mcpgate connect has made. Where there is none the tools are listed all the
    same, and a call says what a person has to do.
    """
    options = Options(
        connectors, preset, policy, only, without, setting, sandbox, live, account, app=app_name
    )
    check_one(options, url)
    if url:
        from mcpgate.cli.bridge import bridge

        _end(bridge(url))
    else:
        context.obj(options)


@app.command()
def serve(
    host: Annotated[
        str,
        typer.Option("--host", metavar="ADDRESS", help="Where to listen; loopback alone is safe as it is."),
    ] = "127.0.0.1",
    port: Annotated[
        int, typer.Option("--port", metavar="PORT", min=0, max=65535, help="0 takes any free one.")
    ] = 8977,
    allow_host: Annotated[
        list[str],
        typer.Option("--allow-host", metavar="NAME", help="A name that clients may call this server by."),
    ] = [],
    allow_origin: Annotated[
        list[str],
        typer.Option("--allow-origin", metavar="ORIGIN", help="A web page's origin that may call it."),
    ] = [],
) -> None:
    """Serve every app over HTTP at /mcp, each by its own key. Changes of apps act at once.

    There are /healthz, /readyz and /metrics as well; beyond loopback /metrics wants MCPGATE_METRICS_TOKEN.
    """
    from mcpgate.cli.serve import serve_apps

    _end(serve_apps(host, port, allow_host, allow_origin))


@app.command()
def tools(
    connectors: Connectors = [],
    preset: Presets = [],
    policy: Policies = [],
    only: Only = [],
    without: Without = [],
    setting: Settings = [],
    account: Accounts = [],
    app_name: AppName = "",
    as_json: AsJson = False,
) -> None:
    """Show every tool of connectors, or of an app: allowed or denied and why, and what listing it costs."""
    from mcpgate.cli.tools import show_tools

    options = Options(connectors, preset, policy, only, without, setting, accounts=account, app=app_name)
    check_one(options)
    show_tools(options, as_json=as_json)


@app.command()
def call(
    tool: ToolName,
    arguments: Annotated[
        list[str],
        typer.Argument(metavar="KEY=VALUE", help="Arguments; a.b=1 for nested ones, key:=JSON for anything."),
    ] = [],
    connector: Annotated[
        str,
        typer.Option(
            "--connector", "-c", metavar="CONNECTOR", help="A name or path; default: from the tool's name."
        ),
    ] = "",
    preset: Presets = [],
    policy: Policies = [],
    only: Only = [],
    without: Without = [],
    setting: Settings = [],
    account: Accounts = [],
    sandbox: Sandbox = False,
    live: Live = False,
    app_name: AppName = "",
    as_json: AsJson = False,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Decide, and show the trace and the request; send nothing.")
    ] = False,
) -> None:
    """Call one tool, as an agent would, and show what the agent would read."""
    from mcpgate.cli.call import call_tool

    options = Options(
        [] if app_name and not connector else [connector or tool.split("_")[0]],
        preset,
        policy,
        only,
        without,
        setting,
        sandbox,
        live,
        account,
        app=app_name,
    )
    check_one(options)
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


@app.command(context_settings={"allow_extra_args": True})
def connect(
    context: typer.Context,
    connector: ToConnect,
    account: AccountName = "default",
    from_env: Annotated[
        str, typer.Option("--from-env", metavar="NAME", help="Take the key from this environment variable.")
    ] = "",
    setting: Settings = [],
    allow: Annotated[
        str | None,
        typer.Option(
            "--allow",
            metavar="PRESET",
            help="The most it may ever be used for, whatever flags are given; to raise it, connect again.",
            autocompletion=complete_preset,
        ),
    ] = None,
    no_probe: Annotated[
        bool, typer.Option("--no-probe", help="Keep it without trying it with a call.")
    ] = False,
) -> None:
    """Seal a connector's credential in the vault, for the one place it may go to.

    The key is asked for without being shown, or read from stdin; never give it as an argument.
    """
    from mcpgate.cli.vault.connect import connect_account

    if context.args:
        # it may be a key, which typer would repeat
        raise UsageError(
            "connect takes one connector, and no key.", "The key is asked for, or read from stdin."
        )
    connect_account(connector, account, from_env, setting, allow, probe=not no_probe)


app.command()(init)


@app.command()
def accounts(as_json: AsJson = False) -> None:
    """Show every connected account, what it is bound to, and whether its key opens."""
    from mcpgate.cli.vault.accounts import show_accounts

    show_accounts(as_json=as_json)


@app.command()
def disconnect(connector: ToConnect, account: AccountName = "default") -> None:
    """Forget an account, and remove its key from the vault."""
    from mcpgate.cli.vault.accounts import disconnect_account

    disconnect_account(connector, account)


@app.command()
def freeze(
    app_name: AppName = "",
    connector: OfConnector = "",
    effect: OfEffect = "",
    as_json: AsJson = False,
) -> None:
    """Stop an app, a connector, an effect, or without a flag everything, on every process, within a second.

    Calls that have started are finished; nothing else is sent. mcpgate thaw ends it.
    """
    from mcpgate.cli.apps import freezing

    freezing.freeze(app_name, connector, effect, as_json=as_json)


@app.command()
def thaw(
    app_name: AppName = "",
    connector: OfConnector = "",
    effect: OfEffect = "",
    everything: Annotated[bool, typer.Option("--all", help="Everything that is frozen.")] = False,
    as_json: AsJson = False,
) -> None:
    """Let go on what was frozen: what the flags name, as it was frozen, or with --all everything."""
    from mcpgate.cli.apps import freezing

    freezing.thaw(app_name, connector, effect, everything=everything, as_json=as_json)


@app.command()
def install(
    client: ClientName = "",
    connectors: Connectors = [],
    preset: Presets = [],
    policy: Policies = [],
    only: Only = [],
    without: Without = [],
    setting: Settings = [],
    sandbox: Sandbox = False,
    live: Live = False,
    account: Accounts = [],
    app_name: AppName = "",
    name: Annotated[
        str, typer.Option("--name", help="What the client calls it. Default: the connector's name.")
    ] = "",
    project: Annotated[
        bool, typer.Option("--project", help="For this folder only, in the client's file for projects.")
    ] = False,
    write: Annotated[
        bool, typer.Option("--write", help="Put it into the client's file, with a backup beside it.")
    ] = False,
    remove: Annotated[bool, typer.Option("--remove", help="Take it out again.")] = False,
    show_list: Annotated[
        bool, typer.Option("--list", help="Show which clients are here, and which run mcpgate.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Set an MCP client up to run connectors. Shows the entry; with --write puts it into the client's file.

    The entry starts this mcpgate from any folder, and there is never a key in it.
    """
    from mcpgate.cli import install as command

    if show_list:
        command.list_clients(project=project, as_json=as_json)
    elif remove:
        command.remove(client, connectors=connectors, name=name, write=write, project=project)
    else:
        options = Options(
            connectors, preset, policy, only, without, setting, sandbox, live, account, app=app_name
        )
        if app_name:
            check_one(options)
        command.install(client, options, name=name, write=write, project=project)


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
def sandbox(
    connector: ToConnect,
    port: Annotated[
        int, typer.Option("--port", metavar="PORT", min=0, max=65535, help="0 takes any free one.")
    ] = 4242,
    fault: Annotated[
        str,
        typer.Option(
            "--fault",
            metavar="LIST",
            help="What becomes of the requests, in turn: a status (429), timeout, drip, html, cut, ok.",
        ),
    ] = "",
) -> None:
    """Serve a stand-in API on loopback, made from a connector: for trying things, and for testing agents."""
    from mcpgate.cli.sandbox import run_sandbox

    run_sandbox(connector, port, fault)


@app.command()
def doctor(
    offline: Annotated[bool, typer.Option("--offline", help="Try no credential over the network.")] = False,
    live: Annotated[bool, typer.Option("--live", help="Try live keys as well, with one read each.")] = False,
    as_json: AsJson = False,
) -> None:
    """Look at the whole set-up, and say for each fault what mends it."""
    from mcpgate.cli.doctor import examine

    code = examine(offline=offline, live=live, as_json=as_json)
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
