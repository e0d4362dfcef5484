/* SPDX-License-Identifier: BSD-3-Clause */
/* What a script may assert. */
#include <stdlib.h>
#include <string.h>

#include "tests/tcp/script_play.h"

bool script_silent(struct script *p)
{
    if (p->outputs == 0)
        return true;
    char text[256];
    script_segment_print(&p->base, &p->output[0].out, text, sizeof(text));
    return play_fail(p, "not expected, at %.3f: > %s",
                     (double)(p->output[0].at_us - p->start_us) / 1e6, text);
}

static bool compare(struct script *p, const char *what, uint64_t got, const char *op, const char *n)
{
    bool more = strcmp(op, ">=") == 0, less = strcmp(op, "<=") == 0;
    uint64_t want = strtoull(more || less ? n : op, NULL, 0);
    if (more ? got >= want : less ? got <= want : got == want)
        return true;
    return play_fail(p, "%s is %llu", what, (unsigned long long)got);
}

static bool holds(struct script *p, const char *what, bool it_does)
{
    return it_does || play_fail(p, "not %s", what);
}

bool script_assert(struct script *p, const char *verb, const char *a, const char *b, const char *c)
{
    const struct script_app *app = &p->app;
    uint64_t value;
    if (strcmp(verb, "none") == 0)
        return script_silent(p);
    if (strcmp(verb, "accepted") == 0)
        return holds(p, verb, app->accepted);
    if (strcmp(verb, "unaccepted") == 0)
        return holds(p, verb, !app->accepted);
    if (strcmp(verb, "opened") == 0)
        return holds(p, verb, app->opened);
    if (strcmp(verb, "live") == 0)
        return holds(p, verb, app->stream && !app->closed);
    if (strcmp(verb, "eof") == 0)
        return holds(p, verb, app->eof);
    if (strcmp(verb, "noeof") == 0)
        return holds(p, verb, !app->eof);
    if (strcmp(verb, "writable") == 0)
        return holds(p, verb, app->writable);
    if (strcmp(verb, "received") == 0)
        return compare(p, "received", app->got, a, b);
    if (strcmp(verb, "closed") == 0)
        return holds(p, "closed", app->closed) && (strcmp(a, look_end(app->why)) == 0 ||
                                                   play_fail(p, "closed %s", look_end(app->why)));
    if (strcmp(verb, "state") == 0)
        return strcmp(a, look_state(p)) == 0 || play_fail(p, "state %s", look_state(p));
    if (strcmp(verb, "cwnd") == 0)
        return compare(p, "cwnd", look_cwnd(p), a, b);
    if (strcmp(verb, "flight") == 0)
        return compare(p, "flight", p->base.sent - p->base.acked, a, b);
    if (strcmp(verb, "counter") == 0)
        return look_counter(p, a, &value) ? compare(p, a, value, b, c)
                                          : play_fail(p, "no such counter: %s", a);
    if (strcmp(verb, "isn") == 0) {
        int32_t step = (int32_t)(p->base.ours - p->base.ours_before);
        int32_t n = (int32_t)strtol(b, NULL, 0);
        bool apart = step > n || step < -n;
        return holds(p, "isn", strcmp(a, "above") == 0 ? step > n : apart);
    }
    return play_fail(p, "no such verb: %s", verb);
}
