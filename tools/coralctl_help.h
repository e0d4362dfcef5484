/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef CORAL_TOOLS_CORALCTL_HELP_H
#define CORAL_TOOLS_CORALCTL_HELP_H

/* What --help shows: of the verb, if it has options worth a text of its own; NULL: of all. */
const char *help_text(const char *verb);

#endif
