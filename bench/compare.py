#!/usr/bin/env python3
"""Runs the benchmark programs row by row, several rounds, and prints tables of medians and ratios.

    bench/compare.py build/bench/bench bench/go bench/rust        all that a build has, and the peers in other languages
    bench/compare.py --only W3 --rounds 9 build/bench/bench/channel_spsc
    bench/compare.py --save before.json PROGRAM...                keeps the raw results
    bench/compare.py --against before.json PROGRAM...             prints what has changed since: the ratio before / after
    bench/compare.py --show before.json [--against FILE]          measures nothing; --summary: best peers only

A benchmark is called WORKLOAD/DETAIL/SUBJECT, and those that differ in SUBJECT only are a row. A PROGRAM is a program of Google Benchmark,
a folder of them, or the folder of a Go or Rust program, which is built first; it lists its names and prints lines of "NAME NANOSECONDS".
Times are those of the machine as it is, in nanoseconds per item (W5: per round trip; W1, W9, G2: per operation; W10, W11 errgroup, G4: per
task; W11 cancel, G3: per child; W12, G5: per hop; W13: per value; W14: per job; L1: per request; L3: of a core, in a second of waiting). A
counter of a benchmark is a row of its own: bytes per task, percentiles in nanoseconds, switches of threads in all. What counts is the ratio to runnel in the same run, which follows each peer's figure: over
one, runnel is ahead. The spread is half the distance of the quartiles.

A round takes each row in turn, and its subjects one after the other. Rows of growth (G) and latency (L) are taken in the first round only.
A row is disturbed if a fixed computation before it took more than a tenth longer than its median, or if others used more than a tenth of
a core meanwhile, or the host of a virtual machine did, or if the cores were far from each other before or after it: with --probe a
program says how long a cache line takes to the other core and back, which is several times as long where the host has moved a core to another
part of its machine. A row waits for that to pass, is repeated at the end of its round, and marked if neither helps. A marked
round of a row is left out where most of its rounds are not.
"""

import argparse
import collections
import itertools
import json
import os
import re
import shutil
import statistics
import subprocess
import sys
import tempfile
import time

import results as kept

DEBIAN_CRATES = "/usr/share/cargo/registry"
TOLERANCE = 0.1
ONCE = "GL"  # how the names of rows begin that are taken in the first round only
FAR = 1.5  # times as long as at best, from core to core


class Google:
    """A program of Google Benchmark."""

    def __init__(self, program):
        self.program = program

    def names(self):
        listed = subprocess.run([self.program, "--benchmark_list_tests"], check=True, stdout=subprocess.PIPE, text=True).stdout
        return [self.short(name) for name in listed.split()]

    @staticmethod
    def short(name):
        return re.sub(r"(/iterations:\d+)?/manual_time$", "", name)

    def run(self, row, seconds):
        command = [self.program, "--benchmark_format=json", f"--benchmark_min_time={seconds}", f"--benchmark_filter=^{row}/"]
        output = subprocess.run(command, check=True, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL).stdout
        for entry in json.loads(output)["benchmarks"]:
            if entry.get("error_occurred") or entry["time_unit"] != "ns":
                sys.exit(f"{self.program}: {entry['name']}: {entry.get('error_message', 'the time is not in ns')}")
            name = self.short(entry["run_name"])
            yield name, entry["real_time"]
            row, _, subject = name.rpartition("/")
            for counter in ("bytes", "p50", "p99", "p999", "switches"):
                if counter in entry:
                    yield f"{row}_{counter}/{subject}", entry[counter]


class Printing:
    """A program that lists names, and prints a line for each that it measures."""

    def __init__(self, program):
        self.program = program

    def names(self):
        return subprocess.run([self.program, "list"], check=True, stdout=subprocess.PIPE, text=True).stdout.split()

    def run(self, row, seconds):
        output = subprocess.run([self.program, str(seconds), f"{row}/"], check=True, stdout=subprocess.PIPE, text=True).stdout
        for line in output.splitlines():
            name, figure = line.split()
            yield name, float(figure)


def build_go(folder, into):
    program = os.path.join(into, "go_bench")
    environment = dict(os.environ, GOCACHE=os.path.join(into, "go_cache"), GOFLAGS="-buildvcs=false")
    subprocess.run(["go", "build", "-o", program, "."], cwd=folder, env=environment, check=True)
    return program


