/* SPDX-License-Identifier: BSD-3-Clause */
/* Lines of the access log, whatever clients send. */
#include <criterion/criterion.h>
#include <jansson.h>

#include "access_hand.h"
#include "control/access_format.h"

/* 2026-11-29 02:13:04 UTC, as far ahead that mono 5.000123 s is .000123 in it */
#define AHEAD_US ((1795918384ll - 5) * 1000000)

static char line[ACCESS_LINE_MAX + 1];

static const char *write_line(enum access_format format, const struct access_record *a)
{
    struct access_clock clock = {.ahead_us = AHEAD_US};
    size_t n = access_line(format, a, &clock, line);
    cr_assert(n < sizeof(line));
    line[n] = '\0';
    return line;
}

Test(access_format, each_format)
{
    struct access_record a =
        access_hand("GET", "www.example.com", "/a?b=1", "http://from/", "curl/7.88.1");
    cr_expect_str_eq(
        write_line(ACCESS_COMMON, &a),
        "192.0.2.1 - - [29/Nov/2026:02:13:04 +0000] \"GET /a?b=1 HTTP/1.1\" 200 1024\n");
    cr_expect_str_eq(write_line(ACCESS_COMBINED, &a),
                     "192.0.2.1 - - [29/Nov/2026:02:13:04 +0000] \"GET /a?b=1 HTTP/1.1\" 200 1024 "
                     "\"http://from/\" \"curl/7.88.1\"\n");
    cr_expect_str_eq(
        write_line(ACCESS_JSON, &a),
        "{\"time\":\"2026-11-29T02:13:04.000123Z\",\"client\":\"192.0.2.1\",\"method\":\"GET\","
        "\"host\":\"www.example.com\",\"target\":\"/a?b=1\",\"version\":\"1.1\",\"status\":200,"
        "\"bytes\":1024,\"duration_us\":250,\"served\":\"hit\",\"worker\":0,"
        "\"referer\":\"http://from/\",\"agent\":\"curl/7.88.1\"}\n");
}

Test(access_format, what_is_not_known_is_a_dash_or_left_out)
{
    struct access_record a = access_hand("", "", "", "", "");
    a.minor = ACCESS_NO_VERSION;
    a.status = 400;
    a.served = ACCESS_ERROR;
    addr_parse("2001:db8::1", &a.client);
    cr_expect_str_eq(write_line(ACCESS_COMBINED, &a),
                     "2001:db8::1 - - [29/Nov/2026:02:13:04 +0000] \"-\" 400 1024 \"-\" \"-\"\n");
    cr_expect_str_eq(write_line(ACCESS_JSON, &a),
                     "{\"time\":\"2026-11-29T02:13:04.000123Z\",\"client\":\"2001:db8::1\","
                     "\"status\":400,\"bytes\":1024,\"duration_us\":250,\"served\":\"error\","
                     "\"worker\":0}\n");
}

Test(access_format, marks)
{
    struct access_record a = access_hand("GET", "h", "/", "", "");
    a.reason = ACCESS_NO_NAME;
    cr_expect(strstr(write_line(ACCESS_JSON, &a), ",\"reason\":\"no-name\",\"worker\":"));
    for (unsigned i = 0; i < ACCESS_REASONS; i++)
        cr_expect_not_null(access_reason_words[i], "%u has no word", i);
    a.flags = ACCESS_OF_PEER | ACCESS_LEFT | ACCESS_BROKEN;
    a.cut = 1u << ACCESS_TARGET;
    cr_expect(strstr(write_line(ACCESS_COMMON, &a), "\"GET /... HTTP/1.1\""));
    cr_expect(strstr(write_line(ACCESS_JSON, &a), "\"target\":\"/...\""));
    cr_expect(strstr(line, ",\"peer\":true,\"left\":true,\"broken\":true,\"cut\":true}\n"));
}

Test(access_format, what_it_waited_for_if_it_did)
{
    struct access_record a = access_hand("GET", "h", "/", "", "");
    a.served = ACCESS_ORIGIN;
    a.why = ACCESS_WHY_STALE;
    a.head_us = 9;
    a.origin_us = 7;
    cr_expect(strstr(write_line(ACCESS_JSON, &a), ",\"served\":\"origin\",\"why\":\"stale\","
                                                  "\"head_us\":9,\"origin_us\":7,\"worker\":0}"));
    a.index_us = 1;
    a.peer_us = 2;
    a.flags = ACCESS_REVALIDATED;
    cr_expect(strstr(write_line(ACCESS_JSON, &a),
                     "\"head_us\":9,\"index_us\":1,\"peer_us\":2,\"origin_us\":7,\"worker\":0,"
                     "\"revalidated\":true}\n"));
    for (unsigned i = 0; i < ACCESS_WHYS; i++)
        cr_expect_not_null(access_why_words[i], "%u has no word", i);
}

