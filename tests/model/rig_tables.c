// SPDX-License-Identifier: Apache-2.0
/* A world becomes maps. */
#include <arpa/inet.h>
#include <bpf/bpf.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "agent/desired.h"
#include "model/rig_impl.h"

#define FAMILIES 2

/* The agent's clock: a change finds all waits over. */
static uint64_t agent_ms;

static uint64_t agent_now(void)
{
        return agent_ms;
}

void rig_tables_open(struct rig *rig)
{
        static const enum map_id wanted[] = {MAP_SERVICES,      MAP_SLOTS,         MAP_BACKENDS,     MAP_FILTERS,
                                             MAP_SOURCE_RANGES, MAP_SERVICE_NAMES, MAP_SERVICE_STATS};
        struct apply_opts opts = {.maps = &rig->maps, .now_ms = agent_now};
        int r = 0;

        for (size_t i = 0; i < sizeof(wanted) / sizeof(*wanted) && !r; i++)
                r = map_new_kernel(dup(rig->lab.map[wanted[i]]), &rig->maps.m[wanted[i]]);
        if (!r)
                r = apply_new(&opts, &rig->apply, NULL);
        if (r)
                rig_die("the agent's way into the tables", r);
}

void rig_tables_close(struct rig *rig)
{
        apply_free(rig->apply);
        maps_deinit(&rig->maps);
        free(rig->ids.backends);
}

/* --- what does not change with services */

static void write_node(struct rig *rig, const struct world *w)
{
        struct node node = {.vxlan_ifindex = w->no_vxlan ? 0 : rig->devices.vxlan, .pod_mtu = w->pod_mtu};
        uint32_t zero = 0;

        node.v4 = w->node_v4 ? place_addr(PLACE_NODE, 0, false) : node.v4;
        node.v6 = w->node_v6 ? place_addr(PLACE_NODE, 0, true) : node.v6;
        for (int i = 0; i < WORLD_UPLINKS; i++) {
                struct uplink *up = &node.uplinks[i];

                if (!w->uplinks[i])
                        continue;
                *up = (struct uplink){.ifindex = rig->devices.uplinks[i], .mtu = KERNEL_MTU};
                up->v4 = w->uplink_v4 ? place_addr(PLACE_NODE + i, 0, false) : up->v4;
                up->v6 = w->uplink_v6 ? place_addr(PLACE_NODE + i, 0, true) : up->v6;
                memcpy(up->mac, mac_uplinks[i], 6);
        }
        rig_set(rig, MAP_NODE, &zero, &node);
}

static void write_pods(struct rig *rig, const struct world *w)
{
        for (int i = 0; i < WORLD_PODS; i++) {
                uint32_t key = rig->devices.pods[i] % POD_SLOTS;
                const struct pod_spec *spec = &w->pods[i];
                struct pod pod = {.ifindex = rig->devices.pods[i]};

                pod.v4 = spec->v4 ? place_addr(PLACE_POD_A + i, 0, false) : pod.v4;
                pod.v6 = spec->v6 ? place_addr(PLACE_POD_A + i, 0, true) : pod.v6;
                memcpy(pod.mac, mac_pods[i], 6);
                memcpy(pod.host_mac, mac_gateway, 6);
                pod.egress_bps = spec->egress_bits ? 8 : 0;
                pod.egress_burst = spec->egress_bits + 4; /* half a second more, for the time that a run takes */
                pod.ingress_bps = spec->ingress_bits ? 8 : 0;
                pod.ingress_burst = spec->ingress_bits + 4;
                if (!spec->present)
                        pod = (struct pod){0};
                rig_set(rig, MAP_PODS, &key, &pod);
                rig->pods[i] = *spec;
        }
}

static bool is_wanted(const struct route_key *key, const struct prefix *want, size_t n)
{
        for (size_t i = 0; i < n; i++)
                if (want[i].bits == key->prefixlen && same_addr(&want[i].addr, &key->addr))
                        return true;
        return false;
}

