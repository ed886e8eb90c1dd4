/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <stdlib.h>

#include "agent/project.h"
#include "agent/project_list.h"
#include "base/clock.h"
#include "base/mem.h"
#include "base/str.h"
#include "datapath/address.h"

#define LABEL_PROXY_NAME   "service.kubernetes.io/service-proxy-name"
#define LABEL_HEADLESS     "service.kubernetes.io/headless"
#define ANNOTATION_BALANCE "fairlead.dev/load-balancing"
#define PORTS_MAX          1000
#define ADDRESSES_MAX      256
#define RANGES_MAX         1000
#define AFFINITY_DEFAULT_S 10800
#define AFFINITY_MAX_S     86400

struct reading {
        struct svc_view view;
        struct svc_port *ports;
        struct svc_addr *addrs;
        struct svc_range *ranges;
        struct skips problems;
};

static bool is_ours(const struct projector *p, const struct jnode *o)
{
        const char *name = jnode_str(jnode_at(o, "metadata.labels"), LABEL_PROXY_NAME);
        const char *ip = jnode_at_str(o, "spec.clusterIP");

        if (!str_eq(name, p->service_proxy_name) || jnode_str(jnode_at(o, "metadata.labels"), LABEL_HEADLESS))
                return false;
        return !str_eq(jnode_at_str(o, "spec.type"), "ExternalName") && !str_empty(ip) && !str_eq(ip, "None");
}

uint8_t project_protocol(const char *text)
{
        if (str_empty(text) || str_eq(text, "TCP"))
                return IPPROTO_TCP;
        if (str_eq(text, "UDP"))
                return IPPROTO_UDP;
        return str_eq(text, "SCTP") ? IPPROTO_SCTP : 0;
}

const char *project_address_fault(const struct addr *a)
{
        if (address_is_v4(a)) {
                if (!a->b[12])
                        return "no address that can be reached";
                if (a->b[12] == 127)
                        return "a loopback address";
                if (a->b[12] == 169 && a->b[13] == 254)
                        return "a link-local address";
                return a->b[12] >= 224 ? "a multicast or reserved address" : NULL;
        }
        if (address_is_zero(a))
                return "no address that can be reached";
        if (!a->w[0] && !a->w[1] && !a->w[2] && a->w[3] == htonl(1))
                return "a loopback address";
        if (a->b[0] == 0xfe && (a->b[1] & 0xc0) == 0x80)
                return "a link-local address";
        return a->b[0] == 0xff ? "a multicast address" : NULL;
}

static void read_port(struct reading *r, const struct jnode *o)
{
        const char *name = jnode_str(o, "name"), *protocol = jnode_str(o, "protocol");
        int64_t port = jnode_i64(o, "port", 0), node_port = jnode_i64(o, "nodePort", 0);
        uint8_t proto = project_protocol(protocol);

        name = name ? name : "";
        if (port < 1 || port > UINT16_MAX) {
                skips_add(&r->problems, "port \"%.63s\": %lld is no port number", name, (long long)port);
                return;
        }
        if (!proto) {
                skips_add(&r->problems, "port %lld: protocol \"%.16s\" is not served (TCP, UDP and SCTP are)",
                          (long long)port, protocol);
                return;
        }
        if (strlen(name) > 15) {
                skips_add(&r->problems, "port %lld: its name is longer than 15 letters", (long long)port);
                return;
        }
        for (size_t i = 0; i < r->view.nports; i++)
                if (r->ports[i].proto == proto && (str_eq(r->ports[i].name, name) || r->ports[i].port == port)) {
                        skips_add(&r->problems, "port %lld: another port has the same name or number", (long long)port);
                        return;
                }
        if (node_port < 0 || node_port > UINT16_MAX) {
                skips_add(&r->problems, "port %lld: nodePort %lld is no port number", (long long)port,
                          (long long)node_port);
                node_port = 0;
        }
        r->ports[r->view.nports++] = (struct svc_port){name, (uint16_t)port, (uint16_t)node_port, proto};
}

