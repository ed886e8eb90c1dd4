/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/file.h>

#include "agent/net/conflist.h"
#include "agent/net/network_state.h"
#include "base/clock.h"
#include "base/file.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/str.h"
#include "datapath/address.h"

#define TICK_MS        500 /* how soon is noticed what the kernel does not tell: sysctls, programs that were taken */
#define TICKS_A_ROUND  60  /* everything is looked at that often anyway */
#define EVENT_AFTER_MS 3000
#define ROUND_SOON_MS  2
#define ROUND_LATER_MS 25 /* a veth that comes is about to be attached: a round would stand in its way */
#define ROUND_MAX_MS   400

/* ---- projections */

void *network_project_node(void *userdata, struct json_object *node)
{
        struct node_summary *s = mem_new(struct node_summary);

        node_summary_read(node, s);
        return s;
}

void network_release_node(void *userdata, void *value)
{
        free(value);
}

void *network_project_service_cidr(void *userdata, struct json_object *service_cidr)
{
        struct service_cidr_summary *s = mem_new(struct service_cidr_summary);

        service_cidr_read(service_cidr, s);
        return s;
}

void network_release_service_cidr(void *userdata, void *value)
{
        free(value);
}

/* ---- rounds */

/* Rounds take a tenth of the time at most, so that a machine whose tables change all the time has some left. */
void network_dirty(struct network *n, uint64_t after_ms)
{
        uint64_t pause_ms = MIN(MAX(n->round_ns * 10 / NS_PER_MS, after_ms), ROUND_MAX_MS);
        uint64_t due_ms = clock_mono_ms() + pause_ms;

        if (n->armed && n->due_ms <= due_ms)
                return;
        n->armed = true;
        n->due_ms = due_ms;
        loop_timer_set(n->round, pause_ms);
}

static void on_round(void *userdata)
{
        struct network *n = userdata;

        n->armed = false;
        network_round(n);
}

static void on_node_event(void *userdata, const char *key, void *old, void *now)
{
        if (!old || !now || !node_summary_equal(old, now))
                network_dirty(userdata, ROUND_SOON_MS);
}

static void on_service_cidr_event(void *userdata, const char *key, void *old, void *now)
{
        network_dirty(userdata, ROUND_SOON_MS);
}

static void on_kernel_change(void *userdata, uint32_t gone)
{
        struct network *n = userdata;

        if (gone)
                attachments_link_gone(n->attachments, gone);
        network_dirty(n, ROUND_LATER_MS);
}

static bool programs_whole(const struct network *n)
{
        if (n->vxlan_ifindex && !n->dataplane.attached(n->dataplane.userdata, n->vxlan_ifindex))
                return false;
        for (uint32_t i = 0; i < n->uplinks.count; i++)
                if (n->uplink_status[i].tc != ATTACH_NONE &&
                    !n->dataplane.attached(n->dataplane.userdata, n->uplinks.items[i].ifindex))
                        return false;
        if (n->lo_ifindex && !n->dataplane.attached(n->dataplane.userdata, n->lo_ifindex))
                return false;
        return attachments_whole(n->attachments);
}

/* Of what lasts: Nodes that are being made lack their addresses for a moment, too. */
static void tell_event(struct network *n)
{
        const struct event_object about = {
                .api_version = "v1",
                .kind = "Node",
                .name = n->opts.own_node,
                .uid = n->own_known ? n->own.uid : NULL,
        };

        if (!n->opts.events || n->problem_told || !*n->problem || clock_mono_ms() - n->problem_ms < EVENT_AFTER_MS)
                return;
        n->problem_told = true;
        events_record(n->opts.events, &about, true, "NetworkProblem", "%s", n->problem);
}

static void on_tick(void *userdata)
{
        struct network *n = userdata;
        struct problems none = PROBLEMS_NULL;

        loop_timer_set(n->tick, TICK_MS);
        watchdir_check(n->records);
        repair_sysctls(n, &none);
        repair_pod_sysctls(n);
        n->taken = !programs_whole(n);
        if (++n->ticks % TICKS_A_ROUND == 0 || n->orphans_n || *n->problem || n->taken)
                network_dirty(n, ROUND_SOON_MS);
        tell_event(n);
        problems_deinit(&none);
}

static void tell_problem(struct network *n, const char *text)
{
        if (strncmp(text, n->problem, sizeof(n->problem) - 1) == 0)
                return;
        str_copy(n->problem, sizeof(n->problem), text);
        n->problem_ms = clock_mono_ms();
        n->problem_told = false;
        if (*text)
                log_warn("network problem", "problem=%s", text);
        else
                log_info("network in order", "node=%s", n->opts.own_node);
        if (n->opts.changed) /* people look into the status file for it */
                n->opts.changed(n->opts.userdata);
}

