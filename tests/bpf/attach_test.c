/* SPDX-License-Identifier: Apache-2.0 */
/* Programs at their places on the real kernel: put there, taken away by others, changed over, removed. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>
#include <cmocka.h>
#include <bpf/bpf.h>

#include "bpf/host_agent.h"
#include "datapath/clsact.h"

/* ---- attaching */

#define LO 1 /* in every network namespace */

static void attaching_twice_changes_nothing(void **state)
{
        struct datapath *dp = agent_start();

        agent_attach(dp);
        assert_int_equal(host_programs_at_device(host_pod()), 2);
        assert_int_equal(host_programs_at_device(host_nic()), 3);
        assert_int_equal(host_programs_at_cgroup(host_cgroup), SOCK_PROGRAMS);
        agent_attach(dp);
        assert_true(agent_holds(dp));
        assert_int_equal(host_programs_at_device(host_pod()), 2);
        assert_int_equal(host_programs_at_device(host_nic()), 3);
        assert_int_equal(host_programs_at_cgroup(host_cgroup), SOCK_PROGRAMS);
        assert_int_equal(host_count_pins("v1/links/*"), host_device_pins() + SOCK_PROGRAMS);
}

static void bind_is_protected_only_when_it_is_configured(void **state)
{
        struct datapath_opts opts = agent_options();
        struct datapath *dp;

        opts.knobs.flags |= KNOB_BIND_PROTECT;
        dp = agent_open(&opts);
        agent_attach(dp);
        assert_int_equal(host_programs_at_cgroup(host_cgroup), SOCK_PROGRAMS + 2);
        agent_close(dp);
        dp = agent_start();
        agent_attach(dp);
        assert_int_equal(host_programs_at_cgroup(host_cgroup), SOCK_PROGRAMS);
        assert_int_equal(datapath_detach_sock(dp), 0);
        assert_int_equal(host_programs_at_cgroup(host_cgroup), 0);
        agent_close(dp);
}

static void another_cgroup_gets_the_programs_of_the_first(void **state)
{
        struct datapath_opts opts = agent_options();
        struct datapath *dp = agent_open(&opts);
        struct err err = ERR_NULL;

        assert_int_equal(datapath_attach_sock(dp, &err), 0);
        agent_close(dp);
        opts.cgroup_root = host_cgroup2;
        dp = agent_open(&opts);
        assert_int_equal(datapath_attach_sock(dp, &err), 0);
        agent_close(dp);
        assert_int_equal(host_programs_at_cgroup(host_cgroup), 0);
        assert_int_equal(host_programs_at_cgroup(host_cgroup2), SOCK_PROGRAMS);
}

static void what_is_no_cgroup_is_named(void **state)
{
        struct datapath_opts opts = agent_options();
        struct datapath *dp = NULL;
        struct err err = ERR_NULL;

        opts.cgroup_root = host_folder;
        dp = agent_open(&opts);
        assert_true(datapath_attach_sock(dp, &err) < 0);
        assert_non_null(strstr(err.msg, host_folder));
        assert_true(datapath_attach_pod(dp, 999, &err) < 0);
        assert_non_null(strstr(err.msg, "999"));
}

/* ---- what others do */

static void unlink_pin(const char *name)
{
        char path[256];

        snprintf(path, sizeof(path), "%s/v1/links/%s", host_pins, name);
        assert_int_equal(unlink(path), 0);
}

static void cut_link(const char *name)
{
        char path[256];
        int fd;

        snprintf(path, sizeof(path), "%s/v1/links/%s", host_pins, name);
        fd = bpf_obj_get(path);
        assert_true(fd >= 0);
        assert_int_equal(bpf_link_detach(fd), 0);
        close(fd);
}

static void take_from_device(const char *link, const char *place)
{
        if (host_has_tcx())
                cut_link(link);
        else
                assert_int_equal(host_run("tc filter del dev %s", place), 0);
}

static void what_somebody_takes_away_is_noticed_and_put_back(void **state)
{
        struct datapath *dp = agent_start();
        uint32_t sent;

        agent_attach(dp);
        for (int what = 0; what < 6; what++) {
                switch (what) {
                case 0:
                        unlink_pin(host_has_tcx() ? "from_pod_10" : "from_pod_10_clsact");
                        break;
                case 1:
                        take_from_device("from_pod_10", "pod0 ingress");
                        break;
                case 2:
                        take_from_device("to_uplink_20", "nic0 egress");
                        break;
                case 3:
                        cut_link("edge_20");
                        break;
                case 4:
                        unlink_pin("edge_20");
                        break;
                default:
                        host_new_devices(); /* other devices with the same indices */
                }
                assert_false(agent_holds(dp));
                agent_attach(dp);
                assert_true(agent_holds(dp));
                assert_int_equal(host_programs_at_device(host_pod()), 2);
                assert_int_equal(host_programs_at_device(host_nic()), 3);
        }
        cut_link("connect4_cgroup");
        unlink_pin("recvmsg6_cgroup");
        agent_attach(dp);
        assert_int_equal(host_programs_at_cgroup(host_cgroup), SOCK_PROGRAMS);
        assert_int_equal(host_count_pins("v1/links/*"), host_device_pins() + SOCK_PROGRAMS);
        sent = host_send(50);
        assert_int_equal(host_counted(datapath_maps(dp), HOOK_FROM_POD), sent);
}

