"""What happens once in the life of a process: ``fresh_process.py import|name|run|memory READABLE...`` prints a number.

Nothing is imported that the package under measurement might need as well. The interpreter decides which package it is.
"""

import sys
from time import perf_counter


def memory() -> int:
    """Return the proportional set size of this process in bytes; see proc_pid_smaps(5)."""
    with open("/proc/self/smaps_rollup") as file:
        return next(int(line.split()[1]) for line in file if line.startswith("Pss:")) * 1024


before, start = memory(), perf_counter()
import sandlock  # noqa: E402

imported = perf_counter() - start
if sys.argv[1] == "import":
    print(imported)
    sys.exit()
if sys.argv[1] == "name":
    _ = sandlock.Sandbox  # what was put off until now
    print(perf_counter() - start)
    sys.exit()
start = perf_counter()
result = sandlock.Sandbox(fs_readable=sys.argv[2:]).run(["/bin/true"])
ran = perf_counter() - start
if not result.success:
    sys.exit(f"/bin/true failed: {result}")
print(ran if sys.argv[1] == "run" else memory() - before)
