/* SPDX-License-Identifier: Apache-2.0 */
#include <inttypes.h>
#include <stdio.h>

#include "base/clock.h"
#include "base/hashmap.h"
#include "base/mem.h"
#include "base/str.h"
#include "hollow/status.h"

struct face face_of(const struct plan *plan, const struct life *life, int64_t now)
{
        return (struct face){life->stage, life_ready(plan, life, now), life->restarts};
}

struct face face_seen(const struct pod *pod)
{
        return (struct face){pod->seen.stage, pod->seen.ready, pod->seen.restarts};
}

bool face_equal(struct face a, struct face b)
{
        return a.stage == b.stage && a.ready == b.ready && a.restarts == b.restarts;
}

static void set_time(struct json_object *o, const char *key, int64_t unix_s)
{
        char text[CLOCK_TEXT_SIZE];

        json_set_str(o, key, clock_format(unix_s, text));
}

/* ---- containers ---- */

/* 64 hex digits that tell one run of one container from every other. */
static void set_container_id(struct json_object *o, const struct pod *pod, const char *container, int32_t run)
{
        static const uint64_t seeds[4][2] = {{1, 2}, {3, 4}, {5, 6}, {7, 8}};
        char text[160], id[sizeof("hollow://") + 64];
        int n = snprintf(text, sizeof(text), "%s/%s/%d", pod->uid, container, run), at;

        at = snprintf(id, sizeof(id), "hollow://");
        for (size_t i = 0; i < ARRAY_SIZE(seeds); i++)
                at += snprintf(id + at, sizeof(id) - (size_t)at, "%016" PRIx64,
                               hash_bytes(seeds[i], text, MIN((size_t)n, sizeof(text) - 1)));
        json_set_str(o, "containerID", id);
}

static struct json_object *waiting(const char *reason, const char *message)
{
        struct json_object *o = json_object_new_object();

        json_set_str(json_ensure(o, "waiting"), "reason", reason);
        if (message)
                json_set_str(json_ensure(o, "waiting"), "message", message);
        return o;
}

static struct json_object *running(int64_t since_ms)
{
        struct json_object *o = json_object_new_object();

        set_time(json_ensure(o, "running"), "startedAt", since_ms / 1000);
        return o;
}

struct ended {
        int32_t code, run;
        int64_t started, finished; /* ms; started 0: it never ran */
};

static struct json_object *terminated(const struct pod *pod, const char *container, const struct ended *e)
{
        struct json_object *o = json_object_new_object(), *t = json_ensure(o, "terminated");

        json_set_i64(t, "exitCode", e->code);
        if (!e->started) {
                json_set_str(t, "reason", "ContainerStatusUnknown");
                json_set_str(t, "message", "The container could not be located when the pod was terminated");
                return o;
        }
        json_set_str(t, "reason", e->code ? "Error" : "Completed");
        set_time(t, "startedAt", e->started / 1000);
        set_time(t, "finishedAt", e->finished / 1000);
        set_container_id(t, pod, container, e->run);
        return o;
}

static struct json_object *back_off(const struct status_input *in, const char *container)
{
        char text[512];

        snprintf(text, sizeof(text), "back-off %" PRId64 "s restarting failed container=%s pod=%s_%s(%s)",
                 in->pod->plan.restart_after / 1000, container, in->pod->name, in->pod->ns, in->pod->uid);
        return waiting("CrashLoopBackOff", text);
}

static struct json_object *main_state(const struct status_input *in, const char *container)
{
        const struct life *life = in->life;
        const struct ended now = {life->exit_code, life->restarts, life->started, life->finished};

        switch (life->stage) {
        case STAGE_RUNNING:
                return running(life->started);
        case STAGE_BACKOFF:
                return back_off(in, container);
        case STAGE_ENDED:
                return terminated(in->pod, container, &now);
        case STAGE_NONE:
        case STAGE_CREATING:
        case STAGE_INIT:
                break;
        }
        return waiting(in->pod->ninits ? "PodInitializing" : "ContainerCreating", NULL);
}