static void write_routes(struct rig *rig, const struct world *w)
{
        struct route_key have[2 * PREFIXES_MAX];
        struct prefix want[PREFIXES_MAX];
        size_t n = world_prefixes(w, &rig->devices, want), nhave = 0;
        int fd = rig->lab.map[MAP_ROUTES];
        uint32_t zero = 0;

        while (nhave < 2 * PREFIXES_MAX && !bpf_map_get_next_key(fd, nhave ? &have[nhave - 1] : NULL, &have[nhave]))
                nhave++;
        for (size_t i = 0; i < nhave; i++)
                if (!is_wanted(&have[i], want, n))
                        bpf_map_delete_elem(fd, &have[i]);
        for (size_t i = 0; i < n; i++) {
                struct route_key key = {.prefixlen = want[i].bits, .addr = want[i].addr};

                rig_set(rig, MAP_ROUTES, &key, &want[i].route);
        }
        rig->lab.route_epoch++;
        rig_set(rig, MAP_ROUTE_EPOCH, &zero, &rig->lab.route_epoch);
}

/* --- services: as the API's objects, by the agent */

static uint16_t view_addresses(const struct svc *s, unsigned slot, struct svc_addr *ret)
{
        uint16_t n = 0;

        for (int v6 = 0; v6 < FAMILIES; v6++) {
                if (!(v6 ? s->v6 : s->v4))
                        continue;
                ret[n++] = (struct svc_addr){place_addr(PLACE_VIP, slot, v6), SVC_CLUSTER_IP};
                if (s->external)
                        ret[n++] = (struct svc_addr){s->external == 2 ? place_addr(PLACE_NODE, 0, v6)
                                                                      : place_addr(PLACE_EXTERNAL, slot, v6),
                                                     SVC_EXTERNAL_IP};
                if (s->balancer)
                        ret[n++] = (struct svc_addr){place_addr(PLACE_BALANCER, slot, v6), SVC_LOAD_BALANCER};
        }
        return n;
}

static uint16_t view_ranges(const struct svc *s, struct svc_range *ret)
{
        uint16_t n = 0;

        for (int i = 0; i < FAMILIES * SERVICE_CIDRS; i++) {
                const struct cidr *c = &s->ranges[i / FAMILIES];
                struct svc_range *r = &ret[n];

                if (!c->place)
                        continue;
                *r = (struct svc_range){place_addr((enum place)c->place, 0, i % FAMILIES), 96U + c->bits};
                for (unsigned bit = r->bits; bit < 128; bit++)
                        r->addr.b[bit / 8] &= (uint8_t) ~(0x80 >> bit % 8);
                n++;
        }
        return n;
}

static uint32_t view_flags(const struct svc *s, uint16_t nranges)
{
        uint32_t flags = nranges ? SVC_RANGES_V4 | SVC_RANGES_V6 : 0;

        flags |= s->internal_local ? SVC_INTERNAL_LOCAL : 0;
        flags |= s->external_local ? SVC_EXTERNAL_LOCAL : 0;
        flags |= s->balancing == BALANCING_RANDOM ? SVC_RANDOM : 0;
        return flags | (s->balancing == BALANCING_MAGLEV ? SVC_MAGLEV : 0);
}

static const char *const port_names[SERVICE_PORTS] = {"p0", "p1"};

struct slice_room {
        struct slice_port ports[SERVICE_PORTS];
        char addrs[SERVICE_ENDS * 16]; /* one after the other, of 4 or 16 bytes */
        uint8_t flags[SERVICE_ENDS];
        struct slice_view view;
};

static bool is_local(const struct end *e)
{
        return (e->place >= PLACE_POD_A && e->place <= PLACE_GHOST) || e->place == PLACE_NODE;
}

