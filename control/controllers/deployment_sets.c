/* SPDX-License-Identifier: Apache-2.0 */
/* A Deployment's ReplicaSets: which there are, the one of its present template, revisions, and what is written. */
#include <stdlib.h>
#include <string.h>

#include "base/str.h"
#include "controllers/common/claim.h"
#include "controllers/common/conditions.h"
#include "controllers/common/pods.h"
#include "controllers/deployment.h"

#define HISTORY_TEXT_MAX 2000 /* bytes of old revisions in an annotation */
#define NAME_MAX_LEN     253

static int by_age(const void *a, const void *b)
{
        const struct kobj *x = *(const struct kobj *const *)a, *y = *(const struct kobj *const *)b;

        return x->created_s != y->created_s ? (x->created_s > y->created_s) - (x->created_s < y->created_s)
                                            : strcmp(x->name, y->name);
}

/* ---- reading ---- */

static void set_read(struct set *set, const struct kobj *o)
{
        struct json_object *status;

        set->o = o;
        set->name = o->name;
        set->json = kobj_json(o);
        set->was = set->replicas = json_at_i64(set->json, "spec.replicas", 1);
        status = json_get(set->json, "status");
        set->actual = json_get_i64(status, "replicas", 0);
        set->ready = json_get_i64(status, "readyReplicas", 0);
        set->available = json_get_i64(status, "availableReplicas", 0);
        set->observed = json_get_i64(status, "observedGeneration", 0);
        set->ending = json_get_i64(status, "terminatingReplicas", -1);
        json_del(json_at(set->json, "spec.template.metadata.labels"), HASH_LABEL);
}

bool sets_read(struct rollout *ro, const struct selector *sel)
{
        struct kobjs mine = claim(ro->sync, ro->o, &res_replicasets, sel);

        if (!plan_is_empty(ro->sync))
                return false;
        qsort(mine.items, mine.n, sizeof(*mine.items), by_age);
        ro->sets = arena_array(ro->sync->mem, struct set, mine.n + 1);
        for (ro->n = 0; ro->n < mine.n; ro->n++)
                set_read(&ro->sets[ro->n], mine.items[ro->n]);
        sets_foreach (ro, s)
                if (!ro->fresh && json_equal(json_at(s->json, "spec.template"), ro->template))
                        ro->fresh = s;
        return true;
}

void sets_free(struct rollout *ro)
{
        sets_foreach (ro, s) {
                json_object_put(s->json);
                json_object_put(s->annotations);
        }
}

/* ---- annotations ---- */

static const char *annotation(const struct set *set, const char *key)
{
        const char *changed = json_get_str(set->annotations, key);

        return changed ? changed : set->o ? kobj_annotation(set->o, key) : NULL;
}

static void annotate(struct set *set, const char *key, const char *value)
{
        if (str_eq(annotation(set, key), value))
                return;
        if (!set->annotations)
                set->annotations = json_object_new_object();
        json_set_str(set->annotations, key, value);
}

static void annotate_number(struct set *set, const char *key, int64_t n)
{
        char text[24];

        snprintf(text, sizeof(text), "%lld", (long long)n);
        annotate(set, key, text);
}

static bool is_own_annotation(const char *key)
{
        return str_eq(key, REVISION_ANNOTATION) || str_eq(key, HISTORY_ANNOTATION) || str_eq(key, DESIRED_ANNOTATION) ||
               str_eq(key, MAX_ANNOTATION) || str_eq(key, "deprecated.deployment.rollback.to");
}

/* The cache has no last-applied-configuration, which is not to be copied either. */
static void copy_annotations(const struct rollout *ro, struct set *set)
{
        for (size_t i = 0; i < ro->o->nannotations; i++)
                if (!is_own_annotation(ro->o->annotations[i].key))
                        annotate(set, ro->o->annotations[i].key, ro->o->annotations[i].value);
}

static int64_t revision_of(const struct set *set)
{
        const char *text = annotation(set, REVISION_ANNOTATION);
        int64_t n = 0;

        return text && !str_parse_i64(text, &n) ? n : 0;
}

