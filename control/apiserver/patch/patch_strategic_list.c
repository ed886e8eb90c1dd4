/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Strategic merge patch: lists. Items are found by a text made of their key (or of the scalar itself), through a hash
 * map, so that a hostile patch with a hundred thousand items costs no more than its size.
 */
#include <errno.h>

#include "apiserver/patch/strategic.h"
#include "base/hashmap.h"
#include "base/mem.h"
#include "base/str.h"

/* key text -> position + 1 of the first item that has it */
static void index_put(struct hashmap *map, const char *key, size_t i)
{
        if (!hashmap_get(map, key))
                hashmap_put(map, key, (void *)(uintptr_t)(i + 1));
}

static size_t index_get(const struct hashmap *map, const char *key)
{
        return (size_t)(uintptr_t)hashmap_get(map, key) - 1; /* SIZE_MAX: none */
}

/* What tells an item from the others. merge_key is NULL in lists of scalars. */
static int key_text(const struct json_object *item, const char *merge_key, struct strbuf *b, struct err *reterr)
{
        struct json_object *key = (struct json_object *)item;

        b->len = 0;
        if (merge_key && !json_is_object(item))
                return strategic_bad_type("map[string]interface {}", item, reterr);
        if (merge_key && !json_object_object_get_ex(item, merge_key, &key)) {
                _cleanup_free_ char *text = strategic_print(item);

                return err_set(reterr, PATCH_UNPROCESSABLE, "map: %s does not contain declared merge key: %s", text,
                               merge_key);
        }
        json_write(b, key);
        return 0;
}

static int index_list(struct hashmap *map, const struct json_object *list, const char *merge_key, struct err *reterr)
{
        _cleanup_strbuf_ struct strbuf b = STRBUF_NULL;
        int r;

        json_array_foreach (list, i, item) {
                r = key_text(item, merge_key, &b, reterr);
                if (r)
                        return r;
                index_put(map, b.data, i);
        }
        return 0;
}

struct entry {
        struct json_object *item;
        size_t rank;   /* in the order that counts for this item */
        size_t server; /* position in the live list */
        size_t at;     /* position before sorting: makes the sort stable */
};

static int by_rank(const void *a, const void *b)
{
        const struct entry *x = a, *y = b;

        if (x->rank != y->rank)
                return x->rank < y->rank ? -1 : 1;
        return x->at < y->at ? -1 : x->at > y->at;
}

/* Merges both sorted runs: an item that only the server has goes before the first one of the patch that follows it in
 * the live list. */
static struct json_object *interleave(const struct entry *server, size_t nserver, const struct entry *patch,
                                      size_t npatch)
{
        struct json_object *out = json_object_new_array_ext((int)(nserver + npatch + 1));
        size_t i = 0, j = 0;

        while (i < nserver || j < npatch) {
                bool take_server = j >= npatch;

                if (!take_server && i < nserver)
                        take_server = server[i].server != SIZE_MAX && patch[j].server != SIZE_MAX &&
                                      server[i].server < patch[j].server;
                json_object_array_add(out, json_object_get(take_server ? server[i++].item : patch[j++].item));
        }
        return out;
}

int strategic_list_arrange(struct json_object *merged, const struct json_object *order,
                           const struct json_object *server, const char *merge_key, struct json_object **ret,
                           struct err *reterr)
{
        _cleanup_(hashmap_deinit) struct hashmap ranks = {0}, places = {0};
        _cleanup_strbuf_ struct strbuf b = STRBUF_NULL;
        _cleanup_json_ struct json_object *list = merged;
        _cleanup_free_ struct entry *in_patch = NULL, *only_server = NULL;
        size_t npatch = 0, nserver = 0;
        int r;

        hashmap_init(&ranks, HASHMAP_STR_OWNED);
        hashmap_init(&places, HASHMAP_STR_OWNED);
        r = index_list(&ranks, order, merge_key, reterr);
        if (!r)
                r = index_list(&places, server, merge_key, reterr);
        if (r)
                return r;
        in_patch = mem_array(struct entry, json_len(list) + 1);
        only_server = mem_array(struct entry, json_len(list) + 1);
        json_array_foreach (list, i, item) {
                struct entry e = {.item = item, .at = i};

                r = key_text(item, merge_key, &b, reterr);
                if (r)
                        return r;
                e.server = index_get(&places, b.data);
                e.rank = index_get(&ranks, b.data);
                if (e.rank != SIZE_MAX) {
                        in_patch[npatch++] = e;
                } else {
                        e.rank = e.server;
                        only_server[nserver++] = e;
                }
        }
        qsort(in_patch, npatch, sizeof(*in_patch), by_rank);
        qsort(only_server, nserver, sizeof(*only_server), by_rank);
        *ret = interleave(only_server, nserver, in_patch, npatch);
        return 0;
}

