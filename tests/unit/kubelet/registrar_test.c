/* SPDX-License-Identifier: Apache-2.0 */
/* A node that registers with a played API server, which can be cut, lose objects, and hold other ones. */
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

#include "agent/kubelet/node/heartbeat.h"
#include "agent/kubelet/node/registrar.h"
#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/str.h"
#include "unit/base/fakeserver.h"

struct fixture {
        struct fake_server *server;
        struct loop *loop;
        struct loop_timer *timer;
        struct kubeconfig config;
        struct kube_client *client;
        struct registrar *registrar;
        struct heartbeat *heartbeat;
        struct retry retry;
        struct machine machine;
        struct node_ips ips;
        const char *labels[2];
        struct json_object *capacity, *allocatable, *images;
        const char *network_problem;
        int told, created, backs, seen;
        bool (*until)(struct fixture *f);

        pthread_mutex_t lock; /* what the server has */
        struct json_object *node, *lease;
        int version, uids, posts, gets, status_patches, metadata_patches, renewals, bad;
        atomic_bool cut, ending;
        const char *forgets; /* a field of status that this server never stores */
};

/* ---- the server ---- */

static void stamp(struct fixture *f, struct json_object *o)
{
        char text[16];

        snprintf(text, sizeof(text), "%d", ++f->version);
        json_set_str(json_ensure(o, "metadata"), "resourceVersion", text);
}

static bool answer_object(struct fake_conn *c, int status, const struct json_object *o)
{
        _cleanup_free_ char *text = json_text(o);

        fake_answer(c, status, "", text);
        return true;
}

static bool refuse(struct fake_conn *c, int status, const char *reason)
{
        _cleanup_free_ char *text = mem_printf("{\"kind\":\"Status\",\"reason\":\"%s\"}", reason);

        fake_answer(c, status, "", text);
        return true;
}

/* Members of objects by name, all else replaced, and of a list with `$patch: replace` the rest. */
static void merge(struct json_object *into, struct json_object *patch)
{
        json_foreach (patch, key, value) {
                struct json_object *list;

                if (json_is_object(value)) {
                        merge(json_ensure(into, key), value);
                        continue;
                }
                if (!str_eq(json_get_str(json_idx(value, 0), "$patch"), "replace")) {
                        json_set(into, key, json_copy(value));
                        continue;
                }
                list = json_copy(value);
                json_object_array_del_idx(list, 0, 1);
                json_set(into, key, list);
        }
}

static bool create(struct fixture *f, struct fake_conn *c, const struct fake_request *r, struct json_object **place)
{
        struct json_object *o;
        char uid[16];

        if (*place)
                return refuse(c, 409, "AlreadyExists");
        if (json_parse(r->body, r->body_len, &o, NULL))
                return refuse(c, 400, "BadRequest");
        snprintf(uid, sizeof(uid), "uid-%d", ++f->uids);
        json_set_str(json_ensure(o, "metadata"), "uid", uid);
        stamp(f, o);
        *place = o;
        return answer_object(c, 201, o);
}

static bool patch_object(struct fixture *f, struct fake_conn *c, const struct fake_request *r, struct json_object *o)
{
        _cleanup_json_ struct json_object *patch = NULL;

        if (!o)
                return refuse(c, 404, "NotFound");
        if (json_parse(r->body, r->body_len, &patch, NULL))
                return refuse(c, 400, "BadRequest");
        merge(o, patch);
        if (f->forgets)
                json_del(json_get(o, "status"), f->forgets);
        stamp(f, o);
        return answer_object(c, 200, o);
}

static void send_event(struct fake_conn *c, const char *type, const struct json_object *o)
{
        _cleanup_free_ char *text = json_text(o), *event = mem_printf("{\"type\":\"%s\",\"object\":%s}\n", type, text);

        fake_chunk_str(c, event);
}

static void send_bookmark(struct fixture *f, struct fake_conn *c)
{
        _cleanup_free_ char *event = mem_printf(
                "{\"type\":\"BOOKMARK\",\"object\":{\"kind\":\"Node\",\"metadata\":{\"resourceVersion\":\"%d\","
                "\"annotations\":{\"k8s.io/initial-events-end\":\"true\"}}}}\n",
                f->version);

        fake_chunk_str(c, event);
}

static void send_difference(struct fake_conn *c, struct json_object **had, struct json_object *now)
{
        if (json_equal(*had, now))
                return;
        if (*had && !str_eq(json_at_str(*had, "metadata.uid"), json_at_str(now, "metadata.uid"))) {
                send_event(c, "DELETED", *had);
                json_object_put(TAKE_PTR(*had));
        }
        if (now)
                send_event(c, *had ? "MODIFIED" : "ADDED", now);
        json_object_put(*had);
        *had = json_copy(now);
}

