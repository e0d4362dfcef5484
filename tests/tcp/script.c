/* SPDX-License-Identifier: BSD-3-Clause */
/* The lines of a script: times, segments, verbs and assertions. */
#include "tests/tcp/script.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/tcp/script_play.h"

#define EARLY_US    2000u /* how far off a time may be: deadlines count in milliseconds */
#define LATE_US     4000u
#define SOME_DAY_US 600000000u

struct span {
    uint64_t from_us, to_us;
    bool given;
};

struct script *script_new(void)
{
    struct script *p = calloc(1, sizeof(*p));
    p->config = tcp_config_default();
    p->config.connections = 16;
    p->config.blocks = 256;
    p->config.receive_window_bytes = 65535; /* so that windows read as they are */
    p->config.time_wait_ms = 10000;
    p->config.syn_retries = 4;
    p->config.data_retries = 8;
    p->config.idle_timeout_ms = 0;
    p->start_us = p->last_us = 5000000;
    p->our_port = 80;
    p->peer_port = 4000;
    p->base.peer = 1000000;
    p->app.appetite = KEPT_ALL;
    return p;
}

void script_free(struct script *p)
{
    tcp_destroy(p->engine);
    free(p);
}

const char *script_error(const struct script *p)
{
    return p->error;
}

unsigned script_outputs(const struct script *p, const struct script_output **out)
{
    *out = p->output;
    return p->outputs;
}

void script_take(struct script *p)
{
    p->outputs = 0;
}

const struct script_base *script_base(const struct script *p)
{
    return &p->base;
}

const char *script_state(const struct script *p)
{
    return look_state(p);
}

int64_t script_received(const struct script *p)
{
    return p->app.got;
}

void script_run(struct script *p, uint64_t us)
{
    play_until(p, p->now.mono_us + us);
}

bool script_end(struct script *p)
{
    return script_silent(p) && p->error[0] == '\0';
}

static uint64_t micros(const char *text)
{
    return (uint64_t)(strtod(text, NULL) * 1e6 + 0.5);
}

/* Takes the time off the front of a line. */
static char *time_read(struct script *p, char *line, struct span *t)
{
    *t = (struct span){p->now.mono_us, p->now.mono_us + LATE_US, false};
    char *end = strchr(line, ' ');
    if (!end || !strchr("0123456789+~*", *line))
        return line;
    *end = '\0';
    t->given = true;
    if (*line == '*') {
        t->to_us = p->now.mono_us + SOME_DAY_US;
    } else if (*line == '~') {
        char *to = strchr(line, '-');
        t->from_us = p->start_us + micros(line + 1);
        t->to_us = p->start_us + (to ? micros(to + 1) : 0);
    } else {
        uint64_t at = *line == '+' ? p->last_us + micros(line + 1) : p->start_us + micros(line);
        t->from_us = at > EARLY_US ? at - EARLY_US : 0;
        t->to_us = at + LATE_US;
        p->last_us = at;
    }
    return end + 1;
}

/* Moves the clock to a line that acts, or asserts that nothing comes before. */
static bool move(struct script *p, const struct span *t)
{
    if (!t->given)
        return script_silent(p);
    play_settle(p);
    play_until(p, p->last_us);
    return script_silent(p);
}

static bool expect(struct script *p, const struct span *t, char *text)
{
    struct script_segment want;
    const char *why;
    char copy[256], got[256];
    snprintf(copy, sizeof(copy), "%s", text);
    if (!script_segment_read(&want, text, &why))
        return play_fail(p, "not a segment: %s", why);
    play_settle(p);
    play_until_output(p, t->to_us);
    if (p->error[0])
        return false;
    if (p->outputs == 0)
        return play_fail(p, "nothing was sent; wanted > %s", copy);
    struct script_output o = p->output[0];
    memmove(&p->output[0], &p->output[1], --p->outputs * sizeof(o));
    script_segment_print(&p->base, &o.out, got, sizeof(got));
    const char *differs = script_segment_differs(&want, &p->base, &o.out);
    if (differs)
        return play_fail(p, "%s differs; wanted > %s, got > %s", differs, copy, got);
    if (t->given && (o.at_us < t->from_us || o.at_us > t->to_us))
        return play_fail(p, "sent at %.3f: > %s", (double)(o.at_us - p->start_us) / 1e6, got);
    if (o.out.dport != p->peer_port || o.out.sport != p->our_port)
        return play_fail(p, "ports %u to %u: > %s", o.out.sport, o.out.dport, got);
    return true;
}