/* Of the run before the present one. */
static struct json_object *last_state(const struct status_input *in, const char *container)
{
        const struct life *life = in->life;
        bool between = life->stage == STAGE_BACKOFF, again = life->stage == STAGE_RUNNING && life->restarts > 0;
        struct ended e = {life->exit_code, between ? life->restarts : life->restarts - 1, life->started,
                          life->finished};

        if (!life->finished || !(between || again))
                return json_object_new_object();
        e.started = MIN(e.started, e.finished);
        return terminated(in->pod, container, &e);
}

/* What runs, or has run, has an id; takes over state and last. */
static struct json_object *container_status(const struct status_input *in, const struct pod_container *c,
                                            struct json_object *state, struct json_object *last)
{
        struct json_object *o = json_object_new_object();
        bool is_running = json_has(state, "running"), known = !json_has(state, "waiting");

        json_set_str(o, "name", c->name);
        json_set(o, "state", state);
        json_set(o, "lastState", last);
        json_set_i64(o, "restartCount", 0);
        json_set_str(o, "image", c->image);
        json_set_str(o, "imageID", "");
        json_set_bool(o, "ready", false);
        json_set_bool(o, "started", is_running);
        if (known && !in->life->never_ran) {
                char image[320];

                snprintf(image, sizeof(image), "hollow.fairlead.dev/%.280s", c->image);
                json_set_str(o, "imageID", image);
                set_container_id(o, in->pod, c->name, in->life->restarts);
        }
        return o;
}

static struct json_object *main_statuses(const struct status_input *in)
{
        struct json_object *list = json_object_new_array();

        for (uint32_t i = 0; i < in->pod->ncontainers; i++) {
                const struct pod_container *c = &in->pod->containers[i];
                struct json_object *o = container_status(in, c, main_state(in, c->name), last_state(in, c->name));

                json_set_i64(o, "restartCount", in->life->restarts);
                json_set_bool(o, "ready", in->face.ready);
                json_object_array_add(list, o);
        }
        return list;
}

/* One after the other; at is when this one begins. */
static struct json_object *init_state(const struct status_input *in, const struct pod_container *c, int64_t at)
{
        const struct life *life = in->life;
        const struct ended done = {0, 0, at, at + in->pod->plan.init_run_for};
        bool over = life->stage == STAGE_RUNNING || life->stage == STAGE_BACKOFF || life->stage == STAGE_ENDED;

        if (life->stage == STAGE_ENDED && (c->sidecar || life->never_ran)) {
                const struct ended with_pod = {life->never_ran ? life->exit_code : 0, 0, life->never_ran ? 0 : at,
                                               life->finished};

                return terminated(in->pod, c->name, &with_pod);
        }
        if (c->sidecar && over)
                return running(at);
        if (over)
                return terminated(in->pod, c->name, &done);
        return life->stage == STAGE_INIT ? running(at) : waiting("PodInitializing", NULL);
}

static struct json_object *init_statuses(const struct status_input *in)
{
        struct json_object *list = json_object_new_array();
        int64_t at = in->life->admitted + in->pod->plan.start_after;
        bool first = true;

        for (uint32_t i = 0; i < in->pod->ninits; i++) {
                const struct pod_container *c = &in->pod->inits[i];
                bool wait = in->life->stage == STAGE_INIT && !first;
                struct json_object *state = wait ? waiting("PodInitializing", NULL) : init_state(in, c, at), *o;
                bool done = json_has(state, "terminated") && !in->life->never_ran && !c->sidecar;

                o = container_status(in, c, state, json_object_new_object());
                json_set_bool(o, "ready", done || (c->sidecar && json_has(state, "running")));
                json_object_array_add(list, o);
                first &= c->sidecar;
                at += c->sidecar ? 0 : in->pod->plan.init_run_for;
        }
        return list;
}

/* ---- conditions ---- */

struct condition {
        const char *type;
        bool yes;
        int64_t since_s;
        const char *reason, *message; /* or NULL */
};

static void set_or_forget(struct json_object *o, const char *key, const char *text, bool again)
{
        if (text)
                json_set_str(o, key, text);
        else if (again)
                json_set(o, key, NULL);
}

