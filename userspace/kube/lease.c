/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One attempt is: GET the Lease, decide, then PUT (or POST) our record with the resourceVersion that was read, so that
 * of two candidates one gets a conflict. A leader that is sure of its record skips the GET. The deadline is a timer of
 * its own: a leader steps down in time even while its request hangs.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/random.h"
#include "base/str.h"
#include "kube/lease.h"

struct lease {
        struct lease_opts opts;
        char *ns, *name, *identity, *path, *collection;
        struct kube_call *call;
        struct loop_timer *retry;    /* the next attempt */
        struct loop_timer *deadline; /* of a leader */

        struct json_object *seen; /* the Lease as last read or written */
        char *seen_record;        /* its spec as text: any change of it is a sign of life */
        char *holder;
        uint64_t seen_ms;             /* when the record was last seen to change */
        uint64_t sent_ms;             /* when the attempt under way was sent */
        bool leading, stopping, fast; /* fast: `seen` is what the server has, so no GET is needed */
        void (*released)(void *userdata);
        void *released_userdata;
};

static void attempt(void *userdata);

/* Goes on while the machine sleeps: a leader that slept has lost its Lease. */
static uint64_t now_ms(void)
{
        struct timespec ts;

        clock_gettime(CLOCK_BOOTTIME, &ts);
        return (uint64_t)ts.tv_sec * 1000 + (uint64_t)ts.tv_nsec / NS_PER_MS;
}

static void set_holder(struct lease *l, const char *holder)
{
        if (str_eq(l->holder, holder))
                return;
        free(l->holder);
        l->holder = mem_strdup(holder);
        if (*holder && l->opts.new_leader)
                l->opts.new_leader(l->opts.userdata, holder);
}

/* Takes in a Lease that was read or written. */
static void observe(struct lease *l, struct json_object *o)
{
        char *record = json_text(json_get(o, "spec"));
        const char *holder = json_at_str(o, "spec.holderIdentity");

        json_object_get(o);
        json_object_put(l->seen);
        l->seen = o;
        if (str_eq(record, l->seen_record)) {
                free(record);
                return;
        }
        free(l->seen_record);
        l->seen_record = record;
        l->seen_ms = now_ms();
        set_holder(l, holder ? holder : "");
}

static void step_down(struct lease *l, const char *why)
{
        if (!l->leading)
                return;
        l->leading = false;
        loop_timer_cancel(l->deadline);
        log_info("stopped leading", "lease=%s/%s identity=%s reason=%s", l->ns, l->name, l->identity, why);
        l->opts.stopped(l->opts.userdata);
}

static void on_deadline(void *userdata)
{
        struct lease *l = userdata;

        kube_cancel(TAKE_PTR(l->call));
        l->fast = false;
        loop_timer_set(l->retry, random_jitter(l->opts.retry_ms, 120));
        step_down(l, "could not renew in time");
}

static void retry_later(struct lease *l)
{
        if (!l->stopping)
                loop_timer_set(l->retry, l->leading ? l->opts.retry_ms : random_jitter(l->opts.retry_ms, 120));
}

/* We hold it, since the attempt was sent at least. */
static void held(struct lease *l)
{
        uint64_t spent = now_ms() - l->sent_ms;
        bool first = !l->leading;

        if (spent >= l->opts.renew_deadline_ms) { /* the machine slept meanwhile */
                retry_later(l);
                step_down(l, "the renewal took too long");
                return;
        }
        l->leading = true;
        l->fast = true;
        loop_timer_set(l->deadline, l->opts.renew_deadline_ms - spent);
        retry_later(l);
        if (!first)
                return;
        log_info("leading", "lease=%s/%s identity=%s", l->ns, l->name, l->identity);
        l->opts.started(l->opts.userdata);
}

