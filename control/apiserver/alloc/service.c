/* SPDX-License-Identifier: Apache-2.0 */
#include <string.h>

#include "apiserver/alloc/service.h"
#include "apiserver/storekey.h"
#include "base/clock.h"
#include "base/str.h"
#include "base/strbuf.h"
#include "base/uuid.h"

/* What attempts of one request share: the fields that an earlier attempt filled, which the next may choose anew. */
struct choices {
        bool ip[2];
        bool health_port;
        struct port_set node_ports;
};

/* One call of the stage. */
struct stage {
        const struct kctx *c;
        struct alloc *alloc;
        struct json_object *spec;      /* NULL at a delete */
        const struct json_object *old; /* its spec; NULL at a create */
        const char *namespace, *name;
        struct txn_builder *t;
        struct ferrs *e;
        struct choices *chosen;
        struct port_set old_ports, new_ports; /* node ports and health check port, before and after */
};

bool service_is_type(const struct json_object *spec, const char *type)
{
        return str_eq(json_get_str(spec, "type"), type);
}

bool service_is_headless(const struct json_object *spec)
{
        const struct json_object *ips = json_get(spec, "clusterIPs");

        return json_len(ips) == 1 && str_eq(json_object_get_string(json_idx(ips, 0)), "None");
}

bool service_needs_cluster_ip(const struct json_object *spec)
{
        return !service_is_type(spec, "ExternalName");
}

bool service_needs_node_port(const struct json_object *spec)
{
        return service_is_type(spec, "NodePort") || service_is_type(spec, "LoadBalancer");
}

bool service_needs_health_check(const struct json_object *spec)
{
        return service_is_type(spec, "LoadBalancer") && str_eq(json_get_str(spec, "externalTrafficPolicy"), "Local");
}

bool service_is_external(const struct json_object *spec)
{
        return service_needs_node_port(spec) ||
               (service_is_type(spec, "ClusterIP") && json_len(json_get(spec, "externalIPs")));
}

static const char *ip_text(const struct json_object *spec, size_t i)
{
        const struct json_object *v = json_idx(json_get(spec, "clusterIPs"), i);

        return json_is_string(v) ? json_object_get_string((struct json_object *)v) : "";
}

/* The i-th address, when the Service has one there. */
static bool ip_at(const struct json_object *spec, size_t i, struct ipaddr *ret)
{
        return spec && service_needs_cluster_ip(spec) && ipaddr_parse(ip_text(spec, i), ret) == 0;
}

static bool has_ip(const struct json_object *spec, const struct ipaddr *ip)
{
        struct ipaddr x;

        for (size_t i = 0; i < json_len(json_get(spec, "clusterIPs")); i++)
                if (ip_at(spec, i, &x) && ipaddr_equal(&x, ip))
                        return true;
        return false;
}

char *alloc_ip_object(struct arena *a, const struct ipaddr *ip, const char *namespace, const char *name, int64_t now_us)
{
        char text[IPADDR_TEXT_SIZE], uid[UUID_TEXT_SIZE], now[CLOCK_TEXT_SIZE];

        return arena_printf(
                a,
                "{\"kind\":\"IPAddress\",\"apiVersion\":\"networking.k8s.io/v1\",\"metadata\":{"
                "\"name\":\"%s\",\"uid\":\"%s\",\"creationTimestamp\":\"%s\",\"labels\":{"
                "\"ipaddress.kubernetes.io/ip-family\":\"%s\","
                "\"ipaddress.kubernetes.io/managed-by\":\"ipallocator.k8s.io\"}},"
                "\"spec\":{\"parentRef\":{\"resource\":\"services\",\"namespace\":\"%s\",\"name\":\"%s\"}}}",
                ipaddr_format(ip, text), uuid_new(uid), clock_format(now_us / 1000000, now), ipaddr_family(ip),
                namespace, name);
}

char *alloc_port_value(struct arena *a, const char *namespace, const char *name)
{
        return arena_printf(a, "{\"namespace\":\"%s\",\"name\":\"%s\"}", namespace, name);
}

