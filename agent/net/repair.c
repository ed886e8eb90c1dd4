/* SPDX-License-Identifier: Apache-2.0 */
/* The parts of a round that put right what differs. */
#include <errno.h>
#include <net/if.h>
#include <string.h>

#include "agent/net/network_state.h"
#include "agent/net/sysctl.h"
#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/str.h"
#include "datapath/address.h"

#define ORPHAN_MS 10000

void repaired(struct network *n, const char *what, const char *detail)
{
        n->repairs++;
        log_warn("repaired", "what=%s detail=%s", what, detail);
}

/* ---- the vxlan device */

static void remove_vxlan(struct network *n)
{
        const struct net_link *l = net_link_by_name(&n->state, VXLAN_DEVICE);

        if (l && n->synced && str_eq(l->kind, "vxlan")) {
                n->dataplane.detach(n->dataplane.userdata, l->ifindex);
                link_delete(n->rtnl, l->ifindex, NULL);
                log_info("vxlan device removed", "device=%s reason=\"native routing\"", VXLAN_DEVICE);
        }
        n->vxlan_ifindex = 0;
}

static void attach_overlay(struct network *n, bool known, struct problems *problems)
{
        struct err err = ERR_NULL;

        if (known && n->dataplane.attached(n->dataplane.userdata, n->vxlan_ifindex))
                return;
        if (n->dataplane.attach_overlay(n->dataplane.userdata, n->vxlan_ifindex, &err) < 0)
                problems_add(problems, "%s: %s", VXLAN_DEVICE, err.msg);
        else if (known)
                repaired(n, "programs", VXLAN_DEVICE);
}

static void repair_vxlan(struct network *n, struct problems *problems)
{
        const struct vxlan_want want = {.port = (uint16_t)n->opts.config->vxlan_port, .mtu = n->mtu};
        const char *why;
        enum vxlan_verdict verdict = vxlan_check(&n->state, &want, &why);
        bool same = n->vxlan_ifindex && want.port == n->vxlan.port && want.mtu == n->vxlan.mtu;
        uint32_t ifindex = 0;
        struct err err = ERR_NULL;

        if (vxlan_apply(n->rtnl, verdict, &want, &ifindex, &err) < 0) {
                problems_add(problems, "%s", err.msg);
                ifindex = 0;
        } else if (verdict != VXLAN_FITS && same) {
                repaired(n, VXLAN_DEVICE, why);
        }
        if (n->vxlan_ifindex && n->vxlan_ifindex != ifindex)
                n->dataplane.detach(n->dataplane.userdata, n->vxlan_ifindex);
        same = n->vxlan_ifindex == ifindex;
        n->vxlan_ifindex = ifindex;
        n->vxlan = want;
        if (ifindex)
                attach_overlay(n, same, problems);
}

/* ---- NICs */

static const struct uplink *find_uplink(const struct uplinks *u, uint32_t ifindex)
{
        for (uint32_t i = 0; i < u->count; i++)
                if (u->items[i].ifindex == ifindex)
                        return &u->items[i];
        return NULL;
}

static const char *xdp_text(enum attach_mode mode)
{
        return mode == ATTACH_XDP_NATIVE ? "native" : mode == ATTACH_XDP_GENERIC ? "generic" : "no";
}

static void attach_uplink(struct network *n, const struct uplink *u, struct uplink_status *status, bool known,
                          struct problems *problems)
{
        const char *name = uplink_name(&n->state, u);
        struct err err = ERR_NULL;

        str_copy(status->name, sizeof(status->name), name ? name : "");
        if (known && n->dataplane.attached(n->dataplane.userdata, u->ifindex))
                return;
        if (n->dataplane.attach_uplink(n->dataplane.userdata, u->ifindex, &status->tc, &status->xdp, &err) < 0) {
                problems_add(problems, "NIC %s: %s", status->name, err.msg);
                status->tc = status->xdp = ATTACH_NONE;
        } else if (known) {
                repaired(n, "programs", status->name);
        } else {
                log_info("NIC in use", "device=%s mtu=%u xdp=%s note=%s", status->name, u->mtu, xdp_text(status->xdp),
                         err.msg);
        }
}

