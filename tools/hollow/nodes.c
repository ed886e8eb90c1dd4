/* SPDX-License-Identifier: Apache-2.0 */
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/random.h"
#include "base/str.h"
#include "hollow/nodes.h"
#include "kube/informer.h"

#define TICK_MS  100
#define RETRY_MS 1000

enum sending {
        SENDING_NODE,
        SENDING_UNTAINT,
        SENDING_STATUS,
        SENDING_LEASE,
        SENDING_RENEWAL,
};

struct nodes {
        struct nodes_opts opts;
        struct informer *informer;
        struct loop_timer *tick;
        struct node *all;
        uint32_t registered;
        bool told, synced;
};

static const struct kube_resource NODES = {"", "v1", "nodes"}, LEASES = {"coordination.k8s.io", "v1", "leases"};

int64_t hollow_now_ms(void)
{
        static int64_t offset_ms;

        if (!offset_ms)
                offset_ms = clock_wall_ns() / (int64_t)NS_PER_MS - (int64_t)clock_mono_ms();
        return (int64_t)clock_mono_ms() + offset_ms;
}

/* ---- what is sent ---- */

static bool next_to_send(const struct node *node, int64_t now, enum sending *ret)
{
        if (node->stopped || node->forgotten)
                return false;
        if (!node->exists)
                *ret = SENDING_NODE;
        else if (node->status_at <= now)
                *ret = SENDING_STATUS;
        else if (node->tainted && node->nodes->opts.config->untaint)
                *ret = SENDING_UNTAINT;
        else if (!node->leased)
                *ret = SENDING_LEASE;
        else
                *ret = SENDING_RENEWAL;
        return *ret != SENDING_RENEWAL || node->lease_at <= now;
}

static void request(struct node *node, enum sending what, struct kube_request *ret)
{
        const struct hollow_config *c = node->nodes->opts.config;

        switch (what) {
        case SENDING_NODE:
                *ret = (struct kube_request){.method = "POST",
                                             .path = kube_path(&NODES, NULL, NULL, NULL),
                                             .body = hollow_node_object(c, node->index, clock_wall_s())};
                break;
        case SENDING_UNTAINT:
                *ret = (struct kube_request){.method = "PATCH",
                                             .path = kube_path(&NODES, NULL, node->name, NULL),
                                             .body = node_untaint_patch(c),
                                             .content_type = KUBE_MERGE_PATCH};
                break;
        case SENDING_STATUS:
                *ret = (struct kube_request){.method = "PATCH",
                                             .path = kube_path(&NODES, NULL, node->name, "status"),
                                             .body = node_status_patch(c, node->index, clock_wall_s(), node->ready),
                                             .content_type = KUBE_STRATEGIC_PATCH};
                break;
        case SENDING_LEASE:
                *ret = (struct kube_request){.method = "POST",
                                             .path = kube_path(&LEASES, "kube-node-lease", NULL, NULL),
                                             .body = node_lease(c, node->index, node->uid, clock_wall_ns())};
                break;
        case SENDING_RENEWAL:
                *ret = (struct kube_request){.method = "PATCH",
                                             .path = kube_path(&LEASES, "kube-node-lease", node->name, NULL),
                                             .body = node_lease_renewal(node->name, clock_wall_ns()),
                                             .content_type = KUBE_MERGE_PATCH};
                break;
        }
}

static bool begin(struct call_job *job, struct kube_request *ret)
{
        struct node *node = container_of(job, struct node, job);
        enum sending what;

        if (!next_to_send(node, hollow_now_ms(), &what))
                return false;
        node->sending = (uint8_t)what;
        request(node, what, ret);
        return true;
}

/* ---- what came of it ---- */

static void see(struct node *node, const char *uid)
{
        node->exists = true;
        node->forgotten = false;
        str_copy(node->uid, sizeof(node->uid), uid ? uid : "");
}

static void count_registered(struct nodes *n)
{
        n->registered = 0;
        for (uint32_t i = 0; i < n->opts.config->nodes; i++)
                n->registered += n->all[i].exists && n->all[i].leased;
        if (n->told || !nodes_all_registered(n))
                return;
        n->told = true;
        n->opts.registered(n->opts.userdata);
}

