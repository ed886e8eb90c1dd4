/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <string.h>

#include "apiserver/alloc/repair.h"
#include "apiserver/alloc/service.h"
#include "apiserver/storekey.h"
#include "base/hashmap.h"
#include "base/str.h"

#define NOT_ALLOCATED "ClusterIPNotAllocated"

struct found_ip {
        const struct json_object *obj;
        bool claimed; /* by a Service that has it */
};

struct found_port {
        const struct repair_port *port;
        bool claimed;
};

struct repair {
        struct arena *arena;
        const struct repair_input *in;
        struct hashmap services; /* "ns/name" -> object */
        struct hashmap ips;      /* canonical text -> found_ip */
        struct hashmap made;     /* addresses that a fix of this run makes -> the Service */
        struct found_port *ports[65536];
        const struct json_object *port_made[65536];
        struct repair_fix *fixes;
        size_t n, cap;
};

int repair_port_read(struct arena *a, const char *key, const char *data, size_t len, uint64_t revision,
                     struct repair_port *ret)
{
        const char *number = str_after(key, ALLOC_PORT_PREFIX);
        _cleanup_json_ struct json_object *obj = NULL;
        struct repair_port p = {.revision = revision};

        if (!number || str_parse_u16(number, &p.port) || json_parse(data, len, &obj, NULL))
                return -EINVAL;
        if (!json_get_str(obj, "namespace") || !json_get_str(obj, "name"))
                return -EINVAL;
        p.namespace = arena_strdup(a, json_get_str(obj, "namespace"));
        p.name = arena_strdup(a, json_get_str(obj, "name"));
        *ret = p;
        return 0;
}

static uint64_t revision_of(const struct json_object *obj)
{
        const char *text = json_at_str(obj, "metadata.resourceVersion");
        uint64_t rev = 0;

        return text && str_parse_u64(text, &rev) == 0 ? rev : 0;
}

static const char *ns_of(const struct json_object *svc)
{
        return json_at_str(svc, "metadata.namespace");
}

static const char *name_of(const struct json_object *obj)
{
        return json_at_str(obj, "metadata.name");
}

static const struct json_object *service_named(const struct repair *r, const char *namespace, const char *name)
{
        return hashmap_get(&r->services, arena_printf(r->arena, "%s/%s", namespace ? namespace : "", name ? name : ""));
}

static struct repair_fix *fix_add(struct repair *r, const char *namespace, const char *name)
{
        const struct json_object *svc = service_named(r, namespace, name);
        struct repair_fix *fix;

        if (r->n == r->cap) {
                struct repair_fix *fixes = arena_array(r->arena, struct repair_fix, r->cap ? r->cap * 2 : 8);

                if (r->n)
                        memcpy(fixes, r->fixes, r->n * sizeof(*fixes));
                r->fixes = fixes;
                r->cap = r->cap ? r->cap * 2 : 8;
        }
        fix = &r->fixes[r->n++];
        *fix = (struct repair_fix){
                .namespace = arena_strdup(r->arena, namespace ? namespace : ""),
                .name = arena_strdup(r->arena, name ? name : ""),
                .event = svc != NULL,
                .service_rev = svc ? revision_of(svc) : STORE_REV_NONE,
        };
        if (namespace && name)
                fix->service_key = store_key(r->arena, "", "services", namespace, name);
        return fix;
}

static _printf_(4, 5) struct repair_fix *tell(struct repair *r, const struct json_object *svc, const char *reason,
                                              const char *fmt, ...)
{
        struct repair_fix *fix = fix_add(r, ns_of(svc), name_of(svc));
        va_list ap;

        va_start(ap, fmt);
        fix->message = arena_vprintf(r->arena, fmt, ap);
        va_end(ap);
        fix->reason = reason;
        return fix;
}

static void write_ip(struct repair *r, struct repair_fix *fix, const struct json_object *svc, const struct ipaddr *ip,
                     uint64_t expect_rev)
{
        char *text = arena_alloc(r->arena, IPADDR_TEXT_SIZE);

        ipaddr_format(ip, text);
        fix->key = arena_printf(r->arena, ALLOC_IP_PREFIX "%s", text);
        fix->value = alloc_ip_object(r->arena, ip, ns_of(svc), name_of(svc), r->in->now_us);
        fix->expect_rev = expect_rev;
        hashmap_put(&r->made, text, (void *)svc);
}

static bool refers_to(const struct json_object *ip, const struct json_object *svc)
{
        const struct json_object *ref = json_at(ip, "spec.parentRef");

        return str_eq(json_get_str(ref, "resource"), "services") && !json_has(ref, "group") &&
               str_eq(json_get_str(ref, "namespace"), ns_of(svc)) && str_eq(json_get_str(ref, "name"), name_of(svc));
}

static const char *ip_label(const struct json_object *obj, const char *key)
{
        return json_get_str(json_at(obj, "metadata.labels"), key);
}

static bool is_managed(const struct json_object *ip)
{
        return str_eq(ip_label(ip, "ipaddress.kubernetes.io/managed-by"), "ipallocator.k8s.io");
}

