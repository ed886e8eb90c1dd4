/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Services that change under load, in the agent's way: backends and slots are written, then the one value of the
 * service points to them. No packet may see half of it: each goes to a backend of a set that was the service's at some
 * moment between the packet's begin and end.
 *
 * Set n has its ids, its slots and SET_PORTS ports of pod B to itself; sets take turns at SETS places of the maps. The
 * agent lets a place rest for a second before it is used again. Here the updater waits until no packet is on its way
 * that began while the set was the service's, so that a CPU that was taken away for long does no harm.
 */
#include <arpa/inet.h>
#include <pthread.h>
#include <sched.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <bpf/bpf.h>

#include <cmocka.h>

#include "base/clock.h"
#include "bpf/kernel.h"
#include "bpf/oracle.h"
#include "bpf/story.h"
#include "bpf/table.h"

#define THREADS   2
#define SETS      16   /* places */
#define SET_PORTS 4    /* backends of a set: 1 to 4 */
#define NUMBERS   8000 /* sets are told apart by their ports, which begin again */
#define SERVICE   1
#define IDLE      UINT64_MAX
#define TEST_NS   (1200 * NS_PER_MS)
#define FLIPS_MIN 300

static struct lab lab;

static struct {
        _Atomic uint64_t begun, done;    /* the number of the set that is being, or has been, made the service's */
        _Atomic uint64_t since[THREADS]; /* of each sender: `done` when its packet began; IDLE between two */
        _Atomic bool stop;
} now;

struct sender {
        pthread_t thread;
        int number, family;
        uint8_t proto;
        bool one_flow; /* else each packet is a new one */
        uint32_t packets, dropped, refused, wrong, unlike;
        uint64_t last; /* set that was seen */
};

static uint16_t port_of(uint64_t set, uint32_t i)
{
        return (uint16_t)(10000 + set % NUMBERS * SET_PORTS + i);
}

static uint32_t size_of(uint64_t set)
{
        return 1 + (uint32_t)(set % SET_PORTS);
}

/* ---- updating */

static void put(enum map_id map, const void *key, const void *value)
{
        assert_int_equal(bpf_map_update_elem(lab.map[map], key, value, BPF_ANY), 0);
}

static void write_set(uint64_t set, int family, uint8_t proto)
{
        uint32_t place = (uint32_t)(set % SETS), line_number = 1 + place;
        struct slot_line line = {0};

        for (uint32_t i = 0; i < size_of(set); i++) {
                uint32_t id = 1 + place * SET_PORTS + i;
                struct backend b = {.addr = packet_addr(POD_B, family),
                                    .port = htons(port_of(set, i)),
                                    .proto = proto,
                                    .flags = BACKEND_LOCAL,
                                    .service = SERVICE,
                                    .generation = (uint32_t)set};

                put(MAP_BACKENDS, &id, &b);
                line.backend[i] = id;
        }
        put(MAP_SLOTS, &line_number, &line);
}

/* Its slots are in one line; other services change too, so that elements of the hash map are used again at once. */
static void point_to(uint64_t set, int family, uint8_t proto)
{
        struct service_key key = {packet_addr(VIP, family), htons(80), proto, 0};
        struct service value = {.id = SERVICE, .in = {(1 + (uint32_t)(set % SETS)) * SLOT_LINE, size_of(set)}};

        put(MAP_SERVICES, &key, &value);
        value = (struct service){.id = SERVICE + 1, .in = {0, 9}};
        for (uint16_t other = 0; other < 3; other++) {
                key.port = htons((uint16_t)(1000 + other));
                put(MAP_SERVICES, &key, &value);
        }
}

/* No packet is on its way that may have seen the set. */
static void wait_until_unseen(uint64_t set)
{
        for (int i = 0; i < THREADS; i++)
                while (atomic_load(&now.since[i]) <= set && !atomic_load(&now.stop))
                        sched_yield();
}

static void flip(uint64_t set, int family, uint8_t proto)
{
        if (set >= SETS)
                wait_until_unseen(set - SETS);
        write_set(set, family, proto);
        atomic_store(&now.begun, set);
        point_to(set, family, proto);
        atomic_store(&now.done, set);
}

/* ---- sending */

/* Which of the sets from first to last has that port; IDLE: none. */
static uint64_t set_of_port(uint16_t port, uint64_t first, uint64_t last)
{
        uint32_t at = (uint32_t)(port - 10000) % SET_PORTS;

        for (uint64_t set = first; set <= last; set++)
                if (at < size_of(set) && port_of(set, at) == port)
                        return set;
        return IDLE;
}

static void judge(struct sender *s, const struct lab_run *run, struct packet_spec *spec, uint64_t before)
{
        static __thread struct packet wanted;
        uint64_t last = atomic_load(&now.begun), set;
        /* A flow stays with a backend that is still there, also when the service has others by now. */
        uint64_t first = !s->one_flow ? before : before >= SETS ? before - SETS + 1 : 0;
        size_t ports = s->family == 4 ? 34 : 54;

        s->packets++;
        if (story_verdict(run->hook, run->verdict) != SENT) {
                s->dropped++;
                return;
        }
        if (memcmp(run->out.data, packet_mac(MAC_POD_A), 6) == 0) { /* an answer of the dataplane's own */
                s->refused++;
                return;
        }
        spec->dst = POD_B;
        spec->sport = (uint16_t)(run->out.data[ports] << 8 | run->out.data[ports + 1]);
        spec->dport = (uint16_t)(run->out.data[ports + 2] << 8 | run->out.data[ports + 3]);
        spec->smac = MAC_GATEWAY;
        spec->dmac = MAC_POD_B;
        packet_build(&wanted, spec, s->family);
        if (run->out.len != wanted.len || memcmp(run->out.data, wanted.data, wanted.len) != 0)
                s->unlike++;
        set = set_of_port(spec->dport, first, last);
        if (set == IDLE)
                s->wrong++;
        else if (set > s->last)
                s->last = set;
}

