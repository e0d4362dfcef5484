/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Responses that vary (RFC 9111 4.1): which variant a request selects, what a fill sends so that
 * the origin selects, and what a response's Vary makes of the fill and of those who wait for it.
 *
 *   R: look-up of the URL --primary?--> key of the names, the nonce and the request --> look-up
 *   R: nothing there, and Accept-Encoding among the names: look-up of what was answered to those
 * who accept more. An origin that chose what this one accepts, too, would not choose another for it
 *   O: fill of a URL of which nothing is known: sends what its first request has
 *      head with Vary: a primary, and the fill goes on under its variant's key; who waits and has
 *      other values is sent back to look again, and finds the primary
 *
 * A fill sends what the request that began it has (RFC 9110 5.1), on a site of the operator's: so
 * the first answer is its variant already. Not those fields that make an answer somebody's own or
 * another URL's (request_field_shared); in open mode, where anybody names the origin, none but
 * those that a key was made of. A key is made of exactly what was sent, normalised. Accept-Encoding
 * is always sent, as one of few values: a coded response gives itself away by Content-Encoding and
 * is told apart by it though it says no Vary, so an origin that forgets to say it can't have
 * clients given what they can't read.
 *
 * The names of a URL only grow while its primary stands, for origins leave Vary out of some
 * responses: to tell apart by too many fields is wasteful, by too few is wrong.
 */
#include <string.h>
#include <strings.h>

#include "dataplane/proxy/proxy_internal.h"

static const char accept_encoding[] = "accept-encoding";

/* --- what requests and fills say -------------------------------------------------------------- */

bool vary_is_secret(const struct request *r)
{
    char text[PROXY_REQUEST_HEAD + 64];
    struct http_head h;
    return !r->open && !r->peer &&
           (!request_head_parse(r, text, sizeof(text), &h) || request_is_secret(&h) ||
            (r->authorized && request_is_own(r, &h)));
}

static bool name_is_coding(const struct cache_name *name)
{
    return name->len == sizeof(accept_encoding) - 1 &&
           memcmp(name->p, accept_encoding, name->len) == 0;
}

/* The lines of one field, joined (RFC 9110 5.2). False: not to be told apart by them. */
static bool join_lines(const struct request *r, const struct http_head *h,
                       const struct cache_name *name, struct writer *w, bool *present)
{
    *present = false;
    for (unsigned i = 0; i < h->fields; i++) {
        const struct http_field *f = &h->field[i];
        if (f->name.len != name->len || strncasecmp(f->name.p, name->p, name->len) != 0)
            continue;
        if (f->known == HTTP_AUTHORIZATION)
            return false;
        if (!request_field_selects(h, f, r->open))
            continue;
        if (f->known == HTTP_COOKIE) /* nearly each client's own: those without one share */
            return false;
        if (*present)
            write_bytes(w, ", ", 2);
        write_bytes(w, f->value.p, f->value.len);
        *present = true;
    }
    return !w->bad;
}

/* The values of `v`'s names as this request has them, or as an origin would see them. Who wants
 * nothing transformed (RFC 9111 5.2.1.6) accepts no coding where it could be ours. False: they are
 * too long, or somebody's own. */
static bool request_values(const struct request *r, const struct cache_vary *v, struct writer *out)
{
    char text[PROXY_REQUEST_HEAD + 64], lines[CACHE_VALUES_MAX];
    struct http_head h;
    struct cache_name name;
    bool present;
    if (v->total) {
        slice_write_value(out, r->slice);
        return !out->bad;
    }
    if (!request_head_parse(r, text, sizeof(text), &h))
        return false;
    for (size_t at = 0; cache_vary_next(v, &at, &name);) {
        struct writer w = writer_of(lines, sizeof(lines));
        if (!join_lines(r, &h, &name, &w, &present))
            return false;
        present &= !(r->asks.no_transform && name_is_coding(&name));
        cache_value_write(out, &name, present ? lines : NULL, sizeof(lines) - writer_left(&w));
    }
    return !out->bad;
}

/* Room for values behind a URL of that length. */
static size_t values_room(size_t url_len)
{
    size_t used = CACHE_VARIANT_PREFIX + url_len;
    size_t left = used < CACHE_KEY_MAX ? CACHE_KEY_MAX - used : 0;
    return left < CACHE_VALUES_MAX ? left : CACHE_VALUES_MAX;
}

static const struct {
    const char *text;
    unsigned accepts;
} wider[] = {{"gzip", CODING_GZIP}, {"br, gzip", CODING_BR | CODING_GZIP}};

