/* SPDX-License-Identifier: Apache-2.0 */
#include <stdlib.h>

#include "base/mem.h"
#include "controllers/common/stopwatch.h"

struct stopwatch {
        int64_t since_s, elapsed_ms; /* at the first look */
        uint64_t looked_ms;          /* monotonic */
};

void stopwatches_init(struct stopwatches *w)
{
        hashmap_init(&w->map, HASHMAP_STR_OWNED);
}

void stopwatches_deinit(struct stopwatches *w)
{
        hashmap_foreach (&w->map, slot)
                free(slot->value);
        hashmap_deinit(&w->map);
}

int64_t stopwatch_ms(struct stopwatches *w, const char *id, int64_t since_s, const struct sync *s)
{
        struct stopwatch *at = hashmap_get(&w->map, id);

        if (!at) {
                at = mem_new(struct stopwatch);
                hashmap_put(&w->map, id, at);
        }
        if (!at->looked_ms || at->since_s != since_s)
                *at = (struct stopwatch){.since_s = since_s,
                                         .elapsed_ms = MAX(s->now_ms - since_s * 1000, (int64_t)0),
                                         .looked_ms = s->mono_ms};
        return at->elapsed_ms + (int64_t)(s->mono_ms - at->looked_ms);
}

void stopwatch_forget(struct stopwatches *w, const char *id)
{
        free(hashmap_del(&w->map, id));
}
