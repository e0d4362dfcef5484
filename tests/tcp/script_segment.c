/* SPDX-License-Identifier: BSD-3-Clause */
/* Segments of a script: read from text, written to the wire, compared with what the engine sent. */
#include "tests/tcp/script.h"

#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/cursor.h"

#define FLAG_LETTERS "FSRP.UEW" /* by bit */

uint8_t script_byte(bool ours, uint32_t at)
{
    return (uint8_t)(at * 31u + (at >> 8) * 7u + (ours ? 5u : 101u));
}

static bool number_read(struct script_number *n, const char *text)
{
    char *end;
    *n = (struct script_number){.given = true};
    if (strcmp(text, "*") == 0) {
        n->any = true;
        return true;
    }
    if (*text == '=') {
        n->absolute = true;
        text++;
    }
    n->value = strtoll(text, &end, 0);
    return end != text && *end == '\0';
}

static bool flags_read(uint8_t *flags, const char *text)
{
    *flags = 0;
    if (strcmp(text, "-") == 0)
        return true;
    for (; *text; text++) {
        const char *at = strchr(FLAG_LETTERS, *text);
        if (!at)
            return false;
        *flags |= (uint8_t)(1u << (at - FLAG_LETTERS));
    }
    return true;
}

/* SEQ(LEN) or SEQ:END(LEN) */
static bool range_read(struct script_segment *s, char *text)
{
    char *open = strchr(text, '('), *colon = strchr(text, ':'), *end;
    if (!open)
        return false;
    *open = '\0';
    s->len = (uint32_t)strtoul(open + 1, &end, 0);
    if (*end != ')')
        return false;
    if (colon)
        *colon = '\0';
    if (!number_read(&s->seq, text))
        return false;
    return !colon || strtoll(colon + 1, NULL, 0) == s->seq.value + s->len;
}

static int word_kind(const char *word)
{
    static const struct {
        const char *word;
        int kind;
    } kinds[] = {{"eol", 0},  {"nop", 1}, {"mss", 2},   {"ws", 3},  {"sackOK", 4},
                 {"sack", 5}, {"TS", 8},  {"unk", 254}, {"raw", -1}};
    for (size_t i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++)
        if (strcmp(kinds[i].word, word) == 0)
            return kinds[i].kind;
    return -2;
}

static bool raw_read(struct script_option *o, const char *hex)
{
    for (; hex[0] && hex[1]; hex += 2) {
        char two[3] = {hex[0], hex[1], '\0'};
        if (!isxdigit((unsigned char)hex[0]) || !isxdigit((unsigned char)hex[1]) ||
            o->count == sizeof(o->raw))
            return false;
        o->raw[o->count++] = (uint8_t)strtoul(two, NULL, 16);
    }
    return hex[0] == '\0';
}

static bool option_read(struct script_option *o, char *text)
{
    char *save, *word = strtok_r(text, " ", &save);
    *o = (struct script_option){0};
    o->kind = word ? word_kind(word) : -2;
    if (o->kind == -2)
        return false;
    char *arg;
    if (o->kind == 5) {
        while ((arg = strtok_r(NULL, " ", &save)) && o->count < 4) {
            char *colon = strchr(arg, ':');
            if (!colon)
                return false;
            o->block[2 * o->count] = strtoll(arg, NULL, 0);
            o->block[2 * o->count++ + 1] = strtoll(colon + 1, NULL, 0);
        }
        return true;
    }
    if ((arg = strtok_r(NULL, " ", &save)) == NULL)
        return true;
    if (o->kind == -1)
        return raw_read(o, arg);
    if (!number_read(&o->a, arg))
        return false;
    return (arg = strtok_r(NULL, " ", &save)) == NULL || number_read(&o->b, arg);
}

static bool options_read(struct script_segment *s, char *text)
{
    char *save;
    s->options_given = true;
    for (char *word = strtok_r(text, ",", &save); word; word = strtok_r(NULL, ",", &save)) {
        while (*word == ' ')
            word++;
        if (strcmp(word, "...") == 0)
            s->options_open = true;
        else if (s->options == SCRIPT_OPTIONS || !option_read(&s->option[s->options++], word))
            return false;
    }
    return true;
}

