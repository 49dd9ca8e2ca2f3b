"""``sandlock profile``: look at profiles."""

from __future__ import annotations

import argparse
import sys
from typing import TYPE_CHECKING

from ..errors import ConfinementError, PolicyError
from ..profiles import check_policy, list_profiles, read_profile, write_profile
from ..sandbox import Sandbox

if TYPE_CHECKING:
    # argparse has no public name for it.
    Subparsers = argparse._SubParsersAction[argparse.ArgumentParser]

__all__ = ["add_parser"]

_NAME = "a name, or the path of a TOML file"


def add_parser(commands: Subparsers) -> None:
    parser = commands.add_parser("profile", help="list, show and check profiles")
    actions = parser.add_subparsers(metavar="ACTION", required=True)

    action = actions.add_parser("list", help="list the profiles that are known by name, and their files")
    action.set_defaults(run=_list)

    action = actions.add_parser("show", help="show a profile with what it extends, as one TOML file")
    action.add_argument("name", metavar="NAME", help=_NAME)
    action.set_defaults(run=_show)

    action = actions.add_parser(
        "check", help="say what is wrong with profiles, by default all, or does not fit this host; then the status is 1"
    )
    action.add_argument("names", metavar="NAME", nargs="*", help=_NAME)
    action.set_defaults(run=_check)


def _list(_: argparse.Namespace) -> int:
    for name in list_profiles():
        try:
            print(f"{name:<12} {read_profile(name).files[-1]}")
        except PolicyError as error:
            print(f"{name:<12} wrong: {error}")
    return 0


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
