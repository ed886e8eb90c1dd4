/* SPDX-License-Identifier: Apache-2.0 */
#include <stdlib.h>
#include <string.h>

#include "base/hashmap.h"
#include "base/mem.h"
#include "base/random.h"

static uint64_t rotl(uint64_t x, int b)
{
        return x << b | x >> (64 - b);
}

static void sip_round(uint64_t v[4])
{
        v[0] += v[1];
        v[1] = rotl(v[1], 13) ^ v[0];
        v[0] = rotl(v[0], 32);
        v[2] += v[3];
        v[3] = rotl(v[3], 16) ^ v[2];
        v[0] += v[3];
        v[3] = rotl(v[3], 21) ^ v[0];
        v[2] += v[1];
        v[1] = rotl(v[1], 17) ^ v[2];
        v[2] = rotl(v[2], 32);
}

/* https://www.aumasson.jp/siphash/siphash.pdf, with one round a word and three at the end. */
uint64_t hash_bytes(const uint64_t seed[2], const void *data, size_t n)
{
        uint64_t v[4] = {seed[0] ^ 0x736f6d6570736575ULL, seed[1] ^ 0x646f72616e646f6dULL,
                         seed[0] ^ 0x6c7967656e657261ULL, seed[1] ^ 0x7465646279746573ULL};
        const unsigned char *p = data;
        uint64_t word, last = (uint64_t)n << 56;
        size_t left = n;

        for (; left >= 8; left -= 8, p += 8) {
                memcpy(&word, p, 8);
                v[3] ^= word;
                sip_round(v);
                v[0] ^= word;
        }
        for (size_t i = 0; i < left; i++)
                last |= (uint64_t)p[i] << (8 * i);
        v[3] ^= last;
        sip_round(v);
        v[0] ^= last;
        v[2] ^= 0xff;
        for (int i = 0; i < 3; i++)
                sip_round(v);
        return v[0] ^ v[1] ^ v[2] ^ v[3];
}

/* What is looked for: the string or number with its hash. */
struct probe {
        const char *str;
        uint64_t num;
        uint32_t len, hash;
};

static uint32_t hash_of(const struct hashmap *m, const void *data, size_t n)
{
        uint32_t h = (uint32_t)hash_bytes(m->seed, data, n);

        return h ? h : 1;
}

static struct probe probe_str(const struct hashmap *m, const char *key, size_t len)
{
        return (struct probe){.str = key, .len = (uint32_t)len, .hash = hash_of(m, key, len)};
}

static struct probe probe_u64(const struct hashmap *m, uint64_t key)
{
        return (struct probe){.num = key, .hash = hash_of(m, &key, sizeof(key))};
}

static bool slot_matches(const struct hashmap *m, const struct hashmap_slot *s, const struct probe *p)
{
        if (s->hash != p->hash)
                return false;
        if (m->kind == HASHMAP_U64)
                return s->key.num == p->num;
        return p->str && s->len == p->len && memcmp(s->key.str, p->str, p->len) == 0;
}

/* The slot of that key, or the free one where it would go. The table has at least one free slot. */
static struct hashmap_slot *locate(const struct hashmap *m, const struct probe *p)
{
        size_t i = p->hash & (m->cap - 1);

        while (m->slots[i].hash && !slot_matches(m, &m->slots[i], p))
                i = (i + 1) & (m->cap - 1);
        return &m->slots[i];
}

static struct hashmap_slot *find(const struct hashmap *m, const struct probe *p)
{
        struct hashmap_slot *s;

        if (!m->count)
                return NULL;
        s = locate(m, p);
        return s->hash ? s : NULL;
}

static void grow(struct hashmap *m)
{
        struct hashmap_slot *old = m->slots;
        size_t old_cap = m->cap;

        m->cap = old_cap ? old_cap * 2 : 8;
        m->slots = mem_zalloc(m->cap * sizeof(*m->slots));
        for (size_t i = 0; i < old_cap; i++) {
                size_t at = old[i].hash & (m->cap - 1);

                if (!old[i].hash)
                        continue;
                while (m->slots[at].hash)
                        at = (at + 1) & (m->cap - 1);
                m->slots[at] = old[i];
        }
        free(old);
}

