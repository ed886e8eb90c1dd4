/* SPDX-License-Identifier: Apache-2.0 */
#include <netinet/in.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "agent/desired.h"
#include "base/clock.h"
#include "base/json.h"
#include "base/log.h"
#include "base/loop.h"
#include "base/str.h"
#include "unit/agent/svcworld.h"

static struct svcworld w;

static int setup(void **state)
{
        log_init("test", LOG_LEVEL_ERROR);
        svcworld_init(&w, NULL);
        return 0;
}

static int teardown(void **state)
{
        svcworld_deinit(&w);
        return 0;
}

static struct svcworld_endpoint ready(bool local)
{
        return (struct svcworld_endpoint){.there = true, .ready = true, .serving = true, .local = local};
}

static struct svcworld_service plain(int endpoints)
{
        struct svcworld_service s = {.there = true, .type = "ClusterIP", .created_s = 10, .ports = 2};

        for (int i = 0; i < endpoints; i++)
                s.endpoints[i] = ready(i % 4 == 0);
        return s;
}

static void check(void)
{
        const char *wrong = svcworld_check(&w);

        if (wrong)
                fail_msg("%s", wrong);
}

static void a_service_leads_to_its_endpoints(void **state)
{
        w.service[0] = plain(4);
        w.service[0].dual = true;
        svcworld_tell(&w, 0);
        check();
        assert_int_equal(svcworld_look(&w, "10.96.0.1", 80, IPPROTO_TCP).n_in, 2);
        assert_int_equal(svcworld_look(&w, "fd00:96::1", 53, IPPROTO_UDP).n_in, 2);
}

static void an_unchanged_service_costs_no_write(void **state)
{
        uint64_t before;

        w.service[0] = plain(4);
        w.service[0].external_ip = 1;
        svcworld_tell(&w, 0);
        svcworld_sync(&w);
        before = w.writes;
        svcworld_tell(&w, 0);
        check();
        assert_int_equal(w.writes, before);
}

static void a_change_writes_little(void **state)
{
        uint64_t before;

        for (int i = 0; i < SVCWORLD_SERVICES; i++) {
                w.service[i] = plain(4);
                svcworld_tell(&w, i);
        }
        svcworld_sync(&w);
        before = w.writes;
        w.service[3].endpoints[4] = ready(false);
        svcworld_tell(&w, 3);
        check();
        /* Two ports: a backend, a slot line and a frontend each. */
        assert_int_equal(w.writes - before, 6);
}

static void a_restart_changes_nothing(void **state)
{
        uint64_t before;

        w.service[0] = plain(5);
        w.service[0].external_ip = 1;
        w.service[0].external_local = true;
        w.service[0].affinity = true;
        w.service[1] = plain(3);
        w.service[1].internal_local = true;
        w.service[1].dual = true;
        w.service[1].node_port = 30001;
        for (int i = 0; i < 2; i++)
                svcworld_tell(&w, i);
        svcworld_sync(&w);
        before = w.writes;
        svcworld_restart(&w);
        check();
        assert_int_equal(w.writes - before, 1); /* the filters, which are written whole */
}

static void what_went_while_no_agent_ran_is_removed_after_the_sync(void **state)
{
        w.service[0] = plain(5);
        w.service[1] = plain(3);
        svcworld_tell(&w, 0);
        svcworld_tell(&w, 1);
        svcworld_sync(&w);
        w.service[0].there = false;
        w.service[1].endpoints[0].there = false;
        services_free(w.services);
        assert_int_equal(services_new(&(struct services_opts){.config = &w.config, .maps = &w.maps}, &w.services, NULL),
                         0);
        services_sync(w.services);
        assert_true(svcworld_look(&w, "10.96.0.1", 80, IPPROTO_TCP).found);
        free(w.views[0]);
        w.views[0] = NULL;
        for (int k = 0; k < SVCWORLD_SLICES; k++) {
                free(w.slices[0][k]);
                w.slices[0][k] = NULL;
        }
        svcworld_restart(&w);
        check();
        assert_false(svcworld_look(&w, "10.96.0.1", 80, IPPROTO_TCP).found);
}