def build_rust(folder, into):
    """With the crates of Debian's packages, and nothing from the network."""
    copy = os.path.join(into, "rust")  # cargo writes beside the source
    shutil.rmtree(copy, ignore_errors=True)
    shutil.copytree(folder, copy)
    environment = dict(os.environ, CARGO_HOME=os.path.join(into, "cargo_home"), CARGO_TARGET_DIR=os.path.join(into, "rust_target"))
    source = ['source.crates-io.replace-with="debian"', f'source.debian.directory="{DEBIAN_CRATES}"']
    command = ["cargo", "build", "--release", "--offline", "--quiet", *itertools.chain(*(("--config", each) for each in source))]
    subprocess.run(command, cwd=copy, env=environment, check=True)
    return os.path.join(into, "rust_target", "release", "runnel-bench")


def has_crates():
    return all(any(name.startswith(crate) for name in os.listdir(DEBIAN_CRATES)) for crate in ("crossbeam-channel-", "flume-")) \
        if os.path.isdir(DEBIAN_CRATES) else False


LANGUAGES = [  # a file that shows the language, what builds it, whether that can be, which peers it has, and the packages
    ("go.mod", build_go, lambda: shutil.which("go"), ["go"], "golang-go"),
    ("Cargo.toml", build_rust, lambda: shutil.which("cargo") and has_crates(), ["crossbeam", "flume"],
     "cargo rustc librust-crossbeam-channel-dev librust-flume-dev"),
]


def programs_of(paths, into, missing):
    for path in map(os.path.abspath, paths):
        language = next((each for each in LANGUAGES if os.path.isfile(os.path.join(path, each[0]))), None)
        if language is not None:
            _, build, possible, peers, package = language
            if possible():
                yield Printing(build(path, into))
            else:
                missing.update({peer: package for peer in peers})
        elif os.path.isdir(path):
            for name in sorted(os.listdir(path)):
                program = os.path.join(path, name)
                if os.path.isfile(program) and os.access(program, os.X_OK):
                    yield Google(program)
        else:
            yield Google(path)


def calibrate():
    """The seconds that a fixed computation takes: the better of two."""
    times = []
    for _ in range(2):
        begin = time.perf_counter()
        sum(range(200_000))
        times.append(time.perf_counter() - begin)
    return min(times)


class Machine:
    """What others, and the host, have used of the cores since it was made: in cores."""

    def __init__(self):
        self.begin = time.perf_counter()
        self.all, self.stolen = self.used()
        self.own = self.of_own()

    @staticmethod
    def used():
        try:
            with open("/proc/stat", encoding="ascii") as stat:
                user, nice, system, _, _, irq, soft, steal = map(int, stat.readline().split()[1:9])
        except (OSError, ValueError):
            return 0.0, 0.0
        hertz = os.sysconf("SC_CLK_TCK")
        return (user + nice + system + irq + soft) / hertz, steal / hertz

    @staticmethod
    def of_own():
        return sum(os.times()[:4])

    def disturbance(self):
        seconds = time.perf_counter() - self.begin
        everything, stolen = self.used()
        grain = 0.04  # the kernel counts in hundredths, and for each core
        others = everything - self.all - (self.of_own() - self.own)
        return max(0.0, others - grain, stolen - self.stolen - grain) / seconds


class Distance:
    """Whether the cores are farther from each other than they were at best."""

    def __init__(self, program, patience):
        self.program = program
        self.least = float("inf")
        self.patience = patience  # the seconds that may still be waited, in all
        begin = time.monotonic()
        while program is not None and time.monotonic() - begin < patience / 40:  # a quarter of a minute: some phases of near and far
            self.factor()
            time.sleep(0.1)

    def factor(self):
        if self.program is None:
            return 1.0
        now = float(subprocess.run([self.program], check=True, stdout=subprocess.PIPE, text=True).stdout)
        self.least = min(self.least, now)
        return now / self.least if self.least > 0 else 1.0

    def wait_until_near(self):
        """Returns: the last factor."""
        while (factor := self.factor()) > FAR and self.patience > 0:
            time.sleep(0.2)
            self.patience -= 0.2
        return factor


