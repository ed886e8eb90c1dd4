/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Random histories of a StatefulSet: it is scaled, its template is edited and taken back, pods fail and are deleted,
 * writes are refused or lost, the controller crashes. After each change of the API's state: the order of ordinals, the
 * partition, the limit of an update. At rest: all pods, claims and the status as they should be.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/str.h"
#include "controllers/controllers.h"
#include "unit/controllers/histories.h"

#define ORDINALS 9 /* 0 ... 8 */
#define SEEDS    4 /* of each kind; FAIRLEAD_SEEDS=200 for more */
#define STEPS    30
#define ROUNDS   200 /* until it is at rest */

/* A pod of that ordinal, and what has been seen of it. */
struct seen {
        char uid[64], image[16];
        bool there, ends, serves, finished, served; /* served: at some time */
        bool disturbed;                             /* by users or kubelets, since all was at rest */
        bool down;                                  /* it served, and the controller ended it */
};

struct story {
        struct world *w;
        uint64_t seed;
        struct seen pods[ORDINALS];
        int replicas, least; /* least: of all numbers since all was at rest */
        int partition, limit, version;
        char kept_image[16]; /* of pods below the partition */
        size_t claims;
        bool by_others, parallel;
};

/* ---- looking ---- */

static bool is_ready(struct json_object *pod)
{
        json_array_foreach (json_at(pod, "status.conditions"), i, c)
                if (str_eq(json_get_str(c, "type"), "Ready"))
                        return str_eq(json_get_str(c, "status"), "True");
        return false;
}

static const char *image_of(struct json_object *pod)
{
        return json_get_str(json_idx(json_at(pod, "spec.containers"), 0), "image");
}

/* In order, it is made when all before it have been well; what users and kubelets did to them may be news. */
static void check_made(struct story *s, int ordinal)
{
        if (!str_eq(s->pods[ordinal].image, s->kept_image) && ordinal < s->partition)
                fail_msg("seed %llu: web-%d has %s, below the partition is %s", (unsigned long long)s->seed, ordinal,
                         s->pods[ordinal].image, s->kept_image);
        for (int i = 0; i < ordinal && !s->parallel; i++)
                if (!s->pods[i].disturbed && (!s->pods[i].there || !s->pods[i].served))
                        fail_msg("seed %llu: web-%d was made before web-%d was well", (unsigned long long)s->seed,
                                 ordinal, i);
}

/* In order, it goes when none above it is left but what others do. Below the partition, only who ended or is too many.
 */
static void check_ended(struct story *s, int ordinal)
{
        const struct seen *p = &s->pods[ordinal];

        if (ordinal < s->partition && ordinal < s->least && !p->finished && !p->disturbed)
                fail_msg("seed %llu: web-%d was ended below the partition", (unsigned long long)s->seed, ordinal);
        for (int i = 0; i < ORDINALS && !s->parallel; i++)
                if (i != ordinal && s->pods[i].there && s->pods[i].ends && !s->pods[i].disturbed && !p->finished)
                        fail_msg("seed %llu: web-%d is ended while web-%d is ending", (unsigned long long)s->seed,
                                 ordinal, i);
}

static void note_end(struct story *s, int ordinal)
{
        struct seen *p = &s->pods[ordinal];

        if (s->by_others) {
                p->disturbed = true;
                return;
        }
        p->down = p->serves;
        check_ended(s, ordinal);
}

static void look_at(struct story *s, int ordinal, struct json_object *pod)
{
        struct seen *p = &s->pods[ordinal];
        const char *uid = pod ? json_at_str(pod, "metadata.uid") : "", *phase = json_at_str(pod, "status.phase");
        bool ends = json_has(json_get(pod, "metadata"), "deletionTimestamp"), other = !str_eq(p->uid, uid);

        if (p->there && !p->ends && (other || ends))
                note_end(s, ordinal);
        if (other)
                p->served = false;
        str_copy(p->uid, sizeof(p->uid), uid);
        p->there = pod;
        p->ends = ends;
        p->finished = str_eq(phase, "Failed") || str_eq(phase, "Succeeded");
        p->serves = pod && !ends && is_ready(pod) && !p->finished;
        p->served |= p->serves;
        p->down &= !p->serves;
        if (!pod || !other)
                return;
        str_copy(p->image, sizeof(p->image), image_of(pod));
        if (!s->by_others)
                check_made(s, ordinal);
}