static bool service_has_ip(const struct json_object *svc, const struct ipaddr *ip)
{
        json_array_foreach (json_at(svc, "spec.clusterIPs"), i, v) {
                struct ipaddr x;

                if (ipaddr_parse(json_object_get_string(v), &x) == 0 && ipaddr_equal(&x, ip))
                        return true;
        }
        return false;
}

/* Two Services have it, and the other one's claim is the elder. */
static void tell_duplicate_ip(struct repair *r, const struct json_object *svc, const struct ipaddr *ip,
                              const char *text)
{
        tell(r, svc, "ClusterIPAlreadyAllocated",
             "Cluster IP [%s]:%s was assigned to multiple services; please recreate service", ipaddr_family(ip), text);
}

static void check_recorded_ip(struct repair *r, const struct json_object *svc, const struct ipaddr *ip,
                              struct found_ip *found)
{
        const struct json_object *ref = json_at(found->obj, "spec.parentRef"), *other;
        char text[IPADDR_TEXT_SIZE];
        struct repair_fix *fix;

        ipaddr_format(ip, text);
        if (refers_to(found->obj, svc)) {
                found->claimed = true;
                if (is_managed(found->obj) &&
                    str_eq(ip_label(found->obj, "ipaddress.kubernetes.io/ip-family"), ipaddr_family(ip)))
                        return;
        } else {
                other = service_named(r, json_get_str(ref, "namespace"), json_get_str(ref, "name"));
                if ((other && refers_to(found->obj, other) && service_has_ip(other, ip)) ||
                    hashmap_get(&r->made, text)) {
                        tell_duplicate_ip(r, svc, ip, text);
                        return;
                }
        }
        found->claimed = true;
        fix = tell(r, svc, NOT_ALLOCATED, "the ClusterIP [%s]: %s for Service %s/%s has a wrong reference; repairing",
                   ipaddr_family(ip), text, ns_of(svc), name_of(svc));
        write_ip(r, fix, svc, ip, revision_of(found->obj));
}

static void check_service_ip(struct repair *r, const struct json_object *svc, const char *text)
{
        char canonical[IPADDR_TEXT_SIZE];
        struct found_ip *found;
        struct ipaddr ip;

        if (ipaddr_parse(text, &ip)) {
                tell(r, svc, "ClusterIPNotValid", "Cluster IP %s is not a valid IP; please recreate Service", text);
                return;
        }
        ipaddr_format(&ip, canonical);
        found = hashmap_get(&r->ips, canonical);
        if (!alloc_ip_in_range(r->in->alloc, &ip)) {
                if (found && refers_to(found->obj, svc))
                        found->claimed = true;
                tell(r, svc, "ClusterIPOutOfRange",
                     "Cluster IP [%s]: %s is not within any configured Service CIDR; please recreate service",
                     ipaddr_family(&ip), canonical);
        } else if (found) {
                check_recorded_ip(r, svc, &ip, found);
        } else if (hashmap_get(&r->made, canonical)) {
                tell_duplicate_ip(r, svc, &ip, canonical);
        } else {
                write_ip(r,
                         tell(r, svc, NOT_ALLOCATED, "Cluster IP [%s]: %s is not allocated; repairing",
                              ipaddr_family(&ip), canonical),
                         svc, &ip, STORE_REV_NONE);
        }
}

static void check_service_ips(struct repair *r, const struct json_object *svc)
{
        const struct json_object *spec = json_get(svc, "spec");

        if (!service_needs_cluster_ip(spec) || service_is_headless(spec))
                return;
        json_array_foreach (json_get(spec, "clusterIPs"), i, ip)
                check_service_ip(r, svc, json_object_get_string(ip));
}

static void release_leaked_ips(struct repair *r)
{
        for (size_t i = 0; i < r->in->nips; i++) {
                const struct json_object *ip = r->in->ips[i], *ref = json_at(ip, "spec.parentRef");
                struct found_ip *found = hashmap_get(&r->ips, name_of(ip));
                struct repair_fix *fix;

                if (found->claimed || !is_managed(ip))
                        continue;
                fix = fix_add(r, json_get_str(ref, "namespace"), json_get_str(ref, "name"));
                fix->event = false;
                fix->reason = "IPAddressNotAllocated";
                fix->message =
                        arena_printf(r->arena, "IPAddress: %s for Service %s/%s appears to have leaked: cleaning up",
                                     name_of(ip), fix->namespace, fix->name);
                fix->key = arena_printf(r->arena, ALLOC_IP_PREFIX "%s", name_of(ip));
                fix->expect_rev = revision_of(ip);
        }
}

static bool service_has_port(const struct json_object *svc, uint16_t port)
{
        const struct json_object *spec = json_get(svc, "spec");

        if (service_needs_node_port(spec)) {
                json_array_foreach (json_get(spec, "ports"), i, p)
                        if (json_get_i64(p, "nodePort", 0) == port)
                                return true;
        }
        return service_needs_health_check(spec) && json_get_i64(spec, "healthCheckNodePort", 0) == port;
}

