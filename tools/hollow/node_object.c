/* SPDX-License-Identifier: Apache-2.0 */
#include <inttypes.h>
#include <stdio.h>

#include "base/clock.h"
#include "base/str.h"
#include "hollow/addresses.h"
#include "hollow/node_object.h"

#define LEASE_S 40 /* the kubelet's */

void node_name(const struct hollow_config *c, uint32_t index, char ret[NODE_NAME_MAX])
{
        snprintf(ret, NODE_NAME_MAX, "%.40s%u", c->prefix, c->first + index);
}

int64_t node_index(const struct hollow_config *c, const char *name)
{
        const char *digits = name ? str_after(name, c->prefix) : NULL;
        uint32_t n;

        if (!digits || str_parse_u32(digits, &n) || n < c->first || n - c->first >= c->nodes)
                return -1;
        return digits[0] == '0' && digits[1] ? -1 : (int64_t)(n - c->first);
}

static void set_time(struct json_object *o, const char *key, int64_t unix_s)
{
        char text[CLOCK_TEXT_SIZE];

        json_set_str(o, key, clock_format(unix_s, text));
}

static void set_pairs(struct json_object *o, const struct config_list *list)
{
        for (size_t i = 0; i < list->n; i++)
                json_set_str(o, list->items[i].key, list->items[i].value);
}

static struct json_object *labels(const struct hollow_config *c, uint32_t index, const char *name)
{
        struct json_object *o = json_object_new_object();
        char zone[32];

        snprintf(zone, sizeof(zone), "zone-%u", index % c->zones);
        json_set_str(o, "kubernetes.io/hostname", name);
        json_set_str(o, "kubernetes.io/os", "linux");
        json_set_str(o, "kubernetes.io/arch", "amd64");
        json_set_str(o, "topology.kubernetes.io/zone", zone);
        json_set_str(o, "topology.kubernetes.io/region", "hollow");
        json_set_str(o, "node.kubernetes.io/instance-type", "hollow");
        set_pairs(o, &c->labels);
        return o;
}

static struct json_object *taints(const struct hollow_config *c)
{
        struct json_object *list = json_object_new_array();

        for (size_t i = 0; i < c->taints.n; i++) {
                struct json_object *o = json_object_new_object();
                const char *key = c->taints.items[i].key, *equals = strchr(key, '=');

                if (equals) {
                        json_set(o, "key", json_object_new_string_len(key, (int)(equals - key)));
                        json_set_str(o, "value", equals + 1);
                } else {
                        json_set_str(o, "key", key);
                }
                json_set_str(o, "effect", c->taints.items[i].value);
                json_object_array_add(list, o);
        }
        return list;
}

static struct json_object *capacity(const struct hollow_config *c)
{
        struct json_object *o = json_object_new_object();

        json_set_str(o, "cpu", "32");
        json_set_str(o, "memory", "256Gi");
        json_set_str(o, "ephemeral-storage", "1Ti");
        json_set_str(o, "pods", "110");
        set_pairs(o, &c->capacity);
        return o;
}

static struct json_object *conditions(int64_t now_s, bool was_ready)
{
        static const struct {
                const char *type, *status, *reason, *message;
        } all[] = {
                {"MemoryPressure", "False", "KubeletHasSufficientMemory", "kubelet has sufficient memory available"},
                {"DiskPressure", "False", "KubeletHasNoDiskPressure", "kubelet has no disk pressure"},
                {"PIDPressure", "False", "KubeletHasSufficientPID", "kubelet has sufficient PID available"},
                {"Ready", "True", "KubeletReady", "kubelet is posting ready status"},
        };
        struct json_object *list = json_object_new_array();

        for (size_t i = 0; i < ARRAY_SIZE(all); i++) {
                struct json_object *o = json_object_new_object();

                json_set_str(o, "type", all[i].type);
                json_set_str(o, "status", all[i].status);
                set_time(o, "lastHeartbeatTime", now_s);
                if (!was_ready)
                        set_time(o, "lastTransitionTime", now_s);
                json_set_str(o, "reason", all[i].reason);
                json_set_str(o, "message", all[i].message);
                json_object_array_add(list, o);
        }
        return list;
}

static struct json_object *address(const char *type, const char *text)
{
        struct json_object *o = json_object_new_object();

        json_set_str(o, "type", type);
        json_set_str(o, "address", text);
        return o;
}

static struct json_object *addresses(uint32_t index, const char *name)
{
        struct json_object *list = json_object_new_array();
        char ip[ADDRESSES_TEXT];

        address_of_node(index, ip);
        json_object_array_add(list, address("InternalIP", ip));
        json_object_array_add(list, address("Hostname", name));
        return list;
}