/* All items of both lists have to be of one type, and not lists. */
static int check_types(const struct json_object *a, const struct json_object *b, enum json_type *ret,
                       struct err *reterr)
{
        const struct json_object *lists[] = {a, b};
        enum json_type type = json_type_null;
        bool first = true;

        for (size_t n = 0; n < ARRAY_SIZE(lists); n++) {
                json_array_foreach (lists[n], i, item) {
                        enum json_type t = json_object_get_type(item);

                        if (t == json_type_array)
                                return err_set(reterr, PATCH_UNPROCESSABLE, "lists of lists are not supported");
                        if (!first && t != type) {
                                _cleanup_free_ char *x = strategic_print(a), *y = strategic_print(b);

                                return err_set(reterr, PATCH_UNPROCESSABLE,
                                               "list element types are not identical: [%s %s]", x, y);
                        }
                        type = t;
                        first = false;
                }
        }
        *ret = type;
        return 0;
}

static int merge_scalars(const struct json_object *old, const struct json_object *patch, struct json_object **ret)
{
        _cleanup_(hashmap_deinit) struct hashmap seen = {0};
        _cleanup_strbuf_ struct strbuf b = STRBUF_NULL;
        const struct json_object *lists[] = {old, patch};
        struct json_object *out = json_object_new_array();

        hashmap_init(&seen, HASHMAP_STR_OWNED);
        for (size_t n = 0; n < ARRAY_SIZE(lists); n++) {
                json_array_foreach (lists[n], i, item) {
                        b.len = 0;
                        json_write(&b, item);
                        if (hashmap_get(&seen, b.data))
                                continue;
                        hashmap_put(&seen, b.data, out);
                        json_object_array_add(out, json_object_get(item));
                }
        }
        *ret = out;
        return 0;
}

/* The items of a list of objects while the patch's items are worked in; a removed one leaves a NULL. */
struct items {
        struct json_object *list; /* array */
        struct hashmap at;        /* key text -> position + 1 */
        bool replace;             /* $patch: replace was among the items */
};

static void items_deinit(struct items *it)
{
        json_object_put(it->list);
        hashmap_deinit(&it->at);
}

/* $patch: delete removes every item with the key. */
static int delete_items(struct json_object *old, const struct json_object *patch, const char *merge_key, bool *replace,
                        struct json_object **ret, struct err *reterr)
{
        _cleanup_(hashmap_deinit) struct hashmap gone = {0};
        _cleanup_strbuf_ struct strbuf b = STRBUF_NULL;
        _cleanup_json_ struct json_object *out = json_object_new_array();
        struct json_object *directive;
        int r;

        hashmap_init(&gone, HASHMAP_STR_OWNED);
        *replace = false;
        json_array_foreach (patch, i, item) {
                const char *name;

                if (!json_object_object_get_ex(item, DIRECTIVE, &directive))
                        continue;
                name = json_get_str(item, DIRECTIVE);
                if (str_eq(name, "merge"))
                        return err_set(reterr, PATCH_UNPROCESSABLE,
                                       "merging lists cannot yet be specified in the patch");
                if (str_eq(name, "replace")) {
                        *replace = true;
                        continue;
                }
                if (!str_eq(name, "delete"))
                        return strategic_bad_directive(directive, item, reterr);
                r = key_text(item, merge_key, &b, reterr);
                if (r)
                        return r;
                hashmap_put(&gone, b.data, out);
        }
        json_array_foreach (old, j, have) {
                /* An item without its key cannot be what is to be deleted. */
                if (key_text(have, merge_key, &b, NULL) || !hashmap_get(&gone, b.data))
                        json_object_array_add(out, json_object_get(have));
        }
        *ret = TAKE_PTR(out);
        return 0;
}

/* Merges one item of the patch into the list, or appends it. */
static int merge_item(struct items *it, const struct json_object *item, const struct merge_rule *rule, const char *key,
                      struct err *reterr)
{
        size_t i = index_get(&it->at, key);
        struct json_object *merged;
        int r;