static void add_condition(struct json_object *list, const struct condition *c, bool again)
{
        struct json_object *o = json_object_new_object();

        json_set_str(o, "type", c->type);
        json_set_str(o, "status", c->yes ? "True" : "False");
        set_time(o, "lastTransitionTime", c->since_s);
        set_or_forget(o, "reason", c->reason, again);
        set_or_forget(o, "message", c->message, again);
        json_object_array_add(list, o);
}

/* "PREFIX: [a b]"; the caller's. */
static char *with_names(const char *prefix, const struct pod_container *list, uint32_t n)
{
        struct strbuf b = STRBUF_NULL;

        strbuf_printf(&b, "%s: [", prefix);
        for (uint32_t i = 0; i < n; i++)
                strbuf_printf(&b, "%s%s", i ? " " : "", list[i].name);
        strbuf_add_char(&b, ']');
        return strbuf_take(&b, NULL);
}

static const char *phase_of(const struct life *life)
{
        switch (life->stage) {
        case STAGE_RUNNING:
        case STAGE_BACKOFF:
                return "Running";
        case STAGE_ENDED:
                return life->exit_code ? "Failed" : "Succeeded";
        case STAGE_NONE:
        case STAGE_CREATING:
        case STAGE_INIT:
                break;
        }
        return "Pending";
}

static struct json_object *conditions(const struct status_input *in)
{
        _cleanup_free_ char *unready = with_names("containers with unready status", in->pod->containers,
                                                  in->pod->ncontainers),
                            *incomplete =
                                    with_names("containers with incomplete status", in->pod->inits, in->pod->ninits);
        const char *phase = phase_of(in->life), *reason = "ContainersNotReady";
        bool pending = str_eq(phase, "Pending"), ended = in->life->stage == STAGE_ENDED;
        bool initialized = (!pending || !in->pod->ninits) && !in->life->never_ran;
        struct json_object *list = json_object_new_array();

        if (ended)
                reason = str_eq(phase, "Succeeded") ? "PodCompleted" : "PodFailed";
        const struct condition all[] = {
                {"PodReadyToStartContainers", !ended && in->life->stage != STAGE_CREATING, in->initialized_s, NULL,
                 NULL},
                {"Initialized", initialized, in->initialized_s,
                 !initialized                     ? "ContainersNotInitialized"
                 : str_eq(reason, "PodCompleted") ? reason
                                                  : NULL,
                 initialized ? NULL : incomplete},
                {"Ready", in->face.ready, in->ready_s, in->face.ready ? NULL : reason,
                 in->face.ready || ended ? NULL : unready},
                {"ContainersReady", in->face.ready, in->ready_s, in->face.ready ? NULL : reason,
                 in->face.ready || ended ? NULL : unready},
        };

        for (size_t i = 0; i < ARRAY_SIZE(all); i++)
                add_condition(list, &all[i], in->again);
        return list;
}

/* ---- the whole ---- */

static void set_ips(struct json_object *status, const char *one, const char *many, const char *const ips[2])
{
        struct json_object *list = json_object_new_array();

        json_set_str(status, one, ips[0]);
        for (size_t i = 0; i < 2 && ips[i]; i++) {
                struct json_object *o = json_object_new_object();

                json_set_str(o, "ip", ips[i]);
                json_object_array_add(list, o);
        }
        json_set(status, many, list);
}

struct json_object *status_patch(const struct status_input *in)
{
        struct json_object *patch = json_object_new_object(), *status = json_ensure(patch, "status");

        json_set_str(json_ensure(patch, "metadata"), "uid", in->pod->uid);
        json_set_i64(status, "observedGeneration", in->pod->generation);
        json_set_str(status, "phase", phase_of(in->life));
        json_set(status, "conditions", conditions(in));
        set_ips(status, "hostIP", "hostIPs", (const char *const[2]){in->host_ip, NULL});
        if (in->ips[0])
                set_ips(status, "podIP", "podIPs", in->ips);
        set_time(status, "startTime", in->life->admitted / 1000);
        if (in->pod->ninits)
                json_set(status, "initContainerStatuses", init_statuses(in));
        json_set(status, "containerStatuses", main_statuses(in));
        return patch;
}
