#!/usr/bin/env python3
"""Which behaviours of behaviours.txt are held by tests.

behaviours.py [LIST]: prints a table of ids and the files that hold them; the status is 1 if one that can be held today is not.
An id is held by the test whose name it leads: a test case, a scenario of the model or a bug planted for it, a program in tests/fail or
tests/negative (in its first line), or a rule of structure.py.
"""

import collections
import pathlib
import re
import sys

TESTS = pathlib.Path(__file__).resolve().parents[1]
ENTRY = re.compile(r"^(~?)([A-Z]\d\d)\s+(\S+)\s+(\S.*)$")
LEADING_IDS = r"((?:[A-Z]\d\d[ :]+)+)"
NAMES = [
    ("**/*.cpp", re.compile(r'\b(?:TEST_CASE|TEST_CASE_METHOD|TEMPLATE_TEST_CASE|TEMPLATE_PRODUCT_TEST_CASE|SCENARIO|add_scenario)'
                            r'\s*\(\s*\{?\s*"' + LEADING_IDS)),
    ("fail/*.cpp", re.compile(r"\A// " + LEADING_IDS)),
    ("negative/*.cpp", re.compile(r"\A// " + LEADING_IDS)),
    ("model/mutations.txt", re.compile(r"^\[" + LEADING_IDS, re.MULTILINE)),
    ("checks/structure.py", re.compile(r'^    """' + LEADING_IDS, re.MULTILINE)),
]


def read_list(path):
    behaviours = {}
    for number, line in enumerate(path.read_text().splitlines(), 1):
        if not line or line.startswith("#"):
            continue
        entry = ENTRY.match(line)
        if entry is None or entry.group(2) in behaviours:
            sys.exit(f"{path}:{number}: not `id group text`, or there twice: {line}")
        behaviours[entry.group(2)] = (entry.group(1) == "", entry.group(3), entry.group(4))
    return behaviours


def find_holders():
    holders = collections.defaultdict(set)
    for pattern, name in NAMES:
        for path in TESTS.glob(pattern):
            for match in name.finditer(path.read_text()):
                for behaviour in re.findall(r"[A-Z]\d\d", match.group(1)):
                    holders[behaviour].add(path.relative_to(TESTS).as_posix())
    return holders


def main():
    behaviours = read_list(pathlib.Path(sys.argv[1]) if len(sys.argv) > 1 else TESTS / "checks" / "behaviours.txt")
    holders = find_holders()
    missing = []
    for behaviour, (in_scope, group, text) in behaviours.items():
        if in_scope and not holders[behaviour]:
            missing.append(behaviour)
        where = ", ".join(sorted(holders[behaviour])) or ("MISSING" if in_scope else "later")
        print(f"{behaviour}  {group:12} {text}\n     {where}")
    unknown = sorted(holders.keys() - behaviours.keys())
    for behaviour in unknown:
        print(f"{behaviour}  is in no list: {', '.join(sorted(holders[behaviour]))}")
    in_scope = sum(1 for now, _, _ in behaviours.values() if now)
    if missing:
        print(f"missing: {' '.join(missing)}")
    print(f"behaviours: {in_scope - len(missing)} of {in_scope} in scope covered")
    return 1 if missing or unknown else 0


if __name__ == "__main__":
    sys.exit(main())
