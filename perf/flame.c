/* SPDX-License-Identifier: BSD-3-Clause */
#include <stdlib.h>
#include <string.h>

#include "perf/flame.h"

#define WIDTH  1200
#define ROW    17  /* pixels of a frame's height */
#define LETTER 6.6 /* of a letter's width, at this size */
#define HUES   151 /* degrees from a stage's colour to the next one's: no two of 17 are alike */
#define TITLE  30  /* pixels above the graph */

static struct flame_node *child_of(struct flame_node *parent, const struct flame_frame *f)
{
    struct flame_node **at = &parent->child;
    while (*at && strcmp((*at)->name, f->name) != 0)
        at = &(*at)->next;
    if (*at)
        return *at;
    struct flame_node *n = calloc(1, sizeof(*n));
    if (!n || !(n->name = strdup(f->name))) {
        free(n);
        return NULL;
    }
    n->stage = f->stage;
    return *at = n;
}

bool flame_add(struct flame *f, const struct flame_frame *frame, unsigned n, uint64_t weight)
{
    struct flame_node *at = &f->root;
    at->weight += weight;
    for (unsigned i = 0; i < n && i < FLAME_DEPTH; i++) {
        at = child_of(at, &frame[i]);
        if (!at)
            return false;
        at->weight += weight;
    }
    return true;
}

static void free_children(struct flame_node *n)
{
    while (n->child) {
        struct flame_node *c = n->child;
        n->child = c->next;
        free_children(c); /* at most FLAME_DEPTH deep */
        free(c->name);
        free(c);
    }
}

void flame_free(struct flame *f)
{
    free_children(&f->root);
    *f = (struct flame){0};
}

static unsigned depth_of(const struct flame_node *n)
{
    unsigned most = 0;
    for (const struct flame_node *c = n->child; c; c = c->next) {
        unsigned depth = 1 + depth_of(c);
        most = depth > most ? depth : most;
    }
    return most;
}

static void write_text(const char *text, size_t len, FILE *out)
{
    for (; *text && len > 0; text++, len--)
        if (*text == '&' || *text == '<' || *text == '>')
            fprintf(out, "&#%d;", *text);
        else if ((unsigned char)*text >= ' ' && (unsigned char)*text < 127)
            fputc(*text, out);
        else
            fputc('?', out);
}

struct drawing {
    FILE *out;
    double per_weight; /* pixels */
    uint64_t all;
};

static void draw(const struct drawing *d, const struct flame_node *n, double x, double y)
{
    double width = (double)n->weight * d->per_weight;
    if (width < 0.5)
        return;
    fprintf(d->out, "<g><title>");
    write_text(n->name, SIZE_MAX, d->out);
    fprintf(d->out,
            " %.2f %%</title><rect x=\"%.1f\" y=\"%.0f\" width=\"%.1f\" height=\"%d\" "
            "fill=\"hsl(%u,60%%,75%%)\"/>",
            100 * (double)n->weight / (double)d->all, x, y, width, ROW - 1, n->stage * HUES % 360);
    if (width > 4 * LETTER) {
        fprintf(d->out, "<text x=\"%.1f\" y=\"%.0f\">", x + 3, y + ROW - 5);
        write_text(n->name, (size_t)((width - 6) / LETTER), d->out);
        fputs("</text>", d->out);
    }
    fputs("</g>\n", d->out);
    for (const struct flame_node *c = n->child; c; c = c->next) {
        draw(d, c, x, y - ROW);
        x += (double)c->weight * d->per_weight;
    }
}

bool flame_write(const struct flame *f, const char *title, FILE *out)
{
    unsigned height = TITLE + (depth_of(&f->root) + 1) * ROW;
    struct drawing d = {out, f->root.weight ? (double)WIDTH / (double)f->root.weight : 0,
                        f->root.weight};
    fprintf(out,
            "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"%d\" height=\"%u\" "
            "font-family=\"monospace\" font-size=\"11\">\n<rect width=\"100%%\" height=\"100%%\" "
            "fill=\"white\"/>\n<text x=\"4\" y=\"18\" font-size=\"13\">",
            WIDTH, height);
    write_text(title, SIZE_MAX, out);
    fputs("</text>\n", out);
    double x = 0;
    for (const struct flame_node *c = f->root.child; c; c = c->next) {
        draw(&d, c, x, height - ROW);
        x += (double)c->weight * d.per_weight;
    }
    fputs("</svg>\n", out);
    return !ferror(out);
}
