/* SPDX-License-Identifier: Apache-2.0 */
/* What a worker does when it looks at its pod: it compares, begins what comes next, and makes the status. */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>

#include "agent/kubelet/pods/duration.h"
#include "agent/kubelet/pods/status.h"
#include "agent/kubelet/pods/worker.h"
#include "base/clock.h"
#include "base/mem.h"
#include "base/str.h"

#define MOUNT_PATIENCE_MS  500 /* the API is asked for objects; nobody has to hear of that */
#define MOUNT_RETRY_MIN_MS 500
#define MOUNT_RETRY_MAX_MS 122000

struct look {
        struct worker *w;
        struct arena mem;
        struct runtime_list there;
        struct containers defs;
        struct container_facts *facts;
        struct container_note *notes;
        struct pod_actions actions;
        uint64_t now_ms, again_ms;
        bool finished; /* no container of it will be started any more */
        int64_t wall_ns;
};

static void again_at(struct look *l, uint64_t ms)
{
        l->again_ms = MIN(l->again_ms, ms);
}

/* ---- whether it is taken, and for how long ---- */

static void reject(struct worker *w, const char *reason, const char *message)
{
        _cleanup_free_ char *text = mem_printf("Pod was rejected: %s", message);

        worker_event(w, true, reason, "%s", message);
        worker_fail(w, reason, text);
        w->rejected = true;
}

/* Asked once; what runs already was asked before. */
static void admit(struct look *l)
{
        struct worker *w = l->w;
        const struct pods_opts *o = &w->pods->opts;
        char reason[64] = "";
        struct err err = ERR_NULL;
        const char *unsupported;

        if (w->admitted || worker_is_ending(w))
                return;
        unsupported = l->there.nsandboxes ? NULL : spec_unsupported(w->pod, &l->mem);
        if (unsupported)
                reject(w, "Unsupported", unsupported);
        else if (!l->there.nsandboxes && o->admit && o->admit(o->userdata, w->pod, reason, &err))
                reject(w, reason, err.msg);
        w->admitted = true;
}

static bool is_successor_of(const struct worker *w, const struct worker *other)
{
        return other != w && other->gone &&
               str_eq(json_at_str(w->pod, "metadata.name"), json_at_str(other->pod, "metadata.name")) &&
               str_eq(json_at_str(w->pod, "metadata.namespace"), json_at_str(other->pod, "metadata.namespace"));
}

/* A static pod whose file has changed is another pod of the same name: ports, host paths and its mirror are one pod's
 * at a time. Who goes wakes who waits (end.c). */
static bool waits_for_predecessor(const struct worker *w)
{
        if (w->source != POD_STATIC || w->admitted || worker_is_ending(w))
                return false;
        hashmap_foreach (&w->pods->workers, slot)
                if (is_successor_of(w, slot->value))
                        return true;
        return false;
}

static int64_t start_time_s(const struct worker *w)
{
        const char *text = json_get_str(w->status, "startTime") ?: json_at_str(w->pod, "status.startTime");
        struct timespec ts;

        return text && !clock_parse(text, &ts) ? ts.tv_sec : 0;
}

static void check_deadline(struct look *l)
{
        static const char message[] = "Pod was active on the node longer than the specified deadline";
        struct worker *w = l->w;
        int64_t seconds = json_at_i64(w->pod, "spec.activeDeadlineSeconds", 0), start = start_time_s(w);
        int64_t left_ns;

        if (!seconds || !start || worker_is_ending(w))
                return;
        left_ns = (start + seconds) * (int64_t)NS_PER_S - l->wall_ns;
        if (left_ns > 0) {
                again_at(l, l->now_ms + (uint64_t)left_ns / NS_PER_MS + 1);
                return;
        }
        worker_event(w, false, "DeadlineExceeded", "%s", message);
        worker_fail(w, "DeadlineExceeded", message);
}

/* ---- what is known of each container ---- */

static uint64_t mono_of(const struct look *l, int64_t wall_ns)
{
        uint64_t ago_ms = l->wall_ns > wall_ns ? (uint64_t)(l->wall_ns - wall_ns) / NS_PER_MS : 0;

        return l->now_ms > ago_ms ? l->now_ms - ago_ms : 0;
}

