"""Hosts: other processes that use sandlock and come to some end."""

from __future__ import annotations

import pytest

from tests.support.interpreters import VERSIONS, find_python


@pytest.fixture(params=VERSIONS)
def python(request: pytest.FixtureRequest) -> str:
    """Each CPython of this machine in turn."""
    return find_python(request.param)
