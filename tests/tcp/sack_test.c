/* SPDX-License-Identifier: BSD-3-Clause */
/* Selective acknowledgement: what is reported (RFC 2018, 2883), and what reports are worth. */
#include <criterion/criterion.h>
#include <string.h>

#include "tests/tcp/world.h"

static bool option_of(const struct tcp_out *o, uint8_t kind, unsigned *at)
{
    for (unsigned i = 0; i < o->option_len;) {
        if (o->option[i] == kind) {
            *at = i;
            return true;
        }
        i += o->option[i] <= 1 ? 1 : o->option[i + 1];
    }
    return false;
}

static uint32_t be32(const uint8_t *p)
{
    return (uint32_t)p[0] << 24 | (uint32_t)p[1] << 16 | (uint32_t)p[2] << 8 | p[3];
}

/* The blocks of a segment, relative to `base`. */
static unsigned blocks_of(const struct tcp_out *o, uint32_t base, struct tcp_range out[4])
{
    unsigned at;
    if (!option_of(o, 5, &at))
        return 0;
    unsigned n = (o->option[at + 1] - 2u) / 8;
    for (unsigned i = 0; i < n; i++)
        out[i] = (struct tcp_range){be32(o->option + at + 2 + 8 * i) - base,
                                    be32(o->option + at + 6 + 8 * i) - base};
    return n;
}

static bool is(struct tcp_range r, uint32_t start, uint32_t end)
{
    return r.start == start && r.end == end;
}

static struct world *open_world(void)
{
    struct world *w = world_new(7, NULL, NULL);
    world_connect(w);
    world_run(w, 100000);
    w->refuse[CLIENT] = true; /* from here on the test is the client */
    return w;
}

static void piece(struct world *w, uint32_t base, uint32_t from, uint32_t to)
{
    static uint8_t bytes[65536];
    const struct tcp_conn *c = world_conn(w, SERVER);
    for (uint32_t i = from; i < to; i++)
        bytes[i] = pattern(w->app[SERVER].peer_salt, i);
    struct tcp_out o = {.src = c->stream.remote.ip,
                        .dst = c->stream.local.ip,
                        .sport = c->stream.remote.port,
                        .dport = 80,
                        .seq = base + from,
                        .ack = c->snd_una,
                        .window = 8000,
                        .flags = TCP_ACK,
                        .len = to - from,
                        .refs = 1,
                        .ref = {{bytes + from, to - from, NULL}}};
    world_inject(w, SERVER, &o);
}

static unsigned answer(struct world *w, uint32_t base, struct tcp_range b[4])
{
    tcp_poll(w->engine[SERVER], w->now);
    return blocks_of(&w->last[SERVER], base, b);
}

Test(sack, is_offered_and_agreed_on)
{
    struct world *w = world_new(1, NULL, NULL);
    unsigned at;
    world_connect(w);
    world_poll(w);
    cr_assert((w->last[CLIENT].flags & TCP_SYN) && option_of(&w->last[CLIENT], 4, &at));
    world_run(w, 100000);
    cr_assert(world_conn(w, CLIENT)->sack_on && world_conn(w, SERVER)->sack_on);
    world_free(w);

    w = world_new(1, NULL, NULL);
    w->no_sack = true;
    world_connect(w);
    world_run(w, 100000);
    cr_assert(!world_conn(w, CLIENT)->sack_on && !world_conn(w, SERVER)->sack_on);
    world_free(w);
}

Test(sack, the_newest_range_comes_first)
{
    struct world *w = open_world();
    struct tcp_range b[4];
    uint32_t base = world_conn(w, SERVER)->rcv_nxt;
    piece(w, base, 1000, 2000);
    cr_assert(answer(w, base, b) == 1 && is(b[0], 1000, 2000));
    piece(w, base, 5000, 6000);
    cr_assert(answer(w, base, b) == 2 && is(b[0], 5000, 6000) && is(b[1], 1000, 2000));
    piece(w, base, 3000, 4000);
    cr_assert(answer(w, base, b) == 3 && is(b[0], 3000, 4000) && is(b[1], 5000, 6000));
    piece(w, base, 2000, 2500); /* an old range grows */
    cr_assert(answer(w, base, b) == 3 && is(b[0], 1000, 2500) && is(b[1], 3000, 4000) &&
              is(b[2], 5000, 6000));
    piece(w, base, 4000, 5000); /* two become one */
    cr_assert(answer(w, base, b) == 2 && is(b[0], 3000, 6000) && is(b[1], 1000, 2500));
    piece(w, base, 0, 1000);
    cr_assert(answer(w, base, b) == 1 && is(b[0], 3000, 6000));
    cr_assert(w->last[SERVER].ack == base + 2500);
    piece(w, base, 2500, 3000);
    cr_assert(answer(w, base, b) == 0 && w->last[SERVER].ack == base + 6000);
    cr_assert(!w->broken, "%s", w->broken);
    world_free(w);
}

