/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/str.h"
#include "kube/lease.h"
#include "unit/base/fakeserver.h"

struct fixture;

struct candidate {
        struct fixture *fixture;
        struct lease *lease;
        bool leading;
        uint64_t started_ms, stopped_ms;
        int starts, stops, released;
        char leader[32];
};

/* The server: one Lease with a version. */
struct fixture {
        struct fake_server *server;
        struct loop *loop;
        struct kubeconfig config;
        struct kube_client *client;
        struct candidate a, b;
        pthread_mutex_t lock;
        struct json_object *lease;
        int version;
        atomic_int broken; /* answers 500 */
        atomic_int hanging;
};

static void answer_lease(struct fake_conn *c, struct json_object *o)
{
        _cleanup_free_ char *text = json_text(o);

        fake_answer(c, 200, "", text);
}

static void write_lease(struct fixture *f, struct fake_conn *c, const struct fake_request *r)
{
        struct json_object *o = NULL, *meta;
        char version[16];

        if (json_parse(r->body, r->body_len, &o, NULL))
                abort();
        if (f->lease &&
            !str_eq(json_at_str(o, "metadata.resourceVersion"), json_at_str(f->lease, "metadata.resourceVersion"))) {
                json_object_put(o);
                fake_answer(c, 409, "", "{\"kind\":\"Status\",\"reason\":\"Conflict\"}");
                return;
        }
        json_object_put(f->lease);
        f->lease = o;
        meta = json_ensure(o, "metadata");
        snprintf(version, sizeof(version), "%d", ++f->version);
        json_set_str(meta, "resourceVersion", version);
        answer_lease(c, o);
}

static bool script(void *userdata, struct fake_conn *c, const struct fake_request *r)
{
        struct fixture *f = userdata;

        if (atomic_load(&f->hanging)) {
                fake_linger(c, 5000);
                return false;
        }
        if (atomic_load(&f->broken)) {
                fake_answer(c, 500, "", "broken");
                return true;
        }
        pthread_mutex_lock(&f->lock);
        if (!str_eq(r->method, "GET"))
                write_lease(f, c, r);
        else if (f->lease)
                answer_lease(c, f->lease);
        else
                fake_answer(c, 404, "", "{\"kind\":\"Status\",\"reason\":\"NotFound\"}");
        pthread_mutex_unlock(&f->lock);
        return true;
}

static void on_started(void *userdata)
{
        struct candidate *c = userdata;

        assert_false(c->leading);
        assert_false(c->fixture->a.leading || c->fixture->b.leading); /* never two */
        c->leading = true;
        c->starts++;
        c->started_ms = clock_mono_ms();
        loop_stop(c->fixture->loop);
}

static void on_stopped(void *userdata)
{
        struct candidate *c = userdata;

        assert_true(c->leading);
        c->leading = false;
        c->stops++;
        c->stopped_ms = clock_mono_ms();
        loop_stop(c->fixture->loop);
}

static void on_leader(void *userdata, const char *identity)
{
        struct candidate *c = userdata;

        str_copy(c->leader, sizeof(c->leader), identity);
}

static void on_released(void *userdata)
{
        struct candidate *c = userdata;

        c->released++;
}

static void candidate_init(struct fixture *f, struct candidate *c, const char *identity)
{
        const struct lease_opts opts = {
                .client = f->client,
                .ns = "kube-system",
                .name = "x",
                .identity = identity,
                .duration_ms = 1000,
                .renew_deadline_ms = 400,
                .retry_ms = 40,
                .started = on_started,
                .stopped = on_stopped,
                .new_leader = on_leader,
                .userdata = c,
        };

        c->fixture = f;
        assert_int_equal(lease_new(&opts, &c->lease, NULL), 0);
}

static int setup(void **state)
{
        struct fixture *f = mem_new(struct fixture);
        struct kube_client_opts opts = {.config = &f->config, .qps = 1000};

        log_set_level(LOG_LEVEL_ERROR);
        *state = f;
        pthread_mutex_init(&f->lock, NULL);
        f->server = fake_server_start(script, f);
        f->config.server = (char *)fake_server_url(f->server);
        if (loop_new(&f->loop))
                return -1;
        opts.loop = f->loop;
        if (kube_client_new(&opts, &f->client, NULL))
                return -1;
        candidate_init(f, &f->a, "a");
        candidate_init(f, &f->b, "b");
        return 0;
}

static int teardown(void **state)
{
        struct fixture *f = *state;

        lease_free(f->a.lease);
        lease_free(f->b.lease);
        kube_client_free(f->client);
        loop_free(f->loop);
        fake_server_stop(f->server);
        json_object_put(f->lease);
        pthread_mutex_destroy(&f->lock);
        free(f);
        return 0;
}

static void lead(struct fixture *f, struct candidate *c)
{
        lease_start(c->lease);
        loop_run_for(f->loop, 3000);
        assert_true(c->leading);
}

