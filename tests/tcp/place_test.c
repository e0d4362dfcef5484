/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Bytes out of order that go straight to where the application keeps them (dataplane/tcp/place.c).
 * The test is the peer; the application is a shelf of boxes from the heap, so that ASan sees each
 * byte that is written beside one, or after the shelf is gone.
 */
#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>

#include "tests/tcp/world.h"

#define BOX   4096u
#define BOXES 16u
#define MOST  (BOX * BOXES)

struct shelf {
    struct world *w;
    uint8_t *box[BOXES];    /* taken when needed */
    uint64_t of;            /* counts the shelves */
    uint64_t got, in_place; /* consumed; of these, bytes that lay where they belong */
    uint64_t from, length;  /* the place of [from, length) is known, once `from` is consumed */
    uint32_t take_max;      /* consumes so much an event; 0: all */
    uint32_t refuse_percent;
    struct rng rng;
    bool paused, wrong, eof, closed, gone; /* gone: no place for anything any more */
    enum stream_end why;
};

static uint8_t *byte_at(struct shelf *s, uint64_t at)
{
    uint8_t **box = &s->box[at / BOX];
    if (!*box)
        *box = malloc(BOX);
    return *box + at % BOX;
}

static void clear(struct shelf *s)
{
    for (unsigned i = 0; i < BOXES; i++) {
        free(s->box[i]);
        s->box[i] = NULL;
    }
    s->of++;
}

static struct stream_place on_place(struct stream *stream, size_t ahead, size_t len, struct now now)
{
    struct shelf *s = stream->user;
    uint64_t at = s->got + ahead;
    (void)now;
    if (s->closed)
        s->wrong = true;
    if (s->gone || s->got < s->from || at >= s->length)
        return (struct stream_place){0};
    /* what has been given stays given */
    bool known = s->box[at / BOX];
    if (!known && s->refuse_percent && rng_below(&s->rng, 100) < s->refuse_percent)
        return (struct stream_place){0};
    size_t room = BOX - at % BOX, left = s->length - at;
    room = room < left ? room : left;
    return (struct stream_place){byte_at(s, at), room < len ? room : len, s->of};
}

static size_t on_received(struct stream *stream, const uint8_t *data, size_t len, struct now now)
{
    struct shelf *s = stream->user;
    (void)now;
    size_t n = s->paused ? 0 : s->take_max && len > s->take_max ? s->take_max : len;
    for (size_t i = 0; i < len; i++)
        if (data[i] != pattern(s->w->app[SERVER].peer_salt, s->got + i))
            s->wrong = true;
    for (size_t done = 0; done < n;) {
        uint8_t *to = byte_at(s, s->got);
        size_t k = BOX - s->got % BOX < n - done ? BOX - s->got % BOX : n - done;
        if (to != data + done)
            memcpy(to, data + done, k);
        else
            s->in_place += k;
        s->got += k;
        done += k;
    }
    return n;
}

static void on_eof(struct stream *stream, struct now now)
{
    struct shelf *s = stream->user;
    (void)now;
    s->eof = true;
}

static void on_closed(struct stream *stream, enum stream_end why, struct now now)
{
    struct shelf *s = stream->user;
    (void)now;
    s->closed = true;
    s->why = why;
    s->w->app[SERVER].stream = NULL;
    clear(s);
}

static const struct stream_events placing = {
    .received = on_received, .eof = on_eof, .closed = on_closed, .place = on_place};
static const struct stream_events not_placing = {
    .received = on_received, .eof = on_eof, .closed = on_closed};

static struct world *open_world(uint64_t seed, struct shelf *s)
{
    struct world *w = world_new(seed, NULL, NULL);
    world_connect(w);
    world_run(w, 100000);
    w->refuse[CLIENT] = true; /* from here on the test is the client */
    *s = (struct shelf){.w = w, .of = 1, .length = MOST};
    rng_init_u64(&s->rng, seed);
    struct stream *stream = w->app[SERVER].stream;
    stream->events = &placing;
    stream->user = s;
    return w;
}

