/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Services: what is filled in, and what an update that says nothing about it keeps (addresses and ports that were
 * allocated) or loses (fields that the new type has no use for).
 */
#include "apiserver/kinds/service.h"

#include "apiserver/kinds/kinds.h"
#include "apiserver/kinds/netcheck.h"
#include "base/str.h"

/* A number that is 0 or a text that is empty: how Go writes an IntOrString that nobody set. */
static bool is_unset(const struct json_object *v)
{
        if (json_is_string(v))
                return json_object_get_string_len((struct json_object *)v) == 0;
        return !v || json_object_get_int64(v) == 0;
}

static void default_ports(struct json_object *spec)
{
        json_array_foreach (json_get(spec, "ports"), i, port) {
                json_default_str(port, "protocol", "TCP");
                if (is_unset(json_get(port, "targetPort")))
                        json_set_i64(port, "targetPort", json_get_i64(port, "port", 0));
        }
}

static void default_affinity(struct json_object *spec)
{
        json_default_str(spec, "sessionAffinity", "None");
        if (str_eq(str_of(spec, "sessionAffinity"), "None"))
                json_del(spec, "sessionAffinityConfig");
        if (str_eq(str_of(spec, "sessionAffinity"), "ClientIP"))
                json_default_i64(json_ensure(json_ensure(spec, "sessionAffinityConfig"), "clientIP"), "timeoutSeconds",
                                 10800);
}

static void default_load_balancer(struct json_object *obj)
{
        json_default_bool(json_get(obj, "spec"), "allocateLoadBalancerNodePorts", true);
        json_array_foreach (json_at(obj, "status.loadBalancer.ingress"), i, ingress)
                if (!str_empty(str_of(ingress, "ip")))
                        json_default_str(ingress, "ipMode", "VIP");
}

static void defaults(const struct kctx *c, struct json_object *obj)
{
        struct json_object *spec = json_ensure(obj, "spec");

        default_affinity(spec);
        json_default_str(spec, "type", "ClusterIP");
        default_ports(spec);
        if (service_is_external(spec))
                json_default_str(spec, "externalTrafficPolicy", "Cluster");
        if (!service_is_type(spec, "ExternalName"))
                json_default_str(spec, "internalTrafficPolicy", "Cluster");
        if (service_is_type(spec, "LoadBalancer"))
                default_load_balancer(obj);
}

static void set_ips(struct json_object *spec, const char *ip)
{
        struct json_object *ips = json_object_new_array();

        json_object_array_add(ips, json_object_new_string(ip));
        json_set(spec, "clusterIPs", ips);
}

static void prepare_create(const struct kctx *c, struct json_object *obj)
{
        struct json_object *spec = json_get(obj, "spec");

        if (json_has(spec, "clusterIP") && !json_len(json_get(spec, "clusterIPs")))
                set_ips(spec, str_of(spec, "clusterIP"));
}

static bool same(const struct json_object *a, const struct json_object *b, const char *field)
{
        return json_equal(json_get(a, field), json_get(b, field));
}

static void keep(struct json_object *spec, const struct json_object *old, const char *field)
{
        if (!json_has(spec, field) && json_has(old, field))
                json_set(spec, field, json_copy(json_get(old, field)));
}

static bool uses_node_port(const struct json_object *spec, int64_t node_port)
{
        json_array_foreach (json_get(spec, "ports"), i, port)
                if (json_get_i64(port, "nodePort", 0) == node_port)
                        return true;
        return false;
}

/* The old node port of the port of that name, when no port of the new Service names it. */
static int64_t kept_node_port(const struct json_object *spec, const struct json_object *old, const char *name)
{
        int64_t kept = 0;

        json_array_foreach (json_get(old, "ports"), i, port)
                if (str_eq(str_of(port, "name"), name))
                        kept = json_get_i64(port, "nodePort", 0);
        return kept && uses_node_port(spec, kept) ? 0 : kept;
}

static void keep_node_ports(struct json_object *spec, const struct json_object *old)
{
        /* Decided for all before any is set, so that ports which share a name (an error) do not decide by order. */
        size_t n = json_len(json_get(spec, "ports"));

        for (size_t i = 0; i < n; i++) {
                struct json_object *port = json_idx(json_get(spec, "ports"), i);
                int64_t kept = json_has(port, "nodePort") ? 0 : kept_node_port(spec, old, str_of(port, "name"));

                if (kept)
                        json_set_i64(port, "nodePort", kept);
        }
}

/* Clients that send again what they once created do not lose what was allocated for it. */
static void keep_allocated(struct json_object *spec, const struct json_object *old)
{
        if (service_needs_cluster_ip(spec) && service_needs_cluster_ip(old)) {
                keep(spec, old, "clusterIP");
                keep(spec, old, "clusterIPs");
        }
        if (service_needs_node_port(spec) && service_needs_node_port(old))
                keep_node_ports(spec, old);
        if (service_needs_health_check(spec) && service_needs_health_check(old))
                keep(spec, old, "healthCheckNodePort");
}

/* clusterIP and clusterIPs say the same; who changed only one of them means both. */
static void match_cluster_ips(struct json_object *spec, const struct json_object *old)
{
        if (same(spec, old, "clusterIP")) {
                if (!json_len(json_get(spec, "clusterIPs")))
                        keep(spec, old, "clusterIPs");
                return;
        }
        if (!same(spec, old, "clusterIPs"))
                return;
        if (json_has(spec, "clusterIP"))
                set_ips(spec, str_of(spec, "clusterIP"));
        else
                json_del(spec, "clusterIPs");
}

