/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Random lives of Jobs: pods end, are deleted by others while they run or after they ended, are lost with their nodes;
 * the Job is scaled, suspended and resumed; writes are refused, get lost, or are the last thing that a controller does.
 *
 * The model is what happened to each pod: one that had the finalizer when it ended (or was deleted, or was running when
 * its Job failed) is to be counted, once.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/hashmap.h"
#include "base/mem.h"
#include "base/str.h"
#include "controllers/controllers.h"
#include "unit/controllers/world_internal.h"

#define SEEDS        60
#define ROUNDS       25
#define INDEX_KEY    "batch.kubernetes.io/job-completion-index"
#define TRACKING     "batch.kubernetes.io/job-tracking"
#define INDEXES_MAX  16
#define FAILURES_MAX 2 /* of an index, before it is given up */

static const struct controller *const only[] = {&controller_job};

struct life {
        bool tracked, ended, succeeded, deleted, seen, doomed; /* doomed: it ran when the Job failed */
        int64_t index;
};

struct history {
        uint64_t seed;
        struct hashmap lives; /* UID -> struct life * */
        int64_t parallelism;  /* the most that was ever asked for */
        bool indexed, only_failed, deletes, per_index;
        int64_t completions;
};

static bool has_finalizer(const struct json_object *pod)
{
        json_array_foreach (json_at(pod, "metadata.finalizers"), i, f)
                if (str_eq(json_object_get_string(f), TRACKING))
                        return true;
        return false;
}

static bool condition_is_true(const struct json_object *job, const char *type)
{
        json_array_foreach (json_at(job, "status.conditions"), i, c)
                if (str_eq(json_get_str(c, "type"), type))
                        return str_eq(json_get_str(c, "status"), "True");
        return false;
}

static struct life *life_of(struct history *h, const struct json_object *pod)
{
        const char *uid = json_at_str(pod, "metadata.uid");
        const char *index = json_get_str(json_at(pod, "metadata.annotations"), INDEX_KEY);
        struct life *l = hashmap_get(&h->lives, uid);

        if (l)
                return l;
        l = mem_new(struct life);
        l->index = -1;
        if (index)
                str_parse_i64(index, &l->index);
        hashmap_put(&h->lives, uid, l);
        return l;
}

/* What the pod was, as long as it had the finalizer. */
static void look_at(struct history *h, const struct json_object *pod, bool failing)
{
        struct life *l = life_of(h, pod);
        const char *phase = json_at_str(pod, "status.phase");

        l->seen = true;
        l->tracked = has_finalizer(pod);
        if (!l->tracked)
                return;
        l->succeeded = str_eq(phase, "Succeeded");
        l->ended = l->succeeded || str_eq(phase, "Failed");
        l->deleted = json_at(pod, "metadata.deletionTimestamp") != NULL;
        l->doomed |= failing && !l->ended;
}

static int64_t active_of(struct history *h, struct json_object **pods, size_t n, int64_t *per_index)
{
        int64_t active = 0;

        for (size_t i = 0; i < n; i++) {
                const char *phase = json_at_str(pods[i], "status.phase");
                const struct life *l = life_of(h, pods[i]);

                if (str_eq(phase, "Succeeded") || str_eq(phase, "Failed") ||
                    json_at(pods[i], "metadata.deletionTimestamp"))
                        continue;
                active++;
                if (l->index >= 0)
                        per_index[l->index]++;
        }
        return active;
}

static int64_t to_be_counted(const struct history *h)
{
        int64_t n = 0;

        hashmap_foreach (&h->lives, slot) {
                const struct life *l = slot->value;

                n += l->ended || l->deleted || l->doomed;
        }
        return n;
}

static void always(struct world *w, void *userdata)
{
        struct history *h = userdata;
        struct json_object *job = world_get(w, &res_jobs, "d", "j"), *status = json_get(job, "status");
        struct json_object *uncounted = json_get(status, "uncountedTerminatedPods");
        int64_t per_index[INDEXES_MAX] = {0}, counted;
        size_t n;
        _cleanup_free_ struct json_object **pods = world_list(w, &res_pods, "d", &n);

        for (size_t i = 0; i < n; i++)
                look_at(h, pods[i], condition_is_true(job, "FailureTarget"));
        if (active_of(h, pods, n, per_index) > h->parallelism)
                fail_msg("seed %llu: more pods than may run", (unsigned long long)h->seed);
        for (size_t i = 0; i < INDEXES_MAX; i++)
                if (per_index[i] > 1)
                        fail_msg("seed %llu: index %zu runs twice", (unsigned long long)h->seed, i);
        counted = json_get_i64(status, "failed", 0) + (int64_t)json_len(json_get(uncounted, "failed")) +
                  json_get_i64(status, "succeeded", 0) + (int64_t)json_len(json_get(uncounted, "succeeded"));
        if (counted > to_be_counted(h))
                fail_msg("seed %llu: %lld pods are counted, %lld have ended", (unsigned long long)h->seed,
                         (long long)counted, (long long)to_be_counted(h));
}

