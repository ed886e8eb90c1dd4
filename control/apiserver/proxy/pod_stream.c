/* SPDX-License-Identifier: Apache-2.0 */
/* pods/log, exec, attach, portforward: what is checked before the pod's kubelet is asked, and what it is asked. The
 * order of the parameters is that of Go's url.Values.Encode. */
#include <string.h>
#include <strings.h>

#include "apiserver/proxy/target.h"
#include "apiserver/status.h"
#include "base/clock.h"
#include "base/httpclient.h"
#include "base/str.h"

/* As Kubernetes reads a bool of a query: there and not denied. */
static bool flag(const struct api_request *req, const char *name)
{
        const char *v = api_query_get(req, name);

        return v && strcasecmp(v, "false") != 0 && strcmp(v, "0") != 0;
}

static void add(struct strbuf *path, const char *name, const char *value)
{
        strbuf_add_char(path, strchr(path->data, '?') ? '&' : '?');
        strbuf_add_str(path, name);
        strbuf_add_char(path, '=');
        http_escape(path, value);
}

static void add_flag(struct strbuf *path, const struct api_request *req, const char *asked, const char *name,
                     const char *value)
{
        if (flag(req, asked))
                add(path, name, value);
}

/* ---- the container ---- */

static void add_names(struct strbuf *b, const struct json_object *containers)
{

        json_array_foreach (containers, i, c)
                strbuf_printf(b, "%s%s", i ? " " : "", json_get_str(c, "name"));
}

static int fail_unnamed(struct api_request *req, const struct json_object *pod)
{
        const struct json_object *inits = json_at(pod, "spec.initContainers");
        _cleanup_strbuf_ struct strbuf b = STRBUF_NULL;

        strbuf_printf(&b, "a container name must be specified for pod %s, choose one of: [", req->name);
        add_names(&b, json_at(pod, "spec.containers"));
        strbuf_add_char(&b, ']');
        if (json_len(inits)) {
                strbuf_add_str(&b, " or one of the init containers: [");
                add_names(&b, inits);
                strbuf_add_char(&b, ']');
        }
        return api_fail(req, 400, "%s", b.data);
}

static int choose_container(struct api_request *req, const struct json_object *pod, const char **ret)
{
        const struct json_object *containers = json_at(pod, "spec.containers");
        const char *name = api_query_get(req, "container");

        if (str_empty(name)) {
                if (json_len(containers) != 1)
                        return fail_unnamed(req, pod);
                name = json_get_str(json_idx(containers, 0), "name");
        } else if (!proxy_container(pod, name)) {
                return api_fail(req, 400, "container %s is not valid for pod %s", name, req->name);
        }
        *ret = name;
        return 0;
}

/* ---- what each of them asks ---- */

static int number(struct api_request *req, struct ferrs *errs, const char *name, int64_t least, struct strbuf *path)
{
        const char *text = api_query_get(req, name);
        struct fpath at = fpath_child(NULL, name);
        int64_t v;
        int r;

        if (str_empty(text))
                return 0;
        r = api_query_i64(req, name, 0, &v);
        if (r)
                return r;
        if (v < least)
                ferr_invalid_i64(errs, &at, v, least ? "must be greater than 0" : "must be greater than or equal to 0");
        add(path, name, text);
        return 0;
}

static void since_time(struct api_request *req, struct ferrs *errs, struct strbuf *path)
{
        const char *time = api_query_get(req, "sinceTime");
        struct fpath at = fpath_child(NULL, "sinceTime");
        struct timespec parsed;

        if (str_empty(time))
                return;
        if (clock_parse(time, &parsed))
                ferr_invalid_str(errs, &at, time, "use RFC 3339, such as 2026-01-02T15:04:05Z");
        else if (!str_empty(api_query_get(req, "sinceSeconds")))
                ferr_forbidden(errs, &at, "at most one of `sinceTime` or `sinceSeconds` may be specified");
        add(path, "sinceTime", time);
}

