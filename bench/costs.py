#!/usr/bin/env python3
"""What a user of the headers pays: the time to compile each, and the size of the code that a channel adds.

    bench/costs.py [--compiler g++] [--rounds 3] [--only REGEX]

Time: of a core, for a file that includes the header and nothing else, at -O0, less that for <thread> alone; medians, taken by turns.
Size: of all code in the object file, at -O2, of a function that makes a channel<int>, sends and receives; and how much more there is where
it sends and receives once more. What has no code of its own there is in a library of the peer's, and is not counted.
"""

import argparse
import os
import pathlib
import re
import statistics
import subprocess
import sys
import tempfile

BENCH = pathlib.Path(__file__).resolve().parent
INCLUDE = BENCH.parent / "include"
FLOOR = "thread"
PEERS = ["boost/fiber/buffered_channel.hpp", "boost/fiber/unbuffered_channel.hpp", "tbb/concurrent_queue.h"]
CHANNELS = {  # name: header, a channel of capacity 8 made, a send and a receive
    "runnel": ("runnel/channel.hpp", "runnel::channel<int> ch(8);", "ch.send(n); keep(*ch.recv());"),
    "fiber": ("boost/fiber/buffered_channel.hpp", "boost::fibers::buffered_channel<int> ch(8);", "ch.push(n); keep(ch.value_pop());"),
    "tbb": ("tbb/concurrent_queue.h", "tbb::concurrent_bounded_queue<int> ch; ch.set_capacity(8);", "ch.push(n); ch.pop(n); keep(n);"),
    "naive": ("naive_channel.hpp", "naive::channel<int> ch(8);", "ch.send(int{n}); keep(*ch.recv());"),
}


class Compiler:
    def __init__(self, program, folder):
        self.command = [program, "-std=c++20", "-pthread", f"-I{INCLUDE}", f"-I{BENCH}"]
        self.source = os.path.join(folder, "costs.cpp")
        self.object = os.path.join(folder, "costs.o")

    def compile(self, text, level):
        """Returns: the seconds of a core, or None if it does not compile."""
        pathlib.Path(self.source).write_text(text, encoding="utf-8")
        begin = sum(os.times()[2:4])
        done = subprocess.run([*self.command, level, "-c", self.source, "-o", self.object], stderr=subprocess.DEVNULL, check=False)
        return sum(os.times()[2:4]) - begin if done.returncode == 0 else None

    def including(self, header):
        return self.compile(f"#include <{header}>\n", "-O0")

    def code_size(self, text):
        """The bytes of all sections with code."""
        if self.compile(text, "-O2") is None:
            return None
        listed = subprocess.run(["size", "-A", self.object], check=True, stdout=subprocess.PIPE, text=True).stdout
        return sum(int(line.split()[1]) for line in listed.splitlines() if line.startswith(".text"))


def print_times(compiler, headers, rounds):
    times = {header: [] for header in [FLOOR, *headers]}
    for _ in range(rounds):
        for header in list(times):
            if (seconds := compiler.including(header)) is not None:
                times[header].append(seconds)
            else:
                print(f"note: {header} is left out: it does not compile here", file=sys.stderr)
                del times[header]
    floor = statistics.median(times[FLOOR])
    print(f"\nSeconds to compile each header at -O0, over the {floor:.2f} of <{FLOOR}>; medians of {rounds}\n")
    print("| header | seconds |\n|---|---:|")
    for header in headers:
        if header in times:
            print(f"| {header} | {statistics.median(times[header]) - floor:.2f} |")


def print_sizes(compiler):
    print("\nBytes of code at -O2 of a channel of int that is made, with one send and one receive; of one more send and receive\n")
    print("| channel | made and used once | once more |\n|---|---:|---:|")
    for name, (header, make, use) in CHANNELS.items():
        def body(times):
            calls = " ".join([use] * times)
            return f"#include <{header}>\nvoid keep(int);\nvoid f(int n) {{ {make if times else ''} {calls} }}\n"
        none, once, twice = (compiler.code_size(body(times)) for times in range(3))
        if none is not None and once is not None and twice is not None:
            print(f"| {name} | {once - none} | {twice - once} |")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--compiler", default="g++")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--only", default=".", metavar="REGEX", help="the headers with these names")
    arguments = parser.parse_args()
    own = [f"runnel/{header.name}" for header in sorted((INCLUDE / "runnel").glob("*.hpp"))]
    with tempfile.TemporaryDirectory() as folder:
        compiler = Compiler(arguments.compiler, folder)
        print_times(compiler, [header for header in [*own, *PEERS] if re.search(arguments.only, header)], arguments.rounds)
        print_sizes(compiler)


if __name__ == "__main__":
    main()
