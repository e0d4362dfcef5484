#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-3-Clause
# Runs the independent implementations on one generated trace; what they come to is recorded in
# tests/perf/agreement_test.c, which holds ours to it within one percentage point.
#
# usage: perf/trace/others/record.sh [CORAL_TRACE]      a minute
# needs python3-cachetools, libcaffeine-java, a JDK of 17, nodejs (Debian), and npm for
#   npm install lru-cache@11.5.3 @neophi/sieve-cache@1.5.0    in a scratch folder
set -eu
here=$(cd "$(dirname "$0")" && pwd)
trace=${1:-$here/../../../build/perf/trace/coral-trace}
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT
(cd "$scratch" && npm install --silent --ignore-scripts lru-cache@11.5.3 @neophi/sieve-cache@1.5.0)

# row POLICY SIZES CAPACITY WHO COMMAND...: a line for the table in agreement_test.c
row() {
    local policy=$1 sizes=$2 capacity=$3 who=$4
    shift 4
    (cd "$scratch" && "$@" <"$sizes") | awk -v p="${policy//-/_}" -v s="$sizes" -v c="$capacity" -v w="$who" \
        '{ printf "    {&policy_%s, SIZES_%s, %s, %s, %s, \"%s\"},\n", p, toupper(s), c, $2, $4, w }'
}

for sizes in unit cdn; do
    "$trace" --generate cdn --requests 60000 --objects 4000 --seed 7 --sizes $sizes \
        --write "$scratch/$sizes"
    [ $sizes = unit ] && capacities="160 1600" || capacities="5242880 52428800"
    for c in $capacities; do
        row lru $sizes $c "lru-cache 11.5.3" node "$here/node.mjs" lru $c
        row lru $sizes $c "cachetools 5.2.0" /usr/bin/python3 "$here/cachetools_lru.py" $c
        [ $sizes = unit ] && row sieve $sizes $c "sieve-cache 1.5.0" node "$here/node.mjs" sieve $c
        row tinylfu $sizes $c "Caffeine 2.6.2" \
            java -cp /usr/share/java/caffeine-2.6.2.jar "$here/Caffeine.java" $c
        for policy in fifo sieve s3fifo s3fifo-size gdsf belady; do
            row $policy $sizes $c "naive.py, ours" /usr/bin/python3 "$here/naive.py" $policy $c
        done
    done
done
