"""The table of the mutants is about the sources as they are. What becomes of each: make mutants."""

from __future__ import annotations

import pytest

from tests.mutants.mutant import Mutant
from tests.mutants.table import MUTANTS
from tests.support.processes import ROOT


@pytest.mark.parametrize("mutant", MUTANTS, ids=lambda mutant: mutant.protection)
def test_what_it_edits_is_there_once(mutant: Mutant) -> None:
    source = (ROOT / mutant.file).read_text()
    assert source.count(mutant.before) == 1
    assert source.count(mutant.after) == 0 or mutant.after in mutant.before
