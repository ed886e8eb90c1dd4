/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/kubelet/kubelet.h"

#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "agent/kubelet/metrics.h"
#include "agent/kubelet/node/node.h"
#include "agent/kubelet/runtime/builtin/builtin.h"
#include "agent/kubelet/server/server.h"
#include "agent/kubelet/sources/api.h"
#include "agent/kubelet/sources/static.h"
#include "base/clock.h"
#include "base/file.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/str.h"
#include "base/supervisor.h"
#include "base/web.h"

#define CALLS_AT_A_TIME  4
#define TRIM_MS          5000
#define COLLECT_MS       (3600 * 1000)
#define NETWORK_GRACE_MS 30000
#define POD_MAX_PIDS     16384

struct kubelet {
        const struct kubelet_config *config;
        struct loop *loop;
        struct children *children;
        struct cgroups cgroups;
        struct kubeconfig *kubeconfig;
        struct kube_client *watches; /* what never ends, and the node's own calls, which wait for nobody */
        struct kube_client *calls;   /* of pods, of which many may come at a time */
        struct events *events;
        struct runtime runtime;
        struct images *images;
        struct objects *objects;
        struct volumes *volumes;
        struct service_links *services;
        struct handlers *handlers;
        struct probes *probes;
        struct pods *pods;
        struct node *node;
        struct kubelet_server *server;
        struct source_static *statics;
        struct source_api *api;
        struct web *web;
        struct loop_timer *collect, *trim;
        struct spec_node spec_node;
        const char *ips[NODE_IPS_MAX + 1];
        char client_ca[512];
        bool network_was_ready;
        uint64_t network_bad_ms; /* since when; 0: it is good */
};

/* ---- what rooms tell each other ---- */

static void poke(void *userdata, const char *uid)
{
        struct kubelet *k = userdata;

        if (k->pods)
                pods_poke(k->pods, uid);
}

static int admit(void *userdata, const struct json_object *pod, char reason[static 64], struct err *reterr)
{
        struct kubelet *k = userdata;

        return node_admit(k->node, pod, reason, reterr);
}

static const struct json_object *own_node(void *userdata)
{
        struct kubelet *k = userdata;

        return k->node ? node_object(k->node) : NULL;
}

/* Pods ask for the node's addresses. */
static void learn_addresses(struct kubelet *k)
{
        const struct node_ips *found = node_addresses(k->node);
        size_t n = 0;

        for (size_t i = 0; i < NODE_IPS_MAX && *found->text[i]; i++)
                k->ips[n++] = found->text[i];
        k->ips[n] = NULL;
}

/* Whether a pod fits is asked once. Before the Node was read, its labels and taints are those that it was first made
 * with, and a pod that was bound by later ones would be refused for ever. */
static void start_api_pods(struct kubelet *k)
{
        if (k->api && node_is_seen(k->node))
                source_api_start(k->api);
}

static void on_node(void *userdata)
{
        struct kubelet *k = userdata;

        learn_addresses(k);
        start_api_pods(k);
        pods_poke(k->pods, NULL);
}

static void on_mirror(void *userdata, const char *key, const char *static_uid, struct json_object *mirror)
{
        struct kubelet *k = userdata;

        if (k->statics)
                source_static_mirror(k->statics, key, static_uid, mirror);
}

static void on_synced(void *userdata)
{
        struct kubelet *k = userdata;

        if (k->statics)
                source_static_synced(k->statics);
        pods_sources_ready(k->pods);
        node_sources_ready(k->node);
        log_info("in step with the API server", "");
        supervisor_notify("READY=1\nSTATUS=in step with the API server");
}

/* ---- health ---- */

static void metrics(void *userdata, struct strbuf *b)
{
        struct kubelet *k = userdata;

        kubelet_metrics(k->pods, k->node, b);
}

static void on_web(void *userdata, const char *path, struct web_answer *ret)
{
        if (str_eq(path, "/healthz") || str_eq(path, "/livez") || str_eq(path, "/readyz")) {
                ret->status = 200;
                strbuf_add_str(&ret->body, "ok\n");
        } else if (str_eq(path, "/metrics")) {
                ret->status = 200;
                ret->content_type = "text/plain; version=0.0.4";
                metrics(userdata, &ret->body);
        }
}

/* Pods come in bursts, and a burst takes several times the memory of what it leaves. */
static void trim(void *userdata)
{
        struct kubelet *k = userdata;

        mem_trim();
        loop_timer_set(k->trim, TRIM_MS);
}

