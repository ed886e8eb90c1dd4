/* SPDX-License-Identifier: Apache-2.0 */
#include "apiserver/kinds/service.h"

#include "apiserver/kinds/netcheck.h"
#include "base/str.h"

#define AFFINITY_MAX_S 86400

static const char *const types[] = {"ClusterIP", "ExternalName", "LoadBalancer", "NodePort", NULL};
static const char *const affinities[] = {"ClientIP", "None", NULL};
static const char *const traffic_policies[] = {"Cluster", "Local", NULL};
static const char *const families[] = {"IPv4", "IPv6", NULL};
static const char *const family_policies[] = {"PreferDualStack", "RequireDualStack", "SingleStack", NULL};
static const char *const distributions[] = {"PreferClose", "PreferSameNode", "PreferSameZone", NULL};
static const char *const ip_modes[] = {"Proxy", "VIP", NULL};

#define ONLY_LB "may only be used when `type` is 'LoadBalancer'"

static void check_external_name(const struct json_object *spec, const struct fpath *p, struct ferrs *e)
{
        static const char *const unset[] = {"clusterIPs", "ipFamilies", "ipFamilyPolicy"};
        const char *name = str_of(spec, "externalName");
        size_t n = strlen(name);

        for (size_t i = 0; i < ARRAY_SIZE(unset); i++)
                if (json_has(spec, unset[i]))
                        ferr_forbidden(e, FP(p, unset[i]), "may not be set for ExternalName services");
        if (n && name[n - 1] == '.')
                name = arena_strndup(e->arena, name, n - 1);
        if (*name)
                check_name(e, FP(p, "externalName"), NAME_DNS1123_SUBDOMAIN, name);
        else
                ferr_required(e, FP(p, "externalName"), NULL);
}

static void check_type(const struct json_object *spec, const struct fpath *p, struct ferrs *e)
{
        bool headless = service_is_headless(spec);

        if (!json_len(json_get(spec, "ports")) && !headless && !service_is_type(spec, "ExternalName"))
                ferr_required(e, FP(p, "ports"), NULL);
        if (headless && service_needs_node_port(spec))
                ferr_invalid_str(e, FPI(FP(p, "clusterIPs"), 0), "None", "may not be set to 'None' for %s services",
                                 str_of(spec, "type"));
        if (service_is_type(spec, "ExternalName"))
                check_external_name(spec, p, e);
        check_one_of(e, p, spec, "type", types, true);
}

static void check_port(const struct json_object *port, bool need_name, struct name_set *names, const struct fpath *p,
                       struct ferrs *e)
{
        const char *name = str_of(port, "name");

        if (*name) {
                check_name(e, FP(p, "name"), NAME_DNS1123_LABEL, name);
                if (!name_set_add(names, name))
                        ferr_duplicate_str(e, FP(p, "name"), name);
        } else if (need_name) {
                ferr_required(e, FP(p, "name"), NULL);
        }
        check_port_number(e, FP(p, "port"), json_get_i64(port, "port", 0));
        check_protocol(e, FP(p, "protocol"), str_of(port, "protocol"));
        check_port_number_or_name(e, FP(p, "targetPort"), json_get(port, "targetPort"));
        check_name_if(e, p, port, "appProtocol", NAME_LABEL_KEY);
}

/* As upstream prints the pair it compares: its internal struct, whose other fields are zero. */
static struct json_object *port_pair(const char *protocol, int64_t port)
{
        struct json_object *o = json_object_new_object();

        json_set_str(o, "Name", "");
        json_set_str(o, "Protocol", protocol);
        json_set(o, "AppProtocol", NULL);
        json_set_i64(o, "Port", port);
        json_set_i64(o, "TargetPort", 0);
        json_set_i64(o, "NodePort", 0);
        return o;
}

static bool seen_before(struct name_set *seen, struct ferrs *e, const char *protocol, int64_t number)
{
        return !name_set_add(seen, arena_printf(e->arena, "%s/%lld", protocol, (long long)number));
}

