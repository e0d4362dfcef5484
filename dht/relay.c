/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A question that we put for another. A does not reach T, which we named to it; we reach both:
 *
 *   A --RELAY: key, GET or WALK, T's ID--> we --that, as ours--> T
 *   A <--RELAY: what came of it----------- we <--its answer----- T
 *
 * It goes to the address that our own table has for T, one datagram that is no longer than A's was,
 * so that nobody is reached through us but those whom we know; and the answer to where A has shown
 * that it receives. All that is kept is the slot of the question.
 */
#include "base/gcra.h"
#include "dht/asker.h"
#include "dht/closer.h"
#include "dht/direct.h"
#include "dht/mac.h"
#include "dht/serve.h"

#define RELAYS         32u /* in flight, of one asker each */
#define RELAY_EACH_US  20000u
#define RELAY_BURST_US 640000u

static bool relay_has_place(const struct dht_asker *a, const struct dht_id *asker)
{
    unsigned n = 0;
    for (const struct slot *s = a->relays; s; s = s->next, n++)
        if (id_eq(&s->relay.asker.id, asker))
            return false;
    return n < RELAYS;
}

void relay_unlink(struct slot *s)
{
    struct slot **at = &s->asker->relays;
    while (*at != s)
        at = &(*at)->next;
    *at = s->next;
    s->relay.is = false;
}

static void relay_reply(struct dht_asker *a, const struct slot_relay *to, enum rpc_outcome outcome,
                        struct rpc *reply, struct now now)
{
    reply->type = RPC_RELAY;
    reply->flags = RPC_REPLY | (reply->flags & RPC_MOVED);
    reply->key_id = a->mac ? dht_mac_key_id(a->mac) : 0;
    reply->wanted = 0;
    reply->tid = to->tid;
    reply->cookie = cookie_make(&a->arena->cookies, &to->asker.rpc, &to->asker.id, now);
    reply->from = dht_routes_sender(a->routes);
    reply->padded = 0;
    reply->outcome = (uint8_t)outcome;
    reply->has_coordinate = reply->has_usage = false;
    reply->news = reply->usages = 0;
    asker_emit(a, &to->asker.rpc, reply);
    counter_inc(&a->arena->counters.dht_replies_total);
}

static void relay_fail(struct dht_asker *a, const struct slot_relay *to, enum rpc_outcome outcome,
                       struct now now)
{
    struct rpc reply;
    memset(&reply, 0, offsetof(struct rpc, value));
    relay_reply(a, to, outcome, &reply, now);
}

/* What the target would have left out, had it been asked by who wants to know: itself. */
static void relay_leave_out(struct rpc *reply, const struct dht_id *asker)
{
    unsigned values = 0, contacts = 0;
    for (unsigned i = 0; i < reply->values; i++)
        if (!id_eq(&reply->value[i].node, asker))
            reply->value[values++] = reply->value[i];
    for (unsigned i = 0; i < reply->contacts; i++)
        if (!id_eq(&reply->contact[i].id, asker))
            reply->contact[contacts++] = reply->contact[i];
    reply->values = (uint8_t)values;
    reply->contacts = (uint8_t)contacts;
}

void relay_answered(struct dht_asker *a, const struct slot_relay *to, const struct rpc *answer,
                    struct now now)
{
    if (answer && (answer->type == RPC_GET || answer->type == RPC_WALK)) {
        struct rpc reply = *answer;
        relay_leave_out(&reply, &to->asker.id);
        relay_reply(a, to, RPC_ANSWERED, &reply, now);
    } else {
        bool none = answer && answer->type == RPC_NOT_MEMBER;
        relay_fail(a, to, none ? RPC_NO_MEMBER_THERE : RPC_SILENT, now);
    }
}

void dht_relay(struct dht_asker *a, const struct rpc *ask, struct now now)
{
    const struct dht_contact *from = &ask->from.contact;
    struct slot_relay to = {true, {from->id, from->rpc}, ask->tid};
    if (!a->routes)
        return;
    uint32_t r = routes_find(a->routes, &ask->target);
    bool known = r < a->routes->n && a->routes->route[r].alive && !id_eq(&ask->target, &from->id);
    bool shared = ask->wanted & serve_shared_levels(a->routes, ask);
    struct slot *s = NULL;
    if (known && shared && relay_has_place(a, &from->id) &&
        gcra_pass(&a->relay_leak_us, (uint32_t)now.mono_us, RELAY_EACH_US, RELAY_BURST_US))
        s = asker_spare_slot(a);
    if (!s) {
        counter_inc(&a->arena->counters.dht_relays_refused_total);
        relay_fail(a, &to, RPC_NOT_PUT, now);
        return;
    }
    s->type = ask->relayed;
    s->id = ask->target;
    s->rpc = dht_route_contact(a->routes, r)->rpc;
    s->has_cookied = false;
    s->proven = a->arena->config.mitigate.bound;
    s->lookup = LOOKUP_NONE;
    s->relay = to;
    s->next = a->relays;
    a->relays = s;
    counter_inc(&a->arena->counters.dht_relays_total);
    asker_send_for(a, s, ask, now);
}