static void view_slice(const struct svc *s, const char *key, unsigned number, bool v6, struct slice_room *ret)
{
        struct slice_view *view = &ret->view;

        *view = (struct slice_view){.service = key,
                                    .name = key,
                                    .weight = s->weight[number] ? s->weight[number] : 1,
                                    .v4 = !v6,
                                    .nports = s->nports,
                                    .ports = ret->ports,
                                    .addrs = ret->addrs,
                                    .flags = ret->flags};
        for (int i = 0; i < s->nports; i++)
                ret->ports[i] = (struct slice_port){port_names[i], s->ports[i].target[number], s->ports[i].proto};
        for (int i = 0; i < SERVICE_ENDS; i++) {
                const struct end *e = &s->ends[i];
                struct addr a = place_addr((enum place)e->place, 0, v6);

                if (!e->place || e->slice != number)
                        continue;
                memcpy(ret->addrs + view->nendpoints * (v6 ? 16U : 4U), v6 ? a.b : a.b + 12, v6 ? 16 : 4);
                ret->flags[view->nendpoints++] =
                        (uint8_t)((e->ready ? ENDPOINT_READY : 0) | (e->serving ? ENDPOINT_SERVING : 0) |
                                  (e->terminating ? ENDPOINT_TERMINATING : 0) | (is_local(e) ? ENDPOINT_LOCAL : 0));
        }
}

static void desire_service(const struct world *w, unsigned slot, struct arena *arena, struct service_state *ret)
{
        const struct svc *s = &w->services[slot];
        struct svc_addr addrs[FAMILIES * 3];
        struct svc_range ranges[FAMILIES * SERVICE_CIDRS];
        struct svc_port ports[SERVICE_PORTS];
        struct slice_room rooms[4];
        const struct slice_view *slices[4];
        struct desired_env env = {.zone = ""};
        char name[16], key[24];
        struct svc_view view = {.ns = "t",
                                .name = name,
                                .uid = name,
                                .affinity_s = s->affinity_s,
                                .nports = s->nports,
                                .ports = ports,
                                .addrs = addrs,
                                .ranges = ranges};

        snprintf(name, sizeof(name), "svc%u", slot);
        snprintf(key, sizeof(key), "t/%s", name);
        env.node_v4 = w->node_v4 ? place_addr(PLACE_NODE, 0, false) : env.node_v4;
        env.node_v6 = w->node_v6 ? place_addr(PLACE_NODE, 0, true) : env.node_v6;
        view.naddrs = view_addresses(s, slot, addrs);
        view.nranges = view_ranges(s, ranges);
        view.flags = view_flags(s, view.nranges);
        for (int i = 0; i < s->nports; i++)
                ports[i] = (struct svc_port){port_names[i], s->ports[i].port, s->ports[i].node_port, s->ports[i].proto};
        for (unsigned i = 0; i < 4; i++) {
                view_slice(s, key, i / 2, i % 2, &rooms[i]);
                slices[i] = &rooms[i].view;
        }
        desired_service(&view, slices, 4, &env, arena, ret);
        if (!s->present)
                *ret = (struct service_state){.key = arena_strdup(arena, key)};
}

static void desire_host_port(const struct world *w, int i, bool v6, struct arena *arena, struct service_state *ret)
{
        const struct host_port_spec *h = &w->host_ports[i];
        const struct pod_spec *pod = h->pod ? &w->pods[h->pod - 1] : NULL;
        struct host_port port = {
                .owner = "t/pod", .host_port = h->port, .container_port = h->target, .proto = h->proto};

        *ret = (struct service_state){.key = arena_printf(arena, "hostPort/%d.%d", i, v6)};
        if (!pod || !pod->present || !(v6 ? pod->v6 : pod->v4))
                return;
        port.pod_ip = place_addr(PLACE_POD_A + h->pod - 1U, 0, v6);
        port.host_ip = h->place ? place_addr((enum place)h->place, 0, v6) : port.host_ip;
        desired_host_ports(&port, 1, arena, ret);
}

