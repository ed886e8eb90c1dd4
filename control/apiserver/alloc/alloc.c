/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "apiserver/alloc/alloc.h"
#include "base/hashmap.h"
#include "base/mem.h"
#include "base/random.h"
#include "base/str.h"

#define IP_KEY_SIZE 17 /* length byte and address */

/* Addresses first .. first + hosts - 1 may be given out; those below first + band only on request. */
struct ip_range {
        struct ipcidr cidr;
        struct ipaddr first;
        uint64_t hosts, band;
        uint64_t used;
};

/* A ServiceCIDR object that may be allocated from. */
struct service_cidr {
        char *name;
        struct ipcidr cidrs[2];
        size_t ncidrs;
};

struct alloc {
        pthread_mutex_t lock;
        struct ipcidr config_cidrs[2];
        size_t nconfig;
        struct service_cidr *objects;
        size_t nobjects;
        struct ip_range *ranges; /* of the configuration and of the objects, each prefix once */
        size_t nranges;
        struct hashmap ips; /* IP_KEY_SIZE bytes -> the alloc itself, only to be not NULL */

        uint16_t port_first, port_last;
        size_t ports_used;
        uint64_t ports[65536 / 64];
};

/* KEP-3070: a sixteenth of the range, 16 to 256 of them, nothing of a range of fewer than 16. */
static uint64_t ip_band(uint64_t size)
{
        return size < 16 ? 0 : MIN(MAX(size / 16, (uint64_t)16), (uint64_t)256);
}

/* KEP-3668: a 32nd of the range, 16 to 128. */
static unsigned int port_band(unsigned int size)
{
        return size < 16 ? 0 : MIN(MAX(size / 32, 16U), 128U);
}

/* Without the network's address, and for IPv4 without the broadcast address. */
static struct ip_range range_of(const struct ipcidr *c)
{
        unsigned int host_bits = c->addr.len * 8U - c->bits;
        uint64_t size = host_bits >= 63 ? UINT64_C(1) << 63 : UINT64_C(1) << host_bits;
        uint64_t reserved = c->addr.len == 4 ? 2 : 1;
        struct ip_range r = {.cidr = *c};
        struct ipaddr network = ipcidr_first(c);

        r.first = ipaddr_add(&network, 1);
        r.hosts = size > reserved ? size - reserved : 0;
        r.band = MIN(ip_band(size), r.hosts);
        return r;
}

static bool range_has(const struct ip_range *r, const struct ipaddr *ip)
{
        struct ipaddr last;

        if (!r->hosts || !ipcidr_contains(&r->cidr, ip))
                return false;
        last = ipaddr_add(&r->first, r->hosts - 1);
        return ipaddr_compare(&r->first, ip) <= 0 && ipaddr_compare(ip, &last) <= 0;
}

static void ip_key(const struct ipaddr *ip, char key[IP_KEY_SIZE])
{
        key[0] = (char)ip->len;
        memset(key + 1, 0, 16);
        memcpy(key + 1, ip->bytes, ip->len);
}

static bool ip_used(const struct alloc *a, const struct ipaddr *ip)
{
        char key[IP_KEY_SIZE];

        ip_key(ip, key);
        return hashmap_find(&a->ips, key, sizeof(key)) != NULL;
}

static void ranges_add(struct alloc *a, const struct ipcidr *c)
{
        for (size_t i = 0; i < a->nranges; i++)
                if (ipcidr_equal(&a->ranges[i].cidr, c))
                        return;
        a->ranges = mem_realloc(a->ranges, a->nranges + 1, sizeof(*a->ranges));
        a->ranges[a->nranges++] = range_of(c);
}

static void ranges_count(struct alloc *a)
{
        hashmap_foreach (&a->ips, slot) {
                struct ipaddr ip = {.len = (uint8_t)slot->key.str[0]};

                memcpy(ip.bytes, slot->key.str + 1, 16);
                for (size_t i = 0; i < a->nranges; i++)
                        a->ranges[i].used += range_has(&a->ranges[i], &ip);
        }
}

/* The objects of the ranges change a few times in a cluster's life: everything is counted anew. */
static void ranges_rebuild(struct alloc *a)
{
        a->nranges = 0;
        for (size_t i = 0; i < a->nconfig; i++)
                ranges_add(a, &a->config_cidrs[i]);
        for (size_t i = 0; i < a->nobjects; i++)
                for (size_t j = 0; j < a->objects[i].ncidrs; j++)
                        ranges_add(a, &a->objects[i].cidrs[j]);
        ranges_count(a);
}