/* Where Accept-Encoding's value is in the key, and what it says. */
static void find_coding(struct request *r, const struct cache_vary *v)
{
    const char *values = r->url + r->url_len;
    struct cache_name name;
    struct cache_value value;
    size_t at = 0, i = 0;
    while (cache_vary_next(v, &at, &name) && cache_value_next(values, r->values_len, &i, &value)) {
        if (!name_is_coding(&name))
            continue;
        r->coding_at = (uint16_t)(value.p - values);
        r->coding_len = (uint8_t)value.len;
        /* "identity", "gzip", "br" or "br, gzip" */
        r->accepts = value.len >= 2 && memcmp(value.p, "br", 2) == 0 ? CODING_BR : CODING_NONE;
        if (value.len >= 4 && memcmp(value.p + value.len - 4, "gzip", 4) == 0)
            r->accepts |= CODING_GZIP;
    }
}

bool vary_key(struct request *r, const struct cache_vary *v)
{
    size_t room = values_room(r->url_len);
    struct writer w = writer_of(r->url + r->url_len, room);
    r->varies = r->sliced = false;
    r->coding_len = 0;
    r->accepts = CODING_BR | CODING_GZIP; /* it makes no difference */
    if (v->names == 0)
        return true;
    if (v->total && !slice_select(r, v))
        return false;
    r->varies = request_values(r, v, &w);
    if (!r->varies)
        return false;
    r->sliced = v->total > 0;
    r->values_len = (uint16_t)(room - writer_left(&w));
    if (!r->sliced)
        find_coding(r, v);
    cache_variant_begin(r->prefix, r->url_len, v->nonce);
    return true;
}

static bool is_named(const struct cache_vary *v, struct http_text field)
{
    struct cache_name name;
    for (size_t at = 0; cache_vary_next(v, &at, &name);)
        if (name.len == field.len && strncasecmp(name.p, field.p, name.len) == 0)
            return true;
    return false;
}

/* Those lines of the request that go on as they are. */
static void keep_others(struct fill *f, const struct request *r)
{
    char text[PROXY_REQUEST_HEAD + 64];
    struct http_head h;
    struct head_writer w = {f->fields, 0, sizeof(f->fields), false};
    if (r->open || !request_head_parse(r, text, sizeof(text), &h))
        return;
    for (unsigned i = 0; r->authorized && i < h.fields; i++)
        if (h.field[i].known == HTTP_AUTHORIZATION)
            head_field_write(&w, &h.field[i]);
    size_t credentials = w.len;
    for (unsigned i = 0; i < h.fields; i++)
        if (request_field_shared(&h, &h.field[i]) &&
            !text_equals(h.field[i].name, "Accept-Encoding"))
            head_field_write(&w, &h.field[i]);
    f->fields_len = (uint16_t)(w.bad ? credentials : w.len);
}

void vary_write_others(const struct fill *f, struct head_writer *w)
{
    struct http_text name, line;
    for (size_t at = 0; head_line(f->fields, f->fields_len, &at, &name, &line);)
        if (!is_named(&f->vary, name) && !forward_makes(f, name))
            head_write(w, line.p, line.len);
}

/* The lines of a field among them, joined. */
static struct cache_value other_value(const struct fill *f, const struct cache_name *wanted,
                                      char room[static PROXY_REQUEST_HEAD])
{
    struct writer w = writer_of(room, PROXY_REQUEST_HEAD);
    struct cache_value v = {.p = room};
    struct http_text name, line;
    for (size_t at = 0; head_line(f->fields, f->fields_len, &at, &name, &line);) {
        if (name.len != wanted->len || strncasecmp(name.p, wanted->p, name.len) != 0)
            continue;
        if (v.present)
            write_bytes(&w, ", ", 2);
        write_bytes(&w, name.p + name.len + 2, line.len - name.len - 4); /* ": ", CR LF */
        v.present = true;
    }
    v.len = PROXY_REQUEST_HEAD - writer_left(&w);
    return v;
}

/* What the fill has sent of this field. */
static struct cache_value fill_value(const struct fill *f, const struct cache_name *wanted,
                                     char room[static PROXY_REQUEST_HEAD])
{
    struct cache_name name;
    struct cache_value value;
    size_t at = 0, i = 0;
    while (cache_vary_next(&f->vary, &at, &name) &&
           cache_value_next(f->url + f->url_len, f->values_len, &i, &value))
        if (name.len == wanted->len && memcmp(name.p, wanted->p, name.len) == 0)
            return value;
    if (f->kind == SOURCE_PEER) /* who was not sent the others */
        return (struct cache_value){.present = false};
    return other_value(f, wanted, room);
}

