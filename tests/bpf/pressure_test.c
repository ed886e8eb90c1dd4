/* SPDX-License-Identifier: Apache-2.0 */
/* The flow table when it is too small, and when both directions of its flows are at it at once: what is counted adds up
 * to what is there, nothing is delivered to the wrong place, and connections in use outlive a flood. */
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

#define MAX_FLOWS (LAB_FLOW_SETS * FLOW_WAYS)

static struct lab lab;

/* Where a frame of a flow goes, and what has become of it. */
struct sent {
        enum verdict verdict;
        enum who src, dst; /* of what came out, as far as it is pod A, pod B or a VIP */
        uint16_t sport, dport;
        bool whole; /* every byte as it should be, given addresses and ports */
};

static enum who who_is(const uint8_t *address)
{
        static const enum who known[] = {POD_A, POD_B, VIP, VIP2};

        for (size_t i = 0; i < sizeof(known) / sizeof(*known); i++) {
                struct addr a = packet_addr(known[i], 4);

                if (memcmp(address, a.b + 12, 4) == 0)
                        return known[i];
        }
        return NOBODY;
}

static uint16_t port_at(const uint8_t *p)
{
        return (uint16_t)(p[0] << 8 | p[1]);
}

/* IPv4, between the pods. */
static struct sent send_one(enum who from, enum who to, uint16_t sport, uint16_t dport, uint8_t flags)
{
        static __thread struct packet packet, wanted;
        static __thread struct lab_run run;
        struct packet_spec spec = {TCP(from, sport, to, dport, flags), .dmac = MAC_GATEWAY};
        struct sent s;

        spec.smac = from == POD_A ? MAC_POD_A : MAC_POD_B;
        packet_build(&packet, &spec, 4);
        run = (struct lab_run){.hook = HOOK_FROM_POD, .in = &packet, .ifindex = from == POD_A ? lab.pod_a : lab.pod_b};
        if (lab_run(&lab, &run) < 0)
                return (struct sent){UNSET, NOBODY, NOBODY, 0, 0, false};
        s = (struct sent){.verdict = story_verdict(run.hook, run.verdict),
                          .src = who_is(run.out.data + 26),
                          .dst = who_is(run.out.data + 30),
                          .sport = port_at(run.out.data + 34),
                          .dport = port_at(run.out.data + 36)};
        spec = (struct packet_spec){TCP(s.src, s.sport, s.dst, s.dport, flags), .smac = MAC_GATEWAY};
        spec.dmac = s.dst == POD_A ? MAC_POD_A : MAC_POD_B;
        if (s.src != NOBODY && s.dst != NOBODY)
                packet_build(&wanted, &spec, 4);
        s.whole = s.src != NOBODY && s.dst != NOBODY && run.out.len == wanted.len &&
                  memcmp(run.out.data, wanted.data, wanted.len) == 0;
        return s;
}

static bool went(const struct sent *s, enum who from, uint16_t sport, enum who to, uint16_t dport)
{
        return s->verdict == SENT && s->whole && s->src == from && s->dst == to && s->sport == sport &&
               s->dport == dport;
}

static void start(void)
{
        static const struct lab_service web = WEB(ON(POD_B, 8080)), web2 = WEB2(ON(POD_B, 8080));

        lab_reset(&lab);
        lab_service(&lab, &web, 4);
        lab_service(&lab, &web2, 4);
}

/* ---- threads */

struct worker {
        pthread_t thread;
        int number;
        uint16_t first, ports;
        int rounds;
        uint32_t dropped, wrong, translated, direct;
        pthread_barrier_t *barrier;
        void (*work)(struct worker *w, int round);
};

static void *work(void *data)
{
        struct worker *w = data;
        cpu_set_t cpu;

        CPU_ZERO(&cpu);
        CPU_SET(w->number % lab.cpus, &cpu);
        pthread_setaffinity_np(pthread_self(), sizeof(cpu), &cpu);
        pthread_barrier_wait(w->barrier);
        for (int i = 0; i < w->rounds; i++)
                w->work(w, i);
        return NULL;
}

static void run_workers(struct worker workers[2])
{
        pthread_barrier_t barrier;

        pthread_barrier_init(&barrier, NULL, 2);
        for (int i = 0; i < 2; i++) {
                workers[i].number = i;
                workers[i].barrier = &barrier;
                assert_int_equal(pthread_create(&workers[i].thread, NULL, work, &workers[i]), 0);
        }
        for (int i = 0; i < 2; i++)
                pthread_join(workers[i].thread, NULL);
        pthread_barrier_destroy(&barrier);
        for (int i = 0; i < 2; i++)
                assert_int_equal(workers[i].wrong, 0);
}

