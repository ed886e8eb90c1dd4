/* SPDX-License-Identifier: Apache-2.0 */
/*
 * exec and attach. A client's connection belongs to the streams' loop, the command to the kubelet's: they post to each
 * other, and what is posted holds a reference.
 *
 *     kubelet's loop: request ─> 101 ─┐              ┌─> runtime exec ─> started ─┐          ended ─┐
 *     streams' loop:                  └─> streams ───┘                            └─> bytes          └─> rest, status
 */
#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "agent/kubelet/server/flow.h"
#include "agent/kubelet/server/impl.h"
#include "agent/kubelet/server/remote.h"
#include "agent/kubelet/server/upgrade.h"
#include "agent/kubelet/server/url.h"
#include "base/mem.h"
#include "base/str.h"

#define STREAMS_WAIT_MS 30000 /* upstream's DefaultStreamCreationTimeout */
#define COMMAND_MAX     65536 /* of the query, escapes and all */
#define WORDS_MOST      512   /* what the runtime takes */

struct remote {
        struct stream_client client;
        atomic_uint refs;
        struct kubelet_server *s;
        /* Fixed from the beginning. */
        struct arena mem;
        enum channels_kind kind;
        int version;
        int fd; /* until the link has it */
        const char *container;
        const char *const *argv; /* NULL: attach */
        bool in, out, err, tty;

        /* Of the kubelet's loop. */
        struct remote *prev, *next; /* s->remotes, while session */
        struct runtime_session *session;
        bool released;

        /* Told by the kubelet's loop before it posts. */
        struct runtime_streams streams;
        int32_t exit_code;
        char failure[512];

        atomic_uint size; /* columns << 16 | rows */

        /* Of the streams' loop. */
        struct link *link;
        struct loop_timer *patience;
        uint32_t ids[REMOTE_STREAMS];
        unsigned have, want; /* bits of streams */
        bool asked, over;
        bool ended; /* the process */
        struct pump pumps[2];
        unsigned pumping;
        struct sink input;
        struct strbuf size_text;
};

static void remote_unref(struct remote *r)
{
        if (atomic_fetch_sub(&r->refs, 1) != 1)
                return;
        if (r->fd >= 0)
                close(r->fd);
        strbuf_deinit(&r->size_text);
        server_unref(r->s);
        arena_deinit(&r->mem);
        free(r);
}

static void post(struct remote *r, struct loop *loop, void (*fn)(void *userdata))
{
        atomic_fetch_add(&r->refs, 1);
        loop_post(loop, fn, r);
}

static void post_kubelet(struct remote *r, void (*fn)(void *userdata))
{
        post(r, r->s->opts.loop, fn);
}

/* On the kubelet's loop. */
static void post_streams(struct remote *r, void (*fn)(void *userdata))
{
        if (!r->s->closed)
                post(r, r->s->streams, fn);
}

static void close_streams(struct runtime_streams *s)
{
        int *fds[] = {&s->in, &s->out, &s->err};

        for (size_t i = 0; i < ARRAY_SIZE(fds); i++)
                if (*fds[i] >= 0)
                        close(TAKE_FD(*fds[i]));
}

/* ---- the kubelet's loop ---- */

static void link_session(struct remote *r, struct runtime_session *session)
{
        r->session = session;
        r->next = r->s->remotes;
        if (r->next)
                r->next->prev = r;
        r->s->remotes = r;
}

static void end_session(struct remote *r)
{
        if (!r->session)
                return;
        *(r->prev ? &r->prev->next : &r->s->remotes) = r->next;
        if (r->next)
                r->next->prev = r->prev;
        r->s->opts.runtime->ops->session_end(TAKE_PTR(r->session));
        r->prev = r->next = NULL;
}

void remotes_end(struct kubelet_server *s)
{
        while (s->remotes)
                end_session(s->remotes);
}

static void release(void *userdata)
{
        struct remote *r = userdata;

        r->released = true;
        end_session(r);
        remote_unref(r);
}

static void on_streams(void *userdata);
static void on_failure(void *userdata);
static void on_ended(void *userdata);

static void started(void *userdata, int result, const struct runtime_streams *streams, const char *message)
{
        struct remote *r = userdata;

        r->streams = *streams;
        if (r->s->closed)
                close_streams(&r->streams);
        if (result)
                snprintf(r->failure, sizeof(r->failure), "%s", str_empty(message) ? strerror(-result) : message);
        post_streams(r, result ? on_failure : on_streams);
}

