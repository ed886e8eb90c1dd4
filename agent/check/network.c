/* SPDX-License-Identifier: Apache-2.0 */
#include <dirent.h>
#include <errno.h>
#include <string.h>

#include "agent/check/network.h"
#include "agent/net/network_state.h"
#include "agent/net/plug.h"
#include "base/file.h"
#include "base/mem.h"
#include "base/str.h"
#include "datapath/address.h"

struct net_check {
        struct network net; /* only what a look needs of it */
        struct map *const *maps;
        struct pod *pods; /* by the records */
        struct pod_place *places;
        struct host_port *ports;
        size_t pods_n, ports_n;
        struct lpm_table routes;
        struct node node;
        struct findings notes; /* records that cannot be read */
};

int net_check_new(const struct agent_config *config, struct informer *nodes, struct informer *service_cidrs,
                  const struct maps *maps, struct net_check **ret, struct err *reterr)
{
        _cleanup_(net_check_freep) struct net_check *c = mem_new(struct net_check);
        int res;

        c->maps = maps->m;
        c->net.opts = (struct network_opts){
                .config = config, .nodes = nodes, .service_cidrs = service_cidrs, .own_node = config->node_name};
        c->net.lock_fd = -1;
        c->net.synced = true;
        res = net_settings_read(config, &c->net.settings, reterr);
        if (res == 0)
                res = rtnl_open(&c->net.rtnl, reterr);
        if (res < 0)
                return res;
        *ret = TAKE_PTR(c);
        return 0;
}

static void forget_look(struct net_check *c)
{
        lpm_table_deinit(&c->routes);
        c->routes = LPM_TABLE_NULL;
        findings_deinit(&c->notes);
        c->pods_n = c->ports_n = 0;
}

void net_check_free(struct net_check *c)
{
        if (!c)
                return;
        forget_look(c);
        rtnl_close(c->net.rtnl);
        net_state_deinit(&c->net.state);
        net_settings_deinit(&c->net.settings);
        free(c->net.others);
        free(c->net.service_cidrs);
        free(c->pods);
        free(c->places);
        free(c->ports);
        free(c);
}

/* ---- looking ---- */

/* A record without its device waits for it, or for its end: the pod is not in the maps then. */
static void take_record(struct net_check *c, const struct record *r)
{
        const struct net_link *l = net_link_by_index(&c->net.state, r->host_ifindex);

        if (!r->host_ifindex || !l || !str_eq(l->name, r->host_ifname))
                return;
        c->pods = mem_realloc(c->pods, c->pods_n + 1, sizeof(*c->pods));
        c->places = mem_realloc(c->places, c->pods_n + 1, sizeof(*c->places));
        c->ports = mem_realloc(c->ports, c->ports_n + 2 * r->ports_n + 1, sizeof(*c->ports));
        c->pods[c->pods_n] = plug_pod(r);
        c->places[c->pods_n++] = plug_place(r);
        c->ports_n += plug_host_ports(r, c->ports + c->ports_n);
}

static void read_record(struct net_check *c, const char *folder, const char *id)
{
        _cleanup_free_ char *path = mem_printf("%s/%s.json", folder, id), *text = NULL;
        _cleanup_(record_deinit) struct record r = RECORD_NULL;
        struct err err = ERR_NULL;
        size_t len;
        int res = file_read(path, RECORD_BYTES_MAX, &text, &len, &err);

        if (res == -ENOENT)
                return;
        if (res == 0)
                res = record_parse(id, text, len, &r, &err);
        if (res < 0)
                findings_add(&c->notes, "pods", path, "%s", err.msg);
        else
                take_record(c, &r);
}

static int read_records(struct net_check *c, struct err *reterr)
{
        _cleanup_free_ char *folder = mem_printf("%s/attachments", c->net.opts.config->run_dir);
        DIR *dir = opendir(folder);
        char id[RECORD_ID_SIZE];

        if (!dir)
                return errno == ENOENT ? 0 : err_set(reterr, -errno, "cannot read %s: %s", folder, strerror(errno));
        for (const struct dirent *e; (e = readdir(dir));)
                if (record_id_of_file(e->d_name, id) == 0)
                        read_record(c, folder, id);
        closedir(dir);
        return 0;
}

static void make_node(struct net_check *c, struct problems *problems)
{
        const struct agent_config *config = c->net.opts.config;
        const struct net_link *vxlan = net_link_by_name(&c->net.state, VXLAN_DEVICE);
        struct uplinks uplinks;

        uplinks_choose(&c->net.inputs, &config->devices, &uplinks, problems);
        c->node = (struct node){.v4 = c->net.v4, .v6 = c->net.v6};
        c->node.pod_mtu =
                pod_mtu(&uplinks, c->net.settings.routing, underlay_is_v6(&c->net.inputs), config->mtu, problems);
        c->node.vxlan_ifindex = c->net.settings.routing == ROUTING_VXLAN && vxlan ? vxlan->ifindex : 0;
        memcpy(c->node.uplinks, uplinks.items, uplinks.count * sizeof(c->node.uplinks[0]));
        c->net.inputs.vxlan_ifindex = c->node.vxlan_ifindex;
        c->net.inputs.pod_mtu = c->node.pod_mtu;
}

