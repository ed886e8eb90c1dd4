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
#include "base/log.h"
#include "base/mem.h"
#include "base/str.h"
#include "kube/informer.h"
#include "unit/base/fakeserver.h"

#ifdef __SANITIZE_ADDRESS__
size_t __sanitizer_get_current_allocated_bytes(void); /* gcc has it, but no header for it */
#endif

/* What the server does with its n-th request. */
struct step {
        const char *want[6]; /* all of them are in the target */
        const char *not_want;
        int status;
        const char *body; /* a whole answer; else a stream of: */
        const char *chunks[6];
        enum { HOLD, CLEAN, CUT } end;
        size_t cut_bytes; /* 0: chunks as they are; else chunks of that many bytes */
};

struct fixture {
        struct fake_server *server;
        struct loop *loop;
        struct kubeconfig config;
        struct kube_client *client;
        struct informer *inf;
        const struct step *steps;
        int nsteps;
        char wrong[512];   /* what the server did not expect */
        struct strbuf log; /* what the handler was told */
        const char *until;
        size_t baseline, peak; /* memory */
        size_t objects;
};

static void send_chunks(struct fake_conn *c, const struct step *s)
{
        for (size_t i = 0; i < ARRAY_SIZE(s->chunks) && s->chunks[i]; i++) {
                size_t n = strlen(s->chunks[i]), step = s->cut_bytes ? s->cut_bytes : n;

                for (size_t at = 0; at < n; at += step)
                        fake_chunk(c, s->chunks[i] + at, MIN(step, n - at));
        }
}

static bool script(void *userdata, struct fake_conn *c, const struct fake_request *r)
{
        struct fixture *f = userdata;
        const struct step *s = &f->steps[MIN(r->number, f->nsteps) - 1];

        if (r->number > f->nsteps)
                snprintf(f->wrong, sizeof(f->wrong), "request %d: %.400s", r->number, r->target);
        for (size_t i = 0; i < ARRAY_SIZE(s->want) && s->want[i]; i++)
                if (!strstr(r->target, s->want[i]))
                        snprintf(f->wrong, sizeof(f->wrong), "request %d lacks %s: %.400s", r->number, s->want[i],
                                 r->target);
        if (s->not_want && strstr(r->target, s->not_want))
                snprintf(f->wrong, sizeof(f->wrong), "request %d has %s: %.400s", r->number, s->not_want, r->target);
        if (s->body) {
                fake_answer(c, s->status ? s->status : 200, "", s->body);
                return true;
        }
        fake_stream(c, 200);
        send_chunks(c, s);
        if (s->end == HOLD)
                fake_linger(c, 10000);
        if (s->end == CLEAN)
                fake_stream_end(c);
        return s->end == CLEAN;
}

static int setup(void **state)
{
        struct fixture *f = mem_new(struct fixture);
        struct kube_client_opts opts = {.config = &f->config};

        log_set_level(LOG_LEVEL_ERROR);
        *state = f;
        f->server = fake_server_start(script, f);
        f->config.server = (char *)fake_server_url(f->server);
        strbuf_add_str(&f->log, "");
        if (loop_new(&f->loop))
                return -1;
        opts.loop = f->loop;
        return kube_client_new(&opts, &f->client, NULL);
}

static int teardown(void **state)
{
        struct fixture *f = *state;

        informer_free(f->inf);
        kube_client_free(f->client);
        loop_free(f->loop);
        fake_server_stop(f->server);
        strbuf_deinit(&f->log);
        free(f);
        return 0;
}

static void check_end(struct fixture *f)
{
        if (f->until && str_has_suffix(f->log.data, f->until))
                loop_stop(f->loop);
}

/* "+a " new, "~a " changed, "-a " gone. */
static void on_change(void *userdata, const char *key, void *old, void *now)
{
        struct fixture *f = userdata;

        strbuf_printf(&f->log, "%c%s ", !old ? '+' : now ? '~' : '-', key);
        check_end(f);
}

static void on_synced(void *userdata)
{
        struct fixture *f = userdata;

        strbuf_add_str(&f->log, "synced ");
        check_end(f);
}

