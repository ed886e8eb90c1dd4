/* SPDX-License-Identifier: Apache-2.0 */
/*
 * get and list. A list's objects are referenced, not copied, and sent piece by piece; pages after the first come from
 * memory while nothing of the resource has changed, and from the store's history when something has.
 */
#include <inttypes.h>

#include "apiserver/rest/list.h"
#include "apiserver/rest/present.h"
#include "apiserver/rest/rest.h"
#include "apiserver/rest/token.h"
#include "apiserver/rest/write.h"
#include "apiserver/server.h"
#include "apiserver/status.h"
#include "apiserver/storekey.h"
#include "base/str.h"

#define WAIT_MS           3000
#define LIST_MORE_UNKNOWN SIZE_MAX
#define LIST_OPTIONS      "ListOptions.meta.k8s.io \"\" is invalid: "

/* ---- get ---- */

int rest_get(struct api_request *req)
{
        struct cache *c = cache_of(req->server->caches, req->resource);
        _cleanup_object_ struct object *o = cache_get(c, req->namespace, req->name);

        if (!o)
                return api_fail_not_found(req);
        return rest_answer_object(req, 200, o->json);
}

/* ---- sending a list ---- */

struct list_parts {
        struct http_parts parts;
        struct object_list list;
        struct strbuf head;
};

/* head, object, comma, object, ..., tail */
static void list_get_part(const struct http_parts *p, size_t i, const char **data, size_t *len)
{
        const struct list_parts *l = container_of(p, struct list_parts, parts);
        const struct blob *b;

        if (i == 0) {
                *data = l->head.data;
                *len = l->head.len;
        } else if (i + 1 == p->n) {
                *data = "]}\n";
                *len = 3;
        } else if (i % 2 == 0) {
                *data = ",";
                *len = 1;
        } else {
                b = l->list.items[(i - 1) / 2]->json;
                *data = b->data;
                *len = b->len;
        }
}

static void list_release(struct http_parts *p)
{
        struct list_parts *l = container_of(p, struct list_parts, parts);

        object_list_deinit(&l->list);
        strbuf_deinit(&l->head);
        free(l);
}

static void list_head(struct strbuf *b, struct api_request *req, const struct object_list *list,
                      const char *continue_token, size_t remaining)
{
        strbuf_printf(b, "{\"kind\":\"%sList\",\"apiVersion\":\"%s\",\"metadata\":{\"resourceVersion\":\"%" PRIu64 "\"",
                      req->resource->kind, api_group_version(req), list->revision);
        if (continue_token) {
                strbuf_printf(b, ",\"continue\":\"%s\"", continue_token);
                if (remaining)
                        strbuf_printf(b, ",\"remainingItemCount\":%zu", remaining);
        }
        strbuf_add_str(b, "},\"items\":[");
}

static int answer_parts(struct api_request *req, struct object_list *list, const char *continue_token, size_t remaining)
{
        struct list_parts *l = calloc(1, sizeof(*l));

        if (!l) {
                object_list_deinit(list);
                return api_fail(req, 500, "out of memory");
        }
        l->list = TAKE(*list, OBJECT_LIST_NULL);
        list_head(&l->head, req, &l->list, continue_token, remaining);
        l->parts.n = l->list.n ? 2 * l->list.n + 1 : 2;
        l->parts.total_len = l->head.len + 3 + (l->list.n ? l->list.n - 1 : 0);
        for (size_t i = 0; i < l->list.n; i++)
                l->parts.total_len += l->list.items[i]->json->len;
        l->parts.get = list_get_part;
        l->parts.release = list_release;
        req->res->status = 200;
        req->res->content_type = "application/json";
        req->res->kind = HTTP_BODY_PARTS;
        req->res->parts = &l->parts;
        req->res->gzip_ok = true;
        return API_ANSWERED;
}

int list_answer(struct api_request *req, struct object_list *list, const char *continue_token, size_t remaining)
{
        struct present_list pl = {.continue_token = continue_token, .remaining = remaining};
        struct strbuf b = STRBUF_NULL;

        if (present_is_raw(req))
                return answer_parts(req, list, continue_token, remaining);
        present_list(req, list, &pl, &b);
        object_list_deinit(list);
        return api_answer_buffer(req, 200, "application/json", &b);
}