static void repair_uplinks(struct network *n, struct problems *problems)
{
        struct uplink_status old[UPLINKS_MAX];
        const struct uplinks before = n->uplinks;

        memcpy(old, n->uplink_status, sizeof(old));
        uplinks_choose(&n->inputs, &n->opts.config->devices, &n->uplinks, problems);
        for (uint32_t i = 0; i < before.count; i++)
                if (!find_uplink(&n->uplinks, before.items[i].ifindex)) {
                        n->dataplane.detach(n->dataplane.userdata, before.items[i].ifindex);
                        log_info("NIC no longer in use", "device=%s", old[i].name);
                }
        memset(n->uplink_status, 0, sizeof(n->uplink_status));
        for (uint32_t i = 0; i < n->uplinks.count; i++) {
                const struct uplink *u = &n->uplinks.items[i], *known = find_uplink(&before, u->ifindex);
                bool was_good = known && old[known - before.items].tc != ATTACH_NONE;

                if (known)
                        n->uplink_status[i] = old[known - before.items];
                attach_uplink(n, u, &n->uplink_status[i], was_good, problems);
        }
}

/* ---- the loopback device, where nothing is translated at the socket */

static void repair_lo(struct network *n, struct problems *problems)
{
        const struct net_link *l = net_link_by_name(&n->state, "lo");
        struct err err = ERR_NULL;
        bool known;

        if (!n->opts.by_packets || !l)
                return;
        known = n->lo_ifindex == l->ifindex;
        if (known && n->dataplane.attached(n->dataplane.userdata, l->ifindex))
                return;
        n->lo_ifindex = l->ifindex;
        if (n->dataplane.attach_lo(n->dataplane.userdata, l->ifindex, &err) < 0) {
                n->lo_ifindex = 0;
                problems_add(problems, "lo: %s", err.msg);
        } else if (known) {
                repaired(n, "programs", "lo");
        }
}

static void write_node(struct network *n, struct problems *problems)
{
        const uint32_t zero = 0;
        struct node node = {.v4 = n->v4, .v6 = n->v6, .vxlan_ifindex = n->vxlan_ifindex, .pod_mtu = n->mtu};
        int res;

        memcpy(node.uplinks, n->uplinks.items, n->uplinks.count * sizeof(node.uplinks[0]));
        if (n->node_written && memcmp(&node, &n->node, sizeof(node)) == 0)
                return;
        res = map_update(n->dataplane.maps->m[MAP_NODE], &zero, &node);
        n->node_written = res == 0;
        n->node = node;
        if (res)
                problems_add(problems, "cannot write the map node: %s", strerror(-res));
}

void repair_devices(struct network *n, struct problems *problems)
{
        uint32_t mtu;

        repair_uplinks(n, problems);
        mtu = pod_mtu(&n->uplinks, n->settings.routing, underlay_is_v6(&n->inputs), n->opts.config->mtu, problems);
        if (mtu && mtu != n->mtu)
                log_info("MTU of pods", "mtu=%u", mtu);
        if (mtu)
                n->mtu = mtu;
        if (n->settings.routing != ROUTING_VXLAN)
                remove_vxlan(n);
        else if (n->mtu)
                repair_vxlan(n, problems);
        repair_lo(n, problems);
        n->inputs.vxlan_ifindex = n->vxlan_ifindex;
        n->inputs.pod_mtu = n->mtu;
        n->inputs.service_ifindex = n->opts.by_packets ? uplink_for_services(&n->inputs, &n->uplinks) : 0;
        write_node(n, problems);
}

/* ---- sysctls */

static void repair_sysctl(struct network *n, int res, bool known, const char *what)
{
        if (res == SYSCTL_CHANGED && known)
                repaired(n, "sysctl", what);
}

static bool is_own_device(const char *name)
{
        return str_eq(name, VXLAN_DEVICE) || net_is_host_side(name);
}