/* What crashes and boots have left of the pod network. */
static void collect_network(void *userdata)
{
        struct kubelet *k = userdata;

        builtin_network_collect(&k->runtime, NULL, NULL);
        loop_timer_set(k->collect, COLLECT_MS);
}

/* ---- the beginning ---- */

static int find_cgroups(struct kubelet *k, struct err *reterr)
{
        _cleanup_free_ char *text = NULL;
        size_t n;
        int r = file_read("/proc/self/mountinfo", 16 << 20, &text, &n, reterr);

        return r ?: cgroups_find(text, &k->cgroups, reterr);
}

static int connect_api(struct kubelet *k, uint32_t max_calls, struct kube_client **ret, struct err *reterr)
{
        return kube_client_new(&(struct kube_client_opts){.config = k->kubeconfig,
                                                          .loop = k->loop,
                                                          .user_agent = "fairlead-kubelet",
                                                          .qps = 1e9,
                                                          .burst = 1000000,
                                                          .max_calls = max_calls},
                               ret, reterr);
}

static int start_api(struct kubelet *k, struct err *reterr)
{
        const struct kubelet_config *c = k->config;
        int r = kubeconfig_find(c->kubeconfig, &k->kubeconfig, reterr);

        if (r < 0)
                return err_prefix(reterr, r, "no way to the API (--kubeconfig names a kubeconfig)");
        r = connect_api(k, 0, &k->watches, reterr);
        if (!r)
                r = connect_api(k, CALLS_AT_A_TIME, &k->calls, reterr);
        if (!r)
                r = events_new(&(struct events_opts){.client = k->calls, .component = "kubelet", .host = c->node_name},
                               &k->events);
        return r;
}

static int start_runtime(struct kubelet *k, struct err *reterr)
{
        const struct kubelet_config *c = k->config;
        int r = children_new(k->loop, &k->children);

        if (!r)
                r = loop_timer_new(k->loop, collect_network, k, &k->collect);
        if (!r)
                r = loop_timer_new(k->loop, trim, k, &k->trim);
        if (!r)
                r = find_cgroups(k, reterr);
        if (!r)
                r = images_new(&(struct images_opts){.loop = k->loop,
                                                     .children = k->children,
                                                     .skopeo = c->skopeo,
                                                     .umoci = c->umoci,
                                                     .folder = c->image_dir,
                                                     .registries_conf = c->registries_conf,
                                                     .cert_folder = c->registry_certs,
                                                     .disk_folder = c->image_disk_folder,
                                                     .max_bytes = c->image_max_bytes,
                                                     .parallel_pulls = c->parallel_pulls},
                               &k->images, reterr);
        if (!r)
                r = builtin_new(&(struct builtin_opts){.loop = k->loop,
                                                       .children = k->children,
                                                       .images = {k->images, images_mount},
                                                       .cgroups = &k->cgroups,
                                                       .run_folder = c->run_dir,
                                                       .state_folder = c->root_dir,
                                                       .shim = c->shim,
                                                       .crun = c->crun,
                                                       .cni_conf_folder = c->cni_conf_dir,
                                                       .cni_bin_folders = c->cni_bin_dirs,
                                                       .cni_timeout_ms = (uint64_t)c->cni_timeout_ms,
                                                       .log_max_bytes = (uint32_t)MIN(c->log_max_bytes, UINT32_MAX),
                                                       .log_max_files = c->log_max_files},
                                &k->runtime, reterr);
        return r;
}

static int start_furnishing(struct kubelet *k, struct err *reterr)
{
        int r = objects_new(&(struct objects_opts){.client = k->watches, .changed = poke, .userdata = k}, &k->objects);

        if (!r)
                r = volumes_new(&(struct volumes_opts){.loop = k->loop,
                                                       .client = k->calls,
                                                       .objects = k->objects,
                                                       .root = k->config->root_dir,
                                                       .node_name = k->config->node_name,
                                                       .changed = poke,
                                                       .userdata = k},
                                &k->volumes, reterr);
        if (!r)
                r = service_links_new(k->watches, &k->services);
        if (!r)
                r = handlers_new(&(struct handlers_opts){.loop = k->loop, .runtime = &k->runtime}, &k->handlers,
                                 reterr);
        if (!r)
                r = probes_new(&(struct probes_opts){.loop = k->loop,
                                                     .handlers = k->handlers,
                                                     .events = k->events,
                                                     .changed = poke,
                                                     .userdata = k},
                               &k->probes);
        return r;
}

/* A fork bomb shall not be the node's. */
static int64_t pids_limit(const struct kubelet *k)
{
        return k->config->pod_max_pids ?: k->cgroups.in_v2[CGROUP_PIDS] ? POD_MAX_PIDS : 0;
}

