/* SPDX-License-Identifier: Apache-2.0 */
#include <stdio.h>

#include "base/cleanup.h"
#include "base/str.h"
#include "controllers/engine/resource.h"

#define X(field, g, v, p, k, n, how)                                                                                   \
        const struct resource res_##field = {                                                                          \
                .group = (g), .version = (v), .plural = (p), .kind = (k), .namespaced = (n), .keep = (how)};
RESOURCES(X)
#undef X

static const struct resource *const all[] = {
#define X(field, ...) &res_##field,
        RESOURCES(X)
#undef X
};

const char *resource_api_version(const struct resource *r, char *buf)
{
        if (!*r->group)
                return r->version;
        snprintf(buf, RESOURCE_API_VERSION_SIZE, "%s/%s", r->group, r->version);
        return buf;
}

const struct resource *resource_by_kind(const char *api_version, const char *kind)
{
        char buf[RESOURCE_API_VERSION_SIZE];

        for (size_t i = 0; i < ARRAY_SIZE(all); i++)
                if (str_eq(all[i]->kind, kind) && str_eq(resource_api_version(all[i], buf), api_version))
                        return all[i];
        return NULL;
}
