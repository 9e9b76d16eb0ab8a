#!/usr/bin/env python3
"""The rules of this repository that no compiler checks.

structure.py [ROOT]       prints what breaks a rule; the status is 1 if anything does
structure.py --self-test  breaks each rule in a copy of the repository, and sees that it is found
"""

import collections
import pathlib
import re
import shutil
import sys
import tempfile

# The layers, from the ground up. A header includes headers of rows above its own only; rows of one layer are steps within it.
# A header that stands in no row is an error, and so is one that is not there.
LAYERS = [
    ("ground", "version detail/config"),
    ("ground", "status"),
    ("parts", "detail/sync detail/storage detail/type_name"),
    ("parts", "detail/ring detail/time detail/blocking detail/group_scope detail/task_memory"),
    ("parts", "detail/segments"),
    ("parts", "detail/channel_store"),
    ("waiting", "detail/work_item"),
    ("waiting", "detail/waiter"),
    ("waiting", "detail/serve"),
    ("waiting", "detail/resume"),
    ("contract", "selectable"),
    ("waiting", "detail/wait"),
    ("engines", "detail/thread_cache detail/timer_queue detail/channel_core detail/future_core detail/guard_core detail/rw_core"),
    ("engines", "detail/background_function detail/cancel_tree detail/run_queue detail/task_promise detail/work_inbox"),
    ("engines", "detail/cancel_tree_end detail/root_list"),
    ("engines", "detail/task_places"),
    ("engines", "detail/task_watch"),
    ("engines", "detail/root_destroyer"),
    ("engines", "detail/scheduler"),
    ("engines", "detail/context_core"),
    ("tasks", "task"),
    ("tasks", "detail/start_task detail/task_outcome"),
    ("engines", "detail/after_func_state detail/signal_watch detail/stop_bridge detail/event_wait"),
    ("fronts", "detail/channel_events detail/channel_handle detail/select_engine"),
    ("fronts", "detail/await"),
    ("fronts", "detail/channel_await"),
    ("fronts", "detail/channel_send"),
    ("fronts", "detail/channel_recv"),
    ("fronts", "detail/select_cases"),
    ("fronts", "detail/select_events"),
    ("fronts", "detail/select_at_once"),
    ("primitives", "rw_guarded"),
    ("primitives", "channel guarded"),
    ("primitives", "detail/tick_source"),
    ("primitives", "context select timer"),
    ("groups", "detail/errgroup_core"),
    ("groups", "go"),
    ("groups", "runtime"),
    ("groups", "errgroup semaphore wait_group"),
    ("patterns", "detail/fan_tasks"),
    ("patterns", "broadcast fan"),
    ("patterns", "detail/pipe"),
    ("patterns", "detail/pipeline_sources"),
    ("patterns", "detail/pipeline_steps"),
    ("patterns", "detail/pipeline_run"),
    ("patterns", "detail/pipeline_stages"),
    ("patterns", "pipeline"),
    ("patterns", "once oneshot rate_limiter singleflight watch"),
    ("patterns", "detail/pool_places detail/pool_queue"),
    ("patterns", "detail/pool_core"),
    ("patterns", "detail/pool_job"),
    ("patterns", "worker_pool"),
    ("umbrella", "runnel"),
    ("adapters", "detail/asio_context"),  # on top: the umbrella brings none of them
    ("adapters", "detail/asio_operation"),
    ("adapters", "asio"),
]