static void check(struct world *w, void *userdata)
{
        struct story *s = userdata;
        int down = 0;
        size_t claims = world_count(w, &res_persistentvolumeclaims, "d");

        for (int i = ORDINALS - 1; i >= 0; i--) {
                char name[16];

                snprintf(name, sizeof(name), "web-%d", i);
                look_at(s, i, world_get(w, &res_pods, "d", name));
                down += s->pods[i].down && !s->pods[i].disturbed && i < s->least;
        }
        if (down > s->limit)
                fail_msg("seed %llu: %d pods are down, %d may be", (unsigned long long)s->seed, down, s->limit);
        if (claims < s->claims)
                fail_msg("seed %llu: a claim has gone", (unsigned long long)s->seed);
        s->claims = claims;
}

/* ---- acting ---- */

static void scale(struct story *s)
{
        /* A set of no pods is all updated, and what it was is no more. */
        s->replicas = (s->partition > 0) + (int)world_random(s->w, ORDINALS - 1);
        s->least = MIN(s->least, s->replicas);
        world_patch(s->w, &res_statefulsets, "d", "web", "{'spec':{'replicas':%d}}", s->replicas);
}

static void edit(struct story *s)
{
        s->version++;
        world_patch(s->w, &res_statefulsets, "d", "web",
                    "{'spec':{'template':{'spec':{'containers':[{'name':'c','image':'v%d'}]}}}}",
                    (int)world_random(s->w, 2) ? s->version : s->version / 2);
}

static void harm_pod(struct story *s)
{
        int ordinal = (int)world_random(s->w, ORDINALS);
        struct seen *p = &s->pods[ordinal];
        char name[16];

        snprintf(name, sizeof(name), "web-%d", ordinal);
        if (!p->there || p->ends || !json_at_str(world_get(s->w, &res_pods, "d", name), "spec.nodeName"))
                return;
        p->disturbed = true;
        switch (world_random(s->w, 3)) {
        case 0:
                world_pod_status(s->w, "d", name, world_random(s->w, 2) ? "Failed" : "Succeeded", false);
                break;
        case 1:
                world_pod_status(s->w, "d", name, "Running", world_random(s->w, 2));
                break;
        default:
                world_delete(s->w, &res_pods, "d", name, NULL);
        }
}

static void act(void *story)
{
        struct story *s = story;
        s->by_others = true;
        switch (world_random(s->w, 8)) {
        case 0:
                scale(s);
                break;
        case 1:
        case 2:
                edit(s);
                break;
        case 3:
                harm_pod(s);
                break;
        default:
                world_kubelet(s->w, 3, NULL, NULL);
        }
        s->by_others = false;
}

static void make_ready(struct story *s)
{
        char name[16];

        for (int i = 0; i < ORDINALS; i++) {
                const struct seen *p = &s->pods[i];

                snprintf(name, sizeof(name), "web-%d", i);
                if (p->there && !p->ends && !p->serves && !p->finished &&
                    json_at_str(world_get(s->w, &res_pods, "d", name), "spec.nodeName"))
                        world_pod_status(s->w, "d", name, "Running", true);
        }
}

static void come_to_rest(struct story *s)
{
        uint64_t before, quiet = 0;

        for (int round = 0; quiet < 2; round++) {
                if (round == ROUNDS)
                        fail_msg("seed %llu: it does not come to rest", (unsigned long long)s->seed);
                before = world_writes(s->w);
                s->by_others = true;
                world_kubelet(s->w, 3, NULL, NULL);
                make_ready(s);
                s->by_others = false;
                world_pass(s->w, quiet ? 30000 : 1500);
                quiet = world_writes(s->w) == before ? quiet + 1 : 0;
        }
        for (int i = 0; i < ORDINALS; i++)
                s->pods[i].disturbed = s->pods[i].down = false;
        s->least = s->replicas;
}

