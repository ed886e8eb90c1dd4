/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/mem.h"
#include "base/str.h"
#include "controllers/controllers.h"
#include "unit/controllers/world.h"

static const struct controller *const only[] = {&controller_statefulset};
static const struct controller *const with_collector[] = {&controller_statefulset, &controller_garbagecollector};

static struct world *calm(void)
{
        return world_new(&(struct world_opts){.seed = 1, .controllers = only, .ncontrollers = 1});
}

/* spec: more of the spec, such as "'replicas':3,". */
static void make_set(struct world *w, const char *spec)
{
        world_apply(w,
                    "{'apiVersion':'apps/v1','kind':'StatefulSet','metadata':{'namespace':'d','name':'web'},'spec':{%s"
                    "'serviceName':'svc','selector':{'matchLabels':{'app':'web'}},'template':{'metadata':{'labels':{"
                    "'app':'web'}},'spec':{'containers':[{'name':'c','image':'v1'}]}}}}",
                    spec);
}

#define CLAIM_TEMPLATE                                                                                                 \
        "'volumeClaimTemplates':[{'metadata':{'name':'data'},'spec':{'accessModes':['ReadWriteOnce'],'resources':{"    \
        "'requests':{'storage':'1Gi'}}}}],"

static void change(struct world *w, const char *spec)
{
        world_patch(w, &res_statefulsets, "d", "web", "{'spec':{%s}}", spec);
        world_settle(w);
}

static void set_image(struct world *w, const char *image)
{
        world_patch(w, &res_statefulsets, "d", "web",
                    "{'spec':{'template':{'spec':{'containers':[{'name':'c','image':'%s'}]}}}}", image);
        world_settle(w);
}

/* Everybody does their part until nothing changes any more. */
static void rest(struct world *w)
{
        uint64_t before;

        do {
                before = world_writes(w);
                world_settle(w);
                world_kubelet(w, 3, NULL, NULL);
                world_kubelet(w, 3, NULL, NULL);
                world_settle(w);
        } while (world_writes(w) != before);
}

static struct json_object *pod(struct world *w, const char *name)
{
        return world_get(w, &res_pods, "d", name);
}

static bool there(struct world *w, const char *name)
{
        return pod(w, name) != NULL;
}

static bool ending(struct world *w, const char *name)
{
        return json_has(json_get(pod(w, name), "metadata"), "deletionTimestamp");
}

static const char *image(struct world *w, const char *name)
{
        const char *s = json_get_str(json_idx(json_at(pod(w, name), "spec.containers"), 0), "image");

        return s ? s : "";
}

static const char *label(struct world *w, const char *name, const char *key)
{
        const char *s = json_get_str(json_at(pod(w, name), "metadata.labels"), key);

        return s ? s : "";
}

static int64_t status(struct world *w, const char *field)
{
        return json_get_i64(json_get(world_get(w, &res_statefulsets, "d", "web"), "status"), field, 0);
}

static const char *status_text(struct world *w, const char *field)
{
        const char *s = json_get_str(json_get(world_get(w, &res_statefulsets, "d", "web"), "status"), field);

        return s ? s : "";
}

static bool told(struct world *w, const char *text)
{
        return strstr(world_events(w), text) != NULL;
}

/* ---- one after the other ---- */

static void pods_come_one_after_another(void **state)
{
        _cleanup_(world_freep) struct world *w = calm();

        make_set(w, "'replicas':3,");
        world_settle(w);
        assert_int_equal(world_count(w, &res_pods, "d"), 1);
        world_kubelet(w, 3, NULL, NULL);
        world_settle(w);
        assert_int_equal(world_count(w, &res_pods, "d"), 1);
        world_pod_status(w, "d", "web-0", "Running", true);
        world_settle(w);
        assert_true(there(w, "web-1"));
        assert_false(there(w, "web-2"));
        rest(w);
        assert_int_equal(world_count(w, &res_pods, "d"), 3);
        assert_int_equal(status(w, "readyReplicas"), 3);
        assert_int_equal(status(w, "availableReplicas"), 3);
        assert_int_equal(status(w, "currentReplicas"), 3);
        assert_int_equal(status(w, "updatedReplicas"), 3);
        assert_int_equal(status(w, "observedGeneration"), 1);
        assert_string_equal(status_text(w, "currentRevision"), status_text(w, "updateRevision"));
        assert_true(
                told(w, "Normal SuccessfulCreate StatefulSet d/web create Pod web-2 in StatefulSet web successful\n"));
}