static void put_ip(struct stage *s, const struct ipaddr *ip)
{
        char text[IPADDR_TEXT_SIZE], *value;

        if (s->c->dry_run)
                return;
        value = alloc_ip_object(s->c->arena, ip, s->namespace, s->name, s->c->now_us);
        txn_put(s->t, arena_printf(s->c->arena, ALLOC_IP_PREFIX "%s", ipaddr_format(ip, text)), value, strlen(value),
                STORE_REV_NONE);
}

/* The IPAddress object is this Service's (or there is nobody to ask). */
static bool owns_ip(const struct stage *s, const char *text)
{
        _cleanup_json_ struct json_object *obj = NULL;
        const struct json_object *ref;

        if (!s->c->reader)
                return true;
        obj = s->c->reader->get(s->c->reader->userdata, "networking.k8s.io", "ipaddresses", NULL, text);
        ref = json_at(obj, "spec.parentRef");
        return str_eq(json_get_str(ref, "resource"), "services") && !json_has(ref, "group") &&
               str_eq(json_get_str(ref, "namespace"), s->namespace) && str_eq(json_get_str(ref, "name"), s->name);
}

static void release_ip(struct stage *s, const struct ipaddr *ip)
{
        char text[IPADDR_TEXT_SIZE];

        ipaddr_format(ip, text);
        if (!s->c->dry_run && owns_ip(s, text))
                txn_delete(s->t, arena_printf(s->c->arena, ALLOC_IP_PREFIX "%s", text), STORE_REV_ANY);
}

static void set_ip(struct json_object *spec, size_t i, const char *text)
{
        struct json_object *ips = json_get(spec, "clusterIPs");

        if (!json_is_array(ips)) {
                ips = json_object_new_array();
                json_set(spec, "clusterIPs", ips);
        }
        json_object_array_put_idx(ips, i, json_object_new_string(text));
        if (i == 0)
                json_set_str(spec, "clusterIP", text);
}

static void choose_ip(struct stage *s, size_t i, const char *family)
{
        struct fpath spec = fpath_child(NULL, "spec"), p = fpath_child(&spec, "clusterIPs");
        char text[IPADDR_TEXT_SIZE];
        struct ipaddr ip;

        if (alloc_ip_next(s->alloc, str_eq(family, "IPv6") ? 6 : 4, &ip)) {
                ferr_internal(s->e, &p, "failed to allocate a serviceIP: range is full");
                return;
        }
        set_ip(s->spec, i, ipaddr_format(&ip, text));
        s->chosen->ip[i] = true;
        put_ip(s, &ip);
}

static void claim_ip(struct stage *s, const struct ipaddr *ip, const char *text)
{
        struct fpath spec = fpath_child(NULL, "spec"), p = fpath_child(&spec, "clusterIPs");
        int r = alloc_ip_check(s->alloc, ip);

        if (r)
                ferr_invalid(s->e, &p, json_get(s->spec, "clusterIPs"), "failed to allocate IP %s: %s", text,
                             r == ALLOC_TAKEN ? "provided IP is already allocated"
                                              : "the provided network does not match the current range");
        else
                put_ip(s, ip);
}

static void stage_ips(struct stage *s)
{
        const struct json_object *families = json_get(s->spec, "ipFamilies");
        struct ipaddr ip;

        if (s->spec && service_needs_cluster_ip(s->spec) && !service_is_headless(s->spec)) {
                for (size_t i = 0; i < json_len(families) && i < 2; i++) {
                        const char *family = json_object_get_string(json_idx(families, i));

                        if (s->chosen->ip[i] || !ip_at(s->spec, i, &ip))
                                choose_ip(s, i, family);
                        else if (!has_ip(s->old, &ip))
                                claim_ip(s, &ip, ip_text(s->spec, i));
                }
        }
        for (size_t i = 0; i < json_len(json_get(s->old, "clusterIPs")); i++)
                if (ip_at(s->old, i, &ip) && !(s->spec && has_ip(s->spec, &ip)))
                        release_ip(s, &ip);
}

static uint16_t port_of(const struct json_object *o, const char *field)
{
        int64_t port = json_get_i64(o, field, 0);

        return port > 0 && port <= 65535 ? (uint16_t)port : 0;
}