/* Anywhere in the period, so that heartbeats are spread. */
static void spread(struct node *node, int64_t now)
{
        const struct hollow_config *c = node->nodes->opts.config;

        node->lease_at = now + (int64_t)random_below((uint64_t)c->lease_period_ms) + 1;
        node->status_at = node->ready ? now + (int64_t)random_below((uint64_t)c->status_period_ms) + 1 : 0;
}

static void sent(struct node *node, struct json_object *obj, int64_t now)
{
        const struct hollow_config *c = node->nodes->opts.config;

        switch ((enum sending)node->sending) {
        case SENDING_NODE:
                see(node, json_at_str(obj, "metadata.uid"));
                node->ready = true;
                spread(node, now);
                break;
        case SENDING_UNTAINT:
                node->tainted = false;
                break;
        case SENDING_STATUS:
                node->ready = true;
                node->status_at = now + c->status_period_ms;
                break;
        case SENDING_LEASE:
                if (!node->leased) {
                        node->leased = true;
                        count_registered(node->nodes);
                }
                break;
        case SENDING_RENEWAL:
                node->lease_at = now + c->lease_period_ms;
                break;
        }
}

static void refused(struct node *node, const struct kube_status *status, int64_t now)
{
        if (node->sending == SENDING_LEASE && status->code == 409) {
                node->leased = true;
                count_registered(node->nodes);
        } else if (node->sending == SENDING_RENEWAL && status->code == 404) {
                node->leased = false;
        } else if (node->sending == SENDING_NODE && status->code == 409) {
                node->lease_at = now + RETRY_MS; /* the informer will tell of it */
        } else {
                log_limited(LOG_LEVEL_WARN, 1000, "a node's heartbeat was refused", "node=%s code=%d message=%s",
                            node->name, status->code, status->message);
                node->lease_at = node->status_at = now + RETRY_MS;
        }
}

static void done(struct call_job *job, int result, struct json_object *obj, const struct kube_status *status)
{
        struct node *node = container_of(job, struct node, job);
        int64_t now = hollow_now_ms();
        enum sending what;

        if (!result) {
                sent(node, obj, now);
        } else if (result == KUBE_REFUSED) {
                refused(node, status, now);
        } else {
                log_limited(LOG_LEVEL_WARN, 1000, "a node's heartbeat was not answered", "node=%s error=%s", node->name,
                            status->message);
                return; /* the next tick tries again */
        }
        if (node->exists && next_to_send(node, now, &what))
                calls_submit(node->nodes->opts.calls, LANE_NODE, job);
}

static const struct job_ops ops = {begin, done};

static void on_tick(void *userdata)
{
        struct nodes *n = userdata;
        int64_t now = hollow_now_ms();
        enum sending what;

        for (uint32_t i = 0; i < n->opts.config->nodes; i++)
                if (next_to_send(&n->all[i], now, &what))
                        calls_submit(n->opts.calls, LANE_NODE, &n->all[i].job);
        loop_timer_set(n->tick, TICK_MS);
}

/* ---- what the API says ---- */

struct seen_node {
        char uid[40];
        char cidrs[2][ADDRESSES_TEXT + 4];
        bool ready, tainted;
        uint32_t index;
};

static bool is_ready(const struct jnode *o)
{
        jnode_foreach (jnode_at(o, "status.conditions"), c) {
                if (str_eq(jnode_str(c, "type"), "Ready"))
                        return str_eq(jnode_str(c, "status"), "True");
        }
        return false;
}

static bool is_tainted(const struct jnode *o)
{
        jnode_foreach (jnode_at(o, "spec.taints"), taint) {
                if (str_eq(jnode_str(taint, "key"), "node.kubernetes.io/not-ready"))
                        return true;
        }
        return false;
}

static void *project(void *userdata, const struct jnode *o)
{
        const struct nodes *n = userdata;
        int64_t index = node_index(n->opts.config, jnode_at_str(o, "metadata.name"));
        struct seen_node *seen;
        size_t i = 0;

        if (index < 0)
                return NULL;
        seen = mem_new(struct seen_node);
        seen->index = (uint32_t)index;
        seen->ready = is_ready(o);
        seen->tainted = is_tainted(o);
        str_copy(seen->uid, sizeof(seen->uid), jnode_at_str(o, "metadata.uid") ?: "");
        jnode_foreach (jnode_at(o, "spec.podCIDRs"), cidr) {
                if (i < ARRAY_SIZE(seen->cidrs))
                        str_copy(seen->cidrs[i++], sizeof(seen->cidrs[0]), jnode_text(cidr) ?: "");
        }
        return seen;
}

