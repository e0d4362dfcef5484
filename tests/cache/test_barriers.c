/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The protocol between an owner and its readers, step by step, in all interleavings (model.h), with
 * the orders that the code has (cache/barriers.h): nobody races, and nobody sees a torn object. And
 * with any one of them weakened somebody does. DPDK's part of it (rte_rcu_qsbr.h) is copied here.
 */
#include <criterion/criterion.h>
#include <stdio.h>

#include "cache/barriers.h"
#include "model.h"

enum order {
    RELAXED, /* and plain accesses, that have none */
    SLOT_STORE,
    SLOT_LOAD,
    READY_STORE,
    READY_LOAD,
    STATE_STORE,
    STATE_LOAD,
    UNPIN,
    PINS_LOAD,
    PURGE_STORE,
    PURGE_LOAD,
    RULES_STORE,
    RULES_LOAD,
    WALKED_STORE,
    WALKED_LOAD,
    PIN,
    UNPIN_HEIR,
    LINK_STORE,
    LINK_LOAD,
    TOKEN_ADD, /* rte_rcu_qsbr_start */
    START_FENCE,
    TOKEN_LOAD, /* rte_rcu_qsbr_quiescent */
    REPORT,
    REPORT_LOAD,  /* __rte_rcu_qsbr_check_all */
    ONLINE_FENCE, /* rte_rcu_qsbr_thread_online */
    OFFLINE,      /* rte_rcu_qsbr_thread_offline */
    ORDERS,
};

static const struct {
    const char *name;
    int order;
} orders[ORDERS] = {
    [RELAXED] = {"relaxed", __ATOMIC_RELAXED},
    [SLOT_STORE] = {"CACHE_SLOT_STORE", CACHE_SLOT_STORE},
    [SLOT_LOAD] = {"CACHE_SLOT_LOAD", CACHE_SLOT_LOAD},
    [READY_STORE] = {"CACHE_READY_STORE", CACHE_READY_STORE},
    [READY_LOAD] = {"CACHE_READY_LOAD", CACHE_READY_LOAD},
    [STATE_STORE] = {"CACHE_STATE_STORE", CACHE_STATE_STORE},
    [STATE_LOAD] = {"CACHE_STATE_LOAD", CACHE_STATE_LOAD},
    [UNPIN] = {"CACHE_UNPIN", CACHE_UNPIN},
    [PINS_LOAD] = {"CACHE_PINS_LOAD", CACHE_PINS_LOAD},
    [PURGE_STORE] = {"CACHE_PURGE_STORE", CACHE_PURGE_STORE},
    [PURGE_LOAD] = {"CACHE_PURGE_LOAD", CACHE_PURGE_LOAD},
    [RULES_STORE] = {"CACHE_RULES_STORE", CACHE_RULES_STORE},
    [RULES_LOAD] = {"CACHE_RULES_LOAD", CACHE_RULES_LOAD},
    [WALKED_STORE] = {"CACHE_WALKED_STORE", CACHE_WALKED_STORE},
    [WALKED_LOAD] = {"CACHE_WALKED_LOAD", CACHE_WALKED_LOAD},
    [PIN] = {"CACHE_PIN", CACHE_PIN},
    [UNPIN_HEIR] = {"CACHE_UNPIN_HEIR", CACHE_UNPIN_HEIR},
    [LINK_STORE] = {"CACHE_LINK_STORE", CACHE_LINK_STORE},
    [LINK_LOAD] = {"CACHE_LINK_LOAD", CACHE_LINK_LOAD},
    [TOKEN_ADD] = {"the token's addition", __ATOMIC_RELEASE},
    [START_FENCE] = {"the fence of grace_start", __ATOMIC_SEQ_CST},
    [TOKEN_LOAD] = {"the token's load", __ATOMIC_ACQUIRE},
    [REPORT] = {"the quiescent report", __ATOMIC_RELEASE},
    [REPORT_LOAD] = {"grace_over's loads", __ATOMIC_ACQUIRE},
    [ONLINE_FENCE] = {"the fence of thread_online", __ATOMIC_SEQ_CST},
    [OFFLINE] = {"thread_offline's store", __ATOMIC_RELEASE},
};

