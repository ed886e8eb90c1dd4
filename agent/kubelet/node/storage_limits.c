/* SPDX-License-Identifier: Apache-2.0 */
/* What a pod may write to the node's disk: sizeLimit of emptyDirs, limits of ephemeral-storage. */
#include "agent/kubelet/node/eviction.h"
#include "agent/kubelet/pods/resources.h"
#include "base/str.h"

#define STORAGE "ephemeral-storage"

/* In memory, the mount itself is so large and no larger. */
static bool size_limit(const struct json_object *volume, struct quantity *ret)
{
        const struct json_object *empty = json_get(volume, "emptyDir");

        return !str_eq(json_get_str(empty, "medium"), "Memory") && resource_quantity(empty, "sizeLimit", ret) &&
               quantity_sign(ret) > 0;
}

static bool container_limit(const struct json_object *container, struct quantity *ret)
{
        return resource_quantity(json_at(container, "resources.limits"), STORAGE, ret) && quantity_sign(ret) > 0;
}

bool storage_is_limited(const struct json_object *pod)
{
        struct quantity q = pod_resource(pod, "limits", STORAGE, NULL);

        json_array_foreach (json_at(pod, "spec.volumes"), i, v) {
                struct quantity limit;

                if (size_limit(v, &limit))
                        return true;
        }
        return quantity_sign(&q) > 0;
}

static uint64_t bytes_of(const struct storage_use *list, size_t n, const char *name)
{
        uint64_t sum = 0;

        for (size_t i = 0; i < n; i++)
                if (!name || str_eq(list[i].name, name))
                        sum += list[i].bytes;
        return sum;
}

static bool volumes_exceed(const struct json_object *pod, const struct storage_usage *u, struct strbuf *ret)
{
        char text[QUANTITY_TEXT_SIZE];

        json_array_foreach (json_at(pod, "spec.volumes"), i, v) {
                const char *name = json_get_str(v, "name");
                struct quantity limit;

                if (!name || !size_limit(v, &limit) ||
                    bytes_of(u->volumes, u->nvolumes, name) <= (uint64_t)quantity_value(&limit))
                        continue;
                strbuf_printf(ret, "Usage of EmptyDir volume \"%s\" exceeds the limit \"%s\". ", name,
                              quantity_format(&limit, text));
                return true;
        }
        return false;
}

static bool pod_exceeds(const struct json_object *pod, const struct storage_usage *u, struct strbuf *ret)
{
        struct quantity limit = pod_resource(pod, "limits", STORAGE, NULL);
        uint64_t used = bytes_of(u->volumes, u->nvolumes, NULL) + bytes_of(u->containers, u->ncontainers, NULL);
        char text[QUANTITY_TEXT_SIZE];

        if (quantity_sign(&limit) <= 0 || used <= (uint64_t)quantity_value(&limit))
                return false;
        strbuf_printf(ret, "Pod ephemeral local storage usage exceeds the total limit of containers %s. ",
                      quantity_format(&limit, text));
        return true;
}

static bool containers_exceed(const struct json_object *pod, const struct storage_usage *u, struct strbuf *ret)
{
        char text[QUANTITY_TEXT_SIZE];

        for (size_t i = 0; i < u->ncontainers; i++) {
                struct quantity limit;

                if (!container_limit(pod_container(pod, u->containers[i].name), &limit) ||
                    u->containers[i].bytes <= (uint64_t)quantity_value(&limit))
                        continue;
                strbuf_printf(ret, "Container %s exceeded its local ephemeral storage limit \"%s\". ",
                              u->containers[i].name, quantity_format(&limit, text));
                return true;
        }
        return false;
}

bool storage_exceeds(const struct json_object *pod, const struct storage_usage *u, struct strbuf *ret)
{
        return volumes_exceed(pod, u, ret) || pod_exceeds(pod, u, ret) || containers_exceed(pod, u, ret);
}
