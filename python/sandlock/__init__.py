"""Confine a program with Landlock and seccomp, and answer its system calls in Python.

>>> from sandlock import Sandbox
>>> Sandbox(fs_readable=["/usr", "/lib", "/lib64", "/bin"]).run(["echo", "hello"]).stdout
b'hello\\n'

Importing the package costs next to nothing: its names load what they need when one of them is first used, and the first
run loads the Go runtime.
"""

from __future__ import annotations

from ._version import __version__ as __version__

TYPE_CHECKING = False  # as typing has it, without importing typing

if TYPE_CHECKING:
    from typing import Any

    from ._api import *  # noqa: F403
    from ._api import __all__ as __all__


def __getattr__(name: str) -> object:
    """Load everything when the first of the names is used (PEP 562)."""
    if name.startswith("_") and name != "__all__":
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from ._api import __all__ as names  # the modules become attributes of the package as well

    own = globals()
    for known in names:
        own.setdefault(known, getattr(own["_api"], known))
    own["__all__"] = names
    if name not in own:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return own[name]


def load_ipython_extension(shell: Any) -> None:
    """Do what ``%load_ext sandlock`` asks for: add the magics; see docs/jupyter.md."""
    from .jupyter.magics import SandlockMagics

    shell.register_magics(SandlockMagics)


def __dir__() -> list[str]:
    from ._api import __all__ as names

    return sorted({*globals(), *names})
