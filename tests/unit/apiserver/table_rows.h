/* SPDX-License-Identifier: Apache-2.0 */
/* Objects and the cells that they must give; JSON with ' for ". The clock stands at 2026-01-01T00:00:00Z. */
#pragma once

#include <stddef.h>

struct table_row_case {
        const char *group, *plural, *object, *cells;
};

extern const struct table_row_case table_row_cases[];
extern const size_t table_row_ncases;