/* --- words for steps -------------------------------------------------------------------------- */

/* clang-format off */
#define LOAD(r, l, o)       {.op = MODEL_LOAD, .reg = (r), .location = (l), .order = (o)}
#define STORE(l, v, o)      {.op = MODEL_STORE, .location = (l), .value = (v), .order = (o)}
#define COPY(l, r, o)       {.op = MODEL_COPY, .location = (l), .reg = (r), .order = (o)}
#define ADD(l, v, o)        {.op = MODEL_ADD, .location = (l), .value = (uint8_t)(v), .reg = 2, .order = (o)}
#define FENCE(o)            {.op = MODEL_FENCE, .order = (o)}
#define READ(r, l)          {.op = MODEL_READ, .reg = (r), .location = (l)}
#define WRITE(l, v)         {.op = MODEL_WRITE, .location = (l), .value = (v)}
#define UNLESS(r, v, label) {.op = MODEL_UNLESS, .reg = (r), .value = (v), .to = (label)}
#define BELOW(r, v, label)  {.op = MODEL_BELOW, .reg = (r), .value = (v), .to = (label)}
#define GO(label)           {.op = MODEL_GO, .to = (label)}
#define EXPECT(r, v)        {.op = MODEL_EXPECT, .reg = (r), .value = (v)}
#define SAME(r, other)      {.op = MODEL_SAME, .reg = (r), .value = (other)}
#define END                 {.op = MODEL_END}
/* a load that is gone to again */
#define AGAIN(mark, r, l, o) {.op = MODEL_LOAD, .label = (mark), .reg = (r), .location = (l), .order = (o)}
/* a place to go to: compares a register with itself */
#define HERE(mark)          {.op = MODEL_SAME, .label = (mark), .reg = 2, .value = 2}
/* clang-format on */

/* A grace period: from its token on until both reports are no older than it. */
#define GRACE(token, mark)                                                                         \
    ADD(TOKEN, 1, TOKEN_ADD), FENCE(START_FENCE), AGAIN(mark, 0, COUNT_1, REPORT_LOAD),            \
        BELOW(0, token, (mark) + 1), GO(mark), HERE((mark) + 1),                                   \
        AGAIN((mark) + 2, 0, COUNT_2, REPORT_LOAD), BELOW(0, token, (mark) + 3), GO((mark) + 2),   \
        HERE((mark) + 3)
#define DRAIN(pins, mark) AGAIN(mark, 0, pins, PINS_LOAD), UNLESS(0, 0, mark)
#define QUIESCENT(count)  LOAD(2, TOKEN, TOKEN_LOAD), COPY(count, 2, REPORT)

/* --- a look-up, while the object is published, unlinked, freed and made anew ------------------ */

enum { SLOT, TOKEN, COUNT_1, COUNT_2, FREE_TO_NAME };

enum { LOOKUP_KEY = FREE_TO_NAME, LOOKUP_BODY };

static const struct model_step lookup_owner[MODEL_STEPS] = {
    WRITE(LOOKUP_KEY, 1),
    WRITE(LOOKUP_BODY, 1),
    STORE(SLOT, 1, SLOT_STORE),
    STORE(SLOT, 0, SLOT_STORE),
    GRACE(1, 1),
    WRITE(LOOKUP_KEY, 2),
    WRITE(LOOKUP_BODY, 2),
    STORE(SLOT, 1, SLOT_STORE),
    END,
};

#define LOOKUP(mark)                                                                               \
    LOAD(0, SLOT, SLOT_LOAD), UNLESS(0, 1, mark), READ(0, LOOKUP_KEY), READ(1, LOOKUP_BODY),       \
        SAME(0, 1), HERE(mark)

static const struct model_step lookup_reader_1[MODEL_STEPS] = {
    LOOKUP(1), QUIESCENT(COUNT_1), LOOKUP(2), QUIESCENT(COUNT_1), LOOKUP(3), END,
};
static const struct model_step lookup_reader_2[MODEL_STEPS] = {
    LOOKUP(1),
    QUIESCENT(COUNT_2),
    LOOKUP(2),
    END,
};

