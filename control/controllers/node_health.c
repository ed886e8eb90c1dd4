/* SPDX-License-Identifier: Apache-2.0 */
#include <stdlib.h>

#include "base/hashmap.h"
#include "base/mem.h"
#include "base/str.h"
#include "controllers/node_health.h"

struct sign {
        uint64_t seen_ms;
        int64_t heartbeat_s; /* the latest of its conditions */
        uint64_t down_ms;    /* since when it is not ready; 0: it is */
};

struct health {
        struct hashmap signs; /* node -> struct sign * */
};

struct health *health_new(void)
{
        struct health *h = mem_new(struct health);

        hashmap_init(&h->signs, HASHMAP_STR_OWNED);
        return h;
}

void health_free(struct health *h)
{
        hashmap_foreach (&h->signs, slot)
                free(slot->value);
        hashmap_deinit(&h->signs);
        free(h);
}

static struct sign *sign_of(struct health *h, const char *node, uint64_t now_ms)
{
        struct sign *s = hashmap_get(&h->signs, node);

        if (s)
                return s;
        s = mem_new(struct sign);
        s->seen_ms = now_ms;
        hashmap_put(&h->signs, node, s);
        return s;
}

void health_seen(struct health *h, const char *node, uint64_t now_ms)
{
        sign_of(h, node, now_ms)->seen_ms = now_ms;
}

static int64_t latest_heartbeat(const struct node *n)
{
        int64_t latest = 0;

        for (size_t i = 0; i < n->nconditions; i++)
                latest = MAX(latest, n->conditions[i].heartbeat_s);
        return latest;
}

/* What we wrote ourselves (Unknown) leaves the heartbeats as they were. */
void health_status(struct health *h, const struct kobj *node, uint64_t now_ms)
{
        struct sign *s = sign_of(h, node->name, now_ms);
        int64_t latest = latest_heartbeat(node->node);

        if (node_ready(node) == TRI_TRUE)
                s->down_ms = 0;
        else if (!s->down_ms)
                s->down_ms = now_ms;
        if (latest == s->heartbeat_s)
                return;
        s->heartbeat_s = latest;
        s->seen_ms = now_ms;
}

uint64_t health_down_ms(struct health *h, const struct kobj *node, uint64_t now_ms)
{
        const struct sign *s = sign_of(h, node->name, now_ms);

        return s->down_ms ? now_ms - s->down_ms : 0;
}

void health_forget(struct health *h, const char *node)
{
        free(hashmap_del(&h->signs, node));
}

uint64_t health_left_ms(struct health *h, const struct kobj *node, const struct config *c, uint64_t now_ms)
{
        bool never = !node_condition(node->node, "Ready");
        uint64_t grace = (uint64_t)(never ? c->node_startup_grace_ms : c->node_grace_ms);
        uint64_t ends = sign_of(h, node->name, now_ms)->seen_ms + grace;

        return ends > now_ms ? ends - now_ms : 0;
}
