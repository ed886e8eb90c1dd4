/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The status of a pod, a row a situation: spec and what there is as in scene.h; notes "app+" (started and ready),
 * "app~" (started), "app!CrashLoopBackOff" (why it waits), "over", "finished", "failed=Evicted", "disrupted",
 * "rejected"; the status that was told before; and fields of what comes out: "phase=Running", "app:ready=true",
 * "@Ready:reason=...";
 * "-" for one that is not there.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>

#include "agent/kubelet/pods/containers.h"
#include "agent/kubelet/pods/status.h"
#include "base/str.h"
#include "unit/kubelet/scene.h"

#define NOW_S 1767225600 /* 2026-01-01T00:00:00Z */
#define NS    1000000000LL

struct row {
        const char *spec, *there, *notes, *old, *expected;
};

struct stage {
        struct scene scene;
        struct container_note notes[SCENE_PARTS_MAX];
        char words[SCENE_PARTS_MAX * 2][SCENE_WORD_MAX];
        size_t nwords;
        struct status_input in;
        bool rejected;
        struct json_object *old;
};

/* ---- reading ---- */

static const char *keep(struct stage *st, const char *text, size_t n)
{
        char *word = st->words[st->nwords++];

        str_copy(word, MIN(n + 1, (size_t)SCENE_WORD_MAX), text);
        return word;
}

static void read_flag(struct stage *st, const char *word)
{
        if (str_eq(word, "over"))
                st->in.over = st->in.finished = true;
        else if (str_eq(word, "finished"))
                st->in.finished = true;
        else if (str_eq(word, "disrupted"))
                st->in.disrupted = true;
        else if (str_eq(word, "rejected"))
                st->rejected = true;
        else if (str_has_prefix(word, "failed="))
                st->in.failed_reason = keep(st, word + strlen("failed="), SCENE_WORD_MAX);
        else
                fail_msg("unknown note: %s", word);
}

static void read_note(struct stage *st, const char *word)
{
        size_t n = strcspn(word, "+~!");
        struct container_note *note = &st->notes[st->in.nnotes];

        if (!word[n]) {
                read_flag(st, word);
                return;
        }
        st->in.nnotes++;
        *note = (struct container_note){.name = keep(st, word, n), .started = word[n] != '!', .ready = word[n] == '+'};
        if (word[n] == '!')
                note->reason = keep(st, word + n + 1, SCENE_WORD_MAX);
}

static void read_notes(struct stage *st, const char *text)
{
        char word[SCENE_WORD_MAX];

        while (*(text += strspn(text, " "))) {
                snprintf(word, sizeof(word), "%.*s", (int)strcspn(text, " "), text);
                read_note(st, word);
                text += strlen(word);
        }
}

/* Each instance ran for a second of its own. */
static void set_times(struct scene *s)
{
        for (size_t i = 0; i < s->there.ncontainers; i++) {
                struct container_status *c = &s->containers[i];
                bool ran = c->started_ns != 0;

                c->image = "busybox";
                c->image_id = "sha256:1";
                c->created_ns = c->started_ns = (NOW_S - 100 + (int64_t)i * 2) * NS;
                c->finished_ns = instance_lives(c) ? 0 : c->started_ns + NS;
                if (!ran)
                        c->started_ns = 0;
        }
}

static void set_the_stage(struct stage *st, const struct row *row)
{
        static const char *const ips[] = {"10.1.0.5", "fd00::5", NULL}, *const host_ips[] = {"192.0.2.1", NULL};

        memset(st, 0, sizeof(*st));
        scene_read(&st->scene, row->spec, row->there, "");
        json_set_i64(json_ensure(st->scene.pod, "metadata"), "generation", 3);
        set_times(&st->scene);
        for (size_t i = 0; i < st->scene.there.nsandboxes; i++)
                st->scene.boxes[i].ips = ips;
        if (row->old[0] && json_parse(row->old, strlen(row->old), &st->old, NULL))
                fail_msg("no JSON: %s", row->old);
        st->in = (struct status_input){.pod = st->scene.pod,
                                       .old = st->old,
                                       .there = &st->scene.there,
                                       .notes = st->notes,
                                       .host_ips = host_ips,
                                       .qos = "BestEffort",
                                       .failed_message = "why",
                                       .now_s = NOW_S};
        if (st->old)
                json_set(st->scene.pod, "status", json_object_get(st->old));
        read_notes(st, row->notes);
}

/* ---- comparing ---- */