static void check_duplicate_ports(const struct json_object *ports, const struct fpath *p, struct ferrs *e)
{
        _cleanup_names_ struct name_set numbers = NAME_SET_NULL, node_ports = NAME_SET_NULL;

        json_array_foreach (ports, i, port) {
                int64_t node_port = json_get_i64(port, "nodePort", 0);

                if (node_port && seen_before(&node_ports, e, str_of(port, "protocol"), node_port))
                        ferr_duplicate(e, FP(FPI(p, i), "nodePort"), json_get(port, "nodePort"));
        }
        json_array_foreach (ports, j, entry) {
                int64_t number = json_get_i64(entry, "port", 0);
                _cleanup_json_ struct json_object *pair = NULL;

                if (!seen_before(&numbers, e, str_of(entry, "protocol"), number))
                        continue;
                pair = port_pair(str_of(entry, "protocol"), number);
                ferr_duplicate(e, FPI(p, j), pair);
        }
}

static void check_ports(const struct json_object *spec, const struct fpath *p, struct ferrs *e)
{
        const struct json_object *ports = json_get(spec, "ports");
        _cleanup_names_ struct name_set names = NAME_SET_NULL;

        json_array_foreach (ports, i, port) {
                check_port(port, json_len(ports) > 1, &names, FPI(p, i), e);
                if (service_is_type(spec, "ClusterIP") && json_has(port, "nodePort"))
                        ferr_forbidden(e, FP(FPI(p, i), "nodePort"), "may not be used when `type` is 'ClusterIP'");
        }
        check_duplicate_ports(ports, p, e);
}

static void check_affinity_timeout(const struct json_object *config, const struct fpath *p, struct ferrs *e)
{
        static const char when[] = "when session affinity type is ClientIP";
        const struct json_object *client_ip = json_get(config, "clientIP");
        const struct fpath *timeout = FP(FP(p, "clientIP"), "timeoutSeconds");
        int64_t seconds = json_get_i64(client_ip, "timeoutSeconds", 0);

        if (!config)
                ferr_required(e, p, when);
        else if (!client_ip)
                ferr_required(e, FP(p, "clientIP"), when);
        else if (!json_has(client_ip, "timeoutSeconds"))
                ferr_required(e, timeout, when);
        else if (seconds <= 0 || seconds > AFFINITY_MAX_S)
                ferr_invalid_i64(e, timeout, seconds, "must be greater than 0 and less than %d", AFFINITY_MAX_S);
}

static void check_affinity(const struct json_object *spec, const struct fpath *p, struct ferrs *e)
{
        const struct json_object *config = json_get(spec, "sessionAffinityConfig");
        const char *affinity = str_of(spec, "sessionAffinity");

        check_one_of(e, p, spec, "sessionAffinity", affinities, true);
        if (str_eq(affinity, "ClientIP"))
                check_affinity_timeout(config, FP(p, "sessionAffinityConfig"), e);
        else if (str_eq(affinity, "None") && config)
                ferr_forbidden(e, FP(p, "sessionAffinityConfig"), "must not be set when session affinity is None");
}

static void check_families(const struct json_object *spec, const struct fpath *p, struct ferrs *e)
{
        const struct json_object *list = json_get(spec, "ipFamilies");

        json_array_foreach (list, i, v) {
                const char *family = str_at(list, i);

                if (!one_of(family, families))
                        ferr_not_supported(e, FPI(FP(p, "ipFamilies"), i), family, families);
                for (size_t j = 0; j < i; j++)
                        if (str_eq(family, str_at(list, j))) {
                                ferr_duplicate_str(e, FPI(FP(p, "ipFamilies"), i), family);
                                break;
                        }
        }
        check_one_of(e, p, spec, "ipFamilyPolicy", family_policies, false);
}

/* clusterIP and clusterIPs[0] are one thing. */
static void check_ips_match(const struct json_object *spec, const struct fpath *p, struct ferrs *e)
{
        const struct json_object *ips = json_get(spec, "clusterIPs");
        const char *ip = str_of(spec, "clusterIP");

        if (!*ip && json_len(ips))
                ferr_invalid(e, p, ips, "must be empty when `clusterIP` is not specified");
        else if (*ip && !json_len(ips))
                ferr_required(e, p, NULL);
        else if (*ip && !str_eq(str_at(ips, 0), ip))
                ferr_invalid(e, p, ips, "first value must match `clusterIP`");
}

