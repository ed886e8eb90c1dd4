/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/mem.h"
#include "base/str.h"
#include "controllers/controllers.h"
#include "unit/controllers/sets.h"

#define SEEDS 6 /* of the random rollouts; each takes seconds under the sanitizers */

static const struct controller *const both[] = {&controller_deployment, &controller_replicaset};

#define WORLD(...) world_new(&(struct world_opts){.controllers = both, .ncontrollers = ARRAY_SIZE(both), __VA_ARGS__})

/* more: members of the spec, each with a comma behind it. */
static void deploy(struct world *w, int replicas, const char *image, const char *more)
{
        world_apply(w,
                    "{'apiVersion':'apps/v1','kind':'Deployment','metadata':{'namespace':'d','name':'web'},'spec':{"
                    "'replicas':%d,'selector':{'matchLabels':{'app':'web'}},%s'template':{'metadata':{'labels':{'app':'"
                    "web'}},"
                    "'spec':{'containers':[{'name':'c','image':'%s'}]}}}}",
                    replicas, more, image);
}

#define LIMITS(surge, unavailable)                                                                                     \
        "'strategy':{'type':'RollingUpdate','rollingUpdate':{'maxSurge':" surge ",'maxUnavailable':" unavailable "}},"

static struct json_object *deployment(struct world *w)
{
        return world_get(w, &res_deployments, "d", "web");
}

static int64_t status_of(struct world *w, const char *field)
{
        return json_get_i64(json_get(deployment(w), "status"), field, 0);
}

static const char *condition(struct world *w, const char *type, const char *field)
{
        json_array_foreach (json_at(deployment(w), "status.conditions"), i, c)
                if (str_eq(json_get_str(c, "type"), type))
                        return json_get_str(c, field);
        return "";
}

/* The ReplicaSet of an image; NULL: there is none. */
static struct json_object *set_of(struct world *w, const char *image)
{
        size_t n;
        _cleanup_free_ struct json_object **sets = world_list(w, &res_replicasets, "d", &n);

        for (size_t i = 0; i < n; i++)
                if (str_eq(json_get_str(json_idx(json_at(sets[i], "spec.template.spec.containers"), 0), "image"),
                           image))
                        return sets[i];
        return NULL;
}

static int64_t size_of(struct world *w, const char *image)
{
        return json_at_i64(set_of(w, image), "spec.replicas", -1);
}

static const char *annotation_of(struct json_object *o, const char *key)
{
        const char *value = json_get_str(json_at(o, "metadata.annotations"), key);

        return value ? value : "";
}

#define REVISION "deployment.kubernetes.io/revision"

static void assert_event(struct world *w, const char *fmt, const char *image, const char *rest)
{
        _cleanup_free_ char *text = mem_printf(fmt, json_at_str(set_of(w, image), "metadata.name"), rest);

        if (!strstr(world_events(w), text))
                fail_msg("no Event \"%s\" in\n%s", text, world_events(w));
}

/* ---- what users meet ---- */

static void a_deployment_gets_its_pods(void **state)
{
        _cleanup_(world_freep) struct world *w = WORLD(.seed = 1);
        struct json_object *set;
        const char *hash;

        deploy(w, 3, "a", "");
        world_settle(w);
        set = set_of(w, "a");
        hash = json_get_str(json_at(set, "metadata.labels"), "pod-template-hash");
        assert_non_null(hash);
        assert_string_equal(json_at_str(set, "metadata.name") + strlen("web-"), hash);
        assert_string_equal(json_get_str(json_at(set, "spec.selector.matchLabels"), "pod-template-hash"), hash);
        assert_string_equal(annotation_of(set, REVISION), "1");
        assert_string_equal(annotation_of(set, "deployment.kubernetes.io/desired-replicas"), "3");
        assert_string_equal(annotation_of(set, "deployment.kubernetes.io/max-replicas"), "4");
        assert_string_equal(annotation_of(deployment(w), REVISION), "1");
        assert_event(w, "Normal ScalingReplicaSet Deployment d/web Scaled up replica set %s%s", "a", " from 0 to 3");
        assert_string_equal(condition(w, "Available", "reason"), "MinimumReplicasUnavailable");
        assert_string_equal(condition(w, "Progressing", "status"), "True");
        sets_live(w, 2, 1000);
        assert_int_equal(status_of(w, "availableReplicas"), 3);
        assert_int_equal(status_of(w, "updatedReplicas"), 3);
        assert_int_equal(status_of(w, "observedGeneration"), 1);
        assert_string_equal(condition(w, "Available", "reason"), "MinimumReplicasAvailable");
        assert_string_equal(condition(w, "Progressing", "reason"), "NewReplicaSetAvailable");
}

