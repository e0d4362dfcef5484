#!/bin/sh
# SPDX-License-Identifier: BSD-3-Clause
# A bad option ends coral-sim with status 2 and a message that names it; it never starts a world.
# usage: options_test.sh CORAL_SIM
sim=$1
failed=0

# refuses MESSAGE OPTION...
refuses() {
    message=$1
    shift
    out=$("$sim" "$@" 2>&1 >/dev/null)
    status=$?
    case $status:$out in
    2:*"$message"*) ;;
    *)
        echo "coral-sim $*: status $status, \"$out\"; 2 and \"$message\" wanted"
        failed=1
        ;;
    esac
}

refuses 'which --scenario?'
refuses 'which --scenario?' --nodes 100
refuses 'there is no scenario "hop"' --scenario hop
refuses '--nodes: "0" is not a number from 1 to 1000000' --nodes 0 --scenario hops
refuses '--nodes: "1000001"' --nodes 1000001 --scenario hops
refuses '--nodes: "many"' --nodes many --scenario hops
refuses '--nodes: "10x"' --nodes 10x --scenario hops
refuses '--nodes: ""' --nodes '' --scenario hops
refuses '--seed: "18446744073709551616"' --seed 18446744073709551616 --scenario hops
refuses '--seed: "-1"' --seed -1 --scenario hops
refuses '--b: "4" is not a number from 1 to 3' --b 4 --scenario hops
refuses '--levels: "4"' --levels 4 --scenario hops
refuses '--keys: "0"' --keys 0 --scenario hops
refuses '--minutes: "0"' --minutes 0 --scenario hops
refuses 'there is no mitigation "luck"' --without luck --scenario churn
refuses '--minutes changes nothing in scenario hops; it takes b keys' --minutes 5 --scenario hops
refuses '"hops" is no option' --scenario hops hops
refuses 'usage:' --scenario hops --colour
refuses 'usage:' --scenario

help=$("$sim" --help) || { echo "--help: status $?"; failed=1; }
for scenario in hops latency hammer cold heal half churn restart crowd planet idle; do
    case $help in
    *" $scenario "*) ;;
    *)
        echo "--help does not name $scenario"
        failed=1
        ;;
    esac
done
"$sim" --quiet --alone --scenario hops --nodes 10 --keys 10 --json=/nowhere/x 2>/dev/null &&
    echo "a report that cannot be written is no success" && failed=1
for to in '' --json=/dev/null; do
    said=$("$sim" --quiet --scenario planet --nodes 60 --minutes 3 $to 2>/dev/null | tail -n 1)
    [ "$said" = 'good: all held' ] || { echo "planet $to ends with \"$said\""; failed=1; }
done
"$sim" --quiet --scenario planet --nodes 60 --minutes 3 --json 2>/dev/null | head -n 1 | grep -qx '{' ||
    { echo "--json: standard output is not JSON"; failed=1; }
exit $failed
