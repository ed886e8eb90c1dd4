/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A plan is carried out stage by stage: the writes of a stage go out together, and the next stage begins when all have
 * succeeded and the cache shows them. A write whose answer got lost is in doubt. A create is then sent again under the
 * same name until an answer comes, so that "already exists" can only mean our own. Anything else is safe to plan anew,
 * but by what it came to: the object is asked for, and the cache must show it as it was then.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "base/mem.h"
#include "base/str.h"
#include "controllers/engine/internal.h"

#define INFLIGHT       64
#define AWAIT_LIMIT_MS 60000 /* a watch that is so late is broken, and will start over */
#define SUFFIX_LEN     5
#define NAME_MAX_LEN   63
#define NAME_TRIES     8
#define DOUBT_MS       250 /* until a create without an answer is sent again */
#define DOUBT_TRIES    4   /* for a server that answers, but with an error of its own */
#define AWAY_MS        500 /* between attempts while the API server is away: nobody's fault, so no growing backoff */
#define FAIR_SHARE     8   /* writes at a time of one job while others find no room */

static uint64_t now_ms(const struct engine *e)
{
        return e->opts.api->mono_ns() / 1000000;
}

void job_ready(struct job *j)
{
        struct engine *e = j->runner->engine;

        if (j->ready)
                return;
        j->ready = true;
        j->next_ready = NULL;
        *e->ready_tail = j;
        e->ready_tail = &j->next_ready;
        e->opts.wake(e->opts.userdata);
}

static void unlink_job(struct job *j)
{
        struct engine *e = j->runner->engine;

        if (j->prev)
                j->prev->next = j->next;
        else
                e->jobs = j->next;
        if (j->next)
                j->next->prev = j->prev;
        else
                e->last_job = j->prev;
}

void job_free(struct job *j)
{
        unlink_job(j);
        plan_free(j->plan);
        free(j);
}

/* ---- what the controller is told of a failure ---- */

static void forget_failure(struct runner *r, const char *key)
{
        free(hashmap_del(&r->failures, key));
}

static void remember_failure(struct job *j, const struct step *st, int result, const struct kube_status *status)
{
        struct failure *f = mem_new(struct failure);

        f->resource = st->resource;
        f->verb = st->verb;
        f->code = status->code;
        str_copy(f->reason, sizeof(f->reason), status->reason);
        str_copy(f->message, sizeof(f->message), *status->message ? status->message : strerror(-MIN(result, 0)));
        str_copy(f->name, sizeof(f->name), st->name);
        free(hashmap_put(&j->runner->failures, j->key, f));
}

/* ---- the end of a job ---- */

static void log_failure(const struct job *j)
{
        const struct failure *f = hashmap_get(&j->runner->failures, j->key);

        log_debug("a sync did not succeed, again later", "controller=%s key=%s what=%s code=%d message=%s",
                  j->runner->desc->name, j->key, f ? f->resource->kind : "", f ? f->code : 0,
                  f                ? f->message
                  : j->plan->retry ? j->plan->retry
                                   : "");
}

static void requeue(struct job *j)
{
        struct runner *r = j->runner;

        if (j->failed || j->plan->retry) {
                log_failure(j);
                r->errors++;
                r->retries++;
                if (j->retry_after_ms)
                        workqueue_add_after(r->queue, j->key, j->retry_after_ms);
                else
                        workqueue_add_rate_limited(r->queue, j->key);
        } else {
                workqueue_forget(r->queue, j->key);
                forget_failure(r, j->key);
        }
        if (j->plan->after_ms != UINT64_MAX)
                workqueue_add_after(r->queue, j->key, j->plan->after_ms);
}

static void job_end(struct job *j)
{
        struct runner *r = j->runner;

        requeue(j);
        r->running--;
        workqueue_done(r->queue, j->key);
        job_free(j);
}

/* ---- one step ---- */

