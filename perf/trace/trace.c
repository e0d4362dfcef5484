/* SPDX-License-Identifier: BSD-3-Clause */
#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "base/mix.h"
#include "perf/trace/trace.h"

static_assert(sizeof(struct trace_request) == 12, "ten million requests are 120 MB");

void trace_open(struct trace *t, uint32_t requests_max)
{
    assert(requests_max <= TRACE_REQUESTS_MAX);
    *t = (struct trace){.requests_max = requests_max};
}

void trace_close(struct trace *t)
{
    free(t->request);
    free(t->id);
    free(t->first_bytes);
    free(t->slot);
    free(t->next);
    *t = (struct trace){0};
}

/* Makes room for one more of `used`. */
static bool grow(void *array, size_t item, uint32_t used, uint32_t *room)
{
    void **p = array, *grown;
    if (used < *room)
        return true;
    uint32_t wanted = *room ? (*room > UINT32_MAX / 2 ? UINT32_MAX : *room * 2) : 1024;
    if (wanted == *room || !(grown = realloc(*p, wanted * item)))
        return false;
    *p = grown;
    *room = wanted;
    return true;
}

static uint32_t *slot_of(const struct trace *t, uint64_t id)
{
    uint32_t mask = t->slots - 1, at = (uint32_t)mix64(id) & mask; /* IDs are often counters */
    while (t->slot[at] && t->id[t->slot[at] - 1] != id)
        at = (at + 1) & mask;
    return &t->slot[at];
}

static bool slots_grow(struct trace *t)
{
    if (t->objects < t->slots / 2)
        return true;
    uint32_t wanted = t->slots ? t->slots * 2 : 2048;
    uint32_t *slot = t->slots > UINT32_MAX / 2 ? NULL : calloc(wanted, sizeof(*slot));
    if (!slot)
        return false;
    free(t->slot);
    t->slot = slot;
    t->slots = wanted;
    for (uint32_t i = 0; i < t->objects; i++)
        *slot_of(t, t->id[i]) = i + 1;
    return true;
}

/* TRACE_NONE: no memory */
static uint32_t object_of(struct trace *t, uint64_t id, uint32_t bytes)
{
    if (!slots_grow(t))
        return TRACE_NONE;
    uint32_t *slot = slot_of(t, id);
    if (*slot)
        return *slot - 1;
    uint32_t room = t->objects_room;
    if (!grow(&t->first_bytes, sizeof(*t->first_bytes), t->objects, &room) ||
        !grow(&t->id, sizeof(*t->id), t->objects, &t->objects_room))
        return TRACE_NONE;
    t->id[t->objects] = id;
    t->first_bytes[t->objects] = bytes;
    t->footprint_bytes += bytes;
    *slot = ++t->objects;
    return t->objects - 1;
}

bool trace_add(struct trace *t, uint64_t time_s, uint64_t id, uint32_t bytes)
{
    if (bytes == 0)
        bytes = 1;
    if (t->requests == t->requests_max ||
        !grow(&t->request, sizeof(*t->request), t->requests, &t->requests_room))
        return false;
    uint32_t object = object_of(t, id, bytes);
    if (object == TRACE_NONE)
        return false;
    t->request[t->requests++] = (struct trace_request){
        .time_s = time_s > UINT32_MAX ? UINT32_MAX : (uint32_t)time_s,
        .object = object,
        .bytes = bytes,
    };
    t->requested_bytes += bytes;
    return true;
}

bool trace_finish(struct trace *t)
{
    uint32_t *later = malloc((t->objects + 1ul) * sizeof(*later));
    free(t->next);
    t->next = malloc((t->requests + 1ul) * sizeof(*t->next));
    if (!later || !t->next) {
        free(later);
        return false;
    }
    memset(later, 0xff, (t->objects + 1ul) * sizeof(*later)); /* TRACE_NONE */
    t->objects_once = t->objects;
    for (uint32_t i = t->requests; i-- > 0;) {
        uint32_t object = t->request[i].object;
        t->next[i] = later[object];
        later[object] = i;
    }
    /* an object asked for again is found at its first request: the one that `later` ends with */
    for (uint32_t object = 0; object < t->objects; object++)
        t->objects_once -= t->next[later[object]] != TRACE_NONE;
    free(later);
    return true;
}