static void close_world(struct world *w, struct shelf *s)
{
    cr_assert(!w->broken && !s->wrong, "seed %lu: %s", (unsigned long)w->seed,
              w->broken ? w->broken : "wrong bytes");
    if (!s->closed)
        clear(s);
    world_free(w);
}

static const struct tcp_counters *counters(const struct world *w)
{
    return tcp_counters(w->engine[SERVER]);
}

/* Bytes [from, to) of the peer's, the first of all being number `base`. */
static void segment(struct world *w, uint32_t base, uint32_t from, uint32_t to, uint8_t flags)
{
    static uint8_t bytes[MOST];
    const struct tcp_conn *c = world_conn(w, SERVER);
    if (!c)
        return;
    for (uint32_t i = from; i < to; i++)
        bytes[i] = pattern(w->app[SERVER].peer_salt, i);
    struct tcp_out o = {.src = c->stream.remote.ip,
                        .dst = c->stream.local.ip,
                        .sport = c->stream.remote.port,
                        .dport = 80,
                        .seq = base + from,
                        .ack = c->snd_max,
                        .window = 8000,
                        .flags = TCP_ACK | flags,
                        .len = to - from,
                        .refs = to > from};
    o.ref[0] = (struct ref){bytes + from, to - from, NULL};
    world_inject(w, SERVER, &o);
}

/* The same in segments that fit a frame. */
static void segments(struct world *w, uint32_t base, uint32_t from, uint32_t to)
{
    for (; from < to; from += 1000)
        segment(w, base, from, from + 1000 < to ? from + 1000 : to, 0);
}

static void poll(struct world *w)
{
    tcp_poll(w->engine[SERVER], w->now);
}

static uint32_t base_of(const struct world *w)
{
    return tcp_conn_of(w->app[SERVER].stream)->rcv_nxt;
}

/* --- order ------------------------------------------------------------------------------------ */

/* The n-th order of `count` things. */
static void order(unsigned n, unsigned count, unsigned out[])
{
    unsigned left[8];
    for (unsigned i = 0; i < count; i++)
        left[i] = i;
    for (unsigned i = 0; i < count; i++) {
        unsigned k = n % (count - i);
        n /= count - i;
        out[i] = left[k];
        memmove(&left[k], &left[k + 1], (count - i - k - 1) * sizeof(left[0]));
    }
}

Test(place, five_segments_in_each_order_are_copied_once)
{
    enum { N = 5, LEN = 1448 };
    for (unsigned n = 0; n < 120; n++) {
        struct shelf s;
        struct world *w = open_world(n + 1, &s);
        uint32_t base = base_of(w), first = UINT32_MAX;
        unsigned at[N], early = 0;
        order(n, N, at);
        for (unsigned i = 0; i < N; i++) {
            bool out = s.got != at[i] * LEN;
            early += out;
            segment(w, base, at[i] * LEN, (at[i] + 1) * LEN, 0);
            cr_assert_eq(counters(w)->tcp_blocks_used, s.got / LEN < i + 1, "the map alone");
            first = first < at[i] ? first : at[i];
        }
        cr_assert_eq(s.got, N * LEN);
        cr_assert_eq(counters(w)->tcp_placed_bytes_total, (uint64_t)early * LEN);
        cr_assert_eq(s.in_place, (uint64_t)early * LEN);
        cr_assert_eq(counters(w)->tcp_bytes_in_total, N * LEN);
        close_world(w, &s);
    }
}

Test(place, what_comes_before_its_place_is_known_waits_in_blocks)
{
    struct shelf s;
    struct world *w = open_world(1, &s);
    uint32_t base = base_of(w);
    s.from = 500; /* a head */
    s.length = 9000;
    segment(w, base, 1000, 2000, 0);
    cr_assert_eq(counters(w)->tcp_placed_bytes_total, 0);
    segment(w, base, 0, 700, 0);
    segments(w, base, 3000, 5000);
    cr_assert_eq(counters(w)->tcp_placed_bytes_total, 2000);
    segment(w, base, 8500, 9500, 0); /* the body's end, and what follows it */
    cr_assert_eq(counters(w)->tcp_placed_bytes_total, 2500);
    segment(w, base, 2000, 3000, 0);
    segment(w, base, 700, 1000, 0);
    cr_assert_eq(s.got, 5000);
    segments(w, base, 5000, 8500);
    cr_assert_eq(s.got, 9500);
    cr_assert_eq(s.in_place, counters(w)->tcp_placed_bytes_total);
    cr_assert_eq(counters(w)->tcp_blocks_used, 0);
    close_world(w, &s);
}

