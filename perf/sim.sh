#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-3-Clause
# The index on a simulated planet: runs coral-sim's scenarios in their long forms and turns what they
# report into perf/sim-*.tsv and .svg. All on virtual time: the same figures on any machine.
#
# usage: perf/sim.sh [PART...]    parts: hops latency hammer cold churn crowd idle plot; default: all
#   SIM=PATH      coral-sim (build/tools/coral-sim)
#   OUT=FOLDER    the reports (build/sim); a run whose report is there is not repeated
#   SEEDS, SIZES  "1 2 3"; "1000 10000 100000", of hops
# needs python3 and gnuplot-nox; 100,000 nodes want 3 GiB and some minutes
set -eu
here=$(cd "$(dirname "$0")" && pwd)
sim=${SIM:-$here/../build/tools/coral-sim}
out=${OUT:-$here/../build/sim}
seeds=${SEEDS:-1 2 3}
sizes=${SIZES:-1000 10000 100000}
[ $# -gt 0 ] || set -- hops latency hammer cold churn crowd idle plot
mkdir -p "$out"

# run NAME OPTION...: a report; a run that does not hold what it promises is shown and goes on
run() {
    local name=$1
    shift
    [ -s "$out/$name.json" ] && return
    "$sim" --quiet --json="$out/$name.json" "$@" >&2 || echo "perf/sim.sh: $name: see above" >&2
}

for part in "$@"; do
    case $part in
    hops)
        for n in $sizes; do for b in 1 2 3; do for seed in $seeds; do
            run "hops-$n-$b-$seed" --scenario hops --nodes "$n" --b "$b" --seed "$seed"
            run "path-$n-$b-$seed" --scenario hops --nodes "$n" --b "$b" --seed "$seed" \
                --without hedge --alone
        done; done; done
        ;;
    latency)
        for seed in $seeds; do
            run "latency-3-$seed" --scenario latency --nodes 10000 --seed "$seed"
            run "latency-1-$seed" --scenario latency --nodes 10000 --levels 1 --seed "$seed" --alone
        done
        ;;
    hammer)
        for b in 1 2 3; do
            run "hammer-500-$b" --scenario hammer --nodes 500 --b "$b" --seed 1
            run "hammer-1000-$b" --scenario hammer --nodes 1000 --keys 100 --b "$b" --seed 1
            run "hammer-4000-$b" --scenario hammer --nodes 4000 --keys 100 --b "$b" --seed 1
            run "hammer-10000-$b" --scenario hammer --nodes 10000 --keys 100 --b "$b" --seed 1
        done
        ;;
    cold)
        for seed in $seeds; do
            run "cold-$seed" --scenario cold --nodes 1000 --seed "$seed" --minutes 300
            run "heal-$seed" --scenario heal --nodes 1000 --seed "$seed"
            run "half-$seed" --scenario half --nodes 1000 --seed "$seed"
        done
        ;;
    churn)
        for seed in $seeds; do
            run "churn-nothing-$seed" --scenario churn --nodes 2000 --seed "$seed"
        done
        for without in hedge unreachable direct runner timeouts copies; do
            run "churn-$without-1" --scenario churn --nodes 2000 --seed 1 --without $without --alone
        done
        ;;
    crowd)
        run crowd-166 --scenario crowd --nodes 166
        run crowd-1000 --scenario crowd --nodes 1000
        ;;
    idle)
        for n in 300 1000 5000; do
            run "idle-$n" --scenario idle --nodes "$n"
        done
        ;;
    plot)
        python3 "$here/sim_tables.py" "$out" "$here"
        (cd "$here" && for f in hops latency root cold; do gnuplot "sim-$f.gp"; done)
        ;;
    *)
        echo "perf/sim.sh: there is no part \"$part\"; see the head of this file" >&2
        exit 2
        ;;
    esac
done
