"""The command line: thin commands over the library, one clear line for errors that the user can fix."""

from __future__ import annotations

import os
import sys
import traceback
from collections.abc import Callable, Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Annotated

import typer

from hashbench.cli import data, models, plugins, results
from hashbench.cli.environment import env
from hashbench.cli.import_codes import import_codes
from hashbench.cli.report import report
from hashbench.cli.run import run, tune
from hashbench.cli.score import score
from hashbench.errors import InputError
from hashbench.options import home_expanded

app = typer.Typer(
    name="hashbench",
    help="The benchmark suite for learning to hash: many methods, one exact protocol, reproducible leaderboards.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
COMMANDS: dict[str, Callable[..., None]] = {
    "run": run,
    "tune": tune,
    "score": score,
    "import": import_codes,
    "encode": models.encode,
    "search": models.search,
    "export": models.export,
    "list": plugins.list_plugins,
    "info": plugins.info,
    "check": plugins.check,
    "status": results.status,
    "show": results.show,
    "compare": results.compare,
    "env": env,
    "plot": results.plot,
    "audit": results.audit,
    "report": report,
    "publish": results.publish,
    "bundle": results.bundle,
    "validate": results.validate,
}
for name, command in COMMANDS.items():
    app.command(name)(command)
app.add_typer(data.app, name="data")

REPEATABLE = {"--plugin"}
INTERRUPTED = 130


def _print_version(show_version: bool) -> None:
    if show_version:
        print(f"hashbench {version('hashbench')}")
        raise typer.Exit


@app.callback()
def _common(
    debug: Annotated[bool, typer.Option("--debug", help="Show tracebacks.")] = False,
    show_version: Annotated[
        bool, typer.Option("--version", help="Print the version.", callback=_print_version, is_eager=True)
    ] = False,
) -> None:
    """Name --debug in the help; `main` takes it out of the arguments, wherever it is."""


def main() -> None:
    """Run the command line and leave with its exit code: 0 fine, 1 a cell failed, 2 unusable input."""
    arguments = [_with_home(argument) for argument in sys.argv[1:] if argument != "--debug"]
    debug = len(arguments) < len(sys.argv) - 1
    for stream in (sys.stdout, sys.stderr):  # a table is not lost for a letter that the terminal does not know
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="backslashreplace")
    try:
        _refuse_lost_directory()
        _refuse_repeated(arguments)
        code = app(arguments, standalone_mode=False)
        if code == INTERRUPTED:
            raise KeyboardInterrupt
        sys.stdout.flush()
    except InputError as error:
        if debug:
            traceback.print_exc()
        code = _complain(str(error))
    except (KeyboardInterrupt, typer.Abort):
        code = _complain("interrupted; nothing is half done, give the same command again", INTERRUPTED)
    except BrokenPipeError:
        sys.stderr.close()
        code = 1
    except Exception as error:
        code = _full_output(error) or _unexpected(error, debug)
    sys.exit(code if isinstance(code, int) else 0)


def _full_output(error: Exception) -> int:
    """Return an exit code other than 0 if the error is that standard output takes no more, on a full disk say."""
    if not isinstance(error, OSError) or error.filename is not None:
        return 0
    try:
        os.write(sys.stdout.fileno(), b"\n")
    except OSError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # else Python complains again at its end
        return _complain(f"standard output cannot be written ({error.strerror}); what was computed is kept", 1)
    return 0


def _unexpected(error: Exception, debug: bool) -> int:
    """Return the exit code for what click says of the arguments, and for unexpected errors."""
    message = getattr(error, "format_message", None)
    if type(error).__name__ == "NoArgsIsHelpError":
        return 0
    if message is not None:
        return _complain(f"{message().rstrip('.')}; see hashbench --help")
    if debug:
        raise error
    notes = getattr(error, "__notes__", [])
    line = f"unexpected {error}" if notes else f"unexpected {type(error).__name__}: {error} (--debug shows where)"
    code = _complain(line, 1)
    print("".join(notes), end="", file=sys.stderr)  # the traceback of a worker process
    return code


def _with_home(argument: str) -> str:
    """Return an argument with the home directory in place of a ``~`` that no shell has seen, as in ``--out=~/x``."""
    option, equals, value = argument.partition("=") if argument.startswith("--") else ("", "", argument)
    return f"{option}{equals}{home_expanded(value)}" if value.startswith("~") else argument


def _refuse_lost_directory() -> None:
    """Raise if the working directory is gone, which every relative path would stumble over."""
    try:
        Path.cwd()
    except FileNotFoundError:
        raise InputError("the working directory is gone; change to one that exists") from None


def _refuse_repeated(arguments: Sequence[str]) -> None:
    """Raise if an option is given twice, since the last would count in silence, or with nothing."""
    given = [argument.partition("=")[0] for argument in arguments if argument.startswith("--")]
    for name in given:
        if given.count(name) > 1 and name not in REPEATABLE:
            raise InputError(f"{name} is given twice; give it once, several values joined by commas")
    for option, value in zip(arguments, [*arguments, None][1:], strict=True):
        if option.startswith("--") and (value == "" or option.endswith("=")):
            raise InputError(f"{option.rstrip('=')} is empty; give it a value, or leave it out")


def _complain(message: str, code: int = 2) -> int:
    print(f"hashbench: {' '.join(message.split())}", file=sys.stderr)
    return code
