#!/usr/bin/env python3
"""Runs the benchmark programs by turns, several rounds, and prints one table of medians and ratios.

    bench/compare.py build/bench/bench/*            all programs of a build
    bench/compare.py --rounds 9 --only W3 PROGRAM...

A benchmark is called WORKLOAD/DETAIL/SUBJECT. A program is anything that understands --benchmark_format=json and
--benchmark_min_time=SECONDS, or a folder with a Go program, which is built first and prints lines of "NAME NANOSECONDS".
Times are those of the machine as it is, in nanoseconds per item (W5: per round trip; W1, W9: per operation; W10: per task; W12: per
hop; W13: per value; W14: per job). A counter "bytes" of a benchmark is a row of its own, in bytes per item. What counts is the ratio to
runnel in the same run, which follows each peer's figure: over one, runnel is ahead. The spread is half the distance of the quartiles.
"""

import argparse
import collections
import json
import os
import shutil
import statistics
import subprocess
import sys
import tempfile

BASE = "runnel"


def build_go(folder, into):
    """The program of this folder, or None, with a note, where there is no Go."""
    go = shutil.which("go")
    if go is None:
        print(f"note: {folder} is left out: no go in the path", file=sys.stderr)
        return None
    program = os.path.join(into, os.path.basename(os.path.abspath(folder)))
    environment = dict(os.environ, GOCACHE=os.path.join(into, "cache"), GOFLAGS="-buildvcs=false")
    subprocess.run([go, "build", "-o", program, "."], cwd=folder, env=environment, check=True)
    return program


def run_google(program, seconds, only):
    command = [program, "--benchmark_format=json", f"--benchmark_min_time={seconds}", f"--benchmark_filter={only}"]
    output = subprocess.run(command, check=True, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL).stdout
    if not output.strip():  # no benchmark of this name in it
        return
    for entry in json.loads(output)["benchmarks"]:
        if entry.get("error_occurred"):
            sys.exit(f"{program}: {entry['name']}: {entry.get('error_message')}")
        if entry["time_unit"] != "ns":
            sys.exit(f"{program}: {entry['name']}: the time is not in ns")
        name = entry["run_name"].removesuffix("/manual_time").removesuffix("/real_time")
        yield name, entry["real_time"]
        if "bytes" in entry:
            workload, _, subject = name.rpartition("/")
            yield f"{workload}_bytes/{subject}", entry["bytes"]


def run_go(program, seconds, only):
    output = subprocess.run([program, str(seconds), only], check=True, stdout=subprocess.PIPE, text=True).stdout
    for line in output.splitlines():
        name, time = line.split()
        yield name, float(time)


def half_quartile_distance(times):
    if len(times) < 2:
        return 0.0
    quartiles = statistics.quantiles(times, n=4, method="inclusive")
    return (quartiles[2] - quartiles[0]) / 2


def table(samples):
    rows = collections.defaultdict(dict)
    for name, times in samples.items():
        workload, _, subject = name.rpartition("/")
        rows[workload][subject] = times
    subjects = sorted({s for row in rows.values() for s in row}, key=lambda s: (s != BASE, s))
    lines = [["ns, median ± spread (ratio)", *subjects]]
    for workload in sorted(rows, key=lambda w: (int(w[1:].partition("/")[0]), w)):
        row = rows[workload]
        line = [workload]
        for subject in subjects:
            times = row.get(subject)
            cell = "" if times is None else f"{statistics.median(times):.4g} ± {half_quartile_distance(times):.2g}"
            if times is not None and subject != BASE and BASE in row:
                cell += f" ({statistics.median(times) / statistics.median(row[BASE]):.2f})"
            line.append(cell)
        lines.append(line)
    widths = [max(len(line[i]) for line in lines) for i in range(len(lines[0]))]
    for number, line in enumerate(lines):
        print("| " + " | ".join(c.ljust(w) if i == 0 else c.rjust(w) for i, (c, w) in enumerate(zip(line, widths))) + " |")
        if number == 0:
            print("|" + "|".join("-" * (w + 1) + ("-" if i == 0 else ":") for i, w in enumerate(widths)) + "|")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("programs", nargs="+", metavar="PROGRAM")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=0.1, help="how long each benchmark is measured in a round")
    parser.add_argument("--only", default=".", metavar="REGEX", help="the benchmarks with these names")
    arguments = parser.parse_args()

    samples = collections.defaultdict(list)
    with tempfile.TemporaryDirectory() as folder:
        runs = []
        for program in arguments.programs:
            if not os.path.isdir(program):
                runs.append((run_google, os.path.abspath(program)))
            elif (built := build_go(program, folder)) is not None:
                runs.append((run_go, built))
        for _ in range(arguments.rounds):
            for run, program in runs:
                for name, time in run(program, arguments.seconds, arguments.only):
                    samples[name].append(time)
    if not samples:
        sys.exit("no benchmark has run")
    print(f"{arguments.rounds} rounds of {arguments.seconds} s, by turns; {os.cpu_count()} cores, load {os.getloadavg()[0]:.1f}")
    table(samples)


if __name__ == "__main__":
    main()
