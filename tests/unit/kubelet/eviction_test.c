/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "agent/kubelet/node/capacity.h"
#include "agent/kubelet/node/eviction.h"
#include "base/mem.h"
#include "base/str.h"

#define MI (1024ULL * 1024)

static struct json_object *parsed(const char *text)
{
        _cleanup_free_ char *copy = mem_strdup(text);
        struct json_object *o = NULL;

        for (char *s = copy; *s; s++)
                if (*s == '\'')
                        *s = '"';
        assert_int_equal(json_parse(copy, strlen(copy), &o, NULL), 0);
        return o;
}

static struct eviction_thresholds thresholds(const char *hard, const char *reclaim)
{
        struct eviction_thresholds t;
        struct err err = ERR_NULL;

        if (thresholds_parse(hard, reclaim, &t, &err))
                fail_msg("%s", err.msg);
        return t;
}

static void the_defaults_are_upstreams(void **state)
{
        struct eviction_thresholds t = thresholds(NULL, NULL);

        assert_int_equal(eviction_amount_of(&t.of[EVICT_MEMORY].below, 1000 * MI), 100 * MI);
        assert_int_equal(eviction_amount_of(&t.of[EVICT_NODEFS].below, 1000), 100);
        assert_int_equal(eviction_amount_of(&t.of[EVICT_IMAGEFS].below, 1000), 150);
        assert_int_equal(eviction_amount_of(&t.of[EVICT_NODEFS_INODES].below, 1000), 50);
        assert_false(t.of[EVICT_PID].set);
        t = thresholds("none", NULL);
        for (size_t i = 0; i < EVICTION_SIGNALS; i++)
                assert_false(t.of[i].set);
        t = thresholds("memory.available<0,nodefs.available<100%,pid.available<10%", "pid.available=5");
        assert_false(t.of[EVICT_MEMORY].set);
        assert_false(t.of[EVICT_NODEFS].set);
        assert_true(t.of[EVICT_PID].set);
        assert_int_equal(t.of[EVICT_PID].reclaim.value, 5);
}

static void what_is_wrong_with_thresholds_is_said(void **state)
{
        static const struct {
                const char *hard, *reclaim, *message;
        } rows[] = {
                {"memory.available", NULL, "want a signal"},
                {"memory.available>1Gi", NULL, "want a signal"},
                {"memory.free<1Gi", NULL, "unsupported eviction signal memory.free"},
                {"memory.available<-1Gi", NULL, "below zero"},
                {"memory.available<1Gigabyte", NULL, "memory.available: "},
                {"nodefs.available<101%", NULL, "no percentage between"},
                {"nodefs.available<x%", NULL, "no percentage between"},
                {"pid.available<1,pid.available<2", NULL, "pid.available is there twice"},
                {"", "pid.available<1", "--eviction-minimum-reclaim: "},
                {"a,", NULL, "--eviction-hard: "},
        };

        for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
                struct eviction_thresholds t;
                struct err err = ERR_NULL;

                assert_int_equal(thresholds_parse(rows[i].hard, rows[i].reclaim, &t, &err), -EINVAL);
                if (!strstr(err.msg, rows[i].message))
                        fail_msg("%s: %s", rows[i].hard, err.msg);
        }
}

static void a_threshold_stays_crossed_until_the_minimum_is_free_too(void **state)
{
        struct eviction_thresholds t = thresholds("memory.available<100", "memory.available=50");
        static const struct {
                uint64_t available;
                bool met;
        } rows[] = {{100, false}, {99, true}, {120, true}, {149, true}, {150, false}, {120, false}, {99, true}};
        struct eviction_state s = {0};

        for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
                struct eviction_view v = {.available = {rows[i].available}, .capacity = {1000}};

                eviction_update(&t, &v, i, &s);
                assert_int_equal(s.met[EVICT_MEMORY], rows[i].met);
        }
}

static void what_is_not_known_is_never_short(void **state)
{
        struct eviction_thresholds t = thresholds(NULL, NULL);
        struct eviction_view v = {0};
        struct eviction_state s = {0};

        eviction_update(&t, &v, 1, &s);
        for (size_t i = 0; i < EVICTION_SIGNALS; i++)
                assert_false(s.met[i]);
}

