"""The commands under `mcpgate activity` and `mcpgate budgets`: what they are called, take and say."""

from __future__ import annotations

from typing import Annotated, Final, Literal, NoReturn

import typer

from mcpgate.activity import Kind
from mcpgate.cli.activity.filter import Filter
from mcpgate.cli.flags import Accounts, AsJson, Policies, Presets, Settings, complete_connector
from mcpgate.cli.opening import Options
from mcpgate.errors import UsageError

_LATEST: Final = 50
_SETTINGS: Final = {"help_option_names": ["-h", "--help"]}

activity_app = typer.Typer(
    help="Look at the log of calls and changes: show, export, verify, erase, prune.",
    invoke_without_command=True,
    context_settings=_SETTINGS,
)
budgets_app = typer.Typer(
    help="Show what counting rules have left; settle or release calls whose outcome is not known.",
    invoke_without_command=True,
    context_settings=_SETTINGS,
)

OfApp = Annotated[str, typer.Option("--app", metavar="APP", help="Of this app; run is the one of flags.")]
OfConnector = Annotated[
    str,
    typer.Option(
        "--connector", "-c", metavar="NAME", help="Of this connector.", autocompletion=complete_connector
    ),
]
OfTool = Annotated[str, typer.Option("--tool", metavar="TOOL", help="Of this tool: a name or glob.")]
Decided = Annotated[
    Literal["allow", "deny"] | None,
    typer.Option("--decision", metavar="DECISION", help="allow or deny."),
]
Ended = Annotated[
    Literal["succeeded", "failed", "unknown"] | None,
    typer.Option("--outcome", metavar="OUTCOME", help="succeeded, failed or unknown."),
]
OfKind = Annotated[
    Kind | None,
    typer.Option(
        "--kind",
        metavar="KIND",
        help="refused, started, finished, read, lookup, changed, erased or pruned.",
    ),
]
Since = Annotated[
    str, typer.Option("--since", metavar="TIME", help="From then on: 2h, 7d, a date, or RFC 3339.")
]
Until = Annotated[str, typer.Option("--until", metavar="TIME", help="Up to then; a date is the whole day.")]
Yes = Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")]
CallId = Annotated[str, typer.Argument(metavar="CALL", help="The call's id; its beginning will do.")]


