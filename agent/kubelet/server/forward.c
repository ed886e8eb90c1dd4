/* SPDX-License-Identifier: Apache-2.0 */
/*
 * port-forward. A client opens pairs of streams (data and error) for each connection to a port; each is a connection to
 * that port of the pod's loopback device. Where the pod's network namespace is, is asked of the kubelet's loop for each
 * anew: it is known by a process's number, which may be another's once the pod is gone.
 */
#include <arpa/inet.h>
#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "agent/kubelet/server/flow.h"
#include "agent/kubelet/server/impl.h"
#include "agent/kubelet/server/netns.h"
#include "agent/kubelet/server/upgrade.h"
#include "base/mem.h"
#include "base/str.h"

#define NUMBERED_MAX 64 /* ports of a WebSocket without SPDY */

struct forward {
        struct stream_client client;
        atomic_uint refs;
        struct kubelet_server *s;
        struct arena mem;
        enum channels_kind kind;
        int fd; /* until the link has it */
        const char *ns, *name, *uid;
        uint16_t ports[NUMBERED_MAX]; /* of a WebSocket without SPDY */
        size_t nports;

        /* Of the streams' loop. */
        struct link *link;
        struct hashmap by_stream;  /* of both streams: struct conn */
        struct hashmap by_request; /* requestid: struct conn whose other stream is missing */
        unsigned live;
        bool over;
};

struct conn {
        struct forward *f;
        uint32_t data, error;
        bool has_data, has_error, gone;
        uint16_t port;
        char request[24];
        bool v6; /* tried second */
        int socket, v4_errno;
        struct loop_fd *connecting;
        struct pump pump;
        struct sink sink;
};

/* A question about the pod on its way to the kubelet's loop and back. */
struct lookup {
        struct forward *f;
        uint32_t data; /* stream */
        int netns;     /* answer: a descriptor, or negative errno */
};

static void forward_unref(struct forward *f)
{
        if (atomic_fetch_sub(&f->refs, 1) != 1)
                return;
        if (f->fd >= 0)
                close(f->fd);
        hashmap_deinit(&f->by_stream);
        hashmap_deinit(&f->by_request);
        server_unref(f->s);
        arena_deinit(&f->mem);
        free(f);
}

/* ---- connections, on the streams' loop ---- */

static void conn_free(struct conn *c)
{
        struct forward *f = c->f;

        if (c->has_data)
                hashmap_del_u64(&f->by_stream, c->data);
        if (c->has_error)
                hashmap_del_u64(&f->by_stream, c->error);
        if (hashmap_get(&f->by_request, c->request) == c)
                hashmap_del(&f->by_request, c->request);
        loop_fd_free(c->connecting);
        pump_close(&c->pump);
        sink_close(&c->sink);
        if (c->socket >= 0)
                close(c->socket);
        free(c);
        f->live--;
        if (!f->live && f->nports && !f->over) /* of numbered ones there will be no more */
                link_finish(f->link);
}

static void conn_end(struct conn *c)
{
        struct forward *f = c->f;

        if (c->has_data)
                link_close(f->link, c->data);
        if (c->has_error)
                link_close(f->link, c->error);
        conn_free(c);
}

static void conn_fail(struct conn *c, const char *why)
{
        const struct forward *f = c->f;
        _cleanup_strbuf_ struct strbuf b = STRBUF_NULL;

        strbuf_printf(&b, "error forwarding port %u to pod %s, uid %s: %s", c->port, f->name, f->uid, why);
        link_send(f->link, c->error, b.data, b.len);
        conn_end(c);
}

/* As Go says it: in small letters. */
static const char *error_text(int error, char buf[static 64])
{
        str_copy(buf, 64, strerror(error));
        buf[0] = (char)tolower((unsigned char)buf[0]);
        return buf;
}

static void conn_refused(struct conn *c, int error)
{
        char why[384], v4[64], v6[64];

        snprintf(why, sizeof(why),
                 "failed to connect to localhost:%u inside the pod's network namespace, IPv4: dial tcp4 127.0.0.1:%u: "
                 "connect: %s IPv6: dial tcp6 [::1]:%u: connect: %s",
                 c->port, c->port, error_text(c->v4_errno, v4), c->port, error_text(error, v6));
        conn_fail(c, why);
}