static void the_first_candidate_leads_and_keeps_renewing(void **state)
{
        struct fixture *f = *state;
        int64_t transitions;

        lead(f, &f->a);
        lease_start(f->b.lease);
        loop_run_for(f->loop, 1500); /* longer than the lease's duration */
        assert_true(f->a.leading && lease_is_leader(f->a.lease));
        assert_false(f->b.leading);
        assert_string_equal(f->b.leader, "a");
        assert_string_equal(lease_holder(f->b.lease), "a");
        assert_int_equal(f->a.starts, 1);
        assert_true(f->version > 10);
        pthread_mutex_lock(&f->lock);
        transitions = json_at_i64(f->lease, "spec.leaseTransitions", -1);
        pthread_mutex_unlock(&f->lock);
        assert_int_equal(transitions, 0);
}

static void a_released_lease_is_taken_over_at_once(void **state)
{
        struct fixture *f = *state;
        uint64_t start;

        lead(f, &f->a);
        lease_start(f->b.lease);
        loop_run_for(f->loop, 150);
        start = clock_mono_ms();
        lease_stop(f->a.lease, on_released, &f->a);
        assert_false(f->a.leading);
        for (int i = 0; i < 5 && !f->b.leading; i++)
                loop_run_for(f->loop, 500);
        assert_true(f->b.leading);
        assert_int_equal(f->a.released, 1);
        assert_true(clock_mono_ms() - start < 800);
        assert_string_equal(f->a.leader, "a");
        assert_string_equal(f->b.leader, "b");
        pthread_mutex_lock(&f->lock);
        assert_int_equal(json_at_i64(f->lease, "spec.leaseTransitions", -1), 1);
        pthread_mutex_unlock(&f->lock);
}

static void a_leader_that_cannot_renew_steps_down_before_others_take_over(void **state)
{
        struct fixture *f = *state;

        lead(f, &f->a);
        loop_run_for(f->loop, 100);
        lease_start(f->b.lease);
        loop_run_for(f->loop, 100);
        atomic_store(&f->broken, 1);
        loop_run_for(f->loop, 2000);
        assert_int_equal(f->a.stops, 1);
        assert_false(f->b.leading);
        lease_stop(f->a.lease, NULL, NULL);
        atomic_store(&f->broken, 0);
        loop_run_for(f->loop, 3000);
        assert_true(f->b.leading);
        assert_true(f->b.started_ms >= f->a.stopped_ms + 400);
}

static void a_leader_whose_server_hangs_steps_down_in_time(void **state)
{
        struct fixture *f = *state;
        uint64_t start;

        lead(f, &f->a);
        atomic_store(&f->hanging, 1);
        start = clock_mono_ms();
        loop_run_for(f->loop, 3000);
        assert_int_equal(f->a.stops, 1);
        assert_in_range(clock_mono_ms() - start, 250, 1000);
}

/* What others wrote about time does not count, only when it was seen to change. */
static void another_machines_clock_does_not_matter(void **state)
{
        static const char *const times[] = {"2001-01-01T00:00:00.000000Z", "2901-01-01T00:00:00.000000Z"};

        for (size_t i = 0; i < 2; i++) {
                struct fixture *f = *state;
                uint64_t start;

                f->lease = json_object_new_object();
                json_set_str(json_ensure(f->lease, "metadata"), "resourceVersion", "1");
                json_set_str(json_ensure(f->lease, "spec"), "holderIdentity", "dead");
                json_set_i64(json_ensure(f->lease, "spec"), "leaseDurationSeconds", 1);
                json_set_str(json_ensure(f->lease, "spec"), "renewTime", times[i]);
                f->version = 1;
                start = clock_mono_ms();
                lead(f, &f->a);
                assert_in_range(clock_mono_ms() - start, 950, 2000);
                assert_int_equal(json_at_i64(f->lease, "spec.leaseTransitions", -1), 1);
                teardown(state);
                setup(state);
        }
}

static void a_leader_that_is_overwritten_steps_down(void **state)
{
        struct fixture *f = *state;

        lead(f, &f->a);
        pthread_mutex_lock(&f->lock);
        json_set_str(json_get(f->lease, "spec"), "holderIdentity", "usurper");
        json_set_str(json_get(f->lease, "metadata"), "resourceVersion", "77");
        pthread_mutex_unlock(&f->lock);
        loop_run_for(f->loop, 1000);
        assert_int_equal(f->a.stops, 1);
        assert_string_equal(f->a.leader, "usurper");
}

static void durations_that_do_not_fit_are_refused(void **state)
{
        struct fixture *f = *state;
        struct lease_opts opts = {.client = f->client, .ns = "n", .name = "x", .identity = "i"};
        struct lease *l = NULL;
        struct err err = ERR_NULL;

        opts.duration_ms = 10000;
        assert_int_equal(lease_new(&opts, &l, &err), -EINVAL);
        opts.duration_ms = 15000;
        opts.retry_ms = 9000;
        assert_int_equal(lease_new(&opts, &l, &err), -EINVAL);
        opts.retry_ms = 2000;
        opts.identity = "";
        assert_int_equal(lease_new(&opts, &l, &err), -EINVAL);
        assert_null(l);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
                T(the_first_candidate_leads_and_keeps_renewing),
                T(a_released_lease_is_taken_over_at_once),
                T(a_leader_that_cannot_renew_steps_down_before_others_take_over),
                T(a_leader_whose_server_hangs_steps_down_in_time),
                T(another_machines_clock_does_not_matter),
                T(a_leader_that_is_overwritten_steps_down),
                T(durations_that_do_not_fit_are_refused),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