/* "1,3" and 5: "1,3,5"; the oldest are left out when it gets too long. */
static void remember_revision(struct rollout *ro, struct set *set, const char *old)
{
        const char *history = annotation(set, HISTORY_ANNOTATION);
        size_t n = strlen(old) + 1;

        if (n > HISTORY_TEXT_MAX)
                return;
        while (history && strlen(history) + n > HISTORY_TEXT_MAX) {
                const char *comma = strchr(history, ',');

                history = comma ? comma + 1 : NULL;
        }
        annotate(set, HISTORY_ANNOTATION,
                 str_empty(history) ? old : arena_printf(ro->sync->mem, "%s,%s", history, old));
}

static int64_t newest_revision(const struct rollout *ro)
{
        int64_t newest = 0;

        old_foreach (ro, s)
                newest = MAX(newest, revision_of(s));
        return newest;
}

/* A revision of its own that is newer than all others stays: the others may have been deleted. A text that is no number
 * is somebody else's matter. */
static void raise_revision(struct rollout *ro, struct set *set, int64_t revision)
{
        const char *text = annotation(set, REVISION_ANNOTATION);
        int64_t was = 0;

        if (!str_empty(text) && str_parse_i64(text, &was))
                return;
        if (was >= revision)
                return;
        if (text)
                remember_revision(ro, set, text);
        annotate_number(set, REVISION_ANNOTATION, revision);
}

/* The Deployment says which revision it is at. */
static void tell_revision(struct rollout *ro)
{
        struct json_object *all = json_ensure(json_get(ro->json, "metadata"), "annotations");
        const char *revision = annotation(ro->fresh, REVISION_ANNOTATION);

        if (!revision || str_eq(json_get_str(all, REVISION_ANNOTATION), revision))
                return;
        json_set_str(all, REVISION_ANNOTATION, revision);
        ro->annotated = true;
}

void sets_renew(struct rollout *ro)
{
        struct set *set = ro->fresh;

        if (!set)
                return;
        copy_annotations(ro, set);
        raise_revision(ro, set, newest_revision(ro) + 1);
        set->min_ready = json_at_i64(set->json, "spec.minReadySeconds", 0) != ro->min_ready_s;
        tell_revision(ro);
        if (!condition_find(ro->status, "Progressing"))
                rollout_progress(ro, "True", "FoundNewReplicaSet",
                                 arena_printf(ro->sync->mem, "Found new replica set \"%s\"", set->name));
}

/* ---- sizes ---- */

bool set_resize(struct rollout *ro, struct set *set, int64_t replicas)
{
        bool resized = set->replicas != replicas;

        annotate_number(set, DESIRED_ANNOTATION, ro->replicas);
        annotate_number(set, MAX_ANNOTATION, ro->replicas + ro->surge);
        set->replicas = replicas;
        return resized;
}

/* ---- a new one ---- */

static struct json_object *new_selector(const struct rollout *ro, const char *hash)
{
        struct json_object *sel = json_copy(json_at(ro->json, "spec.selector"));

        json_set_str(json_ensure(sel, "matchLabels"), HASH_LABEL, hash);
        return sel;
}

static struct json_object *new_metadata(struct rollout *ro, struct set *set, struct json_object *labels)
{
        struct json_object *meta = json_object_new_object(), *owners = json_object_new_array();

        json_set_str(meta, "name", set->name);
        json_set_str(meta, "namespace", ro->o->ns);
        json_set(meta, "labels", json_copy(labels));
        json_object_array_add(owners, owner_reference(ro->o));
        json_set(meta, "ownerReferences", owners);
        copy_annotations(ro, set);
        annotate_number(set, REVISION_ANNOTATION, newest_revision(ro) + 1);
        set_resize(ro, set, rollout_fresh_size(ro));
        json_set(meta, "annotations", json_object_get(set->annotations));
        return meta;
}

static struct json_object *new_set(struct rollout *ro, struct set *set, const char *hash)
{
        struct json_object *body = json_object_new_object(), *spec = json_ensure(body, "spec");
        struct json_object *template = json_copy(ro->template), *labels;