static bool watch(struct fixture *f, struct fake_conn *c)
{
        struct json_object *had = NULL;

        fake_stream(c, 200);
        for (bool first = true; !atomic_load(&f->ending) && !atomic_load(&f->cut); first = false) {
                pthread_mutex_lock(&f->lock);
                send_difference(c, &had, f->node);
                if (first)
                        send_bookmark(f, c);
                pthread_mutex_unlock(&f->lock);
                fake_linger(c, 5);
        }
        json_object_put(had);
        return false;
}

static bool serve_node(struct fixture *f, struct fake_conn *c, const struct fake_request *r)
{
        bool status = strstr(r->target, "/status"), patch = str_eq(r->method, "PATCH");

        if (str_eq(r->method, "POST")) {
                f->posts++;
                return create(f, c, r, &f->node);
        }
        f->gets += !patch;
        if (!patch)
                return f->node ? answer_object(c, 200, f->node) : refuse(c, 404, "NotFound");
        if (!strstr(r->headers, "strategic-merge-patch"))
                f->bad++;
        f->status_patches += status;
        f->metadata_patches += !status;
        return patch_object(f, c, r, f->node);
}

static bool serve_lease(struct fixture *f, struct fake_conn *c, const struct fake_request *r)
{
        bool done = str_eq(r->method, "POST") ? create(f, c, r, &f->lease) : patch_object(f, c, r, f->lease);

        f->renewals++;
        return done;
}

static bool script(void *userdata, struct fake_conn *c, const struct fake_request *r)
{
        struct fixture *f = userdata;
        bool keep;

        if (atomic_load(&f->cut))
                return false;
        if (strstr(r->target, "watch="))
                return watch(f, c);
        pthread_mutex_lock(&f->lock);
        keep = strstr(r->target, "/leases") ? serve_lease(f, c, r) : serve_node(f, c, r);
        pthread_mutex_unlock(&f->lock);
        return keep;
}

/* ---- the node ---- */

static void facts(void *userdata, struct node_facts *ret)
{
        struct fixture *f = userdata;

        *ret = (struct node_facts){.name = "n1",
                                   .ips = &f->ips,
                                   .labels = f->labels,
                                   .machine = &f->machine,
                                   .runtime_version = "fairlead://1",
                                   .port = 10250,
                                   .capacity = f->capacity,
                                   .allocatable = f->allocatable,
                                   .images = f->images,
                                   .health = {.network_problem = f->network_problem}};
}

static void on_seen(void *userdata, struct json_object *node)
{
        struct fixture *f = userdata;

        f->seen++;
        if (node)
                heartbeat_owner(f->heartbeat, json_at_str(node, "metadata.uid"));
}

static void on_told(void *userdata, const struct json_object *conditions, bool created)
{
        ((struct fixture *)userdata)->told++;
        ((struct fixture *)userdata)->created += created;
}

static void on_back(void *userdata)
{
        struct fixture *f = userdata;

        f->backs++;
        registrar_poke(f->registrar, true);
        heartbeat_poke(f->heartbeat);
}

static void check(void *userdata)
{
        struct fixture *f = userdata;
        bool met;

        pthread_mutex_lock(&f->lock);
        met = f->until(f);
        pthread_mutex_unlock(&f->lock);
        if (met)
                loop_stop(f->loop);
        else
                loop_timer_set(f->timer, 2);
}

/* How long it took in ms. */
static uint64_t run_until(struct fixture *f, bool (*until)(struct fixture *f))
{
        uint64_t start = clock_mono_ms(), took;

        f->until = until;
        loop_timer_set(f->timer, 0);
        loop_run_for(f->loop, 5000);
        took = clock_mono_ms() - start;
        loop_timer_cancel(f->timer);
        pthread_mutex_lock(&f->lock);
        assert_true(until(f));
        pthread_mutex_unlock(&f->lock);
        return took;
}

static struct json_object *parsed(const char *text)
{
        struct json_object *o = NULL;

        assert_int_equal(json_parse(text, strlen(text), &o, NULL), 0);
        return o;
}

