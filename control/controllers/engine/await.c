/* SPDX-License-Identifier: Apache-2.0 */
#include <stdlib.h>

#include "base/mem.h"
#include "base/str.h"
#include "controllers/engine/internal.h"

struct await {
        struct await *next; /* of the same object */
        struct job *job;
        uint64_t version;
        bool deleted;
        char uid[64];
};

#define NAME_SIZE 640

static const char *name_of(char buf[static NAME_SIZE], const struct resource *r, const char *key)
{
        snprintf(buf, NAME_SIZE, "%s.%s/%s", r->plural, r->group, key);
        return buf;
}

static bool is_met(const struct await *a, const struct kobj *now)
{
        if (!now)
                return a->deleted;
        if (!str_empty(a->uid) && !str_eq(a->uid, now->uid))
                return a->deleted || now->version >= a->version;
        return a->deleted ? now->deleted_s != 0 : now->version >= a->version;
}

void await_object(struct job *j, const struct resource *r, const char *key, const char *uid, uint64_t version,
                  bool deleted)
{
        struct engine *e = j->runner->engine;
        struct await *a;
        char name[NAME_SIZE];

        if (!lister_follows(e->lister, r))
                return;
        a = mem_new(struct await);
        *a = (struct await){.job = j, .version = version, .deleted = deleted};
        str_copy(a->uid, sizeof(a->uid), uid);
        /* Others may have deleted it before the answer came. */
        if (is_met(a, lister_find(e->lister, r, key)) || lister_saw_end(e->lister, a->uid)) {
                free(a);
                return;
        }
        a->next = hashmap_get(&e->awaits, name_of(name, r, key));
        hashmap_put(&e->awaits, name, a);
        j->awaited++;
}

static void fulfil(struct await *a)
{
        struct job *j = a->job;

        free(a);
        if (!--j->awaited)
                job_ready(j);
}

/* now NULL: an object that is gone is also the end of whatever was written to it. */
void await_seen(struct engine *e, const struct resource *r, const char *key, const struct kobj *now)
{
        struct await *a, *left = NULL;
        char name[NAME_SIZE];

        if (!e->awaits.count)
                return;
        a = hashmap_del(&e->awaits, name_of(name, r, key));
        for (struct await *next; a; a = next) {
                next = a->next;
                if (!now || is_met(a, now)) {
                        fulfil(a);
                } else {
                        a->next = left;
                        left = a;
                }
        }
        if (left)
                hashmap_put(&e->awaits, name, left);
}

/* The chain of one object without those of j. */
static struct await *without(struct await *a, const struct job *j)
{
        struct await *left = NULL;

        for (struct await *next; a; a = next) {
                next = a->next;
                if (a->job == j) {
                        free(a);
                } else {
                        a->next = left;
                        left = a;
                }
        }
        return left;
}

void await_forget(struct job *j)
{
        struct hashmap *m = &j->runner->engine->awaits;
        struct hashmap rest;

        if (!j->awaited)
                return;
        hashmap_init(&rest, HASHMAP_STR_OWNED);
        hashmap_foreach (m, slot) {
                struct await *left = without(slot->value, j);

                if (left)
                        hashmap_put(&rest, slot->key.str, left);
        }
        hashmap_deinit(m);
        *m = rest;
        j->awaited = 0;
}

void awaits_deinit(struct engine *e)
{
        hashmap_foreach (&e->awaits, slot)
                for (struct await *a = slot->value, *next; a; a = next) {
                        next = a->next;
                        free(a);
                }
        hashmap_deinit(&e->awaits);
}
