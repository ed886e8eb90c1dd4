/* SPDX-License-Identifier: Apache-2.0 */
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>

#include "agent/apply_stage.h"
#include "base/mem.h"
#include "bpf/abi/maps.h"
#include "datapath/address.h"

#define KEPT_BYTES ((size_t)256 << 10)

void stage_init(struct stage *s, size_t key_size, size_t value_size)
{
        *s = (struct stage){.key_size = key_size, .value_size = value_size};
}

void stage_deinit(struct stage *s)
{
        free(s->keys);
        free(s->values);
        s->keys = s->values = NULL;
        s->n = s->cap = 0;
}

void stage_add(struct stage *s, const void *key, const void *value)
{
        if (s->n == s->cap) {
                s->cap = s->cap ? 2 * s->cap : 64;
                s->keys = mem_realloc(s->keys, s->cap, s->key_size);
                if (s->value_size)
                        s->values = mem_realloc(s->values, s->cap, s->value_size);
        }
        memcpy(s->keys + s->n * s->key_size, key, s->key_size);
        if (s->value_size)
                memcpy(s->values + s->n * s->value_size, value, s->value_size);
        s->n++;
}

const void *stage_key(const struct stage *s, size_t i)
{
        return s->keys + i * s->key_size;
}

void stage_clear(struct stage *s)
{
        s->n = 0;
        if (s->cap * (s->key_size + s->value_size) > KEPT_BYTES)
                stage_deinit(s);
}

void filter_books_init(struct filter_books *f)
{
        *f = (struct filter_books){.bits = mem_new(struct filters), .address = calloc(ADDRESS_BITS, sizeof(uint8_t))};
        for (size_t i = 0; i < ARRAY_SIZE(f->port); i++)
                f->port[i] = calloc(PORT_BITS, sizeof(uint16_t));
}

void filter_books_deinit(struct filter_books *f)
{
        free(f->bits);
        free(f->address);
        for (size_t i = 0; i < ARRAY_SIZE(f->port); i++)
                free(f->port[i]);
}

static bool is_any(const struct addr *a)
{
        struct addr any4 = address_of_v4(0);

        return address_is_zero(a) || address_equal(a, &any4);
}

static __u64 *port_bits(struct filter_books *f, uint8_t proto, uint16_t **ret_counts)
{
        switch (proto) {
        case IPPROTO_TCP:
                *ret_counts = f->port[0];
                return f->bits->tcp;
        case IPPROTO_UDP:
                *ret_counts = f->port[1];
                return f->bits->udp;
        default:
                *ret_counts = f->port[2];
                return f->bits->sctp;
        }
}

/* A bit that as many have as can be counted stays for ever: no packet is lost by it. Returns whether it is the first.
 */
static bool count_up(uint8_t *count)
{
        if (*count < UINT8_MAX)
                ++*count;
        return *count == 1;
}

/* Returns whether it was the last. */
static bool count_down(uint8_t *count)
{
        if (*count < UINT8_MAX)
                --*count;
        return !*count;
}

static __u64 bit_of(uint32_t bit)
{
        return (__u64)1 << bit % 64;
}

void filter_books_add(struct filter_books *f, const struct service_key *key)
{
        if (is_any(&key->addr)) {
                uint32_t port = ntohs(key->port);
                uint16_t *counts;
                __u64 *bits = port_bits(f, key->proto, &counts);

                if (!counts[port]++) {
                        bits[port / 64] |= bit_of(port);
                        f->grown = true;
                }
        } else {
                uint32_t bit = addr_filter_bit(&key->addr);

                if (count_up(&f->address[bit])) {
                        f->bits->address[bit / 64] |= bit_of(bit);
                        f->grown = true;
                }
        }
}

void filter_books_remove(struct filter_books *f, const struct service_key *key)
{
        if (is_any(&key->addr)) {
                uint32_t port = ntohs(key->port);
                uint16_t *counts;
                __u64 *bits = port_bits(f, key->proto, &counts);

                if (!--counts[port]) {
                        bits[port / 64] &= ~bit_of(port);
                        f->shrunk = true;
                }
        } else {
                uint32_t bit = addr_filter_bit(&key->addr);

                if (count_down(&f->address[bit])) {
                        f->bits->address[bit / 64] &= ~bit_of(bit);
                        f->shrunk = true;
                }
        }
}

int filter_books_write(struct filter_books *f, struct map *m)
{
        uint32_t zero = 0;
        int r = map_update(m, &zero, f->bits);

        if (!r)
                f->grown = f->shrunk = false;
        return r;
}