static void make_view(struct net_check *c)
{
        struct node_view *v = &c->net.view;

        v->ready = true;
        v->leaving = v->found && c->net.own.leaving;
        v->v4 = c->net.v4;
        v->v6 = c->net.v6;
        str_copy(v->name, sizeof(v->name), c->net.opts.own_node);
        str_copy(v->zone, sizeof(v->zone), c->net.own_known ? c->net.own.zone : "");
}

int net_check_look(struct net_check *c, struct err *reterr)
{
        _cleanup_(problems_deinit) struct problems problems = PROBLEMS_NULL;
        int res;

        forget_look(c);
        if (!network_look(&c->net, &problems) || !c->net.own_known)
                return err_set(reterr, -ENOENT, "%s", problems_text(&problems));
        res = read_records(c, reterr);
        if (res < 0)
                return res;
        c->net.inputs.pods = c->places;
        c->net.inputs.pods_n = c->pods_n;
        make_node(c, &problems);
        lpm_desired(&c->net.inputs, &c->routes, &problems);
        c->net.inputs.others_n = 0; /* borrowed of the informer */
        make_view(c);
        return 0;
}

const struct node_view *net_check_node(const struct net_check *c)
{
        return &c->net.view;
}

size_t net_check_host_ports(const struct net_check *c, const struct host_port **ret)
{
        *ret = c->ports;
        return c->ports_n;
}

/* ---- comparing ---- */

static const char *route_text(const struct route *r, char *buf, size_t size)
{
        static const char *const types[] = {
                [ROUTE_NONE] = "nowhere",           [ROUTE_POD] = "a pod here",
                [ROUTE_HOST] = "this node",         [ROUTE_NODE] = "another node",
                [ROUTE_REMOTE] = "pods of",         [ROUTE_SERVICE] = "services",
                [ROUTE_DIRECT] = "not masqueraded", [ROUTE_BLACKHOLE] = "pods that are not there",
        };
        char peer[ADDRESS_TEXT];

        snprintf(buf, size, "%s%s%s%s", r->type < ARRAY_SIZE(types) ? types[r->type] : "an unknown type",
                 address_is_zero(&r->peer) ? "" : ", node ",
                 address_is_zero(&r->peer) ? "" : address_text(&r->peer, peer),
                 r->flags & ROUTE_TUNNEL ? ", by the tunnel" : "");
        if (r->ifindex)
                snprintf(buf + strlen(buf), size - strlen(buf), ", device %u", r->ifindex);
        return buf;
}

static void compare_routes(const struct net_check *c, struct findings *ret)
{
        _cleanup_(routemap_deinit) struct routemap have = {0};
        _cleanup_(lpm_diff_deinit) struct lpm_diff diff = LPM_DIFF_NULL;
        struct err err = ERR_NULL;
        char text[ADDRESS_TEXT], is[160], should[160];

        if (routemap_init(&have, c->maps[MAP_ROUTES], c->maps[MAP_ROUTE_EPOCH], &err) < 0) {
                findings_add(ret, "routes", "the whole map", "%s", err.msg);
                return;
        }
        lpm_diff(&have.known, &c->routes, &diff);
        for (size_t i = 0; i < diff.set.count; i++) {
                const struct lpm_entry *e = &diff.set.entries[i], *was = lpm_find(&have.known, &e->key);

                address_cidr_text(&e->key.addr, e->key.prefixlen, text);
                route_text(&e->value, should, sizeof(should));
                if (was)
                        findings_add(ret, "routes", text, "leads to %s; should lead to %s",
                                     route_text(&was->value, is, sizeof(is)), should);
                else
                        findings_add(ret, "routes", text, "missing; should lead to %s", should);
        }
        for (size_t i = 0; i < diff.del.count; i++)
                findings_add(ret, "routes",
                             address_cidr_text(&diff.del.entries[i].key.addr, diff.del.entries[i].key.prefixlen, text),
                             "should not be there");
}

static const struct pod *find_pod(const struct net_check *c, uint32_t ifindex)
{
        for (size_t i = 0; i < c->pods_n; i++)
                if (c->pods[i].ifindex == ifindex)
                        return &c->pods[i];
        return NULL;
}

static const char *pod_text(const struct pod *p, char buf[static 2 * ADDRESS_TEXT])
{
        char text[ADDRESS_TEXT];

        snprintf(buf, 2 * ADDRESS_TEXT, "device %u, %s", p->ifindex,
                 address_text(address_is_zero(&p->v4) ? &p->v6 : &p->v4, text));
        return buf;
}

