#!/bin/bash
# logpipe_test.sh LOGPIPE SQLITE3: no line is lost or stored twice, however often logpipe is killed, stopped and started again.
set -u
logpipe=$(realpath "$1")
sqlite3=$2
work=$(mktemp -d)
pid=
writer=
trap '[ -z "$pid$writer" ] || kill -9 $pid $writer 2> /dev/null; rm -rf "$work"' EXIT
cd "$work" || exit 1
export LC_ALL=C
RANDOM=1
failures=0
check() { # check WHAT: the status of the command before
  if [ $? -eq 0 ]; then echo "ok: $1"; else echo "FAILED: $1"; failures=$((failures + 1)); fi
}
start() { # start ARGUMENT...: logpipe in the background
  set -m # a job in the background ignores SIGINT unless the shell monitors jobs
  "$logpipe" "$@" 2> err & pid=$!
  set +m
}
end() { # end SIGNAL: answers the status of logpipe
  local status
  kill -s "$1" "$pid"
  wait "$pid" 2> /dev/null; status=$?
  pid=
  return $status
}
query() { "$sqlite3" -cmd '.timeout 10000' "$@"; }
# The stored lines as they stand in the log.
stored() { query "$1" "SELECT CASE level WHEN '' THEN message ELSE time || ' ' || level || ' ' || message END FROM lines ORDER BY id"; }
count() { query "$1" 'SELECT count(*) FROM lines' 2> /dev/null || echo 0; }
offset() { query "$1" 'SELECT sum(offset) FROM progress'; }
until_stored() { # until_stored DATABASE COUNT: waits for so many lines
  local i
  for i in $(seq 1000); do
    [ "$(count "$1")" -ge "$2" ] && return 0
    sleep 0.02
  done
  return 1
}
# write FIRST LAST: lines of all levels, two in seven without the form of one.
write() {
  awk -v first="$1" -v last="$2" 'BEGIN {
    split("trace debug info warning error", level)
    for (i = first; i <= last; i++)
      if (i % 7 == 0) print "no form at all " i; else if (i % 7 == 6) print i; else print "2026-11-26T10:00:" i % 60 "Z", level[i % 7], "line " i
  }'
}
wanted() { grep -Ev '^2026[^ ]* (trace|debug|info) ' "$1"; }

# All of a log, at once.
write 1 3000 > log
"$logpipe" --until-end log db; check "status 0 at the end of the log"
stored db | cmp -s - log; check "every line once, in order"
[ "$(offset db)" = "$(stat -c %s log)" ]; check "the position is that of the end"
"$logpipe" --until-end log db && stored db | cmp -s - log; check "once more: nothing is stored twice"
[ "$(query db "SELECT time, level, message FROM lines WHERE id = 4")" = "2026-11-26T10:00:4Z|warning|line 4" ]; check "the parts of a line"

# A last line is stored when it is complete. Empty lines, odd bytes, and lines longer than any buffer.
printf 'half a ' >> log
"$logpipe" --until-end log db && [ "$(count db)" = 3000 ]; check "half a line is left alone"
printf "line\n\n \n  x\nquote ' and \xff\xc3\xa4\nwindows\r\n" >> log
{ head -c 100000 /dev/zero | tr '\0' L; echo; } >> log
"$logpipe" --until-end log db && stored db | cmp -s - log; check "it is stored when it has its newline"
{ head -c 600000 /dev/zero | tr '\0' M; echo; echo after; } > long
"$logpipe" --until-end long long.db && [ "$(query long.db "SELECT count(*) FROM lines")" = 4 ]; check "a line of 600 KB comes in three parts"
[ "$(stored long.db | tr -d '\n')" = "$(tr -d '\n' < long)" ]; check "nothing of it is lost"
"$logpipe" --until-end nothing nothing.db && [ "$(count nothing.db)" = 0 ]; check "a log that is not there yet"

# The level. Lines that are dropped move the position, too.
"$logpipe" --level warning --until-end log warning.db && stored warning.db | cmp -s - <(wanted log); check "--level warning"
write 1 3000 | grep ' info ' > info
"$logpipe" --level warning --until-end info info.db && [ "$(count info.db)" = 0 ] && [ "$(offset info.db)" = "$(stat -c %s info)" ]
check "a log of which nothing is stored is not read again"

# Batches: by number, and by time.
start --batch 1000000 --every 20 log timed.db
until_stored timed.db "$(wc -l < log)"; check "a batch that is not full is stored after a while"
write 3001 3002 >> log
until_stored timed.db "$(wc -l < log)"; check "what is appended is stored"
end TERM; [ $? -eq 0 ]; check "SIGTERM: status 0"
start --batch 7 --every 1000000 log counted.db
until_stored counted.db $(($(wc -l < log) / 7 * 7)); check "a batch that is full is stored at once"
end INT; [ $? -eq 0 ] && stored counted.db | cmp -s - log; check "SIGINT: status 0, and the batch that was not full is stored"