/* --- a pinned object, held over a grace period ------------------------------------------------ */

enum { PINNED_BODY = FREE_TO_NAME, PINNED_PINS };

static const struct model_step pinned_owner[MODEL_STEPS] = {
    WRITE(PINNED_BODY, 1), STORE(SLOT, 1, SLOT_STORE), STORE(SLOT, 0, SLOT_STORE), GRACE(1, 1),
    DRAIN(PINNED_PINS, 5), WRITE(PINNED_PINS, 0),      WRITE(PINNED_BODY, 2),      END,
};

#define PINNED(count)                                                                              \
    LOAD(0, SLOT, SLOT_LOAD), UNLESS(0, 1, 1), ADD(PINNED_PINS, 1, PIN), QUIESCENT(count),         \
        READ(0, PINNED_BODY), EXPECT(0, 1), ADD(PINNED_PINS, -1, UNPIN), GO(2), HERE(1),           \
        QUIESCENT(count), HERE(2), END

static const struct model_step pinned_reader_1[MODEL_STEPS] = {PINNED(COUNT_1)};
static const struct model_step pinned_reader_2[MODEL_STEPS] = {PINNED(COUNT_2)};

/* --- a body that grows: two bytes a chunk, a whole chunk and a tail --------------------------- */

enum { READY, STATE, BYTE_0, BYTE_1, CRC_0, BYTE_2, CRC_1 };

static const struct model_step body_owner[MODEL_STEPS] = {
    WRITE(BYTE_0, 1),
    WRITE(CRC_0, 1),
    STORE(READY, 1, READY_STORE),
    WRITE(BYTE_1, 1),
    WRITE(CRC_0, 2),
    STORE(READY, 2, READY_STORE),
    WRITE(BYTE_2, 1),
    WRITE(CRC_1, 1),
    STORE(READY, 3, READY_STORE),
    STORE(STATE, 1, STATE_STORE),
    END,
};

/* As cache_bytes_verified: the state first, then `ready`, which is the length if it was complete.
 */
static const struct model_step body_reader[MODEL_STEPS] = {
    LOAD(0, STATE, STATE_LOAD),
    LOAD(1, READY, READY_LOAD),
    UNLESS(0, 1, 1),
    EXPECT(1, 3),
    READ(2, CRC_1),
    EXPECT(2, 1),
    HERE(1),
    UNLESS(1, 0, 2),
    END,
    HERE(2),
    READ(2, BYTE_0),
    EXPECT(2, 1),
    UNLESS(1, 1, 3),
    END,
    HERE(3),
    READ(2, BYTE_1),
    EXPECT(2, 1),
    READ(2, CRC_0),
    EXPECT(2, 2),
    UNLESS(1, 3, 4),
    READ(2, BYTE_2),
    EXPECT(2, 1),
    HERE(4),
    END,
};

/* --- an overflow bucket: its link says where to look, its slot what is there ------------------ */

enum { LINK = FREE_TO_NAME, LINK_KEY, LINK_BODY };

static const struct model_step link_owner[MODEL_STEPS] = {
    WRITE(LINK_KEY, 1),
    WRITE(LINK_BODY, 1),
    STORE(SLOT, 1, SLOT_STORE),
    STORE(LINK, 1, LINK_STORE),
    END,
};
static const struct model_step link_reader[MODEL_STEPS] = {
    LOAD(0, LINK, LINK_LOAD),
    UNLESS(0, 1, 1),
    LOAD(0, SLOT, SLOT_LOAD),
    UNLESS(0, 1, 1),
    READ(0, LINK_KEY),
    EXPECT(0, 1),
    READ(0, LINK_BODY),
    EXPECT(0, 1),
    HERE(1),
    END,
};

/* --- an overflow bucket that leaves a chain, where it led to another, and is found in a second
 * one, whose end it is
 * --------------------------------------------------------------------------------
 */

