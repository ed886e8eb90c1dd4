/* SPDX-License-Identifier: Apache-2.0 */
#include "bpf/sock_world.h"

#include <arpa/inet.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"

const struct site world_sites[WORLD_SITES] = {
        {VIP, 80, IPPROTO_TCP},  {VIP, 53, IPPROTO_UDP},    {VIP2, 80, IPPROTO_TCP},
        {VIP2, 53, IPPROTO_UDP}, {ANY, 30080, IPPROTO_TCP}, {ANY, 30053, IPPROTO_UDP},
};

void world_init(struct world *ret, struct sock_lab *lab)
{
        memset(ret, 0, sizeof(*ret));
        ret->lab = lab;
        for (int family = 0; family < WORLD_FAMILIES; family++)
                for (int site = 0; site < WORLD_SITES; site++)
                        for (int netns = 0; netns < WORLD_NETNS; netns++)
                                ret->frontends[family][site].affinity[netns].pod = -1;
}

/* ---- the maps */

static void check(int r, const char *what)
{
        if (r == 0)
                return;
        fprintf(stderr, "tests/bpf: %s: %s\n", what, strerror(-r));
        exit(EXIT_FAILURE);
}

static enum tongue tongue_of(int family)
{
        return family ? V6 : V4;
}

static uint32_t service_id(int family, int site)
{
        return 1 + (uint32_t)(family * WORLD_SITES + site);
}

static struct service_key key_of(int family, int site)
{
        return (struct service_key){place_addr(tongue_of(family), world_sites[site].at), htons(world_sites[site].port),
                                    world_sites[site].proto, 0};
}

static void write_backends(struct world *w, int family, int site, bool gone)
{
        struct frontend *f = &w->frontends[family][site];
        uint32_t id = service_id(family, site);

        for (uint32_t pod = 0; pod < WORLD_PODS; pod++) {
                uint32_t key = id * 16 + 1 + pod;
                struct backend b = {.addr = place_addr(tongue_of(family), (enum place)(POD1 + pod)),
                                    .port = htons(POD_PORT),
                                    .proto = world_sites[site].proto,
                                    .flags = BACKEND_LOCAL,
                                    .service = id,
                                    .generation = f->generation[pod]};

                if ((f->pods[pod] == POD_GONE) != gone)
                        continue;
                if (gone)
                        b = (struct backend){.generation = f->generation[pod]};
                else if (f->pods[pod] == POD_DRAINING)
                        b.flags |= BACKEND_TERMINATING;
                check(map_update(w->lab->maps.m[MAP_BACKENDS], &key, &b), "backends");
        }
}

/* Ranges take turns, as the agent's do. */
static struct slot_range write_slots(struct world *w, int family, int site)
{
        struct frontend *f = &w->frontends[family][site];
        uint32_t id = service_id(family, site), line_number = 2 * id + f->writes++ % 2;
        struct slot_range range = {line_number * SLOT_LINE, 0};
        struct slot_line line = {0};

        for (uint32_t pod = 0; pod < WORLD_PODS; pod++)
                if (f->pods[pod] == POD_READY)
                        line.backend[range.size++] = id * 16 + 1 + pod;
        check(map_update(w->lab->maps.m[MAP_SLOTS], &line_number, &line), "slots");
        return range;
}

static void set_bit(__u64 *bits, uint32_t bit)
{
        bits[bit / 64] |= 1ULL << bit % 64;
}

/* All of them; and the entry that each service's address has for its other ports. */
static void write_filters(struct world *w)
{
        static struct filters filters;
        uint32_t zero = 0;

        memset(&filters, 0, sizeof(filters));
        for (int family = 0; family < WORLD_FAMILIES; family++) {
                for (int site = 0; site < WORLD_SITES; site++) {
                        struct service_key key = key_of(family, site), address = {.addr = key.addr};
                        struct service owner = {.flags = SERVICE_ADDRESS};

                        if (!w->frontends[family][site].there)
                                continue;
                        if (world_sites[site].at == ANY) {
                                set_bit(key.proto == IPPROTO_TCP ? filters.tcp : filters.udp, ntohs(key.port));
                                continue;
                        }
                        set_bit(filters.address, addr_filter_bit(&key.addr));
                        check(map_update(w->lab->maps.m[MAP_SERVICES], &address, &owner), "services");
                }
        }
        check(map_update(w->lab->maps.m[MAP_FILTERS], &zero, &filters), "filters");
}