static void a_new_template_takes_over(void **state)
{
        _cleanup_(world_freep) struct world *w = WORLD(.seed = 1);

        deploy(w, 4, "a", "");
        sets_live(w, 2, 1000);
        deploy(w, 4, "b", "");
        sets_live(w, 6, 1000);
        assert_int_equal(size_of(w, "a"), 0);
        assert_int_equal(size_of(w, "b"), 4);
        assert_int_equal(sets_tally(w, NULL).ready, 4);
        assert_string_equal(annotation_of(deployment(w), REVISION), "2");
        assert_event(w, "Normal ScalingReplicaSet Deployment d/web Scaled down replica set %s%s", "a", " from ");
        assert_string_equal(condition(w, "Progressing", "reason"), "NewReplicaSetAvailable");
        assert_int_equal(status_of(w, "replicas"), 4);
        assert_int_equal(status_of(w, "unavailableReplicas"), 0);
}

/* The old ReplicaSet comes back, with the newest revision; the one that it had is remembered. */
static void a_rollback_uses_the_replicaset_of_then(void **state)
{
        _cleanup_(world_freep) struct world *w = WORLD(.seed = 1);

        for (const char *image = "abaca"; *image; image++) {
                deploy(w, 2, (const char[]){*image, '\0'}, "");
                sets_live(w, 5, 1000);
        }
        assert_int_equal(world_count(w, &res_replicasets, "d"), 3);
        assert_string_equal(annotation_of(set_of(w, "a"), REVISION), "5");
        assert_string_equal(annotation_of(set_of(w, "a"), "deployment.kubernetes.io/revision-history"), "1,3");
        assert_int_equal(size_of(w, "a"), 2);
}

struct limits_case {
        const char *limits;
        int replicas, old, fresh; /* when the first step is done, before any new pod is ready */
};

static void limits_are_rounded_to_the_safe_side(void **state)
{
        static const struct limits_case cases[] = {
                {LIMITS("'25%'", "'25%'"), 10, 8, 5}, {LIMITS("'30%'", "0"), 10, 10, 3},
                {LIMITS("0", "'34%'"), 3, 2, 1},      {LIMITS("0", "'1%'"), 3, 2, 1},
                {LIMITS("1", "0"), 1, 1, 1},          {LIMITS("'100%'", "0"), 4, 4, 4},
                {LIMITS("0", "'100%'"), 4, 0, 4},
        };

        for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
                _cleanup_(world_freep) struct world *w = WORLD(.seed = i);
                const struct limits_case *c = &cases[i];

                deploy(w, c->replicas, "a", c->limits);
                sets_live(w, 2, 1000);
                deploy(w, c->replicas, "b", c->limits);
                world_settle(w);
                if (size_of(w, "a") != c->old || size_of(w, "b") != c->fresh)
                        fail_msg("%s: %d old, %d new", c->limits, (int)size_of(w, "a"), (int)size_of(w, "b"));
        }
}

