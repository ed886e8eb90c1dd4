/* SPDX-License-Identifier: Apache-2.0 */
/* Services and what is behind them, Ingresses, NetworkPolicies, the service address ranges. */
#include <stdlib.h>

#include "apiserver/table/table_cell.h"
#include "base/mem.h"
#include "base/str.h"

#define SHOWN_MAX 3 /* of a list in one cell; the rest is counted */

/* A list in one cell, cut after SHOWN_MAX pieces. */
struct short_list {
        struct strbuf text;
        size_t n;
};

static void short_list_add(struct short_list *l, const char *s)
{
        if (l->n++ < SHOWN_MAX)
                text_join(&l->text, ",", s);
}

static struct json_object *short_list_cell(struct short_list *l, const char *otherwise)
{
        if (l->n > SHOWN_MAX)
                strbuf_printf(&l->text, " + %zu more...", l->n - SHOWN_MAX);
        return text_cell_take(&l->text, otherwise);
}

/* ---- services ---- */

static int compare_strings(const void *a, const void *b)
{
        return strcmp(*(const char *const *)a, *(const char *const *)b);
}

/* The addresses or names of status.loadBalancer, sorted, each once. */
static void add_ingress_points(struct strbuf *b, const struct json_object *obj)
{
        const struct json_object *list = json_at(obj, "status.loadBalancer.ingress");
        _cleanup_free_ const char **points = mem_array(const char *, json_len(list) + 1);
        size_t n = 0;

        json_array_foreach (list, i, point) {
                const char *ip = json_get_str(point, "ip"), *name = json_get_str(point, "hostname");

                if (!str_empty(ip) || !str_empty(name))
                        points[n++] = str_empty(ip) ? name : ip;
        }
        qsort(points, n, sizeof(*points), compare_strings);
        for (size_t i = 0; i < n; i++)
                if (!i || !str_eq(points[i], points[i - 1]))
                        text_join(b, ",", points[i]);
}

static struct json_object *cell_external_ip(CELL_ARGS)
{
        const char *type = json_at_str(obj, "spec.type");
        bool balanced = str_eq(type, "LoadBalancer");
        struct strbuf b = STRBUF_NULL;

        if (str_eq(type, "ExternalName"))
                return text_cell(json_at_str(obj, "spec.externalName"));
        if (!balanced && !str_eq(type, "ClusterIP") && !str_eq(type, "NodePort"))
                return text_cell("<unknown>");
        if (balanced)
                add_ingress_points(&b, obj);
        json_array_foreach (json_at(obj, "spec.externalIPs"), i, ip)
                text_join(&b, ",", json_object_get_string(ip));
        return text_cell_take(&b, balanced ? "<pending>" : "<none>");
}

static struct json_object *cell_cluster_ip(CELL_ARGS)
{
        struct json_object *first = json_idx(json_at(obj, "spec.clusterIPs"), 0);

        return text_cell(first ? json_object_get_string(first) : "<none>");
}

static struct json_object *cell_ports(CELL_ARGS)
{
        struct strbuf b = STRBUF_NULL;

        json_array_foreach (json_at(obj, "spec.ports"), i, p) {
                long long node_port = json_get_i64(p, "nodePort", 0);
                const char *protocol = json_get_str(p, "protocol");

                strbuf_printf(&b, "%s%lld", i ? "," : "", (long long)json_get_i64(p, "port", 0));
                if (node_port > 0)
                        strbuf_printf(&b, ":%lld", node_port);
                strbuf_printf(&b, "/%s", protocol ? protocol : "");
        }
        return text_cell_take(&b, "<none>");
}

static const struct table_column services[] = {
        NAME_COLUMN,
        TEXT("Type", "How the service is reached", "spec.type", .otherwise = ""),
        TEXT_COLUMN("Cluster-IP", "First virtual address", cell_cluster_ip, .path = NULL),
        TEXT_COLUMN("External-IP", "Addresses or name outside of the cluster", cell_external_ip, .path = NULL),
        TEXT_COLUMN("Port(s)", "Ports, node ports and protocols", cell_ports, .path = NULL),
        AGE_COLUMN,
        WIDE_TEXT_COLUMN("Selector", "Labels that choose the pods", cell_labels, .path = "spec.selector"),
};

/* ---- endpoints ---- */

static void add_addresses(struct short_list *l, const struct table_ctx *ctx, const struct json_object *subset,
                          int64_t port)
{
        json_array_foreach (json_get(subset, "addresses"), i, a) {
                const char *ip = json_get_str(a, "ip");
                bool six = ip && strchr(ip, ':');

                if (port < 0)
                        short_list_add(l, ip ? ip : "");
                else
                        short_list_add(l, arena_printf(ctx->arena, six ? "[%s]:%lld" : "%s:%lld", ip ? ip : "",
                                                       (long long)port));
        }
}

static struct json_object *cell_endpoints(CELL_ARGS)
{
        const struct json_object *subsets = json_get(obj, "subsets");
        struct short_list l = {.n = 0};

        json_array_foreach (subsets, i, subset) {
                const struct json_object *ports = json_get(subset, "ports");

                if (!json_len(ports))
                        add_addresses(&l, ctx, subset, -1);
                json_array_foreach (ports, j, port)
                        add_addresses(&l, ctx, subset, json_get_i64(port, "port", 0));
        }
        return short_list_cell(&l, json_len(subsets) ? "" : "<none>");
}

static const struct table_column endpoints[] = {
        NAME_COLUMN,
        TEXT_COLUMN("Endpoints", "Addresses and ports that are ready", cell_endpoints, .path = NULL),
        AGE_COLUMN,
};

static struct json_object *cell_slice_ports(CELL_ARGS)
{
        struct short_list l = {.n = 0};

