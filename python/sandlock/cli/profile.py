"""``sandlock profile``: look at profiles."""

from __future__ import annotations

import argparse
import sys
from typing import TYPE_CHECKING

from ..exceptions import ConfinementError, PolicyError
from ..profiles import check_policy, list_profiles, read_profile, write_profile
from ..sandbox import Sandbox
from .parsers import add_parser as add
from .parsers import complete_with
from .screen import print_table

if TYPE_CHECKING:
    from .parsers import Subparsers

__all__ = ["add_parser"]

_NAME = "a name, or the path of a TOML file"
_EXAMPLES = """  sandlock profile list
  sandlock profile show python > ~/.config/sandlock/profiles/mine.toml
  sandlock profile check mine
"""


def add_parser(commands: Subparsers) -> None:
    parser = add(commands, "profile", "list, show and check profiles", _EXAMPLES)
    actions = parser.add_subparsers(metavar="ACTION", required=True)

    known = "list the profiles that are known by name, and their files"
    add(actions, "list", known, "  sandlock profile list\n", _list)

    shown = "show a profile with what it extends, as one TOML file"
    action = add(actions, "show", shown, "  sandlock profile show python\n", _show)
    complete_with(action.add_argument("name", metavar="NAME", help=_NAME), list_profiles)

    checked = "say what is wrong with profiles, by default all, or does not fit this host; then the status is 1"
    action = add(actions, "check", checked, "  sandlock profile check\n  sandlock profile check ./mine.toml\n", _check)
    complete_with(action.add_argument("names", metavar="NAME", nargs="*", help=_NAME), list_profiles)


def _list(_: argparse.Namespace) -> int:
    rows = [(name, _file_of(name)) for name in list_profiles()]
    print_table(("NAME", "FILE"), rows, ("bold cyan", lambda cell: "red" if cell.startswith("wrong: ") else ""))
    return 0


def _file_of(name: str) -> str:
    try:
        return str(read_profile(name).files[-1])
    except PolicyError as error:
        return f"wrong: {error}"


def _show(options: argparse.Namespace) -> int:
    profile = read_profile(options.name)
    for file in profile.files:
        print(f"# {file}")
    print(write_profile(Sandbox(**profile.fields), profile.command), end="")
    return 0


def _check(options: argparse.Namespace) -> int:
    status = 0
    for name in options.names or list_profiles():
        try:
            check_policy(Sandbox.from_profile(name))
        except (PolicyError, ConfinementError) as error:
            print(f"{name}: {error}", file=sys.stderr)
            status = 1
    return status