static void tell_duplicate_port(struct repair *r, const struct json_object *svc, uint16_t port)
{
        tell(r, svc, "PortAlreadyAllocated", "Port %u was assigned to multiple services; please recreate service",
             port);
}

static void check_service_port(struct repair *r, const struct json_object *svc, uint16_t port)
{
        struct found_port *found = r->ports[port];
        const struct json_object *owner = found ? service_named(r, found->port->namespace, found->port->name) : NULL;
        struct repair_fix *fix;
        uint16_t first, last;

        if (owner == svc || r->port_made[port] == svc) {
                if (found)
                        found->claimed = true;
                return;
        }
        alloc_port_range(r->in->alloc, &first, &last);
        if (r->port_made[port] || (owner && service_has_port(owner, port))) {
                tell_duplicate_port(r, svc, port);
                return;
        }
        if (port < first || port > last) {
                tell(r, svc, "PortOutOfRange", "Port %u is not within the port range %u-%u; please recreate service",
                     port, first, last);
                return;
        }
        if (found)
                found->claimed = true;
        r->port_made[port] = svc;
        fix = tell(r, svc, "PortNotAllocated", "Port %u is not allocated; repairing", port);
        fix->key = arena_printf(r->arena, ALLOC_PORT_PREFIX "%u", port);
        fix->value = alloc_port_value(r->arena, ns_of(svc), name_of(svc));
        fix->expect_rev = found ? found->port->revision : STORE_REV_NONE;
}

static void check_service_ports(struct repair *r, const struct json_object *svc)
{
        const struct json_object *spec = json_get(svc, "spec");
        struct port_set seen = {.arena = r->arena};

        if (service_needs_node_port(spec)) {
                json_array_foreach (json_get(spec, "ports"), i, p)
                        if (json_has(p, "nodePort"))
                                port_set_add(&seen, (uint16_t)json_get_i64(p, "nodePort", 0));
        }
        if (service_needs_health_check(spec) && json_has(spec, "healthCheckNodePort"))
                port_set_add(&seen, (uint16_t)json_get_i64(spec, "healthCheckNodePort", 0));
        for (size_t i = 0; i < seen.n; i++)
                check_service_port(r, svc, seen.ports[i]);
}

static void release_leaked_ports(struct repair *r)
{
        for (size_t i = 0; i < r->in->nports; i++) {
                const struct repair_port *p = &r->in->ports[i];
                struct repair_fix *fix;

                if (r->ports[p->port]->claimed)
                        continue;
                fix = fix_add(r, p->namespace, p->name);
                fix->event = false;
                fix->reason = "PortLeaked";
                fix->message = arena_printf(r->arena, "the node port %u may have leaked: cleaning up", p->port);
                fix->key = arena_printf(r->arena, ALLOC_PORT_PREFIX "%u", p->port);
                fix->expect_rev = p->revision;
        }
}

static void index_input(struct repair *r)
{
        const struct repair_input *in = r->in;
        struct found_port *ports = arena_array(r->arena, struct found_port, in->nports + 1);
        struct found_ip *ips = arena_array(r->arena, struct found_ip, in->nips + 1);

        for (size_t i = 0; i < in->nservices; i++)
                hashmap_put(&r->services,
                            arena_printf(r->arena, "%s/%s", ns_of(in->services[i]), name_of(in->services[i])),
                            in->services[i]);
        for (size_t i = 0; i < in->nips; i++) {
                ips[i].obj = in->ips[i];
                hashmap_put(&r->ips, name_of(in->ips[i]), &ips[i]);
        }
        for (size_t i = 0; i < in->nports; i++) {
                ports[i].port = &in->ports[i];
                r->ports[in->ports[i].port] = &ports[i];
        }
}

size_t alloc_repair(struct arena *a, const struct repair_input *in, struct repair_fix **ret)
{
        struct repair *r = arena_new(a, struct repair);

        r->arena = a;
        r->in = in;
        hashmap_init(&r->services, HASHMAP_STR);
        hashmap_init(&r->ips, HASHMAP_STR);
        hashmap_init(&r->made, HASHMAP_STR);
        index_input(r);
        for (size_t i = 0; i < in->nservices; i++) {
                check_service_ips(r, in->services[i]);
                check_service_ports(r, in->services[i]);
        }
        release_leaked_ips(r);
        release_leaked_ports(r);
        hashmap_deinit(&r->services);
        hashmap_deinit(&r->ips);
        hashmap_deinit(&r->made);
        *ret = r->fixes;
        return r->n;
}

void repair_fix_stage(const struct repair_fix *fix, struct txn_builder *t)
{
        if (!fix->key)
                return;
        if (fix->service_key)
                txn_check(t, fix->service_key, fix->service_rev);
        if (fix->value)
                txn_put(t, fix->key, fix->value, strlen(fix->value), fix->expect_rev);
        else
                txn_delete(t, fix->key, fix->expect_rev);
}
