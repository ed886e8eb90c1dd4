/* SPDX-License-Identifier: Apache-2.0 */
/* Every namespace has the ConfigMap kube-root-ca.crt: the certificates by which pods know the API server. */
#include "base/str.h"
#include "controllers/config.h"
#include "controllers/engine/controller.h"

#define NAME "kube-root-ca.crt"
#define KEY  "ca.crt"

static void on_namespace(struct runner *r, const struct kobj *old, const struct kobj *now)
{
        if (now && !now->deleted_s)
                runner_add_object(r, now);
}

static void on_map(struct runner *r, const struct kobj *old, const struct kobj *now)
{
        const struct kobj *o = now ? now : old;

        if (str_eq(o->name, NAME))
                runner_add(r, o->ns);
}

static struct json_object *new_map(const struct sync *s)
{
        struct json_object *map = json_object_new_object(), *meta = json_ensure(map, "metadata");

        json_set_str(meta, "name", NAME);
        json_set_str(meta, "namespace", s->name);
        json_set_str(json_ensure(meta, "annotations"), "kubernetes.io/description",
                     "Contains a CA bundle that can be used to verify the kube-apiserver when using internal endpoints "
                     "such as the internal service IP or kubernetes.default.svc. No other usage is guaranteed across "
                     "distributions of Kubernetes clusters.");
        return map;
}

static void sync_namespace(struct sync *s)
{
        const struct kobj *ns = lister_find(s->lister, &res_namespaces, s->key);
        const struct kobj *there = lister_get(s->lister, &res_configmaps, s->name, NAME);
        _cleanup_json_ struct json_object *want = json_object_new_object(), *map = NULL;

        if (!ns || ns->deleted_s || str_empty(s->config->root_ca))
                return;
        json_set_str(want, KEY, s->config->root_ca);
        map = there ? kobj_json(there) : new_map(s);
        if (json_equal(json_get(map, "data"), want))
                return;
        json_set(map, "data", json_object_get(want));
        if (there)
                plan_update(s, &res_configmaps, json_object_get(map));
        else
                plan_create(s, &res_configmaps, json_object_get(map));
}

const struct controller controller_rootca = {
        .name = "root-ca-certificate-publisher",
        .watches = (const struct watch[]){{&res_namespaces, on_namespace}, {&res_configmaps, on_map}, {0}},
        .sync = sync_namespace,
};