/* Runs the steps until the log ends with that text (or too long), and a little longer. */
static void run(struct fixture *f, const struct step *steps, int nsteps, const char *until)
{
        const struct informer_opts opts = {
                .client = f->client,
                .path = "/api/v1/pods",
                .label_selector = "a=b",
                .backoff_min_ms = 5,
                .sync_timeout_ms = 300,
        };

        f->steps = steps;
        f->nsteps = nsteps;
        f->until = until;
        assert_int_equal(informer_new(&opts, &f->inf), 0);
        informer_add_handler(f->inf, on_change, f);
        informer_on_synced(f->inf, on_synced, f);
        informer_start(f->inf);
        loop_run_for(f->loop, 5000);
        f->until = NULL;
        loop_run_for(f->loop, 20);
        assert_string_equal(f->wrong, "");
}

#define OBJ(name, rv)         "{\"metadata\":{\"name\":\"" name "\",\"namespace\":\"n\",\"resourceVersion\":\"" rv "\"}}"
#define EVENT(type, name, rv) "{\"type\":\"" type "\",\"object\":" OBJ(name, rv) "}\n"
#define BOOKMARK(rv)          "{\"type\":\"BOOKMARK\",\"object\":{\"metadata\":{\"resourceVersion\":\"" rv "\"}}}\n"
#define INITIAL_END(rv)                                                                                                \
        "{\"type\":\"BOOKMARK\",\"object\":{\"metadata\":{\"resourceVersion\":\"" rv "\",\"annotations\":{"            \
        "\"k8s.io/initial-events-end\":\"true\"}}}}\n"
#define GONE                                                                                                           \
        "{\"type\":\"ERROR\",\"object\":{\"kind\":\"Status\",\"code\":410,\"reason\":\"Expired\",\"message\":\"old\"}" \
        "}\n"
#define STATUS(code, reason) "{\"kind\":\"Status\",\"code\":" code ",\"reason\":\"" reason "\",\"message\":\"m\"}"
#define LIST(rv, token, items)                                                                                         \
        "{\"kind\":\"PodList\",\"metadata\":{\"resourceVersion\":\"" rv "\",\"continue\":\"" token                     \
        "\"},\"items\":[" items "]}"
#define RUN(steps, until) run(f, steps, ARRAY_SIZE(steps), until)

static void watchlist_streams_the_initial_state_and_goes_on(void **state)
{
        static const struct step steps[] = {
                {.want = {"/api/v1/pods?watch=true", "sendInitialEvents=true", "resourceVersionMatch=NotOlderThan",
                          "allowWatchBookmarks=true", "timeoutSeconds=", "labelSelector=a%3Db"},
                 .not_want = "resourceVersion=",
                 .chunks = {EVENT("ADDED", "a", "3") EVENT("ADDED", "b", "4"), INITIAL_END("5"),
                            EVENT("MODIFIED", "a", "6"), EVENT("DELETED", "b", "7")}},
        };
        struct fixture *f = *state;

        RUN(steps, "-n/b ");
        assert_string_equal(f->log.data, "+n/a +n/b synced ~n/a -n/b ");
        assert_true(informer_has_synced(f->inf));
        assert_int_equal(informer_count(f->inf), 1);
        assert_string_equal(json_at_str(informer_get(f->inf, "n/a"), "metadata.resourceVersion"), "6");
        assert_string_equal(informer_version(f->inf), "7");
}

static void a_server_without_watchlist_is_listed_in_pages(void **state)
{
        static const struct step steps[] = {
                {.want = {"sendInitialEvents"}, .status = 422, .body = STATUS("422", "Invalid")},
                {.want = {"?limit=500&resourceVersion=0", "labelSelector=a%3Db"},
                 .not_want = "watch",
                 .body = LIST("9", "t1", OBJ("a", "1") "," OBJ("b", "2"))},
                {.want = {"limit=500&continue=t1"},
                 .not_want = "resourceVersion",
                 .body = LIST("10", "", OBJ("c", "3"))},
                {.want = {"watch=true", "resourceVersion=10"},
                 .not_want = "sendInitialEvents",
                 .chunks = {EVENT("MODIFIED", "c", "11")}},
        };
        struct fixture *f = *state;

        RUN(steps, "~n/c ");
        assert_string_equal(f->log.data, "+n/a +n/b +n/c synced ~n/c ");
}

