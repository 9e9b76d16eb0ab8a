#!/bin/bash
# wordcount_test.sh WORDCOUNT: all three ways count what the tools of the shell count, and stop at once on Ctrl-C.
set -u
wordcount=$(realpath "$1")
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work" || exit 1
export LC_ALL=C
modes="--sequential --by-hand --pipeline"
failures=0
check() { # check WHAT: the status of the command before
  if [ $? -eq 0 ]; then echo "ok: $1"; else echo "FAILED: $1"; failures=$((failures + 1)); fi
}
# The same by other means. grep ends the last line of each file, so that no word goes on in the next file.
counts() {
  find "$@" -type f -print0 | xargs -0 -r grep -hae '' | tr -cs 'A-Za-z0-9_\200-\377' '\n' | grep -a . | cut -b 1-255 \
    | sort | uniq -c | sed 's/^ *//' | sort -k1,1nr -k2
}
same() { # same EXPECTED STATUS ARGUMENT...: all three print just this, with this status, and the same on stderr
  local expected=$1 status=$2 mode
  shift 2
  for mode in $modes; do
    "$wordcount" $mode "$@" > out 2> err; [ $? -eq "$status" ] && cmp -s out "$expected" || { echo "differs: $mode $*"; return 1; }
    cp err "err$mode"
  done
  sort err--sequential | cmp -s - <(sort err--by-hand) && sort err--sequential | cmp -s - <(sort err--pipeline)
}

# A tree with odd names, empty files and folders, links, and words on both sides of a read of 64 KiB.
mkdir -p 'tree/a/b/c' tree/empty 'tree/with space' $'tree/new\nline' tree/many
printf 'one two two, three three three; x' > tree/a/hello
: > tree/a/b/nothing
printf '\n\n \t\n' > tree/a/b/blank
printf 'end' > 'tree/with space/ without a newline'
printf 'begin\n' > $'tree/new\nline/in\nit'
printf 'one\0two\rthree\xff\xc3\xa4 \x80' > 'tree/back\slash'
printf 'minus-plus _under_ 0x1F' > 'tree/-minus'
printf 'utf8 gr\xc3\xbc\xc3\x9fe' > 'tree/'$'\xc3\xa4\xff'
ln -s a/hello tree/link
ln -s nowhere tree/dangling
ln -s .. tree/a/up
mkfifo tree/fifo
for size in 65533 65535 65536 131071; do
  { head -c "$size" /dev/zero | tr '\0' ' '; printf 'across end'; } > "tree/a/b/c/$size"
done
{ head -c 65530 /dev/zero | tr '\0' ' '; head -c 70000 /dev/zero | tr '\0' L; printf ' after'; } > tree/a/b/c/long
for i in $(seq 300); do echo "file $i $((i % 7))" > "tree/many/$i"; done

counts tree > expected
[ -s expected ]; check "there is something to count"
same expected 0 tree; check "all three count what the shell counts"
[ ! -s err ]; check "nothing on stderr"
"$wordcount" tree | cmp -s - expected; check "without a mode"
same expected 0 -j 1 tree; check "-j 1"
good=1
for i in 1 2; do same expected 0 -j 9 tree || good=0; done
[ "$good" = 1 ]; check "-j 9"
head -n 5 expected > first
same first 0 -n 5 tree; check "-n 5"
same /dev/null 0 -n 0 tree; check "-n 0"
same /dev/null 0 tree/empty; check "an empty folder"
counts tree/a tree/many > expected2
same expected2 0 tree/a tree/many; check "several folders"
counts tree/a/hello > expected2
same expected2 0 tree/link; check "a file, and a link, on the command line"
(cd tree && "$wordcount" . | cmp -s - ../expected); check "the current folder"

# The system's own headers, as many as a sanitized program can count in a few seconds.
folders=()
for folder in /usr/include/c++/*/bits; do [ -d "$folder" ] && folders+=("$folder"); done
if [ "${#folders[@]}" -gt 0 ]; then
  "$wordcount" --sequential "${folders[@]}" > expected2 && [ -s expected2 ]; check "a sequential count of /usr/include"
  same expected2 0 "${folders[@]}"; check "all three agree on /usr/include"
  counts "${folders[@]}" | cmp -s - expected2; check "and with the shell"
fi

# What cannot be read is reported; the rest goes on; the status is 1.
same expected 1 missing tree; check "a folder does not exist: the rest is counted, the status is 1"
[ "$(cat err)" = "wordcount: missing: No such file or directory" ]; check "the problem is named on stderr"
same expected 1 tree tree/fifo /dev/null && [ "$(grep -c '^wordcount: .*not supported' err)" = 2 ]; check "no regular files"
if [ -e /proc/self/mem ]; then
  # A file that opens and does not read, whoever runs this.
  same expected 1 /proc/self/mem tree && grep -q '^wordcount: /proc/self/mem: ' err; check "a file that cannot be read"
fi
if [ "$(id -u)" != 0 ]; then
  mkdir closed && printf 1 > closed/file && printf 2 > secret && chmod 0 closed secret
  same expected 1 closed secret tree && [ "$(grep -c 'Permission denied' err)" = 2 ]; check "a file and a folder without permission"
  chmod 700 closed
fi

# Usage.
"$wordcount" > /dev/null 2>&1; [ $? -eq 2 ]; check "no folder: status 2"
bad=0
for n in 0 -1 x 2x "" 1025 99999999999999999999; do "$wordcount" -j "$n" tree > /dev/null 2>&1; [ $? -eq 2 ] || bad=1; done
for n in -1 x 2x "" 99999999999999999999; do "$wordcount" -n "$n" tree > /dev/null 2>&1; [ $? -eq 2 ] || bad=1; done
"$wordcount" --unheard-of tree > /dev/null 2>&1; [ $? -eq 2 ] || bad=1
[ "$bad" = 0 ]; check "a bad -j, -n or mode: status 2"
"$wordcount" -h | grep -q '^usage: wordcount'; check "-h"
"$wordcount" tree > /dev/full 2> err; [ $? -eq 1 ] && [ -s err ]; check "a full disk is an error"

# Ctrl-C in the middle of a file that takes minutes: status 130 at once, and nothing of the table.
cp -r tree slow
truncate -s 200G slow/zz
for mode in $modes; do
  for signal in INT:130 TERM:143; do
    # A job in the background ignores SIGINT unless the shell monitors jobs.
    set -m
    "$wordcount" $mode slow > out 2> err & pid=$!
    set +m
    for i in $(seq 500); do # until it reads the big file
      readlink "/proc/$pid/fd/"* 2> /dev/null | grep -q 'slow/zz$' && break
      sleep 0.02
    done
    begin=$(date +%s%N)
    kill -s "${signal%:*}" "$pid"
    for i in $(seq 1000); do kill -0 "$pid" 2> /dev/null || break; sleep 0.01; done
    kill -9 "$pid" 2> /dev/null # one that hangs is a failure, and not a test that hangs
    wait "$pid" 2> /dev/null; status=$?
    passed=$((($(date +%s%N) - begin) / 1000000))
    [ "$status" = "${signal#*:}" ] && [ ! -s out ] && [ ! -s err ]
    check "$mode, SIG${signal%:*}: status ${signal#*:} (was $status, after $passed ms), and no partial table"
    [ "$passed" -lt 5000 ]; check "$mode, SIG${signal%:*}: it stops at once"
  done
done

[ "$failures" -eq 0 ]
