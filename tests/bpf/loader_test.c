/* SPDX-License-Identifier: Apache-2.0 */
/* The loader on the real kernel: agents come, go, are killed, and change their minds, while traffic goes on. */
#include <arpa/inet.h>
#include <errno.h>
#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>
#include <cmocka.h>
#include <bpf/bpf.h>

#include "base/clock.h"
#include "base/random.h"
#include "bpf/abi/hash.h"
#include "bpf/host_agent.h"
#include "datapath/address.h"
#include "datapath/adopt.h"
#include "datapath/load.h"

/* ---- starting */

/* to_lo is not among them while sockets are served. */
#define LOADED (PROGRAM_COUNT - 1)

static void a_start_pins_maps_and_programs_and_attaches_nothing(void **state)
{
        struct datapath *dp = agent_start();
        const struct features *f = datapath_features(dp);

        assert_int_equal(host_count_pins("v1/maps/*"), MAP_COUNT);
        assert_int_equal(host_count_pins("v1/programs/*"), LOADED);
        assert_int_equal(host_count_pins("v1/links/*"), 0);
        assert_int_equal(host_programs_at_device(host_pod()) + host_programs_at_device(host_nic()), 0);
        assert_int_equal(host_programs_at_cgroup(host_cgroup), 0);
        assert_false(datapath_attached(dp, host_pod()));
        assert_in_range(f->hz, 24, 1200);
        assert_true(f->host_netns != 0);
        assert_non_null(datapath_flows(dp));
}

static void every_program_passes_the_verifier(void **state)
{
        struct datapath_opts opts = agent_options();

        opts.knobs.flags &= ~(uint32_t)KNOB_SOCK;
        agent_open(&opts);
        for (int i = 0; i < PROGRAM_COUNT; i++) {
                struct bpf_prog_info info = {0};
                uint32_t size = sizeof(info);
                char path[256];
                int fd;

                snprintf(path, sizeof(path), "%s/v1/programs/%s", host_pins, program_infos[i].name);
                fd = bpf_obj_get(path);
                assert_true(fd >= 0);
                assert_int_equal(bpf_obj_get_info_by_fd(fd, &info, &size), 0);
                close(fd);
                printf("# %-13s %7u instructions verified, %5u bytes of machine code\n", program_infos[i].name,
                       info.verified_insns, info.jited_prog_len);
        }
}

static void a_second_agent_is_refused(void **state)
{
        struct datapath_opts opts = agent_options();
        struct datapath *second = NULL;
        struct err err = ERR_NULL;

        agent_start();
        assert_int_equal(datapath_open(&opts, &second, &err), -EBUSY);
        assert_non_null(strstr(err.msg, "another fairlead-agent"));
        assert_int_equal(datapath_cleanup(host_pins, &err), -EBUSY);
        assert_int_equal(host_count_pins("v1/maps/*"), MAP_COUNT);
}

/* ---- agents that go */

/* Starts, attaches, and is gone by SIGKILL. */
static void live_and_be_killed(void)
{
        pid_t pid = fork();
        int status;

        if (pid == 0) {
                struct datapath *dp = agent_start();

                agent_attach(dp);
                raise(SIGKILL);
        }
        assert_true(pid > 0);
        assert_int_equal(waitpid(pid, &status, 0), pid);
        assert_true(WIFSIGNALED(status));
}

static void traffic_goes_on_without_an_agent_and_is_adopted(void **state)
{
        struct service_key key = {.port = htons(80), .proto = IPPROTO_TCP};
        struct service service = {.id = 42}, got;
        struct datapath *dp = agent_start();
        uint32_t sent = 0;

        assert_int_equal(map_update(datapath_maps(dp)->m[MAP_SERVICES], &key, &service), 0);
        agent_close(dp);
        for (int life = 0; life < 3; life++) {
                live_and_be_killed();
                sent += host_send(100);
        }
        dp = agent_start();
        assert_true(agent_holds(dp));
        assert_int_equal(host_counted(datapath_maps(dp), HOOK_FROM_POD), sent);
        assert_int_equal(map_lookup(datapath_maps(dp)->m[MAP_SERVICES], &key, &got), 0);
        assert_int_equal(got.id, 42);
        agent_close(dp);
}

