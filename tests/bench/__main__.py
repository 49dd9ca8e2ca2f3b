"""Run the benchmarks: ``make bench``. What they print is to be read by people; no test depends on it."""

from __future__ import annotations

import argparse
from pathlib import Path

from .figures import notification, start
from .harness import machine, measure, table, write_json

SUBJECTS = (start, notification)


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m tests.bench", description="Print what sandlock costs.")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the results to FILE as well")
    options = parser.parse_args()
    results = [measure(figure) for subject in SUBJECTS for figure in subject.figures()]
    print("Linux {kernel} on {architecture}, {cores} cores, {python}".format(**machine()))
    print("Medians of runs that were taken in turn; a ratio is ours / other\n")
    print(table(results))
    if options.json:
        write_json(options.json, results)


if __name__ == "__main__":
    main()
