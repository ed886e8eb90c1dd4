/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <string.h>

#include "agent/net/routemap.h"
#include "base/mem.h"
#include "datapath/address.h"

#define EXACT 128

static int on_entry(void *userdata, const void *key, const void *value)
{
        const struct route_key *k = key;

        lpm_add(userdata, &k->addr, k->prefixlen, value);
        return 0;
}

int routemap_init(struct routemap *r, struct map *map, struct map *epoch, struct err *reterr)
{
        int res;

        *r = (struct routemap){.map = map, .epoch = epoch};
        res = map_each(map, on_entry, &r->known);
        if (res < 0)
                return err_set(reterr, res, "cannot read the map %s: %s", map_info(map)->name, strerror(-res));
        lpm_sort(&r->known);
        return 0;
}

void routemap_deinit(struct routemap *r)
{
        lpm_table_deinit(&r->known);
}

/* What the programs remember of the map counts no more. Should that fail, it does so for another second. */
static void tell_programs(struct routemap *r)
{
        const uint32_t zero = 0;
        uint32_t epoch = 0;

        if (map_lookup(r->epoch, &zero, &epoch) == 0) {
                epoch++;
                map_update(r->epoch, &zero, &epoch);
        }
}

/* Keeps the table of what is known in order. */
static void know(struct routemap *r, const struct lpm_entry *e)
{
        struct lpm_entry *old = (struct lpm_entry *)lpm_find(&r->known, &e->key);

        if (old) {
                old->value = e->value;
                return;
        }
        lpm_add(&r->known, &e->key.addr, e->key.prefixlen, &e->value);
        for (size_t i = r->known.count - 1; i && lpm_compare(&r->known.entries[i], &r->known.entries[i - 1]) < 0; i--) {
                struct lpm_entry swapped = r->known.entries[i];

                r->known.entries[i] = r->known.entries[i - 1];
                r->known.entries[i - 1] = swapped;
        }
}

static void unknow(struct routemap *r, const struct route_key *key)
{
        struct lpm_entry *e = (struct lpm_entry *)lpm_find(&r->known, key);
        size_t at;

        if (!e)
                return;
        at = (size_t)(e - r->known.entries);
        memmove(e, e + 1, (r->known.count - at - 1) * sizeof(*e));
        r->known.count--;
}

static int set(struct routemap *r, const struct lpm_entry *e, struct err *reterr)
{
        char text[ADDRESS_TEXT];
        int res = map_update(r->map, &e->key, &e->value);

        if (res == 0)
                return 0;
        address_cidr_text(&e->key.addr, e->key.prefixlen, text);
        if (res == MAP_FULL)
                return err_set(reterr, -ENOSPC, "the map routes is full (%u entries): no room for %s; raise maxRoutes",
                               map_info(r->map)->max_entries, text);
        return err_set(reterr, res, "cannot write %s into the map routes: %s", text, strerror(-res));
}

static uint32_t set_all(struct routemap *r, const struct lpm_table *entries, struct lpm_table *failed,
                        struct problems *problems)
{
        struct err err = ERR_NULL;
        uint32_t n = 0;

        for (size_t i = 0; i < entries->count; i++) {
                const struct lpm_entry *e = &entries->entries[i];

                if (set(r, e, &err) == 0)
                        n++;
                else
                        lpm_add(failed, &e->key.addr, e->key.prefixlen, &e->value);
        }
        if (failed->count)
                problems_add(problems, "%zu routes are missing: %s", failed->count, err.msg);
        return n;
}

/* Those that are kept, and those that could not be deleted, go to ret_left. */
static uint32_t delete_all(struct routemap *r, const struct lpm_table *entries, enum routemap_keep keep,
                           struct lpm_table *ret_left)
{
        uint32_t n = 0;

        for (size_t i = 0; i < entries->count; i++) {
                const struct lpm_entry *e = &entries->entries[i];
                bool kept = keep == KEEP_ALL || (keep == KEEP_PODS && e->value.type == ROUTE_POD);

                if (kept || map_delete(r->map, &e->key) < 0)
                        lpm_add(ret_left, &e->key.addr, e->key.prefixlen, &e->value);
                else
                        n++;
        }
        return n;
}

/* What is known from now on: want, but for what could not be written, and what is left besides. */
static void know_all(struct routemap *r, const struct lpm_table *want, const struct lpm_table *left,
                     const struct lpm_table *failed)
{
        struct lpm_table now = LPM_TABLE_NULL;

        for (size_t i = 0; i < want->count; i++)
                if (!lpm_find(failed, &want->entries[i].key))
                        lpm_add(&now, &want->entries[i].key.addr, want->entries[i].key.prefixlen,
                                &want->entries[i].value);
        for (size_t i = 0; i < left->count; i++)
                lpm_add(&now, &left->entries[i].key.addr, left->entries[i].key.prefixlen, &left->entries[i].value);
        lpm_sort(&now);
        lpm_table_deinit(&r->known);
        r->known = now;
}

uint32_t routemap_apply(struct routemap *r, const struct lpm_table *want, enum routemap_keep keep,
                        struct problems *problems)
{
        _cleanup_(lpm_diff_deinit) struct lpm_diff d = LPM_DIFF_NULL;
        _cleanup_(lpm_table_deinit) struct lpm_table failed = LPM_TABLE_NULL, left = LPM_TABLE_NULL;
        uint32_t n;

        lpm_diff(&r->known, want, &d);
        if (!d.set.count && (keep == KEEP_ALL || !d.del.count))
                return 0;
        n = set_all(r, &d.set, &failed, problems);
        n += delete_all(r, &d.del, keep, &left);
        tell_programs(r);
        know_all(r, want, &left, &failed);
        return n;
}

int routemap_set(struct routemap *r, const struct addr *a, const struct route *value, struct err *reterr)
{
        const struct lpm_entry e = {.key = {.prefixlen = EXACT, .addr = *a}, .value = *value};
        const struct lpm_entry *old = lpm_find(&r->known, &e.key);
        int res;

        if (old && memcmp(&old->value, value, sizeof(*value)) == 0)
                return 0;
        res = set(r, &e, reterr);
        if (res == 0) {
                tell_programs(r);
                know(r, &e);
        }
        return res;
}

void routemap_forget_pod(struct routemap *r, const struct addr *a, uint32_t ifindex)
{
        const struct route_key key = {.prefixlen = EXACT, .addr = *a};
        const struct lpm_entry *e = lpm_find(&r->known, &key);

        if (!e || e->value.type != ROUTE_POD || e->value.ifindex != ifindex || map_delete(r->map, &key) < 0)
                return;
        tell_programs(r);
        unknow(r, &key);
}
