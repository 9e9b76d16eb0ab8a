#!/usr/bin/env python3
"""Takes the class mutex, as it stands, out of the product's gateway: the weak-memory lane runs it on the model's atomics.

usage: product_mutex.py INCLUDE_DIR OUTPUT_FILE
"""
import pathlib
import re
import sys


def extract(include, output):
    text = (pathlib.Path(include) / "runnel/detail/sync.hpp").read_text()
    found = re.search(r"^class mutex \{.*?^\};$", text, re.MULTILINE | re.DOTALL)
    if found is None:
        sys.exit("there is no class mutex in the gateway")
    pathlib.Path(output).write_text(found.group(0) + "\n")


if __name__ == "__main__":
    extract(*sys.argv[1:])