static void ended(void *userdata, int32_t exit_code)
{
        struct remote *r = userdata;

        r->exit_code = exit_code;
        post_streams(r, on_ended);
}

static int start_exec(struct remote *r, struct runtime_session **ret)
{
        const struct runtime *rt = r->s->opts.runtime;
        const struct exec_request q = {
                .argv = r->argv, .in = r->in, .tty = r->tty, .started = started, .ended = ended, .userdata = r};

        return rt->ops->exec(rt->rt, r->container, &q, ret);
}

/* What is attached has streams at once. */
static int start_attach(struct remote *r, struct runtime_session **ret)
{
        const struct runtime *rt = r->s->opts.runtime;
        struct runtime_streams streams;
        int result = rt->ops->attach(rt->rt, r->container, r->in, &streams, ret);

        if (!result)
                started(r, 0, &streams, "");
        return result;
}

static void apply_size(struct remote *r)
{
        unsigned size = atomic_load(&r->size);

        if (r->session && size)
                r->s->opts.runtime->ops->resize(r->session, (uint16_t)(size >> 16), (uint16_t)size);
}

static void resize(void *userdata)
{
        struct remote *r = userdata;

        apply_size(r);
        remote_unref(r);
}

static void start(void *userdata)
{
        struct remote *r = userdata;
        struct runtime_session *session = NULL;
        int result;

        if (!r->s->closed && !r->released) {
                result = r->argv ? start_exec(r, &session) : start_attach(r, &session);
                if (!result)
                        link_session(r, session);
                if (result == -ENOENT) {
                        snprintf(r->failure, sizeof(r->failure), "the container does not run");
                        post_streams(r, on_failure);
                } else if (result) {
                        snprintf(r->failure, sizeof(r->failure), "%s", strerror(-result));
                        post_streams(r, on_failure);
                }
                if (!r->argv)
                        apply_size(r);
        }
        remote_unref(r);
}

/* ---- the streams' loop ---- */

/* The client is gone, or has heard all. */
static void finish_off(struct remote *r)
{
        if (r->over)
                return;
        r->over = true;
        stream_client_del(r->s, &r->client);
        loop_timer_free(TAKE_PTR(r->patience));
        for (size_t i = 0; i < ARRAY_SIZE(r->pumps); i++)
                pump_close(&r->pumps[i]);
        if (r->link)
                sink_close(&r->input);
        link_free(TAKE_PTR(r->link));
        post_kubelet(r, release);
        remote_unref(r); /* the link's */
}

static void end_client(struct stream_client *c)
{
        finish_off(container_of(c, struct remote, client));
}

static void on_closed(void *userdata)
{
        finish_off(userdata);
}

static void say_goodbye(struct remote *r, struct strbuf *status)
{
        static const enum remote_stream last[] = {REMOTE_STDOUT, REMOTE_STDERR, REMOTE_ERROR};

        if (status->len)
                link_send(r->link, r->ids[REMOTE_ERROR], status->data, status->len);
        for (size_t i = 0; i < ARRAY_SIZE(last); i++)
                if (r->have & 1U << last[i])
                        link_close(r->link, r->ids[last[i]]);
        link_finish(r->link);
}

static char *command_text(const struct remote *r, struct strbuf *b)
{
        strbuf_add_str(b, "");
        for (const char *const *word = r->argv; word && *word; word++)
                strbuf_printf(b, "%s%s", word == r->argv ? "" : " ", *word);
        return b->data;
}

/* Everything that was said is on its way: now how it ended. */
static void maybe_done(struct remote *r)
{
        _cleanup_strbuf_ struct strbuf status = STRBUF_NULL, command = STRBUF_NULL;

        if (r->over || r->pumping || (r->argv && !r->ended))
                return;
        remote_exit_status(r->version, r->exit_code, command_text(r, &command), &status);
        say_goodbye(r, &status);
}

static void on_pump_over(void *userdata)
{
        struct remote *r = userdata;

        r->pumping--;
        maybe_done(r);
}

static void pump(struct remote *r, struct pump *p, int fd, enum remote_stream stream)
{
        if (fd < 0)
                return;
        p->link = r->link;
        p->stream = r->ids[stream];
        p->discard = !(r->have & 1U << stream);
        r->pumping++;
        if (pump_open(p, r->s->streams, fd, on_pump_over, r))
                link_finish(r->link);
}

