/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/socket.h>
#include <sys/un.h>

#include "agent/check/check.h"
#include "agent/check/network.h"
#include "agent/services.h"
#include "base/json.h"
#include "base/mem.h"
#include "base/str.h"
#include "bpf/abi/maps.h"
#include "datapath/map_ops.h"
#include "kube/informer.h"

#define WAIT_API_MS   30000
#define WAIT_CIDRS_MS 2000 /* an API server may not serve them */
#define AGAIN_MS      1000 /* until what differs is looked at again */
#define ANSWER_S      10

struct check {
        const struct agent_config *config;
        struct loop *loop;
        struct loop_timer *timer;
        bool timed_out;
        struct kubeconfig *kubeconfig;
        struct kube_client *client;
        struct informer *nodes, *service_cidrs;
        struct maps have, want;
        struct services *services; /* into want */
        struct net_check *net;
        struct check_counts counts;
};

/* ---- waiting ---- */

static void on_timer(void *userdata)
{
        struct check *c = userdata;

        c->timed_out = true;
        loop_stop(c->loop);
}

static void on_progress(void *userdata)
{
        loop_stop(((struct check *)userdata)->loop);
}

/* True when `done` is before the time is over. */
static int wait_until(struct check *c, bool (*done)(const struct check *c), uint64_t ms)
{
        int r = 0;

        c->timed_out = false;
        loop_timer_set(c->timer, ms);
        while (!r && !done(c) && !c->timed_out)
                r = loop_run(c->loop);
        return r < 0 ? r : done(c);
}

static bool nodes_are_there(const struct check *c)
{
        return informer_has_synced(c->nodes);
}

static bool cidrs_are_there(const struct check *c)
{
        return !c->service_cidrs || informer_has_synced(c->service_cidrs);
}

static bool services_are_there(const struct check *c)
{
        return services_is_synced(c->services);
}

static bool never(const struct check *c)
{
        return false;
}

static int wait_for_api(struct check *c, bool (*done)(const struct check *c), const char *what, struct err *reterr)
{
        int r = wait_until(c, done, WAIT_API_MS);

        if (r < 0)
                return err_set(reterr, r, "waiting for the API server: %s", strerror(-r));
        return r ? 0
                 : err_set(reterr, -ETIMEDOUT, "the API server has not told its %s for %d s (kubeconfig %s)", what,
                           WAIT_API_MS / 1000, c->config->kubeconfig ? c->config->kubeconfig : "as found");
}

/* ---- what should be ---- */

static int open_api(struct check *c, struct err *reterr)
{
        struct informer_opts nodes = {
                .path = "/api/v1/nodes", .project = network_project_node, .release = network_release_node};
        struct informer_opts cidrs = {.path = "/apis/networking.k8s.io/v1/servicecidrs",
                                      .project = network_project_service_cidr,
                                      .release = network_release_service_cidr};
        int r = kubeconfig_find(c->config->kubeconfig, &c->kubeconfig, reterr);

        if (r < 0)
                return err_prefix(reterr, r, "no way to the API (--kubeconfig names a kubeconfig)");
        r = kube_client_new(&(struct kube_client_opts){.config = c->kubeconfig, .loop = c->loop}, &c->client, reterr);
        nodes.client = cidrs.client = c->client;
        if (!r)
                r = informer_new(&nodes, &c->nodes);
        if (!r && !c->config->service_cidrs.count)
                r = informer_new(&cidrs, &c->service_cidrs);
        if (r)
                return r;
        informer_on_synced(c->nodes, on_progress, c);
        informer_start(c->nodes);
        if (c->service_cidrs) {
                informer_on_synced(c->service_cidrs, on_progress, c);
                informer_start(c->service_cidrs);
        }
        return 0;
}

