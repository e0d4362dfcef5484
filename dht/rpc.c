/* SPDX-License-Identifier: BSD-3-Clause */
#include "dht/rpc.h"

#include <assert.h>

#include "base/cursor.h"

static_assert(RPC_MAX == 466, "the header's comment says so");

enum body { BODY_NONE, BODY_KEYED, BODY_STORE, BODY_ANSWER, BODY_BAD };

static enum body body_of(uint8_t type, bool reply)
{
    switch (type) {
    case RPC_PING:
        return BODY_NONE;
    case RPC_COOKIE:
        return reply ? BODY_NONE : BODY_BAD;
    case RPC_STORE:
        return reply ? BODY_ANSWER : BODY_STORE;
    case RPC_GET:
    case RPC_WALK:
    case RPC_REMOVE:
    case RPC_FIND:
        return reply ? BODY_ANSWER : BODY_KEYED;
    default:
        return BODY_BAD;
    }
}

/* the least length of a body */
static size_t body_least(enum body b)
{
    return b == BODY_KEYED    ? RPC_KEYED
           : b == BODY_STORE  ? RPC_KEYED + 18
           : b == BODY_ANSWER ? 8
                              : 0;
}

static void read_copy(struct reader *r, void *out, size_t n)
{
    const uint8_t *at = read_bytes(r, n);
    if (at)
        memcpy(out, at, n);
}

static void read_endpoint(struct reader *r, struct endpoint *e)
{
    read_copy(r, e->ip.b, 16);
    e->port = read_u16(r);
}

static void write_endpoint(struct writer *w, const struct endpoint *e)
{
    write_bytes(w, e->ip.b, 16);
    write_u16(w, e->port);
}

/* The part that all types have. False: a field that must be zero is not, or nobody can be asked
 * at this address. */
static bool read_head(struct reader *r, struct rpc *out)
{
    uint8_t levels = read_u8(r);
    out->wanted = levels >> 5;
    out->served = levels >> 2 & 7;
    out->key_id = read_u8(r);
    out->tid = read_u64(r);
    read_copy(r, out->from.id.b, DHT_ID_BYTES);
    out->cookie = read_u64(r);
    read_bytes(r, 24); /* descriptors of levels that are not served here */
    read_endpoint(r, &out->from.rpc);
    out->from.http_port = read_u16(r);
    out->from.services = read_u8(r);
    uint8_t zero = read_u8(r);
    uint32_t v4 = read_u32(r);
    out->from.v4 = v4 ? addr_v4(v4) : (struct addr){{0}};
    read_copy(r, out->from.v6.b, 16);
    return (levels & 3) == 0 && zero == 0 && out->from.rpc.port != 0;
}

static bool read_answer(struct reader *r, struct rpc *out)
{
    out->values = read_u8(r);
    out->contacts = read_u8(r);
    out->held = read_u8(r);
    uint8_t zero = read_u8(r);
    out->least_ms = read_u32(r);
    if (out->values > DHT_VALUES || out->contacts > RPC_CONTACTS || zero != 0)
        return false;
    if (reader_left(r) != (size_t)out->values * RPC_VALUE + (size_t)out->contacts * RPC_CONTACT)
        return false;
    for (unsigned i = 0; i < out->values; i++) {
        struct dht_value *v = &out->value[i];
        read_copy(r, v->node.b, DHT_ID_BYTES);
        read_endpoint(r, &v->http);
        v->ttl_ms = read_u32(r);
        v->age_ms = read_u32(r);
        if (v->http.port == 0)
            return false;
    }
    for (unsigned i = 0; i < out->contacts; i++) {
        read_copy(r, out->contact[i].id.b, DHT_ID_BYTES);
        read_endpoint(r, &out->contact[i].rpc);
        if (out->contact[i].rpc.port == 0)
            return false;
    }
    return !r->bad;
}

enum rpc_error rpc_read(const void *data, size_t len, struct rpc *out)
{
    if (len < RPC_HEAD + RPC_TAG)
        return RPC_SHORT;
    struct reader r = reader_of(data, len - RPC_TAG);
    uint8_t first = read_u8(&r);
    if (first >> 4 != RPC_VERSION)
        return RPC_BAD_VERSION;
    out->type = first & 15;
    out->flags = read_u8(&r);
    enum body body = body_of(out->type, out->flags & RPC_REPLY);
    if (body == BODY_BAD)
        return RPC_BAD_TYPE;
    if (!read_head(&r, out))
        return RPC_MALFORMED;
    if (reader_left(&r) < body_least(body))
        return RPC_SHORT;

