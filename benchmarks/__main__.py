"""`python -m benchmarks [name ...] [--record]`: measure, print tables, and append them to RESULTS.md if asked to."""

import argparse
import importlib
import os
import signal
import sys
from datetime import date
from pathlib import Path

from .report import machine, markdown

NAMES = ("mnist", "field", "projections", "train", "knob", "boards", "stage", "faces", "figures", "heads", "scaling")
RESULTS = Path(__file__).parent / "RESULTS.md"


def main() -> None:
    parser = argparse.ArgumentParser(prog="benchmarks", description="Speed, side by side with the peers.")
    parser.add_argument("names", nargs="*", metavar="name", help=f"which of {', '.join(NAMES)}; all when none is named")
    parser.add_argument("--record", action="store_true", help="append the tables to benchmarks/RESULTS.md")
    parser.add_argument("--quick", action="store_true", help="once instead of often: does it work?")
    asked = parser.parse_args()
    if unknown := sorted(set(asked.names) - set(NAMES)):
        parser.error(f"there is no benchmark called {unknown[0]!r}; there are {', '.join(NAMES)}")

    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # so that servers and browsers end with us
    load = os.getloadavg()[0]  # What else the machine did before: a number from a busy one says little.
    about = f"{machine()}. Load before: {load:.2f}."
    print(about, flush=True)
    tables = []
    for name in asked.names or NAMES:
        for table in importlib.import_module(f".{name}", __package__).measure(quick=asked.quick):
            tables.append(markdown(table))
            print(f"\n{tables[-1]}", flush=True)
    if asked.record:
        with RESULTS.open("a", encoding="utf-8") as file:
            file.write("\n".join(["", f"## {date.today()}", "", about, "", *tables]))


if __name__ == "__main__":
    main()
