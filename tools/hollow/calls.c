/* SPDX-License-Identifier: Apache-2.0 */
#include <stdlib.h>

#include "base/mem.h"
#include "hollow/calls.h"

struct queue {
        struct call_job *first, **end;
};

struct calls {
        struct kube_client *client;
        uint32_t parallel;
        bool running; /* calls_run is on the stack */
        struct queue lanes[LANES];
        struct calls_stats stats;
};

struct calls *calls_new(struct kube_client *client, uint32_t parallel)
{
        struct calls *c = mem_new(struct calls);

        c->client = client;
        c->parallel = parallel;
        for (size_t i = 0; i < LANES; i++)
                c->lanes[i].end = &c->lanes[i].first;
        return c;
}

void calls_free(struct calls *c)
{
        free(c);
}

static void run(struct calls *c);

static void on_done(void *userdata, int result, struct json_object *obj, const struct kube_status *status)
{
        struct call_job *job = userdata;
        struct calls *c = job->calls;

        c->stats.under_way--;
        c->stats.refused += result == KUBE_REFUSED;
        c->stats.failed += result < 0;
        job->busy = false;
        job->ops->done(job, result, obj, status);
        run(c);
}

static struct call_job *take(struct calls *c)
{
        for (size_t i = 0; i < LANES; i++) {
                struct queue *q = &c->lanes[i];
                struct call_job *job = q->first;

                if (!job)
                        continue;
                q->first = job->next;
                if (!q->first)
                        q->end = &q->first;
                job->next = NULL;
                job->queued = false;
                c->stats.waiting--;
                return job;
        }
        return NULL;
}

static void start(struct calls *c, struct call_job *job)
{
        struct kube_request req = {0};

        if (!job->ops->begin(job, &req))
                return;
        job->busy = true;
        c->stats.sent++;
        c->stats.under_way++;
        kube_start(c->client, &req, on_done, job);
        free((char *)req.path);
        json_object_put((struct json_object *)req.body);
}

static void run(struct calls *c)
{
        if (c->running)
                return;
        c->running = true;
        while (c->stats.under_way < c->parallel) {
                struct call_job *job = take(c);

                if (!job)
                        break;
                start(c, job);
        }
        c->running = false;
}

void calls_submit(struct calls *c, enum lane lane, struct call_job *job)
{
        struct queue *q = &c->lanes[lane];

        if (job->queued || job->busy)
                return;
        job->calls = c;
        job->queued = true;
        *q->end = job;
        q->end = &job->next;
        c->stats.waiting++;
        run(c);
}

void calls_stats(const struct calls *c, struct calls_stats *ret)
{
        *ret = c->stats;
}