static void on_streams(void *userdata)
{
        struct remote *r = userdata;

        if (r->over) {
                close_streams(&r->streams);
        } else {
                pump(r, &r->pumps[0], TAKE_FD(r->streams.out), REMOTE_STDOUT);
                pump(r, &r->pumps[1], TAKE_FD(r->streams.err), REMOTE_STDERR);
                if (r->streams.in >= 0 && sink_open(&r->input, r->s->streams, TAKE_FD(r->streams.in)))
                        link_finish(r->link);
                if (atomic_load(&r->size))
                        post_kubelet(r, resize);
        }
        remote_unref(r);
}

static void on_ended(void *userdata)
{
        struct remote *r = userdata;

        r->ended = true;
        for (size_t i = 0; i < ARRAY_SIZE(r->pumps) && !r->over; i++)
                pump_last(&r->pumps[i]);
        maybe_done(r);
        remote_unref(r);
}

static void on_failure(void *userdata)
{
        struct remote *r = userdata;
        _cleanup_strbuf_ struct strbuf status = STRBUF_NULL, message = STRBUF_NULL;

        strbuf_printf(&message, "error %s container: %s", r->argv ? "executing command in" : "attaching to",
                      r->failure);
        remote_error_status(r->version, message.data, &status);
        if (!r->over)
                say_goodbye(r, &status);
        remote_unref(r);
}

static void maybe_ask(struct remote *r)
{
        if (r->asked || (r->have & r->want) != r->want)
                return;
        r->asked = true;
        loop_timer_cancel(r->patience);
        post_kubelet(r, start);
}

static bool on_opened(void *userdata, uint32_t id, const struct spdy_headers *headers)
{
        struct remote *r = userdata;
        enum remote_stream stream = remote_stream_named(spdy_header(headers, "streamtype"));

        if (stream == REMOTE_STREAMS || r->have & 1U << stream || r->asked)
                return false;
        r->ids[stream] = id;
        r->have |= 1U << stream;
        maybe_ask(r);
        return true;
}

static void on_size(struct remote *r, const char *data, size_t n)
{
        uint16_t columns, rows;

        strbuf_add(&r->size_text, data, n);
        if (!remote_sizes(&r->size_text, &columns, &rows))
                return;
        atomic_store(&r->size, (unsigned)columns << 16 | rows);
        post_kubelet(r, resize);
}

static void on_data(void *userdata, uint32_t id, const char *data, size_t n)
{
        struct remote *r = userdata;

        if (r->have & 1U << REMOTE_STDIN && id == r->ids[REMOTE_STDIN])
                sink_write(&r->input, data, n);
        else if (r->have & 1U << REMOTE_RESIZE && id == r->ids[REMOTE_RESIZE])
                on_size(r, data, n);
}

static void on_stream_end(void *userdata, uint32_t id, bool aborted)
{
        struct remote *r = userdata;

        if (r->have & 1U << REMOTE_STDIN && id == r->ids[REMOTE_STDIN])
                sink_end(&r->input);
}

static void resume(struct remote *r)
{
        for (size_t i = 0; i < ARRAY_SIZE(r->pumps) && !r->over; i++)
                pump_resume(&r->pumps[i]);
}

static void on_drained(void *userdata)
{
        resume(userdata);
}

static void on_room(void *userdata, uint32_t stream)
{
        resume(userdata);
}

static const struct link_ops link_ops = {
        .streams = {on_opened, on_data, on_stream_end, on_room}, .drained = on_drained, .closed = on_closed};

static void out_of_patience(void *userdata)
{
        struct remote *r = userdata;

        link_finish(r->link);
}

static void wanted_streams(struct remote *r)
{
        r->want = 1U << REMOTE_ERROR;
        r->want |= r->in ? 1U << REMOTE_STDIN : 0;
        r->want |= r->out ? 1U << REMOTE_STDOUT : 0;
        r->want |= r->err ? 1U << REMOTE_STDERR : 0;
        r->want |= r->tty && r->version >= 3 ? 1U << REMOTE_RESIZE : 0;
        if (!channels_are_numbered(r->kind))
                return;
        r->have = r->want;
        for (uint32_t i = 0; i < REMOTE_STREAMS; i++)
                r->ids[i] = i;
}