static void no_frame_is_missed_while_programs_and_maps_are_replaced(void **state)
{
        struct datapath_opts opts = agent_options();
        struct datapath *dp = agent_open(&opts);
        uint32_t sent;

        agent_attach(dp);
        sender_start();
        for (int i = 0; i < 8; i++) {
                agent_close(dp);
                opts.sizes.services = 1000 + 500 * (i % 3);
                opts.sizes.slot_lines = 256 << i % 2;
                opts.knobs.flow_sets = 1024 << i % 3;
                dp = agent_open(&opts);
        }
        sent = sender_stop();
        assert_true(sent > 100);
        assert_int_equal(host_counted(datapath_maps(dp), HOOK_FROM_POD), sent);
        assert_int_equal(host_count_pins("v1/maps/*"), MAP_COUNT);
        agent_close(dp);
}

/* ---- sizes */

static uint32_t entries_of(struct datapath *dp, enum map_id id)
{
        return map_info(datapath_maps(dp)->m[id])->max_entries;
}

static void put_pair(struct datapath *dp)
{
        struct flow flows[2] = {
                {.key = {.src = address_of_v4(htonl(0x0af40105)), .sport = htons(999), .proto = IPPROTO_TCP}},
                {.key = {.dst = address_of_v4(htonl(0x0af40105)), .dport = htons(999), .proto = IPPROTO_TCP},
                 .flags = FLOW_REPLY},
        };
        uint32_t sets = entries_of(dp, MAP_FLOWS), at[2];

        for (int i = 0; i < 2; i++)
                at[i] = flow_set_of(tuple_hash(&flows[i].key), sets);
        for (int i = 0; i < 2; i++) {
                struct flow_set set;

                assert_int_equal(map_lookup(datapath_maps(dp)->m[MAP_FLOWS], &at[i], &set), 0);
                set.flow[i] = flows[i];
                set.flow[i].control = FLOW_CONTROL(1, FLOW_LIVE);
                set.flow[i].peer = at[!i] * FLOW_WAYS + !i;
                assert_int_equal(map_update(datapath_maps(dp)->m[MAP_FLOWS], &at[i], &set), 0);
        }
}

static uint32_t live_flows(struct datapath *dp)
{
        const struct flow_set *sets = datapath_flows(dp);
        uint32_t n = 0;

        for (uint32_t i = 0; i < entries_of(dp, MAP_FLOWS) * FLOW_WAYS; i++)
                n += FLOW_STATUS(sets[i / FLOW_WAYS].flow[i % FLOW_WAYS].control) == FLOW_LIVE;
        return n;
}

static void put_entries(struct datapath *dp)
{
        struct maps *maps = datapath_maps(dp);
        struct route_key net = {.prefixlen = 120, .addr = address_of_v4(htonl(0x0af40100))}, host = net;

        for (uint32_t i = 1; i <= 300; i++) {
                struct service_key key = {.port = htons((uint16_t)i)};
                struct service service = {.id = i, .in = {i * SLOT_LINE / 2, 8}};
                struct backend backend = {.service = i, .generation = 1000 + i};

                assert_int_equal(map_update(maps->m[MAP_SERVICES], &key, &service), 0);
                assert_int_equal(map_update(maps->m[MAP_BACKENDS], &i, &backend), 0);
        }
        /* one route inside of another: a trie is asked for both */
        host.prefixlen = 128;
        assert_int_equal(map_update(maps->m[MAP_ROUTES], &net, &(struct route){.type = ROUTE_BLACKHOLE}), 0);
        assert_int_equal(map_update(maps->m[MAP_ROUTES], &host, &(struct route){.type = ROUTE_POD}), 0);
        put_pair(dp);
}