static void replace_all(struct strbuf *b, const char *text, const char *name, const char *error)
{
        for (const char *p = text; *p;) {
                if (str_has_prefix(p, "{name}")) {
                        strbuf_add_str(b, name);
                        p += strlen("{name}");
                } else if (str_has_prefix(p, "{error}")) {
                        strbuf_add_str(b, error);
                        p += strlen("{error}");
                } else {
                        strbuf_add_char(b, *p++);
                }
        }
}

static void tell(const struct job *j, const struct step *st, bool failed, const char *error)
{
        const char *reason = failed ? st->telling.failed_reason : st->telling.done_reason;
        const char *text = failed ? st->telling.failed_text : st->telling.done_text;
        struct api *api = j->runner->engine->opts.api;
        _cleanup_strbuf_ struct strbuf b = STRBUF_NULL;

        if (!st->about || !reason)
                return;
        replace_all(&b, text, st->name, error);
        api->event(api, j->runner->source, st->about, failed || st->warning, reason, b.data ? b.data : "");
}

/* As the API server would have named it: the beginning of the prefix, and letters that spell nothing. */
static void make_name(struct job *j, struct step *st)
{
        static const char letters[] = "bcdfghjklmnpqrstvwxz2456789";
        const struct api *api = j->runner->engine->opts.api;
        char name[NAME_MAX_LEN + 1];
        size_t n = MIN(strlen(st->generate), (size_t)(NAME_MAX_LEN - SUFFIX_LEN));

        memcpy(name, st->generate, n);
        for (size_t i = 0; i < SUFFIX_LEN; i++)
                name[n++] = letters[api->random_below(sizeof(letters) - 1)];
        name[n] = '\0';
        st->name = arena_strdup(&j->plan->mem, name);
        json_set_str(json_ensure(st->body, "metadata"), "name", name);
}

static void await_answer(struct job *j, const struct step *st, const struct answer *a)
{
        const char *key = *st->ns ? arena_printf(&j->plan->mem, "%s/%s", st->ns, st->name) : st->name;
        bool gone = st->verb == STEP_DELETE;

        if (st->post || st->collection || st->verb == STEP_CONFIRM)
                return;
        await_object(j, st->resource, key,
                     gone ? st->uid
                     : a  ? a->uid
                          : "",
                     a && !gone ? a->version : 0, gone || (a && a->deleting));
}

static void submit(struct job *j, struct step *st);

/* Whether it may have been written all the same. */
static bool is_lost(const struct step *st, int result, const struct kube_status *status)
{
        return result < 0 || (status->code >= 500 && st->attempts < DOUBT_TRIES);
}

static bool name_is_taken(const struct step *st, const struct kube_status *status)
{
        return *st->generate && !st->in_doubt && st->attempts < NAME_TRIES && str_eq(status->reason, "AlreadyExists");
}

static void doubt(struct job *j, struct step *st)
{
        st->in_doubt = true;
        st->next_doubt = j->doubts;
        j->doubts = st;
        j->doubts_due_ms = now_ms(j->runner->engine) + DOUBT_MS;
}

/* A create is sent once more under a name that is free, or because nobody knows what became of it. */
static bool send_again(struct job *j, struct step *st, int result, const struct kube_status *status)
{
        if (st->verb != STEP_CREATE || st->post)
                return false;
        if (is_lost(st, result, status)) {
                doubt(j, st);
                return true;
        }
        if (!name_is_taken(st, status))
                return false;
        make_name(j, st);
        submit(j, st);
        return true;
}

/* An object of another UID is another object. */
static bool is_confirmed(const struct step *st, int result, const struct answer *a, const struct kube_status *status)
{
        if (result)
                return status->code == 404;
        return st->collection ? !a->some : !str_empty(st->uid) && !str_eq(a->uid, st->uid);
}

