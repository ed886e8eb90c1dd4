/* SPDX-License-Identifier: Apache-2.0 */
#include <stdlib.h>

#include "agent/kubelet/node/heartbeat.h"
#include "agent/kubelet/node/object.h"
#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/random.h"
#include "base/str.h"

#define BUSY_MS 500

struct heartbeat {
        struct heartbeat_opts opts;
        struct loop_timer *timer;
        struct kube_call *call;
        char uid[64]; /* of the Node */
        bool started, missing, creating;
        uint64_t due_ms;
        struct heartbeat_stats stats;
};

static const struct kube_resource LEASES = {"coordination.k8s.io", "v1", "leases"};

static uint64_t period_ms(const struct heartbeat *h)
{
        return (uint64_t)h->opts.duration_s * 1000 / 4;
}

static void schedule(struct heartbeat *h)
{
        uint64_t now = clock_mono_ms(), wait = retry_wait(h->opts.retry, now);

        if (h->due_ms > now)
                wait = MAX(wait, h->due_ms - now);
        loop_timer_set(h->timer, wait);
}

static void refused(struct heartbeat *h, const struct kube_status *status)
{
        if (h->creating && status->code == 409) { /* it is there already */
                h->missing = false;
        } else if (!h->creating && status->code == 404) {
                h->missing = true;
        } else {
                h->stats.failures++;
                log_limited(LOG_LEVEL_WARN, 10000, "the node's Lease was refused", "node=%s code=%d message=%s",
                            h->opts.name, status->code, status->message);
        }
}

static void on_done(void *userdata, int result, struct json_object *obj, const struct kube_status *status)
{
        struct heartbeat *h = userdata;
        uint64_t now = clock_mono_ms();
        bool back = retry_note(h->opts.retry, result, status, now);

        h->call = NULL;
        if (!result) {
                h->missing = false;
                h->stats.renewals++;
                h->stats.last_s = clock_wall_s();
                h->due_ms = now + random_jitter(period_ms(h) * 96 / 100, 4); /* at most the period */
        } else if (result == KUBE_REFUSED) {
                refused(h, status);
        } else {
                h->stats.failures++;
        }
        schedule(h);
        if (back)
                h->opts.back(h->opts.userdata);
}

/* Another call finds out whether the API is back, and tells. */
static void wait_for_turn(struct heartbeat *h)
{
        uint64_t wait = retry_wait(h->opts.retry, clock_mono_ms());

        loop_timer_set(h->timer, wait ? wait : BUSY_MS);
}

static void beat(void *userdata)
{
        struct heartbeat *h = userdata;
        _cleanup_json_ struct json_object *body = NULL;
        _cleanup_free_ char *path = NULL;
        struct kube_request req;

        if (h->call)
                return;
        if (!retry_begin(h->opts.retry, clock_mono_ms())) {
                wait_for_turn(h);
                return;
        }
        h->creating = h->missing;
        path = kube_path(&LEASES, "kube-node-lease", h->creating ? NULL : h->opts.name, NULL);
        body = (h->creating ? lease_make : lease_renewal)(h->opts.name, h->uid, h->opts.duration_s, clock_wall_ns());
        req = (struct kube_request){.method = h->creating ? "POST" : "PATCH",
                                    .path = path,
                                    .body = body,
                                    .content_type = h->creating ? NULL : KUBE_MERGE_PATCH,
                                    .timeout_ms = retry_timeout_ms(h->opts.retry)};
        h->call = kube_start(h->opts.client, &req, on_done, h);
}

int heartbeat_new(const struct heartbeat_opts *opts, struct heartbeat **ret)
{
        struct heartbeat *h = mem_new(struct heartbeat);
        int r;

        h->opts = *opts;
        h->missing = true; /* a POST first: on a fresh cluster that is all */
        r = loop_timer_new(opts->loop, beat, h, &h->timer);
        if (r) {
                free(h);
                return r;
        }
        *ret = h;
        return 0;
}

void heartbeat_free(struct heartbeat *h)
{
        if (!h)
                return;
        kube_cancel(h->call);
        loop_timer_free(h->timer);
        free(h);
}

void heartbeat_owner(struct heartbeat *h, const char *node_uid)
{
        bool changed = *node_uid && !str_eq(h->uid, node_uid);

        if (*node_uid)
                str_copy(h->uid, sizeof(h->uid), node_uid);
        if (changed || !h->started)
                heartbeat_poke(h);
}

void heartbeat_poke(struct heartbeat *h)
{
        h->started = true;
        h->due_ms = 0;
        if (!h->call)
                schedule(h);
}

void heartbeat_stats(const struct heartbeat *h, struct heartbeat_stats *ret)
{
        *ret = h->stats;
}
