/* SPDX-License-Identifier: Apache-2.0 */
/* httpGet and tcpSocket. Each run has a connection of its own, which is closed at its end, as upstream's probes do. */
#include <curl/curl.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "agent/kubelet/probes/handler_run.h"
#include "base/clock.h"
#include "base/mem.h"
#include "base/str.h"

#define USER_AGENT_OF_PROBES "kube-probe/1.36"
#define USER_AGENT_OF_HOOKS  "kube-lifecycle/1.36"
#define REDIRECTS_MAX        10

static bool is_redirect(int status)
{
        return status == 301 || status == 302 || status == 303 || status == 307 || status == 308;
}

/* 0 is no timeout to the client, so that the last moment is 1. */
static uint32_t time_left(const struct handler_run *run)
{
        uint64_t now = clock_mono_ms();

        if (run->deadline_ms == UINT64_MAX)
                return 0;
        return now < run->deadline_ms ? (uint32_t)MIN(run->deadline_ms - now, UINT32_MAX) : 1;
}

static int go(struct handler_run *run, struct err *reterr);

static void go_on(void *userdata)
{
        struct handler_run *run = userdata;
        struct err err = ERR_NULL;

        run->telling = false;
        if (!run->done)
                handler_end(run, HANDLER_ERROR, "cancelled");
        else if (go(run, &err))
                handler_end(run, HANDLER_ERROR, "%s", err.msg);
}

/* The absolute form of location; NULL when it is no URL, or leads to another host. */
static char *next_url(const char *url, const char *location)
{
        _cleanup_free_ char *host = NULL, *next_host = NULL, *next = NULL;
        CURLU *u = curl_url();
        bool good = !curl_url_set(u, CURLUPART_URL, url, 0) && !curl_url_get(u, CURLUPART_HOST, &host, 0) &&
                    !curl_url_set(u, CURLUPART_URL, location, 0) && !curl_url_get(u, CURLUPART_HOST, &next_host, 0) &&
                    !curl_url_get(u, CURLUPART_URL, &next, 0);

        curl_url_cleanup(u);
        return good && strcasecmp(host, next_host) == 0 ? TAKE_PTR(next) : NULL;
}

static void redirected(struct handler_run *run, const struct http_client_response *r)
{
        const char *location = http_response_header(r, "Location");
        char *next = location ? next_url(run->url, location) : NULL;

        if (!next) {
                handler_end(run, HANDLER_WARNING, "Probe terminated redirects, Response body: %.*s", (int)r->body.len,
                            r->body.data ?: "");
                return;
        }
        free(run->url);
        run->url = next;
        if (run->redirects++ == REDIRECTS_MAX) {
                handler_end(run, HANDLER_FAILURE, "Get \"%s\": stopped after %d redirects", run->url, REDIRECTS_MAX);
                return;
        }
        run->telling = true; /* a cancellation meanwhile is seen by go_on */
        loop_post(run->loop, go_on, run);
}

static void failed(struct handler_run *run, const struct http_client_response *r)
{
        char why[512];

        if (r->error == -ETIMEDOUT)
                snprintf(why, sizeof(why),
                         "context deadline exceeded (Client.Timeout exceeded while awaiting headers)");
        else if (r->error == -ECONNREFUSED)
                handler_dial_error(run, r, why, sizeof(why));
        else if (r->error == -ECONNRESET)
                snprintf(why, sizeof(why), "EOF");
        else
                snprintf(why, sizeof(why), "%s", r->message);
        handler_end(run, HANDLER_FAILURE, "Get \"%s\": %s", run->first_url, why);
}

/* Of an answer that is larger than what anybody reads the beginning is enough. */
static void http_done(void *userdata, struct http_client_response *r)
{
        struct handler_run *run = userdata;

        if (r->error && r->error != -EFBIG)
                failed(run, r);
        else if (run->hook)
                handler_end(run, HANDLER_SUCCESS, "%s", "");
        else if (is_redirect(r->status))
                redirected(run, r);
        else if (r->status >= 300 && r->status < 400)
                handler_end(run, HANDLER_WARNING, "Probe terminated redirects, Response body: %.*s", (int)r->body.len,
                            r->body.data ?: "");
        else if (r->status < 200 || r->status >= 400)
                handler_end(run, HANDLER_FAILURE, "HTTP probe failed with statuscode: %d", r->status);
        else
                handler_end(run, HANDLER_SUCCESS, "%.*s", (int)r->body.len, r->body.data ?: "");
}