static void a_pressure_is_told_for_a_while_after_it_was_seen(void **state)
{
        struct eviction_thresholds t = thresholds("memory.available<100,imagefs.available<100,pid.available<100", NULL);
        struct eviction_view fine = {.available = {500, 500, 500, 500, 500, 500},
                                     .capacity = {1000, 1000, 1000, 1000, 1000, 1000}};
        struct eviction_view full = fine;
        struct eviction_state s = {0};
        bool p[NODE_READY];

        full.available[EVICT_IMAGEFS] = full.available[EVICT_PID] = 1;
        eviction_update(&t, &fine, 0, &s);
        eviction_pressure(&s, 0, 300, p);
        assert_false(p[NODE_MEMORY_PRESSURE] || p[NODE_DISK_PRESSURE] || p[NODE_PID_PRESSURE]);
        eviction_update(&t, &full, 10, &s);
        eviction_pressure(&s, 10, 300, p);
        assert_true(!p[NODE_MEMORY_PRESSURE] && p[NODE_DISK_PRESSURE] && p[NODE_PID_PRESSURE]);
        assert_true(!s.met[EVICT_MEMORY] && s.met[EVICT_IMAGEFS] && s.met[EVICT_PID]);
        eviction_update(&t, &fine, 20, &s);
        assert_false(s.met[EVICT_IMAGEFS] || s.met[EVICT_PID]);
        eviction_pressure(&s, 309, 300, p);
        assert_true(p[NODE_DISK_PRESSURE]);
        eviction_pressure(&s, 310, 300, p);
        assert_false(p[NODE_DISK_PRESSURE] || p[NODE_PID_PRESSURE]);
}

/* Name, priority, usage, request. */
struct played {
        const char *name;
        int priority;
        uint64_t usage, request;
};

static void check_order(enum eviction_signal s, const struct played *pods, size_t n, const char *want)
{
        struct eviction_candidate all[8];
        char got[64] = "";

        for (size_t i = 0; i < n; i++) {
                struct json_object *pod = json_object_new_object();

                json_set_i64(json_ensure(pod, "spec"), "priority", pods[i].priority);
                all[i] = (struct eviction_candidate){.pod = pod,
                                                     .usage = pods[i].usage,
                                                     .request = pods[i].request,
                                                     .userdata = (void *)pods[i].name};
        }
        eviction_rank(s, all, n);
        for (size_t i = 0; i < n; i++) {
                strncat(got, all[i].userdata, 8);
                json_object_put((struct json_object *)all[i].pod);
        }
        assert_string_equal(got, want);
}

static void who_takes_more_than_asked_goes_first(void **state)
{
        static const struct played memory[] = {
                {"a", 0, 50, 100}, {"b", 10, 200, 100}, {"c", 0, 110, 100}, {"d", 0, 300, 0}, {"e", -5, 90, 100},
        };
        static const struct played processes[] = {{"a", 5, 900, 0}, {"b", 0, 10, 0}, {"c", 0, 20, 0}};

        check_order(EVICT_MEMORY, memory, ARRAY_SIZE(memory), "dcbea");
        check_order(EVICT_NODEFS, memory, ARRAY_SIZE(memory), "dcbea");
        check_order(EVICT_PID, processes, ARRAY_SIZE(processes), "cba");
}

static void the_message_names_what_is_short_and_who_took_it(void **state)
{
        struct eviction_thresholds t = thresholds("memory.available<100Mi,nodefs.inodesFree<5%", NULL);
        struct eviction_view v = {.available = {90 * MI, 0, 40}, .capacity = {1000 * MI, 0, 1000}};
        const struct eviction_container containers[] = {{"big", 20 * MI}, {"small", MI}};
        _cleanup_json_ struct json_object *pod = parsed(
                "{'spec':{'containers':[{'name':'big','resources':{'requests':{'memory':'10Mi'}}},{'name':'small',"
                "'resources':{'requests':{'memory':'2Mi'}}}]}}");
        _cleanup_strbuf_ struct strbuf memory = STRBUF_NULL, inodes = STRBUF_NULL;

        eviction_message(EVICT_MEMORY, &t.of[EVICT_MEMORY], &v, pod, containers, 2, &memory);
        assert_string_equal(
                memory.data,
                "The node was low on resource: memory. Threshold quantity: 100Mi, available: 90Mi. Container "
                "big was using 20Mi, request is 10Mi, has larger consumption of memory. ");
        eviction_message(EVICT_NODEFS_INODES, &t.of[EVICT_NODEFS_INODES], &v, pod, NULL, 0, &inodes);
        assert_string_equal(inodes.data,
                            "The node was low on resource: inodes. Threshold quantity: 50, available: 40. ");
}

#define LIMITED                                                                                                        \
        "{'spec':{'volumes':[{'name':'v','emptyDir':{'sizeLimit':'1k'}},{'name':'m','emptyDir':{'medium':'Memory',"    \
        "'sizeLimit':'1k'}},{'name':'free','emptyDir':{}}],'containers':[{'name':'c','resources':{'limits':{"          \
        "'ephemeral-storage':'2k'}}},{'name':'d','resources':{'limits':{'ephemeral-storage':'3k'}}}]}}"

