/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Fair shares by site (CORAL.md 4): what each site is asked for here is counted and told to control
 * (PROXY_USAGE_US), which knows what the other nodes say and tells us in the view whose share is
 * used up. Of such a site that part of the clients is served which is within its share, each client
 * for a minute or not at all, so that nobody gets half a page; the others are sent to the origin.
 *
 * As in CoralCDN, who is sent home is marked by "coral-no-serve" in the query, so that an origin
 * that sends its visitors to us knows not to; one that comes back with it gets 403. And an origin
 * may itself say "X-Coral-Control: redirect-home" in a response: then that URL's visitors go home
 * for as long as the response is fresh.
 *
 * The table holds what is used most, in sets of four: who finds no place there wears down the one
 * of the least use (Misra and Gries 1982), so what is told is never more than was used, and what
 * uses much is never left out.
 */
#include <stdlib.h>
#include <string.h>

#include "base/mix.h"
#include "dataplane/proxy/proxy_internal.h"

#define WAYS        4
#define REQUEST_KIB 4u /* what a request without bytes weighs */
#define SAME_S      60 /* a client is served or not for so long */
#define HOME_S      60 /* where an origin does not say for how long */
#define MARK        "coral-no-serve"
/* Sites are told of so many at a time, and the others a little later: all workers tell at once, and
 * control's ring is for other news, too. */
#define TOLD        32u
#define TOLD_GAP_US 10000u

struct used {
    struct proxy_usage usage; /* requests 0: free */
    uint64_t credit;          /* KiB, worn down by others */
};

struct share_meter {
    uint8_t key[16]; /* of sites' hashes, the same on all nodes */
    uint64_t due_us; /* UINT64_MAX: nothing is counted */
    unsigned next;   /* place to be told of */
    bool told;       /* there was one before it */
    struct used used[PROXY_SITES_USED];
};

bool share_init(struct proxy *p)
{
    static const char what[] = "site-usage\n";
    p->usage = calloc(1, sizeof(*p->usage));
    if (!p->usage)
        return false;
    p->usage->due_us = UINT64_MAX;
    if (p->parts.mac)
        dht_mac_sign(p->parts.mac, what, sizeof(what) - 1, p->usage->key);
    return true;
}

void share_free(struct proxy *p)
{
    free(p->usage);
}

void proxy_shares(struct proxy *p, const struct proxy_shares *shares)
{
    p->shares = shares;
}

/* A URL's authority; its path follows. */
static struct http_text authority_of(struct http_text url)
{
    const char *begin = url.p + sizeof("http://") - 1, *end = url.p + url.len;
    const char *slash = memchr(begin, '/', (size_t)(end - begin));
    return (struct http_text){begin, (uint32_t)((slash ? slash : end) - begin)};
}

/* Where its visitors are sent; in open mode its URL tells. */
static struct http_text home_of(const struct proxy_site *site, struct http_text url)
{
    return site ? (struct http_text){site->home, (uint32_t)strlen(site->home)} : authority_of(url);
}

/* --- what is used --------------------------------------------------------- */

/* Its place, NULL: it has none. */
static struct used *place(struct share_meter *m, struct http_text name, uint64_t site, uint64_t kib)
{
    struct used *set = &m->used[site % (PROXY_SITES_USED / WAYS) * WAYS], *least = set;
    for (struct used *u = set; u < set + WAYS; u++) {
        if (u->usage.requests && u->usage.site == site)
            return u;
        if (u->credit < least->credit)
            least = u;
    }
    if (least->usage.requests && least->credit > kib) {
        least->credit -= kib;
        return NULL;
    }
    *least = (struct used){.usage.site = site};
    size_t n = name.len < sizeof(least->usage.name) ? name.len : sizeof(least->usage.name) - 1;
    memcpy(least->usage.name, name.p, n);
    return least;
}

static uint64_t window_end(struct now now) /* all workers' at once */
{
    return (now.mono_us / PROXY_USAGE_US + 1) * PROXY_USAGE_US;
}

static void count(struct proxy *p, struct http_text name, uint64_t site, uint64_t bytes,
                  bool refused)
{
    struct share_meter *m = p->usage;
    uint64_t kib = bytes / 1024 + REQUEST_KIB;
    struct used *u = place(m, name, site, kib);
    if (m->due_us == UINT64_MAX)
        m->due_us = window_end(p->now);
    if (!u)
        return;
    u->credit += kib;
    u->usage.bytes += bytes;
    u->usage.requests++;
    u->usage.refused += refused;
}

void share_count(struct proxy *p, const struct request *r)
{
    struct http_text name = authority_of((struct http_text){r->url, r->url_len});
    count(p, name, siphash64(p->usage->key, name.p, name.len), r->body_out, false);
}

void share_poll(struct proxy *p, struct now now)
{
    struct share_meter *m = p->usage;
    unsigned n = 0;
    if (now.mono_us < m->due_us)
        return;
    for (; m->next < PROXY_SITES_USED && n < TOLD; m->next++) {
        struct used *u = &m->used[m->next];
        if (u->usage.requests == 0)
            continue;
        if (p->parts.log.usage)
            p->parts.log.usage(p->parts.log.ctx, &u->usage);
        *u = (struct used){0}; /* the next window's from now on */
        n++;
    }
    m->told |= n > 0;
    if (m->next < PROXY_SITES_USED) {
        m->due_us = now.mono_us + TOLD_GAP_US;
        return;
    }
    m->due_us = m->told ? window_end(now) : UINT64_MAX;
    m->next = 0;
    m->told = false;
}

uint64_t share_deadline_us(const struct proxy *p)
{
    return p->usage->due_us;
}