static void a_server_that_ignores_watchlist_is_listed_after_silence(void **state)
{
        static const struct step steps[] = {
                {.want = {"sendInitialEvents"}, .chunks = {EVENT("ADDED", "a", "1")}},
                {.want = {"limit=500"}, .body = LIST("9", "", OBJ("a", "1"))},
                {.want = {"watch=true", "resourceVersion=9"}, .chunks = {EVENT("ADDED", "b", "11")}},
        };
        struct fixture *f = *state;

        RUN(steps, "+n/b ");
        assert_string_equal(f->log.data, "+n/a synced +n/b ");
}

static void a_clean_end_resumes_at_the_last_version(void **state)
{
        static const struct step steps[] = {
                {.chunks = {EVENT("ADDED", "a", "3") INITIAL_END("5"), EVENT("ADDED", "b", "6"), BOOKMARK("20")},
                 .end = CLEAN},
                {.want = {"watch=true", "resourceVersion=20"},
                 .not_want = "sendInitialEvents",
                 .chunks = {EVENT("MODIFIED", "a", "21")},
                 .end = CLEAN},
                {.want = {"resourceVersion=21"}, .chunks = {EVENT("DELETED", "a", "22")}},
        };
        struct fixture *f = *state;

        RUN(steps, "-n/a ");
        assert_string_equal(f->log.data, "+n/a synced +n/b ~n/a -n/a ");
}

static void a_cut_in_the_middle_of_an_event_resumes_before_it(void **state)
{
        static const struct step steps[] = {
                {.chunks = {EVENT("ADDED", "a", "3") INITIAL_END("5"), "{\"type\":\"DELETED\",\"obj"}, .end = CUT},
                {.want = {"resourceVersion=5"},
                 .not_want = "sendInitialEvents",
                 .chunks = {EVENT("MODIFIED", "a", "6")}},
        };
        struct fixture *f = *state;

        RUN(steps, "~n/a ");
        assert_string_equal(f->log.data, "+n/a synced ~n/a ");
}

static void a_cut_in_the_initial_events_starts_the_round_anew(void **state)
{
        static const struct step steps[] = {
                {.chunks = {EVENT("ADDED", "a", "3") EVENT("ADDED", "b", "4")}, .end = CUT},
                {.want = {"sendInitialEvents"}, .chunks = {EVENT("ADDED", "b", "4") INITIAL_END("5")}},
        };
        struct fixture *f = *state;

        RUN(steps, "synced ");
        assert_string_equal(f->log.data, "+n/a +n/b -n/a synced ");
}

static void gone_in_either_form_tells_the_state_anew(void **state)
{
        static const struct step steps[] = {
                {.chunks = {EVENT("ADDED", "a", "3") EVENT("ADDED", "b", "4") INITIAL_END("5"), GONE}},
                {.want = {"sendInitialEvents=true"},
                 .not_want = "resourceVersion=",
                 .chunks = {EVENT("ADDED", "b", "4") EVENT("ADDED", "c", "8") INITIAL_END("9")},
                 .end = CLEAN},
                {.want = {"resourceVersion=9"}, .status = 410, .body = STATUS("410", "Expired")},
                {.want = {"sendInitialEvents=true"}, .chunks = {EVENT("ADDED", "b", "10") INITIAL_END("11")}},
        };
        struct informer_stats stats;
        struct fixture *f = *state;

        RUN(steps, "-n/c ");
        /* b is not told in the second round: it had not changed. */
        assert_string_equal(f->log.data, "+n/a +n/b synced +n/c -n/a ~n/b -n/c ");
        informer_stats(f->inf, &stats);
        assert_int_equal(stats.expired, 2);
        assert_int_equal(stats.watchlists, 3);
        assert_int_equal(stats.watches, 1);
}