static void a_pod_knows_who_it_is(void **state)
{
        _cleanup_(world_freep) struct world *w = calm();

        make_set(w, "'replicas':2,'ordinals':{'start':7},");
        rest(w);
        assert_int_equal(world_count(w, &res_pods, "d"), 2);
        assert_string_equal(json_at_str(pod(w, "web-8"), "spec.hostname"), "web-8");
        assert_string_equal(json_at_str(pod(w, "web-8"), "spec.subdomain"), "svc");
        assert_string_equal(json_at_str(pod(w, "web-8"), "metadata.generateName"), "web-");
        assert_string_equal(label(w, "web-8", "statefulset.kubernetes.io/pod-name"), "web-8");
        assert_string_equal(label(w, "web-8", "apps.kubernetes.io/pod-index"), "8");
        assert_string_equal(label(w, "web-8", "controller-revision-hash"), status_text(w, "updateRevision"));
}

static void they_go_from_the_top_one_at_a_time(void **state)
{
        _cleanup_(world_freep) struct world *w = calm();

        make_set(w, "'replicas':3,");
        rest(w);
        change(w, "'replicas':1");
        assert_true(ending(w, "web-2"));
        assert_false(ending(w, "web-1"));
        world_kubelet(w, 3, NULL, NULL);
        world_settle(w);
        assert_false(there(w, "web-2"));
        assert_true(ending(w, "web-1"));
        rest(w);
        assert_int_equal(world_count(w, &res_pods, "d"), 1);
        assert_true(
                told(w, "Normal SuccessfulDelete StatefulSet d/web delete Pod web-1 in StatefulSet web successful\n"));
}

static void an_unready_pod_holds_others_up(void **state)
{
        _cleanup_(world_freep) struct world *w = calm();

        make_set(w, "'replicas':3,");
        rest(w);
        world_pod_status(w, "d", "web-0", "Running", false);
        change(w, "'replicas':5");
        assert_false(there(w, "web-3"));
        change(w, "'replicas':2");
        assert_false(ending(w, "web-2"));
        world_pod_status(w, "d", "web-0", "Running", true);
        world_settle(w);
        assert_true(ending(w, "web-2"));
}

static void in_parallel_they_do_not_wait(void **state)
{
        _cleanup_(world_freep) struct world *w = calm();

        make_set(w, "'replicas':5,'podManagementPolicy':'Parallel',");
        world_settle(w);
        assert_int_equal(world_count(w, &res_pods, "d"), 5);
        rest(w);
        change(w, "'replicas':1");
        assert_true(ending(w, "web-4") && ending(w, "web-3") && ending(w, "web-2") && ending(w, "web-1"));
        rest(w);
        assert_int_equal(world_count(w, &res_pods, "d"), 1);
}

static void the_start_of_the_ordinals_can_move(void **state)
{
        _cleanup_(world_freep) struct world *w = calm();

        make_set(w, "'replicas':3,");
        rest(w);
        change(w, "'ordinals':{'start':2}");
        rest(w);
        assert_true(there(w, "web-2") && there(w, "web-3") && there(w, "web-4"));
        assert_int_equal(world_count(w, &res_pods, "d"), 3);
}

static void what_ended_is_made_again(void **state)
{
        _cleanup_(world_freep) struct world *w = calm();

        make_set(w, "'replicas':2,");
        rest(w);
        world_pod_status(w, "d", "web-0", "Failed", false);
        rest(w);
        assert_string_equal(json_at_str(pod(w, "web-0"), "status.phase"), "Running");
        assert_true(told(
                w, "Warning RecreatingFailedPod StatefulSet d/web StatefulSet d/web is recreating failed Pod web-0\n"));
        world_pod_status(w, "d", "web-1", "Succeeded", false);
        rest(w);
        assert_string_equal(json_at_str(pod(w, "web-1"), "status.phase"), "Running");
        assert_true(told(w, "Normal RecreatingTerminatedPod"));
}

