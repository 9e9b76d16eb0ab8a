#!/bin/bash
# treesum_test.sh TREESUM: the main example does what sha256sum does, in a stable order, and stops at once on Ctrl-C.
set -u
treesum=$(realpath "$1")
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work" || exit 1
export LC_ALL=C
failures=0
check() { # check WHAT: the status of the command before
  if [ $? -eq 0 ]; then echo "ok: $1"; else echo "FAILED: $1"; failures=$((failures + 1)); fi
}
sums() { find "$@" -type f -print0 | xargs -0 -r sha256sum | sort; }

# A tree with odd names, empty files and folders, links, and files on both sides of every buffer size.
mkdir -p 'tree/a/b/c' tree/empty 'tree/with space' $'tree/new\nline' tree/many
printf hello > tree/a/hello
: > tree/a/b/nothing
printf x > 'tree/with space/ leading'
printf y > $'tree/new\nline/in\nit'
printf z > 'tree/back\slash'
printf c > $'tree/carriage\rreturn'
printf u > 'tree/'$'\xc3\xa4\xff'
printf m > 'tree/-minus'
ln -s a/hello tree/link
ln -s nowhere tree/dangling
ln -s .. tree/a/up
mkfifo tree/fifo
for size in 1 65535 65536 65537 1000000; do head -c "$size" /dev/urandom > "tree/a/b/c/$size"; done
for i in $(seq 500); do echo "$i" > "tree/many/$i"; done

"$treesum" tree > out 2> err; check "status 0 when all could be read"
[ ! -s err ]; check "nothing on stderr, and no progress line in a pipe"
sort out | cmp -s - <(sums tree); check "the same lines as sha256sum"
"$treesum" -j 1 tree | cmp -s - out; check "-j 1 prints the same in the same order"
same=1
for i in 1 2 3 4 5; do "$treesum" -j 4 tree | cmp -s - out || same=0; done; [ "$same" = 1 ]; check "-j 4 prints the same in the same order"
"$treesum" -j 9 tree/a tree/many | sort | cmp -s - <(sums tree/a tree/many); check "several folders"
(cd tree && "$treesum" . | sort | cmp -s - <(sums .)); check "the current folder"
sha256sum --check --quiet out; check "sha256sum --check takes the output"

# What cannot be read is reported; the rest goes on; the status is 1.
"$treesum" missing tree > out2 2> err; [ $? -eq 1 ]; check "status 1 when a folder does not exist"
[ "$(cat err)" = "treesum: missing: No such file or directory" ]; check "the problem is named on stderr"
cmp -s out out2; check "the rest goes on"
if [ -e /proc/self/mem ]; then
  # A file that opens and does not read, whoever runs this.
  "$treesum" /proc/self/mem tree > out2 2> err; [ $? -eq 1 ] && grep -q '^treesum: /proc/self/mem: ' err && cmp -s out out2
  check "a file that cannot be read"
fi
if [ "$(id -u)" != 0 ]; then
  mkdir closed && printf 1 > closed/file && printf 2 > secret && chmod 0 closed secret
  "$treesum" closed secret tree > out2 2> err; [ $? -eq 1 ] && [ "$(grep -c 'Permission denied' err)" = 2 ] && cmp -s out out2
  check "a file and a folder without permission"
  chmod 700 closed
fi

# Usage.
"$treesum" > /dev/null 2>&1; [ $? -eq 2 ]; check "no folder: status 2"
bad=0
for n in 0 -1 x 2x "" 99999999999999999999; do "$treesum" -j "$n" tree > /dev/null 2>&1; [ $? -eq 2 ] || bad=1; done
[ "$bad" = 0 ]; check "a bad -j: status 2"
"$treesum" -h | grep -q '^usage: treesum'; check "-h"
"$treesum" tree > /dev/full 2> err; [ $? -eq 1 ] && [ -s err ]; check "a full disk is an error"

# Ctrl-C in the middle of a file that takes minutes: status 130 at once, and whole lines only.
cp -r tree slow
truncate -s 200G slow/zz
for signal in INT:130 TERM:143; do
  # A job in the background ignores SIGINT unless the shell monitors jobs.
  set -m
  "$treesum" slow > out3 2> err & pid=$!
  set +m
  for i in $(seq 200); do # until it reads the big file
    [ -e "/proc/$pid/fd" ] && readlink "/proc/$pid/fd/"* 2> /dev/null | grep -q 'slow/zz$' && break
    sleep 0.02
  done
  begin=$(date +%s%N)
  kill -s "${signal%:*}" "$pid"
  wait "$pid" 2> /dev/null; status=$?
  passed=$((($(date +%s%N) - begin) / 1000000))
  [ "$status" = "${signal#*:}" ]; check "SIG${signal%:*}: status ${signal#*:} (was $status, after $passed ms)"
  [ "$passed" -lt 2000 ]; check "SIG${signal%:*}: it stops at once"
  ! grep -Evq '^\\?[0-9a-f]{64}  slow/' out3 && { [ ! -s out3 ] || [ -z "$(tail -c 1 out3)" ]; }
  check "SIG${signal%:*}: every printed line is whole"
done

[ "$failures" -eq 0 ]