static void on_written(void *userdata, int result, struct json_object *o, const struct kube_status *status)
{
        struct lease *l = userdata;

        l->call = NULL;
        if (result || !o) {
                l->fast = false;
                log_debug("cannot write the lease", "lease=%s/%s code=%d message=%s", l->ns, l->name, status->code,
                          status->message);
                /* A conflict means somebody else was faster; look at once whether we still lead. */
                if (l->leading && status->code == 409)
                        loop_timer_set(l->retry, 0);
                else
                        retry_later(l);
                return;
        }
        observe(l, o);
        held(l);
}

/* The spec that says that we hold it (or nobody, when giving it back). */
static struct json_object *new_spec(const struct lease *l, bool give_back)
{
        const char *acquired = json_at_str(l->seen, "spec.acquireTime");
        const char *holder = json_at_str(l->seen, "spec.holderIdentity");
        int64_t transitions = json_at_i64(l->seen, "spec.leaseTransitions", 0);
        bool ours = str_eq(holder, l->identity);
        struct json_object *spec = json_object_new_object();
        char now[CLOCK_TEXT_SIZE];

        clock_now_micro(now);
        json_set_str(spec, "holderIdentity", give_back ? "" : l->identity);
        json_set_i64(spec, "leaseDurationSeconds", give_back ? 1 : (l->opts.duration_ms + 999) / 1000);
        json_set_str(spec, "acquireTime", ours && acquired && !give_back ? acquired : now);
        json_set_str(spec, "renewTime", now);
        json_set_i64(spec, "leaseTransitions", l->seen && !ours ? transitions + 1 : transitions);
        return spec;
}

static struct json_object *new_lease(const struct lease *l, bool give_back)
{
        struct json_object *o = l->seen ? json_copy(l->seen) : json_object_new_object();

        json_set_str(o, "apiVersion", "coordination.k8s.io/v1");
        json_set_str(o, "kind", "Lease");
        json_set_str(json_ensure(o, "metadata"), "name", l->name);
        json_set_str(json_ensure(o, "metadata"), "namespace", l->ns);
        json_set(o, "spec", new_spec(l, give_back));
        return o;
}

static void send(struct lease *l, const char *method, bool give_back, kube_done_fn done)
{
        _cleanup_json_ struct json_object *body = *method == 'G' ? NULL : new_lease(l, give_back);
        const struct kube_request req = {
                .method = method,
                .path = *method == 'P' && method[1] == 'O' ? l->collection : l->path,
                .body = body,
                .timeout_ms = l->opts.renew_deadline_ms,
        };

        l->call = kube_start(l->opts.client, &req, done, l);
}

/* Whether somebody else holds the Lease, as far as can be seen from here. */
static bool held_by_another(const struct lease *l)
{
        const char *holder = json_at_str(l->seen, "spec.holderIdentity");
        uint64_t duration_ms = (uint64_t)json_at_i64(l->seen, "spec.leaseDurationSeconds", 0) * 1000;

        if (str_empty(holder) || str_eq(holder, l->identity))
                return false;
        return now_ms() - l->seen_ms < duration_ms;
}

static void on_read(void *userdata, int result, struct json_object *o, const struct kube_status *status)
{
        struct lease *l = userdata;

        l->call = NULL;
        if (result == KUBE_REFUSED && status->code == 404) {
                json_object_put(TAKE_PTR(l->seen));
                send(l, "POST", false, on_written);
                return;
        }
        if (result || !o) {
                log_limited(LOG_LEVEL_WARN, 10000, "cannot read the lease", "lease=%s/%s code=%d message=%s", l->ns,
                            l->name, status->code, status->message);
                retry_later(l);
                return;
        }
        observe(l, o);
        if (held_by_another(l)) {
                retry_later(l);
                step_down(l, "somebody else leads");
                return;
        }
        send(l, "PUT", false, on_written);
}

static void attempt(void *userdata)
{
        struct lease *l = userdata;

        l->sent_ms = now_ms();
        if (l->leading && l->fast && l->seen)
                send(l, "PUT", false, on_written);
        else
                send(l, "GET", false, on_read);
}

