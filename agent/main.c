/* SPDX-License-Identifier: Apache-2.0 */
/* fairlead-agent: puts the parts together, and takes them apart. */
#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <string.h>

#include "agent/caps.h"
#include "agent/check/check.h"
#include "agent/health.h"
#include "agent/status.h"
#include "base/clock.h"
#include "base/file.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/str.h"
#include "base/supervisor.h"
#include "datapath/stale.h"

#define STALE_SOON_MS  100   /* after a sync: what lost its backend is closed */
#define STALE_EVERY_MS 30000 /* and what came up meanwhile */
#define SOCK_CHECK_MS  500   /* whether the programs of the cgroup are still attached */
#define WAIT_API_MS    20000 /* then systemd hears that the agent runs, though it waits for the API server */

struct agent {
        struct agent_config config;
        struct loop *loop;
        struct kubeconfig *kubeconfig;
        struct kube_client *client;
        struct events *events;
        struct datapath *datapath;
        struct informer *nodes, *service_cidrs;
        struct network *network;
        struct services_api *services_api;
        struct services *services;
        struct metrics *metrics;
        struct health *health;
        struct status *status;
        struct stale *stale; /* NULL until it is needed first */
        bool stale_unsupported;
        struct loop_timer *stale_timer, *wait_timer, *sock_timer;
        struct loop_signal *term, *interrupt;
        uint64_t start_ns;
        char *const *arguments;
        bool ending;
};

/* ---- the datapath ---- */

/* 0: the tunnel's header is the device's alone. */
static uint16_t tunnel_port(const struct agent_config *c)
{
        return c->routing == ROUTING_VXLAN && c->vxlan_direct ? (uint16_t)c->vxlan_port : 0;
}

static uint32_t flow_sets(uint32_t entries)
{
        uint32_t sets = 1;

        while (sets < entries / FLOW_WAYS)
                sets *= 2;
        return sets;
}

static uint32_t knob_flags(const struct agent_config *c)
{
        return (c->routing == ROUTING_VXLAN ? KNOB_TUNNEL : 0) | (c->masquerade ? KNOB_MASQUERADE : 0) |
               (c->socket_path ? KNOB_SOCK : 0) | (c->nodeport_loopback ? KNOB_NODEPORT_LOOPBACK : 0) |
               (c->bind_protect ? KNOB_BIND_PROTECT : 0);
}