        json_array_foreach (json_get(obj, "ports"), i, p) {
                const char *name = json_get_str(p, "name");

                if (json_has(p, "port"))
                        short_list_add(&l, arena_printf(ctx->arena, "%lld", (long long)json_get_i64(p, "port", 0)));
                else
                        short_list_add(&l, name ? name : "*");
        }
        return short_list_cell(&l, "<unset>");
}

static struct json_object *cell_slice_endpoints(CELL_ARGS)
{
        struct short_list l = {.n = 0};

        json_array_foreach (json_get(obj, "endpoints"), i, e) {
                json_array_foreach (json_get(e, "addresses"), j, a)
                        short_list_add(&l, json_object_get_string(a));
        }
        return short_list_cell(&l, "<unset>");
}

static const struct table_column endpoint_slices[] = {
        NAME_COLUMN,
        TEXT("AddressType", "Kind of the addresses", "addressType", .otherwise = ""),
        TEXT_COLUMN("Ports", "Ports of every endpoint", cell_slice_ports, .path = NULL),
        TEXT_COLUMN("Endpoints", "Addresses of the endpoints", cell_slice_endpoints, .path = NULL),
        AGE_COLUMN,
};

/* ---- ingresses ---- */

/* Rules without a host count among those that are left out, as upstream counts. */
static struct json_object *cell_hosts(CELL_ARGS)
{
        const struct json_object *rules = json_at(obj, "spec.rules");
        struct strbuf b = STRBUF_NULL;
        size_t shown = 0;
        bool more = false;

        json_array_foreach (rules, i, rule) {
                const char *host = json_get_str(rule, "host");

                more |= shown == SHOWN_MAX;
                if (more || str_empty(host))
                        continue;
                text_join(&b, ",", host);
                shown++;
        }
        if (more)
                strbuf_printf(&b, " + %zu more...", json_len(rules) - SHOWN_MAX);
        return text_cell_take(&b, "*");
}

static struct json_object *cell_ingress_address(CELL_ARGS)
{
        struct strbuf b = STRBUF_NULL;

        add_ingress_points(&b, obj);
        return text_cell_take(&b, "");
}

static struct json_object *cell_ingress_ports(CELL_ARGS)
{
        return text_cell(json_len(json_at(obj, "spec.tls")) ? "80, 443" : "80");
}

static const struct table_column ingresses[] = {
        NAME_COLUMN,
        TEXT("Class", "IngressClass that serves it", "spec.ingressClassName", .otherwise = "<none>"),
        TEXT_COLUMN("Hosts", "Hosts that its rules match", cell_hosts, .path = NULL),
        TEXT_COLUMN("Address", "Where it is reached", cell_ingress_address, .path = NULL),
        TEXT_COLUMN("Ports", "Ports that are open", cell_ingress_ports, .path = NULL),
        AGE_COLUMN,
};

static struct json_object *cell_parameters(CELL_ARGS)
{
        const struct json_object *p = json_at(obj, "spec.parameters");
        const char *group = json_get_str(p, "apiGroup"), *kind = json_get_str(p, "kind");
        const char *name = json_get_str(p, "name");

        if (!p)
                return text_cell("<none>");
        return text_cell(arena_printf(ctx->arena, "%s%s%s/%s", kind ? kind : "", group ? "." : "", group ? group : "",
                                      name ? name : ""));
}

static const struct table_column ingress_classes[] = {
        NAME_COLUMN,
        TEXT("Controller", "Controller that serves the class", "spec.controller", .otherwise = ""),
        TEXT_COLUMN("Parameters", "Object with more settings", cell_parameters, .path = NULL),
        AGE_COLUMN,
};

/* ---- others ---- */

static const struct table_column network_policies[] = {
        NAME_COLUMN,
        TEXT_COLUMN("Pod-Selector", "Labels that choose the pods", cell_selector, .path = "spec.podSelector"),
        AGE_COLUMN,
};

static const struct table_column service_cidrs[] = {
        NAME_COLUMN,
        TEXT_COLUMN("CIDRs", "Ranges of virtual addresses", cell_join, .path = "spec.cidrs"),
        AGE_COLUMN,
};

/* "services/NAMESPACE/NAME", "resource.group/NAME". */
static struct json_object *cell_parent(CELL_ARGS)
{
        const struct json_object *p = json_at(obj, "spec.parentRef");
        const char *words[] = {"group", "resource", "namespace", "name"}, *v[4];

        if (!p)
                return text_cell("<none>");
        for (size_t i = 0; i < 4; i++) {
                v[i] = json_get_str(p, words[i]);
                if (!v[i])
                        v[i] = "";
        }
        return text_cell(
                arena_printf(ctx->arena, "%s%s%s%s%s/%s", v[1], *v[0] ? "." : "", v[0], *v[2] ? "/" : "", v[2], v[3]));
}

static const struct table_column ip_addresses[] = {
        NAME_COLUMN,
        TEXT_COLUMN("ParentRef", "Object that has the address", cell_parent, .path = NULL),
};

const struct table_def table_network[] = {
        TABLE("", "services", services, .summarise = NULL),
        TABLE("", "endpoints", endpoints, .summarise = NULL),
        TABLE("discovery.k8s.io", "endpointslices", endpoint_slices, .summarise = NULL),
        TABLE("networking.k8s.io", "ingressclasses", ingress_classes, .summarise = NULL),
        TABLE("networking.k8s.io", "ingresses", ingresses, .summarise = NULL),
        TABLE("networking.k8s.io", "ipaddresses", ip_addresses, .summarise = NULL),
        TABLE("networking.k8s.io", "networkpolicies", network_policies, .summarise = NULL),
        TABLE("networking.k8s.io", "servicecidrs", service_cidrs, .summarise = NULL),
        {.plural = NULL},
};