static struct json_object *images(const struct hollow_config *c)
{
        struct json_object *list = json_object_new_array();

        for (size_t i = 0; i < c->images.n; i++) {
                struct json_object *o = json_object_new_object(), *names = json_object_new_array();
                uint64_t bytes = 0;

                str_parse_u64(c->images.items[i].value, &bytes);
                json_object_array_add(names, json_object_new_string(c->images.items[i].key));
                json_set(o, "names", names);
                json_set_i64(o, "sizeBytes", (int64_t)bytes);
                json_object_array_add(list, o);
        }
        return list;
}

static struct json_object *info(const char *name)
{
        static const char *const fixed[][2] = {
                {"kernelVersion", "6.1.0-hollow"},
                {"osImage", "Hollow"},
                {"containerRuntimeVersion", "hollow://" FAIRLEAD_VERSION},
                {"kubeletVersion", "v1.36.0"},
                {"kubeProxyVersion", ""},
                {"operatingSystem", "linux"},
                {"architecture", "amd64"},
        };
        struct json_object *o = json_object_new_object();

        json_set_str(o, "machineID", name);
        json_set_str(o, "systemUUID", name);
        json_set_str(o, "bootID", name);
        for (size_t i = 0; i < ARRAY_SIZE(fixed); i++)
                json_set_str(o, fixed[i][0], fixed[i][1]);
        return o;
}

static struct json_object *status(const struct hollow_config *c, uint32_t index, int64_t now_s)
{
        struct json_object *o = json_object_new_object();
        char name[NODE_NAME_MAX];

        node_name(c, index, name);
        json_set(o, "capacity", capacity(c));
        json_set(o, "allocatable", capacity(c));
        json_set(o, "conditions", conditions(now_s, false));
        json_set(o, "addresses", addresses(c->first + index, name));
        json_set(o, "nodeInfo", info(name));
        if (c->images.n)
                json_set(o, "images", images(c));
        return o;
}

struct json_object *hollow_node_object(const struct hollow_config *c, uint32_t index, int64_t now_s)
{
        struct json_object *o = json_object_new_object(), *meta = json_ensure(o, "metadata");
        char name[NODE_NAME_MAX];

        node_name(c, index, name);
        json_set_str(o, "apiVersion", "v1");
        json_set_str(o, "kind", "Node");
        json_set_str(meta, "name", name);
        json_set(meta, "labels", labels(c, index, name));
        if (c->taints.n)
                json_set(json_ensure(o, "spec"), "taints", taints(c));
        json_set(o, "status", status(c, index, now_s));
        return o;
}

struct json_object *node_status_patch(const struct hollow_config *c, uint32_t index, int64_t now_s, bool was_ready)
{
        struct json_object *o = json_object_new_object();

        if (!was_ready)
                json_set(o, "status", status(c, index, now_s));
        else
                json_set(json_ensure(o, "status"), "conditions", conditions(now_s, true));
        return o;
}

struct json_object *node_untaint_patch(const struct hollow_config *c)
{
        struct json_object *o = json_object_new_object();

        json_set(json_ensure(o, "spec"), "taints", taints(c));
        return o;
}

struct json_object *node_lease(const struct hollow_config *c, uint32_t index, const char *uid, int64_t now_ns)
{
        struct json_object *o = json_object_new_object(), *meta = json_ensure(o, "metadata"),
                           *spec = json_ensure(o, "spec"), *owner = json_object_new_object(),
                           *owners = json_object_new_array();
        char name[NODE_NAME_MAX], text[CLOCK_TEXT_SIZE];

        node_name(c, index, name);
        json_set_str(meta, "name", name);
        json_set_str(meta, "namespace", "kube-node-lease");
        json_set_str(owner, "apiVersion", "v1");
        json_set_str(owner, "kind", "Node");
        json_set_str(owner, "name", name);
        json_set_str(owner, "uid", uid);
        json_object_array_add(owners, owner);
        json_set(meta, "ownerReferences", owners);
        json_set_str(spec, "holderIdentity", name);
        json_set_i64(spec, "leaseDurationSeconds", LEASE_S);
        json_set_str(spec, "renewTime", clock_format_micro(now_ns, text));
        return o;
}

struct json_object *node_lease_renewal(const char *name, int64_t now_ns)
{
        struct json_object *o = json_object_new_object(), *spec = json_ensure(o, "spec");
        char text[CLOCK_TEXT_SIZE];

        json_set_str(spec, "holderIdentity", name);
        json_set_str(spec, "renewTime", clock_format_micro(now_ns, text));
        return o;
}