/* A new connection to one of the services, each port in its turn. */
static void open_one(struct worker *w, int round)
{
        uint16_t port = (uint16_t)(w->first + round % w->ports);
        struct sent s = send_one(POD_A, w->number ? VIP2 : VIP, port, 80, TH_SYN_);

        if (s.verdict == DROP)
                w->dropped++;
        else if (!went(&s, POD_A, s.sport, POD_B, 8080))
                w->wrong++;
}

/* ---- counting */

/* Each eviction takes the place of one entry, and its other half goes, too, unless somebody is changing that. */
static void check_sums(const struct flow_counters *before, size_t orphans, bool alone)
{
        struct flow_counters c = table_counters(&lab);
        uint64_t inserted = c.inserted - before->inserted;
        uint64_t taken = c.evicted - before->evicted + c.expired - before->expired;
        uint64_t live = lab_flows(&lab, NULL, 0), gone = 2 * inserted - live;

        print_message("# %lu pairs inserted, %lu entries evicted or expired, %lu live, %zu without other half\n",
                      (unsigned long)inserted, (unsigned long)taken, (unsigned long)live, orphans);
        assert_true(live <= 2 * inserted);
        if (alone) {
                assert_int_equal(gone, 2 * taken);
                assert_int_equal(orphans, 0);
        }
        assert_in_range(gone, taken, 2 * taken);
        assert_in_range(orphans, 0, live / 20);
}

static void one_cpus_evictions_add_up(void **state)
{
        struct flow_counters before = table_counters(&lab);
        uint64_t refused = lab_counter(&lab, HOOK_FROM_POD, REASON_FLOW_TABLE);

        start();
        for (int i = 0; i < 6000; i++) {
                struct sent s = send_one(POD_A, VIP, (uint16_t)(2000 + i), 80, TH_SYN_);

                assert_true(went(&s, POD_A, (uint16_t)(2000 + i), POD_B, 8080));
        }
        check_sums(&before, table_check(&lab), true);
        assert_true(table_counters(&lab).evicted > before.evicted + 3000);
        /* A table with room: what is too old is replaced by its key's new entry, and counted as that. */
        lab_clear_flows(&lab);
        before = table_counters(&lab);
        for (int round = 0; round < 2; round++) {
                for (int i = 0; i < 100; i++)
                        send_one(POD_A, VIP, (uint16_t)(2000 + i), 80, TH_SYN_);
                check_sums(&before, table_check(&lab), true);
                assert_int_equal(table_counters(&lab).evicted, before.evicted);
                assert_int_equal(table_counters(&lab).expired - before.expired, round * 100);
                lab_age_flows(&lab, 100);
        }
        assert_int_equal(lab_counter(&lab, HOOK_FROM_POD, REASON_FLOW_TABLE), refused);
}

static void two_cpus_evictions_add_up(void **state)
{
        for (int i = 0; i < 3; i++) {
                struct worker workers[2] = {
                        {.first = 2000, .ports = 5000, .rounds = 8000, .work = open_one},
                        {.first = 2000, .ports = 5000, .rounds = 8000, .work = open_one},
                };
                struct flow_counters before = table_counters(&lab);
                uint64_t refused = lab_counter(&lab, HOOK_FROM_POD, REASON_FLOW_TABLE);
                size_t orphans;

                start();
                run_workers(workers);
                orphans = table_check(&lab);
                check_sums(&before, orphans, false);
                refused = lab_counter(&lab, HOOK_FROM_POD, REASON_FLOW_TABLE) - refused;
                /* Nobody is dropped but for want of room or of a port, and that is counted. */
                assert_int_equal(table_counters(&lab).full - before.full, workers[0].dropped + workers[1].dropped);
                assert_in_range(refused, 0, workers[0].dropped + workers[1].dropped);
                assert_in_range(workers[0].dropped + workers[1].dropped, 0, 2 * 8000 / 20);
        }
}

/* ---- halves */

/* Every entry that is left leads where it says, and to no other connection. */
static void follow_every_entry(size_t orphans)
{
        static struct flow flows[MAX_FLOWS];
        size_t n = lab_flows(&lab, flows, MAX_FLOWS), broken = 0;

        for (size_t i = 0; i < n; i++) {
                const struct flow *f = &flows[i];
                enum who vip = who_is(f->key.dst.b + 12);
                uint16_t client = ntohs(f->key.sport), seen_as = ntohs(f->new_sport);
                struct sent s;

                if (f->flags & FLOW_REPLY)
                        continue;
                s = send_one(POD_A, vip, client, 80, TH_ACK_);
                assert_true(went(&s, POD_A, seen_as, POD_B, 8080));
                s = send_one(POD_B, POD_A, 8080, seen_as, TH_ACK_);
                /* The answer comes from the service that was asked, to the port that asked; or, when its half is gone,
                 * as it is. It is never taken for another connection's. */
                if (went(&s, POD_B, 8080, POD_A, seen_as))
                        broken++;
                else
                        assert_true(went(&s, vip, 80, POD_A, client));
        }
        assert_in_range(broken, 0, orphans);
}