bool fill_accepts_gzip(const struct fill *f)
{
    static const struct cache_name name = {accept_encoding, sizeof(accept_encoding) - 1};
    char room[PROXY_REQUEST_HEAD];
    struct cache_value v = fill_value(f, &name, room);
    return v.present && v.len >= 4 && memcmp(v.p + v.len - 4, "gzip", 4) == 0; /* it comes last */
}

static void fill_values(const struct fill *f, const struct cache_vary *v, struct writer *out)
{
    char room[PROXY_REQUEST_HEAD];
    struct cache_name name;
    if (v->total) {
        slice_write_value(out, f->base / PROXY_SLICE_BYTES);
        return;
    }
    for (size_t at = 0; cache_vary_next(v, &at, &name);) {
        struct cache_value value = fill_value(f, &name, room);
        cache_value_write(out, &name, value.present ? value.p : NULL, value.len);
    }
}

void vary_write_fields(const struct fill *f, struct head_writer *w)
{
    struct cache_name name;
    struct cache_value value;
    size_t at = 0, i = 0;
    if (f->vary.total) /* a slice's number is no field */
        return;
    while (cache_vary_next(&f->vary, &at, &name) &&
           cache_value_next(f->url + f->url_len, f->values_len, &i, &value))
        if (value.present && !forward_makes(f, (struct http_text){name.p, (uint32_t)name.len}))
            head_printf(w, "%.*s: %.*s\r\n", (int)name.len, name.p, (int)value.len, value.p);
}

void vary_add_coding(struct cache_vary *v)
{
    cache_vary_add(v, accept_encoding, sizeof(accept_encoding) - 1);
}

void vary_said(const struct http_head *h, struct cache_vary *out)
{
    bool coded = false;
    *out = (struct cache_vary){0};
    for (unsigned i = 0; i < h->fields; i++) {
        const struct http_field *f = &h->field[i];
        if (f->known == HTTP_VARY)
            cache_vary_parse(out, f->value.p, f->value.len);
        else if (f->known == HTTP_OTHER && text_equals(f->name, "Content-Encoding"))
            coded = coded || (f->value.len && !text_equals(f->value, "identity"));
    }
    /* always sent, so always told apart by where anything is */
    if (coded || out->names)
        vary_add_coding(out);
}

bool vary_suits(const struct fill *f, const struct request *r)
{
    char theirs[CACHE_VALUES_MAX], ours[CACHE_VALUES_MAX];
    struct writer a = writer_of(theirs, sizeof(theirs)), b = writer_of(ours, sizeof(ours));
    if (f->said.any) /* it was selected for who began the fill, by we don't know what */
        return !r->o.joined;
    if (!f->said.names)
        return true;
    fill_values(f, &f->said, &b);
    return request_values(r, &f->said, &a) && !b.bad && writer_left(&a) == writer_left(&b) &&
           memcmp(theirs, ours, sizeof(ours) - writer_left(&b)) == 0;
}

/* --- R ---------------------------------------------------------------------------------------- */

static bool read_primary(const struct cache_object *o, struct cache_vary *v)
{
    size_t len;
    const char *head = cache_head(o, &len);
    return cache_vary_read(v, head, len);
}

void vary_select_all(struct proxy *p, struct request **batch, struct cache_probe *probe, unsigned n)
{
    struct cache_probe second[PROXY_BURST];
    unsigned which[PROXY_BURST], m = 0;
    for (unsigned i = 0; i < n; i++) {
        struct request *r = batch[i];
        struct cache_vary v;
        if (!probe[i].found || !cache_meta(probe[i].found)->varies)
            continue;
        r->alone = !read_primary(probe[i].found, &v) || !vary_key(r, &v);
        probe[i].found = NULL;
        if (r->alone)
            continue;
        struct http_text key = request_key(r);
        second[m] = (struct cache_probe){.key = key.p, .key_len = key.len};
        which[m++] = i;
    }
    cache_prepare(p->cache, second, m);
    cache_touch(p->cache, second, m);
    cache_act(p->cache, second, m);
    for (unsigned i = 0; i < m; i++) {
        probe[which[i]] = second[i];
        batch[which[i]]->vary_miss = !second[i].found;
    }
}

/* Puts another value of Accept-Encoding into the key. False: it has no room. */
static bool set_coding(struct request *r, const char *text, size_t len)
{
    char *at = r->url + r->url_len + r->coding_at;
    size_t others = r->values_len - (size_t)r->coding_len;
    if (others + len > values_room(r->url_len))
        return false;
    memmove(at + len, at + r->coding_len, others - r->coding_at);
    memcpy(at, text, len);
    r->values_len = (uint16_t)(others + len);
    r->coding_len = (uint8_t)len;
    return true;
}