# Two for one log would store lines twice: one of them gives up.
head -n 100 log > both
start --every 0 both both.db
until_stored both.db "$(wc -l < both)"
first=$pid
start --every 0 both both.db
second=$pid
for i in $(seq 1000); do # a line after the other, until one has seen that it is not alone
  echo "for both $i" >> both
  kill -0 "$first" 2> /dev/null && kill -0 "$second" 2> /dev/null || break
  sleep 0.02
done
kill "$first" "$second" 2> /dev/null
wait "$first"; status=$?
wait "$second"; [ $((status + $?)) -eq 1 ] && [ "$(cat err)" = "logpipe: the database: another logpipe stores the same log" ]
pid=
check "the second logpipe of one log ends with status 1"
"$logpipe" --until-end both both.db && stored both.db | cmp -s - both; check "and no line is stored twice"

# What goes wrong ends it, also while it follows the log.
bad=0
for arguments in "" log "log db more" "--level none log db" "--batch 0 log db" "--batch x log db" "--every -1 log db" "--unheard-of log db"; do
  "$logpipe" $arguments > /dev/null 2>&1; [ $? -eq 2 ] || bad=1
done
[ "$bad" = 0 ]; check "bad arguments: status 2"
"$logpipe" -h | grep -q '^usage: logpipe'; check "-h"
"$logpipe" log log 2> err; [ $? -eq 1 ] && grep -q '^logpipe: the database: ' err; check "a database that is none: status 1"
"$logpipe" log missing/db 2> err; [ $? -eq 1 ] && grep -q '^logpipe: the database: ' err; check "a database that cannot be made: status 1"
mkdir folder
"$logpipe" folder folder.db 2> err; [ $? -eq 1 ] && grep -q 'Is a directory' err; check "a log that is a folder: status 1"
head -n 10 log > broken
start --every 0 broken broken.db
until_stored broken.db 10
query broken.db 'DROP TABLE lines'
write 1 1 >> broken
for i in $(seq 1000); do kill -0 "$pid" 2> /dev/null || break; sleep 0.02; done
kill -9 "$pid" 2> /dev/null
wait "$pid" 2> /dev/null; [ $? -eq 1 ] && grep -q '^logpipe: the database: ' err; check "a database that breaks meanwhile: status 1"
pid=

# A log that is cut, and one that is renamed and made anew: before that, while logpipe runs, and while it does not.
write 1 50 > cut
start --every 0 cut cut.db
until_stored cut.db 50
write 51 60 > cut
until_stored cut.db 60
end TERM
write 61 65 > cut
"$logpipe" --until-end cut cut.db && stored cut.db | cmp -s - <(write 1 65); check "a log that is cut is begun again"
write 1 100 > moved
start --every 0 moved moved.db
until_stored moved.db 100
{ write 101 110; printf 'no newline'; } >> moved
mv moved moved.1
write 111 120 > moved
until_stored moved.db 121; end KILL
{ write 1 110; echo 'no newline'; write 111 120; } | cmp -s - <(stored moved.db); check "a log that is renamed is read to its end, then the new one"
write 121 130 >> moved
mv moved moved.2
write 131 140 > moved
"$logpipe" --until-end moved moved.db; [ "$(count moved.db)" = 141 ] && [ "$(stored moved.db | tail -n 20)" = "$(write 121 140)" ]
check "also if that happened meanwhile"

# The storm: a writer that does not care where lines end, and logpipe, which is killed, stopped and started again meanwhile. In half of
# the rounds that is as soon as it has stored something; the writer gives something new to each round.
rounds=14
mkdir pieces && write 1 6000 > whole && split -a 4 -b 2999 whole pieces/
: > storm
: > begun
{
  number=0
  for piece in pieces/*; do
    until [ $(($(stat -c %s begun) * 100)) -gt "$number" ]; do sleep 0.01; done
    cat "$piece" >> storm
    number=$((number + rounds * 100 / $(ls pieces | wc -l)))
    sleep 0.00$((RANDOM % 10))
  done
} & writer=$!
bad=0
for round in $(seq $rounds); do
  before=$(count storm.db)
  printf x >> begun
  start --batch $((RANDOM % 50 + 1)) --every $((RANDOM % 20)) storm storm.db
  if [ $((round % 2)) = 0 ]; then until_stored storm.db $((before + 1)) || bad=1; else sleep 0.0$((RANDOM % 10)); fi
  if [ $((round % 4)) -lt 2 ]; then
    end KILL
  else
    end TERM; status=$?
    # In the other rounds the signal may come before logpipe has begun to handle it.
    [ "$status" = 0 ] || { [ $((round % 2)) = 1 ] && [ "$status" = 143 ]; } || { echo "SIGTERM: status $status"; bad=1; }
  fi
  stored storm.db > so_far 2> /dev/null
  cmp -s -n "$(stat -c %s so_far)" so_far whole || { echo "round $round: something is lost, or there twice"; bad=1; }
done
[ "$bad" = 0 ]; check "killed and stopped: at any time, what is stored is the beginning of the log"
wait "$writer"
writer=
cmp -s storm whole && "$logpipe" --until-end storm storm.db && stored storm.db | cmp -s - whole
check "in the end every line is stored once, in order"
[ "$(offset storm.db)" = "$(stat -c %s storm)" ]; check "and the position is that of the end"

[ "$failures" -eq 0 ]