GATEWAY = "detail/sync.hpp"
GATEWAY_HEADERS = {
    "atomic", "barrier", "condition_variable", "future", "latch", "mutex", "random", "semaphore", "shared_mutex", "thread",
    "linux/futex.h", "pthread.h", "sched.h", "sys/syscall.h", "sys/time.h", "time.h",
}
GATEWAY_NAMES = re.compile(
    r"std::(?:atomic|a?synchronized|barrier|call_once|condition_variable|counting_semaphore|binary_semaphore|jthread|latch|lock_guard"
    r"|memory_order|mt19937|mutex|once_flag|random_device|recursive_mutex|scoped_lock|shared_lock|shared_mutex|this_thread|thread"
    r"|timed_mutex|unique_lock)\w*"
    r"|\b(?:thread_local|\w*_clock::now|steady_clock|system_clock|high_resolution_clock|SYS_\w+|FUTEX_\w+|pthread_(?!sigmask)\w+|sched_yield"
    r"|clock_gettime|nanosleep|usleep|__atomic_\w+|__sync_\w+|rand|srand|drand48)\b")
STOP_TOKEN_HEADERS = {"detail/context_core.hpp", "detail/stop_bridge.hpp"}  # the bridge to std::stop_token

MAX_COLUMNS = 140  # the formatter breaks code at 132 and leaves comments to their author
MAX_LINES = 450
MANY_LINES = 400

TOP_LEVEL = {
    "include", "tests", "bench", "examples", "CMakeLists.txt", "CMakePresets.json", "README.md", "LICENSE", "CHANGELOG.md",
    "build",  # ignored by git
}
SOURCE_FOLDERS = ("include", "tests", "bench", "examples")

COMMENT_OR_STRING = re.compile(r'//[^\n]*|/\*.*?\*/|"(?:\\.|[^"\\\n])*"|\'(?:\\.|[^\'\\\n])+\'', re.DOTALL)

RULES = {}


def rule(function):
    RULES[function.__name__] = function
    return function


def blank(match):
    """White space in place of a comment or string, so that lines stay where they are."""
    return re.sub(r"[^\n]", " ", match.group())


def code_of(text):
    return COMMENT_OR_STRING.sub(blank, text)


def line_of(text, position):
    return text.count("\n", 0, position) + 1


def headers(root):
    """Each header's name below include/runnel, and its text."""
    base = root / "include" / "runnel"
    return {path.relative_to(base).as_posix(): path.read_text() for path in sorted(base.rglob("*.hpp"))}


def public_headers(root):
    return {name: text for name, text in headers(root).items() if "/" not in name}


def sources(root):
    """Each C++ file's path, and its text."""
    for folder in SOURCE_FOLDERS:
        for path in sorted((root / folder).rglob("*.[ch]pp")):
            yield path.relative_to(root).as_posix(), path.read_text()


def includes(text):
    for match in re.finditer(r'^[ \t]*#[ \t]*include[ \t]*([<"])([^>"]+)[>"]', text, re.MULTILINE):
        yield match.group(1), match.group(2), line_of(text, match.start())


@rule
def layers(root):
    """A header includes headers of lower layers only, and every header has a layer."""
    row_of = {f"{name}.hpp": row for row, (_, names) in enumerate(LAYERS) for name in names.split()}
    found = headers(root)
    for name in sorted(row_of.keys() - found.keys()):
        yield f"include/runnel/{name}: has a layer and does not exist"
    for name, text in found.items():
        if name not in row_of:
            yield f"include/runnel/{name}: has no layer; give it one in {pathlib.Path(__file__).name}"
            continue
        for quote, target, line in includes(text):
            if quote == '"':
                yield f'include/runnel/{name}:{line}: includes "{target}"; headers are included as <runnel/...>'
            elif target.startswith("runnel/"):
                target = target.removeprefix("runnel/")
                if row_of.get(target, len(LAYERS)) >= row_of[name]:
                    layer, other = LAYERS[row_of[name]][0], LAYERS[row_of[target]][0] if target in row_of else "none"
                    yield f"include/runnel/{name}:{line}: of layer {layer}, includes {target} of layer {other}"


@rule
def gateway(root):
    """Only the gateway names atomics, locks, threads, clocks, chance and what is thread-local."""
    for name, text in headers(root).items():
        if name == GATEWAY:
            continue
        for _, target, line in includes(text):
            if target in GATEWAY_HEADERS or (target == "stop_token" and name not in STOP_TOKEN_HEADERS):
                yield f"include/runnel/{name}:{line}: includes <{target}>, which is the gateway's"
        code = code_of(text)
        for match in GATEWAY_NAMES.finditer(code):
            yield f"include/runnel/{name}:{line_of(code, match.start())}: names {match.group()}, which is the gateway's"


