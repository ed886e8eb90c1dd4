/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "base/strbuf.h"
#include "ctl/pcapng.h"

#define BYTE_ORDER_MAGIC  0x1a2b3c4d
#define LINKTYPE_ETHERNET 1

enum block_type {
        BLOCK_SECTION = 0x0a0d0d0a,
        BLOCK_INTERFACE = 1,
        BLOCK_PACKET = 6, /* "enhanced" */
};

enum option_code {
        OPTION_END = 0,
        OPTION_COMMENT = 1,
        SECTION_APPLICATION = 4,
        INTERFACE_NAME = 2,
        INTERFACE_RESOLUTION = 9,
        PACKET_FLAGS = 2,
};

struct pcapng {
        FILE *to;
        uint32_t snap;
        struct {
                uint32_t ifindex, hook;
        } * interfaces; /* in the order of their numbers in the file */
        uint32_t count;
};

static void add_u16(struct strbuf *b, uint16_t n)
{
        strbuf_add(b, &n, sizeof(n));
}

static void add_u32(struct strbuf *b, uint32_t n)
{
        strbuf_add(b, &n, sizeof(n));
}

static void pad(struct strbuf *b)
{
        static const char zeros[4];

        strbuf_add(b, zeros, -b->len & 3);
}

static void add_option(struct strbuf *b, enum option_code code, const void *data, size_t n)
{
        add_u16(b, (uint16_t)code);
        add_u16(b, (uint16_t)n);
        strbuf_add(b, data, n);
        pad(b);
}

static void end_options(struct strbuf *b)
{
        add_u32(b, OPTION_END);
}

/* A block: type, length, body, length again. */
static int write_block(FILE *to, enum block_type type, const struct strbuf *body)
{
        uint32_t head[2] = {type, (uint32_t)body->len + 12};

        if (fwrite(head, sizeof(head), 1, to) != 1 || fwrite(body->data, body->len, 1, to) != 1 ||
            fwrite(&head[1], sizeof(head[1]), 1, to) != 1)
                return errno ? -errno : -EIO;
        return 0;
}

int pcapng_new(FILE *to, uint32_t snap, struct pcapng **ret)
{
        static const char name[] = "fairctl monitor " FAIRLEAD_VERSION;
        _cleanup_strbuf_ struct strbuf b = STRBUF_NULL;
        struct pcapng *p;
        int r;

        add_u32(&b, BYTE_ORDER_MAGIC);
        add_u16(&b, 1); /* version 1.0 */
        add_u16(&b, 0);
        add_u32(&b, UINT32_MAX); /* the section's length is not known */
        add_u32(&b, UINT32_MAX);
        add_option(&b, SECTION_APPLICATION, name, sizeof(name) - 1);
        end_options(&b);
        r = write_block(to, BLOCK_SECTION, &b);
        if (r)
                return r;
        p = mem_new(struct pcapng);
        p->to = to;
        p->snap = snap;
        *ret = p;
        return 0;
}

void pcapng_free(struct pcapng *p)
{
        if (p)
                free(p->interfaces);
        free(p);
}

static int find_interface(struct pcapng *p, const struct pcapng_packet *packet, uint32_t *ret)
{
        static const uint8_t nanoseconds = 9; /* 10 to the power of -9 */
        _cleanup_strbuf_ struct strbuf b = STRBUF_NULL;

        for (uint32_t i = 0; i < p->count; i++) {
                if (p->interfaces[i].ifindex == packet->ifindex && p->interfaces[i].hook == packet->hook) {
                        *ret = i;
                        return 0;
                }
        }
        add_u16(&b, LINKTYPE_ETHERNET);
        add_u16(&b, 0);
        add_u32(&b, p->snap);
        add_option(&b, INTERFACE_NAME, packet->interface, strlen(packet->interface));
        add_option(&b, INTERFACE_RESOLUTION, &nanoseconds, sizeof(nanoseconds));
        end_options(&b);
        p->interfaces = mem_realloc(p->interfaces, p->count + 1, sizeof(*p->interfaces));
        p->interfaces[p->count].ifindex = packet->ifindex;
        p->interfaces[p->count].hook = packet->hook;
        *ret = p->count++;
        return write_block(p->to, BLOCK_INTERFACE, &b);
}

int pcapng_write(struct pcapng *p, const struct pcapng_packet *packet)
{
        _cleanup_strbuf_ struct strbuf b = STRBUF_NULL;
        uint32_t number = 0, flags = packet->outbound ? 2 : 1;
        uint64_t ns = (uint64_t)packet->wall_ns;
        int r = find_interface(p, packet, &number);

        if (r)
                return r;
        add_u32(&b, number);
        add_u32(&b, (uint32_t)(ns >> 32));
        add_u32(&b, (uint32_t)ns);
        add_u32(&b, packet->captured);
        add_u32(&b, packet->length);
        strbuf_add(&b, packet->data, packet->captured);
        pad(&b);
        if (packet->comment)
                add_option(&b, OPTION_COMMENT, packet->comment, strlen(packet->comment));
        add_option(&b, PACKET_FLAGS, &flags, sizeof(flags));
        end_options(&b);
        return write_block(p->to, BLOCK_PACKET, &b);
}
