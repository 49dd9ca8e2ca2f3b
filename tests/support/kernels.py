"""Other kernels: a host process that is told of another Landlock than there is."""

from __future__ import annotations

import errno
import subprocess

from sandlock import Handler, HandlerCtx, NotifAction, Sandbox
from tests.support.processes import host_command, host_environment

_VERSION = 1  # LANDLOCK_CREATE_RULESET_VERSION


class Landlock(Handler):
    """Answers the question for Landlock's version, with an ABI or an errno."""

    def __init__(self, answer: NotifAction) -> None:
        self.answer = answer

    def handle(self, ctx: HandlerCtx) -> NotifAction:
        return self.answer if ctx.args[0] == 0 and ctx.args[2] == _VERSION else NotifAction.continue_()


def run_on_abi(abi: int, script: str) -> subprocess.CompletedProcess[str]:
    """Run a script in a host process on a kernel of a Landlock ABI; 0 is a kernel without Landlock."""
    answer = NotifAction.returns(abi) if abi else NotifAction.errno(errno.ENOSYS)
    box = Sandbox(fs_readable=["/"], fs_writable=["/dev", "/tmp"], env=host_environment())
    result = box.run(host_command(script), timeout=60, handlers=[("landlock_create_ruleset", Landlock(answer))])
    return subprocess.CompletedProcess([], result.exit_code, result.stdout.decode(), result.stderr.decode())
