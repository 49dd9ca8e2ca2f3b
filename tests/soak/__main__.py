"""Answer ten million calls of a thousand sandboxes, with faults of every kind, and see that the books agree.

python -m tests.soak [--help]: each call got exactly one answer, the one that was meant for it, by the books of the
handlers and by those of the children; and this process does not grow. The exit status is 1 where that is not so.
"""

from __future__ import annotations

import argparse
import collections
import itertools
import logging
import sys
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path

from tests.soak.sandboxes import Outcome, soak
from tests.support.footprint import Footprint, growth
from tests.support.programs import compile_program

ROUNDS = 40  # between them nothing runs, and the process is looked at


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.soak")
    parser.add_argument("--notifications", type=int, default=10_000_000, help="how many calls are to be answered")
    parser.add_argument("--sandboxes", type=int, default=1000, help="by how many sandboxes they are made, at least")
    parser.add_argument("--minutes", type=float, default=10, help="when to stop, with whatever has been answered")
    parser.add_argument("--at-once", type=int, default=4, help="how many sandboxes run at the same time")
    parser.add_argument("--seed", type=int, default=int(time.time()), help="what happens, but for when")
    options = parser.parse_args()
    logging.getLogger("sandlock").setLevel(logging.CRITICAL + 1)  # handlers fail all the time
    print(f"seed {options.seed}", flush=True)
    with tempfile.TemporaryDirectory(prefix="sandlock-soak-") as name:
        program = Path(name, "ledger")
        compile_program("ledger", program)
        return run(program, options)


def run(program: Path, options: argparse.Namespace) -> int:
    """Run the sandboxes in rounds, and return the exit status."""
    totals = Totals()
    calls = -(-options.notifications // options.sandboxes)
    seeds = itertools.count(options.seed)
    with ThreadPoolExecutor(options.at_once) as pool:
        while totals.answered < options.notifications or totals.sandboxes < options.sandboxes:
            if totals.seconds > 60 * options.minutes:
                print(f"stopped after {options.minutes} minutes")
                break
            chosen = itertools.islice(seeds, max(1, options.sandboxes // ROUNDS))
            for outcome in pool.map(partial(soak, program, program.parent, calls), chosen):
                totals.add(outcome)
            totals.look()
    return totals.judge()


class Totals:
    """What became of all sandboxes so far, and of this process."""

    def __init__(self) -> None:
        self._began = time.monotonic()
        self._fates: collections.Counter[str] = collections.Counter()
        self._looks: list[Footprint] = []
        self._wrong = 0
        self.answered = 0

    @property
    def seconds(self) -> float:
        return time.monotonic() - self._began

    @property
    def sandboxes(self) -> int:
        return sum(self._fates.values())

    def add(self, outcome: Outcome) -> None:
        self.answered += outcome.answered
        self._fates[outcome.fate] += 1
        self._wrong += len(outcome.wrong)
        for problem in outcome.wrong:
            print(f"seed {outcome.seed}: {problem}", flush=True)

    def look(self) -> None:
        """Look at this process, in which nothing runs."""
        self._looks.append(Footprint.now())
        print(
            f"{self.seconds:6.0f} s {self.sandboxes:6} sandboxes {self.answered:9} answers", self._looks[-1], flush=True
        )

    def judge(self) -> int:
        """Say how it went, and return the exit status."""
        took, grown = self.seconds, growth(self._looks)
        print(f"{self.answered} calls answered in {took:.0f} s, {self.answered / took:.0f} a second")
        print(f"{self.sandboxes} sandboxes: {dict(self._fates)}")
        print(f"{self._wrong} disagreements of the books")
        print("\n".join(grown) or "nothing has grown")
        return int(bool(self._wrong or grown))


if __name__ == "__main__":
    sys.exit(main())