static void check_entries(struct datapath *dp)
{
        struct maps *maps = datapath_maps(dp);
        struct route_key pod = {.prefixlen = 128, .addr = address_of_v4(htonl(0x0af40100))}, other = pod;
        struct route route;

        for (uint32_t i = 1; i <= 300; i++) {
                struct service_key key = {.port = htons((uint16_t)i)};
                struct service service;
                struct backend backend;

                assert_int_equal(map_lookup(maps->m[MAP_SERVICES], &key, &service), 0);
                assert_int_equal(service.id, i);
                assert_int_equal(map_lookup(maps->m[MAP_BACKENDS], &i, &backend), 0);
                assert_int_equal(backend.generation, 1000 + i);
        }
        assert_int_equal(map_lookup(maps->m[MAP_ROUTES], &pod, &route), 0);
        assert_int_equal(route.type, ROUTE_POD);
        other.addr = address_of_v4(htonl(0x0af40177));
        assert_int_equal(map_lookup(maps->m[MAP_ROUTES], &other, &route), 0);
        assert_int_equal(route.type, ROUTE_BLACKHOLE);
        assert_int_equal(live_flows(dp), 2);
}

static void maps_of_another_size_keep_their_entries(void **state)
{
        struct datapath_opts opts = agent_options();
        struct datapath *dp = agent_open(&opts);

        put_entries(dp);
        agent_close(dp);
        opts.sizes = (struct datapath_sizes){.services = 5000,
                                             .backends = 4000,
                                             .slot_lines = 300,
                                             .routes = 1000,
                                             .ranges = 5,
                                             .affinity = 10,
                                             .fragments = 10,
                                             .sock_replies = 10};
        opts.knobs.flow_sets = 4096;
        for (int i = 0; i < 2; i++) {
                dp = agent_open(&opts);
                assert_int_equal(entries_of(dp, MAP_SERVICES), opts.sizes.services);
                assert_int_equal(entries_of(dp, MAP_BACKENDS), opts.sizes.backends);
                assert_int_equal(entries_of(dp, MAP_SLOTS), opts.sizes.slot_lines);
                assert_int_equal(entries_of(dp, MAP_FLOWS), opts.knobs.flow_sets);
                check_entries(dp);
                agent_close(dp);
                opts.sizes.services = 301;
                opts.sizes.backends = 301;
                opts.sizes.slot_lines = 160;
                opts.knobs.flow_sets = 256;
        }
        assert_int_equal(host_count_pins("v1/maps/*"), MAP_COUNT);
}

static void a_map_does_not_shrink_below_what_it_holds(void **state)
{
        struct datapath_opts opts = agent_options();
        struct datapath *dp = agent_open(&opts);

        put_entries(dp);
        agent_close(dp);
        opts.sizes.services = 299;
        opts.sizes.backends = 300; /* the last id is 300: 301 elements */
        opts.sizes.slot_lines = 150;
        dp = agent_open(&opts);
        assert_int_equal(entries_of(dp, MAP_SERVICES), 1000);
        assert_int_equal(entries_of(dp, MAP_BACKENDS), 1000);
        assert_int_equal(entries_of(dp, MAP_SLOTS), 256);
        check_entries(dp);
        agent_close(dp);
}

/* What the old programs write until they are replaced: key i to the old map, for as long as from_pod is the old one. */
struct writer {
        pthread_t thread;
        int map, link;
        uint32_t program;
        uint32_t certain; /* keys below were there before the program was replaced */
};

static uint32_t program_of(int link)
{
        struct bpf_link_info info = {0};
        uint32_t size = sizeof(info);

        return bpf_obj_get_info_by_fd(link, &info, &size) ? 0 : info.prog_id;
}

static void *write_until_replaced(void *userdata)
{
        struct writer *w = userdata;
        struct service service = {0};

        for (uint32_t i = 0; i < 400000; i++) {
                struct service_key key = {.addr.w = {htonl(i)}, .port = 1};

                service.id = i + 1;
                if (bpf_map_update_elem(w->map, &key, &service, BPF_ANY) || program_of(w->link) != w->program)
                        break;
                w->certain = i + 1;
        }
        return NULL;
}