/* Each is an address, or the one and only is "None". Returns whether that is so. */
static bool check_ips_alone(const struct json_object *ips, const struct fpath *p, struct ferrs *e)
{
        size_t before = e->n;

        json_array_foreach (ips, i, v) {
                if (i == 0 && str_eq(str_at(ips, 0), "None")) {
                        if (json_len(ips) > 1)
                                ferr_invalid(e, p, ips, "'None' must be the first and only value");
                        continue;
                }
                check_ip(e, FPI(p, i), str_at(ips, i));
        }
        return e->n == before;
}

static void check_ips_of_families(const struct json_object *spec, const struct fpath *p, struct ferrs *e)
{
        const struct json_object *ips = json_get(spec, "clusterIPs"), *list = json_get(spec, "ipFamilies");

        for (size_t i = 0; i < json_len(ips) && i < json_len(list); i++) {
                const char *family = str_at(list, i), *ip = str_at(ips, i);

                if (one_of(family, families) && !str_eq(family, is_ipv6_text(ip) ? "IPv6" : "IPv4"))
                        ferr_invalid_str(e, FPI(p, i), ip, "expected an %s value as indicated by `ipFamilies[%zu]`",
                                         family, i);
        }
}

static void check_cluster_ips(const struct json_object *spec, const struct fpath *spec_path, struct ferrs *e)
{
        const struct json_object *ips = json_get(spec, "clusterIPs");
        const struct fpath *p = FP(spec_path, "clusterIPs");
        bool good;
        size_t v6 = 0;

        if (service_is_type(spec, "ExternalName"))
                return;
        check_ips_match(spec, p, e);
        check_families(spec, spec_path, e);
        good = check_ips_alone(ips, p, e);
        if (json_len(ips) > 2)
                ferr_invalid(e, p, ips, "may only hold up to 2 values");
        if (!good)
                return;
        json_array_foreach (ips, i, v)
                v6 += is_ipv6_text(str_at(ips, i));
        if (json_len(ips) > 1 && (v6 == 0 || v6 == json_len(ips)))
                ferr_invalid(e, p, ips, "may specify no more than one IP for each IP family");
        if (!service_is_headless(spec))
                check_ips_of_families(spec, p, e);
}

static void check_external_ips(const struct json_object *spec, const struct fpath *p, struct ferrs *e)
{
        const struct json_object *ips = json_get(spec, "externalIPs");

        json_array_foreach (ips, i, v) {
                size_t before = e->n;

                check_ip(e, FPI(p, i), str_at(ips, i));
                if (e->n == before)
                        check_endpoint_ip(e, FPI(p, i), str_at(ips, i));
        }
}

static char *trimmed(struct arena *a, const char *s, size_t n)
{
        while (n && strchr(" \t\r\n", *s))
                s++, n--;
        while (n && strchr(" \t\r\n", s[n - 1]))
                n--;
        return arena_strndup(a, s, n);
}

#define RANGES_ANNOTATION "service.beta.kubernetes.io/load-balancer-source-ranges"

static void check_annotated_ranges(const struct json_object *obj, struct ferrs *e)
{
        const char *value = json_get_str(json_at(obj, "metadata.annotations"), RANGES_ANNOTATION);
        const struct fpath *p = FPK(FP(FP(NULL, "metadata"), "annotations"), RANGES_ANNOTATION);
        struct str_span piece;

        if (!value)
                return;
        if (!service_is_type(json_get(obj, "spec"), "LoadBalancer"))
                ferr_forbidden(e, p, ONLY_LB);
        value = trimmed(e->arena, value, strlen(value));
        for (const char *rest = value; *value && str_split(&rest, ',', &piece);)
                check_cidr(e, p, trimmed(e->arena, piece.s, piece.n));
}

