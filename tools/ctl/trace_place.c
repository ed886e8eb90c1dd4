/* SPDX-License-Identifier: Apache-2.0 */
#include <arpa/inet.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "base/mem.h"
#include "base/str.h"
#include "ctl/endpoints.h"
#include "ctl/event_text.h"
#include "ctl/service_names.h"
#include "ctl/trace_choice.h"
#include "ctl/trace_place.h"
#include "datapath/address.h"

/* RFC 5737 and RFC 3849: nobody's. */
#define CLIENT_V4 "203.0.113.77"
#define CLIENT_V6 "2001:db8::77"

/* ---- who an address is */

static bool read_pod(const struct view *v, uint32_t ifindex, struct pod *ret)
{
        uint32_t slot = ifindex % POD_SLOTS;

        return map_lookup(v->maps.m[MAP_PODS], &slot, ret) == 0 && ret->ifindex == ifindex;
}

static void name_pod(const struct records *records, struct trace_place *p)
{
        const struct record *record = records_by_ifindex(records, p->route.ifindex);
        char device[32];

        snprintf(p->text, sizeof(p->text), "the pod %s on %s", record ? record->pod : "without a record",
                 event_device(p->route.ifindex, device));
}

bool trace_is_loopback(const struct addr *a)
{
        return address_is_v4(a) ? a->b[12] == 127 : !(a->w[0] | a->w[1] | a->w[2]) && a->w[3] == htonl(1);
}

static bool is_group(const struct addr *a)
{
        return address_is_v4(a) ? (a->b[12] & 0xf0) == 0xe0 : a->b[0] == 0xff;
}

/* An address that no route of the dataplane is about. */
static void place_elsewhere(struct trace_place *p)
{
        const char *text = "outside of the cluster";

        p->kind = trace_is_loopback(&p->addr) ? TRACE_LOOPBACK : TRACE_OUTSIDE;
        if (p->kind == TRACE_LOOPBACK)
                text = "this node's loopback";
        else if (is_group(&p->addr))
                text = "a multicast group's";
        else if (address_is_v4(&p->addr) && p->addr.w[3] == 0xffffffff)
                text = "everybody's on the link (broadcast)";
        str_copy(p->text, sizeof(p->text), text);
}

int trace_place_of(const struct view *v, const struct records *records, const struct addr *a, struct trace_place *ret)
{
        struct trace_place p = {.addr = *a};
        char peer[ADDRESS_TEXT];
        int r = trace_route(&v->maps, a, &p.route);

        if (r)
                return r;
        address_text(&p.route.peer, peer);
        switch (p.route.type) {
        case ROUTE_POD:
                p.kind = read_pod(v, p.route.ifindex, &p.pod) ? TRACE_POD : TRACE_ABSENT;
                name_pod(records, &p);
                break;
        case ROUTE_HOST:
                p.kind = TRACE_NODE;
                snprintf(p.text, sizeof(p.text), "this node");
                break;
        case ROUTE_NODE:
                p.kind = TRACE_OTHER_NODE;
                snprintf(p.text, sizeof(p.text), "another node");
                break;
        case ROUTE_REMOTE:
                p.kind = TRACE_OTHER_POD;
                snprintf(p.text, sizeof(p.text), "a pod of the node %s", peer);
                break;
        case ROUTE_SERVICE:
                p.kind = TRACE_SERVICE;
                snprintf(p.text, sizeof(p.text), "in the service CIDR");
                break;
        case ROUTE_BLACKHOLE:
                p.kind = TRACE_ABSENT;
                snprintf(p.text, sizeof(p.text), "of this node's pods, but no pod has it");
                break;
        default:
                place_elsewhere(&p);
        }
        *ret = p;
        return 0;
}

/* ---- what is typed */

static bool parse_proto(const char *text, uint8_t *ret)
{
        static const struct {
                const char *name;
                uint8_t number;
        } names[] = {{"tcp", IPPROTO_TCP}, {"udp", IPPROTO_UDP}, {"icmp", IPPROTO_ICMP}, {"ping", IPPROTO_ICMP}};

        for (size_t i = 0; i < ARRAY_SIZE(names); i++) {
                if (strcasecmp(names[i].name, text) == 0) {
                        *ret = names[i].number;
                        return true;
                }
        }
        return false;
}

