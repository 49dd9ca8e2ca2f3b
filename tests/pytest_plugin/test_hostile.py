"""Tests that try to harm the session that runs them, through what they send to it."""

from __future__ import annotations

import json

import pytest

from sandlock.testing.reports import RubbishError, report_of
from tests.pytest_plugin.conftest import Session

# What a hostile test has at hand: it sends whatever it likes, in the place of its reports.
EVIL = """
    import gc, json, os, sys, threading, time
    import pytest

    (CHILD,) = [one for one in gc.get_objects() if type(one).__name__ == "Child"] or [None]

    def raw(data):
        os.write(CHILD._reports.fileno(), data)

    def lines(data):
        view = memoryview(data)
        while view:
            view = view[os.write(CHILD._reports.fileno(), view) :]

    def report(nodeid, **changes):
        known = {"$report_type": "TestReport", "nodeid": nodeid, "outcome": "failed", "when": "call",
                 "longrepr": "text", "sections": [], "user_properties": [], "duration": 0, "start": 0, "stop": 0}
        return json.dumps({"report": {**known, **changes}}).encode() + b"\\n"
"""

REPORT = {
    "$report_type": "TestReport",
    **{"outcome": "failed", "when": "call", "duration": 0, "start": 0, "stop": 0},
    **{"sections": [], "user_properties": []},
}
PLACE = {"path": "p", "lineno": 1, "message": "m"}
DETAILS = {"lines": ["E   x"], "reprfuncargs": None, "reprlocals": None, "reprfileloc": PLACE, "style": "long"}


def entry(kind: str = "ReprEntry", **changes: object) -> dict[str, object]:
    return {"type": kind, "data": {**DETAILS, **changes}}


def failure(*entries: object, place: object = PLACE, **changes: object) -> dict[str, object]:
    """Return the form that pytest gives an exception."""
    traceback = {"reprentries": entries or [entry()], "extraline": None, "style": "long"}
    chain = [[traceback, place, None]]
    return {"longrepr": {"reprcrash": place, "reprtraceback": traceback, "sections": [], "chain": chain, **changes}}


@pytest.mark.parametrize(
    "changes",
    [
        {"longrepr": None},
        {"longrepr": 5},
        {"outcome": "skipped", "longrepr": "text"},
        {"outcome": "skipped", "longrepr": None},
        {"outcome": "skipped", "longrepr": ["file", "1", "reason"]},
        {"outcome": "other"},
        {"outcome": ["failed"]},
        {"when": {}},
        {"when": "collect"},
        {"duration": float("nan")},
        {"duration": 10**400},
        {"duration": True},
        {"start": 1e300},
        {"sections": [["name", "text", "more"]]},
        {"sections": [[1, 2]]},
        {"user_properties": [[1, 2]]},
        {"wasxfail": 5},
        failure(place={**PLACE, "message": 5}),
        failure(place={**PLACE, "lineno": "1"}),
        failure(place={"path": "p"}),
        failure(entry(lines=[5])),
        failure(entry(lines=None)),
        failure(entry(reprfuncargs={"args": [["name"]]})),
        failure(entry("Other")),
        failure(5),
        failure(chain=5),
        failure(chain=[[None, None, None]]),
        failure(sections=[["name", "text", ""]]),
        failure(sections=[[]]),
    ],
    ids=repr,
)
def test_what_pytest_could_not_show_is_no_report(changes: dict[str, object], request: pytest.FixtureRequest) -> None:
    """A reporter that meets it ends the session; --junitxml and -ra rely on most."""
    data = json.loads(json.dumps({**REPORT, "nodeid": request.node.nodeid, **failure(), **changes}))
    with pytest.raises(RubbishError):
        report_of(data, request.node)


def test_what_pytest_shows_is_a_report(request: pytest.FixtureRequest) -> None:
    native = {"type": "ReprEntryNative", "data": {"lines": ["\033]0;title\007\n"]}}
    data = {**REPORT, "nodeid": request.node.nodeid, **failure(entry(), native, sections=[["name", "text", "-"]])}
    report = report_of(json.loads(json.dumps(data)), request.node)
    assert report is not None
    assert {"E   x", "p:1: m", "\\x1b]0;title\\x07"} <= set(report.longreprtext.splitlines())


