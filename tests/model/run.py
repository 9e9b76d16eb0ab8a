#!/usr/bin/env python3
"""Runs the tester: every scenario through all strategies, programs at random, recorded schedules, and the planted bugs.

usage: run.py every|long --lane LANE --program FILE [--weak FILE] [--jobs N] -- arguments of mutations.py
`every` is for every change: bound 2, the seeds fixed, and a part of the planted bugs, each day another one. `long` goes to bound 3, with
a new seed each time, which is printed, and has all bugs.
The last line says what was done: model: S scenarios, E executions, R/s; planted bugs: F of P found
"""
import argparse
import datetime
import pathlib
import re
import subprocess
import sys
import time

HERE = pathlib.Path(__file__).resolve().parent
PARTS = 3  # of the planted bugs: compiling each of them is what takes the time

SETS = {
    ("every", "plain"): {"scenarios": ["--bound", "2", "--random", "1000"],
                         "programs": ["--bound", "2", "--random", "1000", "--generate", "200", "--seed", "1"],
                         "compared": ["--bound", "1", "--random", "0", "--compare"],
                         "weak": ["--bound", "2", "--random", "2000"]},
    ("long", "plain"): {"scenarios": ["--bound", "3", "--random", "300000", "--seed", "0", "--most", "2000000000"],
                        "programs": ["--bound", "3", "--random", "100000", "--generate", "2000", "--seed", "0"],
                        "compared": ["--bound", "2", "--random", "0", "--most", "5000000", "--compare"],
                        "weak": ["--bound", "3", "--random", "300000", "--seed", "0", "--most", "2000000000"]},
    # Under a sanitizer an execution takes ten times as long, and each one looks at more: three minutes are for bound 1.
    ("every", "sanitized"): {"scenarios": ["--bound", "1", "--random", "200"],
                             "programs": ["--bound", "1", "--random", "200", "--generate", "100", "--seed", "1"]},
    ("long", "sanitized"): {"scenarios": ["--bound", "2", "--random", "20000", "--seed", "0", "--most", "2000000000"],
                            "programs": ["--bound", "2", "--random", "5000", "--generate", "500", "--seed", "0"]},
}


def stream(command, pattern):
    """Runs a command, shows what it prints, and answers its exit code and the match in its last line."""
    print("model: " + " ".join(pathlib.Path(word).name if "/" in word else word for word in map(str, command)), flush=True)
    last = ""
    with subprocess.Popen([str(word) for word in command], stdout=subprocess.PIPE, text=True) as process:
        for line in process.stdout:
            print(line, end="", flush=True)
            last = line.strip() or last
    return process.returncode, re.search(pattern, last)


def replays(program):
    """Schedules that failed once: none of them may fail again."""
    failed = 0
    lines = [line for line in (HERE / "regressions.txt").read_text().splitlines() if line and not line.startswith("#")]
    for line in lines:
        done = subprocess.run([program, "--replay", line], capture_output=True, text=True, check=False)
        if done.returncode != 0:
            failed += 1
            print(f"model: a recorded schedule fails: {line}\n{done.stdout}")
    print(f"model: {len(lines)} recorded schedules, {failed} failed")
    return failed == 0


def invariants(program):
    """README.md's table of the invariants is what the scenarios say, and each has scenarios."""
    table = subprocess.run([program, "--invariants"], capture_output=True, text=True, check=True).stdout
    good = "NONE" not in table and table in (HERE / "README.md").read_text()
    if not good:
        print(f"model: the table of the invariants in README.md is not this, or one has no scenario:\n{table}")
    return good


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("set", choices=("every", "long"))
    parser.add_argument("--lane", choices=("plain", "tsan", "asan"), default="plain")
    parser.add_argument("--program", required=True)
    parser.add_argument("--weak")
    parser.add_argument("--jobs", default="2")
    split = sys.argv.index("--") if "--" in sys.argv else len(sys.argv)
    mutations = sys.argv[split + 1:]
    options = parser.parse_args(sys.argv[1:split])
    arguments = SETS[options.set, "plain" if options.lane == "plain" else "sanitized"]
    start = time.monotonic()
    good, scenarios, executions = True, 0, 0
    runs = [(options.program, arguments[which]) for which in ("scenarios", "programs", "compared") if which in arguments]
    if options.weak:
        runs.append((options.weak, arguments["weak"]))
    for program, how in runs:
        code, summary = stream([program, "--jobs", options.jobs, *how], r"(\d+) scenarios, (\d+) executions")
        good = good and code == 0 and summary is not None
        if summary:
            scenarios += int(summary.group(1))
            executions += int(summary.group(2))
    rate = executions / (time.monotonic() - start)
    good = replays(options.program) and good
    good = invariants(options.program) and good
    part = []
    if (options.set, options.lane) == ("every", "plain"):
        part = ["--part", f"{datetime.date.today().toordinal() % PARTS}/{PARTS}"]
    code, bugs = stream([sys.executable, HERE / "mutations.py", "--jobs", options.jobs, *part, *mutations],
                        r"planted bugs: (\d+ of \d+) found")
    good = good and code == 0
    print(f"model: {scenarios} scenarios, {executions} executions, {rate:.0f}/s; "
          f"planted bugs: {bugs.group(1) if bugs else 'none'} found{'' if good else '; FAILED'}")
    return 0 if good else 1


if __name__ == "__main__":
    sys.exit(main())