static bool view_equal(const struct node_view *a, const struct node_view *b)
{
        return a->ready == b->ready && a->found == b->found && a->leaving == b->leaving && str_eq(a->name, b->name) &&
               str_eq(a->zone, b->zone) && address_equal(&a->v4, &b->v4) && address_equal(&a->v6, &b->v6);
}

static bool has_address(const struct network *n)
{
        return !address_is_zero(&n->v4) || !address_is_zero(&n->v6);
}

static bool is_ready(const struct network *n)
{
        return n->synced && n->own_known && n->own.cidrs_n && n->mtu && has_address(n) &&
               (n->settings.routing != ROUTING_VXLAN || n->vxlan_ifindex);
}

static void tell_view(struct network *n, const struct node_view *before)
{
        struct node_view *v = &n->view;

        v->ready = is_ready(n);
        v->leaving = v->found && n->own.leaving;
        v->v4 = n->v4;
        v->v6 = n->v6;
        str_copy(v->name, sizeof(v->name), n->opts.own_node);
        str_copy(v->zone, sizeof(v->zone), n->own_known ? n->own.zone : "");
        if (view_equal(before, v) && n->ports_told == attachments_port_changes(n->attachments))
                return;
        if (v->ready != before->ready)
                log_info(v->ready ? "network ready" : "network not ready", "node=%s", v->name);
        n->ports_told = attachments_port_changes(n->attachments);
        if (n->opts.changed)
                n->opts.changed(n->opts.userdata);
}

/* They stay when the agent is not ready any more: pods that run go on, and status says what is wrong. */
static void write_files(struct network *n, struct problems *problems)
{
        const struct agent_config *c = n->opts.config;
        _cleanup_strbuf_ struct strbuf node = STRBUF_NULL, list = STRBUF_NULL;
        struct err err = ERR_NULL;
        int res;

        if (!is_ready(n))
                return;
        node_json_text(&n->inputs, n->mtu, &node);
        conflist_text(c, &list);
        res = conflist_write(c->run_dir, "node.json", &node, 0644, &err);
        if (res >= 0)
                res = conflist_write(c->cni_conf_dir, c->cni_conf_name, &list, 0644, &err);
        if (res < 0)
                problems_add(problems, "%s", err.msg);
        else if (res == CONFLIST_WRITTEN)
                log_info("CNI configuration written", "file=%s/%s", c->cni_conf_dir, c->cni_conf_name);
}

static bool keep_pins(void *userdata, uint32_t ifindex)
{
        const struct network *n = userdata;

        for (uint32_t i = 0; i < n->uplinks.count; i++)
                if (n->uplinks.items[i].ifindex == ifindex)
                        return true;
        return ifindex == n->vxlan_ifindex || ifindex == n->lo_ifindex ||
               attachments_has_index(n->attachments, ifindex);
}

static void prune(struct network *n)
{
        n->pruned = true;
        n->dataplane.prune(n->dataplane.userdata, keep_pins, n);
        attachments_prune(n->attachments);
}

/* What was just plugged in is not in the kernel's answers of before. */
static bool plug_pods(struct network *n, struct problems *problems)
{
        uint64_t plugs = attachments_plugs(n->attachments);

        attachments_scan(n->attachments, &n->inputs, problems);
        if (plugs != attachments_plugs(n->attachments) && !network_look_again(n, problems))
                return false;
        plugs = attachments_plugs(n->attachments);
        n->repairs += attachments_check(n->attachments, &n->inputs, n->taken);
        n->taken = false;
        if (plugs != attachments_plugs(n->attachments) && !network_look_again(n, problems))
                return false;
        n->inputs.pods_n = attachments_places(n->attachments, &n->inputs.pods);
        return true;
}

static void run_parts(struct network *n, struct problems *problems)
{
        bool complete = n->synced && n->view.found && has_address(n);
        bool unread;

        repair_devices(n, problems);
        repair_sysctls(n, problems);
        if (!plug_pods(n, problems))
                return;
        unread = attachments_unread(n->attachments);
        repair_routes(n, !complete ? KEEP_ALL : unread ? KEEP_PODS : KEEP_NOTHING, problems);
        repair_orphans(n, problems);
        if (complete && !n->pruned && !unread)
                prune(n);
        write_files(n, problems);
}

