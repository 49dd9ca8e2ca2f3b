"""Tests that run in a sandboxed interpreter report as if they ran here."""

from __future__ import annotations

import pytest

from tests.pytest_plugin.conftest import Session


def test_outcomes(session: Session) -> None:
    done = session(
        """
        import pytest

        pytestmark = pytest.mark.sandlock

        def test_passes(tmp_path):
            (tmp_path / "file").write_text("abc")

        def test_fails():
            print("seen before")
            assert 1 + 1 == 3, "arithmetic"

        def test_is_skipped():
            pytest.skip("for a reason")

        @pytest.mark.xfail
        def test_is_expected_to_fail():
            assert False

        @pytest.fixture
        def broken():
            raise LookupError("in a fixture")

        def test_has_no_fixture(broken):
            pass

        @pytest.mark.parametrize("number", [1, 2])
        def test_numbers(number):
            assert number
        """,
        "-rs",
    )
    done.assert_outcomes(passed=3, failed=1, skipped=1, xfailed=1, errors=1)
    done.stdout.fnmatch_lines(
        ["*LookupError: in a fixture", "*AssertionError: arithmetic", "*seen before", "*SKIPPED*for a reason"]
    )


def test_confined(session: Session, tmp_path_factory: pytest.TempPathFactory) -> None:
    outside = tmp_path_factory.mktemp("outside")
    done = session(
        f"""
        import os, pathlib, pytest, socket

        outside = pathlib.Path({str(outside)!r})

        @pytest.mark.sandlock
        def test_files():
            with pytest.raises(PermissionError):
                (outside / "file").write_text("abc")
            with pytest.raises(PermissionError):
                os.listdir(outside)

        @pytest.mark.sandlock
        def test_network():
            with pytest.raises(PermissionError):
                socket.create_connection(("127.0.0.1", 9), 1)

        @pytest.mark.sandlock(net=True)
        def test_network_that_is_granted():
            with pytest.raises(ConnectionRefusedError):
                socket.create_connection(("127.0.0.1", 9), 1)

        @pytest.mark.sandlock(writable=[outside])
        def test_folder_that_is_granted():
            (outside / "file").write_text("abc")

        def test_here():
            assert (outside / "file").read_text() == "abc"
        """
    )
    done.assert_outcomes(passed=5)


def test_fixtures_are_shared_within_the_interpreter(session: Session) -> None:
    done = session(
        """
        import os, pytest

        pytestmark = pytest.mark.sandlock
        made = []

        @pytest.fixture(scope="module")
        def once():
            made.append(os.getpid())
            yield
            made.clear()

        def test_first(once):
            assert made == [os.getpid()]

        def test_second(once):
            assert made == [os.getpid()]
        """
    )
    done.assert_outcomes(passed=2)


def test_time_limit(session: Session) -> None:
    done = session(
        """
        import pytest, time

        @pytest.mark.sandlock(timeout=1)
        def test_hangs():
            time.sleep(1000)

        @pytest.mark.sandlock
        def test_afterwards():
            pass
        """
    )
    done.assert_outcomes(passed=1, failed=1)
    done.stdout.fnmatch_lines(["no end after 1 s; the sandboxed interpreter was killed"])


def test_interpreter_that_dies(session: Session) -> None:
    done = session(
        """
        import os, pytest

        pytestmark = pytest.mark.sandlock

        def test_aborts():
            os.abort()

        def test_exits():
            os._exit(3)

        def test_afterwards():
            pass
        """
    )
    done.assert_outcomes(passed=1, failed=2)
    done.stdout.fnmatch_lines(
        ["the sandboxed interpreter died of signal 6", "the sandboxed interpreter has exited with code 3"]
    )


def test_reports_cannot_be_forged_for_other_tests(session: Session) -> None:
    done = session(
        """
        import gc, json, pytest

        @pytest.mark.sandlock
        def test_evil(request):
            (child,) = [one for one in gc.get_objects() if type(one).__name__ == "Child"]
            report = child._config.hook.pytest_report_to_serializable(config=child._config, report=pytest.TestReport(
                "test_it.py::test_good", ("test_it.py", 1, "test_good"), {}, "passed", None, "call"))
            child._send(report=report)

        def test_good():
            assert False
        """
    )
    done.assert_outcomes(passed=1, failed=1)


def test_rubbish_instead_of_reports(session: Session) -> None:
    done = session(
        """
        import gc, pytest

        @pytest.mark.sandlock
        def test_evil():
            (child,) = [one for one in gc.get_objects() if type(one).__name__ == "Child"]
            child._reports.write("rubbish\\\\n")
            child._reports.flush()
        """
    )
    done.assert_outcomes(failed=1)
    done.stdout.fnmatch_lines(["the sandboxed interpreter wrote something else than reports"])


CHANGES = [
    "outcome='lost'",
    "when=3",
    "longrepr=[1, 2]",
    "sections=3",
    "duration='long'",
    "longrepr={'reprcrash': 3, 'reprtraceback': 4}",
]


def test_reports_that_cannot_be_shown(session: Session) -> None:
    changes = ", ".join(f"dict({change})" for change in CHANGES)
    done = session(
        f"""
        import gc, pytest

        @pytest.mark.parametrize("change", [{changes}])
        @pytest.mark.sandlock
        def test_evil(request, change):
            (child,) = [one for one in gc.get_objects() if type(one).__name__ == "Child"]
            report = dict.fromkeys(["outcome", "when", "longrepr"], "failed")
            child._send(report={{**report, "$report_type": "TestReport", "nodeid": request.node.nodeid, "when": "call",
                                "sections": [], "user_properties": [], "duration": 0, "start": 0, "stop": 0,
                                **change}})

        def test_good():
            pass
        """
    )
    done.assert_outcomes(passed=1, failed=len(CHANGES))


WRONG = {
    "True": "the sandlock marker takes keywords only, not (True,)",
    "network=True": "the sandlock marker takes net, readable, writable and timeout, not network",
    "net=1": "net of the sandlock marker must be a bool, not 1",
    "writable='/tmp'": "writable of the sandlock marker must be a list of paths, not '/tmp'",
    "timeout=0": "timeout of the sandlock marker must be seconds, more than 0, not 0",
}


def test_policy_that_no_sandbox_can_have(session: Session) -> None:
    """It fails the test that asks for it, and not the session."""
    done = session(
        """
        import pytest

        @pytest.mark.sandlock(writable=["missing"])
        def test_never_runs():
            pass

        @pytest.mark.sandlock
        def test_afterwards():
            pass
        """
    )
    done.assert_outcomes(passed=1, failed=1)
    done.stdout.fnmatch_lines(
        ["writable of the sandlock marker: */missing does not exist; make it before the tests run"]
    )


def test_wrong_marker(session: Session) -> None:
    tests = [f"@pytest.mark.sandlock({arguments})\ndef test_{n}(): pass" for n, arguments in enumerate(WRONG)]
    done = session("\n".join(["import pytest", *tests]))
    done.assert_outcomes(failed=len(WRONG))
    for error in WRONG.values():
        assert error in done.outlines
