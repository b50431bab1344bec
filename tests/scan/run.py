#!/usr/bin/env python3
"""Shows that other people's readers read our symbols, and other people's libraries our codes.

Usage: tests/scan/run.py FOLDER --jar ZXING_JAR [--part NAME…] [--table COUNT] [--json]

FOLDER is what the core's example `codes` wrote; the packages of the `scan` step, `zbarimg`, `oathtool` and `java` must be
there. What must hold is counted in the last line, as a test runner's; the tables are for people, or with --json for
programs.
"""

import argparse
import os
import sys

sys.dont_write_bytecode = True
sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))

import oracles  # noqa: E402
import rates  # noqa: E402
from readers import Readers  # noqa: E402
from report import Report  # noqa: E402

PARTS = ("gate", "table", "masks", "oracles")


def main():
    """Runs the parts; the last line says how many checks passed."""
    arguments = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    arguments.add_argument("folder")
    arguments.add_argument("--jar", required=True)
    arguments.add_argument("--part", nargs="+", choices=PARTS, default=PARTS, help="runs only these")
    arguments.add_argument("--table", type=int, default=10, help="symbols of each kind in the table (up to 200)")
    arguments.add_argument("--json", action="store_true")
    words = arguments.parse_args()

    report = Report(words.json)
    with open(os.path.join(words.folder, "seed"), encoding="ascii") as file:
        report.say(f"seed {file.read().strip()}")
    with Readers(words.jar) as readers:
        if "gate" in words.part:
            rates.gate(words.folder, readers, report)
        if "table" in words.part:
            rates.table(words.folder, readers, report, words.table)
        if "masks" in words.part:
            rates.masks(words.folder, readers, report)
    if "oracles" in words.part:
        oracles.run(words.folder, report)
    word = "FAILED" if report.failed else "ok"
    print(f"test result: {word}. {report.passed} passed; {report.failed} failed")
    sys.exit(1 if report.failed else 0)


if __name__ == "__main__":
    main()
