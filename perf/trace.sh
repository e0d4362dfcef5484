#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-3-Clause
# Miss ratio against size, by policy and trace: runs coral-trace and turns what it reports into
# perf/trace-*.tsv and .svg. Generated traces give the same figures on any machine.
#
# usage: perf/trace.sh [TRACE...]     zipf once scan shift crowd cdn tail day; default: all, then plots
#        perf/trace.sh FILE FORMAT NAME     a trace of your own, as perf/trace-NAME.*
#   TRACE=PATH    coral-trace (build/perf/trace/coral-trace)
#   OUT=FOLDER    the reports (build/trace); a run whose report is there is not repeated
# needs python3 and gnuplot-nox; about ten minutes, the day the half of it
set -eu
here=$(cd "$(dirname "$0")" && pwd)
trace=${TRACE:-$here/../build/perf/trace/coral-trace}
out=${OUT:-$here/../build/trace}
shares=0.1%,0.3%,1%,3%,10%,30%
mkdir -p "$out"

# run NAME OPTION...
run() {
    local name=$1
    shift
    [ -s "$out/$name.json" ] || "$trace" --json --capacity $shares "$@" >"$out/$name.json"
}

if [ $# -eq 3 ] && [ -e "$1" ]; then
    run "$3" "$1" --format "$2"
    set -- "$3"
else
    [ $# -gt 0 ] || set -- zipf once scan shift crowd cdn tail day
    for name in "$@"; do
        case $name in
        tail) run tail --generate cdn --sizes tail --seed 1 ;;
        zipf | once | scan | shift | crowd | cdn | day) run "$name" --generate "$name" --seed 1 ;;
        *)
            echo "perf/trace.sh: there is no trace \"$name\"; see the head of this file" >&2
            exit 2
            ;;
        esac
    done
fi
python3 "$here/trace_tables.py" "$out" "$here" "$@"
cd "$here"
for name in "$@"; do
    gnuplot -e "name='$name'" trace.gp
done