static const struct json_object *find_container(const struct json_object *status, const char *name)
{
        static const char *const lists[] = {"containerStatuses", "initContainerStatuses", "ephemeralContainerStatuses"};
        const struct json_object *found = NULL;

        for (size_t i = 0; i < ARRAY_SIZE(lists) && !found; i++)
                found = json_named(json_get(status, lists[i]), name);
        return found;
}

static const struct json_object *find_condition(const struct json_object *status, const char *type)
{
        json_array_foreach (json_get(status, "conditions"), i, c)
                if (str_eq(json_get_str(c, "type"), type))
                        return c;
        return NULL;
}

static const char *text_at(const struct json_object *status, const char *path)
{
        const char *colon = strchr(path, ':');
        char name[SCENE_WORD_MAX];
        struct json_object *o;

        if (colon) {
                snprintf(name, sizeof(name), "%.*s", (int)(colon - path), path);
                status = name[0] == '@' ? find_condition(status, name + 1) : find_container(status, name);
                path = colon + 1;
        }
        o = json_at(status, path);
        return o ? json_object_get_string(o) : "-";
}

static void expect(const struct row *row, const struct json_object *status, const char *word)
{
        char path[128];

        snprintf(path, sizeof(path), "%.*s", (int)strcspn(word, "="), word);
        if (!str_eq(text_at(status, path), strchr(word, '=') + 1))
                fail_msg("spec  %s\nthere %s\nnotes %s\nold   %s\n%s, but it is %s in\n%s", row->spec, row->there,
                         row->notes, row->old, word, text_at(status, path),
                         json_object_to_json_string_ext((struct json_object *)status, JSON_C_TO_STRING_PRETTY));
}

static void check(const struct row *row)
{
        struct json_object *status;
        struct stage st;
        char word[512];

        set_the_stage(&st, row);
        status = st.rejected ? status_rejected(&st.in) : status_make(&st.in);
        for (const char *at = row->expected; *at; at += strspn(at, "; ")) {
                snprintf(word, sizeof(word), "%.*s", (int)strcspn(at, ";"), at);
                expect(row, status, word);
                at += strlen(word);
        }
        json_object_put(status);
        json_object_put(st.old);
        scene_free(&st.scene);
}

#define CHECK(rows)                                                                                                    \
        for (size_t i = 0; i < ARRAY_SIZE(rows); i++)                                                                  \
        check(&rows[i])

/* ---- the rows ---- */

static void the_phase_follows_the_containers(void **state)
{
        static const struct row rows[] = {
                {"Always m:app", "", "", "", "phase=Pending"},
                {"Always m:app", "B0", "", "", "phase=Pending"},
                {"Always m:app", "B0 app/0:made", "", "", "phase=Pending"},
                {"Always m:app", "B0 app/0:run", "", "", "phase=Running"},
                {"Always m:app m:web", "B0 app/0:run", "", "", "phase=Pending"},
                {"Always m:app", "B0 app/0:exit1", "", "", "phase=Running"}, /* it will run again */
                {"Always m:app", "B0 app/0:exit1", "app!CrashLoopBackOff", "", "phase=Running"},
                {"Always m:app", "B0 app/0:exit0", "finished", "", "phase=Succeeded"},
                {"Always m:app", "B0 app/0:exit143", "finished", "", "phase=Failed"},
                {"OnFailure m:app", "B0 app/0:exit0", "", "", "phase=Succeeded"},
                {"OnFailure m:app", "B0 app/0:exit1", "", "", "phase=Running"},
                {"Never m:app", "B0 app/0:exit0", "", "", "phase=Succeeded"},
                {"Never m:app", "B0 app/0:exit1", "", "", "phase=Failed"},
                {"Never m:app", "B0 app/0:lost", "", "", "phase=Failed"},
                {"Never m:app m:web", "B0 app/0:exit1 web/0:run", "", "", "phase=Running"},
                {"Never m:app m:web", "B0 app/0:exit0 web/0:exit1", "", "", "phase=Failed"},
                {"Never m:app=OnFailure m:web", "B0 app/0:exit1 web/0:exit0", "", "", "phase=Running"},
                {"Never m:app=Never?5", "B0 app/0:exit5", "", "", "phase=Running"},
                {"Never m:app", "B0 app/0:never", "", "", "phase=Pending"},
                {"Always i:a m:app", "B0 a/0:run", "", "", "phase=Pending"},
                {"Always i:a m:app", "B0 a/0:exit1", "", "", "phase=Pending"},
                {"Never i:a m:app", "B0 a/0:exit1", "", "", "phase=Failed"},
                {"Never i:a m:app", "B0 a/0:exit0", "", "", "phase=Pending"},
                {"Always s:a m:app", "B0 a/0:run", "a~", "", "phase=Pending"},
                {"Always s:a m:app", "B0 a/0:run app/0:run", "a+", "", "phase=Running"},
                {"Always s:a m:app", "B0 a/0:exit1 app/0:run", "a!CrashLoopBackOff", "", "phase=Running"},
                {"Never s:a m:app", "B0 a/0:exit0 app/0:exit0", "finished", "", "phase=Succeeded"},
        };

        CHECK(rows);
}

