/* SPDX-License-Identifier: Apache-2.0 */
#include <stdlib.h>

#include "base/clock.h"
#include "base/mem.h"
#include "base/str.h"
#include "base/strbuf.h"
#include "controllers/engine/kobj.h"
#include "controllers/engine/kobj_node.h"
#include "controllers/engine/kobj_pod.h"
#include "controllers/engine/pack.h"

/* kubectl keeps a second copy of the object there, which no controller reads. */
#define LAST_APPLIED "kubectl.kubernetes.io/last-applied-configuration"

int64_t kobj_time(const struct jnode *o, const char *key)
{
        const char *text = jnode_str(o, key);
        struct timespec at;

        return text && !clock_parse(text, &at) ? at.tv_sec : 0;
}

static const struct label *pack_labels(struct pack *p, const struct jnode *map, uint16_t *ret_n)
{
        struct label *labels = pack_array(p, struct label, map ? map->n : 0);
        uint16_t n = 0;

        for (const struct jnode *m = map && map->type == JNODE_OBJECT ? map->first : NULL; m; m = m->next)
                if (jnode_text(m) && !str_eq(m->key, LAST_APPLIED))
                        labels[n++] = (struct label){pack_text(p, m->key), pack_text(p, jnode_text(m))};
        *ret_n = n;
        return labels;
}

static const struct owner *pack_owners(struct pack *p, const struct jnode *list, uint16_t *ret_n)
{
        struct owner *owners = pack_array(p, struct owner, jnode_len(list));
        uint16_t n = 0;

        jnode_foreach (list, o)
                owners[n++] = (struct owner){.api_version = pack_text(p, jnode_str(o, "apiVersion")),
                                             .kind = pack_text(p, jnode_str(o, "kind")),
                                             .name = pack_text(p, jnode_str(o, "name")),
                                             .uid = pack_text(p, jnode_str(o, "uid")),
                                             .controller = jnode_bool(o, "controller", false),
                                             .block = jnode_bool(o, "blockOwnerDeletion", false)};
        *ret_n = n;
        return owners;
}

const char *const *kobj_pack_texts(struct pack *p, const struct jnode *list, uint16_t *ret_n)
{
        const char **texts = pack_array(p, const char *, jnode_len(list));
        uint16_t n = 0;

        jnode_foreach (list, t)
                texts[n++] = pack_text(p, jnode_text(t));
        *ret_n = n;
        return texts;
}

static void pack_key(struct pack *p, struct kobj *o)
{
        size_t ns = strlen(o->ns), name = strlen(o->name) + 1;
        char *key;

        if (!ns) {
                o->key = o->name;
                return;
        }
        key = pack_take(p, ns + 1 + name, 1);
        memcpy(key, o->ns, ns);
        key[ns] = '/';
        memcpy(key + ns + 1, o->name, name);
        o->key = key;
}

static void pack_metadata(struct pack *p, struct kobj *o, const struct jnode *meta)
{
        const char *version = jnode_str(meta, "resourceVersion");

        o->ns = pack_text(p, jnode_str(meta, "namespace"));
        o->name = pack_text(p, jnode_str(meta, "name"));
        pack_key(p, o);
        o->uid = pack_text(p, jnode_str(meta, "uid"));
        if (version)
                str_parse_u64(version, &o->version);
        o->generation = jnode_i64(meta, "generation", 0);
        o->created_s = kobj_time(meta, "creationTimestamp");
        o->deleted_s = kobj_time(meta, "deletionTimestamp");
        o->labels = pack_labels(p, jnode_get(meta, "labels"), &o->nlabels);
        o->annotations = pack_labels(p, jnode_get(meta, "annotations"), &o->nannotations);
        o->owners = pack_owners(p, jnode_get(meta, "ownerReferences"), &o->nowners);
        o->finalizers = kobj_pack_texts(p, jnode_get(meta, "finalizers"), &o->nfinalizers);
}

struct source {
        const struct resource *resource;
        const struct jnode *node;
        struct strbuf text;
};

static struct kobj *pack_object(struct pack *p, const struct source *src)
{
        struct kobj *o = pack_array(p, struct kobj, 1);