class Run:
    def __init__(self, programs, arguments):
        self.seconds = arguments.seconds
        self.distance = Distance(arguments.probe, 1200 * arguments.seconds * arguments.rounds)
        self.spoiled = []  # figures of disturbed rounds
        self.rows = collections.defaultdict(list)  # of each row: the programs that know it
        for program in programs:
            for row in dict.fromkeys(name.rpartition("/")[0] for name in program.names() if re.search(arguments.only, name)):
                self.rows[row].append(program)
        self.calibrations = [calibrate() for _ in range(9)]
        self.only = arguments.only

    def measure(self, row):
        """Returns: the figures, and why they are not to be trusted, if so."""
        far = self.distance.wait_until_near()
        self.calibrations.append(calibrate())
        slower = self.calibrations[-1] / statistics.median(self.calibrations) - 1
        machine = Machine()
        figures = [pair for program in self.rows[row] for pair in program.run(row, self.seconds) if re.search(self.only, pair[0])]
        busy = machine.disturbance()
        far = max(far, self.distance.factor())
        if slower > TOLERANCE:
            return figures, f"a fixed computation took {slower:.0%} longer than its median"
        if far > FAR:
            return figures, f"a cache line took {far:.1f} times as long from core to core as at best"
        return figures, f"others used {busy:.2f} of a core" if busy > TOLERANCE else None

    def round(self, number, into):
        again = []
        rows = sorted((row for row in self.rows if number == 0 or row[0] not in ONCE), key=kept.row_order)
        for row in rows:
            figures, why = self.measure(row)
            if why is None:
                self.keep(figures, into)
            else:
                again.append(row)
        reasons = []
        for row in again:
            figures, why = self.measure(row)
            if why is None:
                self.keep(figures, into)
            else:
                self.spoiled.append(figures)
                reasons.append(f"{row} ({why})")
        if reasons:
            print(f"note: round {number + 1}: disturbed, also when repeated: {', '.join(reasons)}", file=sys.stderr)

    def keep_spoiled(self, rounds, into):
        """Keeps what was disturbed of those that have not been measured undisturbed in most rounds, and marks it."""
        for figures in self.spoiled:
            names = [name for name, _ in figures]
            wanted = 1 if names[0][0] in ONCE else rounds // 2 + 1
            if min(len(into.samples[name]) for name in names) < wanted:
                self.keep(figures, into)
                into.disturbed.update(names)

    @staticmethod
    def keep(figures, into):
        for name, figure in figures:
            into.samples[name].append(figure)


def machine_name():
    try:
        with open("/proc/cpuinfo", encoding="utf-8") as info:
            model = re.search(r"model name\s*: (.*)", info.read()).group(1)
    except (OSError, AttributeError):
        model = "unknown cores"
    return f"{os.cpu_count()} cores, {model}"


def measured(arguments):
    missing = dict(each.split("=", 1) for each in arguments.missing)
    found = kept.Results(machine_name(), arguments.rounds, arguments.seconds, missing)
    with tempfile.TemporaryDirectory() as folder:
        into = os.path.abspath(arguments.build or folder)
        os.makedirs(into, exist_ok=True)
        run = Run(list(programs_of(arguments.programs, into, missing)), arguments)
        for number in range(arguments.rounds):
            run.round(number, found)
        run.keep_spoiled(arguments.rounds, found)
    if not found.samples:
        sys.exit("no benchmark has run")
    return found


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("programs", nargs="*", metavar="PROGRAM")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=0.1, help="how long each benchmark is measured in a round")
    parser.add_argument("--only", default=".", metavar="REGEX", help="the benchmarks with these names")
    parser.add_argument("--build", metavar="FOLDER", help="where the Go and Rust programs are built, to be faster the next time")
    parser.add_argument("--missing", action="append", default=[], metavar="PEER=PACKAGE", help="a peer that the build has left out")
    parser.add_argument("--probe", metavar="PROGRAM", help="prints how long a cache line takes from core to core and back")
    parser.add_argument("--save", metavar="FILE", help="keep the raw results")
    parser.add_argument("--against", metavar="FILE", help="compare with these results, of an earlier run")
    parser.add_argument("--show", metavar="FILE", help="show these results, and measure nothing")
    parser.add_argument("--summary", action="store_true", help="print runnel and the best peer of each row only")
    arguments = parser.parse_args()
    if bool(arguments.programs) == bool(arguments.show):
        parser.error("programs to run, or --show")

    found = kept.Results.load(arguments.show) if arguments.show else measured(arguments)
    if arguments.save:
        found.save(arguments.save)
    print(found.heading())
    for package in sorted(set(found.missing.values())):
        peers = sorted(peer for peer in found.missing if found.missing[peer] == package)
        print(f"left out: {' and '.join(peers)} (Debian: {package})")
    if arguments.against:
        kept.print_change(kept.Results.load(arguments.against), found)
    elif arguments.summary:
        kept.print_summary(found)
    else:
        kept.print_all(found)


if __name__ == "__main__":
    main()
