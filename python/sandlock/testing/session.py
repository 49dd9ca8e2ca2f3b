"""Runs the tests of a session that belong into a sandbox, in one interpreter for each policy."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from sandlock import PolicyError, Sandbox, SandlockError
from sandlock._folders import TemporaryFolder
from sandlock._printable import printable
from sandlock.audit import Audit

from .defaults import interpreter_policy
from .interpreter import Died, Interpreter
from .reports import RubbishError, report_of
from .snapshot import Snapshot, touched

__all__ = ["Policy", "RecordedByWorkers", "SandboxedTests", "policy_of"]


@dataclass(frozen=True)
class Policy:
    """What the marker says, beside the defaults."""

    net: bool = False
    readable: tuple[str, ...] = ()
    writable: tuple[str, ...] = ()


def policy_of(marker: pytest.Mark | None, root: Path) -> tuple[Policy, float | None]:
    """Return the policy of a marker, and its time limit.

    Raises:
        TypeError: an argument is unknown, or of the wrong type.
    """
    if marker is None:
        return Policy(), None
    if marker.args:
        raise TypeError(f"the sandlock marker takes keywords only, not {marker.args!r}")
    unknown = marker.kwargs.keys() - {"net", "readable", "writable", "timeout"}
    if unknown:
        raise TypeError(f"the sandlock marker takes net, readable, writable and timeout, not {', '.join(unknown)}")
    net = marker.kwargs.get("net", False)
    if not isinstance(net, bool):
        raise TypeError(f"net of the sandlock marker must be a bool, not {net!r}")
    timeout = marker.kwargs.get("timeout")
    if timeout is not None and (isinstance(timeout, bool) or not isinstance(timeout, (int, float)) or timeout <= 0):
        raise TypeError(f"timeout of the sandlock marker must be seconds, more than 0, not {timeout!r}")
    lists = {}
    for name in ("readable", "writable"):
        paths = marker.kwargs.get(name, ())
        if isinstance(paths, (str, bytes, os.PathLike)) or not hasattr(paths, "__iter__"):
            raise TypeError(f"{name} of the sandlock marker must be a list of paths, not {paths!r}")
        lists[name] = tuple(str(root / os.fspath(path)) for path in paths)
    return Policy(net, **lists), timeout


class SandboxedTests:
    """The interpreters of a session. As a plugin it runs the tests that are marked, or all with ``--sandlock``."""

    def __init__(self, config: pytest.Config) -> None:
        self._config = config
        self._interpreters: dict[Policy, Interpreter] = {}
        self._folder: TemporaryFolder | None = None
        self._started = 0
        self.recorded = Snapshot()
        check = config.option.sandlock_check
        self._known = Snapshot.load(Path(check)) if check else None

    def includes(self, item: pytest.Item) -> bool:
        option = self._config.option
        everything = option.sandlock or option.sandlock_record or option.sandlock_check
        return bool(everything or item.get_closest_marker("sandlock"))

    @pytest.hookimpl(tryfirst=True)
    def pytest_runtest_protocol(self, item: pytest.Item, nextitem: pytest.Item | None) -> bool | None:
        if not self.includes(item):
            return None
        item.ihook.pytest_runtest_logstart(nodeid=item.nodeid, location=item.location)
        for report in self._reports(item, nextitem):
            item.ihook.pytest_runtest_logreport(report=report)
        item.ihook.pytest_runtest_logfinish(nodeid=item.nodeid, location=item.location)
        return True

    def _reports(self, item: pytest.Item, nextitem: pytest.Item | None) -> list[pytest.TestReport]:
        """Run a test in its interpreter. What goes wrong with the interpreter is a failure of the test."""
        reports: list[pytest.TestReport] = []
        policy, interpreter = Policy(), None
        try:
            policy, timeout = policy_of(item.get_closest_marker("sandlock"), item.path.parent)
            interpreter = self._interpreters.get(policy) or self._start(policy, item)
            self._interpreters[policy] = interpreter
            interpreter.audit.begin_anew()
            following = self._following(item, nextitem, policy)
            for data in interpreter.run(item.nodeid, following, timeout):
                report = report_of(data, item)
                if report is not None:
                    reports.append(report)
            problem = self._compare(item, interpreter.audit)
            if not any(report.when == "setup" for report in reports):
                problem = problem or "the sandboxed interpreter reported nothing"
        except (
            Died,
            RubbishError,
            SandlockError,
            TypeError,
            pytest.fail.Exception,
        ) as error:
            # pytest-timeout fails the test out of a signal handler.
            problem = str(error)
            self._drop(policy)
        except BaseException:
            self._drop(policy)
            raise
        if problem:
            reports.append(_failure(item, problem))
        return reports

    def _following(self, item: pytest.Item, nextitem: pytest.Item | None, policy: Policy) -> str | None:
        """Return the next test of the same interpreter: what both need is kept until then."""
        if nextitem is None or not self.includes(nextitem):
            return None
        other, _ = policy_of(nextitem.get_closest_marker("sandlock"), nextitem.path.parent)
        return nextitem.nodeid if other == policy else None

    def _start(self, policy: Policy, item: pytest.Item) -> Interpreter:
        for name, paths in (("readable", policy.readable), ("writable", policy.writable)):
            for path in paths:
                if not os.path.lexists(path):
                    raise PolicyError(
                        f"{name} of the sandlock marker: {path} does not exist; make it before the tests run"
                    )
        if self._folder is None:
            self._folder = TemporaryFolder()
        self._started += 1
        place = os.path.join(self._folder.name, str(self._started))
        temporary = os.path.join(place, "tmp")
        os.makedirs(temporary)
        root = self._config.rootpath
        lists = interpreter_policy([root, self._config.invocation_params.dir, *policy.readable])
        box = Sandbox(
            fs_readable=lists["fs_readable"],
            fs_writable=[*lists["fs_writable"], place, *policy.writable],
            net_allow=["*:*"] if policy.net else [],
            env={"TMPDIR": temporary, "PYTHONDONTWRITEBYTECODE": "1"},
            cwd=self._config.invocation_params.dir,
        )
        files = list(dict.fromkeys(str(other.path) for other in item.session.items))
        return Interpreter(box, self._config, files, os.path.join(place, "pytest"))

    def _drop(self, policy: Policy) -> None:
        interpreter = self._interpreters.pop(policy, None)
        if interpreter is not None:
            interpreter.kill()

    def _compare(self, item: pytest.Item, audit: Audit) -> str | None:
        option = self._config.option
        if not (option.sandlock_record or self._known):
            return None
        if audit.more_calls:  # it stays out of the snapshot: no later check may pass because of it
            return f"what this test touches is not known: {audit.more_calls} of its calls are more than can be kept"
        places = {os.path.expanduser("~"): "$HOME", str(self._config.rootpath): "$ROOT"}
        if self._folder is not None:
            places.update({f"{self._folder.name}/{number}": "$TMP" for number in range(1, self._started + 1)})
        seen = touched(audit, places)
        self.recorded.tests[item.nodeid] = seen
        news = self._known.news(item.nodeid, seen) if self._known else []
        return "\n".join(["this is new, compared with the snapshot:", *map(printable, news)]) if news else None

    def pytest_sessionfinish(self) -> None:
        for interpreter in self._interpreters.values():
            interpreter.close()
        self._interpreters.clear()
        if self._folder is not None:
            self._folder.cleanup()
        if not (record := self._config.option.sandlock_record):
            return
        output = getattr(self._config, "workeroutput", None)  # of pytest-xdist
        if output is None:
            self.recorded.save(Path(record))
        else:
            output["sandlock"] = self.recorded.tests


class RecordedByWorkers:
    """Puts together what the workers of pytest-xdist have recorded."""

    def __init__(self, config: pytest.Config) -> None:
        self._file = Path(config.option.sandlock_record)
        self._recorded = Snapshot()

    @pytest.hookimpl(optionalhook=True)
    def pytest_testnodedown(self, node: Any) -> None:
        self._recorded.tests.update(getattr(node, "workeroutput", {}).get("sandlock", {}))

    def pytest_sessionfinish(self) -> None:
        self._recorded.save(self._file)


def _failure(item: pytest.Item, text: str) -> pytest.TestReport:
    keywords: dict[str, Any] = dict.fromkeys(item.keywords, 1)
    return pytest.TestReport(item.nodeid, item.location, keywords, "failed", text, "call")