MESSAGES = {
    "b'[' * 100_000 + b'\\n'": "wrote something else than reports",
    "b'{\"error\": ' + b'[' * 500 + b']' * 500 + b'}\\n' + b'x\\n'": "wrote something else than reports",
    "b'\\xff\\xfe{}\\n'": "wrote something else than reports",
    'b\'{"error": "a\\\\u001b]0;title\\\\u0007b"}\\n\'': "a\\x1b]0;title\\x07b",
    "b'x' * (65 << 20)": "reported more than 64 MiB of one test",
}


def test_rubbish_fails_its_test_only(session: Session) -> None:
    done = session(
        f"""{EVIL}
    @pytest.mark.parametrize("number", range({len(MESSAGES)}))
    @pytest.mark.sandlock
    def test_evil(number):
        lines(eval({list(MESSAGES)!r}[number]))

    @pytest.mark.sandlock
    def test_good():
        pass
    """
    )
    assert "INTERNALERROR" not in done.stdout.str() + done.stderr.str()
    done.assert_outcomes(passed=1, failed=len(MESSAGES))
    for text in MESSAGES.values():
        assert text in done.stdout.str()


def test_an_interpreter_that_reads_no_more_is_late(session: Session) -> None:
    """It says that all tests are done before they are asked for: the pipe of the requests is full at some time."""
    done = session(
        f"""{EVIL}
    COUNT = 2000

    @pytest.mark.parametrize("number", range(COUNT))
    @pytest.mark.sandlock(timeout=5)
    def test_evil(request, number):
        forged = []
        for other in range(COUNT):
            nodeid = request.node.nodeid.replace(f"[{{number}}]", f"[{{other}}]")
            forged += [report(nodeid, outcome="passed", when="setup", longrepr=None), b'{{"done": 1}}\\n']
        lines(b"".join(forged))
        time.sleep(1000)
    """,
        "-x",
    )
    done.assert_outcomes(failed=1)
    done.stdout.fnmatch_lines(["no end after 5 s; the sandboxed interpreter was killed"])


def test_nothing_that_a_terminal_obeys_is_shown(session: Session) -> None:
    done = session(
        f"""{EVIL}
    TITLE = "\\033]0;title\\007"

    class Odd(Exception):
        def __str__(self):
            return TITLE + "\\x9b2J" + chr(0xDCFF)

    @pytest.mark.sandlock
    def test_raises():
        print("red: \\033[31m, moved: \\033[2A\\r")
        raise Odd

    @pytest.mark.sandlock
    def test_skips():
        pytest.skip(TITLE)

    @pytest.mark.sandlock
    def test_sends(request):
        pair = [["Captured " + TITLE, TITLE]]
        raw(report(request.node.nodeid, sections=pair, **failure))

    @pytest.mark.sandlock
    def test_writes():
        os.write(2, TITLE.encode())
        for fd in range(3, 30):
            try:
                if not os.path.samestat(os.fstat(fd), os.fstat(CHILD._reports.fileno())):
                    os.write(fd, TITLE.encode())
            except OSError:
                pass
    """,
        *("-ra", "-s", "--color=yes"),
    )
    text = done.stdout.str() + done.stderr.str()
    done.assert_outcomes(passed=1, failed=2, skipped=1)
    assert "\033]" not in text
    assert not set("\007\x9b\r") & set(text)
    assert "\\x1b]0;title\\x07" in done.stderr.str()
    assert "moved: \\x1b[2A\\r" in text
    assert "red: \033[31m" in text


def test_the_hosts_streams_are_out_of_reach(session: Session) -> None:
    """A terminal could be read and set through stderr."""
    done = session(
        """
        import os, pytest

        @pytest.mark.sandlock
        def test_descriptors():
            streams = [os.stat(name) for name in ("stdout", "stderr")]  # where they go, by pytester
            for fd in range(1000):
                try:
                    assert not any(os.path.samestat(os.fstat(fd), stream) for stream in streams)
                except OSError:
                    pass
        """,
        "-s",
    )
    done.assert_outcomes(passed=1)
