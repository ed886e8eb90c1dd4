// SPDX-License-Identifier: Apache-2.0
/*
 * The flow table under fire: threads send the same new connections at the same time through the same sets, more than
 * these can hold. Whatever they race for, each packet comes out whole, to a backend of the
 * service; a key is never there twice; and what is there once everybody is done belongs together.
 */
#include <bpf/bpf.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <net/ethernet.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#include "bpf/lab.h"
#include "bpf/story.h"

enum { THREADS = 4, ROUNDS = 3, PORTS = 3000, FIRST_PORT = 2000, BACKENDS = 3, BACKEND_PORT = 8080 };

static struct lab lab;
static const enum who backend_of[BACKENDS] = {POD_B, POD_R, POD_R2};

struct runner {
        pthread_t thread;
        uint8_t proto;
        unsigned sent, dropped, bad;
};

/* What the packet is in the end, if it went to that backend: tunnelled and delivered ones differ in MACs and TTL. */
static bool came_out_as(const struct packet *out, const struct packet_spec *in, enum who backend, uint16_t sport)
{
        static _Thread_local struct packet wanted;
        struct packet_spec spec = *in;

        spec.dst = backend;
        spec.dport = BACKEND_PORT;
        spec.sport = sport;
        spec.hop_step = backend == POD_B ? 0 : 1;
        packet_build(&wanted, &spec, 4);
        return out->len == wanted.len &&
               memcmp(out->data + ETH_HLEN, wanted.data + ETH_HLEN, wanted.len - ETH_HLEN) == 0;
}

static bool is_whole(const struct packet *out, const struct packet_spec *in)
{
        uint16_t sport = (uint16_t)(out->data[34] << 8 | out->data[35]);

        for (int i = 0; i < BACKENDS; i++)
                if (came_out_as(out, in, backend_of[i], sport))
                        return true;
        return false;
}

static void send_one(struct runner *r, unsigned port)
{
        static _Thread_local struct packet in, out;
        struct packet_spec spec = {POD_A, VIP, (uint16_t)port, 80, r->proto, r->proto == IPPROTO_TCP ? TH_SYN_ : 0,
                                   FROM_A};
        struct __sk_buff skb = {.ifindex = lab.pod_a};
        LIBBPF_OPTS(bpf_test_run_opts, opts, .data_in = in.data, .data_out = out.data,
                    .data_size_out = sizeof(out.data), .ctx_in = &skb, .ctx_size_in = sizeof(skb), .repeat = 1);

        packet_build(&in, &spec, 4);
        opts.data_size_in = (uint32_t)in.len;
        if (bpf_prog_test_run_opts(lab.program[HOOK_FROM_POD], &opts)) {
                r->bad++;
                return;
        }
        out.len = opts.data_size_out;
        r->sent++;
        if (story_verdict(HOOK_FROM_POD, (int)opts.retval) != SENT)
                r->dropped++;
        else if (!is_whole(&out, &spec))
                r->bad++;
}

static atomic_uint gate;

static void *run(void *userdata)
{
        struct runner *r = userdata;

        for (int round = 0; round < ROUNDS; round++)
                for (unsigned i = 0; i < PORTS; i++) {
                        if (i % 16 == 0) { /* stay abreast, to meet in the same sets */
                                unsigned ticket = atomic_fetch_add(&gate, 1) / THREADS;

                                while (atomic_load(&gate) < (ticket + 1) * THREADS)
                                        sched_yield();
                        }
                        send_one(r, FIRST_PORT + i);
                }
        return NULL;
}

static int by_key(const void *a, const void *b)
{
        return memcmp(a, b, sizeof(struct tuple));
}

static void check_table(void)
{
        const size_t max = (size_t)LAB_FLOW_SETS * FLOW_WAYS;
        struct flow *flows = calloc(max, sizeof(*flows));
        size_t n, halves = 0;

        assert_non_null(flows);
        n = lab_flows(&lab, flows, max);
        assert_true(n > max / 2);
        for (size_t i = 0; i < n; i++) {
                const struct flow *peer = &lab.flows[flows[i].peer / FLOW_WAYS].flow[flows[i].peer % FLOW_WAYS];

                if (memcmp(&flows[i].new_src, &peer->key.dst, 16) != 0 || flows[i].new_sport != peer->key.dport ||
                    memcmp(&flows[i].new_dst, &peer->key.src, 16) != 0 || flows[i].new_dport != peer->key.sport)
                        halves++;
        }
        qsort(flows, n, sizeof(*flows), by_key);
        for (size_t i = 1; i < n; i++)
                assert_memory_not_equal(&flows[i - 1].key, &flows[i].key, sizeof(struct tuple));
        for (size_t i = 0; i < max; i++)
                assert_int_not_equal(FLOW_STATUS(lab.flows[i / FLOW_WAYS].control[i % FLOW_WAYS]), FLOW_BUSY);
        assert_true(halves <= n / 100);
        free(flows);
}

static void race(uint8_t proto)
{
        struct lab_service web = {.addr = VIP, .port = 80, .proto = proto};
        struct runner runners[THREADS] = {0};
        unsigned sent = 0, dropped = 0;

        lab_reset(&lab);
        for (int i = 0; i < BACKENDS; i++)
                web.backends[i] = (struct lab_backend){backend_of[i], BACKEND_PORT, 0};
        lab_service(&lab, &web, 4);
        atomic_store(&gate, 0);
        for (int i = 0; i < THREADS; i++) {
                runners[i].proto = proto;
                assert_int_equal(pthread_create(&runners[i].thread, NULL, run, &runners[i]), 0);
        }
        for (int i = 0; i < THREADS; i++) {
                pthread_join(runners[i].thread, NULL);
                assert_int_equal(runners[i].bad, 0);
                sent += runners[i].sent;
                dropped += runners[i].dropped;
        }
        assert_int_equal(sent, THREADS * ROUNDS * PORTS);
        print_message("# %u sent, %u dropped\n", sent, dropped);
        assert_true(dropped <= sent / 1000);
        check_table();
}

static void connections_that_begin_on_several_cpus_at_once_are_one(void **state)
{
        race(IPPROTO_TCP);
}

static void datagrams_that_begin_on_several_cpus_at_once_are_one_flow(void **state)
{
        race(IPPROTO_UDP);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(connections_that_begin_on_several_cpus_at_once_are_one),
                cmocka_unit_test(datagrams_that_begin_on_several_cpus_at_once_are_one_flow),
        };
        struct knobs knobs = lab_knobs();
        int r;

        lab_open(&lab, &knobs);
        r = cmocka_run_group_tests_name("races", tests, NULL, NULL);
        lab_close(&lab);
        return r;
}
