/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A node may refuse a daemon as often as it gets one. Its pod is replaced at once for the first time, then after 1, 2,
 * 4, ... seconds, 15 minutes at most; all is forgotten after twice that time without a failure. What is known of it is
 * lost at a restart, and begins anew.
 */
#include "base/hashmap.h"
#include "base/mem.h"
#include "controllers/daemonset.h"

#define FIRST_MS   1000
#define LONGEST_MS (15 * 60 * 1000)
#define FORGET_MS  (2 * LONGEST_MS)

struct backoff {
        uint64_t since_ms, wait_ms;
};

struct backoffs {
        struct hashmap entries; /* "UID/node" -> struct backoff * */
        uint64_t swept_ms;
};

struct backoffs *backoffs_new(void)
{
        struct backoffs *b = mem_new(struct backoffs);

        hashmap_init(&b->entries, HASHMAP_STR_OWNED);
        return b;
}

void backoffs_free(struct backoffs *b)
{
        hashmap_foreach (&b->entries, slot)
                free(slot->value);
        hashmap_deinit(&b->entries);
        free(b);
}

static void sweep(struct backoffs *b, uint64_t now_ms)
{
        struct hashmap left;

        if (now_ms - b->swept_ms < FORGET_MS)
                return;
        b->swept_ms = now_ms;
        hashmap_init(&left, HASHMAP_STR_OWNED);
        hashmap_foreach (&b->entries, slot) {
                struct backoff *one = slot->value;

                if (now_ms - one->since_ms < FORGET_MS)
                        hashmap_put(&left, slot->key.str, one);
                else
                        free(one);
        }
        hashmap_deinit(&b->entries);
        b->entries = left;
}

bool backoffs_try(struct backoffs *b, const struct daemons *d, const char *node, uint64_t *ret_wait_ms)
{
        const char *key = arena_printf(d->sync->mem, "%s/%s", d->set->uid, node);
        uint64_t now_ms = d->sync->mono_ms;
        struct backoff *one;

        sweep(b, now_ms);
        one = hashmap_get(&b->entries, key);
        if (one && now_ms - one->since_ms < one->wait_ms) {
                *ret_wait_ms = one->wait_ms - (now_ms - one->since_ms);
                return false;
        }
        if (!one) {
                one = mem_new(struct backoff);
                hashmap_put(&b->entries, key, one);
        }
        if (!one->wait_ms || now_ms - one->since_ms >= FORGET_MS)
                one->wait_ms = FIRST_MS;
        else
                one->wait_ms = MIN(one->wait_ms * 2, (uint64_t)LONGEST_MS);
        one->since_ms = now_ms;
        return true;
}
