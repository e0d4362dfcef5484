/* SPDX-License-Identifier: BSD-3-Clause */
/* What a node keeps over restarts: a file, and files that are none. */
#include "control/state.h"

#include <criterion/criterion.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "control/control.h"
#include "tests/control/golden.h"

static char folder[] = "/tmp/coral-state-XXXXXX", path[64];
static struct endpoint self, other;

static void begin(void)
{
    cr_assert(mkdtemp(folder));
    snprintf(path, sizeof(path), "%s/state.json", folder);
    cr_assert(endpoint_parse("192.0.2.10:8053", 0, &self));
    cr_assert(endpoint_parse("[2001:db8::11]:8053", 0, &other));
}

static void end(void)
{
    unlink(path);
    rmdir(folder);
}

TestSuite(state, .init = begin, .fini = end);

static struct dht_saved some(void)
{
    struct dht_saved s = {.incarnation = 4000000000u, .n = 2, .contact = {other, self}};
    s.level[1] = (struct dht_descriptor){0xfedcba9876543210, 37, 7200};
    s.level[2] = (struct dht_descriptor){1, 0, 0};
    return s;
}

/* Reads `text` as a state. */
static enum state_found read_text(const char *text, struct dht_saved *out, char why[256])
{
    int64_t saved_s;
    FILE *f = fopen(path, "w");
    fputs(text, f);
    fclose(f);
    return state_read(path, &self, out, &saved_s, why, 256);
}

Test(state, what_is_written_is_read)
{
    struct dht_saved in = some(), out;
    char why[256] = "";
    int64_t saved_s = 0;
    struct stat st;

    cr_expect_eq(state_read(path, &self, &out, &saved_s, why, sizeof(why)), STATE_NONE);
    cr_assert(state_write(path, &self, &in, 1767225600, why, sizeof(why)), "%s", why);
    in.incarnation++;
    cr_assert(state_write(path, &self, &in, 1767225601, why, sizeof(why)), "over an older one");
    cr_assert_eq(state_read(path, &self, &out, &saved_s, why, sizeof(why)), STATE_GOOD, "%s", why);
    cr_expect_eq(saved_s, 1767225601);
    cr_expect_eq(out.incarnation, 4000000001u);
    cr_expect(out.level[1].cid == 0xfedcba9876543210 && out.level[1].size == 37);
    cr_expect(out.level[1].age_s == 7200 && out.level[2].cid == 1 && out.level[0].cid == 0);
    cr_assert_eq(out.n, 2u);
    cr_expect(endpoint_eq(&out.contact[0], &other) && endpoint_eq(&out.contact[1], &self));
    char beside[80];
    snprintf(beside, sizeof(beside), "%s.new", path);
    cr_expect(stat(beside, &st) < 0, "nothing is left beside it");
}

Test(state, of_another_node_it_is_not_taken)
{
    struct dht_saved in = some(), out;
    char why[256];
    int64_t saved_s;

    cr_assert(state_write(path, &other, &in, 1767225600, why, sizeof(why)));
    cr_expect_eq(state_read(path, &self, &out, &saved_s, why, sizeof(why)), STATE_BAD);
    cr_expect(strstr(why, "another node's"), "%s", why);
    cr_expect(out.n == 0 && out.incarnation == 0);
}

#define HEAD "{\"version\": 1, \"address\": \"192.0.2.10:8053\", \"saved_s\": 5, \"incarnation\": 7"