        if (i != SIZE_MAX) {
                merged = json_object_get(json_idx(it->list, i));
                r = strategic_map(&merged, item, rule->type ? rule->type->elem : NULL, reterr);
                if (!r)
                        json_object_array_put_idx(it->list, i, merged);
                else
                        json_object_put(merged);
                return r;
        }
        r = strategic_clean(item, &merged, reterr);
        if (r)
                return r;
        index_put(&it->at, key, json_len(it->list));
        json_object_array_add(it->list, merged);
        return 0;
}

static int merge_objects(struct json_object *old, const struct json_object *patch, const struct merge_rule *rule,
                         struct json_object **ret, struct err *reterr)
{
        _cleanup_(items_deinit) struct items it = {0};
        _cleanup_json_ struct json_object *order = json_object_new_array(), *server = NULL;
        _cleanup_strbuf_ struct strbuf b = STRBUF_NULL;
        int r;

        if (!rule->merge_key)
                return err_set(reterr, PATCH_UNPROCESSABLE, "cannot merge lists without merge key for type struct");
        hashmap_init(&it.at, HASHMAP_STR_OWNED);
        r = delete_items(old, patch, rule->merge_key, &it.replace, &it.list, reterr);
        if (r)
                return r;
        if (it.replace) {
                json_object_put(it.list);
                it.list = json_object_new_array();
        }
        r = index_list(&it.at, it.list, rule->merge_key, reterr);
        if (r)
                return r;
        server = json_object_new_array();
        json_array_foreach (it.list, i, item)
                json_object_array_add(server, json_object_get(item));
        json_array_foreach (patch, j, change) {
                if (json_object_object_get_ex(change, DIRECTIVE, NULL))
                        continue;
                r = key_text(change, rule->merge_key, &b, reterr);
                if (!r)
                        r = merge_item(&it, change, rule, b.data, reterr);
                if (r)
                        return r;
                json_object_array_add(order, json_object_get(change));
        }
        return strategic_list_arrange(TAKE_PTR(it.list), order, server, rule->merge_key, ret, reterr);
}

int strategic_list(struct json_object *old, const struct json_object *patch, const struct merge_rule *rule,
                   struct json_object **ret, struct err *reterr)
{
        _cleanup_json_ struct json_object *owned = old;
        struct json_object *merged;
        enum json_type type = json_type_null;
        int r;

        if (!rule->merge)
                return strategic_clean(patch, ret, reterr);
        r = check_types(owned, patch, &type, reterr);
        if (r)
                return r;
        if (type == json_type_object)
                return merge_objects(owned, patch, rule, ret, reterr);
        r = merge_scalars(owned, patch, &merged);
        return r ? r : strategic_list_arrange(merged, patch, owned, NULL, ret, reterr);
}

int strategic_list_delete(struct json_object *old, const struct json_object *list, struct json_object **ret,
                          struct err *reterr)
{
        _cleanup_(hashmap_deinit) struct hashmap gone = {0};
        _cleanup_strbuf_ struct strbuf b = STRBUF_NULL;
        _cleanup_json_ struct json_object *owned = old;
        struct json_object *out;
        int r;

        hashmap_init(&gone, HASHMAP_STR_OWNED);
        r = index_list(&gone, list, NULL, reterr);
        if (r)
                return r;
        out = json_object_new_array();
        json_array_foreach (owned, i, item) {
                b.len = 0;
                json_write(&b, item);
                if (!hashmap_get(&gone, b.data))
                        json_object_array_add(out, json_object_get(item));
        }
        *ret = out;
        return 0;
}

int strategic_list_check_order(const struct json_object *patch, const struct json_object *order, const char *merge_key,
                               struct err *reterr)
{
        _cleanup_strbuf_ struct strbuf want = STRBUF_NULL, have = STRBUF_NULL;
        size_t next = 0, n = json_len(order);
        int r;

        if (!json_len(patch) || !n)
                return 0;
        json_array_foreach (patch, i, item) {
                bool found = false;

                if (merge_key && json_is_object(item) && json_object_object_get_ex(item, DIRECTIVE, NULL))
                        continue;
                r = key_text(item, merge_key, &want, reterr);
                while (!r && !found && next < n) {
                        r = key_text(json_idx(order, next++), merge_key, &have, reterr);
                        found = !r && str_eq(want.data, have.data);
                }
                if (r)
                        return r;
                if (!found) {
                        _cleanup_free_ char *p = strategic_print(patch), *o = strategic_print(order);

                        return err_set(reterr, PATCH_UNPROCESSABLE,
                                       "The order in patch list:\n%s\n doesn't match $setElementOrder list:\n%s\n", p,
                                       o);
                }
        }
        return 0;
}
