/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Gives each node its part of --cluster-cidr, one of each family. Parts are numbered; which are taken is what the nodes
 * say, so there is nothing to lose. One node at a time: the next is looked at when the cache shows the last one's.
 */
#include <arpa/inet.h>
#include <stdlib.h>
#include <string.h>

#include "base/hashmap.h"
#include "base/mem.h"
#include "base/str.h"
#include "controllers/config.h"
#include "controllers/nodeipam.h"

#define FAMILIES  2
#define PARTS_MAX (1U << 16) /* upstream's limit, too */

/* A range that is handed out in parts. */
struct pool {
        int family; /* AF_INET, AF_INET6; 0: none */
        unsigned char base[16];
        unsigned int bits, part_bits; /* prefix lengths */
        uint32_t parts, next;         /* next: where to look first */
        unsigned char *taken;         /* a count for each part: nodes may claim the same */
};

struct ipam {
        struct pool pools[FAMILIES];
        struct hashmap chosen; /* node -> struct choice *: what it was given, until it shows it */
};

/* An answer that got lost may have been a yes: a node's parts stay its own until it is seen what became of them. */
struct choice {
        uint32_t part[FAMILIES];
};

int cidr_parse(struct str_span text, struct cidr *ret)
{
        char buf[INET6_ADDRSTRLEN + 8], *slash;
        uint32_t bits, most;

        if (text.n >= sizeof(buf))
                return -EINVAL;
        memcpy(buf, text.s, text.n);
        buf[text.n] = '\0';
        slash = strchr(buf, '/');
        if (!slash || str_parse_u32(slash + 1, &bits))
                return -EINVAL;
        *slash = '\0';
        ret->family = strchr(buf, ':') ? AF_INET6 : AF_INET;
        most = ret->family == AF_INET ? 32 : 128;
        memset(ret->address, 0, sizeof(ret->address));
        if (bits > most || inet_pton(ret->family, buf, ret->address) != 1)
                return -EINVAL;
        ret->bits = bits;
        return 0;
}

/* The number that the bits [from, to) of the address make; at most 32 of them. */
static uint32_t bits_of(const unsigned char *address, unsigned int from, unsigned int to)
{
        uint32_t n = 0;

        for (unsigned int i = from; i < to; i++)
                n = n << 1 | (address[i / 8] >> (7 - i % 8) & 1);
        return n;
}

static void set_bits(unsigned char *address, unsigned int from, unsigned int to, uint32_t n)
{
        for (unsigned int i = to; i-- > from; n >>= 1) {
                unsigned char bit = (unsigned char)(1U << (7 - i % 8));

                address[i / 8] = (unsigned char)((address[i / 8] & ~bit) | (n & 1 ? bit : 0));
        }
}

static void pool_init(struct pool *p, const struct cidr *range, unsigned int part_bits)
{
        unsigned int width = part_bits - range->bits;

        *p = (struct pool){.family = range->family, .bits = range->bits, .part_bits = part_bits};
        memcpy(p->base, range->address, sizeof(p->base));
        p->parts = width >= 16 ? PARTS_MAX : 1U << width;
        p->taken = mem_zalloc(p->parts);
}

static void *ipam_new(struct runner *r)
{
        const struct config *c = runner_config(r);
        struct ipam *i = mem_new(struct ipam);
        struct str_span word;
        size_t n = 0;

        hashmap_init(&i->chosen, HASHMAP_STR_OWNED);
        for (const char *rest = c->allocate_node_cidrs ? c->cluster_cidr : NULL;
             rest && n < FAMILIES && str_split(&rest, ',', &word); n++) {
                struct cidr range;

                if (!cidr_parse(word, &range)) /* it was checked at the start */
                        pool_init(&i->pools[n], &range, range.family == AF_INET ? c->node_mask_v4 : c->node_mask_v6);
        }
        return i;
}

static void ipam_free(void *state)
{
        struct ipam *i = state;

        for (size_t k = 0; k < FAMILIES; k++)
                free(i->pools[k].taken);
        hashmap_foreach (&i->chosen, slot)
                free(slot->value);
        hashmap_deinit(&i->chosen);
        free(i);
}

/* Which part of the pool a node's CIDR is, or touches first; -1: none. */
static int64_t part_of(const struct pool *p, const char *text)
{
        struct cidr c;

        if (!p->family || cidr_parse((struct str_span){text, strlen(text)}, &c) || c.family != p->family)
                return -1;
        if (memcmp(p->base, c.address, p->bits / 8) != 0 ||
            bits_of(p->base, p->bits & ~7U, p->bits) != bits_of(c.address, p->bits & ~7U, p->bits))
                return -1;
        return bits_of(c.address, MAX(p->bits, p->part_bits - MIN(p->part_bits, 32U)), p->part_bits) % p->parts;
}

