"""Arguments arrive as they were given, byte by byte."""

from __future__ import annotations

from pathlib import Path

import pytest

from sandlock import Sandbox

# argv[0] of printf is not printed; "--" ends its options.
PRINT = ["printf", "%s\\0", "--"]


@pytest.mark.parametrize(
    "arguments",
    [
        [""],
        ["", ""],
        [" ", "\t", "\n", "'", '"', "\\", "$HOME", "*", "-x", "--"],
        ["ä", "日本", "\U0001f600", "\u0080", "\u00ff"],
        ["x" * (100 << 10)],
        ["x" * 1000] * 1000,
    ],
    ids=["empty", "two empty", "special characters", "unicode", "100 KiB", "many"],
)
def test_text(box: Sandbox, arguments: list[str]) -> None:
    result = box.run([*PRINT, *arguments])
    assert result.stdout == b"--\0" + b"".join(argument.encode() + b"\0" for argument in arguments)


def test_every_byte(box: Sandbox) -> None:
    argument = bytes(range(1, 256))
    assert box.run(["printf", "%s", argument]).stdout == argument


def test_surrogates_are_the_bytes_that_they_stand_for(box: Sandbox) -> None:
    assert box.run(["printf", "%s", "\udcff\udc80"]).stdout == b"\xff\x80"


def test_kinds_of_arguments_and_of_lists(box: Sandbox) -> None:
    assert box.run(("printf", b"%s", Path("/a/b"))).stdout == b"/a/b"


def test_program_sees_the_name_it_was_called_by(box: Sandbox) -> None:
    assert box.run(["sh", "-c", 'echo "$0"', "another"]).stdout == b"another\n"
    assert box.run(["/bin/sh", "-c", 'echo "$0"']).stdout == b"/bin/sh\n"