enum { FIRST_CHAIN = FREE_TO_NAME, SECOND_CHAIN, OWN_LINK };

static const struct model_step return_owner[MODEL_STEPS] = {
    STORE(FIRST_CHAIN, 2, LINK_STORE), /* past it */
    GRACE(1, 1),
    STORE(OWN_LINK, 0, RELAXED),
    STORE(SECOND_CHAIN, 1, LINK_STORE),
    END,
};
#define RETURN(count)                                                                              \
    LOAD(0, FIRST_CHAIN, LINK_LOAD), UNLESS(0, 1, 1), LOAD(1, OWN_LINK, LINK_LOAD), EXPECT(1, 2),  \
        HERE(1), QUIESCENT(count), LOAD(0, SECOND_CHAIN, LINK_LOAD), UNLESS(0, 1, 2),              \
        LOAD(1, OWN_LINK, LINK_LOAD), EXPECT(1, 0), HERE(2), QUIESCENT(count), END
static const struct model_step return_reader_1[MODEL_STEPS] = {RETURN(COUNT_1)};
static const struct model_step return_reader_2[MODEL_STEPS] = {RETURN(COUNT_2)};

/* --- a refresh: 1 is the old object, 2 its heir, to which the old one's readers' body belongs - */

enum { HEIR_BODY = FREE_TO_NAME, OLD_PINS, HEIR_PINS };

/* One reader here, so COUNT_2 is that of one who is offline. */
#define GRACE_1(token, mark)                                                                       \
    ADD(TOKEN, 1, TOKEN_ADD), FENCE(START_FENCE), AGAIN(mark, 0, COUNT_1, REPORT_LOAD),            \
        BELOW(0, token, (mark) + 1), GO(mark), HERE((mark) + 1)

static const struct model_step heir_owner[MODEL_STEPS] = {
    WRITE(HEIR_BODY, 1),
    STORE(SLOT, 1, SLOT_STORE),
    WRITE(HEIR_PINS, 1), /* the old one's */
    STORE(SLOT, 2, SLOT_STORE),
    GRACE_1(1, 1),
    DRAIN(OLD_PINS, 3),
    ADD(HEIR_PINS, -1, UNPIN_HEIR),
    STORE(SLOT, 0, SLOT_STORE),
    GRACE_1(2, 4),
    DRAIN(HEIR_PINS, 6),
    WRITE(HEIR_BODY, 2),
    END,
};
#define HELD(pins)                                                                                 \
    ADD(pins, 1, PIN), QUIESCENT(COUNT_1), READ(0, HEIR_BODY), EXPECT(0, 1), ADD(pins, -1, UNPIN)
static const struct model_step heir_reader[MODEL_STEPS] = {
    LOAD(0, SLOT, SLOT_LOAD),
    UNLESS(0, 1, 1),
    HELD(OLD_PINS),
    GO(3),
    HERE(1),
    UNLESS(0, 2, 2),
    HELD(HEIR_PINS),
    GO(3),
    HERE(2),
    QUIESCENT(COUNT_1),
    HERE(3),
    QUIESCENT(COUNT_1),
    END,
};

/* --- a reader that comes from sleep and goes to it -------------------------------------------- */

enum { SLEEP_BODY = FREE_TO_NAME };
/* counters begin at OFFLINE_COUNT, which is above all tokens here; DPDK's is asked for by itself */
#define OFFLINE_COUNT 9

static const struct model_step sleep_owner[MODEL_STEPS] = {
    WRITE(SLEEP_BODY, 1), STORE(SLOT, 1, SLOT_STORE), STORE(SLOT, 0, SLOT_STORE),
    GRACE_1(1, 1),        WRITE(SLEEP_BODY, 2),       END,
};
static const struct model_step sleep_reader[MODEL_STEPS] = {
    LOAD(2, TOKEN, RELAXED),
    COPY(COUNT_1, 2, RELAXED),
    FENCE(ONLINE_FENCE),
    LOAD(0, SLOT, SLOT_LOAD),
    UNLESS(0, 1, 1),
    READ(0, SLEEP_BODY),
    EXPECT(0, 1),
    HERE(1),
    STORE(COUNT_1, OFFLINE_COUNT, OFFLINE),
    END,
};

