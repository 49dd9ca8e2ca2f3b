"""Every protection, with the edit that switches it off and the test that must fail then."""

from __future__ import annotations

from tests.mutants.calls import CALLS
from tests.mutants.files import FILES
from tests.mutants.handlers import HANDLERS
from tests.mutants.network import NETWORK
from tests.mutants.processes import PROCESSES

MUTANTS = [*CALLS, *FILES, *NETWORK, *PROCESSES, *HANDLERS]
