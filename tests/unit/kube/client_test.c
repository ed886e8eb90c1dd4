/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <cmocka.h>

#include "base/clock.h"
#include "base/file.h"
#include "base/mem.h"
#include "base/str.h"
#include "kube/client.h"
#include "unit/base/fakeserver.h"

struct fixture {
        struct fake_server *server;
        struct loop *loop;
        struct kubeconfig config;
        struct kube_client *client;
        char token_file[64];
        atomic_int throttled, cut, inside, most_inside;
};

static void echo(struct fake_conn *c, const struct fake_request *r)
{
        const char *auth = strcasestr(r->headers, "Authorization: "), *type = strcasestr(r->headers, "Content-Type: ");
        char text[8192];

        snprintf(text, sizeof(text), "{\"method\":\"%s\",\"auth\":\"%.*s\",\"type\":\"%.*s\",\"body\":%s}", r->method,
                 auth ? (int)strcspn(auth, "\r") : 0, auth ? auth : "", type ? (int)strcspn(type, "\r") : 0,
                 type ? type : "", r->body_len ? r->body : "null");
        fake_answer(c, 200, "", text);
}

/* An answer that takes its time, and how many of them were wanted at a time. */
static void answer_slowly(struct fixture *f, struct fake_conn *c, const struct fake_request *r)
{
        int now = atomic_fetch_add(&f->inside, 1) + 1;

        for (int most = f->most_inside; now > most && !atomic_compare_exchange_weak(&f->most_inside, &most, now);)
                ;
        usleep(5000);
        atomic_fetch_sub(&f->inside, 1);
        echo(c, r);
}

static bool script(void *userdata, struct fake_conn *c, const struct fake_request *r)
{
        struct fixture *f = userdata;

        if (str_eq(r->target, "/missing"))
                fake_answer(c, 404, "",
                            "{\"kind\":\"Status\",\"reason\":\"NotFound\",\"message\":\"pods \\\"x\\\" not found\"}");
        else if (str_eq(r->target, "/html"))
                fake_answer(c, 502, "", "bad gateway");
        else if (str_eq(r->target, "/garbage"))
                fake_answer(c, 200, "", "{nonsense");
        else if (str_eq(r->target, "/busy") && atomic_fetch_sub(&f->throttled, 1) > 0)
                fake_answer(c, 429, "Retry-After: 1\r\n", "{\"kind\":\"Status\",\"reason\":\"TooManyRequests\"}");
        else if (str_eq(r->target, "/cut") && atomic_fetch_sub(&f->cut, 1) > 0)
                return false;
        else if (str_eq(r->target, "/list?limit=500&labelSelector=a"))
                fake_answer(c, 200, "", "{\"metadata\":{\"continue\":\"p=2\"},\"items\":[{\"n\":1},{\"n\":2}]}");
        else if (str_eq(r->target, "/list?limit=500&labelSelector=a&continue=p%3D2"))
                fake_answer(c, 200, "", "{\"metadata\":{},\"items\":[{\"n\":3}]}");
        else if (str_eq(r->target, "/slow"))
                answer_slowly(f, c, r);
        else
                echo(c, r);
        return true;
}

static int setup(void **state)
{
        struct fixture *f = mem_new(struct fixture);
        struct kube_client_opts opts = {.config = &f->config};

        *state = f;
        f->server = fake_server_start(script, f);
        f->config.server = (char *)fake_server_url(f->server);
        snprintf(f->token_file, sizeof(f->token_file), "/tmp/client_test.%d", (int)getpid());
        f->config.token_file = f->token_file;
        if (file_write_atomic(f->token_file, "one\n", 4, 0600, NULL) || loop_new(&f->loop))
                return -1;
        opts.loop = f->loop;
        return kube_client_new(&opts, &f->client, NULL);
}

static int teardown(void **state)
{
        struct fixture *f = *state;

        kube_client_free(f->client);
        loop_free(f->loop);
        fake_server_stop(f->server);
        unlink(f->token_file);
        free(f);
        return 0;
}