@rule
def fences(root):
    """B52 No fences, which ThreadSanitizer cannot follow, and no volatile."""
    for name, text in headers(root).items():
        code = code_of(text)
        for match in re.finditer(r"\b\w*(?:thread|signal)_fence\b|\b__sync_synchronize\b|\bvolatile\b", code):
            yield f"include/runnel/{name}:{line_of(code, match.start())}: {match.group()}"


@rule
def mirror(root):
    """Each public header that holds more than macros has its test, its example and the output of that."""
    for name, text in public_headers(root).items():
        lines = [line.strip() for line in code_of(text).splitlines()]
        if all(not line or line.startswith(("#define", "#pragma")) for line in lines):
            continue
        stem = name.removesuffix(".hpp")
        for needed in (f"tests/unit/{stem}_test.cpp", f"examples/{stem}.cpp", f"examples/{stem}.expected"):
            if not (root / needed).is_file():
                yield f"include/runnel/{name}: has no {needed}"
            elif needed.endswith(".cpp") and f"<runnel/{name}>" not in (root / needed).read_text():
                yield f"{needed}: does not include <runnel/{name}>"


@rule
def orders(root):
    """Every access to an atomic names its memory order, and compare_exchange both."""
    access = re.compile(r"(?:\.|->)(load|store|exchange|compare_exchange\w*|fetch_\w+|test_and_set)\s*\(")
    order = re.compile(r"\b(?:relaxed|acquire|release|acq_rel|seq_cst|memory_order_\w+|order|success|failure)\b")
    for name, text in headers(root).items():
        code = code_of(text)
        for match in access.finditer(code):
            end, depth = match.end(), 1
            while depth > 0 and end < len(code):
                depth += {"(": 1, ")": -1}.get(code[end], 0)
                end += 1
            needed = 2 if match.group(1).startswith("compare_exchange") else 1
            if len(order.findall(code[match.end():end])) < needed:
                yield f"include/runnel/{name}:{line_of(code, match.start())}: {match.group(1)} without its memory order"


@rule
def tags(root):
    """A memory-order tag, // [object.event], stands on both sides of what it is about."""
    places = collections.defaultdict(list)
    for name, text in headers(root).items():
        for number, line in enumerate(text.splitlines(), 1):
            for tag in re.findall(r"//.*?\[([a-z_]+\.[a-z_.]+)\]", line):
                places[tag].append(f"include/runnel/{name}:{number}")
    for tag, where in sorted(places.items()):
        if len(where) < 2:
            yield f"{where[0]}: [{tag}] has no other side"


@rule
def sizes(root):
    """A header of many lines holds two things."""
    for name, text in headers(root).items():
        count = len(text.splitlines())
        if count > MAX_LINES:
            yield f"include/runnel/{name}: {count} lines; {MAX_LINES} are the most"


@rule
def columns(root):
    """No line is much longer than the formatter's limit."""
    for name, text in sources(root):
        for number, line in enumerate(text.splitlines(), 1):
            if len(line) > MAX_COLUMNS:
                yield f"{name}:{number}: {len(line)} columns; {MAX_COLUMNS} are the most"


@rule
def guards(root):
    """Every header can be included twice."""
    for name, text in headers(root).items():
        if not re.search(r"^#pragma once$", text, re.MULTILINE):
            yield f"include/runnel/{name}: has no #pragma once"


