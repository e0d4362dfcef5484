/* SPDX-License-Identifier: BSD-3-Clause */
/* HTTP dates (RFC 9110 5.6.7): IMF-fixdate, RFC 850's and asctime's; read in any case of letters,
 * written in the right one. */
#include "dataplane/http/syntax.h"

#include <string.h>
#include <strings.h>

static const char months[] = "JanFebMarAprMayJunJulAugSepOctNovDec";
static const char days[] = "SunMonTueWedThuFriSat"; /* 1970-01-01 was a Thursday */

/* days since 1970-01-01 of a Gregorian date; years 1 to 9999 */
static int64_t days_from_civil(int64_t year, unsigned month, unsigned day)
{
    year -= month <= 2; /* years that begin in March: the leap day comes last */
    int64_t era = year / 400;
    int64_t of_era = year - era * 400;
    int64_t of_year = (153 * (month + (month > 2 ? -3 : 9)) + 2) / 5 + day - 1;
    return era * 146097 + of_era * 365 + of_era / 4 - of_era / 100 + of_year - 719468;
}

/*
 * Reads `t` by a form: 'w' a weekday's first three letters, 'm' a month, 'd' 'h' 'i' 's' two
 * digits, 'e' two digits or space and digit, 'Y' four digits, 'y' two; others stand for
 * themselves. False when `t` differs.
 */
struct civil {
    int year;
    unsigned month, day, hour, minute, second;
};

static bool two(const char *p, bool space, unsigned *out)
{
    if (!http_is_digit(p[1]) || !(http_is_digit(p[0]) || (space && p[0] == ' ')))
        return false;
    *out = (p[0] == ' ' ? 0 : (unsigned)(p[0] - '0') * 10) + (unsigned)(p[1] - '0');
    return true;
}

static unsigned name_of(const char *names, size_t size, const char *p)
{
    for (unsigned i = 0; i + 3 < size; i += 3)
        if (strncasecmp(names + i, p, 3) == 0)
            return i / 3 + 1;
    return 0;
}

static bool read_year(const char *p, bool four, int *year)
{
    unsigned hi, lo;
    if (!two(p, false, &hi))
        return false;
    if (!four) { /* no clock here: 70 to 99 are of the 20th century, others of the 21st */
        *year = (int)hi + (hi < 70 ? 2000 : 1900);
        return true;
    }
    if (!two(p + 2, false, &lo))
        return false;
    *year = (int)(hi * 100 + lo);
    return true;
}

static bool read_form(struct http_text t, const char *form, struct civil *c)
{
    static const uint8_t width[128] = {['w'] = 3, ['m'] = 3, ['d'] = 2, ['e'] = 2, ['h'] = 2,
                                       ['i'] = 2, ['s'] = 2, ['Y'] = 4, ['y'] = 2};
    const char *p = t.p, *end = t.p + t.len;
    for (; *form; form++) {
        unsigned n = width[(uint8_t)*form & 127] ? width[(uint8_t)*form & 127] : 1;
        if ((size_t)(end - p) < n)
            return false;
        bool ok;
        switch (*form) {
        case 'w':
            ok = name_of(days, sizeof(days), p) != 0;
            break;
        case 'm':
            c->month = name_of(months, sizeof(months), p);
            ok = c->month != 0;
            break;
        case 'd':
        case 'e':
            ok = two(p, *form == 'e', &c->day);
            break;
        case 'h':
            ok = two(p, false, &c->hour);
            break;
        case 'i':
            ok = two(p, false, &c->minute);
            break;
        case 's':
            ok = two(p, false, &c->second);
            break;
        case 'Y':
        case 'y':
            ok = read_year(p, *form == 'Y', &c->year);
            break;
        default:
            ok = ascii_lower(*p) == ascii_lower(*form);
        }
        if (!ok)
            return false;
        p += n;
    }
    return p == end;
}

/* "Sunday, " to "Sun, ": cuts the rest of a long weekday; leaves others as they are */
static struct http_text after_weekday(struct http_text t)
{
    static const char *const rest[] = {"sunday",   "monday", "tuesday", "wednesday",
                                       "thursday", "friday", "saturday"};
    const char *comma = t.len ? memchr(t.p, ',', t.len) : NULL;
    struct http_text day = {t.p, comma ? (uint32_t)(comma - t.p) : 0};
    for (unsigned i = 0; i < 7; i++)
        if (day.len && http_text_is(day, rest[i]))
            return (struct http_text){comma, t.len - day.len};
    return (struct http_text){NULL, 0};
}

int64_t http_date_parse(struct http_text t)
{
    struct civil c = {0};
    struct http_text rfc850 = after_weekday(t);
    if (!read_form(t, "w, d m Y h:i:s GMT", &c) &&
        !(rfc850.p && read_form(rfc850, ", d-m-y h:i:s GMT", &c)) &&
        !read_form(t, "w m e h:i:s Y", &c))
        return -1;
    static const uint8_t month_days[] = {31, 29, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
    if (c.year < 1 || c.day < 1 || c.day > month_days[c.month - 1] || c.hour > 23 ||
        c.minute > 59 || c.second > 60)
        return -1;
    int64_t s =
        days_from_civil(c.year, c.month, c.day) * 86400 + c.hour * 3600 + c.minute * 60 + c.second;
    return s < 0 ? 0 : s; /* before 1970 is long ago, not an error */
}

static void put_two(char *out, unsigned v)
{
    out[0] = (char)('0' + v / 10 % 10);
    out[1] = (char)('0' + v % 10);
}

void http_date_write(int64_t wall_s, char out[static 30])
{
    const int64_t last = 253402300799; /* 9999-12-31 23:59:59 */
    if (wall_s < 0)
        wall_s = 0;
    if (wall_s > last)
        wall_s = last;
    int64_t day = wall_s / 86400;
    unsigned second = (unsigned)(wall_s % 86400);

    /* the inverse of days_from_civil */
    int64_t z = day + 719468;
    int64_t era = z / 146097, of_era = z % 146097;
    int64_t year_of_era = (of_era - of_era / 1460 + of_era / 36524 - of_era / 146096) / 365;
    unsigned of_year =
        (unsigned)(of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100));
    unsigned shifted = (5 * of_year + 2) / 153; /* months since March */
    unsigned month = shifted < 10 ? shifted + 3 : shifted - 9;
    unsigned year = (unsigned)(year_of_era + era * 400) + (month <= 2);

    memcpy(out, "Sun, 00 Jan 0000 00:00:00 GMT", 30);
    memcpy(out, days + 3 * ((day + 4) % 7), 3);
    put_two(out + 5, of_year - (153 * shifted + 2) / 5 + 1);
    memcpy(out + 8, months + 3 * (month - 1), 3);
    put_two(out + 12, year / 100);
    put_two(out + 14, year);
    put_two(out + 17, second / 3600);
    put_two(out + 20, second / 60 % 60);
    put_two(out + 23, second % 60);
}
