/* SPDX-License-Identifier: BSD-3-Clause */
/* Contacts by number: found again, given up only when in no table, the longest unheard first. */
#include <criterion/criterion.h>

#include "dht/book.h"
#include "dht/id.h"

static const uint8_t seed[32] = {1};

static struct dht_contact contact(unsigned i)
{
    struct dht_contact c = {.rpc = {addr_v4(0x0a000000 + i), 8053}};
    c.id = dht_node_id(&c.rpc);
    return c;
}

static struct now at(unsigned s)
{
    return (struct now){1000000ull * s, 0};
}

static uint32_t take(struct dht_book *b, unsigned i, unsigned s, uint32_t *gone)
{
    struct dht_contact c = contact(i);
    return book_take(b, &c, gone, at(s));
}

Test(book, a_contact_keeps_its_number)
{
    struct dht_book *b = dht_book_create(100, seed);
    uint32_t number[100], gone;
    for (unsigned i = 0; i < 100; i++) {
        struct dht_id id = contact(i).id;
        cr_assert_eq(book_find(b, &id), BOOK_NONE);
        number[i] = take(b, i, i, &gone);
        cr_assert(number[i] < 100 && gone == BOOK_NONE);
        for (unsigned j = 0; j < i; j++)
            cr_assert_neq(number[i], number[j]);
    }
    for (unsigned i = 0; i < 100; i++) {
        struct dht_id id = contact(i).id;
        cr_assert_eq(book_find(b, &id), number[i]);
        cr_assert_eq(take(b, i, 200, &gone), number[i]);
        cr_assert_eq(gone, BOOK_NONE);
    }
    dht_book_destroy(b);
}

Test(book, the_one_unheard_for_longest_makes_room_unless_it_is_in_a_table)
{
    struct dht_book *b = dht_book_create(10, seed);
    uint32_t number[10], gone;
    for (unsigned i = 0; i < 10; i++)
        number[i] = take(b, i, 100 - i, &gone);
    b->note[number[9]].tables = 1;
    take(b, 8, 300, &gone);
    uint32_t made = take(b, 77, 301, &gone);
    cr_assert_eq(gone, number[7], "9 is in a table, 8 was heard just now");
    cr_assert_eq(made, gone, "it has the number now");
    struct dht_id old = contact(7).id, new = contact(77).id;
    cr_assert_eq(book_find(b, &old), BOOK_NONE);
    cr_assert_eq(book_find(b, &new), made);
    cr_assert(id_eq(&b->contact[made].id, &new));
    for (unsigned i = 0; i < 10; i++)
        b->note[i].tables = 1;
    cr_assert_eq(take(b, 78, 302, &gone), BOOK_NONE, "all are in tables");
    cr_assert_eq(gone, BOOK_NONE);
    cr_assert_eq(take(b, 77, 303, &gone), made, "who is known is found");
    dht_book_destroy(b);
}

Test(book, who_comes_in_another_s_place_has_no_past)
{
    struct dht_book *b = dht_book_create(1, seed);
    struct dht_sender who = {.incarnation = 9, .sequence = 9};
    uint32_t gone, first = take(b, 1, 1, &gone);
    cr_assert(book_fresh(b, first, &who, false));
    cr_assert_eq(take(b, 2, 2, &gone), first);
    who.incarnation = 1;
    cr_assert(book_fresh(b, first, &who, false));
    dht_book_destroy(b);
}

Test(book, late_packets_of_an_older_incarnation_or_sequence_are_not_fresh)
{
    struct dht_book *b = dht_book_create(4, seed);
    uint32_t gone, peer = take(b, 1, 1, &gone);
    static const struct {
        uint32_t incarnation;
        uint16_t sequence;
        bool fresh;
    } step[] = {
        {5, 10, true}, {5, 10, true},     {5, 9, false},         {5, 11, true}, {4, 12, false},
        {6, 0, true},  {6, 0x7fff, true}, {6, 0xfffe, true},     {6, 3, true},  {6, 0xffff, false},
        {6, 4, true},  {5, 5, false},     {0xffffffff, 0, true},
    };
    for (unsigned i = 0; i < sizeof(step) / sizeof(step[0]); i++) {
        struct dht_sender who = {.incarnation = step[i].incarnation, .sequence = step[i].sequence};
        cr_assert_eq(book_fresh(b, peer, &who, false), step[i].fresh, "step %u", i);
    }
    /* it says that it comes from the end of time; what it answers us is of now */
    struct dht_sender now = {.incarnation = 7};
    cr_assert_not(book_fresh(b, peer, &now, false));
    cr_assert(book_fresh(b, peer, &now, true));
    cr_assert(book_fresh(b, peer, &now, false));
    dht_book_destroy(b);
}

/* Against a list of who was taken last under each number. */
Test(book, finds_whom_it_has_and_nobody_else_whatever_comes_and_goes)
{
    struct rng rng;
    struct dht_book *b = dht_book_create(50, seed);
    unsigned owner[50], made = 0;
    rng_init_u64(&rng, 3);
    for (unsigned step = 0; step < 5000; step++) {
        unsigned i = rng_below(&rng, 150);
        uint32_t gone, peer = take(b, i, step, &gone);
        cr_assert_neq(peer, BOOK_NONE);
        if (peer == made)
            made++;
        else if (gone == BOOK_NONE)
            cr_assert_eq(owner[peer], i, "step %u", step);
        else
            cr_assert(gone == peer && b->note[peer].tables == 0);
        owner[peer] = i;
        b->note[rng_below(&rng, 50)].tables = (uint16_t)rng_below(&rng, 2);
        b->note[step % 50].tables = 0;
        for (unsigned j = 0; step % 100 == 0 && j < 150; j++) {
            struct dht_id id = contact(j).id;
            uint32_t found = book_find(b, &id), want = BOOK_NONE;
            for (unsigned k = 0; k < made; k++)
                if (owner[k] == j)
                    want = k;
            cr_assert_eq(found, want, "step %u, contact %u", step, j);
        }
    }
    cr_assert_eq(made, 50);
    dht_book_destroy(b);
}

Test(book, of_more_contacts_than_24_bits_number_is_none)
{
    cr_assert_null(dht_book_create((1u << 24) + 1, seed));
}
