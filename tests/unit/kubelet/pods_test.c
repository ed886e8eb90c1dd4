/* SPDX-License-Identifier: Apache-2.0 */
/* The pods of a played node: what is asked of the runtime, what people and the API are told. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>

#include "played/node.h"

static struct played node;

static int open_node(void **state)
{
        played_open(&node);
        return 0;
}

static int close_node(void **state)
{
        const char *broken = node.broken;

        played_close(&node);
        if (broken)
                print_error("%s\n", broken);
        return broken != NULL;
}

#define ONE(name, more)                                                                                                \
        "{\"metadata\": {\"name\": \"" name "\", \"generation\": 1}, \"spec\": {\"restartPolicy\": \"Always\", "       \
        "\"containers\": [{\"name\": \"app\", \"image\": \"busybox\"" more "}]}}"

static bool has_event(const char *text)
{
        return node.events.data && strstr(node.events.data, text);
}

static void assert_event(const char *text)
{
        if (!has_event(text))
                fail_msg("no Event \"%s\" among\n%s", text, node.events.data ? node.events.data : "none");
}

static void assert_no_event(const char *text)
{
        if (has_event(text))
                fail_msg("an Event \"%s\" among\n%s", text, node.events.data);
}

static const char *state_of(const char *pod, const char *container, const char *path)
{
        const char *text = json_at_str(json_get(played_container_status(pod, container), "state"), path);

        return text ? text : "none";
}

/* Turns the node until it is so, for some seconds at most: this machine may be slow, and waits are real. */
#define UNTIL(condition)                                                                                               \
        do {                                                                                                           \
                for (int _i = 0; _i < 5000 && !(condition); _i++)                                                      \
                        played_wait(1);                                                                                \
                if (!(condition))                                                                                      \
                        fail_msg("never: %s\n%s\n%s", #condition, node.log.data, node.events.data);                    \
        } while (0)

static bool runs(const char *pod, const char *container, int64_t restarts)
{
        const struct json_object *c = played_container_status(pod, container);

        return json_has(json_get(c, "state"), "running") && json_get_i64(c, "restartCount", -1) == restarts;
}

static bool waits(const char *pod, const char *container, const char *reason)
{
        return strcmp(state_of(pod, container, "waiting.reason"), reason) == 0;
}

static void assert_runs(const char *pod, const char *container, int64_t restarts)
{
        const struct json_object *c = played_container_status(pod, container);

        if (!json_has(json_get(c, "state"), "running") || json_get_i64(c, "restartCount", -1) != restarts)
                fail_msg("%s does not run with %d restarts: %s; %s", container, (int)restarts,
                         json_object_to_json_string((struct json_object *)c), node.log.data);
        assert_int_equal(played_living(pod, container), 1);
}

static void forget_log(void)
{
        node.log.len = 0;
        node.events.len = 0;
        if (node.log.data)
                node.log.data[0] = '\0';
        if (node.events.data)
                node.events.data[0] = '\0';
}

/* ---- from nothing to nothing ---- */

static void a_pod_runs_and_is_told(void **state)
{
        played_add(ONE("web", ""));
        played_settle();
        assert_string_equal(node.log.data, "run 0; create app/0; start app/0; ");
        assert_string_equal(node.events.data, "Normal Pulled Container image \"busybox\" already present on machine\n"
                                              "Normal Created Created container: app\n"
                                              "Normal Started Started container app\n");
        assert_string_equal(played_status("web", "phase"), "Running");
        assert_string_equal(played_status("web", "podIP"), "10.1.0.5");
        assert_string_equal(played_status("web", "hostIP"), "192.0.2.1");
        assert_true(json_get_bool(played_container_status("web", "app"), "ready", false));
        assert_string_equal(json_get_str(played_container_status("web", "app"), "imageID"),
                            "docker.io/library/busybox@sha256:2");
}

static void a_deleted_pod_is_ended_told_removed_and_forgotten(void **state)
{
        played_add(ONE("web", ""));
        played_settle();
        played_delete("web", 5);
        played_settle();
        assert_string_equal(node.log.data,
                            "run 0; create app/0; start app/0; stop app/0; stop-sandbox; remove-sandbox; ");
        assert_event("Normal Killing Stopping container app");
        assert_in_range(node.last_grace_ms, 4000, 5000);
        assert_null(played_pod("web"));
        assert_int_equal(node.deletes, 1);
        assert_int_equal(node.nboxes, 0);
        assert_true(node.volumes_removed >= 1);
        assert_string_equal(node.told.data, "Pending Running Failed ");
}

static void a_pod_that_was_deleted_by_force_is_ended_all_the_same(void **state)
{
        played_add(ONE("web", ""));
        played_settle();
        played_force_delete("web");
        played_settle();
        assert_int_equal(node.nboxes, 0);
        assert_int_equal(node.deletes, 0);
}

static void a_pod_deleted_before_it_began_never_begins(void **state)
{
        node.hold = true;
        played_add(ONE("web", ""));
        played_delete("web", 0);
        node.hold = false;
        played_settle();
        assert_null(node.log.data);
        assert_null(played_pod("web"));
}

static void a_job_ends_and_keeps_its_container_for_the_log(void **state)
{
        played_add("{\"metadata\": {\"name\": \"job\"}, \"spec\": {\"restartPolicy\": \"Never\", \"containers\": "
                   "[{\"name\": \"app\", \"image\": \"busybox\"}]}}");
        played_settle();
        played_exit("job", "app", 0);
        played_settle();
        assert_string_equal(played_status("job", "phase"), "Succeeded");
        assert_string_equal(state_of("job", "app", "terminated.reason"), "Completed");
        assert_int_equal(node.ncontainers, 1);
        assert_false(node.boxes[0].ready);
        assert_int_equal(node.volumes_removed, 1);
        played_delete("job", 30);
        played_settle();
        assert_null(played_pod("job"));
        assert_int_equal(node.ncontainers, 0);
        assert_string_equal(node.told.data, "Pending Running Succeeded ");
}

static void volumes_of_a_job_stay_until_its_end_is_told(void **state)
{
        played_add("{\"metadata\": {\"name\": \"job\"}, \"spec\": {\"restartPolicy\": \"Never\", \"containers\": "
                   "[{\"name\": \"app\", \"image\": \"busybox\"}]}}");
        played_settle();
        node.api_away = true;
        played_exit("job", "app", 1);
        played_settle();
        assert_int_equal(node.volumes_removed, 0);
        node.api_away = false;
        pods_tell_again(node.pods);
        played_settle();
        assert_string_equal(played_status("job", "phase"), "Failed");
        assert_int_equal(node.volumes_removed, 1);
}

static void an_evicted_pod_gives_its_volumes_back_at_once(void **state)
{
        played_add(ONE("web", ""));
        played_settle();
        node.api_away = true;
        pods_evict(node.pods, "web", "Evicted", "The node was low on resource: ephemeral-storage.", 0);
        played_settle();
        assert_int_equal(node.volumes_removed, 1);
}

static void what_ends_before_its_start_is_told_has_run(void **state)
{
        played_add("{\"metadata\": {\"name\": \"job\"}, \"spec\": {\"restartPolicy\": \"Never\", \"containers\": "
                   "[{\"name\": \"app\", \"image\": \"busybox\"}]}}");
        while (!node.log.data || !strstr(node.log.data, "start app/0"))
                played_turn();
        node.hold = true;
        played_exit("job", "app", 0);
        played_settle();
        node.hold = false;
        played_settle();
        assert_string_equal(played_status("job", "phase"), "Succeeded");
        assert_string_equal(state_of("job", "app", "terminated.reason"), "Completed");
        assert_null(strstr(node.told.data, "Failed"));
        assert_no_event("Killing");
}

static void containers_end_together_and_sidecars_after_them(void **state)
{
        played_add("{\"metadata\": {\"name\": \"web\"}, \"spec\": {\"initContainers\": [{\"name\": \"log\", \"image\": "
                   "\"b\", \"restartPolicy\": \"Always\"}], \"containers\": [{\"name\": \"a\", \"image\": \"b\"}, "
                   "{\"name\": \"z\", \"image\": \"b\"}]}}");
        played_settle();
        assert_runs("web", "log", 0);
        forget_log();
        played_delete("web", 30);
        played_settle();
        assert_string_equal(node.log.data, "stop a/0; stop z/0; stop log/0; stop-sandbox; remove-sandbox; ");
}

/* ---- images ---- */

static void an_image_that_is_missing_is_pulled(void **state)
{
        node.image_here = false;
        played_add(ONE("web", ""));
        played_settle();
        assert_runs("web", "app", 0);
        assert_event("Normal Pulling Pulling image \"busybox\"\n");
        assert_event("Normal Pulled Successfully pulled image \"busybox\" in ");
        assert_event(" including waiting). Image size: 1234 bytes.\n");
        assert_no_event("already present");
}

static void a_pull_that_fails_is_told_and_tried_again(void **state)
{
        node.image_here = false;
        node.pull_fails = "manifest unknown";
        played_add(ONE("web", ""));
        played_settle();
        assert_event("Warning Failed Failed to pull image \"busybox\": manifest unknown\n"
                     "Warning Failed Error: ErrImagePull\n");
        UNTIL(waits("web", "app", "ImagePullBackOff"));
        assert_string_equal(state_of("web", "app", "waiting.message"),
                            "Back-off pulling image \"busybox\": ErrImagePull: manifest unknown");
        assert_event("Normal BackOff Back-off pulling image \"busybox\"\nWarning Failed Error: ImagePullBackOff\n");
        assert_int_equal(node.pulls, 1);
        node.pull_fails = NULL;
        UNTIL(runs("web", "app", 0));
}

static void a_pull_that_takes_long_is_told_about(void **state)
{
        const struct image_progress progress = {"docker.io/library/busybox:latest", "pulling", 5 << 20, 9 << 20, 20};

        node.image_here = false;
        played_add(ONE("web", ""));
        node.hold = true;
        for (played_settle(); !node.pulls; played_settle())
                played_turn();
        node.progress(node.pods, &progress);
        assert_event("Normal Pulling Pulling image \"busybox\": pulling, 5 of 9 MiB after 20s\n");
}

static void images_that_cannot_be_had_say_why(void **state)
{
        node.image_here = false;
        played_add(ONE("never", ", \"imagePullPolicy\": \"Never\""));
        played_add("{\"metadata\": {\"name\": \"odd\"}, \"spec\": {\"containers\": [{\"name\": \"app\", \"image\": "
                   "\"a b\"}]}}");
        played_settle();
        assert_string_equal(state_of("never", "app", "waiting.reason"), "ErrImageNeverPull");
        assert_event(
                "Warning ErrImageNeverPull Container image \"busybox\" is not present with pull policy of Never\n");
        assert_string_equal(state_of("odd", "app", "waiting.reason"), "InvalidImageName");
        assert_event("Warning InspectFailed Failed to apply default image tag \"a b\": couldn't parse image name");
        assert_string_equal(played_status("odd", "phase"), "Pending");
}

static void secrets_name_the_account_of_the_registry(void **state)
{
        /* {"auths": {"https://index.docker.io/v1/": {"auth": base64("ann:secret")}}} */
        static const char config[] =
                "eyJhdXRocyI6IHsiaHR0cHM6Ly9pbmRleC5kb2NrZXIuaW8vdjEvIjogeyJhdXRoIjogIllXNXVPbk5sWTNKb"
                "GRBPT0ifX19";

        node.image_here = false;
        node.docker_secret = json_object_new_object();
        json_set_str(json_ensure(node.docker_secret, "data"), ".dockerconfigjson", config);
        played_add("{\"metadata\": {\"name\": \"web\"}, \"spec\": {\"imagePullSecrets\": [{\"name\": \"s\"}], "
                   "\"containers\": [{\"name\": \"app\", \"image\": \"busybox\"}]}}");
        played_settle();
        assert_string_equal(node.pulled_as, "ann");
        assert_runs("web", "app", 0);
}

static void a_secret_that_is_missing_is_told_and_the_pull_tried(void **state)
{
        node.image_here = false;
        played_add("{\"metadata\": {\"name\": \"web\"}, \"spec\": {\"imagePullSecrets\": [{\"name\": \"s\"}], "
                   "\"containers\": [{\"name\": \"app\", \"image\": \"busybox\"}]}}");
        played_settle();
        assert_event(
                "Warning FailedToRetrieveImagePullSecret Unable to retrieve some image pull secrets (s); attempting to "
                "pull the image may not succeed.\n");
        assert_runs("web", "app", 0);
}

/* ---- what fails ---- */

static void a_container_that_crashes_is_restarted_with_longer_and_longer_waits(void **state)
{
        played_add(ONE("web", ""));
        played_settle();
        played_exit("web", "app", 1);
        played_settle();
        assert_runs("web", "app", 1); /* the first time at once */
        played_exit("web", "app", 1);
        played_settle();
        assert_string_equal(state_of("web", "app", "waiting.reason"), "CrashLoopBackOff");
        assert_string_equal(state_of("web", "app", "waiting.message"),
                            "back-off 100ms restarting failed container=app pod=web_default(web)");
        assert_event("Warning BackOff Back-off restarting failed container app in pod web_default(web)\n");
        assert_string_equal(played_status("web", "phase"), "Running");
        UNTIL(runs("web", "app", 2));
        played_exit("web", "app", 1);
        played_settle();
        assert_string_equal(state_of("web", "app", "waiting.message"),
                            "back-off 200ms restarting failed container=app pod=web_default(web)");
        UNTIL(runs("web", "app", 3));
        assert_int_equal(node.ncontainers, 2); /* the one before it is kept for its log */
}

static void what_a_container_needs_and_is_not_there_is_waited_for(void **state)
{
        node.config_fails = "configmap \"settings\" not found";
        played_add(ONE("web", ""));
        played_settle();
        assert_no_event("Failed"); /* the API was asked */
        UNTIL(waits("web", "app", "CreateContainerConfigError"));
        assert_event("Warning Failed Error: configmap \"settings\" not found\n");
        played_settle();
        assert_in_range(node.configs, 2, 5); /* it is not asked for without end */
        node.config_fails = NULL;
        pods_poke(node.pods, "web"); /* it has come */
        played_settle();
        assert_runs("web", "app", 0);
}

static void a_container_that_cannot_be_made_or_started_is_tried_again(void **state)
{
        node.fault = (struct played_fault){"container_create", "no space left on device", 2};
        played_add(ONE("web", ""));
        played_settle();
        assert_string_equal(state_of("web", "app", "waiting.reason"), "CreateContainerError");
        assert_event("Warning Failed Error: no space left on device\n");
        UNTIL(node.fault.times == 0); /* the same twice */
        node.fault = (struct played_fault){"container_start", "fork: Resource temporarily unavailable", 1};
        UNTIL(waits("web", "app", "RunContainerError"));
        assert_event("Warning Failed Error: fork: Resource temporarily unavailable\n");
        UNTIL(runs("web", "app", 0));
        played_settle();
        assert_int_equal(node.ncontainers, 1);
}

static void a_sandbox_that_fails_is_told_and_tried_again(void **state)
{
        node.fault = (struct played_fault){"sandbox_run", "the CNI plugin did not answer", 1};
        played_add(ONE("web", ""));
        played_settle();
        assert_event("Warning FailedCreatePodSandBox Failed to create pod sandbox: the CNI plugin did not answer\n");
        assert_string_equal(state_of("web", "app", "waiting.reason"), "ContainerCreating");
        UNTIL(runs("web", "app", 0));
}

static void volumes_that_are_not_there_yet_are_waited_for(void **state)
{
        node.mount_result = -EAGAIN;
        node.mount_message = "MountVolume.SetUp failed for volume \"v\" : configmap \"c\" not found";
        played_add(ONE("web", ""));
        played_settle();
        assert_string_equal(node.log.data, "run 0; "); /* beside it */
        assert_no_event("FailedMount");
        UNTIL(has_event("Warning FailedMount MountVolume.SetUp failed for volume \"v\" : configmap \"c\" not found\n"));
        node.mount_result = 0;
        pods_poke(node.pods, "web");
        played_settle();
        assert_runs("web", "app", 0);
}

static void a_sandbox_that_breaks_is_made_anew_with_all_containers(void **state)
{
        played_add(ONE("web", ""));
        played_settle();
        forget_log();
        played_break_sandbox("web");
        played_settle();
        assert_string_equal(node.log.data, "stop app/0; stop-sandbox; run 1; create app/1; start app/1; ");
        assert_event("Normal SandboxChanged Pod sandbox changed, it will be killed and re-created.\n");
        assert_runs("web", "app", 1);
}

static void a_sandbox_that_breaks_under_a_container_in_the_making_costs_no_wait(void **state)
{
        played_add(ONE("web", ""));
        while (!node.log.data || !strstr(node.log.data, "create app/0"))
                played_turn();
        played_break_sandbox("web");
        played_settle();
        assert_no_event("Error");
        assert_int_equal(played_living("web", "app"), 1);
        assert_string_equal(played_status("web", "phase"), "Running");
}

/* ---- probes and hooks ---- */

static void a_sick_container_is_killed_and_started_again(void **state)
{
        played_add(ONE("web", ""));
        played_settle();
        node.liveness = VERDICT_FAILURE;
        node.hold = true;
        pods_poke(node.pods, "web");
        played_settle();
        node.liveness = VERDICT_UNKNOWN; /* the next instance was not probed yet */
        node.hold = false;
        played_settle();
        assert_event("Normal Killing Container app failed liveness probe, will be restarted\n");
        assert_runs("web", "app", 1);
}

static void a_changed_image_replaces_the_container(void **state)
{
        played_add(ONE("web", ""));
        played_settle();
        played_change("web", "spec.containers.0.image", json_object_new_string("other"));
        played_settle();
        assert_event("Normal Killing Container app definition changed, will be restarted\n");
        assert_runs("web", "app", 1);
}

static void readiness_follows_the_probe(void **state)
{
        node.readiness = VERDICT_UNKNOWN;
        played_add(ONE("web", ""));
        played_settle();
        assert_false(json_get_bool(played_container_status("web", "app"), "ready", true));
        node.readiness = VERDICT_SUCCESS;
        pods_poke(node.pods, "web");
        played_settle();
        assert_true(json_get_bool(played_container_status("web", "app"), "ready", false));
}

static void a_post_start_hook_that_fails_ends_the_container(void **state)
{
        node.hook_fails = "exit code 1";
        played_add(ONE("web", ", \"lifecycle\": {\"postStart\": {}}"));
        UNTIL(has_event("Killing"));
        assert_event("Warning FailedPostStartHook PostStartHook failed\n");
        assert_event("Normal Killing FailedPostStartHook\n");
        node.hook_fails = NULL;
        UNTIL(played_find("web", "app")->attempt > 0);
        UNTIL(json_get_bool(played_container_status("web", "app"), "ready", false));
        assert_true(json_get_bool(played_container_status("web", "app"), "ready", false));
}

static void a_pre_stop_hook_comes_before_the_signal(void **state)
{
        played_add(ONE("web", ", \"lifecycle\": {\"preStop\": {}, \"stopSignal\": \"SIGUSR1\"}"));
        played_settle();
        forget_log();
        played_delete("web", 30);
        played_settle();
        assert_string_equal(node.log.data, "hook; stop app/0; stop-sandbox; remove-sandbox; ");
        assert_int_equal(node.last_signal, SIGUSR1);
}

static void a_second_delete_shortens_the_grace(void **state)
{
        played_add(ONE("web", ", \"lifecycle\": {\"preStop\": {}}"));
        played_settle();
        node.hold_hooks = node.stubborn = true;
        played_delete("web", 100);
        played_settle();
        assert_null(strstr(node.log.data, "stop"));
        played_delete("web", 1);
        played_settle();
        assert_non_null(strstr(node.log.data, "stop app/0; ")); /* its hook is not waited for */
        assert_in_range(node.last_grace_ms, 1, 2000);
}

/* ---- the node's word ---- */

static int no_room(void *userdata, const struct json_object *pod, char reason[static 64], struct err *reterr)
{
        strcpy(reason, "OutOfcpu");
        return err_set(reterr, -EPERM, "Node didn't have enough resource: cpu");
}

static void a_pod_that_does_not_fit_fails(void **state)
{
        played_kill(false);
        played_start_with(no_room);
        played_add(ONE("web", ""));
        played_settle();
        assert_string_equal(played_status("web", "phase"), "Failed");
        assert_string_equal(played_status("web", "reason"), "OutOfcpu");
        assert_string_equal(played_status("web", "message"), "Pod was rejected: Node didn't have enough resource: cpu");
        assert_event("Warning OutOfcpu Node didn't have enough resource: cpu\n");
        assert_null(node.log.data);
        played_delete("web", 0);
        played_settle();
        assert_null(played_pod("web"));
}

static void what_is_not_supported_is_refused_by_name(void **state)
{
        node.unsupported = "spec.volumes[0].nfs: is not supported";
        played_add(ONE("web", ""));
        played_settle();
        assert_string_equal(played_status("web", "phase"), "Failed");
        assert_string_equal(played_status("web", "message"), "Pod was rejected: spec.volumes[0].nfs: is not supported");
        assert_null(node.log.data);
}

static void an_evicted_pod_fails_once_nothing_of_it_runs(void **state)
{
        played_add(ONE("web", ""));
        played_settle();
        pods_evict(node.pods, "web", "Evicted", "The node was low on resource: memory.", 0);
        played_settle();
        assert_string_equal(played_status("web", "phase"), "Failed");
        assert_string_equal(played_status("web", "reason"), "Evicted");
        assert_string_equal(played_status("web", "message"), "The node was low on resource: memory.");
        assert_int_equal(played_living("web", NULL), 0);
        assert_string_equal(node.told.data, "Pending Running Failed ");
}

static void a_deadline_ends_the_pod(void **state)
{
        played_add("{\"metadata\": {\"name\": \"job\"}, \"spec\": {\"activeDeadlineSeconds\": 1, \"containers\": "
                   "[{\"name\": "
                   "\"app\", \"image\": \"b\"}]}}");
        played_settle();
        assert_runs("job", "app", 0);
        UNTIL(strcmp(played_status("job", "phase"), "Failed") == 0);
        assert_string_equal(played_status("job", "reason"), "DeadlineExceeded");
        assert_event("Normal DeadlineExceeded Pod was active on the node longer than the specified deadline\n");
}

/* ---- the API ---- */

static void pods_go_on_while_the_api_is_away_and_status_catches_up(void **state)
{
        played_add(ONE("web", ""));
        node.api_away = true;
        played_settle();
        assert_int_equal(played_living("web", "app"), 1);
        played_exit("web", "app", 1);
        played_settle();
        assert_int_equal(played_living("web", "app"), 1);
        assert_null(played_status("web", "phase"));
        node.api_away = false;
        pods_tell_again(node.pods);
        played_settle();
        assert_runs("web", "app", 1);
        assert_string_equal(node.told.data, "Running "); /* what was in between is nobody's business any more */
}

static void lost_answers_are_asked_for_again(void **state)
{
        node.lose_answers = true;
        played_add(ONE("web", ""));
        played_wait(30);
        played_delete("web", 1);
        played_wait(300);
        node.lose_answers = false;
        UNTIL(!played_pod("web"));
        UNTIL(!node.nboxes);
}

static void a_pod_that_the_api_has_forgotten_is_not_told_for_ever(void **state)
{
        unsigned int patches;

        played_add(ONE("web", ""));
        node.api_forgets = true;
        played_settle();
        patches = node.patches;
        played_exit("web", "app", 1);
        played_wait(50);
        assert_int_equal(node.patches, patches);
}

static void a_conflict_is_no_end(void **state)
{
        node.conflicts = 2;
        played_add(ONE("web", ""));
        UNTIL(runs("web", "app", 0));
        played_settle();
        node.conflicts = 1;
        played_delete("web", 0);
        UNTIL(!played_pod("web"));
}

static void what_somebody_else_wrote_is_put_right_and_what_is_his_is_kept(void **state)
{
        played_add(ONE("web", ""));
        played_settle();
        played_change("web", "status.phase", json_object_new_string("Pending"));
        played_change("web", "status.nominatedNodeName", json_object_new_string("other"));
        played_settle();
        assert_string_equal(played_status("web", "phase"), "Running");
        assert_string_equal(played_status("web", "nominatedNodeName"), "other");
}

static void status_is_told_in_few_calls(void **state)
{
        played_add(ONE("web", ""));
        played_settle();
        assert_in_range(node.patches, 1, 3); /* it is there, it has an address, it runs */
        pods_poke(node.pods, NULL);
        played_settle();
        assert_in_range(node.patches, 1, 3);
}

/* ---- static pods, orphans ---- */

static struct json_object *parse(const char *text)
{
        struct json_object *o = NULL;

        assert_int_equal(json_parse(text, strlen(text), &o, NULL), 0);
        return o;
}

#define STATIC_POD                                                                                                     \
        "{\"metadata\": {\"name\": \"etc-node\", \"namespace\": \"default\", \"uid\": \"abc\"}, \"spec\": "            \
        "{\"containers\": "                                                                                            \
        "[{\"name\": \"app\", \"image\": \"b\"}]}}"

static void a_static_pods_status_is_told_under_its_mirror(void **state)
{
        _cleanup_json_ struct json_object *pod = parse(STATIC_POD);

        pods_set(node.pods, POD_STATIC, pod);
        played_settle();
        assert_int_equal(played_living("abc", "app"), 1);
        assert_int_equal(node.patches, 0);
        played_add(
                "{\"metadata\": {\"name\": \"etc-node\", \"uid\": \"mirror\", \"labels\": {\"mirror-of\": \"abc\"}}, "
                "\"spec\": {}}");
        played_settle();
        assert_string_equal(played_status("etc-node", "phase"), "Running");
}

static void a_static_pod_whose_file_goes_and_comes_back_runs_anew(void **state)
{
        _cleanup_json_ struct json_object *pod = parse(STATIC_POD);

        pods_set(node.pods, POD_STATIC, pod);
        played_settle();
        pods_gone(node.pods, "abc");
        pods_set(node.pods, POD_STATIC, pod);
        played_settle();
        assert_string_equal(node.log.data,
                            "run 0; create app/0; start app/0; stop app/0; stop-sandbox; remove-sandbox; "
                            "run 0; create app/0; start app/0; ");
        assert_int_equal(node.deletes, 0);
}

static void a_changed_static_pod_waits_for_the_end_of_the_one_before(void **state)
{
        _cleanup_json_ struct json_object *pod = parse(STATIC_POD), *second = parse(STATIC_POD),
                                          *third = parse(STATIC_POD);

        json_set_str(json_get(second, "metadata"), "uid", "def");
        json_set_str(json_get(third, "metadata"), "uid", "ghi");
        pods_set(node.pods, POD_STATIC, pod);
        played_settle();
        pods_gone(node.pods, "abc");
        pods_set(node.pods, POD_STATIC, second);
        pods_gone(node.pods, "def"); /* changed again before it has begun */
        pods_set(node.pods, POD_STATIC, third);
        played_settle();
        assert_string_equal(node.log.data,
                            "run 0; create app/0; start app/0; stop app/0; stop-sandbox; remove-sandbox; "
                            "run 0; create app/0; start app/0; ");
        assert_int_equal(played_living("ghi", "app"), 1);
}

static void what_nobody_wants_is_ended_once_all_sources_have_told(void **state)
{
        played_add(ONE("web", ""));
        played_add(ONE("gone", ""));
        played_settle();
        played_kill(false);
        played_force_delete("gone");
        played_start();
        played_settle();
        assert_int_equal(played_living("gone", "app"), 1);
        played_kill(false);
        played_restart();
        played_settle();
        assert_int_equal(played_living("gone", NULL), 0);
        assert_int_equal(node.nboxes, 1);
        assert_runs("web", "app", 0);
}

/* ---- kill -9 ---- */

/* A kill after so many answers; then everything has to come to where it would have come, without one restart. */
static void kill_after(unsigned int answers, bool fate)
{
        played_open(&node);
        node.image_here = false;
        played_add("{\"metadata\": {\"name\": \"web\"}, \"spec\": {\"initContainers\": [{\"name\": \"log\", \"image\": "
                   "\"b\", \"restartPolicy\": \"Always\"}], \"containers\": [{\"name\": \"a\", \"image\": \"b\"}, "
                   "{\"name\": \"z\", \"image\": \"b\"}]}}");
        for (unsigned int i = 0; i < answers; i++)
                played_turn();
        played_kill(fate);
        played_restart();
        played_settle();
        if (node.broken)
                fail_msg("%s, killed after %u answers: %s", node.broken, answers, node.log.data);
        assert_runs("web", "log", 0);
        assert_runs("web", "a", 0);
        assert_runs("web", "z", 0);
        assert_string_equal(played_status("web", "phase"), "Running");
        played_delete("web", 2);
        for (unsigned int i = 0; i < answers; i++)
                played_turn();
        played_kill(fate);
        played_restart();
        played_settle();
        if (node.broken || node.nboxes || played_pod("web"))
                fail_msg("killed after %u answers of its end: %s", answers, node.log.data);
        played_close(&node);
}

static void a_kill_at_any_step_restarts_nothing_and_leaves_nothing(void **state)
{
        for (unsigned int answers = 0; answers < 40; answers++) {
                kill_after(answers, false);
                kill_after(answers, true);
        }
}

static void a_restarted_kubelet_keeps_restart_counts_and_what_was_told(void **state)
{
        played_add(ONE("web", ""));
        played_settle();
        played_exit("web", "app", 1);
        played_settle();
        played_kill(false);
        played_restart();
        played_settle();
        assert_runs("web", "app", 1);
        played_exit("web", "app", 1);
        played_settle();
        assert_int_equal(played_find("web", "app")->attempt, 2);
        assert_string_equal(node.told.data, "Pending Running ");
}

static void many_pods_go_side_by_side(void **state)
{
        for (int i = 0; i < 100; i++) {
                char text[512];

                snprintf(text, sizeof(text),
                         "{\"metadata\": {\"name\": \"p%d\"}, \"spec\": {\"containers\": [{\"name\": \"app\", "
                         "\"image\": \"b\"}]}}",
                         i);
                played_add(text);
        }
        played_settle();
        assert_int_equal(node.ncontainers, 100);
        for (size_t i = 0; i < node.napi; i++)
                assert_string_equal(json_at_str(node.api[i], "status.phase"), "Running");
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, open_node, close_node)

int main(void)
{
        const struct CMUnitTest tests[] = {
                TEST(a_pod_runs_and_is_told),
                TEST(a_deleted_pod_is_ended_told_removed_and_forgotten),
                TEST(a_pod_that_was_deleted_by_force_is_ended_all_the_same),
                TEST(a_pod_deleted_before_it_began_never_begins),
                TEST(a_job_ends_and_keeps_its_container_for_the_log),
                TEST(volumes_of_a_job_stay_until_its_end_is_told),
                TEST(an_evicted_pod_gives_its_volumes_back_at_once),
                TEST(what_ends_before_its_start_is_told_has_run),
                TEST(containers_end_together_and_sidecars_after_them),
                TEST(an_image_that_is_missing_is_pulled),
                TEST(a_pull_that_fails_is_told_and_tried_again),
                TEST(a_pull_that_takes_long_is_told_about),
                TEST(images_that_cannot_be_had_say_why),
                TEST(secrets_name_the_account_of_the_registry),
                TEST(a_secret_that_is_missing_is_told_and_the_pull_tried),
                TEST(a_container_that_crashes_is_restarted_with_longer_and_longer_waits),
                TEST(what_a_container_needs_and_is_not_there_is_waited_for),
                TEST(a_container_that_cannot_be_made_or_started_is_tried_again),
                TEST(a_sandbox_that_fails_is_told_and_tried_again),
                TEST(volumes_that_are_not_there_yet_are_waited_for),
                TEST(a_sandbox_that_breaks_is_made_anew_with_all_containers),
                TEST(a_sandbox_that_breaks_under_a_container_in_the_making_costs_no_wait),
                TEST(a_sick_container_is_killed_and_started_again),
                TEST(a_changed_image_replaces_the_container),
                TEST(readiness_follows_the_probe),
                TEST(a_post_start_hook_that_fails_ends_the_container),
                TEST(a_pre_stop_hook_comes_before_the_signal),
                TEST(a_second_delete_shortens_the_grace),
                TEST(a_pod_that_does_not_fit_fails),
                TEST(what_is_not_supported_is_refused_by_name),
                TEST(an_evicted_pod_fails_once_nothing_of_it_runs),
                TEST(a_deadline_ends_the_pod),
                TEST(pods_go_on_while_the_api_is_away_and_status_catches_up),
                TEST(lost_answers_are_asked_for_again),
                TEST(a_pod_that_the_api_has_forgotten_is_not_told_for_ever),
                TEST(a_conflict_is_no_end),
                TEST(what_somebody_else_wrote_is_put_right_and_what_is_his_is_kept),
                TEST(status_is_told_in_few_calls),
                TEST(a_static_pods_status_is_told_under_its_mirror),
                TEST(a_static_pod_whose_file_goes_and_comes_back_runs_anew),
                TEST(a_changed_static_pod_waits_for_the_end_of_the_one_before),
                TEST(what_nobody_wants_is_ended_once_all_sources_have_told),
                cmocka_unit_test(a_kill_at_any_step_restarts_nothing_and_leaves_nothing),
                TEST(a_restarted_kubelet_keeps_restart_counts_and_what_was_told),
                TEST(many_pods_go_side_by_side),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
