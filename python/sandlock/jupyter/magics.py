"""The magics ``%%sandlock`` and ``%sandlock_audit``."""

from __future__ import annotations

import argparse
import shlex

from IPython.core.error import UsageError
from IPython.core.magic import Magics, cell_magic, line_magic, magics_class
from IPython.core.magic_arguments import MagicArgumentParser

from ..audit import Audit
from ..cli.audit import everything
from ..cli.policy import add_command, add_flags, command_of, is_empty, sandbox_of, timeout_of
from ..exceptions import PolicyError
from ..stdio import StdioMode
from .follow import follow
from .running import LastValue, cell_sandbox, run_cell

__all__ = ["SandlockMagics"]


@magics_class
class SandlockMagics(Magics):  # type: ignore[misc,unused-ignore]
    """What ``%load_ext sandlock`` adds."""

    @cell_magic  # type: ignore[untyped-decorator,unused-ignore]
    def sandlock(self, line: str, cell: str) -> LastValue | None:
        """Run the cell in a sandboxed interpreter, with a new temporary folder as its working directory.

        %%sandlock [-i NAME,...] [-o NAME,...] [-r PATH] [-w PATH] [--net RULE] [--timeout S] [--profile NAME] [--audit]

        -i, -o: variables that the cell is given, and that it hands back: plain data only, copied.
        -r, -w: what may be read, or changed as well. --net: a peer that may be reached, as in net_allow.
        -r, -w, --net, -i and -o can be repeated. --timeout: seconds. --profile: begin with what it grants.
        --audit: show what the cell opens, executes and connects to, while it runs.
        """
        assert self.shell is not None
        options = _parsed(_cell_parser(), line)
        taken, out = _names("-i", options.i), _names("-o", options.o)
        for name in taken:
            if name not in self.shell.user_ns:
                raise UsageError(f"-i: the notebook has no variable {name!r}")
        values = {name: self.shell.user_ns[name] for name in taken}
        try:
            box = cell_sandbox(options.profile, options.r, options.w, options.net)
            results, shown = run_cell(cell, box, values, out, timeout_of(options), self._updates, options.audit)
        except PolicyError as error:
            raise UsageError(str(error)) from error
        self.shell.user_ns.update(results)
        return shown

    @line_magic  # type: ignore[untyped-decorator,unused-ignore]
    def sandlock_audit(self, line: str) -> None:
        """Show what a command opens, executes and connects to, while it runs.

        %sandlock_audit [flags] -- CMD

        The flags are those of ``sandlock audit``; without any the command may do everything, and is observed only.
        """
        parser = MagicArgumentParser(prog="%sandlock_audit")
        add_flags(parser)
        add_command(parser)
        options = _parsed(parser, line)
        try:
            box = everything() if is_empty(options) else sandbox_of(options)
            follow(box, command_of(options), StdioMode.NULL, timeout_of(options), self._updates, Audit())
        except PolicyError as error:
            raise UsageError(str(error)) from error

    @property
    def _updates(self) -> bool:
        """Whether the frontend can update what it shows: that of a kernel can, a terminal cannot."""
        return hasattr(self.shell, "kernel")


def _cell_parser() -> MagicArgumentParser:
    parser = MagicArgumentParser(prog="%%sandlock")
    for flag in ("-i", "-o", "-r", "-w", "--net"):
        parser.add_argument(flag, action="append", default=[])
    parser.add_argument("--timeout", type=float)
    parser.add_argument("--profile")
    parser.add_argument("--audit", action="store_true")
    return parser


def _parsed(parser: MagicArgumentParser, line: str) -> argparse.Namespace:
    try:
        words = shlex.split(line)  # parse_argstring would leave the quotes on
        return parser.parse_args(words)
    except (ValueError, UsageError) as error:
        raise UsageError(f"{parser.prog}: {error}; {parser.prog}? shows what it takes") from None


def _names(flag: str, lists: list[str]) -> list[str]:
    names = [name.strip() for text in lists for name in text.split(",")]
    for name in names:
        if not name.isidentifier():
            raise UsageError(f"{flag}: {name!r} is no name of a variable; write {flag} NAME,NAME")
    return names
