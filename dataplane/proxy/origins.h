/* SPDX-License-Identifier: BSD-3-Clause */
/* What a worker knows of origins, and how much it asks of them. */
#ifndef CORAL_PROXY_ORIGINS_H
#define CORAL_PROXY_ORIGINS_H

#include "dataplane/proxy/fill.h"

/* --- what is known of origins (backend.c) --------------------------------- */

struct backend {
    struct backend *next; /* chain of the table */
    uint64_t tag;
    uint8_t state;             /* enum proxy_breaker, */
    uint64_t since_us;         /* since when */
    bool answers;              /* OPEN: it could be connected to */
    const struct fill *probe;  /* HALF_OPEN: who is to find out */
    uint8_t failures;          /* CLOSED: in a row */
    struct proxy_found failed; /* how, the last time */
    uint32_t in_flight;        /* fills that have it in hand, */
    uint32_t limit;            /* at most; 0: any number, */
    uint64_t configuration;    /* as that one's sites say */
    uint32_t waiting;          /* those that wait for that, the first one first */
    struct fill *wait_first, **wait_tail;
    uint64_t until_us; /* OPEN: then one may try */
    uint64_t open_us;  /* for how long it was opened last, jitter aside; 0: it has answered since */
};
enum backend_admission {
    BACKEND_ADMITTED,
    BACKEND_REFUSED,
    BACKEND_UNWILLING, /* refused, but better than none */
    BACKEND_QUEUED,    /* find_origin comes when it is admitted, or to be judged anew */
    BACKEND_FULL,      /* too many wait */
};
enum backend_failure {
    BACKEND_NO_CONNECTION, /* to any of its addresses */
    BACKEND_NO_ANSWER,     /* in time, or none that is HTTP */
    BACKEND_BAD_ANSWER,    /* it, or what is behind it, is overloaded or gone */
};
/* What an origin is known by, here and in the HTTP client; never 0. */
uint64_t backend_tag(const struct proxy *p, const char *host, uint16_t port);
/* May the fill ask f->origin_name, f->port? If so it has it in hand until backend_release, as one
 * of `limit`. */
enum backend_admission backend_admit(struct fill *f, uint32_t limit, struct now now);
void backend_release(struct fill *f);
/* What became of it, of one in hand; none of them where that says nothing about the origin. */
void backend_ok(struct fill *f, struct now now);
void backend_failed(struct fill *f, enum backend_failure why, struct now now);
/* A site's is known to be good again: if its breaker is open, the next fill goes to find out. */
void backend_recovered(struct proxy *p, const char *host, uint16_t port);
void backend_show(const struct proxy *p, struct proxy_origin_info *out, struct now now);

/* --- probes of origins' health (health.c) --------------------------------- */

struct health {
    struct alarm alarm; /* until the next probe, or the end of this one */
    struct proxy *proxy;
    uint32_t site;
    uint8_t origin;
    uint8_t streak; /* results in a row that are not as `down` has it */
    bool down, good, resolving;
    uint64_t asked_us;
    struct proxy_found found, bad; /* the last time; the last time that it was not well */
    struct http_exchange *x;
    uint64_t ticket;
};
/* Bits: the site's origins that are down, and those that are not to be asked: never all. */
unsigned health_bits(struct proxy *p, const struct proxy_site *site, struct now now);
unsigned health_down(struct proxy *p, const struct proxy_site *site, struct now now);
void health_told(struct proxy *p, const struct message *m, struct now now);
void health_timer(struct health *h, struct now now);
/* There are other sites, or none. */
void health_view(struct proxy *p);
/* What this worker has found, if it is the one that asks. */
void health_show(const struct proxy *p, const struct proxy_site *site, unsigned origin,
                 struct proxy_origin_info *out);

/* --- how often an origin is asked once more (retry.c) --------------------- */

struct retries {
    uint64_t window;             /* number of the one that [0] is of */
    uint32_t first[2], again[2]; /* of it, and of the one before */
};
/* May the fill send a request to an origin of this URL's host? Counts it if so. */
bool retry_allowed(struct fill *f, const char *host, struct now now);

#endif