static int start_pods(struct kubelet *k, struct err *reterr)
{
        const struct kubelet_config *c = k->config;

        k->spec_node = (struct spec_node){.name = c->node_name,
                                          .ips = k->ips,
                                          .cluster_dns = c->cluster_dns.items,
                                          .cluster_domain = c->cluster_domain,
                                          .resolv_conf = c->resolv_conf,
                                          .log_dir = c->log_dir,
                                          .cgroup_root = c->cgroup_root,
                                          .seccomp_dir = c->seccomp_dir,
                                          .pod_pids_limit = pids_limit(k),
                                          .object = own_node,
                                          .userdata = k};
        return pods_new(&(struct pods_opts){.loop = k->loop,
                                            .runtime = &k->runtime,
                                            .images = k->images,
                                            .volumes = k->volumes,
                                            .objects = k->objects,
                                            .services = k->services,
                                            .probes = k->probes,
                                            .handlers = k->handlers,
                                            .client = k->calls,
                                            .events = k->events,
                                            .node = &k->spec_node,
                                            .admit = admit,
                                            .userdata = k,
                                            .backoff_initial_ms = (uint64_t)c->backoff_initial_ms,
                                            .backoff_max_ms = (uint64_t)c->backoff_max_ms},
                        &k->pods, reterr);
}

/* Since this boot it was ready: a file of the run folder, so that a kubelet that is started anew knows. */
static bool network_was_ready(struct kubelet *k, bool is_ready)
{
        _cleanup_free_ char *path = mem_printf("%s/network-was-ready", k->config->run_dir);

        if (!k->network_was_ready && is_ready)
                file_write_atomic(path, "", 0, 0600, NULL);
        if (!k->network_was_ready)
                k->network_was_ready = is_ready || access(path, F_OK) == 0;
        return k->network_was_ready;
}

/* A node that is not ready loses the endpoints of all of its pods. Their network goes on without who has made it, so an
 * upgrade, or an end, of that one is given time. */
static const char *network_problem(void *userdata)
{
        struct kubelet *k = userdata;
        const char *why = NULL;
        bool good = k->runtime.ops->network_status(k->runtime.rt, &why), was = network_was_ready(k, good);
        uint64_t now = clock_mono_ms();

        if (good)
                k->network_bad_ms = 0;
        else if (!k->network_bad_ms)
                k->network_bad_ms = now;
        return good || (was && now - k->network_bad_ms < NETWORK_GRACE_MS) ? NULL : why;
}

/* Whoever signs the API server's certificate signs its client certificate too, unless another CA is named. */
static int client_ca(struct kubelet *k, const char **ret, struct err *reterr)
{
        const struct kubelet_config *c = k->config;

        if (c->client_ca_file || k->kubeconfig->ca_file) {
                *ret = c->client_ca_file ?: k->kubeconfig->ca_file;
                return 0;
        }
        if (!k->kubeconfig->ca_pem)
                return err_set(reterr, -EINVAL,
                               "--client-ca-file: the kubeconfig names no CA either; use ca.crt of the cluster");
        snprintf(k->client_ca, sizeof(k->client_ca), "%s/client-ca.crt", c->root_dir);
        *ret = k->client_ca;
        return file_write_atomic(k->client_ca, k->kubeconfig->ca_pem, strlen(k->kubeconfig->ca_pem), 0644, reterr);
}

static int start_server(struct kubelet *k, struct err *reterr)
{
        const struct kubelet_config *c = k->config;
        const char *ca = NULL;
        int r = client_ca(k, &ca, reterr);

        return r
                       ?: kubelet_server_new(&(struct kubelet_server_opts){.loop = k->loop,
                                                                           .runtime = &k->runtime,
                                                                           .pods = k->pods,
                                                                           .node = k->node,
                                                                           .volumes = k->volumes,
                                                                           .address = c->address,
                                                                           .port = (uint16_t)c->port,
                                                                           .cert_file = c->cert_file,
                                                                           .key_file = c->key_file,
                                                                           .client_ca_file = ca,
                                                                           .client_name = c->client_name,
                                                                           .node_name = c->node_name,
                                                                           .log_dir = c->log_dir,
                                                                           .metrics = metrics,
                                                                           .userdata = k},
                                             &k->server, reterr);
}

