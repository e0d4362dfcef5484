/* SPDX-License-Identifier: BSD-3-Clause */
#include "dht/rpc.h"

#include "base/cursor.h"

static_assert(RPC_MAX <= DHT_REPLY_MAX && RPC_MAX <= RPC_MOST, "dht.h and the wire say so");

enum body {
    BODY_BAD,
    BODY_NONE,
    BODY_KEYED,
    BODY_STORE,
    BODY_REPORT,
    BODY_VIA,
    BODY_ANSWER,
    BODY_RELAY,
    BODY_RELAYED
};

/* By type: of a request, of a reply. */
static const uint8_t body[16][2] = {
    [RPC_PING] = {BODY_NONE, BODY_NONE},      [RPC_GET] = {BODY_KEYED, BODY_ANSWER},
    [RPC_WALK] = {BODY_KEYED, BODY_ANSWER},   [RPC_STORE] = {BODY_STORE, BODY_ANSWER},
    [RPC_REMOVE] = {BODY_KEYED, BODY_ANSWER}, [RPC_FIND] = {BODY_KEYED, BODY_ANSWER},
    [RPC_VIA] = {BODY_VIA, BODY_NONE},        [RPC_COOKIE] = {BODY_BAD, BODY_NONE},
    [RPC_NOT_MEMBER] = {BODY_BAD, BODY_NONE}, [RPC_REPORT] = {BODY_REPORT, BODY_ANSWER},
    [RPC_RELAY] = {BODY_RELAY, BODY_RELAYED},
};

static enum body body_of(uint8_t type, bool reply)
{
    return type < 16 ? body[type][reply] : BODY_BAD;
}

bool rpc_is_keyed(uint8_t type)
{
    enum body b = body_of(type, false);
    return b == BODY_KEYED || b == BODY_STORE || b == BODY_REPORT;
}

/* the least length of a body */
static size_t body_least(enum body b)
{
    switch (b) {
    case BODY_KEYED:
        return RPC_KEYED;
    case BODY_STORE:
        return RPC_KEYED + 18;
    case BODY_REPORT:
        return RPC_KEYED + DHT_ID_BYTES;
    case BODY_VIA:
        return RPC_CONTACT;
    case BODY_ANSWER:
        return RPC_ANSWER;
    case BODY_RELAY:
        return RPC_KEYED + 4 + DHT_ID_BYTES;
    case BODY_RELAYED:
        return 4 + RPC_ANSWER;
    default:
        return 0;
    }
}

/* --- fields, where there is known to be room -------------------------------------------------- */

static uint16_t get_u16(const uint8_t *p)
{
    uint16_t v;
    memcpy(&v, p, sizeof(v));
    return be16toh(v);
}

static uint32_t get_u32(const uint8_t *p)
{
    uint32_t v;
    memcpy(&v, p, sizeof(v));
    return be32toh(v);
}

static uint64_t get_u64(const uint8_t *p)
{
    uint64_t v;
    memcpy(&v, p, sizeof(v));
    return be64toh(v);
}

static void put_u16(uint8_t *p, uint16_t v)
{
    v = htobe16(v);
    memcpy(p, &v, sizeof(v));
}

static void put_u32(uint8_t *p, uint32_t v)
{
    v = htobe32(v);
    memcpy(p, &v, sizeof(v));
}

static void put_u64(uint8_t *p, uint64_t v)
{
    v = htobe64(v);
    memcpy(p, &v, sizeof(v));
}

static struct endpoint get_endpoint(const uint8_t *p)
{
    struct endpoint e;
    memcpy(e.ip.b, p, 16);
    e.port = get_u16(p + 16);
    return e;
}

static void put_endpoint(uint8_t *p, const struct endpoint *e)
{
    memcpy(p, e->ip.b, 16);
    put_u16(p + 16, e->port);
}