static void crash_loop(struct look *l, struct task *t)
{
        const struct worker *w = l->w;
        const char *name = json_at_str(w->pod, "metadata.name"), *ns = json_at_str(w->pod, "metadata.namespace");
        char text[DURATION_TEXT_SIZE];
        _cleanup_free_ char *message = mem_printf("back-off %s restarting failed container=%s pod=%s_%s(%s)",
                                                  duration_text(t->crash.delay_ms, text), t->name, name, ns, w->uid);

        task_wait(t, "CrashLoopBackOff", message);
        task_event(t, true, "BackOff", "Back-off restarting failed container %s in pod %s_%s(%s)", t->name, name, ns,
                   w->uid);
}

/* Once for each instance: its last words, and how long the next one has to wait. */
static void note_end(struct look *l, struct task *t, const struct container_def *def, const struct container_status *c)
{
        if (str_eq(t->end_id, c->id))
                return;
        free(t->end_id);
        free(t->end_message);
        t->end_id = mem_strdup(c->id);
        t->end_message = last_words(l->w->pods->opts.volumes, l->w->uid, def->spec, c);
        if (worker_is_ending(l->w) || !(t->restart || container_restarts(l->w->pod, def, instance_exit_code(c))))
                return;
        t->blocked_until_ms = backoff_until(&t->crash, &l->w->pods->limits, mono_of(l, c->finished_ns));
        if (t->blocked_until_ms > l->now_ms)
                crash_loop(l, t);
}

/* The failed pull was told; from now on it is a wait. */
static void soften(struct look *l, struct task *t)
{
        const char *image = json_get_str(task_spec(t, NULL), "image");
        _cleanup_free_ char *message = NULL;

        if (!t->soften_ms)
                return;
        if (t->soften_ms > l->now_ms) {
                again_at(l, t->soften_ms);
                return;
        }
        t->soften_ms = 0;
        message = mem_printf("Back-off pulling image \"%s\": %s: %s", image, t->reason, t->message);
        task_event(t, false, "BackOff", "Back-off pulling image \"%s\"", image);
        task_event(t, true, "Failed", "Error: ImagePullBackOff");
        task_wait(t, "ImagePullBackOff", message);
}

static void see_container(struct look *l, size_t i)
{
        const struct container_def *def = &l->defs.v[i];
        const struct container_status *c = newest_instance(&l->there, def->name, NULL);
        struct task *t = worker_task(l->w, def->name);
        struct probe_verdicts v = {VERDICT_SUCCESS, VERDICT_UNKNOWN, VERDICT_SUCCESS, -1, ""};

        if (c && !instance_lives(c) && task_activity(t) == ACTIVITY_NONE)
                note_end(l, t, def, c);
        soften(l, t);
        if (c && c->state == CONTAINER_RUNNING && def->kind != KIND_EPHEMERAL)
                probes_verdicts(l->w->pods->opts.probes, l->w->uid, def->name, c->id, &v);
        l->facts[i] = (struct container_facts){.name = def->name,
                                               .liveness = v.liveness,
                                               .startup = v.startup,
                                               .blocked_until_ms = t->blocked_until_ms,
                                               .activity = task_activity(t),
                                               .restart = t->restart};
        l->notes[i] = (struct container_note){
                .name = def->name, .started = v.startup == VERDICT_SUCCESS, .ready = v.readiness == VERDICT_SUCCESS};
}

static void see_containers(struct look *l)
{
        containers_of(l->w->pod, &l->mem, &l->defs);
        l->facts = arena_array(&l->mem, struct container_facts, l->defs.n + 1);
        l->notes = arena_array(&l->mem, struct container_note, l->defs.n + 1);
        for (size_t i = 0; i < l->defs.n; i++)
                see_container(l, i);
}

/* ---- volumes ---- */