static void a_dead_devices_pins_go_at_the_next_start(void **state)
{
        struct datapath *dp = agent_start();

        agent_attach(dp);
        agent_close(dp);
        host_new_devices();
        dp = agent_start();
        /* whose the qdiscs were is known until the devices are not wanted any more */
        assert_int_equal(host_count_pins("v1/links/*"), SOCK_PROGRAMS + (host_has_tcx() ? 0 : 2));
        assert_false(datapath_attached(dp, host_pod()));
        agent_close(dp);
}

static bool keep_pod(void *userdata, uint32_t ifindex)
{
        return ifindex == host_pod();
}

static void devices_that_are_not_wanted_are_detached(void **state)
{
        struct datapath *dp = agent_start();

        agent_attach(dp);
        agent_close(dp);
        dp = agent_start();
        datapath_prune(dp, keep_pod, NULL);
        assert_int_equal(host_programs_at_device(host_nic()), 0);
        assert_int_equal(host_programs_at_device(host_pod()), 2);
        datapath_detach(dp, host_pod());
        datapath_detach(dp, host_pod());
        assert_int_equal(host_programs_at_device(host_pod()), 0);
        assert_int_equal(host_count_pins("v1/links/*"), SOCK_PROGRAMS);
        agent_close(dp);
}

static void without_xdp_its_program_is_detached(void **state)
{
        struct datapath_opts opts = agent_options();
        struct datapath *dp = agent_open(&opts);
        enum attach_mode tc, xdp;
        struct err err = ERR_NULL;

        agent_attach(dp);
        agent_close(dp);
        opts.no_xdp = true;
        dp = agent_open(&opts);
        assert_int_equal(datapath_attach_uplink(dp, host_nic(), &tc, &xdp, &err), 0);
        assert_int_equal(xdp, ATTACH_NONE);
        assert_int_equal(host_programs_at_device(host_nic()), 2);
        assert_true(datapath_attached(dp, host_nic()));
        agent_close(dp);
}

/* ---- clsact */

static bool has_qdisc(void)
{
        return host_run("tc qdisc show dev pod0 | grep -q clsact") == 0;
}

static void filters_serve_where_tcx_is_not_wanted(void **state)
{
        struct datapath_opts opts = agent_options();
        struct datapath *dp;
        uint32_t sent = 0;

        opts.no_tcx = true;
        dp = agent_open(&opts);
        agent_attach(dp);
        assert_int_equal(host_tcx_at_device(host_pod()), 0);
        assert_true(clsact_present(host_pod(), false) && clsact_present(host_pod(), true));
        sent += host_send(50);
        assert_int_equal(host_run("tc filter del dev pod0 ingress"), 0);
        assert_false(datapath_attached(dp, host_pod()));
        agent_attach(dp);
        sent += host_send(50);
        assert_int_equal(host_run("tc qdisc del dev pod0 clsact"), 0);
        assert_false(datapath_attached(dp, host_pod()));
        agent_attach(dp);
        sent += host_send(50);
        agent_close(dp);
        dp = agent_open(&opts);
        assert_true(agent_holds(dp));
        sent += host_send(50);
        assert_int_equal(host_counted(datapath_maps(dp), HOOK_FROM_POD), sent);
        datapath_detach(dp, host_pod());
        assert_false(has_qdisc());
        agent_close(dp);
}

static void filters_and_links_change_over_without_a_gap(void **state)
{
        struct datapath_opts opts = agent_options();
        struct datapath *dp;
        uint32_t sent;

        if (!host_has_tcx())
                skip(); /* there is nothing to change over to */
        dp = agent_open(&opts);
        agent_attach(dp);
        sender_start();
        for (int i = 0; i < 6; i++) {
                agent_close(dp);
                opts.no_tcx = i % 2 == 0;
                dp = agent_open(&opts);
                agent_attach(dp);
                assert_true(agent_holds(dp));
                assert_int_equal(host_tcx_at_device(host_pod()), opts.no_tcx ? 0 : 2);
                assert_int_equal(clsact_present(host_pod(), false), opts.no_tcx);
        }
        sent = sender_stop();
        /* a frame that both let pass is counted by both */
        assert_true(host_counted(datapath_maps(dp), HOOK_FROM_POD) >= sent);
        agent_close(dp);
}

