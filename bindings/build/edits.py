"""The edits that make what gopy and pybindgen generate fit CPython's stable ABI.

Every edit states the text that it expects. Text that is missing, or there more than once, means
that a generator changed, and stops the build.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

LIMITED_API = "0x03090000"


class UnexpectedTextError(Exception):
    """A generator no longer writes the text that an edit replaces."""


@dataclass(frozen=True)
class Edit:
    """One replacement in a generated file, and why it is made."""

    why: str
    pattern: str
    replacement: str

    def apply(self, text: str, file: str) -> str:
        found = len(re.findall(self.pattern, text))
        if found != 1:
            raise UnexpectedTextError(
                f"{file}: the edit to {self.why} expects its text once and found it {found} times; "
                f"gopy or pybindgen changed, see {__name__}"
            )
        return re.sub(self.pattern, lambda _: self.replacement, text)


# gnu17, because the generated code defines a type named bool, which C23 reserves.
GO_EDITS = (
    Edit(
        "select the stable ABI and to drop the flags of the Python that runs the build",
        r"#cgo CFLAGS: .*\n#cgo LDFLAGS: .*\n",
        f"#cgo CFLAGS: -std=gnu17 -DPy_LIMITED_API={LIMITED_API}\n",
    ),
    Edit(
        "drop a helper that needs PyMethod_Check",
        r"static inline int gopy_method_check\(PyObject\* obj\) \{.*\n.*\n\}\n",
        "",
    ),
    Edit(
        "drop the helpers for complex numbers",
        r"func complex64GoToPy\((?:.*\n)*?func complex128PyToGo\(.*\n(?:\t.*\n)*\}\n",
        "",
    ),
    Edit(
        "let an empty []byte become b'' instead of a panic",
        r"unsafe\.Pointer\(&s\[0\]\)",
        "unsafe.Pointer(unsafe.SliceData(s))",
    ),
)

C_EDITS = (
    Edit(
        "avoid PyAsyncMethods",
        r"typedef PyAsyncMethods\* cmpfunc;",
        "typedef void* cmpfunc;",
    ),
    Edit(
        "use the header that cgo writes, which saves linking the library twice",
        r'#include "core_go\.h"',
        '#include "_cgo_export.h"',
    ),
)


def apply_all(edits: Sequence[Edit], text: str, file: str) -> str:
    """Return text with every edit made, or raise UnexpectedTextError."""
    for edit in edits:
        text = edit.apply(text, file)
    return text
