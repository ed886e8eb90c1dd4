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

static struct service_state copy_state(const struct service_state *s, struct packer *p)
{
        struct service_state copy = *s;

        pack_bytes(p, s, sizeof(*s), 1);
        copy.ports = pack_array(p, s->ports, s->nports);
        for (size_t i = 0; i < s->nports; i++) {
                struct backend_state *backends = pack_array(p, s->ports[i].backends, s->ports[i].nbackends);

                if (p->base)
                        copy.ports[i].backends = backends;
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
