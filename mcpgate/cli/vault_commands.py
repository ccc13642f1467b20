"""`mcpgate init` and the commands under `mcpgate vault`: what they are called, take and say of themselves."""

from __future__ import annotations

from typing import Annotated

import typer

from mcpgate.cli.flags import AsJson

vault_app = typer.Typer(
    help="Look after the vault: status, rotate, export, import.",
    no_args_is_help=True,
    context_settings={"help_option_names": ["-h", "--help"]},
)

InKeyring = Annotated[bool, typer.Option("--keyring", help="Keep the master key in the system's keyring.")]
ByPassphrase = Annotated[
    bool, typer.Option("--passphrase", help="Derive the master key from a passphrase, asked at each start.")
]
KeyFile = Annotated[
    str,
    typer.Option(
        "--key-file",
        metavar="PATH",
        help="Keep it in this file: made if it is not there, else taken as it is.",
    ),
]
KeyEnv = Annotated[
    str, typer.Option("--key-env", metavar="NAME", help="Take it from this environment variable.")
]
ExportFile = Annotated[str, typer.Argument(metavar="FILE", help="The file of the export.")]


def init(
    keyring: InKeyring = False,
    passphrase: ByPassphrase = False,
    key_file: KeyFile = "",
    key_env: KeyEnv = "",
) -> None:
    """Choose, once, where the key to the vault is kept. Default: the system's keyring.

    With a keyring this is not needed: the first `mcpgate connect` does it.
    """
    from mcpgate.cli.vault import set_up

    set_up(keyring, passphrase, key_file, key_env)


@vault_app.command()
def status(as_json: AsJson = False) -> None:
    """Show where the master key is kept, whether it opens the vault, and what lies in it.

    Ends with 0 when it opens, 4 when it does not.
    """
    from mcpgate.cli.vault import show_status

    _exit(show_status(as_json=as_json))


@vault_app.command()
def rotate(
    keyring: InKeyring = False,
    passphrase: ByPassphrase = False,
    key_file: KeyFile = "",
    key_env: KeyEnv = "",
) -> None:
    """Take a new master key, and wrap every credential anew, all or none; also while servers run.

    Without flags a keyring or a passphrase stays what it is and gets a new key.
    """
    from mcpgate.cli.vault import rotate as rotate_key

    rotate_key(keyring, passphrase, key_file, key_env)


@vault_app.command(name="export")
def export_vault(file: ExportFile) -> None:
    """Write every credential into one file, sealed under a passphrase: a copy for a safe place."""
    from mcpgate.cli.vault import export_to

    export_to(file)


@vault_app.command(name="import")
def import_vault(file: ExportFile) -> None:
    """Take the credentials of an export into this vault; those of the same account are replaced."""
    from mcpgate.cli.vault import import_from

    import_from(file)


def _exit(code: int) -> None:
    if code:
        raise typer.Exit(code)
