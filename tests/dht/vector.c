/* SPDX-License-Identifier: BSD-3-Clause */
#include "vector.h"

#include <stdarg.h>
#include <stdio.h>

static const char *const type_name[] = {
    [RPC_PING] = "PING",     [RPC_GET] = "GET",       [RPC_WALK] = "WALK",
    [RPC_STORE] = "STORE",   [RPC_REMOVE] = "REMOVE", [RPC_FIND] = "FIND",
    [RPC_VIA] = "VIA",       [RPC_COOKIE] = "COOKIE", [RPC_NOT_MEMBER] = "NOT_MEMBER",
    [RPC_REPORT] = "REPORT", [RPC_RELAY] = "RELAY"};
static const char *const outcome_name[] = {"ANSWERED", "SILENT", "NOT_PUT", "NO_MEMBER_THERE"};
static const char *const flag_name[] = {"REPLY",   "FULL",  "LOADED", "STORED",
                                        "REFUSED", "GUEST", "MOVED",  "LEAVING"};
static const char *const news_name[] = {"ALIVE",   "SUSPECT", "DEAD",
                                        "LEAVING", "REACHED", "NOT_REACHED"};

struct text {
    char *out;
    size_t room, len;
};

__attribute__((format(printf, 2, 3))) static void add(struct text *t, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    int n = vsnprintf(t->out + t->len, t->room - t->len, format, args);
    va_end(args);
    t->len += n < 0 ? 0 : (size_t)n;
    if (t->len >= t->room)
        t->len = t->room - 1;
}

static void add_hex(struct text *t, const char *name, const uint8_t *data, size_t n)
{
    add(t, "%s ", name);
    for (size_t i = 0; i < n; i++)
        add(t, "%02x", data[i]);
    add(t, "\n");
}

/* ID, address, port */
static void add_place(struct text *t, const char *name, const struct dht_id *id,
                      const struct endpoint *e)
{
    char hex[2 * DHT_ID_BYTES + 1], ip[ADDR_TEXT];
    add(t, "%s %s %s %u", name, dht_id_text(id, hex), addr_text(&e->ip, ip), e->port);
}

static void add_address(struct text *t, const char *name, const struct addr *a)
{
    char ip[ADDR_TEXT];
    add(t, "%s %s\n", name, addr_is_zero(a) ? "none" : addr_text(a, ip));
}

static void add_head(struct text *t, const struct rpc *r)
{
    const struct dht_sender *from = &r->from;
    add(t, "type %s\nflags", type_name[r->type]);
    for (unsigned i = 0; i < 8; i++)
        if (r->flags >> i & 1)
            add(t, " %s", flag_name[i]);
    add(t, "%s\nwanted", r->flags ? "" : " none");
    for (unsigned l = DHT_LEVELS; l-- > 0;)
        if (r->wanted >> l & 1)
            add(t, " %u", l);
    add(t, "%s\nserved %u\nkey-id %u\n", r->wanted ? "" : " none", r->served, r->key_id);
    add(t, "tid %016llx\n", (unsigned long long)r->tid);
    add_hex(t, "sender", from->contact.id.b, DHT_ID_BYTES);
    add(t, "cookie %016llx\n", (unsigned long long)r->cookie);
    for (unsigned l = 1; l < DHT_LEVELS; l++)
        add(t, "level-%u %016llx size %u age-s %u\n", l, (unsigned long long)from->level[l].cid,
            from->level[l].size, from->level[l].age_s);
    add(t, "incarnation %u\nsequence %u\nhttp-port %u\n", from->incarnation, from->sequence,
        from->contact.http_port);
    add_address(t, "v4", &from->contact.v4);
    add_address(t, "v6", &from->contact.v6);
    add(t, "services %u\n", from->contact.services);
}

static void add_answer(struct text *t, const struct rpc *r)
{
    add(t, "held %u\nvalues-level %u\ncontacts-level %u\nleast-ms %u\n", r->held, r->values_level,
        r->contacts_level, r->least_ms);
    for (unsigned i = 0; i < r->values; i++) {
        add_place(t, "value", &r->value[i].node, &r->value[i].http);
        add(t, " ttl-ms %u age-ms %u\n", r->value[i].ttl_ms, r->value[i].age_ms);
    }
    for (unsigned i = 0; i < r->contacts; i++) {
        add_place(t, "contact", &r->contact[i].id, &r->contact[i].rpc);
        add(t, "\n");
    }
}

static void add_body(struct text *t, const struct rpc *r)
{
    bool reply = r->flags & RPC_REPLY;
    bool keyed = rpc_is_keyed(r->type) || r->type == RPC_RELAY;
    if (r->type == RPC_RELAY && reply)
        add(t, "outcome %s\n", outcome_name[r->outcome]);
    if (keyed && reply)
        add_answer(t, r);
    if (keyed && !reply) {
        add_hex(t, "key", r->key.b, DHT_ID_BYTES);
        add(t, "ttl-ms %u\n", r->ttl_ms);
    }
    char ip[ADDR_TEXT];
    if (r->type == RPC_STORE && !reply)
        add(t, "proxy %s %u\n", addr_text(&r->http.ip, ip), r->http.port);
    if (r->type == RPC_REPORT && !reply)
        add_hex(t, "dead", r->dead.b, DHT_ID_BYTES);
    if (r->type == RPC_RELAY && !reply) {
        add(t, "ask %s\n", type_name[r->relayed]);
        add_hex(t, "whom", r->target.b, DHT_ID_BYTES);
    }
    if (r->type == RPC_VIA && !reply) {
        add_place(t, "via", &r->via.id, &r->via.rpc);
        add(t, "\n");
    }
}

size_t vector_fields(const struct rpc *r, char *out, size_t room)
{
    struct text t = {out, room, 0};
    add_head(&t, r);
    add_body(&t, r);
    if (r->has_coordinate)
        add_hex(&t, "coordinate", r->coordinate, RPC_COORDINATE);
    for (unsigned i = 0; i < r->news; i++) {
        const struct dht_news *n = &r->news_item[i];
        char hex[2 * DHT_ID_BYTES + 1];
        add(&t, "news %s incarnation %u %s\n", dht_id_text(&n->id, hex), n->incarnation,
            n->state <= DHT_NEWS_NOT_REACHED ? news_name[n->state] : "?");
    }
    if (r->has_usage && !r->usages)
        add(&t, "usage none\n");
    for (unsigned i = 0; i < r->usages; i++)
        add(&t, "usage %016llx kib %u requests %u\n", (unsigned long long)r->usage[i].site,
            r->usage[i].kib, r->usage[i].requests);
    if (!(r->flags & RPC_REPLY))
        add(&t, "length %u\n", r->padded);
    return t.len;
}