/* The path has a capital L in Kubernetes. */
static void check_source_ranges(const struct json_object *obj, const struct fpath *spec_path, struct ferrs *e)
{
        const struct json_object *spec = json_get(obj, "spec");
        const struct json_object *ranges = json_get(spec, "loadBalancerSourceRanges");
        const struct fpath *p = FP(spec_path, "LoadBalancerSourceRanges");

        if (!json_len(ranges)) {
                check_annotated_ranges(obj, e);
                return;
        }
        if (!service_is_type(spec, "LoadBalancer"))
                ferr_forbidden(e, p, ONLY_LB);
        json_array_foreach (ranges, i, v)
                check_cidr(e, FPI(p, i), trimmed(e->arena, str_at(ranges, i), strlen(str_at(ranges, i))));
}

static void check_load_balancer(const struct json_object *spec, const struct fpath *p, struct ferrs *e)
{
        if (service_is_type(spec, "LoadBalancer")) {
                check_name_if(e, p, spec, "loadBalancerClass", NAME_LABEL_KEY);
                return;
        }
        if (json_has(spec, "allocateLoadBalancerNodePorts"))
                ferr_forbidden(e, FP(p, "allocateLoadBalancerNodePorts"), ONLY_LB);
        if (json_has(spec, "loadBalancerClass"))
                ferr_forbidden(e, FP(p, "loadBalancerClass"), ONLY_LB);
}

static void check_traffic(const struct json_object *spec, const struct fpath *p, struct ferrs *e)
{
        const char *external = str_of(spec, "externalTrafficPolicy");
        int64_t health = json_get_i64(spec, "healthCheckNodePort", 0);

        if (*external && !service_is_external(spec))
                ferr_invalid_str(e, FP(p, "externalTrafficPolicy"), external,
                                 "may only be set for externally-accessible services");
        else
                check_one_of(e, p, spec, "externalTrafficPolicy", traffic_policies, service_is_external(spec));
        if (health && !service_needs_health_check(spec))
                ferr_invalid_i64(
                        e, FP(p, "healthCheckNodePort"), health,
                        "may only be set when `type` is 'LoadBalancer' and `externalTrafficPolicy` is 'Local'");
        else if (health)
                check_port_number(e, FP(p, "healthCheckNodePort"), health);
        check_one_of(e, p, spec, "internalTrafficPolicy", traffic_policies,
                     service_needs_cluster_ip(spec) && one_of(str_of(spec, "type"), types));
        check_one_of(e, p, spec, "trafficDistribution", distributions, false);
}

static void check_topology_annotations(const struct json_object *obj, struct ferrs *e)
{
        static const char mode_key[] = "service.kubernetes.io/topology-mode";
        static const char hints_key[] = "service.kubernetes.io/topology-aware-hints";
        const struct json_object *annotations = json_at(obj, "metadata.annotations");
        const char *mode = json_get_str(annotations, mode_key), *hints = json_get_str(annotations, hints_key);

        if (mode && hints && !str_eq(mode, hints))
                ferr_invalid_str(e, FPK(FP(FP(NULL, "metadata"), "annotations"), mode_key), mode,
                                 "must match annotations[%s] when both are specified", hints_key);
}

void service_validate(const struct kctx *c, const struct json_object *obj, struct ferrs *e)
{
        const struct json_object *spec = json_get(obj, "spec");
        const struct fpath *p = FP(NULL, "spec");

        check_topology_annotations(obj, e);
        check_type(spec, p, e);
        check_ports(spec, FP(p, "ports"), e);
        check_labels(e, FP(p, "selector"), json_get(spec, "selector"));
        check_affinity(spec, p, e);
        check_cluster_ips(spec, p, e);
        check_external_ips(spec, FP(p, "externalIPs"), e);
        check_source_ranges(obj, p, e);
        check_load_balancer(spec, p, e);
        check_traffic(spec, p, e);
}

/* What two families may become: the first stays, the second goes only with the policy SingleStack. */
struct upgrade {
        const char *array;    /* "clusterIPs" */
        const char *unset;    /* the message when the first is gone */
        const char *released; /* "secondary clusterIP" */
};

static void check_upgrade(const struct upgrade *u, const struct json_object *spec, const struct json_object *old,
                          struct ferrs *e)
{
        const struct json_object *now = json_get(spec, u->array), *before = json_get(old, u->array);
        const struct fpath *s = FP(NULL, "spec"), *p = FP(s, u->array);
        size_t n = json_len(now), m = json_len(before);
        _cleanup_json_ struct json_object *none = now ? NULL : json_object_new_array();