static bool feed(struct script *p, const struct span *t, char *text, bool more)
{
    struct script_segment s;
    const char *why;
    if (!script_segment_read(&s, text, &why))
        return play_fail(p, "not a segment: %s", why);
    if (!play_start(p, false) || !move(p, t))
        return false;
    play_feed(p, &s, more);
    if (!more)
        play_settle(p);
    return p->error[0] == '\0';
}

static bool config(struct script *p, const char *name, uint32_t n)
{
    struct tcp_config *c = &p->config;
    const struct {
        const char *name;
        uint32_t *field;
    } fields[] = {
        {"window", &c->receive_window_bytes}, {"time_wait_ms", &c->time_wait_ms},
        {"syn_retries", &c->syn_retries},     {"data_retries", &c->data_retries},
        {"idle_ms", &c->idle_timeout_ms},     {"queue", &c->send_queue_bytes},
        {"keepalive_ms", &c->keepalive_ms},   {"floor", &c->floor_bytes_s},
        {"connections", &c->connections},     {"blocks", &c->blocks},
        {"syn_entries", &c->syn_entries},     {"time_wait_records", &c->time_wait_records},
        {"burst", &c->burst_bytes},
    };
    for (size_t i = 0; i < sizeof(fields) / sizeof(fields[0]); i++) {
        if (strcmp(fields[i].name, name) == 0) {
            *fields[i].field = n;
            return true;
        }
    }
    if (strcmp(name, "mss") == 0)
        c->mss_v4 = c->mss_v6 = (uint16_t)n;
    else if (strcmp(name, "v6") == 0)
        p->v6 = n;
    else
        return play_fail(p, "no such setting: %s", name);
    return true;
}

/* What is set before the engine runs. */
static bool setting(struct script *p, const char *verb, const char *a, const char *b, bool *known)
{
    *known = true;
    if (strcmp(verb, "config") == 0)
        return config(p, a, (uint32_t)strtoul(b, NULL, 0));
    if (strcmp(verb, "iss") == 0) {
        p->base.peer = (uint32_t)strtoul(a, NULL, 0);
    } else if (strcmp(verb, "ouriss") == 0) {
        p->ouriss = (uint32_t)strtoul(a, NULL, 0);
        p->ouriss_given = true;
    } else if (strcmp(verb, "port") == 0) {
        p->peer_port = (uint16_t)strtoul(a, NULL, 0);
    } else if (strcmp(verb, "rebase") == 0) {
        p->base = (struct script_base){.ours_before = p->base.ours, .peer = p->base.peer};
        if (*a)
            p->base.peer += (uint32_t)strtoul(a, NULL, 0);
    } else if (strcmp(verb, "autots") == 0) {
        p->auto_ts = true;
    } else if (strcmp(verb, "drain") == 0) {
        play_settle(p);
        p->outputs = 0;
    } else {
        *known = false;
    }
    return true;
}

static void read_verb(struct script *p, const char *a)
{
    if (strcmp(a, "stop") == 0)
        p->app.appetite = 0;
    else
        p->app.appetite = strcmp(a, "all") == 0 ? KEPT_ALL : (int32_t)strtol(a, NULL, 0);
    if (p->app.stream && p->app.appetite > 0)
        stream_resume(p->app.stream);
}

static void warm(struct script *p, unsigned n)
{
    uint32_t at = p->app.got;
    for (unsigned i = 0; i < n; i++) {
        struct script_segment s = {.flags = TCP_ACK, .len = 1460};
        s.seq = (struct script_number){.given = true, .value = 1 + (int64_t)at + i * 1460};
        s.ack = (struct script_number){.given = true, .value = 1 + (int64_t)p->app.sent};
        play_feed(p, &s, false);
        play_settle(p);
        p->outputs = 0;
    }
}

static void grow(struct script *p, unsigned n)
{
    for (unsigned i = 0; i < n; i++) {
        play_until(p, p->now.mono_us + 50000);
        struct script_segment s = {.flags = TCP_ACK};
        s.seq = (struct script_number){.given = true, .value = 1 + (int64_t)p->app.got};
        s.ack =
            (struct script_number){.given = true, .value = (uint32_t)(p->base.sent - p->base.ours)};
        s.win = (struct script_number){.given = true, .value = p->base.window};
        play_feed(p, &s, false);
        play_settle(p);
        p->outputs = 0;
    }
    play_until(p, p->now.mono_us + 40000); /* what is paced has gone when the next ACK is near */
    p->outputs = 0;
    p->last_us = p->now.mono_us;
}

