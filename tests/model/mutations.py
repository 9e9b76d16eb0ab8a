#!/usr/bin/env python3
"""Plants each bug of mutations.txt in a copy of the product's headers, and says whether the tester finds it.

usage: mutations.py --lane LANE --include DIR --build DIR --compiler CXX --objects OBJECT ...
The objects are those of the engine; each bug adds its own scenarios to them. The lane `plain` has those of `sc` and `weak`.
With --markdown FILE it writes the rows of README.md's table; a bug that has none there is an error. With --part it plants some of them.
"""
import argparse
import concurrent.futures
import pathlib
import re
import shutil
import subprocess
import sys

HERE = pathlib.Path(__file__).resolve().parent
sys.path.insert(0, str(HERE / "weak"))
import product_mutex  # noqa: E402
LANES = {"plain": ("sc", "weak"), "tsan": ("tsan",), "asan": ("asan",)}


class Bug:
    def __init__(self, header):
        match = re.fullmatch(r"\[(.+?)\] (.+)", header)
        self.name, self.what = match.group(1), match.group(2)
        self.fields = {"lane": "sc", "bound": "2"}
        self.before = self.after = ""
        self.cells = ("not found", "", "", "")  # of README.md's table: execution, strategy, scenario, symptom


def read(path):
    bugs, part = [], None
    for number, line in enumerate(path.read_text().splitlines(), 1):
        if part is None:
            if not line or line.startswith("#"):
                continue
            if line.startswith("["):
                bugs.append(Bug(line))
            elif line == "<<<":
                part = "before"
            else:
                key, colon, value = line.partition(": ")
                if not colon:
                    sys.exit(f"{path}:{number}: not a field: {line}")
                bugs[-1].fields[key] = value
        elif line == "===" and part == "before":
            part = "after"
        elif line == ">>>" and part == "after":
            part = None
        elif line in ("<<<", "===", ">>>"):
            sys.exit(f"{path}:{number}: {line} out of place: does the bug before it end?")
        else:
            setattr(bugs[-1], part, getattr(bugs[-1], part) + line + "\n")
    if part is not None:
        sys.exit(f"{path}: the last bug does not end")
    return bugs


def plant(bug, include, folder):
    """Copies the headers, with the bug. Returns what is wrong, or nothing."""
    shutil.rmtree(folder, ignore_errors=True)
    shutil.copytree(include, folder / "include")
    target = (folder / "include/runnel/detail" / bug.fields["file"]).resolve()
    text = target.read_text()
    count = text.count(bug.before)
    if count != 1:
        return f"does not fit: its text stands {count} times in {bug.fields['file']}"
    target.write_text(text.replace(bug.before, bug.after))
    return ""


def compile_command(options):
    # Not optimized: compiling takes longer than finding.
    return [options.compiler, "-std=c++20", "-O0", "-w", *options.flags.split(), "-DRUNNEL_ABI=v0_model_planted"]


def precompile_standard(options):
    """What no bug changes, and every build includes: the headers of the standard library. Where it is of no use the compiler reads them."""
    names = set()
    for folder in (pathlib.Path(options.include), HERE):
        for header in [*folder.rglob("*.hpp"), *folder.rglob("*.cpp")]:
            names.update(re.findall(r"^#include <([a-z_]+)>$", header.read_text(), re.MULTILINE))
    header = pathlib.Path(options.build) / "standard.hpp"
    header.parent.mkdir(parents=True, exist_ok=True)
    header.write_text("".join(f"#include <{name}>\n" for name in sorted(names)))
    subprocess.run([*compile_command(options), "-x", "c++-header", str(header), "-o", f"{header}.gch"], check=True)


