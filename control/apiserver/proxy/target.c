/* SPDX-License-Identifier: Apache-2.0 */
#include <string.h>
#include <strings.h>

#include "apiserver/alloc/ipaddr.h"
#include "apiserver/proxy/target.h"
#include "apiserver/server.h"
#include "apiserver/status.h"
#include "base/str.h"

#define KUBELET_PORT 10250

bool proxy_id_parse(struct arena *a, const char *text, struct proxy_id *ret)
{
        char *copy = arena_strdup(a, text), *parts[3] = {0};
        size_t n = 0;

        while (copy && n < ARRAY_SIZE(parts))
                parts[n++] = strsep(&copy, ":");
        if (copy)
                return false;
        *ret = (struct proxy_id){"", "", ""};
        if (n == 3) {
                ret->scheme = !strcasecmp(parts[0], "https") ? "https" : "http";
                if (strcasecmp(parts[0], ret->scheme) != 0)
                        return false;
        }
        ret->name = parts[n == 3];
        if (n > 1)
                ret->port = parts[n - 1];
        return *ret->name;
}

struct json_object *proxy_object(struct api_request *req, const char *plural, const char *namespace, const char *name)
{
        struct cache *c = cache_find(req->server->caches, "", plural);
        _cleanup_object_ struct object *o = c ? cache_get(c, namespace, name) : NULL;

        return o ? object_tree(o) : NULL;
}

/* The first address of that type that is an IP: names would have to be looked up. */
static const char *address_of_type(const struct json_object *node, struct str_span type)
{
        struct ipaddr ip;

        json_array_foreach (json_at(node, "status.addresses"), i, a) {
                const char *address = json_get_str(a, "address"), *its = json_get_str(a, "type");

                if (its && address && str_span_eq(type, its) && !ipaddr_parse(address, &ip))
                        return address;
        }
        return NULL;
}

static const char *node_address(const struct json_object *node, const char *types)
{
        struct str_span type;
        const char *found = NULL;

        while (!found && str_split(&types, ',', &type))
                found = address_of_type(node, type);
        return found;
}

bool proxy_kubelet_find(const struct server_config *c, const struct json_object *node, const char **ret_ip,
                        uint16_t *ret_port)
{
        const char *types = c->kubelet_address_types;
        int64_t port = json_at_i64(node, "status.daemonEndpoints.kubeletEndpoint.Port", 0);

        *ret_ip = node_address(node, types ? types : "InternalIP,ExternalIP,Hostname");
        *ret_port = port > 0 && port <= UINT16_MAX ? (uint16_t)port : KUBELET_PORT;
        return *ret_ip;
}

int proxy_kubelet(struct api_request *req, const struct json_object *node, struct proxy_target *t)
{
        const char *ip;

        if (!proxy_kubelet_find(&req->server->config, node, &ip, &t->port))
                return api_fail(req, 500, "no preferred addresses found; known addresses: %s",
                                json_object_to_json_string_ext(json_at(node, "status.addresses"), 0));
        t->ip = arena_strdup(req->arena, ip);
        t->server_name = arena_strdup(req->arena, json_at_str(node, "metadata.name"));
        t->tls = PROXY_TLS_KUBELET;
        return 0;
}

int proxy_kubelet_of(struct api_request *req, const char *name, struct proxy_target *t)
{
        _cleanup_json_ struct json_object *node = proxy_object(req, "nodes", NULL, name);
        struct status s = {.code = 404, .name = name, .kind = "nodes"};

        if (node)
                return proxy_kubelet(req, node, t);
        s.message = arena_printf(req->arena, "nodes \"%s\" not found", name);
        return api_fail_status(req, &s);
}

bool proxy_may_reach(const char *text)
{
        struct ipaddr ip;

        return !ipaddr_parse(text, &ip) && !ipaddr_is_loopback(&ip) && !ipaddr_is_link_local(&ip) &&
               !ipaddr_is_link_local_multicast(&ip) && !ipaddr_is_unspecified(&ip);
}

const struct json_object *proxy_container(const struct json_object *pod, const char *name)
{
        static const char *const lists[] = {"spec.containers", "spec.initContainers", "spec.ephemeralContainers"};

        for (size_t k = 0; k < ARRAY_SIZE(lists); k++) {
                json_array_foreach (json_at(pod, lists[k]), i, c) {
                        if (str_eq(json_get_str(c, "name"), name))
                                return c;
                }
        }
        return NULL;
}
