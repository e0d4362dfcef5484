/* SPDX-License-Identifier: BSD-3-Clause */
/* Any text as a configuration: read or refused with at least one mistake, never more. */
#include <stdio.h>
#include <stdlib.h>

#include "control/config.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct config c;
    static struct report report;
    static FILE *nowhere;

    if (!nowhere)
        nowhere = fopen("/dev/null", "w");
    bool good = config_read_text("fuzz.yaml", (const char *)data, size, &c, &report);
    if (good != (report.errors == 0))
        abort();
    report_print(&report, nowhere);
    config_free(&c);
    report_free(&report);
    return 0;
}