static size_t skipped;
static char skipped_text[512];

static void note_skipped(void *userdata, const char *object, const char *reason)
{
        skipped++;
        snprintf(skipped_text, sizeof(skipped_text), "%s: %s", object, reason);
}

static void of_two_services_with_one_address_the_older_has_it(void **state)
{
        w.service[0] = plain(2);
        w.service[0].external_ip = 9;
        svcworld_tell(&w, 0);
        check();
        assert_int_equal(svcworld_look(&w, "203.0.113.9", 80, IPPROTO_TCP).n_in, 1);
        w.service[1] = plain(4);
        w.service[1].external_ip = 9;
        w.service[1].created_s = 5;
        svcworld_tell(&w, 1);
        check();
        assert_int_equal(svcworld_look(&w, "203.0.113.9", 80, IPPROTO_TCP).n_in, 2);
        skipped = 0;
        services_each_skipped(w.services, note_skipped, NULL);
        assert_int_equal(skipped, 2); /* two ports */
        assert_non_null(strstr(skipped_text, "Service ns/s0: 203.0.113.9:"));
        assert_non_null(strstr(skipped_text, "already belongs to ns/s1, which is older"));
        w.service[1].there = false;
        svcworld_tell(&w, 1);
        check();
        assert_int_equal(svcworld_look(&w, "203.0.113.9", 80, IPPROTO_TCP).n_in, 1);
        skipped = 0;
        services_each_skipped(w.services, note_skipped, NULL);
        assert_int_equal(skipped, 0);
}

static void host_ports_are_frontends(void **state)
{
        struct host_port ports[3] = {
                {.owner = "ns/p", .host_port = 8080, .container_port = 80, .proto = IPPROTO_TCP},
                {.owner = "ns/q", .host_port = 8080, .container_port = 80, .proto = IPPROTO_TCP},
                {.owner = "ns/p", .host_port = 8081, .container_port = 81, .proto = IPPROTO_UDP},
        };
        struct node_view node = {.ready = true, .zone = "z1"};
        struct service_key key = {.port = htons(8080), .proto = IPPROTO_TCP};
        struct service value;

        for (int i = 0; i < 3; i++)
                ports[i].pod_ip = (struct addr){.w = {0, 0, htonl(0xffff), htonl(0x0af40002)}};
        services_set_node(w.services, &node, ports, 3);
        svcworld_sync(&w);
        assert_false(w.broken);
        key.addr.w[2] = htonl(0xffff);
        assert_int_equal(map_lookup(w.inner.m[MAP_SERVICES], &key, &value), 0);
        assert_true(value.flags & SERVICE_HOSTPORT && value.flags & SERVICE_EXTERNAL);
        assert_int_equal(value.in.size, 1);
        assert_int_equal(value.out.size, 1);
        skipped = 0;
        services_each_skipped(w.services, note_skipped, NULL);
        assert_int_equal(skipped, 1);
        assert_non_null(strstr(skipped_text, "hostPort/0.0.0.0: port 8080/TCP of pod ns/q: another pod has it"));
        services_set_node(w.services, &node, NULL, 0);
        svcworld_sync(&w);
        assert_int_not_equal(map_lookup(w.inner.m[MAP_SERVICES], &key, &value), 0);
}

/* ---- batches ---- */

static unsigned syncs, programmings;
static double programming_s;

static void count_sync(void *userdata, double seconds)
{
        syncs++;
}

static void note_programming(void *userdata, double seconds)
{
        programmings++;
        programming_s = seconds;
}

static void restart_with_loop(uint32_t min_ms, uint32_t max_ms)
{
        assert_int_equal(loop_new(&w.loop), 0);
        w.config.min_sync_ms = min_ms;
        w.config.max_sync_ms = max_ms;
        svcworld_restart(&w);
        loop_run_for(w.loop, max_ms + 30);
        services_observe(w.services, &(struct services_observer){.sync = count_sync, .programming = note_programming});
        syncs = programmings = 0;
}

