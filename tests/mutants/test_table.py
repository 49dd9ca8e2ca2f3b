"""The table of the mutants is about the sources as they are. What becomes of each: make mutants."""

from __future__ import annotations

from pathlib import Path

import pytest

import sandlock
from tests.mutants.mutant import Mutant
from tests.mutants.table import MUTANTS
from tests.support.processes import ROOT

PACKAGE = Path(sandlock.__file__).parent


@pytest.mark.parametrize("mutant", MUTANTS, ids=lambda mutant: mutant.protection)
def test_what_it_edits_is_there_once(mutant: Mutant) -> None:
    place = ROOT / mutant.file
    if mutant.file.startswith("python/"):  # the package may be installed
        place = PACKAGE / mutant.file.removeprefix("python/sandlock/")
    source = place.read_text()
    assert source.count(mutant.before) == 1
    assert source.count(mutant.after) == 0 or mutant.after in mutant.before
