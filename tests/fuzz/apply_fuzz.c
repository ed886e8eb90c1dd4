/* SPDX-License-Identifier: Apache-2.0 */
/*
 * managedFields and server-side apply. The input is lines of JSON, each an object of one Deployment's life: the first
 * is created, the others are put (by the manager m) or, when they start with a +, applied (by the manager a, with force
 * for
 * ++). Nothing crashes, the trees that are given stay as they are, a refused apply leaves no result, and applying the
 * same once more changes nothing.
 */
#include <stdlib.h>
#include <string.h>

#include "apiserver/patch/managed.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define LINES_MAX 8

static void require(bool holds)
{
        if (!holds)
                abort();
}

static struct managed_context context(struct arena *a, const char *manager)
{
        const struct schema_resource *r = schema_resource_by_kind("apps", "v1", "Deployment");

        return (struct managed_context){.arena = a,
                                        .type = r->type,
                                        .api_version = "apps/v1",
                                        .kind = "Deployment",
                                        .manager = manager,
                                        .reset = managed_reset_fields(r, NULL),
                                        .time = "2026-01-01T00:00:00Z"};
}

static struct json_object *put(struct arena *a, struct json_object *live, struct json_object *new)
{
        struct managed_context ctx = context(a, "m");
        _cleanup_json_ struct json_object *before = json_copy(live);

        managed_update(&ctx, live, new);
        require(json_equal(live, before));
        json_object_put(live);
        return new;
}

static struct json_object *apply(struct arena *a, struct json_object *live, const struct json_object *config,
                                 bool force)
{
        struct managed_context ctx = context(a, "a");
        _cleanup_json_ struct json_object *before = json_copy(live), *config_before = json_copy(config), *first = NULL;
        struct apply_result once = {0}, twice = {0};
        struct err err = ERR_NULL;
        int r = managed_apply(&ctx, live, config, force, &once, &err);

        require(json_equal(live, before) && json_equal(config, config_before));
        require(r >= 0 && (r == 0) == (once.object != NULL) && (r != PATCH_CONFLICT || once.nconflicts));
        if (r)
                return live;
        json_object_put(live);
        first = once.object;
        require(managed_apply(&ctx, first, config, false, &twice, &err) == 0);
        require(twice.unchanged);
        return twice.object;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
        _cleanup_(arena_deinit) struct arena a = ARENA_NULL;
        const char *s = (const char *)data, *end = s + size;
        struct json_object *live = NULL;

        for (int i = 0; i < LINES_MAX && s < end; i++) {
                const char *nl = memchr(s, '\n', (size_t)(end - s)), *stop = nl ? nl : end;
                int plus = 0;
                struct json_object *o = NULL;

                for (; s < stop && *s == '+'; s++)
                        plus++;
                if (json_parse(s, (size_t)(stop - s), &o, NULL) == 0 && json_is_object(o) && !plus)
                        live = put(&a, live, TAKE_PTR(o));
                else if (o && plus)
                        live = apply(&a, live, o, plus > 1);
                json_object_put(o);
                s = stop + 1;
        }
        json_object_put(live);
        return 0;
}
