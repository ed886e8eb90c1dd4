/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Server-side apply. The configuration is merged into the live object; what this manager applied last time and does not
 * give now is removed unless someone else owns it too; where the outcome changes fields that others own, it is a
 * conflict, or, with force, they lose those fields. Values on which managers agree are owned by all of them.
 */
#include <errno.h>

#include "apiserver/patch/managed_entries.h"
#include "apiserver/patch/typed.h"
#include "base/str.h"

#define LAST_APPLIED "kubectl.kubernetes.io/last-applied-configuration"

struct apply {
        const struct managed_context *ctx;
        struct arena *arena;
        const struct json_object *live; /* NULL: to be created */
        const struct json_object *config;
        const char *subresource; /* never NULL */
        struct managed_entries entries;
        struct managed_entry *mine; /* what this manager applied before, or NULL */
        struct fieldset *set;       /* what it applies now */
        struct typed_diff diff;     /* from live to object */
        struct json_object *object; /* the outcome */
        struct err *reterr;
};

static int check_config(const struct apply *ap)
{
        const char *version = json_get_str(ap->config, "apiVersion"), *kind = json_get_str(ap->config, "kind");
        const struct json_object *meta = json_get(ap->config, "metadata");

        if (!json_is_object(ap->config))
                return err_set(ap->reterr, PATCH_BAD_REQUEST,
                               "error decoding YAML: the configuration is not an object");
        if (!ap->ctx->type)
                return err_set(ap->reterr, PATCH_UNPROCESSABLE, "server-side apply is not supported for this kind");
        if (!str_eq(kind, ap->ctx->kind))
                return err_set(ap->reterr, PATCH_BAD_REQUEST, "invalid object type: %s, Kind=%s",
                               version ? version : "", kind ? kind : "");
        if (!str_eq(version, ap->ctx->api_version))
                return err_set(ap->reterr, PATCH_BAD_REQUEST,
                               "Incorrect version specified in apply patch. Specified patch version: %s, expected: %s",
                               version ? version : "", ap->ctx->api_version);
        if (json_get(meta, "managedFields"))
                return err_set(ap->reterr, PATCH_BAD_REQUEST, "metadata.managedFields must be nil");
        return 0;
}

/* The fields of the configuration, but for those that are not this endpoint's or not anyone's. */
static int read_config(struct apply *ap)
{
        struct err err = ERR_NULL;
        struct fieldset *set;

        if (typed_fieldset(ap->arena, ap->ctx->type, ap->config, &set, &err)) {
                const struct json_object *meta = json_get(ap->config, "metadata");
                const char *name = json_get_str(meta, "name"), *namespace = json_get_str(meta, "namespace");

                return err_set(
                        ap->reterr, PATCH_BAD_REQUEST, "failed to create typed patch object (%s/%s; %s, Kind=%s): %s",
                        namespace ? namespace : "", name ? name : "", ap->ctx->api_version, ap->ctx->kind, err.msg);
        }
        ap->set = fieldset_subtract_below(ap->arena, set, fieldset_of_paths(ap->arena, ap->ctx->reset));
        return 0;
}

/* The stored entries; an object that nobody tracked so far gets one for all that it has. */
static void read_live(struct apply *ap)
{
        struct managed_entries *e = &ap->entries;

        *e = (struct managed_entries){.arena = ap->arena};
        if (managed_entries_read(e, json_get(json_get(ap->live, "metadata"), "managedFields"), true) < 0)
                *e = (struct managed_entries){.arena = ap->arena, .changed = true};
        if (ap->live && !e->n) {
                struct typed_diff all = typed_compare(ap->arena, ap->ctx->type, NULL, ap->live);
                struct fieldset *reset = fieldset_of_paths(ap->arena, ap->ctx->reset);
                struct fieldset *set = fieldset_subtract_below(ap->arena, all.written, reset);

                managed_entries_add(e, &(struct managed_entry){.manager = "before-first-apply",
                                                               .api_version = ap->ctx->api_version,
                                                               .subresource = ap->subresource,
                                                               .time = ap->ctx->time,
                                                               .set = managed_strip(ap->arena, set),
                                                               .set_changed = true,
                                                               .changed = true});
        }
        ap->mine = managed_entries_find(e, ap->ctx->manager, true, NULL, ap->subresource);
}

/* Merges, removes what was given up, and compares with live. */
static void merge(struct apply *ap)
{
        struct fieldset *keep = ap->set;

        ap->object = typed_merge(ap->arena, ap->ctx->type, ap->live, ap->config);
        if (ap->mine) {
                for (size_t i = 0; i < ap->entries.n; i++) {
                        if (&ap->entries.items[i] != ap->mine)
                                keep = fieldset_union(ap->arena, keep, ap->entries.items[i].set);
                }
                typed_prune(ap->arena, ap->ctx->type, ap->object, ap->mine->set, keep);
        }
        ap->diff = typed_compare(ap->arena, ap->ctx->type, ap->live, ap->object);
        ap->diff.written =
                fieldset_subtract_below(ap->arena, ap->diff.written, fieldset_of_paths(ap->arena, ap->ctx->reset));
}

