/* SPDX-License-Identifier: Apache-2.0 */
#include "bpf/host_agent.h"

#include <errno.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <cmocka.h>

/* What a test that fails, and so jumps out of itself, leaves to its teardown. */
static struct datapath *running;
static struct {
        pthread_t thread;
        volatile bool going;
} sender;

struct datapath_opts agent_options(void)
{
        return (struct datapath_opts){
                .pin_root = host_pins,
                .cgroup_root = host_cgroup,
                .knobs = {.flags = KNOB_SOCK, .flow_sets = 1024, .timeouts = {60, 8000, 10, 30, 120, 30}},
                /* small, so that a start is quick */
                .sizes = {.services = 1000,
                          .backends = 1000,
                          .slot_lines = 256,
                          .routes = 200,
                          .ranges = 100,
                          .affinity = 1000,
                          .fragments = 100,
                          .sock_replies = 100},
        };
}

struct datapath *agent_open(const struct datapath_opts *opts)
{
        struct datapath *dp = NULL;
        struct err err = ERR_NULL;
        int r = datapath_open(opts, &dp, &err);

        if (r)
                fail_msg("%s", err.msg);
        return running = dp;
}

void agent_close(struct datapath *dp)
{
        running = NULL;
        datapath_close(dp);
}

struct datapath *agent_start(void)
{
        struct datapath_opts opts = agent_options();

        return agent_open(&opts);
}

void agent_attach(struct datapath *dp)
{
        struct err err = ERR_NULL;
        enum attach_mode tc, xdp = ATTACH_NONE;

        if (datapath_attach_pod(dp, host_pod(), &err) || datapath_attach_uplink(dp, host_nic(), &tc, &xdp, &err) ||
            datapath_attach_sock(dp, &err))
                fail_msg("%s", err.msg);
        assert_int_equal(xdp, ATTACH_XDP_NATIVE);
}

bool agent_holds(struct datapath *dp)
{
        return datapath_attached(dp, host_pod()) && datapath_attached(dp, host_nic());
}

static void *send_all_the_time(void *going)
{
        return (void *)(uintptr_t)host_send_while(going);
}

void sender_start(void)
{
        sender.going = true;
        assert_int_equal(pthread_create(&sender.thread, NULL, send_all_the_time, (void *)&sender.going), 0);
}

/* How many frames it has sent. */
uint32_t sender_stop(void)
{
        void *sent = NULL;

        if (sender.going) {
                sender.going = false;
                pthread_join(sender.thread, &sent);
        }
        return (uint32_t)(uintptr_t)sent;
}

int agent_clean(void **state)
{
        struct err err = ERR_NULL;
        int r;

        sender_stop();
        agent_close(running);
        r = datapath_cleanup(host_pins, &err);
        if (r)
                fprintf(stderr, "%s\n", err.msg);
        host_new_devices();
        return r;
}