    out->values = out->contacts = out->held = 0;
    out->least_ms = 0;
    if (body == BODY_KEYED || body == BODY_STORE) {
        read_copy(&r, out->key.b, DHT_ID_BYTES);
        out->ttl_ms = read_u32(&r);
    }
    if (body == BODY_STORE)
        read_endpoint(&r, &out->http);
    if (body == BODY_ANSWER && !read_answer(&r, out))
        return RPC_MALFORMED;
    return reader_left(&r) == 0 && !r.bad ? RPC_OK : RPC_MALFORMED;
}

static void write_head(struct writer *w, const struct rpc *r)
{
    static const uint8_t no_clusters[24];
    write_u8(w, (uint8_t)(RPC_VERSION << 4 | r->type));
    write_u8(w, r->flags);
    write_u8(w, (uint8_t)(r->wanted << 5 | r->served << 2));
    write_u8(w, r->key_id);
    write_u64(w, r->tid);
    write_bytes(w, r->from.id.b, DHT_ID_BYTES);
    write_u64(w, r->cookie);
    write_bytes(w, no_clusters, sizeof(no_clusters));
    write_endpoint(w, &r->from.rpc);
    write_u16(w, r->from.http_port);
    write_u8(w, r->from.services);
    write_u8(w, 0);
    write_u32(w, addr_is_v4(&r->from.v4) ? addr_get_v4(&r->from.v4) : 0);
    write_bytes(w, r->from.v6.b, 16);
}

static void write_answer(struct writer *w, const struct rpc *r)
{
    assert(r->values <= DHT_VALUES && r->contacts <= RPC_CONTACTS);
    write_u8(w, r->values);
    write_u8(w, r->contacts);
    write_u8(w, r->held);
    write_u8(w, 0);
    write_u32(w, r->least_ms);
    for (unsigned i = 0; i < r->values; i++) {
        write_bytes(w, r->value[i].node.b, DHT_ID_BYTES);
        write_endpoint(w, &r->value[i].http);
        write_u32(w, r->value[i].ttl_ms);
        write_u32(w, r->value[i].age_ms);
    }
    for (unsigned i = 0; i < r->contacts; i++) {
        write_bytes(w, r->contact[i].id.b, DHT_ID_BYTES);
        write_endpoint(w, &r->contact[i].rpc);
    }
}

size_t rpc_write(const struct rpc *r, void *data, size_t room)
{
    struct writer w = writer_of(data, room);
    enum body body = body_of(r->type, r->flags & RPC_REPLY);
    assert(body != BODY_BAD);
    write_head(&w, r);
    if (body == BODY_KEYED || body == BODY_STORE) {
        write_bytes(&w, r->key.b, DHT_ID_BYTES);
        write_u32(&w, r->ttl_ms);
    }
    if (body == BODY_STORE)
        write_endpoint(&w, &r->http);
    if (body == BODY_ANSWER)
        write_answer(&w, r);
    write_space(&w, RPC_TAG);
    return w.bad ? 0 : (size_t)(w.p - (uint8_t *)data);
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

bool dht_peek(const void *data, size_t len, struct dht_peek *out)
{
    const uint8_t *p = data;
    if (len < RPC_HEAD + RPC_TAG || p[0] >> 4 != RPC_VERSION)
        return false;
    out->reply = p[1] & RPC_REPLY;
    out->asker = p[4] >> 2;
    out->keyed = false;
    out->shard = 0;
    enum body body = body_of(p[0] & 15, out->reply);
    if (body == BODY_KEYED || body == BODY_STORE) {
        if (len < RPC_HEAD + RPC_KEYED + RPC_TAG)
            return false;
        out->keyed = true;
        /* the last byte: the first ones are alike in all keys that this node is close to */
        out->shard = p[RPC_HEAD + DHT_ID_BYTES - 1] & 63;
    }
    return true;
}
