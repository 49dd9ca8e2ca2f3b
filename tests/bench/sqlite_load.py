"""``sqlite_load.py FILE ROWS``: fill a database in small transactions, and read it."""

import contextlib
import os
import sqlite3
import sys

file, rows = sys.argv[1], int(sys.argv[2])
with contextlib.suppress(FileNotFoundError):
    os.unlink(file)
with contextlib.closing(sqlite3.connect(file)) as database:
    database.execute("PRAGMA synchronous = OFF")  # what the disk takes is not the question
    database.execute("CREATE TABLE item (id INTEGER PRIMARY KEY, name TEXT, size INTEGER)")
    database.execute("CREATE INDEX by_name ON item (name)")
    for start in range(0, rows, 100):
        with database:
            values = ((i, f"item {i * 7919 % rows}", i * i) for i in range(start, start + 100))
            database.executemany("INSERT INTO item VALUES (?, ?, ?)", values)
    for i in range(0, rows, 10):
        database.execute("SELECT sum(size) FROM item WHERE name = ?", (f"item {i}",)).fetchone()