static void the_end_is_told_when_nothing_runs_and_never_taken_back(void **state)
{
        static const struct row rows[] = {
                {"Never s:a m:app", "B0 a/0:run app/0:exit0", "a+ finished", "{\"phase\": \"Running\"}",
                 "phase=Running"},
                {"Always m:app", "B0 app/0:run", "failed=Evicted finished", "{\"phase\": \"Running\"}",
                 "phase=Running; reason=Evicted; @Ready:status=False; @Ready:reason=PodFailed"},
                {"Always m:app", "b0 app/0:exit0", "failed=Evicted over", "{\"phase\": \"Running\"}",
                 "phase=Failed; reason=Evicted"},
                {"Always m:app", "b0 app/0:exit1", "over",
                 "{\"phase\": \"Failed\", \"reason\": \"Evicted\", \"message\": \"low\"}",
                 "phase=Failed; reason=Evicted; message=low"},
                {"Always m:app", "B0 app/0:run", "", "{\"phase\": \"Succeeded\"}", "phase=Succeeded"},
                {"Always m:app", "B0 app/0:run", "app+", "{\"phase\": \"Pending\", \"reason\": \"Old\"}",
                 "phase=Running; reason=-"},
                {"Always m:app", "", "rejected failed=OutOfcpu", "",
                 "phase=Failed; reason=OutOfcpu; containerStatuses=-"},
        };

        CHECK(rows);
}

static void containers_tell_how_they_are(void **state)
{
        static const struct row rows[] = {
                {"Always m:app", "", "", "",
                 "app:state.waiting.reason=ContainerCreating; app:restartCount=0; app:ready=false; app:started=false; "
                 "app:image=new; app:imageID=; app:containerID=-"},
                {"Always i:a m:app", "", "", "",
                 "app:state.waiting.reason=PodInitializing; a:state.waiting.reason=PodInitializing"},
                {"Always m:app", "B0 app/2:run", "app+", "",
                 "app:state.running.startedAt=2025-12-31T23:58:20Z; app:ready=true; app:started=true; "
                 "app:restartCount=2; "
                 "app:containerID=fairlead://app/2; app:image=busybox; app:imageID=sha256:1"},
                {"Always m:app", "B0 app/0:run", "app~", "", "app:ready=false; app:started=true"},
                {"Always m:app", "B0 app/0:run", "", "", "app:ready=false; app:started=false"},
                {"Never m:app", "B0 app/0:exit0", "", "",
                 "app:state.terminated.reason=Completed; app:state.terminated.exitCode=0; "
                 "app:state.terminated.startedAt=2025-12-31T23:58:20Z; "
                 "app:state.terminated.finishedAt=2025-12-31T23:58:21Z; "
                 "app:state.terminated.containerID=fairlead://app/0; app:ready=false"},
                {"Never m:app", "B0 app/0:exit3", "", "",
                 "app:state.terminated.reason=Error; app:state.terminated.exitCode=3"},
                {"Never m:app", "B0 app/0:oom", "", "",
                 "app:state.terminated.reason=OOMKilled; app:state.terminated.exitCode=137"},
                {"Never m:app", "B0 app/0:lost", "", "",
                 "app:state.terminated.reason=ContainerStatusUnknown; app:state.terminated.exitCode=137; "
                 "app:state.terminated.message=The container could not be located when the pod was terminated"},
                {"Always m:app", "B0 app/0:exit1", "app!CrashLoopBackOff", "",
                 "app:state.waiting.reason=CrashLoopBackOff; app:lastState.terminated.exitCode=1"},
                {"Always m:app", "B0 app/0:exit1 app/1:run", "", "",
                 "app:restartCount=1; app:lastState.terminated.exitCode=1; "
                 "app:lastState.terminated.containerID=fairlead://app/0"},
                {"Always m:app", "B0", "app!ErrImagePull", "", "app:state.waiting.reason=ErrImagePull"},
                {"Always m:app", "B0 app/0:run", "app!PostStartHookError", "", "app:state.waiting=-"},
                {"Always i:a m:app", "B0 a/0:exit0", "", "",
                 "a:ready=true; a:started=false; a:state.terminated.reason=Completed"},
                {"Always i:a m:app", "B0 a/0:exit1", "a!CrashLoopBackOff", "",
                 "a:ready=false; a:state.waiting.reason=CrashLoopBackOff"},
                {"Always s:a m:app", "B0 a/0:run", "a+", "", "a:ready=true; a:started=true"},
                {"Always m:app e:dbg", "B0 app/0:run dbg/0:run", "app+ dbg+", "",
                 "dbg:ready=false; dbg:restartCount=0"},
        };

        CHECK(rows);
}

