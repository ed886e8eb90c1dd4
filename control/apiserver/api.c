/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The chain that every request goes through, in this order:
 *
 *      route -> authenticate -> impersonate -> authorize -> find the resource -> options -> the handler (admits,
 * writes)
 *
 * and the decision where it runs: what only reads memory is answered on the connection's own loop, what may wait for
 * the disk or takes long (a big list in another form) goes to a worker.
 */
#include "apiserver/account/tokens.h"
#include "apiserver/authn.h"
#include "apiserver/authz.h"
#include "apiserver/discovery.h"
#include "apiserver/health.h"
#include "apiserver/metrics.h"
#include "apiserver/openapi.h"
#include "apiserver/proxy/proxy.h"
#include "apiserver/rest/rest.h"
#include "apiserver/server.h"
#include "apiserver/status.h"
#include "apiserver/usage/usage.h"
#include "base/clock.h"
#include "base/log.h"
#include "base/str.h"

/* ---- handlers ---- */

static const struct {
        const char *verb;
        enum schema_verb bit;
        int (*handle)(struct api_request *req);
} verbs[] = {
        {"get", VERB_GET, rest_get},          {"list", VERB_LIST, rest_list},
        {"watch", VERB_WATCH, rest_watch},    {"create", VERB_CREATE, rest_create},
        {"update", VERB_UPDATE, rest_update}, {"patch", VERB_PATCH, rest_patch},
        {"delete", VERB_DELETE, rest_delete}, {"deletecollection", VERB_DELETECOLLECTION, rest_delete_collection},
};

/* What is not a verb on a stored object. */
static const struct {
        const char *plural, *subresource;
        int (*handle)(struct api_request *req);
} specials[] = {
        {"pods", "binding", rest_binding},
        {"bindings", NULL, rest_binding},
        {"pods", "eviction", rest_eviction},
        {"namespaces", "finalize", rest_finalize},
        {"serviceaccounts", "token", tokens_request},
        {NULL, "scale", rest_scale},
        {"selfsubjectreviews", NULL, rest_review},
        {"tokenreviews", NULL, rest_review},
        {"localsubjectaccessreviews", NULL, rest_review},
        {"selfsubjectaccessreviews", NULL, rest_review},
        {"selfsubjectrulesreviews", NULL, rest_review},
        {"subjectaccessreviews", NULL, rest_review},
        {"componentstatuses", NULL, health_component_statuses},
};

static bool same(const char *a, const char *b)
{
        return a && b ? str_eq(a, b) : a == b;
}

static int handle_special(struct api_request *req, bool *ret_found)
{
        for (size_t i = 0; i < ARRAY_SIZE(specials); i++) {
                if (specials[i].plural && !str_eq(specials[i].plural, req->plural))
                        continue;
                if (!same(specials[i].subresource, req->subresource))
                        continue;
                *ret_found = true;
                return specials[i].handle(req);
        }
        return 0;
}

static uint16_t allowed_verbs(const struct api_request *req)
{
        return req->subresource ? req->sub->verbs : req->resource->verbs;
}

/* Verbs about one object need its name in the URL; a create has none, and only lists and watches are of all
 * namespaces. */
static int check_scope(struct api_request *req)
{
        bool create = str_eq(req->verb, "create"), many = str_eq(req->verb, "deletecollection");
        bool all_namespaces = req->resource->namespaced && !req->namespace;

        if ((req->namespace && !req->resource->namespaced) || (all_namespaces && req->name))
                return api_fail_no_resource(req);
        if ((create && req->name && !req->subresource) || (all_namespaces && (create || many)))
                return api_fail_method(req);
        if ((str_eq(req->verb, "update") || str_eq(req->verb, "patch")) && !req->name)
                return api_fail_method(req);
        return 0;
}

/* A collection is not changed as a whole, and objects are made by their collection. */
static bool fits_verb(const struct api_request *req)
{
        if (str_eq(req->verb, "create"))
                return !req->name || req->subresource;
        return req->name || (!str_eq(req->verb, "update") && !str_eq(req->verb, "patch"));
}

static int handle_resource(struct api_request *req)
{
        bool found = false;
        int r;

        if (!req->resource || (req->subresource && !req->sub))
                return api_fail_no_resource(req);
        if (!fits_verb(req))
                return api_fail_method(req);
        r = check_scope(req);
        if (!r && proxy_handles(req)) /* its options are for somebody else */
                return same(req->subresource, "proxy") ? proxy_location(req) : proxy_pod_stream(req);
        if (!r)
                r = api_options_parse(req);
        if (r)
                return r;
        if (str_eq(req->group, "metrics.k8s.io"))
                return usage_answer(req);
        for (size_t i = 0; i < ARRAY_SIZE(verbs); i++) {
                if (!str_eq(verbs[i].verb, req->verb))
                        continue;
                if (!(allowed_verbs(req) & verbs[i].bit))
                        return api_fail_method(req);
                r = handle_special(req, &found);
                return found ? r : verbs[i].handle(req);
        }
        return api_fail_method(req);
}

static int handle_path(struct api_request *req)
{
        const char *path = req->http->path;

        if (!str_eq(req->verb, "get") && !str_eq(req->verb, "head"))
                return api_fail_method(req);
        if (health_handles(path))
                return health_answer(req);
        if (str_eq(path, "/metrics"))
                return metrics_answer(req);
        if (tokens_handles(path))
                return tokens_discovery(req);
        if (openapi_handles(path))
                return openapi_answer(req);
        return discovery_answer(req);
}

/* ---- the chain ---- */