static void recreate_waits_until_the_last_pod_is_gone(void **state)
{
        _cleanup_(world_freep) struct world *w = WORLD(.seed = 1);

        deploy(w, 3, "a", "'strategy':{'type':'Recreate'},");
        sets_live(w, 2, 1000);
        deploy(w, 3, "b", "'strategy':{'type':'Recreate'},");
        world_pass(w, 5000);
        assert_int_equal(sets_tally(w, NULL).active, 0); /* they end */
        assert_int_equal(sets_tally(w, NULL).all, 3);
        assert_null(set_of(w, "b"));
        world_kubelet(w, 3, NULL, NULL);
        world_settle(w);
        assert_int_equal(size_of(w, "b"), 3);
        sets_live(w, 3, 1000);
        assert_int_equal(sets_tally(w, NULL).ready, 3);
        assert_string_equal(condition(w, "Progressing", "reason"), "NewReplicaSetAvailable");
}

static void while_paused_it_scales_but_does_not_roll(void **state)
{
        _cleanup_(world_freep) struct world *w = WORLD(.seed = 1);

        deploy(w, 2, "a", "");
        sets_live(w, 2, 1000);
        world_patch(w, &res_deployments, "d", "web", "{'spec':{'paused':true}}");
        deploy(w, 5, "b", "");
        sets_live(w, 3, 1000);
        assert_null(set_of(w, "b"));
        assert_int_equal(size_of(w, "a"), 5);
        assert_string_equal(condition(w, "Progressing", "reason"), "DeploymentPaused");
        assert_string_equal(condition(w, "Progressing", "status"), "Unknown");
        world_patch(w, &res_deployments, "d", "web", "{'spec':{'paused':false}}");
        sets_live(w, 6, 1000);
        assert_int_equal(size_of(w, "a"), 0);
        assert_int_equal(size_of(w, "b"), 5);
        assert_string_equal(condition(w, "Progressing", "reason"), "NewReplicaSetAvailable");
}

/* Kubernetes' documentation has this example. */
static void scaling_in_the_middle_is_proportional(void **state)
{
        _cleanup_(world_freep) struct world *w = WORLD(.seed = 1);

        deploy(w, 10, "a", LIMITS("3", "2"));
        sets_live(w, 2, 1000);
        deploy(w, 10, "b", LIMITS("3", "2"));
        world_settle(w);
        assert_int_equal(size_of(w, "a"), 8);
        assert_int_equal(size_of(w, "b"), 5);
        deploy(w, 15, "b", LIMITS("3", "2"));
        world_settle(w);
        assert_int_equal(size_of(w, "a"), 11);
        assert_int_equal(size_of(w, "b"), 7);
        deploy(w, 0, "b", LIMITS("3", "2"));
        world_settle(w);
        assert_int_equal(size_of(w, "a"), 0);
        assert_int_equal(size_of(w, "b"), 0);
}

static void a_rollout_that_does_not_get_on_is_told(void **state)
{
        _cleanup_(world_freep) struct world *w = WORLD(.seed = 1);

        deploy(w, 2, "a", "'progressDeadlineSeconds':30,");
        world_pass(w, 20000);
        assert_string_equal(condition(w, "Progressing", "status"), "True");
        world_pass(w, 15000);
        assert_string_equal(condition(w, "Progressing", "status"), "False");
        assert_string_equal(condition(w, "Progressing", "reason"), "ProgressDeadlineExceeded");
        assert_non_null(strstr(condition(w, "Progressing", "message"), "has timed out progressing."));
        sets_live(w, 3, 1000);
        assert_string_equal(condition(w, "Progressing", "reason"), "NewReplicaSetAvailable");
}

static void old_replicasets_go_beyond_the_limit(void **state)
{
        _cleanup_(world_freep) struct world *w = WORLD(.seed = 1);

        for (const char *image = "abcde"; *image; image++) {
                deploy(w, 2, (const char[]){*image, '\0'}, "'revisionHistoryLimit':2,");
                sets_live(w, 5, 1000);
        }
        assert_int_equal(world_count(w, &res_replicasets, "d"), 3);
        assert_null(set_of(w, "b"));
        assert_non_null(set_of(w, "c"));
}