static struct dht_descriptor get_descriptor(const uint8_t *p)
{
    uint32_t rest = get_u32(p + 8);
    return (struct dht_descriptor){.cid = get_u64(p),
                                   .size = (uint8_t)(rest >> 24),
                                   .age_s = (rest & DHT_AGE_MAX_UNITS) * DHT_AGE_UNIT_S};
}

static void put_descriptor(uint8_t *p, const struct dht_descriptor *d)
{
    uint32_t age = d->age_s / DHT_AGE_UNIT_S;
    put_u64(p, d->cid);
    put_u32(p + 8, (uint32_t)d->size << 24 | (age < DHT_AGE_MAX_UNITS ? age : DHT_AGE_MAX_UNITS));
}

static struct rpc_contact get_contact(const uint8_t *p)
{
    struct rpc_contact c;
    memcpy(c.id.b, p, DHT_ID_BYTES);
    c.rpc = get_endpoint(p + DHT_ID_BYTES);
    return c;
}

static void put_contact(uint8_t *p, const struct rpc_contact *c)
{
    memcpy(p, c->id.b, DHT_ID_BYTES);
    put_endpoint(p + DHT_ID_BYTES, &c->rpc);
}

static void get_value(const uint8_t *p, struct dht_value *v)
{
    memcpy(v->node.b, p, DHT_ID_BYTES);
    v->http = get_endpoint(p + 20);
    v->ttl_ms = get_u32(p + 38);
    v->age_ms = get_u32(p + 42);
}

static uint8_t *put_value(uint8_t *p, const struct dht_value *v)
{
    memcpy(p, v->node.b, DHT_ID_BYTES);
    memcpy(p + DHT_ID_BYTES, v->http.ip.b, sizeof(v->http.ip.b));
    rpc_write_value_rest(p, v->http.port, v->ttl_ms, v->age_ms);
    return p + RPC_VALUE;
}

/* --- reading ---------------------------------------------------------------------------------- */

/* 24 bits that must be zero. */
static bool read_zeros(const uint8_t *p)
{
    return (p[0] | p[1] | p[2]) == 0;
}

/* The part that all types have, at the offsets that rpc.h draws. False: a field that must be zero
 * is not. */
static bool read_head(const uint8_t *p, struct rpc *out)
{
    struct dht_sender *from = &out->from;
    out->wanted = p[2] >> 5;
    out->served = p[2] >> 2 & 7;
    out->key_id = p[3];
    out->tid = get_u64(p + 4);
    memcpy(from->contact.id.b, p + 12, DHT_ID_BYTES);
    out->cookie = get_u64(p + 32);
    for (unsigned l = 1; l < DHT_LEVELS; l++)
        from->level[l].cid = get_u64(p + 28 + 12 * l);
    from->leaving = out->flags & RPC_LEAVING;
    return (p[2] & 3) == 0 && read_zeros(p + 93) && out->served < DHT_LEVELS;
}

void rpc_read_sender(const void *data, struct rpc *out)
{
    const uint8_t *p = data;
    struct dht_sender *from = &out->from;
    from->level[0] = (struct dht_descriptor){0};
    for (unsigned l = 1; l < DHT_LEVELS; l++)
        from->level[l] = get_descriptor(p + 28 + 12 * l);
    from->incarnation = get_u32(p + 64);
    from->sequence = get_u16(p + 68);
    from->contact.http_port = get_u16(p + 70);
    uint32_t v4 = get_u32(p + 72);
    from->contact.v4 = v4 ? addr_v4(v4) : (struct addr){{0}};
    memcpy(from->contact.v6.b, p + 76, 16);
    from->contact.services = p[92];
}