static bool is_success(const struct step *st, int result, const struct answer *a, const struct kube_status *status)
{
        if (st->verb == STEP_CONFIRM)
                return is_confirmed(st, result, a, status);
        if (!result)
                return true;
        if (st->verb == STEP_DELETE && status->code == 404)
                return true;
        return st->verb == STEP_CREATE && st->in_doubt && str_eq(status->reason, "AlreadyExists");
}

static void step_failed(struct job *j, struct step *st, int result, const struct kube_status *status)
{
        struct engine *e = j->runner->engine;

        e->write_errors++;
        st->finished = true;
        if (st->may_fail)
                return;
        j->failed = true;
        if (status->retry_after_s > 0)
                j->retry_after_ms = (uint64_t)status->retry_after_s * 1000;
        else if (result < 0)
                j->retry_after_ms = AWAY_MS;
        remember_failure(j, st, result, status);
        tell(j, st, true, *status->message ? status->message : "no answer from the API server");
}

static bool is_question(const struct step *st)
{
        return st->verb == STEP_CONFIRM && st->in_doubt;
}

/* Any other write becomes the question how the object is now. */
static bool ask_what_came(struct job *j, struct step *st, int result, const struct kube_status *status)
{
        bool asked = is_question(st);

        if (result >= 0 || st->verb == STEP_CREATE || st->collection || (st->verb == STEP_CONFIRM && !asked))
                return false;
        if (!asked) {
                remember_failure(j, st, result, status);
                st->lost = st->verb;
                st->verb = STEP_CONFIRM;
                st->sub = NULL;
                json_object_put(st->body);
                st->body = NULL;
        }
        doubt(j, st);
        return true;
}

/* A deletion that came through is a success. Of other writes nobody knows; the next sync sees it. */
static void learn_what_came(struct job *j, struct step *st, int result, const struct answer *a,
                            const struct kube_status *status)
{
        const char *key = *st->ns ? arena_printf(&j->plan->mem, "%s/%s", st->ns, st->name) : st->name;
        bool gone = result && status->code == 404;
        bool deleted = gone || (!result && (a->deleting || (*st->uid && !str_eq(a->uid, st->uid))));

        st->verb = st->lost;
        st->finished = true;
        if (gone && *st->uid)
                await_object(j, st->resource, key, st->uid, 0, true);
        else if (!result)
                await_object(j, st->resource, key, a->uid, a->version, a->deleting);
        if (st->verb == STEP_DELETE && deleted) {
                tell(j, st, false, "");
                return;
        }
        j->runner->engine->write_errors++;
        j->failed |= !st->may_fail;
}

static void room_was_made(struct engine *e)
{
        struct job *j = e->starved;

        e->starved = NULL;
        for (struct job *next; j; j = next) {
                next = j->next_ready;
                j->ready = false;
                job_ready(j);
        }
}

static void take_answer(struct job *j, struct step *st, int result, const struct answer *a,
                        const struct kube_status *status)
{
        if (ask_what_came(j, st, result, status))
                return;
        if (is_question(st)) {
                learn_what_came(j, st, result, a, status);
        } else if (is_success(st, result, a, status)) {
                st->finished = true;
                await_answer(j, st, result ? NULL : a);
                tell(j, st, false, "");
        } else if (!send_again(j, st, result, status)) {
                step_failed(j, st, result, status);
        }
}

static void on_answer(void *userdata, int result, const struct answer *a, const struct kube_status *status)
{
        struct step *st = userdata;
        struct job *j = st->job;
        struct engine *e = j->runner->engine;

        j->inflight--;
        e->inflight--;
        take_answer(j, st, result, a, status);
        room_was_made(e);
        job_ready(j);
}

static void submit(struct job *j, struct step *st)
{
        struct engine *e = j->runner->engine;

        if (!*st->name && !st->collection)
                make_name(j, st);
        st->job = j;
        st->attempts++;
        j->inflight++;
        e->inflight++;
        e->writes[st->verb]++;
        e->opts.api->submit(e->opts.api, st, on_answer, st);
}

