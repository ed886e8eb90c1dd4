/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "agent/kubelet/probes/handler_run.h"
#include "base/clock.h"
#include "base/mem.h"
#include "base/str.h"

int handlers_new(const struct handlers_opts *opts, struct handlers **ret, struct err *reterr)
{
        struct handlers *h = mem_new(struct handlers);

        *h = (struct handlers){.loop = opts->loop, .runtime = opts->runtime};
        *ret = h;
        return 0;
}

static void unlink_run(struct handler_run *run)
{
        if (run->prev)
                run->prev->next = run->next;
        else if (run->h)
                run->h->runs = run->next;
        if (run->next)
                run->next->prev = run->prev;
        run->prev = run->next = NULL;
        run->h = NULL;
}

static void run_free(struct handler_run *run)
{
        unlink_run(run);
        http_client_free(run->client);
        loop_timer_free(run->timer);
        for (char **s = run->headers; s && *s; s++)
                free(*s);
        free(run->headers);
        free(run->message);
        free(run->address);
        free(run->first_url);
        free(run->url);
        free(run->method);
        free(run->command);
        free(run);
}

static void tell(void *userdata)
{
        struct handler_run *run = userdata;

        if (run->done)
                run->done(run->userdata, run->outcome, run->message);
        run_free(run);
}

void handler_end(struct handler_run *run, enum handler_outcome outcome, const char *fmt, ...)
{
        va_list ap;

        if (run->telling)
                return;
        run->telling = true;
        run->outcome = outcome;
        va_start(ap, fmt);
        if (vasprintf(&run->message, fmt, ap) < 0)
                run->message = mem_strdup("out of memory");
        va_end(ap);
        loop_post(run->loop, tell, run);
}

/* A command cannot be called back: its run waits for it, and tells nobody. A client's calls end when it is freed. */
static void forget(struct handler_run *run)
{
        run->done = NULL;
        if (run->telling || run->command)
                return;
        http_client_free(TAKE_PTR(run->client));
        handler_end(run, HANDLER_ERROR, "cancelled");
}

void handler_cancel(struct handler_run *run)
{
        forget(run);
}

void handlers_free(struct handlers *h)
{
        if (!h)
                return;
        while (h->runs) {
                struct handler_run *run = h->runs;

                unlink_run(run);
                forget(run);
        }
        free(h);
}

static int find_port(const struct json_object *container, const char *name, int64_t *ret)
{
        json_array_foreach (json_get(container, "ports"), i, port)
                if (str_eq(json_get_str(port, "name"), name)) {
                        *ret = json_get_i64(port, "containerPort", 0);
                        return 0;
                }
        return str_parse_i64(name, ret);
}

static int port_of(struct json_object *port, const struct json_object *container, int64_t *ret, struct err *reterr)
{
        if (!json_is_string(port))
                *ret = json_object_get_int64(port);
        else if (find_port(container, json_object_get_string(port), ret))
                return err_set(reterr, -EINVAL, "port \"%s\" is not among the container's ports",
                               json_object_get_string(port));
        if (*ret <= 0 || *ret > UINT16_MAX)
                return err_set(reterr, -EINVAL, "invalid port number: %lld", (long long)*ret);
        return 0;
}

int handler_address(struct handler_run *run, const char *host, struct json_object *port,
                    const struct json_object *container, struct err *reterr)
{
        int64_t number;
        int r = port_of(port, container, &number, reterr);

        if (r)
                return r;
        if (str_empty(host))
                return err_set(reterr, -EADDRNOTAVAIL, "the pod has no address yet");
        run->address =
                mem_printf(strchr(host, ':') && host[0] != '[' ? "[%s]:%lld" : "%s:%lld", host, (long long)number);
        return 0;
}

void handler_dial_error(const struct handler_run *run, const struct http_client_response *r, char *buf, size_t size)
{
        char why[128];

        str_copy(why, sizeof(why), r->os_error ? strerror(r->os_error) : r->message);
        if (r->os_error && why[0] >= 'A' && why[0] <= 'Z')
                why[0] = (char)(why[0] + 'a' - 'A');
        if (r->error == -ETIMEDOUT)
                snprintf(buf, size, "dial tcp %s: i/o timeout", run->address);
        else
                snprintf(buf, size, "dial tcp %s: %s%s", run->address, r->os_error ? "connect: " : "", why);
}