/* Its first 8 bytes are there. */
static bool read_answer(struct reader *r, struct rpc *out)
{
    const uint8_t *p = read_bytes(r, RPC_ANSWER);
    out->values = p[0];
    out->contacts = p[1];
    out->held = p[2];
    out->values_level = p[3] >> 4;
    out->contacts_level = p[3] & 15;
    out->least_ms = get_u32(p + 4);
    if (out->values > DHT_VALUES || out->contacts > RPC_CONTACTS ||
        out->values_level >= DHT_LEVELS || out->contacts_level >= DHT_LEVELS)
        return false;
    p = read_bytes(r, (size_t)out->values * RPC_VALUE + (size_t)out->contacts * RPC_CONTACT);
    if (!p)
        return false;
    bool ports = true;
    for (unsigned i = 0; i < out->values; i++, p += RPC_VALUE) {
        get_value(p, &out->value[i]);
        ports &= out->value[i].http.port != 0;
    }
    for (unsigned i = 0; i < out->contacts; i++, p += RPC_CONTACT) {
        out->contact[i] = get_contact(p);
        ports &= out->contact[i].rpc.port != 0;
    }
    return ports;
}

static bool read_news(const uint8_t *p, size_t len, struct rpc *out)
{
    if (len % RPC_NEWS_ITEM != 0 || len / RPC_NEWS_ITEM > DHT_NEWS)
        return false;
    out->news = (uint8_t)(len / RPC_NEWS_ITEM);
    for (unsigned i = 0; i < out->news; i++, p += RPC_NEWS_ITEM) {
        struct dht_news *n = &out->news_item[i];
        memcpy(n->id.b, p, DHT_ID_BYTES);
        n->incarnation = get_u32(p + 20);
        n->state = p[24];
    }
    return true;
}

static bool read_usage(const uint8_t *p, size_t len, struct rpc *out)
{
    if (len % RPC_USAGE_ITEM != 0 || len / RPC_USAGE_ITEM > DHT_USAGE)
        return false;
    out->has_usage = true;
    out->usages = (uint8_t)(len / RPC_USAGE_ITEM);
    for (unsigned i = 0; i < out->usages; i++, p += RPC_USAGE_ITEM)
        out->usage[i] = (struct dht_usage){get_u64(p), get_u32(p + 8), get_u32(p + 12)};
    return true;
}

static bool read_options(struct reader *r, struct rpc *out)
{
    while (reader_left(r) > 0) {
        uint8_t type = read_u8(r);
        size_t len = read_u8(r);
        const uint8_t *p = read_bytes(r, len);
        if (!p || r->bad)
            return false;
        if (type == RPC_OPTION_COORDINATE && len == RPC_COORDINATE) {
            out->has_coordinate = true;
            memcpy(out->coordinate, p, RPC_COORDINATE);
        } else if (type == RPC_OPTION_NEWS && !read_news(p, len, out)) {
            return false;
        } else if (type == RPC_OPTION_USAGE && !read_usage(p, len, out)) {
            return false;
        }
    }
    return true;
}

/* What follows the head; its least length is there. */
static bool read_body(struct reader *r, enum body b, struct rpc *out)
{
    const uint8_t *p;
    switch (b) {
    case BODY_STORE:
    case BODY_REPORT:
    case BODY_KEYED:
        p = read_bytes(r, body_least(b));
        memcpy(out->key.b, p, DHT_ID_BYTES);
        out->ttl_ms = get_u32(p + DHT_ID_BYTES);
        if (b == BODY_STORE)
            out->http = get_endpoint(p + RPC_KEYED);
        if (b == BODY_REPORT)
            memcpy(out->dead.b, p + RPC_KEYED, DHT_ID_BYTES);
        return true;
    case BODY_VIA:
        out->via = get_contact(read_bytes(r, RPC_CONTACT));
        return out->via.rpc.port != 0;
    case BODY_ANSWER:
        return read_answer(r, out);
    case BODY_RELAY:
        p = read_bytes(r, body_least(b));
        memcpy(out->key.b, p, DHT_ID_BYTES);
        out->ttl_ms = get_u32(p + DHT_ID_BYTES);
        out->relayed = p[RPC_KEYED];
        memcpy(out->target.b, p + RPC_KEYED + 4, DHT_ID_BYTES);
        return (out->relayed == RPC_GET || out->relayed == RPC_WALK) &&
               read_zeros(p + RPC_KEYED + 1);
    case BODY_RELAYED:
        p = read_bytes(r, 4);
        out->outcome = p[0];
        return out->outcome < RPC_OUTCOMES && read_zeros(p + 1) && read_answer(r, out);
    default:
        return true;
    }
}