def find(bug, options):
    folder = pathlib.Path(options.build) / re.sub(r"\W+", "-", bug.name)
    wrong = plant(bug, pathlib.Path(options.include), folder)
    if wrong:
        return False, wrong
    scenarios, program = str(folder / "scenarios.o"), str(folder / "runnel_model")
    flags = options.flags.split()
    weak = []
    if bug.fields["lane"] == "weak":  # the compiler's part of the sanitizer, with engine/weak_plain.cpp as its run time
        product_mutex.extract(folder / "include", folder / "product_mutex.inc")
        weak = ["-DRUNNEL_MODEL_WEAK", "-fsanitize=thread", f"-I{folder}"]
    build = [*compile_command(options), *weak, "-include", str(pathlib.Path(options.build) / "standard.hpp"), f"-I{HERE / 'gateway'}",
             f"-I{folder / 'include'}", "-c", str(HERE / bug.fields["source"]), "-o", scenarios]
    link = [options.compiler, *flags, scenarios, *options.objects, "-o", program, *options.libraries.split()]
    made = subprocess.run(build, capture_output=True, text=True, check=False)
    if made.returncode == 0:
        made = subprocess.run(link, capture_output=True, text=True, check=False)
    if made.returncode != 0:
        return False, "does not compile: " + made.stderr.strip().splitlines()[0]
    names = [name.strip() for name in bug.fields["run"].split(";")]
    run = subprocess.run([str(program), "--expect-failure", "--jobs", "1", "--bound", bug.fields["bound"], *names],
                         capture_output=True, text=True, timeout=1200, check=False)
    found = re.search(r"^(.+) fails \((.+), execution (\d+)\).*:\n  (.+)", run.stdout, re.MULTILINE)
    shutil.rmtree(folder)
    if run.returncode != 0 or not found:
        return False, "NOT FOUND: " + run.stdout.strip().splitlines()[-1]
    scenario, strategy, executions, symptom = found.groups()
    sanitizer = re.search(r"(?:ERROR|WARNING): (\w+Sanitizer: [\w -]+?) (?:on|\()", run.stderr)
    symptom = sanitizer.group(1) if sanitizer else re.sub(r":$| \([\w.]+:\d+\)", "", symptom)
    bug.cells = (executions, strategy, scenario, symptom)
    return True, f"execution {executions}, {strategy}"


def row_start(bug):
    return f"| {bug.name}: {bug.what} | {bug.fields['lane']} | "


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--include", required=True)
    parser.add_argument("--build", required=True)
    parser.add_argument("--compiler", default="c++")
    parser.add_argument("--libraries", default="-lboost_context")
    parser.add_argument("--jobs", type=int, default=2)
    parser.add_argument("--markdown")
    parser.add_argument("--only", default="")
    parser.add_argument("--part", default="0/1", help="K/N: every N-th bug, from number K on")
    parser.add_argument("--flags", default="")
    parser.add_argument("--lane", choices=LANES, default="plain")
    parser.add_argument("--objects", nargs="+", default=[])
    options = parser.parse_args()
    bugs = [bug for bug in read(HERE / "mutations.txt") if options.only in bug.name and bug.fields["lane"] in LANES[options.lane]]
    part, parts = map(int, options.part.split("/"))
    all_bugs, bugs = bugs, bugs[part % parts::parts]
    found = 0
    precompile_standard(options)
    with concurrent.futures.ThreadPoolExecutor(options.jobs) as pool:
        for number, (bug, (ok, text)) in enumerate(zip(bugs, pool.map(lambda b: find(b, options), bugs)), 1):
            found += ok
            print(f"model: planted bug {number} of {len(bugs)}: {bug.name:<34} {text}", flush=True)
    if options.markdown:
        rows = [row_start(bug) + " | ".join(cell.replace("|", "\\|") for cell in bug.cells) + " |\n" for bug in bugs]
        pathlib.Path(options.markdown).write_text("".join(rows))
    readme = (HERE / "README.md").read_text()
    missing = [bug.name for bug in all_bugs if row_start(bug) not in readme]
    if missing:
        print("model: README.md has no row for " + "; ".join(missing))
    if parts > 1:
        print(f"model: part {part % parts + 1} of {parts} of the {len(all_bugs)} bugs; another one tomorrow")
    print(f"model: planted bugs: {found} of {len(bugs)} found")
    return 0 if found == len(bugs) and not missing else 1


if __name__ == "__main__":
    sys.exit(main())
