/* SPDX-License-Identifier: Apache-2.0 */
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
#include "kube/events.h"
#include "kube/eventscorrelator.h"
#include "unit/base/fakeserver.h"

struct fixture {
        struct fake_server *server;
        struct loop *loop;
        struct kubeconfig config;
        struct kube_client *client;
        struct events *events;
        pthread_mutex_t lock;
        struct json_object *created[64], *patch;
        char patched[256];
        int ncreated, npatched;
        atomic_int broken, forgotten; /* so many requests fail with 500; PATCHes with 404 */
};

static bool script(void *userdata, struct fake_conn *c, const struct fake_request *r)
{
        struct fixture *f = userdata;
        struct json_object *o = NULL;
        bool patch = str_eq(r->method, "PATCH");

        if (atomic_fetch_sub(&f->broken, 1) > 0) {
                fake_answer(c, 500, "", "broken");
                return true;
        }
        if (patch && atomic_fetch_sub(&f->forgotten, 1) > 0) {
                fake_answer(c, 404, "", "{\"kind\":\"Status\",\"reason\":\"NotFound\"}");
                return true;
        }
        json_parse(r->body, r->body_len, &o, NULL);
        pthread_mutex_lock(&f->lock);
        if (patch) {
                f->npatched++;
                json_object_put(f->patch);
                f->patch = o;
                snprintf(f->patched, sizeof(f->patched), "%.255s", r->target);
        } else {
                f->created[f->ncreated++ % 64] = o;
        }
        pthread_mutex_unlock(&f->lock);
        fake_answer(c, patch ? 200 : 201, "", "{}");
        return true;
}

static int setup(void **state)
{
        struct fixture *f = mem_new(struct fixture);
        struct kube_client_opts opts = {.config = &f->config, .qps = 10000, .burst = 10000};
        struct events_opts events_opts = {.component = "tester", .host = "n1"};

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
        events_opts.client = f->client;
        return events_new(&events_opts, &f->events);
}

static int teardown(void **state)
{
        struct fixture *f = *state;

        events_free(f->events);
        kube_client_free(f->client);
        loop_free(f->loop);
        fake_server_stop(f->server);
        for (int i = 0; i < 64; i++)
                json_object_put(f->created[i]);
        json_object_put(f->patch);
        pthread_mutex_destroy(&f->lock);
        free(f);
        return 0;
}

static const struct event_object pod = {"v1", "Pod", "work", "p", "uid-1", "5", "spec.containers{c}"};

/* Runs the loop until so many requests were answered. */
static void settle(struct fixture *f, uint64_t requests)
{
        for (int i = 0; i < 300; i++) {
                struct events_stats s;

                loop_run_for(f->loop, 10);
                events_stats(f->events, &s);
                if (s.created + s.patched + s.failed >= requests)
                        break;
        }
        loop_run_for(f->loop, 30);
}

static void an_event_says_what_happened_to_what(void **state)
{
        struct fixture *f = *state;
        struct json_object *o;

        events_record(f->events, &pod, true, "BackOff", "Back-off restarting container %s", "c");
        settle(f, 1);
        assert_int_equal(f->ncreated, 1);
        o = f->created[0];
        assert_int_equal(strncmp(json_at_str(o, "metadata.name"), "p.", 2), 0);
        assert_string_equal(json_at_str(o, "metadata.namespace"), "work");
        assert_string_equal(json_at_str(o, "involvedObject.kind"), "Pod");
        assert_string_equal(json_at_str(o, "involvedObject.uid"), "uid-1");
        assert_string_equal(json_at_str(o, "involvedObject.fieldPath"), "spec.containers{c}");
        assert_string_equal(json_at_str(o, "reason"), "BackOff");
        assert_string_equal(json_at_str(o, "message"), "Back-off restarting container c");
        assert_string_equal(json_at_str(o, "type"), "Warning");
        assert_string_equal(json_at_str(o, "source.component"), "tester");
        assert_string_equal(json_at_str(o, "source.host"), "n1");
        assert_int_equal(json_at_i64(o, "count", 0), 1);
        assert_non_null(json_at_str(o, "firstTimestamp"));
        assert_string_equal(json_at_str(o, "reportingComponent"), "tester");
}

static void the_same_event_again_is_counted_up_by_a_patch(void **state)
{
        struct fixture *f = *state;
        char *path;

        for (int i = 0; i < 3; i++)
                events_record(f->events, &pod, false, "Pulled", "same");
        settle(f, 3);
        assert_int_equal(f->ncreated, 1);
        assert_int_equal(f->npatched, 2);
        assert_int_equal(json_get_i64(f->patch, "count", 0), 3);
        path = mem_printf("/api/v1/namespaces/work/events/%s", json_at_str(f->created[0], "metadata.name"));
        assert_string_equal(f->patched, path);
        free(path);
}

static void an_event_that_expired_on_the_server_is_made_anew(void **state)
{
        struct fixture *f = *state;

        events_record(f->events, &pod, false, "Pulled", "same");
        settle(f, 1);
        atomic_store(&f->forgotten, 1);
        events_record(f->events, &pod, false, "Pulled", "same");
        settle(f, 2);
        assert_int_equal(f->ncreated, 2);
        assert_int_equal(f->npatched, 0);
        assert_int_equal(json_get_i64(f->created[1], "count", 0), 1);
}

