"""Whole suites in a sandbox, what they touch, and other plugins."""

from __future__ import annotations

import json

import pytest

from tests.pytest_plugin.conftest import Session

SUITE = """
    import os, pathlib, pytest

    def test_reads(request):
        (request.config.rootpath / "data.txt").read_text()

    def test_writes(tmp_path):
        (tmp_path / "file").write_text("abc")

    def test_is_refused():
        with pytest.raises(PermissionError):
            pathlib.Path(__file__).write_text("")
"""


def test_every_test(session: Session, pytester: pytest.Pytester) -> None:
    pytester.maketxtfile(data="abc")
    session(SUITE).assert_outcomes(passed=2, failed=1)
    pytester.maketxtfile(data="abc")
    session(SUITE, "--sandlock").assert_outcomes(passed=3)


def test_options_of_the_file(session: Session, pytester: pytest.Pytester) -> None:
    """Those of other plugins are known in the sandbox, and warnings that are errors there find none of ours."""
    options = {
        "addopts": "-ra -l --strict-markers",
        "filterwarnings": "error::pytest.PytestAssertRewriteWarning",
        "xfail_strict": "true",
    }
    done = session("def test_passes(): pass", "--sandlock", ini=options)
    done.assert_outcomes(passed=1)


def test_snapshot(session: Session, pytester: pytest.Pytester) -> None:
    pytester.maketxtfile(data="abc", other="abc")
    snapshot = pytester.path / "touched.json"
    session(SUITE, f"--sandlock-record={snapshot}").assert_outcomes(passed=3)
    recorded = json.loads(snapshot.read_text())
    assert recorded["test_it.py::test_reads"] == {"opened": ["$ROOT/data.txt"]}
    assert recorded["test_it.py::test_writes"] == {"opened": ["$TMP/pytest/test_writes0/file"]}
    session(SUITE, f"--sandlock-check={snapshot}").assert_outcomes(passed=3)

    done = session(SUITE.replace("data.txt", "other.txt"), f"--sandlock-check={snapshot}")
    done.assert_outcomes(passed=3, failed=1)
    done.stdout.fnmatch_lines(["this is new, compared with the snapshot:", "opened $ROOT/other.txt"])


def test_a_test_that_is_not_in_the_snapshot(session: Session, pytester: pytest.Pytester) -> None:
    snapshot = pytester.path / "touched.json"
    snapshot.write_text("{}")
    done = session("def test_new(): pass", f"--sandlock-check={snapshot}")
    done.stdout.fnmatch_lines(["test_it.py::test_new is not in the snapshot"])


@pytest.mark.parametrize("text", [None, "[]", "{"])
def test_a_snapshot_that_is_none(session: Session, pytester: pytest.Pytester, text: str | None) -> None:
    snapshot = pytester.path / "touched.json"
    if text is not None:
        snapshot.write_text(text)
    done = session("def test_it(): pass", f"--sandlock-check={snapshot}")
    assert done.ret == pytest.ExitCode.USAGE_ERROR
    done.stderr.fnmatch_lines([f"ERROR: --sandlock-check: *{snapshot}*"])


@pytest.mark.parametrize("options", [(), ("-n2",)], ids=["alone", "xdist"])
def test_a_record_that_cannot_be_written(session: Session, pytester: pytest.Pytester, options: tuple[str, ...]) -> None:
    """It is said before the tests run."""
    done = session("def test_it(): open('ran', 'w')", f"--sandlock-record={pytester.path}/none/touched.json", *options)
    assert done.ret == pytest.ExitCode.USAGE_ERROR
    done.stderr.fnmatch_lines(["ERROR: --sandlock-record: */none/touched.json cannot be written: No such file *"])
    assert not (pytester.path / "ran").exists()


def test_a_test_with_more_calls_than_are_kept(session: Session, pytester: pytest.Pytester) -> None:
    """It fails when it is recorded, is not in the snapshot, and fails when it is compared."""
    pytester.makeconftest("import sandlock.audit\nsandlock.audit._MOST = 50_000")
    suite = """
        import os

        def test_few(): pass

        def test_many():
            for number in range(200):
                os.access("/none", os.F_OK)

        def test_few_again(): pass
    """
    snapshot = pytester.path / "touched.json"
    done = session(suite, f"--sandlock-record={snapshot}")
    done.assert_outcomes(passed=3, failed=1)
    done.stdout.fnmatch_lines(["what this test touches is not known: * of its calls are more than can be kept"])
    recorded = json.loads(snapshot.read_text())
    assert sorted(recorded) == ["test_it.py::test_few", "test_it.py::test_few_again"]
    snapshot.write_text(json.dumps({**recorded, "test_it.py::test_many": {}}))
    session(suite, f"--sandlock-check={snapshot}").assert_outcomes(passed=3, failed=1)


def test_with_xdist(session: Session, pytester: pytest.Pytester) -> None:
    pytester.maketxtfile(data="abc")
    snapshot = pytester.path / "touched.json"
    session(SUITE, "-n2", f"--sandlock-record={snapshot}").assert_outcomes(passed=3)
    assert len(json.loads(snapshot.read_text())) == 3


def test_with_asyncio(session: Session) -> None:
    done = session(
        """
        import asyncio, pytest

        @pytest.mark.asyncio
        @pytest.mark.sandlock
        async def test_passes():
            await asyncio.sleep(0)

        @pytest.mark.asyncio
        @pytest.mark.sandlock
        async def test_fails():
            await asyncio.sleep(0)
            assert False
        """
    )
    done.assert_outcomes(passed=1, failed=1)


@pytest.mark.parametrize("method", ["signal", "thread"])
def test_with_timeout(session: Session, method: str) -> None:
    done = session(
        f"""
        import pytest, time

        @pytest.mark.timeout(1, method={method!r})
        @pytest.mark.sandlock
        def test_hangs():
            time.sleep(1000)

        def test_afterwards():
            pass
        """
    )
    if method == "thread":  # pytest-timeout ends the whole session then, as it does without a sandbox
        assert "Timeout" in done.stdout.str()
        return
    done.assert_outcomes(passed=1, failed=1)
    done.stdout.fnmatch_lines(["*Timeout*"])