/* What was told is the only memory of what is on no disk any more. */
static void what_was_told_is_not_forgotten(void **state)
{
        static const struct row rows[] = {
                {"Never m:app", "B0 app/0:exit1", "",
                 "{\"containerStatuses\": [{\"name\": \"app\", \"state\": {\"terminated\": {\"exitCode\": 1, "
                 "\"message\": "
                 "\"last words\", \"containerID\": \"fairlead://app/0\"}}}]}",
                 "app:state.terminated.message=last words"},
                {"Always m:app", "B0 app/0:exit1 app/1:run", "",
                 "{\"containerStatuses\": [{\"name\": \"app\", \"state\": {\"terminated\": {\"exitCode\": 1, "
                 "\"message\": "
                 "\"last words\", \"containerID\": \"fairlead://app/0\"}}}]}",
                 "app:lastState.terminated.message=last words"},
                {"Never m:app", "", "over",
                 "{\"containerStatuses\": [{\"name\": \"app\", \"restartCount\": 4, \"state\": {\"terminated\": "
                 "{\"exitCode\": 1}}}]}",
                 "app:state.terminated.exitCode=1; app:restartCount=4"},
                {"Always m:app", "B0", "", /* the node has booted */
                 "{\"containerStatuses\": [{\"name\": \"app\", \"restartCount\": 4, \"state\": {\"running\": {}}}]}",
                 "app:state.waiting.reason=ContainerCreating; app:restartCount=5; "
                 "app:lastState.terminated.exitCode=137; "
                 "app:lastState.terminated.reason=ContainerStatusUnknown; phase=Running"},
                {"Always m:app", "", "",
                 "{\"startTime\": \"2020-01-01T00:00:00Z\", \"podIP\": \"10.9.9.9\", \"qosClass\": \"Burstable\"}",
                 "startTime=2020-01-01T00:00:00Z; podIP=10.9.9.9; qosClass=Burstable"},
        };

        CHECK(rows);
}

/* ContainerStatusUnknown for what had its turn; what never had it stays as it was. */
static void what_did_not_end_in_sight_is_lost(void **state)
{
        static const struct row rows[] = {
                {"Always m:app", "", "over", "", "app:state.terminated.reason=ContainerStatusUnknown"},
                {"Always m:app", "B0 app/0:exit0", "over", "", "app:state.terminated.reason=Completed"},
                {"Always i:a i:b m:app", "B0 a/0:run", "over", "",
                 "a:state.terminated.reason=ContainerStatusUnknown; b:state.waiting.reason=PodInitializing; "
                 "app:state.waiting.reason=PodInitializing"},
                {"Always i:a m:app", "B0 a/0:exit0", "over", "", "app:state.terminated.reason=ContainerStatusUnknown"},
        };

        CHECK(rows);
}