static void read_address(struct reading *r, const char *field, const char *text, enum svc_addr_kind kind)
{
        struct addr a;
        const char *fault;

        if (address_parse(text ? text : "", &a)) {
                skips_add(&r->problems, "%s: \"%.45s\" is no IP address", field, text ? text : "");
                return;
        }
        fault = project_address_fault(&a);
        if (fault) {
                skips_add(&r->problems, "%s: %.45s is %s", field, text, fault);
                return;
        }
        for (size_t i = 0; i < r->view.naddrs; i++)
                if (address_equal(&r->addrs[i].addr, &a))
                        return; /* an address that is both, say, an external IP and a load balancer's */
        if (r->view.naddrs == ADDRESSES_MAX) {
                skips_add(&r->problems, "%s: %s is above the limit of %d addresses", field, text, ADDRESSES_MAX);
                return;
        }
        r->addrs[r->view.naddrs++] = (struct svc_addr){a, kind};
}

static void read_addresses(struct reading *r, const struct jnode *o)
{
        const struct jnode *ips = jnode_at(o, "spec.clusterIPs");

        if (!jnode_len(ips))
                read_address(r, "spec.clusterIP", jnode_at_str(o, "spec.clusterIP"), SVC_CLUSTER_IP);
        jnode_foreach (ips, ip)
                read_address(r, "spec.clusterIPs", jnode_text(ip), SVC_CLUSTER_IP);
        jnode_foreach (jnode_at(o, "status.loadBalancer.ingress"), ingress) {
                const char *mode = jnode_str(ingress, "ipMode");

                if (jnode_str(ingress, "ip") && (!mode || str_eq(mode, "VIP")))
                        read_address(r, "status.loadBalancer.ingress", jnode_str(ingress, "ip"), SVC_LOAD_BALANCER);
        }
        jnode_foreach (jnode_at(o, "spec.externalIPs"), external)
                read_address(r, "spec.externalIPs", jnode_text(external), SVC_EXTERNAL_IP);
}

/* Blanks around a prefix are common, and what upstream's proxies trim. */
static int parse_range(const char *text, struct svc_range *ret)
{
        char buf[64];
        size_t n;

        text += strspn(text, " \t");
        n = strcspn(text, " \t");
        if (n >= sizeof(buf) || text[n + strspn(text + n, " \t")])
                return -EINVAL;
        memcpy(buf, text, n);
        buf[n] = '\0';
        return address_parse_cidr(buf, false, &ret->addr, &ret->bits);
}

/* A prefix that nobody can read must not open what it was to close: then both families are restricted. */
static void read_ranges(struct reading *r, const struct jnode *list)
{
        size_t i = 0;

        r->ranges = arena_array(r->problems.arena, struct svc_range, MIN(jnode_len(list), RANGES_MAX));
        jnode_foreach (list, item) {
                const char *text = jnode_text(item) ? jnode_text(item) : "";
                struct svc_range range;

                if (i++ >= RANGES_MAX || parse_range(text, &range)) {
                        skips_add(&r->problems, "spec.loadBalancerSourceRanges: \"%.50s\" %s: nobody is let in by it",
                                  text, i > RANGES_MAX ? "is one too many" : "is no prefix");
                        r->view.flags |= SVC_RANGES_V4 | SVC_RANGES_V6;
                        continue;
                }
                range.addr = address_mask(&range.addr, range.bits);
                r->view.flags |= address_is_v4(&range.addr) ? SVC_RANGES_V4 : SVC_RANGES_V6;
                r->ranges[r->view.nranges++] = range;
        }
}

static void read_affinity(struct reading *r, const struct jnode *o)
{
        int64_t s;

        if (!str_eq(jnode_at_str(o, "spec.sessionAffinity"), "ClientIP"))
                return;
        s = jnode_at_i64(o, "spec.sessionAffinityConfig.clientIP.timeoutSeconds", AFFINITY_DEFAULT_S);
        if (s < 1 || s > AFFINITY_MAX_S) {
                skips_add(&r->problems,
                          "spec.sessionAffinityConfig.clientIP.timeoutSeconds: %lld is not 1 to %d: %d is used",
                          (long long)s, AFFINITY_MAX_S, AFFINITY_DEFAULT_S);
                s = AFFINITY_DEFAULT_S;
        }
        r->view.affinity_s = (uint32_t)s;
}