/* ---- list ---- */

int list_version_parse(struct api_request *req, bool watch, struct list_version *ret)
{
        const char *rv = api_query_get(req, "resourceVersion");

        *ret = (struct list_version){.match = api_query_get(req, "resourceVersionMatch")};
        if (str_empty(ret->match))
                ret->match = NULL;
        if (!str_empty(rv)) {
                ret->given = true;
                if (str_parse_u64(rv, &ret->revision))
                        return api_fail(
                                req, 400,
                                "resourceVersion: Invalid value: \"%s\": it must be a number that the server gave", rv);
        }
        if (watch)
                return 0;
        if (ret->match && !ret->given)
                return api_fail(req, 422,
                                LIST_OPTIONS
                                "resourceVersionMatch: Forbidden: resourceVersionMatch is forbidden unless "
                                "resourceVersion is provided");
        if (ret->match && !str_eq(ret->match, "Exact") && !str_eq(ret->match, "NotOlderThan"))
                return api_fail(req, 422,
                                LIST_OPTIONS
                                "resourceVersionMatch: Unsupported value: \"%s\": supported values: \"Exact\", "
                                "\"NotOlderThan\"",
                                ret->match);
        if (ret->match && str_eq(ret->match, "Exact") && !ret->revision)
                return api_fail(req, 422,
                                LIST_OPTIONS
                                "resourceVersionMatch: Forbidden: resourceVersionMatch \"Exact\" is forbidden for "
                                "resourceVersion \"0\"");
        if (api_query_get(req, "sendInitialEvents"))
                return api_fail(req, 422,
                                LIST_OPTIONS "sendInitialEvents: Forbidden: sendInitialEvents is forbidden for list");
        return 0;
}

static int too_new(struct api_request *req, uint64_t revision)
{
        struct status_cause cause = {"ResourceVersionTooLarge", "Too large resource version", NULL};
        struct status s = {
                .code = 504,
                .message = arena_printf(req->arena, "Too large resource version: %" PRIu64 ", current: %" PRIu64,
                                        revision, cache_revision(req->server->caches)),
                .causes = &cause,
                .ncauses = 1,
                .retry_after_seconds = 1,
        };

        return api_fail_status(req, &s);
}

struct page {
        size_t limit;
        const char *start_after; /* key, or NULL */
        uint64_t revision;       /* of the first page; 0: now */
};

/* The rest of a list whose first page was at an older revision: from the store's history. */
struct history {
        const struct kind_ops *ops;
        struct object_selector *selector;
        struct object_list *list;
        struct arena arena;
        size_t limit;
};

#define HISTORY_MORE 1000 /* the page is full and there are more: not one of the store's own results */

static int history_one(void *userdata, const char *key, struct blob *value, uint64_t mod_revision,
                       uint64_t create_revision)
{
        struct history *h = userdata;
        struct store_key_parts k;
        _cleanup_object_ struct object *o = NULL;

        if (!store_key_parse(&h->arena, key, &k))
                o = object_new(h->ops, k.namespace, k.name, mod_revision, create_revision, value);
        arena_deinit(&h->arena);
        if (!o || !object_selector_match(h->selector, o))
                return 0;
        if (h->limit && h->list->n == h->limit)
                return HISTORY_MORE;
        object_list_take(h->list, TAKE_PTR(o));
        return 0;
}

static int expired(struct api_request *req, const struct page *p)
{
        struct status s = {
                .code = 410,
                .reason = "Expired",
                .message =
                        "The provided continue parameter is too old to display a consistent list result. You can start "
                        "a new list without the continue parameter, or use the continue token in this response to "
                        "retrieve the remainder of the results. Continuing with the provided token results in an "
                        "inconsistent list - objects that were created, modified, or deleted between the time the "
                        "first chunk was returned and now may show up in the list.",
                .continue_token = p->start_after ? token_make(req->arena, TOKEN_NOW, p->start_after) : NULL,
        };

        return api_fail_status(req, &s);
}

