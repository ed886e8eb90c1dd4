/* SPDX-License-Identifier: Apache-2.0 */
#include "scheduler/plugins/domain_sums.h"

#include <string.h>

#include "base/mem.h"

void domain_sums_reset(struct domain_sums *d)
{
        d->n = 0;
        d->total = 0;
}

void domain_sums_deinit(struct domain_sums *d)
{
        for (uint32_t i = 0; i < d->cap; i++)
                free(d->all[i].sum);
        free(d->all);
        *d = (struct domain_sums){0};
}

static struct domain_sum *find(const struct domain_sums *d, const struct topology *t)
{
        for (uint32_t i = 0; i < d->n; i++)
                if (d->all[i].topology == t)
                        return &d->all[i];
        return NULL;
}

static struct domain_sum *get(struct domain_sums *d, const struct topology *t)
{
        struct domain_sum *one = find(d, t);

        if (one)
                return one;
        if (d->n == d->cap) {
                d->all = mem_realloc(d->all, d->cap + 1, sizeof(*d->all));
                d->all[d->cap++] = (struct domain_sum){0};
        }
        one = &d->all[d->n++];
        one->topology = t;
        if (one->cap < t->ndomains) {
                one->cap = t->ndomains;
                one->sum = mem_realloc(one->sum, one->cap, sizeof(*one->sum));
        }
        if (t->ndomains)
                memset(one->sum, 0, t->ndomains * sizeof(*one->sum));
        return one;
}

void domain_sums_add(struct domain_sums *d, const struct topology *t, uint32_t slot, int64_t value)
{
        uint32_t domain = t->domain[slot];

        if (domain == NO_DOMAIN)
                return;
        get(d, t)->sum[domain] += value;
        d->total += value;
}

void domain_sums_add_counts(struct domain_sums *d, const struct topology *t, const uint32_t *count, uint32_t nslots,
                            int64_t times)
{
        for (uint32_t slot = 0; slot < nslots; slot++)
                if (count[slot])
                        domain_sums_add(d, t, slot, count[slot] * times);
}

int64_t domain_sums_get(const struct domain_sums *d, const struct topology *t, uint32_t slot)
{
        const struct domain_sum *one = find(d, t);

        return one && t->domain[slot] != NO_DOMAIN ? one->sum[t->domain[slot]] : 0;
}

int64_t domain_sums_total(const struct domain_sums *d, uint32_t slot)
{
        int64_t total = 0;

        for (uint32_t i = 0; i < d->n; i++)
                total += domain_sums_get(d, d->all[i].topology, slot);
        return total;
}

bool domain_sums_any(const struct domain_sums *d, uint32_t slot)
{
        for (uint32_t i = 0; i < d->n; i++)
                if (domain_sums_get(d, d->all[i].topology, slot) > 0)
                        return true;
        return false;
}