/* --- a purge: the rule first, then its number ------------------------------------------------- */

enum { NEWEST = FREE_TO_NAME, RULE };

static const struct model_step purge_control[MODEL_STEPS] = {
    STORE(RULE, 1, RELAXED),       STORE(NEWEST, 1, PURGE_STORE),
    STORE(RULE, 2, RELAXED), /* the same once more */
    STORE(NEWEST, 2, PURGE_STORE), END,
};
static const struct model_step purge_reader[MODEL_STEPS] = {
    LOAD(0, NEWEST, PURGE_LOAD),
    LOAD(1, RULE, RELAXED),
    UNLESS(0, 1, 1),
    BELOW(1, 1, 2),
    EXPECT(1, 1), /* not seen */
    HERE(1),
    UNLESS(0, 2, 2),
    EXPECT(1, 2),
    HERE(2),
    END,
};

/* --- a rule is forgotten when its object's owner has walked by, and a grace period after that: who
 * has the new table has not found the object (SLOT is 1 at first) --------------------------------
 */

enum { TABLE = FREE_TO_NAME, FORGOTTEN, WALKED };

static const struct model_step forget_owner[MODEL_STEPS] = {
    STORE(SLOT, 0, SLOT_STORE),
    STORE(WALKED, 1, WALKED_STORE),
    END,
};
static const struct model_step forget_control[MODEL_STEPS] = {
    AGAIN(5, 0, WALKED, WALKED_LOAD),
    UNLESS(0, 1, 5),
    GRACE_1(1, 1),
    STORE(FORGOTTEN, 1, RELAXED),
    STORE(TABLE, 1, RULES_STORE),
    END,
};
#define FIND(mark)                                                                                 \
    LOAD(0, SLOT, SLOT_LOAD), LOAD(1, TABLE, RULES_LOAD), UNLESS(1, 1, mark), EXPECT(0, 0),        \
        LOAD(1, FORGOTTEN, RELAXED), EXPECT(1, 1), HERE(mark)
static const struct model_step forget_reader[MODEL_STEPS] = {
    FIND(1), QUIESCENT(COUNT_1), FIND(2), QUIESCENT(COUNT_1), FIND(3), END,
};

static const struct model_program programs[] = {
    {"look-up", {0}, {lookup_owner, lookup_reader_1, lookup_reader_2}},
    {"pins", {0}, {pinned_owner, pinned_reader_1, pinned_reader_2}},
    {"body", {0}, {body_owner, body_reader, body_reader}},
    {"overflow", {0}, {link_owner, link_reader, link_reader}},
    {"overflow returned",
     {[FIRST_CHAIN] = 1, [OWN_LINK] = 2},
     {return_owner, return_reader_1, return_reader_2}},
    {"refresh", {0}, {heir_owner, heir_reader, NULL}},
    {"purge", {0}, {purge_control, purge_reader, NULL}},
    {"forget", {[SLOT] = 1}, {forget_owner, forget_control, forget_reader}},
    {"sleep", {[COUNT_1] = OFFLINE_COUNT}, {sleep_owner, sleep_reader, NULL}},
};
#define PROGRAMS (sizeof(programs) / sizeof(programs[0]))

/* --- verdicts --------------------------------------------------------------------------------- */

static struct model_result run(const struct model_program *p, unsigned weaken)
{
    int order[ORDERS];
    for (unsigned i = 0; i < ORDERS; i++)
        order[i] = orders[i].order;
    if (weaken)
        order[weaken] = __ATOMIC_RELAXED;
    return model_run(p, order);
}

static void show(const struct model_program *p, const struct model_result *r)
{
    fprintf(stderr, "%s: %s, after", p->name, r->broken);
    for (unsigned i = 0; i < r->steps; i++)
        fprintf(stderr, " %u.%u", r->path[i] / MODEL_STEPS, r->path[i] % MODEL_STEPS);
    fprintf(stderr, " (thread.step)\n");
}

