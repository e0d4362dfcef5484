/* SPDX-License-Identifier: BSD-3-Clause */
#include "dataplane/proxy/peer.h"

#include <string.h>

#include "base/cursor.h"

static int hex_digit(char c)
{
    return c >= '0' && c <= '9' ? c - '0' : c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* Takes exactly 2 * n lower-case hex digits; false when they aren't there. */
static bool take_hex(struct http_text *t, uint8_t *out, size_t n)
{
    if (t->len < 2 * n)
        return false;
    for (size_t i = 0; i < n; i++) {
        int hi = hex_digit(t->p[2 * i]), lo = hex_digit(t->p[2 * i + 1]);
        if (hi < 0 || lo < 0)
            return false;
        out[i] = (uint8_t)(hi << 4 | lo);
    }
    t->p += 2 * n;
    t->len -= (uint32_t)(2 * n);
    return true;
}

static bool take_text(struct http_text *t, const char *text)
{
    size_t n = strlen(text);
    if (t->len < n || memcmp(t->p, text, n) != 0)
        return false;
    t->p += n;
    t->len -= (uint32_t)n;
    return true;
}

static uint64_t load64(const uint8_t b[8])
{
    struct reader r = reader_of(b, 8);
    return read_u64(&r);
}

bool peer_field_parse(struct http_text v, struct peer_field *out)
{
    uint8_t nonce[8];
    memset(out, 0, sizeof(*out));
    if (!take_text(&v, "v=1; node=") || !take_hex(&v, out->node.b, DHT_ID_BYTES) ||
        !take_text(&v, "; key=") || !take_hex(&v, &out->key_id, 1) || !take_text(&v, "; nonce=") ||
        !take_hex(&v, nonce, sizeof(nonce)))
        return false;
    out->nonce = load64(nonce);
    if (take_text(&v, "; path=")) {
        do {
            if (out->path_len == DHT_PATH_MAX ||
                !take_hex(&v, out->path[out->path_len].b, DHT_ID_BYTES))
                return false;
            out->path_len++;
        } while (take_text(&v, "."));
    }
    return take_text(&v, "; mac=") && take_hex(&v, out->mac, sizeof(out->mac)) && v.len == 0;
}

static void write_hex(struct writer *w, const uint8_t *data, size_t n)
{
    static const char digit[] = "0123456789abcdef";
    for (size_t i = 0; i < n; i++) {
        write_u8(w, (uint8_t)digit[data[i] >> 4]);
        write_u8(w, (uint8_t)digit[data[i] & 15]);
    }
}

static void write_text(struct writer *w, const char *text)
{
    write_bytes(w, text, strlen(text));
}

size_t peer_field_write(const struct peer_field *f, char *out, size_t room)
{
    struct writer w = writer_of(out, room);
    uint8_t nonce[8];
    struct writer n = writer_of(nonce, sizeof(nonce));
    write_u64(&n, f->nonce);

    write_text(&w, "Coral-Peer: v=1; node=");
    write_hex(&w, f->node.b, DHT_ID_BYTES);
    write_text(&w, "; key=");
    write_hex(&w, &f->key_id, 1);
    write_text(&w, "; nonce=");
    write_hex(&w, nonce, sizeof(nonce));
    for (unsigned i = 0; i < f->path_len; i++) {
        write_text(&w, i ? "." : "; path=");
        write_hex(&w, f->path[i].b, DHT_ID_BYTES);
    }
    write_text(&w, "; mac=");
    write_hex(&w, f->mac, sizeof(f->mac));
    write_text(&w, "\r\n");
    return w.bad ? 0 : room - writer_left(&w);
}

/* The bytes under the MAC; 0 when they don't fit (a URL that no node would accept). */
static size_t claim_write(const struct peer_claim *c, const struct peer_field *f, uint8_t *out,
                          size_t room)
{
    struct writer w = writer_of(out, room);
    write_text(&w, c->answer ? "answer\n" : "ask\n");
    write_bytes(&w, f->node.b, DHT_ID_BYTES);
    write_u64(&w, f->nonce);
    if (c->answer) {
        write_u8(&w, f->path_len);
        for (unsigned i = 0; i < f->path_len; i++)
            write_bytes(&w, f->path[i].b, DHT_ID_BYTES);
        write_u16(&w, c->status);
        write_u64(&w, c->version);
    } else {
        write_text(&w, c->method);
    }
    write_text(&w, "\n");
    write_bytes(&w, c->url.p, c->url.len);
    write_text(&w, "\n");
    if (!c->answer) {
        write_bytes(&w, c->range.p, c->range.len);
        write_text(&w, "\n");
    }
    return w.bad ? 0 : room - writer_left(&w);
}

void peer_sign(struct dht_mac *mac, const struct peer_claim *c, struct peer_field *f)
{
    uint8_t data[HTTP_URL_MAX + 512];
    size_t n = claim_write(c, f, data, sizeof(data));
    f->key_id = dht_mac_key_id(mac);
    dht_mac_sign(mac, data, n, f->mac);
}

bool peer_verify(struct dht_mac *mac, const struct peer_claim *c, const struct peer_field *f)
{
    uint8_t data[HTTP_URL_MAX + 512];
    size_t n = claim_write(c, f, data, sizeof(data));
    return n > 0 && dht_mac_verify(mac, f->key_id, data, n, f->mac);
}

bool peer_on_path(const struct dht_id *path, unsigned n, const struct dht_id *node)
{
    for (unsigned i = 0; i < n; i++)
        if (memcmp(path[i].b, node->b, DHT_ID_BYTES) == 0)
            return true;
    return false;
}