static int log_query(struct api_request *req, struct strbuf *path)
{
        struct ferrs errs = FERRS(req->arena);
        const char *stream = api_query_get(req, "stream");
        int r;

        add_flag(path, req, "follow", "follow", "true");
        r = number(req, &errs, "limitBytes", 1, path);
        add_flag(path, req, "previous", "previous", "true");
        if (!r)
                r = number(req, &errs, "sinceSeconds", 1, path);
        since_time(req, &errs, path);
        if (!str_empty(stream) && !str_eq(stream, "All"))
                add(path, "stream", stream);
        if (!r)
                r = number(req, &errs, "tailLines", 0, path);
        add_flag(path, req, "timestamps", "timestamps", "true");
        return !r && errs.n ? api_fail_invalid(req, req->name, &errs) : r;
}

static int exec_query(struct api_request *req, struct strbuf *path)
{
        for (size_t i = 0; i < req->query.n; i++)
                if (str_eq(req->query.params[i].name, "command"))
                        add(path, "command", req->query.params[i].value);
        add_flag(path, req, "stderr", "error", "1");
        add_flag(path, req, "stdin", "input", "1");
        add_flag(path, req, "stdout", "output", "1");
        add_flag(path, req, "tty", "tty", "1");
        return 0;
}

static int ports_query(struct api_request *req, struct strbuf *path)
{
        _cleanup_strbuf_ struct strbuf ports = STRBUF_NULL;

        for (size_t i = 0; i < req->query.n; i++)
                if (str_eq(req->query.params[i].name, "ports"))
                        strbuf_printf(&ports, "%s%s", ports.len ? "," : "", req->query.params[i].value);
        if (ports.len)
                add(path, "port", ports.data);
        return 0;
}

static const struct kind {
        const char *subresource, *path;
        bool container;
        enum proxy_style style;
        int (*query)(struct api_request *req, struct strbuf *path);
} kinds[] = {
        {"log", "/containerLogs", true, PROXY_LOG, log_query},
        {"exec", "/exec", true, PROXY_STREAM, exec_query},
        {"attach", "/attach", true, PROXY_STREAM, exec_query},
        {"portforward", "/portForward", false, PROXY_STREAM, ports_query},
};

static int no_node(struct api_request *req, enum proxy_style style)
{
        if (style == PROXY_LOG) { /* it has said nothing yet */
                req->res->status = 204;
                return API_ANSWERED;
        }
        return api_fail(req, 400, "pod %s does not have a host assigned", req->name);
}

static int ask(struct api_request *req, const struct kind *k, const struct json_object *pod)
{
        const char *node = json_at_str(pod, "spec.nodeName"), *container = NULL;
        _cleanup_strbuf_ struct strbuf path = STRBUF_NULL;
        struct proxy_target t = {.style = k->style};
        int r = k->container ? choose_container(req, pod, &container) : 0;

        if (r)
                return r;
        strbuf_printf(&path, "%s/%s/%s", k->path, req->namespace, req->name);
        if (container)
                strbuf_printf(&path, "/%s", container);
        r = k->query(req, &path);
        if (r)
                return r;
        if (str_empty(node))
                return no_node(req, k->style);
        r = proxy_kubelet_of(req, node, &t);
        if (r)
                return r;
        t.path = path.data;
        return proxy_pass(req, &t);
}

int proxy_pod_stream(struct api_request *req)
{
        _cleanup_json_ struct json_object *pod = NULL;

        if (!str_eq(req->verb, "get") && (!str_eq(req->verb, "create") || str_eq(req->subresource, "log")))
                return api_fail_method(req);
        pod = proxy_object(req, "pods", req->namespace, req->name);
        if (!pod)
                return api_fail_not_found(req);
        for (size_t i = 0; i < ARRAY_SIZE(kinds); i++)
                if (str_eq(kinds[i].subresource, req->subresource))
                        return ask(req, &kinds[i], pod);
        return api_fail_no_resource(req);
}

bool proxy_handles(const struct api_request *req)
{
        return req->sub && (req->sub->verbs & VERB_CONNECT || str_eq(req->subresource, "log"));
}