static struct fieldset *conflicts_with(const struct apply *ap, const struct managed_entry *it)
{
        return it == ap->mine ? NULL : fieldset_intersect(ap->arena, it->set, ap->diff.written);
}

static struct fieldset *all_conflicts(const struct apply *ap)
{
        struct fieldset *all = NULL;

        for (size_t i = 0; i < ap->entries.n; i++)
                all = fieldset_union(ap->arena, all, conflicts_with(ap, &ap->entries.items[i]));
        return all;
}

/*
 * What `kubectl apply` of old (client-side) left behind: the fields of its annotation that are as it set them. A
 * kubectl that now applies on the server may take those over without force.
 */
static struct fieldset *last_applied_fields(const struct apply *ap)
{
        const struct json_object *notes = json_get(json_get(ap->live, "metadata"), "annotations");
        const char *text = json_get_str(notes, LAST_APPLIED);
        _cleanup_json_ struct json_object *last = NULL;
        struct typed_diff diff;
        struct fieldset *set;

        if (!text || json_parse(text, strlen(text), &last, NULL) < 0 ||
            !str_eq(json_get_str(last, "apiVersion"), ap->ctx->api_version) ||
            typed_fieldset(ap->arena, ap->ctx->type, last, &set, NULL) < 0)
                return NULL;
        diff = typed_compare(ap->arena, ap->ctx->type, last, ap->live);
        return fieldset_subtract(ap->arena, fieldset_subtract(ap->arena, set, diff.written), diff.removed);
}

struct listing {
        struct apply *ap;
        struct apply_result *ret;
        const char *manager;
        size_t cap;
};

static void list_conflict(void *userdata, const char *path)
{
        struct listing *l = userdata;

        if (l->ret->nconflicts == l->cap) {
                size_t cap = l->cap ? l->cap * 2 : 16;
                struct apply_conflict *more = arena_array(l->ap->arena, struct apply_conflict, cap);

                if (l->cap)
                        memcpy(more, l->ret->conflicts, l->cap * sizeof(*more));
                l->ret->conflicts = more;
                l->cap = cap;
        }
        l->ret->conflicts[l->ret->nconflicts++] =
                (struct apply_conflict){.manager = l->manager, .field = arena_strdup(l->ap->arena, path)};
}

static const char *manager_text(struct arena *a, const struct managed_entry *it)
{
        _cleanup_strbuf_ struct strbuf b = STRBUF_NULL;

        strbuf_add_json_str(&b, it->manager, strlen(it->manager));
        if (*it->subresource) {
                strbuf_add_str(&b, " with subresource ");
                strbuf_add_json_str(&b, it->subresource, strlen(it->subresource));
        }
        if (!it->apply)
                strbuf_printf(&b, " using %s", it->api_version);
        return arena_strdup(a, b.data);
}

static const char *conflict_message(struct arena *a, const struct apply_result *ret)
{
        _cleanup_strbuf_ struct strbuf b = STRBUF_NULL;
        const char *manager = NULL;

        if (ret->nconflicts == 1)
                return arena_printf(a, "Apply failed with 1 conflict: conflict with %s: %s", ret->conflicts[0].manager,
                                    ret->conflicts[0].field);
        strbuf_printf(&b, "Apply failed with %zu conflicts: ", ret->nconflicts);
        for (size_t i = 0; i < ret->nconflicts; i++) {
                const struct apply_conflict *c = &ret->conflicts[i];

                if (!str_eq(manager, c->manager))
                        strbuf_printf(&b, "%sconflicts with %s:", i ? "\n" : "", c->manager);
                manager = c->manager;
                strbuf_add_str(&b, "\n- ");
                strbuf_add_str(&b, c->field);
        }
        return arena_strndup(a, b.data, b.len);
}

static int by_manager(const void *x, const void *y)
{
        const struct managed_entry *const *a = x, *const *b = y;
        int r = strcmp((*a)->manager, (*b)->manager);

        return r ? r : strcmp((*a)->subresource, (*b)->subresource);
}

