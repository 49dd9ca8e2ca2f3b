"""What a cell's interpreter answers may be anything: it is refused, or data."""

from __future__ import annotations

import json

import pytest

from sandlock.jupyter.running import CellError, _checked


def answer(told: object) -> bytes:
    return json.dumps({"shown": None, "values": {"x": told}}).encode()


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"\0" * 100,
        b"\xff\xfe",
        b"[]",
        b"5",
        b"null",
        b"{}",
        b'{"shown": null}',
        b'{"shown": null, "values": []}',
        b'{"shown": null, "values": {}}',
        b'{"error": 1}',
        b"[" * 200_000,
        b'{"shown": ' + b"[" * 200_000,
        answer({}),
        answer({"dict": [], "int": "1"}),
        answer({"__reduce__": ["os.system", ["true"]]}),
        answer({"type": "x"}),
        answer({"int": 5}),
        answer({"int": "x"}),
        answer({"bytes": "?"}),
        answer({"bytes": 5}),
        answer({"complex": [10**400, 0]}),
        answer({"complex": ["1", "2"]}),
        answer({"complex": [1]}),
        answer({"dict": [[[], 1]]}),
        answer({"dict": [1]}),
        answer({"set": [[1]]}),
        answer({"tuple": 5}),
        b'{"shown": null, "values": {"x": ' + b'{"tuple": [' * 5000 + b"]}" * 5000 + b"}}",
    ],
    ids=lambda data: repr(data[:40]),
)
def test_what_is_no_answer_is_refused(data: bytes) -> None:
    with pytest.raises(CellError):
        _checked(data, ["x"])


def test_what_is_named_otherwise_is_left_out() -> None:
    values, shown = _checked(answer({"tuple": [1, "\ud800"]}).replace(b'"x"', b'"y": 1, "x"'), ["x"])
    assert values == {"x": (1, "\ud800")}
    assert shown is None
