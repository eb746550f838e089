"""Puts the commands together. Exit code 0, or 2 with one clear line on bad input."""

from __future__ import annotations

import argparse
import sys
from typing import NoReturn

import halluapp
from halluapp.cli import (
    bench,
    common,
    compare,
    doctor,
    evaluate,
    halluspace,
    inspect,
    search,
    serve,
    train,
)
from halluapp.cli.support import console, moved, results
from halluapp.errors import InputError

COMMANDS = (compare, inspect, evaluate, search, halluspace, train, bench, results, serve, doctor, moved)
LONGEST_MESSAGE = 300  # characters of a line about arguments
OWN_CHECKS = (
    "serve",
    "doctor",
    "pocket",
    "votes",
    "results",
)  # commands that check the settings themselves, or need none


def main(arguments: list[str] | None = None) -> int:
    """Runs one command -> exit code."""
    console.make_printable()
    options = parser().parse_args(arguments)
    try:
        if options.command not in OWN_CHECKS:
            common.check_environment()
        common.check_outputs(options)
        return options.run(options)
    except KeyboardInterrupt:
        print("halluapp: ended by Ctrl-C.", file=sys.stderr)
        return 130
    except BrokenPipeError:  # of `halluapp ... | head`; files are written before anything is printed
        console.close()
        return 0
    except (InputError, ValueError) as error:
        print(f"halluapp: {' '.join(str(error).split())}", file=sys.stderr)
        return 2
    except OSError as error:
        reason = ": ".join(str(part) for part in (error.filename, error.strerror or error) if part)
        print(f"halluapp: {' '.join(reason.split())}", file=sys.stderr)
        return 2


class _Parser(argparse.ArgumentParser):
    """argparse repeats an argument as it is: with its line breaks and codes for the console."""

    def error(self, message: str) -> NoReturn:
        """Ends with exit code 2, the usage and one line."""
        from halluapp.data.photos import printable

        super().error(printable(message, LONGEST_MESSAGE))


def parser() -> argparse.ArgumentParser:
    """The parser of all commands."""
    top = _Parser(prog="halluapp", description=str(halluapp.__doc__).partition("\n")[0])
    top.add_argument("--version", action="version", version=f"halluapp {halluapp.__version__}")
    commands = top.add_subparsers(dest="command", required=True, metavar="COMMAND")
    for command in COMMANDS:
        command.add(commands)
    return top