int lease_new(const struct lease_opts *opts, struct lease **ret, struct err *reterr)
{
        static const struct kube_resource leases = {"coordination.k8s.io", "v1", "leases"};
        _cleanup_(lease_freep) struct lease *l = mem_new(struct lease);
        struct loop *loop = kube_client_loop(opts->client);
        int r;

        l->opts = *opts;
        if (!opts->duration_ms)
                l->opts.duration_ms = 15000;
        if (!opts->renew_deadline_ms)
                l->opts.renew_deadline_ms = 10000;
        if (!opts->retry_ms)
                l->opts.retry_ms = 2000;
        if (l->opts.duration_ms <= l->opts.renew_deadline_ms)
                return err_set(reterr, -EINVAL, "the lease's duration must be longer than its renew deadline");
        if (l->opts.renew_deadline_ms <= l->opts.retry_ms * 12 / 10)
                return err_set(reterr, -EINVAL,
                               "the lease's renew deadline must be longer than 1.2 times its retry period");
        if (str_empty(opts->identity))
                return err_set(reterr, -EINVAL, "a candidate for a lease needs an identity");
        l->ns = mem_strdup(opts->ns);
        l->name = mem_strdup(opts->name);
        l->identity = mem_strdup(opts->identity);
        l->holder = mem_strdup("");
        l->path = kube_path(&leases, opts->ns, opts->name, NULL);
        l->collection = kube_path(&leases, opts->ns, NULL, NULL);
        r = loop_timer_new(loop, attempt, l, &l->retry);
        if (!r)
                r = loop_timer_new(loop, on_deadline, l, &l->deadline);
        if (r)
                return err_set(reterr, r, "cannot set up a timer: %s", strerror(-r));
        *ret = TAKE_PTR(l);
        return 0;
}

void lease_start(struct lease *l)
{
        l->stopping = false;
        loop_timer_set(l->retry, 0);
}

bool lease_is_leader(const struct lease *l)
{
        return l->leading;
}

const char *lease_holder(const struct lease *l)
{
        return l->holder;
}

static void tell_released(struct lease *l)
{
        if (l->released)
                l->released(l->released_userdata);
}

static void on_released(void *userdata, int result, struct json_object *o, const struct kube_status *status)
{
        struct lease *l = userdata;

        l->call = NULL;
        if (result)
                log_warn("cannot give the lease back", "lease=%s/%s code=%d message=%s", l->ns, l->name, status->code,
                         status->message);
        tell_released(l);
}

/* A renewal that was under way when we stopped may have come through, so the Lease is read before it is given back. */
static void on_read_for_release(void *userdata, int result, struct json_object *o, const struct kube_status *status)
{
        struct lease *l = userdata;

        l->call = NULL;
        if (result || !str_eq(json_at_str(o, "spec.holderIdentity"), l->identity)) {
                tell_released(l);
                return;
        }
        observe(l, o);
        send(l, "PUT", true, on_released);
}

void lease_stop(struct lease *l, void (*released)(void *userdata), void *userdata)
{
        bool led = l->leading;

        l->stopping = true;
        kube_cancel(TAKE_PTR(l->call));
        loop_timer_cancel(l->retry);
        step_down(l, "stopping");
        if (!led) {
                if (released)
                        released(userdata);
                return;
        }
        l->released = released;
        l->released_userdata = userdata;
        send(l, "GET", false, on_read_for_release);
}

void lease_free(struct lease *l)
{
        if (!l)
                return;
        kube_cancel(l->call);
        loop_timer_free(l->retry);
        loop_timer_free(l->deadline);
        json_object_put(l->seen);
        free(l->seen_record);
        free(l->holder);
        free(l->ns);
        free(l->name);
        free(l->identity);
        free(l->path);
        free(l->collection);
        free(l);
}
