"""The commands under `mcpgate apps`: what they are called, take and say of themselves."""

from __future__ import annotations

from typing import Annotated

import typer

from mcpgate.cli.flags import (
    Accounts,
    AsJson,
    Live,
    Presets,
    Settings,
    ToConnect,
    complete_connector,
    complete_preset,
    complete_tool,
)
from mcpgate.cli.opening import Options

_HELP = {"help_option_names": ["-h", "--help"]}
apps_app = typer.Typer(
    help="Clients of mcpgate, each with its own key, tools and rules.",
    no_args_is_help=True,
    context_settings=_HELP,
)
rules_app = typer.Typer(
    help="An app's own rules: add, remove, show.", no_args_is_help=True, context_settings=_HELP
)
apps_app.add_typer(rules_app, name="rules")


def complete_app(start: str) -> list[str]:
    """The apps whose name begins so, for the shell."""
    from mcpgate.cli.vaults import config

    return [app.name for app in config().all() if app.name.startswith(start)]


AppName = Annotated[str, typer.Argument(metavar="NAME", help="The app's name.", autocompletion=complete_app)]
NewName = Annotated[
    str, typer.Argument(metavar="NAME", help="Lower-case letters, digits and hyphens, at most 40.")
]
Tools = Annotated[
    list[str],
    typer.Argument(metavar="TOOL", help="Names of tools, or globs in quotes.", autocompletion=complete_tool),
]
Granted = Annotated[
    list[str],
    typer.Option(
        "--connector",
        "-c",
        metavar="CONNECTOR",
        help="A connector it may use: a name or path; may be given again.",
        autocompletion=complete_connector,
    ),
]
Expires = Annotated[
    str,
    typer.Option(
        "--expires",
        metavar="WHEN",
        help="When the key ceases to count: 90d, 12h, 2027-01-31T00:00:00Z, never.",
    ),
]
Yes = Annotated[bool, typer.Option("--yes", "-y", help="Do it without asking.")]
PolicyFile = Annotated[str, typer.Argument(metavar="FILE", help="A policy file (policy: NAME).")]


@apps_app.command()
def create(
    name: NewName,
    connector: Granted,
    preset: Presets = [],
    account: Accounts = [],
    setting: Settings = [],
    live: Live = False,
    rules: Annotated[
        list[str],
        typer.Option("--rules", metavar="FILE", help="A policy file with its own rules; may be given again."),
    ] = [],
    discovery: Annotated[
        bool, typer.Option("--discovery", help="Offer it the tools that tell what it has.")
    ] = False,
    sandbox: Annotated[
        bool, typer.Option("--sandbox", help="Answer it from samples: no account, no network, no credential.")
    ] = False,
    expires: Expires = "",
    as_json: AsJson = False,
) -> None:
    """Make an app, and show its key: once, for it is kept as a hash only."""
    from mcpgate.cli.apps import apps

    options = Options(connector, preset, (), (), (), setting, sandbox, live, account)
    apps.create(name, options, apps.AppOptions(rules, discovery, sandbox, expires), as_json=as_json)


@apps_app.command(name="list")
def list_apps(as_json: AsJson = False) -> None:
    """Show every app: its state, its connectors and its rules."""
    from mcpgate.cli.apps.show import show_list

    show_list(as_json=as_json)


@apps_app.command()
def show(name: AppName, as_json: AsJson = False) -> None:
    """Show an app and each of its tools: on, off, new or changed, and what the policy says of it."""
    from mcpgate.cli.apps.show import show as show_app

    code = show_app(name, as_json=as_json)
    if code:
        raise typer.Exit(code)


@apps_app.command()
def enable(name: AppName, tools: Tools) -> None:
    """Switch tools on, as they are now. What is new or was changed in a connector is off until then."""
    from mcpgate.cli.apps.tools import enable as enable_tools

    enable_tools(name, tools)


@apps_app.command()
def disable(name: AppName, tools: Tools) -> None:
    """Switch tools off: they are neither listed nor called any more."""
    from mcpgate.cli.apps.tools import disable as disable_tools

    disable_tools(name, tools)


@apps_app.command()
def grant(
    name: AppName,
    connector: ToConnect,
    preset: Annotated[
        str,
        typer.Option(
            "--preset",
            "-p",
            metavar="PRESET",
            help="What the agent may do on it: a name or path.",
            autocompletion=complete_preset,
        ),
    ] = "",
    account: Annotated[
        str, typer.Option("--account", metavar="ACCOUNT", help="The connected account to use.")
    ] = "",
    setting: Settings = [],
    live: Annotated[
        bool | None, typer.Option("--live/--no-live", help="Allow a live key. Real money moves.")
    ] = None,
) -> None:
    """Grant a connector to an app, or change its grant: what is not given stays as it is."""
    from mcpgate.cli.apps import apps

    apps.grant(name, connector, preset, account, setting, live=live)


@apps_app.command()
def revoke(name: AppName, connector: ToConnect) -> None:
    """Take a connector from an app."""
    from mcpgate.cli.apps import apps

    apps.revoke(name, connector)


@rules_app.command(name="add")
def add_rules(name: AppName, file: PolicyFile) -> None:
    """Add a policy file to an app's own rules; one of the same name takes the place of the other."""
    from mcpgate.cli.apps import apps

    apps.add_rules(name, file)


@rules_app.command(name="remove")
def remove_rules(
    name: AppName, policy: Annotated[str, typer.Argument(metavar="POLICY", help="The policy's name.")]
) -> None:
    """Take a policy from an app's own rules."""
    from mcpgate.cli.apps import apps

    apps.remove_rules(name, policy)


@rules_app.command(name="show")
def show_rules(name: AppName) -> None:
    """Show an app's own rules, as they were written."""
    from mcpgate.cli.apps import apps

    apps.show_rules(name)


@apps_app.command()
def rotate(name: AppName, expires: Expires = "", as_json: AsJson = False) -> None:
    """Give an app another key, and show it once; the one before is refused at once."""
    from mcpgate.cli.apps import apps

    apps.rotate(name, expires, as_json=as_json)


@apps_app.command()
def pause(name: AppName) -> None:
    """Refuse an app's key until it is resumed."""
    from mcpgate.cli.apps import apps

    apps.pause(name, paused=True)


@apps_app.command()
def resume(name: AppName) -> None:
    """Let an app go on."""
    from mcpgate.cli.apps import apps

    apps.pause(name, paused=False)


@apps_app.command()
def delete(name: AppName, yes: Yes = False) -> None:
    """Delete an app and its key; what it did and spent stays written down."""
    from mcpgate.cli.apps import apps

    apps.delete(name, yes=yes)


@apps_app.command()
def apply(
    file: Annotated[str, typer.Option("--file", "-f", metavar="FILE", help="The file of apps.")],
    yes: Yes = False,
    prune: Annotated[bool, typer.Option("--prune", help="Delete apps that the file does not name.")] = False,
    as_json: AsJson = False,
) -> None:
    """Make the apps what a file says: shows what changes, then asks, and does all of it or nothing."""
    from mcpgate.cli.apps.apply import apply as apply_file

    apply_file(file, yes=yes, prune=prune, as_json=as_json)


@apps_app.command()
def export(
    names: Annotated[
        list[str], typer.Argument(metavar="NAME", help="Apps. Default: all.", autocompletion=complete_app)
    ] = [],
) -> None:
    """Print apps as a file that apply takes, without their keys."""
    from mcpgate.cli.apps.apply import export as export_apps

    export_apps(names)
