"""The CPUs of a command, and what it sees of them."""

from __future__ import annotations

import json
import os
import sys
from typing import Any

import pytest

from sandlock import PolicyError, Sandbox
from tests.support.processes import run_host
from tests.support.sandboxes import PYTHON_PATHS, tool_sandbox

HOST = sorted(os.sched_getaffinity(0))


def python_in(box: Sandbox, script: str) -> object:
    box.fs_readable = [*box.fs_readable, *PYTHON_PATHS]
    result = box.run([sys.executable, "-c", script], check=True)
    return json.loads(result.stdout)


@pytest.mark.parametrize(
    ("fields", "cpus"),
    [
        ({}, HOST),
        ({"cpu_cores": HOST[-1:]}, HOST[-1:]),
        ({"cpu_cores": HOST[::-1]}, HOST),
        ({"num_cpus": 1}, HOST[:1]),
        ({"cpu_cores": HOST[::-1], "num_cpus": 1}, HOST[-1:]),
        ({"num_cpus": 10_000}, HOST),
    ],
)
def test_affinity_is_what_the_command_sees(fields: dict[str, Any], cpus: list[int]) -> None:
    script = "import os, json; print(json.dumps([sorted(os.sched_getaffinity(0)), os.cpu_count()]))"
    box = tool_sandbox(**fields)
    assert python_in(box, script) == [cpus, len(cpus)]
    assert int(box.run(["nproc"], check=True).stdout) == len(cpus)


@pytest.mark.parametrize("fields", [{"cpu_cores": HOST[:1]}, {"num_cpus": 1}])
def test_neither_the_command_nor_its_children_change_it(fields: dict[str, Any]) -> None:
    script = f"""
import json, os
def attempt():
    try:
        os.sched_setaffinity(0, {HOST})
    except PermissionError:
        pass
    return sorted(os.sched_getaffinity(0))
own = attempt()
r, w = os.pipe()
if os.fork() == 0:
    os.write(w, json.dumps(attempt()).encode())
    os._exit(0)
os.wait()
print(json.dumps([own, json.loads(os.read(r, 100))]))
"""
    assert python_in(tool_sandbox(**fields), script) == [HOST[:1], HOST[:1]]


def test_without_the_limits_the_command_may_change_it() -> None:
    script = f"import os, json; os.sched_setaffinity(0, {HOST[:1]}); print(json.dumps(sorted(os.sched_getaffinity(0))))"
    assert python_in(tool_sandbox(), script) == HOST[:1]


def test_the_hosts_affinity_is_a_ceiling_and_stays() -> None:
    script = """
        import os
        from tests.support.sandboxes import tool_sandbox
        first, *rest = sorted(os.sched_getaffinity(0))
        os.sched_setaffinity(0, [first])
        print(tool_sandbox(num_cpus=2).run(["nproc"]).stdout, os.sched_getaffinity(0) == {first})
        try:
            tool_sandbox(cpu_cores=[1000]).run(["nproc"])
        except ValueError as error:
            print(error)
    """
    done = run_host(script)
    want = f"cpu_cores: 1000 is no CPU that the host may use; it may use [{HOST[0]}], see sched_getaffinity(2)"
    assert done.stdout.splitlines() == [r"b'1\n' True", want], done.stderr


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"cpu_cores": []}, "names no CPU"),
        ({"cpu_cores": 1}, "write a list of whole numbers"),
        ({"cpu_cores": "0-3"}, "write a list of whole numbers"),
        ({"cpu_cores": [-1]}, "numbered from 0"),
        ({"cpu_cores": [1.5]}, "every entry of the list is a whole number"),
        ({"cpu_cores": [True]}, "every entry of the list is a whole number"),
        ({"cpu_cores": [object()]}, "write numbers"),
        ({"num_cpus": 0}, "write 1 or more"),
        ({"num_cpus": -1}, "write a positive number"),
        ({"num_cpus": "2"}, "write a whole number"),
        ({"num_cpus": float("inf")}, "write numbers"),
        ({"num_cpus": 2**70}, "write a whole number"),
    ],
)
def test_wrong_values_name_field_and_way_out(fields: dict[str, Any], message: str) -> None:
    with pytest.raises(PolicyError) as caught:
        tool_sandbox(**fields).run(["true"])
    (field,) = fields
    assert str(caught.value).startswith(field)
    assert message in str(caught.value)


def test_result_says_what_enforces_a_limit() -> None:
    assert tool_sandbox().run(["true"]).limits == {}
    limited = tool_sandbox(num_cpus=1, cpu_cores=HOST, max_open_files=64).run(["true"])
    assert limited.limits == {"num_cpus": "affinity", "cpu_cores": "affinity", "max_open_files": "rlimit"}