/* What the application does. */
static bool act(struct script *p, const char *verb, const char *a, bool *known)
{
    *known = true;
    if (strcmp(verb, "listen") == 0) {
        p->listening = true;
        return play_start(p, false) && play_listen(p);
    }
    if (strcmp(verb, "connect") == 0) {
        if (!play_start(p, true) || !play_connect(p))
            return false;
    } else if (strcmp(verb, "send") == 0) {
        play_send(p, (uint32_t)strtoul(a, NULL, 0));
    } else if (strcmp(verb, "shut") == 0 && p->app.stream) {
        stream_shut(p->app.stream);
    } else if (strcmp(verb, "abort") == 0 && p->app.stream) {
        stream_abort(p->app.stream);
    } else if (strcmp(verb, "read") == 0) {
        read_verb(p, a);
    } else if (strcmp(verb, "refuse") == 0) {
        p->refuse = strcmp(a, "on") == 0;
    } else if (strcmp(verb, "deaf") == 0) {
        p->listening = false;
        tcp_listen_stop(p->engine);
    } else if (strcmp(verb, "warm") == 0) {
        warm(p, (unsigned)strtoul(a, NULL, 0));
    } else if (strcmp(verb, "grow") == 0) {
        grow(p, (unsigned)strtoul(a, NULL, 0));
    } else {
        *known = false;
        return true;
    }
    play_settle(p);
    return p->error[0] == '\0';
}

/* passive OPTIONS | THIRD, active OPTIONS | THIRD: a handshake with a round trip of 100 ms; what
 * the peer's SYN carries, and what its first segment after that does. */
static bool handshake(struct script *p, bool passive, char *text)
{
    char third[256] = "", lines[5][300];
    char *bar = strchr(text, '|');
    if (bar) {
        snprintf(third, sizeof(third), "%s", bar + 1);
        *bar = '\0';
    }
    snprintf(lines[0], sizeof(lines[0]), "%s", passive ? "listen" : "connect");
    if (passive) {
        snprintf(lines[1], sizeof(lines[1]), "0.000 < S 0(0) %s", text);
        snprintf(lines[2], sizeof(lines[2]), "> S. 0(0) ack 1");
        snprintf(lines[3], sizeof(lines[3]), "0.100 < . 1(0) ack 1 %s", third);
    } else {
        snprintf(lines[1], sizeof(lines[1]), "0.000 > S 0(0)");
        snprintf(lines[2], sizeof(lines[2]), "0.100 < S. 0(0) ack 1 %s", text);
        snprintf(lines[3], sizeof(lines[3]), "> . 1(0) ack 1");
    }
    snprintf(lines[4], sizeof(lines[4]), "0.100 < . 1(0) ack 1 %s", third);
    for (unsigned i = 0; i < (!passive && bar ? 5 : 4); i++)
        if (!script_line(p, lines[i]))
            return false;
    return p->app.accepted || p->app.opened || play_fail(p, "not open");
}

bool script_line(struct script *p, const char *text)
{
    char line[512];
    snprintf(line, sizeof(line), "%s", text);
    line[strcspn(line, "#\r\n")] = '\0';
    char *at = line + strspn(line, " \t");
    if (*at == '\0')
        return true;
    struct span t;
    at = time_read(p, at, &t);
    at += strspn(at, " ");
    if (*at == '>')
        return expect(p, &t, at + 1);
    if (at[0] == '<' && at[1] == '+')
        return feed(p, &t, at + 2, true);
    if (*at == '<')
        return feed(p, &t, at + 1, false);
    if (strncmp(at, "passive", 7) == 0 || strncmp(at, "active", 6) == 0)
        return handshake(p, *at == 'p', at + strcspn(at, " "));
    char *save, *word[4];
    for (unsigned i = 0; i < 4; i++) {
        word[i] = strtok_r(i ? NULL : at, " \t", &save);
        if (!word[i])
            word[i] = line + strlen(line);
    }
    bool known;
    if (!setting(p, word[0], word[1], word[2], &known) || known)
        return p->error[0] == '\0';
    if (!p->engine && !play_start(p, strcmp(word[0], "connect") == 0))
        return play_fail(p, "no engine");
    if (t.given && !move(p, &t))
        return false;
    if (!act(p, word[0], word[1], &known) || known)
        return p->error[0] == '\0';
    play_settle(p);
    return script_assert(p, word[0], word[1], word[2], word[3]) && p->error[0] == '\0';
}
