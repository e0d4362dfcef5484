/* SPDX-License-Identifier: BSD-3-Clause */
/* Fetching from another node (DESIGN decision 5). */
#include <string.h>

#include "dataplane/proxy/proxy_internal.h"

/* The name by which any node finds the same key: Coralized, the port as a label. */
static void write_host(const struct proxy *p, struct head_writer *w, const struct url_parts *url)
{
    const char *zone = p->policy->zone;
    head_printf(w, "Host: %s", url->host);
    if (url->port != 80)
        head_printf(w, zone[0] ? ".%u" : ":%u", url->port);
    head_printf(w, zone[0] ? ".%s\r\n" : "%s\r\n", zone);
}

/* Who fetches may wait for others, who has it whole can answer at once. If another has it whole,
 * too, one that does not is left for that: nothing is lost, since none of it has come yet. */
static uint64_t patience(const struct fill *f, const struct candidate *c)
{
    uint64_t rtt_us = c->rtt_us == UINT32_MAX ? PROXY_PEER_RTT_US : c->rtt_us;
    uint64_t hurry_us = PROXY_PEER_HURRY_US + 4 * rtt_us; /* a handshake, a loss in the middle */
    return c->whole && index_has_other(f) && hurry_us < PROXY_PEER_HEAD_US ? hurry_us
                                                                           : PROXY_PEER_HEAD_US;
}

bool peer_start(struct fill *f, struct candidate *c, struct now now)
{
    struct proxy *p = f->proxy;
    char head[HTTP_URL_MAX + 4096], range[64], line[PEER_FIELD_MAX];
    struct head_writer w = {head, 0, sizeof(head), false};
    struct head_writer rw = {range, 0, sizeof(range), false};
    struct url_parts url;
    const struct http_text id = head_field(f->forward, f->forward_len, "X-Request-ID");

    url_split(f->url, f->url_len, &url);
    bool ranged = slice_write_range(f, &rw);
    struct peer_field field = {.node = p->config.node_id, .nonce = rng_u64(&p->rng)};
    struct peer_claim claim = {
        .method = "GET", .url = {f->url, f->url_len}, .range = {range, (uint32_t)rw.len}};
    peer_sign(p->parts.mac, &claim, &field);
    f->nonce = field.nonce;

    head_printf(&w, "GET %.*s HTTP/1.1\r\n", (int)url.path_len, url.path);
    write_host(p, &w, &url);
    head_printf(&w,
                "User-Agent: " PROXY_PRODUCT "/" CORAL_VERSION "\r\n"
                "Via: 1.1 %s (" PROXY_PRODUCT ")\r\n",
                p->config.node_name);
    head_write(&w, line, peer_field_write(&field, line, sizeof(line)));
    if (f->tells & PROXY_REQUEST_ID)
        head_printf(&w, "X-Request-ID: %.*s\r\n", (int)id.len, id.p);
    vary_write_fields(f, &w);
    if (ranged)
        head_printf(&w, "Range: %.*s\r\n", (int)rw.len, range);
    head_write(&w, "\r\n", 2);
    if (w.bad)
        return false;

    counter_inc(&p->counters.proxy_peer_asks_total);
    f->kind = SOURCE_PEER;
    f->state = FILL_HEAD;
    forward_phase(f, SOURCE_PEER, now);
    f->source = c->http;
    f->source_node = c->node;
    f->request_s = now.wall_s;
    f->progress_us = now.mono_us;
    f->skip = 0;
    struct http_upstream to = http_upstream_one(&c->http);
    f->x = http_client_send(p->parts.client, &to, head, w.len, false, &source_events, f, now);
    f->head_us = patience(f, c);
    alarm_set(p, &f->alarm, now.mono_us + f->head_us);
    return f->x != NULL;
}

/* Is this head from the node that we asked, for what we asked, and free of us? */
bool peer_head(struct fill *f, const struct http_head *h, struct now now)
{
    struct proxy *p = f->proxy;
    const struct http_field *line = http_known(h, HTTP_CORAL_PEER);
    const struct http_field *etag = http_known(h, HTTP_ETAG);
    const struct http_field *modified = http_known(h, HTTP_LAST_MODIFIED);
    const struct http_field *range = http_known(h, HTTP_CONTENT_RANGE);
    static const struct http_text none = {"", 0};
    struct peer_field field;
    uint64_t first, last;
    int64_t length = h->framing == HTTP_BODY_NONE     ? 0
                     : h->framing == HTTP_BODY_LENGTH ? (int64_t)h->content_length
                                                      : -1;
    if (h->status == 206 && (!range || !http_content_range(range->value, &first, &last, &length)))
        length = -1;
    struct peer_claim claim = {
        .answer = true,
        .url = {f->url, f->url_len},
        .status = h->status,
        .version = head_version(
            head_validators(etag ? etag->value : none, modified ? modified->value : none), length)};
    bool authentic = line && peer_field_parse(line->value, &field) && field.nonce == f->nonce &&
                     memcmp(field.node.b, f->source_node.b, DHT_ID_BYTES) == 0 &&
                     peer_verify(p->parts.mac, &claim, &field);
    if (line && !authentic)
        counter_inc(&p->counters.proxy_peer_bad_mac_total);
    if (!authentic || field.path_len >= DHT_PATH_MAX ||
        peer_on_path(field.path, field.path_len, &p->config.node_id)) {
        /* it has nothing for us, or it would be a circle: the next one */
        counter_inc(&p->counters.proxy_peer_failures_total);
        f->source_holds = authentic || (f->source_routed && (h->status == 503 || h->status == 508));
        source_failed(f, 502, now);
        return false;
    }
    f->path[0] = field.node;
    memcpy(f->path + 1, field.path, field.path_len * sizeof(field.path[0]));
    f->path_len = field.path_len + 1;
    alarm_set(p, &f->alarm, now.mono_us + PROXY_PEER_STALL_US);
    return true;
}

/* `asker` wants to wait for our fill: would we wait for each other? While two ask each other and
 * neither has a head yet, the lower ID holds on and the higher one refuses, so one of them goes to
 * the origin and the other waits for it. */
bool peer_would_knot(const struct fill *f, const struct dht_id *asker)
{
    if (f->kind != SOURCE_PEER || f->state != FILL_HEAD ||
        memcmp(f->source_node.b, asker->b, DHT_ID_BYTES) != 0)
        return false;
    return memcmp(f->proxy->config.node_id.b, asker->b, DHT_ID_BYTES) > 0;
}