Test(sack, a_duplicate_is_reported_once_and_before_all)
{
    struct world *w = open_world();
    struct tcp_range b[4];
    uint32_t base = world_conn(w, SERVER)->rcv_nxt;
    piece(w, base, 0, 1000);
    answer(w, base, b);
    piece(w, base, 200, 700); /* below the ACK: RFC 2883 4.1.1 */
    cr_assert(answer(w, base, b) == 1 && is(b[0], 200, 700));
    piece(w, base, 2000, 3000);
    cr_assert(answer(w, base, b) == 1 && is(b[0], 2000, 3000));
    piece(w, base, 2000, 3000); /* beyond it: 4.2.1 */
    cr_assert(answer(w, base, b) == 2 && is(b[0], 2000, 3000) && is(b[1], 2000, 3000));
    piece(w, base, 2500, 3500); /* in part */
    cr_assert(answer(w, base, b) == 2 && is(b[0], 2500, 3000) && is(b[1], 2000, 3500));
    piece(w, base, 500, 1500); /* half old, half new */
    cr_assert(answer(w, base, b) == 2 && is(b[0], 500, 1000) && is(b[1], 2000, 3500));
    world_free(w);
}

static struct tcp_range told[64];
static unsigned told_n;

static bool listen_tap(struct world *w, unsigned from, struct tcp_out *o)
{
    uint32_t *base = w->tap_ctx;
    struct tcp_range b[4];
    if (from == SERVER)
        for (unsigned i = blocks_of(o, *base, b); i-- > 0 && told_n < 64;)
            told[told_n++] = b[i];
    return true;
}

Test(sack, a_burst_with_many_holes_is_told_whole)
{
    struct world *w = open_world();
    uint32_t base = world_conn(w, SERVER)->rcv_nxt;
    w->tap = listen_tap;
    w->tap_ctx = &base;
    for (uint32_t i = 1; i <= 9; i++)
        piece(w, base, i * 2000, i * 2000 + 1000);
    tcp_poll(w->engine[SERVER], w->now);
    for (uint32_t i = 1; i <= 9; i++) {
        bool found = false;
        for (unsigned k = 0; k < told_n; k++)
            found = found || is(told[k], i * 2000, i * 2000 + 1000);
        cr_assert(found, "range %u", i);
    }
    world_free(w);
}

Test(sack, the_option_takes_its_room_from_the_payload)
{
    struct world *w = open_world();
    struct tcp_range b[4];
    uint32_t base = world_conn(w, SERVER)->rcv_nxt;
    for (uint32_t i = 1; i <= 4; i++)
        piece(w, base, i * 2000, i * 2000 + 1000);
    w->app[SERVER].send_total = 5000;
    app_push(&w->app[SERVER]);
    w->tap = listen_tap; /* nothing: only to look at each */
    w->tap_ctx = &base;
    tcp_poll(w->engine[SERVER], w->now);
    cr_assert(world_conn(w, SERVER)->snd_max - world_conn(w, SERVER)->snd_una == 5000);
    cr_assert(blocks_of(&w->last[SERVER], base, b) == 3 && w->last[SERVER].option_len == 40);
    cr_assert(w->last[SERVER].len + w->last[SERVER].option_len <= 1460);
    world_free(w);
}

/* ---- the records against a byte array ---- */

#define BOARD 20000u

struct board {
    struct tcp_engine *e;
    struct tcp_conn *c;
    struct rng rng;
    uint32_t iss;
    uint8_t flags[BOARD]; /* of each byte ever sent */
};

