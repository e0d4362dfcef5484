#!/bin/sh
# SPDX-License-Identifier: BSD-3-Clause
# A bad option ends coral-trace with status 2 and a message that names it; a bad file with status 1; a
# trace that was written is read, and --json is JSON. usage: options_test.sh CORAL_TRACE
trace=$1
failed=0
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT

# ends STATUS MESSAGE OPTION...
ends() {
    wanted=$1 message=$2
    shift 2
    out=$("$trace" "$@" 2>&1 >/dev/null)
    status=$?
    case $status:$out in
    "$wanted":*"$message"*) ;;
    *)
        echo "coral-trace $*: status $status, \"$out\"; $wanted and \"$message\" wanted"
        failed=1
        ;;
    esac
}

ends 2 'one FILE, or --generate KIND'
ends 2 'one FILE, or --generate KIND' --generate zipf file
ends 2 '--generate: "pareto" is not known; there are zipf, scan,' --generate pareto
ends 2 '--requests: "9"' --generate zipf --requests 9
ends 2 '--objects: "x"' --generate zipf --objects x
ends 2 '--exponent: "6"' --generate zipf --exponent 6
ends 2 '--sizes: "large"' --generate zipf --sizes large
ends 2 '--policy: "arc" is not known; there are fifo, lru,' --generate zipf --policy lru,arc
ends 2 '--capacity: "0"' --generate zipf --capacity 1%,0
ends 2 '--capacity: "101%"' --generate zipf --capacity 101%
ends 2 '--capacity: "5Q"' --generate zipf --capacity 5Q
ends 2 '--warm: "100%"' --generate zipf --warm 100%
ends 2 '--format: "csv"' --format csv file
ends 2 'usage:' --generate zipf --colour
ends 1 '/nowhere/x: No such file' /nowhere/x
printf 'no\ntrace\n' >"$scratch/bad"
ends 1 'no request in it' "$scratch/bad"
printf '1,1,1\nx,1,1\n' >"$scratch/half"
ends 0 'half: 2: left out: the time is no number' "$scratch/half" --policy lru
ends 1 '--write: /nowhere/x' --generate zipf --requests 100 --write /nowhere/x

small='--requests 20000 --objects 1000 --seed 3'
run='--policy lru,s3fifo,belady --capacity 5% --json'
"$trace" --generate cdn $small --write "$scratch/text" || failed=1
"$trace" --generate cdn $small --write "$scratch/oracle" --write-format oracle || failed=1
"$trace" --generate cdn $small $run >"$scratch/a" || failed=1
"$trace" "$scratch/text" $run >"$scratch/b" || failed=1
"$trace" --format oracle - $run <"$scratch/oracle" >"$scratch/c" || failed=1
python3 - "$scratch"/[abc] <<'END' || failed=1
import json, sys
a, b, c = (json.load(open(p)) for p in sys.argv[1:])
assert a["results"] == b["results"] == c["results"], "the same trace, the same misses"
assert len(a["results"]) == 3 and 0 < a["results"][0]["request_miss_ratio"] < 1, a
END
exit $failed