static void what_old_programs_write_until_they_are_replaced_is_kept(void **state)
{
        struct datapath_opts opts = agent_options();
        struct writer w = {0};
        struct datapath *dp;
        char path[256];

        opts.sizes.services = 500000;
        dp = agent_open(&opts);
        agent_attach(dp);
        snprintf(path, sizeof(path), "%s/v1/links/from_pod_10", host_pins);
        w.link = bpf_obj_get(path);
        w.program = program_of(w.link);
        w.map = dup(map_fd(datapath_maps(dp)->m[MAP_SERVICES]));
        agent_close(dp);
        assert_int_equal(pthread_create(&w.thread, NULL, write_until_replaced, &w), 0);
        opts.sizes.services = 600000;
        dp = agent_open(&opts);
        pthread_join(w.thread, NULL);
        close(w.link);
        close(w.map);
        assert_true(w.certain > 0);
        for (uint32_t i = 0; i < w.certain; i++) {
                struct service_key key = {.addr.w = {htonl(i)}, .port = 1};
                struct service got;

                assert_int_equal(map_lookup(datapath_maps(dp)->m[MAP_SERVICES], &key, &got), 0);
                assert_int_equal(got.id, i + 1);
        }
        agent_close(dp);
}

/* ---- killed on the way */

/* As an agent does that is killed when its new maps are pinned and no program uses them yet. */
static void begin_to_change_sizes(const struct datapath_opts *opts)
{
        struct loader loader = LOADER_NULL;
        struct program programs[PROGRAM_COUNT];
        uint32_t sizes[MAP_COUNT] = {0}, entries[MAP_COUNT];
        struct adopter ad;
        int fds[MAP_COUNT];

        sizes[MAP_SERVICES] = opts->sizes.services;
        assert_int_equal(loader_open(&loader, 1U << OBJECT_pod, NULL), 0);
        assert_int_equal(adopter_plan(&ad, host_pins, MAPS_VERSION, &migrate_converters, &loader, sizes, NULL), 0);
        for (int id = 0; id < MAP_COUNT; id++) {
                fds[id] = ad.maps[id].fd;
                entries[id] = ad.maps[id].max_entries;
        }
        assert_int_equal(loader_load(&loader, &opts->knobs, fds, entries, programs, NULL), 0);
        for (int id = 0; id < MAP_COUNT; id++)
                ad.maps[id].fd = fds[id];
        assert_int_equal(adopter_fill(&ad, NULL), 0);
        assert_int_equal(adopter_pin(&ad, NULL), 0);
        adopter_deinit(&ad);
        loader_close(&loader);
        for (int i = 0; i < PROGRAM_COUNT; i++)
                if (programs[i].fd >= 0)
                        close(programs[i].fd);
}

static void put_pinned_service(const char *name, uint16_t port)
{
        struct service_key key = {.port = htons(port)};
        struct service service = {.id = port};
        char path[256];
        int fd;

        snprintf(path, sizeof(path), "%s/v1/maps/%s", host_pins, name);
        fd = bpf_obj_get(path);
        assert_true(fd >= 0);
        assert_int_equal(bpf_map_update_elem(fd, &key, &service, BPF_ANY), 0);
        close(fd);
}

static void a_change_of_size_that_was_cut_short_is_finished(void **state)
{
        static const uint32_t then[] = {2000, 1000, 3000}; /* the new size, back to the old one, a third one */

        for (size_t i = 0; i < ARRAY_SIZE(then); i++) {
                struct datapath_opts opts = agent_options();
                struct datapath *dp = agent_open(&opts);
                struct service_key keys[] = {{.port = htons(1001)}, {.port = htons(1002)}, {.port = htons(300)}};
                struct service got;

                put_entries(dp);
                agent_close(dp);
                opts.sizes.services = 2000;
                begin_to_change_sizes(&opts);
                assert_int_equal(host_count_pins("v1/maps/services_new"), 1);
                put_pinned_service("services_new", 1001); /* by programs that had changed over */
                put_pinned_service("services", 1002);     /* by those that had not */
                opts.sizes.services = then[i];
                dp = agent_open(&opts);
                assert_int_equal(entries_of(dp, MAP_SERVICES), then[i]);
                for (size_t k = 0; k < ARRAY_SIZE(keys); k++) {
                        assert_int_equal(map_lookup(datapath_maps(dp)->m[MAP_SERVICES], &keys[k], &got), 0);
                        assert_int_equal(got.id, ntohs(keys[k].port));
                }
                assert_int_equal(host_count_pins("v1/maps/*"), MAP_COUNT);
                agent_close(dp);
                agent_clean(state);
        }
}