int alloc_new(struct alloc **ret, const struct kind_config *config, struct err *reterr)
{
        _cleanup_(alloc_freep) struct alloc *a = mem_new(struct alloc);

        pthread_mutex_init(&a->lock, NULL);
        hashmap_init(&a->ips, HASHMAP_STR_OWNED);
        for (size_t i = 0; i < ARRAY_SIZE(config->service_cidr) && config->service_cidr[i]; i++) {
                if (ipcidr_parse(config->service_cidr[i], &a->config_cidrs[i]))
                        return err_set(reterr, -EINVAL, "service range \"%s\" is no prefix like 10.96.0.0/16",
                                       config->service_cidr[i]);
                a->nconfig++;
        }
        if (a->nconfig == 2 && a->config_cidrs[0].addr.len == a->config_cidrs[1].addr.len)
                return err_set(reterr, -EINVAL, "the two service ranges %s and %s must be of different IP families",
                               config->service_cidr[0], config->service_cidr[1]);
        if (config->node_port_first > config->node_port_last || !config->node_port_first)
                return err_set(reterr, -EINVAL, "node ports %u-%u are no range like 30000-32767",
                               config->node_port_first, config->node_port_last);
        a->port_first = config->node_port_first;
        a->port_last = config->node_port_last;
        ranges_rebuild(a);
        *ret = TAKE_PTR(a);
        return 0;
}

void alloc_free(struct alloc *a)
{
        if (!a)
                return;
        for (size_t i = 0; i < a->nobjects; i++)
                free(a->objects[i].name);
        free(a->objects);
        free(a->ranges);
        hashmap_deinit(&a->ips);
        pthread_mutex_destroy(&a->lock);
        free(a);
}

bool alloc_watches(const char *key)
{
        return str_has_prefix(key, ALLOC_IP_PREFIX) || str_has_prefix(key, ALLOC_PORT_PREFIX) ||
               str_has_prefix(key, ALLOC_CIDR_PREFIX);
}

static void observe_ip(struct alloc *a, const char *name, bool there)
{
        char key[IP_KEY_SIZE];
        struct ipaddr ip;
        bool was;

        if (ipaddr_parse(name, &ip))
                return;
        was = ip_used(a, &ip);
        if (was == there)
                return;
        ip_key(&ip, key);
        if (there)
                hashmap_put_n(&a->ips, key, sizeof(key), a);
        else
                hashmap_del_n(&a->ips, key, sizeof(key));
        for (size_t i = 0; i < a->nranges; i++)
                if (range_has(&a->ranges[i], &ip))
                        a->ranges[i].used += there ? 1 : (uint64_t)-1;
}

static bool port_used(const struct alloc *a, unsigned int port)
{
        return a->ports[port / 64] >> (port % 64) & 1;
}

static void observe_port(struct alloc *a, const char *name, bool there)
{
        uint16_t port;

        if (str_parse_u16(name, &port) || port_used(a, port) == there)
                return;
        a->ports[port / 64] ^= UINT64_C(1) << (port % 64);
        a->ports_used += there ? 1 : (size_t)-1;
}

/* Ready unless a controller says that it is not, and not on its way out. */
static bool cidr_object_usable(const struct json_object *obj)
{
        if (json_at(obj, "metadata.deletionTimestamp"))
                return false;
        json_array_foreach (json_at(obj, "status.conditions"), i, condition)
                if (str_eq(json_get_str(condition, "type"), "Ready"))
                        return str_eq(json_get_str(condition, "status"), "True");
        return true;
}

static struct service_cidr *cidr_object_ensure(struct alloc *a, const char *name)
{
        for (size_t i = 0; i < a->nobjects; i++)
                if (str_eq(a->objects[i].name, name))
                        return &a->objects[i];
        a->objects = mem_realloc(a->objects, a->nobjects + 1, sizeof(*a->objects));
        a->objects[a->nobjects] = (struct service_cidr){.name = mem_strdup(name)};
        return &a->objects[a->nobjects++];
}

static void observe_cidr(struct alloc *a, const char *name, const char *data, size_t len)
{
        struct service_cidr *o = cidr_object_ensure(a, name);
        _cleanup_json_ struct json_object *obj = NULL;

        o->ncidrs = 0;
        if (data && json_parse(data, len, &obj, NULL) == 0 && cidr_object_usable(obj)) {
                json_array_foreach (json_at(obj, "spec.cidrs"), i, cidr)
                        if (o->ncidrs < ARRAY_SIZE(o->cidrs) && json_is_string(cidr) &&
                            ipcidr_parse(json_object_get_string(cidr), &o->cidrs[o->ncidrs]) == 0)
                                o->ncidrs++;
        }
        if (!data) {
                free(o->name);
                *o = a->objects[--a->nobjects];
        }
        ranges_rebuild(a);
}

void alloc_observe(struct alloc *a, const char *key, const char *data, size_t len)
{
        const char *name;

        if (!alloc_watches(key))
                return;
        pthread_mutex_lock(&a->lock);
        if ((name = str_after(key, ALLOC_IP_PREFIX)))
                observe_ip(a, name, data != NULL);
        else if ((name = str_after(key, ALLOC_PORT_PREFIX)))
                observe_port(a, name, data != NULL);
        else if ((name = str_after(key, ALLOC_CIDR_PREFIX)))
                observe_cidr(a, name, data, len);
        pthread_mutex_unlock(&a->lock);
}

/* The first free one at or behind a random start among [from, from + n), going around once. */
static bool ip_walk(const struct alloc *a, const struct ip_range *r, uint64_t from, uint64_t n, struct ipaddr *ret)
{
        uint64_t start;

        if (!n)
                return false;
        start = random_below(n);
        /* No more than all used ones can be in the way. */
        for (uint64_t i = 0; i < n && i <= a->ips.count; i++) {
                struct ipaddr ip = ipaddr_add(&r->first, from + (start + i) % n);

                if (!ip_used(a, &ip)) {
                        *ret = ip;
                        return true;
                }
        }
        return false;
}