static void read_policies(struct reading *r, const struct jnode *o)
{
        const char *balance = jnode_str(jnode_at(o, "metadata.annotations"), ANNOTATION_BALANCE);
        bool external_local = str_eq(jnode_at_str(o, "spec.externalTrafficPolicy"), "Local");
        int64_t health = jnode_at_i64(o, "spec.healthCheckNodePort", 0);

        if (str_eq(jnode_at_str(o, "spec.internalTrafficPolicy"), "Local"))
                r->view.flags |= SVC_INTERNAL_LOCAL;
        if (external_local)
                r->view.flags |= SVC_EXTERNAL_LOCAL;
        if (external_local && str_eq(jnode_at_str(o, "spec.type"), "LoadBalancer") && health) {
                if (health < 1 || health > UINT16_MAX)
                        skips_add(&r->problems, "spec.healthCheckNodePort: %lld is no port number", (long long)health);
                else
                        r->view.health_port = (uint16_t)health;
        }
        if (str_eq(balance, "random"))
                r->view.flags |= SVC_RANDOM;
        else if (str_eq(balance, "maglev"))
                r->view.flags |= SVC_MAGLEV;
        else if (balance)
                skips_add(&r->problems, "annotation " ANNOTATION_BALANCE ": \"%.32s\" is neither random nor maglev",
                          balance);
}

static struct svc_view copy_view(const struct svc_view *v, struct packer *p)
{
        struct svc_view copy = *v;
        struct svc_port *ports;

        pack_bytes(p, v, sizeof(*v), 1);
        copy.ports = ports = (struct svc_port *)pack_array(p, v->ports, v->nports);
        copy.addrs = pack_array(p, v->addrs, v->naddrs);
        copy.ranges = pack_array(p, v->ranges, v->nranges);
        copy.problems = pack_strs(p, v->problems, v->nproblems);
        for (size_t i = 0; i < v->nports; i++) {
                const char *name = pack_str(p, v->ports[i].name);

                if (p->base)
                        ports[i].name = name;
        }
        copy.ns = pack_str(p, v->ns);
        copy.name = pack_str(p, v->name);
        copy.uid = pack_str(p, v->uid);
        return copy;
}

static void *pack_view(const struct svc_view *v)
{
        struct packer p = {0};
        struct svc_view *packed;

        copy_view(v, &p);
        p.base = mem_alloc(p.used);
        p.used = 0;
        packed = (struct svc_view *)(void *)p.base;
        *packed = copy_view(v, &p);
        return packed;
}

static const char *text_at(const struct jnode *o, const char *path)
{
        const char *s = jnode_at_str(o, path);

        return s ? s : "";
}

void *project_service(void *userdata, const struct jnode *o)
{
        struct projector *p = userdata;
        struct arena *a = &p->scratch;
        struct reading r = {.problems = {.arena = a}};
        const struct jnode *ports = jnode_at(o, "spec.ports");
        struct timespec created = {0};
        size_t i = 0;
        void *packed;

        if (!is_ours(p, o))
                return NULL;
        r.view.ns = text_at(o, "metadata.namespace");
        r.view.name = text_at(o, "metadata.name");
        r.view.uid = text_at(o, "metadata.uid");
        clock_parse(text_at(o, "metadata.creationTimestamp"), &created);
        r.view.created_s = created.tv_sec;
        r.ports = arena_array(a, struct svc_port, MIN(jnode_len(ports), PORTS_MAX));
        r.addrs = arena_array(a, struct svc_addr, ADDRESSES_MAX);
        jnode_foreach (ports, port) {
                if (i++ < PORTS_MAX)
                        read_port(&r, port);
                else
                        skips_add(&r.problems, "spec.ports: above the limit of %d", PORTS_MAX);
        }
        read_addresses(&r, o);
        read_ranges(&r, jnode_at(o, "spec.loadBalancerSourceRanges"));
        read_affinity(&r, o);
        read_policies(&r, o);
        skips_end(&r.problems);
        r.view.ports = r.ports;
        r.view.addrs = r.addrs;
        r.view.ranges = r.ranges;
        r.view.problems = r.problems.text;
        r.view.nproblems = r.problems.count;
        packed = pack_view(&r.view);
        arena_deinit(a);
        return packed;
}

void project_release(void *userdata, void *value)
{
        free(value);
        (void)userdata;
}
