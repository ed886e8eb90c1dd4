// SPDX-License-Identifier: Apache-2.0
/* The verifier takes the programs whatever the knobs say: they decide which code it sees. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#include "bpf/kernel.h"
#include "bpf/lab.h"

/* In a process of its own: lab_open ends it when it fails. */
static void loads(const struct knobs *knobs)
{
        struct lab lab;
        int status;
        pid_t pid = fork();

        assert_true(pid >= 0);
        if (pid == 0) {
                lab_open(&lab, knobs);
                _exit(0);
        }
        assert_int_equal(waitpid(pid, &status, 0), pid);
        assert_int_equal(status, 0);
}

/* The loader sets what the kernel can do. */
static uint32_t possible(uint32_t flags)
{
        return kernel_lacks("kernel_ctx") ? flags & ~(uint32_t)KNOB_SKB : flags;
}

static void with_each_flag_alone(void **state)
{
        struct knobs knobs = lab_knobs();

        for (uint32_t flag = 1; flag <= KNOB_SKB; flag <<= 1) {
                knobs.flags = possible(flag);
                loads(&knobs);
        }
}

static void with_all_flags_and_with_none(void **state)
{
        struct knobs knobs = lab_knobs();

        knobs.flags = possible(2 * KNOB_SKB - 1);
        knobs.drop_events_per_s = 20;
        loads(&knobs);
        knobs.flags = 0;
        loads(&knobs);
}

static void with_native_routing_on_cpus_that_reorder(void **state)
{
        struct knobs knobs = lab_knobs();

        knobs.flags = KNOB_MASQUERADE | KNOB_WEAK_ORDER | KNOB_REDIRECT_PEER;
        loads(&knobs);
}

static void with_any_tick(void **state)
{
        static const uint32_t rates[] = {24, 100, 250, 300, 1000};
        struct knobs knobs = lab_knobs();

        for (size_t i = 0; i < sizeof(rates) / sizeof(*rates); i++) {
                knobs.hz = rates[i];
                loads(&knobs);
        }
}

static void with_nothing_set_at_all(void **state)
{
        loads(&(struct knobs){.flow_sets = LAB_FLOW_SETS});
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(with_each_flag_alone),
                cmocka_unit_test(with_all_flags_and_with_none),
                cmocka_unit_test(with_native_routing_on_cpus_that_reorder),
                cmocka_unit_test(with_any_tick),
                cmocka_unit_test(with_nothing_set_at_all),
        };

        return cmocka_run_group_tests_name("loading", tests, NULL, NULL);
}