static void end_loop(void)
{
        services_free(w.services);
        w.services = NULL;
        loop_free(w.loop);
        w.loop = NULL;
}

static void changes_without_end_are_gathered_but_do_not_starve(void **state)
{
        w.service[0] = plain(2);
        restart_with_loop(30, 100);
        for (int i = 0; i < 100; i++) { /* never a silence */
                w.service[0].endpoints[2 + i % 8] = ready(false);
                w.service[0].port_shift = i;
                svcworld_tell(&w, 0);
                loop_run_for(w.loop, 5);
        }
        if (syncs < 4 || syncs > 50)
                fail_msg("%u syncs in some 500 ms of changes, wanted one in 30 to 100 ms", syncs);
        loop_run_for(w.loop, 150);
        check();
        end_loop();
}

static void a_single_change_waits_no_longer_than_the_least_time(void **state)
{
        uint64_t begin;

        w.service[0] = plain(2);
        restart_with_loop(1, 10000);
        w.service[0].endpoints[3] = ready(false);
        begin = clock_mono_ms();
        svcworld_tell(&w, 0);
        while (!syncs && clock_mono_ms() - begin < 5000)
                loop_run_for(w.loop, 1);
        assert_true(syncs > 0);
        end_loop();
}

/* The annotation of the endpoints' controller, once for each change. */
static void the_time_from_a_change_to_the_tables_is_told(void **state)
{
        char now[CLOCK_TEXT_SIZE];
        struct projector p = {.node_name = SVCWORLD_NODE};
        struct slice_view *view;

        restart_with_loop(1, 20);
        {
                _cleanup_json_ struct json_object *o =
                        svcworld_json("{'metadata':{'namespace':'ns','name':'x','labels':{'kubernetes.io/"
                                      "service-name':'s0'},'annotations':{"
                                      "'endpoints.kubernetes.io/"
                                      "last-change-trigger-time':'%s'}},'addressType':'IPv4','ports':[{'port':1}]}",
                                      clock_now_micro(now));
                view = svcworld_project(project_slice, &p, o);
        }
        services_set_slice(w.services, NULL, view);
        loop_run_for(w.loop, 60);
        assert_int_equal(programmings, 1);
        assert_true(programming_s >= 0 && programming_s < 5);
        services_set_slice(w.services, view, view); /* the same trigger: nothing of the endpoints */
        loop_run_for(w.loop, 60);
        assert_int_equal(programmings, 1);
        services_set_slice(w.services, view, NULL);
        free(view);
        end_loop();
}

/* ---- no room ---- */

static uint32_t degraded(void)
{
        struct services_stats stats;

        services_stats(w.services, &stats);
        return (uint32_t)stats.degraded;
}

static uint32_t full_maps(void)
{
        struct services_stats stats;

        services_stats(w.services, &stats);
        return stats.full;
}

static void fill(const uint32_t sizes[4], enum map_id full)
{
        svcworld_deinit(&w);
        svcworld_init(&w, sizes);
        for (int i = 0; i < SVCWORLD_SERVICES; i++) {
                w.service[i] = plain(8);
                w.service[i].created_s = i;
                svcworld_tell(&w, i);
        }
        svcworld_sync(&w);
        assert_false(w.broken);
        assert_true(degraded() > 0 && degraded() < SVCWORLD_SERVICES);
        assert_true(full_maps() & 1U << full);
        for (int i = 1; i < SVCWORLD_SERVICES; i++) {
                w.service[i].there = false;
                svcworld_tell(&w, i);
        }
        svcworld_sync(&w);
        assert_false(w.broken);
        svcworld_tell(&w, 0);
        check();
        for (int i = 0; i < 2; i++) { /* there was room all along for two; for the last as soon as others went */
                w.service[5 * i] = plain(8);
                svcworld_tell(&w, 5 * i);
        }
        check();
        assert_int_equal(degraded(), 0);
        assert_int_equal(full_maps(), 0);
}

