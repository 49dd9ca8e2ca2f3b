"""Sources that one consumer reads by name."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import pytest

import sandlock
from sandlock import Gather, GatherPipeline, PolicyError, Result, Sandbox
from tests.support.processes import PATIENCE, run_host
from tests.support.sandboxes import PYTHON_PATHS, tool_sandbox


def consume(box: Sandbox, *command: str) -> Result:
    """Run a consumer of three sources."""
    sources = (
        box.cmd(["printf", "one\\r\\n"]).as_("first")
        + box.cmd(["printf", "\\377two"]).as_("second one")
        + box.cmd(["echo", "three"]).as_("last")
    )
    return (sources | box.cmd(command)).run(PATIENCE)


def test_descriptors_and_the_variable(box: Sandbox) -> None:
    result = consume(box, "sh", "-c", 'echo "$_SANDLOCK_GATHER"; cat <&3; cat <&4; cat')
    assert result.stdout == b"first:3,second one:4,last:0\none\r\n\xfftwothree\n"


def test_nothing_else_is_open() -> None:
    box = tool_sandbox(["/proc"])
    assert consume(box, "ls", "/proc/self/fd").stdout == b"0\n1\n2\n3\n4\n5\n"  # 5 is the listing itself


@pytest.fixture
def python() -> Sandbox:
    path = str(Path(sandlock.__file__).parents[1])
    return tool_sandbox([*PYTHON_PATHS, path], env={"PYTHONPATH": path, "PYTHONDONTWRITEBYTECODE": "1"})


CONSUMER = """
import os, sys
{imports}
assert list(inputs) == ["first", "second one", "last"]
assert inputs["last"] == inputs["last"] == "three\\n"
assert os.fsencode(inputs["second one"]) == b"\\xfftwo"
assert inputs["first"] == "one\\r\\n"
assert "first" in inputs and "nosuch" not in inputs
assert dict(inputs)["last"] == "three\\n"
try:
    inputs["nosuch"]
except KeyError as error:
    print(error)
"""


@pytest.mark.parametrize(
    "imports",
    [
        "from sandlock import inputs",
        "import sandlock.inputs; inputs = sandlock.inputs",
        "from sandlock.inputs import inputs",
    ],
)
def test_inputs_by_name(python: Sandbox, imports: str) -> None:
    result = consume(python, sys.executable, "-c", CONSUMER.format(imports=imports))
    assert result.stderr == b""
    assert result.stdout == b"\"no input 'nosuch'; there are 'first', 'second one', 'last'\"\n"


def test_outside_of_a_gather() -> None:
    assert dict(sandlock.inputs) == {}
    with pytest.raises(KeyError, match="no consumer of a gather"):
        sandlock.inputs["x"]
    done = run_host("import sys, sandlock.inputs; print(len(sandlock.inputs), 'sandlock._run' in sys.modules)")
    assert done.stdout == "0 False\n", done.stderr


def test_a_source_that_nobody_reads_ends() -> None:
    box = tool_sandbox(["/dev/zero"])
    sources = box.cmd(["cat", "/dev/zero"]).as_("endless") + box.cmd(["echo"]).as_("last")
    assert (sources | box.cmd(["true"])).run(PATIENCE).success


def test_sources_in_any_order() -> None:
    box = tool_sandbox(["/dev/zero"])
    sources = [(name, box.cmd(["head", "-c", "1000000", "/dev/zero"])) for name in ("a", "b", "c")]
    consumer = box.cmd(["sh", "-c", "wc -c; wc -c <&4; wc -c <&3"])
    assert GatherPipeline(sources, consumer).run(PATIENCE).stdout == b"1000000\n" * 3


def test_what_it_is_made_of(box: Sandbox) -> None:
    stage = box.cmd(["true"])
    named = stage.as_("a")
    gather = named + stage.as_("b") + stage.as_("c")
    assert (named.stage, named.name) == (stage, "a")
    assert gather.sources == [("a", stage), ("b", stage), ("c", stage)]
    pipeline = gather | stage
    assert (pipeline.sources, pipeline.consumer) == (gather.sources, stage)


@pytest.mark.parametrize(
    ("name", "error"),
    [
        ("", ValueError),
        ("a,b", ValueError),
        ("a:b", ValueError),
        ("a\0", ValueError),
        (b"a", TypeError),
        (1, TypeError),
    ],
)
def test_wrong_names(box: Sandbox, name: Any, error: type[Exception]) -> None:
    with pytest.raises(error, match="name"):
        box.cmd(["true"]).as_(name)


def test_gathers_of_gathers(box: Sandbox) -> None:
    a, b, c, d = (box.cmd(["echo", name]).as_(name) for name in "abcd")
    together = a + b + c + d
    assert ((a + b) + (c + d), a + (b + (c + d))) == (together, together)
    with pytest.raises(ValueError, match="'a' is given to two sources"):
        (a + b) + (c + a)


def test_wrong_gathers(box: Sandbox) -> None:
    stage: Any = box.cmd(["true"])
    with pytest.raises(ValueError, match="'a' is given to two sources"):
        stage.as_("a") + stage.as_("a")
    with pytest.raises(TypeError, match="a stage must be"):
        Gather([("a", "true")])  # type: ignore[list-item]
    with pytest.raises(ValueError, match="sources: the list is empty"):
        GatherPipeline([], stage)
    with pytest.raises(TypeError):
        stage.as_("a") + stage.as_("b") | "cat"
    with pytest.raises(TypeError):
        stage.as_("a") | stage
    with pytest.raises(PolicyError, match="is no mapping of names"):
        (stage.as_("a") + stage.as_("b") | tool_sandbox(env=3).cmd(["true"])).run()
