#!/bin/sh
# SPDX-License-Identifier: BSD-3-Clause
# A seed replays a run, event for event, and another seed does not. The golden hashes are of this
# revision's index, and of the flat Kademlia beside it, on any machine: a change that is meant to
# change what nodes do writes new ones here, any other must not.
# usage: replay_test.sh CORAL_SIM
sim=$1
golden='0x40ecca8ab57180c8 0x6ae95af39af66cb1' # index, Kademlia

hashes() {
    "$sim" --quiet --scenario churn --nodes 60 --keys 30 --minutes 5 --seed "$1" --json 2>/dev/null |
        sed -n 's/.*"event_hash": "\(0x[0-9a-f]*\)".*/\1/p' | tr '\n' ' ' | sed 's/ $//'
}

first=$(hashes 7)
again=$(hashes 7)
other=$(hashes 8)
failed=0
[ "$first" = "$again" ] || { echo "seed 7: $first, then $again"; failed=1; }
[ "$first" != "$other" ] || { echo "seeds 7 and 8: both $first"; failed=1; }
[ "$first" = "$golden" ] || { echo "seed 7: $first; golden: $golden"; failed=1; }
exit $failed
