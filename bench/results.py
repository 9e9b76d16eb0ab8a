"""What one run of compare.py has measured: kept in a JSON file, and told.

{"machine": …, "rounds": …, "seconds": …, "missing": {peer: package}, "samples": {NAME: [nanoseconds of each round]}, "disturbed": [NAME]}
"""

import collections
import json
import math
import re
import statistics

BASE = "runnel"
SECTIONS = {  # in this order; a row is in the first that knows it
    "how many bytes": lambda row: row.endswith("_bytes"),
    "latency": lambda row: row.startswith("L"),
    "growth": lambda row: row.startswith("G"),
    "threads that are pinned": lambda row: row.endswith("_pinned"),
    "tasks": lambda row: "task" in row,
    "threads": lambda row: True,
}
TOLD = ["threads", "threads that are pinned", "tasks", "latency", "how many bytes", "growth"]


def is_own(subject):
    return subject.startswith(BASE)


def row_order(row):
    """W2 before W10, select_16 before select_256."""
    return [(0, int(part), "") if part.isdigit() else (1, 0, part) for part in re.split(r"(\d+)", row)]


def section_of(row):
    return next(name for name, knows in SECTIONS.items() if knows(row))


def half_quartile_distance(times):
    if len(times) < 2:
        return 0.0
    quartiles = statistics.quantiles(times, n=4, method="inclusive")
    return (quartiles[2] - quartiles[0]) / 2


class Results:
    def __init__(self, machine="", rounds=0, seconds=0.0, missing=None, samples=None, disturbed=()):
        self.machine = machine
        self.rounds = rounds
        self.seconds = seconds
        self.missing = missing or {}
        self.samples = collections.defaultdict(list, samples or {})
        self.disturbed = set(disturbed)

    @staticmethod
    def load(file):
        with open(file, encoding="utf-8") as stream:
            return Results(**json.load(stream))

    def save(self, file):
        with open(file, "w", encoding="utf-8") as stream:
            json.dump({**self.__dict__, "disturbed": sorted(self.disturbed)}, stream, indent=1, ensure_ascii=False)
            stream.write("\n")

    def rows(self):
        """Of each row, in order: its subjects, and their medians."""
        found = collections.defaultdict(dict)
        for name, times in self.samples.items():
            row, _, subject = name.rpartition("/")
            found[row][subject] = statistics.median(times)
        return {row: found[row] for row in sorted(found, key=row_order)}

    def spread(self, row, subject):
        return half_quartile_distance(self.samples[f"{row}/{subject}"])

    def heading(self):
        return f"{self.rounds} round{'s' if self.rounds != 1 else ''} of {self.seconds} s, row by row; {self.machine}"


def best_peer(subjects):
    """The name and the median of the fastest that is not runnel's, or None."""
    peers = {subject: time for subject, time in subjects.items() if not is_own(subject)}
    name = min(peers, key=peers.get, default=None)
    return None if name is None else (name, peers[name])


def mean_ratio(rows, section):
    """The geometric mean of best peer / runnel over the rows of this section that have both, and how many they are."""
    ratios = []
    for row, subjects in rows.items():
        best = best_peer(subjects)
        if section_of(row) in section and BASE in subjects and best is not None:
            ratios.append(best[1] / subjects[BASE])
    return (math.exp(statistics.fmean(map(math.log, ratios))) if ratios else 0.0), len(ratios)


def number(value):
    return f"{value:.0f}" if value >= 100 else f"{value:.3g}"


def print_table(lines):
    """Markdown; the first line is the head."""
    widths = [max(len(line[i]) for line in lines) for i in range(len(lines[0]))]
    for count, line in enumerate(lines):
        print("| " + " | ".join(c.ljust(w) if i == 0 else c.rjust(w) for i, (c, w) in enumerate(zip(line, widths))) + " |")
        if count == 0:
            print("|" + "|".join("-" * (w + 1) + ("-" if i == 0 else ":") for i, w in enumerate(widths)) + "|")


def print_all(results):
    rows = results.rows()
    for section in TOLD:
        mine = {row: subjects for row, subjects in rows.items() if section_of(row) == section}
        if not mine:
            continue
        columns = sorted({s for subjects in mine.values() for s in subjects}, key=lambda s: (s != BASE, not is_own(s), s))
        print(f"\n{section[0].upper()}{section[1:]}, {'bytes' if 'bytes' in section else 'ns'}: median ± spread (ratio)\n")
        lines = [[section, *columns, "best peer"]]
        for row, subjects in mine.items():
            line = [row]
            for subject in columns:
                cell = ""
                if subject in subjects:
                    cell = number(subjects[subject])
                    if spread := results.spread(row, subject):
                        cell += f" ± {spread:.2g}"
                    if subject != BASE and subjects.get(BASE, 0) > 0:
                        cell += f" ({subjects[subject] / subjects[BASE]:.2f})"
                    if f"{row}/{subject}" in results.disturbed:
                        cell += " *"
                line.append(cell)
            best = best_peer(subjects)
            line.append("" if best is None else best[0])
            lines.append(line)
        print_table(lines)
    if results.disturbed:
        print("\n* other work disturbed a round of it, also when it was repeated")
    print_means(rows)


def print_means(rows):
    print()
    for name, sections in (("threads", ["threads"]), ("threads that are pinned", ["threads that are pinned"]), ("tasks", ["tasks"]),
                           ("threads and tasks", ["threads", "tasks"])):
        mean, count = mean_ratio(rows, sections)
        if count:
            print(f"- {name}: the geometric mean of best peer / runnel is {mean:.2f}, over {count} rows")


def print_summary(results):
    """A line for each row: runnel, and the best peer."""
    rows = results.rows()
    lines = [["row", "runnel", "best peer", "which", "ratio"]]
    for section in ("threads", "threads that are pinned", "tasks"):
        for row, subjects in rows.items():
            best = best_peer(subjects)
            if section_of(row) == section and BASE in subjects and best is not None:
                lines.append([row, number(subjects[BASE]), number(best[1]), best[0], f"{best[1] / subjects[BASE]:.2f}"])
    print_table(lines)
    print_means(rows)


def print_change(before, after):
    """What a change has done to each row of runnel's: over one, it is faster now."""
    then, now = before.rows(), after.rows()
    lines = [["ns", "subject", "before", "after", "before / after"]]
    ratios = []
    for row, subjects in now.items():
        for subject, time in subjects.items():
            if is_own(subject) and subject in then.get(row, {}):
                ratio = then[row][subject] / time
                spread = max(before.spread(row, subject) / then[row][subject], after.spread(row, subject) / time)
                ratios.append(ratio)
                lines.append([row, subject, number(then[row][subject]), number(time),
                              f"{ratio:.2f}" + (" (within the spread)" if abs(ratio - 1) <= spread else "")])
    print_table(lines)
    if ratios:
        print(f"\nthe geometric mean of before / after is {math.exp(statistics.fmean(map(math.log, ratios))):.3f}, over {len(ratios)} rows")