/* How many are left behind the page is not counted here (*ret_more is 0 or LIST_MORE_UNKNOWN): each would have to be
 * read. */
static int list_history(struct api_request *req, struct object_selector *s, const struct page *p,
                        struct object_list *list, size_t *ret_more)
{
        const struct schema_resource *stored = kind_storage(req->resource);
        struct history h = {.ops = s->ops, .selector = s, .list = list, .limit = p->limit};
        struct store_range range = {
                .prefix = store_key_prefix(req->arena, stored->group, stored->plural, req->namespace),
                .revision = p->revision,
        };
        struct err err = ERR_NULL;
        int r;

        if (p->start_after)
                range.start_after =
                        arena_printf(req->arena, "%s%s",
                                     store_key_prefix(req->arena, stored->group, stored->plural, NULL), p->start_after);
        r = store_range(req->server->store, &range, history_one, &h, NULL, &err);
        *ret_more = r == HISTORY_MORE ? LIST_MORE_UNKNOWN : 0;
        list->revision = p->revision;
        if (r == HISTORY_MORE)
                return 0;
        if (r == STORE_COMPACTED)
                return expired(req, p);
        if (r == STORE_FUTURE)
                return too_new(req, p->revision);
        return r ? api_fail_store(req, r, &err) : 0;
}

static int list_page(struct api_request *req, struct object_selector *s, const struct page *p, struct object_list *list,
                     size_t *ret_more)
{
        struct cache *c = cache_of(req->server->caches, req->resource);
        struct cache_filter f = {req->namespace, object_selector_is_all(s) ? NULL : object_selector_match, s};

        cache_list(c, &f, p->start_after, p->limit, list, ret_more);
        if (!p->revision || p->revision == list->revision)
                return 0;
        if (p->revision > list->revision)
                return object_list_deinit(list), too_new(req, p->revision);
        if (cache_changed(c) <= p->revision) {
                list->revision = p->revision;
                return 0;
        }
        object_list_deinit(list);
        return list_history(req, s, p, list, ret_more);
}

static int parse_page(struct api_request *req, struct page *ret)
{
        const char *token = api_query_get(req, "continue");
        struct list_version v;
        int64_t limit;
        int r;

        *ret = (struct page){0};
        r = api_query_i64(req, "limit", 0, &limit);
        if (!r)
                r = list_version_parse(req, false, &v);
        if (r)
                return r;
        ret->limit = limit > 0 ? (size_t)limit : 0;
        if (!str_empty(token)) {
                if (v.given && v.revision)
                        return api_fail(req, 400, "specifying resource version is not allowed when using continue");
                if (token_parse(req->arena, token, &ret->revision, &ret->start_after))
                        return api_fail(req, 400, "continue key is not valid: it is not one that this server gave");
                return 0;
        }
        if (!v.given || !v.revision)
                return 0;
        if (cache_wait(req->server->caches, v.revision, WAIT_MS))
                return too_new(req, v.revision);
        if (v.match ? str_eq(v.match, "Exact") : ret->limit > 0) /* pages are of one revision */
                ret->revision = v.revision;
        return 0;
}

int rest_list(struct api_request *req)
{
        struct object_list list = OBJECT_LIST_NULL;
        struct object_selector s;
        const char *token = NULL;
        struct page page;
        size_t more = 0;
        int r;

        r = object_selector_parse(req, &s);
        if (!r)
                r = parse_page(req, &page);
        if (!r)
                r = list_page(req, &s, &page, &list, &more);
        if (!r && more)
                token = token_make(req->arena, list.revision, list.items[list.n - 1]->key);
        if (!r)
                r = list_answer(req, &list, token, object_selector_is_all(&s) && more != LIST_MORE_UNKNOWN ? more : 0);
        else
                object_list_deinit(&list);
        object_selector_deinit(&s);
        return r;
}

int list_matching(struct api_request *req, struct object_list *ret)
{
        struct object_selector s;
        struct page all = {0};
        size_t more;
        int r;

        r = object_selector_parse(req, &s);
        if (!r)
                r = list_page(req, &s, &all, ret, &more);
        object_selector_deinit(&s);
        return r;
}