/* Empty tables in memory, as large as the kernel's, so that what finds no room there finds none here. */
static int make_tables(struct check *c)
{
        for (int id = 0; id < MAP_COUNT; id++) {
                struct map_info info = *map_info(c->have.m[id]);
                int r;

                if (id == MAP_FLOWS || id == MAP_FLOW_MARKS)
                        info.max_entries = 1;
                r = map_new_fake(&info, map_layout((enum map_id)id)->array, &c->want.m[id]);
                if (r)
                        return r;
        }
        return 0;
}

static int open_tables(struct check *c, struct err *reterr)
{
        int r = maps_open_pinned(&c->have, c->config->pin_root, false, reterr);

        if (!r)
                r = make_tables(c);
        if (!r)
                r = net_check_new(c->config, c->nodes, c->service_cidrs, &c->have, &c->net, reterr);
        return r;
}

/* The services' side by the agent's own steps, into these maps. Returns when they are what the API wants. */
static int fill(struct check *c, struct maps *maps, struct services **ret, struct err *reterr)
{
        struct services_opts opts = {
                .loop = c->loop, .config = c->config, .maps = maps, .synced = on_progress, .userdata = c};
        struct services_api *api;
        const struct host_port *ports;
        size_t n = net_check_host_ports(c->net, &ports);
        int r = services_new(&opts, ret, reterr);

        if (r)
                return r;
        c->services = *ret;
        services_set_node(*ret, net_check_node(c->net), ports, n);
        r = services_api_new(c->config, c->client, &api);
        if (r)
                return r;
        services_watch(*ret, api);
        return wait_for_api(c, services_are_there, "Services and EndpointSlices", reterr);
}

static int open_all(struct check *c, struct services **ret, struct err *reterr)
{
        int r = loop_new(&c->loop);

        if (!r)
                r = loop_timer_new(c->loop, on_timer, c, &c->timer);
        if (!r)
                r = open_api(c, reterr);
        if (!r)
                r = open_tables(c, reterr);
        if (!r)
                r = wait_for_api(c, nodes_are_there, "Nodes", reterr);
        if (!r)
                r = MIN(wait_until(c, cidrs_are_there, WAIT_CIDRS_MS), 0);
        if (!r)
                r = net_check_look(c->net, reterr);
        return r ? r : fill(c, &c->want, ret, reterr);
}

static void close_all(struct check *c)
{
        informer_free(c->nodes);
        informer_free(c->service_cidrs);
        net_check_free(c->net);
        maps_deinit(&c->have);
        maps_deinit(&c->want);
        kube_client_free(c->client);
        kubeconfig_free(c->kubeconfig);
        loop_timer_free(c->timer);
        loop_free(c->loop);
}

/* ---- comparing ---- */

static int compare_once(struct check *c, struct findings *ret, struct err *reterr)
{
        int r = net_check_look(c->net, reterr);

        if (r)
                return r;
        c->counts = (struct check_counts){0};
        net_check_compare(c->net, ret, &c->counts);
        r = check_services(&c->have, &c->want, ret, &c->counts);
        return r ? err_set(reterr, r, "the pinned maps cannot be read: %s", strerror(-r)) : 0;
}

static int compare(struct check *c, struct findings *ret, struct err *reterr)
{
        _cleanup_(findings_deinit) struct findings first = FINDINGS_NULL;
        int r = compare_once(c, &first, reterr);

        if (r || !first.n)
                return r;
        r = wait_until(c, never, AGAIN_MS);
        if (r >= 0)
                r = compare_once(c, ret, reterr);
        if (!r)
                findings_keep_common(ret, &first);
        return r;
}

/* ---- repairing ---- */

