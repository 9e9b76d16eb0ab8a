#!/usr/bin/env python3
"""Draws what compare.py has kept, as SVG: bars for each row with a peer, and the curves of growth.

    bench/plot.py build/bench/results.json bench/results     writes threads.svg, tasks.svg and growth.svg into the folder
    bench/plot.py … --readme README.md                       and puts them, with the summary as a table, between the marks in this file
"""

import argparse
import collections
import contextlib
import html
import io
import math
import os
import pathlib
import re

import results as kept

COLORS = {
    "runnel": "#1d4ed8", "runnel_1": "#7c9cf0", "runnel_by_hand": "#a9bdf5", "go": "#0891b2", "crossbeam": "#c2410c", "flume": "#ca8a04",
    "fiber": "#7e22ce", "tbb": "#15803d", "tbb_arena": "#86b98f", "moodycamel": "#be185d", "readerwriter": "#e58fb5", "naive": "#6b7280",
}
PANEL = 250  # the width of one
GAP = 20
COLUMNS = 4
LINE = 15  # of a bar
CUT = 6.0  # a bar ends at this many times runnel's
GROWTH = {
    "G1/producers_{}": "producers on threads, ns per value",
    "G1/producers_{}_tasks": "producing tasks, ns per value",
    "G2/select_{}": "channels in a select, ns per select",
    "G3/cancel_{}": "children canceled, ns per child",
    "G4/blocked_{}_tasks": "blocked tasks, ns per task",
    "G5/stages_{}_tasks": "stages of tasks, ns per value and channel",
}


class Drawing:
    def __init__(self, title, note):
        self.parts = []
        self.text(GAP, 28, title, size=16, weight="bold")
        self.text(GAP, 46, note, color="#4b5563")

    def add(self, part):
        self.parts.append(part)

    def text(self, x, y, what, size=11, color="#111827", anchor="start", weight="normal"):
        self.add(f'<text x="{x:.1f}" y="{y:.1f}" font-size="{size}" fill="{color}" text-anchor="{anchor}" font-weight="{weight}">'
                 f"{html.escape(what)}</text>")

    def write(self, file, height):
        width = COLUMNS * (PANEL + GAP) + GAP
        with open(file, "w", encoding="utf-8") as stream:
            stream.write(f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height:.0f}" '
                         'font-family="system-ui, sans-serif">\n'
                         f'<rect width="{width}" height="{height:.0f}" fill="#ffffff"/>\n' + "\n".join(self.parts) + "\n</svg>\n")


def short(count):
    return f"{count:g}" if count < 10000 else f"1e{round(math.log10(count))}"


def color_of(subject):
    return COLORS.get(subject, "#9ca3af")


def draw_bars(drawing, x, y, row, subjects):
    """The fastest on top; a bar that is too long is cut, and says so by its end."""
    drawing.text(x, y, row, size=12, weight="bold")
    longest = min(max(subjects.values()), CUT * subjects[kept.BASE])
    left, space = 82, PANEL - 82 - 42
    for count, (subject, time) in enumerate(sorted(subjects.items(), key=lambda pair: pair[1])):
        top = y + 7 + count * LINE
        length = space * min(time, longest) / longest
        own = subject == kept.BASE
        drawing.text(x + left - 5, top + 10, subject, anchor="end", weight="bold" if own else "normal")
        drawing.add(f'<rect x="{x + left}" y="{top}" width="{max(length, 1):.1f}" height="{LINE - 3}" rx="2" fill="{color_of(subject)}"/>')
        if time > longest:
            drawing.add(f'<path d="M{x + left + length - 12:.1f} {top + LINE - 3} l5 -{LINE - 3} h3 l-5 {LINE - 3} z" fill="#ffffff"/>')
        drawing.text(x + left + length + 4, top + 10, kept.number(time), weight="bold" if own else "normal")


def bars(found, section, file):
    rows = [(row, subjects) for row, subjects in found.rows().items()
            if kept.section_of(row) == section and kept.BASE in subjects and kept.best_peer(subjects) is not None]
    drawing = Drawing(f"runnel beside its peers: {section}", f"ns, median: shorter is faster. {found.heading()}")
    y = 76
    for start in range(0, len(rows), COLUMNS):
        line = rows[start:start + COLUMNS]
        for column, (row, subjects) in enumerate(line):
            draw_bars(drawing, GAP + column * (PANEL + GAP), y, row, subjects)
        y += max(len(subjects) for _, subjects in line) * LINE + 38
    drawing.write(file, y - 10)