/* ---- updates ---- */

static void an_update_goes_down_one_by_one(void **state)
{
        _cleanup_(world_freep) struct world *w = calm();
        char *before;

        make_set(w, "'replicas':3,");
        rest(w);
        before = mem_strdup(status_text(w, "currentRevision"));
        set_image(w, "v2");
        assert_true(ending(w, "web-2"));
        assert_false(ending(w, "web-1"));
        assert_string_equal(status_text(w, "currentRevision"), before);
        assert_string_not_equal(status_text(w, "updateRevision"), before);
        world_kubelet(w, 3, NULL, NULL);
        world_settle(w);
        assert_string_equal(image(w, "web-2"), "v2");
        assert_false(ending(w, "web-1"));
        rest(w);
        assert_string_equal(image(w, "web-0"), "v2");
        assert_string_equal(status_text(w, "currentRevision"), status_text(w, "updateRevision"));
        assert_int_equal(status(w, "currentReplicas"), 3);
        free(before);
}

static void a_partition_keeps_pods_back(void **state)
{
        _cleanup_(world_freep) struct world *w = calm();

        make_set(w, "'replicas':3,'updateStrategy':{'type':'RollingUpdate','rollingUpdate':{'partition':2}},");
        rest(w);
        set_image(w, "v2");
        rest(w);
        assert_string_equal(image(w, "web-2"), "v2");
        assert_string_equal(image(w, "web-1"), "v1");
        assert_int_equal(status(w, "updatedReplicas"), 1);
        assert_int_equal(status(w, "currentReplicas"), 2);
        world_delete(w, &res_pods, "d", "web-0", NULL);
        rest(w);
        assert_string_equal(image(w, "web-0"), "v1");
        change(w, "'updateStrategy':{'rollingUpdate':{'partition':0}}");
        rest(w);
        assert_string_equal(image(w, "web-0"), "v2");
        assert_string_equal(image(w, "web-1"), "v2");
}

static void on_delete_waits_for_the_user(void **state)
{
        _cleanup_(world_freep) struct world *w = calm();

        make_set(w, "'replicas':2,'updateStrategy':{'type':'OnDelete'},");
        rest(w);
        set_image(w, "v2");
        rest(w);
        assert_string_equal(image(w, "web-0"), "v1");
        world_delete(w, &res_pods, "d", "web-0", NULL);
        rest(w);
        assert_string_equal(image(w, "web-0"), "v2");
        assert_string_equal(image(w, "web-1"), "v1");
}

static void more_than_one_may_be_unavailable(void **state)
{
        _cleanup_(world_freep) struct world *w = calm();

        make_set(w, "'replicas':5,'podManagementPolicy':'Parallel','updateStrategy':{'type':'RollingUpdate',"
                    "'rollingUpdate':{'maxUnavailable':'40%'}},");
        rest(w);
        set_image(w, "v2");
        assert_true(ending(w, "web-4") && ending(w, "web-3"));
        assert_false(ending(w, "web-2"));
        world_kubelet(w, 3, NULL, NULL);
        world_settle(w);
        world_kubelet(w, 3, NULL, NULL);
        world_pod_status(w, "d", "web-3", "Running", true);
        world_settle(w);
        assert_true(ending(w, "web-2"));
        assert_false(ending(w, "web-1"));
        rest(w);
        for (int i = 0; i < 5; i++)
                assert_string_equal(image(w, (const char *[]){"web-0", "web-1", "web-2", "web-3", "web-4"}[i]), "v2");
}

/* They do not serve anyway; a set of broken pods can be mended. */
static void broken_pods_are_updated_beyond_the_limit(void **state)
{
        _cleanup_(world_freep) struct world *w = calm();

        make_set(w, "'replicas':3,'podManagementPolicy':'Parallel',");
        rest(w);
        world_pod_status(w, "d", "web-0", "Running", false);
        world_pod_status(w, "d", "web-1", "Running", false);
        set_image(w, "v2");
        assert_true(ending(w, "web-0") && ending(w, "web-1"));
        assert_false(ending(w, "web-2"));
}