@activity_app.callback()
def activity(
    context: typer.Context,
    app: OfApp = "",
    connector: OfConnector = "",
    tool: OfTool = "",
    decision: Decided = None,
    outcome: Ended = None,
    kind: OfKind = None,
    since: Since = "",
    until: Until = "",
    limit: Annotated[
        int, typer.Option("--limit", "-n", metavar="N", min=0, help="The latest so many.")
    ] = _LATEST,
    follow: Annotated[
        bool, typer.Option("--follow", "-f", help="Go on with what comes, until interrupted.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Look at the log of calls and changes: the latest, the newest last.

    A call that acted has one line here and two rows: show has both, and its arguments; so does --json.
    """
    wanted = Filter(app, connector, tool, decision or "", outcome or "", kind or "", since, until)
    if context.invoked_subcommand is None:
        from mcpgate.cli.activity.show import show_activity

        show_activity(wanted, limit, follow=follow, as_json=as_json)
    elif wanted != Filter() or follow or as_json or limit != _LATEST:
        _misplaced(f"activity {context.invoked_subcommand}")


@activity_app.command()
def show(call: CallId, as_json: AsJson = False) -> None:
    """Show all that is known of one call: its rows, arguments, rule, key, digests and what it spent."""
    from mcpgate.cli.activity.call import show_call

    show_call(call, as_json=as_json)


@activity_app.command()
def export(
    form: Annotated[
        Literal["jsonl", "csv"], typer.Option("--format", metavar="FORMAT", help="jsonl (default) or csv.")
    ] = "jsonl",
    output: Annotated[
        str, typer.Option("--output", "-o", metavar="FILE", help="A new file, which only you can read.")
    ] = "",
    app: OfApp = "",
    connector: OfConnector = "",
    tool: OfTool = "",
    decision: Decided = None,
    outcome: Ended = None,
    kind: OfKind = None,
    since: Since = "",
    until: Until = "",
) -> None:
    """Write out every row with all that is kept of it: arguments, digests, and its place in the chain.

    Without --output it goes to stdout.
    """
    from mcpgate.cli.activity.export import export as write

    wanted = Filter(app, connector, tool, decision or "", outcome or "", kind or "", since, until)
    write(wanted, form, output)


@activity_app.command()
def verify(
    head: Annotated[
        str, typer.Option("--head", metavar="COUNT:MAC", help="A head that was kept elsewhere.")
    ] = "",
    as_json: AsJson = False,
) -> None:
    """Say whether the log is as it was written, and print its head, to keep elsewhere. Nothing is sent.

    Ends with 0 when it is, 1 when it is not, 4 when the key to some of it is not at hand.
    """
    from mcpgate.cli.activity.care import verify as check

    _exit(check(head, as_json=as_json))


@activity_app.command()
def erase(
    call: Annotated[
        list[str], typer.Option("--call", metavar="CALL", help="Of this call; may be given again.")
    ] = [],
    app: Annotated[str, typer.Option("--app", metavar="APP", help="Of every call of this app.")] = "",
    before: Annotated[
        str, typer.Option("--before", metavar="TIME", help="Only of rows from before then.")
    ] = "",
    yes: Yes = False,
) -> None:
    """Take personal data out of the log for good. Its rows stay, and its chain holds.

    Personal data are the arguments that a connector calls private.
    """
    from mcpgate.cli.activity.care import erase as take_out

    take_out(call, app, before, yes=yes)


@activity_app.command()
def prune(
    older_than: Annotated[
        str, typer.Option("--older-than", metavar="TIME", help="90d, a date, or RFC 3339.")
    ],
    anyway: Annotated[
        bool, typer.Option("--anyway", help="Also where verify finds that the log was changed.")
    ] = False,
    yes: Yes = False,
) -> None:
    """Take the oldest rows out of the log for good; what is left can still be verified.

    Calls whose outcome is not known stay, and so does all after them.
    """
    from mcpgate.cli.activity.care import prune as take_out

    take_out(older_than, anyway=anyway, yes=yes)


@budgets_app.callback()
def budgets(
    context: typer.Context,
    app: Annotated[str, typer.Option("--app", metavar="APP", help="Of this app. Default: of all.")] = "",
    connector: Annotated[
        list[str],
        typer.Option(
            "--connector",
            "-c",
            metavar="CONNECTOR",
            help="Of mcpgate run with this connector and the flags that follow, as it is given them.",
            autocompletion=complete_connector,
        ),
    ] = [],
    preset: Presets = [],
    policy: Policies = [],
    setting: Settings = [],
    account: Accounts = [],
    as_json: AsJson = False,
) -> None:
    """Show what counting rules have left, and the calls whose outcome is not known."""
    options = Options(connector, preset, policy, settings=setting, accounts=account)
    given = any((preset, policy, setting, account))
    if context.invoked_subcommand is not None:
        if app or connector or given or as_json:
            _misplaced(f"budgets {context.invoked_subcommand}")
        return
    if given and not connector:
        raise UsageError("These flags are of mcpgate run.", "Give --connector CONNECTOR with them.")
    from mcpgate.cli.activity.budgets import show_budgets

    show_budgets(app, options, as_json=as_json)


@budgets_app.command()
def settle(call: CallId) -> None:
    """Say that a call of which the outcome is not known did happen: what it moved stays spent."""
    from mcpgate.cli.activity.budgets import decide

    decide(call, "settled")


@budgets_app.command()
def release(call: CallId) -> None:
    """Say that a call of which the outcome is not known did not happen: what it reserved is given back."""
    from mcpgate.cli.activity.budgets import decide

    decide(call, "released")


def _misplaced(command: str) -> NoReturn:
    raise UsageError("These flags do not count there.", f"See what it takes: mcpgate {command} --help")


def _exit(code: int) -> None:
    if code:
        raise typer.Exit(code)