static struct script_number *field(struct script_segment *s, const char *word)
{
    if (strcmp(word, "ack") == 0)
        return &s->ack;
    if (strcmp(word, "win") == 0)
        return &s->win;
    if (strcmp(word, "urg") == 0)
        return &s->urg;
    return strcmp(word, "doff") == 0 ? &s->doff : NULL;
}

bool script_segment_read(struct script_segment *s, char *text, const char **why)
{
    *s = (struct script_segment){0};
    char *open = strchr(text, '<');
    if (open) {
        char *close = strchr(open, '>');
        *why = "options";
        if (!close)
            return false;
        *open = *close = '\0';
        if (!options_read(s, open + 1))
            return false;
    }
    char *save, *word = strtok_r(text, " ", &save);
    *why = "flags";
    if (!word || !flags_read(&s->flags, word))
        return false;
    word = strtok_r(NULL, " ", &save);
    *why = "SEQ:END(LEN)";
    if (!word || !range_read(s, word))
        return false;
    while ((word = strtok_r(NULL, " ", &save))) {
        struct script_number *n = field(s, word);
        *why = "a field";
        if (!n || !(word = strtok_r(NULL, " ", &save)) || !number_read(n, word))
            return false;
    }
    return true;
}

static uint32_t resolve(const struct script_number *n, uint32_t base)
{
    return (n->absolute ? 0 : base) + (uint32_t)n->value;
}

static void option_write(struct writer *w, const struct script_option *o,
                         const struct script_base *b)
{
    if (o->kind == -1) {
        write_bytes(w, o->raw, o->count);
        return;
    }
    write_u8(w, (uint8_t)(o->kind == 254 ? o->a.value : o->kind));
    if (o->kind == 2) {
        write_u8(w, 4);
        write_u16(w, (uint16_t)o->a.value);
    } else if (o->kind == 3) {
        write_u8(w, 3);
        write_u8(w, (uint8_t)o->a.value);
    } else if (o->kind == 4) {
        write_u8(w, 2);
    } else if (o->kind == 5) {
        write_u8(w, (uint8_t)(2 + 8 * o->count));
        for (unsigned i = 0; i < 2 * o->count; i++)
            write_u32(w, b->ours + (uint32_t)o->block[i]);
    } else if (o->kind == 8) {
        write_u8(w, 10);
        write_u32(w, (uint32_t)o->a.value);
        write_u32(w, o->b.given ? resolve(&o->b, b->ts) : b->ts_last);
    } else if (o->kind == 254) {
        write_u8(w, (uint8_t)o->b.value);
        for (int64_t i = 2; i < o->b.value; i++)
            write_u8(w, 0x5a);
    }
}

static void put(uint8_t *at, uint32_t v, unsigned bytes)
{
    for (unsigned i = 0; i < bytes; i++)
        at[i] = (uint8_t)(v >> (8 * (bytes - 1 - i)));
}

uint32_t script_segment_write(const struct script_segment *s, const struct script_base *b,
                              uint16_t sport, uint16_t dport, uint8_t *wire)
{
    struct writer w = writer_of(wire + 20, SCRIPT_WIRE - 20);
    for (unsigned i = 0; i < s->options; i++)
        option_write(&w, &s->option[i], b);
    while ((w.p - wire) % 4 != 0)
        write_u8(&w, 0);
    uint32_t n = (uint32_t)(w.p - wire) / 4, seq = resolve(&s->seq, b->peer);
    uint32_t at = seq - b->peer - ((s->flags & TCP_SYN) ? 0 : 1);
    for (uint32_t i = 0; i < s->len; i++)
        write_u8(&w, script_byte(false, at + i));
    uint32_t len = (uint32_t)(w.p - wire);
    uint32_t ack = s->ack.given ? resolve(&s->ack, b->ours) : 0;
    memset(wire, 0, 20);
    put(wire, sport, 2);
    put(wire + 2, dport, 2);
    put(wire + 4, seq, 4);
    put(wire + 8, ack, 4);
    wire[12] = (uint8_t)((s->doff.given ? (uint32_t)s->doff.value : n) << 4);
    wire[13] = s->flags;
    put(wire + 14, (uint32_t)(s->win.given ? s->win.value : 65535), 2);
    put(wire + 18, (uint32_t)s->urg.value, 2);
    return len;
}