static bool no_emit(void *ctx, const struct tcp_out *o)
{
    (void)ctx, (void)o;
    return true;
}

static void board_open(struct board *b, uint64_t seed, uint32_t iss, uint32_t records)
{
    struct tcp_config config = world_config();
    struct tcp_host host = {.emit = no_emit};
    uint8_t key[32] = {0};
    config.records = records;
    memset(b, 0, sizeof(*b));
    rng_init_u64(&b->rng, seed);
    b->e = tcp_create(&config, &host, key, (struct now){.mono_us = 5000000});
    b->c = tcp_conn_new(b->e, 1);
    b->c->mss = 100;
    b->iss = b->c->snd_una = b->c->snd_nxt = b->c->snd_max = iss;
    cr_assert(tcp_tx_open(b->e, b->c) && tcp_recovery_open(b->e, b->c));
}

static void board_compare(const struct board *b, uint64_t seed, unsigned step)
{
    const struct tcp_recovery *r = b->c->rec;
    uint32_t at = b->c->snd_una, sacked = 0, lost = 0;
    for (uint32_t i = r->first; i != TCP_NONE; i = b->e->records[i].next)
        for (; at != b->e->records[i].end; at++) {
            uint8_t f = b->e->records[i].flags & (TCP_RECORD_SACKED | TCP_RECORD_LOST);
            cr_assert(f == b->flags[at - b->iss], "seed %lu step %u byte %u: %u, not %u",
                      (unsigned long)seed, step, at - b->iss, f, b->flags[at - b->iss]);
            sacked += f & TCP_RECORD_SACKED ? 1 : 0;
            lost += f & TCP_RECORD_LOST ? 1 : 0;
        }
    cr_assert(at == b->c->snd_max && sacked == r->sacked && lost == r->lost);
}

static void board_step(struct board *b)
{
    struct tcp_conn *c = b->c;
    struct tcp_segment s = {.ack = c->snd_una};
    struct tcp_ack_news n = {.now_us = (uint32_t)b->e->now.mono_us, .segment = &s};
    uint32_t flight = c->snd_max - c->snd_una, off = c->snd_una - b->iss;
    uint32_t x = rng_below(&b->rng, flight + 1), y = rng_below(&b->rng, flight + 1);
    switch (rng_below(&b->rng, 8)) {
    case 0: /* send */
        tcp_record_append(b->e, c, c->snd_max + 1 + x % 300, x % 7 == 0);
        c->snd_max += 1 + x % 300;
        break;
    case 1: /* acknowledge a little */
        x = x % 200 < flight ? x % 200 : 0;
        tcp_records_ack(b->e, c, c->snd_una + x, &n);
        c->snd_una += x;
        break;
    case 2: { /* the first in flight is lost */
        uint32_t i = c->rec->first, start = off;
        while (i != TCP_NONE && b->e->records[i].flags & (TCP_RECORD_SACKED | TCP_RECORD_LOST)) {
            start = b->e->records[i].end - b->iss;
            i = b->e->records[i].next;
        }
        if (i == TCP_NONE)
            break;
        memset(b->flags + start, TCP_RECORD_LOST, b->e->records[i].end - b->iss - start);
        tcp_record_lost(b->e, c, i);
        break;
    }
    case 3: { /* a part of what is lost goes again */
        uint32_t i = tcp_record_first_lost(b->e, c);
        if (i == TCP_NONE)
            break;
        uint32_t start = tcp_record_start(b->e, c, i), end = b->e->records[i].end;
        end = end - start > 100 ? start + 100 : end;
        memset(b->flags + (start - b->iss), 0, end - start);
        tcp_record_again(b->e, c, i, start, end);
        break;
    }
    default: /* SACK, small or large */
        if (x > y) {
            uint32_t t = x;
            x = y;
            y = t;
        }
        if (x == 0 || x == y)
            break;
        if (y - x > 64 && rng_below(&b->rng, 2))
            y = x + 1 + y % 64;
        memset(b->flags + off + x, TCP_RECORD_SACKED, y - x);
        tcp_records_sack(b->e, c, (struct tcp_range){c->snd_una + x, c->snd_una + y}, &n);
        break;
    }
    b->e->now.mono_us += rng_below(&b->rng, 3);
}