static int forbid(struct api_request *req)
{
        const char *sub = req->subresource;
        const char *what;

        if (!req->is_resource)
                return api_fail(req, 403, "forbidden: User \"%s\" cannot %s path \"%s\"", req->user.name, req->verb,
                                req->http->path);
        what = arena_printf(req->arena, "User \"%s\" cannot %s resource \"%s%s%s\" in API group \"%s\"%s%s%s",
                            req->user.name, req->verb, req->plural, sub ? "/" : "", sub ? sub : "", req->group,
                            req->namespace ? " in the namespace \"" : " at the cluster scope",
                            req->namespace ? req->namespace : "", req->namespace ? "\"" : "");
        return api_fail_forbidden(req, req->name, "%s", what);
}

static int check_rights(struct api_request *req)
{
        struct authz_attributes a = {
                .user = &req->user,
                .verb = req->verb,
                .is_resource = req->is_resource,
                .group = req->group,
                .resource = req->plural,
                .subresource = req->subresource,
                .namespace = req->namespace,
                .name = req->name,
                .path = req->http->path,
        };

        if (authorize(&a, NULL))
                return 0;
        if (str_eq(req->user.name, "system:anonymous"))
                return api_fail(req, 401, "Unauthorized");
        return forbid(req);
}

/* GET of a collection with watch=true is a watch, not a list. */
static int refine_verb(struct api_request *req)
{
        bool watch = false;
        int r = 0;

        if (!req->is_resource || (!str_eq(req->verb, "list") && !str_eq(req->verb, "get")))
                return 0;
        if (str_eq(req->verb, "list") || req->name)
                r = api_query_bool(req, "watch", &watch);
        if (!r && watch && str_eq(req->verb, "list"))
                req->verb = "watch";
        return r;
}

static void run_chain(struct api_request *req)
{
        int r;

        api_route(req);
        if (api_query_parse(req, req->http->query)) {
                api_fail(req, 400, "the query string has a bad escape");
                return;
        }
        r = authenticate(req);
        if (!r)
                r = impersonate(req);
        if (!r)
                r = refine_verb(req);
        if (!r)
                r = check_rights(req);
        if (r)
                return;
        if (req->is_resource)
                handle_resource(req);
        else
                handle_path(req);
}

static int64_t wall_us(const struct server *s)
{
        return (s->wall_ns ? s->wall_ns() : clock_wall_ns()) / 1000;
}

static void api_handle(void *userdata, const struct http_request *http, struct http_response *res)
{
        struct api_request req = {
                .arena = http->arena,
                .http = http,
                .res = res,
                .server = userdata,
                .warnings = {.arena = http->arena},
                .now_us = wall_us(userdata),
        };

        run_chain(&req);
}

static void api_error(void *userdata, int status, const char *message, struct http_response *res)
{
        struct status s = {.code = status, .message = message, .retry_after_seconds = status == 429 ? 1 : 0};
        _cleanup_json_ struct json_object *o = status_object(&s);
        struct strbuf b = STRBUF_NULL;

        json_write(&b, o);
        strbuf_add_char(&b, '\n');
        res->status = status;
        res->content_type = "application/json";
        res->kind = HTTP_BODY_BUFFER;
        res->buffer = b;
        (void)userdata;
}

/* ---- where it runs ---- */

static bool has_query_word(const char *query, const char *word)
{
        return strstr(query, word) != NULL;
}

/* It may have to wait until a revision has come, or read the store's history. */
static bool names_revision(const char *query)
{
        const char *rv = strstr(query, "resourceVersion=");
        bool watch = has_query_word(query, "watch=") && !has_query_word(query, "sendInitialEvents=");

        if (has_query_word(query, "continue="))
                return true;
        return rv && !watch && rv[16] != '\0' && rv[16] != '&' && !(rv[16] == '0' && (!rv[17] || rv[17] == '&'));
}

/* Every object of a list in another form has to be parsed. */
static bool is_stored_form(const struct http_request *req)
{
        const char *accept = http_header(req, "Accept");

        return (!accept || !strstr(accept, "as=")) && !str_has_prefix(req->path, "/apis/events.k8s.io/") &&
               !str_has_prefix(req->path, "/apis/autoscaling/v1/");
}

/* A read that touches memory only and sends bytes as they are. */
static bool is_quick(const struct http_request *req)
{
        if (strcmp(req->method, "GET") != 0 || names_revision(req->query))
                return false;
        if (str_has_prefix(req->path, "/openapi") || has_query_word(req->query, "pretty"))
                return false;
        if (has_query_word(req->query, "watch="))
                return true;
        /* A selector looks at every object of the resource: the connections of this loop need not wait for that. */
        return !has_query_word(req->query, "Selector=") && is_stored_form(req);
}

static enum http_where api_classify(void *userdata, const struct http_request *req)
{
        struct server *s = userdata;
        struct http_stats stats;

        if (is_quick(req))
                return HTTP_INLINE;
        http_server_stats(s->http, &stats);
        if (stats.workers_busy + stats.queue_len >= s->config.max_requests_inflight)
                return HTTP_REFUSE;
        return HTTP_WORKER;
}

static void api_done(void *userdata, const struct http_request *req, int status, uint64_t bytes, uint64_t duration_ns)
{
        struct server *s = userdata;

        metrics_request(s->metrics, req, status, bytes, duration_ns);
        log_debug("request", "method=%s path=%s query=%s status=%d bytes=%llu duration_us=%llu peer=%s user=%s",
                  req->method, req->path, req->query, status, (unsigned long long)bytes,
                  (unsigned long long)duration_ns / 1000, req->peer ? req->peer->address : "",
                  req->peer && req->peer->common_name ? req->peer->common_name : "");
}

struct http_app server_app(struct server *s)
{
        return (struct http_app){
                .userdata = s,
                .classify = api_classify,
                .handle = api_handle,
                .error = api_error,
                .done = api_done,
        };
}