/* Every port of the nodes that the Service has. */
static void collect_ports(const struct json_object *spec, struct port_set *set)
{
        if (!spec)
                return;
        if (service_needs_node_port(spec)) {
                json_array_foreach (json_get(spec, "ports"), i, port)
                        if (port_of(port, "nodePort"))
                                port_set_add(set, port_of(port, "nodePort"));
        }
        if (service_needs_health_check(spec) && port_of(spec, "healthCheckNodePort"))
                port_set_add(set, port_of(spec, "healthCheckNodePort"));
}

/* Why the Service cannot have that port, in the arena; NULL when it can. */
static const char *port_refusal(struct stage *s, uint16_t port)
{
        uint16_t first, last;
        int r;

        if (port_set_has(&s->new_ports, port))
                return "provided port is already allocated";
        r = alloc_port_check(s->alloc, port);
        if (r == ALLOC_TAKEN)
                return "provided port is already allocated";
        if (!r)
                return NULL;
        alloc_port_range(s->alloc, &first, &last);
        return arena_printf(s->c->arena, "provided port is not in the valid range. The range of valid ports is %u-%u",
                            first, last);
}

/* The node port that some port entry with this service port asks for, or 0. */
static uint16_t requested_port(const struct stage *s, int64_t service_port)
{
        json_array_foreach (json_get(s->spec, "ports"), i, port)
                if (json_get_i64(port, "port", 0) == service_port && port_of(port, "nodePort"))
                        return port_of(port, "nodePort");
        return 0;
}

/* The node port that an earlier entry with this service port has got, or 0: TCP and UDP share one. */
static uint16_t shared_port(const struct stage *s, size_t before, int64_t service_port)
{
        const struct json_object *ports = json_get(s->spec, "ports");

        for (size_t i = 0; i < before; i++)
                if (json_get_i64(json_idx(ports, i), "port", 0) == service_port)
                        return port_of(json_idx(ports, i), "nodePort");
        return 0;
}

static void claim_port(struct stage *s, size_t i, uint16_t port)
{
        struct fpath spec = fpath_child(NULL, "spec"), ports = fpath_child(&spec, "ports");
        struct fpath item = fpath_index(&ports, i), p = fpath_child(&item, "nodePort");
        const char *refusal = port_set_has(&s->old_ports, port) ? NULL : port_refusal(s, port);

        if (refusal)
                ferr_invalid_i64(s->e, &p, port, "%s", refusal);
        port_set_add(&s->new_ports, port);
}

static void choose_port(struct stage *s, struct json_object *entry)
{
        struct fpath spec = fpath_child(NULL, "spec"), p = fpath_child(&spec, "ports");
        uint16_t port;

        if (alloc_port_next(s->alloc, &s->new_ports, &port)) {
                ferr_internal(s->e, &p, "failed to allocate a nodePort: range is full");
                return;
        }
        json_set_i64(entry, "nodePort", port);
        port_set_add(&s->chosen->node_ports, port);
        port_set_add(&s->new_ports, port);
}

static void stage_new_service_port(struct stage *s, size_t i, struct json_object *entry)
{
        int64_t service_port = json_get_i64(entry, "port", 0);
        uint16_t shared = shared_port(s, i, service_port), port = port_of(entry, "nodePort");

        if (shared && (!port || port == shared)) {
                json_set_i64(entry, "nodePort", shared);
                return;
        }
        if (!shared && !port)
                port = requested_port(s, service_port);
        if (!port) {
                choose_port(s, entry);
                return;
        }
        json_set_i64(entry, "nodePort", port);
        claim_port(s, i, port);
}

static void stage_changed_port(struct stage *s, size_t i, struct json_object *entry)
{
        uint16_t port = port_of(entry, "nodePort");

        if (!port)
                choose_port(s, entry);
        else if (!port_set_has(&s->new_ports, port))
                claim_port(s, i, port);
}

static void stage_node_ports(struct stage *s)
{
        bool want =
                service_is_type(s->spec, "NodePort") || json_get_bool(s->spec, "allocateLoadBalancerNodePorts", true);

        json_array_foreach (json_get(s->spec, "ports"), i, entry) {
                if (!want && !port_of(entry, "nodePort"))
                        continue;
                if (s->old)
                        stage_changed_port(s, i, entry);
                else
                        stage_new_service_port(s, i, entry);
        }
}