        if (m > n && n == 0)
                ferr_invalid(e, FPI(p, 0), none, "%s", u->unset);
        for (size_t i = 0; i < m && i < n && (n == m || i == 0); i++)
                if (!str_eq(str_at(now, i), str_at(before, i)))
                        ferr_invalid(e, FPI(p, i), now, "may not change once set");
        if (m > n && n == 1 && !str_eq(str_of(spec, "ipFamilyPolicy"), "SingleStack"))
                ferr_invalid(e, FP(s, "ipFamilyPolicy"), json_get(spec, "ipFamilyPolicy"),
                             "must be set to 'SingleStack' when releasing the %s", u->released);
}

static void check_upgrades(const struct json_object *spec, const struct json_object *old, struct ferrs *e)
{
        static const struct upgrade ips = {"clusterIPs", "primary clusterIP can not be unset", "secondary clusterIP"};
        static const struct upgrade list = {"ipFamilies", "primary ipFamily can not be unset", "secondary ipFamily"};
        bool headless = service_is_headless(spec), was_headless = service_is_headless(old);

        if (!service_needs_cluster_ip(spec) || !service_needs_cluster_ip(old))
                return;
        if (!headless || !was_headless)
                check_upgrade(&ips, spec, old, e);
        /* Families that an update leaves out are filled in again when it is staged. */
        if (!headless && !was_headless && json_len(json_get(spec, "ipFamilies")))
                check_upgrade(&list, spec, old, e);
}

void service_validate_update(const struct kctx *c, const struct json_object *obj, const struct json_object *old_obj,
                             struct ferrs *e)
{
        const struct json_object *spec = json_get(obj, "spec"), *old = json_get(old_obj, "spec");
        const struct fpath *p = FP(NULL, "spec");

        check_upgrades(spec, old, e);
        if (service_is_type(spec, "LoadBalancer") && service_is_type(old, "LoadBalancer") &&
            !json_equal(json_get(spec, "loadBalancerClass"), json_get(old, "loadBalancerClass")))
                ferr_invalid(e, FP(p, "loadBalancerClass"), json_get(spec, "loadBalancerClass"),
                             "may not change once set");
        if (service_needs_health_check(spec) && service_needs_health_check(old) &&
            json_get_i64(spec, "healthCheckNodePort", 0) != json_get_i64(old, "healthCheckNodePort", 0))
                ferr_forbidden(e, FP(p, "healthCheckNodePort"), "field is immutable");
}

static void check_ingress(const struct json_object *ingress, const struct fpath *p, struct ferrs *e)
{
        const char *ip = str_of(ingress, "ip"), *host = str_of(ingress, "hostname");

        if (*ip)
                check_ip(e, FP(p, "ip"), ip);
        if (*ip && !json_has(ingress, "ipMode"))
                ferr_required(e, FP(p, "ipMode"), "must be specified when `ip` is set");
        else if (!*ip && json_has(ingress, "ipMode"))
                ferr_forbidden(e, FP(p, "ipMode"), "may not be specified when `ip` is not set");
        else
                check_one_of(e, p, ingress, "ipMode", ip_modes, false);
        if (*host)
                check_name(e, FP(p, "hostname"), NAME_DNS1123_SUBDOMAIN, host);
        if (*host && !name_error(NAME_IP_SLOPPY, host))
                ferr_invalid_str(e, FP(p, "hostname"), host, "must be a DNS name, not an IP address");
}

void service_validate_status(const struct kctx *c, const struct json_object *obj, const struct json_object *old,
                             struct ferrs *e)
{
        const struct json_object *list = json_at(obj, "status.loadBalancer.ingress");
        const struct fpath *p = FP(FP(FP(NULL, "status"), "loadBalancer"), "ingress");

        if (json_len(list) && !service_is_type(json_get(obj, "spec"), "LoadBalancer"))
                ferr_forbidden(e, p, "may only be used when `spec.type` is \"LoadBalancer\"");
        json_array_foreach (list, i, ingress)
                check_ingress(ingress, FPI(p, i), e);
}
