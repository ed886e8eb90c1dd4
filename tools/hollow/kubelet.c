/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Of each pod there are three things: `pod` is what the API said last, `life` how far it is, and `told` what the API is
 * known to have of that. Whenever one of them may have changed, look() compares the life with what was told, and queues
 * the pod when they differ; what is sent is made when it is the pod's turn. A pod whose life will change of itself has
 * a timer.
 *
 * The API's events of our own writes come later than the answers. So an event counts for `told` only if it is not older
 * than the last answer.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/hashmap.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/random.h"
#include "base/str.h"
#include "hollow/kubelet.h"
#include "hollow/status.h"
#include "kube/informer.h"

#define RETRY_MS         500
#define RETRY_MAX_MS     30000
#define REFUSED_RETRY_MS 5000

struct run {
        struct call_job job;
        struct kubelet *kubelet;
        struct node *node;
        const struct pod *pod; /* the informer's; NULL: it is gone */
        char uid[40];
        struct life life;
        struct face told, sending;
        uint64_t told_version;
        int64_t initialized_s, ready_s;
        struct loop_timer *timer; /* made when it is needed */
        uint32_t place;           /* of its address on the node */
        uint32_t failures;        /* in a row */
        bool sending_delete, deleted;
};

struct kubelet {
        struct kubelet_opts opts;
        struct informer *informer;
        struct hashmap runs; /* by uid */
        struct kubelet_stats stats;
};

static const struct kube_resource PODS = {"", "v1", "pods"};

/* ---- addresses ---- */

static bool has_address(const struct run *run)
{
        return run->place != PLACE_NONE || run->pod->host_network || run->pod->ips[0];
}

static bool take_address(struct run *run)
{
        struct addresses *a = &run->node->addresses;

        if (has_address(run))
                return true;
        if (!*a->cidrs[0])
                addresses_make_up(a, run->node->index);
        run->place = addresses_take(a);
        if (run->place == PLACE_NONE)
                log_limited(LOG_LEVEL_WARN, 10000, "a node has no address left for a pod", "node=%s pod=%s/%s cidr=%s",
                            run->node->name, run->pod->ns, run->pod->name, a->cidrs[0]);
        return run->place != PLACE_NONE;
}

static void release_address(struct run *run)
{
        if (run->place != PLACE_NONE)
                addresses_release(&run->node->addresses, run->place);
        run->place = PLACE_NONE;
}

/* What the API has already stays. text has room for both. */
static void addresses_of(const struct run *run, const char *ret[2], char text[2][ADDRESSES_TEXT])
{
        for (size_t i = 0; i < 2; i++) {
                ret[i] = run->pod->ips[i];
                if (ret[i] || run->pod->ips[0])
                        continue;
                if (run->pod->host_network)
                        ret[i] = i ? NULL : run->node->ip;
                else if (run->place != PLACE_NONE && address_at(run->node->addresses.cidrs[i], run->place, text[i]))
                        ret[i] = text[i];
        }
}

/* ---- looking ---- */

static void on_timer(void *userdata);

static void wake_in(struct run *run, int64_t ms)
{
        if (!run->timer && loop_timer_new(run->kubelet->opts.loop, on_timer, run, &run->timer))
                return; /* out of memory: the next event looks again */
        loop_timer_set(run->timer, (uint64_t)MAX(ms, (int64_t)1));
}

static bool wants_delete(const struct run *run)
{
        return run->pod->deleting && !run->deleted && run->told.stage == STAGE_ENDED;
}

static void look(struct run *run)
{
        int64_t now = hollow_now_ms(), next;
        struct face face;

        if (!run->pod || run->node->stopped || run->job.busy || !run->kubelet->stats.synced)
                return;
        next = life_advance(&run->pod->plan, &run->life, now);
        face = face_of(&run->pod->plan, &run->life, now);
        if (next != INT64_MAX)
                wake_in(run, next - now);
        if (!face_equal(face, run->told) || wants_delete(run))
                calls_submit(run->kubelet->opts.calls, LANE_POD, &run->job);
}

static void on_timer(void *userdata)
{
        look(userdata);
}

/* ---- sending ---- */

static void run_free(struct run *run)
{
        loop_timer_free(run->timer);
        free(run);
}

static void set_times(struct run *run, struct face face, int64_t now_s)
{
        if (run->told.stage <= STAGE_INIT && (face.stage > STAGE_INIT || !run->initialized_s))
                run->initialized_s = now_s;
        if (face.ready != run->told.ready || !run->ready_s)
                run->ready_s = now_s;
}

