/* SPDX-License-Identifier: BSD-3-Clause */
#include "tools/sim/metros.h"

#include <stddef.h>
#include <string.h>

#include "tools/sim/real.h"

enum continent {
    EUROPE,
    NORTH_AMERICA,
    SOUTH_AMERICA,
    EAST_ASIA,
    SOUTH_EAST_ASIA,
    SOUTH_ASIA,
    AFRICA,
    OCEANIA
};

/* latitude and longitude in hundredths of a degree; weights as machines and users are, roughly */
static const struct metro {
    const char *name;
    int16_t latitude, longitude;
    uint8_t weight;
    uint8_t continent;
} metro[METROS] = {
    {"London", 5151, -13, 40, EUROPE},
    {"Frankfurt", 5011, 868, 40, EUROPE},
    {"Paris", 4886, 235, 30, EUROPE},
    {"Amsterdam", 5237, 490, 30, EUROPE},
    {"Madrid", 4042, -370, 15, EUROPE},
    {"Milan", 4546, 919, 15, EUROPE},
    {"Stockholm", 5933, 1807, 15, EUROPE},
    {"Warsaw", 5223, 2101, 12, EUROPE},
    {"Dublin", 5335, -626, 12, EUROPE},
    {"Zurich", 4738, 854, 8, EUROPE},
    {"Vienna", 4821, 1637, 8, EUROPE},
    {"Prague", 5008, 1444, 8, EUROPE},
    {"Copenhagen", 5568, 1257, 8, EUROPE},
    {"Bucharest", 4443, 2610, 8, EUROPE},
    {"Athens", 3798, 2373, 6, EUROPE},
    {"Moscow", 5576, 3762, 20, EUROPE},
    {"Kyiv", 5045, 3052, 8, EUROPE},
    {"Istanbul", 4101, 2898, 12, EUROPE},
    {"Lisbon", 3872, -914, 6, EUROPE},
    {"Helsinki", 6017, 2494, 8, EUROPE},
    {"New York", 4071, -7401, 40, NORTH_AMERICA},
    {"Ashburn", 3904, -7749, 40, NORTH_AMERICA},
    {"Atlanta", 3375, -8439, 20, NORTH_AMERICA},
    {"Miami", 2576, -8019, 15, NORTH_AMERICA},
    {"Chicago", 4188, -8763, 25, NORTH_AMERICA},
    {"Dallas", 3278, -9680, 25, NORTH_AMERICA},
    {"Denver", 3974, -10499, 10, NORTH_AMERICA},
    {"Seattle", 4761, -12233, 20, NORTH_AMERICA},
    {"San Jose", 3734, -12189, 30, NORTH_AMERICA},
    {"Los Angeles", 3405, -11824, 30, NORTH_AMERICA},
    {"Toronto", 4365, -7938, 15, NORTH_AMERICA},
    {"Montreal", 4550, -7357, 8, NORTH_AMERICA},
    {"Mexico City", 1943, -9913, 12, NORTH_AMERICA},
    {"Minneapolis", 4498, -9327, 8, NORTH_AMERICA},
    {"Sao Paulo", -2355, -4663, 25, SOUTH_AMERICA},
    {"Rio de Janeiro", -2291, -4317, 10, SOUTH_AMERICA},
    {"Buenos Aires", -3460, -5838, 10, SOUTH_AMERICA},
    {"Santiago", -3345, -7067, 8, SOUTH_AMERICA},
    {"Bogota", 471, -7407, 8, SOUTH_AMERICA},
    {"Lima", -1205, -7704, 6, SOUTH_AMERICA},
    {"Tokyo", 3568, 13969, 35, EAST_ASIA},
    {"Osaka", 3469, 13550, 15, EAST_ASIA},
    {"Seoul", 3757, 12698, 20, EAST_ASIA},
    {"Beijing", 3990, 11641, 20, EAST_ASIA},
    {"Shanghai", 3123, 12147, 20, EAST_ASIA},
    {"Hong Kong", 2232, 11417, 20, EAST_ASIA},
    {"Taipei", 2503, 12157, 10, EAST_ASIA},
    {"Singapore", 135, 10382, 25, SOUTH_EAST_ASIA},
    {"Kuala Lumpur", 314, 10169, 8, SOUTH_EAST_ASIA},
    {"Jakarta", -621, 10685, 15, SOUTH_EAST_ASIA},
    {"Bangkok", 1376, 10050, 10, SOUTH_EAST_ASIA},
    {"Manila", 1460, 12098, 10, SOUTH_EAST_ASIA},
    {"Ho Chi Minh City", 1082, 10663, 8, SOUTH_EAST_ASIA},
    {"Mumbai", 1908, 7288, 25, SOUTH_ASIA},
    {"Delhi", 2861, 7721, 20, SOUTH_ASIA},
    {"Chennai", 1308, 8027, 10, SOUTH_ASIA},
    {"Dubai", 2520, 5527, 10, SOUTH_ASIA},
    {"Tel Aviv", 3209, 3478, 6, SOUTH_ASIA},
    {"Johannesburg", -2620, 2805, 10, AFRICA},
    {"Lagos", 652, 338, 8, AFRICA},
    {"Nairobi", -129, 3682, 5, AFRICA},
    {"Cairo", 3004, 3124, 8, AFRICA},
    {"Sydney", -3387, 15121, 20, OCEANIA},
    {"Auckland", -3685, 17476, 5, OCEANIA},
};

