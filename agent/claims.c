/* SPDX-License-Identifier: Apache-2.0 */
#include <stdlib.h>
#include <string.h>

#include "agent/claims.h"
#include "base/mem.h"

struct claim {
        struct claim *next;
        struct claimant *who;
};

void claims_init(struct claims *c)
{
        hashmap_init(&c->by_key, HASHMAP_STR_OWNED);
}

void claims_deinit(struct claims *c)
{
        hashmap_foreach (&c->by_key, slot)
                for (struct claim *claim = slot->value, *next; claim; claim = next) {
                        next = claim->next;
                        free(claim);
                }
        hashmap_deinit(&c->by_key);
}

static bool goes_before(const struct claimant *a, const struct claimant *b)
{
        return a->created_s != b->created_s ? a->created_s < b->created_s : strcmp(a->key, b->key) < 0;
}

struct claimant *claims_put(struct claims *c, const struct service_key *key, struct claimant *who)
{
        struct claim *first = hashmap_get_n(&c->by_key, (const char *)key, sizeof(*key)), **at = &first, *claim;

        for (claim = first; claim; claim = claim->next)
                if (claim->who == who)
                        return first->who;
        while (*at && goes_before((*at)->who, who))
                at = &(*at)->next;
        claim = mem_new(struct claim);
        *claim = (struct claim){.next = *at, .who = who};
        *at = claim;
        if (first != claim)
                return first->who;
        hashmap_put_n(&c->by_key, (const char *)key, sizeof(*key), first);
        if (first->next)
                c->lost(c->userdata, first->next->who, key);
        return who;
}

void claims_drop(struct claims *c, const struct service_key *key, struct claimant *who)
{
        struct claim *first = hashmap_get_n(&c->by_key, (const char *)key, sizeof(*key)), **at = &first;
        struct claim *gone;
        bool had_it = first && first->who == who;

        while (*at && (*at)->who != who)
                at = &(*at)->next;
        gone = *at;
        if (!gone)
                return;
        *at = gone->next;
        free(gone);
        if (!first) {
                hashmap_del_n(&c->by_key, (const char *)key, sizeof(*key));
                return;
        }
        hashmap_put_n(&c->by_key, (const char *)key, sizeof(*key), first);
        if (had_it)
                c->won(c->userdata, first->who, key);
}
