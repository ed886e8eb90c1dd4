/* SPDX-License-Identifier: Apache-2.0 */
/* A node that runs out of things, by played figures. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "agent/kubelet/node/evictor.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/str.h"
#include "base/strbuf.h"

#define PODS 3

struct world {
        struct eviction_thresholds thresholds;
        struct evictor *evictor;
        struct eviction_view view;
        struct evictor_pod pods[PODS];
        struct evictor_pod left[PODS];
        uint64_t usage[PODS];
        bool evicted[PODS], gone[PODS], ready;
        uint64_t reclaimable, deleting; /* deleting: reclaimed, and still on the disk */
        bool deletes_slowly;
        const char *writes_too_much;
        struct strbuf log;
};

static int index_of(const struct world *w, const char *uid)
{
        for (int i = 0; i < PODS; i++)
                if (str_eq(w->pods[i].uid, uid))
                        return i;
        fail_msg("no pod %s", uid);
        return 0;
}

static void look(void *userdata, struct eviction_view *ret)
{
        *ret = ((struct world *)userdata)->view;
}

static void list(void *userdata, struct evictor_pods *ret)
{
        struct world *w = userdata;
        size_t n = 0;

        for (size_t i = 0; i < PODS; i++)
                if (!w->evicted[i])
                        w->left[n++] = w->pods[i];
        *ret = (struct evictor_pods){w->left, n};
}

static uint64_t usage(void *userdata, enum eviction_signal s, const struct evictor_pod *pod,
                      struct eviction_container *ret, size_t max, size_t *ret_n)
{
        struct world *w = userdata;

        *ret_n = 1;
        ret[0] = (struct eviction_container){.name = "c", .usage = w->usage[index_of(w, pod->uid)]};
        return ret[0].usage;
}

static bool usage_ready(void *userdata, enum eviction_signal s)
{
        struct world *w = userdata;

        if (!w->ready)
                strbuf_printf(&w->log, "count;");
        return w->ready;
}

static bool exceeds(void *userdata, const struct evictor_pod *pod, struct strbuf *ret)
{
        struct world *w = userdata;

        if (!str_eq(w->writes_too_much, pod->uid))
                return false;
        strbuf_printf(ret, "too much");
        return true;
}

static bool reclaim(void *userdata, enum eviction_signal s, uint64_t bytes)
{
        struct world *w = userdata;
        uint64_t freed = MIN(bytes, w->reclaimable);

        strbuf_printf(&w->log, "reclaim %llu;", (unsigned long long)bytes);
        w->reclaimable -= freed;
        if (w->deletes_slowly)
                w->deleting += freed;
        else
                w->view.available[s] += freed;
        return freed > 0;
}

static void evict(void *userdata, const struct evictor_pod *pod, const char *message, int64_t grace_s)
{
        struct world *w = userdata;

        w->evicted[index_of(w, pod->uid)] = true;
        strbuf_printf(&w->log, "evict %s;", pod->uid);
        assert_non_null(
                strstr(message, str_eq(w->writes_too_much, pod->uid) ? "too much" : "The node was low on resource"));
}

static bool is_gone(void *userdata, const char *uid)
{
        struct world *w = userdata;

        return w->gone[index_of(w, uid)];
}

static void short_of(void *userdata, const char *resource)
{
        strbuf_printf(&((struct world *)userdata)->log, "short of %s;", resource);
}

static void pressure(void *userdata, const bool p[NODE_READY])
{
        strbuf_printf(&((struct world *)userdata)->log, "pressure %d%d%d;", p[0], p[1], p[2]);
}

static const struct evictor_hooks hooks = {look,    list,  usage,   usage_ready, exceeds,
                                           reclaim, evict, is_gone, short_of,    pressure};

static int setup(void **state)
{
        static const char *const uids[PODS] = {"a", "b", "c"};
        struct world *w = mem_new(struct world);
        const struct evictor_opts opts = {
                .hooks = &hooks, .userdata = w, .thresholds = &w->thresholds, .transition_ms = 300000};

        log_set_level(LOG_LEVEL_ERROR);
        assert_int_equal(thresholds_parse("memory.available<100,nodefs.available<100,pid.available<100", NULL,
                                          &w->thresholds, NULL),
                         0);
        for (size_t i = 0; i < PODS; i++) {
                struct json_object *pod = json_object_new_object();

                json_set_i64(json_ensure(pod, "spec"), "priority", (int64_t)i * 10);
                w->pods[i] = (struct evictor_pod){.uid = uids[i], .pod = pod};
                w->usage[i] = 10;
        }
        for (size_t i = 0; i < EVICTION_SIGNALS; i++)
                w->view.available[i] = w->view.capacity[i] = 1000;
        w->ready = true;
        *state = w;
        return evictor_new(&opts, &w->evictor);
}