static void on_pump_over(void *userdata)
{
        conn_end(userdata);
}

/* Descriptors of pump and sink are two, so that each closes its own. */
static void conn_open(struct conn *c)
{
        int out = TAKE_FD(c->socket), in = fcntl(out, F_DUPFD_CLOEXEC, 3);
        struct loop *loop = c->f->s->streams;

        c->pump.link = c->f->link;
        c->pump.stream = c->data;
        if (pump_open(&c->pump, loop, out, on_pump_over, c) || in < 0 || sink_open(&c->sink, loop, in))
                conn_fail(c, strerror(errno));
}

static void conn_try(struct conn *c, int netns);
static void conn_ask(struct conn *c);

/* The second family is tried as the first, with a new look at where the pod is. */
static void on_connected(void *userdata, unsigned int events)
{
        struct conn *c = userdata;
        int error = 0;
        socklen_t n = sizeof(error);

        getsockopt(c->socket, SOL_SOCKET, SO_ERROR, &error, &n);
        loop_fd_free(TAKE_PTR(c->connecting));
        if (!error) {
                conn_open(c);
                return;
        }
        close(TAKE_FD(c->socket));
        if (c->v6) {
                conn_refused(c, error);
                return;
        }
        c->v4_errno = error;
        c->v6 = true;
        conn_ask(c);
}

static int connect_to(struct conn *c)
{
        struct sockaddr_in v4 = {
                .sin_family = AF_INET, .sin_port = htons(c->port), .sin_addr = {htonl(INADDR_LOOPBACK)}};
        struct sockaddr_in6 v6 = {
                .sin6_family = AF_INET6, .sin6_port = htons(c->port), .sin6_addr = IN6ADDR_LOOPBACK_INIT};
        int r = c->v6 ? connect(c->socket, (struct sockaddr *)&v6, sizeof(v6))
                      : connect(c->socket, (struct sockaddr *)&v4, sizeof(v4));

        return r && errno != EINPROGRESS ? -errno : 0;
}

/* Takes over the descriptor. */
static void conn_try(struct conn *c, int netns)
{
        int r = netns_socket(netns, c->v6 ? AF_INET6 : AF_INET, SOCK_STREAM | SOCK_NONBLOCK, &c->socket);

        if (netns >= 0)
                close(netns);
        if (!r)
                r = connect_to(c);
        if (!r)
                r = loop_fd_new(c->f->s->streams, c->socket, LOOP_WRITE, on_connected, c, &c->connecting);
        if (!r)
                return;
        if (c->v6)
                conn_refused(c, -r);
        else
                conn_fail(c, strerror(-r));
}

static void on_looked_up(void *userdata)
{
        struct lookup *l = userdata;
        struct forward *f = l->f;
        struct conn *c = f->over ? NULL : hashmap_get_u64(&f->by_stream, l->data);

        if (c && l->netns >= -1)
                conn_try(c, TAKE_FD(l->netns));
        else if (c)
                conn_fail(c, "the pod is not there any more, or has no network");
        if (l->netns >= 0)
                close(l->netns);
        forward_unref(f);
        free(l);
}

/* On the kubelet's loop. -1: the node's own network. */
static int find_netns(const struct forward *f)
{
        struct pod_view pod;
        int fd;

        if (f->s->closed || !pods_find(f->s->opts.pods, f->ns, f->name, &pod) || !str_eq(pod.uid, f->uid) ||
            str_empty(pod.sandbox))
                return -ENOENT;
        if (str_empty(pod.netns))
                return -1;
        fd = open(pod.netns, O_RDONLY | O_CLOEXEC);
        return fd < 0 ? -ENOENT : fd;
}

static void look_up(void *userdata)
{
        struct lookup *l = userdata;

        l->netns = find_netns(l->f);
        if (!l->f->s->closed) {
                loop_post(l->f->s->streams, on_looked_up, l);
                return;
        }
        forward_unref(l->f);
        free(l);
}

