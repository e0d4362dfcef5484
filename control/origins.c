/* SPDX-License-Identifier: BSD-3-Clause */
/* What the log says of sites' origins that fail. */
#include <string.h>

#include "control/control.h"
#include "control/log.h"

#define TOLD_US 60000000u

static const char *sentence(unsigned why)
{
    static const char *const text[ACCESS_REASONS] = {
        [ACCESS_NO_NAME] = "no such name, or no address of it",
        [ACCESS_DNS] = "its name cannot be resolved: the resolver fails or is silent",
        [ACCESS_FORBIDDEN] = "its address is not allowed; sites.*.allow lists networks that are",
        [ACCESS_REFUSED] = "it refuses connections, or is unreachable",
        [ACCESS_CONNECT] = "no connection in time",
        [ACCESS_CLOSED] = "it closes before it has answered",
        [ACCESS_NONSENSE] = "what it answers is no HTTP/1",
        [ACCESS_BROKE_OFF] = "it breaks off its answers",
        [ACCESS_TIMEOUT] = "it does not answer in time",
        [ACCESS_DOWN] =
            "down: health.path is not answered well; it is left alone while another is up",
        [ACCESS_UP] = "up again: health.path is answered well",
    };
    return why < ACCESS_REASONS && text[why] ? text[why] : "it fails";
}

void origins_failed(struct control *c, const struct node_origin *o, uint64_t now_us)
{
    struct origin_told *place = NULL;

    for (unsigned i = 0; i < CONTROL_ORIGINS; i++) {
        struct origin_told *t = &c->origin_told[i];
        if (t->until_us <= now_us)
            place = t;
        else if (t->what.why == o->why && t->what.port == o->port &&
                 strcmp(t->what.host, o->host) == 0 && strcmp(t->what.site, o->site) == 0)
            return;
    }
    if (!place)
        return;
    *place = (struct origin_told){*o, now_us + TOLD_US};
    if (o->why == ACCESS_UP)
        log_info("site %s: origin %s:%u: %s", o->site, o->host, o->port, sentence(o->why));
    else
        log_warning("site %s: origin %s:%u: %s", o->site, o->host, o->port, sentence(o->why));
}
