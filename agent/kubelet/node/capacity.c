/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "agent/kubelet/node/capacity.h"
#include "base/str.h"

static int reserve(const char *name, const char *amount, struct node_reserved *ret, struct err *reterr)
{
        const struct {
                const char *name;
                struct quantity *place;
        } places[] = {{"cpu", &ret->cpu},
                      {"memory", &ret->memory},
                      {"ephemeral-storage", &ret->ephemeral},
                      {"pid", &ret->pid}};

        for (size_t i = 0; i < ARRAY_SIZE(places); i++) {
                struct quantity q;

                if (!str_eq(places[i].name, name))
                        continue;
                if (quantity_parse(amount, &q, reterr))
                        return err_prefix(reterr, -EINVAL, "%s", name);
                if (quantity_sign(&q) < 0)
                        return err_set(reterr, -EINVAL, "%s: %s is below zero", name, amount);
                *places[i].place = q;
                return 0;
        }
        return err_set(reterr, -EINVAL, "cannot reserve %s: only cpu, memory, ephemeral-storage and pid", name);
}

int reserved_parse(const char *s, struct node_reserved *ret, struct err *reterr)
{
        struct node_reserved reserved = {0};
        struct str_span span;

        for (const char *rest = s; !str_empty(s) && str_split(&rest, ',', &span);) {
                char name[96], *amount;
                int r;

                snprintf(name, sizeof(name), "%.*s", (int)MIN(span.n, sizeof(name) - 1), span.s);
                amount = strchr(name, '=');
                if (!amount)
                        return err_set(reterr, -EINVAL, "\"%s\": want RESOURCE=AMOUNT, as in cpu=100m", name);
                *amount++ = '\0';
                r = reserve(name, amount, &reserved, reterr);
                if (r)
                        return r;
        }
        *ret = reserved;
        return 0;
}

static void set_quantity(struct json_object *o, const char *name, const struct quantity *q)
{
        char text[QUANTITY_TEXT_SIZE];

        json_set_str(o, name, quantity_format(q, text));
}

static void set_bytes(struct json_object *o, const char *name, uint64_t bytes)
{
        struct quantity q = quantity_of((int64_t)bytes, QUANTITY_BINARY_SI);

        set_quantity(o, name, &q);
}

static void set_hugepages(struct json_object *o, const struct machine *m)
{
        for (size_t i = 0; i < m->nhugepages; i++) {
                struct quantity page = quantity_of((int64_t)m->hugepages[i].page_bytes, QUANTITY_BINARY_SI);
                char size[QUANTITY_TEXT_SIZE], name[64];

                snprintf(name, sizeof(name), "hugepages-%s", quantity_format(&page, size));
                set_bytes(o, name, m->hugepages[i].bytes);
        }
}

static uint64_t less(uint64_t from, uint64_t take)
{
        return from - MIN(from, take);
}

static struct json_object *make(const struct capacity *c, uint64_t milli_cpus, uint64_t memory, uint64_t fs)
{
        struct json_object *o = json_object_new_object();
        struct quantity cpu = quantity_of_milli((int64_t)milli_cpus, QUANTITY_DECIMAL_SI);
        struct quantity pods = quantity_of(c->max_pods, QUANTITY_DECIMAL_SI);

        set_quantity(o, "cpu", &cpu);
        if (c->fs_bytes)
                set_bytes(o, "ephemeral-storage", fs);
        set_hugepages(o, c->machine);
        set_bytes(o, "memory", memory);
        set_quantity(o, "pods", &pods);
        return o;
}

struct json_object *capacity_all(const struct capacity *c)
{
        return make(c, c->machine->milli_cpus, c->machine->memory_bytes, c->fs_bytes);
}

static uint64_t kept_free(const struct eviction_thresholds *t, enum eviction_signal s, uint64_t capacity)
{
        return t->of[s].set ? eviction_amount_of(&t->of[s].below, capacity) : 0;
}

struct json_object *capacity_allocatable(const struct capacity *c, const struct node_reserved *reserved,
                                         const struct eviction_thresholds *thresholds)
{
        const struct machine *m = c->machine;
        uint64_t memory = less(m->memory_bytes, (uint64_t)quantity_value(&reserved->memory));
        uint64_t fs = less(c->fs_bytes, (uint64_t)quantity_value(&reserved->ephemeral));

        memory = less(memory, kept_free(thresholds, EVICT_MEMORY, m->memory_bytes));
        for (size_t i = 0; i < m->nhugepages; i++)
                memory = less(memory, m->hugepages[i].bytes);
        fs = less(fs, kept_free(thresholds, EVICT_NODEFS, c->fs_bytes));
        return make(c, less(m->milli_cpus, (uint64_t)quantity_milli(&reserved->cpu)), memory, fs);
}