Test(sack, records_agree_with_a_byte_array)
{
    static struct board b;
    const uint32_t starts[] = {0, UINT32_MAX - 3000, (1u << 31) - 2000};
    for (uint64_t seed = 1; seed <= 300; seed++) {
        board_open(&b, seed, starts[seed % 3], 4096);
        tcp_record_append(b.e, b.c, b.iss + 4000, false);
        b.c->snd_max += 4000;
        for (unsigned i = 0; i < 200 && b.c->snd_max - b.iss < BOARD - 400; i++) {
            board_step(&b);
            if (b.c->rec->count >= TCP_RECORDS_FINE - 2)
                break; /* from here on it is coarser */
            board_compare(&b, seed, i);
        }
        tcp_conn_free(b.e, b.c);
        cr_assert(tcp_check(b.e) == NULL, "%s", tcp_check(b.e));
        tcp_destroy(b.e);
    }
}

Test(sack, few_records_make_it_coarse_and_never_wrong)
{
    for (uint32_t records = 0; records < 12; records++) {
        struct tcp_config few = world_config();
        few.records = records;
        struct world *w = world_new(records + 1, NULL, &few);
        w->loss_permille = 30;
        w->duplicate_permille = 20;
        w->reorder_permille = 100;
        w->jitter_us = 3000;
        w->app[SERVER].send_total = 400000;
        w->app[SERVER].shut_after = w->app[CLIENT].shut_on_eof = true;
        world_connect(w);
        bool done = world_run_closed(w, 600000000);
        cr_assert(done && w->app[CLIENT].got == 400000 && !w->app[CLIENT].wrong, "%u records",
                  records);
        cr_assert(!w->broken, "%u records: %s", records, w->broken);
        world_free(w);
    }
}

/* A peer that throws away what it had reported (RFC 2018 8). */
static bool renege_tap(struct world *w, unsigned from, struct tcp_out *o)
{
    unsigned *n = w->tap_ctx;
    if (from == SERVER && o->len > 0)
        return (*n)++ > 0; /* the first is lost */
    return true;
}

Test(sack, a_peer_that_reneges_is_served_all_the_same)
{
    struct world *w = world_new(3, NULL, NULL);
    unsigned n = 0;
    world_connect(w);
    world_run(w, 100000);
    w->tap = renege_tap;
    w->tap_ctx = &n;
    w->app[SERVER].send_total = 8 * 1448;
    app_push(&w->app[SERVER]);
    world_run(w, 600); /* the rest has arrived */
    w->refuse[CLIENT] = true;
    world_run(w, 600);
    struct tcp_conn *c = world_conn(w, CLIENT), *s = world_conn(w, SERVER);
    struct tcp_out ack = {.src = world_addr(CLIENT),
                          .dst = world_addr(SERVER),
                          .sport = c->stream.local.port,
                          .dport = 80,
                          .seq = c->snd_nxt,
                          .ack = s->snd_una,
                          .window = 8000,
                          .flags = TCP_ACK};
    struct tcp_out all = ack;
    tcp_option_sack(&all, &(struct tcp_range){s->snd_una + 1448, s->snd_max}, 1);
    world_inject(w, SERVER, &all);
    ack.ack = s->snd_una + 1448; /* the head came, the rest is gone and nothing says so */
    world_inject(w, SERVER, &ack);
    cr_assert(s->rec && s->rec->sacked == 7 * 1448);
    tcp_store_clear(w->engine[CLIENT], c);
    c->rcv_nxt = c->app_nxt = ack.ack;
    w->app[CLIENT].got = 1448;
    w->refuse[CLIENT] = false;
    world_run(w, 5000000);
    cr_assert(w->app[CLIENT].got == 8 * 1448, "%lu", (unsigned long)w->app[CLIENT].got);
    cr_assert(tcp_counters(w->engine[SERVER])->tcp_reneged_total == 1);
    world_free(w);
}

static void say(struct world *w, uint32_t ack, const struct tcp_range *b, unsigned n)
{
    const struct tcp_conn *s = world_conn(w, SERVER);
    struct tcp_out o = {.src = s->stream.remote.ip,
                        .dst = s->stream.local.ip,
                        .sport = s->stream.remote.port,
                        .dport = 80,
                        .seq = s->rcv_nxt,
                        .ack = ack,
                        .window = 8000,
                        .flags = TCP_ACK};
    tcp_option_sack(&o, b, n);
    world_inject(w, SERVER, &o);
}