static void mount_failed(struct look *l, int r, const char *message)
{
        struct worker *w = l->w;
        bool news = !str_eq(w->mount_problem, message);
        uint64_t wait = MIN((uint64_t)MOUNT_RETRY_MIN_MS << MIN(w->mount_failures, 8U), (uint64_t)MOUNT_RETRY_MAX_MS);

        if (news) {
                free(w->mount_problem);
                w->mount_problem = mem_strdup(message);
                w->mount_failures = 0;
                w->mount_event_ms = l->now_ms + (r == -EAGAIN ? MOUNT_PATIENCE_MS : 0);
        }
        if (l->now_ms >= w->mount_event_ms) {
                worker_event(w, true, "FailedMount", "%s", message);
                w->mount_failures++;
                w->mount_event_ms = l->now_ms + wait;
        }
        w->mount_again_ms = w->mount_event_ms;
}

static void mount_volumes(struct look *l)
{
        struct worker *w = l->w;
        _cleanup_json_ struct json_object *pod = NULL;
        int (*prepare)(struct volumes * v, const struct json_object *pod, struct err *reterr) =
                w->mounted ? volumes_refresh : volumes_prepare;
        struct err err = ERR_NULL;
        int r;

        if ((w->mounted && !w->remount) || (!w->remount && w->mount_again_ms > l->now_ms))
                return;
        pod = worker_whole_pod(w);
        r = prepare(w->pods->opts.volumes, pod, &err);
        w->remount = false;
        if (r) {
                mount_failed(l, r, err.msg);
                return;
        }
        w->mounted = true;
        w->mount_failures = 0;
        free(TAKE_PTR(w->mount_problem));
}

/* ---- what comes next ---- */

/* Pulls are of no use to a pod that ends, nor without a sandbox. */
static void abandon_pulls(struct look *l)
{
        const struct sandbox_status *box = newest_sandbox(&l->there);
        struct worker *w = l->w;

        if (worker_is_ending(w) && !w->end_began_ms)
                w->end_began_ms = l->now_ms;
        if (!worker_is_ending(w) && box && box->state == SANDBOX_READY)
                return;
        for (size_t i = 0; i < w->ntasks; i++)
                task_abandon(w->tasks[i]);
}

static void decide(struct look *l)
{
        struct worker *w = l->w;
        struct pod_input in = {.pod = w->pod,
                               .status = w->status ?: w->teller.known,
                               .there = &l->there,
                               .facts = l->facts,
                               .nfacts = l->defs.n,
                               .deleted = worker_is_deleted(w),
                               .ended = worker_is_ending(w),
                               .sandbox_busy = w->sandbox_ticket != NULL,
                               .sandbox_blocked_ms = w->sandbox_blocked_ms,
                               .sandbox_stopped = w->sandbox_stopped,
                               .mono_ms = l->now_ms};

        compute_actions(&in, &l->mem, &l->actions);
        l->finished = in.ended || pod_has_finished(&in, &l->mem);
        again_at(l, l->actions.again_ms);
}

static void act(struct look *l)
{
        const struct pod_actions *a = &l->actions;
        struct worker *w = l->w;

        str_copy(w->sandbox, sizeof(w->sandbox), a->sandbox);
        for (size_t i = 0; i < a->nkills; i++)
                task_kill(worker_task(w, a->kills[i].name), &a->kills[i]);
        if (a->stop_sandbox[0])
                worker_stop_sandbox(w, a->stop_sandbox, !l->finished);
        if (a->run_sandbox)
                worker_run_sandbox(w, a->sandbox_attempt);
        if (!l->finished)
                mount_volumes(l);
        if (w->mounted)
                for (size_t i = 0; i < a->nstarts; i++)
                        task_start(worker_task(w, a->starts[i].name), &a->starts[i]);
        else if (!l->finished)
                again_at(l, w->mount_again_ms ?: UINT64_MAX);
        worker_remove(w, a->removals, a->nremovals);
}

/* ---- the status ---- */

static const char *image_ref(const struct look *l, const char *id)
{
        const struct image *image = images_find(l->w->pods->opts.images, id);

        return image && image->digests ? image->digests[0] : NULL;
}

