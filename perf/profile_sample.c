/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What `perf script -F event,period,ip,sym,dso` writes of samples with their stacks:
 *
 *   1003009 cpu-clock:u:                      period and event, then
 *           5432a act (/usr/bin/coral-perf)   the frames, callee first
 *           394f3 worker_poll (...)
 *                                             and an empty line
 *
 * A sample counts if worker_poll is among its frames: the rest is the load's, and set-up. A frame
 * of no known name is of its caller's stage: most that have none are static functions of its file.
 */
#include <stdlib.h>
#include <string.h>

#include "perf/profile.h"

#define FRAMES FLAME_DEPTH

struct sample {
    struct profile *profile;
    enum profile_event event;
    uint64_t period;
    bool known; /* an event of ours */
    unsigned n;
    char *frame[FRAMES]; /* callee first: NAME (OBJECT) */
};

static void forget(struct sample *s)
{
    for (unsigned i = 0; i < s->n; i++)
        free(s->frame[i]);
    s->n = 0;
    s->known = false;
}

/* "NAME (OBJECT)" is cut in two; of NAME what the compiler's passes put behind a dot goes. */
static const char *cut(char *frame)
{
    char *object = strrchr(frame, '(');
    if (!object)
        return "";
    *object = 0;
    if (object > frame && object[-1] == ' ')
        object[-1] = 0;
    char *dot = strchr(frame, '.');
    if (dot && dot > frame)
        *dot = 0;
    return object + 1;
}

/* From worker_poll on; false: no memory. */
static bool take(struct sample *s, struct flame *flame)
{
    struct flame_frame frame[FRAMES];
    enum profile_stage stage = PROFILE_worker;
    unsigned root = s->n, n = 0;
    while (root > 0 && strncmp(s->frame[root - 1], "worker_poll", 11) != 0)
        root--;
    for (unsigned i = root; s->known && i-- > 0;) {
        const char *object = cut(s->frame[i]);
        enum profile_stage is = profile_stage_of("", s->frame[i], object);
        stage = is == PROFILE_other ? stage : is;
        frame[n++] = (struct flame_frame){s->frame[i], stage};
    }
    if (n == 0)
        return true;
    s->profile->count[s->event][stage] += s->period;
    s->profile->samples++;
    /* the first event's alone: each has the whole time */
    return !flame || s->event == PROFILE_INSTRUCTIONS || flame_add(flame, frame, n, s->period);
}

static void begin(struct sample *s, const char *line)
{
    static const struct {
        const char *name;
        enum profile_event event;
    } events[] = {{"cycles", PROFILE_CYCLES},
                  {"instructions", PROFILE_INSTRUCTIONS},
                  {"cpu-clock", PROFILE_NS}};
    char *name;
    s->period = strtoull(line, &name, 10);
    name += strspn(name, " ");
    for (unsigned i = 0; i < sizeof(events) / sizeof(events[0]); i++)
        if (strncmp(name, events[i].name, strlen(events[i].name)) == 0) {
            s->known = true;
            s->event = events[i].event;
        }
}

bool profile_read_samples(FILE *f, struct profile *p, struct flame *flame)
{
    struct sample s = {.profile = p};
    char *line = NULL;
    size_t room = 0;
    bool ok = true;
    while (ok && getline(&line, &room, f) > 0) {
        line[strcspn(line, "\n")] = 0;
        if (line[0] == 0) {
            ok = take(&s, flame);
            forget(&s);
        } else if (line[0] != '\t') {
            ok = take(&s, flame); /* of a file without its empty lines, too */
            forget(&s);
            begin(&s, line);
        } else if (s.n < FRAMES) {
            const char *name = line + strspn(line, "\t ");
            name += strcspn(name, " "); /* the address */
            s.frame[s.n] = strdup(name + strspn(name, " "));
            ok = s.frame[s.n] != NULL;
            s.n += ok;
        }
    }
    ok = ok && take(&s, flame);
    forget(&s);
    free(line);
    return ok;
}
