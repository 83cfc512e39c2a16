"""Entry of the command line and the one place where errors become messages and exit codes."""

from __future__ import annotations

import sys
import traceback

import typer

from wardround.cli.terminal import folded, lenient_streams, printable
from wardround.core.errors import KnowledgeError, UsageError, WardroundError

app = typer.Typer(
    name="wardround",
    help="Several local medical models look at one patient together. Research software, not validated for care.",
    epilog="Exit codes: 0 done, 1 the work failed, 2 the call was wrong. With --debug, an error shows its traceback.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)

_INTERRUPTED = 130
_WrongCall = typer.BadParameter.__mro__[1]
"""What the parser raises where it does not understand the call."""


def run() -> None:
    """Run the command line; exit codes: 0 done, 1 the work failed, 2 the call was wrong."""
    debug = "--debug" in sys.argv
    if debug:
        sys.argv.remove("--debug")
    lenient_streams()
    try:
        code = app(prog_name="wardround", standalone_mode=False)
    except (KeyboardInterrupt, typer.Abort):
        code = _INTERRUPTED
    except Exception as error:
        code = report(error, debug=debug)
    if code == _INTERRUPTED:
        typer.echo("interrupted", err=True)
    sys.exit(code or 0)


def report(raised: Exception, *, debug: bool) -> int:
    """Say on standard error what went wrong, and return the exit code."""
    if debug:
        traceback.print_exception(raised)
    error = _ours(raised)
    message = _message(error)
    if message:
        typer.echo(f"error: {message}", err=True)
    return 2 if isinstance(error, UsageError | _WrongCall) else 1


def _ours(error: BaseException) -> BaseException:
    """Return the first error of a group that Wardround raised on purpose; else the first."""
    if isinstance(error, BaseExceptionGroup):
        wanted = error.subgroup(WardroundError) or error
        return _ours(wanted.exceptions[0])
    return error


def _message(error: BaseException) -> str:
    if isinstance(error, KnowledgeError):
        return printable(str(error))
    if isinstance(error, WardroundError):
        return folded(str(error))
    if isinstance(error, _WrongCall):
        return _wrong_call(error)
    if isinstance(error, OSError) and error.filename is not None:
        return folded(f"{error.filename}: {error.strerror}; check the path and its rights")
    return folded(f"unexpected {type(error).__name__}: {error}; --debug shows where")


def _wrong_call(error: BaseException) -> str:
    """Return the parser's message; it is empty where help was printed for want of a command."""
    said = folded(error.format_message()).rstrip(".")  # type: ignore[attr-defined]
    context = getattr(error, "ctx", None)
    command = context.command_path if context is not None else "wardround"
    return f"{said}; see `{command} --help`" if said else ""


def _register() -> None:
    from wardround.cli.calibrate import calibrate
    from wardround.cli.check import check
    from wardround.cli.consult import consult
    from wardround.cli.dashboard import dashboard
    from wardround.cli.evals import evals
    from wardround.cli.models import models
    from wardround.cli.runs import runs
    from wardround.cli.sandbox import sandbox

    app.command()(consult)
    app.command()(check)
    app.command()(calibrate)
    app.command()(dashboard)
    app.add_typer(runs, name="runs")
    app.add_typer(sandbox, name="sandbox")
    app.add_typer(evals, name="eval")
    app.add_typer(models, name="models")


_register()