static void a_rollback_takes_the_old_revision_up_again(void **state)
{
        _cleanup_(world_freep) struct world *w = calm();
        char *first;
        struct json_object *again;

        make_set(w, "'replicas':1,");
        rest(w);
        first = mem_strdup(status_text(w, "currentRevision"));
        set_image(w, "v2");
        rest(w);
        assert_int_equal(world_count(w, &res_controllerrevisions, "d"), 2);
        set_image(w, "v1");
        rest(w);
        assert_int_equal(world_count(w, &res_controllerrevisions, "d"), 2);
        assert_string_equal(status_text(w, "currentRevision"), first);
        again = world_get(w, &res_controllerrevisions, "d", first);
        assert_int_equal(json_get_i64(again, "revision", 0), 3);
        assert_string_equal(json_at_str(again, "data.spec.template.$patch"), "replace");
        free(first);
}

static void old_revisions_are_forgotten(void **state)
{
        _cleanup_(world_freep) struct world *w = calm();
        char name[16];

        make_set(w, "'replicas':1,'revisionHistoryLimit':2,");
        for (int i = 2; i < 9; i++) {
                snprintf(name, sizeof(name), "v%d", i);
                rest(w);
                set_image(w, name);
        }
        rest(w);
        assert_int_equal(world_count(w, &res_controllerrevisions, "d"), 3);
        assert_string_equal(image(w, "web-0"), "v8");
}

/* The name is somebody else's. */
static void a_taken_name_counts_as_a_collision(void **state)
{
        _cleanup_(world_freep) struct world *w = calm();
        char *name;

        make_set(w, "'replicas':1,");
        rest(w);
        name = mem_strdup(status_text(w, "currentRevision"));
        world_delete(w, &res_statefulsets, "d", "web", "Background");
        world_patch(w, &res_controllerrevisions, "d", name, "{'metadata':{'labels':null,'ownerReferences':null}}");
        world_settle(w);
        make_set(w, "'replicas':1,");
        rest(w);
        assert_string_not_equal(status_text(w, "currentRevision"), name);
        assert_int_equal(status(w, "collisionCount"), 1);
        free(name);
}

static void pods_must_be_ready_long_enough(void **state)
{
        _cleanup_(world_freep) struct world *w = calm();

        make_set(w, "'replicas':2,'minReadySeconds':30,");
        rest(w);
        assert_false(there(w, "web-1"));
        assert_int_equal(status(w, "readyReplicas"), 1);
        assert_int_equal(status(w, "availableReplicas"), 0);
        world_pass(w, 29000);
        assert_false(there(w, "web-1"));
        world_pass(w, 1500);
        assert_true(there(w, "web-1"));
        assert_int_equal(status(w, "availableReplicas"), 1);
}

/* ---- claims ---- */

static struct json_object *claim(struct world *w, const char *name)
{
        return world_get(w, &res_persistentvolumeclaims, "d", name);
}

static void claims_come_first_and_stay(void **state)
{
        _cleanup_(world_freep) struct world *w = calm();
        struct json_object *volume;

        make_set(w, "'replicas':2," CLAIM_TEMPLATE);
        rest(w);
        assert_non_null(claim(w, "data-web-1"));
        assert_string_equal(json_at_str(claim(w, "data-web-0"), "metadata.labels.app"), "web");
        volume = json_idx(json_at(pod(w, "web-1"), "spec.volumes"), 0);
        assert_string_equal(json_get_str(volume, "name"), "data");
        assert_string_equal(json_at_str(volume, "persistentVolumeClaim.claimName"), "data-web-1");
        assert_true(told(w, "create Claim data-web-1 Pod web-1 in StatefulSet web success\n"));
        assert_true(strstr(world_events(w), "create Claim data-web-0") < strstr(world_events(w), "create Pod web-0"));
        change(w, "'replicas':0");
        rest(w);
        assert_int_equal(world_count(w, &res_pods, "d"), 0);
        assert_int_equal(world_count(w, &res_persistentvolumeclaims, "d"), 2);
        assert_int_equal(json_len(json_at(claim(w, "data-web-0"), "metadata.ownerReferences")), 0);
}