static int start_node(struct kubelet *k, struct err *reterr)
{
        const struct kubelet_config *c = k->config;
        int r = node_new(&(struct node_opts){.loop = k->loop,
                                             .children = k->children,
                                             .client = k->watches,
                                             .api_server = k->kubeconfig->server,
                                             .events = k->events,
                                             .runtime = &k->runtime,
                                             .images = k->images,
                                             .pods = k->pods,
                                             .volumes = k->volumes,
                                             .cgroups = &k->cgroups,
                                             .name = c->node_name,
                                             .ips = c->node_ips.items,
                                             .labels = c->node_labels.items,
                                             .taints = c->taints.items,
                                             .provider_id = c->provider_id,
                                             .root_dir = c->root_dir,
                                             .image_dir = c->image_dir,
                                             .log_dir = c->log_dir,
                                             .cgroup_root = c->cgroup_root,
                                             .max_pods = c->max_pods,
                                             .register_node = c->register_node,
                                             .reserved = c->reserved,
                                             .eviction_hard = c->eviction_hard,
                                             .eviction_reclaim = c->eviction_reclaim,
                                             .eviction_transition_ms = (uint64_t)c->eviction_transition_ms,
                                             .image_gc_min_age_s = (uint64_t)c->image_min_age_ms / 1000,
                                             .image_gc_high_percent = c->image_gc_high,
                                             .image_gc_low_percent = c->image_gc_low,
                                             .lease_duration_s = (uint32_t)(c->lease_ms / 1000),
                                             .status_period_ms = (uint64_t)c->status_ms,
                                             .network_problem = network_problem,
                                             .changed = on_node,
                                             .userdata = k},
                         &k->node, reterr);

        if (!r)
                r = start_server(k, reterr);
        if (!r) {
                node_start(k->node, kubelet_server_port(k->server));
                learn_addresses(k);
        }
        return r;
}

static int start_sources(struct kubelet *k, struct err *reterr)
{
        const struct kubelet_config *c = k->config;
        int r = 0;

        if (c->static_pods)
                r = source_static_new(&(struct source_static_opts){.loop = k->loop,
                                                                   .client = k->calls,
                                                                   .pods = k->pods,
                                                                   .folder = c->static_pods,
                                                                   .node_name = c->node_name,
                                                                   .node = own_node,
                                                                   .userdata = k},
                                      &k->statics, reterr);
        if (!r)
                r = source_api_new(&(struct source_api_opts){.client = k->watches,
                                                             .pods = k->pods,
                                                             .node_name = c->node_name,
                                                             .mirror = on_mirror,
                                                             .synced = on_synced,
                                                             .userdata = k},
                                   &k->api);
        if (!r)
                start_api_pods(k);
        return r;
}

static int start(struct kubelet *k, struct err *reterr)
{
        const struct kubelet_config *c = k->config;
        int r = start_api(k, reterr); /* a kubeconfig that is wrong changes nothing on the node */

        if (!r)
                r = file_mkdirs(c->root_dir, 0700, reterr);
        if (!r)
                r = start_runtime(k, reterr);
        if (!r)
                r = start_furnishing(k, reterr);
        if (!r)
                r = start_pods(k, reterr);
        if (!r)
                r = start_node(k, reterr);
        if (!r && !str_eq(c->health_address, "none"))
                r = web_new(k->loop, c->health_address, on_web, k, &k->web, reterr);
        if (!r)
                r = start_sources(k, reterr);
        if (r)
                return r;
        collect_network(k);
        trim(k);
        log_info("at work", "node=%s runtime=%s port=%u", c->node_name, k->runtime.ops->version(k->runtime.rt),
                 kubelet_server_port(k->server));
        return 0;
}

int kubelet_open(struct loop *loop, const struct kubelet_config *config, struct kubelet **ret, struct err *reterr)
{
        _cleanup_(kubelet_closep) struct kubelet *k = mem_new(struct kubelet);
        int r;

        k->config = config;
        k->loop = loop;
        r = start(k, reterr);
        if (r)
                return r;
        *ret = TAKE_PTR(k);
        return 0;
}

void kubelet_close(struct kubelet *k)
{
        if (!k)
                return;
        web_free(k->web);
        kubelet_server_free(k->server); /* its threads ask the rooms below */
        source_api_free(k->api);
        source_static_free(k->statics);
        node_free(k->node);
        pods_free(k->pods);
        probes_free(k->probes);
        handlers_free(k->handlers);
        service_links_free(k->services);
        volumes_free(k->volumes);
        objects_free(k->objects);
        if (k->runtime.ops)
                k->runtime.ops->free(k->runtime.rt);
        images_free(k->images);
        events_free(k->events);
        kube_client_free(k->calls);
        kube_client_free(k->watches);
        kubeconfig_free(k->kubeconfig);
        loop_timer_free(k->collect);
        loop_timer_free(k->trim);
        children_free(k->children);
        free(k);
}