static int make(void **state, bool create)
{
        struct fixture *f = mem_new(struct fixture);
        struct kube_client_opts opts = {.config = &f->config, .qps = 1000};
        struct registrar_opts registrar = {.name = "n1",
                                           .create = create,
                                           .look_ms = 20,
                                           .tell_ms = 60000,
                                           .facts = facts,
                                           .seen = on_seen,
                                           .told = on_told,
                                           .back = on_back,
                                           .userdata = f,
                                           .retry = &f->retry};
        struct heartbeat_opts heartbeat = {
                .name = "n1", .duration_s = 1, .back = on_back, .userdata = f, .retry = &f->retry};

        log_set_level(LOG_LEVEL_ERROR);
        *state = f;
        pthread_mutex_init(&f->lock, NULL);
        f->server = fake_server_start(script, f);
        f->config.server = (char *)fake_server_url(f->server);
        f->machine = (struct machine){.arch = "amd64", .boot_id = "boot-1"};
        f->ips = (struct node_ips){{"192.0.2.7", "2001:db8::7"}};
        f->labels[0] = "zone=a";
        f->capacity = parsed("{\"cpu\":\"2\",\"pods\":\"110\"}");
        f->allocatable = parsed("{\"cpu\":\"2\",\"pods\":\"110\"}");
        f->images = parsed("[]");
        assert_int_equal(loop_new(&f->loop), 0);
        assert_int_equal(loop_timer_new(f->loop, check, f, &f->timer), 0);
        opts.loop = registrar.loop = heartbeat.loop = f->loop;
        assert_int_equal(kube_client_new(&opts, &f->client, NULL), 0);
        registrar.client = heartbeat.client = f->client;
        assert_int_equal(heartbeat_new(&heartbeat, &f->heartbeat), 0);
        return registrar_new(&registrar, &f->registrar);
}

static int setup(void **state)
{
        return make(state, true);
}

static int setup_unregistered(void **state)
{
        return make(state, false);
}

static int teardown(void **state)
{
        struct fixture *f = *state;

        atomic_store(&f->ending, true);
        registrar_free(f->registrar);
        heartbeat_free(f->heartbeat);
        kube_client_free(f->client);
        loop_timer_free(f->timer);
        loop_free(f->loop);
        fake_server_stop(f->server);
        json_object_put(f->node);
        json_object_put(f->lease);
        json_object_put(f->capacity);
        json_object_put(f->allocatable);
        json_object_put(f->images);
        pthread_mutex_destroy(&f->lock);
        free(f);
        return 0;
}

static const char *condition(const struct fixture *f, const char *type, const char *field)
{
        json_array_foreach (json_at(f->node, "status.conditions"), i, c)
                if (str_eq(json_get_str(c, "type"), type))
                        return json_get_str(c, field);
        return NULL;
}

static bool is_ready(struct fixture *f)
{
        return str_eq(condition(f, "Ready", "status"), "True");
}

static bool is_ready_with_lease(struct fixture *f)
{
        return is_ready(f) && f->lease;
}

static bool is_not_ready(struct fixture *f)
{
        return str_eq(condition(f, "Ready", "status"), "False");
}

/* ---- stories ---- */

static void a_node_is_made_ready_by_one_call(void **state)
{
        struct fixture *f = *state;
        const struct json_object *owner;

        registrar_start(f->registrar);
        run_until(f, is_ready_with_lease);
        loop_run_for(f->loop, 100);
        assert_int_equal(f->posts, 1);
        assert_int_equal(f->status_patches, 0);
        assert_int_equal(f->told, 1);
        assert_int_equal(f->created, 1);
        assert_string_equal(json_get_str(json_at(f->node, "metadata.labels"), "zone"), "a");
        assert_string_equal(json_get_str(json_at(f->node, "metadata.labels"), "kubernetes.io/hostname"), "n1");
        assert_int_equal(json_len(json_at(f->node, "status.addresses")), 3);
        owner = json_idx(json_at(f->lease, "metadata.ownerReferences"), 0);
        assert_string_equal(json_get_str(owner, "uid"), json_at_str(f->node, "metadata.uid"));
        assert_int_equal(json_at_i64(f->lease, "spec.leaseDurationSeconds", 0), 1);
}

static bool has_renewed(struct fixture *f)
{
        return f->renewals >= 5;
}

static void a_lease_is_renewed_every_quarter(void **state)
{
        struct fixture *f = *state;
        uint64_t took;

        registrar_start(f->registrar);
        run_until(f, is_ready_with_lease);
        took = run_until(f, has_renewed); /* four more */
        assert_in_range(took, 900, 1500);
}