static void an_expired_page_lists_all_at_once(void **state)
{
        static const struct step steps[] = {
                {.status = 400, .body = STATUS("400", "BadRequest")},
                {.body = LIST("9", "t1", OBJ("a", "1"))},
                {.want = {"continue=t1"}, .status = 410, .body = STATUS("410", "Expired")},
                {.want = {"limit=0"}, .not_want = "resourceVersion", .body = LIST("12", "", OBJ("b", "2"))},
                {.want = {"watch=true", "resourceVersion=12"}},
        };
        struct fixture *f = *state;

        RUN(steps, "synced ");
        assert_string_equal(f->log.data, "+n/a +n/b -n/a synced ");
}

static void refusals_and_silence_are_retried(void **state)
{
        static const struct step steps[] = {
                {.status = 403, .body = STATUS("403", "Forbidden")},
                {.status = 500, .body = "oops"},
                {.end = CUT},
                {.chunks = {"garbage"}},
                {.want = {"sendInitialEvents"}, .chunks = {EVENT("ADDED", "a", "3") INITIAL_END("5")}},
        };
        struct informer_stats stats;
        struct fixture *f = *state;

        RUN(steps, "synced ");
        assert_string_equal(f->log.data, "+n/a synced ");
        informer_stats(f->inf, &stats);
        assert_int_equal(stats.failures, 4);
}

/* By doubling pauses it would take more than the five seconds that a run has. */
static void a_server_that_restarts_again_and_again_is_found_soon(void **state)
{
        static const struct step steps[] = {
                {.chunks = {EVENT("ADDED", "a", "3") INITIAL_END("5")}, .end = CUT},
                {.want = {"resourceVersion=5"}, .chunks = {EVENT("MODIFIED", "a", "6")}, .end = CUT},
                {.want = {"resourceVersion=6"}, .chunks = {EVENT("MODIFIED", "a", "7")}, .end = CUT},
                {.want = {"resourceVersion=7"}, .chunks = {EVENT("MODIFIED", "a", "8")}, .end = CUT},
                {.want = {"resourceVersion=8"}, .chunks = {EVENT("MODIFIED", "a", "9")}, .end = CUT},
                {.want = {"resourceVersion=9"}, .chunks = {EVENT("MODIFIED", "a", "10")}, .end = CUT},
                {.want = {"resourceVersion=10"}, .chunks = {EVENT("MODIFIED", "a", "11")}, .end = CUT},
                {.want = {"resourceVersion=11"}, .chunks = {EVENT("MODIFIED", "a", "12")}, .end = CUT},
                {.want = {"resourceVersion=12"}, .chunks = {EVENT("MODIFIED", "a", "13")}, .end = CUT},
                {.want = {"resourceVersion=13"}, .chunks = {EVENT("MODIFIED", "a", "14")}, .end = CUT},
                {.want = {"resourceVersion=14"}, .chunks = {EVENT("MODIFIED", "a", "15")}, .end = CUT},
                {.want = {"resourceVersion=15"}, .chunks = {EVENT("MODIFIED", "a", "16")}, .end = CUT},
                {.want = {"resourceVersion=16"}, .chunks = {EVENT("DELETED", "a", "17")}},
        };
        struct fixture *f = *state;

        RUN(steps, "-n/a ");
        assert_true(str_has_suffix(f->log.data, "-n/a "));
}

static void chunks_may_end_anywhere_even_inside_a_character(void **state)
{
        static const struct step steps[] = {
                {.chunks = {EVENT("ADDED", "a", "3") EVENT("ADDED", "\xc3\xbc\xe2\x82\xac\xf0\x9f\x98\x80", "4")
                                    INITIAL_END("5")},
                 .cut_bytes = 1},
        };
        struct fixture *f = *state;

        RUN(steps, "synced ");
        assert_string_equal(f->log.data, "+n/a +n/\xc3\xbc\xe2\x82\xac\xf0\x9f\x98\x80 synced ");
}

static void by_namespace(void *value, void (*emit)(void *ctx, const char *index_value), void *ctx)
{
        emit(ctx, json_at_str(value, "metadata.namespace"));
        if (str_eq(json_at_str(value, "metadata.resourceVersion"), "6"))
                emit(ctx, "six");
}

static void count_value(void *userdata, const char *key, void *value)
{
        ++*(int *)userdata;
}

static int count_by(struct fixture *f, const char *index_value)
{
        int n = 0;

        informer_each_by_index(f->inf, "ns", index_value, count_value, &n);
        return n;
}