static void halves_lead_nowhere_else(void **state)
{
        for (int i = 0; i < 3; i++) {
                struct worker workers[2] = {
                        {.first = 2000, .ports = 3000, .rounds = 6000, .work = open_one},
                        {.first = 2000, .ports = 3000, .rounds = 6000, .work = open_one},
                };

                start();
                run_workers(workers);
                follow_every_entry(table_check(&lab));
        }
}

/* ---- directions */

static _Atomic int opened; /* ports whose first packet came out */

static void go_forward(struct worker *w, int round)
{
        struct sent s = send_one(POD_A, VIP, (uint16_t)(w->first + round), 80, TH_SYN_);

        if (s.verdict == DROP)
                w->dropped++;
        else if (!went(&s, POD_A, (uint16_t)(w->first + round), POD_B, 8080))
                w->wrong++;
        atomic_store(&opened, round + 1);
}

/* The answers to what is being opened just now: as they are as long as there is no flow, and from the service
 * afterwards. */
static void answer(struct worker *w, int round)
{
        int before = atomic_load(&opened);
        uint16_t port = (uint16_t)(w->first + before);
        struct sent s = send_one(POD_B, POD_A, 8080, port, TH_SYNACK_);

        if (went(&s, VIP, 80, POD_A, port))
                w->translated++;
        else if (went(&s, POD_B, 8080, POD_A, port))
                w->direct++;
        else
                w->wrong++;
        if (!before)
                return;
        s = send_one(POD_B, POD_A, 8080, (uint16_t)(port - 1), TH_SYNACK_);
        if (!went(&s, VIP, 80, POD_A, (uint16_t)(port - 1)))
                w->wrong++;
}

static void answers_race_with_the_first_packet(void **state)
{
        uint32_t translated = 0, direct = 0;

        for (int i = 0; i < 20; i++) {
                struct worker workers[2] = {
                        {.first = 2000, .rounds = 300, .work = go_forward},
                        {.first = 2000, .rounds = 300, .work = answer},
                };

                start();
                atomic_store(&opened, 0);
                run_workers(workers);
                assert_int_equal(workers[0].dropped, 0);
                assert_int_equal(table_check(&lab), 0);
                translated += workers[1].translated;
                direct += workers[1].direct;
        }
        print_message("# answers met a flow %u times, none yet %u times\n", translated, direct);
}

/* ---- floods */

#define IN_USE 100

static void flood(struct worker *w, int round)
{
        struct sent s = send_one(POD_A, w->number ? VIP2 : VIP, (uint16_t)(10000 + round), 80, TH_SYN_);

        if (s.verdict == SENT && s.dst == POD_B && w->number == 0)
                send_one(POD_B, POD_A, 8080, s.sport, TH_SYNACK_);
}

static bool is_in_use(uint16_t port)
{
        struct sent there = send_one(POD_A, VIP, port, 80, TH_ACK_);
        struct sent back = send_one(POD_B, POD_A, 8080, port, TH_ACK_);

        return went(&there, POD_A, port, POD_B, 8080) && went(&back, VIP, 80, POD_A, port);
}

/* The server answers the SYNs of one of the two, too: only who goes on after that is in use. */
static void connections_in_use_outlive_a_flood(void **state)
{
        struct worker workers[2] = {{.rounds = 20000, .work = flood}, {.rounds = 20000, .work = flood}};
        uint64_t evicted;

        start();
        for (uint16_t i = 0; i < IN_USE; i++) {
                send_one(POD_A, VIP, (uint16_t)(3000 + i), 80, TH_SYN_);
                send_one(POD_B, POD_A, 8080, (uint16_t)(3000 + i), TH_SYNACK_);
                assert_true(is_in_use((uint16_t)(3000 + i)));
        }
        evicted = table_counters(&lab).evicted;
        run_workers(workers);
        assert_true(table_counters(&lab).evicted - evicted > 20000);
        for (uint16_t i = 0; i < IN_USE; i++)
                assert_true(is_in_use((uint16_t)(3000 + i)));
        table_check(&lab);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(one_cpus_evictions_add_up),
                cmocka_unit_test(two_cpus_evictions_add_up),
                cmocka_unit_test(halves_lead_nowhere_else),
                cmocka_unit_test(answers_race_with_the_first_packet),
                cmocka_unit_test(connections_in_use_outlive_a_flood),
        };
        struct knobs knobs = lab_knobs();
        int r;

        knobs.snat_port_max = 65535;
        lab_open(&lab, &knobs);
        r = cmocka_run_group_tests_name("pressure", tests, NULL, NULL);
        lab_close(&lab);
        return r;
}