Test(sack, islands_of_one_byte_cost_a_bounded_list)
{
    struct world *w = open_world();
    struct tcp_conn *s = world_conn(w, SERVER);
    w->app[SERVER].send_total = 10 * 1448;
    app_push(&w->app[SERVER]);
    tcp_poll(w->engine[SERVER], w->now);
    for (uint32_t at = 1; at + 8 < 10 * 1448; at += 8) {
        struct tcp_range b[4];
        for (uint32_t i = 0; i < 4; i++)
            b[i] = (struct tcp_range){s->snd_una + at + 2 * i, s->snd_una + at + 2 * i + 1};
        say(w, s->snd_una, b, 4);
        cr_assert(s->rec->count <= TCP_RECORDS_FINE + 10 && !w->broken, "%s", w->broken);
    }
    w->refuse[CLIENT] = false;
    world_run(w, 60000000);
    cr_assert(w->app[CLIENT].got == 10 * 1448 && !w->broken, "%s", w->broken);
    world_free(w);
}

/* Every eighth byte is said to be missing, then one after the other to have come: what an ACK makes
 * us send again must be worth its headers (CVE-2019-11479, by SACK). */
Test(sack, islands_of_one_byte_make_no_storm)
{
    struct world *w = open_world();
    struct tcp_conn *s = world_conn(w, SERVER);
    uint32_t eights = 10 * 1448 / 8 - 1;
    uint64_t most = 0, first = w->sent[SERVER], acks = 0;
    w->app[SERVER].send_total = 10 * 1448;
    app_push(&w->app[SERVER]);
    tcp_poll(w->engine[SERVER], w->now);
    for (uint32_t i = 0; i < eights + eights / 4; i++, acks++) {
        struct tcp_range b[4];
        uint32_t n = i < eights / 4 ? 4 : 1, una = s->snd_una, before = (uint32_t)w->sent[SERVER];
        for (uint32_t k = 0; k < n; k++)
            b[k] = (struct tcp_range){una + 1 + 8 * (4 * i + k), una + 8 + 8 * (4 * i + k)};
        if (n == 1)
            b[0] = (struct tcp_range){una + 8 * (eights + eights / 4 - i),
                                      una + 8 * (eights + eights / 4 - i) + 1};
        w->now.mono_us += 300;
        say(w, una, b, n);
        tcp_poll(w->engine[SERVER], w->now);
        cr_assert(!w->broken, "%s", w->broken);
        most = w->sent[SERVER] - before > most ? w->sent[SERVER] - before : most;
    }
    cr_assert(most <= TCP_RECORDS_FINE && w->sent[SERVER] - first < 2 * acks);
    w->refuse[CLIENT] = false;
    world_run(w, 60000000);
    cr_assert(w->app[CLIENT].got == 10 * 1448 && !w->broken, "%s", w->broken);
    world_free(w);
}

Test(sack, blocks_of_what_was_never_sent_are_ignored)
{
    struct world *w = open_world();
    struct tcp_conn *s = world_conn(w, SERVER);
    w->app[SERVER].send_total = 5 * 1448;
    app_push(&w->app[SERVER]);
    tcp_poll(w->engine[SERVER], w->now);
    uint32_t una = s->snd_una, max = s->snd_max;
    const struct tcp_range lies[] = {
        {una + 10, max + 1},                                            /* beyond all */
        {una + 20, una + 10},   {una + 10, una + 10}, {una, una + 100}, /* the head is not ACKed */
        {una - 100, una + 100}, {max, max + 100},     {una + (1u << 31), una + 10},
    };
    for (unsigned i = 0; i < sizeof(lies) / sizeof(lies[0]); i++) {
        say(w, una, &lies[i], 1);
        cr_assert(s->rec->sacked == 0 && s->rec->lost == 0, "%u", i);
    }
    say(w, una, &(struct tcp_range){una + 1448, max}, 1);
    cr_assert(s->rec->sacked == 4 * 1448);
    world_free(w);
}