static void indexes_follow_changes_and_late_handlers_are_told_all(void **state)
{
        static const struct step steps[] = {
                {.chunks = {EVENT("ADDED", "a", "3") EVENT("ADDED", "b", "4") EVENT("ADDED", "c", "5") INITIAL_END("5"),
                            EVENT("MODIFIED", "a", "6") EVENT("DELETED", "b", "7")}},
        };
        const struct informer_opts opts = {.client = ((struct fixture *)*state)->client, .path = "/api/v1/pods"};
        struct fixture *f = *state;
        int n = 0;

        f->steps = steps;
        f->nsteps = 1;
        f->until = "-n/b ";
        assert_int_equal(informer_new(&opts, &f->inf), 0);
        informer_add_index(f->inf, "ns", by_namespace);
        informer_add_handler(f->inf, on_change, f);
        informer_start(f->inf);
        loop_run_for(f->loop, 5000);
        assert_int_equal(count_by(f, "n"), 2);
        assert_int_equal(count_by(f, "six"), 1);
        assert_int_equal(count_by(f, "other"), 0);
        f->log.len = 0;
        informer_add_handler(f->inf, on_change, f);
        assert_true(str_eq(f->log.data, "+n/a +n/c ") || str_eq(f->log.data, "+n/c +n/a "));
        informer_each(f->inf, count_value, &n);
        assert_int_equal(n, 2);
}

static void several_informers_share_a_loop(void **state)
{
        static const struct step steps[] = {
                {.chunks = {EVENT("ADDED", "a", "3") INITIAL_END("5")}},
                {.chunks = {EVENT("ADDED", "a", "3") INITIAL_END("5")}},
                {.chunks = {EVENT("ADDED", "a", "3") INITIAL_END("5")}},
        };
        struct fixture *f = *state;
        const struct informer_opts opts = {.client = f->client, .path = "/api/v1/pods"};
        struct informer *more[2];

        f->steps = steps;
        f->nsteps = 3;
        f->until = "+n/a +n/a +n/a ";
        assert_int_equal(informer_new(&opts, &f->inf), 0);
        informer_add_handler(f->inf, on_change, f);
        informer_start(f->inf);
        for (int i = 0; i < 2; i++) {
                assert_int_equal(informer_new(&opts, &more[i]), 0);
                informer_add_handler(more[i], on_change, f);
                informer_start(more[i]);
        }
        loop_run_for(f->loop, 5000);
        assert_string_equal(f->log.data, "+n/a +n/a +n/a ");
        for (int i = 0; i < 2; i++)
                informer_free(more[i]);
}

/* ---- memory ---- */

#define OBJECTS     10000
#define FILLER_SIZE 3000

static size_t memory_now(void)
{
#ifdef __SANITIZE_ADDRESS__
        return __sanitizer_get_current_allocated_bytes();
#else
        long pages = 0, resident = 0;
        FILE *file = fopen("/proc/self/statm", "r");

        if (!file || fscanf(file, "%ld %ld", &pages, &resident) != 2)
                abort();
        fclose(file);
        return (size_t)resident * 4096;
#endif
}

static void format_object(char *buf, size_t size, int i)
{
        static char filler[FILLER_SIZE + 1];

        memset(filler, 'x', FILLER_SIZE);
        snprintf(buf, size,
                 "{\"metadata\":{\"name\":\"o%d\",\"namespace\":\"n\",\"resourceVersion\":\"%d\"},\"data\":\"%s\"}", i,
                 i + 1, filler);
}

