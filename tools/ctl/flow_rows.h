/* SPDX-License-Identifier: Apache-2.0 */
/* Flows as rows of a table. */
#pragma once

#include "ctl/table.h"
#include "ctl/view.h"
#include "datapath/flows.h"

#define FLOW_COLUMNS 24

extern const struct column flow_columns[FLOW_COLUMNS];

struct flow_clock {
        uint32_t now;
        struct flow_timeouts timeouts;
};

/* reply: zeros when there is none. */
void flow_row(struct view *v, struct table *t, const struct flow_entry *e, const struct flow_entry *reply,
              const struct flow_clock *clock);
