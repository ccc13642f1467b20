"""Runs a command line: its exit code, and whatever goes wrong said without a traceback."""

from __future__ import annotations

import io
import os
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from mcpgate.cli.console import plain
from mcpgate.cli.words import run_options
from mcpgate.errors import MCPGateError

if TYPE_CHECKING:
    from mcpgate.cli.opening import Options
    from mcpgate.gateway import Gateway


def execute(words: Sequence[str]) -> int:
    """Run one command; gives its exit code, and says what went wrong without a traceback."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            # a terminal that cannot show ≤ or – gets a question mark, not a failure
            stream.reconfigure(errors="replace")
    codes: list[int] = []

    def serve(options: Options) -> None:
        from mcpgate.cli import serving

        codes.append(serving.serve(words, options))

    try:
        _with_options(words, serve, standalone_mode=True)
    except SystemExit as stop:
        return codes[0] if codes else stop.code if isinstance(stop.code, int) else 1
    except MCPGateError as error:
        _say(error.message, error.hint)
        return error.exit_code
    except KeyboardInterrupt:
        return 130
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
        return 0
    except OSError as error:
        _say(f"It could not be written or read: {error.strerror}.", "")
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
        return 1
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
    _with_options(words, lambda options: gateways.append(open_gateway(options)), standalone_mode=False)
    return gateways[0]


def _with_options(words: Sequence[str], use: Callable[[Options], None], *, standalone_mode: bool) -> None:
    """Hand the flags of a `run` command on, or carry out another one."""
    options = run_options(words)
    if options is not None:
        use(options)
        return
    from mcpgate.cli.commands import app

    app(list(words), prog_name="mcpgate", standalone_mode=standalone_mode, obj=use)


def _say(message: str, hint: str) -> None:
    print(plain(message), file=sys.stderr)
    if hint:
        print(plain(hint), file=sys.stderr)


def _where(error: BaseException) -> str:
    """The innermost place of a traceback, without its texts."""
    trace, place = error.__traceback__, "?"
    while trace is not None:
        place = f"{Path(trace.tb_frame.f_code.co_filename).name}:{trace.tb_lineno}"
        trace = trace.tb_next
    return place
