/* SPDX-License-Identifier: BSD-3-Clause */
/* The test vectors of docs/wire.md: the document and the code say the same. */
#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>

#include "dht/id.h"
#include "vector.h"

#define TEXT 4096

/* A block of the document, taken apart. */
struct vector {
    char name[64], fields[TEXT];
    struct endpoint source;
    uint8_t secret[16], packet[RPC_MOST];
    size_t fields_len, len;
};

static size_t read_hex(const char *text, uint8_t *out, size_t room)
{
    size_t n = 0;
    unsigned byte;
    while (sscanf(text + 2 * n, "%2x", &byte) == 1) {
        cr_assert_lt(n, room);
        out[n++] = (uint8_t)byte;
    }
    return n;
}

static void take_line(struct vector *v, const char *line)
{
    char ip[64];
    unsigned port;
    if (sscanf(line, "name %63s", v->name) == 1)
        return;
    if (sscanf(line, "source %63s %u", ip, &port) == 2) {
        cr_assert(addr_parse(ip, &v->source.ip), "%s", v->name);
        v->source.port = (uint16_t)port;
    } else if (strncmp(line, "secret ", 7) == 0) {
        cr_assert_eq(read_hex(line + 7, v->secret, 16), 16, "%s", v->name);
    } else if (strncmp(line, "packet ", 7) == 0) {
        v->len += read_hex(line + 7, v->packet + v->len, sizeof(v->packet) - v->len);
    } else {
        cr_assert_lt(v->fields_len + strlen(line), sizeof(v->fields));
        strcpy(v->fields + v->fields_len, line);
        v->fields_len += strlen(line);
    }
}

/* The next vector block; false: there is none. */
static bool next_vector(FILE *f, struct vector *v)
{
    char line[512];
    memset(v, 0, sizeof(*v));
    while (fgets(line, sizeof(line), f))
        if (strcmp(line, "```vector\n") == 0)
            break;
    while (fgets(line, sizeof(line), f)) {
        if (strcmp(line, "```\n") == 0)
            return true;
        take_line(v, line);
    }
    return false;
}

static struct dht_mac *mac_of(const struct vector *v, uint8_t key_id)
{
    struct dht_keys keys = {.n = 1, .key[0].id = key_id};
    memcpy(keys.key[0].key, v->secret, 16);
    return dht_mac_create(&keys);
}

static void check(const struct vector *v, struct rpc *r)
{
    char fields[TEXT];
    uint8_t again[RPC_MOST];
    cr_assert_eq(rpc_read(v->packet, v->len, &v->source, r), RPC_OK, "%s", v->name);
    vector_fields(r, fields, sizeof(fields));
    cr_assert_str_eq(fields, v->fields, "%s: the packet says\n%s", v->name, fields);
    struct dht_id id = dht_node_id(&v->source);
    cr_assert(id_eq(&id, &r->from.contact.id), "%s: the sender is its address's hash", v->name);

    struct dht_mac *mac = mac_of(v, r->key_id);
    const uint8_t *tag = v->packet + v->len - RPC_TAG;
    cr_assert(dht_mac_verify(mac, r->key_id, v->packet, v->len - RPC_TAG, tag), "%s", v->name);
    cr_assert_eq(rpc_write(r, again, sizeof(again)), v->len, "%s", v->name);
    dht_mac_sign(mac, again, v->len - RPC_TAG, again + v->len - RPC_TAG);
    cr_assert_arr_eq(again, v->packet, v->len, "%s: written again", v->name);
    dht_mac_destroy(mac);
}

Test(wire, each_vector_of_the_document_is_read_checked_and_written_again)
{
    FILE *f = fopen(WIRE_DOCUMENT, "r");
    cr_assert_not_null(f, "%s", WIRE_DOCUMENT);
    struct vector v;
    struct rpc r;
    unsigned vectors = 0, asked = 0, replied = 0, v4 = 0, v6 = 0, cmac = 0, siphash = 0;
    for (; next_vector(f, &v); vectors++) {
        check(&v, &r);
        if (r.flags & RPC_REPLY)
            replied |= 1u << r.type;
        else
            asked |= 1u << r.type;
        v4 += addr_is_v4(&v.source.ip);
        v6 += !addr_is_v4(&v.source.ip);
        cmac += r.key_id < 128;
        siphash += r.key_id >= 128;
    }
    fclose(f);
    cr_assert_geq(vectors, 16);
    cr_assert_eq(asked, 0xcfe, "PING to VIA, REPORT, RELAY");
    cr_assert_eq(replied, 0xffe, "PING to RELAY");
    cr_assert(v4 && v6 && cmac && siphash);
}
