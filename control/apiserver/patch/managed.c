/* SPDX-License-Identifier: Apache-2.0 */
#include "apiserver/patch/managed_entries.h"
#include "apiserver/patch/typed.h"
#include "base/str.h"

static const char *const status_only[] = {"status", NULL};
static const char *const spec_only[] = {"spec", NULL};

static const struct {
        const char *group, *plural, *subresource;
        const char *const *fields;
} special[] = {
        {"", "pods", "status",
         (const char *const[]){"spec", "metadata.deletionTimestamp", "metadata.ownerReferences", NULL}},
        {"apps", "deployments", "status", (const char *const[]){"spec", "metadata.labels", NULL}},
        {"apiextensions.k8s.io", "customresourcedefinitions", "status",
         (const char *const[]){"spec", "metadata", NULL}},
        {"resource.k8s.io", "resourceclaims", "status", (const char *const[]){"spec", "metadata", NULL}},
};

const char *const *managed_reset_fields(const struct schema_resource *resource, const char *subresource)
{
        for (size_t i = 0; subresource && i < ARRAY_SIZE(special); i++) {
                if (str_eq(special[i].group, resource->group) && str_eq(special[i].plural, resource->plural) &&
                    str_eq(special[i].subresource, subresource))
                        return special[i].fields;
        }
        if (!subresource)
                return schema_subresource_find(resource, "status") ? status_only : NULL;
        return str_eq(subresource, "status") ? spec_only : NULL;
}

static struct json_object *managed_fields_of(const struct json_object *o)
{
        return json_get(json_get(o, "metadata"), "managedFields");
}

/* A client asks to forget who owns what by a list that is empty or has one empty entry. */
static bool is_reset(const struct json_object *list)
{
        const struct json_object *first = json_idx(list, 0);

        if (!json_is_array(list))
                return false;
        if (json_len(list) == 0)
                return true;
        return json_len(list) == 1 && (!first || (json_is_object(first) && json_object_object_length(first) == 0));
}

/* The entries that the write starts from: what the client sent back, if that can be used, else what is stored. */
static void read_entries(const struct managed_context *ctx, const struct json_object *old,
                         const struct json_object *new, struct managed_entries *e)
{
        const struct json_object *stored = managed_fields_of(old), *sent = managed_fields_of(new);

        if (!ctx->subresource && is_reset(sent)) {
                e->changed = true;
                return;
        }
        if (!ctx->subresource && json_len(sent) && !json_equal(sent, stored) &&
            managed_entries_read(e, sent, false) == 0)
                return;
        if (managed_entries_read(e, stored, true) < 0)
                *e = (struct managed_entries){.arena = e->arena, .changed = true};
}

/* What was written goes from everyone who had it, and to this manager. */
static void take_over(const struct managed_context *ctx, struct managed_entries *e, const struct typed_diff *diff)
{
        struct fieldset *own = managed_strip(ctx->arena, diff->written);
        const char *manager = str_empty(ctx->manager) ? "unknown" : ctx->manager;
        const char *subresource = ctx->subresource ? ctx->subresource : "";
        struct managed_entry *mine;

        mine = own ? managed_entries_find(e, manager, false, ctx->api_version, subresource) : NULL;
        for (size_t i = 0; i < e->n; i++) {
                struct managed_entry *it = &e->items[i];
                struct fieldset *set = it->set;

                if (it != mine)
                        set = fieldset_subtract(ctx->arena, set, diff->written);
                managed_entry_set(e, it, fieldset_subtract(ctx->arena, set, diff->removed));
        }
        if (!own)
                return;
        if (!mine) {
                managed_entries_add(e, &(struct managed_entry){.manager = manager,
                                                               .api_version = ctx->api_version,
                                                               .subresource = subresource,
                                                               .time = ctx->time,
                                                               .set = own,
                                                               .set_changed = true,
                                                               .changed = true});
                return;
        }
        if (fieldset_subtract(ctx->arena, own, mine->set)) /* something new */
                managed_entry_set(e, mine, fieldset_union(ctx->arena, mine->set, own));
        mine->time = ctx->time;
        mine->changed = e->changed = true;
}

void managed_update(const struct managed_context *ctx, const struct json_object *old, struct json_object *new)
{
        struct managed_entries e = {.arena = ctx->arena};
        struct json_object *meta = json_get(new, "metadata"), *list;
        struct fieldset *reset;
        struct typed_diff diff;

        if (!json_is_object(meta))
                return;
        read_entries(ctx, old, new, &e);
        /* An object whose owners were forgotten stays untracked until it is applied to. */
        if (old && !e.n) {
                json_del(meta, "managedFields");
                return;
        }
        diff = typed_compare(ctx->arena, ctx->type, old, new);
        reset = fieldset_of_paths(ctx->arena, ctx->reset);
        diff.written = fieldset_subtract_below(ctx->arena, diff.written, reset);
        diff.removed = fieldset_subtract_below(ctx->arena, diff.removed, reset);
        take_over(ctx, &e, &diff);
        managed_entries_tidy(&e, true);
        list = e.changed ? managed_entries_write(&e) : json_object_get(managed_fields_of(old));
        if (list)
                json_set(meta, "managedFields", list);
        else
                json_del(meta, "managedFields");
}