static void check_status(struct story *s, struct json_object *set)
{
        struct json_object *status = json_get(set, "status");
        int64_t old = MIN(s->partition, s->replicas);

        if (str_eq(s->kept_image, image_of(json_at(set, "spec.template"))))
                old = 0;
        assert_int_equal(json_get_i64(status, "replicas", 0), s->replicas);
        assert_int_equal(json_get_i64(status, "readyReplicas", 0), s->replicas);
        assert_int_equal(json_get_i64(status, "availableReplicas", 0), s->replicas);
        assert_int_equal(json_get_i64(status, "updatedReplicas", 0), s->replicas - old);
        assert_int_equal(json_get_i64(status, "observedGeneration", 0), json_at_i64(set, "metadata.generation", 0));
}

static void check_rest(struct story *s)
{
        struct json_object *set = world_get(s->w, &res_statefulsets, "d", "web");
        const char *image = image_of(json_at(set, "spec.template"));
        char name[24];

        assert_int_equal(world_count(s->w, &res_pods, "d"), s->replicas);
        for (int i = 0; i < s->replicas; i++) {
                const char *wanted = i < s->partition ? s->kept_image : image;

                snprintf(name, sizeof(name), "data-web-%d", i);
                assert_non_null(world_get(s->w, &res_persistentvolumeclaims, "d", name));
                if (!s->pods[i].serves || !str_eq(s->pods[i].image, wanted))
                        fail_msg("seed %llu: web-%d has %s instead of %s", (unsigned long long)s->seed, i,
                                 s->pods[i].image, wanted);
        }
        check_status(s, set);
}

static void make_set(struct story *s)
{
        world_apply(s->w,
                    "{'apiVersion':'apps/v1','kind':'StatefulSet','metadata':{'namespace':'d','name':'web'},'spec':{"
                    "'replicas':%d,'podManagementPolicy':'%s','updateStrategy':{'type':'RollingUpdate','rollingUpdate':"
                    "{'partition':%d,'maxUnavailable':%d}},'volumeClaimTemplates':[{'metadata':{'name':'data'},'spec':{"
                    "'accessModes':['ReadWriteOnce'],'resources':{'requests':{'storage':'1Gi'}}}}],"
                    "'serviceName':'svc','selector':{'matchLabels':{'app':'web'}},'template':{'metadata':{'labels':{"
                    "'app':'web'}},'spec':{'containers':[{'name':'c','image':'v1'}]}}}}",
                    s->replicas, s->parallel ? "Parallel" : "OrderedReady", s->partition, s->limit);
}

static void tell(uint64_t seed, bool parallel)
{
        static const struct controller *const only[] = {&controller_statefulset};
        struct story s = {.seed = seed, .parallel = parallel, .replicas = 5, .version = 1, .kept_image = "v1"};
        _cleanup_(world_freep) struct world *w = world_new(&(struct world_opts){.seed = seed,
                                                                                .controllers = only,
                                                                                .ncontrollers = 1,
                                                                                .refuse = 10,
                                                                                .lose = 10,
                                                                                .crash = 5,
                                                                                .lateness = 60,
                                                                                .check = check,
                                                                                .userdata = &s});

        s.w = w;
        s.limit = parallel ? 1 + (int)(seed % 3) : 1;
        s.partition = seed % 2 ? 0 : 2;
        make_set(&s);
        s.least = s.replicas;
        come_to_rest(&s);
        for (int round = 0; round < 2; round++) {
                histories_live(w, STEPS, act, &s);
                come_to_rest(&s);
                check_rest(&s);
        }
}

static void histories_in_order(void **state)
{
        histories_tell(SEEDS, tell, false);
}

static void histories_in_parallel(void **state)
{
        histories_tell(SEEDS, tell, true);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(histories_in_order),
                cmocka_unit_test(histories_in_parallel),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