static int refuse(struct apply *ap, const struct fieldset *allowed, struct apply_result *ret)
{
        struct listing l = {.ap = ap, .ret = ret};
        size_t n = ap->entries.n;
        struct managed_entry **order = arena_array(ap->arena, struct managed_entry *, n + 1);

        *ret = (struct apply_result){0};
        for (size_t i = 0; i < n; i++)
                order[i] = &ap->entries.items[i];
        qsort(order, n, sizeof(struct managed_entry *), by_manager);
        for (size_t i = 0; i < n; i++) {
                struct fieldset *set = fieldset_subtract(ap->arena, conflicts_with(ap, order[i]), allowed);

                l.manager = manager_text(ap->arena, order[i]);
                fieldset_each_path(set, list_conflict, &l);
        }
        ret->message = conflict_message(ap->arena, ret);
        return err_set(ap->reterr, PATCH_CONFLICT, "%s", ret->message);
}

static int check_conflicts(struct apply *ap, bool force, struct apply_result *ret)
{
        struct fieldset *all = force ? NULL : all_conflicts(ap), *allowed = NULL;

        if (all && str_eq(ap->ctx->manager, "kubectl")) {
                allowed = last_applied_fields(ap);
                all = fieldset_subtract(ap->arena, all, allowed);
        }
        return all ? refuse(ap, allowed, ret) : 0;
}

static void own(struct apply *ap, bool changed)
{
        struct managed_entries *e = &ap->entries;
        struct fieldset *set = managed_strip(ap->arena, ap->set);

        for (size_t i = 0; i < e->n; i++) {
                struct managed_entry *it = &e->items[i];

                if (it == ap->mine)
                        continue;
                managed_entry_set(e, it,
                                  fieldset_subtract(ap->arena, fieldset_subtract(ap->arena, it->set, ap->diff.written),
                                                    ap->diff.removed));
        }
        if (!ap->mine) {
                managed_entries_add(e, &(struct managed_entry){.manager = ap->ctx->manager,
                                                               .api_version = ap->ctx->api_version,
                                                               .subresource = ap->subresource,
                                                               .time = ap->ctx->time,
                                                               .apply = true,
                                                               .set = set,
                                                               .set_changed = true,
                                                               .changed = true});
                return;
        }
        if (!fieldset_equal(set, ap->mine->set))
                managed_entry_set(e, ap->mine, set);
        if (!changed && !ap->mine->changed && str_eq(ap->mine->api_version, ap->ctx->api_version))
                return;
        ap->mine->api_version = ap->ctx->api_version;
        ap->mine->time = ap->ctx->time;
        ap->mine->changed = e->changed = true;
}

/* A kubectl that applies on the server keeps the annotation of client-side apply current where there is one. */
static void sync_last_applied(struct apply *ap)
{
        struct json_object *notes = json_get(json_get(ap->object, "metadata"), "annotations"), *meta, *own_notes;
        _cleanup_json_ struct json_object *config = NULL;
        _cleanup_strbuf_ struct strbuf b = STRBUF_NULL;

        if (!str_eq(ap->ctx->manager, "kubectl") || str_empty(json_get_str(notes, LAST_APPLIED)))
                return;
        config = json_copy(ap->config);
        meta = json_get(config, "metadata");
        own_notes = json_get(meta, "annotations");
        if (json_is_object(own_notes)) {
                json_del(own_notes, LAST_APPLIED);
                if (json_object_object_length(own_notes) == 0)
                        json_del(meta, "annotations");
        }
        json_write(&b, config);
        strbuf_add_char(&b, '\n');
        json_set_str(notes, LAST_APPLIED, b.data);
}

static void finish(struct apply *ap, struct apply_result *ret)
{
        struct json_object *meta = json_ensure(ap->object, "metadata");
        bool changed = !ap->live || ap->diff.written || ap->diff.removed;

        sync_last_applied(ap);
        own(ap, changed);
        managed_entries_tidy(&ap->entries, false);
        if (!ap->entries.n)
                json_del(meta, "managedFields");
        else if (ap->entries.changed)
                json_set(meta, "managedFields", managed_entries_write(&ap->entries));
        *ret = (struct apply_result){.object = TAKE_PTR(ap->object)};
        ret->unchanged = ap->live && json_equal(ap->live, ret->object);
}

int managed_apply(const struct managed_context *ctx, const struct json_object *live, const struct json_object *config,
                  bool force, struct apply_result *ret, struct err *reterr)
{
        struct managed_context named = *ctx;
        struct apply ap = {
                .ctx = &named,
                .arena = ctx->arena,
                .live = live,
                .config = config,
                .subresource = ctx->subresource ? ctx->subresource : "",
                .reterr = reterr,
        };
        int r;

        if (str_empty(named.manager))
                named.manager = "unknown";
        r = check_config(&ap);
        if (!r)
                r = read_config(&ap);
        if (r)
                return r;
        read_live(&ap);
        merge(&ap);
        r = check_conflicts(&ap, force, ret);
        if (!r)
                finish(&ap, ret);
        json_object_put(ap.object);
        return r;
}