Test(state, broken_ones_are_told_and_leave_nothing)
{
    static const struct {
        const char *text, *why;
    } all[] = {
        {"", "not a JSON object"},
        {"[]", "not a JSON object"},
        {HEAD, "not a JSON object"}, /* cut off */
        {"{}", "another version's"},
        {"{\"version\": 2, \"address\": \"192.0.2.10:8053\"}", "another version's"},
        {"{\"version\": 1}", "no address"},
        {"{\"version\": 1, \"address\": \"192.0.2.10:8053\"}", "no such number"},
        {"{\"version\": 1, \"address\": \"192.0.2.10:8053\", \"saved_s\": 5, \"incarnation\": "
         "4294967295}",
         "no such number"},
        {HEAD ", \"clusters\": [{\"level\": 0, \"cluster\": \"0123456789abcdef\"}]}", "a cluster"},
        {HEAD ", \"clusters\": [{\"level\": 3, \"cluster\": \"0123456789abcdef\"}]}", "a cluster"},
        {HEAD ", \"clusters\": [{\"level\": 1, \"cluster\": \"0123456789abcde\"}]}", "a cluster"},
        {HEAD ", \"clusters\": [{\"level\": 1, \"cluster\": \"0123456789abcdef\", \"size\": 256}]}",
         "a cluster"},
        {HEAD ", \"clusters\": [{\"level\": 1, \"cluster\": \"0123456789abcdef\", \"age_s\": -1}]}",
         "a cluster"},
        {HEAD ", \"contacts\": [\"192.0.2.11:8053\", 7]}", "a contact"},
        {HEAD ", \"contacts\": [\"192.0.2.11\"]}", "a contact"}, /* without a port */
    };
    struct dht_saved out;
    char why[256];

    cr_expect_eq(read_text(HEAD "}", &out, why), STATE_GOOD, "%s", why);
    for (size_t i = 0; i < sizeof(all) / sizeof(all[0]); i++) {
        cr_expect_eq(read_text(all[i].text, &out, why), STATE_BAD, "%s", all[i].text);
        cr_expect(strstr(why, all[i].why), "%s: %s", all[i].text, why);
        cr_expect(out.n == 0 && out.incarnation == 0 && out.level[1].cid == 0);
    }
}

Test(state, more_contacts_than_there_is_room_for_and_files_without_end)
{
    static char text[100000];
    struct dht_saved out;
    char why[256];
    size_t at = (size_t)snprintf(text, sizeof(text), HEAD ", \"contacts\": [\"192.0.2.1:1\"");

    for (unsigned i = 0; i < 2 * DHT_SAVED; i++)
        at += (size_t)snprintf(text + at, sizeof(text) - at, ", \"192.0.2.%u:1\"", i);
    snprintf(text + at, sizeof(text) - at, "]}");
    cr_expect_eq(read_text(text, &out, why), STATE_GOOD, "%s", why);
    cr_expect_eq(out.n, (unsigned)DHT_SAVED);
    memset(text, ' ', sizeof(text) - 1);
    cr_expect_eq(read_text(text, &out, why), STATE_BAD);
    cr_expect(strstr(why, "too large"), "%s", why);
}

Test(state, a_folder_that_is_not_there)
{
    struct dht_saved in = some();
    char why[256] = "";
    cr_expect(!state_write("/nonexistent/state.json", &self, &in, 5, why, sizeof(why)));
    cr_expect(strstr(why, "/nonexistent/state.json: No such file"), "%s", why);
}

/* The table of options gives what the index itself would take. */
Test(plan, the_index_has_its_own_defaults)
{
    struct config c;
    struct node_config *plan = calloc(1, sizeof(*plan));
    const struct dht_config d = dht_config_default();

    golden_good(GOLDEN_PORT, &c);
    plan_node(&c, plan);
    const struct dht_config *p = &plan->dht;
    cr_expect(p->port == d.port && p->bucket == d.bucket && p->beta == d.beta);
    cr_expect(p->levels == d.levels && p->store_keys == d.store_keys && p->lookups == d.lookups);
    cr_expect(p->rpc_timeout_ms == d.rpc_timeout_ms && p->refresh_ms == d.refresh_ms);
    cr_expect_eq(p->ping_interval_ms, d.ping_interval_ms);
    for (unsigned l = 0; l < DHT_LEVELS; l++) {
        cr_expect_eq(p->prefix_bits[l], d.prefix_bits[l], "level %u", l);
        cr_expect_eq(p->cluster[l].threshold_us, d.cluster[l].threshold_us, "level %u", l);
        cr_expect_eq(p->cluster[l].tick_s, d.cluster[l].tick_s, "level %u", l);
        cr_expect_eq(p->cluster[l].fast_tick_s, d.cluster[l].fast_tick_s, "level %u", l);
    }
    config_free(&c);
    golden_good(GOLDEN_PORT "cluster: {reconsider: 5s, rtt_regional: 5ms, levels: 2}\n", &c);
    plan_node(&c, plan);
    cr_expect(p->cluster[1].tick_s == 5 && p->cluster[1].fast_tick_s == 5 && p->levels == 2);
    cr_expect(p->cluster[2].threshold_us == 5000 && p->cluster[1].threshold_us == 60000);
    config_free(&c);
    free(plan);
}