static int go(struct handler_run *run, struct err *reterr)
{
        static const struct http_handler handler = {.done = http_done};
        const struct http_client_opts opts = {
                .loop = run->loop,
                .base_url = run->url,
                .user_agent = run->hook ? USER_AGENT_OF_HOOKS : USER_AGENT_OF_PROBES,
                .tls.insecure = true,
                .connect_timeout_ms = time_left(run),
        };
        const struct http_client_request req = {.path = "",
                                                .headers = (const char *const *)run->headers,
                                                .timeout_ms = time_left(run),
                                                .limit = HANDLER_OUTPUT_MAX};
        int r;

        http_client_free(TAKE_PTR(run->client));
        r = http_client_new(&opts, &run->client, reterr);
        if (r)
                return r;
        r = http_start(run->client, &req, &handler, run, NULL);
        return r ? err_set(reterr, r, "%s is no URL", run->url) : 0;
}

/* A header without value stays one, but for those that are taken away thus. */
static char *header_line(const char *name, const char *value)
{
        bool removes = strcasecmp(name, "Accept") == 0 || strcasecmp(name, "User-Agent") == 0;

        if (*value)
                return mem_printf("%s: %s", name, value);
        return mem_printf(removes ? "%s:" : "%s;", name);
}

/* A line's end in a value would begin another header. */
static bool is_line(const char *s)
{
        return s && !strpbrk(s, "\r\n");
}

static int take_headers(struct handler_run *run, const struct json_object *list, struct err *reterr)
{
        run->headers = mem_array(char *, json_len(list) + 1);
        memset(run->headers, 0, (json_len(list) + 1) * sizeof(char *));
        json_array_foreach (list, i, h) {
                const char *name = json_get_str(h, "name"), *value = json_get_str(h, "value") ?: "";

                if (!is_line(name) || !is_line(value) || !*name)
                        return err_set(reterr, -EINVAL, "httpHeaders[%zu]: must be a name and a value of one line", i);
                run->headers[i] = header_line(name, value);
        }
        return 0;
}

/* The bytes that no URL may have are escaped. */
static void add_path(struct strbuf *b, const char *path)
{
        if (*path != '/' && *path != '?')
                strbuf_add_char(b, '/');
        for (; *path; path++)
                if (*path <= ' ' || *path > '~' || strchr("\"<>\\^`{|}", *path))
                        strbuf_printf(b, "%%%02X", (unsigned char)*path);
                else
                        strbuf_add_char(b, *path);
}

int handler_http(struct handler_run *run, const struct json_object *action, const struct handler_target *t,
                 struct err *reterr)
{
        const char *host = json_get_str(action, "host"), *scheme = json_get_str(action, "scheme");
        bool https = scheme && strcasecmp(scheme, "https") == 0;
        _cleanup_strbuf_ struct strbuf url = STRBUF_NULL;
        int r = handler_address(run, str_empty(host) ? t->pod_ip : host, json_get(action, "port"), t->container,
                                reterr);

        if (!r)
                r = take_headers(run, json_get(action, "httpHeaders"), reterr);
        if (r)
                return r;
        strbuf_printf(&url, "%s://%s", https ? "https" : "http", run->address);
        add_path(&url, json_get_str(action, "path") ?: "/");
        run->url = strbuf_take(&url, NULL);
        run->first_url = mem_strdup(run->url);
        return go(run, reterr);
}

static void tcp_done(void *userdata, struct http_client_response *r)
{
        struct handler_run *run = userdata;
        char why[512];

        if (!r->error) {
                handler_end(run, HANDLER_SUCCESS, "%s", "");
                return;
        }
        handler_dial_error(run, r, why, sizeof(why));
        handler_end(run, HANDLER_FAILURE, "%s", why);
}

int handler_tcp(struct handler_run *run, const struct json_object *action, const struct handler_target *t,
                struct err *reterr)
{
        static const struct http_handler handler = {.done = tcp_done};
        const char *host = json_get_str(action, "host");
        int r = handler_address(run, str_empty(host) ? t->pod_ip : host, json_get(action, "port"), t->container,
                                reterr);
        struct http_client_opts opts = {.loop = run->loop, .connect_timeout_ms = time_left(run)};
        const struct http_client_request req = {.path = "", .connect_only = true, .timeout_ms = time_left(run)};

        if (r)
                return r;
        run->url = mem_printf("http://%s", run->address);
        opts.base_url = run->url;
        r = http_client_new(&opts, &run->client, reterr);
        if (r)
                return r;
        r = http_start(run->client, &req, &handler, run, NULL);
        return r ? err_set(reterr, r, "%s is no address", run->address) : 0;
}
