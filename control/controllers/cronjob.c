/* SPDX-License-Identifier: Apache-2.0 */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/hashmap.h"
#include "base/mem.h"
#include "base/str.h"
#include "controllers/common/claim.h"
#include "controllers/common/conditions.h"
#include "controllers/controllers.h"
#include "controllers/cronjob.h"
#include "kube/crontime.h"

#define SCHEDULED_FOR "batch.kubernetes.io/cronjob-scheduled-timestamp"
#define DELTA_MS      100   /* a timer may be early by the rounding of the wall clock */
#define LOOK_EVERY_MS 60000 /* the wall clock may have been set meanwhile */

static const struct telling telling_create = {"SuccessfulCreate", "Created job {name}", "FailedCreate",
                                              "Error creating job: {error}"};
static const struct telling telling_delete = {"SuccessfulDelete", "Deleted job {name}", "FailedDelete",
                                              "Deleted job: {error}"};

struct child {
        const struct kobj *job;
        int64_t scheduled_s; /* the time that it was made for; 0: somebody else made it */
        int64_t started_s, completed_s;
        const char *finished; /* "Complete", "Failed", or NULL */
        bool listed;          /* in the status' list of active Jobs */
        bool replaced;        /* it is being deleted in favour of a new one */
};

struct cron_look {
        struct sync *sync;
        const struct kobj *cron;
        struct json_object *json, *status; /* as it is to be written */
        struct child *children;
        size_t n;
};

/* ---- telling ---- */

/* Once for each value of what it is about; the state is lost at a restart, and then it is told again. */
static bool is_news(struct cron_look *l, const char *uid, const char *reason, int64_t value)
{
        struct hashmap *told = l->sync->state;
        const char *id = arena_printf(l->sync->mem, "%s/%s", uid, reason);
        int64_t *last = hashmap_get(told, id);

        if (last && *last == value)
                return false;
        if (!last) {
                last = mem_new(int64_t);
                hashmap_put(told, id, last);
        }
        *last = value;
        return true;
}

static void forget_news(struct hashmap *told, const char *uid)
{
        static const char *const reasons[] = {"UnknownTimeZone", "UnparseableSchedule", "InvalidSchedule",
                                              "MissSchedule",    "JobAlreadyActive",    "TooManyMissedTimes",
                                              "UnexpectedJob"};
        char id[256];

        for (size_t i = 0; i < ARRAY_SIZE(reasons); i++) {
                snprintf(id, sizeof(id), "%s/%s", uid, reasons[i]);
                free(hashmap_del(told, id));
        }
}

/* ---- its Jobs ---- */

static int64_t time_of(const char *text)
{
        struct timespec at;

        return text && !clock_parse(text, &at) ? at.tv_sec : 0;
}

static const char *job_name(const struct cron_look *l, int64_t scheduled_s)
{
        return arena_printf(l->sync->mem, "%s-%" PRIi64, l->cron->name, scheduled_s / 60);
}

static struct child read_child(const struct cron_look *l, const struct kobj *job)
{
        _cleanup_json_ struct json_object *json = kobj_json(job);
        struct json_object *status = json_get(json, "status");
        struct child c = {
                .job = job,
                .scheduled_s = time_of(kobj_annotation(job, SCHEDULED_FOR)),
                .started_s = time_of(json_get_str(status, "startTime")),
                .completed_s = time_of(json_get_str(status, "completionTime")),
        };

        if (!str_eq(job_name(l, c.scheduled_s), job->name))
                c.scheduled_s = 0;
        if (str_eq(condition_status(status, "Complete"), "True"))
                c.finished = "Complete";
        else if (str_eq(condition_status(status, "Failed"), "True"))
                c.finished = "Failed";
        return c;
}

static void read_children(struct cron_look *l)
{
        struct kobjs jobs = lister_controlled(l->sync->lister, &res_jobs, l->cron->uid, l->sync->mem);

        l->children = arena_array(l->sync->mem, struct child, jobs.n + 1);
        kobjs_foreach (jobs, job)
                l->children[l->n++] = read_child(l, job);
}

static struct child *find_child(struct cron_look *l, const char *uid)
{
        for (size_t i = 0; i < l->n; i++)
                if (str_eq(l->children[i].job->uid, uid))
                        return &l->children[i];
        return NULL;
}

/* ---- the status ---- */