enum rpc_error rpc_read_most(const void *data, size_t len, const struct endpoint *from,
                             struct rpc *out)
{
    if (len < RPC_HEAD + RPC_TAG)
        return RPC_SHORT;
    if (len > RPC_MOST || from->port == 0) /* nobody could be answered there */
        return RPC_MALFORMED;
    struct reader r = reader_of(data, len - RPC_TAG);
    const uint8_t *head = read_bytes(&r, RPC_HEAD);
    if (head[0] >> 4 != RPC_VERSION)
        return RPC_BAD_VERSION;
    out->type = head[0] & 15;
    out->flags = head[1];
    enum body b = body_of(out->type, out->flags & RPC_REPLY);
    if (b == BODY_BAD)
        return RPC_BAD_TYPE;
    if (!read_head(head, out))
        return RPC_MALFORMED;
    if (reader_left(&r) < body_least(b))
        return RPC_SHORT;

    out->from.contact.rpc = *from;
    out->padded = (uint16_t)len;
    out->values = out->contacts = out->held = out->news = out->usages = 0;
    out->values_level = out->contacts_level = 0;
    out->least_ms = 0;
    out->has_coordinate = out->has_usage = false;
    return read_body(&r, b, out) && read_options(&r, out) ? RPC_OK : RPC_MALFORMED;
}

enum rpc_error rpc_read(const void *data, size_t len, const struct endpoint *from, struct rpc *out)
{
    enum rpc_error error = rpc_read_most(data, len, from, out);
    if (error == RPC_OK)
        rpc_read_sender(data, out);
    return error;
}

/* --- writing ---------------------------------------------------------------------------------- */

void rpc_head(const struct dht_sender *from, uint8_t head[RPC_HEAD])
{
    const struct dht_contact *c = &from->contact;
    memset(head, 0, RPC_HEAD);
    head[1] = from->leaving ? RPC_LEAVING : 0;
    memcpy(head + 12, c->id.b, DHT_ID_BYTES);
    for (unsigned l = 1; l < DHT_LEVELS; l++)
        put_descriptor(head + 28 + 12 * l, &from->level[l]);
    put_u32(head + 64, from->incarnation);
    put_u16(head + 68, from->sequence);
    put_u16(head + 70, c->http_port);
    put_u32(head + 72, addr_is_v4(&c->v4) ? addr_get_v4(&c->v4) : 0);
    memcpy(head + 76, c->v6.b, 16);
    head[92] = c->services;
}

static uint8_t *write_counts(uint8_t *p, const struct rpc *r)
{
    assert(r->values <= DHT_VALUES && r->contacts <= RPC_CONTACTS);
    p[0] = r->values;
    p[1] = r->contacts;
    p[2] = r->held;
    p[3] = (uint8_t)(r->values_level << 4 | r->contacts_level);
    put_u32(p + 4, r->least_ms);
    return p + RPC_ANSWER;
}

static uint8_t *write_answer(uint8_t *p, const struct rpc *r)
{
    p = write_counts(p, r);
    for (unsigned i = 0; i < r->values; i++)
        p = put_value(p, &r->value[i]);
    for (unsigned i = 0; i < r->contacts; i++, p += RPC_CONTACT)
        put_contact(p, &r->contact[i]);
    return p;
}

