"""The sandboxed side: runs one cell, ``python -m sandlock.jupyter.cell``.

The request is JSON on stdin; the answer is JSON in the file that it names. The other side trusts nothing of it.
"""

from __future__ import annotations

import ast
import io
import json
import linecache
import os
import sys
import traceback
import types
from typing import Any

from sandlock.jupyter.values import decode, encode

_FILE = "<cell>"


def _execute(code: str, namespace: dict[str, Any]) -> str | None:
    """Run the code; return the representation of its last expression, if it ends with one that is not None."""
    tree = ast.parse(code, _FILE)
    last = tree.body.pop() if tree.body and isinstance(tree.body[-1], ast.Expr) else None
    exec(compile(tree, _FILE, "exec"), namespace)
    if not isinstance(last, ast.Expr):
        return None
    value = eval(compile(ast.Expression(last.value), _FILE, "eval"), namespace)
    return None if value is None else repr(value)


def _answer(request: dict[str, Any], namespace: dict[str, Any]) -> dict[str, Any]:
    try:
        shown = _execute(request["code"], namespace)
        for name in request["out"]:
            if name not in namespace:
                raise NameError(f"-o: the cell defines no variable {name!r}")
        return {"shown": shown, "values": {name: encode(name, namespace[name]) for name in request["out"]}}
    except BaseException as error:  # SystemExit and KeyboardInterrupt end the cell like any other
        trace = error.__traceback__
        while trace is not None and trace.tb_frame.f_code.co_filename != _FILE:
            trace = trace.tb_next
        lines = traceback.format_exception(type(error), error, trace)
        return {"error": f"{type(error).__name__}: {error}", "traceback": "".join(lines)}


def main() -> None:
    request = json.load(sys.stdin)
    with open(os.devnull) as nothing:  # input() in a cell finds the end of the file
        os.dup2(nothing.fileno(), 0)
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(line_buffering=True)  # lines are shown as they come
    # What the cell defines belongs to __main__, as everywhere.
    module = types.ModuleType("__main__")
    sys.modules["__main__"] = module
    vars(module).update({name: decode(name, told) for name, told in request["values"].items()})
    code = request["code"]
    linecache.cache[_FILE] = (len(code), None, code.splitlines(keepends=True), _FILE)
    with open(request["answer"], "r+") as file:  # opened first: an audit begins here
        json.dump(_answer(request, vars(module)), file)


if __name__ == "__main__":
    main()