Test(barriers, as_they_are_no_interleaving_races_or_tears)
{
    for (unsigned i = 0; i < PROGRAMS; i++) {
        struct model_result r = run(&programs[i], 0);
        if (r.broken)
            show(&programs[i], &r);
        cr_expect_null(r.broken, "%s", programs[i].name);
        /* more than one after the other: they did meet */
        cr_expect_gt(r.states, 20, "%s: %lu states", programs[i].name, r.states);
    }
}

Test(barriers, each_one_weakened_is_found_out)
{
    unsigned tried = 0;
    for (unsigned weaken = 1; weaken < ORDERS; weaken++) {
        if (orders[weaken].order == __ATOMIC_RELAXED)
            continue;
        bool found = false;
        for (unsigned i = 0; i < PROGRAMS && !found; i++) {
            struct model_result r = run(&programs[i], weaken);
            found = r.broken != NULL;
        }
        cr_expect(found, "%s may be relaxed: nothing breaks", orders[weaken].name);
        tried++;
    }
    cr_expect_eq(tried, 23);
}

/* Steps in another order than the code's. */
Test(barriers, and_so_is_a_step_too_early)
{
    const struct model_step length_first[MODEL_STEPS] = {
        LOAD(1, READY, READY_LOAD),
        LOAD(0, STATE, STATE_LOAD),
        UNLESS(0, 1, 1),
        EXPECT(1, 3),
        HERE(1),
        END,
    };
    const struct model_step no_grace[MODEL_STEPS] = {
        WRITE(PINNED_BODY, 1), STORE(SLOT, 1, SLOT_STORE), STORE(SLOT, 0, SLOT_STORE),
        DRAIN(PINNED_PINS, 5), WRITE(PINNED_BODY, 2),      END,
    };
    const struct model_step token_first[MODEL_STEPS] = {
        WRITE(SLEEP_BODY, 1),
        STORE(SLOT, 1, SLOT_STORE),
        ADD(TOKEN, 1, TOKEN_ADD),
        STORE(SLOT, 0, SLOT_STORE),
        AGAIN(1, 0, COUNT_1, REPORT_LOAD),
        BELOW(0, 1, 2),
        GO(1),
        HERE(2),
        WRITE(SLEEP_BODY, 2),
        END,
    };
    const struct model_step awake[MODEL_STEPS] = {
        QUIESCENT(COUNT_1), LOAD(0, SLOT, SLOT_LOAD),
        UNLESS(0, 1, 1),    READ(0, SLEEP_BODY),
        EXPECT(0, 1),       HERE(1),
        QUIESCENT(COUNT_1), END,
    };
    const struct model_step bucket_at_once[MODEL_STEPS] = {
        STORE(FIRST_CHAIN, 2, LINK_STORE),
        STORE(OWN_LINK, 0, RELAXED),
        STORE(SECOND_CHAIN, 1, LINK_STORE),
        END,
    };
    const struct model_program early[] = {
        {"no grace period for a bucket",
         {[FIRST_CHAIN] = 1, [OWN_LINK] = 2},
         {bucket_at_once, return_reader_1, NULL}},
        {"length before state", {0}, {body_owner, length_first, NULL}},
        {"no grace period", {0}, {no_grace, pinned_reader_1, NULL}},
        {"token before unlinking", {0}, {token_first, awake, NULL}},
    };
    for (unsigned i = 0; i < sizeof(early) / sizeof(early[0]); i++)
        cr_expect_not_null(run(&early[i], 0).broken, "%s", early[i].name);
    const struct model_program in_order = {"awake", {0}, {sleep_owner, awake, NULL}};
    cr_expect_null(run(&in_order, 0).broken);
}

/* --- the model itself: shapes of which the standard says what may happen ---------------------- */

enum { X, Y };
static const int all_orders[] = {__ATOMIC_RELAXED, __ATOMIC_RELEASE, __ATOMIC_ACQUIRE,
                                 __ATOMIC_SEQ_CST};