static int ask_agent(const struct agent_config *config, struct err *reterr)
{
        static const char request[] = "{\"op\":\"repair\"}\n";
        _cleanup_free_ char *path = mem_printf("%s/agent.sock", config->run_dir);
        _cleanup_close_ int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
        const struct timeval patience = {.tv_sec = ANSWER_S};
        struct sockaddr_un to = {.sun_family = AF_UNIX};
        char answer[1024];
        ssize_t n;

        if (!str_copy(to.sun_path, sizeof(to.sun_path), path))
                return err_set(reterr, -ENAMETOOLONG, "%s is too long for a socket's name", path);
        setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof(patience));
        if (connect(fd, (struct sockaddr *)&to, sizeof(to)) || send(fd, request, sizeof(request) - 1, MSG_NOSIGNAL) < 0)
                return err_set(reterr, -errno, "the agent that runs cannot be asked: %s: %s", path, strerror(errno));
        n = recv(fd, answer, sizeof(answer) - 1, 0);
        if (n <= 0)
                return err_set(reterr, -EIO, "the agent that runs does not answer at %s", path);
        answer[n] = '\0';
        if (!strstr(answer, "\"ok\":true"))
                return err_set(reterr, -EIO, "the agent that runs cannot repair: %s", answer);
        return 0;
}

static int repair_alone(struct check *c, struct err *reterr)
{
        struct services *services = NULL;
        int r = net_check_repair(c->net, reterr);

        if (!r)
                r = fill(c, &c->have, &services, reterr);
        if (!r) {
                services_repair(services);
                services_sync(services);
                wait_until(c, never, AGAIN_MS); /* backends that go, go a little later */
        }
        services_free(services);
        return r;
}

/* Who has the lock is the only writer of the maps. */
static int repair(struct check *c, struct err *reterr)
{
        _cleanup_free_ char *path = mem_printf("%s/agent.lock", c->config->run_dir);
        _cleanup_close_ int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);

        if (fd < 0)
                return err_set(reterr, -errno, "cannot open %s: %s", path, strerror(errno));
        if (!flock(fd, LOCK_EX | LOCK_NB))
                return repair_alone(c, reterr);
        return ask_agent(c->config, reterr);
}

/* ---- telling ---- */

static void print(const struct check *c, const struct findings *found, bool repaired, size_t before)
{
        _cleanup_json_ struct json_object *o = json_object_new_object();
        struct json_object *compared = json_object_new_object(), *list = json_object_new_array();
        _cleanup_strbuf_ struct strbuf b = STRBUF_NULL;

        json_set_str(o, "node", c->config->node_name);
        json_set_i64(compared, "frontends", (int64_t)c->counts.frontends);
        json_set_i64(compared, "endpoints", (int64_t)c->counts.endpoints);
        json_set_i64(compared, "routes", (int64_t)c->counts.routes);
        json_set_i64(compared, "pods", (int64_t)c->counts.pods);
        json_set(o, "compared", compared);
        for (size_t i = 0; i < found->n; i++) {
                struct json_object *e = json_object_new_object();

                json_set_str(e, "table", found->items[i].table);
                json_set_str(e, "object", found->items[i].object);
                json_set_str(e, "difference", found->items[i].text);
                json_object_array_add(list, e);
        }
        json_set(o, "differences", list);
        json_set_i64(o, "repaired", repaired ? (int64_t)before - (int64_t)MIN(before, found->n) : 0);
        json_write(&b, o);
        printf("%s\n", b.data);
}

static int run(struct check *c, bool want_repair, struct err *reterr)
{
        _cleanup_(findings_deinit) struct findings found = FINDINGS_NULL;
        size_t before;
        int r = compare(c, &found, reterr);

        before = found.n;
        if (!r && want_repair && before) {
                r = repair(c, reterr);
                if (!r)
                        r = MIN(wait_until(c, never, AGAIN_MS), 0);
                findings_deinit(&found);
                if (!r)
                        r = compare(c, &found, reterr);
        }
        if (!r)
                print(c, &found, want_repair, before);
        return r;
}

int check_run(const struct agent_config *config, bool want_repair, struct err *reterr)
{
        struct check c = {.config = config};
        struct services *services = NULL;
        int r = open_all(&c, &services, reterr);

        if (!r)
                r = run(&c, want_repair, reterr);
        services_free(services);
        close_all(&c);
        return r;
}