/* A fresh one under the key that the request has now, which it can have. */
static const struct cache_object *look_other(struct proxy *p, struct request *r, struct now now)
{
    struct http_text key = request_key(r);
    struct cache_probe probe = {.key = key.p, .key_len = key.len};
    size_t len;
    cache_prepare(p->cache, &probe, 1);
    cache_touch(p->cache, &probe, 1);
    cache_act(p->cache, &probe, 1);
    const struct cache_object *o = probe.found;
    if (!o || !cache_fresh(o, now) ||
        cache_reuse(cache_meta(o), &r->asks, now.wall_s).use != CACHE_USE_FRESH)
        return NULL;
    const char *head = cache_head(o, &len);
    unsigned coding = coding_of(head, len);
    if ((coding & ~r->accepts) && (r->range_len || !gunzip_begin(p, r, o)))
        return NULL;
    r->hash = probe.hash;
    counter_inc(&p->counters.proxy_variants_shared_total);
    return o;
}

const struct cache_object *vary_other(struct proxy *p, struct request *r, struct now now)
{
    char own[16];
    size_t len = r->coding_len;
    if (len == 0 || len > sizeof(own))
        return NULL;
    memcpy(own, r->url + r->url_len + r->coding_at, len);
    for (size_t i = 0; i < sizeof(wider) / sizeof(wider[0]); i++) {
        if (wider[i].accepts == r->accepts || (r->accepts & ~wider[i].accepts) ||
            !set_coding(r, wider[i].text, strlen(wider[i].text)))
            continue;
        const struct cache_object *o = look_other(p, r, now);
        if (o)
            return o;
        set_coding(r, own, len);
    }
    return NULL;
}

/* --- O ---------------------------------------------------------------------------------------- */

static const struct cache_object *lookup(struct proxy *p, struct http_text key)
{
    return cache_lookup_owner(p->cache, cache_hash(p->cache, key.p, key.len), key.p, key.len);
}

bool vary_names(struct proxy *p, struct http_text url, struct cache_vary *v)
{
    const struct cache_object *o = lookup(p, url);
    return o && cache_meta(o)->varies && read_primary(o, v);
}

bool vary_in_force(struct proxy *p, const struct request *r, struct cache_vary *v)
{
    uint64_t nonce;
    struct http_text key = request_key(r);
    struct cache_name url;
    bool stands = vary_names(p, (struct http_text){r->url, r->url_len}, v);
    if (r->varies)
        return stands && cache_variant_key(key.p, key.len, &url, &nonce) && nonce == v->nonce;
    *v = (struct cache_vary){0};
    vary_add_coding(v);
    return !stands;
}

void vary_begin(struct fill *f, const struct request *r, const struct cache_vary *v)
{
    f->vary = *v;
    f->varies = r->varies;
    keep_others(f, r);
    if (r->varies) {
        struct http_text key = request_key(r);
        memcpy(f->variant, key.p, key.len);
        f->values_len = r->values_len;
        return;
    }
    size_t room = values_room(f->url_len);
    struct writer w = writer_of(f->url + f->url_len, room);
    if (request_values(r, v, &w))
        f->values_len = (uint16_t)(room - writer_left(&w));
    else
        f->vary = (struct cache_vary){0}; /* no room: nothing is sent */
}

/* The object that says by what the URL's responses vary takes the place of what stood there. */
static bool link_primary(struct fill *f, struct now now)
{
    struct proxy *p = f->proxy;
    char head[CACHE_VARY_STORED];
    size_t len = cache_vary_write(&f->vary, head);
    struct cache_meta meta = {.varies = true,
                              .response_s = (uint32_t)now.wall_s,
                              .lifetime_s = CACHE_SECONDS_MAX}; /* it goes by use alone */
    struct hash128 hash = cache_hash(p->cache, f->url, f->url_len);
    const struct cache_object *old = cache_lookup_owner(p->cache, hash, f->url, f->url_len);
    struct cache_object *o = cache_begin(p->cache, hash, f->url, f->url_len, &meta, head, len, now);
    if (!o)
        return false;
    if (old)
        refs_forget(p, old, false);
    cache_complete(p->cache, o);
    cache_link(p->cache, o);
    cache_unpin(o, p->config.worker);
    return true;
}

