"""Run the benchmarks: ``make bench``. What they print is to be read by people; no test depends on it."""

from __future__ import annotations

import argparse
import os
import sys
from pathlib import Path

from .picture import picture
from .report import machine, terminal, write_json, write_markdown
from .rows import all_rows
from .timing import Effort, Row, measure

_METHOD = "Medians of runs that were taken in turn; others are compared with the same as ours."
_QUICK = " **Quick: fewer rounds, and smaller subjects than the titles say.**"


def main() -> None:
    rows = {row.name: row for row in all_rows()}
    options = _options(rows)
    effort = Effort(options.quick, options.rounds, not options.without_peers)
    limited = f" **At most {options.rounds} rounds: for a look.**" if options.rounds else ""
    heading = f"{machine()}.{_QUICK if options.quick else ''}{limited} {_METHOD}"
    print(heading, flush=True)
    results = []
    for name in options.only or rows:
        print(f"measuring {name} ...", file=sys.stderr, flush=True)
        results.append(measure(rows[name], effort))
    print(f"\n{terminal(results)}")
    if options.json:
        write_json(options.json, results)
    if options.markdown:
        if options.svg:
            place = os.path.relpath(options.svg, options.markdown.parent)
            heading += f"\n\n![The ratios of the rows whose goal is one]({place})"
        write_markdown(options.markdown, heading, results)
    if options.svg:
        options.svg.write_text(picture(results))


def _options(rows: dict[str, Row]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m tests.bench",
        description="Print what sandlock costs, beside something else.",
        formatter_class=argparse.RawDescriptionHelpFormatter,
        epilog="\n".join(["rows:", *(f"  {row.name:16} {row.title}" for row in rows.values())]),
    )
    parser.add_argument("--only", nargs="+", metavar="ROW", choices=rows, help="measure these rows only")
    parser.add_argument("--quick", action="store_true", help="fewer rounds and smaller subjects: for a look only")
    parser.add_argument("--rounds", type=int, metavar="N", help="at most N rounds a row")
    parser.add_argument("--without-peers", action="store_true", help="do not measure other packages")
    parser.add_argument("--json", type=Path, metavar="FILE", help="keep all values in FILE")
    parser.add_argument("--markdown", type=Path, metavar="FILE", help="write the tables into FILE, between its marks")
    parser.add_argument("--svg", type=Path, metavar="FILE", help="draw the ratios")
    return parser.parse_args()


if __name__ == "__main__":
    main()
