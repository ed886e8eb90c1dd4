/* SPDX-License-Identifier: Apache-2.0 */
/* Lookups in the generated tables: binary searches over sorted constant data, so that nothing is built at start. */
#include "kube/schema.h"

#include <string.h>

#include "base/cleanup.h"
#include "kube/schema_index.h"

const struct schema_struct *schema_struct_find(const char *name)
{
        size_t low = 0, high = schema_nstructs;

        while (low < high) {
                size_t mid = low + (high - low) / 2;
                int order = strcmp(name, schema_structs[mid].name);

                if (!order)
                        return &schema_structs[mid];
                if (order < 0)
                        high = mid;
                else
                        low = mid + 1;
        }
        return NULL;
}

const struct schema_field *schema_field_find(const struct schema_struct *s, const char *name)
{
        size_t low = 0, high = s->nfields;

        while (low < high) {
                size_t mid = low + (high - low) / 2;
                int order = strcmp(name, s->fields[mid].name);

                if (!order)
                        return &s->fields[mid];
                if (order < 0)
                        high = mid;
                else
                        low = mid + 1;
        }
        return NULL;
}

/* What the tables are sorted by: a name (plural or kind), then group and version. */
struct key {
        const char *name, *group, *version;
};

static int key_compare(const struct key *a, const struct key *b)
{
        int r = strcmp(a->name, b->name);

        if (!r)
                r = strcmp(a->group, b->group);
        if (!r)
                r = strcmp(a->version, b->version);
        return r;
}

static struct key plural_key(size_t i)
{
        const struct schema_resource *r = &schema_resources[schema_by_plural[i]];

        return (struct key){r->plural, r->group, r->version};
}

static struct key resource_kind_key(size_t i)
{
        const struct schema_resource *r = &schema_resources[schema_by_kind[i]];

        return (struct key){r->kind, r->group, r->version};
}

static struct key kind_key(size_t i)
{
        return (struct key){schema_kinds[i].kind, schema_kinds[i].group, schema_kinds[i].version};
}

/* The position of want among n sorted keys, or n. */
static size_t key_search(const struct key *want, size_t n, struct key (*key_at)(size_t i))
{
        size_t low = 0, high = n;

        while (low < high) {
                size_t mid = low + (high - low) / 2;
                struct key at = key_at(mid);
                int order = key_compare(want, &at);

                if (!order)
                        return mid;
                if (order < 0)
                        high = mid;
                else
                        low = mid + 1;
        }
        return n;
}

const struct schema_resource *schema_resource_find(const char *group, const char *version, const char *plural)
{
        const struct key want = {plural, group, version};
        size_t i = key_search(&want, schema_nresources, plural_key);

        return i < schema_nresources ? &schema_resources[schema_by_plural[i]] : NULL;
}

const struct schema_resource *schema_resource_by_kind(const char *group, const char *version, const char *kind)
{
        const struct key want = {kind, group, version};
        size_t i = key_search(&want, schema_nresources, resource_kind_key);

        return i < schema_nresources ? &schema_resources[schema_by_kind[i]] : NULL;
}

const struct schema_subresource *schema_subresource_find(const struct schema_resource *r, const char *name)
{
        for (size_t i = 0; i < r->nsubresources; i++)
                if (!strcmp(r->subresources[i].name, name))
                        return &r->subresources[i];
        return NULL;
}

/* Kinds of meta/v1 that Kubernetes registers in every group and version, so that a client may name any of them. */
static const char *const shared_kinds[] = {"DeleteOptions", "WatchEvent"};
/* Kinds of meta/v1 that are served as v1. */
static const char *const unversioned_kinds[] = {"APIGroup", "APIGroupList", "APIResourceList", "APIVersions", "Status"};

static const struct schema_struct *meta_kind_find(const char *group, const char *version, const char *kind)
{
        char name[96];
        bool found = false;

        for (size_t i = 0; i < ARRAY_SIZE(shared_kinds); i++)
                found |= !strcmp(kind, shared_kinds[i]);
        if ((!*group || !strcmp(group, "meta.k8s.io")) && !strcmp(version, "v1"))
                for (size_t i = 0; i < ARRAY_SIZE(unversioned_kinds); i++)
                        found |= !strcmp(kind, unversioned_kinds[i]);
        if (!found)
                return NULL;
        snprintf(name, sizeof(name), "io.k8s.apimachinery.pkg.apis.meta.v1.%s", kind); /* one of the words above */
        return schema_struct_find(name);
}

const struct schema_struct *schema_kind_find(const char *group, const char *version, const char *kind)
{
        const struct key want = {kind, group, version};
        size_t i = key_search(&want, schema_nkinds, kind_key);

        return i < schema_nkinds ? schema_kinds[i].type : meta_kind_find(group, version, kind);
}
