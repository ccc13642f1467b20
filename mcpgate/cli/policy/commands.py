"""The commands under `mcpgate policy`: what they are called, take and say of themselves."""

from __future__ import annotations

from typing import Annotated, Literal

import typer

from mcpgate.cli.flags import AsJson, ToolsFor, complete_connector, complete_preset

policy_app = typer.Typer(
    help="Look at policies before an agent does, and make them hold: lint, test, attack, apply.",
    no_args_is_help=True,
    context_settings={"help_option_names": ["-h", "--help"]},
)

PolicyFiles = Annotated[
    list[str], typer.Argument(metavar="FILE", help="Preset or policy files; a shipped preset by its name.")
]
On = Annotated[
    list[str],
    typer.Option(
        "--on",
        metavar="CONNECTOR",
        help="Hold it against this connector. Default: those whose tools it names, else all.",
        autocompletion=complete_connector,
    ),
]
OnTopOf = Annotated[
    list[str],
    typer.Option(
        "--preset",
        "-p",
        metavar="PRESET",
        help="The preset a policy file stands on; CONNECTOR=PRESET for one. Default: everything allowed.",
        autocompletion=complete_preset,
    ),
]
Format = Annotated[
    Literal["text", "json"],
    typer.Option("--format", metavar="FORMAT", help="text for people (default), json for machines."),
]


@policy_app.command()
def lint(files: PolicyFiles, on: On = [], preset: OnTopOf = [], form: Format = "text") -> None:
    """Find what a policy leaves open: routes to an effect that no rule covers, rules that never fire.

    Ends with 0 when there is nothing to say, 1 when there is, 3 when a file cannot be read.
    """
    from mcpgate.cli.policy.lint import lint_files

    _exit(lint_files(files, on, preset, as_json=form == "json"))


@policy_app.command(name="test")
def run_tests(
    files: Annotated[
        list[str],
        typer.Argument(
            metavar="FILE", help="Test files; of a policy till.yaml the file till.test.yaml beside it."
        ),
    ],
    form: Format = "text",
) -> None:
    """Decide the calls of a test file, and say which did not come as it expects. Nothing is sent.

    Ends with 0 when all came as expected, 1 when one did not, 3 when a file cannot be read.
    """
    from mcpgate.cli.policy.test_files import test_files

    _exit(test_files(files, as_json=form == "json"))


@policy_app.command()
def attack(files: PolicyFiles, on: On = [], preset: OnTopOf = [], form: Format = "text") -> None:
    """Try to get round every rule of a policy, in hundreds of ways. Nothing is sent.

    Ends with 0 when nothing got through, 1 when something did, 3 when a file cannot be read.
    """
    from mcpgate.cli.policy.attack import attack_files

    _exit(attack_files(files, on, preset, as_json=form == "json"))


@policy_app.command(name="apply")
def apply_policy(
    file: Annotated[
        str, typer.Argument(metavar="FILE", help="A policy file; with --remove it is left out.")
    ] = "",
    remove: Annotated[
        bool, typer.Option("--remove", help="Take the policy away that was applied before.")
    ] = False,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False,
) -> None:
    """Make a policy hold for every app and for mcpgate run, at once, after showing what that changes.

    It is kept in the database. A policy.yaml in one's own folder goes on holding beside it.
    """
    from mcpgate.cli.policy.apply import apply

    apply(file, remove=remove, yes=yes)


@policy_app.command(name="show")
def show_policy(as_json: AsJson = False) -> None:
    """Show the policy that was applied for every app."""
    from mcpgate.cli.policy.apply import show

    show(as_json=as_json)


@policy_app.command(name="import")
def import_rules(
    file: Annotated[str, typer.Argument(metavar="FILE", help="Rules as JSON; - reads them from stdin.")],
    name: Annotated[
        str, typer.Option("--name", metavar="NAME", help="What the policy is called.")
    ] = "imported",
    tools: ToolsFor = [],
) -> None:
    """Turn rules of the form {"template": …, "config": …} into a policy file, and print it."""
    from mcpgate.cli.policy.import_rules import import_file

    _exit(import_file(file, name, tools))


def _exit(code: int) -> None:
    if code:
        raise typer.Exit(code)
