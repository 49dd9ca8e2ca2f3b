"""The command ``sandlock``. Each of its commands is a module here: it adds its parser, which knows what to run."""

from __future__ import annotations

import argparse
import os
import signal
import sys
from collections.abc import Sequence

from .. import __version__
from ..exceptions import SandlockError
from . import audit, check, completion, learn, profile, run, running

__all__ = ["main"]

_COMMANDS = (run, audit, learn, check, profile, running, completion)
_EXAMPLES = """examples:
  sandlock run -r /usr -r /etc -r . -- ls -l     only what is granted can be reached
  sandlock audit -- make                         what does it reach for?
  sandlock learn -o make.toml -- make            the profile that lets it do just that
  sandlock run --profile-file make.toml

Each command has examples of its own: sandlock COMMAND --help
"""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line, and return the exit status: 1 for an error, 2 for wrong usage."""
    parser = argparse.ArgumentParser(
        prog="sandlock",
        description="Confine programs with Landlock and seccomp.",
        epilog=_EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--version", action="version", version=__version__)
    commands = parser.add_subparsers(metavar="COMMAND", required=True)
    for command in _COMMANDS:
        command.add_parser(commands)
    completion.complete(parser)
    options = parser.parse_args(arguments)
    try:
        status = int(options.run(options))
        sys.stdout.flush()
        return status
    except BrokenPipeError:  # whoever reads the output has had enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # for the interpreter's last flush
        return 128 + signal.SIGPIPE
    except (SandlockError, OSError) as error:
        print(f"sandlock: {error}", file=sys.stderr)
        return int(getattr(options, "failed", 1))
    except KeyboardInterrupt:
        return 128 + signal.SIGINT
