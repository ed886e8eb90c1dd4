/* SPDX-License-Identifier: Apache-2.0 */
/* How full the maps are. */
#pragma once

#include "ctl/table.h"
#include "ctl/view.h"
#include "datapath/flows.h"

/* A row for each map that can get full. Columns: fill_columns. */
#define FILL_COLUMNS 5
extern const struct column fill_columns[FILL_COLUMNS];
void fill_rows(const struct view *v, const struct flow_census *flows, struct table *t);
