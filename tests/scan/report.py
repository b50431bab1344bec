"""What comes in and what goes out: the lines that the core's example wrote, tables for people or programs, and checks."""

import json
import os


def lines(folder, name):
    """The JSON lines of a file, one by one: some files are large."""
    with open(os.path.join(folder, name), encoding="utf-8") as file:
        for line in file:
            yield json.loads(line)


class Report:
    """Prints as it goes, and counts."""

    def __init__(self, as_json):
        self.as_json = as_json
        self.passed = 0
        self.failed = 0

    def say(self, text):
        """A line that is no result."""
        print(json.dumps({"say": text}) if self.as_json else text, flush=True)

    def check(self, name, holds, detail=""):
        """Something that must hold."""
        self.passed += bool(holds)
        self.failed += not holds
        if not holds:
            self.say(f"FAILED: {name} {detail}".rstrip())

    def table(self, title, rows):
        """Rows with the same keys."""
        if self.as_json:
            for row in rows:
                print(json.dumps({"table": title, **row}), flush=True)
            return
        cells = [list(rows[0]), *([str(value) for value in row.values()] for row in rows)]
        widths = [max(len(row[at]) for row in cells) for at in range(len(cells[0]))]
        print(f"\n{title}")
        for row in cells:
            print("  ".join(cell.rjust(width) for cell, width in zip(row, widths)), flush=True)