static void an_existing_node_keeps_what_others_set(void **state)
{
        struct fixture *f = *state;

        f->node =
                parsed("{\"metadata\":{\"name\":\"n1\",\"uid\":\"old\",\"resourceVersion\":\"1\",\"labels\":{\"team\":"
                       "\"blue\",\"zone\":\"b\",\"kubernetes.io/hostname\":\"wrong\"}},\"spec\":{\"podCIDR\":"
                       "\"198.18.0.0/24\"},\"status\":{\"capacity\":{\"x.org/dongle\":\"4\"},\"conditions\":[{\"type\":"
                       "\"Ready\",\"status\":\"Unknown\"}]}}");
        f->version = 1;
        registrar_start(f->registrar);
        run_until(f, is_ready);
        assert_int_equal(f->posts, 1); /* refused: it is there */
        assert_int_equal(f->created, 0);
        assert_int_equal(f->metadata_patches, 1);
        assert_string_equal(json_get_str(json_at(f->node, "metadata.labels"), "team"), "blue");
        assert_string_equal(json_get_str(json_at(f->node, "metadata.labels"), "zone"), "b");
        assert_string_equal(json_get_str(json_at(f->node, "metadata.labels"), "kubernetes.io/hostname"), "n1");
        assert_string_equal(json_at_str(f->node, "spec.podCIDR"), "198.18.0.0/24");
        assert_string_equal(json_get_str(json_at(f->node, "status.capacity"), "x.org/dongle"), "4");
        assert_string_equal(json_get_str(json_at(f->node, "status.capacity"), "cpu"), "2");
}

static void a_change_is_told_at_once_and_nothing_otherwise(void **state)
{
        struct fixture *f = *state;
        _cleanup_free_ char *since = NULL;

        registrar_start(f->registrar);
        run_until(f, is_ready);
        loop_run_for(f->loop, 200); /* ten looks */
        assert_int_equal(f->status_patches, 0);
        since = mem_strdup(condition(f, "DiskPressure", "lastTransitionTime"));
        f->network_problem = "no plugin";
        registrar_poke(f->registrar, false);
        assert_true(run_until(f, is_not_ready) < 500);
        assert_non_null(strstr(condition(f, "Ready", "message"), "message:no plugin"));
        assert_string_equal(condition(f, "Ready", "reason"), "KubeletNotReady");
        assert_string_equal(condition(f, "DiskPressure", "lastTransitionTime"), since);
        f->network_problem = NULL;
        registrar_poke(f->registrar, false);
        run_until(f, is_ready);
        assert_int_equal(f->status_patches, 2);
        assert_int_equal(f->bad, 0);
}

static void conditions_that_others_overwrite_are_told_again(void **state)
{
        struct fixture *f = *state;
        struct json_object *patch =
                parsed("{\"status\":{\"conditions\":[{\"type\":\"Ready\",\"status\":\"Unknown\"}]}}");

        registrar_start(f->registrar);
        run_until(f, is_ready);
        pthread_mutex_lock(&f->lock);
        merge(f->node, patch);
        stamp(f, f->node);
        pthread_mutex_unlock(&f->lock);
        json_object_put(patch);
        run_until(f, is_ready);
        assert_int_equal(f->posts, 1);
}

/* By the answer of the POST, and by the watch: this server's watch looks every 5 ms, and misses what came and went. */
static bool is_watched(struct fixture *f)
{
        return is_ready_with_lease(f) && f->seen >= 2;
}

static void a_deleted_node_registers_again(void **state)
{
        struct fixture *f = *state;

        registrar_start(f->registrar);
        run_until(f, is_watched);
        pthread_mutex_lock(&f->lock);
        json_object_put(TAKE_PTR(f->node));
        json_object_put(TAKE_PTR(f->lease));
        pthread_mutex_unlock(&f->lock);
        assert_true(run_until(f, is_ready_with_lease) < 2000);
        assert_int_equal(f->posts, 2);
        assert_string_equal(json_get_str(json_idx(json_at(f->lease, "metadata.ownerReferences"), 0), "uid"),
                            json_at_str(f->node, "metadata.uid"));
}

static void a_server_that_forgets_is_not_flooded(void **state)
{
        struct fixture *f = *state;

        f->forgets = "daemonEndpoints";
        registrar_start(f->registrar);
        run_until(f, is_ready);
        f->network_problem = "none yet";
        registrar_poke(f->registrar, false);
        loop_run_for(f->loop, 1500);
        assert_in_range(f->status_patches, 2, 12);
}

static bool was_asked(struct fixture *f)
{
        return f->gets > 0;
}