/* Another ReplicaSet has the name: the hash is made anew. */
static void a_name_that_is_taken_counts_as_collision(void **state)
{
        _cleanup_(world_freep) struct world *w = WORLD(.seed = 1);
        _cleanup_free_ char *name = NULL;

        deploy(w, 2, "a", "");
        world_settle(w);
        name = mem_strdup(json_at_str(set_of(w, "a"), "metadata.name"));
        world_delete(w, &res_deployments, "d", "web", "Orphan");
        world_patch(w, &res_replicasets, "d", name, "{'metadata':{'labels':{'app':'mine'},'ownerReferences':null}}");
        world_patch(w, &res_deployments, "d", "web", "{'metadata':{'finalizers':null}}");
        world_settle(w);
        deploy(w, 2, "a", "");
        sets_live(w, 3, 1000);
        assert_int_equal(status_of(w, "collisionCount"), 1);
        assert_int_equal(status_of(w, "availableReplicas"), 2);
        assert_int_equal(world_count(w, &res_replicasets, "d"), 2);
}

/* Somebody else's hash function made it: what counts is the template. */
static void a_replicaset_with_the_template_is_adopted_and_used(void **state)
{
        _cleanup_(world_freep) struct world *w = WORLD(.seed = 1);

        world_apply(
                w,
                "{'apiVersion':'apps/"
                "v1','kind':'ReplicaSet','metadata':{'namespace':'d','name':'web-5d4f8c7b9','labels':"
                "{'app':'web','pod-template-hash':'5d4f8c7b9'}},'spec':{'replicas':2,'selector':{'matchLabels':{'app':'"
                "web',"
                "'pod-template-hash':'5d4f8c7b9'}},'template':{'metadata':{'labels':{'app':'web','pod-template-hash':"
                "'5d4f8c7b9'}},'spec':{'containers':[{'name':'c','image':'a'}]}}}}");
        sets_live(w, 2, 1000);
        deploy(w, 2, "a", "");
        sets_live(w, 3, 1000);
        assert_int_equal(world_count(w, &res_replicasets, "d"), 1);
        assert_string_equal(sets_owner(set_of(w, "a"), "Deployment"), "web");
        assert_string_equal(condition(w, "Progressing", "reason"), "NewReplicaSetAvailable");
        assert_int_equal(status_of(w, "updatedReplicas"), 2);
}

/* Without anybody's help a rollout from a template that never ran gets through. */
static void broken_old_pods_go_first(void **state)
{
        _cleanup_(world_freep) struct world *w = WORLD(.seed = 1);

        deploy(w, 4, "a", LIMITS("0", "1"));
        sets_live(w, 2, 1000);
        deploy(w, 4, "broken", LIMITS("0", "1"));
        world_settle(w);
        assert_int_equal(size_of(w, "broken"), 1);
        deploy(w, 4, "c", LIMITS("0", "1"));
        world_settle(w);
        assert_int_equal(size_of(w, "broken"), 0);
        assert_int_equal(size_of(w, "a"), 3);
        assert_int_equal(size_of(w, "c"), 1);
}

static void new_pods_must_be_ready_for_long_enough(void **state)
{
        _cleanup_(world_freep) struct world *w = WORLD(.seed = 1);

        deploy(w, 2, "a", LIMITS("1", "0") "'minReadySeconds':60,");
        sets_live(w, 3, 1000);
        assert_string_equal(condition(w, "Available", "status"), "False");
        world_pass(w, 61000);
        assert_string_equal(condition(w, "Available", "status"), "True");
        deploy(w, 2, "b", LIMITS("1", "0") "'minReadySeconds':60,");
        sets_live(w, 3, 1000);
        assert_int_equal(size_of(w, "a"), 2);
        world_pass(w, 61000);
        assert_int_equal(size_of(w, "a"), 1);
}