@rule
def suppressions(root):
    """No report is silenced but by name, on one line, with the reason."""
    for name, text in sources(root):
        for number, line in enumerate(text.splitlines(), 1):
            if "NOLINT" in line and not re.search(r"NOLINT(?:NEXTLINE)?\([a-z0-9.,\- ]+\): \S", line):
                yield f"{name}:{number}: a NOLINT needs one line, its check's name and a reason: NOLINT(check): reason"
            if re.search(r"no_sanitize|disable_sanitizer|clang-format off|diagnostic\s+ignored|__(?:tsan|lsan)_default_suppressions", line):
                yield f"{name}:{number}: silences a tool"


@rule
def readme(root):
    """C++ in the README is a file that is compiled and run; the quick start is two commands of one line each."""
    text = (root / "README.md").read_text()
    for match in re.finditer(r"(?:<!-- from (\S+) -->\n)?^```(?:cpp|c\+\+)\n(.*?)^```$", text, re.DOTALL | re.MULTILINE):
        where = f"README.md:{line_of(text, match.start())}"
        if match.group(1) is None:
            yield f"{where}: C++ code without the comment that says from which file it is"
        elif not (root / match.group(1)).is_file():
            yield f"{where}: there is no {match.group(1)}"
        elif (root / match.group(1)).read_text() != match.group(2):
            yield f"{where}: differs from {match.group(1)}"
    start = re.search(r"^## Quick start$(.*?)(?=^## )", text, re.DOTALL | re.MULTILINE)
    blocks = re.findall(r"^```\w*\n(.*?)^```$", start.group(1), re.DOTALL | re.MULTILINE) if start else []
    if len(blocks) != 2 or any(block.count("\n") != 1 for block in blocks):
        yield "README.md: the quick start has to be exactly two code blocks of one line each"


@rule
def top_level(root):
    """The top of the repository holds what it is said to hold, and nothing else."""
    for path in sorted(root.iterdir()):
        if not path.name.startswith(".") and path.name not in TOP_LEVEL:
            yield f"{path.name}: does not belong to the top of the repository"
    for name in sorted(TOP_LEVEL - {"build"}):
        if not (root / name).exists():
            yield f"{name}: is missing"


def check(root, names=None):
    return [f"{finding} [{name}]" for name in names or RULES for finding in RULES[name](root)]


# What the self-test plants: a rule, a file, and what becomes of the file's text (None: the file is removed).
def append(more):
    return lambda text: text + more


def replace(old, new):
    def changed(text):
        assert old in text, f"the self-test expects to find: {old}"
        return text.replace(old, new, 1)
    return changed