static bool same_node_ports(const struct json_object *spec, const struct json_object *old)
{
        const struct json_object *a = json_get(spec, "ports"), *b = json_get(old, "ports");

        json_array_foreach (a, i, port)
                if (json_has(port, "nodePort") && !uses_node_port(old, json_get_i64(port, "nodePort", 0)))
                        return false;
        json_array_foreach (b, j, before)
                if (json_has(before, "nodePort") && !uses_node_port(spec, json_get_i64(before, "nodePort", 0)))
                        return false;
        return true;
}

/* Whether a Service of that type can have the field. */
static bool has_class(const struct json_object *spec)
{
        return service_is_type(spec, "LoadBalancer");
}

static void drop_if_same(struct json_object *spec, const struct json_object *old, const char *field)
{
        if (same(spec, old, field))
                json_del(spec, field);
}

static bool no_more(bool (*needs)(const struct json_object *), const struct json_object *spec,
                    const struct json_object *old)
{
        return needs(old) && !needs(spec);
}

/* Fields that the new type cannot have and that the user left as they were. */
static void drop_for_type(struct json_object *spec, const struct json_object *old)
{
        if (no_more(service_needs_cluster_ip, spec, old)) {
                if (same(spec, old, "clusterIPs")) {
                        json_del(spec, "clusterIP");
                        json_del(spec, "clusterIPs");
                }
                drop_if_same(spec, old, "ipFamilies");
                drop_if_same(spec, old, "ipFamilyPolicy");
        }
        if (no_more(service_needs_node_port, spec, old) && same_node_ports(spec, old)) {
                json_array_foreach (json_get(spec, "ports"), i, port)
                        json_del(port, "nodePort");
        }
        if (no_more(service_needs_health_check, spec, old))
                drop_if_same(spec, old, "healthCheckNodePort");
        if (no_more(has_class, spec, old)) {
                drop_if_same(spec, old, "allocateLoadBalancerNodePorts");
                drop_if_same(spec, old, "loadBalancerClass");
        }
        if (no_more(service_is_external, spec, old))
                drop_if_same(spec, old, "externalTrafficPolicy");
        if (service_is_type(spec, "ExternalName"))
                drop_if_same(spec, old, "internalTrafficPolicy");
}

static void prepare_update(const struct kctx *c, struct json_object *obj, const struct json_object *old_obj)
{
        struct json_object *spec = json_get(obj, "spec");
        const struct json_object *old = json_get(old_obj, "spec");

        keep_allocated(spec, old);
        match_cluster_ips(spec, old);
        drop_for_type(spec, old);
}

static void warn_ip(const struct kctx *c, const char *field, const char *text)
{
        char canonical[IPADDR_TEXT_SIZE];
        struct ipaddr ip;

        if (ipaddr_parse(text, &ip) || ipaddr_is_canonical(text))
                return;
        ipaddr_format(&ip, canonical);
        warnings_add(c->warnings,
                     ipaddr_is_v6(&ip) ? "%s: IPv6 address \"%s\" should be in RFC 5952 canonical format (\"%s\")"
                                       : "%s: non-standard IP address \"%s\" will be considered invalid in a future "
                                         "Kubernetes release: use \"%s\"",
                     field, text, canonical);
}

static void warn_ips(const struct kctx *c, const struct json_object *spec, const char *array)
{
        json_array_foreach (json_get(spec, array), i, v)
                warn_ip(c, arena_printf(c->arena, "spec.%s[%zu]", array, i), str_at(json_get(spec, array), i));
}

static void warn(const struct kctx *c, const struct json_object *obj, const struct json_object *old)
{
        const struct json_object *spec = json_get(obj, "spec");
        bool external_name = service_is_type(spec, "ExternalName");

        if (!service_is_headless(spec))
                warn_ips(c, spec, "clusterIPs");
        warn_ips(c, spec, "externalIPs");
        if (json_has(spec, "loadBalancerIP"))
                warn_ip(c, "spec.loadBalancerIP", str_of(spec, "loadBalancerIP"));
        if (external_name && json_len(json_get(spec, "externalIPs")))
                warnings_add(c->warnings, "spec.externalIPs is ignored when spec.type is \"ExternalName\"");
        if (!external_name && json_has(spec, "externalName"))
                warnings_add(c->warnings, "spec.externalName is ignored when spec.type is not \"ExternalName\"");
}

static const char *validate_name(const char *name)
{
        return name_error(NAME_DNS1035_LABEL, name);
}

static const struct kind_field fields[] = {
        {.label = "spec.clusterIP", .path = "spec.clusterIP"},
        {.label = "spec.type", .path = "spec.type"},
        {0},
};

const struct kind_ops kind_services = {
        .group = "",
        .plural = "services",
        .flags = KIND_STATUS_RESET | KIND_CREATE_ON_UPDATE,
        .validate_name = validate_name,
        .defaults = defaults,
        .prepare_create = prepare_create,
        .prepare_update = prepare_update,
        .validate = service_validate,
        .validate_update = service_validate_update,
        .validate_status = service_validate_status,
        .warn = warn,
        .stage = alloc_service_stage,
        .fields = fields,
};