static bool range_next(const struct alloc *a, const struct ip_range *r, struct ipaddr *ret)
{
        if (r->used >= r->hosts)
                return false;
        return ip_walk(a, r, r->band, r->hosts - r->band, ret) || ip_walk(a, r, 0, r->band, ret);
}

int alloc_ip_next(struct alloc *a, int family, struct ipaddr *ret)
{
        int r = ALLOC_FULL;

        pthread_mutex_lock(&a->lock);
        for (size_t i = 0; i < a->nranges && r; i++)
                if (ipaddr_is_v6(&a->ranges[i].first) == (family == 6) && range_next(a, &a->ranges[i], ret))
                        r = 0;
        pthread_mutex_unlock(&a->lock);
        return r;
}

static bool in_range(const struct alloc *a, const struct ipaddr *ip)
{
        for (size_t i = 0; i < a->nranges; i++)
                if (range_has(&a->ranges[i], ip))
                        return true;
        return false;
}

int alloc_ip_check(struct alloc *a, const struct ipaddr *ip)
{
        int r;

        pthread_mutex_lock(&a->lock);
        r = !in_range(a, ip) ? ALLOC_OUT_OF_RANGE : ip_used(a, ip) ? ALLOC_TAKEN : 0;
        pthread_mutex_unlock(&a->lock);
        return r;
}

bool alloc_ip_in_range(struct alloc *a, const struct ipaddr *ip)
{
        return alloc_ip_check(a, ip) != ALLOC_OUT_OF_RANGE;
}

bool port_set_has(const struct port_set *s, uint16_t port)
{
        for (size_t i = 0; i < s->n; i++)
                if (s->ports[i] == port)
                        return true;
        return false;
}

void port_set_add(struct port_set *s, uint16_t port)
{
        if (port_set_has(s, port))
                return;
        if (s->n == s->cap) {
                size_t cap = s->cap ? s->cap * 2 : 4;
                uint16_t *ports = arena_array(s->arena, uint16_t, cap);

                if (s->n)
                        memcpy(ports, s->ports, s->n * sizeof(*ports));
                s->ports = ports;
                s->cap = cap;
        }
        s->ports[s->n++] = port;
}

static bool port_walk(const struct alloc *a, unsigned int first, unsigned int n, const struct port_set *except,
                      uint16_t *ret)
{
        unsigned int start;

        if (!n)
                return false;
        start = (unsigned int)random_below(n);
        for (unsigned int i = 0; i < n; i++) {
                unsigned int port = first + (start + i) % n;

                if (!port_used(a, port) && !port_set_has(except, (uint16_t)port)) {
                        *ret = (uint16_t)port;
                        return true;
                }
        }
        return false;
}

int alloc_port_next(struct alloc *a, const struct port_set *except, uint16_t *ret)
{
        unsigned int size = a->port_last - a->port_first + 1U, band = port_band(size);
        bool found;

        pthread_mutex_lock(&a->lock);
        found = port_walk(a, a->port_first + band, size - band, except, ret) ||
                port_walk(a, a->port_first, band, except, ret);
        pthread_mutex_unlock(&a->lock);
        return found ? 0 : ALLOC_FULL;
}

int alloc_port_check(struct alloc *a, uint16_t port)
{
        int r;

        if (port < a->port_first || port > a->port_last)
                return ALLOC_OUT_OF_RANGE;
        pthread_mutex_lock(&a->lock);
        r = port_used(a, port) ? ALLOC_TAKEN : 0;
        pthread_mutex_unlock(&a->lock);
        return r;
}

void alloc_port_range(const struct alloc *a, uint16_t *ret_first, uint16_t *ret_last)
{
        *ret_first = a->port_first;
        *ret_last = a->port_last;
}

size_t alloc_ips_used(struct alloc *a)
{
        size_t n;

        pthread_mutex_lock(&a->lock);
        n = a->ips.count;
        pthread_mutex_unlock(&a->lock);
        return n;
}

size_t alloc_ports_used(struct alloc *a)
{
        size_t n;

        pthread_mutex_lock(&a->lock);
        n = a->ports_used;
        pthread_mutex_unlock(&a->lock);
        return n;
}

struct json_object *alloc_default_service_cidr(const struct kind_config *config)
{
        struct json_object *obj = json_object_new_object(), *cidrs = json_object_new_array();

        json_set_str(obj, "apiVersion", "networking.k8s.io/v1");
        json_set_str(obj, "kind", "ServiceCIDR");
        json_set_str(json_ensure(obj, "metadata"), "name", "kubernetes");
        json_set(json_ensure(obj, "spec"), "cidrs", cidrs);
        for (size_t i = 0; i < ARRAY_SIZE(config->service_cidr) && config->service_cidr[i]; i++)
                json_object_array_add(cidrs, json_object_new_string(config->service_cidr[i]));
        return obj;
}