/* Those that have ended or are gone leave the list. */
static struct json_object *still_active(struct cron_look *l)
{
        struct json_object *left = json_object_new_array();

        json_array_foreach (json_get(l->status, "active"), i, ref) {
                const char *name = json_get_str(ref, "name");
                struct child *c = find_child(l, json_get_str(ref, "uid"));

                if (!c) {
                        plan_event(l->sync, l->cron, false, "MissingJob", "Active job went missing: %s",
                                   name ? name : "");
                } else if (c->finished) {
                        plan_event(l->sync, l->cron, false, "SawCompletedJob", "Saw completed job: %s, condition: %s",
                                   c->job->name, c->finished);
                } else {
                        c->listed = true;
                        json_object_array_add(left, json_object_get(ref));
                }
        }
        return left;
}

static struct json_object *reference_to(const struct kobj *job)
{
        struct json_object *ref = json_object_new_object();
        char version[24];

        snprintf(version, sizeof(version), "%" PRIu64, job->version);
        json_set_str(ref, "kind", "Job");
        json_set_str(ref, "namespace", job->ns);
        json_set_str(ref, "name", job->name);
        json_set_str(ref, "uid", job->uid);
        json_set_str(ref, "apiVersion", "batch/v1");
        json_set_str(ref, "resourceVersion", version);
        return ref;
}

/* One of ours that is not in the list was made just now, or before a crash. */
static void add_unlisted(struct cron_look *l, struct json_object *active)
{
        for (size_t i = 0; i < l->n; i++) {
                struct child *c = &l->children[i];

                if (c->listed || c->finished)
                        continue;
                if (c->scheduled_s) {
                        c->listed = true;
                        json_object_array_add(active, reference_to(c->job));
                } else if (is_news(l, c->job->uid, "UnexpectedJob", 1)) {
                        plan_event(l->sync, l->cron, true, "UnexpectedJob",
                                   "Saw a job that the controller did not create or forgot: %s", c->job->name);
                }
        }
}

static void raise_time(struct json_object *status, const char *name, int64_t to_s)
{
        char text[CLOCK_TEXT_SIZE];

        if (to_s > time_of(json_get_str(status, name)))
                json_set_str(status, name, clock_format(to_s, text));
}

static void set_active(struct cron_look *l, struct json_object *active)
{
        if (json_len(active)) {
                json_set(l->status, "active", active);
        } else {
                json_del(l->status, "active");
                json_object_put(active);
        }
}

static void follow_children(struct cron_look *l)
{
        struct json_object *active = still_active(l);

        add_unlisted(l, active);
        set_active(l, active);
        for (size_t i = 0; i < l->n; i++) {
                raise_time(l->status, "lastScheduleTime", l->children[i].scheduled_s);
                if (str_eq(l->children[i].finished, "Complete"))
                        raise_time(l->status, "lastSuccessfulTime", l->children[i].completed_s);
        }
}

static void write_status(struct cron_look *l)
{
        if (json_equal(l->status, json_get(l->json, "status")) ||
            (!json_has(l->json, "status") && !json_object_object_length(l->status)))
                return;
        json_set(l->json, "status", json_object_get(l->status));
        plan_update_status(l->sync, &res_cronjobs, json_object_get(l->json));
        plan_then(l->sync);
}

/* ---- the time that is due ---- */

/* The name of a zone that may be used, NULL for the machine's; false: it was complained of. */
static bool read_zone(struct cron_look *l, const char **ret)
{
        const char *zone = json_at_str(l->json, "spec.timeZone");

        *ret = zone;
        if (!zone || timezone_exists(zone))
                return true;
        if (is_news(l, l->cron->uid, "UnknownTimeZone", l->cron->generation))
                plan_event(l->sync, l->cron, true, "UnknownTimeZone", "invalid timeZone: \"%s\": unknown time zone %s",
                           zone, zone);
        return false;
}

static bool read_schedule(struct cron_look *l, struct cron_schedule *ret)
{
        const char *text = json_at_str(l->json, "spec.schedule");
        struct err err = ERR_NULL;

        if (!cron_parse(text ? text : "", ret, &err))
                return true;
        if (is_news(l, l->cron->uid, "UnparseableSchedule", l->cron->generation))
                plan_event(l->sync, l->cron, true, "UnparseableSchedule", "unparseable schedule: \"%s\" : %s",
                           text ? text : "", err.msg);
        return false;
}

