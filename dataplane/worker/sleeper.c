/* SPDX-License-Identifier: BSD-3-Clause */
#include "dataplane/worker/sleeper.h"

#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

bool sleeper_init(struct sleeper *s)
{
    s->asleep = 0;
    s->fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
    return s->fd >= 0;
}

void sleeper_close(struct sleeper *s)
{
    if (s->fd >= 0)
        close(s->fd);
    s->fd = -1;
}

void sleeper_write(struct sleeper *s)
{
    uint64_t one = 1;
    if (write(s->fd, &one, sizeof(one)) < 0)
        return; /* EAGAIN: the counter is at its limit, so it is readable */
}

void sleeper_drain(struct sleeper *s)
{
    uint64_t count;
    if (read(s->fd, &count, sizeof(count)) < 0)
        return; /* EAGAIN: nobody wrote */
}

struct rte_ring *ring_new(size_t element, unsigned count)
{
    ssize_t bytes = rte_ring_get_memsize_elem((unsigned)element, rte_align32pow2(count + 1));
    if (bytes < 0)
        return NULL;
    size_t rounded = ((size_t)bytes + RTE_CACHE_LINE_SIZE - 1) & ~(size_t)(RTE_CACHE_LINE_SIZE - 1);
    struct rte_ring *r = aligned_alloc(RTE_CACHE_LINE_SIZE, rounded);
    if (r && rte_ring_init(r, "worker", count, RING_F_SC_DEQ | RING_F_EXACT_SZ) < 0) {
        free(r);
        return NULL;
    }
    return r;
}

void ring_free(struct rte_ring *r)
{
    free(r);
}