static void *send_all_the_time(void *data)
{
        static __thread struct packet packet;
        static __thread struct lab_run run;
        struct sender *s = data;
        cpu_set_t cpu;

        CPU_ZERO(&cpu);
        CPU_SET(s->number % lab.cpus, &cpu);
        pthread_setaffinity_np(pthread_self(), sizeof(cpu), &cpu);
        for (uint32_t i = 0; !atomic_load(&now.stop); i++) {
                struct packet_spec spec = {
                        POD_A, VIP, 0, 80, s->proto, TH_SYN_, .smac = MAC_POD_A, .dmac = MAC_GATEWAY};
                uint64_t before;

                spec.sport = (uint16_t)(s->one_flow ? 2000 : 2000 + s->number * 20000 + i % 20000);
                if (s->proto == IPPROTO_UDP)
                        spec.tcp_flags = 0;
                packet_build(&packet, &spec, s->family);
                run = (struct lab_run){.hook = HOOK_FROM_POD, .in = &packet};
                before = atomic_load(&now.done);
                atomic_store(&now.since[s->number], before);
                if (lab_run(&lab, &run) < 0)
                        s->wrong++;
                else
                        judge(s, &run, &spec, before);
                atomic_store(&now.since[s->number], IDLE);
        }
        return NULL;
}

static uint64_t refusals(void)
{
        static const enum reason reasons[] = {REASON_NO_ENDPOINTS, REASON_NO_LOCAL_ENDPOINTS, REASON_UNKNOWN_PORT,
                                              REASON_NO_BACKEND, REASON_INTERNAL};
        uint64_t sum = 0;

        for (size_t i = 0; i < sizeof(reasons) / sizeof(*reasons); i++)
                sum += lab_counter(&lab, HOOK_FROM_POD, reasons[i]);
        return sum;
}

static void flip_under_load(int family, uint8_t proto, bool one_flow)
{
        const struct lab_service web = {.addr = VIP, .port = 80, .proto = proto, .backends = {{POD_B, 1, 0}}};
        struct sender senders[THREADS] = {0};
        uint32_t packets = 0, dropped = 0, refused = 0;
        uint64_t before, set = 0, end;

        lab_reset(&lab);
        lab_service(&lab, &web, family); /* for the filters and the address */
        before = refusals();
        atomic_store(&now.stop, false);
        for (int i = 0; i < THREADS; i++)
                atomic_store(&now.since[i], IDLE);
        flip(0, family, proto);
        for (int i = 0; i < THREADS; i++) {
                senders[i] = (struct sender){.number = i, .family = family, .proto = proto, .one_flow = one_flow};
                assert_int_equal(pthread_create(&senders[i].thread, NULL, send_all_the_time, &senders[i]), 0);
        }
        for (end = clock_mono_ns() + TEST_NS; clock_mono_ns() < end || set < FLIPS_MIN;)
                flip(++set, family, proto);
        atomic_store(&now.stop, true);
        for (int i = 0; i < THREADS; i++) {
                pthread_join(senders[i].thread, NULL);
                packets += senders[i].packets;
                dropped += senders[i].dropped;
                refused += senders[i].refused;
        }
        print_message("# %lu changes, %u packets, %u dropped for want of room, %u refused\n", (unsigned long)set,
                      packets, dropped, refused);
        for (int i = 0; i < THREADS; i++) {
                assert_int_equal(senders[i].wrong, 0);
                assert_int_equal(senders[i].unlike, 0);
                assert_in_range(senders[i].last, set / 4, set); /* the changes did reach the packets */
        }
        assert_int_equal(refusals() - before, refused);
        /* service_get gives up when the service is another one each time that it looks. An emulated CPU, which stands
         * still between two instructions, has seen that, with thousands of changes a second. */
        assert_in_range(refused, 0, kernel_lacks("kernel_ctx") ? packets / 2000 : 0);
        assert_in_range(dropped, 0, packets / 20);
        table_check(&lab);
        lab.next_backend = 1 + SETS * SET_PORTS;
}

static void new_connections_see_the_old_or_the_new_set_v4(void **state)
{
        flip_under_load(4, IPPROTO_TCP, false);
}

static void new_connections_see_the_old_or_the_new_set_v6(void **state)
{
        flip_under_load(6, IPPROTO_TCP, false);
}

/* Its entry is removed and made again whenever its backend has gone, by both CPUs. */
static void one_udp_flow_of_two_cpus_is_always_at_a_living_backend_v4(void **state)
{
        flip_under_load(4, IPPROTO_UDP, true);
}

static void one_udp_flow_of_two_cpus_is_always_at_a_living_backend_v6(void **state)
{
        flip_under_load(6, IPPROTO_UDP, true);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(new_connections_see_the_old_or_the_new_set_v4),
                cmocka_unit_test(new_connections_see_the_old_or_the_new_set_v6),
                cmocka_unit_test(one_udp_flow_of_two_cpus_is_always_at_a_living_backend_v4),
                cmocka_unit_test(one_udp_flow_of_two_cpus_is_always_at_a_living_backend_v6),
        };
        struct knobs knobs = lab_knobs();
        int r;

        lab_open(&lab, &knobs);
        r = cmocka_run_group_tests_name("flips", tests, NULL, NULL);
        lab_close(&lab);
        return r;
}
