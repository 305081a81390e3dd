"""The terminal: a command each, none of which knows more than the API, save what works offline.

Only typer is imported here. Each command imports what it needs when it runs, so that `--help` and a mistyped word are
answered at once.
"""

import os
import sys

import typer
from typer.exceptions import TyperException

from service.cli import (
    apps,
    backtest,
    codes,
    demo,
    doctor,
    drains,
    errors,
    explain,
    incidents,
    parse,
    replay,
    rules,
    search,
    serve,
    silences,
    tail,
    tokens,
    webhooks,
)
from service.errors import DrainwatchError

app = typer.Typer(
    name="drainwatch",
    help="A Heroku log drain that keeps every line, recognises incidents and tells people what to do.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)
for commands in (
    serve,
    errors,
    tail,
    search,
    incidents,
    explain,
    silences,
    apps,
    parse,
    codes,
    replay,
    backtest,
    demo,
    doctor,
):
    app.registered_commands += commands.app.registered_commands
app.add_typer(drains.app, name="drain")
app.add_typer(webhooks.app, name="webhook")
app.add_typer(silences.listing, name="silences")
app.add_typer(tokens.app, name="token")
app.add_typer(rules.app, name="rules")


def main() -> None:
    """The entry point `drainwatch`."""
    sys.exit(run(sys.argv[1:]))


def run(arguments: list[str]) -> int:
    """Runs one command; its exit status: 0, 1 where something was found or failed, 2 for a wrong use. An error is one line
    on standard error."""
    try:
        status = app(args=arguments, prog_name="drainwatch", standalone_mode=False)
    except TyperException as error:
        return _refuse_use(error)
    except DrainwatchError as error:
        _say(str(error))
        return 1
    except BaseExceptionGroup as group:  # of a process's tasks
        if (known := group.subgroup(DrainwatchError)) is None:
            raise
        _say(str(_first(known)))
        return 1
    except (KeyboardInterrupt, typer.Abort):
        return 130
    except BrokenPipeError:
        # Whoever read has enough; Python would complain about what is still in the buffer.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1
    return status if isinstance(status, int) else 0


def _first(error: BaseException) -> BaseException:
    return _first(error.exceptions[0]) if isinstance(error, BaseExceptionGroup) else error


def _refuse_use(error: TyperException) -> int:
    message = error.format_message()
    if message.startswith("Usage:"):  # no command at all: the help itself is the answer
        print(message, file=sys.stderr)
        return error.exit_code
    context = getattr(error, "ctx", None)
    path = context.command_path if context else "drainwatch"
    _say(f"{message.rstrip('.')}; `{path} --help` shows what is expected")
    return error.exit_code


def _say(text: str) -> None:
    print("drainwatch: " + " ".join(text.split()), file=sys.stderr)
