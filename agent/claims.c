/* SPDX-License-Identifier: Apache-2.0 */
#include <stdlib.h>
#include <string.h>

#include "agent/claims.h"
#include "base/mem.h"

struct claim {
        struct claim *next;
        struct claimant *who;
};

/* What the map holds of a key: its only claimant, as nearly always, or a list of claims, which is told by the lowest
 * bit of the pointer. */
#define IS_LIST ((uintptr_t)1)

static struct claim *list_of(void *value)
{
        return (uintptr_t)value & IS_LIST ? (struct claim *)((uintptr_t)value & ~IS_LIST) : NULL;
}

static void *of_list(struct claim *first)
{
        return (void *)((uintptr_t)first | IS_LIST);
}

static struct claim *claim_new(struct claimant *who, struct claim *next)
{
        struct claim *c = mem_new(struct claim);

        *c = (struct claim){.next = next, .who = who};
        return c;
}

void claims_init(struct claims *c)
{
        hashmap_init(&c->by_key, HASHMAP_STR_OWNED);
}

void claims_deinit(struct claims *c)
{
        hashmap_foreach (&c->by_key, slot)
                for (struct claim *claim = list_of(slot->value), *next; claim; claim = next) {
                        next = claim->next;
                        free(claim);
                }
        hashmap_deinit(&c->by_key);
}

static bool goes_before(const struct claimant *a, const struct claimant *b)
{
        return a->created_s != b->created_s ? a->created_s < b->created_s : strcmp(a->key, b->key) < 0;
}

static void *get(const struct claims *c, const struct service_key *key)
{
        return hashmap_get_n(&c->by_key, (const char *)key, sizeof(*key));
}

static void set(struct claims *c, const struct service_key *key, void *value)
{
        hashmap_put_n(&c->by_key, (const char *)key, sizeof(*key), value);
}

struct claimant *claims_put(struct claims *c, const struct service_key *key, struct claimant *who)
{
        void *value = get(c, key);
        struct claim *first = list_of(value), **at = &first, *claim;

        if (!value)
                set(c, key, who);
        if (!value || value == who)
                return who;
        if (!first) {
                first = claim_new(value, NULL);
                set(c, key, of_list(first));
        }
        for (claim = first; claim; claim = claim->next)
                if (claim->who == who)
                        return first->who;
        while (*at && goes_before((*at)->who, who))
                at = &(*at)->next;
        claim = *at = claim_new(who, *at);
        if (first != claim)
                return first->who;
        set(c, key, of_list(first));
        c->lost(c->userdata, first->next->who, key);
        return who;
}

void claims_drop(struct claims *c, const struct service_key *key, struct claimant *who)
{
        void *value = get(c, key);
        struct claim *first = list_of(value), **at = &first, *gone;
        bool had_it = first && first->who == who;
        struct claimant *heir;

        if (value == who)
                hashmap_del_n(&c->by_key, (const char *)key, sizeof(*key));
        while (*at && (*at)->who != who)
                at = &(*at)->next;
        gone = *at;
        if (!gone)
                return;
        *at = gone->next;
        free(gone);
        heir = first->who; /* a list has at least two */
        if (first->next) {
                set(c, key, of_list(first));
        } else {
                set(c, key, heir);
                free(first);
        }
        if (had_it)
                c->won(c->userdata, heir, key);
}