Test(access_format, an_id_if_there_is_one)
{
    static const char *const text[ACCESS_TEXTS] = {"GET", "h", "/", "", "", "0123"};
    static const size_t len[ACCESS_TEXTS] = {3, 1, 1, 0, 0, 4};
    struct access_record a = access_hand_n(text, len);
    cr_expect(strstr(write_line(ACCESS_JSON, &a), ",\"worker\":0,\"request_id\":\"0123\"}\n"));
    cr_expect(strstr(write_line(ACCESS_COMBINED, &a), "\"GET / HTTP/1.1\" 200 1024 \"-\" \"-\"\n"));
}

Test(access_format, time_goes_on)
{
    struct access_record a = access_hand("GET", "h", "/", "", "");
    struct access_clock clock = {.ahead_us = AHEAD_US};
    size_t n = access_line(ACCESS_JSON, &a, &clock, line);
    cr_expect(memmem(line, n, "02:13:04.000123Z", 16));
    a.start_us += 56 * 1000000ull - 124;
    n = access_line(ACCESS_JSON, &a, &clock, line);
    cr_expect(memmem(line, n, "02:13:59.999999Z", 16));
    a.start_us++;
    n = access_line(ACCESS_COMMON, &a, &clock, line);
    cr_expect(memmem(line, n, "[29/Nov/2026:02:14:00 +0000]", 28));
}

/* Every byte in every text: one line of printable ASCII, or one valid JSON object. */
Test(access_format, no_byte_forges_a_line)
{
    for (unsigned which = 0; which < ACCESS_TEXTS; which++)
        for (unsigned c = 0; c < 256; c++) {
            const char one[2] = {(char)c, '"'};
            const char *text[ACCESS_TEXTS] = {"", "", "", "", "", ""};
            size_t len[ACCESS_TEXTS] = {0};
            text[which] = one;
            len[which] = 2;
            struct access_record a = access_hand_n(text, len);
            const char *p = write_line(ACCESS_COMBINED, &a);
            unsigned quotes = 0;
            for (; *p != '\n'; p++) {
                cr_assert(*p >= 0x20 && *p < 0x7f, "%u in text %u", c, which);
                quotes += *p == '"';
                if (*p == '\\')
                    p++;
            }
            cr_assert(p[1] == '\0' && quotes == 6, "%u in text %u: %s", c, which, line);
            json_t *o = json_loads(write_line(ACCESS_JSON, &a), 0, NULL);
            cr_assert(json_is_object(o) && strlen(line) - 1 == strcspn(line, "\n"),
                      "%u in text %u: %s", c, which, line);
            json_decref(o);
        }
}

Test(access_format, json_keeps_text_and_replaces_what_is_none)
{
    struct access_record a = access_hand("GET", "h", "/\xc3\xa4\xe2\x82\xac\xf0\x9f\x98\x80",
                                         "\xc2\x9b", "\xff\xc3(\xed\xa0\x80\xc0\xaf\xe2\x82");
    json_t *o = json_loads(write_line(ACCESS_JSON, &a), 0, NULL);
    cr_assert(o, "%s", line);
    cr_expect(strstr(line, "\"referer\":\"\\u009b\""));
    cr_expect_str_eq(json_string_value(json_object_get(o, "target")), "/ä€😀");
    /* each byte of what is none: FF; C3; a surrogate's three; an overlong slash's two; a cut end's
     */
    cr_expect_str_eq(json_string_value(json_object_get(o, "agent")),
                     "\ufffd\ufffd(\ufffd\ufffd\ufffd\ufffd\ufffd\ufffd\ufffd");
    json_decref(o);
}

Test(access_format, the_longest_line_has_room)
{
    static char all[ACCESS_TEXT_MAX];
    memset(all, 0x01, sizeof(all));
    const char *const text[ACCESS_TEXTS] = {all, all, all, all, all, all};
    const size_t len[ACCESS_TEXTS] = {ACCESS_METHOD_MAX,  ACCESS_HOST_MAX,  ACCESS_TARGET_MAX,
                                      ACCESS_REFERER_MAX, ACCESS_AGENT_MAX, ACCESS_ID_MAX};
    struct access_record a = access_hand_n(text, len);
    a.cut = 0x3f;
    a.flags = 15;
    a.why = ACCESS_WHY_REVALIDATE;
    a.reason = ACCESS_BAD_FRAMING;
    a.head_us = a.index_us = a.peer_us = a.origin_us = UINT32_MAX;
    a.bytes = a.duration_us = UINT64_MAX;
    a.status = UINT16_MAX;
    cr_expect_eq((size_t)a.units * ACCESS_UNIT, sizeof(a));
    for (unsigned f = ACCESS_COMMON; f <= ACCESS_JSON; f++)
        cr_expect_lt(strlen(write_line((enum access_format)f, &a)), (size_t)ACCESS_LINE_MAX);
}
