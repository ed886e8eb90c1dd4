/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "apiserver/housekeeping.h"
#include "base/clock.h"
#include "unit/apiserver/apifix.h"
#include "unit/apiserver/fakestore.h"

static struct apifix fix;
static struct housekeeping *keeping;

static int setup(void **state _unused_)
{
        apifix_open(&fix);
        keeping = housekeeping_new(&fix.server);
        return 0;
}

static int teardown(void **state _unused_)
{
        housekeeping_free(keeping);
        apifix_close(&fix);
        return 0;
}

static uint64_t compacted(void)
{
        struct store_stats st;

        store_stats(apifix_store(&fix), &st);
        return st.compacted_revision;
}

static void put_event(const char *name, const char *field, int64_t age_s)
{
        char key[80], json[300], when[CLOCK_TEXT_SIZE], old[CLOCK_TEXT_SIZE];

        clock_format(clock_wall_s() - age_s, when);
        clock_format(clock_wall_s() - 100000, old);
        snprintf(key, sizeof(key), "/registry/events/default/%s", name);
        snprintf(json, sizeof(json), "{\"metadata\":{\"name\":\"%s\",\"creationTimestamp\":\"%s\"},\"%s\":\"%s\"}",
                 name, old, field, when);
        fakestore_put(apifix_store(&fix), key, json);
}

static void events_expire_when_nobody_touched_them_for_their_time(void **state _unused_)
{
        static const struct {
                const char *name, *field;
                int64_t age_s;
                bool kept;
        } rows[] = {
                {"seen", "lastTimestamp", 10, true},
                {"old", "lastTimestamp", 4000, false},
                {"new-form", "eventTime", 3000, true},
                {"other", "firstTimestamp", 10, false}, /* made long ago and never seen again */
        };

        for (size_t i = 0; i < ARRAY_SIZE(rows); i++)
                put_event(rows[i].name, rows[i].field, rows[i].age_s);
        housekeeping_expire_events(keeping);
        for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
                char url[80];

                snprintf(url, sizeof(url), "/api/v1/namespaces/default/events/%s", rows[i].name);
                apifix_expect(&fix, rows[i].kept ? 200 : 404, "GET", url, NULL, "metadata.name",
                              rows[i].kept ? rows[i].name : "");
        }
}

static void history_is_kept_for_its_time_however_many_rounds_that_is(void **state _unused_)
{
        uint64_t first = fakestore_revision(apifix_store(&fix)), until;

        fix.server.config.history_seconds = 1;
        housekeeping_compact(keeping);
        assert_int_equal(compacted(), 0);
        for (until = clock_mono_ms() + 900; clock_mono_ms() < until;) {
                put_event("e", "lastTimestamp", 0);
                housekeeping_compact(keeping);
                usleep(3000);
        }
        assert_int_equal(compacted(), 0); /* nothing is a second old */
        usleep(150000);
        housekeeping_compact(keeping);
        assert_true(compacted() >= first);
        assert_true(compacted() < fakestore_revision(apifix_store(&fix)));
}

static void a_leaked_address_is_released_and_a_lost_one_made_again(void **state _unused_)
{
        char key[80];

        apifix_expect(&fix, 201, "POST", "/api/v1/namespaces/default/services",
                      "{'metadata':{'name':'s'},'spec':{'clusterIP':'10.96.0.9','ports':[{'port':80}]}}",
                      "spec.clusterIP", "10.96.0.9");
        apifix_expect(&fix, 201, "POST", "/api/v1/namespaces/default/services",
                      "{'metadata':{'name':'t'},'spec':{'clusterIP':'10.96.0.10','ports':[{'port':80}]}}",
                      "spec.clusterIP", "10.96.0.10");
        fakestore_put(apifix_store(&fix), "/registry/ipaddresses/10.96.0.9", NULL);
        snprintf(key, sizeof(key), "/registry/services/specs/default/t");
        fakestore_put(apifix_store(&fix), key, NULL);
        housekeeping_repair(keeping);
        apifix_expect(&fix, 200, "GET", "/apis/networking.k8s.io/v1/ipaddresses/10.96.0.9", NULL, "spec.parentRef.name",
                      "s");
        apifix_expect(&fix, 404, "GET", "/apis/networking.k8s.io/v1/ipaddresses/10.96.0.10", NULL, "reason",
                      "NotFound");
        {
                uint64_t before = fakestore_revision(apifix_store(&fix));

                housekeeping_repair(keeping);
                assert_int_equal(fakestore_revision(apifix_store(&fix)), before);
        }
}

#define fresh(test) cmocka_unit_test_setup_teardown(test, setup, teardown)

int main(void)
{
        const struct CMUnitTest tests[] = {
                fresh(events_expire_when_nobody_touched_them_for_their_time),
                fresh(history_is_kept_for_its_time_however_many_rounds_that_is),
                fresh(a_leaked_address_is_released_and_a_lost_one_made_again),
        };

        return cmocka_run_group_tests_name("housekeeping", tests, NULL, NULL);
}