static void request_status(struct run *run, struct face face, struct kube_request *ret)
{
        struct status_input in = {.pod = run->pod,
                                  .life = &run->life,
                                  .face = face,
                                  .host_ip = run->node->ip,
                                  .again = run->told.stage != STAGE_NONE};
        char text[2][ADDRESSES_TEXT];

        set_times(run, face, hollow_now_ms() / 1000);
        in.initialized_s = run->initialized_s;
        in.ready_s = run->ready_s;
        addresses_of(run, in.ips, text);
        run->sending = face;
        run->sending_delete = false;
        *ret = (struct kube_request){.method = "PATCH",
                                     .path = kube_path(&PODS, run->pod->ns, run->pod->name, "status"),
                                     .body = status_patch(&in),
                                     .content_type = KUBE_STRATEGIC_PATCH};
}

static void request_delete(struct run *run, struct kube_request *ret)
{
        struct json_object *o = json_object_new_object();

        json_set_i64(o, "gracePeriodSeconds", 0);
        json_set_str(json_ensure(o, "preconditions"), "uid", run->uid);
        run->sending_delete = true;
        *ret = (struct kube_request){
                .method = "DELETE", .path = kube_path(&PODS, run->pod->ns, run->pod->name, NULL), .body = o};
}

static bool begin(struct call_job *job, struct kube_request *ret)
{
        struct run *run = container_of(job, struct run, job);
        int64_t now = hollow_now_ms();
        struct face face;

        if (!run->pod) {
                run_free(run);
                return false;
        }
        if (run->node->stopped)
                return false;
        life_advance(&run->pod->plan, &run->life, now);
        face = face_of(&run->pod->plan, &run->life, now);
        if (!face_equal(face, run->told)) {
                if (!take_address(run) && !run->life.stop) {
                        wake_in(run, RETRY_MS);
                        return false;
                }
                request_status(run, face, ret);
                return true;
        }
        if (!wants_delete(run))
                return false;
        request_delete(run, ret);
        return true;
}

static uint64_t version_of(const struct json_object *obj)
{
        uint64_t version;

        return str_parse_u64(json_at_str(obj, "metadata.resourceVersion") ?: "", &version) ? 0 : version;
}

static void sent(struct run *run, const struct json_object *obj)
{
        run->failures = 0;
        if (run->sending_delete) {
                run->deleted = true;
                run->kubelet->stats.deletes++;
                return;
        }
        run->kubelet->stats.statuses++;
        run->told = run->sending;
        run->told_version = version_of(obj);
        if (run->told.stage == STAGE_ENDED)
                release_address(run);
}

/* True: at once again, else later or never. */
static bool refused(struct run *run, const struct kube_status *status)
{
        if (status->code == 404 || status->code == 409) { /* it is another one, or gone: the informer will tell */
                run->deleted |= run->sending_delete;
                run->told = run->sending_delete ? run->told : run->sending;
                return false;
        }
        log_limited(LOG_LEVEL_WARN, 1000, "a pod's status was refused", "pod=%s/%s code=%d message=%s", run->pod->ns,
                    run->pod->name, status->code, status->message);
        run->kubelet->stats.failures++;
        wake_in(run, REFUSED_RETRY_MS);
        return false;
}

static void failed(struct run *run, const struct kube_status *status)
{
        uint64_t ms = MIN((uint64_t)RETRY_MS << MIN(run->failures, 10u), (uint64_t)RETRY_MAX_MS);

        log_limited(LOG_LEVEL_WARN, 1000, "a pod's status was not answered", "pod=%s/%s error=%s", run->pod->ns,
                    run->pod->name, status->message);
        run->kubelet->stats.failures++;
        run->failures++;
        wake_in(run, (int64_t)random_jitter(ms, 50));
}

static void done(struct call_job *job, int result, struct json_object *obj, const struct kube_status *status)
{
        struct run *run = container_of(job, struct run, job);

        if (!run->pod) {
                run_free(run);
                return;
        }
        if (result < 0) {
                failed(run, status);
                return;
        }
        if (result == KUBE_REFUSED && !refused(run, status))
                return;
        if (!result)
                sent(run, obj);
        look(run);
}

static const struct job_ops ops = {begin, done};

/* ---- what the API says ---- */

static struct run *run_new(struct kubelet *k, const struct pod *pod)
{
        struct run *run = mem_new(struct run);

        *run = (struct run){.job = {.ops = &ops}, .kubelet = k, .node = nodes_get(k->opts.nodes, pod->node)};
        str_copy(run->uid, sizeof(run->uid), pod->uid);
        pod_adopt(pod, &run->life);
        run->initialized_s = pod->seen.initialized_s;
        run->ready_s = pod->seen.ready_s;
        if (pod->ips[0] && pod->seen.stage != STAGE_ENDED)
                run->place = addresses_adopt(&run->node->addresses, pod->ips[0]);
        hashmap_put(&k->runs, run->uid, run);
        return run;
}