        labels = json_ensure(json_ensure(template, "metadata"), "labels");
        json_set_str(labels, HASH_LABEL, hash);
        json_set(body, "metadata", new_metadata(ro, set, labels));
        json_set_i64(spec, "replicas", set->replicas);
        if (ro->min_ready_s)
                json_set_i64(spec, "minReadySeconds", ro->min_ready_s);
        json_set(spec, "selector", new_selector(ro, hash));
        json_set(spec, "template", template);
        return body;
}

static const char *new_name(struct rollout *ro, const char *hash)
{
        int room = NAME_MAX_LEN - 1 - (int)strlen(hash);

        return arena_printf(ro->sync->mem, "%.*s-%s", room, ro->o->name, hash);
}

static void tell_scaled(struct rollout *ro, struct step *st, const struct set *set)
{
        struct telling t = {.done_reason = "ScalingReplicaSet"};

        if (set->was == set->replicas)
                return;
        t.done_text = arena_printf(ro->sync->mem, "Scaled %s replica set %s from %lld to %lld",
                                   set->replicas > set->was ? "up" : "down", set->name, (long long)set->was,
                                   (long long)set->replicas);
        step_tell(st, ro->o, &t);
}

/* What has that name and is not ours, or not of this template (it would be among the sets), has it for good. */
void sets_create(struct rollout *ro)
{
        int64_t collisions = json_get_i64(ro->status, "collisionCount", 0);
        struct set *set = &ro->sets[ro->n];
        char hash[16];

        template_hash(ro->template, collisions, hash);
        set->name = new_name(ro, hash);
        if (lister_get(ro->sync->lister, &res_replicasets, ro->o->ns, set->name)) {
                json_set_i64(ro->status, "collisionCount", collisions + 1);
                ro->collided = true;
                return;
        }
        set->json = new_set(ro, set, hash);
        ro->n++;
        ro->fresh = set;
        ro->created = true;
        tell_revision(ro);
        rollout_progress(ro, "True", "NewReplicaSetCreated",
                         arena_printf(ro->sync->mem, "Created new replica set \"%s\"", set->name));
        tell_scaled(ro, plan_create(ro->sync, &res_replicasets, json_object_get(set->json)), set);
}

/* ---- history ---- */

static int by_revision(const void *a, const void *b)
{
        const struct set *x = *(struct set *const *)a, *y = *(struct set *const *)b;
        int64_t rx = revision_of(x), ry = revision_of(y);

        return rx != ry ? (rx > ry) - (rx < ry) : (x > y) - (x < y);
}

static bool is_empty(const struct set *s)
{
        return !s->was && !s->replicas && !s->actual && s->observed >= s->o->generation;
}

void sets_clean_up(struct rollout *ro)
{
        int64_t limit = json_at_i64(ro->json, "spec.revisionHistoryLimit", INT32_MAX);
        struct set **old = arena_array(ro->sync->mem, struct set *, ro->n + 1);
        size_t n = 0;

        if (limit == INT32_MAX)
                return;
        old_foreach (ro, s)
                if (!s->o->deleted_s)
                        old[n++] = s;
        qsort(old, n, sizeof(struct set *), by_revision);
        for (size_t i = 0; i < n && (int64_t)(n - i) > limit; i++)
                if (is_empty(old[i]))
                        step_version(plan_delete(ro->sync, old[i]->o), old[i]->o);
}

/* ---- writing ---- */

/* Its size was decided from what it has: so only that version may change. */
static void set_write(struct rollout *ro, struct set *s)
{
        struct json_object *patch = json_object_new_object();
        struct step *st;

        if (s->annotations)
                json_set(json_ensure(patch, "metadata"), "annotations", json_object_get(s->annotations));
        if (s->was != s->replicas)
                json_set_i64(json_ensure(patch, "spec"), "replicas", s->replicas);
        if (s->min_ready)
                json_set_i64(json_ensure(patch, "spec"), "minReadySeconds", ro->min_ready_s);
        st = plan_patch(ro->sync, s->o, NULL, patch);
        step_version(st, s->o);
        tell_scaled(ro, st, s);
}

void sets_write(struct rollout *ro)
{
        sets_foreach (ro, s)
                if (s->o && (s->annotations || s->was != s->replicas || s->min_ready))
                        set_write(ro, s);
}
