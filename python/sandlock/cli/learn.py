"""``sandlock learn``: write the profile that a command needs."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from ..profiles import write_profile
from .audit import Observation, everything
from .learned import learned
from .parsers import add_parser as add
from .policy import add_command, command_of

if TYPE_CHECKING:
    from .parsers import Subparsers

__all__ = ["add_parser"]

_EXAMPLES = """  sandlock learn -o tool.toml -- ./tool --option
  sandlock run --profile-file tool.toml

The command runs once with everything granted; one that never ends, such as a server, may be interrupted. What depends
on the input, the user or the moment is not learned: read the profile before you rely on it.
"""


def add_parser(commands: Subparsers) -> None:
    parser = add(commands, "learn", "run a command once, and write the profile that it needs", _EXAMPLES, _run)
    parser.add_argument("-o", "--output", metavar="FILE", help="where to write it, instead of stdout")
    add_command(parser)
    parser.set_defaults(profile=None, profile_file=None)


def _run(options: argparse.Namespace) -> int:
    command = command_of(options)
    observation = Observation(everything())
    try:
        return observation.run(command, options.timeout, stdout_is_stderr=options.output is None)
    finally:
        if observation.executed:
            text = write_profile(learned(observation.record), command)
            if options.output is None:
                print(text, end="")
            else:
                Path(options.output).write_text(text)
                print(f"{options.output}: written", file=sys.stderr)
