#!/bin/sh
# No order but relaxed is named in the cache outside of barriers.h, whose names the model checks.
# usage: barriers_test.sh FOLDER
cd "$1" || exit 1
found=$(grep -nE '__ATOMIC_(ACQUIRE|RELEASE|ACQ_REL|SEQ_CST|CONSUME)|atomic_thread_fence|__sync_|stdatomic' *.[ch] |
    grep -v '^barriers\.h:')
[ -z "$found" ] && grep -q CACHE_SLOT_STORE index.c && exit 0
printf 'orders without a name in barriers.h:\n%s\n' "$found"
exit 1