void network_round(struct network *n)
{
        _cleanup_(problems_deinit) struct problems problems = PROBLEMS_NULL;
        const struct node_view before = n->view;
        const uint64_t start = clock_mono_ns();

        if (network_look(n, &problems))
                run_parts(n, &problems);
        n->nodes_n = (uint32_t)n->inputs.others_n + n->view.found;
        n->inputs.others_n = 0; /* borrowed */
        n->inputs.pods_n = 0;
        n->rounds_done = true;
        n->round_ns = clock_mono_ns() - start;
        log_debug("round", "us=%llu", (unsigned long long)(n->round_ns / NS_PER_US));
        tell_problem(n, problems_text(&problems));
        tell_view(n, &before);
}

/* ---- the CNI plugin */

static void on_records(void *userdata)
{
        network_dirty(userdata, ROUND_LATER_MS);
}

static void tell_ports(struct network *n)
{
        if (n->ports_told == attachments_port_changes(n->attachments))
                return;
        n->ports_told = attachments_port_changes(n->attachments);
        if (n->opts.changed)
                n->opts.changed(n->opts.userdata);
}

/* The maps are not what is remembered of them: whoever has written there was not this agent. */
static int write_anew(struct network *n, struct err *reterr)
{
        int res;

        routemap_deinit(&n->routes);
        res = routemap_init(&n->routes, n->dataplane.maps->m[MAP_ROUTES], n->dataplane.maps->m[MAP_ROUTE_EPOCH],
                            reterr);
        n->node_written = n->pruned = false;
        attachments_again(n->attachments);
        network_dirty(n, 0);
        log_info("the tables are written anew", "reason=\"somebody asked for it\"");
        if (n->opts.repair)
                n->opts.repair(n->opts.userdata);
        return res;
}

static int serve(void *userdata, const struct request *request, struct strbuf *extra, struct err *reterr)
{
        struct network *n = userdata;
        int res = 0;

        switch (request->op) {
        case REQUEST_ATTACH:
                res = attachments_attach(n->attachments, &n->inputs, request->id, reterr);
                tell_ports(n);
                break;
        case REQUEST_DETACH:
                attachments_detach(n->attachments, request->id);
                tell_ports(n);
                break;
        case REQUEST_STATUS:
                strbuf_printf(extra, ",\"ready\":%s,\"problem\":", n->view.ready ? "true" : "false");
                strbuf_add_json_str(extra, n->problem, strlen(n->problem));
                break;
        case REQUEST_REPAIR:
                res = write_anew(n, reterr);
                break;
        }
        return res;
}

/* ---- life */

/* Two agents would fight about everything. */
static int take_lock(struct network *n, struct err *reterr)
{
        _cleanup_free_ char *path = mem_printf("%s/agent.lock", n->opts.config->run_dir);
        int res = file_mkdirs(n->opts.config->run_dir, 0755, reterr);

        if (res < 0)
                return res;
        n->lock_fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
        if (n->lock_fd < 0)
                return err_set(reterr, -errno, "cannot open %s: %s", path, strerror(errno));
        if (flock(n->lock_fd, LOCK_EX | LOCK_NB) < 0)
                return err_set(reterr, -EBUSY, "another fairlead-agent runs on this node (it holds %s); stop it first",
                               path);
        return 0;
}

static void adopt_node(struct network *n)
{
        const uint32_t zero = 0;
        struct node node;

        if (map_lookup(n->dataplane.maps->m[MAP_NODE], &zero, &node) < 0)
                return;
        n->v4 = node.v4;
        n->v6 = node.v6;
}

static int open_kernel(struct network *n, struct err *reterr)
{
        struct monitor_opts monitor = {.loop = n->opts.loop, .changed = on_kernel_change, .userdata = n};
        int res = rtnl_open(&n->rtnl, reterr);

        if (res < 0)
                return res;
        monitor.own_port = rtnl_port(n->rtnl);
        return monitor_new(&monitor, &n->monitor, reterr);
}

static int open_records(struct network *n, struct err *reterr)
{
        _cleanup_free_ char *folder = mem_printf("%s/attachments", n->opts.config->run_dir);
        const struct attachments_opts opts = {
                .folder = folder, .dataplane = &n->dataplane, .rtnl = n->rtnl, .routes = &n->routes};
        int res = attachments_new(&opts, &n->attachments, reterr);

        return res < 0 ? res : watchdir_new(n->opts.loop, folder, on_records, n, &n->records, reterr);
}

static int open_sock(struct network *n, struct err *reterr)
{
        _cleanup_free_ char *path = mem_printf("%s/agent.sock", n->opts.config->run_dir);
        const struct agentsock_opts opts = {.loop = n->opts.loop, .path = path, .serve = serve, .userdata = n};

        return agentsock_new(&opts, &n->sock, reterr);
}

