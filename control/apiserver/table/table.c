/* SPDX-License-Identifier: Apache-2.0 */
#include <pthread.h>
#include <stdlib.h>

#include "apiserver/table/table_cell.h"
#include "base/mem.h"
#include "base/str.h"

static const struct table_def *const files[] = {
        table_access,  table_admission, table_autoscaling, table_cluster,   table_events,
        table_network, table_pods,      table_storage,     table_workloads,
};

static const struct table_column default_columns[] = {
        NAME_COLUMN,
        COLUMN("Created At", "date", "When the object was created", cell_timestamp, .path = NULL),
};
static const struct table_def by_default = TABLE("", "", default_columns, .summarise = NULL);

static const struct table_def **sorted; /* by plural, then group */
static size_t nsorted;
static pthread_once_t sorted_once = PTHREAD_ONCE_INIT;

static int compare(const void *a, const void *b)
{
        const struct table_def *x = *(const struct table_def *const *)a, *y = *(const struct table_def *const *)b;
        int r = strcmp(x->plural, y->plural);

        return r ? r : strcmp(x->group, y->group);
}

static void sorted_make(void)
{
        size_t n = 0;

        for (size_t i = 0; i < ARRAY_SIZE(files); i++)
                for (const struct table_def *d = files[i]; d->plural; d++)
                        n++;
        sorted = mem_array(const struct table_def *, n);
        for (size_t i = 0; i < ARRAY_SIZE(files); i++)
                for (const struct table_def *d = files[i]; d->plural; d++)
                        sorted[nsorted++] = d;
        qsort(sorted, nsorted, sizeof(*sorted), compare);
}

const struct table_def *table_find(const char *group, const char *plural)
{
        const struct table_def want = {.group = group, .plural = plural}, *key = &want;
        const struct table_def **found;

        pthread_once(&sorted_once, sorted_make);
        found = bsearch(&key, sorted, nsorted, sizeof(*sorted), compare);
        return found ? *found : &by_default;
}

void table_row(const struct table_def *def, const struct table_ctx *ctx, const struct json_object *obj,
               struct json_object *cells)
{
        struct table_ctx row = *ctx;

        if (def->summarise)
                row.summary = def->summarise(ctx, obj);
        for (size_t i = 0; i < def->ncolumns; i++)
                json_object_array_add(cells, def->columns[i].cell(&row, obj, &def->columns[i]));
}