/* Off where pods' packets come in: from_pod and from_overlay know better who may send what, and a loose filter drops
 * all that is routed elsewhere when, like these devices, one has no address. */
static void repair_rp_filter(struct network *n, struct problems *problems)
{
        int res = sysctl_lower_rp_filter(is_own_device, problems);

        if (res == SYSCTL_CHANGED && !n->rounds_done)
                log_info("reverse path filter handed down",
                         "from=net.ipv4.conf.all to=\"every device but fairlead's\"");
        repair_sysctl(n, res, n->rounds_done, "net/ipv4/conf/all/rp_filter");
        if (n->vxlan_ifindex)
                repair_sysctl(n, sysctl_ensure_device("ipv4", VXLAN_DEVICE, "rp_filter", sysctl_off, problems),
                              n->vxlan_unfiltered == n->vxlan_ifindex, VXLAN_DEVICE);
        n->vxlan_unfiltered = n->vxlan_ifindex;
}

/* The stack takes answers by lo whose source is an address of its own, or 127.0.0.1, if these are set. Nobody but the
 * host itself sends by lo. */
static void repair_lo_sysctls(struct network *n, struct problems *problems)
{
        if (!n->lo_ifindex)
                return;
        repair_sysctl(n, sysctl_ensure_device("ipv4", "lo", "accept_local", sysctl_on, problems), n->rounds_done,
                      "net/ipv4/conf/lo/accept_local");
        if (n->opts.config->nodeport_loopback)
                repair_sysctl(n, sysctl_ensure_device("ipv4", "lo", "route_localnet", sysctl_on, problems),
                              n->rounds_done, "net/ipv4/conf/lo/route_localnet");
}

void repair_sysctls(struct network *n, struct problems *problems)
{
        static const char *const forwarding[] = {"net/ipv4/ip_forward", "net/ipv6/conf/all/forwarding"};
        const bool known = n->rounds_done;

        /* First: forwarding makes the kernel forget default routes that it learned by router advertisements otherwise.
         */
        for (uint32_t i = 0; i < n->uplinks.count; i++)
                sysctl_ensure_device("ipv6", n->uplink_status[i].name, "accept_ra", sysctl_accept_ra, problems);
        for (size_t i = 0; i < ARRAY_SIZE(forwarding); i++)
                repair_sysctl(n, sysctl_ensure(forwarding[i], sysctl_on, problems), known, forwarding[i]);
        repair_rp_filter(n, problems);
        repair_lo_sysctls(n, problems);
}

void repair_pod_sysctls(struct network *n)
{
        for (size_t i = 0; i < n->state.links_n; i++) {
                const struct net_link *l = &n->state.links[i];

                if (net_is_host_side(l->name) && attachments_has_index(n->attachments, l->ifindex))
                        repair_sysctl(n, sysctl_ensure_device("ipv4", l->name, "rp_filter", sysctl_off, NULL), true,
                                      l->name);
        }
}

/* ---- routes */

static bool is_kept(const struct host_route_op *op, enum routemap_keep keep)
{
        return op->verb == HOST_ROUTE_DELETE && (keep == KEEP_ALL || (keep == KEEP_PODS && op->route.bits == 128));
}

static void apply_host_routes(struct network *n, const struct host_routes *want, enum routemap_keep keep,
                              struct problems *problems)
{
        _cleanup_(host_route_ops_deinit) struct host_route_ops ops = HOST_ROUTE_OPS_NULL;
        char text[ADDRESS_TEXT];
        struct err err = ERR_NULL;

        host_routes_diff(&n->state, want, &ops);
        for (size_t i = 0; i < ops.count; i++) {
                const struct host_route_op *op = &ops.items[i];

                if (is_kept(op, keep))
                        continue;
                if (host_route_apply(n->rtnl, op, &err) < 0)
                        problems_add(problems, "%s", err.msg);
                else if (op->verb != HOST_ROUTE_DELETE && host_routes_have(&n->applied, &op->route))
                        repaired(n, "route", address_cidr_text(&op->route.dst, op->route.bits, text));
        }
}

