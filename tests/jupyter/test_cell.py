"""%%sandlock in a real kernel."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tests.jupyter.conftest import Kernel, shown
from tests.support.processes import MakeFifo, Watched

VALUES = (
    """{"a": [1, 2.5, None, True], (1, "x"): {3}, "b": b"\\x00\\xff", "c": 1j, "n": 10**5000, "f": frozenset([()])}"""
)


def test_values_go_in_and_out(kernel: Kernel) -> None:
    kernel.text(f"value = {VALUES}")
    assert kernel.text("%%sandlock -i value -o copy,kinds\ncopy = value\nkinds = str(type(value[(1, 'x')]))") == ""
    assert kernel.text("print(copy == value, copy is value, kinds)") == "True False <class 'set'>\n"


def test_last_expression_and_streams(kernel: Kernel) -> None:
    outputs = kernel.run("%%sandlock\nimport os, sys\nprint('out')\nprint('err', file=sys.stderr)\nos.listdir()")
    found = {(output.output_type, output.get("name")): shown(output) for output in outputs}
    assert found == {("stream", "stdout"): "out\n", ("stream", "stderr"): "err\n", ("execute_result", None): "[]"}


def test_error_fails_the_cell_with_its_own_traceback(kernel: Kernel) -> None:
    (output,) = kernel.run("%%sandlock\ndef f():\n    raise OSError('abc')\nf()")
    assert (output.ename, output.evalue) == ("CellError", "OSError: abc")
    text = "\n".join(output.traceback)
    assert text.startswith("Traceback")
    assert 'File "<cell>", line 2, in f' in text
    assert "raise OSError('abc')" in text
    assert "sandlock" not in text


def test_text_that_is_no_utf8_is_written_out(kernel: Kernel) -> None:
    cell = """%%sandlock
import sys
class Odd:
    def __repr__(self):
        return chr(0xDCFF) + "<b>"
sys.stdout.buffer.write(bytes([255]))
Odd()"""
    texts = [shown(output) for output in kernel.run(cell)]
    assert texts == ["\ufffd", "\\udcff<b>"]


@pytest.mark.parametrize(
    ("cell", "message"),
    [
        ("%%sandlock -i nothing\n1", "the notebook has no variable 'nothing'"),
        ("%%sandlock --help\n1", "--help; %%sandlock? shows what it takes"),
        ("%%sandlock -r 'a\n1", "No closing quotation; %%sandlock? shows"),
        ("%%sandlock -o nothing\n1", "the cell defines no variable 'nothing'"),
        ("%%sandlock -o made\nclass A: pass\nmade = [A()]", "variable 'made': a __main__.A cannot pass"),
        (
            "import io\nget_ipython().run_cell_magic('sandlock', '-i io', '1')",
            "variable 'io': a module cannot pass",
        ),
        ("%%sandlock --net nonsense:rule:\n1", "net_allow"),
        ("%%sandlock --timeout 0.5\nimport time\ntime.sleep(1000)", "was killed when its time was over"),
        ("%%sandlock\nimport os\nos._exit(3)", "exited with status 3"),
        ("%%sandlock -o x\nx = bytes(60 << 20)", "more than 64 MiB"),
    ],
)
def test_what_fails_says_why(kernel: Kernel, cell: str, message: str) -> None:
    assert message in kernel.text(cell)


def test_files_are_those_that_are_granted(kernel: Kernel, tmp_path: Path) -> None:
    (tmp_path / "secret").write_text("abc")
    folder = f"import pathlib\nfolder = pathlib.Path('{tmp_path}')\n"
    assert "PermissionError" in kernel.text(f"%%sandlock\n{folder}(folder / 'secret').read_text()")
    assert kernel.text(f"%%sandlock -r {tmp_path}\n{folder}(folder / 'secret').read_text()") == "'abc'"
    kernel.text(f"%%sandlock -w {tmp_path}\n{folder}(folder / 'made').write_text('def')")
    assert (tmp_path / "made").read_text() == "def"


def test_answer_that_the_cell_forges_is_data(kernel: Kernel) -> None:
    forged = """%%sandlock -o x
import os
x = 1
name = os.path.join(os.path.dirname(os.getcwd()), "answer")
open(name, "w").write('{"shown": null, "values": {"x": {"__reduce__": [1]}, "other": 1}}')
os._exit(0)
"""
    assert "variable 'x' came back malformed" in kernel.text(forged)
    assert kernel.text("print('other' in globals())") == "False\n"


def test_interrupt_reaches_the_cell_and_not_the_kernel(kernel: Kernel, make_fifo: MakeFifo) -> None:
    started = make_fifo("started")
    code = f"%%sandlock -w {started.path}\nimport subprocess\n" + (
        f"subprocess.run(['sh', '-c', 'echo $$ > {started.path}; exec sleep 1000'])"
    )
    kernel.text("kept = 7")
    (output,) = kernel.interrupt(code, [started.line])
    assert output.evalue.startswith("KeyboardInterrupt")
    assert kernel.text("kept") == "7"


def test_second_interrupt_kills_the_whole_tree(kernel: Kernel, make_fifo: MakeFifo) -> None:
    told = make_fifo("told")
    code = f"""%%sandlock -w {told.path}
import os, signal, time
told = open({str(told.path)!r}, "w", buffering=1)
if not os.fork():  # out of reach of Ctrl-C
    os.setsid()
    print(os.getpid(), file=told)
    signal.pause()
while True:
    try:
        time.sleep(1000)
    except KeyboardInterrupt:
        print("asked", file=told)
"""
    watched: list[Watched] = []
    (output,) = kernel.interrupt(code, [lambda: watched.append(Watched(int(told.line()))), told.line])
    assert output.evalue == "the sandboxed interpreter was killed by sandlock"
    with watched[0] as daemon:
        assert daemon.gone()


def test_long_run_tells_its_time(kernel: Kernel, make_fifo: MakeFifo, monkeypatch: pytest.MonkeyPatch) -> None:
    go = make_fifo("go")
    seen: list[str] = []

    def react(text: str) -> None:
        seen.append(text)
        if len(seen) == 2:  # an update: without it the cell does not end
            go.release()

    kernel.on_update(monkeypatch, react)
    kernel.text("import sandlock.jupyter.progress\nsandlock.jupyter.progress._LONG = 0.1")
    cell = f"print('out')\nwith open({str(go.path)!r}) as go:\n    line = go.readline()\nlen(line)"
    outputs = kernel.run(f"%%sandlock -r {go.path} --timeout 70\n{cell}")
    assert re.fullmatch(r"running for \d+ s of at most 70 s", seen[0])
    assert seen[1] != seen[0]
    assert seen[-1] == "", "the line does not stay between those of the output"
    assert [text for text in map(shown, outputs) if text] == ["out\n", "1"]


def test_audit_shows_what_the_cell_does(kernel: Kernel, tmp_path: Path) -> None:
    (tmp_path / "input").write_text("abc")
    cell = f"with open('{tmp_path}/input') as file:\n    text = file.read()\ntext"
    outputs = kernel.run(f"%%sandlock --audit -r {tmp_path}\n{cell}")
    table, result = map(shown, outputs)
    assert result == "'abc'"
    assert re.fullmatch(rf"\d+ calls?, the command exited with status 0\n  opened  {tmp_path}/input(\n .*)*", table), (
        "what the interpreter did before is not the cell's"
    )
