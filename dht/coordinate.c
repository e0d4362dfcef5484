/* SPDX-License-Identifier: BSD-3-Clause */
#include <assert.h>
#include <math.h>
#include <string.h>

#include "dht/coordinate.h"

/* Vivaldi's c_e and c_c: how fast the error follows what a measurement shows, and how far of the
 * way it moves us */
#define ERROR_GAIN 0.25f
#define FORCE_GAIN 0.25f
/* The whole system drifts unless held: towards the origin by (|x| / this)^2, 10 us at 100 ms and
 * 1 ms at 1 s */
#define GRAVITY_RHO 31600.0f

static_assert(sizeof(struct coordinate) == COORDINATE_BYTES, "six floats");

struct coordinate coordinate_start(void)
{
    return (struct coordinate){.height_us = COORDINATE_HEIGHT_MIN_US,
                               .error = COORDINATE_ERROR_MAX};
}

static float length(const float x[COORDINATE_DIMENSIONS])
{
    float sum = 0;
    for (unsigned i = 0; i < COORDINATE_DIMENSIONS; i++)
        sum += x[i] * x[i];
    return sqrtf(sum);
}

/* NaN fails every comparison. */
static bool within(float v, float least, float most)
{
    return v >= least && v <= most;
}

bool coordinate_valid(const struct coordinate *c)
{
    return within(length(c->x_us), 0, COORDINATE_FAR_US) &&
           within(c->height_us, COORDINATE_HEIGHT_MIN_US, COORDINATE_FAR_US) &&
           within(c->error, 0, COORDINATE_ERROR_MAX);
}

/* From b to a, without heights; returns its length. */
static float between(const struct coordinate *a, const struct coordinate *b,
                     float out[COORDINATE_DIMENSIONS])
{
    for (unsigned i = 0; i < COORDINATE_DIMENSIONS; i++)
        out[i] = a->x_us[i] - b->x_us[i];
    return length(out);
}

uint32_t coordinate_estimate_us(const struct coordinate *a, const struct coordinate *b)
{
    float apart[COORDINATE_DIMENSIONS];
    return (uint32_t)(between(a, b, apart) + a->height_us + b->height_us);
}

static void direction_of_chance(uint64_t random, float out[COORDINATE_DIMENSIONS])
{
    for (unsigned i = 0; i < COORDINATE_DIMENSIONS; i++)
        out[i] = (float)(random >> 16 * i & 0xffff) - 32767.5f; /* never 0 */
}

static void add(float x[COORDINATE_DIMENSIONS], const float direction[COORDINATE_DIMENSIONS],
                float by)
{
    float scale = by / length(direction);
    for (unsigned i = 0; i < COORDINATE_DIMENSIONS; i++)
        x[i] += direction[i] * scale;
}

static void gravity(float x[COORDINATE_DIMENSIONS])
{
    float far = length(x), pull = far / GRAVITY_RHO * (far / GRAVITY_RHO);
    if (far > 1)
        add(x, x, -pull);
}

enum coordinate_outcome coordinate_update(struct coordinate *self, const struct coordinate *other,
                                          uint32_t rtt_us, uint64_t random)
{
    if (!coordinate_valid(self)) {
        *self = coordinate_start();
        return COORDINATE_RESET;
    }
    if (!coordinate_valid(other) || rtt_us > COORDINATE_RTT_MAX_US)
        return COORDINATE_REFUSED;

    float rtt = rtt_us > 0 ? (float)rtt_us : 1;
    float direction[COORDINATE_DIMENSIONS], apart = between(self, other, direction);
    float heights = self->height_us + other->height_us, distance = apart + heights;

    float weight = self->error / fmaxf(self->error + other->error, 1e-6f);
    float off = fminf(fabsf(distance - rtt) / rtt, COORDINATE_ERROR_MAX);
    self->error += ERROR_GAIN * weight * (off - self->error);

    /* towards each other by no more than a quarter of what was measured, whatever is claimed */
    float force = FORCE_GAIN * weight * fmaxf(rtt - distance, -rtt);
    if (apart > 1)
        self->height_us += heights * force / distance;
    else
        direction_of_chance(random, direction);
    self->height_us = fmaxf(self->height_us, COORDINATE_HEIGHT_MIN_US);
    add(self->x_us, direction, force);
    gravity(self->x_us);
    return COORDINATE_MOVED;
}

void coordinate_pack(const struct coordinate *c, uint8_t out[static COORDINATE_BYTES])
{
    uint32_t word[COORDINATE_BYTES / 4];
    memcpy(word, c, sizeof(word));
    for (unsigned i = 0; i < COORDINATE_BYTES / 4; i++)
        for (unsigned j = 0; j < 4; j++)
            out[4 * i + j] = (uint8_t)(word[i] >> (24 - 8 * j));
}

bool coordinate_unpack(const uint8_t in[static COORDINATE_BYTES], struct coordinate *out)
{
    uint32_t word[COORDINATE_BYTES / 4];
    for (unsigned i = 0; i < COORDINATE_BYTES / 4; i++)
        word[i] = (uint32_t)in[4 * i] << 24 | (uint32_t)in[4 * i + 1] << 16 |
                  (uint32_t)in[4 * i + 2] << 8 | in[4 * i + 3];
    memcpy(out, word, sizeof(word));
    return coordinate_valid(out);
}