static void complain_of_impossible(struct cron_look *l)
{
        if (is_news(l, l->cron->uid, "InvalidSchedule", l->cron->generation))
                plan_event(l->sync, l->cron, true, "InvalidSchedule",
                           "invalid schedule: %s : time difference between two schedules is less than 1 second",
                           json_at_str(l->json, "spec.schedule"));
}

/* Whether that time is to be turned into a Job now. */
static bool may_start(struct cron_look *l, const struct cron_due *due, int64_t deadline_s)
{
        const char *policy = json_at_str(l->json, "spec.concurrencyPolicy");
        char text[64];
        time_t t = due->time_s;
        struct tm tm;

        if (due->many && is_news(l, l->cron->uid, "TooManyMissedTimes", due->time_s))
                plan_event(l->sync, l->cron, true, "TooManyMissedTimes",
                           "too many missed start times. Set or decrease .spec.startingDeadlineSeconds or check clock "
                           "skew");
        if (deadline_s >= 0 && due->time_s + deadline_s < l->sync->now_ms / 1000) {
                strftime(text, sizeof(text), "%a, %d %b %Y %H:%M:%S +0000", gmtime_r(&t, &tm));
                if (is_news(l, l->cron->uid, "MissSchedule", due->time_s))
                        plan_event(l->sync, l->cron, true, "MissSchedule", "Missed scheduled time to start a job: %s",
                                   text);
                return false;
        }
        if (lister_get(l->sync->lister, &res_jobs, l->cron->ns, job_name(l, due->time_s)))
                return false;
        if (!str_eq(policy, "Forbid") || !json_len(json_get(l->status, "active")))
                return true;
        if (is_news(l, l->cron->uid, "JobAlreadyActive", due->time_s))
                plan_event(l->sync, l->cron, false, "JobAlreadyActive",
                           "Not starting job because prior execution is running and concurrency policy is Forbid");
        return false;
}

static void wake_at(struct cron_look *l, int64_t next_s)
{
        int64_t wait = next_s ? next_s * 1000 - l->sync->now_ms + DELTA_MS : LOOK_EVERY_MS;

        plan_after(l->sync, (uint64_t)MIN(MAX(wait, (int64_t)DELTA_MS), (int64_t)LOOK_EVERY_MS));
}

/* The time to make a Job for; 0: none now. */
static int64_t decide(struct cron_look *l)
{
        struct cron_schedule schedule;
        struct cron_clock clock = {
                .schedule = &schedule,
                .last_s = time_of(json_get_str(l->status, "lastScheduleTime")),
                .deadline_s = json_at_i64(l->json, "spec.startingDeadlineSeconds", -1),
                .now_s = l->sync->now_ms / 1000,
        };
        struct cron_due due;

        if (l->cron->deleted_s || json_at_bool(l->json, "spec.suspend", false) || !read_zone(l, &clock.zone) ||
            !read_schedule(l, &schedule))
                return 0;
        clock.last_s = clock.last_s ? clock.last_s : l->cron->created_s;
        due = cron_due(&clock);
        if (due.impossible) {
                complain_of_impossible(l);
                return 0;
        }
        wake_at(l, due.next_s);
        return due.time_s && may_start(l, &due, clock.deadline_s) ? due.time_s : 0;
}

/* ---- Jobs come and go ---- */

static struct json_object *new_job(struct cron_look *l, int64_t scheduled_s)
{
        struct json_object *template = json_at(l->json, "spec.jobTemplate"), *from = json_get(template, "metadata");
        struct json_object *job = json_object_new_object(), *meta = json_ensure(job, "metadata");
        struct json_object *owners = json_object_new_array();
        char text[CLOCK_TEXT_SIZE];

        json_set_str(meta, "name", job_name(l, scheduled_s));
        json_set_str(meta, "namespace", l->cron->ns);
        if (json_has(from, "labels"))
                json_set(meta, "labels", json_copy(json_get(from, "labels")));
        if (json_has(from, "annotations"))
                json_set(meta, "annotations", json_copy(json_get(from, "annotations")));
        timezone_format(json_at_str(l->json, "spec.timeZone"), scheduled_s, text);
        json_set_str(json_ensure(meta, "annotations"), SCHEDULED_FOR, text);
        json_object_array_add(owners, owner_reference(l->cron));
        json_set(meta, "ownerReferences", owners);
        json_set(job, "spec", json_copy(json_get(template, "spec")));
        return job;
}