static uint8_t *write_body(uint8_t *p, enum body b, const struct rpc *r)
{
    switch (b) {
    case BODY_STORE:
    case BODY_REPORT:
    case BODY_KEYED:
        memcpy(p, r->key.b, DHT_ID_BYTES);
        put_u32(p + DHT_ID_BYTES, r->ttl_ms);
        if (b == BODY_STORE)
            put_endpoint(p + RPC_KEYED, &r->http);
        if (b == BODY_REPORT)
            memcpy(p + RPC_KEYED, r->dead.b, DHT_ID_BYTES);
        return p + body_least(b);
    case BODY_VIA:
        put_contact(p, &r->via);
        return p + RPC_CONTACT;
    case BODY_ANSWER:
        return write_answer(p, r);
    case BODY_RELAY:
        memcpy(p, r->key.b, DHT_ID_BYTES);
        put_u32(p + DHT_ID_BYTES, r->ttl_ms);
        memset(p + RPC_KEYED, 0, 4);
        p[RPC_KEYED] = r->relayed;
        memcpy(p + RPC_KEYED + 4, r->target.b, DHT_ID_BYTES);
        return p + body_least(b);
    case BODY_RELAYED:
        memset(p, 0, 4);
        p[0] = r->outcome;
        return write_answer(p + 4, r);
    default:
        return p;
    }
}

static uint8_t *write_options(uint8_t *p, const struct rpc *r)
{
    if (r->has_coordinate) {
        *p++ = RPC_OPTION_COORDINATE;
        *p++ = RPC_COORDINATE;
        memcpy(p, r->coordinate, RPC_COORDINATE);
        p += RPC_COORDINATE;
    }
    if (r->news) {
        assert(r->news <= DHT_NEWS);
        *p++ = RPC_OPTION_NEWS;
        *p++ = (uint8_t)(r->news * RPC_NEWS_ITEM);
        for (unsigned i = 0; i < r->news; i++, p += RPC_NEWS_ITEM) {
            memcpy(p, r->news_item[i].id.b, DHT_ID_BYTES);
            put_u32(p + 20, r->news_item[i].incarnation);
            p[24] = r->news_item[i].state;
        }
    }
    if (r->has_usage) {
        assert(r->usages <= DHT_USAGE);
        *p++ = RPC_OPTION_USAGE;
        *p++ = (uint8_t)(r->usages * RPC_USAGE_ITEM);
        for (unsigned i = 0; i < r->usages; i++, p += RPC_USAGE_ITEM) {
            put_u64(p, r->usage[i].site);
            put_u32(p + 8, r->usage[i].kib);
            put_u32(p + 12, r->usage[i].requests);
        }
    }
    return p;
}

/* `more` is 0 or at least 2 */
static uint8_t *write_padding(uint8_t *p, size_t more)
{
    while (more > 0) {
        size_t len = more - 2 > 255 ? 255 : more - 2;
        if (more - 2 - len == 1) /* a lone byte is no option */
            len--;
        memset(p, 0, 2 + len);
        p[1] = (uint8_t)len;
        p += 2 + len;
        more -= 2 + len;
    }
    return p;
}

static size_t length_bare(const struct rpc *r)
{
    enum body b = body_of(r->type, r->flags & RPC_REPLY);
    size_t len = RPC_HEAD + body_least(b) + RPC_TAG;
    if (b == BODY_ANSWER || b == BODY_RELAYED)
        len += (size_t)r->values * RPC_VALUE + (size_t)r->contacts * RPC_CONTACT;
    if (r->has_coordinate)
        len += 2 + RPC_COORDINATE;
    if (r->news)
        len += 2 + (size_t)r->news * RPC_NEWS_ITEM;
    if (r->has_usage)
        len += 2 + (size_t)r->usages * RPC_USAGE_ITEM;
    return len;
}

static size_t length_padded(const struct rpc *r, size_t bare)
{
    return r->flags & RPC_REPLY || r->padded < bare + 2 ? bare : r->padded;
}

