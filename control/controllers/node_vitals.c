/* SPDX-License-Identifier: Apache-2.0 */
#include <stdlib.h>

#include "base/hashmap.h"
#include "base/mem.h"
#include "base/str.h"
#include "controllers/node_vitals.h"

struct sign {
        uint64_t seen_ms;
        int64_t heartbeat_s; /* the latest of its conditions */
        uint64_t down_ms;    /* since when it is not ready; 0: it is */
};

struct vitals {
        struct hashmap signs; /* node -> struct sign * */
};

struct vitals *vitals_new(void)
{
        struct vitals *v = mem_new(struct vitals);

        hashmap_init(&v->signs, HASHMAP_STR_OWNED);
        return v;
}

void vitals_free(struct vitals *v)
{
        hashmap_foreach (&v->signs, slot)
                free(slot->value);
        hashmap_deinit(&v->signs);
        free(v);
}

static struct sign *sign_of(struct vitals *v, const char *node, uint64_t now_ms)
{
        struct sign *s = hashmap_get(&v->signs, node);

        if (s)
                return s;
        s = mem_new(struct sign);
        s->seen_ms = now_ms;
        hashmap_put(&v->signs, node, s);
        return s;
}

void vitals_seen(struct vitals *v, const char *node, uint64_t now_ms)
{
        sign_of(v, node, now_ms)->seen_ms = now_ms;
}

static int64_t latest_heartbeat(const struct node *n)
{
        int64_t latest = 0;

        for (size_t i = 0; i < n->nconditions; i++)
                latest = MAX(latest, n->conditions[i].heartbeat_s);
        return latest;
}

/* What we wrote ourselves (Unknown) leaves the heartbeats as they were. */
void vitals_status(struct vitals *v, const struct kobj *node, uint64_t now_ms)
{
        struct sign *s = sign_of(v, node->name, now_ms);
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

uint64_t vitals_down_ms(struct vitals *v, const struct kobj *node, uint64_t now_ms)
{
        const struct sign *s = sign_of(v, node->name, now_ms);

        return s->down_ms ? now_ms - s->down_ms : 0;
}

void vitals_forget(struct vitals *v, const char *node)
{
        free(hashmap_del(&v->signs, node));
}

uint64_t vitals_left_ms(struct vitals *v, const struct kobj *node, const struct config *c, uint64_t now_ms)
{
        bool never = !node_condition(node->node, "Ready");
        uint64_t grace = (uint64_t)(never ? c->node_startup_grace_ms : c->node_grace_ms);
        uint64_t ends = sign_of(v, node->name, now_ms)->seen_ms + grace;

        return ends > now_ms ? ends - now_ms : 0;
}