/* Two islands a chunk: more than the list of places has, then more than the list of ranges. */
Test(place, islands_beyond_the_lists_wait_in_blocks_or_come_again)
{
    struct shelf s;
    struct world *w = open_world(1, &s);
    uint32_t base = base_of(w);
    for (uint32_t i = 1; i <= TCP_STORE_RANGES + 10; i++)
        segment(w, base, i * 300, i * 300 + 100, 0);
    const struct tcp_store *store = tcp_conn_of(w->app[SERVER].stream)->store;
    cr_assert_eq(store->places, TCP_STORE_PLACES);
    cr_assert_eq(store->ranges, TCP_STORE_RANGES);
    cr_assert_eq(counters(w)->tcp_placed_bytes_total, TCP_STORE_PLACES * 100);
    segments(w, base, 0, 30000);
    cr_assert_eq(s.got, 30000);
    cr_assert_eq(counters(w)->tcp_blocks_used, 0);
    close_world(w, &s);
}

/* A reader in arrears: what it refuses is placed as well, and no byte is missing at the end. */
Test(place, what_a_reader_refuses_is_placed_too)
{
    struct shelf s;
    struct world *w = open_world(1, &s);
    uint32_t base = base_of(w);
    segment(w, base, 2000, 3000, TCP_FIN);
    s.paused = true;
    segment(w, base, 1000, 2000, 0);
    segment(w, base, 0, 1000, 0);
    poll(w);
    cr_assert_eq(s.got, 0);
    s.paused = false;
    stream_resume(w->app[SERVER].stream);
    poll(w);
    poll(w);
    cr_assert(s.eof && s.got == 3000);
    cr_assert_eq(s.in_place, 3000);
    close_world(w, &s);
}

/* --- the same as without ---------------------------------------------------------------------- */

/* What went out last says the same: ACK, window, SACK and D-SACK. */
static void same(const struct world *a, const struct world *b, unsigned step)
{
    const struct tcp_out *x = &a->last[SERVER], *y = &b->last[SERVER];
    cr_assert(a->sent[SERVER] == b->sent[SERVER] && x->ack == y->ack && x->window == y->window &&
                  x->option_len == y->option_len && !memcmp(x->option, y->option, x->option_len),
              "seed %lu, step %u", (unsigned long)a->seed, step);
}

/* Random segments that overlap, come twice, in any order; a place that is refused now and then, for
 * a part of the bytes only; a reader that takes little. The peer can't tell who has places. */
Test(place, the_peer_sees_no_difference)
{
    uint64_t placed = 0;
    for (uint64_t seed = 1; seed < 100; seed += PART) {
        struct shelf s, t;
        struct world *w = open_world(seed, &s), *v = open_world(seed, &t);
        struct rng r;
        rng_init_u64(&r, seed);
        v->app[SERVER].stream->events = &not_placing;
        uint32_t base = base_of(w), total = 20000 + rng_below(&r, 20000),
                 largest = 1 << rng_below(&r, 11);
        s.refuse_percent = seed % 2 ? rng_below(&r, 60) : 0;
        s.from = seed % 3 ? 0 : rng_below(&r, 3000);
        s.length = seed % 5 ? MOST : rng_below(&r, total);
        s.take_max = t.take_max = seed % 7 ? 0 : 700;
        for (unsigned i = 0; i < 4000 && s.got < total; i++) {
            uint32_t window = 1 + rng_below(&r, 6000);
            uint32_t next = tcp_conn_of(w->app[SERVER].stream)->rcv_nxt - base;
            uint32_t from = i % 9 ? next + rng_below(&r, window) : next,
                     len = 1 + rng_below(&r, largest + 40);
            if (i % 11 == 0 && next > 100)
                from = next - 100;
            if (from >= total)
                continue;
            uint32_t to = from + len < total ? from + len : total;
            segment(w, base, from, to, 0);
            segment(v, base, from, to, 0);
            if (s.take_max && rng_below(&r, 2)) {
                stream_resume(w->app[SERVER].stream);
                stream_resume(v->app[SERVER].stream);
            }
            if (i % 4 == 0) {
                poll(w);
                poll(v);
            }
            if (!s.take_max) /* who takes little takes other pieces */
                same(w, v, i);
        }
        cr_assert(s.take_max || s.got == t.got);
        placed += counters(w)->tcp_placed_bytes_total;
        cr_assert_eq(counters(v)->tcp_placed_bytes_total, 0);
        close_world(w, &s);
        close_world(v, &t);
    }
    cr_assert_gt(placed, 100000);
}

