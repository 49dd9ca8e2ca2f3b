"""Programs that make chosen system calls, and sandboxes in which they work."""

from __future__ import annotations

from pathlib import Path

import pytest

from sandlock import Sandbox
from tests.support.programs import Program
from tests.support.sandboxes import tool_sandbox


@pytest.fixture
def stepper(program: Program) -> Path:
    """The program steps: see tests.support.steps."""
    return program("steps")


@pytest.fixture
def step_box(stepper: Path) -> Sandbox:
    return tool_sandbox([stepper])
