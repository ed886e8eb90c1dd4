/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "agent/kubelet/node/object.h"
#include "base/clock.h"
#include "base/mem.h"
#include "base/str.h"

/* ---- command line ---- */

static int check_taint(const char *taint, struct err *reterr)
{
        static const char *const effects[] = {"NoSchedule", "PreferNoSchedule", "NoExecute"};
        const char *effect = strrchr(taint, ':');

        for (size_t i = 0; effect && effect != taint && i < ARRAY_SIZE(effects); i++)
                if (str_eq(effect + 1, effects[i]))
                        return 0;
        return err_set(reterr, -EINVAL,
                       "--register-with-taints: \"%s\": want KEY[=VALUE]:EFFECT, with NoSchedule, PreferNoSchedule or "
                       "NoExecute",
                       taint);
}

int facts_check(const char *const *labels, const char *const *taints, struct err *reterr)
{
        for (size_t i = 0; labels && labels[i]; i++)
                if (!strchr(labels[i], '=') || labels[i][0] == '=')
                        return err_set(reterr, -EINVAL, "--node-labels: \"%s\": want KEY=VALUE", labels[i]);
        for (size_t i = 0; taints && taints[i]; i++) {
                int r = check_taint(taints[i], reterr);

                if (r)
                        return r;
        }
        return 0;
}

/* ---- metadata and spec ---- */

/* What a node knows of itself: always as it is. */
static struct json_object *own_labels(const struct node_facts *f)
{
        struct json_object *o = json_object_new_object();

        json_set_str(o, "beta.kubernetes.io/arch", f->machine->arch);
        json_set_str(o, "beta.kubernetes.io/os", "linux");
        json_set_str(o, "kubernetes.io/arch", f->machine->arch);
        json_set_str(o, "kubernetes.io/hostname", f->name);
        json_set_str(o, "kubernetes.io/os", "linux");
        return o;
}

/* Adds what is not there yet. */
static void add_given_labels(struct json_object *labels, const struct json_object *there, const char *const *given)
{
        for (size_t i = 0; given && given[i]; i++) {
                const char *equals = strchr(given[i], '=');
                _cleanup_free_ char *key = mem_strndup(given[i], (size_t)(equals - given[i]));

                if (!json_has(there, key))
                        json_set_str(labels, key, equals + 1);
        }
}

static struct json_object *make_taints(const char *const *taints)
{
        struct json_object *list = json_object_new_array();

        for (size_t i = 0; taints && taints[i]; i++) {
                struct json_object *o = json_object_new_object();
                const char *effect = strrchr(taints[i], ':'), *equals = strchr(taints[i], '=');
                const char *end = equals && equals < effect ? equals : effect;

                json_set(o, "key", json_object_new_string_len(taints[i], (int)(end - taints[i])));
                if (end == equals && equals + 1 < effect)
                        json_set(o, "value", json_object_new_string_len(equals + 1, (int)(effect - equals - 1)));
                json_set_str(o, "effect", effect + 1);
                json_object_array_add(list, o);
        }
        return list;
}

struct json_object *object_metadata_patch(const struct node_facts *f, const struct json_object *node)
{
        const struct json_object *there = json_at(node, "metadata.labels");
        struct json_object *patch = json_object_new_object(), *labels = own_labels(f);

        json_foreach (labels, key, value)
                if (str_eq(json_get_str(there, key), json_object_get_string(value)))
                        json_del(labels, key);
        add_given_labels(labels, there, f->labels);
        if (json_object_object_length(labels))
                json_set(json_ensure(patch, "metadata"), "labels", json_object_get(labels));
        json_object_put(labels);
        if (f->provider_id && str_empty(json_at_str(node, "spec.providerID")))
                json_set_str(json_ensure(patch, "spec"), "providerID", f->provider_id);
        if (json_object_object_length(patch))
                return patch;
        json_object_put(patch);
        return NULL;
}

/* ---- status ---- */

static struct json_object *address(const char *type, const char *text)
{
        struct json_object *o = json_object_new_object();

        json_set_str(o, "type", type);
        json_set_str(o, "address", text);
        return o;
}

static struct json_object *addresses(const struct node_facts *f)
{
        struct json_object *list = json_object_new_array();

        for (size_t i = 0; i < NODE_IPS_MAX && *f->ips->text[i]; i++)
                json_object_array_add(list, address("InternalIP", f->ips->text[i]));
        json_object_array_add(list, address("Hostname", f->name));
        return list;
}

static struct json_object *info(const struct node_facts *f)
{
        const struct machine *m = f->machine;
        struct json_object *o = json_object_new_object();

        json_set_str(o, "machineID", m->machine_id);
        json_set_str(o, "systemUUID", m->system_uuid);
        json_set_str(o, "bootID", m->boot_id);
        json_set_str(o, "kernelVersion", m->kernel);
        json_set_str(o, "osImage", m->os_image);
        json_set_str(o, "containerRuntimeVersion", f->runtime_version);
        json_set_str(o, "kubeletVersion", KUBELET_VERSION);
        json_set_str(o, "kubeProxyVersion", "");
        json_set_str(o, "operatingSystem", "linux");
        json_set_str(o, "architecture", m->arch);
        if (m->swap_bytes)
                json_set_i64(json_ensure(o, "swap"), "capacity", (int64_t)m->swap_bytes);
        return o;
}

/* Of the default one, whose name is empty. */
static struct json_object *runtime_handlers(void)
{
        struct json_object *list = json_object_new_array(), *o = json_object_new_object(),
                           *features = json_ensure(o, "features");

