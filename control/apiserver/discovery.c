/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Discovery never changes while the server runs, so each answer is made once, at the first request, and kept as bytes
 * with its entity tag: a request is a look into a table.
 */
#include <pthread.h>

#include "apiserver/discovery.h"
#include "apiserver/discovery_build.h"
#include "apiserver/document.h"
#include "apiserver/status.h"
#include "base/hashmap.h"
#include "base/mem.h"
#include "base/str.h"

#define AGGREGATED(v) "application/json;g=apidiscovery.k8s.io;v=" v ";as=APIGroupDiscoveryList"

static const char *const content_types[DISCOVERY_FORMS] = {
        [DISCOVERY_LEGACY] = "application/json",
        [DISCOVERY_V2BETA1] = AGGREGATED("v2beta1"),
        [DISCOVERY_V2] = AGGREGATED("v2"),
};

/* What is under one path; only /api and /apis have more than the legacy form. */
struct page {
        struct document forms[DISCOVERY_FORMS];
};

static struct hashmap pages;
static pthread_once_t pages_once = PTHREAD_ONCE_INIT;

/* Takes the tree over. */
static void set_form(struct page *p, enum discovery_form form, struct json_object *tree)
{
        struct strbuf b = STRBUF_NULL;

        json_write(&b, tree);
        strbuf_add_char(&b, '\n');
        document_init(&p->forms[form], content_types[form], &b);
        json_object_put(tree);
}

static struct page *page_add(const char *path, struct json_object *tree)
{
        struct page *p = mem_new(struct page);

        set_form(p, DISCOVERY_LEGACY, tree);
        hashmap_put(&pages, path, p);
        return p;
}

static void add_groups_page(const char *path, bool core)
{
        struct page *p = page_add(path, discovery_groups(core, DISCOVERY_LEGACY));

        set_form(p, DISCOVERY_V2BETA1, discovery_groups(core, DISCOVERY_V2BETA1));
        set_form(p, DISCOVERY_V2, discovery_groups(core, DISCOVERY_V2));
}

static void add_resource_pages(void)
{
        char path[256];

        for (size_t i = 0; i < schema_nresources; i++) {
                const struct schema_resource *r = &schema_resources[i];

                if (*r->group && discovery_first_of_group(i)) {
                        snprintf(path, sizeof(path), "/apis/%s", r->group);
                        page_add(path, discovery_group(r->group, true));
                }
                if (discovery_first_of_version(i)) {
                        snprintf(path, sizeof(path), "%s%s/%s", *r->group ? "/apis/" : "/api", r->group, r->version);
                        page_add(path, discovery_resources(r->group, r->version));
                }
        }
}

static int compare_paths(const void *a, const void *b)
{
        return strcmp(*(const char *const *)a, *(const char *const *)b);
}

static struct json_object *root_paths(void)
{
        static const char *const others[] = {"/apis/",      "/healthz",    "/livez", "/metrics",
                                             "/openapi/v2", "/openapi/v3", "/readyz"};
        size_t n = 0, max = pages.count + ARRAY_SIZE(others);
        _cleanup_free_ const char **paths = mem_array(const char *, max);
        struct json_object *o = json_object_new_object(), *list = json_object_new_array();

        hashmap_foreach (&pages, slot)
                paths[n++] = slot->key.str;
        for (size_t i = 0; i < ARRAY_SIZE(others); i++)
                paths[n++] = others[i];
        qsort(paths, n, sizeof(*paths), compare_paths);
        for (size_t i = 0; i < n; i++)
                json_object_array_add(list, json_object_new_string(paths[i]));
        json_set(o, "paths", list);
        return o;
}

static void pages_make(void)
{
        hashmap_init(&pages, HASHMAP_STR_OWNED);
        add_groups_page("/api", true);
        add_groups_page("/apis", false);
        add_resource_pages();
        page_add("/version", discovery_version());
        page_add("", root_paths());
}

/* ---- which form ---- */

static bool param_is(const char *clause, size_t len, const char *name, const char *value)
{
        char want[64];
        size_t n = (size_t)snprintf(want, sizeof(want), "%s=%s", name, value);

        for (const char *p = clause, *end = clause + len; p && p < end;) {
                size_t piece;

                p += strspn(p, "; ");
                piece = strcspn(p, ";, ");
                if (piece == n && memcmp(p, want, n) == 0)
                        return true;
                p = memchr(p, ';', (size_t)(end - p));
        }
        return false;
}

static int clause_form(const char *clause, size_t len)
{
        static const char json[] = "application/json";

        if (len < sizeof(json) - 1 || memcmp(clause, json, sizeof(json) - 1) != 0)
                return -1;
        if (!param_is(clause, len, "as", "APIGroupDiscoveryList") || !param_is(clause, len, "g", "apidiscovery.k8s.io"))
                return memmem(clause, len, "as=", 3) ? -1 : DISCOVERY_LEGACY;
        if (param_is(clause, len, "v", "v2"))
                return DISCOVERY_V2;
        return param_is(clause, len, "v", "v2beta1") ? DISCOVERY_V2BETA1 : -1;
}

enum discovery_form discovery_form_of(const char *accept)
{
        while (accept && *accept) {
                size_t len;
                int form;

                accept += strspn(accept, " ,");
                len = strcspn(accept, ",");
                form = clause_form(accept, len);
                if (form >= 0)
                        return (enum discovery_form)form;
                accept += len;
        }
        return DISCOVERY_LEGACY;
}

int discovery_answer(struct api_request *req)
{
        const char *path = req->http->path;
        size_t len = strlen(path);
        enum discovery_form form;
        const struct page *p;

        pthread_once(&pages_once, pages_make);
        while (len && path[len - 1] == '/')
                len--;
        p = hashmap_get_n(&pages, path, len);
        if (!p)
                return api_fail_no_resource(req);
        form = discovery_form_of(http_header(req->http, "Accept"));
        if (!p->forms[form].blob)
                form = DISCOVERY_LEGACY;
        if (p->forms[DISCOVERY_V2].blob)
                api_header(req, "Vary", "Accept");
        return document_answer(req, &p->forms[form]);
}