static void paths_are_built_and_escaped(void **state)
{
        static const struct kube_resource pods = {"", "v1", "pods"}, leases = {"coordination.k8s.io", "v1", "leases"};
        static const struct {
                const struct kube_resource *r;
                const char *ns, *name, *sub, *want;
        } cases[] = {
                {&pods, NULL, NULL, NULL, "/api/v1/pods"},
                {&pods, "a", NULL, NULL, "/api/v1/namespaces/a/pods"},
                {&pods, "a", "b", "status", "/api/v1/namespaces/a/pods/b/status"},
                {&leases, "a", "x/y", NULL, "/apis/coordination.k8s.io/v1/namespaces/a/leases/x%2Fy"},
        };

        for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
                _cleanup_free_ char *path = kube_path(cases[i].r, cases[i].ns, cases[i].name, cases[i].sub);

                assert_string_equal(path, cases[i].want);
        }
}

static void bodies_and_credentials_are_sent(void **state)
{
        struct fixture *f = *state;
        _cleanup_json_ struct json_object *patch = json_object_new_object(), *o = NULL;
        struct kube_status status;

        json_set_i64(patch, "a", 1);
        assert_int_equal(kube_patch(f->client, "/x", KUBE_MERGE_PATCH, patch, &o, &status), 0);
        assert_int_equal(status.code, 200);
        assert_string_equal(json_get_str(o, "method"), "PATCH");
        assert_string_equal(json_get_str(o, "auth"), "Authorization: Bearer one");
        assert_string_equal(json_get_str(o, "type"), "Content-Type: application/merge-patch+json");
        assert_int_equal(json_at_i64(o, "body.a", 0), 1);
}

static void refusals_are_typed(void **state)
{
        struct fixture *f = *state;
        struct json_object *o = NULL;
        struct kube_status status;

        assert_int_equal(kube_get(f->client, "/missing", &o, &status), KUBE_REFUSED);
        assert_int_equal(status.code, 404);
        assert_string_equal(status.reason, "NotFound");
        assert_string_equal(status.message, "pods \"x\" not found");
        assert_int_equal(kube_get(f->client, "/html", &o, &status), KUBE_REFUSED);
        assert_int_equal(status.code, 502);
        assert_string_equal(status.message, "bad gateway");
        assert_int_equal(kube_get(f->client, "/garbage", &o, &status), -EBADMSG);
        assert_null(o);
}

static void too_many_requests_are_retried_when_told(void **state)
{
        struct fixture *f = *state;
        uint64_t start = clock_mono_ms();

        atomic_store(&f->throttled, 1);
        assert_int_equal(kube_get(f->client, "/busy", NULL, NULL), 0);
        assert_in_range(clock_mono_ms() - start, 1000, 3000);
        assert_int_equal(fake_server_requests(f->server), 2);
}

static void lost_connections_are_retried_for_get_only(void **state)
{
        struct fixture *f = *state;
        _cleanup_json_ struct json_object *o = json_object_new_object();

        atomic_store(&f->cut, 2);
        assert_int_equal(kube_get(f->client, "/cut", NULL, NULL), 0);
        assert_int_equal(fake_server_requests(f->server), 3);
        atomic_store(&f->cut, 2); /* a kept connection that turns out dead is replaced once, by libcurl */
        assert_int_equal(kube_create(f->client, "/cut", o, NULL, NULL), -ECONNRESET);
}

static int sum(void *userdata, struct json_object *item)
{
        *(int *)userdata = *(int *)userdata * 10 + (int)json_get_i64(item, "n", 0);
        return 0;
}

static void lists_are_followed_over_their_pages(void **state)
{
        struct fixture *f = *state;
        int seen = 0;

        assert_int_equal(kube_list(f->client, "/list", "labelSelector=a", sum, &seen, NULL), 0);
        assert_int_equal(seen, 123);
}

struct seen {
        struct loop *loop;
        int result, calls, code;
};

static void done(void *userdata, int result, struct json_object *obj, const struct kube_status *status)
{
        struct seen *s = userdata;

        s->result = result;
        s->code = status->code;
        s->calls++;
        if (!result)
                assert_string_equal(json_get_str(obj, "method"), "GET");
        loop_stop(s->loop);
}

