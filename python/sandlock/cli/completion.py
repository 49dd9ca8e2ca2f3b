"""``sandlock completion``: what makes a shell complete the words of ``sandlock``."""

from __future__ import annotations

import argparse
import os
from typing import TYPE_CHECKING

from ..exceptions import SandlockError
from .parsers import add_parser as add

if TYPE_CHECKING:
    from .parsers import Subparsers

__all__ = ["add_parser", "complete"]

_EXAMPLES = """  eval "$(sandlock completion bash)"           in ~/.bashrc
  eval "$(sandlock completion zsh)"            in ~/.zshrc, after compinit
  sandlock completion fish > ~/.config/fish/completions/sandlock.fish

It needs argcomplete: pip install 'sandlock[cli]'
"""


def add_parser(commands: Subparsers) -> None:
    parser = add(commands, "completion", "print what makes a shell complete the words of sandlock", _EXAMPLES, _print)
    parser.add_argument("shell", choices=("bash", "zsh", "fish"))


def complete(parser: argparse.ArgumentParser) -> None:
    """Answer a shell that asks for words, and exit; return when none asks."""
    if "_ARGCOMPLETE" not in os.environ:
        return
    try:
        import argcomplete
    except ImportError:
        raise SystemExit(1) from None  # the shell shows nothing of this process
    argcomplete.autocomplete(parser, always_complete_options=False)


def _print(options: argparse.Namespace) -> int:
    try:
        from argcomplete.shell_integration import shellcode
    except ImportError:
        raise SandlockError("completion needs argcomplete; install it with: pip install 'sandlock[cli]'") from None
    print(shellcode(["sandlock"], shell=options.shell))
    return 0