static void conn_ask(struct conn *c)
{
        struct lookup *l = mem_new(struct lookup);

        *l = (struct lookup){.f = c->f, .data = c->data, .netns = -1};
        atomic_fetch_add(&c->f->refs, 1);
        loop_post(c->f->s->opts.loop, look_up, l);
}

static struct conn *conn_new(struct forward *f, const char *request, uint16_t port)
{
        struct conn *c = mem_new(struct conn);

        *c = (struct conn){.f = f, .port = port, .socket = -1};
        c->pump.fd = c->sink.fd = -1;
        c->sink.link = f->link;
        str_copy(c->request, sizeof(c->request), request);
        f->live++;
        return c;
}

static void conn_add(struct conn *c, uint32_t stream, bool data)
{
        *(data ? &c->data : &c->error) = stream;
        *(data ? &c->has_data : &c->has_error) = true;
        hashmap_put_u64(&c->f->by_stream, stream, c);
}

/* ---- streams ---- */

/* Clients of old give no requestid: their error stream is followed by its data stream. */
static const char *request_of(uint32_t id, bool data, const struct spdy_headers *h, char buf[static 24])
{
        const char *request = spdy_header(h, "requestid");

        if (!request)
                snprintf(buf, 24, "#%u", data ? id - 2 : id);
        else if (!str_copy(buf, 24, request))
                return NULL;
        return buf;
}

static bool on_opened(void *userdata, uint32_t id, const struct spdy_headers *h)
{
        struct forward *f = userdata;
        const char *type = spdy_header(h, "streamtype");
        bool data = str_eq(type, "data");
        char buf[24];
        const char *request = request_of(id, data, h, buf);
        struct conn *c = request ? hashmap_get(&f->by_request, request) : NULL;
        uint16_t port;

        if ((!data && !str_eq(type, "error")) || !request || str_parse_u16(spdy_header(h, "port") ?: "", &port) ||
            !port)
                return false;
        if (c && (data ? c->has_data : c->has_error))
                return false;
        if (!c) {
                c = conn_new(f, request, port);
                hashmap_put(&f->by_request, c->request, c);
        }
        conn_add(c, id, data);
        if (c->has_data && c->has_error) {
                hashmap_del(&f->by_request, c->request);
                conn_ask(c);
        }
        return true;
}

static void on_data(void *userdata, uint32_t id, const char *bytes, size_t n)
{
        struct forward *f = userdata;
        struct conn *c = hashmap_get_u64(&f->by_stream, id);

        if (c && c->has_data && id == c->data)
                sink_write(&c->sink, bytes, n);
}

static void on_stream_end(void *userdata, uint32_t id, bool aborted)
{
        struct forward *f = userdata;
        struct conn *c = hashmap_get_u64(&f->by_stream, id);

        if (c && aborted)
                conn_end(c);
        else if (c && c->has_data && id == c->data)
                sink_end(&c->sink);
}

static void on_room(void *userdata, uint32_t stream)
{
        struct forward *f = userdata;
        struct conn *c = stream ? hashmap_get_u64(&f->by_stream, stream) : NULL;

        if (c) {
                pump_resume(&c->pump);
        } else if (!stream) {
                hashmap_foreach (&f->by_stream, slot)
                        pump_resume(&((struct conn *)slot->value)->pump);
        }
}

static void on_drained(void *userdata)
{
        on_room(userdata, 0);
}

static void finish_off(struct forward *f)
{
        if (f->over)
                return;
        f->over = true;
        stream_client_del(f->s, &f->client);
        for (struct hashmap_slot *slot; (slot = hashmap_next(&f->by_stream, f->by_stream.slots));)
                conn_free(slot->value);
        link_free(TAKE_PTR(f->link));
        forward_unref(f);
}

static void on_closed(void *userdata)
{
        finish_off(userdata);
}

static void end_client(struct stream_client *c)
{
        finish_off(container_of(c, struct forward, client));
}