static void a_full_map_of_frontends_leaves_the_rest_at_work(void **state)
{
        fill((const uint32_t[]){10, 4096, 4096, 4096}, MAP_SERVICES);
}

static void a_full_map_of_slots_leaves_the_rest_at_work(void **state)
{
        fill((const uint32_t[]){4096, 7, 4096, 4096}, MAP_SLOTS);
}

static void a_full_map_of_backends_leaves_the_rest_at_work(void **state)
{
        fill((const uint32_t[]){4096, 4096, 35, 4096}, MAP_BACKENDS);
}

static void too_many_service_ports_leave_the_rest_at_work(void **state)
{
        fill((const uint32_t[]){4096, 4096, 4096, 8}, MAP_SERVICE_NAMES);
}

/* Without room for a fresh range a change goes over the old one. */
static void a_change_without_room_reuses_its_own_slots(void **state)
{
        svcworld_deinit(&w);
        svcworld_init(&w, (const uint32_t[]){4096, 2, 4096, 4096});
        w.service[0] = plain(8);
        svcworld_tell(&w, 0);
        check();
        for (int i = 0; i < 8; i += 2) {
                w.service[0].endpoints[i].there = false;
                w.service[0].endpoints[8 + i % 4] = ready(false);
                svcworld_tell(&w, 0);
                check();
        }
}

static void writes_that_fail_are_made_up_for(void **state)
{
        static const int maps[] = {MAP_BACKENDS, MAP_SLOTS, MAP_SERVICES, MAP_FILTERS};

        for (size_t i = 0; i < ARRAY_SIZE(maps); i++) {
                w.service[0] = plain(2 + (int)i);
                w.service[0].external_ip = (int)i + 1;
                svcworld_tell(&w, 0);
                w.fail_writes_to = maps[i];
                services_sync(w.services);
                assert_false(w.broken);
                w.fail_writes_to = -1;
                check();
        }
}

/* ---- anything, in any order ---- */

static int below(int n)
{
        return rand() % n;
}

static void change_endpoint(struct svcworld_endpoint *e)
{
        bool terminating = below(4) == 0;

        *e = (struct svcworld_endpoint){.there = below(4) != 0,
                                        .ready = !terminating && below(4) != 0,
                                        .serving = below(3) != 0,
                                        .terminating = terminating,
                                        .local = below(3) == 0};
}

static void change_service(struct svcworld_service *s)
{
        static const char *const types[] = {"ClusterIP", "NodePort", "LoadBalancer"};
        static const char *const balances[] = {NULL, NULL, "random", "maglev"};

        s->there = below(5) != 0;
        s->type = types[below(3)];
        s->created_s = below(60);
        s->ports = 1 + below(2);
        s->external_ip = below(4);
        s->node_port = below(2) ? 30000 + below(3) : 0;
        s->internal_local = below(4) == 0;
        s->external_local = below(3) == 0;
        s->dual = below(2) == 0;
        s->affinity = below(4) == 0;
        s->ranges = below(4) == 0;
        s->balance = balances[below(4)];
        s->port_shift = below(5) == 0 ? below(3) : s->port_shift;
}

static void random_step(void)
{
        int i = below(SVCWORLD_SERVICES);

        switch (below(8)) {
        case 0:
        case 1:
                change_service(&w.service[i]);
                break;
        case 2:
                w.service[i].there = w.service[i].type && !w.service[i].there;
                break;
        default:
                if (!w.service[i].type)
                        w.service[i] = plain(below(8));
                for (int n = 1 + below(4); n > 0; n--)
                        change_endpoint(&w.service[i].endpoints[below(SVCWORLD_ENDPOINTS)]);
        }
        if (!w.service[i].type)
                w.service[i].there = false;
        if (w.service[i].type)
                svcworld_tell(&w, i);
}