static bool matches(const struct script_number *n, uint32_t base, uint32_t value)
{
    return !n->given || n->any || resolve(n, base) == value;
}

/* The next option that is no padding; its body is left in `body`. */
static bool option_next(struct reader *r, uint8_t *kind, struct reader *body)
{
    while (reader_left(r) > 0) {
        *kind = read_u8(r);
        if (*kind == 0)
            return false;
        if (*kind == 1)
            continue;
        uint8_t len = read_u8(r);
        const uint8_t *p = len >= 2 ? read_bytes(r, len - 2u) : NULL;
        if (!p && len != 2)
            return false;
        *body = reader_of(p, len - 2u);
        return true;
    }
    return false;
}

static bool option_matches(const struct script_option *o, const struct script_base *b, uint8_t kind,
                           struct reader body)
{
    if (o->kind != kind)
        return false;
    if (kind == 2)
        return matches(&o->a, 0, read_u16(&body));
    if (kind == 3)
        return matches(&o->a, 0, read_u8(&body));
    if (kind == 8) {
        uint32_t val = read_u32(&body), ecr = read_u32(&body);
        return matches(&o->a, b->ts, val) && matches(&o->b, 0, ecr);
    }
    if (kind != 5)
        return true;
    if (reader_left(&body) != 8 * o->count)
        return false;
    for (unsigned i = 0; i < 2 * o->count; i++)
        if (read_u32(&body) != b->peer + (uint32_t)o->block[i])
            return false;
    return true;
}

static const char *options_differ(const struct script_segment *s, const struct script_base *b,
                                  const struct tcp_out *o)
{
    struct reader r = reader_of(o->option, o->option_len), body;
    uint8_t kind;
    unsigned i = 0;
    while (option_next(&r, &kind, &body)) {
        if (i < s->options && option_matches(&s->option[i], b, kind, body))
            i++;
        else if (!s->options_open)
            return "an option";
    }
    return i == s->options ? NULL : "an option that is missing or different";
}

const char *script_segment_differs(const struct script_segment *s, const struct script_base *b,
                                   const struct tcp_out *o)
{
    if (s->flags != o->flags)
        return "the flags";
    if (!matches(&s->seq, b->ours, o->seq))
        return "the sequence number";
    if (s->len != o->len)
        return "the length";
    if ((s->flags & TCP_ACK) && !matches(&s->ack, b->peer, o->ack))
        return "the acknowledgement";
    if (!matches(&s->win, 0, o->window))
        return "the window";
    return s->options_given ? options_differ(s, b, o) : NULL;
}

bool script_tsval(const struct tcp_out *o, uint32_t *tsval)
{
    struct reader r = reader_of(o->option, o->option_len), body;
    uint8_t kind;
    while (option_next(&r, &kind, &body)) {
        if (kind != 8)
            continue;
        *tsval = read_u32(&body);
        return true;
    }
    return false;
}

void script_segment_print(const struct script_base *b, const struct tcp_out *o, char *text,
                          size_t size)
{
    char flags[9] = "";
    for (unsigned i = 0, n = 0; i < 8; i++)
        if (o->flags >> i & 1)
            flags[n++] = FLAG_LETTERS[i];
    int n = snprintf(text, size, "%s %d(%u) ack %d win %u", flags[0] ? flags : "-",
                     (int)(o->seq - b->ours), o->len, (int)(o->ack - b->peer), o->window);
    for (unsigned i = 0; i < o->option_len && n > 0 && (size_t)n + 4 < size; i++)
        n += snprintf(text + n, size - (size_t)n, i ? "%02x" : " options %02x", o->option[i]);
}
