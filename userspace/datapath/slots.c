/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A bit for each slot: set while somebody has it or while it rests. Free runs are found by first fit, a word at a time;
 * 4 Mi slots are 512 KiB, which a search that finds nothing crosses in about 50 us. What rests is a queue in the order
 * of its release, which is also that of its end as the grace time is one for all.
 */
#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>

#include "base/mem.h"
#include "datapath/slots.h"

#define WORD_BITS 64U

struct rest {
        struct slot_range range;
        uint64_t until_ms;
};

struct slots {
        uint64_t *words;
        uint32_t total, used;
        uint32_t lowest; /* nothing below it is free */
        uint64_t grace_ms;
        struct rest *rests; /* a ring */
        size_t rests_cap, rests_first, rests_count;
};

int slots_new(uint32_t total, uint64_t grace_ms, struct slots **ret)
{
        struct slots *s = calloc(1, sizeof(*s));

        if (!s)
                return -ENOMEM;
        s->words = calloc(total / WORD_BITS + 1, sizeof(*s->words));
        if (!s->words) {
                free(s);
                return -ENOMEM;
        }
        s->total = total;
        s->grace_ms = grace_ms;
        *ret = s;
        return 0;
}

void slots_free(struct slots *s)
{
        if (!s)
                return;
        free(s->words);
        free(s->rests);
        free(s);
}

/* The first slot at or behind from, below end, whose bit is as wanted; end when there is none. */
static uint32_t find_bit(const struct slots *s, uint32_t from, uint32_t end, bool set)
{
        uint64_t flip = set ? 0 : UINT64_MAX;

        while (from < end) {
                uint64_t word = (s->words[from / WORD_BITS] ^ flip) >> from % WORD_BITS;

                if (word)
                        return MIN(from + (uint32_t)__builtin_ctzll(word), end);
                from = (from / WORD_BITS + 1) * WORD_BITS;
        }
        return end;
}

static void set_bits(struct slots *s, struct slot_range range, bool set)
{
        for (uint32_t slot = range.base, left = range.size; left;) {
                uint32_t n = MIN(left, WORD_BITS - slot % WORD_BITS);
                uint64_t mask = (n == WORD_BITS ? UINT64_MAX : (UINT64_C(1) << n) - 1) << slot % WORD_BITS;

                if (set)
                        s->words[slot / WORD_BITS] |= mask;
                else
                        s->words[slot / WORD_BITS] &= ~mask;
                slot += n;
                left -= n;
        }
}

/* Gives what has rested long enough back. */
static void wake(struct slots *s, uint64_t now_ms)
{
        while (s->rests_count) {
                const struct rest *r = &s->rests[s->rests_first];

                if (r->until_ms > now_ms)
                        return;
                set_bits(s, r->range, false);
                s->lowest = MIN(s->lowest, r->range.base);
                s->rests_first = (s->rests_first + 1) % s->rests_cap;
                s->rests_count--;
        }
}

int slots_alloc(struct slots *s, uint32_t size, uint64_t now_ms, struct slot_range *ret)
{
        struct slot_range found = {.size = size};

        if (!size) {
                *ret = found;
                return 0;
        }
        wake(s, now_ms);
        s->lowest = found.base = find_bit(s, s->lowest, s->total, false);
        while (s->total - found.base >= size) {
                uint32_t end = find_bit(s, found.base, found.base + size, true);

                if (end - found.base >= size) {
                        set_bits(s, found, true);
                        s->used += size;
                        *ret = found;
                        return 0;
                }
                found.base = find_bit(s, end, s->total, false);
        }
        return SLOTS_FULL;
}

int slots_adopt(struct slots *s, struct slot_range range)
{
        if (range.base > s->total || range.size > s->total - range.base)
                return -ERANGE;
        if (!range.size)
                return 0;
        if (find_bit(s, range.base, range.base + range.size, true) < range.base + range.size)
                return -EEXIST;
        set_bits(s, range, true);
        s->used += range.size;
        return 0;
}

static void grow_rests(struct slots *s)
{
        size_t cap = s->rests_cap ? 2 * s->rests_cap : 16;
        struct rest *bigger = mem_array(struct rest, cap);

        for (size_t i = 0; i < s->rests_count; i++)
                bigger[i] = s->rests[(s->rests_first + i) % s->rests_cap];
        free(s->rests);
        s->rests = bigger;
        s->rests_cap = cap;
        s->rests_first = 0;
}

void slots_release(struct slots *s, struct slot_range range, uint64_t now_ms)
{
        if (!range.size)
                return;
        if (s->rests_count == s->rests_cap)
                grow_rests(s);
        s->rests[(s->rests_first + s->rests_count++) % s->rests_cap] =
                (struct rest){.range = range, .until_ms = now_ms + s->grace_ms};
        s->used -= range.size;
}

uint32_t slots_used(const struct slots *s)
{
        return s->used;
}

/* Ids are slots of size one of which the first is never given out. */
struct ids {
        struct slots *slots;
};

int ids_new(uint32_t total, uint64_t grace_ms, struct ids **ret)
{
        struct ids *ids = calloc(1, sizeof(*ids));
        int r = ids ? slots_new(total, grace_ms, &ids->slots) : -ENOMEM;

        if (r) {
                free(ids);
                return r;
        }
        if (total)
                set_bits(ids->slots, (struct slot_range){.base = 0, .size = 1}, true);
        *ret = ids;
        return 0;
}

void ids_free(struct ids *ids)
{
        if (!ids)
                return;
        slots_free(ids->slots);
        free(ids);
}

int ids_alloc(struct ids *ids, uint64_t now_ms, uint32_t *ret)
{
        struct slot_range range;
        int r = slots_alloc(ids->slots, 1, now_ms, &range);

        if (r == 0)
                *ret = range.base;
        return r;
}

int ids_adopt(struct ids *ids, uint32_t id)
{
        if (id == 0 || id >= ids->slots->total)
                return -ERANGE;
        return slots_adopt(ids->slots, (struct slot_range){.base = id, .size = 1});
}

void ids_release(struct ids *ids, uint32_t id, uint64_t now_ms)
{
        slots_release(ids->slots, (struct slot_range){.base = id, .size = 1}, now_ms);
}

uint32_t ids_used(const struct ids *ids)
{
        return slots_used(ids->slots);
}

bool ids_has(const struct ids *ids, uint32_t id)
{
        const struct slots *s = ids->slots;

        if (id >= s->total || find_bit(s, id, id + 1, true) != id)
                return false;
        for (size_t i = 0; i < s->rests_count; i++)
                if (s->rests[(s->rests_first + i) % s->rests_cap].range.base == id)
                        return false;
        return true;
}
