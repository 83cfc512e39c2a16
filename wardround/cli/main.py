"""Entry of the command line and the one place where errors become messages and exit codes."""

from __future__ import annotations

import sys

import typer

from wardround.core.errors import UsageError, WardroundError

app = typer.Typer(
    name="wardround",
    help="Several local medical models look at one patient together. Research software, not validated for care.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)


def run() -> None:
    """Run the command line; exit codes: 0 done, 1 the work failed, 2 the call was wrong."""
    debug = "--debug" in sys.argv
    if debug:
        sys.argv.remove("--debug")
    try:
        app()
    except WardroundError as error:
        _fail(error, debug)
    except BaseExceptionGroup as group:
        ours = group.subgroup(WardroundError)
        if ours is None:
            raise
        _fail(_first(ours), debug)
    except KeyboardInterrupt:
        typer.echo("interrupted", err=True)
        sys.exit(130)


def _first(group: BaseExceptionGroup[BaseException]) -> BaseException:
    error: BaseException = group
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    return error


def _fail(error: BaseException, debug: bool) -> None:
    if debug:
        raise error
    typer.echo(f"error: {error}", err=True)
    sys.exit(2 if isinstance(error, UsageError) else 1)


def _register() -> None:
    from wardround.cli.consult import consult
    from wardround.cli.runs import runs

    app.command()(consult)
    app.add_typer(runs, name="runs")


_register()