static void release(void *userdata, void *value)
{
        free(value);
}

static void on_node(void *userdata, const char *key, void *old, void *now)
{
        struct nodes *n = userdata;
        const struct seen_node *seen = now ? now : old;
        struct node *node = &n->all[seen->index];

        if (!now) {
                log_info("somebody deleted a node", "node=%s", key);
                node->exists = node->ready = node->leased = false;
                node->forgotten = true; /* until it starts anew, as a kubelet */
                return;
        }
        if (!str_eq(node->uid, seen->uid))
                node->leased = false;
        see(node, seen->uid);
        if (*seen->cidrs[0])
                memcpy(node->addresses.cidrs, seen->cidrs, sizeof(seen->cidrs));
        if (!seen->ready && (node->ready || !n->synced))
                node->status_at = 0;
        node->ready = seen->ready;
        node->tainted = seen->tainted;
}

static void on_synced(void *userdata)
{
        struct nodes *n = userdata;
        int64_t now = hollow_now_ms();

        n->synced = true;
        for (uint32_t i = 0; i < n->opts.config->nodes; i++)
                if (n->all[i].exists)
                        spread(&n->all[i], now);
        on_tick(n);
}

/* ---- life ---- */

int nodes_new(const struct nodes_opts *opts, struct nodes **ret)
{
        struct nodes *n = mem_new(struct nodes);
        const struct informer_opts informer = {.client = opts->client,
                                               .path = "/api/v1/nodes",
                                               .project_node = project,
                                               .release = release,
                                               .userdata = n};
        int r;

        n->opts = *opts;
        n->all = mem_realloc(NULL, opts->config->nodes, sizeof(struct node));
        for (uint32_t i = 0; i < opts->config->nodes; i++) {
                struct node *node = &n->all[i];

                *node = (struct node){.job = {.ops = &ops}, .nodes = n, .index = i};
                node_name(opts->config, i, node->name);
                address_of_node(opts->config->first + i, node->ip);
        }
        r = loop_timer_new(opts->loop, on_tick, n, &n->tick);
        if (!r)
                r = informer_new(&informer, &n->informer);
        if (r) {
                nodes_stop(n);
                nodes_free(n);
                return r;
        }
        informer_add_handler(n->informer, on_node, n);
        informer_on_synced(n->informer, on_synced, n);
        *ret = n;
        return 0;
}

void nodes_start(struct nodes *n)
{
        informer_start(n->informer);
}

void nodes_stop(struct nodes *n)
{
        if (!n)
                return;
        informer_free(TAKE_PTR(n->informer));
        loop_timer_free(TAKE_PTR(n->tick));
}

void nodes_free(struct nodes *n)
{
        for (uint32_t i = 0; n && i < n->opts.config->nodes; i++)
                addresses_deinit(&n->all[i].addresses);
        if (n)
                free(n->all);
        free(n);
}

struct node *nodes_get(struct nodes *n, const char *name)
{
        int64_t index = node_index(n->opts.config, name);

        return index < 0 ? NULL : &n->all[index];
}

struct node *nodes_at(struct nodes *n, uint32_t index)
{
        return index < n->opts.config->nodes ? &n->all[index] : NULL;
}

bool nodes_all_registered(const struct nodes *n)
{
        return n->registered == n->opts.config->nodes;
}

uint32_t nodes_count_stopped(const struct nodes *n)
{
        uint32_t count = 0;

        for (uint32_t i = 0; i < n->opts.config->nodes; i++)
                count += n->all[i].stopped;
        return count;
}

void node_stop(struct node *node)
{
        node->stopped = true;
}

static void come_back(struct node *node, bool rebooted)
{
        struct nodes *n = node->nodes;

        node->stopped = false;
        if (rebooted)
                node->forgotten = false;
        node->status_at = node->lease_at = 0;
        calls_submit(n->opts.calls, LANE_NODE, &node->job);
        n->opts.revived(n->opts.userdata, node, rebooted);
}

void node_revive(struct node *node)
{
        come_back(node, false);
}

void node_restart(struct node *node)
{
        come_back(node, true);
}