static void delete_job(struct cron_look *l, const struct kobj *job)
{
        struct step *st = plan_delete(l->sync, job);

        step_propagation(st, "Background");
        step_tell(st, l->cron, &telling_delete);
}

static int by_start(const void *a, const void *b)
{
        const struct child *x = *(const struct child *const *)a, *y = *(const struct child *const *)b;

        if (x->started_s != y->started_s)
                return !x->started_s || (y->started_s && x->started_s > y->started_s) ? 1 : -1;
        return strcmp(x->job->name, y->job->name);
}

/* Of those that ended so the oldest, until so many are left. */
static void limit_history(struct cron_look *l, const char *finished, const char *field)
{
        int64_t limit = json_get_i64(json_get(l->json, "spec"), field, -1);
        struct child **list = arena_array(l->sync->mem, struct child *, l->n + 1);
        size_t n = 0;

        for (size_t i = 0; i < l->n; i++)
                if (str_eq(l->children[i].finished, finished) && !l->children[i].job->deleted_s)
                        list[n++] = &l->children[i];
        if (limit < 0 || n <= (size_t)limit)
                return;
        qsort(list, n, sizeof(struct child *), by_start);
        for (size_t i = 0; i < n - (size_t)limit; i++)
                delete_job(l, list[i]->job);
}

/* They leave the list first: what is not in it and not finished is put into it again, should this be interrupted. */
static void choose_replaced(struct cron_look *l)
{
        struct json_object *left = json_object_new_array();

        json_array_foreach (json_get(l->status, "active"), i, ref) {
                struct child *c = find_child(l, json_get_str(ref, "uid"));

                if (c)
                        c->replaced = true;
                else
                        json_object_array_add(left, json_object_get(ref));
        }
        set_active(l, left);
}

static void carry_out(struct cron_look *l, int64_t due_s)
{
        write_status(l);
        limit_history(l, "Complete", "successfulJobsHistoryLimit");
        limit_history(l, "Failed", "failedJobsHistoryLimit");
        for (size_t i = 0; i < l->n; i++)
                if (l->children[i].replaced)
                        delete_job(l, l->children[i].job);
        if (!due_s)
                return;
        plan_then(l->sync);
        step_tell(plan_create(l->sync, &res_jobs, new_job(l, due_s)), l->cron, &telling_create);
}

static void sync_cronjob(struct sync *s)
{
        struct cron_look l = {.sync = s, .cron = lister_find(s->lister, &res_cronjobs, s->key)};
        _cleanup_json_ struct json_object *json = l.cron ? kobj_json(l.cron) : NULL, *status = NULL;
        int64_t due_s;

        if (!json)
                return;
        l.json = json;
        status = json_has(json, "status") ? json_copy(json_get(json, "status")) : json_object_new_object();
        l.status = status;
        read_children(&l);
        follow_children(&l);
        due_s = decide(&l);
        if (due_s && str_eq(json_at_str(json, "spec.concurrencyPolicy"), "Replace"))
                choose_replaced(&l);
        carry_out(&l, due_s);
}

/* ---- what concerns which ---- */

static void cronjob_changed(struct runner *r, const struct kobj *old, const struct kobj *now)
{
        if (!now)
                forget_news(runner_state(r), old->uid);
        else
                runner_add_object(r, now);
}

static void job_changed(struct runner *r, const struct kobj *old, const struct kobj *now)
{
        if (!now)
                forget_news(runner_state(r), old->uid);
        runner_add_controller_of(r, now ? now : old, &res_cronjobs);
}

static void *state_new(struct runner *r)
{
        struct hashmap *told = mem_new(struct hashmap);

        hashmap_init(told, HASHMAP_STR_OWNED);
        return told;
}

static void state_free(void *state)
{
        struct hashmap *told = state;

        hashmap_foreach (told, slot)
                free(slot->value);
        hashmap_deinit(told);
        free(told);
}

const struct controller controller_cronjob = {
        .name = "cronjob",
        .watches = (const struct watch[]){{&res_cronjobs, cronjob_changed}, {&res_jobs, job_changed}, {0}},
        .sync = sync_cronjob,
        .backoff_max_ms = 15000, /* later than that the next time may be due */
        .state_new = state_new,
        .state_free = state_free,
};