/* --- who is over it ------------------------------------------------------- */

static uint32_t admitted(const struct proxy_shares *shares, uint64_t site)
{
    unsigned lo = 0, hi = shares->n;
    while (lo < hi) {
        unsigned mid = lo + (hi - lo) / 2;
        if (shares->share[mid].site == site)
            return shares->share[mid].admitted;
        if (shares->share[mid].site < site)
            lo = mid + 1;
        else
            hi = mid;
    }
    return PROXY_ALL;
}

/* Is it one of the clients that are served this minute? The same on all nodes. Who has an IPv6
 * address has a /64 of them, and is not to choose the one that is served. */
static bool served(const struct proxy *p, const struct addr *who, uint64_t site, uint32_t part)
{
    uint64_t h = siphash64(p->usage->key, who->b, addr_is_v4(who) ? sizeof(who->b) : 8) ^ site;
    return mix64(h + (uint64_t)p->now.wall_s / SAME_S) % PROXY_ALL < part;
}

/* Does the query say that it was sent home before? */
static bool is_marked(struct http_text path)
{
    const size_t n = sizeof(MARK) - 1;
    for (uint32_t i = 0; i + n < path.len; i++)
        if ((path.p[i] == '?' || path.p[i] == '&') && memcmp(path.p + i + 1, MARK, n) == 0 &&
            (i + 1 + n == path.len || path.p[i + 1 + n] == '&'))
            return true;
    return false;
}

static void write_home(struct head_writer *w, struct http_text home, struct http_text path)
{
    head_text(w, "Location: http://");
    head_write(w, home.p, home.len);
    head_write(w, path.p, path.len);
    head_text(w, memchr(path.p, '?', path.len) ? "&" MARK "\r\n" : "?" MARK "\r\n");
}

unsigned share_refuse(struct proxy *p, struct request *r, const struct http_head *h,
                      const struct proxy_site *site, const char **why)
{
    struct http_text url = {r->url, r->url_len}, name = authority_of(url);
    r->metered = true;
    if (!p->shares)
        return 0;
    uint64_t hash = siphash64(p->usage->key, name.p, name.len);
    uint32_t part = admitted(p->shares, hash);
    if (part >= PROXY_ALL)
        return 0;
    struct addr who = forward_asks(r, h, site);
    if (served(p, &who, hash, part))
        return 0;
    r->metered = false;
    r->reason = ACCESS_SHARE;
    count(p, name, hash, 0, true);

    struct http_text home = home_of(site, url);
    struct http_text path = {name.p + name.len, (uint32_t)(url.p + url.len - name.p) - name.len};
    const struct proxy_fair *fair = site ? &site->fair : &p->policy->open_fair;
    struct head_writer w = {p->answer_lines, 0, sizeof(p->answer_lines) - 1, false};
    if (fair->over == PROXY_OVER_REDIRECT && home.len && !is_marked(path))
        write_home(&w, home, path);
    if (w.len && !w.bad) {
        p->answer_lines[w.len] = 0;
        counter_inc(&p->counters.proxy_share_redirected_total);
        *why = "this site is over its share here; Location has it at its origin";
        return r->other ? 307 : 302;
    }
    snprintf(p->answer_lines, sizeof(p->answer_lines), "Retry-After: %u\r\n", SAME_S);
    counter_inc(&p->counters.proxy_share_refused_total);
    *why = "this site is over its share here; try again later";
    return 403;
}

/* --- an origin that sends visitors home ------------------------------------ */

static bool says_home(const struct http_head *h)
{
    for (unsigned i = 0; i < h->fields; i++)
        if (text_equals(h->field[i].name, "X-Coral-Control") &&
            text_equals(h->field[i].value, "redirect-home"))
            return true;
    return false;
}

/* What says how long it is fresh, and what it varies by. */
static bool is_kept(const struct http_field *f)
{
    static const char *const names[] = {"Date", "Age", "Expires", "Vary"};
    if (f->known == HTTP_CACHE_CONTROL || cache_target(f->name.p, f->name.len) >= 0)
        return true;
    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
        if (text_equals(f->name, names[i]))
            return true;
    return false;
}

const struct http_head *share_home(struct fill *f, const struct http_head *h,
                                   struct http_head *copy, char *text, size_t room)
{
    struct head_writer w = {text, 0, room, false};
    struct url_parts url;
    bool timed = false, known;
    if (f->kind != SOURCE_ORIGIN || f->object || f->once || h->status == 304 ||
        (f->streaming && f->streaming->resumed) || !says_home(h))
        return NULL;
    url_split(f->url, f->url_len, &url);
    const struct proxy_site *site = policy_site(f->proxy->policy, url.host, url.port, &known);
    struct http_text path = {url.path, (uint32_t)url.path_len};
    struct http_text home = home_of(site, (struct http_text){f->url, f->url_len});
    if (!known || !home.len || is_marked(path))
        return NULL;
    head_text(&w, "HTTP/1.1 302 Found\r\n");
    write_home(&w, home, path);
    for (unsigned i = 0; i < h->fields; i++)
        if (is_kept(&h->field[i])) {
            timed |= !text_equals(h->field[i].name, "Date") &&
                     !text_equals(h->field[i].name, "Age") &&
                     !text_equals(h->field[i].name, "Vary");
            head_field_write(&w, &h->field[i]);
        }
    if (!timed)
        head_printf(&w, "Cache-Control: max-age=%u\r\n", HOME_S);
    head_text(&w, "Content-Length: 0\r\n\r\n");
    if (w.bad || http_parse_response(text, w.len, false, copy) != HTTP_OK)
        return NULL;
    counter_inc(&f->proxy->counters.proxy_sent_home_total);
    return copy;
}