/* ---- what happens to pods ---- */

static const char *fate(void *userdata, struct json_object *pod)
{
        struct world *w = userdata;
        const struct history *h = w->opts.userdata;
        const char *phase = json_at_str(pod, "status.phase");
        uint64_t dice = world_random(w, 10);

        if (str_eq(phase, "Pending"))
                return dice < 7 ? "Running" : NULL;
        if (!str_eq(phase, "Running"))
                return NULL;
        if (dice < (h->per_index ? 5 : 1))
                return "Failed";
        return dice < 7 ? "Succeeded" : NULL;
}

static char *random_pod(struct world *w)
{
        size_t n;
        _cleanup_free_ struct json_object **pods = world_list(w, &res_pods, "d", &n);

        return n ? mem_strdup(json_at_str(pods[world_random(w, n)], "metadata.name")) : NULL;
}

/* Also of one that runs: a kubelet ends it later, or at once. */
static void delete_some_pod(struct world *w, struct history *h)
{
        _cleanup_free_ char *name = random_pod(w);
        struct json_object *pod = name ? world_get(w, &res_pods, "d", name) : NULL;
        const char *phase = json_at_str(pod, "status.phase");

        if (!pod || h->per_index) /* with the pods of an index the number of its failures would be gone */
                return;
        if (!str_eq(phase, "Succeeded") && !str_eq(phase, "Failed")) {
                if (!h->deletes || h->only_failed) /* nobody would end it for good here */
                        return;
        }
        world_delete(w, &res_pods, "d", name, NULL);
}

static void change_spec(struct world *w, struct history *h)
{
        int64_t parallelism = 1 + (int64_t)world_random(w, 5);

        if (world_random(w, 2)) {
                h->parallelism = MAX(h->parallelism, parallelism);
                world_patch(w, &res_jobs, "d", "j", "{'spec':{'parallelism':%d}}", (int)parallelism);
        } else {
                world_patch(w, &res_jobs, "d", "j", "{'spec':{'suspend':%s}}", world_random(w, 3) ? "false" : "true");
        }
}

static void one_round(struct world *w, struct history *h)
{
        for (uint64_t i = world_random(w, 30); i; i--)
                world_step(w);
        switch (world_random(w, 6)) {
        case 0:
                change_spec(w, h);
                break;
        case 1:
        case 2:
                delete_some_pod(w, h);
                break;
        case 3:
                world_pass(w, world_random(w, 30000));
                break;
        default:
                world_kubelet(w, 3, fate, w);
        }
}

/* ---- a history ---- */

static void begin(struct world *w, struct history *h)
{
        static const char *const limits[] = {"1", "3", "1000"};
        const char *mode = !h->indexed    ? ""
                           : h->per_index ? "'completionMode':'Indexed','backoffLimitPerIndex':2,'maxFailedIndexes':1,"
                                          : "'completionMode':'Indexed',";

        world_apply(
                w,
                "{'apiVersion':'batch/v1','kind':'Job','metadata':{'namespace':'d','name':'j'},'spec':{%s"
                "'parallelism':%d,'completions':%d,'backoffLimit':%s,'podReplacementPolicy':'%s','template':{'spec':{"
                "'restartPolicy':'Never','containers':[{'name':'c','image':'i'}]}}}}",
                mode, (int)h->parallelism, (int)h->completions, limits[world_random(w, ARRAY_SIZE(limits))],
                h->only_failed ? "Failed" : "TerminatingOrFailed");
}

static bool is_finished(struct world *w)
{
        const struct json_object *job = world_get(w, &res_jobs, "d", "j");

        return condition_is_true(job, "Complete") || condition_is_true(job, "Failed");
}

