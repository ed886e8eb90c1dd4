/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Which rules a resource has. Every resource of the schema gets a row in one sorted table, made at first use: its own
 * kind_ops when it has C, else one of four that say only what the shape of its type tells.
 */
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "apiserver/kinds/kinds.h"
#include "base/mem.h"
#include "base/str.h"

#define KIND_POINTER(name) &kind_##name,
static const struct kind_ops *const kinds[] = {KINDS(KIND_POINTER) NULL};
#define KIND_CONVERSION_POINTER(name) &kind_conversion_##name,
static const struct kind_conversion *const conversions[] = {KIND_CONVERSIONS(KIND_CONVERSION_POINTER) NULL};

/* By [status is a subresource][spec and status]. */
static const struct kind_ops by_schema[2][2] = {
        {{.flags = 0}, {.flags = KIND_GENERATION}},
        {{.flags = KIND_STATUS_RESET}, {.flags = KIND_STATUS_RESET | KIND_GENERATION}},
};

struct row {
        const char *group, *plural;
        const struct kind_ops *ops;
};

static struct row *rows;
static size_t nrows;
static pthread_once_t rows_once = PTHREAD_ONCE_INIT;

static int row_compare(const void *a, const void *b)
{
        const struct row *x = a, *y = b;
        int r = strcmp(x->plural, y->plural);

        return r ? r : strcmp(x->group, y->group);
}

static const struct kind_ops *ops_of(const struct schema_resource *r)
{
        bool both = schema_field_find(r->type, "spec") && schema_field_find(r->type, "status");

        for (size_t i = 0; kinds[i]; i++)
                if (str_eq(kinds[i]->group, r->group) && str_eq(kinds[i]->plural, r->plural))
                        return kinds[i];
        return &by_schema[schema_subresource_find(r, "status") != NULL][both];
}

static void rows_make(void)
{
        rows = mem_array(struct row, schema_nresources);
        for (size_t i = 0; i < schema_nresources; i++) {
                const struct schema_resource *r = &schema_resources[i];

                rows[nrows++] = (struct row){.group = r->group, .plural = r->plural, .ops = ops_of(r)};
        }
        qsort(rows, nrows, sizeof(*rows), row_compare);
}

const struct kind_ops *kind_ops_find(const char *group, const char *plural)
{
        struct row key = {.group = group, .plural = plural}, *found;

        pthread_once(&rows_once, rows_make);
        found = bsearch(&key, rows, nrows, sizeof(*rows), row_compare);
        return found ? found->ops : &by_schema[0][0];
}

static const struct kind_conversion *conversion_of(const struct schema_resource *r)
{
        for (size_t i = 0; conversions[i]; i++)
                if (str_eq(conversions[i]->plural, r->plural) && str_eq(conversions[i]->group, r->group) &&
                    str_eq(conversions[i]->version, r->version))
                        return conversions[i];
        return NULL;
}

const struct schema_resource *kind_storage(const struct schema_resource *r)
{
        const struct kind_conversion *c = conversion_of(r);

        return c ? schema_resource_find(c->stored_group, c->stored_version, c->plural) : r;
}

static void set_api_version(struct json_object *obj, const char *group, const char *version)
{
        char text[128];

        snprintf(text, sizeof(text), "%s%s%s", group, *group ? "/" : "", version);
        json_set_str(obj, "apiVersion", text);
}

void kind_to_storage(const struct schema_resource *r, struct json_object *obj)
{
        const struct kind_conversion *c = conversion_of(r);

        if (!c)
                return;
        c->to_storage(obj);
        set_api_version(obj, c->stored_group, c->stored_version);
}

void kind_from_storage(const struct schema_resource *r, struct json_object *obj)
{
        const struct kind_conversion *c = conversion_of(r);

        if (!c)
                return;
        c->from_storage(obj);
        set_api_version(obj, c->group, c->version);
}
