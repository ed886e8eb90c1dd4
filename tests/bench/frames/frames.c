/* SPDX-License-Identifier: Apache-2.0 */
/*
 * frames: sends small UDP packets out of a device, as fast as one CPU can, from the network namespace that it is in.
 * They come to the other end of a veth as a NIC's frames do: without a socket buffer. See usage().
 */
#include <arpa/inet.h>
#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <errno.h>
#include <net/ethernet.h>
#include <net/if.h>
#include <netinet/ether.h>
#include <netinet/ip.h>
#include <netinet/udp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/str.h"
#include "bench/bpf/frames.h"

static int usage(void)
{
        fputs("usage: frames OBJECT DEVICE FROM-MAC TO-MAC FROM-IP TO-IP PORT FLOWS COUNT\n"
              "\n"
              "OBJECT is frames.bpf.o. FLOWS (1 to 60000) source ports take turns, from 1024 on. Prints {\"sent\": "
              "COUNT,\n"
              "\"cpu_seconds\": of this process, with all that the receiver did on this CPU meanwhile}. What the "
              "device does\n"
              "not take counts as sent.\n",
              stderr);
        return 2;
}

static uint16_t ip_checksum(const struct iphdr *ip)
{
        const uint16_t *half = (const uint16_t *)ip;
        uint32_t sum = 0;

        for (size_t i = 0; i < sizeof(*ip) / 2; i++)
                sum += half[i];
        sum = (sum & 0xffff) + (sum >> 16);
        return (uint16_t) ~(sum + (sum >> 16));
}

/* Returns 0, or -1 when a word is not what it should be. */
static int make_frame(struct frames *f, char **words)
{
        struct ether_header ether = {.ether_type = htons(ETHERTYPE_IP)};
        struct iphdr ip = {.version = 4,
                           .ihl = 5,
                           .ttl = 64,
                           .protocol = IPPROTO_UDP,
                           .tot_len = htons(FRAME_BYTES - sizeof(ether))};
        struct udphdr udp = {.len = htons(FRAME_BYTES - sizeof(ether) - sizeof(ip))};
        char *at = (char *)f->frame;
        uint16_t port;

        f->ifindex = if_nametoindex(words[0]);
        if (!f->ifindex || !ether_aton_r(words[1], (struct ether_addr *)ether.ether_shost) ||
            !ether_aton_r(words[2], (struct ether_addr *)ether.ether_dhost) ||
            inet_pton(AF_INET, words[3], &ip.saddr) != 1 || inet_pton(AF_INET, words[4], &ip.daddr) != 1 ||
            str_parse_u16(words[5], &port) < 0 || str_parse_u32(words[6], &f->flows) < 0 || !f->flows ||
            f->flows > 60000)
                return -1;
        udp.dest = htons(port);
        ip.check = ip_checksum(&ip);
        memcpy(at, &ether, sizeof(ether));
        memcpy(at + sizeof(ether), &ip, sizeof(ip));
        memcpy(at + sizeof(ether) + sizeof(ip), &udp, sizeof(udp));
        return 0;
}

/* A descriptor of the program, or negative errno. */
static int load(const char *path, const struct frames *f)
{
        struct bpf_object *object = bpf_object__open_file(path, NULL);
        struct bpf_map *rodata;
        int r;

        if (!object)
                return -errno;
        rodata = bpf_object__find_map_by_name(object, ".rodata");
        r = rodata ? bpf_map__set_initial_value(rodata, f, sizeof(*f)) : -ENOENT;
        if (!r)
                r = bpf_object__load(object);
        return r ? r : bpf_program__fd(bpf_object__find_program_by_name(object, "make_frame"));
}

/* Returns 0 or negative errno. All frames in one call: its beginning and end wait for the kernel's RCU. */
static int run(int program, const struct frames *f, uint32_t count)
{
        LIBBPF_OPTS(bpf_test_run_opts, opts, .data_in = f->frame, .data_size_in = FRAME_BYTES,
                    .flags = BPF_F_TEST_XDP_LIVE_FRAMES, .batch_size = 64, .repeat = (int)count);

        return bpf_prog_test_run_opts(program, &opts) < 0 ? -errno : 0;
}

int main(int argc, char **argv)
{
        struct frames f = {0};
        struct timespec cpu;
        uint32_t count;
        int program, r;

        if (argc != 10 || make_frame(&f, argv + 2) < 0 || str_parse_u32(argv[9], &count) < 0 || !count ||
            count > INT32_MAX)
                return usage();
        program = load(argv[1], &f);
        if (program < 0) {
                fprintf(stderr, "frames: %s cannot be loaded: %s\n", argv[1], strerror(-program));
                return 1;
        }
        r = run(program, &f, count);
        if (r < 0) {
                fprintf(stderr, "frames: frames cannot be sent: %s\n", strerror(-r));
                return 1;
        }
        clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &cpu);
        printf("{\"sent\": %u, \"cpu_seconds\": %.6f}\n", count, (double)cpu.tv_sec + (double)cpu.tv_nsec / 1e9);
        return 0;
}
