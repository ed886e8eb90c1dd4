/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Writes pcapng (IETF draft-ietf-opsawg-pcapng), which Wireshark, tshark and tcpdump read: Ethernet frames, stamps of
 * nanoseconds, an interface for each pair of device and hook, and a comment on each packet.
 */
#pragma once

#include <stdint.h>
#include <stdio.h>

struct pcapng;

struct pcapng_packet {
        uint32_t ifindex, hook;
        const char *interface; /* its name, when it is seen for the first time */
        int64_t wall_ns;
        const uint8_t *data;
        uint32_t captured, length; /* bytes of data, and of the frame that they are of */
        int outbound;              /* it left the hook so; else it came so */
        const char *comment;       /* NULL: none */
};

/* Writes the file's head. The stream stays the caller's. 0 or negative errno. */
int pcapng_new(FILE *to, uint32_t snap, struct pcapng **ret);
void pcapng_free(struct pcapng *p);
/* 0 or negative errno. */
int pcapng_write(struct pcapng *p, const struct pcapng_packet *packet);