/* What is behind the name is cut off, and returned. */
static char *split_port(char *name)
{
        struct addr a;
        char *end;

        if (*name == '[') {
                end = strchr(name, ']');
                if (!end)
                        return NULL;
                *end++ = '\0';
                memmove(name, name + 1, strlen(name + 1) + 1);
                return *end == ':' ? end + 1 : *end ? NULL : end;
        }
        end = strrchr(name, ':');
        if (!end || address_parse(name, &a) == 0)
                return name + strlen(name);
        *end = '\0';
        return end + 1;
}

int trace_target_parse(const char *text, struct trace_target *ret, struct err *reterr)
{
        struct trace_target t = {.proto = IPPROTO_TCP};
        char copy[SERVICE_NAME_SIZE + 64], *slash, *port;
        bool v6;

        if (!str_copy(copy, sizeof(copy), text))
                return err_set(reterr, -EINVAL, "%.40s..: that is too long", text);
        slash = strrchr(copy, '/');
        if (slash && parse_proto(slash + 1, &t.proto))
                *slash = '\0';
        else if (slash && strchr(copy, ':') && strchr(copy, ':') < slash)
                return err_set(reterr, -EINVAL, "%s: behind a port give /tcp or /udp, or nothing, which is TCP", text);
        port = split_port(copy);
        if (!port || !*copy || !str_copy(t.name, sizeof(t.name), copy) || !str_copy(t.port, sizeof(t.port), port))
                return err_set(reterr, -EINVAL,
                               "%s: give ADDRESS:PORT, [IPV6]:PORT, or NAME:PORT, with /tcp, /udp or /icmp behind it",
                               text);
        v6 = strchr(t.name, ':');
        if (t.proto == IPPROTO_ICMP && *t.port)
                return err_set(reterr, -EINVAL, "%s: an echo request has no port: give %s/icmp", text, t.name);
        if (t.proto != IPPROTO_ICMP && !*t.port)
                return err_set(reterr, -EINVAL, "%s: which port? Give %s%s%s:PORT, or %s/icmp", text, v6 ? "[" : "",
                               t.name, v6 ? "]" : "", t.name);
        *ret = t;
        return 0;
}

/* ---- what names mean */

static int find_pod(const struct trace_names *n, const char *name, struct addr *ret, struct err *reterr)
{
        for (size_t i = 0; i < n->records->count; i++) {
                const struct record *r = &n->records->items[i];

                if (!record_is_of(r, name))
                        continue;
                for (size_t k = 0; k < r->addresses_n; k++) {
                        if (address_is_v4(&r->addresses[k]) == n->want_v6)
                                continue;
                        *ret = r->addresses[k];
                        return 0;
                }
                return err_set(reterr, -ENOENT, "the pod %s has no IPv%d address", name, n->want_v6 ? 6 : 4);
        }
        return -ENOENT;
}

static int find_node(const struct trace_names *n, struct addr *ret, struct err *reterr)
{
        struct node node;
        uint32_t zero = 0;
        int r = map_lookup(n->view->maps.m[MAP_NODE], &zero, &node);

        if (r)
                return err_set(reterr, r, "the map node cannot be read: %s", strerror(-r));
        *ret = n->want_v6 ? node.v6 : node.v4;
        if (address_is_zero(ret))
                return err_set(reterr, -ENOENT, "this node has no IPv%d address that the agent knows",
                               n->want_v6 ? 6 : 4);
        return 0;
}

int trace_find_source(const struct trace_names *n, const char *text, struct addr *ret, struct err *reterr)
{
        int r;

        if (str_eq(text, "client"))
                return address_parse(n->want_v6 ? CLIENT_V6 : CLIENT_V4, ret);
        if (str_eq(text, "node"))
                return find_node(n, ret, reterr);
        if (address_parse(text, ret) == 0)
                return 0;
        *reterr = ERR_NULL;
        r = find_pod(n, text, ret, reterr);
        if (r && !*reterr->msg)
                err_set(reterr, r,
                        "%s: neither an address nor a pod of this node; give an address, `node`, `client`, or a name "
                        "that `fairctl pod list` shows (pods of other nodes: by their address)",
                        text);
        return r;
}