static int teardown(void **state)
{
        struct world *w = *state;

        evictor_free(w->evictor);
        for (size_t i = 0; i < PODS; i++)
                json_object_put((struct json_object *)w->pods[i].pod);
        strbuf_deinit(&w->log);
        free(w);
        return 0;
}

static void expect(struct world *w, uint64_t now_ms, const char *want)
{
        evictor_look(w->evictor, now_ms);
        assert_string_equal(w->log.data ? w->log.data : "", want);
        strbuf_deinit(&w->log);
}

static void pods_go_one_at_a_time(void **state)
{
        struct world *w = *state;
        struct evictor_stats stats;

        expect(w, 1000, "");
        w->view.available[EVICT_MEMORY] = 50;
        w->usage[1] = 500; /* priority comes before usage */
        expect(w, 2000, "pressure 100;short of memory;evict a;");
        expect(w, 3000, "");
        w->gone[0] = true;
        w->view.available[EVICT_MEMORY] = 99;
        expect(w, 4000, "evict b;");
        w->gone[1] = true;
        w->view.available[EVICT_MEMORY] = 599;
        expect(w, 5000, "");
        expect(w, 303999, "");
        expect(w, 304001, "pressure 000;");
        evictor_stats(w->evictor, &stats);
        assert_int_equal(stats.evictions[EVICT_MEMORY], 2);
}

static void one_that_does_not_go_is_not_waited_for_for_ever(void **state)
{
        struct world *w = *state;

        w->view.available[EVICT_MEMORY] = 50;
        expect(w, 1000, "pressure 100;short of memory;evict a;");
        expect(w, 30999, "");
        expect(w, 31000, "evict b;");
}

static void what_nobody_needs_goes_before_pods(void **state)
{
        struct world *w = *state;

        w->view.available[EVICT_NODEFS] = 40;
        w->reclaimable = 70;
        expect(w, 1000, "pressure 010;short of ephemeral-storage;reclaim 60;");
        expect(w, 2000, "");
        w->view.available[EVICT_NODEFS] = 40;
        w->ready = false;
        expect(w, 11000, "short of ephemeral-storage;count;"); /* not long ago it was tried */
        w->ready = true;
        expect(w, 12000, "evict a;");
        w->gone[0] = true;
        expect(w, 40000, "reclaim 60;");
}

static void nobody_goes_for_what_is_being_deleted(void **state)
{
        struct world *w = *state;

        w->view.available[EVICT_NODEFS] = 40;
        w->reclaimable = 70;
        w->deletes_slowly = true;
        expect(w, 1000, "pressure 010;short of ephemeral-storage;reclaim 60;");
        expect(w, 2000, "");
        expect(w, 10999, "");
        w->view.available[EVICT_NODEFS] += w->deleting;
        expect(w, 11000, "");
        expect(w, 100000, "");
}

static void memory_and_processes_do_not_wait_for_disks(void **state)
{
        struct world *w = *state;

        w->view.available[EVICT_NODEFS] = 40;
        w->reclaimable = 70;
        w->deletes_slowly = true;
        expect(w, 1000, "pressure 010;short of ephemeral-storage;reclaim 60;");
        w->view.available[EVICT_PID] = 50;
        expect(w, 2000, "pressure 011;short of pids;evict a;");
        w->gone[0] = true;
        w->view.available[EVICT_PID] = 1000;
        w->view.available[EVICT_MEMORY] = 50;
        expect(w, 3000, "pressure 111;short of memory;evict b;");
}

static void a_node_without_pods_to_evict_waits(void **state)
{
        struct world *w = *state;

        for (size_t i = 0; i < PODS; i++)
                w->evicted[i] = true;
        w->view.available[EVICT_MEMORY] = 0;
        expect(w, 1000, "pressure 100;short of memory;");
        expect(w, 2000, "");
}

static void who_writes_too_much_goes_without_any_pressure(void **state)
{
        struct world *w = *state;

        w->writes_too_much = "c";
        expect(w, 1000, "evict c;");
        expect(w, 2000, "");
        w->gone[2] = true;
        expect(w, 3000, "");
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test_setup_teardown(pods_go_one_at_a_time, setup, teardown),
                cmocka_unit_test_setup_teardown(one_that_does_not_go_is_not_waited_for_for_ever, setup, teardown),
                cmocka_unit_test_setup_teardown(what_nobody_needs_goes_before_pods, setup, teardown),
                cmocka_unit_test_setup_teardown(nobody_goes_for_what_is_being_deleted, setup, teardown),
                cmocka_unit_test_setup_teardown(memory_and_processes_do_not_wait_for_disks, setup, teardown),
                cmocka_unit_test_setup_teardown(a_node_without_pods_to_evict_waits, setup, teardown),
                cmocka_unit_test_setup_teardown(who_writes_too_much_goes_without_any_pressure, setup, teardown),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