static void calls_on_the_loop_end_or_are_cancelled_silently(void **state)
{
        struct fixture *f = *state;
        struct seen s = {.loop = f->loop};
        struct kube_request req = {.path = "/x"};

        kube_start(f->client, &req, done, &s);
        loop_run(f->loop);
        assert_int_equal(s.calls, 1);
        assert_int_equal(s.code, 200);
        req.path = "/missing";
        kube_start(f->client, &req, done, &s);
        loop_run(f->loop);
        assert_int_equal(s.result, KUBE_REFUSED);
        assert_int_equal(s.code, 404);
        kube_cancel(kube_start(f->client, &req, done, &s));
        loop_run_for(f->loop, 30);
        assert_int_equal(s.calls, 2);
        kube_start(f->client, &req, done, &s); /* ended by teardown */
}

static void calls_wait_for_their_turn(void **state)
{
        struct fixture *f = *state;
        const struct kube_client_opts opts = {
                .config = &f->config, .loop = f->loop, .qps = 1e6, .burst = 1000, .max_calls = 2};
        const struct kube_request req = {.path = "/slow"};
        struct kube_call *calls[9];
        struct seen s = {.loop = f->loop};
        struct kube_client *c;

        assert_int_equal(kube_client_new(&opts, &c, NULL), 0);
        for (size_t i = 0; i < ARRAY_SIZE(calls); i++)
                calls[i] = kube_start(c, &req, done, &s);
        loop_run_for(f->loop, 1);
        kube_cancel(calls[8]); /* waits, as the last one */
        kube_cancel(calls[4]); /* waits in the middle */
        for (int i = 0; i < 1000 && s.calls < 7; i++)
                loop_run_for(f->loop, 10);
        assert_int_equal(s.calls, 7);
        assert_int_equal(f->most_inside, 2);
        for (size_t i = 0; i < ARRAY_SIZE(calls); i++)
                calls[i] = kube_start(c, &req, done, &s);
        loop_run_for(f->loop, 1);
        kube_cancel(calls[0]); /* is under way: its turn is the next one's */
        for (int i = 0; i < 1000 && s.calls < 15; i++)
                loop_run_for(f->loop, 10);
        assert_int_equal(s.calls, 15);
        kube_start(c, &req, done, &s); /* these end with the client */
        kube_start(c, &req, done, &s);
        kube_start(c, &req, done, &s);
        loop_run_for(f->loop, 1);
        kube_client_free(c);
        assert_int_equal(s.calls, 15);
}

static void the_rate_is_limited(void **state)
{
        struct fixture *f = *state;
        const struct kube_client_opts opts = {.config = &f->config, .qps = 20, .burst = 2};
        uint64_t start = clock_mono_ms();
        struct kube_client *c;

        assert_int_equal(kube_client_new(&opts, &c, NULL), 0);
        for (int i = 0; i < 6; i++)
                assert_int_equal(kube_get(c, "/x", NULL, NULL), 0);
        assert_in_range(clock_mono_ms() - start, 190, 2000);
        kube_client_free(c);
}

static void cancelling_ends_the_retries(void **state)
{
        struct fixture *f = *state;
        atomic_bool cancel = true;
        struct kubeconfig nowhere = {.server = (char *)"http://127.0.0.1:1"};
        const struct kube_client_opts opts = {.config = &nowhere, .cancel = &cancel};
        struct kube_client *c;

        (void)f;
        assert_int_equal(kube_client_new(&opts, &c, NULL), 0);
        assert_int_equal(kube_get(c, "/x", NULL, NULL), -ECANCELED);
        kube_client_free(c);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
                T(paths_are_built_and_escaped),
                T(bodies_and_credentials_are_sent),
                T(refusals_are_typed),
                T(too_many_requests_are_retried_when_told),
                T(lost_connections_are_retried_for_get_only),
                T(lists_are_followed_over_their_pages),
                T(calls_on_the_loop_end_or_are_cancelled_silently),
                T(calls_wait_for_their_turn),
                T(the_rate_is_limited),
                T(cancelling_ends_the_retries),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
