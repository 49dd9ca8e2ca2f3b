"""What a row of the table is."""

from __future__ import annotations

from typing import NamedTuple


class Mutant(NamedTuple):
    """A protection without which the test must fail."""

    protection: str
    file: str
    before: str
    """Stands in the file once."""
    after: str
    test: str
    """For pytest; or PACKAGE::TestName, of a Go test."""


ESCAPES = "tests/escapes/"
