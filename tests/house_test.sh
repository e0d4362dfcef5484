#!/bin/sh
# An engine's library does no I/O: it names nothing of EAL, ethdev, mempools or packet buffers,
# no socket, no clock, no thread. usage: house_test.sh LIBRARY...
bad=0
for lib in "$@"; do
    found=$(nm -u "$lib" 2>/dev/null | awk '{print $2}' | sort -u |
        grep -E '^(rte_eal|rte_eth|rte_mempool|rte_pktmbuf|socket|sendto|recvfrom|clock_gettime|time|gettimeofday|pthread_create|open|fopen)')
    if [ -n "$found" ]; then
        echo "$lib uses: $(echo "$found" | tr '\n' ' ')"
        bad=1
    fi
    # and no mutable state at file scope (.data.rel.ro is constant tables with addresses in them)
    state=$(objdump -t "$lib" 2>/dev/null |
        awk '/ O / && /[ \t](\.bss|\.data|\.tbss|\.tdata|\*COM\*)[.a-z]*[ \t]/ && !/\.data\.rel\.ro|__gnu_lto/ {print $NF}' | sort -u)
    if [ -n "$state" ]; then
        echo "$lib has mutable file-scope state: $(echo "$state" | tr '\n' ' ')"
        bad=1
    fi
done
exit $bad
