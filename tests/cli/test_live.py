"""The lines below the output of a command that is observed, while it runs."""

from __future__ import annotations

import random
import re

import pytest

from sandlock._footer import Footer
from tests.support.terminals import Screen

_MAIN = "import sys; from sandlock.cli import main; sys.exit(main(sys.argv[1:]))"
_WITHOUT_RICH = f"import sys; sys.modules['rich'] = None; {_MAIN}"
_SCRIPT = "echo one; read x; printf prompt; read x; echo two"


def emulate(data: bytes) -> list[str]:
    """Return the lines of a terminal that knows what a footer, and these tests, write."""
    lines, row, column = [""], 0, 0
    for part in re.findall(r"\x1b\[[0-9;]*[A-Za-z]|[\r\n]|[^\x1b\r\n]+", data.decode()):
        if part == "\r":
            column = 0
        elif part == "\n":
            row += 1
            lines += [""] * (row + 1 - len(lines))
        elif part.endswith("A"):
            row -= int(part[2:-1])
        elif part.endswith("J"):
            lines[row:] = [lines[row][:column]]
        elif not part.startswith("\x1b"):
            before = lines[row].ljust(column)
            lines[row] = before[:column] + part + before[column + len(part) :]
            column += len(part)
    return lines


@pytest.mark.parametrize("seed", range(20))
def test_the_output_is_as_without_them(seed: int) -> None:
    chance = random.Random(seed)
    footer = Footer(lambda columns: [f"footer {n}" for n in range(chance.randint(1, 4))])
    pieces = [chance.choice([b"text", b"line\r\n", b"\r", b"\x1b[31mred\x1b[0m", b"\r\n\r\n"]) for _ in range(50)]
    written = b""
    for piece in pieces:
        written += footer.above(piece)
        drawn = footer.shown(80)
        written += drawn
        assert bool(drawn) == piece.endswith(b"\n")
        if drawn:
            assert emulate(written)[-1].startswith("footer")
    assert emulate(written + footer.hidden()) == emulate(b"".join(pieces))


@pytest.mark.parametrize("sequence", [b"\x1b[2A", b"\x1b[H", b"\x1b7", b"\x1b[?1049h", b"\x0c"])
def test_what_draws_the_screen_itself_is_left_alone(sequence: bytes) -> None:
    for cut in range(1, len(sequence) + 1):
        footer = Footer(lambda columns: ["footer"])
        footer.above(sequence[:cut])
        footer.above(sequence[cut:] + b"\r\n")
        assert footer.shown(80) == b""


@pytest.mark.parametrize("sequence", [b"\x1b[1;31m", b"\x1b[K", b"\x1b]0;title\x07"])
def test_colours_and_titles_do_not_matter(sequence: bytes) -> None:
    for cut in range(1, len(sequence) + 1):
        footer = Footer(lambda columns: ["footer"])
        footer.above(sequence[:cut])
        footer.above(sequence[cut:] + b"\r\n")
        assert footer.shown(80) == b"footer"


@pytest.mark.parametrize("host", [_MAIN, _WITHOUT_RICH], ids=["rich", "plain"])
def test_on_a_terminal(host: str) -> None:
    if host == _MAIN:
        pytest.importorskip("rich", reason="rich, of the extra sandlock[cli], is not installed")
    with Screen(host, "audit", "--", "sh", "-c", _SCRIPT) as screen:
        screen.expect("one\r\n")
        screen.expect("sandlock: ")
        screen.type("\n")
        screen.expect("prompt")
        screen.type("\n")
        screen.expect("two\r\n")
        screen.expect("the command exited with status 0; ")
        assert screen.end() == 0


@pytest.mark.parametrize("host", [_MAIN, _WITHOUT_RICH], ids=["rich", "plain"])
@pytest.mark.parametrize("variables", [{}, {"NO_COLOR": "1"}], ids=["colours", "NO_COLOR"])
def test_colours(host: str, variables: dict[str, str]) -> None:
    if host == _MAIN:
        pytest.importorskip("rich", reason="rich, of the extra sandlock[cli], is not installed")
    setting = f"import os; os.environ.update({variables!r}, TERM='xterm'); {host}"
    with Screen(setting, "profile", "list") as screen:
        assert screen.end() == 0
        assert b"NAME" in screen.seen
        assert (b"\x1b[1;36m" in screen.seen) == (host == _MAIN and not variables)
        assert (b"\x1b" in screen.seen) == (host == _MAIN)