static void conditions_say_why(void **state)
{
        static const struct row rows[] = {
                {"Always m:app", "", "", "",
                 "@PodReadyToStartContainers:status=False; @Initialized:status=True; @Ready:status=False; "
                 "@Ready:reason=ContainersNotReady; @Ready:message=containers with unready status: [app]; "
                 "@ContainersReady:message=containers with unready status: [app]; @PodScheduled:status=True"},
                {"Always m:app m:web", "B0 app/0:run web/0:run", "app+", "",
                 "@PodReadyToStartContainers:status=True; @Ready:message=containers with unready status: [web]"},
                {"Always m:app", "B0 app/0:run", "app+", "",
                 "@Ready:status=True; @ContainersReady:status=True; @Ready:reason=-; @Ready:observedGeneration=3"},
                {"Always i:a i:b m:app", "B0 a/0:run", "", "",
                 "@Initialized:status=False; @Initialized:reason=ContainersNotInitialized; "
                 "@Initialized:message=containers with incomplete status: [a b]"},
                {"Always i:a m:app", "B0 a/0:exit0", "", "", "@Initialized:status=True"},
                {"Always s:a m:app", "B0 a/0:run", "", "", "@Initialized:status=False"},
                {"Always s:a m:app", "B0 a/0:run", "a~", "",
                 "@Initialized:status=True; @Ready:message=containers with unready status: [a app]"},
                {"Always s:a m:app", "B0 a/0:exit1 app/0:run", "app+", "", "@Initialized:status=True"},
                {"Never m:app", "b0 app/0:exit0", "over", "",
                 "@Ready:reason=PodCompleted; @ContainersReady:reason=PodCompleted; @Initialized:reason=PodCompleted; "
                 "@Ready:message=-; @PodReadyToStartContainers:status=False"},
                {"Never m:app", "b0 app/0:exit1", "over", "", "@Ready:reason=PodFailed; @Initialized:reason=-"},
                {"Always m:app", "B0 app/0:run", "failed=Evicted disrupted finished", "",
                 "@DisruptionTarget:status=True; @DisruptionTarget:reason=TerminationByKubelet"},
                {"Always m:app", "B0 app/0:run", "app+",
                 "{\"conditions\": [{\"type\": \"Ready\", \"status\": \"True\", \"lastTransitionTime\": "
                 "\"2020-01-01T00:00:00Z\"}, {\"type\": \"example.com/gate\", \"status\": \"True\"}, {\"type\": "
                 "\"ContainersReady\", \"status\": \"False\", \"lastTransitionTime\": \"2020-01-01T00:00:00Z\"}]}",
                 "@Ready:lastTransitionTime=2020-01-01T00:00:00Z; "
                 "@ContainersReady:lastTransitionTime=2026-01-01T00:00:00Z; "
                 "@example.com/gate:status=True"},
        };

        CHECK(rows);
}

static void addresses_and_what_all_have(void **state)
{
        static const struct row rows[] = {
                {"Always m:app", "", "", "",
                 "hostIP=192.0.2.1; podIP=-; startTime=2026-01-01T00:00:00Z; qosClass=BestEffort; "
                 "observedGeneration=3"},
                {"Always m:app", "B0", "", "",
                 "podIP=10.1.0.5; podIPs=[ { \"ip\": \"10.1.0.5\" }, { \"ip\": \"fd00::5\" } ]"},
                {"Always m:app", "b0", "over", "", "podIP=10.1.0.5"}, /* where it was */
        };

        CHECK(rows);
}

static struct json_object *parse(const char *text)
{
        struct json_object *o = NULL;

        assert_int_equal(json_parse(text, strlen(text), &o, NULL), 0);
        return o;
}

static void readiness_gates_keep_a_pod_from_being_ready(void **state)
{
        static const struct row row = {"Always m:app", "B0 app/0:run", "app+",
                                       "{\"conditions\": [{\"type\": \"b\", \"status\": \"False\"}]}", ""};
        struct json_object *status;
        struct stage st;

        set_the_stage(&st, &row);
        json_set(json_get(st.scene.pod, "spec"), "readinessGates",
                 parse("[{\"conditionType\": \"a\"}, {\"conditionType\": \"b\"}]"));
        status = status_make(&st.in);
        assert_string_equal(text_at(status, "@ContainersReady:status"), "True");
        assert_string_equal(text_at(status, "@Ready:reason"), "ReadinessGatesNotReady");
        assert_string_equal(text_at(status, "@Ready:message"),
                            "corresponding condition of pod readiness gate \"a\" does not exist., the status of pod "
                            "readiness gate \"b\" is not \"True\", but False");
        json_object_put(status);
        json_object_put(st.old);
        scene_free(&st.scene);
}

static void a_resize_is_refused_and_what_runs_keeps_its_limits(void **state)
{
        static const struct row row = {
                "Always m:app", "B0 app/0:run", "app+",
                "{\"containerStatuses\": [{\"name\": \"app\", \"containerID\": \"fairlead://app/0\", "
                "\"resources\": {\"limits\": {\"cpu\": \"1\"}}}]}",
                ""};
        struct json_object *status, *app;
        struct stage st;

        set_the_stage(&st, &row);
        app = json_idx(json_at(st.scene.pod, "spec.containers"), 0);
        json_set(app, "resources", parse("{\"limits\": {\"cpu\": \"2\"}}"));
        status = status_make(&st.in);
        assert_string_equal(text_at(status, "@PodResizePending:reason"), "Infeasible");
        assert_string_equal(text_at(status, "app:resources.limits.cpu"), "1");
        json_object_put(status);
        json_set(app, "resources", parse("{\"limits\": {\"cpu\": \"1\"}}"));
        status = status_make(&st.in);
        assert_string_equal(text_at(status, "@PodResizePending:reason"), "-");
        json_object_put(status);
        json_object_put(st.old);
        scene_free(&st.scene);
}