struct extra {
        const struct net_check *c;
        struct findings *ret;
};

static int on_pod(void *userdata, const void *key, const void *value)
{
        const struct extra *e = userdata;
        const struct pod *p = value;
        char text[2 * ADDRESS_TEXT];

        if (p->ifindex && !find_pod(e->c, p->ifindex))
                findings_add(e->ret, "pods", pod_text(p, text), "should not be there");
        (void)key;
        return 0;
}

static void compare_pods(const struct net_check *c, struct findings *ret)
{
        struct extra extra = {c, ret};
        char text[2 * ADDRESS_TEXT];

        for (size_t i = 0; i < c->pods_n; i++) {
                const uint32_t slot = c->pods[i].ifindex % POD_SLOTS;
                struct pod have = {0};

                map_lookup(c->maps[MAP_PODS], &slot, &have);
                if (have.ifindex != c->pods[i].ifindex)
                        findings_add(ret, "pods", pod_text(&c->pods[i], text), "missing");
                else if (memcmp(&have, &c->pods[i], sizeof(have)) != 0)
                        findings_add(ret, "pods", pod_text(&c->pods[i], text),
                                     "addresses, MACs or limits are not those of its record");
        }
        if (map_each(c->maps[MAP_PODS], on_pod, &extra) < 0)
                findings_add(ret, "pods", "the whole map", "cannot be read");
}

static void compare_addresses(struct findings *ret, const char *what, const struct addr *have, const struct addr *want)
{
        char is[ADDRESS_TEXT], should[ADDRESS_TEXT];

        if (!address_equal(have, want))
                findings_add(ret, "node", what, "is %s; should be %s", address_text(have, is),
                             address_text(want, should));
}

static void compare_node(const struct net_check *c, struct findings *ret)
{
        const uint32_t zero = 0;
        struct node have = {0};

        map_lookup(c->maps[MAP_NODE], &zero, &have);
        compare_addresses(ret, "the node's IPv4 address", &have.v4, &c->node.v4);
        compare_addresses(ret, "the node's IPv6 address", &have.v6, &c->node.v6);
        if (have.vxlan_ifindex != c->node.vxlan_ifindex)
                findings_add(ret, "node", "the tunnel's device", "is %u; should be %u", have.vxlan_ifindex,
                             c->node.vxlan_ifindex);
        if (have.pod_mtu != c->node.pod_mtu)
                findings_add(ret, "node", "the pods' MTU", "is %u; should be %u", have.pod_mtu, c->node.pod_mtu);
        if (memcmp(have.uplinks, c->node.uplinks, sizeof(have.uplinks)) != 0)
                findings_add(ret, "node", "NICs",
                             "are not those of this host, or their addresses or MACs have changed");
}

void net_check_compare(const struct net_check *c, struct findings *ret, struct check_counts *counts)
{
        for (size_t i = 0; i < c->notes.n; i++)
                findings_add(ret, c->notes.items[i].table, c->notes.items[i].object, "%s", c->notes.items[i].text);
        compare_routes(c, ret);
        compare_pods(c, ret);
        compare_node(c, ret);
        counts->routes = c->routes.count;
        counts->pods = c->pods_n;
}

/* ---- repairing ---- */

static int clear_pod(void *userdata, const void *key, const void *value)
{
        static const struct pod none;
        const struct net_check *c = userdata;
        const struct pod *p = value;

        return p->ifindex && !find_pod(c, p->ifindex) ? map_update(c->maps[MAP_PODS], key, &none) : 0;
}

int net_check_repair(const struct net_check *c, struct err *reterr)
{
        _cleanup_(routemap_deinit) struct routemap have = {0};
        _cleanup_(problems_deinit) struct problems problems = PROBLEMS_NULL;
        const uint32_t zero = 0;
        int res = routemap_init(&have, c->maps[MAP_ROUTES], c->maps[MAP_ROUTE_EPOCH], reterr);

        if (res < 0)
                return res;
        routemap_apply(&have, &c->routes, KEEP_NOTHING, &problems);
        if (problems.count)
                return err_set(reterr, -EIO, "%s", problems_text(&problems));
        res = map_update(c->maps[MAP_NODE], &zero, &c->node);
        for (size_t i = 0; i < c->pods_n && res == 0; i++) {
                const uint32_t slot = c->pods[i].ifindex % POD_SLOTS;

                res = map_update(c->maps[MAP_PODS], &slot, &c->pods[i]);
        }
        if (res == 0)
                res = map_each(c->maps[MAP_PODS], clear_pod, (void *)c);
        return res ? err_set(reterr, res < 0 ? res : -ENOSPC, "cannot write the maps pods and node") : 0;
}