        json_set_bool(features, "recursiveReadOnlyMounts", true);
        json_set_bool(features, "userNamespaces", false);
        json_object_array_add(list, o);
        return list;
}

/* All but the conditions. */
static struct json_object *status(const struct node_facts *f)
{
        struct json_object *o = json_object_new_object();

        json_set(o, "addresses", addresses(f));
        json_set(o, "capacity", json_object_get(f->capacity));
        json_set(o, "allocatable", json_object_get(f->allocatable));
        json_set(o, "nodeInfo", info(f));
        json_set(o, "images", json_object_get(f->images));
        json_set_i64(json_ensure(json_ensure(o, "daemonEndpoints"), "kubeletEndpoint"), "Port", f->port);
        json_set(o, "runtimeHandlers", runtime_handlers());
        json_set_bool(json_ensure(o, "features"), "supplementalGroupsPolicy", true);
        return o;
}

struct json_object *object_make(const struct node_facts *f, int64_t now_s)
{
        struct json_object *o = json_object_new_object(), *meta = json_ensure(o, "metadata"), *labels = own_labels(f);

        json_set_str(o, "apiVersion", "v1");
        json_set_str(o, "kind", "Node");
        json_set_str(meta, "name", f->name);
        add_given_labels(labels, NULL, f->labels);
        json_set(meta, "labels", labels);
        json_set_str(json_ensure(meta, "annotations"), "volumes.kubernetes.io/controller-managed-attach-detach",
                     "true");
        if (f->taints && f->taints[0])
                json_set(json_ensure(o, "spec"), "taints", make_taints(f->taints));
        if (f->provider_id)
                json_set_str(json_ensure(o, "spec"), "providerID", f->provider_id);
        json_set(o, "status", status(f));
        json_set(json_get(o, "status"), "conditions", conditions_make(&f->health, NULL, now_s));
        return o;
}

/* The API drops empty lists and strings. */
static bool is_empty(const struct json_object *o)
{
        return !o || (json_is_array(o) && !json_len(o)) || (json_is_string(o) && !json_object_get_string_len(o));
}

static bool equal(const struct json_object *a, const struct json_object *b)
{
        return (is_empty(a) && is_empty(b)) || json_equal(a, b);
}

/* Extended resources that somebody put there (kubectl patch) stay: only what is ours is compared. */
static bool has_all(const struct json_object *there, const struct json_object *want)
{
        json_foreach (want, key, value)
                if (!equal(json_get(there, key), value))
                        return false;
        return true;
}

static bool same(const char *field, const struct json_object *want, const struct json_object *there)
{
        if (str_eq(field, "capacity") || str_eq(field, "allocatable") || str_eq(field, "nodeInfo"))
                return has_all(there, want);
        return equal(want, there);
}

/* Two addresses may be of one type, by which a strategic merge would join them: the list is replaced as a whole. */
static struct json_object *replaced(const struct json_object *list)
{
        struct json_object *all = json_object_new_array(), *first = json_object_new_object();

        json_set_str(first, "$patch", "replace");
        json_object_array_add(all, first);
        json_array_foreach (list, i, item)
                json_object_array_add(all, json_object_get(item));
        return all;
}

struct json_object *object_status_patch(const struct node_facts *f, const struct json_object *node, int64_t now_s,
                                        bool anyway)
{
        const struct json_object *there = json_get(node, "status"), *told = json_get(there, "conditions");
        struct json_object *patch, *want = status(f), *conditions = conditions_make(&f->health, told, now_s);

        json_foreach (want, field, value)
                if (same(field, value, json_get(there, field)))
                        json_del(want, field);
        if (json_has(want, "addresses"))
                json_set(want, "addresses", replaced(json_get(want, "addresses")));
        if (!anyway && !json_object_object_length(want) && conditions_told(conditions, told)) {
                json_object_put(want);
                json_object_put(conditions);
                return NULL;
        }
        json_set(want, "conditions", conditions);
        patch = json_object_new_object();
        json_set(patch, "status", want);
        return patch;
}

/* ---- the Lease ---- */

static void set_lease(struct json_object *o, const char *name, const char *node_uid, uint32_t duration_s,
                      int64_t now_ns)
{
        struct json_object *meta = json_ensure(o, "metadata"), *spec = json_ensure(o, "spec");
        char text[CLOCK_TEXT_SIZE];

        if (*node_uid) {
                struct json_object *owner = json_object_new_object(), *owners = json_object_new_array();

                json_set_str(owner, "apiVersion", "v1");
                json_set_str(owner, "kind", "Node");
                json_set_str(owner, "name", name);
                json_set_str(owner, "uid", node_uid);
                json_object_array_add(owners, owner);
                json_set(meta, "ownerReferences", owners);
        }
        json_set_str(spec, "holderIdentity", name);
        json_set_i64(spec, "leaseDurationSeconds", duration_s);
        json_set_str(spec, "renewTime", clock_format_micro(now_ns, text));
}

struct json_object *lease_make(const char *name, const char *node_uid, uint32_t duration_s, int64_t now_ns)
{
        struct json_object *o = json_object_new_object(), *meta = json_ensure(o, "metadata");

        json_set_str(o, "apiVersion", "coordination.k8s.io/v1");
        json_set_str(o, "kind", "Lease");
        json_set_str(meta, "name", name);
        json_set_str(meta, "namespace", "kube-node-lease");
        set_lease(o, name, node_uid, duration_s, now_ns);
        return o;
}

struct json_object *lease_renewal(const char *name, const char *node_uid, uint32_t duration_s, int64_t now_ns)
{
        struct json_object *o = json_object_new_object();

        set_lease(o, name, node_uid, duration_s, now_ns);
        return o;
}
