/* SPDX-License-Identifier: Apache-2.0 */
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "base/str.h"
#include "controllers/common/claim.h"
#include "controllers/common/pods.h"
#include "controllers/common/revisions.h"

#define PREFIX_MAX     223  /* of a name, before the hash */
#define COLLISIONS_MAX 1000 /* names that are tried in one sync */
#define PATCH_KEY      "$patch"

static int by_number(const void *a, const void *b)
{
        const struct revision *x = a, *y = b;

        if (x->number != y->number)
                return x->number < y->number ? -1 : 1;
        if (x->object->created_s != y->object->created_s)
                return x->object->created_s < y->object->created_s ? -1 : 1;
        return strcmp(x->object->name, y->object->name);
}

void history_read(struct sync *s, const struct kobj *owner, const struct selector *sel, struct history *h)
{
        struct kobjs mine = claim(s, owner, &res_controllerrevisions, sel);

        h->all = mem_array(struct revision, mine.n + 1);
        kobjs_foreach (mine, o) {
                struct json_object *json = o->deleted_s ? NULL : kobj_json(o);

                if (json)
                        h->all[h->n++] = (struct revision){o, json, json_get_i64(json, "revision", 0)};
        }
        qsort(h->all, h->n, sizeof(*h->all), by_number);
}

void history_deinit(struct history *h)
{
        for (size_t i = 0; i < h->n; i++)
                json_object_put(h->all[i].json);
        free(h->all);
        *h = HISTORY_NULL;
}

/* ---- one revision ---- */

static struct json_object *data_of(const struct json_object *template)
{
        struct json_object *data = json_object_new_object(), *copy = json_copy(template);

        json_set_str(copy, PATCH_KEY, "replace");
        json_set(json_ensure(data, "spec"), "template", copy);
        return data;
}

struct json_object *revision_template(const struct revision *r)
{
        struct json_object *template = json_copy(json_at(r->json, "data.spec.template"));

        json_del(template, PATCH_KEY);
        return template;
}

const char *revision_hash(const struct history *h, const struct revision *r)
{
        const char *hash = kobj_label(r->object, h->hash_label), *dash = strrchr(r->object->name, '-');

        return hash ? hash : dash ? dash + 1 : r->object->name;
}

static void set_labels(const struct history *h, struct json_object *meta, const struct json_object *template,
                       const char *hash)
{
        struct json_object *labels = json_copy(json_at(template, "metadata.labels"));

        json_set(meta, "labels", labels ? labels : json_object_new_object());
        json_set_str(json_get(meta, "labels"), h->hash_label, hash);
}

/* Clients look for why a change was made (kubernetes.io/change-cause) among them. */
static void set_annotations(struct json_object *meta, const struct kobj *owner)
{
        for (size_t i = 0; i < owner->nannotations; i++)
                json_set_str(json_ensure(meta, "annotations"), owner->annotations[i].key, owner->annotations[i].value);
}

/* A name that belongs to another object, or to an other template, is counted as a collision and made anew. */
static const char *free_name(struct sync *s, struct history *h, const struct kobj *owner,
                             const struct json_object *template, char *hash)
{
        const char *name = NULL;

        for (int i = 0; i < COLLISIONS_MAX; i++, h->collisions++) {
                name = arena_printf(s->mem, "%.*s-%s", PREFIX_MAX, owner->name,
                                    template_hash(template, h->collisions, hash));
                if (!lister_get(s->lister, &res_controllerrevisions, owner->ns, name))
                        break;
        }
        return name;
}

static void plan_revision(struct sync *s, struct history *h, const struct kobj *owner,
                          const struct json_object *template, struct json_object *data)
{
        int64_t newest = h->n ? h->all[h->n - 1].number : 0;
        struct json_object *body = json_object_new_object(), *meta = json_ensure(body, "metadata");
        struct json_object *owners = json_object_new_array();
        char hash[16];

        json_set_str(meta, "name", free_name(s, h, owner, template, hash));
        json_set_str(meta, "namespace", owner->ns);
        set_labels(h, meta, template, hash);
        set_annotations(meta, owner);
        json_object_array_add(owners, owner_reference(owner));
        json_set(meta, "ownerReferences", owners);
        json_set(body, "data", data);
        json_set_i64(body, "revision", newest + 1);
        plan_create(s, &res_controllerrevisions, body);
}

static void plan_number(struct sync *s, const struct revision *r, int64_t number)
{
        struct json_object *body = json_copy(r->json);

        json_set_i64(body, "revision", number);
        plan_update(s, &res_controllerrevisions, body);
}

/* ---- all of them ---- */

static void write_collisions(struct sync *s, const struct history *h, const struct resource *r,
                             struct json_object *owner)
{
        json_set_i64(json_ensure(owner, "status"), "collisionCount", h->collisions);
        plan_update_status(s, r, json_object_get(owner));
}

const struct revision *history_update(struct sync *s, struct history *h, const struct kobj *owner,
                                      struct json_object *json)
{
        struct json_object *template = json_at(json, "spec.template");
        _cleanup_json_ struct json_object *data = data_of(template);
        const struct revision *newest = h->n ? &h->all[h->n - 1] : NULL;
        int64_t before = json_at_i64(json, "status.collisionCount", 0);

        h->collisions = before;
        for (size_t i = h->n; i; i--) {
                const struct revision *r = &h->all[i - 1];

                if (!json_equal(json_get(r->json, "data"), data))
                        continue;
                if (r == newest)
                        return r;
                plan_number(s, r, newest->number + 1);
                return NULL;
        }
        plan_revision(s, h, owner, template, json_object_get(data));
        if (h->collisions != before)
                write_collisions(s, h, owner->resource, json);
        return NULL;
}

const struct revision *history_find(const struct history *h, const char *name)
{
        for (size_t i = 0; i < h->n; i++)
                if (str_eq(h->all[i].object->name, name))
                        return &h->all[i];
        return NULL;
}

void history_trim(struct sync *s, const struct history *h, int64_t n,
                  bool (*lives)(const struct revision *r, const void *ctx), const void *ctx)
{
        for (size_t i = 0; i < h->n && n > 0; i++)
                if (!lives(&h->all[i], ctx)) {
                        plan_delete(s, h->all[i].object);
                        n--;
                }
}