/* After the steps of now were begun: they may have failed at once. */
static void take_notes(struct look *l)
{
        for (size_t i = 0; i < l->defs.n; i++) {
                struct task *t = worker_task(l->w, l->defs.v[i].name);
                const struct container_status *c = newest_instance(&l->there, t->name, NULL);
                bool starting = task_activity(t) == ACTIVITY_STARTING;

                l->notes[i].reason = t->reason;
                l->notes[i].message = t->message;
                l->notes[i].termination_message = c && str_eq(t->end_id, c->id) ? t->end_message : NULL;
                l->notes[i].image_ref = c ? image_ref(l, c->image_id) : NULL;
                l->notes[i].starting = t->stage == STAGE_START && c && c->attempt == t->attempt;
                l->notes[i].started &= !starting;
                l->notes[i].ready &= !starting;
        }
}

/* The API says it of its pods. */
static const char *qos(struct look *l)
{
        const struct spec s = {.pod = l->w->pod, .node = l->w->pods->opts.node};
        struct container_resources limits;
        const char *path;

        return json_at_str(l->w->pod, "status.qosClass") ?: spec_cgroup(&s, &l->mem, &path, &limits);
}

/* Once the API has it, its tree and ours are one: trees are what a pod costs. */
static void share_status(struct worker *w)
{
        struct json_object *known = teller_settled(&w->teller);

        if (known == w->status || !json_equal(known, w->status))
                return;
        teller_adopt(&w->teller, known);
        json_object_put(w->status);
        w->status = json_object_get(known);
}

static void make_status(struct look *l)
{
        struct worker *w = l->w;
        const struct status_input in = {.pod = w->pod,
                                        .old = w->status ?: w->teller.known,
                                        .there = &l->there,
                                        .notes = l->notes,
                                        .nnotes = l->defs.n,
                                        .host_ips = w->pods->opts.node->ips,
                                        .qos = qos(l),
                                        .over = l->actions.over,
                                        .finished = l->finished,
                                        .failed_reason = w->failed_reason,
                                        .failed_message = w->failed_message,
                                        .disrupted = w->disrupted,
                                        .now_s = l->wall_ns / (int64_t)NS_PER_S};
        struct json_object *status = w->rejected ? status_rejected(&in) : status_make(&in);

        if (json_equal(status, w->status)) {
                json_object_put(status);
        } else {
                json_shrink(status);
                json_object_put(w->status);
                w->status = status;
        }
        teller_tell(&w->teller, w->status);
        share_status(w);
}

/* ---- all of it ---- */

static void note_addresses(struct worker *w, const struct runtime_list *there)
{
        const struct sandbox_status *box = newest_sandbox(there);
        const char *const *ips = box ? box->ips : NULL;

        if (json_at_bool(w->pod, "spec.hostNetwork", false))
                ips = w->pods->opts.node->ips;
        memset(w->ips, 0, sizeof(w->ips));
        str_copy(w->netns, sizeof(w->netns), box ? box->netns : "");
        for (size_t i = 0; i < ARRAY_SIZE(w->ip_texts) && ips && ips[i]; i++) {
                str_copy(w->ip_texts[i], sizeof(w->ip_texts[i]), ips[i]);
                w->ips[i] = w->ip_texts[i];
        }
}

static void count_running(struct worker *w, const struct runtime_list *there)
{
        w->running = 0;
        for (size_t i = 0; i < there->ncontainers; i++)
                w->running += there->containers[i].state == CONTAINER_RUNNING;
}

static void look(struct look *l)
{
        struct worker *w = l->w;

        worker_list(w, &l->there);
        note_addresses(w, &l->there);
        count_running(w, &l->there);
        probes_follow(w->pods->opts.probes, w->pod, &l->there, w->ips[0] ?: "", worker_is_ending(w));
        admit(l);
        check_deadline(l);
        abandon_pulls(l);
        see_containers(l);
        decide(l);
        act(l);
        take_notes(l);
        make_status(l);
        w->over = l->actions.over;
        if (l->actions.over)
                worker_end(w, l->actions.remove_all);
}

void worker_look(struct worker *w)
{
        struct look l = {.w = w, .now_ms = clock_mono_ms(), .wall_ns = clock_wall_ns(), .again_ms = UINT64_MAX};

        w->look_ms = UINT64_MAX;
        if (w->removing) { /* its status is told: what is missing now says nothing about it */
                worker_end(w, true);
                return;
        }
        if (waits_for_predecessor(w))
                return;
        look(&l);
        worker_look_at(w, l.again_ms);
        arena_deinit(&l.mem);
}