static void filters_of_others_are_left_alone(void **state)
{
        struct datapath_opts opts = agent_options();
        struct datapath *dp;
        struct err err = ERR_NULL;

        opts.no_tcx = true;
        dp = agent_open(&opts);
        agent_attach(dp);
        assert_int_equal(
                host_run("tc filter add dev pod0 ingress prio 7 bpf da pinned %s/v1/programs/from_pod", host_pins), 0);
        agent_attach(dp);
        agent_close(dp);
        assert_int_equal(datapath_cleanup(host_pins, &err), 0);
        assert_false(clsact_present(host_pod(), false) || clsact_present(host_pod(), true));
        assert_int_equal(host_run("tc filter show dev pod0 ingress | grep -q 'pref 7 bpf'"), 0);
}

/* ---- leaving */

static void cleanup_leaves_nothing(void **state)
{
        for (int tcx = 0; tcx < 2; tcx++) {
                struct datapath_opts opts = agent_options();
                struct datapath *dp;
                struct err err = ERR_NULL;

                opts.no_tcx = !tcx;
                dp = agent_open(&opts);
                agent_attach(dp);
                agent_close(dp);
                assert_int_equal(datapath_cleanup(host_pins, &err), 0);
                assert_int_equal(access(host_pins, F_OK), -1);
                assert_int_equal(host_run("grep -q '%s ' /proc/self/mountinfo", host_pins) == 0, false);
                usleep(50000); /* links whose last holder was a pin end in the background */
                assert_int_equal(host_programs_at_device(host_pod()) + host_programs_at_device(host_nic()), 0);
                assert_int_equal(host_programs_at_cgroup(host_cgroup), 0);
                assert_false(has_qdisc());
                assert_int_equal(datapath_cleanup(host_pins, &err), 0);
        }
}

/* Another program's test may attach something right now: then it is on for less than a millisecond. */
static bool is_expedited(void)
{
        for (int i = 0; i < 50; i++) {
                if (host_run("grep -q 0 /sys/kernel/rcu_expedited") == 0)
                        return false;
                usleep(10000);
        }
        return true;
}

static void los_program_is_there_only_while_sockets_are_not_served(void **state)
{
        struct datapath_opts opts = agent_options();
        struct datapath *dp;

        opts.knobs.flags &= ~(uint32_t)KNOB_SOCK;
        dp = agent_open(&opts);
        assert_false(datapath_serves_sockets(dp));
        assert_int_equal(datapath_attach_lo(dp, LO, NULL), 0);
        assert_true(datapath_attached(dp, LO));
        assert_int_equal(host_programs_at_device(LO), 1);
        agent_close(dp);
        dp = agent_start();
        assert_true(datapath_serves_sockets(dp));
        assert_int_equal(host_programs_at_device(LO), 0);
        assert_int_equal(datapath_attach_lo(dp, LO, NULL), -EOPNOTSUPP);
        assert_int_equal(host_count_pins("v1/links/*"), host_has_tcx() ? 0 : 1); /* whose lo's qdisc was */
        agent_close(dp);
}

static void expedited_grace_periods_are_switched_back(void **state)
{
        struct datapath *dp = agent_start();
        char path[256];

        agent_attach(dp);
        assert_false(is_expedited());
        /* as one would leave it that was killed while it attached */
        snprintf(path, sizeof(path), "%s/expedited", host_pins);
        assert_int_equal(bpf_obj_pin(map_fd(datapath_maps(dp)->m[MAP_NODE]), path), 0);
        agent_close(dp);
        assert_int_equal(host_run("echo 1 > /sys/kernel/rcu_expedited"), 0);
        dp = agent_start();
        assert_false(is_expedited());
        assert_int_equal(host_count_pins(OWN_PINS), 1);
        agent_close(dp);
}

#define test(name) cmocka_unit_test_teardown(name, agent_clean)

int main(void)
{
        const struct CMUnitTest tests[] = {
                test(bind_is_protected_only_when_it_is_configured),
                test(another_cgroup_gets_the_programs_of_the_first),
                test(what_is_no_cgroup_is_named),
                test(attaching_twice_changes_nothing),
                test(what_somebody_takes_away_is_noticed_and_put_back),
                test(a_dead_devices_pins_go_at_the_next_start),
                test(devices_that_are_not_wanted_are_detached),
                test(without_xdp_its_program_is_detached),
                test(filters_serve_where_tcx_is_not_wanted),
                test(filters_and_links_change_over_without_a_gap),
                test(filters_of_others_are_left_alone),
                test(cleanup_leaves_nothing),
                test(los_program_is_there_only_while_sockets_are_not_served),
                test(expedited_grace_periods_are_switched_back),
        };
        int r;

        host_enter();
        r = cmocka_run_group_tests(tests, NULL, NULL);
        host_leave();
        return r;
}