def curves_of(rows, pattern):
    """Of each subject: its points."""
    curves = collections.defaultdict(list)
    name = re.compile(re.escape(pattern).replace(re.escape("{}"), r"(\d+)") + "$")
    for row, subjects in rows.items():
        if match := name.match(row):
            for subject, time in subjects.items():
                curves[subject].append((int(match.group(1)), time))
    return {subject: sorted(points) for subject, points in curves.items()}


def draw_curves(drawing, x, y, title, curves, width, height):
    """Both axes are logarithmic."""
    drawing.text(x, y, title, size=12, weight="bold")
    left, top, right, bottom = x + 44, y + 12, x + width - 80, y + height - 20
    counts = sorted({count for points in curves.values() for count, _ in points})
    times = [time for points in curves.values() for _, time in points]
    low, high = math.floor(math.log10(min(times))), math.ceil(math.log10(max(times)))
    across = max(math.log(counts[-1] / counts[0]), 1e-9)

    def at(count, time):
        return (left + (right - left) * math.log(count / counts[0]) / across,
                bottom - (bottom - top) * (math.log10(time) - low) / max(high - low, 1))

    for power in range(low, high + 1):
        _, line = at(counts[0], 10.0 ** power)
        drawing.add(f'<path d="M{left} {line:.1f} H{right}" stroke="#e5e7eb"/>')
        drawing.text(left - 5, line + 4, short(10 ** power), size=10, color="#4b5563", anchor="end")
    for count in counts:
        drawing.text(at(count, 1)[0], bottom + 14, short(count), size=10,
                     color="#4b5563", anchor="middle")
    ends = []
    for subject, points in curves.items():
        corners = [at(*point) for point in points]
        wide = 2.5 if subject == kept.BASE else 1.5
        drawing.add('<polyline fill="none" stroke-linejoin="round" points="' + " ".join(f"{a:.1f},{b:.1f}" for a, b in corners) +
                    f'" stroke="{color_of(subject)}" stroke-width="{wide}"/>')
        ends.append((corners[-1][1], corners[-1][0], subject))
    last = top - 12
    for height_of, end, subject in sorted(ends):  # names that would cover each other move down
        last = max(height_of, last + 12)
        drawing.text(end + 5, last + 4, subject, color=color_of(subject),
                     weight="bold" if subject == kept.BASE else "normal")


def growth(found, file):
    drawing = Drawing("How costs grow", f"lower is faster; both axes are logarithmic; one run of each. {found.machine}")
    width, height = (COLUMNS * (PANEL + GAP) - 2 * GAP) / 3, 250
    drawn = 0
    for pattern, title in GROWTH.items():
        if curves := curves_of(found.rows(), pattern):
            draw_curves(drawing, GAP + drawn % 3 * (width + GAP), 76 + drawn // 3 * (height + 30), title, curves, width, height)
            drawn += 1
    if drawn:
        drawing.write(file, 76 + math.ceil(drawn / 3) * (height + 30))


def put_into(readme, folder, found):
    with contextlib.redirect_stdout(io.StringIO()) as table:
        kept.print_summary(found)
    pictures = "\n\n".join(f"![{name}]({folder}/{name}.svg)" for name in ("threads", "tasks", "growth"))
    begin, end = "<!-- figures: from one run of the command above -->\n", "<!-- end of the figures -->\n"
    before, _, rest = pathlib.Path(readme).read_text(encoding="utf-8").partition(begin)
    _, _, after = rest.partition(end)
    what = f"{found.heading()}; ns per item.\n\n{pictures}\n\n{table.getvalue()}"
    pathlib.Path(readme).write_text(f"{before}{begin}\n{what}\n{end}{after}", encoding="utf-8")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("results", metavar="FILE", help="what compare.py --save has kept")
    parser.add_argument("folder", metavar="FOLDER")
    parser.add_argument("--readme", metavar="FILE")
    arguments = parser.parse_args()
    found = kept.Results.load(arguments.results)
    os.makedirs(arguments.folder, exist_ok=True)
    for section in ("threads", "tasks"):
        bars(found, section, os.path.join(arguments.folder, f"{section}.svg"))
    growth(found, os.path.join(arguments.folder, "growth.svg"))
    if arguments.readme:
        put_into(arguments.readme, os.path.normpath(arguments.folder), found)


if __name__ == "__main__":
    main()