/* Of "default/web:http/TCP": is the port meant by "http" or by its number? */
static bool is_port(const char *service, __be16 port, const char *typed)
{
        const char *name = strrchr(service, ':'), *end = name ? strchr(name, '/') : NULL;
        uint16_t number;

        if (str_parse_u16(typed, &number) == 0)
                return port == htons(number);
        return name && end && strlen(typed) == (size_t)(end - name - 1) && memcmp(name + 1, typed, strlen(typed)) == 0;
}

static void add_ports(const struct trace_names *n, const struct endpoints *e, char *buf, size_t size)
{
        size_t used = 0;
        char proto[8];

        for (size_t i = 0; i < e->frontends_n && used < size; i++) {
                const struct frontend *f = &e->frontends[i];

                if (str_eq(frontend_type(f), "clusterip") && address_is_v4(&f->key.addr) != n->want_v6)
                        used += (size_t)snprintf(buf + used, size - used, "%s%u/%s", used ? ", " : "",
                                                 ntohs(f->key.port), view_proto(f->key.proto, proto));
        }
        if (!used)
                snprintf(buf, size, "none by IPv%d", n->want_v6 ? 6 : 4);
}

static int find_service(const struct trace_names *n, const struct trace_target *t, struct addr *ret, __be16 *ret_port,
                        struct err *reterr)
{
        _cleanup_free_ struct service_ids *ids = mem_new(struct service_ids);
        struct endpoints e = ENDPOINTS_NULL;
        char ports[256];
        int r = service_ids_find(n->view, t->name, ids);

        if (r || !ids->count)
                return r ? r : -ENOENT;
        r = endpoints_read(n->view, ids, &e);
        if (r)
                return r;
        r = -ENOENT;
        for (size_t i = 0; r && i < e.frontends_n; i++) {
                const struct frontend *f = &e.frontends[i];

                if (!str_eq(frontend_type(f), "clusterip") || address_is_v4(&f->key.addr) == n->want_v6)
                        continue;
                if (t->proto != IPPROTO_ICMP &&
                    (f->key.proto != t->proto ||
                     !is_port(view_service_name(n->view, f->service.id), f->key.port, t->port)))
                        continue;
                *ret = f->key.addr;
                *ret_port = t->proto == IPPROTO_ICMP ? 0 : f->key.port;
                r = 0;
        }
        if (r) {
                add_ports(n, &e, ports, sizeof(ports));
                err_set(reterr, r,
                        "the Service %s has no port %s of that protocol and family; its ports are %s (any other port: "
                        "give its address)",
                        t->name, t->port, ports);
        }
        endpoints_deinit(&e);
        return r;
}

int trace_find_target(const struct trace_names *n, const struct trace_target *t, struct addr *ret, __be16 *ret_port,
                      struct err *reterr)
{
        uint16_t port = 0;
        int r;

        *reterr = ERR_NULL;
        if (!str_eq(t->name, "node") && address_parse(t->name, ret)) {
                r = find_service(n, t, ret, ret_port, reterr);
                if (r != -ENOENT || *reterr->msg)
                        return r;
        }
        if (t->proto != IPPROTO_ICMP && (str_parse_u16(t->port, &port) || !port))
                return err_set(reterr, -EINVAL, "%s:%s: give a port from 1 to 65535, or a Service and its port's name",
                               t->name, t->port);
        *ret_port = htons(port);
        if (str_eq(t->name, "node"))
                return find_node(n, ret, reterr);
        if (address_parse(t->name, ret) == 0)
                return 0;
        r = find_pod(n, t->name, ret, reterr);
        if (r && !*reterr->msg)
                err_set(reterr, r,
                        "%s: neither an address, nor a Service, nor a pod of this node; `fairctl service list` and "
                        "`fairctl pod list` show their names (pods of other nodes: by their address)",
                        t->name);
        return r;
}