static bool big_script(void *userdata, struct fake_conn *c, const struct fake_request *r)
{
        const char *page = strstr(r->target, "continue="), *watchlist = strstr(r->target, "sendInitialEvents");
        int first = page ? atoi(page + 9) : 0, last = watchlist ? OBJECTS : first + 500;
        char object[FILLER_SIZE + 256], text[FILLER_SIZE + 512];

        if (strstr(r->target, "watch=true") && !watchlist) {
                fake_stream(c, 200);
                fake_linger(c, 10000);
                return false;
        }
        if (watchlist && *(bool *)userdata) {
                fake_answer(c, 422, "", STATUS("422", "Invalid"));
                return true;
        }
        fake_stream(c, 200);
        if (!watchlist) {
                snprintf(text, sizeof(text), "{\"metadata\":{\"resourceVersion\":\"1\",\"continue\":\"");
                if (last < OBJECTS)
                        snprintf(text + strlen(text), 16, "%d", last);
                strcat(text, "\"},\"items\":[");
                fake_chunk_str(c, text);
        }
        for (int i = first; i < last; i++) {
                format_object(object, sizeof(object), i);
                if (watchlist)
                        snprintf(text, sizeof(text), "{\"type\":\"ADDED\",\"object\":%s}\n", object);
                else
                        snprintf(text, sizeof(text), "%s%s", i > first ? "," : "", object);
                fake_chunk_str(c, text);
        }
        fake_chunk_str(c, watchlist ? INITIAL_END("20000") : "]}");
        if (watchlist)
                fake_linger(c, 10000);
        fake_stream_end(c);
        return true;
}

static void *project_number(void *userdata, struct json_object *o)
{
        struct fixture *f = userdata;

        if (f->objects++ % 50 == 0)
                f->peak = MAX(f->peak, memory_now());
        return mem_strdup(json_at_str(o, "metadata.resourceVersion"));
}

static void release_number(void *userdata, void *value)
{
        free(value);
}

static void stop_loop(void *userdata)
{
        loop_stop(userdata);
}

/* 10,000 objects of 3 kB are 30 MB of JSON; what may stay is a key, a version and a number each. */
static void stream_big(struct fixture *f, bool by_list)
{
        struct fake_server *server = fake_server_start(big_script, &by_list);
        struct kubeconfig config = {.server = (char *)fake_server_url(server)};
        const struct kube_client_opts client_opts = {.config = &config, .loop = f->loop};
        struct informer_opts opts = {
                .path = "/api/v1/pods", .project = project_number, .release = release_number, .userdata = f};
        uint64_t start;

        assert_int_equal(kube_client_new(&client_opts, &opts.client, NULL), 0);
        assert_int_equal(informer_new(&opts, &f->inf), 0);
        informer_on_synced(f->inf, stop_loop, f->loop);
        f->baseline = f->peak = memory_now();
        start = clock_mono_ms();
        informer_start(f->inf);
        loop_run_for(f->loop, 60000);
        print_message("%s: %zu objects in %llu ms, memory +%zu KiB at most, +%zu KiB at the end\n",
                      by_list ? "LIST" : "WatchList", informer_count(f->inf),
                      (unsigned long long)(clock_mono_ms() - start), (f->peak - f->baseline) / 1024,
                      (memory_now() - f->baseline) / 1024);
        assert_true(informer_has_synced(f->inf));
        assert_int_equal(informer_count(f->inf), OBJECTS);
        assert_true(f->peak - f->baseline < (size_t)6 << 20);
        informer_free(TAKE_PTR(f->inf));
        kube_client_free(opts.client);
        fake_server_stop(server);
}

static void memory_stays_flat_while_a_watchlist_streams(void **state)
{
        stream_big(*state, false);
}

static void memory_stays_flat_while_pages_are_listed(void **state)
{
        stream_big(*state, true);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
                T(watchlist_streams_the_initial_state_and_goes_on),
                T(a_server_without_watchlist_is_listed_in_pages),
                T(a_server_that_ignores_watchlist_is_listed_after_silence),
                T(a_clean_end_resumes_at_the_last_version),
                T(a_cut_in_the_middle_of_an_event_resumes_before_it),
                T(a_cut_in_the_initial_events_starts_the_round_anew),
                T(gone_in_either_form_tells_the_state_anew),
                T(an_expired_page_lists_all_at_once),
                T(refusals_and_silence_are_retried),
                T(a_server_that_restarts_again_and_again_is_found_soon),
                T(chunks_may_end_anywhere_even_inside_a_character),
                T(indexes_follow_changes_and_late_handlers_are_told_all),
                T(several_informers_share_a_loop),
                T(memory_stays_flat_while_a_watchlist_streams),
                T(memory_stays_flat_while_pages_are_listed),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