        o->resource = src->resource;
        o->refs = 1;
        pack_metadata(p, o, jnode_get(src->node, "metadata"));
        if (src->resource->keep == KEEP_POD)
                o->pod = kobj_pack_pod(p, src->node);
        if (src->resource->keep == KEEP_NODE)
                o->node = kobj_pack_node(p, src->node);
        if (src->resource->keep == KEEP_SLICE)
                o->slice = kobj_pack_slice(p, src->node, o->ns);
        if (src->text.len) {
                o->text = memcpy(pack_take(p, src->text.len + 1, 1), src->text.data, src->text.len + 1);
                o->text_len = (uint32_t)src->text.len;
        }
        return o;
}

static bool is_managed_fields(const struct jnode *member)
{
        return str_eq(member->key, "managedFields");
}

static bool keeps_text(const struct resource *r, const char *name)
{
        return r->keep == KEEP_TEXT || r->keep == KEEP_NODE ||
               (r->keep == KEEP_ROOT_CA && str_eq(name, "kube-root-ca.crt"));
}

struct kobj *kobj_new(const struct resource *r, const struct jnode *node)
{
        static _Thread_local struct arena scratch;
        struct source src = {.resource = r, .node = node};
        struct pack p = {.scratch = &scratch};
        struct kobj *o;

        if (str_empty(jnode_at_str(node, "metadata.name")))
                return NULL;
        if (keeps_text(r, jnode_at_str(node, "metadata.name")))
                jnode_write(&src.text, node, is_managed_fields);
        pack_object(&p, &src);
        p = (struct pack){.block = mem_zalloc(p.used)};
        o = pack_object(&p, &src);
        strbuf_deinit(&src.text);
        arena_deinit(&scratch);
        return o;
}

struct kobj *kobj_from_json(const struct resource *r, const struct json_object *json)
{
        _cleanup_strbuf_ struct strbuf b = STRBUF_NULL;
        _cleanup_(jsontree_deinit) struct jsontree tree = JSONTREE_NULL;
        const struct jnode *node;

        json_write(&b, json);
        return jsontree_parse(&tree, b.data, b.len, &node, NULL) ? NULL : kobj_new(r, node);
}

void kobj_unref(const struct kobj *o)
{
        struct kobj *mine = (struct kobj *)(uintptr_t)o;

        if (mine && !--mine->refs)
                free(mine);
}

struct json_object *kobj_json(const struct kobj *o)
{
        struct json_object *json = NULL;
        char buf[RESOURCE_API_VERSION_SIZE];

        if (o->text)
                json_parse(o->text, o->text_len, &json, NULL);
        if (json) { /* a list's items do not say what they are */
                json_default_str(json, "apiVersion", resource_api_version(o->resource, buf));
                json_default_str(json, "kind", o->resource->kind);
        }
        return json;
}

static const char *find(const struct label *labels, size_t n, const char *key)
{
        for (size_t i = 0; i < n; i++)
                if (str_eq(labels[i].key, key))
                        return labels[i].value;
        return NULL;
}

const char *kobj_label(const struct kobj *o, const char *key)
{
        return find(o->labels, o->nlabels, key);
}

const char *kobj_annotation(const struct kobj *o, const char *key)
{
        return find(o->annotations, o->nannotations, key);
}

const struct owner *kobj_controller(const struct kobj *o)
{
        for (size_t i = 0; i < o->nowners; i++)
                if (o->owners[i].controller)
                        return &o->owners[i];
        return NULL;
}

bool kobj_owned_by(const struct kobj *o, const char *uid)
{
        for (size_t i = 0; i < o->nowners; i++)
                if (str_eq(o->owners[i].uid, uid))
                        return true;
        return false;
}

bool kobj_has_finalizer(const struct kobj *o, const char *name)
{
        for (size_t i = 0; i < o->nfinalizers; i++)
                if (str_eq(o->finalizers[i], name))
                        return true;
        return false;
}

bool kobj_selected(const struct kobj *o, const struct selector *s)
{
        return selector_match_labels(s, &(struct label_array){o->labels, o->nlabels});
}

const struct pod_condition *pod_condition(const struct pod *p, const char *type)
{
        for (size_t i = 0; i < p->nconditions; i++)
                if (str_eq(p->conditions[i].type, type))
                        return &p->conditions[i];
        return NULL;
}

const struct node_condition *node_condition(const struct node *n, const char *type)
{
        for (size_t i = 0; i < n->nconditions; i++)
                if (str_eq(n->conditions[i].type, type))
                        return &n->conditions[i];
        return NULL;
}