static void commit(struct rig *rig)
{
        int r = apply_commit(rig->apply);

        if (r)
                rig_die("apply_commit", r);
        agent_ms += 60000;
        apply_tidy(rig->apply);
        agent_ms += 60000;
}

static void note_backends(struct rig *rig, const struct service_state *packed)
{
        struct arena arena = ARENA_NULL;
        const struct service_state *s = packed ? service_state_unpack(packed, &arena) : NULL;

        for (int p = 0; s && p < s->nports; p++)
                for (uint32_t i = 0; i < s->ports[p].nbackends; i++) {
                        uint32_t id = s->ports[p].backends[i].id;

                        if (id >= rig->ids.nbackends) {
                                rig->ids.nbackends = id + 64;
                                rig->ids.backends =
                                        realloc(rig->ids.backends, rig->ids.nbackends * sizeof(struct backend));
                        }
                        bpf_map_lookup_elem(rig->lab.map[MAP_BACKENDS], &id, &rig->ids.backends[id]);
                }
        arena_deinit(&arena);
}

static void note_ids(struct rig *rig)
{
        memset(rig->ids.service, 0, sizeof(rig->ids.service));
        memset(rig->ids.host_port, 0, sizeof(rig->ids.host_port));
        for (int slot = 0; slot < WORLD_SERVICES; slot++) {
                const struct service_state *s = rig->services[slot];

                note_backends(rig, s);
                for (int p = 0; s && p < s->nports; p++)
                        rig->ids.service[slot][p] = s->ports[p].id;
        }
        for (int i = 0; i < 2 * WORLD_HOSTPORTS; i++) {
                const struct service_state *s = rig->host_ports[i / 2][i % 2];

                note_backends(rig, s);
                if (s && s->nports)
                        rig->ids.host_port[i / 2][i % 2] = s->ports[0].id;
        }
}

void rig_tables_write(struct rig *rig, const struct world *world)
{
        struct arena arena = ARENA_NULL;
        struct service_state now;

        write_node(rig, world);
        write_pods(rig, world);
        write_routes(rig, world);
        for (unsigned slot = 0; slot < WORLD_SERVICES; slot++) {
                desire_service(world, slot, &arena, &now);
                rig->services[slot] = apply_service(rig->apply, rig->services[slot], &now, false);
        }
        for (int i = 0; i < 2 * WORLD_HOSTPORTS; i++) {
                struct service_state **state = &rig->host_ports[i / 2][i % 2];

                desire_host_port(world, i / 2, i % 2, &arena, &now);
                *state = apply_service(rig->apply, *state, &now, false);
        }
        commit(rig);
        arena_deinit(&arena);
        note_ids(rig);
}

static void end_one(struct rig *rig, struct service_state **state)
{
        struct service_state gone = {.key = "gone"};

        if (*state)
                *state = apply_service(rig->apply, *state, &gone, false);
}

bool rig_tables_empty(struct rig *rig)
{
        struct apply_stats stats;

        for (int slot = 0; slot < WORLD_SERVICES; slot++)
                end_one(rig, &rig->services[slot]);
        for (int i = 0; i < 2 * WORLD_HOSTPORTS; i++)
                end_one(rig, &rig->host_ports[i / 2][i % 2]);
        commit(rig);
        for (int slot = 0; slot < WORLD_SERVICES; slot++) {
                free(rig->services[slot]);
                rig->services[slot] = NULL;
        }
        for (int i = 0; i < 2 * WORLD_HOSTPORTS; i++) {
                free(rig->host_ports[i / 2][i % 2]);
                rig->host_ports[i / 2][i % 2] = NULL;
        }
        apply_stats(rig->apply, &stats);
        if (!stats.frontends && !stats.service_ids && !stats.backends && !stats.slot_lines && !stats.source_ranges)
                return true;
        printf("the agent left %u frontends, %u ids, %u backends, %u lines, %u source ranges behind\n", stats.frontends,
               stats.service_ids, stats.backends, stats.slot_lines, stats.source_ranges);
        return false;
}