const char *handler_duration(uint64_t ms, char *buf, size_t size)
{
        if (ms < 1000)
                snprintf(buf, size, "%llums", (unsigned long long)ms);
        else if (ms < 60000)
                snprintf(buf, size, "%gs", (double)ms / 1000);
        else
                snprintf(buf, size, "%llum%gs", (unsigned long long)(ms / 60000), (double)(ms % 60000) / 1000);
        return buf;
}

static void exec_done(void *userdata, int result, const struct exec_result *r)
{
        struct handler_run *run = userdata;
        int n = (int)MIN(r->len, HANDLER_OUTPUT_MAX);
        const char *output = r->output ?: "";

        if (result)
                handler_end(run, HANDLER_ERROR, "command '%s' cannot be run: %s", run->command, strerror(-result));
        else if (r->timed_out)
                handler_end(run, HANDLER_FAILURE, "command \"%s\" timed out", run->command);
        else if (r->exit_code && run->hook)
                handler_end(run, HANDLER_FAILURE, "command '%s' exited with %d: %.*s", run->command, r->exit_code, n,
                            output);
        else
                handler_end(run, r->exit_code ? HANDLER_FAILURE : HANDLER_SUCCESS, "%.*s", n, output);
}

static char *joined(const struct json_object *command)
{
        struct strbuf b = STRBUF_NULL;

        json_array_foreach (command, i, word)
                strbuf_printf(&b, "%s%s", i ? " " : "", json_object_get_string(word));
        return strbuf_take(&b, NULL);
}

static int handler_exec(struct handler_run *run, const struct json_object *action, const struct handler_target *t,
                        struct err *reterr)
{
        const struct json_object *command = json_get(action, "command");
        const struct runtime *rt = run->h->runtime;
        size_t n = json_len(command);
        _cleanup_free_ const char **argv = mem_array(const char *, n + 1);

        if (!n)
                return err_set(reterr, -EINVAL, "exec.command: must not be empty");
        for (size_t i = 0; i < n; i++)
                argv[i] = json_object_get_string(json_idx(command, i));
        argv[n] = NULL;
        run->command = joined(command);
        rt->ops->exec_sync(rt->rt, t->container_id, argv, run->timeout_ms, exec_done, run);
        return 0;
}

static void woke(void *userdata)
{
        handler_end(userdata, HANDLER_SUCCESS, "%s", "");
}

static int handler_sleep(struct handler_run *run, const struct json_object *action, const struct handler_target *t,
                         struct err *reterr)
{
        int r = loop_timer_new(run->loop, woke, run, &run->timer);

        if (r)
                return err_set(reterr, r, "%s", strerror(-r));
        loop_timer_set(run->timer, (uint64_t)MAX(json_get_i64(action, "seconds", 0), 0) * 1000);
        return 0;
}

static int begin(struct handler_run *run, const struct json_object *action, const struct handler_target *t,
                 struct err *reterr)
{
        static const struct {
                const char *name;
                int (*begin)(struct handler_run *, const struct json_object *, const struct handler_target *,
                             struct err *);
        } kinds[] = {
                {"exec", handler_exec}, {"httpGet", handler_http}, {"tcpSocket", handler_tcp},
                {"grpc", handler_grpc}, {"sleep", handler_sleep},
        };

        for (size_t i = 0; i < ARRAY_SIZE(kinds); i++)
                if (json_has(action, kinds[i].name))
                        return kinds[i].begin(run, json_get(action, kinds[i].name), t, reterr);
        return err_set(reterr, -EINVAL, "must have one of exec, httpGet, tcpSocket, grpc, sleep");
}

struct handler_run *handler_start(struct handlers *h, const struct json_object *action, const struct handler_target *t,
                                  uint64_t timeout_ms,
                                  void (*done)(void *userdata, enum handler_outcome outcome, const char *message),
                                  void *userdata)
{
        struct handler_run *run = mem_new(struct handler_run);
        struct err err = ERR_NULL;

        *run = (struct handler_run){
                .h = h, .loop = h->loop, .next = h->runs, .done = done, .userdata = userdata, .timeout_ms = timeout_ms};
        run->hook = t->hook;
        run->deadline_ms = timeout_ms ? clock_mono_ms() + timeout_ms : UINT64_MAX;
        if (run->next)
                run->next->prev = run;
        h->runs = run;
        if (begin(run, action, t, &err))
                handler_end(run, HANDLER_ERROR, "%s", err.msg);
        return run;
}
