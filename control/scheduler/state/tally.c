/* SPDX-License-Identifier: Apache-2.0 */
#include <string.h>

#include "base/mem.h"
#include "scheduler/state/state.h"

struct tally {
        char *key;
        size_t key_len;
        struct atom_pool pool;
        struct tally_question q; /* points into the pool */
        struct query pods, namespace_query;
        uint32_t *count, cap;
        uint64_t asked; /* when last */
};

void tallies_init(struct tallies *t)
{
        *t = (struct tallies){.key = STRBUF_NULL};
        hashmap_init(&t->table, HASHMAP_STR);
}

static void tally_free(struct tally *t)
{
        atom_pool_deinit(&t->pool);
        free(t->count);
        free(t->key);
        free(t);
}

void tallies_deinit(struct tallies *t)
{
        for (uint32_t i = 0; i < t->n; i++)
                tally_free(t->all[i]);
        free(t->all);
        hashmap_deinit(&t->table);
        strbuf_deinit(&t->key);
}

static void drop(struct tallies *t, uint32_t i)
{
        hashmap_del_n(&t->table, t->all[i]->key, t->all[i]->key_len);
        tally_free(t->all[i]);
        t->all[i] = t->all[--t->n];
}

static void drop_oldest(struct tallies *t)
{
        uint32_t oldest = 0;

        for (uint32_t i = 1; i < t->n; i++)
                if (t->all[i]->asked < t->all[oldest]->asked)
                        oldest = i;
        drop(t, oldest);
}

void tallies_namespaces_changed(struct tallies *t)
{
        for (uint32_t i = t->n; i-- > 0;)
                if (t->all[i]->q.namespace_query)
                        drop(t, i);
}

bool tally_selects(const struct state *s, const struct tally_question *q, const struct shape *shape)
{
        bool found = false;

        for (uint32_t i = 0; i < q->nnamespaces && !found; i++)
                found = q->namespaces[i] == shape->ns;
        if (!found && !(q->namespace_query && state_namespace_matches(s, shape->ns, q->namespace_query)))
                return false;
        return query_match(q->pods, &shape->labels);
}

static bool counts(const struct state *s, const struct tally *t, const struct pod *pod)
{
        return !(t->q.living && pod->view->terminating) && tally_selects(s, &t->q, pod->view->shape);
}

void tallies_count(struct state *s, const struct pod *pod, uint32_t slot, int delta)
{
        for (uint32_t i = 0; i < s->tallies.n; i++)
                if (counts(s, s->tallies.all[i], pod))
                        s->tallies.all[i]->count[slot] += (uint32_t)delta;
}

static void grow(struct tally *t, uint32_t nslots)
{
        uint32_t cap = MAX(nslots, t->cap * 2);

        if (nslots <= t->cap)
                return;
        t->count = mem_realloc(t->count, cap, sizeof(*t->count));
        memset(t->count + t->cap, 0, (cap - t->cap) * sizeof(*t->count));
        t->cap = cap;
}

void tallies_grow(struct tallies *t, uint32_t nslots)
{
        for (uint32_t i = 0; i < t->n; i++)
                grow(t->all[i], nslots);
}

static void write_key(struct strbuf *b, const struct tally_question *q)
{
        b->len = 0;
        strbuf_add_char(b, q->living ? 'l' : 'a');
        strbuf_add_char(b, q->namespace_query ? 'n' : '-');
        strbuf_add(b, &q->nnamespaces, sizeof(q->nnamespaces));
        if (q->nnamespaces)
                strbuf_add(b, q->namespaces, q->nnamespaces * sizeof(*q->namespaces));
        query_write_key(b, q->pods);
        if (q->namespace_query)
                query_write_key(b, q->namespace_query);
}

static void copy_question(struct tally *t, const struct tally_question *q)
{
        const struct atom **names = arena_array(&t->pool.mem, const struct atom *, q->nnamespaces + 1);

        for (uint32_t i = 0; i < q->nnamespaces; i++)
                names[i] = atom_pool_ref(&t->pool, q->namespaces[i]);
        t->pods = query_copy(&t->pool, q->pods);
        t->q = (struct tally_question){
                .pods = &t->pods, .namespaces = names, .nnamespaces = q->nnamespaces, .living = q->living};
        if (q->namespace_query) {
                t->namespace_query = query_copy(&t->pool, q->namespace_query);
                t->q.namespace_query = &t->namespace_query;
        }
}

static void count_all(const struct state *s, struct tally *t)
{
        for (uint32_t i = 0; i < s->nslots; i++)
                for (const struct pod *p = s->slots[i] ? s->slots[i]->pods : NULL; p; p = p->next)
                        t->count[i] += counts(s, t, p);
}

static struct tally *make(struct state *s, const struct tally_question *q)
{
        struct tallies *all = &s->tallies;
        struct tally *t;

        if (all->n == TALLIES_MAX)
                drop_oldest(all);
        if (!all->all)
                all->all = mem_array(struct tally *, TALLIES_MAX);
        t = mem_new(struct tally);
        t->key_len = all->key.len;
        t->key = mem_alloc(t->key_len);
        memcpy(t->key, all->key.data, t->key_len);
        atom_pool_init(&t->pool, &s->atoms);
        copy_question(t, q);
        grow(t, MAX(s->nslots, 1u));
        count_all(s, t);
        hashmap_put_n(&all->table, t->key, t->key_len, t);
        return all->all[all->n++] = t;
}

const uint32_t *tally_get(struct state *s, const struct tally_question *q)
{
        struct tally *t;

        write_key(&s->tallies.key, q);
        t = hashmap_get_n(&s->tallies.table, s->tallies.key.data, s->tallies.key.len);
        if (!t)
                t = make(s, q);
        t->asked = ++s->tallies.clock;
        return t->count;
}
