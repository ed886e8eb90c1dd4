/* SPDX-License-Identifier: Apache-2.0 */
/* pods/proxy, services/proxy, nodes/proxy: any request, sent on to an address that an object names. */
#include <string.h>

#include "apiserver/proxy/target.h"
#include "apiserver/server.h"
#include "apiserver/status.h"
#include "base/random.h"
#include "base/str.h"

static int bad_id(struct api_request *req, const char *what)
{
        return api_fail(req, 400, "invalid %s request \"%s\"", what, req->name);
}

static int not_found(struct api_request *req, const char *kind, const char *name)
{
        struct status s = {.code = 404, .name = name, .kind = kind};

        s.message = arena_printf(req->arena, "%s \"%s\" not found", kind, name);
        return api_fail_status(req, &s);
}

static int set_scheme(const struct proxy_id *id, struct proxy_target *t)
{
        bool tls = str_eq(id->scheme, "https");

        t->tls = tls ? PROXY_TLS_ANY : PROXY_PLAIN;
        if (!t->port)
                t->port = tls ? 443 : 80;
        return 0;
}

static int check_address(struct api_request *req, const char *ip)
{
        return ip && proxy_may_reach(ip) ? 0 : api_fail(req, 400, "address not allowed");
}

/* ---- pods ---- */

static int64_t first_port(const struct json_object *pod)
{

        json_array_foreach (json_at(pod, "spec.containers"), i, c)
                if (json_len(json_get(c, "ports")))
                        return json_get_i64(json_idx(json_get(c, "ports"), 0), "containerPort", 0);
        return 0;
}

static int locate_pod(struct api_request *req, const struct proxy_id *id, struct proxy_target *t)
{
        _cleanup_json_ struct json_object *pod = proxy_object(req, "pods", req->namespace, id->name);
        const char *ip;

        if (!pod)
                return not_found(req, "pods", id->name);
        if (*id->port && (str_parse_u16(id->port, &t->port) || !t->port))
                return bad_id(req, "pod");
        if (!*id->port)
                t->port = (uint16_t)first_port(pod);
        ip = json_at_str(pod, "status.podIP");
        if (check_address(req, ip))
                return API_ANSWERED;
        t->ip = arena_strdup(req->arena, ip);
        return set_scheme(id, t);
}

/* ---- services ---- */

/* The name of the port that a number means; a name stays what it is. 0 or API_ANSWERED. */
static int port_name(struct api_request *req, const struct proxy_id *id, const struct json_object *svc,
                     const char **ret)
{
        uint16_t number;

        *ret = id->port;
        if (!*id->port || str_parse_u16(id->port, &number))
                return 0;
        json_array_foreach (json_at(svc, "spec.ports"), i, p)
                if (json_get_i64(p, "port", 0) == number) {
                        const char *name = json_get_str(p, "name");

                        *ret = name ? arena_strdup(req->arena, name) : "";
                        return 0;
                }
        return api_fail(req, 503, "no service port %u found for service \"%s\"", number, id->name);
}

static bool is_of_service(const void *userdata, const struct object *o)
{
        for (uint32_t i = 0; i < o->nlabels; i++)
                if (str_eq(o->labels[i].key, "kubernetes.io/service-name"))
                        return str_eq(o->labels[i].value, userdata);
        return false;
}

/* An endpoint that is ready. Whoever may write EndpointSlices must not make the API server ask anything else than a pod
 * of that namespace: it stands where networks are open that are closed to him. */
struct candidate {
        struct candidate *next;
        const char *ip, *pod;
        uint16_t port;
};

struct candidates {
        const char *port; /* its name */
        struct candidate *first;
        uint64_t n;
};

static uint16_t slice_port(const struct json_object *slice, const char *name)
{

        json_array_foreach (json_get(slice, "ports"), i, p) {
                const char *its = json_get_str(p, "name");

                if (str_eq(its ? its : "", name))
                        return (uint16_t)json_get_i64(p, "port", 0);
        }
        return 0;
}

/* The name of the pod of that namespace that an endpoint says it is, or NULL. */
static const char *pod_of(const struct json_object *endpoint, const char *namespace)
{
        const struct json_object *ref = json_get(endpoint, "targetRef");

        if (!str_eq(json_get_str(ref, "kind"), "Pod") || !str_eq(json_get_str(ref, "namespace"), namespace))
                return NULL;
        return json_get_str(ref, "name");
}

static void collect(struct api_request *req, const struct json_object *slice, struct candidates *all)
{
        uint16_t port = slice_port(slice, all->port);

        if (!port)
                return;
        json_array_foreach (json_get(slice, "endpoints"), i, e) {
                struct json_object *address = json_idx(json_get(e, "addresses"), 0);
                const char *pod = pod_of(e, req->namespace);
                struct candidate *c;

                if (!pod || !json_at_bool(e, "conditions.ready", true) || !json_is_string(address))
                        continue;
                c = arena_new(req->arena, struct candidate);
                *c = (struct candidate){all->first, arena_strdup(req->arena, json_object_get_string(address)),
                                        arena_strdup(req->arena, pod), port};
                all->first = c;
                all->n++;
        }
}