static const struct link_ops link_ops = {
        .streams = {on_opened, on_data, on_stream_end, on_room}, .drained = on_drained, .closed = on_closed};

/* Each channel begins with its port, little endian. */
static void open_numbered(struct forward *f)
{
        for (uint32_t i = 0; i < f->nports; i++) {
                const char port[2] = {(char)f->ports[i], (char)(f->ports[i] >> 8)};
                struct conn *c = conn_new(f, "", f->ports[i]);

                conn_add(c, 2 * i, true);
                conn_add(c, 2 * i + 1, false);
                link_send(f->link, c->data, port, sizeof(port));
                link_send(f->link, c->error, port, sizeof(port));
                conn_ask(c);
        }
}

/* The reference is the connection's from now on. */
static void begin(void *userdata)
{
        struct forward *f = userdata;

        stream_client_add(f->s, &f->client, end_client);
        if (link_new(f->s->streams, TAKE_FD(f->fd), f->kind, &link_ops, f, &f->link)) {
                finish_off(f);
                return;
        }
        open_numbered(f);
}

/* ---- the request, on the kubelet's loop ---- */

static int add_ports(struct forward *f, const char *list)
{
        char buf[16];

        for (struct str_span piece; str_split(&list, ',', &piece);) {
                uint16_t port;

                if (f->nports == NUMBERED_MAX || piece.n >= sizeof(buf))
                        return -EINVAL;
                snprintf(buf, sizeof(buf), "%.*s", (int)piece.n, piece.s);
                if (str_parse_u16(buf, &port) || !port)
                        return -EINVAL;
                f->ports[f->nports++] = port;
        }
        return 0;
}

static int take_ports(struct ask *a, struct forward *f)
{
        const char *list;
        int r = 0;

        if (!channels_are_numbered(f->kind))
                return 0;
        for (size_t i = 0; !r && (list = ask_param(a, "port", i)); i++)
                r = add_ports(f, list);
        for (size_t i = 0; !r && (list = ask_param(a, "ports", i)); i++)
                r = add_ports(f, list);
        return r || f->nports ? r : -EINVAL;
}

/* Takes over f. */
static void answer(struct ask *a, struct forward *f, const struct upgrade *up)
{
        struct http_response res = {.status = 101, .kind = HTTP_BODY_UPGRADE};
        int fds[2];

        if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds)) {
                ask_fail(a, 500, "socketpair: %s", strerror(errno));
                forward_unref(f);
                return;
        }
        f->fd = fds[1];
        res.upgrade = (struct http_upgrade){fds[0], up->protocol};
        res.headers = up->headers;
        res.nheaders = up->nheaders;
        ask_respond(a, &res);
        loop_post(f->s->streams, begin, f);
}

static struct forward *forward_new(struct ask *a, const struct pod_view *pod, const struct upgrade *up)
{
        struct forward *f = mem_new(struct forward);

        *f = (struct forward){.s = server_ref(a->s), .fd = -1, .kind = up->kind};
        atomic_init(&f->refs, 1);
        hashmap_init(&f->by_stream, HASHMAP_U64);
        hashmap_init(&f->by_request, HASHMAP_STR);
        f->ns = arena_strdup(&f->mem, pod->ns);
        f->name = arena_strdup(&f->mem, pod->name);
        f->uid = arena_strdup(&f->mem, pod->uid);
        return f;
}

void forward_get(struct ask *a)
{
        struct upgrade *up = arena_new(a->req->arena, struct upgrade);
        struct forward *f;
        struct pod_view pod;
        const char *why = NULL;
        int status;

        if (!ask_pod(a, &pod))
                return;
        status = upgrade_choose(a->req, UPGRADE_FORWARD, up, &why);
        if (status) {
                ask_fail(a, status, "%s", why);
                return;
        }
        f = forward_new(a, &pod, up);
        if (!take_ports(a, f)) {
                answer(a, f, up);
                return;
        }
        ask_fail(a, 400, "query parameter \"port\" is required, a number from 1 to 65535 each");
        forward_unref(f);
}