static void why_pods_cannot_be_made_is_told(void **state)
{
        _cleanup_(world_freep) struct world *w = WORLD(.seed = 1);

        deploy(w, 2, "a", "");
        sets_live(w, 2, 1000);
        world_patch(w, &res_deployments, "d", "web", "{'spec':{'template':{'spec':{'priorityClassName':'gold'}}}}");
        world_pass(w, 5000);
        assert_string_equal(condition(w, "ReplicaFailure", "reason"), "FailedCreate");
        assert_non_null(strstr(condition(w, "ReplicaFailure", "message"), "no PriorityClass with name gold"));
        world_patch(w, &res_deployments, "d", "web", "{'spec':{'template':{'spec':{'priorityClassName':null}}}}");
        sets_live(w, 4, 10000);
        assert_string_equal(condition(w, "ReplicaFailure", "reason"), "");
        assert_int_equal(status_of(w, "availableReplicas"), 2);
}

#define ANNOTATIONS_MAX (256 * 1024) /* bytes, of keys and values */

/* The Deployment just fits, and with its own annotations a ReplicaSet does not. */
static void a_replicaset_that_is_refused_is_told(void **state)
{
        _cleanup_(world_freep) struct world *w = WORLD(.seed = 1);
        _cleanup_free_ char *large = mem_zalloc(ANNOTATIONS_MAX);

        memset(large, 'x', ANNOTATIONS_MAX - 64);
        world_apply(
                w,
                "{'apiVersion':'apps/v1','kind':'Deployment','metadata':{'namespace':'d','name':'web','annotations':{"
                "'large':'%s'}},'spec':{'replicas':2,'selector':{'matchLabels':{'app':'web'}},'template':{'metadata':{"
                "'labels':{'app':'web'}},'spec':{'containers':[{'name':'c','image':'a'}]}}}}",
                large);
        world_pass(w, 5000);
        assert_int_equal(world_count(w, &res_replicasets, "d"), 0);
        assert_string_equal(condition(w, "Progressing", "reason"), "ReplicaSetCreateError");
        assert_string_equal(condition(w, "Progressing", "status"), "False");
        assert_non_null(strstr(condition(w, "Progressing", "message"), "Failed to create new replica set \"web-"));
        assert_non_null(
                strstr(world_events(w), "Warning FailedCreate Deployment d/web Failed to create new replica set"));
        world_patch(w, &res_deployments, "d", "web", "{'metadata':{'annotations':{'large':null}}}");
        sets_live(w, 5, 10000);
        assert_string_equal(condition(w, "Progressing", "reason"), "NewReplicaSetAvailable");
}

/* ---- random rollouts ---- */

struct rollout {
        uint64_t seed;
        int replicas, surge, unavailable;
        int most, least;   /* by the loosest limits since all was quiet */
        bool by_test;      /* what changes now is not the controllers' doing */
        int64_t available; /* when last looked at */
};

/* Never more pods than the surge allows; and nobody but the test makes fewer available than there must be. */
static void check_rollout(struct world *w, void *userdata)
{
        struct rollout *h = userdata;
        struct tally t = sets_tally(w, "web");

        if (t.active > h->most)
                fail_msg("seed %d: %d pods of at most %d", (int)h->seed, (int)t.active, h->most);
        if (t.ready < h->available && t.ready < h->least && !h->by_test)
                fail_msg("seed %d: %d of at least %d pods are available", (int)h->seed, (int)t.ready, h->least);
        h->available = t.ready;
}

static void edit(struct world *w, struct rollout *h, bool quiet)
{
        static const char *const images[] = {"a", "b", "c"};
        int most, least;
        char limits[160];

        most = h->replicas + h->surge;
        least = h->replicas - MIN(h->replicas, h->unavailable);
        h->most = quiet ? most : MAX(h->most, most);
        h->least = quiet ? least : MIN(h->least, least);
        snprintf(limits, sizeof(limits), LIMITS("%d", "%d"), h->surge, h->unavailable);
        deploy(w, h->replicas, images[world_random(w, ARRAY_SIZE(images))], limits);
}

static void change_limits(struct world *w, struct rollout *h)
{
        h->surge = (int)world_random(w, 4);
        h->unavailable = (int)world_random(w, 3) + !h->surge;
}

static void go_on(struct world *w)
{
        for (size_t n = world_random(w, 80); n && world_step(w); n--)
                ;
}

