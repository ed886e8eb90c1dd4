// SPDX-License-Identifier: Apache-2.0
#include "model/world.h"

#include <arpa/inet.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const struct {
        const char *v4, *v6, *text;
} places[PLACE_COUNT] = {
#define X(name, v4, v6, text) {v4, v6, text},
        PLACES(X)
#undef X
};

const uint8_t mac_pods[WORLD_PODS][6] = {{2, 0, 0, 0, 0, 0xa}, {2, 0, 0, 0, 0, 0xb}, {2, 0, 0, 0, 0, 0xc}};
const uint8_t mac_gateway[6] = {2, 0, 0, 0, 0, 9};
const uint8_t mac_uplinks[WORLD_UPLINKS][6] = {{2, 0, 0, 0, 1, 1}, {2, 0, 0, 0, 3, 1}};
const uint8_t mac_router[6] = {2, 0, 0, 0, 1, 0xfe};
const uint8_t mac_router_b[6] = {2, 0, 0, 0, 3, 0xfe};
const uint8_t mac_node_2[6] = {2, 0, 0, 0, 1, 2};
const uint8_t mac_vxlan[6] = {2, 0, 0, 0, 2, 1};

const struct kernel_route kernel_routes[] = {
        {PLACE_NOBODY, 0, 0, KERNEL_VIA, 0, PLACE_ROUTER, 0},
        {PLACE_NODE, 24, 64, KERNEL_LINK, 0, 0, 0},
        {PLACE_NODE, 32, 128, KERNEL_LOCAL, 0, 0, 0},
        {PLACE_NODE_B, 24, 64, KERNEL_LINK, 1, 0, 0},
        {PLACE_NODE_B, 32, 128, KERNEL_LOCAL, 0, 0, 0},
        {PLACE_LOOPBACK, 8, 128, KERNEL_LOCAL, 0, 0, 0},
        {PLACE_REMOTE_2, 24, 64, KERNEL_VIA, 0, PLACE_NODE_2, 0},
        {PLACE_REMOTE_3, 24, 64, KERNEL_VIA, 0, PLACE_NODE_3, 0}, /* whose link address nobody knows */
        {PLACE_REMOTE_4, 24, 64, KERNEL_UNREACHABLE, 0, 0, 0},
        {PLACE_FAR, 16, 64, KERNEL_VIA, 1, PLACE_ROUTER_B, 0},
        {PLACE_NARROW, 16, 64, KERNEL_VIA, 0, PLACE_ROUTER, 1300},
        {PLACE_NOWHERE, 16, 64, KERNEL_UNREACHABLE, 0, 0, 0},
        {PLACE_POD_A, 32, 128, KERNEL_POD, 0, 0, 0},
        {PLACE_POD_B, 32, 128, KERNEL_POD, 1, 0, 0},
        {PLACE_POD_C, 32, 128, KERNEL_POD, 2, 0, 0},
};
const size_t kernel_routes_n = sizeof(kernel_routes) / sizeof(*kernel_routes);

bool same_addr(const struct addr *a, const struct addr *b)
{
        return memcmp(a, b, sizeof(*a)) == 0;
}

bool is_v4(const struct addr *a)
{
        static const uint8_t mapped[12] = {[10] = 0xff, [11] = 0xff};

        return memcmp(a->b, mapped, sizeof(mapped)) == 0;
}

bool is_zero(const struct addr *a)
{
        return same_addr(a, &(struct addr){0});
}

bool in_prefix(const struct addr *a, const struct addr *prefix, unsigned bits)
{
        for (unsigned i = 0; i < bits; i++)
                if ((a->b[i / 8] ^ prefix->b[i / 8]) & 0x80 >> i % 8)
                        return false;
        return true;
}

struct addr place_addr(enum place place, unsigned n, bool v6)
{
        struct addr a = {0};

        if (v6) {
                inet_pton(AF_INET6, places[place].v6, a.b);
        } else {
                a.b[10] = a.b[11] = 0xff;
                inet_pton(AF_INET, places[place].v4, a.b + 12);
        }
        a.b[15] = (uint8_t)(a.b[15] + n);
        return a;
}

const char *addr_text(const struct addr *a, char buf[static PLACE_TEXT])
{
        if (is_v4(a))
                inet_ntop(AF_INET, a->b + 12, buf, PLACE_TEXT);
        else
                inet_ntop(AF_INET6, a->b, buf, PLACE_TEXT);
        return buf;
}