static void who_writes_more_than_he_may_goes(void **state)
{
        static const struct {
                uint64_t v, m, free, c, d;
                const char *message; /* NULL: he stays */
        } rows[] = {
                {1000, 9999999, 0, 2000, 2000, NULL},
                {1001, 0, 0, 0, 0, "Usage of EmptyDir volume \"v\" exceeds the limit \"1k\". "},
                {0, 0, 0, 2001, 0, "Container c exceeded its local ephemeral storage limit \"2k\". "},
                {0, 0, 4000, 1000, 1, "Pod ephemeral local storage usage exceeds the total limit of containers 5k. "},
        };
        _cleanup_json_ struct json_object *pod = parsed(LIMITED), *free_one = parsed("{'spec':{'volumes':[{'name':'v',"
                                                                                     "'emptyDir':{}}]}}");

        assert_true(storage_is_limited(pod));
        assert_false(storage_is_limited(free_one));
        for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
                /* What is in memory is not told of. */
                const struct storage_use volumes[] = {{"v", rows[i].v}, {"free", rows[i].free}},
                                         containers[] = {{"c", rows[i].c}, {"d", rows[i].d}};
                const struct storage_usage u = {volumes, containers, 2, 2};
                _cleanup_strbuf_ struct strbuf message = STRBUF_NULL;

                assert_int_equal(storage_exceeds(pod, &u, &message), rows[i].message != NULL);
                if (rows[i].message)
                        assert_string_equal(message.data, rows[i].message);
        }
}

static void pods_may_have_what_is_not_kept(void **state)
{
        const struct machine m = {.milli_cpus = 2500,
                                  .memory_bytes = 1000 * MI,
                                  .hugepages = {{2 * MI, 100 * MI}, {1024 * MI, 0}},
                                  .nhugepages = 2};
        const struct capacity c = {.machine = &m, .fs_bytes = 1000 * MI, .max_pods = 110};
        struct eviction_thresholds t = thresholds("memory.available<100Mi,nodefs.available<10%", NULL);
        struct node_reserved reserved;

        assert_int_equal(reserved_parse("cpu=500m,memory=200Mi,ephemeral-storage=50Mi,pid=100", &reserved, NULL), 0);
        {
                _cleanup_json_ struct json_object *all = capacity_all(&c),
                                                  *some = capacity_allocatable(&c, &reserved, &t),
                                                  *want_all = parsed("{'cpu':'2500m','ephemeral-storage':'1000Mi',"
                                                                     "'hugepages-2Mi':'100Mi','hugepages-1Gi':'0',"
                                                                     "'memory':'1000Mi','pods':'110'}"),
                                                  *want = parsed(
                                                          "{'cpu':'2','ephemeral-storage':'850Mi','hugepages-2Mi':"
                                                          "'100Mi','hugepages-1Gi':'0','memory':'600Mi','pods':"
                                                          "'110'}");

                assert_true(json_equal(all, want_all));
                assert_true(json_equal(some, want));
        }
        assert_int_equal(reserved_parse("cpu=9,memory=9Gi,ephemeral-storage=9Gi", &reserved, NULL), 0);
        {
                _cleanup_json_ struct json_object *none = capacity_allocatable(&c, &reserved, &t);

                assert_string_equal(json_get_str(none, "cpu"), "0");
                assert_string_equal(json_get_str(none, "memory"), "0");
        }
        assert_int_equal(reserved_parse("gpu=1", &reserved, NULL), -EINVAL);
        assert_int_equal(reserved_parse("cpu", &reserved, NULL), -EINVAL);
        assert_int_equal(reserved_parse("cpu=-1", &reserved, NULL), -EINVAL);
        assert_int_equal(reserved_parse("", &reserved, NULL), 0);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(the_defaults_are_upstreams),
                cmocka_unit_test(what_is_wrong_with_thresholds_is_said),
                cmocka_unit_test(a_threshold_stays_crossed_until_the_minimum_is_free_too),
                cmocka_unit_test(what_is_not_known_is_never_short),
                cmocka_unit_test(a_pressure_is_told_for_a_while_after_it_was_seen),
                cmocka_unit_test(who_takes_more_than_asked_goes_first),
                cmocka_unit_test(the_message_names_what_is_short_and_who_took_it),
                cmocka_unit_test(who_writes_more_than_he_may_goes),
                cmocka_unit_test(pods_may_have_what_is_not_kept),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