/* The fill goes on under the key that its answer belongs under. False: there is no room for it. */
static bool rekey(struct fill *f, const struct cache_vary *v)
{
    struct proxy *p = f->proxy;
    char values[CACHE_VALUES_MAX];
    struct writer w = writer_of(values, values_room(f->url_len));
    fill_values(f, v, &w);
    if (w.bad)
        return false;
    f->values_len = (uint16_t)(w.p - (uint8_t *)values);
    memcpy(f->url + f->url_len, values, f->values_len);
    cache_variant_begin(f->prefix, f->url_len, v->nonce);
    f->vary = *v;
    f->varies = v->names > 0;
    struct http_text key = fill_key(f);
    f->hash = cache_hash(p->cache, key.p, key.len);
    if (f->stale) /* of the other key: here it confirms nothing */
        cache_unpin(f->stale, p->config.worker);
    f->stale = NULL;
    return true;
}

/* Who has the fill's values stays and waits; until it is answered, a request's key is ours. */
static void sort_waiting(struct fill *f)
{
    struct proxy *p = f->proxy;
    struct request *list = f->waiting, **tail = &f->waiting;
    struct http_text ours = fill_key(f);
    f->waiting = NULL;
    while (list) {
        struct request *r = list;
        list = r->o.next;
        struct http_text key = {NULL, 0};
        if (vary_key(r, &f->vary))
            key = request_key(r);
        if (key.len == ours.len && memcmp(key.p, ours.p, ours.len) == 0) {
            r->hash = f->hash;
            r->o.next = NULL;
            *tail = r;
            tail = &r->o.next;
        } else if (key.len) {
            counter_inc(&p->counters.proxy_vary_again_total);
            fill_answer(f, r, PROXY_AGAIN, 0);
        } else {
            fill_answer(f, r, r->peer ? PROXY_FAILED : PROXY_RELEASE, r->peer ? 504 : 0);
        }
    }
}

/* Are these names among those, and what they are names of the same? */
static bool is_within(const struct cache_vary *v, const struct cache_vary *of)
{
    return v->version == of->version && v->total == of->total && cache_vary_within(v, of);
}

/* The names of slices are theirs alone: what does not vary is parts of one representation, and what
 * is whole is not in slices. */
static void join(struct cache_vary *v, const struct cache_vary *others)
{
    if (!v->total && !others->total)
        cache_vary_join(v, others);
}

/* By what the answer is to be found: its own names, those that are known, and those of the fill.
 * True: that is how the fill is keyed already. */
static bool choose_names(struct fill *f, struct cache_vary *v, bool *stands)
{
    struct proxy *p = f->proxy;
    struct cache_vary known;
    *v = f->said;
    if (f->varies)
        join(v, &f->vary);
    *stands = !f->purged && vary_names(p, (struct http_text){f->url, f->url_len}, &known);
    if (*stands && is_within(v, &known)) {
        v->nonce = known.nonce;
        join(v, &known);
    } else {
        if (*stands)
            join(v, &known);
        *stands = false;
        /* the one that stood when the fill began is gone, and may come back */
        bool same = f->varies && is_within(v, &f->vary);
        v->nonce = v->names == 0 ? 0 : same ? f->vary.nonce : rng_u64(&p->rng) | 1;
    }
    return v->nonce == (f->varies ? f->vary.nonce : 0);
}

enum vary_end vary_settle(struct fill *f, struct now now)
{
    struct proxy *p = f->proxy;
    struct cache_vary v;
    bool waited = f->waiting != NULL, stands;
    bool keyed = choose_names(f, &v, &stands);
    if (v.any)
        return VARY_NOT_STORED;
    if (!keyed) {
        if (!rekey(f, &v))
            return VARY_NOT_STORED;
        sort_waiting(f);
    }
    if (!f->varies || f->share_only)
        return waited && !f->waiting ? VARY_NOBODY : VARY_STORED;
    if (!stands && !f->purged && !link_primary(f, now))
        return VARY_NOT_STORED;
    if (waited && !f->waiting)
        return VARY_NOBODY;
    const struct cache_object *primary = lookup(p, (struct http_text){f->url, f->url_len});
    if (!f->purged && primary && !f->vary.total &&
        cache_siblings(p->cache, primary) >= CACHE_VARIANTS && !lookup(p, fill_key(f))) {
        counter_inc(&p->counters.proxy_variants_full_total);
        return VARY_NOT_STORED;
    }
    return VARY_STORED;
}

bool vary_confirms(const struct fill *f)
{
    return !f->said.any && (f->varies ? cache_vary_within(&f->said, &f->vary) : !f->said.names);
}
