/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "agent/kubelet/pods/resources.h"
#include "agent/kubelet/pods/textlist.h"
#include "agent/kubelet/volumes/downward.h"
#include "base/mem.h"
#include "base/str.h"

/* Of a list of {"ip": ...} in the status, or as it was handed in. */
static struct textlist addresses(const char *const *given, const struct json_object *list, struct arena *mem)
{
        struct textlist l = TEXTLIST(mem);

        for (; given && *given; given++)
                textlist_add(&l, *given);
        if (l.n)
                return l;
        json_array_foreach (list, i, o)
                textlist_add(&l, json_get_str(o, "ip") ?: "");
        return l;
}

static int by_text(const void *a, const void *b)
{
        return strcmp(*(const char *const *)a, *(const char *const *)b);
}

/* Labels and annotations as a file: sorted lines of key="value", quoted as Go does. */
static const char *lines(const struct json_object *map, struct arena *mem)
{
        _cleanup_strbuf_ struct strbuf b = STRBUF_NULL;
        struct textlist keys = TEXTLIST(mem);

        json_foreach (map, key, value)
                textlist_add(&keys, key);
        if (keys.n)
                qsort(keys.v, keys.n, sizeof(*keys.v), by_text);
        for (size_t i = 0; i < keys.n; i++) {
                const char *text = json_get_str(map, keys.v[i]) ?: "";

                strbuf_printf(&b, "%s%s=", i ? "\n" : "", keys.v[i]);
                strbuf_add_quoted(&b, text, strlen(text));
        }
        return arena_strndup(mem, b.data ?: "", b.len);
}

/* metadata.labels['KEY'] and the like; NULL: path has no subscript. */
static const char *subscript(const struct json_object *pod, const char *path, struct arena *mem)
{
        static const char *const maps[] = {"metadata.labels", "metadata.annotations"};
        size_t n = strlen(path);

        for (size_t i = 0; i < ARRAY_SIZE(maps); i++) {
                const char *rest = str_after(path, maps[i]);

                if (rest && str_has_prefix(rest, "['") && str_has_suffix(rest, "']") && n > strlen(maps[i]) + 4) {
                        char *key = arena_strndup(mem, rest + 2, strlen(rest) - 4);

                        return json_get_str(json_at(pod, maps[i]), key) ?: "";
                }
        }
        return NULL;
}

static const char *first_or_none(const struct textlist *l)
{
        return l->n ? l->v[0] : "";
}

static const char *status_field(const struct downward *d, const char *path, struct arena *mem)
{
        struct textlist pods = addresses(d->pod_ips, json_at(d->pod, "status.podIPs"), mem);
        struct textlist hosts = addresses(d->host_ips, json_at(d->pod, "status.hostIPs"), mem);

        if (str_eq(path, "status.podIP"))
                return first_or_none(&pods);
        if (str_eq(path, "status.podIPs"))
                return textlist_join(&pods, ",");
        if (str_eq(path, "status.hostIP"))
                return first_or_none(&hosts);
        return str_eq(path, "status.hostIPs") ? textlist_join(&hosts, ",") : NULL;
}

static const char *plain_field(const struct downward *d, const char *path, struct arena *mem)
{
        static const char *const plain[] = {"metadata.name", "metadata.namespace", "metadata.uid", "spec.nodeName",
                                            "spec.serviceAccountName"};

        for (size_t i = 0; i < ARRAY_SIZE(plain); i++)
                if (str_eq(path, plain[i]))
                        return json_at_str(d->pod, path) ?: "";
        if (str_eq(path, "metadata.labels") || str_eq(path, "metadata.annotations"))
                return lines(json_at(d->pod, path), mem);
        return NULL;
}

int downward_field(const struct downward *d, const char *path, struct arena *mem, const char **ret, struct err *reterr)
{
        const char *value = subscript(d->pod, path ?: "", mem) ?: plain_field(d, path ?: "", mem)
                                                                 ?: status_field(d, path ?: "", mem);

        if (!value)
                return err_set(reterr, -EINVAL, "unsupported fieldPath: %s", path ?: "");
        *ret = value;
        return 0;
}

/* A limit that is not set is what the pod as a whole may have, or what the node has to give. */
static void find_quantity(const struct downward *d, const struct json_object *container, const char *which,
                          const char *name, struct quantity *ret)
{
        const struct json_object *own = json_get(json_get(container, "resources"), which);

        if ((resource_quantity(own, name, ret) && quantity_sign(ret) > 0) || !str_eq(which, "limits"))
                return;
        if (!str_eq(name, "cpu") && !str_eq(name, "memory") && !str_eq(name, "ephemeral-storage"))
                return;
        if (!resource_quantity(json_at(d->pod, "spec.resources.limits"), name, ret))
                resource_quantity(json_at(d->node, "status.allocatable"), name, ret);
}

static int64_t rounded_up(const struct quantity *q, const struct quantity *divisor)
{
        __int128 by = divisor->nano > 0 ? divisor->nano : (__int128)1000000000;

        return (int64_t)((q->nano + by - 1) / by);
}

int downward_resource(const struct downward *d, const struct json_object *ref, const struct json_object *container,
                      struct arena *mem, const char **ret, struct err *reterr)
{
        const char *resource = json_get_str(ref, "resource") ?: "", *other = json_get_str(ref, "containerName");
        const char *dot = strchr(resource, '.');
        struct quantity q, divisor;
        char *which;

        if (!str_empty(other))
                container = pod_container(d->pod, other);
        if (!container)
                return err_set(reterr, -EINVAL, "container %s not found", other ?: "");
        which = arena_strndup(mem, resource, dot ? (size_t)(dot - resource) : 0);
        if (!str_eq(which, "limits") && !str_eq(which, "requests"))
                return err_set(reterr, -EINVAL, "unsupported container resource : %s", resource);
        resource_quantity(ref, "divisor", &divisor);
        find_quantity(d, container, which, dot + 1, &q);
        *ret = arena_printf(mem, "%lld", (long long)rounded_up(&q, &divisor));
        return 0;
}