static void random_walk(unsigned seed, int rounds)
{
        srand(seed);
        for (int round = 0; round < rounds; round++) {
                const char *wrong;

                for (int n = 1 + below(6); n > 0; n--)
                        random_step();
                if (below(10) == 0)
                        svcworld_restart(&w);
                if (below(10) == 0) {
                        w.fail_writes_to = below(4) ? MAP_SLOTS : MAP_SERVICES;
                        services_sync(w.services);
                        w.fail_writes_to = -1;
                        if (below(2))
                                svcworld_restart(&w);
                }
                wrong = svcworld_check(&w);
                if (wrong)
                        fail_msg("seed %u, round %d: %s", seed, round, wrong);
        }
}

static void die_after(int writes)
{
        const char *wrong;

        w.writes_left = writes;
        services_sync(w.services);
        if (w.broken)
                fail_msg("before death after %d writes: %s", writes, w.why);
        services_free(w.services);
        w.services = NULL;
        w.writes_left = -1;
        svcworld_restart(&w);
        wrong = svcworld_check(&w);
        if (wrong)
                fail_msg("after death after %d writes: %s", writes, wrong);
}

/* One pool, four frontends: for a while half of them lead to its old slots. */
static void a_change_may_die_at_each_of_its_writes(void **state)
{
        for (int writes = 0; writes < 40; writes++) {
                w.service[0] = plain(4);
                w.service[0].dual = true;
                w.service[0].external_ip = 1;
                w.service[0].node_port = 30000;
                w.service[0].balance = writes % 2 ? "random" : NULL;
                svcworld_tell(&w, 0);
                svcworld_sync(&w);
                w.service[0].endpoints[4] = w.service[0].endpoints[5] = ready(false);
                w.service[0].endpoints[0].there = w.service[0].endpoints[1].there = false;
                svcworld_tell(&w, 0);
                die_after(writes);
                w.service[0].external_ip = 2;
                w.service[0].port_shift = 1;
                svcworld_tell(&w, 0);
                die_after(writes);
        }
}

/* Several services at once, of any kind. */
static void an_agent_that_is_killed_at_any_write_leaves_nothing_that_the_next_one_cannot_mend(void **state)
{
        for (int n = 0; n < 150; n++) {
                srand((unsigned)n);
                for (int i = 0; i < 4; i++)
                        random_step();
                die_after(n % 50);
        }
}

static void the_tables_follow_any_sequence_of_changes(void **state)
{
        const char *seed = getenv("SEED");

        if (seed) {
                random_walk((unsigned)atoi(seed), 60);
                return;
        }
        for (unsigned i = 1; i <= 6; i++)
                random_walk(i, 40);
}

#define TEST(fn) cmocka_unit_test_setup_teardown(fn, setup, teardown)

int main(void)
{
        const struct CMUnitTest tests[] = {
                TEST(a_service_leads_to_its_endpoints),
                TEST(an_unchanged_service_costs_no_write),
                TEST(a_change_writes_little),
                TEST(a_restart_changes_nothing),
                TEST(what_went_while_no_agent_ran_is_removed_after_the_sync),
                TEST(of_two_services_with_one_address_the_older_has_it),
                TEST(host_ports_are_frontends),
                TEST(changes_without_end_are_gathered_but_do_not_starve),
                TEST(a_single_change_waits_no_longer_than_the_least_time),
                TEST(the_time_from_a_change_to_the_tables_is_told),
                TEST(a_full_map_of_frontends_leaves_the_rest_at_work),
                TEST(a_full_map_of_slots_leaves_the_rest_at_work),
                TEST(a_full_map_of_backends_leaves_the_rest_at_work),
                TEST(too_many_service_ports_leave_the_rest_at_work),
                TEST(a_change_without_room_reuses_its_own_slots),
                TEST(writes_that_fail_are_made_up_for),
                TEST(a_change_may_die_at_each_of_its_writes),
                TEST(an_agent_that_is_killed_at_any_write_leaves_nothing_that_the_next_one_cannot_mend),
                TEST(the_tables_follow_any_sequence_of_changes),
        };

        return cmocka_run_group_tests_name("services", tests, NULL, NULL);
}