static void lists_are_sorted_as_clients_know_them(void **state)
{
        static const struct row row = {"Always i:z i:a m:web m:app", "", "", "", ""};
        struct json_object *status;
        struct stage st;

        set_the_stage(&st, &row);
        status = status_make(&st.in);
        assert_string_equal(json_get_str(json_idx(json_get(status, "initContainerStatuses"), 0), "name"), "z");
        assert_string_equal(json_get_str(json_idx(json_get(status, "containerStatuses"), 0), "name"), "app");
        json_object_put(status);
        scene_free(&st.scene);
}

/* ---- patches ---- */

static void only_what_differs_is_told(void **state)
{
        static const struct {
                const char *known, *wanted, *patch;
        } rows[] = {
                {"{\"phase\": \"Running\"}", "{\"phase\": \"Running\"}", NULL},
                {"{\"phase\": \"Pending\"}", "{\"phase\": \"Running\"}", "{\"phase\": \"Running\"}"},
                {"{\"phase\": \"Running\", \"reason\": \"x\"}", "{\"phase\": \"Running\"}", "{\"reason\": null}"},
                {"{\"nominatedNodeName\": \"n\"}", "{}", NULL}, /* the scheduler's */
                {"{\"resize\": \"x\", \"conditions\": [{\"type\": \"other\", \"status\": \"True\"}]}", "{}", NULL},
                {"{\"conditions\": [{\"type\": \"other\", \"status\": \"True\"}]}",
                 "{\"conditions\": [{\"type\": \"other\", \"status\": \"False\"}]}", NULL}, /* it is older than known */
                {"{\"conditions\": [{\"type\": \"Ready\", \"status\": \"False\", \"reason\": \"r\"}]}",
                 "{\"conditions\": [{\"type\": \"Ready\", \"status\": \"True\"}]}",
                 "{\"conditions\": [{\"type\": \"Ready\", \"status\": \"True\", \"reason\": null}]}"},
                {"{\"conditions\": [{\"type\": \"PodResizePending\", \"status\": \"True\"}, {\"type\": \"other\"}]}",
                 "{\"conditions\": []}",
                 "{\"conditions\": [{\"type\": \"PodResizePending\", \"$patch\": \"delete\"}]}"},
                {"{}", "{\"podIPs\": [{\"ip\": \"1.2.3.4\"}]}",
                 "{\"podIPs\": [{\"ip\": \"1.2.3.4\"}, {\"$patch\": \"replace\"}]}"},
                {"{\"containerStatuses\": [1]}", "{\"containerStatuses\": [2]}", "{\"containerStatuses\": [2]}"},
        };

        for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
                _cleanup_json_ struct json_object *known = parse(rows[i].known), *wanted = parse(rows[i].wanted);
                _cleanup_json_ struct json_object *patch = status_diff("u", known, wanted),
                                                  *expected = rows[i].patch ? parse(rows[i].patch) : NULL;

                if (!json_equal(json_get(patch, "status"), expected))
                        fail_msg("%s -> %s: %s", rows[i].known, rows[i].wanted, json_object_to_json_string(patch));
                if (patch)
                        assert_string_equal(json_at_str(patch, "metadata.uid"), "u");
        }
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(the_phase_follows_the_containers),
                cmocka_unit_test(the_end_is_told_when_nothing_runs_and_never_taken_back),
                cmocka_unit_test(containers_tell_how_they_are),
                cmocka_unit_test(what_was_told_is_not_forgotten),
                cmocka_unit_test(what_did_not_end_in_sight_is_lost),
                cmocka_unit_test(conditions_say_why),
                cmocka_unit_test(addresses_and_what_all_have),
                cmocka_unit_test(readiness_gates_keep_a_pod_from_being_ready),
                cmocka_unit_test(a_resize_is_refused_and_what_runs_keeps_its_limits),
                cmocka_unit_test(lists_are_sorted_as_clients_know_them),
                cmocka_unit_test(only_what_differs_is_told),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
