"""Sessions of pytest within tests, each in a process of its own."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Callable

import pytest

Session = Callable[..., pytest.RunResult]


@pytest.fixture
def session(pytester: pytest.Pytester) -> Session:
    """Run pytest on the text of a test file, with options."""

    def run(text: str, *options: str, ini: Mapping[str, str] = {}) -> pytest.RunResult:  # noqa: B006: is only read
        lines = [f"{name} = {value}" for name, value in ini.items()]
        pytester.makeini("\n".join(["[pytest]", *lines]))  # else that of a folder above counts
        pytester.makepyfile(test_it=text)
        return pytester.runpytest_subprocess("-p", "no:cacheprovider", *options, timeout=60)

    return run