static void collect_all(struct api_request *req, const char *service, struct candidates *all)
{
        struct cache_filter f = {.namespace = req->namespace, .match = is_of_service, .userdata = service};
        struct object_list list = OBJECT_LIST_NULL;

        cache_list(cache_find(req->server->caches, "discovery.k8s.io", "endpointslices"), &f, NULL, 0, &list, NULL);
        for (size_t i = 0; i < list.n; i++) {
                _cleanup_json_ struct json_object *slice = object_tree(list.items[i]);

                collect(req, slice, all);
        }
        object_list_deinit(&list);
}

static bool has_address(struct api_request *req, const struct candidate *c)
{
        _cleanup_json_ struct json_object *pod = proxy_object(req, "pods", req->namespace, c->pod);

        json_array_foreach (json_at(pod, "status.podIPs"), i, ip)
                if (str_eq(json_get_str(ip, "ip"), c->ip))
                        return true;
        return false;
}

/* Each with the same chance; one that is not its pod's is left out for the next one. NULL: there is none. */
static const struct candidate *choose(struct api_request *req, struct candidates *all)
{
        for (; all->n; all->n--) {
                struct candidate **at = &all->first, *c;

                for (uint64_t skip = random_below(all->n); skip; skip--)
                        at = &(*at)->next;
                c = *at;
                if (has_address(req, c))
                        return c;
                *at = c->next;
        }
        return NULL;
}

static int locate_service(struct api_request *req, const struct proxy_id *id, struct proxy_target *t)
{
        _cleanup_json_ struct json_object *svc = proxy_object(req, "services", req->namespace, id->name);
        struct candidates all = {0};
        const struct candidate *c;
        int r;

        if (!svc)
                return not_found(req, "services", id->name);
        r = port_name(req, id, svc, &all.port);
        if (r)
                return r;
        collect_all(req, id->name, &all);
        c = choose(req, &all);
        if (!c)
                return api_fail(req, 503, "no endpoints available for service \"%s\"", req->name);
        if (check_address(req, c->ip))
                return API_ANSWERED;
        t->ip = c->ip;
        t->port = c->port;
        return set_scheme(id, t);
}

/* ---- nodes ---- */

static int locate_node(struct api_request *req, const struct proxy_id *id, struct proxy_target *t)
{
        _cleanup_json_ struct json_object *node = proxy_object(req, "nodes", NULL, id->name);
        uint16_t port = 0;
        int r;

        if (!node)
                return not_found(req, "nodes", id->name);
        if (*id->port && (str_parse_u16(id->port, &port) || !port))
                return bad_id(req, "node");
        r = proxy_kubelet(req, node, t);
        if (r || !port || port == t->port)
                return r;
        if (check_address(req, t->ip)) /* not the kubelet: somebody else on that node */
                return API_ANSWERED;
        t->port = port;
        return set_scheme(id, t);
}

/* ---- ---- */

/* A redirection would lose an upgrade, and browsers repeat others than these as GET. */
static bool wants_slash(const struct api_request *req)
{
        const struct http_request *http = req->http;

        return !req->subpath && !str_has_suffix(http->path, "/") && !http_header(http, "Upgrade") &&
               (str_eq(http->method, "GET") || str_eq(http->method, "HEAD"));
}

/* As for a web page whose relative links should work: a location without a path ends in a slash. */
static int redirect(struct api_request *req)
{
        const char *query = req->http->query;

        api_header(req, "Location", arena_printf(req->arena, "%s/%s%s", req->http->path, *query ? "?" : "", query));
        req->res->status = 301;
        return API_ANSWERED;
}

int proxy_location(struct api_request *req)
{
        static const struct {
                const char *plural, *what;
                int (*locate)(struct api_request *req, const struct proxy_id *id, struct proxy_target *t);
        } kinds[] = {
                {"pods", "pod", locate_pod},
                {"services", "service", locate_service},
                {"nodes", "node", locate_node},
        };
        struct proxy_target t = {.style = PROXY_HTTP};
        const char *query = req->http->query;
        struct proxy_id id;
        size_t i = 0;
        int r;

        while (i < ARRAY_SIZE(kinds) - 1 && !str_eq(kinds[i].plural, req->plural))
                i++;
        if (!proxy_id_parse(req->arena, req->name, &id))
                return bad_id(req, kinds[i].what);
        r = kinds[i].locate(req, &id, &t);
        if (r)
                return r;
        if (wants_slash(req))
                return redirect(req);
        t.path = arena_printf(req->arena, "/%s%s%s", req->subpath ? req->subpath : "", *query ? "?" : "", query);
        return proxy_pass(req, &t);
}