static void remove_neighbours(struct network *n, struct problems *problems)
{
        _cleanup_free_ struct net_neighbour *stale = mem_array(struct net_neighbour, n->state.neighbours_n + 1);
        size_t count = host_neighbours_stale(&n->inputs, stale);
        struct err err = ERR_NULL;

        for (size_t i = 0; i < count; i++)
                if (host_neighbour_delete(n->rtnl, &stale[i], &err) < 0)
                        problems_add(problems, "%s", err.msg);
}

static void repair_neighbours(struct network *n, struct problems *problems)
{
        _cleanup_free_ struct net_neighbour *missing = mem_array(struct net_neighbour, 2 * n->inputs.pods_n + 2);
        size_t count = host_neighbours_missing(&n->inputs, missing);
        char text[ADDRESS_TEXT];
        struct err err = ERR_NULL;

        for (size_t i = 0; i < count; i++)
                if (host_neighbour_set(n->rtnl, &missing[i], &err) < 0)
                        problems_add(problems, "%s", err.msg);
                else if (n->rounds_done)
                        repaired(n, "neighbour", address_text(&missing[i].addr, text));
}

void repair_routes(struct network *n, enum routemap_keep keep, struct problems *problems)
{
        _cleanup_(lpm_table_deinit) struct lpm_table lpm = LPM_TABLE_NULL;
        struct host_routes routes = HOST_ROUTES_NULL;

        lpm_desired(&n->inputs, &lpm, problems);
        routemap_apply(&n->routes, &lpm, keep, problems);
        host_routes_desired(&n->inputs, &routes, problems);
        apply_host_routes(n, &routes, keep, problems);
        host_routes_deinit(&n->applied);
        n->applied = routes;
        if (keep == KEEP_NOTHING)
                remove_neighbours(n, problems);
        repair_neighbours(n, problems);
}

/* ---- host sides that nobody claims */

static const struct orphan *find_orphan(const struct orphan *o, size_t n, uint32_t ifindex)
{
        for (size_t i = 0; i < n; i++)
                if (o[i].ifindex == ifindex)
                        return &o[i];
        return NULL;
}

static bool is_orphan(const struct network *n, const struct net_link *l)
{
        return net_is_host_side(l->name) && str_eq(l->kind, "veth") && !attachments_has_device(n->attachments, l->name);
}

/* One a round: the kernel takes 25 ms to remove a veth. */
static void remove_orphan(struct network *n, const struct orphan *o)
{
        struct err err = ERR_NULL;

        if (link_delete(n->rtnl, o->ifindex, &err) < 0)
                log_limited(LOG_LEVEL_WARN, 5000, "orphan not removed", "ifindex=%u error=%s", o->ifindex, err.msg);
        else
                log_info("orphan removed", "ifindex=%u reason=\"a pod's veth without a record\"", o->ifindex);
}

void repair_orphans(struct network *n, struct problems *problems)
{
        struct orphan now[ORPHANS_MAX];
        const uint64_t ms = clock_mono_ms();
        const struct orphan *due = NULL;
        size_t count = 0;

        for (size_t i = 0; i < n->state.links_n && count < ORPHANS_MAX; i++) {
                const struct net_link *l = &n->state.links[i];
                const struct orphan *known;

                if (!is_orphan(n, l))
                        continue;
                known = find_orphan(n->orphans, n->orphans_n, l->ifindex);
                now[count] = known ? *known : (struct orphan){l->ifindex, ms};
                if (!due && ms - now[count].since_ms >= ORPHAN_MS)
                        due = &now[count];
                count++;
        }
        memcpy(n->orphans, now, count * sizeof(*now));
        n->orphans_n = count;
        if (!due)
                return;
        if (attachments_unread(n->attachments))
                problems_add(problems, "veths of pods without a record are left alone while records cannot be read");
        else
                remove_orphan(n, due);
}
