"""The sandboxed side, a program: a pytest session that runs the tests that it is asked for.

Requests are lines of JSON on stdin, and so are the reports on stdout. Nothing here is trusted by the other side.
"""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Iterator
from typing import Any, TextIO

import pytest


class Child:
    """The plugin that takes the place of pytest's loop over all tests."""

    __name__ = "sandlock-child"  # the name under which pytest registers it

    def __init__(self, requests: TextIO, reports: TextIO, options: dict[str, Any]) -> None:
        self._requests = requests
        self._reports = reports
        self._options = options
        self._stdout = sys.stdout

    @pytest.hookimpl(tryfirst=True)
    def pytest_configure(self, config: pytest.Config) -> None:
        """Take over the options, before other plugins look at them."""
        vars(config.option).update(self._options)

    def pytest_runtestloop(self, session: pytest.Session) -> bool:
        items = {item.nodeid: item for item in session.items}
        self._send(ready=True)
        for request in self._received():
            item = items.get(request["run"])
            if item is None:
                self._send(error=f"the sandboxed interpreter has not collected {request['run']}")
                continue
            item.config.hook.pytest_runtest_protocol(item=item, nextitem=items.get(request["next"]))
            self._send(done=item.nodeid)
        return True

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        self._send(report=self._config.hook.pytest_report_to_serializable(config=self._config, report=report))

    def pytest_collectreport(self, report: pytest.CollectReport) -> None:
        if report.failed:
            self._send(error=f"the sandboxed interpreter cannot collect {report.nodeid}:\n{report.longreprtext}")

    def pytest_sessionstart(self, session: pytest.Session) -> None:
        self._config = session.config
        sys.stdout = self._stdout

    def _received(self) -> Iterator[dict[str, Any]]:
        for line in self._requests:
            yield json.loads(line)

    def _send(self, **message: object) -> None:
        print(json.dumps(message, default=str), file=self._reports, flush=True)


def main() -> int:
    # Tests write to stdout; what they write there must not become a report.
    with os.fdopen(os.dup(0), encoding="utf-8") as requests, os.fdopen(os.dup(1), "w", encoding="utf-8") as reports:
        with open(os.devnull) as empty:
            os.dup2(empty.fileno(), 0)
        os.dup2(2, 1)
        return _serve(requests, reports)


def _serve(requests: TextIO, reports: TextIO) -> int:
    settings = json.loads(requests.readline())
    sys.path[:] = settings["path"]
    child = Child(requests, reports, settings["options"])
    with open(os.devnull, "w") as nothing:
        sys.stdout = nothing  # that of the plugin terminal, which others want to be there, until the tests begin
        return int(pytest.main(settings["arguments"], plugins=[child]))


if __name__ == "__main__":
    sys.exit(main())