/* Its reference is the connection's from now on. */
static void begin(void *userdata)
{
        struct remote *r = userdata;
        int result;

        stream_client_add(r->s, &r->client, end_client);
        wanted_streams(r);
        result = link_new(r->s->streams, TAKE_FD(r->fd), r->kind, &link_ops, r, &r->link);
        if (!result)
                result = loop_timer_new(r->s->streams, out_of_patience, r, &r->patience);
        if (result) {
                finish_off(r);
                return;
        }
        r->input.link = r->link;
        loop_timer_set(r->patience, STREAMS_WAIT_MS);
        if (channels_are_numbered(r->kind)) /* upstream's way to say that all is ready */
                link_send(r->link, r->ids[r->out ? REMOTE_STDOUT : r->err ? REMOTE_STDERR : REMOTE_ERROR], "", 0);
        maybe_ask(r);
}

/* ---- the request, on the kubelet's loop ---- */

/* NULL: *ret_why says why. */
static const char *const *take_command(struct ask *a, struct arena *mem, const char **ret_why)
{
        const char *query = a->req->query;
        const char *const *argv;
        int n;

        *ret_why = "the command is too long";
        if (strlen(query) > COMMAND_MAX)
                return NULL;
        n = url_params(query, "command", WORDS_MOST, &argv, mem);
        if (n > 0)
                return argv;
        if (!n)
                *ret_why = "you must specify at least 1 command";
        else
                *ret_why = arena_printf(mem, "the command has more than %d words, or one that cannot be decoded",
                                        WORDS_MOST);
        return NULL;
}

/* false: it was answered. */
static bool find_container(struct ask *a, struct container_status *ret)
{
        const char *name = a->segments[a->nsegments - 1];
        struct pod_view pod;

        if (!ask_pod(a, &pod))
                return false;
        if (a->nsegments == 4 && !str_eq(a->segments[2], pod.uid)) {
                ask_fail(a, 404, "pod does not exist");
                return false;
        }
        if (pods_container(a->s->opts.pods, pod.uid, name, false, ret) && ret->state == CONTAINER_RUNNING)
                return true;
        ask_fail(a, 500, "container not found (\"%s\")", name);
        return false;
}

static void take_streams(struct ask *a, struct remote *r)
{
        r->in = ask_flag(a, "input", "stdin");
        r->out = ask_flag(a, "output", "stdout");
        r->tty = ask_flag(a, "tty", "tty");
        r->err = ask_flag(a, "error", "stderr") && !r->tty;
}

/* Takes over r. */
static void answer(struct ask *a, struct remote *r, const struct upgrade *up)
{
        struct http_response res = {.status = 101, .kind = HTTP_BODY_UPGRADE};
        int fds[2];

        if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds)) {
                ask_fail(a, 500, "socketpair: %s", strerror(errno));
                remote_unref(r);
                return;
        }
        r->fd = fds[1];
        res.upgrade = (struct http_upgrade){fds[0], up->protocol};
        res.headers = up->headers;
        res.nheaders = up->nheaders;
        ask_respond(a, &res);
        post_streams(r, begin);
        remote_unref(r);
}

static struct remote *remote_new(struct ask *a, const struct container_status *c, const struct upgrade *up)
{
        struct remote *r = mem_new(struct remote);

        *r = (struct remote){.s = server_ref(a->s),
                             .fd = -1,
                             .kind = up->kind,
                             .version = up->version,
                             .streams = {-1, -1, -1, false}};
        atomic_init(&r->refs, 1);
        for (size_t i = 0; i < ARRAY_SIZE(r->pumps); i++)
                r->pumps[i].fd = -1;
        r->input.fd = -1;
        r->container = arena_strdup(&r->mem, c->id);
        take_streams(a, r);
        return r;
}

static void remote_get(struct ask *a, bool exec)
{
        struct upgrade *up = arena_new(a->req->arena, struct upgrade);
        struct container_status c;
        struct remote *r;
        const char *why = NULL, *why_not = NULL;
        int status;

        if (!find_container(a, &c))
                return;
        status = upgrade_choose(a->req, UPGRADE_REMOTE, up, &why);
        r = remote_new(a, &c, up);
        r->argv = exec ? take_command(a, &r->mem, &why_not) : NULL;
        if (!r->in && !r->out && !r->err)
                status = 400, why = "you must specify at least 1 of stdin, stdout, stderr";
        if (exec && !r->argv)
                status = 400, why = why_not;
        if (!status) {
                answer(a, r, up);
                return;
        }
        ask_fail(a, status, "%s", why);
        remote_unref(r);
}

void exec_get(struct ask *a)
{
        remote_get(a, true);
}

void attach_get(struct ask *a)
{
        remote_get(a, false);
}