static void a_claim_that_goes_is_waited_for(void **state)
{
        _cleanup_(world_freep) struct world *w = calm();

        make_set(w, "'replicas':1," CLAIM_TEMPLATE);
        rest(w);
        world_patch(w, &res_persistentvolumeclaims, "d", "data-web-0", "{'metadata':{'finalizers':['test.dev/hold']}}");
        world_delete(w, &res_persistentvolumeclaims, "d", "data-web-0", NULL);
        world_delete(w, &res_pods, "d", "web-0", NULL);
        rest(w);
        assert_false(there(w, "web-0"));
        assert_true(told(w,
                         "Warning FailedCreate StatefulSet d/web create Pod web-0 in StatefulSet web failed error: pvc "
                         "data-web-0 is being deleted\n"));
        world_patch(w, &res_persistentvolumeclaims, "d", "data-web-0", "{'metadata':{'finalizers':null}}");
        rest(w);
        assert_true(there(w, "web-0"));
        assert_non_null(claim(w, "data-web-0"));
}

static void claims_of_pods_scaled_away_can_go(void **state)
{
        _cleanup_(world_freep) struct world *w =
                world_new(&(struct world_opts){.seed = 1, .controllers = with_collector, .ncontrollers = 2});

        make_set(w, "'replicas':3,'persistentVolumeClaimRetentionPolicy':{'whenScaled':'Delete'}," CLAIM_TEMPLATE);
        rest(w);
        world_delete(w, &res_pods, "d", "web-1", NULL);
        rest(w);
        assert_int_equal(world_count(w, &res_persistentvolumeclaims, "d"), 3);
        change(w, "'replicas':1");
        assert_string_equal(
                json_get_str(json_idx(json_at(claim(w, "data-web-2"), "metadata.ownerReferences"), 0), "name"),
                "web-2");
        rest(w);
        assert_int_equal(world_count(w, &res_persistentvolumeclaims, "d"), 1);
        assert_non_null(claim(w, "data-web-0"));
        change(w, "'replicas':2");
        rest(w);
        assert_non_null(claim(w, "data-web-1"));
        assert_int_equal(json_len(json_at(claim(w, "data-web-1"), "metadata.ownerReferences")), 0);
}

static void claims_can_go_with_the_set(void **state)
{
        _cleanup_(world_freep) struct world *w =
                world_new(&(struct world_opts){.seed = 1, .controllers = with_collector, .ncontrollers = 2});

        make_set(w, "'replicas':2,'persistentVolumeClaimRetentionPolicy':{'whenDeleted':'Delete'}," CLAIM_TEMPLATE);
        rest(w);
        change(w, "'replicas':1");
        rest(w);
        assert_int_equal(world_count(w, &res_persistentvolumeclaims, "d"), 2);
        world_delete(w, &res_statefulsets, "d", "web", "Background");
        rest(w);
        assert_int_equal(world_count(w, &res_pods, "d"), 0);
        assert_int_equal(world_count(w, &res_persistentvolumeclaims, "d"), 0);
}

static void the_retention_policy_can_change(void **state)
{
        _cleanup_(world_freep) struct world *w = calm();

        make_set(w, "'replicas':1," CLAIM_TEMPLATE);
        rest(w);
        change(w, "'persistentVolumeClaimRetentionPolicy':{'whenDeleted':'Delete'}");
        rest(w);
        assert_int_equal(json_len(json_at(claim(w, "data-web-0"), "metadata.ownerReferences")), 1);
        change(w, "'persistentVolumeClaimRetentionPolicy':{'whenDeleted':'Retain'}");
        rest(w);
        assert_int_equal(json_len(json_at(claim(w, "data-web-0"), "metadata.ownerReferences")), 0);
}

/* ---- other people's pods ---- */

static void make_pod(struct world *w, const char *name, const char *app)
{
        world_apply(w,
                    "{'apiVersion':'v1','kind':'Pod','metadata':{'namespace':'d','name':'%s','labels':{'app':'%s'}},"
                    "'spec':{'containers':[{'name':'c','image':'mine'}]}}",
                    name, app);
}