static void mark(struct ipam *ipam, const struct kobj *node, int by)
{
        for (size_t i = 0; i < node->node->npod_cidrs; i++)
                for (size_t k = 0; k < FAMILIES; k++) {
                        int64_t part = part_of(&ipam->pools[k], node->node->pod_cidrs[i]);

                        if (part >= 0)
                                ipam->pools[k].taken[part] = (unsigned char)(ipam->pools[k].taken[part] + by);
                }
}

static void give_back(struct ipam *ipam, const char *node)
{
        _cleanup_free_ struct choice *c = hashmap_del(&ipam->chosen, node);

        for (size_t k = 0; c && k < FAMILIES && ipam->pools[k].family; k++)
                ipam->pools[k].taken[c->part[k]]--;
}

static void on_node(struct runner *r, const struct kobj *old, const struct kobj *now)
{
        struct ipam *ipam = runner_state(r);

        if (!ipam->pools[0].family)
                return;
        if (now)
                mark(ipam, now, 1);
        if (old)
                mark(ipam, old, -1);
        if (!now || now->node->npod_cidrs)
                give_back(ipam, now ? now->name : old->name);
        else
                runner_add_object(r, now);
}

/* -1: every part is taken. */
static int64_t free_part(const struct pool *p)
{
        for (uint32_t i = 0; i < p->parts; i++)
                if (!p->taken[(p->next + i) % p->parts])
                        return (p->next + i) % p->parts;
        return -1;
}

/* NULL, with *ret_full the range, when one has no part left. */
static const struct choice *choose(struct ipam *ipam, const char *node, size_t *ret_full)
{
        struct choice *c = hashmap_get(&ipam->chosen, node);
        int64_t part[FAMILIES] = {0};

        if (c)
                return c;
        for (size_t k = 0; k < FAMILIES && ipam->pools[k].family; k++) {
                part[k] = free_part(&ipam->pools[k]);
                if (part[k] < 0) {
                        *ret_full = k;
                        return NULL;
                }
        }
        c = mem_new(struct choice);
        for (size_t k = 0; k < FAMILIES && ipam->pools[k].family; k++) {
                c->part[k] = (uint32_t)part[k];
                ipam->pools[k].taken[part[k]]++;
                ipam->pools[k].next = c->part[k] + 1;
        }
        hashmap_put(&ipam->chosen, node, c);
        return c;
}

static struct json_object *part_text(const struct pool *p, uint32_t part)
{
        unsigned char address[16];
        char ip[INET6_ADDRSTRLEN], text[INET6_ADDRSTRLEN + 8];

        memcpy(address, p->base, sizeof(address));
        set_bits(address, MAX(p->bits, p->part_bits - MIN(p->part_bits, 32U)), p->part_bits, part);
        snprintf(text, sizeof(text), "%s/%u", inet_ntop(p->family, address, ip, sizeof(ip)), p->part_bits);
        return json_object_new_string(text);
}

static void sync_node(struct sync *s)
{
        struct ipam *ipam = s->state;
        const struct kobj *node = lister_find(s->lister, &res_nodes, s->key);
        const struct choice *choice;
        struct json_object *patch, *list;
        size_t full = 0;

        if (!node || node->deleted_s || node->node->npod_cidrs || !ipam->pools[0].family)
                return;
        choice = choose(ipam, node->name, &full);
        if (!choice) {
                plan_event(s, node, false, "CIDRNotAvailable", "Node %s status is now: CIDRNotAvailable", node->name);
                plan_retry(s, "every part of range %zu of --cluster-cidr is taken", full + 1);
                return;
        }
        patch = json_object_new_object();
        list = json_object_new_array();
        for (size_t k = 0; k < FAMILIES && ipam->pools[k].family; k++)
                json_object_array_add(list, part_text(&ipam->pools[k], choice->part[k]));
        json_set_str(json_ensure(patch, "spec"), "podCIDR", json_object_get_string(json_idx(list, 0)));
        json_set(json_ensure(patch, "spec"), "podCIDRs", list);
        step_version(plan_patch(s, node, NULL, patch), node);
}

const struct controller controller_nodeipam = {
        .name = "node-ipam",
        .event_source = "cidrAllocator",
        .watches = (const struct watch[]){{&res_nodes, on_node}, {0}},
        .sync = sync_node,
        .state_new = ipam_new,
        .state_free = ipam_free,
        .backoff_max_ms = 30000,
};