/* Nothing goes wrong any more, and pods do what they are for. */
static void go_well(struct world *w, struct history *h)
{
        w->opts.refuse = w->opts.lose = w->opts.crash = 0;
        world_patch(w, &res_jobs, "d", "j", "{'spec':{'suspend':false}}");
        for (int i = 0; i < 120 && !is_finished(w); i++) {
                world_kubelet(w, 3, fate, w);
                world_pass(w, 30000);
        }
        for (int i = 0; i < 4; i++) {
                world_kubelet(w, 3, NULL, NULL);
                world_pass(w, 1000);
        }
        if (!is_finished(w))
                fail_msg("seed %llu: it does not finish: %s", (unsigned long long)h->seed,
                         json_object_to_json_string(json_get(world_get(w, &res_jobs, "d", "j"), "status")));
}

static void count_successes(const struct history *h, int64_t per_index[INDEXES_MAX], int64_t *all)
{
        hashmap_foreach (&h->lives, slot) {
                const struct life *l = slot->value;

                *all += l->succeeded;
                if (l->succeeded && l->index >= 0)
                        per_index[l->index]++;
        }
}

/* The number of failures of an index goes from pod to pod: none may be lost on the way. */
static void check_failures(const struct history *h)
{
        int64_t per_index[INDEXES_MAX] = {0};

        hashmap_foreach (&h->lives, slot) {
                const struct life *l = slot->value;

                if (l->index >= 0 && l->ended && !l->succeeded && !l->doomed &&
                    ++per_index[l->index] > FAILURES_MAX + 1)
                        fail_msg("seed %llu: index %lld was tried too often", (unsigned long long)h->seed,
                                 (long long)l->index);
        }
}

static void check_end(struct world *w, struct history *h)
{
        struct json_object *job = world_get(w, &res_jobs, "d", "j"), *status = json_get(job, "status");
        int64_t succeeded = json_get_i64(status, "succeeded", 0), failed = json_get_i64(status, "failed", 0);
        int64_t per_index[INDEXES_MAX] = {0}, successes = 0;
        bool exact = !h->deletes && condition_is_true(job, "Complete"); /* else some were counted as failed before */
        size_t n;
        _cleanup_free_ struct json_object **pods = world_list(w, &res_pods, "d", &n);

        for (size_t i = 0; i < n; i++)
                if (has_finalizer(pods[i]))
                        fail_msg("seed %llu: a finalizer is left", (unsigned long long)h->seed);
        if (h->indexed && h->per_index)
                check_failures(h);
        count_successes(h, per_index, &successes);
        if (succeeded + failed != to_be_counted(h) || succeeded > successes || (exact && succeeded < successes))
                fail_msg("seed %llu: counted %lld and %lld, there were %lld, %lld of which succeeded: %s",
                         (unsigned long long)h->seed, (long long)succeeded, (long long)failed,
                         (long long)to_be_counted(h), (long long)successes, json_object_to_json_string(status));
        for (int64_t i = 0; h->indexed && i < h->completions; i++)
                if (per_index[i] > 1 || (condition_is_true(job, "Complete") && !per_index[i]))
                        fail_msg("seed %llu: index %lld succeeded %lld times", (unsigned long long)h->seed,
                                 (long long)i, (long long)per_index[i]);
}

static void run_history(uint64_t seed, bool faults)
{
        struct history h = {
                .seed = seed,
                .indexed = seed % 2,
                .only_failed = seed / 2 % 2,
                .deletes = seed / 4 % 2 && !(seed % 2),
                .per_index = seed % 2 && seed / 4 % 2,
                .parallelism = 1 + (int64_t)(seed % 4),
                .completions = 1 + (int64_t)(seed % 7),
        };
        struct world *w;

        hashmap_init(&h.lives, HASHMAP_STR_OWNED);
        w = world_new(&(struct world_opts){.seed = seed,
                                           .controllers = only,
                                           .ncontrollers = 1,
                                           .refuse = faults ? 8 : 0,
                                           .lose = faults ? 8 : 0,
                                           .crash = faults ? 8 : 0,
                                           .lateness = 70,
                                           .check = always,
                                           .userdata = &h});
        begin(w, &h);
        for (int i = 0; i < ROUNDS; i++)
                one_round(w, &h);
        go_well(w, &h);
        check_end(w, &h);
        world_free(w);
        hashmap_foreach (&h.lives, slot)
                free(slot->value);
        hashmap_deinit(&h.lives);
}

static void each_pod_is_counted_once(void **state)
{
        for (uint64_t seed = 0; seed < SEEDS / 2; seed++)
                run_history(seed, false);
}

static void each_pod_is_counted_once_whatever_fails(void **state)
{
        for (uint64_t seed = 1000; seed < 1000 + SEEDS; seed++)
                run_history(seed, true);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(each_pod_is_counted_once),
                cmocka_unit_test(each_pod_is_counted_once_whatever_fails),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
