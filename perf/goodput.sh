#!/bin/sh
# SPDX-License-Identifier: BSD-3-Clause
# Goodput against loss for each congestion controller: runs the flows on virtual time (a minute or
# two; the same figures on any machine) and plots them into perf/goodput.svg.
#
# usage: perf/goodput.sh [BUILD]     needs gnuplot-nox
set -eu
here=$(cd "$(dirname "$0")" && pwd)
"${1:-$here/../build}/tests/tcp/tcp-worlds" --goodput >"$here/goodput.tsv"
cd "$here"
exec gnuplot goodput.gp
