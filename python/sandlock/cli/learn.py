"""``sandlock learn``: write the profile that a command needs."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from .._writable import check_writable
from ..exceptions import SandlockError
from ..profiles import write_profile
from ..sandbox import Sandbox
from .audit import Observation, everything
from .learned import SOFTWARE, is_within, learned
from .parsers import add_parser as add
from .policy import add_command, command_of, timeout_of
from .screen import print_list

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
    command, timeout = command_of(options), timeout_of(options)
    if options.output is not None:
        _check_output(options.output)
    observation = Observation(everything())
    try:
        return observation.run(command, timeout, stdout_is_stderr=options.output is None)
    finally:
        if observation.executed:
            _write(learned(observation.record), command, options.output)
            if more := observation.record.more_calls:
                print(f"sandlock: {more} calls were not kept: the profile may lack what they need", file=sys.stderr)


def _check_output(output: str) -> None:
    """Find out whether the profile can be written, before the command runs for nothing."""
    try:
        check_writable(output)
    except OSError as error:
        raise SandlockError(f"-o: {output} cannot be written: {error.strerror}; choose another file") from None


def _write(box: Sandbox, command: Sequence[str], output: str | None) -> None:
    text = write_profile(box, command)
    if output is None:
        print(text, end="")
    else:
        Path(output).write_text(text)
        print(f"{output}: written", file=sys.stderr)
    whole = [path for path in map(str, (*box.fs_readable, *box.fs_writable)) if os.path.isdir(path)]
    rows = [(path,) for path in whole if not is_within(path, SOFTWARE)]
    print_list("granted with all that is in them; is anything secret there?", rows, ("yellow",))