static void free_key(struct hashmap *m, struct hashmap_slot *s)
{
        if (m->kind == HASHMAP_STR_OWNED)
                free((char *)s->key.str);
}

static void *put(struct hashmap *m, const struct probe *p, void *value)
{
        struct hashmap_slot *s;
        void *old;

        if (m->count + 1 > m->cap - m->cap / 4)
                grow(m);
        s = locate(m, p);
        old = s->hash ? s->value : NULL;
        if (!s->hash) {
                m->count++;
                s->hash = p->hash;
                s->len = p->len;
                if (m->kind == HASHMAP_STR_OWNED)
                        s->key.str = mem_strndup(p->str, p->len);
        }
        if (m->kind == HASHMAP_STR)
                s->key.str = p->str;
        else if (m->kind == HASHMAP_U64)
                s->key.num = p->num;
        s->value = value;
        return old;
}

/* Takes the slot out and moves back what probing had pushed behind it, so that no marks of deleted entries are needed.
 */
static void *del(struct hashmap *m, const struct probe *p)
{
        struct hashmap_slot *s = find(m, p);
        size_t hole, i, mask = m->cap - 1;
        void *value;

        if (!s)
                return NULL;
        value = s->value;
        free_key(m, s);
        hole = (size_t)(s - m->slots);
        for (i = (hole + 1) & mask; m->slots[i].hash; i = (i + 1) & mask) {
                size_t home = m->slots[i].hash & mask;

                if (((i - home) & mask) < ((i - hole) & mask))
                        continue;
                m->slots[hole] = m->slots[i];
                hole = i;
        }
        m->slots[hole] = (struct hashmap_slot){0};
        m->count--;
        return value;
}

void hashmap_init(struct hashmap *m, enum hashmap_kind kind)
{
        *m = (struct hashmap){.kind = kind};
        random_bytes(m->seed, sizeof(m->seed));
}

void hashmap_clear(struct hashmap *m)
{
        hashmap_foreach (m, s)
                free_key(m, s);
        if (m->slots)
                memset(m->slots, 0, m->cap * sizeof(*m->slots));
        m->count = 0;
}

void hashmap_deinit(struct hashmap *m)
{
        hashmap_clear(m);
        free(m->slots);
        m->slots = NULL;
        m->cap = 0;
}

struct hashmap_slot *hashmap_find(const struct hashmap *m, const char *key, size_t len)
{
        struct probe p = probe_str(m, key, len);

        return find(m, &p);
}

void *hashmap_get_n(const struct hashmap *m, const char *key, size_t len)
{
        struct hashmap_slot *s = hashmap_find(m, key, len);

        return s ? s->value : NULL;
}

void *hashmap_get(const struct hashmap *m, const char *key)
{
        return hashmap_get_n(m, key, strlen(key));
}

void *hashmap_get_u64(const struct hashmap *m, uint64_t key)
{
        struct probe p = probe_u64(m, key);
        struct hashmap_slot *s = find(m, &p);

        return s ? s->value : NULL;
}

void *hashmap_put_n(struct hashmap *m, const char *key, size_t len, void *value)
{
        struct probe p = probe_str(m, key, len);

        return put(m, &p, value);
}

void *hashmap_put(struct hashmap *m, const char *key, void *value)
{
        return hashmap_put_n(m, key, strlen(key), value);
}

void *hashmap_put_u64(struct hashmap *m, uint64_t key, void *value)
{
        struct probe p = probe_u64(m, key);

        return put(m, &p, value);
}

void *hashmap_del_n(struct hashmap *m, const char *key, size_t len)
{
        struct probe p = probe_str(m, key, len);

        return del(m, &p);
}

void *hashmap_del(struct hashmap *m, const char *key)
{
        return hashmap_del_n(m, key, strlen(key));
}

void *hashmap_del_u64(struct hashmap *m, uint64_t key)
{
        struct probe p = probe_u64(m, key);

        return del(m, &p);
}

struct hashmap_slot *hashmap_next(const struct hashmap *m, struct hashmap_slot *s)
{
        for (; s && s < m->slots + m->cap; s++)
                if (s->hash)
                        return s;
        return NULL;
}