static int open_all(struct network *n, struct err *reterr)
{
        int res = net_settings_read(n->opts.config, &n->settings, reterr);

        if (res == 0)
                res = take_lock(n, reterr);
        if (res == 0)
                res = routemap_init(&n->routes, n->dataplane.maps->m[MAP_ROUTES], n->dataplane.maps->m[MAP_ROUTE_EPOCH],
                                    reterr);
        if (res == 0)
                res = open_kernel(n, reterr);
        if (res == 0)
                res = open_records(n, reterr);
        if (res == 0)
                res = loop_timer_new(n->opts.loop, on_round, n, &n->round);
        if (res == 0)
                res = loop_timer_new(n->opts.loop, on_tick, n, &n->tick);
        return res;
}

int network_new(const struct network_opts *opts, struct network **ret, struct err *reterr)
{
        struct net_dataplane dataplane;

        net_dataplane_init(&dataplane, opts->datapath);
        return network_new_with(opts, &dataplane, ret, reterr);
}

int network_new_with(const struct network_opts *opts, const struct net_dataplane *dataplane, struct network **ret,
                     struct err *reterr)
{
        _cleanup_(network_freep) struct network *n = mem_new(struct network);
        int res;

        n->opts = *opts;
        n->dataplane = *dataplane;
        n->lock_fd = -1;
        res = open_all(n, reterr);
        if (res < 0)
                return res;
        adopt_node(n);
        /* Before the socket is there: who attaches must find the host's addresses known. */
        network_round(n);
        n->round_ns = 0; /* attaching programs takes longer than rounds do, and the next one is waited for */
        res = open_sock(n, reterr);
        if (res < 0)
                return res;
        informer_add_handler(opts->nodes, on_node_event, n);
        if (opts->service_cidrs)
                informer_add_handler(opts->service_cidrs, on_service_cidr_event, n);
        loop_timer_set(n->tick, TICK_MS);
        *ret = TAKE_PTR(n);
        return 0;
}

void network_free(struct network *n)
{
        if (!n)
                return;
        agentsock_free(n->sock);
        watchdir_free(n->records);
        attachments_free(n->attachments);
        monitor_free(n->monitor);
        rtnl_close(n->rtnl);
        if (n->round)
                loop_timer_free(n->round);
        if (n->tick)
                loop_timer_free(n->tick);
        routemap_deinit(&n->routes);
        net_state_deinit(&n->state);
        net_settings_deinit(&n->settings);
        host_routes_deinit(&n->applied);
        free(n->others);
        free(n->service_cidrs);
        if (n->lock_fd >= 0)
                close(n->lock_fd);
        free(n);
}

void network_synced(struct network *n)
{
        n->synced = true;
        network_dirty(n, ROUND_SOON_MS);
}

/* ---- what others want to know */

const struct node_view *network_node(const struct network *n)
{
        return &n->view;
}

size_t network_host_ports(const struct network *n, const struct host_port **ret)
{
        return attachments_host_ports(n->attachments, ret);
}

size_t network_uplinks(const struct network *n, const struct uplink_status **ret)
{
        *ret = n->uplink_status;
        return n->uplinks.count;
}

struct node_visit {
        void (*fn)(void *userdata, const char *name, const struct addr *addresses, size_t count);
        void *userdata;
};

static void visit_node(void *userdata, const char *key, void *value)
{
        const struct node_visit *v = userdata;
        const struct node_summary *s = value;

        v->fn(v->userdata, s->name, s->addresses, s->addresses_n);
}

void network_each_node(const struct network *n,
                       void (*fn)(void *userdata, const char *name, const struct addr *addresses, size_t count),
                       void *userdata)
{
        struct node_visit v = {.fn = fn, .userdata = userdata};

        informer_each(n->opts.nodes, visit_node, &v);
}

void network_stats(const struct network *n, struct network_stats *ret)
{
        const struct pod_place *places;

        memset(ret, 0, sizeof(*ret));
        ret->pods = (uint32_t)attachments_places(n->attachments, &places);
        ret->nodes = n->nodes_n;
        ret->uplinks = n->uplinks.count;
        for (uint32_t i = 0; i < n->uplinks.count; i++)
                ret->uplinks_xdp += n->uplink_status[i].xdp != ATTACH_NONE;
        ret->repairs = n->repairs;
        ret->attach_failures = attachments_failures(n->attachments);
        ret->pod_mtu = n->mtu;
        str_copy(ret->problem, sizeof(ret->problem), n->problem);
}