static void stage_health_port(struct stage *s)
{
        struct fpath spec = fpath_child(NULL, "spec"), p = fpath_child(&spec, "healthCheckNodePort");
        uint16_t port = port_of(s->spec, "healthCheckNodePort");
        const char *refusal;

        if (!port) {
                if (alloc_port_next(s->alloc, &s->new_ports, &port)) {
                        ferr_internal(s->e, &p, "failed to allocate a HealthCheck NodePort: range is full");
                        return;
                }
                json_set_i64(s->spec, "healthCheckNodePort", port);
                s->chosen->health_port = true;
        } else if (!s->old || !service_needs_health_check(s->old) || port != port_of(s->old, "healthCheckNodePort")) {
                refusal = port_refusal(s, port);
                if (refusal)
                        ferr_invalid_i64(s->e, &p, port, "failed to allocate requested HealthCheck NodePort %u: %s",
                                         port, refusal);
        }
        port_set_add(&s->new_ports, port);
}

static char *port_key(struct stage *s, uint16_t port)
{
        return arena_printf(s->c->arena, ALLOC_PORT_PREFIX "%u", port);
}

static void stage_ports(struct stage *s)
{
        collect_ports(s->old, &s->old_ports);
        if (s->spec && service_needs_node_port(s->spec))
                stage_node_ports(s);
        if (s->spec && service_needs_health_check(s->spec))
                stage_health_port(s);
        if (s->e->n || s->c->dry_run)
                return;
        for (size_t i = 0; i < s->new_ports.n; i++) {
                char *value = alloc_port_value(s->c->arena, s->namespace, s->name);

                if (!port_set_has(&s->old_ports, s->new_ports.ports[i]))
                        txn_put(s->t, port_key(s, s->new_ports.ports[i]), value, strlen(value), STORE_REV_NONE);
        }
        for (size_t i = 0; i < s->old_ports.n; i++)
                if (!port_set_has(&s->new_ports, s->old_ports.ports[i]))
                        txn_delete(s->t, port_key(s, s->old_ports.ports[i]), STORE_REV_ANY);
}

/* Takes back what an earlier attempt of this request has put into the object. */
static void forget_choices(struct stage *s)
{
        if (s->chosen->health_port)
                json_del(s->spec, "healthCheckNodePort");
        json_array_foreach (json_get(s->spec, "ports"), i, entry)
                if (port_set_has(&s->chosen->node_ports, port_of(entry, "nodePort")))
                        json_del(entry, "nodePort");
        s->chosen->health_port = false;
        s->chosen->node_ports.n = 0;
}

static struct choices *choices_of(const struct kctx *c)
{
        struct choices *chosen = c->stage_memo ? *c->stage_memo : NULL;

        if (!chosen) {
                chosen = arena_new(c->arena, struct choices);
                chosen->node_ports.arena = c->arena;
                if (c->stage_memo)
                        *c->stage_memo = chosen;
        }
        return chosen;
}

/* The Endpoints of the same name go with the Service, so that a Service made anew does not start with old ones. */
static void stage_endpoints(struct stage *s)
{
        _cleanup_json_ struct json_object *endpoints = NULL;

        if (s->spec || s->c->dry_run || !s->c->reader)
                return;
        endpoints = s->c->reader->get(s->c->reader->userdata, "", "endpoints", s->namespace, s->name);
        if (endpoints)
                txn_delete(s->t, store_key(s->c->arena, "", "endpoints", s->namespace, s->name), STORE_REV_ANY);
}

void alloc_service_stage(const struct kctx *c, struct json_object *obj, const struct json_object *old,
                         struct txn_builder *t, struct ferrs *e)
{
        const struct json_object *any = obj ? obj : old;
        struct stage s = {
                .c = c,
                .alloc = c->config->alloc,
                .spec = json_get(obj, "spec"),
                .old = json_get(old, "spec"),
                .namespace = json_at_str(any, "metadata.namespace"),
                .name = json_at_str(any, "metadata.name"),
                .t = t,
                .e = e,
                .chosen = choices_of(c),
                .old_ports.arena = c->arena,
                .new_ports.arena = c->arena,
        };

        if (obj) {
                forget_choices(&s);
                alloc_service_families(c, obj, old, e);
        }
        if (!e->n)
                stage_ips(&s);
        if (!e->n)
                stage_ports(&s);
        stage_endpoints(&s);
}