void world_write(struct world *w, int family, int site)
{
        struct frontend *f = &w->frontends[family][site];
        struct service_key key = key_of(family, site);
        struct service value = {.id = service_id(family, site), .flags = f->flags};
        int r = 0;

        write_backends(w, family, site, false);
        value.in = write_slots(w, family, site);
        value.affinity_s = f->flags & SERVICE_AFFINITY ? WORLD_AFFINITY : 0;
        if (f->there)
                r = map_update(w->lab->maps.m[MAP_SERVICES], &key, &value);
        else
                r = map_delete(w->lab->maps.m[MAP_SERVICES], &key);
        check(r == -ENOENT ? 0 : r, "services");
        write_filters(w);
        write_backends(w, family, site, true);
}

void world_age(struct world *w)
{
        sock_lab_age(w->lab, WORLD_AGE);
        for (int family = 0; family < WORLD_FAMILIES; family++)
                for (int site = 0; site < WORLD_SITES; site++)
                        for (int netns = 0; netns < WORLD_NETNS; netns++)
                                w->frontends[family][site].affinity[netns].age += WORLD_AGE;
}

/* ---- the model */

/* Whose NodePorts are served there. */
static bool is_node(int netns, enum place at, const struct frontend *f)
{
        if (at == OTHER_NODE)
                return !(f->flags & SERVICE_HOSTPORT);
        return at == NODE || (netns == 0 && (at == LOOPBACK || at == ANY));
}

static int find_site(const struct world *w, int family, int netns, uint8_t proto, enum place at, uint16_t port)
{
        for (int i = 0; i < WORLD_SITES; i++) {
                const struct frontend *f = &w->frontends[family][i];
                const struct site *s = &world_sites[i];

                if (f->there && s->port == port && s->proto == proto &&
                    (s->at == ANY ? is_node(netns, at, f) : s->at == at))
                        return i;
        }
        return -1;
}

static bool is_affine(const struct frontend *f, const struct affine *a)
{
        return f->flags & SERVICE_AFFINITY && a->pod >= 0 && a->age <= WORLD_AFFINITY && f->pods[a->pod] == POD_READY &&
               f->generation[a->pod] == a->generation;
}

struct prediction world_predict(const struct world *w, int family, int netns, uint8_t proto, enum place at,
                                uint16_t port)
{
        struct prediction p = {.answer = DIRECT, .site = find_site(w, family, netns, proto, at, port)};
        const struct frontend *f;

        if (p.site < 0) {
                if (at == VIP || at == VIP2 || at == NO_VIP)
                        p.answer = REFUSED;
                return p;
        }
        f = &w->frontends[family][p.site];
        for (int pod = 0; pod < WORLD_PODS; pod++)
                if (f->pods[pod] == POD_READY)
                        p.pods |= 1u << pod;
        p.answer = p.pods ? TO_A_POD : f->flags & SERVICE_DROP_IN ? UNREACHABLE : REFUSED;
        if (p.pods && is_affine(f, &f->affinity[netns]))
                p.pods = 1u << f->affinity[netns].pod;
        return p;
}

void world_met(struct world *w, int family, int netns, int site, int pod)
{
        struct frontend *f = &w->frontends[family][site];

        if (f->flags & SERVICE_AFFINITY)
                f->affinity[netns] = (struct affine){pod, f->generation[pod], 0};
}

bool world_may_bind(const struct world *w, int family, int netns, uint8_t proto, enum place at, uint16_t port)
{
        if (netns != 0)
                return true;
        if (at == ANY) /* of both families */
                return find_site(w, 0, 0, proto, ANY, port) < 0 && find_site(w, 1, 0, proto, ANY, port) < 0;
        return find_site(w, family, 0, proto, at, port) < 0;
}

bool world_has(const struct world *w, int family, int site, int pod, uint32_t generation)
{
        const struct frontend *f = &w->frontends[family][site];

        return f->pods[pod] != POD_GONE && f->generation[pod] == generation;
}