static void a_node_that_others_make_is_waited_for(void **state)
{
        struct fixture *f = *state;

        registrar_start(f->registrar);
        run_until(f, was_asked);
        assert_int_equal(f->posts, 0);
        pthread_mutex_lock(&f->lock);
        f->node = parsed("{\"metadata\":{\"name\":\"n1\",\"uid\":\"theirs\",\"labels\":{\"zone\":\"z\"}}}");
        stamp(f, f->node);
        pthread_mutex_unlock(&f->lock);
        assert_true(run_until(f, is_ready) < 1000);
        assert_int_equal(f->posts + f->metadata_patches, 0);
}

static bool has_failed(struct fixture *f)
{
        return f->retry.down;
}

static bool is_told_again(struct fixture *f)
{
        return f->backs == 1 && f->status_patches == 1;
}

static void a_node_is_back_within_a_second_of_the_api(void **state)
{
        struct fixture *f = *state;

        registrar_start(f->registrar);
        run_until(f, is_ready_with_lease);
        atomic_store(&f->cut, true);
        run_until(f, has_failed);
        loop_run_for(f->loop, 1500);
        assert_int_equal(f->status_patches, 0);
        atomic_store(&f->cut, false);
        assert_true(run_until(f, is_told_again) < 1300);
}

static void a_refused_node_slows_down(void **state)
{
        struct retry r = {0};
        const struct kube_status forbidden = {.code = 403};
        uint64_t wait;

        for (int i = 0; i < 20; i++)
                assert_false(retry_note(&r, KUBE_REFUSED, &forbidden, 1000));
        wait = retry_wait(&r, 1000);
        assert_in_range(wait, 10000, 15000);
        assert_false(retry_note(&r, 0, &forbidden, 1000));
        assert_int_equal(retry_wait(&r, 1000), 0);
}

static void one_call_at_a_time_finds_out(void **state)
{
        const struct kube_status none = {.code = 0}, fine = {.code = 200};
        struct retry r = {0};
        uint64_t then;

        assert_true(retry_begin(&r, 1000));
        assert_true(retry_begin(&r, 1000)); /* nothing is wrong */
        retry_note(&r, -ETIMEDOUT, &none, 1000);
        assert_false(retry_begin(&r, 1001));
        then = 1000 + retry_wait(&r, 1000);
        assert_true(retry_begin(&r, then));
        assert_false(retry_begin(&r, then));
        assert_true(retry_note(&r, 0, &fine, then));
        assert_true(retry_begin(&r, then));
}

static void an_outage_is_tried_every_second_and_seen_to_end(void **state)
{
        const struct kube_status none = {.code = 0}, starting = {.code = 503}, fine = {.code = 200};
        struct retry r = {0};
        uint64_t now = 5000;

        for (int i = 0; i < 100; i++) {
                uint64_t wait;

                assert_false(i % 2 ? retry_note(&r, KUBE_REFUSED, &starting, now)
                                   : retry_note(&r, -ECONNREFUSED, &none, now));
                wait = retry_wait(&r, now);
                assert_in_range(wait, 1, 900);
                assert_in_range(retry_timeout_ms(&r), 2000, 8000);
                now += wait;
        }
        assert_int_equal(r.down_since_ms, 5000);
        assert_true(retry_note(&r, 0, &fine, now));
        assert_false(retry_note(&r, 0, &fine, now));
        assert_int_equal(retry_timeout_ms(&r), 10000);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test_setup_teardown(a_node_is_made_ready_by_one_call, setup, teardown),
                cmocka_unit_test_setup_teardown(a_lease_is_renewed_every_quarter, setup, teardown),
                cmocka_unit_test_setup_teardown(an_existing_node_keeps_what_others_set, setup, teardown),
                cmocka_unit_test_setup_teardown(a_change_is_told_at_once_and_nothing_otherwise, setup, teardown),
                cmocka_unit_test_setup_teardown(conditions_that_others_overwrite_are_told_again, setup, teardown),
                cmocka_unit_test_setup_teardown(a_node_that_others_make_is_waited_for, setup_unregistered, teardown),
                cmocka_unit_test_setup_teardown(a_server_that_forgets_is_not_flooded, setup, teardown),
                cmocka_unit_test_setup_teardown(a_deleted_node_registers_again, setup, teardown),
                cmocka_unit_test_setup_teardown(a_node_is_back_within_a_second_of_the_api, setup, teardown),
                cmocka_unit_test(a_refused_node_slows_down),
                cmocka_unit_test(one_call_at_a_time_finds_out),
                cmocka_unit_test(an_outage_is_tried_every_second_and_seen_to_end),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
