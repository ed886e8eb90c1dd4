/* SPDX-License-Identifier: Apache-2.0 */
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>

#include "agent/project_list.h"
#include "agent/state.h"
#include "base/mem.h"
#include "datapath/address.h"

int service_key_compare(const struct service_key *a, const struct service_key *b)
{
        return memcmp(a, b, sizeof(*a));
}

int backend_state_compare(const struct backend_state *a, const struct backend_state *b)
{
        int r = (int)address_is_v4(&b->addr) - (int)address_is_v4(&a->addr);

        if (!r)
                r = memcmp(&a->addr, &b->addr, sizeof(a->addr));
        return r ? r : (int)ntohs(a->port) - (int)ntohs(b->port);
}

int svc_range_compare(const struct svc_range *a, const struct svc_range *b)
{
        int r = memcmp(&a->addr, &b->addr, sizeof(a->addr));

        return r ? r : (int)a->bits - (int)b->bits;
}

bool backend_in_pool(const struct backend_state *b, unsigned pool)
{
        unsigned scope = pool & POOL_LOCAL ? SCOPE_LOCAL : SCOPE_CLUSTER;

        return b->scopes & scope && address_is_v4(&b->addr) == !(pool & POOL_V6);
}

const char *port_state_text(const struct port_state *p, char buf[static 16])
{
        if (*p->name)
                snprintf(buf, 16, "%s", p->name);
        else
                snprintf(buf, 16, "%u", p->number);
        return buf;
}

const char *protocol_text(uint8_t proto)
{
        switch (proto) {
        case IPPROTO_TCP:
                return "TCP";
        case IPPROTO_UDP:
                return "UDP";
        case IPPROTO_SCTP:
                return "SCTP";
        default:
                return "?";
        }
}

/* An endpoint of IPv4 as it is packed; one of IPv6 has its address behind that. There are 250,000 in large clusters. */
struct packed_backend {
        __be32 v4;
        uint32_t id;
        __be16 port;
        uint8_t weight; /* WEIGHT_MAX fits */
        uint8_t bits;   /* PACKED_V6 | flags << SCOPE_BITS | scopes */
};

#define SCOPE_BITS 2
#define PACKED_V6  0x80U

static size_t packed_size(const struct addr *a)
{
        return sizeof(struct packed_backend) + (address_is_v4(a) ? 0 : sizeof(*a));
}

static const char *pack_backends(struct packer *p, const struct port_state *port)
{
        size_t size = 0;
        char *first, *at;

        for (uint32_t i = 0; i < port->nbackends; i++)
                size += packed_size(&port->backends[i].addr);
        first = at = (char *)pack_bytes(p, NULL, size, _Alignof(struct packed_backend));
        for (uint32_t i = 0; p->base && i < port->nbackends; i++) {
                const struct backend_state *b = &port->backends[i];
                bool v4 = address_is_v4(&b->addr);
                struct packed_backend packed = {
                        .v4 = v4 ? b->addr.w[3] : 0,
                        .id = b->id,
                        .port = b->port,
                        .weight = (uint8_t)b->weight,
                        .bits = (uint8_t)((v4 ? 0 : PACKED_V6) | b->flags << SCOPE_BITS | b->scopes)};

                memcpy(at, &packed, sizeof(packed));
                if (!v4)
                        memcpy(at + sizeof(packed), &b->addr, sizeof(b->addr));
                at += packed_size(&b->addr);
        }
        return first;
}

static void unpack_backends(const struct port_state *port, struct backend_state *ret)
{
        const char *at = port->packed_backends;

        for (uint32_t i = 0; i < port->nbackends; i++) {
                struct packed_backend packed;

                memcpy(&packed, at, sizeof(packed));
                at += sizeof(packed);
                ret[i] = (struct backend_state){.addr = address_of_v4(packed.v4),
                                                .port = packed.port,
                                                .flags = (packed.bits & ~PACKED_V6) >> SCOPE_BITS,
                                                .scopes = packed.bits & ((1U << SCOPE_BITS) - 1),
                                                .weight = packed.weight,
                                                .id = packed.id};
                if (!(packed.bits & PACKED_V6))
                        continue;
                memcpy(&ret[i].addr, at, sizeof(ret[i].addr));
                at += sizeof(ret[i].addr);
        }
}

static struct service_state copy_state(const struct service_state *s, struct packer *p)
{
        struct service_state copy = *s;

        pack_bytes(p, s, sizeof(*s), 1);
        copy.ports = pack_array(p, s->ports, s->nports);
        for (size_t i = 0; i < s->nports; i++) {
                const char *backends = pack_backends(p, &s->ports[i]);

                if (p->base)
                        copy.ports[i].packed_backends = backends;
        }
        copy.frontends = pack_array(p, s->frontends, s->nfrontends);
        copy.ranges = pack_array(p, s->ranges, s->nranges);
        copy.problems = pack_strs(p, s->problems, s->nproblems);
        for (size_t i = 0; i < s->nports; i++) {
                const char *name = pack_str(p, s->ports[i].name);

                if (p->base)
                        copy.ports[i].name = name;
        }
        copy.key = pack_str(p, s->key);
        return copy;
}

struct service_state *service_state_pack(const struct service_state *s)
{
        struct packer p = {0};
        struct service_state *packed;

        copy_state(s, &p);
        p.base = mem_alloc(p.used);
        p.used = 0;
        packed = (struct service_state *)(void *)p.base;
        *packed = copy_state(s, &p);
        return packed;
}

const struct service_state *service_state_unpack(const struct service_state *packed, struct arena *arena)
{
        struct service_state *s = arena_alloc(arena, sizeof(*s));

        *s = *packed;
        s->ports = arena_alloc(arena, packed->nports * sizeof(*s->ports));
        if (packed->nports)
                memcpy(s->ports, packed->ports, packed->nports * sizeof(*s->ports));
        for (size_t i = 0; i < s->nports; i++) {
                struct backend_state *b = arena_alloc(arena, s->ports[i].nbackends * sizeof(*b));

                unpack_backends(&s->ports[i], b);
                s->ports[i].backends = b;
        }
        return s;
}