static void forget(struct kubelet *k, const struct pod *pod)
{
        struct run *run = hashmap_del(&k->runs, pod->uid);

        if (!run)
                return;
        release_address(run);
        run->pod = NULL;
        if (run->timer)
                loop_timer_cancel(run->timer);
        if (!run->job.busy && !run->job.queued)
                run_free(run);
}

static void see(struct run *run, const struct pod *pod)
{
        run->pod = pod;
        if (pod->deleting) {
                run->life.stop = run->life.stop ? run->life.stop : hollow_now_ms();
                run->life.grace = pod->grace_s * 1000;
        }
        if (pod->version < run->told_version)
                return;
        run->told = face_seen(pod);
        if (run->told.stage == STAGE_ENDED && run->life.stage != STAGE_ENDED)
                pod_adopt(pod, &run->life); /* somebody else has ended it */
}

static void on_pod(void *userdata, const char *key, void *old, void *now)
{
        struct kubelet *k = userdata;
        const struct pod *was = old, *is = now;
        struct run *run;

        if (was && (!is || !str_eq(was->uid, is->uid)))
                forget(k, was);
        if (!is)
                return;
        run = hashmap_get(&k->runs, is->uid);
        if (!run)
                run = run_new(k, is);
        see(run, is);
        look(run);
}

/* Not before all are known: a new pod must not get the address of one that is told of later. */
static void on_synced(void *userdata)
{
        struct kubelet *k = userdata;

        k->stats.synced = true;
        hashmap_foreach (&k->runs, slot) {
                look(slot->value);
        }
}

static void *project(void *userdata, const struct jnode *o)
{
        struct kubelet *k = userdata;
        struct err err = ERR_NULL;
        struct pod *pod;

        if (!nodes_get(k->opts.nodes, jnode_at_str(o, "spec.nodeName")))
                return NULL;
        pod = pod_parse(o, &k->opts.config->pods, &err);
        if (err.code)
                log_limited(LOG_LEVEL_WARN, 1000, "an annotation is left out", "pod=%s/%s reason=%s", pod->ns,
                            pod->name, err.msg);
        return pod;
}

static void release(void *userdata, void *value)
{
        free(value);
}

/* ---- life ---- */

int kubelet_new(const struct kubelet_opts *opts, struct kubelet **ret)
{
        struct kubelet *k = mem_new(struct kubelet);
        const struct informer_opts informer = {.client = opts->client,
                                               .path = "/api/v1/pods",
                                               .field_selector = "spec.nodeName!=",
                                               .project_node = project,
                                               .release = release,
                                               .userdata = k};
        int r;

        k->opts = *opts;
        hashmap_init(&k->runs, HASHMAP_STR);
        r = informer_new(&informer, &k->informer);
        if (r) {
                kubelet_free(k);
                return r;
        }
        informer_add_handler(k->informer, on_pod, k);
        informer_on_synced(k->informer, on_synced, k);
        *ret = k;
        return 0;
}

void kubelet_start(struct kubelet *k)
{
        informer_start(k->informer);
}

void kubelet_stop(struct kubelet *k)
{
        if (k)
                informer_free(TAKE_PTR(k->informer));
}

/* Runs of pods that went while a call was under way are not found any more; they end with the process. */
void kubelet_free(struct kubelet *k)
{
        if (!k)
                return;
        hashmap_foreach (&k->runs, slot) {
                run_free(slot->value);
        }
        hashmap_deinit(&k->runs);
        free(k);
}

void kubelet_node_back(struct kubelet *k, struct node *node, bool rebooted)
{
        int64_t now = hollow_now_ms();

        hashmap_foreach (&k->runs, slot) {
                struct run *run = slot->value;

                if (run->node != node)
                        continue;
                if (rebooted)
                        life_reboot(&run->pod->plan, &run->life, now);
                look(run);
        }
}

void kubelet_stats(const struct kubelet *k, struct kubelet_stats *ret)
{
        *ret = k->stats;
        hashmap_foreach (&k->runs, slot) {
                const struct run *run = slot->value;

                ret->pods++;
                ret->pending += run->told.stage <= STAGE_INIT;
                ret->running += run->told.stage == STAGE_RUNNING || run->told.stage == STAGE_BACKOFF;
                ret->ready += run->told.ready;
                ret->ended += run->told.stage == STAGE_ENDED;
                ret->stopping += run->pod->deleting;
        }
}
