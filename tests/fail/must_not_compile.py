#!/usr/bin/env python3
"""must_not_compile.py COMPILER INCLUDE-FOLDER FILE: what must not compile does not, and says why.

FILE holds a correct program under RUNNEL_OK, which has to compile, and wrong ones under other macros, each named in a line
`// error MACRO: REGEX`, which have to fail with an error that matches.
"""

import os
import pathlib
import re
import subprocess
import sys
import tempfile


def run(*arguments):
    """Whether it compiles, and what the compiler said."""
    command = [compiler, "-std=c++20", "-pthread", "-Wall", "-Wextra", "-Werror", f"-I{include}", *arguments]
    done = subprocess.run(command, capture_output=True, text=True, env={**os.environ, "LC_ALL": "C"}, check=False)
    return done.returncode == 0, done.stderr


def compile_with(macro):
    return run("-fsyntax-only", f"-D{macro}", "-include", str(headers), str(file))


compiler, include, file = sys.argv[1], sys.argv[2], pathlib.Path(sys.argv[3])
text = file.read_text()

# What the file includes, precompiled once: the compiler finds the .gch beside it.
folder = tempfile.TemporaryDirectory()
headers = pathlib.Path(folder.name) / "headers.hpp"
headers.write_text("".join(re.findall(r"^#include <.+>\n", text, re.MULTILINE)))
compiles, said = run("-x", "c++-header", str(headers), "-o", f"{headers}.gch")
if not compiles:
    sys.exit(f"{file.name}: its headers do not compile:\n{said}")

cases = re.findall(r"^// error (\w+): (.+)$", text, re.MULTILINE)
failures = []

if not cases:
    failures.append("no line `// error MACRO: REGEX`")
unused = set(re.findall(r"defined\((\w+)\)", text)) ^ {"RUNNEL_OK", *(macro for macro, _ in cases)}
if unused:
    failures.append(f"named in the code or in an error line only: {' '.join(sorted(unused))}")
compiles, said = compile_with("RUNNEL_OK")
if not compiles:
    failures.append(f"RUNNEL_OK does not compile:\n{said}")
for macro, expected in cases:
    compiles, said = compile_with(macro)
    if compiles:
        failures.append(f"{macro} compiles")
    elif not any(re.search(expected, line) for line in said.splitlines() if "error:" in line):
        failures.append(f"{macro} fails without an error that matches {expected}:\n{said}")

for failure in failures:
    print(failure)
print(f"{file.name}: {len(cases)} cases, {len(failures)} failures")
sys.exit(1 if failures else 0)