/* --- the application changes its mind --------------------------------------------------------- */

enum mind { TAKES_BACK, ANOTHER_BODY, REFUSES, ABORTS, PEER_RESETS, MINDS };

static void change(struct world *w, struct shelf *s, enum mind mind)
{
    struct stream *stream = w->app[SERVER].stream;
    switch (mind) {
    case TAKES_BACK: /* what was consumed is kept elsewhere, say */
        clear(s);
        s->gone = true;
        break;
    case ANOTHER_BODY: /* other memory, perhaps at the same addresses */
        clear(s);
        break;
    case REFUSES: /* keeps what it gave */
        s->refuse_percent = 100;
        break;
    case ABORTS:
        stream_abort(stream);
        clear(s);
        s->gone = true;
        break;
    default:
        segment(w, tcp_conn_of(stream)->rcv_nxt, 0, 0, TCP_RST);
        clear(s); /* before it is told */
        s->gone = true;
    }
}

/* Twelve segments in an order by seed, and the change before one of them: nothing is written to or
 * read from memory that is gone, no wrong byte is given out, and no byte that the peer was told of
 * is missing without a reset. */
static void story(uint64_t seed, enum mind mind, unsigned when, uint64_t *lost)
{
    enum { N = 12, LEN = 1100 };
    struct shelf s;
    struct world *w = open_world(seed, &s);
    uint32_t base = base_of(w);
    unsigned at[N];
    for (unsigned i = 0; i < N; i++) {
        unsigned k = rng_below(&s.rng, i + 1);
        at[i] = at[k];
        at[k] = i;
    }
    s.take_max = seed % 4 ? 0 : 900;
    for (unsigned i = 0; i < N && w->app[SERVER].stream; i++) {
        if (i == when)
            change(w, &s, mind);
        segment(w, base, at[i] * LEN, (at[i] + 1) * LEN, i == N / 2 ? TCP_PSH : 0);
        if (rng_below(&s.rng, 2))
            poll(w);
    }
    for (unsigned i = 0; i < 40 && w->app[SERVER].stream; i++) {
        stream_resume(w->app[SERVER].stream);
        poll(w);
    }
    poll(w);
    bool told = counters(w)->tcp_place_lost_total > 0;
    *lost += told;
    if (mind == ABORTS || mind == PEER_RESETS)
        cr_assert(s.closed && !told);
    else if (mind == REFUSES)
        cr_assert(!s.closed && s.got == N * LEN);
    else
        cr_assert(told ? s.closed && s.why == STREAM_ABORTED : !s.closed && s.got == N * LEN);
    if (s.closed)
        cr_assert_eq(counters(w)->tcp_blocks_used, 0);
    close_world(w, &s);
}

Test(place, an_application_that_changes_its_mind_at_any_step_harms_nobody)
{
    for (unsigned mind = 0; mind < MINDS; mind++) {
        uint64_t lost = 0;
        for (unsigned when = 0; when < 12; when++)
            for (uint64_t seed = 1; seed < 13; seed += PART)
                story(seed, (enum mind)mind, when, &lost);
        cr_assert_eq(lost > 0, mind <= ANOTHER_BODY);
    }
}
