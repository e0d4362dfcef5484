/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The operator's rules (coral-rules(5)) in a running node: read at the start, swapped when
 * `coralctl rules load` says so. A set that is wrong is told about, and the one in force stays.
 *
 *   load: read, parse -> rules_make: the file of compiled expressions, or a child process
 *         -> control_publish_rules: a new view -> when no worker uses the old set: answered
 */
#ifndef CORAL_CONTROL_RULES_H
#define CORAL_CONTROL_RULES_H

#include <jansson.h>

#include "control/rules_child.h"

struct config;
struct control;
struct proxy_policy;
struct report;
struct request;

/* What is known of a set. */
struct rules_known {
    char file[4096]; /* "": there are no rules */
    struct rules_size size;
    int64_t since_s;      /* wall clock */
    uint64_t print;       /* of its text */
    uint64_t compiled_us; /* that took, 0: its expressions were compiled before */
};

struct control_rules {
    struct rules_maker maker;
    struct rules_known known; /* in force */
    struct {                  /* the last set that was to be loaded after it, and was refused */
        int64_t at_s;         /* 0: none */
        char error[256];
    } refused;
    /* a request that runs: one at a time */
    bool busy;
    uint32_t job;
    struct rules_set *next; /* being made */
    struct rules_known next_known;
    struct rules_child child;
    uint64_t began_us;
    bool publish;   /* made; waits for room to be published */
    bool published; /* waits for the workers */
    uint64_t token;
    json_t *mistakes; /* of the set being made */
};

/* Before there is a node: reads rules.file into the policy. Mistakes go to `report`. Waits for the
 * compiler. */
void rules_at_start(const struct config *c, struct proxy_policy *policy, struct report *report);
/* What the policy has is in force. */
void control_rules_started(struct control *c, const struct proxy_policy *policy, int64_t wall_s);

/* A reload has put the policy into the view; `stay`: with the rules that were in force. */
void control_rules_reloaded(struct control *c, bool stay);

/* For `status`. */
json_t *control_rules_json(const struct control *c);

void control_rules_begin(struct control *c, uint32_t client, const struct request *r);
void control_rules_poll(struct control *c, uint64_t now_us);
uint64_t control_rules_deadline_us(const struct control *c, uint64_t now_us);
/* The workers have stopped. */
void control_rules_stop(struct control *c);

#endif
