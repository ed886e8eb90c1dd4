// SPDX-License-Identifier: Apache-2.0
/* Several CPUs in the flow table at once: the same new flow, flows that want the same source port, a table too small.
 */
#include <arpa/inet.h>
#include <pthread.h>
#include <sched.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "bpf/oracle.h"
#include "bpf/story.h"
#include "bpf/table.h"

#define THREADS   2
#define ROUNDS    2000
#define MAX_FLOWS (LAB_FLOW_SETS * FLOW_WAYS)

static struct lab lab;

struct racer {
        pthread_t thread;
        int number;
        enum who vip;          /* whom it speaks to */
        uint16_t first, ports; /* its source ports, one after the other and again */
        int rounds;
        bool backwards; /* through the ports from the last to the first */
        pthread_barrier_t *barrier;
        uint32_t dropped, wrong;
        uint16_t source_port; /* of the last packet that came out */
};

/* A:port to the VIP comes out as A:something to B:8080, and its checksum is right. Or, when many are at one set, not.
 */
static void judge(struct racer *r, const struct packet *in, const struct lab_run *run, uint16_t sport)
{
        static __thread struct packet wanted;
        struct packet_spec spec = {TCP(POD_A, sport, POD_B, 8080, TH_SYN_), INTO_B};

        if (story_verdict(run->hook, run->verdict) == DROP) {
                r->dropped++;
                return;
        }
        r->source_port = (uint16_t)(run->out.data[34] << 8 | run->out.data[35]);
        spec.sport = r->source_port;
        packet_build(&wanted, &spec, 4);
        if (run->out.len != wanted.len || memcmp(run->out.data, wanted.data, wanted.len) != 0)
                r->wrong++;
}

static void *race(void *data)
{
        static __thread struct packet packet;
        static __thread struct lab_run run;
        struct racer *r = data;
        cpu_set_t cpu;

        CPU_ZERO(&cpu);
        CPU_SET(r->number % lab.cpus, &cpu);
        pthread_setaffinity_np(pthread_self(), sizeof(cpu), &cpu);
        for (int i = 0; i < r->rounds; i++) {
                int step = r->backwards ? r->rounds - 1 - i : i;
                uint16_t sport = (uint16_t)(r->first + step % r->ports);
                struct packet_spec spec = {TCP(POD_A, sport, r->vip, 80, TH_SYN_), FROM_A};

                packet_build(&packet, &spec, 4);
                run = (struct lab_run){.hook = HOOK_FROM_POD, .in = &packet};
                pthread_barrier_wait(r->barrier);
                if (lab_run(&lab, &run) < 0)
                        r->wrong++;
                else
                        judge(r, &packet, &run, sport);
        }
        return NULL;
}

/* Both run the rounds side by side, each packet at the same moment. */
static void run_racers(struct racer racers[THREADS])
{
        pthread_barrier_t barrier;

        pthread_barrier_init(&barrier, NULL, THREADS);
        for (int i = 0; i < THREADS; i++) {
                racers[i].number = i;
                racers[i].barrier = &barrier;
                assert_int_equal(pthread_create(&racers[i].thread, NULL, race, &racers[i]), 0);
        }
        for (int i = 0; i < THREADS; i++)
                pthread_join(racers[i].thread, NULL);
        pthread_barrier_destroy(&barrier);
        for (int i = 0; i < THREADS; i++)
                assert_int_equal(racers[i].wrong, 0);
}

static void start(void)
{
        static const struct lab_service web = WEB(ON(POD_B, 8080)), web2 = WEB2(ON(POD_B, 8080));

        lab_reset(&lab);
        lab_service(&lab, &web, 4);
        lab_service(&lab, &web2, 4);
}

/* Claims that meet wait a bounded time, and then one of them gives its packet up (flow.h, point 3). */
static void few_dropped(const struct racer racers[THREADS])
{
        uint32_t dropped = racers[0].dropped + racers[1].dropped, all = (uint32_t)(racers[0].rounds + racers[1].rounds);

        print_message("# %u of %u packets dropped\n", dropped, all);
        assert_in_range(dropped, 0, all / 20);
}

/* Each port is new to both at the same moment. */
static void two_cpus_make_one_flow(void **state)
{
        for (int i = 0; i < 5; i++) {
                struct racer racers[THREADS] = {
                        {.vip = VIP, .first = 2000, .ports = 200, .rounds = 200},
                        {.vip = VIP, .first = 2000, .ports = 200, .rounds = 200},
                };

                start();
                run_racers(racers);
                assert_int_equal(table_check(&lab), 0);
                few_dropped(racers);
                assert_in_range(lab_flows(&lab, NULL, 0), 2 * (200 - racers[0].dropped), 2 * 200);
        }
}

/* One client port to two services with one backend: whoever is second gets another source port. */
static void two_cpus_want_one_source_port(void **state)
{
        for (uint16_t i = 0; i < 5; i++) {
                uint16_t first = (uint16_t)(2000 + 100 * i);
                struct racer racers[THREADS] = {
                        {.vip = VIP, .first = first, .ports = 50, .rounds = 50},
                        {.vip = VIP2, .first = first, .ports = 50, .rounds = 50},
                };

                start();
                run_racers(racers);
                assert_int_equal(table_check(&lab), 0);
                few_dropped(racers);
                assert_int_equal(lab_flows(&lab, NULL, 0), 2 * (2 * 50 - racers[0].dropped - racers[1].dropped));
        }
}

/* Evicting each other, in and against the same order. */
static void two_cpus_fill_a_table_that_is_too_small(void **state)
{
        for (int backwards = 0; backwards < 2; backwards++) {
                struct racer racers[THREADS] = {
                        {.vip = VIP, .first = 2000, .ports = ROUNDS, .rounds = 2 * ROUNDS},
                        {.vip = VIP, .first = 2000, .ports = ROUNDS, .rounds = 2 * ROUNDS, .backwards = backwards},
                };
                size_t orphans;

                start();
                run_racers(racers);
                orphans = table_check(&lab);
                few_dropped(racers);
                assert_in_range(orphans, 0, MAX_FLOWS / 50);
        }
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(two_cpus_make_one_flow),
                cmocka_unit_test(two_cpus_want_one_source_port),
                cmocka_unit_test(two_cpus_fill_a_table_that_is_too_small),
        };
        struct knobs knobs = lab_knobs();
        int r;

        knobs.snat_port_max = 65535;
        lab_open(&lab, &knobs);
        r = cmocka_run_group_tests_name("races", tests, NULL, NULL);
        lab_close(&lab);
        return r;
}