const char *place_text(const struct addr *a, char buf[static PLACE_TEXT])
{
        char address[PLACE_TEXT];

        addr_text(a, address);
        for (int place = PLACE_COUNT - 1; place >= 0; place--) {
                unsigned many = place >= PLACE_VIP ? WORLD_SERVICES : 1;

                for (unsigned n = 0; n < many; n++) {
                        struct addr is = place_addr((enum place)place, n, !is_v4(a));

                        if (!same_addr(&is, a))
                                continue;
                        if (many > 1)
                                snprintf(buf, PLACE_TEXT, "%s %u (%.46s)", places[place].text, n, address);
                        else
                                snprintf(buf, PLACE_TEXT, "%s (%.46s)", places[place].text, address);
                        return buf;
                }
        }
        snprintf(buf, PLACE_TEXT, "%.46s", address);
        return buf;
}

const uint8_t *kernel_neighbour(const struct addr *a)
{
        static const struct {
                enum place place;
                const uint8_t *mac;
        } known[] = {
                {PLACE_ROUTER, mac_router}, {PLACE_ROUTER_B, mac_router_b}, {PLACE_NODE_2, mac_node_2},
                {PLACE_POD_A, mac_pods[0]}, {PLACE_POD_B, mac_pods[1]},     {PLACE_POD_C, mac_pods[2]},
        };

        for (size_t i = 0; i < sizeof(known) / sizeof(*known); i++) {
                struct addr is = place_addr(known[i].place, 0, !is_v4(a));

                if (same_addr(&is, a))
                        return known[i].mac;
        }
        return NULL;
}

bool world_has(const struct world *w, uint32_t knob)
{
        return w->knobs.flags & knob;
}

/* --- routes */

struct adding {
        struct prefix *to;
        size_t n;
};

static void add(struct adding *a, enum place place, unsigned bits4, unsigned bits6, const struct route *route)
{
        for (int v6 = 0; v6 < 2; v6++) {
                struct prefix *p = &a->to[a->n++];

                p->addr = place_addr(place, 0, v6);
                p->bits = v6 ? bits6 : ADDR_V4_BITS + bits4;
                p->route = *route;
                for (unsigned bit = p->bits; bit < 128; bit++)
                        p->addr.b[bit / 8] &= (uint8_t) ~(0x80 >> bit % 8);
        }
}

static void add_pods(struct adding *a, const struct world *w, const struct devices *d)
{
        for (unsigned i = 0; i < WORLD_PODS; i++) {
                const struct pod_spec *pod = &w->pods[i];
                struct route route = {.type = ROUTE_POD, .ifindex = d->pods[i]};
                size_t first = a->n;

                if (!pod->present)
                        continue;
                memcpy(route.mac, mac_pods[i], 6);
                add(a, PLACE_POD_A + i, 32, 128, &route);
                if (!pod->v6)
                        a->n = first + 1;
                if (!pod->v4)
                        memmove(&a->to[first], &a->to[first + 1], (--a->n - first) * sizeof(*a->to));
        }
}

static void add_nodes(struct adding *a, const struct world *w)
{
        static const enum place pods[WORLD_NODES] = {PLACE_REMOTE_2, PLACE_REMOTE_3, PLACE_REMOTE_4};
        uint8_t tunnel = world_has(w, KNOB_TUNNEL) ? ROUTE_TUNNEL : 0;

        for (unsigned i = 0; i < WORLD_NODES; i++) {
                /* Node 3 is reached by IPv6. */
                struct addr peer = place_addr(PLACE_NODE_2 + i, 0, i == 1);
                struct route node = {.type = ROUTE_NODE, .flags = tunnel | ROUTE_NODEPORT, .peer = peer};
                struct route remote = {.type = ROUTE_REMOTE, .flags = tunnel, .peer = peer};

                if (!w->nodes[i])
                        continue;
                add(a, PLACE_NODE_2 + i, 32, 128, &node);
                add(a, pods[i], 24, 64, &remote);
        }
}

size_t world_prefixes(const struct world *w, const struct devices *d, struct prefix ret[PREFIXES_MAX])
{
        const struct route hole = {.type = ROUTE_BLACKHOLE}, service = {.type = ROUTE_SERVICE};
        const struct route direct = {.type = ROUTE_DIRECT};
        struct adding a = {.to = ret};

        add_pods(&a, w, d);
        add(&a, PLACE_POD_A, 24, 64, &hole);
        add_nodes(&a, w);
        for (int i = 0; i < 2; i++) {
                struct route own = {.type = ROUTE_HOST, .flags = w->node_ports[i] ? ROUTE_NODEPORT : 0};

                add(&a, PLACE_NODE + i, 32, 128, &own);
        }
        if (w->service_cidr)
                add(&a, PLACE_VIP, 24, 64, &service);
        if (w->non_masquerade)
                add(&a, PLACE_DIRECT, 28, 64, &direct);
        return a.n;
}