static void similar_events_are_combined(void **state)
{
        struct fixture *f = *state;

        for (int i = 0; i < 14; i++)
                events_record(f->events, &pod, false, "Unhealthy", "probe %d failed", i);
        settle(f, 14);
        assert_int_equal(f->ncreated, 11);
        assert_int_equal(f->npatched, 3);
        assert_string_equal(json_get_str(f->created[10], "message"), "(combined from similar events): probe 10 failed");
        assert_string_equal(json_get_str(f->patch, "message"), "(combined from similar events): probe 13 failed");
        assert_int_equal(json_get_i64(f->patch, "count", 0), 4);
}

static void spam_about_one_object_is_dropped_but_not_that_of_others(void **state)
{
        static const struct event_object other = {"v1", "Node", NULL, "n1", "n1", NULL, NULL};
        struct events_stats stats;
        struct fixture *f = *state;

        for (int i = 0; i < 40; i++)
                events_record(f->events, &pod, false, "Again", "same");
        events_record(f->events, &other, false, "Ready", "yes");
        settle(f, 26);
        events_stats(f->events, &stats);
        assert_int_equal(stats.created, 2);
        assert_int_equal(stats.patched, 24);
        assert_int_equal(stats.spam, 15);
        assert_string_equal(json_at_str(f->created[1], "metadata.namespace"), "default");
}

static void failures_are_retried_then_given_up(void **state)
{
        struct events_stats stats;
        struct fixture *f = *state;

        atomic_store(&f->broken, 2);
        events_record(f->events, &pod, false, "A", "a");
        settle(f, 1);
        assert_int_equal(f->ncreated, 1);
        atomic_store(&f->broken, 1000);
        events_record(f->events, &pod, false, "B", "b");
        loop_run_for(f->loop, 3500);
        events_stats(f->events, &stats);
        assert_int_equal(stats.failed, 1);
        assert_int_equal(stats.created, 1);
}

static void *recorder(void *arg)
{
        struct fixture *f = arg;

        for (int i = 0; i < 500; i++)
                events_record(f->events, &pod, false, "R", "%d", i);
        return NULL;
}

static void the_queue_is_bounded_and_open_to_all_threads(void **state)
{
        struct events_stats stats;
        struct fixture *f = *state;
        pthread_t t[4];

        for (int i = 0; i < 4; i++)
                pthread_create(&t[i], NULL, recorder, f);
        for (int i = 0; i < 4; i++)
                pthread_join(t[i], NULL);
        events_stats(f->events, &stats);
        assert_int_equal(stats.overflow, 1000);
        settle(f, 25);
        events_stats(f->events, &stats);
        assert_int_equal(stats.created + stats.patched + stats.spam, 1000);
}

static void the_budget_refills_and_memory_is_bounded(void **state)
{
        struct events_correlator c;
        uint64_t now = 1000;
        int sent = 0;

        events_correlator_init(&c);
        for (int i = 0; i < 20000; i++) {
                struct event_note *e = mem_new(struct event_note);

                e->kind = mem_strdup("Pod");
                e->name = mem_printf("p%d", i % 10000);
                e->reason = mem_strdup("R");
                e->message = mem_strdup("m");
                sent += events_correlate(&c, e, now++) != NULL;
                event_note_free(e);
        }
        assert_int_equal(sent, 20000);
        assert_in_range(c.records.count, 1, 4096);
        assert_in_range(c.groups.count, 1, 4096);
        assert_in_range(c.budgets.count, 1, 4096);
        sent = 0;
        for (int i = 0; i < 60; i++) {
                struct event_note e = {
                        .kind = (char *)"Pod", .name = (char *)"x", .reason = (char *)"R", .message = (char *)"m"};

                if (i == 50)
                        now += 3 * 300 * 1000;
                sent += events_correlate(&c, &e, now) != NULL;
        }
        assert_int_equal(sent, 25 + 3);
        events_correlator_deinit(&c);
}

static void long_messages_are_cut_at_a_character(void **state)
{
        struct fixture *f = *state;
        char text[1600];
        size_t n;

        for (n = 0; n + 2 < sizeof(text); n += 2)
                memcpy(text + n, "\xc3\xbc", 2);
        text[n] = '\0';
        events_record(f->events, &pod, false, "Long", "x%s", text);
        settle(f, 1);
        assert_int_equal(f->ncreated, 1);
        assert_in_range(strlen(json_get_str(f->created[0], "message")), 1000, 1024);
        assert_true(str_has_suffix(json_get_str(f->created[0], "message"), "\xc3\xbc..."));
}

int main(void)
{
        const struct CMUnitTest tests[] = {
#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
                T(an_event_says_what_happened_to_what),
                T(the_same_event_again_is_counted_up_by_a_patch),
                T(an_event_that_expired_on_the_server_is_made_anew),
                T(similar_events_are_combined),
                T(spam_about_one_object_is_dropped_but_not_that_of_others),
                T(failures_are_retried_then_given_up),
                T(the_queue_is_bounded_and_open_to_all_threads),
                T(the_budget_refills_and_memory_is_bounded),
                T(long_messages_are_cut_at_a_character),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
