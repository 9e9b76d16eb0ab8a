#!/usr/bin/env python3
"""Takes the locks, as they stand, out of the product's gateway: the weak-memory lane runs them on the model's atomics.

usage: product_mutex.py INCLUDE_DIR OUTPUT_FILE
"""
import pathlib
import re
import sys


def extract(include, output):
    text = (pathlib.Path(include) / "runnel/detail/sync.hpp").read_text()
    locks = []
    for name in ("mutex", "flag_lock"):
        found = re.search(rf"^class {name} \{{.*?^\}};$", text, re.MULTILINE | re.DOTALL)
        if found is None:
            sys.exit(f"there is no class {name} in the gateway")
        locks.append(found.group(0) + "\n")
    pathlib.Path(output).write_text("\n".join(locks))


if __name__ == "__main__":
    extract(*sys.argv[1:])
