#!/bin/bash
# linkcheck_test.sh LINKCHECK SITE: linkcheck finds what is broken on a site that it is served, in the same words however many
# requests it makes at a time; it keeps to its limits, and stops at once on its deadline and on Ctrl-C.
set -u
linkcheck=$(realpath "$1")
site=$(realpath "$2")
work=$(mktemp -d)
site_pid=
trap '[ -z "$site_pid" ] || kill "$site_pid"; rm -rf "$work"' EXIT
cd "$work" || exit 1
export LC_ALL=C
failures=0
check() { # check WHAT: the status of the command before
  if [ $? -eq 0 ]; then echo "ok: $1"; else echo "FAILED: $1"; failures=$((failures + 1)); fi
}
start_site() { # start_site [MILLISECONDS]: with its counters at zero; sets url
  rm -f address
  "$site" "$@" > address 2> site_errors & site_pid=$!
  for i in $(seq 1000); do [ -s address ] && break; sleep 0.01; done
  url=$(cat address)
}
stop_site() { # answers its status
  local pid=$site_pid
  site_pid=
  kill "$pid"
  wait "$pid"
}
stat() { # stat WHAT: what the site has counted
  local port=${url#http://127.0.0.1:}
  exec 3<> "/dev/tcp/127.0.0.1/${port%/}"
  printf 'GET /stats HTTP/1.0\r\n\r\n' >&3
  sed -n "s/^$1 //p" <&3 | tr -d '\r'
  exec 3>&-
}

# The whole site. What is expected was counted by hand, from what site.cpp says.
expect() {
  sed "s|^\(    on \)\?/|\1$url|" > expected << 'END'
/cut: the answer does not come, or breaks off
    on /
/error: 500
    on /
/loop/a: redirects for ever
    on /
    on /loop/b
/loop/b: redirects for ever
    on /loop/a
/missing/0: 404
    on /page/19
    on /page/9
/missing/1: 404
    on /page/29
    on /page/39
/missing/front: 404
    on /
/missing/redirected: 404
    on /forgotten
/nowhere: 302
    on /
pages checked: 65, not checked: 0, on other sites: 2; links: 173; broken: 9
END
}
for n in 1 2 8; do
  start_site
  expect
  "$linkcheck" -j "$n" --rate inf "$url" > out 2> err; [ $? -eq 1 ]; check "-j $n: status 1, as something is broken"
  diff expected out; check "-j $n: the report"
  [ ! -s err ]; check "-j $n: nothing on stderr"
  [ "$(stat requests)" = 65 ] && [ -z "$(stat repeated)" ]; check "-j $n: each page is requested once"
  most=$(stat most_at_once)
  [ "$most" -ge 1 ] && [ "$most" -le "$n" ]; check "-j $n: at most $n requests at a time (were $most)"
  stop_site; check "-j $n: the site ends well"
done
cat site_errors

# Limits.
start_site 0
"$linkcheck" --depth 0 "$url" > out; [ $? -eq 0 ]; check "status 0 if nothing is broken"
[ "$(cat out)" = "pages checked: 1, not checked: 28, on other sites: 2; links: 31; broken: 0" ]; check "--depth 0: one page"
"$linkcheck" --depth 1 "${url}old#fragment" > out && grep -q '^pages checked: 2, not checked: 3, ' out; check "a redirect is a link"
"$linkcheck" --depth 0 "${url%/}?query" > out; [ $? -eq 0 ]; check "an address without a path"
"$linkcheck" --depth 2 -j 1 --rate inf "$url" > one; [ $? -eq 1 ]; check "--depth 2"
grep -q '^pages checked: 4[0-9], not checked: [1-9]' one; check "--depth 2: not all pages"
same=1
for i in 1 2 3; do "$linkcheck" --depth 2 -j 8 --rate inf "$url" | cmp -s - one || same=0; done
[ "$same" = 1 ]; check "--depth 2: the same pages for every N"
stop_site

start_site 0
"$linkcheck" -j 8 --rate 100 --depth 1 "$url" > out
[ "$(stat requests)" = 29 ]; check "--depth 1: the pages that the first one names"
passed=$(stat milliseconds)
# The first of the 28 may follow the front page at once, each other one 10 ms later.
[ "$passed" -ge 260 ]; check "--rate 100: 29 requests take their time (were $passed ms)"
stop_site

# Stopped before the end: at once, with the right status, and a report of what was done. What was not, is not broken.
start_site 60000
stopped() { # stopped STATUS WORDS: looks at status, passed, out
  [ "$status" = "$1" ]; check "status $1 (was $status, after $passed ms)"
  [ "$passed" -lt 2000 ]; check "it stops at once"
  tail -n 1 out | grep -qx "incomplete: $2"; check "the report says that it is incomplete: $2"
  grep -Eqx 'pages checked: [0-9]+, not checked: [1-9][0-9]*, on other sites: [0-9]+; links: [0-9]+; broken: [0-9]+' out
  check "what was done is counted"
  ! grep -q '/slow/' out; check "pages that were not waited for are not broken"
}
now() { echo $(($(date +%s%N) / 1000000)); }
begin=$(now)
"$linkcheck" -j 4 --rate inf --deadline 0.3 "$url" > out; status=$?
passed=$(($(now) - begin - 300))
stopped 124 "the deadline came first"

begin=$(now)
"$linkcheck" --rate 0.1 --deadline 9 "$url" > out; status=$?
passed=$(($(now) - begin))
stopped 124 "the deadline came first"
grep -q '^pages checked: 1, not checked: 28, ' out; check "a rate that leaves no time is not waited for"
stop_site; check "the site ends at once, also with slow pages"

interrupt() { # interrupt NAME REQUESTS IN_WORK ARGUMENT...: a signal, once so many requests have come and so many are not answered
  local name=$1 requests=$2 in_work=$3
  shift 3
  # A job in the background ignores SIGINT unless the shell monitors jobs.
  set -m
  "$linkcheck" "$@" "$url" > out & pid=$!
  set +m
  for i in $(seq 500); do [ "$(stat requests)" = "$requests" ] && [ "$(stat in_work)" = "$in_work" ] && break; sleep 0.01; done
  begin=$(now)
  kill -s "$name" "$pid"
  wait "$pid" 2> /dev/null; status=$?
  passed=$(($(now) - begin))
  [ "$(stat requests)" = "$requests" ] && [ "$(stat in_work)" = "$in_work" ]; check "SIG$name: no request is begun any more"
}
for signal in INT:130:2 TERM:143:15; do
  IFS=: read -r name expected number <<< "$signal"
  start_site 60000
  # The front page, the 20 that it names before the slow ones, and 4 of these. The site still waits to answer them.
  interrupt "$name" 25 4 -j 4 --rate inf
  stopped "$expected" "stopped by signal $number"
  stop_site
done
start_site 60000
interrupt INT 1 0 --rate 0.01
stopped 130 "stopped by signal 2"
stop_site

"$site" x > out 2> err; [ $? -eq 2 ] && grep -q '^usage: site' err; check "site: wrong usage"

# No server: it was there a moment ago.
"$linkcheck" "$url" > out 2> err; [ $? -eq 1 ]; check "no server: status 1"
[ "$(cat err)" = "linkcheck: $url: cannot connect" ]; check "no server: stderr says so"

# Usage.
bad=0
refused() { "$linkcheck" "$@" > out 2> err; [ $? -eq 2 ] && [ ! -s out ] && grep -q '^usage: linkcheck' err || { echo "$@"; bad=1; }; }
refused
refused "$url" "$url"
for n in 0 -1 x 2x "" 99999999999999999999; do refused -j "$n" "$url"; done
for n in 0 -1 nan x ""; do refused --rate "$n" "$url"; done
for n in -1 nan inf x ""; do refused --deadline "$n" "$url"; done
for n in -1 x ""; do refused --depth "$n" "$url"; done
for start in "" page / ftp://host/ https://host/ http:// http://:80/ http://host:/ http://host:99999/ 'http://user@host/'; do refused "$start"; done
refused --unheard-of "$url"
[ "$bad" = 0 ]; check "wrong usage: status 2"
"$linkcheck" --help | grep -q '^usage: linkcheck'; check "--help"
"$linkcheck" "$url" > /dev/full 2> err; [ $? -eq 1 ] && grep -q 'cannot write' err; check "a full disk is an error"

[ "$failures" -eq 0 ]
