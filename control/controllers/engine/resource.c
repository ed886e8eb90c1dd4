/* SPDX-License-Identifier: Apache-2.0 */
#include <stdio.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/str.h"
#include "controllers/engine/resource.h"
#include "kube/schema.h"

#define X(field, g, v, p, k, n, how)                                                                                   \
        const struct resource res_##field = {                                                                          \
                .group = (g), .version = (v), .plural = (p), .kind = (k), .namespaced = (n), .keep = (how)};
RESOURCES(X)
#undef X

#define ALL_MAX 160

static const struct resource *all[ALL_MAX] = {
#define X(field, ...) &res_##field,
        RESOURCES(X)
#undef X
};
static struct resource others[ALL_MAX]; /* of the schema */
static size_t nall;

static bool same(const struct resource *r, const char *group, const char *plural)
{
        return str_eq(r->group, group) && str_eq(r->plural, plural);
}

static bool is_listed(const struct schema_resource *r)
{
        for (size_t i = 0; i < nall; i++)
                if (same(all[i], r->group, r->plural))
                        return true;
        return false;
}

static bool is_kept(const struct schema_resource *r)
{
        const uint16_t needed = VERB_LIST | VERB_WATCH | VERB_DELETE;

        return (r->verbs & needed) == needed && !str_eq(r->plural, "events");
}

static void add_others(void)
{
        for (size_t i = 0; i < schema_nresources && nall < ALL_MAX; i++) {
                const struct schema_resource *r = &schema_resources[i];

                if (!is_kept(r) || is_listed(r))
                        continue;
                others[nall] = (struct resource){.group = r->group,
                                                 .version = r->version,
                                                 .plural = r->plural,
                                                 .kind = r->kind,
                                                 .namespaced = r->namespaced,
                                                 .keep = KEEP_METADATA};
                all[nall] = &others[nall];
                nall++;
        }
}

const struct resource *const *resources_all(size_t *ret_n)
{
        if (!nall) {
                while (nall < ALL_MAX && all[nall])
                        nall++;
                add_others();
        }
        *ret_n = nall;
        return all;
}

const char *resource_api_version(const struct resource *r, char *buf)
{
        if (!*r->group)
                return r->version;
        snprintf(buf, RESOURCE_API_VERSION_SIZE, "%s/%s", r->group, r->version);
        return buf;
}

const struct resource *resource_by_kind(const char *api_version, const char *kind)
{
        const char *slash = strchr(api_version, '/');
        struct str_span group = {api_version, slash ? (size_t)(slash - api_version) : 0};
        size_t n;
        const struct resource *const *list = resources_all(&n);

        for (size_t i = 0; i < n; i++)
                if (str_eq(list[i]->kind, kind) && str_span_eq(group, list[i]->group))
                        return list[i];
        return NULL;
}
