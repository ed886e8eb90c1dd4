/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/kubelet/sources/manifest.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "base/mem.h"
#include "base/str.h"
#include "kube/names.h"
#include "kube/yaml_read.h"

#define FNV_OFFSET 0xcbf29ce484222325ULL
#define FNV_PRIME  0x100000001b3ULL

static uint64_t fnv(uint64_t h, const char *s, size_t n)
{
        for (size_t i = 0; i < n; i++)
                h = (h ^ (unsigned char)s[i]) * FNV_PRIME;
        return h;
}

/* The same file on the same node is the same pod, also after a restart. */
static void make_uid(const char *text, size_t len, const char *name, const char *node, char ret[static 33])
{
        uint64_t a = fnv(FNV_OFFSET, text, len), b;

        a = fnv(a, name, strlen(name) + 1);
        a = fnv(a, node, strlen(node) + 1);
        b = fnv(fnv(a, (const char *)&a, sizeof(a)), text, len);
        snprintf(ret, 33, "%016llx%016llx", (unsigned long long)a, (unsigned long long)b);
}

/* The names and types that nothing below can do without; the rest is refused by whoever uses it. */
static int check(const struct json_object *pod, const char *name, struct err *reterr)
{
        const char *own = json_at_str(pod, "metadata.name"), *ns = json_at_str(pod, "metadata.namespace");
        struct json_object *containers = json_at(pod, "spec.containers");

        if (!str_eq(json_get_str(pod, "kind"), "Pod") || !str_eq(json_get_str(pod, "apiVersion"), "v1"))
                return err_set(reterr, -EINVAL, "%s: use one object of kind Pod and apiVersion v1", name);
        if (name_error(NAME_DNS1123_SUBDOMAIN, own ?: ""))
                return err_set(reterr, -EINVAL, "%s: metadata.name \"%s\": use lower case letters, digits, '-' and '.'",
                               name, own ?: "");
        if (ns && name_error(NAME_DNS1123_LABEL, ns))
                return err_set(reterr, -EINVAL, "%s: metadata.namespace \"%s\": use lower case letters, digits and '-'",
                               name, ns);
        if (!json_len(containers))
                return err_set(reterr, -EINVAL, "%s: spec.containers: use one container at least", name);
        json_array_foreach (containers, i, container)
                if (name_error(NAME_DNS1123_LABEL, json_get_str(container, "name") ?: "") ||
                    str_empty(json_get_str(container, "image")))
                        return err_set(reterr, -EINVAL, "%s: spec.containers[%zu]: use a name and an image", name, i);
        return 0;
}

/* A taint of the node does not end it: it is part of the node. */
static void tolerate_all(struct json_object *spec)
{
        struct json_object *tolerations = json_get(spec, "tolerations"), *t = json_object_new_object();

        if (!json_is_array(tolerations)) {
                tolerations = json_object_new_array();
                json_set(spec, "tolerations", tolerations);
        }
        json_set_str(t, "operator", "Exists");
        json_set_str(t, "effect", "NoExecute");
        json_object_array_add(tolerations, t);
}

static void settle(struct json_object *pod, const char *node, const char *uid)
{
        struct json_object *meta = json_ensure(pod, "metadata"), *annotations = json_ensure(meta, "annotations");
        struct json_object *spec = json_get(pod, "spec");
        _cleanup_free_ char *name = mem_printf("%s-%s", json_get_str(meta, "name"), node);

        json_set_str(meta, "name", name);
        json_default_str(meta, "namespace", "default");
        json_set_str(meta, "uid", uid);
        json_set_str(annotations, CONFIG_HASH_ANNOTATION, uid);
        json_set_str(annotations, CONFIG_SOURCE_ANNOTATION, "file");
        json_del(annotations, CONFIG_MIRROR_ANNOTATION);
        json_set_str(spec, "nodeName", node);
        json_del(pod, "status");
        tolerate_all(spec);
}

int manifest_read(const char *text, size_t len, const char *name, const char *node, struct json_object **ret,
                  struct err *reterr)
{
        _cleanup_json_ struct json_object *pod = NULL;
        char uid[33];
        int r = yaml_read(text, len, &pod, reterr);

        if (r)
                return err_prefix(reterr, r, "%s", name);
        r = check(pod, name, reterr);
        if (r)
                return r;
        make_uid(text, len, name, node, uid);
        settle(pod, node, uid);
        manifest_defaults(pod);
        *ret = TAKE_PTR(pod);
        return 0;
}

struct json_object *manifest_mirror(const struct json_object *pod, const char *node, const char *node_uid)
{
        struct json_object *mirror = json_copy(pod), *meta = json_get(mirror, "metadata"), *owners, *owner;

        json_set_str(json_ensure(meta, "annotations"), CONFIG_MIRROR_ANNOTATION, json_at_str(pod, "metadata.uid"));
        json_del(meta, "uid");
        if (str_empty(node_uid))
                return mirror;
        owners = json_object_new_array();
        owner = json_object_new_object();
        json_set_str(owner, "apiVersion", "v1");
        json_set_str(owner, "kind", "Node");
        json_set_str(owner, "name", node);
        json_set_str(owner, "uid", node_uid);
        json_set_bool(owner, "controller", true);
        json_object_array_add(owners, owner);
        json_set(meta, "ownerReferences", owners);
        return mirror;
}