PLANTS = [
    ("layers", "include/runnel/detail/waiter.hpp", append("#include <runnel/channel.hpp>\n")),
    ("layers", "include/runnel/selectable.hpp", append("#  include <runnel/selectable.hpp>\n")),
    ("layers", "include/runnel/detail/waiter.hpp", append('#include "sync.hpp"\n')),
    ("layers", "include/runnel/detail/unheard_of.hpp", append("#pragma once\n")),
    ("layers", "include/runnel/detail/ring.hpp", None),
    ("layers", "include/runnel/runnel.hpp", append("#include <runnel/asio.hpp>\n")),
    ("gateway", "include/runnel/channel.hpp", append("#include <atomic>\n")),
    ("gateway", "include/runnel/channel.hpp", append("#include <shared_mutex>\n")),
    ("gateway", "include/runnel/guarded.hpp", append("#include <stop_token>\n")),
    ("gateway", "include/runnel/guarded.hpp", append("inline std::mutex planted;\n")),
    ("gateway", "include/runnel/guarded.hpp", append("inline std::atomic_int planted;\n")),
    ("gateway", "include/runnel/guarded.hpp", append("inline thread_local int planted;\n")),
    ("gateway", "include/runnel/timer.hpp", append("inline auto planted() { return std::chrono::steady_clock::now(); }\n")),
    ("fences", "include/runnel/detail/sync.hpp", append("inline void f() { std::atomic_thread_fence(seq_cst); }\n")),
    ("fences", "include/runnel/detail/ring.hpp", append("inline volatile int planted = 0;\n")),
    ("mirror", "tests/unit/status_test.cpp", None),
    ("mirror", "examples/status.cpp", None),
    ("mirror", "examples/status.expected", None),
    ("mirror", "examples/status.cpp", lambda text: text.replace("<runnel/status.hpp>", "<runnel/runnel.hpp>")),
    ("mirror", "include/runnel/unheard_of.hpp", append("#pragma once\nint f();\n")),
    ("orders", "include/runnel/detail/ring.hpp", append("inline int f(atomic<int>& a) { return a.load(); }\n")),
    ("orders", "include/runnel/detail/ring.hpp", append("inline int f(atomic<int>* a) { return a->fetch_add(\n  g(1)); }\n")),
    ("orders", "include/runnel/detail/ring.hpp", append("inline bool f(auto& a, int b) { return a.compare_exchange(b, 1, seq_cst); }\n")),
    ("tags", "include/runnel/detail/ring.hpp", append("// [planted.alone] release: nobody acquires\n")),
    ("sizes", "include/runnel/version.hpp", append("\n" * MAX_LINES)),
    ("columns", "include/runnel/version.hpp", append("// " + "x" * MAX_COLUMNS + "\n")),
    ("guards", "include/runnel/version.hpp", replace("#pragma once\n", "")),
    ("suppressions", "include/runnel/version.hpp", append("int f();  // NOLINT\n")),
    ("suppressions", "include/runnel/version.hpp", append("int f();  // NOLINT(misc-check)\n")),
    ("suppressions", "include/runnel/version.hpp", append("// NOLINTBEGIN(misc-check): reason\n")),
    ("suppressions", "examples/status.cpp", append("// clang-format off\n")),
    ("suppressions", "examples/status.cpp", append('__attribute__((no_sanitize("thread"))) void f();\n')),
    ("readme", "examples/status.cpp", append("\n")),
    ("readme", "README.md", append("```cpp\nint x;\n```\n")),
    ("readme", "README.md", append("<!-- from examples/unheard_of.cpp -->\n```cpp\nint x;\n```\n")),
    ("readme", "README.md", replace("## Quick start\n", "## Quick start\n\n```sh\ntrue\n```\n")),
    ("top_level", "notes.txt", append("x\n")),
    ("top_level", "LICENSE", None),
]


def self_test(root):
    failures = [f"no violation of the rule {name} is planted" for name in RULES if name not in {plant[0] for plant in PLANTS}]
    with tempfile.TemporaryDirectory() as folder:
        copy = pathlib.Path(folder) / "copy"
        shutil.copytree(root, copy, ignore=shutil.ignore_patterns("build", ".git"))
        for number, (name, file, change) in enumerate(PLANTS, 1):
            path = copy / file
            before = set(check(copy, [name]))
            old = path.read_text() if path.exists() else None
            if change is None:
                path.unlink()
            else:
                path.write_text(change(old or ""))
            if set(check(copy, [name])) <= before:
                failures.append(f"plant {number}: {name} did not see what was planted in {file}")
            if old is None:
                path.unlink()
            else:
                path.write_text(old)
    for failure in failures:
        print(failure)
    print(f"structure: {len(PLANTS)} violations planted, {len(failures)} failures")
    return 1 if failures else 0


def main():
    arguments = [argument for argument in sys.argv[1:] if argument != "--self-test"]
    root = pathlib.Path(arguments[0]) if arguments else pathlib.Path(__file__).resolve().parents[2]
    if "--self-test" in sys.argv:
        return self_test(root)
    findings = check(root)
    for finding in findings:
        print(finding)
    for name, text in headers(root).items():
        if MANY_LINES < len(text.splitlines()) <= MAX_LINES:
            print(f"note: include/runnel/{name}: {len(text.splitlines())} lines; does it hold two things?")
    print(f"structure: {len(RULES)} rules, {len(headers(root))} headers, {len(findings)} findings")
    return 1 if findings else 0


if __name__ == "__main__":
    sys.exit(main())