static void tell_fallbacks(const struct features *f)
{
#define X(name, necessary, use, without)                                                                               \
        if (!f->name)                                                                                                  \
                log_info("the kernel lacks a feature", "feature=%s use=%s instead=%s", #name, use, without);
        FEATURES(X)
#undef X
}

/* The kernel's verifier takes a third of a second, and so does the list of the API where it is long: they go side by
 * side, one in a thread of its own and the other in the loop. */
struct opening {
        struct agent *agent;
        struct datapath_opts opts;
        struct err err;
        int result;
        bool done;
};

static void on_opened(void *userdata)
{
        struct opening *o = userdata;

        o->done = true;
        loop_stop(o->agent->loop);
}

static void *open_in_thread(void *userdata)
{
        struct opening *o = userdata;

        o->result = datapath_open(&o->opts, &o->agent->datapath, &o->err);
        loop_post(o->agent->loop, on_opened, o);
        return NULL;
}

static int open_beside_loop(struct agent *a, const struct datapath_opts *opts, struct err *reterr)
{
        struct opening o = {.agent = a, .opts = *opts};
        pthread_t thread;
        int r = 0;

        if (pthread_create(&thread, NULL, open_in_thread, &o))
                return datapath_open(opts, &a->datapath, reterr);
        while (!o.done && !r)
                r = loop_run(a->loop);
        pthread_join(thread, NULL);
        if (o.result)
                return err_set(reterr, o.result, "%s", o.err.msg);
        return r;
}

static int open_datapath(struct agent *a, struct err *reterr)
{
        const struct agent_config *c = &a->config;
        struct datapath_opts opts = {
                .pin_root = c->pin_root,
                .cgroup_root = c->cgroup_root,
                .knobs = {.flags = knob_flags(c),
                          .flow_sets = flow_sets(c->flow_entries),
                          .mark = c->mark,
                          .vni = c->vni,
                          .snat_port_min = (uint16_t)c->snat_port_min,
                          .snat_port_max = (uint16_t)c->snat_port_max,
                          .timeouts = c->timeouts,
                          .pod_mtu = c->mtu,
                          .drop_events_per_s = c->drop_events_per_s,
                          .vxlan_port = tunnel_port(c)},
                .sizes = c->sizes,
                .no_xdp = !c->xdp,
                .xdp_generic_ok = c->xdp_generic,
                .no_tcx = !c->tcx,
        };
        int r = open_beside_loop(a, &opts, reterr);

        if (!r)
                tell_fallbacks(datapath_features(a->datapath));
        return r;
}

/* ---- sockets whose backend is gone ---- */

/* False: not on this kernel, or not now. Its programs are loaded after the start, in which nobody waits for them. */
static bool open_stale(struct agent *a)
{
        bool fresh = !a->stale && !a->stale_unsupported;
        struct err err = ERR_NULL;
        int r = fresh ? stale_new(datapath_maps(a->datapath), &a->stale, &err) : 0;

        if (r == STALE_UNSUPPORTED) {
                a->stale_unsupported = true;
                log_info("connected UDP sockets stay with backends that are gone", "reason=%s", err.msg);
        } else if (r)
                log_limited(LOG_LEVEL_WARN, 60000, "sockets without backend cannot be looked for", "error=%s", err.msg);
        else if (fresh)
                mem_trim(); /* of the kernel's types, which libbpf has read */
        return a->stale;
}

static void on_stale_timer(void *userdata)
{
        struct agent *a = userdata;
        struct stale_result result = {0};
        struct err err = ERR_NULL;

        if (!a->stale_unsupported)
                loop_timer_set(a->stale_timer, STALE_EVERY_MS);
        if (!open_stale(a))
                return;
        if (stale_sweep(a->stale, &result, &err))
                log_limited(LOG_LEVEL_WARN, 60000, "sockets without backend cannot be closed", "error=%s", err.msg);
        else if (result.sockets)
                log_debug("sockets without backend were closed", "sockets=%u namespaces=%u", result.sockets,
                          result.namespaces);
}

static int watch_stale(struct agent *a)
{
        int r = loop_timer_new(a->loop, on_stale_timer, a, &a->stale_timer);

        if (!r)
                loop_timer_set(a->stale_timer, STALE_EVERY_MS);
        return r;
}

/* ---- what happens ---- */

static void on_network_changed(void *userdata)
{
        struct agent *a = userdata;
        const struct host_port *ports;
        size_t n;

        if (!a->network || !a->services)
                return;
        n = network_host_ports(a->network, &ports);
        services_set_node(a->services, network_node(a->network), ports, n);
        if (a->status)
                status_changed(a->status);
}

static void on_repair(void *userdata)
{
        struct agent *a = userdata;

        if (a->services)
                services_repair(a->services);
}

static void on_services_changed(void *userdata)
{
        struct agent *a = userdata;

        if (a->status)
                status_changed(a->status);
        if (a->health)
                health_changed(a->health);
        if (a->stale_timer && !a->stale_unsupported)
                loop_timer_set(a->stale_timer, STALE_SOON_MS);
}

static void on_services_synced(void *userdata)
{
        struct agent *a = userdata;
        struct services_stats s;

        mem_trim(); /* of what the start needed */
        services_stats(a->services, &s);
        log_info("ready", "services=%zu slices=%zu start_ms=%llu", s.services, s.slices,
                 (unsigned long long)((clock_mono_ns() - a->start_ns) / NS_PER_MS));
        supervisor_notify("READY=1\nSTATUS=in step with the API server");
        if (a->status)
                status_changed(a->status);
}

/* Puts back what somebody else has detached: the kernel tells nobody. */
static void on_sock_timer(void *userdata)
{
        struct agent *a = userdata;
        struct err err = ERR_NULL;

        loop_timer_set(a->sock_timer, SOCK_CHECK_MS);
        if (datapath_sock_attached(a->datapath))
                return;
        if (datapath_attach_sock(a->datapath, &err))
                log_warn("programs of the cgroup are gone and cannot be attached again", "error=%s", err.msg);
        else
                log_warn("programs of the cgroup were gone and are attached again", "");
}

/* systemd ends what does not get ready in time (90 s), and would end it again and again while the API server is away.
 */
static void on_wait_timer(void *userdata)
{
        struct agent *a = userdata;

        if (services_is_synced(a->services))
                return;
        log_warn("the API server has not told its state yet; what is in the tables is served", "wait_s=%d",
                 WAIT_API_MS / 1000);
        supervisor_notify("READY=1\nSTATUS=waiting for the API server");
}

static void on_nodes_synced(void *userdata)
{
        struct agent *a = userdata;

        network_synced(a->network);
        on_network_changed(a);
}

static void on_signal(void *userdata)
{
        struct agent *a = userdata;

        log_info("ending; the tables stay and traffic goes on", "pid=%d", getpid());
        supervisor_notify("STOPPING=1");
        a->ending = true;
        loop_stop(a->loop);
}

/* ---- start ---- */

static int start_api(struct agent *a, struct err *reterr)
{
        int r = kubeconfig_find(a->config.kubeconfig, &a->kubeconfig, reterr);

        if (r < 0)
                return err_prefix(reterr, r, "no way to the API (--kubeconfig names a kubeconfig)");
        r = kube_client_new(&(struct kube_client_opts){.config = a->kubeconfig, .loop = a->loop}, &a->client, reterr);
        if (!r)
                r = events_new(&(struct events_opts){.client = a->client,
                                                     .component = "fairlead-agent",
                                                     .host = a->config.node_name},
                               &a->events);
        if (!r)
                r = informer_new(&(struct informer_opts){.client = a->client,
                                                         .path = "/api/v1/nodes",
                                                         .project = network_project_node,
                                                         .release = network_release_node},
                                 &a->nodes);
        if (!r && !a->config.service_cidrs.count)
                r = informer_new(&(struct informer_opts){.client = a->client,
                                                         .path = "/apis/networking.k8s.io/v1/servicecidrs",
                                                         .project = network_project_service_cidr,
                                                         .release = network_release_service_cidr},
                                 &a->service_cidrs);
        if (r)
                return r;
        informer_start(a->nodes);
        if (a->service_cidrs)
                informer_start(a->service_cidrs);
        return services_api_new(&a->config, a->client, &a->services_api);
}

static int start_network(struct agent *a, struct err *reterr)
{
        struct network_opts opts = {.loop = a->loop,
                                    .config = &a->config,
                                    .datapath = a->datapath,
                                    .nodes = a->nodes,
                                    .service_cidrs = a->service_cidrs,
                                    .events = a->events,
                                    .own_node = a->config.node_name,
                                    .by_packets = !datapath_serves_sockets(a->datapath),
                                    .changed = on_network_changed,
                                    .repair = on_repair,
                                    .userdata = a};

        return network_new(&opts, &a->network, reterr);
}

static int start_services(struct agent *a, struct err *reterr)
{
        struct services_opts opts = {.loop = a->loop,
                                     .config = &a->config,
                                     .maps = datapath_maps(a->datapath),
                                     .events = a->events,
                                     .synced = on_services_synced,
                                     .changed = on_services_changed,
                                     .userdata = a};
        int r = services_new(&opts, &a->services, reterr);

        if (r)
                return r;
        a->metrics = metrics_agent_new(a->services, opts.maps);
        r = status_new(&(struct status_opts){.loop = a->loop,
                                             .config = &a->config,
                                             .features = datapath_features(a->datapath),
                                             .services = a->services,
                                             .network = a->network,
                                             .arguments = a->arguments},
                       &a->status, reterr);
        if (!r)
                r = health_new(&(struct health_opts){.loop = a->loop,
                                                     .config = &a->config,
                                                     .services = a->services,
                                                     .network = a->network,
                                                     .metrics = a->metrics},
                               &a->health, reterr);
        return r;
}

/* Everything that needs more rights comes before the rights go. */
static int start(struct agent *a, struct err *reterr)
{
        int r = file_mkdirs(a->config.run_dir, 0755, reterr);

        if (!r)
                r = loop_new(&a->loop);
        if (!r)
                r = loop_signal_new(a->loop, SIGTERM, on_signal, a, &a->term);
        if (!r)
                r = loop_signal_new(a->loop, SIGINT, on_signal, a, &a->interrupt);
        if (!r)
                r = start_api(a, reterr); /* a kubeconfig that is wrong changes nothing on the node */
        if (!r)
                r = open_datapath(a, reterr);
        if (!r)
                r = start_network(a, reterr);
        if (!r)
                r = start_services(a, reterr);
        if (!r)
                r = datapath_serves_sockets(a->datapath) ? datapath_attach_sock(a->datapath, reterr)
                                                         : datapath_detach_sock(a->datapath);
        if (!r)
                r = watch_stale(a);
        return r ? r : caps_drop(reterr);
}

static int follow(struct agent *a)
{
        int r = loop_timer_new(a->loop, on_wait_timer, a, &a->wait_timer);

        if (!r)
                r = loop_timer_new(a->loop, on_sock_timer, a, &a->sock_timer);
        if (r)
                return r;
        loop_timer_set(a->wait_timer, WAIT_API_MS);
        if (a->config.socket_path && datapath_features(a->datapath)->cgroup_v2)
                loop_timer_set(a->sock_timer, SOCK_CHECK_MS);
        informer_on_synced(a->nodes, on_nodes_synced, a);
        if (informer_has_synced(a->nodes))
                on_nodes_synced(a);
        else
                on_network_changed(a);
        status_changed(a->status);
        services_watch(a->services, TAKE_PTR(a->services_api));
        return 0;
}

static void stop(struct agent *a)
{
        health_free(a->health);
        status_free(a->status);
        metrics_agent_free(a->metrics);
        services_free(a->services);
        services_api_free(a->services_api);
        informer_free(a->nodes);
        informer_free(a->service_cidrs);
        network_free(a->network);
        loop_timer_free(a->stale_timer);
        loop_timer_free(a->wait_timer);
        loop_timer_free(a->sock_timer);
        stale_free(a->stale);
        events_free(a->events);
        kube_client_free(a->client);
        kubeconfig_free(a->kubeconfig);
        datapath_close(a->datapath);
        loop_signal_free(a->term);
        loop_signal_free(a->interrupt);
        loop_free(a->loop);
}

static int run(struct agent *a, struct err *reterr)
{
        int r = start(a, reterr);

        if (!r)
                r = follow(a);
        if (!r && !a->ending)
                r = loop_run(a->loop);
        stop(a);
        return r;
}

static int cleanup(const struct agent_config *c, struct err *reterr)
{
        _cleanup_free_ char *path = mem_printf("%s/status.json", c->run_dir);
        int r = network_cleanup(c, reterr);

        if (r) /* an agent runs, whose file it is */
                return r;
        unlink(path);
        return datapath_cleanup(c->pin_root, reterr);
}

int main(int argc, char **argv)
{
        struct agent a = {.start_ns = clock_mono_ns()};
        struct err err = ERR_NULL;
        bool clean = argc > 1 && str_eq(argv[1], "cleanup"), check = argc > 1 && str_eq(argv[1], "check");
        bool repair = check && argc > 2 && str_eq(argv[2], "--repair");
        int words = clean + check + repair;
        enum log_level level = LOG_LEVEL_INFO;
        int r = agent_config_parse(argc - words, argv + words, &a.config, &err);

        if (r == CONFIG_EXIT)
                return 0;
        if (r) {
                fprintf(stderr, "fairlead-agent: %s\n", err.msg);
                return 2;
        }
        a.arguments = argv + 1;
        log_level_parse(a.config.log_level, &level);
        log_init(check ? "check" : "agent", check ? MAX(level, LOG_LEVEL_WARN) : level);
        signal(SIGPIPE, SIG_IGN);
        mem_keep_little();
        r = check ? check_run(&a.config, repair, &err) : clean ? cleanup(&a.config, &err) : run(&a, &err);
        if (r)
                fprintf(stderr, "fairlead-agent: %s\n", *err.msg ? err.msg : strerror(-r));
        agent_config_deinit(&a.config);
        return r ? 1 : 0;
}