static const char *litmus(const struct model_step *a, const struct model_step *b,
                          const struct model_step *c)
{
    struct model_program p = {"litmus", {0}, {a, b, c}};
    return model_run(&p, all_orders).broken;
}

Test(model, a_message_passes_by_release_and_acquire_only)
{
    for (uint8_t release = 0; release < 2; release++) {
        for (uint8_t acquire = 0; acquire < 2; acquire++) {
            const struct model_step writer[MODEL_STEPS] = {STORE(X, 1, 0), STORE(Y, 1, release),
                                                           END};
            const struct model_step reader[MODEL_STEPS] = {LOAD(0, Y, acquire ? 2 : 0),
                                                           UNLESS(0, 1, 1),
                                                           LOAD(1, X, 0),
                                                           EXPECT(1, 1),
                                                           HERE(1),
                                                           END};
            cr_expect_eq(litmus(writer, reader, NULL) == NULL, release && acquire);
        }
    }
}

Test(model, two_stores_are_buffered_unless_fenced_on_both_sides)
{
    /* the last thread waits for both to say 1: that they saw 0 of each other */
    for (uint8_t fences = 0; fences < 4; fences++) {
        const struct model_step left[MODEL_STEPS] = {STORE(X, 1, 0),
                                                     FENCE(fences & 1 ? 3 : 0),
                                                     LOAD(0, Y, 0),
                                                     UNLESS(0, 0, 1),
                                                     STORE(2, 1, 0),
                                                     HERE(1),
                                                     END};
        const struct model_step right[MODEL_STEPS] = {STORE(Y, 1, 0),
                                                      FENCE(fences & 2 ? 3 : 0),
                                                      LOAD(0, X, 0),
                                                      UNLESS(0, 0, 1),
                                                      STORE(3, 1, 0),
                                                      HERE(1),
                                                      END};
        const struct model_step judge[MODEL_STEPS] = {LOAD(0, 2, 0),
                                                      UNLESS(0, 1, 1),
                                                      LOAD(1, 3, 0),
                                                      UNLESS(1, 1, 1),
                                                      EXPECT(1, 0),
                                                      HERE(1),
                                                      END};
        cr_expect_eq(litmus(left, right, judge) == NULL, fences == 3);
    }
}

Test(model, a_location_is_coherent_and_an_addition_goes_on_with_a_release)
{
    const struct model_step counter[MODEL_STEPS] = {STORE(X, 1, 0), STORE(X, 2, 0), END};
    const struct model_step backwards[MODEL_STEPS] = {LOAD(0, X, 0), UNLESS(0, 2, 1), LOAD(1, X, 0),
                                                      EXPECT(1, 2),  HERE(1),         END};
    cr_expect_null(litmus(counter, backwards, NULL));

    const struct model_step writer[MODEL_STEPS] = {WRITE(X, 1), ADD(Y, 1, 1), END};
    const struct model_step adder[MODEL_STEPS] = {ADD(Y, 1, 0), END};
    const struct model_step reader[MODEL_STEPS] = {LOAD(0, Y, 2), UNLESS(0, 2, 1), READ(1, X),
                                                   EXPECT(1, 1),  HERE(1),         END};
    cr_expect_null(litmus(writer, adder, reader));
}

Test(model, plain_accesses_race)
{
    const struct model_step writer[MODEL_STEPS] = {WRITE(X, 1), END};
    const struct model_step reader[MODEL_STEPS] = {READ(0, X), END};
    const struct model_step loader[MODEL_STEPS] = {LOAD(0, X, 2), END};
    const struct model_step storer[MODEL_STEPS] = {STORE(X, 1, 1), END};
    cr_expect_not_null(litmus(writer, reader, NULL));
    cr_expect_not_null(litmus(writer, writer, NULL));
    cr_expect_not_null(litmus(writer, loader, NULL));
    cr_expect_not_null(litmus(reader, storer, NULL));
    cr_expect_null(litmus(loader, storer, NULL));
    cr_expect_null(litmus(reader, reader, loader));
}