static void orphans_with_the_right_name_are_adopted(void **state)
{
        _cleanup_(world_freep) struct world *w = calm();

        make_pod(w, "web-1", "web");
        make_pod(w, "web-01", "web");
        make_pod(w, "other", "web");
        make_set(w, "'replicas':2,");
        rest(w);
        assert_int_equal(world_count(w, &res_pods, "d"), 4);
        assert_string_equal(json_get_str(json_idx(json_at(pod(w, "web-1"), "metadata.ownerReferences"), 0), "kind"),
                            "StatefulSet");
        assert_int_equal(json_len(json_at(pod(w, "web-01"), "metadata.ownerReferences")), 0);
        assert_int_equal(json_len(json_at(pod(w, "other"), "metadata.ownerReferences")), 0);
        assert_string_equal(label(w, "web-1", "statefulset.kubernetes.io/pod-name"), "web-1");
        assert_string_equal(image(w, "web-1"), "v1");
}

static void a_strange_pod_of_that_name_is_in_the_way(void **state)
{
        _cleanup_(world_freep) struct world *w = calm();

        make_pod(w, "web-0", "other");
        make_set(w, "'replicas':1,");
        rest(w);
        assert_string_equal(image(w, "web-0"), "mine");
        assert_true(told(w, "pods \"web-0\" already exists"));
        world_delete(w, &res_pods, "d", "web-0", NULL);
        rest(w);
        assert_string_equal(image(w, "web-0"), "v1");
}

static void a_pod_that_does_not_match_any_more_is_let_go(void **state)
{
        _cleanup_(world_freep) struct world *w = calm();

        make_set(w, "'replicas':2,");
        rest(w);
        world_patch(w, &res_pods, "d", "web-1", "{'metadata':{'labels':{'app':'debug'}}}");
        rest(w);
        assert_int_equal(json_len(json_at(pod(w, "web-1"), "metadata.ownerReferences")), 0);
        world_patch(w, &res_pods, "d", "web-0", "{'metadata':{'labels':{'apps.kubernetes.io/pod-index':null}}}");
        rest(w);
        assert_string_equal(label(w, "web-0", "apps.kubernetes.io/pod-index"), "0");
}

static void a_huge_set_is_begun_calmly(void **state)
{
        _cleanup_(world_freep) struct world *w = calm();

        make_set(w, "'replicas':2147483647,'ordinals':{'start':2147483000},");
        world_settle(w);
        assert_int_equal(world_count(w, &res_pods, "d"), 1);
        assert_true(there(w, "web-2147483000"));
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(pods_come_one_after_another),
                cmocka_unit_test(a_pod_knows_who_it_is),
                cmocka_unit_test(they_go_from_the_top_one_at_a_time),
                cmocka_unit_test(an_unready_pod_holds_others_up),
                cmocka_unit_test(in_parallel_they_do_not_wait),
                cmocka_unit_test(the_start_of_the_ordinals_can_move),
                cmocka_unit_test(what_ended_is_made_again),
                cmocka_unit_test(an_update_goes_down_one_by_one),
                cmocka_unit_test(a_partition_keeps_pods_back),
                cmocka_unit_test(on_delete_waits_for_the_user),
                cmocka_unit_test(more_than_one_may_be_unavailable),
                cmocka_unit_test(broken_pods_are_updated_beyond_the_limit),
                cmocka_unit_test(a_rollback_takes_the_old_revision_up_again),
                cmocka_unit_test(old_revisions_are_forgotten),
                cmocka_unit_test(a_taken_name_counts_as_a_collision),
                cmocka_unit_test(pods_must_be_ready_long_enough),
                cmocka_unit_test(claims_come_first_and_stay),
                cmocka_unit_test(a_claim_that_goes_is_waited_for),
                cmocka_unit_test(claims_of_pods_scaled_away_can_go),
                cmocka_unit_test(claims_can_go_with_the_set),
                cmocka_unit_test(the_retention_policy_can_change),
                cmocka_unit_test(orphans_with_the_right_name_are_adopted),
                cmocka_unit_test(a_strange_pod_of_that_name_is_in_the_way),
                cmocka_unit_test(a_pod_that_does_not_match_any_more_is_let_go),
                cmocka_unit_test(a_huge_set_is_begun_calmly),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