const char *metro_name(unsigned i)
{
    return i < METROS ? metro[i].name : NULL;
}

uint32_t metro_weight(unsigned i)
{
    return metro[i].weight;
}

unsigned metro_find(const char *name)
{
    unsigned i = 0;
    while (i < METROS && strcmp(metro[i].name, name) != 0)
        i++;
    return i;
}

/* In percent of the great circle's 16 us/km. East Asia lies behind Suez or America for Europe;
 * the cables of the northern oceans are straighter than the rest. */
static unsigned detour(enum continent a, enum continent b)
{
    enum continent low = a < b ? a : b, high = a < b ? b : a;
    if (low == EUROPE && high == EAST_ASIA)
        return 150;
    if ((low == EUROPE && high == NORTH_AMERICA) || (low == NORTH_AMERICA && high == EAST_ASIA))
        return 85;
    return 100;
}

static double radians(int16_t hundredths)
{
    return hundredths * (REAL_PI / 18000);
}

/* The haversine formula, Earth as a ball of 6371 km. */
static double great_circle_km(const struct metro *a, const struct metro *b)
{
    double la = radians(a->latitude), lb = radians(b->latitude);
    double across = real_sin((lb - la) / 2);
    double along = real_sin((radians(b->longitude) - radians(a->longitude)) / 2);
    double h = across * across + real_cos(la) * real_cos(lb) * along * along;
    return 2 * 6371 * real_asin(real_pow(h < 1 ? h : 1, 0.5));
}

/* 640 us between two sites of one metro */
#define WITHIN_METRO 40

static uint16_t earth_rtt(unsigned i, unsigned j)
{
    if (i == j)
        return WITHIN_METRO;
    double km = great_circle_km(&metro[i], &metro[j]) *
                detour(metro[i].continent, metro[j].continent) / 100;
    uint16_t rtt = (uint16_t)(km + 0.5);
    return rtt > WITHIN_METRO ? rtt : WITHIN_METRO;
}

/* Joins the closest two groups while the longest round trip between their members (complete
 * linkage) stays below the limit. A group is named after its first metro. */
static void cluster(const struct metros *m, uint8_t *group, uint16_t limit)
{
    uint16_t link[METROS][METROS] = {0};
    for (unsigned i = 0; i < METROS; i++)
        for (unsigned j = 0; j < METROS; j++)
            if (link[group[i]][group[j]] < m->rtt[i][j])
                link[group[i]][group[j]] = m->rtt[i][j];
    for (;;) {
        uint16_t best = limit;
        unsigned into = METROS, from = METROS;
        for (unsigned a = 0; a < METROS; a++)
            for (unsigned b = a + 1; group[a] == a && b < METROS; b++)
                if (group[b] == b && link[a][b] < best) {
                    best = link[a][b];
                    into = a;
                    from = b;
                }
        if (into == METROS)
            return;
        for (unsigned i = 0; i < METROS; i++) {
            if (group[i] == from)
                group[i] = (uint8_t)into;
            if (link[into][i] < link[from][i])
                link[into][i] = link[i][into] = link[from][i];
        }
    }
}

static uint16_t clamp(uint16_t x, uint16_t low, uint16_t high)
{
    return x < low ? low : x > high ? high : x;
}

/* A round trip moved to where the truth about the two says that it is. */
static uint16_t clear_rtt(const struct metros *m, unsigned i, unsigned j)
{
    uint16_t rtt = m->rtt[i][j];
    if (m->near[i] == m->near[j])
        return clamp(rtt, 0, METRO_NEAR_LOW);
    if (m->region[i] == m->region[j])
        return clamp(rtt, METRO_NEAR_HIGH, METRO_REGION_LOW);
    return clamp(rtt, METRO_REGION_HIGH, UINT16_MAX);
}

/* [middle - 2 half, middle + 2 half] squeezed to half its width */
static uint16_t squeeze(uint16_t rtt, int middle, int half)
{
    int off = rtt - middle;
    return off >= -2 * half && off <= 2 * half ? (uint16_t)(middle + off / 2) : rtt;
}

static uint16_t edge_rtt(uint16_t rtt)
{
    if (rtt < 2 * METRO_NEAR)
        return squeeze(rtt, METRO_NEAR, METRO_NEAR - METRO_NEAR_LOW);
    return squeeze(rtt, METRO_REGION, METRO_REGION - METRO_REGION_LOW);
}

void metros_make(struct metros *m, enum metro_world world)
{
    for (unsigned i = 0; i < METROS; i++) {
        m->near[i] = (uint8_t)i;
        for (unsigned j = 0; j < METROS; j++)
            m->rtt[i][j] = earth_rtt(i < j ? i : j, i < j ? j : i);
    }
    cluster(m, m->near, METRO_NEAR);
    memcpy(m->region, m->near, sizeof(m->region));
    cluster(m, m->region, METRO_REGION);
    for (unsigned i = 0; i < METROS; i++)
        for (unsigned j = 0; j < METROS; j++) {
            if (world == METRO_CLEAR)
                m->rtt[i][j] = clear_rtt(m, i, j);
            else if (world == METRO_EDGE)
                m->rtt[i][j] = edge_rtt(m->rtt[i][j]);
        }
}