size_t rpc_length(const struct rpc *r)
{
    return length_padded(r, length_bare(r));
}

static uint8_t *write_head(uint8_t *p, const uint8_t head[RPC_HEAD], const struct rpc *r)
{
    memcpy(p, head, RPC_HEAD);
    p[0] = (uint8_t)(RPC_VERSION << 4 | r->type);
    p[1] |= r->flags;
    p[2] = (uint8_t)(r->wanted << 5 | r->served << 2);
    p[3] = r->key_id;
    put_u64(p + 4, r->tid);
    put_u64(p + 32, r->cookie);
    return p + RPC_HEAD;
}

void rpc_write_before_values(const uint8_t head[RPC_HEAD], const struct rpc *r, void *data)
{
    write_counts(write_head(data, head, r), r);
}

size_t rpc_write_as(const uint8_t head[RPC_HEAD], const struct rpc *r, void *data, size_t room)
{
    size_t bare = length_bare(r), len = length_padded(r, bare);
    enum body b = body_of(r->type, r->flags & RPC_REPLY);
    assert(b != BODY_BAD);
    if (len > room)
        return 0;
    uint8_t *end = write_body(write_head(data, head, r), b, r);
    end = write_padding(write_options(end, r), len - bare);
    assert(end + RPC_TAG == (uint8_t *)data + len);
    return len;
}

size_t rpc_write(const struct rpc *r, void *data, size_t room)
{
    uint8_t head[RPC_HEAD];
    rpc_head(&r->from, head);
    return rpc_write_as(head, r, data, room);
}

void rpc_count_error(struct dht_counters *counters, enum rpc_error error)
{
    switch (error) {
    case RPC_OK:
        break;
    case RPC_SHORT:
        counter_inc(&counters->dht_drop_short_total);
        break;
    case RPC_BAD_VERSION:
        counter_inc(&counters->dht_drop_version_total);
        break;
    case RPC_BAD_TYPE:
        counter_inc(&counters->dht_drop_type_total);
        break;
    case RPC_MALFORMED:
        counter_inc(&counters->dht_drop_malformed_total);
        break;
    }
}

void rpc_tidings(const struct rpc *r, uint32_t rtt_us, struct dht_tidings *out)
{
    out->rtt_us = rtt_us;
    out->ping = r->type == RPC_PING;
    out->has_coordinate = r->has_coordinate;
    if (r->has_coordinate)
        memcpy(out->coordinate, r->coordinate, sizeof(out->coordinate));
    out->n_news = r->news;
    memcpy(out->news, r->news_item, r->news * sizeof(out->news[0]));
    out->has_usage = r->has_usage;
    out->n_usage = r->usages;
    memcpy(out->usage, r->usage, r->usages * sizeof(out->usage[0]));
    out->asks_via = r->type == RPC_VIA && !(r->flags & RPC_REPLY);
    if (out->asks_via) {
        out->via = r->via.id;
        out->via_rpc = r->via.rpc;
    }
    out->asks_check = false;
    out->relay = NULL;
}

bool dht_peek(const void *data, size_t len, struct dht_peek *out)
{
    const uint8_t *p = data;
    if (len < RPC_HEAD + RPC_TAG || p[0] >> 4 != RPC_VERSION)
        return false;
    out->reply = p[1] & RPC_REPLY;
    out->asker = p[4] >> 2;
    out->owned = false;
    out->shard = 0;
    uint8_t type = p[0] & 15;
    if (!out->reply && rpc_is_keyed(type)) {
        if (len < RPC_HEAD + RPC_KEYED + RPC_TAG)
            return false;
        out->owned = type != RPC_GET && type != RPC_FIND;
        /* the last byte: the first ones are alike in all keys that this node is close to */
        out->shard = p[RPC_HEAD + DHT_ID_BYTES - 1] % DHT_SHARDS;
    }
    return true;
}