static void something_happens(struct world *w, struct rollout *h)
{
        switch (world_random(w, 10)) {
        case 0:
                edit(w, h, false); /* mostly another template, or one that was there before */
                break;
        case 1:
                change_limits(w, h);
                edit(w, h, false);
                break;
        case 2:
                h->replicas = (int)world_random(w, 9);
                edit(w, h, false);
                break;
        case 3:
                world_patch(w, &res_deployments, "d", "web", "{'spec':{'paused':%s}}",
                            world_random(w, 3) ? "false" : "true");
                break;
        case 4:
        case 5:
        case 6:
                h->by_test = true;
                world_kubelet(w, 3, sets_lazy_kubelet, w);
                h->by_test = false;
                break;
        default:
                go_on(w);
        }
}

static void assert_rolled_out(struct world *w, const struct rollout *h)
{
        const char *image = json_get_str(json_idx(json_at(deployment(w), "spec.template.spec.containers"), 0), "image");
        int64_t ready = sets_tally(w, "web").ready, of_image = h->replicas ? size_of(w, image) : 0;

        if (ready != h->replicas || of_image != h->replicas || status_of(w, "availableReplicas") != h->replicas ||
            status_of(w, "updatedReplicas") != h->replicas)
                fail_msg("seed %d: %d ready, %d of the template, of %d\n%s", (int)h->seed, (int)ready, (int)of_image,
                         h->replicas, json_object_to_json_string(json_get(deployment(w), "status")));
}

static void come_to_rest(struct world *w, struct rollout *h)
{
        world_patch(w, &res_deployments, "d", "web", "{'spec':{'paused':false}}");
        for (int i = 0; i < 30; i++) { /* one pod at a time, each bound and then made ready */
                h->by_test = true;
                world_kubelet(w, 3, NULL, NULL);
                h->by_test = false;
                world_pass(w, 10000);
        }
        assert_rolled_out(w, h);
}

static void roll(uint64_t seed)
{
        struct rollout h = {.seed = seed, .replicas = 4, .surge = 1, .unavailable = 1};
        _cleanup_(world_freep) struct world *w =
                WORLD(.seed = seed, .refuse = seed % 3 ? 8 : 0, .lose = seed % 4 ? 4 : 0, .crash = seed % 5 ? 3 : 0,
                      .lateness = (unsigned int)(seed % 4) * 30, .check = check_rollout, .userdata = &h);

        edit(w, &h, true);
        come_to_rest(w, &h);
        for (int part = 0; part < 2; part++) {
                edit(w, &h, true);
                for (int i = 0; i < 25; i++)
                        something_happens(w, &h);
                come_to_rest(w, &h);
        }
}

static void random_rollouts_keep_their_limits_and_end_with_the_newest_template(void **state)
{
        for (uint64_t seed = 0; seed < SEEDS; seed++)
                roll(seed);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(a_deployment_gets_its_pods),
                cmocka_unit_test(a_new_template_takes_over),
                cmocka_unit_test(a_rollback_uses_the_replicaset_of_then),
                cmocka_unit_test(limits_are_rounded_to_the_safe_side),
                cmocka_unit_test(recreate_waits_until_the_last_pod_is_gone),
                cmocka_unit_test(while_paused_it_scales_but_does_not_roll),
                cmocka_unit_test(scaling_in_the_middle_is_proportional),
                cmocka_unit_test(a_rollout_that_does_not_get_on_is_told),
                cmocka_unit_test(old_replicasets_go_beyond_the_limit),
                cmocka_unit_test(a_name_that_is_taken_counts_as_collision),
                cmocka_unit_test(a_replicaset_with_the_template_is_adopted_and_used),
                cmocka_unit_test(broken_old_pods_go_first),
                cmocka_unit_test(new_pods_must_be_ready_for_long_enough),
                cmocka_unit_test(why_pods_cannot_be_made_is_told),
                cmocka_unit_test(a_replicaset_that_is_refused_is_told),
                cmocka_unit_test(random_rollouts_keep_their_limits_and_end_with_the_newest_template),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
