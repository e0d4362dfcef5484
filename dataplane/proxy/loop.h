/* SPDX-License-Identifier: BSD-3-Clause */
/* CDN-Loop (RFC 8586): the networks that a request has been through. */
#ifndef CORAL_PROXY_LOOP_H
#define CORAL_PROXY_LOOP_H

#include "dataplane/http/http.h"

/*
 * Takes the next cdn-info off a value (RFC 8586 2, a list of RFC 9110 5.6.1: empty members are
 * skipped); *id is its cdn-id, without parameters. False: there is none left, *rest is empty; or
 * what is left in *rest is malformed.
 */
bool loop_next(struct http_text *rest, struct http_text *id);
/* Does the value name this network? What is malformed is searched for the word, wherever it stands
 * between separators: who mangles the field is not to hide a loop. ASCII letters in any case. */
bool loop_names(struct http_text value, struct http_text id);
bool loop_well_formed(struct http_text value);

#endif
