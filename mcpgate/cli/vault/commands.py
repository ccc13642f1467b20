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
    bool,
    typer.Option(
        "--passphrase",
        help="Derive it from a passphrase: typed, or in MCPGATE_PASSPHRASE or MCPGATE_PASSPHRASE_FILE.",
    ),
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
    str,
    typer.Option(
        "--key-env",
        metavar="NAME",
        help="Take it from this environment variable: 32 random bytes in base64.",
    ),
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
    from mcpgate.cli.vault.vault import set_up

    set_up(keyring, passphrase, key_file, key_env)


@vault_app.command()
def status(as_json: AsJson = False) -> None:
    """Show where the master key is kept, whether it opens the vault, and what lies in it.

    Ends with 0 when all of it opens, with 4 when something does not or there is no vault yet.
    """
    from mcpgate.cli.vault.vault import show_status

    _exit(show_status(as_json=as_json))


@vault_app.command()
def rotate(
    keyring: InKeyring = False,
    passphrase: ByPassphrase = False,
    key_file: KeyFile = "",
    key_env: KeyEnv = "",
) -> None:
    """Take a new master key, and wrap every credential anew, all or none; also while servers run.

    Without flags a keyring or a passphrase stays what it is and gets a new key. A new passphrase is typed, or
    stands in MCPGATE_NEW_PASSPHRASE or MCPGATE_NEW_PASSPHRASE_FILE.
    """
    from mcpgate.cli.vault.vault import rotate as rotate_key

    rotate_key(keyring, passphrase, key_file, key_env)


@vault_app.command(name="export")
def export_vault(file: ExportFile) -> None:
    """Write every credential into one file, sealed under a passphrase: a copy for a safe place.

    The passphrase is asked for, or stands in MCPGATE_EXPORT_PASSPHRASE. The file keeps what each is bound to.
    """
    from mcpgate.cli.vault.copies import export_to

    export_to(file)


@vault_app.command(name="import")
def import_vault(file: ExportFile) -> None:
    """Take the credentials of an export into this vault; those of the same account are replaced.

    The passphrase is asked for, or stands in MCPGATE_EXPORT_PASSPHRASE. All are taken in, or none.
    """
    from mcpgate.cli.vault.copies import import_from

    import_from(file)


def _exit(code: int) -> None:
    if code:
        raise typer.Exit(code)
