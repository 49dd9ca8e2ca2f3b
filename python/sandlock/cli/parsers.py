"""The parsers of the commands."""

from __future__ import annotations

import argparse
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    # argparse has no public name for it.
    Subparsers = argparse._SubParsersAction[argparse.ArgumentParser]

__all__ = ["Subparsers", "add_parser", "complete_with"]


def add_parser(
    commands: Subparsers, name: str, help: str, examples: str, run: Callable[[argparse.Namespace], int] | None = None
) -> argparse.ArgumentParser:
    """Add the parser of a command.

    Args:
        help: what the command does; its --help begins with it.
        examples: how its --help ends, as it is.
        run: what it runs; None where commands of its own do.
    """
    text = f"{help[:1].upper()}{help[1:]}."
    layout = argparse.RawDescriptionHelpFormatter
    parser = commands.add_parser(
        name, help=help, description=text, epilog=f"examples:\n{examples}", formatter_class=layout
    )
    if run is not None:
        parser.set_defaults(run=run)
    return parser


def complete_with(action: argparse.Action, words: Callable[[], Iterable[str]]) -> None:
    """Say what a shell may complete an argument with; without it, it completes files. See sandlock completion."""

    def complete(**_: Any) -> list[str]:
        return list(words())

    action.completer = complete  # type: ignore[attr-defined]