/* ---- the plan ---- */

static bool has_room(const struct job *j)
{
        const struct engine *e = j->runner->engine;
        unsigned int limit = e->opts.inflight ? e->opts.inflight : INFLIGHT;

        return e->inflight < limit && (j->inflight < FAIR_SHARE || !e->starved);
}

static bool has_more(const struct job *j)
{
        return !j->failed && j->at && j->at->stage == j->stage;
}

/* One that finds no room waits until an answer makes some. */
static void starve(struct job *j)
{
        struct engine *e = j->runner->engine;

        j->ready = true;
        j->next_ready = e->starved;
        e->starved = j;
}

static void send_stage(struct job *j)
{
        while (has_more(j) && has_room(j) && (!j->at->slow_start || j->inflight < j->width)) {
                struct step *st = j->at;

                j->at = st->next;
                submit(j, st);
        }
}

/* Everything of this stage is done and seen. Whether there is another. */
static bool next_stage(struct job *j)
{
        if (j->failed || !j->at)
                return false;
        j->stage = j->at->stage;
        return true;
}

/* Nothing of the plan is under way. */
static void job_settle(struct job *j)
{
        if (j->awaited) {
                j->waiting_since_ms = j->waiting_since_ms ? j->waiting_since_ms : now_ms(j->runner->engine);
                return;
        }
        j->waiting_since_ms = 0;
        if (next_stage(j))
                job_ready(j);
        else
                job_end(j);
}

static void job_continue(struct job *j)
{
        if (!j->inflight)
                j->width = MIN(MAX(j->width * 2, 1U), 1U << 16);
        send_stage(j);
        if (j->inflight || j->doubts)
                return;
        if (has_more(j))
                starve(j);
        else
                job_settle(j);
}

bool jobs_continue(struct engine *e)
{
        struct job *j = e->ready;
        bool some = j != NULL;

        e->ready = NULL;
        e->ready_tail = &e->ready;
        for (struct job *next; j; j = next) {
                next = j->next_ready;
                j->ready = false;
                job_continue(j);
        }
        return some;
}

static void send_doubts(struct job *j)
{
        struct step *st = j->doubts;

        j->doubts = NULL;
        for (struct step *next; st; st = next) {
                next = st->next_doubt;
                submit(j, st);
        }
}

/* The cache is behind for longer than a broken watch takes to be noticed: better to act on what it shows. */
void jobs_expire(struct engine *e)
{
        uint64_t now = now_ms(e);

        for (struct job *j = e->jobs; j; j = j->next) {
                if (j->doubts && now >= j->doubts_due_ms)
                        send_doubts(j);
                if (!j->waiting_since_ms || now - j->waiting_since_ms < AWAIT_LIMIT_MS)
                        continue;
                log_warn("the watch does not show what was written", "controller=%s key=%s writes=%u",
                         j->runner->desc->name, j->key, j->awaited);
                e->given_up++;
                await_forget(j);
                job_ready(j);
        }
}

static void tell_notes(const struct job *j)
{
        struct api *api = j->runner->engine->opts.api;

        for (const struct note *n = j->plan->notes; n; n = n->next)
                api->event(api, j->runner->source, n->about, n->warning, n->reason, n->text);
}

void job_start(struct runner *r, char *key, struct plan *plan)
{
        struct engine *e = r->engine;
        size_t n = strlen(key) + 1;
        struct job *j = mem_zalloc(sizeof(*j) + n);

        memcpy(j->key, key, n);
        j->runner = r;
        j->plan = plan;
        j->at = plan->steps;
        j->stage = j->at ? j->at->stage : 0;
        j->prev = e->last_job;
        if (j->prev)
                j->prev->next = j;
        else
                e->jobs = j;
        e->last_job = j;
        r->running++;
        tell_notes(j);
        job_continue(j);
}
