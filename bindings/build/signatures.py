"""Checks that gopy wrapped every function of bindings/core, and none with a known fault."""

from __future__ import annotations

import re


class UnsupportedSignatureError(Exception):
    """A function of bindings/core has a signature that gopy cannot wrap properly."""


def check(go_sources: str, pybindgen_script: str) -> None:
    """Compare the exported functions of go_sources with what the pybindgen script declares."""
    declared = dict(re.findall(r"^add_\w+\(mod, 'core_(\w+)', (.*)\)$", pybindgen_script, re.M))
    for name in re.findall(r"^func ([A-Z]\w*)\(", go_sources, re.M):
        if name not in declared:
            raise UnsupportedSignatureError(f"{name}: gopy skipped it; use flat types only")
        if "'goRun'" in declared[name]:
            raise UnsupportedSignatureError(f"{name}: without a result gopy adds a parameter goRun; return an int")
        if re.search(rf"add_checked_function\(mod, 'core_{name}', retval\('char\*'\)", pybindgen_script):
            raise UnsupportedSignatureError(
                f"{name}: gopy leaks the result of a function that returns only an error; return (int, error)"
            )
