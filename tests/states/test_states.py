"""Whatever is called in whatever order, from several threads: see machine.py."""

from __future__ import annotations

import itertools
import logging
import os
import time

import pytest
from hypothesis import HealthCheck, Phase, seed, settings
from hypothesis.stateful import run_state_machine_as_test

from tests.states.machine import Machine

SECONDS = float(os.environ.get("SANDLOCK_STATES_SECONDS", "10"))
"""For how long machines are made."""

SETTINGS = settings(
    max_examples=10,
    stateful_step_count=30,
    deadline=None,
    database=None,
    print_blob=True,
    phases=[Phase.generate],  # to shrink what hangs would take long
    suppress_health_check=list(HealthCheck),
)


@pytest.mark.timeout(SECONDS + 300)
def test_any_order(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.CRITICAL + 1, logger="sandlock")  # handlers fail all the time
    end = time.monotonic() + SECONDS
    for number in itertools.count():
        run_state_machine_as_test(seed(number)(Machine), settings=SETTINGS)
        if time.monotonic() > end:
            print(f"{SETTINGS.max_examples * (number + 1)} machines")
            return
