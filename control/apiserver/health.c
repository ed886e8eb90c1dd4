/* SPDX-License-Identifier: Apache-2.0 */
#include "apiserver/health.h"
#include "apiserver/server.h"
#include "apiserver/status.h"
#include "base/str.h"

static bool check_ping(struct server *s _unused_)
{
        return true;
}

/* The store refuses nothing for want of space. */
static bool check_store(struct server *s)
{
        struct store_stats st;

        store_stats(s->store, &st);
        return !st.full;
}

/* What was committed has reached the readers. */
static bool check_cache(struct server *s)
{
        struct store_stats st;

        store_stats(s->store, &st);
        return cache_wait(s->caches, st.revision, 1000) == 0;
}

static bool check_started(struct server *s)
{
        return s->ready;
}

static bool check_stopping(struct server *s)
{
        return !s->stopping;
}

enum {
        LIVE = 1,
        READY = 2,
};

static const struct check {
        const char *name;
        int of;
        bool (*fn)(struct server *s);
} checks[] = {
        {"ping", LIVE | READY, check_ping},
        {"log", LIVE | READY, check_ping},
        {"store", READY, check_store},
        {"cache-sync", LIVE | READY, check_cache},
        {"poststarthook/bootstrap", READY, check_started},
        {"shutdown", READY, check_stopping},
};

bool health_handles(const char *path)
{
        return str_has_prefix(path, "/healthz") || str_has_prefix(path, "/livez") || str_has_prefix(path, "/readyz");
}

static bool is_excluded(const struct api_request *req, const char *name)
{
        for (size_t i = 0; i < req->query.n; i++)
                if (str_eq(req->query.params[i].name, "exclude") && str_eq(req->query.params[i].value, name))
                        return true;
        return false;
}

static int answer_one(struct api_request *req, const char *name, int of)
{
        for (size_t i = 0; i < ARRAY_SIZE(checks); i++)
                if (checks[i].of & of && str_eq(checks[i].name, name))
                        return checks[i].fn(req->server) ? api_answer_text(req, 200, "ok")
                                                         : api_answer_text(req, 500, "internal server error: failed");
        return api_fail_no_resource(req);
}

int health_answer(struct api_request *req)
{
        const char *path = req->http->path, *probe = path + 1;
        size_t n = strcspn(probe, "/");
        int of = probe[0] == 'l' ? LIVE : READY;
        struct strbuf b = STRBUF_NULL;
        bool ok = true;

        if (probe[n] == '/' && probe[n + 1])
                return answer_one(req, probe + n + 1, of);
        for (size_t i = 0; i < ARRAY_SIZE(checks); i++) {
                bool fine = true, left_out = is_excluded(req, checks[i].name);

                if (!(checks[i].of & of))
                        continue;
                if (!left_out)
                        fine = checks[i].fn(req->server);
                ok &= fine;
                strbuf_printf(&b, "[%c]%s %s\n", fine ? '+' : '-', checks[i].name,
                              left_out ? "excluded: ok"
                              : fine   ? "ok"
                                       : "failed: reason withheld");
        }
        strbuf_printf(&b, "%.*s check %s\n", (int)n, probe, ok ? "passed" : "failed");
        if (ok && !api_query_get(req, "verbose")) {
                strbuf_deinit(&b);
                return api_answer_text(req, 200, "ok");
        }
        return api_answer_buffer(req, ok ? 200 : 500, "text/plain; charset=utf-8", &b);
}

/* ---- componentstatuses (deprecated in Kubernetes; old clients still ask) ---- */

static struct json_object *component(const char *name, bool ok)
{
        struct json_object *o = json_object_new_object(), *conds = json_object_new_array();
        struct json_object *c = json_object_new_object();

        json_set_str(o, "kind", "ComponentStatus");
        json_set_str(o, "apiVersion", "v1");
        json_set_str(json_ensure(o, "metadata"), "name", name);
        json_set_str(c, "type", "Healthy");
        json_set_str(c, "status", ok ? "True" : "False");
        json_set_str(c, "message", ok ? "ok" : "writes are refused: no space left");
        json_object_array_add(conds, c);
        json_set(o, "conditions", conds);
        return o;
}

int health_component_statuses(struct api_request *req)
{
        _cleanup_json_ struct json_object *store = component("etcd-0", check_store(req->server)), *list = NULL;
        struct json_object *items;

        warnings_add(&req->warnings, "v1 ComponentStatus is deprecated in v1.19+");
        if (req->name)
                return str_eq(req->name, "etcd-0") ? api_answer_tree(req, 200, store) : api_fail_not_found(req);
        list = json_object_new_object();
        items = json_object_new_array();
        json_set_str(list, "kind", "ComponentStatusList");
        json_set_str(list, "apiVersion", "v1");
        json_set(list, "metadata", json_object_new_object());
        json_object_array_add(items, json_object_get(store));
        json_set(list, "items", items);
        return api_answer_tree(req, 200, list);
}