/* An agent that wants other sizes and is killed after that long, wherever it is then. */
static void start_and_kill_after(const struct datapath_opts *opts, uint32_t us)
{
        pid_t pid = fork();

        if (pid == 0) {
                struct datapath *dp = agent_open(opts);

                agent_attach(dp);
                pause();
        }
        assert_true(pid > 0);
        usleep(us);
        kill(pid, SIGKILL);
        assert_int_equal(waitpid(pid, NULL, 0), pid);
}

static void an_agent_killed_at_any_moment_leaves_enough_for_the_next(void **state)
{
        struct datapath_opts opts = agent_options();
        uint64_t begin = clock_mono_ns();
        struct datapath *dp = agent_open(&opts);
        uint32_t sent, us = (uint32_t)((clock_mono_ns() - begin) / NS_PER_US);

        agent_attach(dp);
        put_entries(dp);
        agent_close(dp);
        sender_start();
        for (uint32_t i = 0; i < 30; i++) {
                opts.sizes.services = 1000 + 100 * (i % 5);
                opts.sizes.backends = 1000 + 100 * (i % 3);
                opts.knobs.flow_sets = 512 << i % 4;
                start_and_kill_after(&opts, (uint32_t)random_below(2 * us));
        }
        sent = sender_stop();
        dp = agent_open(&opts);
        check_entries(dp);
        assert_true(agent_holds(dp));
        assert_int_equal(host_counted(datapath_maps(dp), HOOK_FROM_POD), sent);
        assert_int_equal(entries_of(dp, MAP_SERVICES), opts.sizes.services);
        assert_int_equal(host_count_pins("v1/maps/*"), MAP_COUNT);
        agent_attach(dp);
        assert_int_equal(host_count_pins("v1/links/*"), host_device_pins() + SOCK_PROGRAMS);
        assert_int_equal(host_count_pins("v1/programs/*"), LOADED);
        assert_int_equal(host_count_pins(OWN_PINS), 1);
        agent_close(dp);
}

/* ---- versions */

static void another_versions_links_and_maps_are_taken_over(void **state)
{
        struct datapath *dp = agent_start();
        uint32_t sent;

        agent_attach(dp);
        put_entries(dp);
        agent_close(dp);
        assert_int_equal(host_run("mv %s/v1 %s/v0", host_pins, host_pins), 0);
        sender_start();
        dp = agent_start();
        sent = sender_stop();
        assert_true(agent_holds(dp));
        check_entries(dp);
        assert_int_equal(host_count_pins("v0"), 0);
        assert_int_equal(host_count_pins("v1/maps/*"), MAP_COUNT);
        assert_int_equal(host_count_pins("v1/links/*"), host_device_pins() + SOCK_PROGRAMS);
        assert_int_equal(host_programs_at_device(host_pod()), 2);
        sent += host_send(10);
        /* every frame went through a program; those counted between the copy and the change stayed with v0 */
        assert_in_range(host_counted(datapath_maps(dp), HOOK_FROM_POD), 10, sent);
        agent_close(dp);
}

#define test(name) cmocka_unit_test_teardown(name, agent_clean)

int main(void)
{
        const struct CMUnitTest tests[] = {
                test(a_start_pins_maps_and_programs_and_attaches_nothing),
                test(every_program_passes_the_verifier),
                test(a_second_agent_is_refused),
                test(traffic_goes_on_without_an_agent_and_is_adopted),
                test(no_frame_is_missed_while_programs_and_maps_are_replaced),
                test(maps_of_another_size_keep_their_entries),
                test(a_map_does_not_shrink_below_what_it_holds),
                test(what_old_programs_write_until_they_are_replaced_is_kept),
                test(a_change_of_size_that_was_cut_short_is_finished),
                test(an_agent_killed_at_any_moment_leaves_enough_for_the_next),
                test(another_versions_links_and_maps_are_taken_over),
        };
        int r;

        host_enter();
        r = cmocka_run_group_tests(tests, NULL, NULL);
        host_leave();
        return r;
}
