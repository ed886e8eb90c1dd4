/* SPDX-License-Identifier: Apache-2.0 */
/* The clients: a fixed number of sessions, each with at most one request under way. */
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <unistd.h>

#include "load/net.h"

#define HEAD_BYTES 320 /* what comes before the request in an answer, at most */

enum session_state {
        SESSION_IDLE,       /* no request under way; hold: the connection may be open */
        SESSION_CONNECTING, /* a request waits for its connection */
        SESSION_ASKING,     /* a request is being written or waits for its answer */
        SESSION_DEAD,       /* broken and not opened again */
};

struct session {
        enum session_state state;
        int fd; /* -1: none */
        bool answered;
        size_t target;
        uint64_t started_ns, deadline_ns; /* of the request; connect: from its connection's beginning */
        uint64_t next_ns;                 /* idle: when to go on */
        uint64_t last_answer_ns;          /* 0: none */
        size_t len, sent, got;            /* of the request, and of it and its answer the bytes that are done */
        char *request, *answer;
};

struct client {
        const struct net_client_opts *o;
        int epoll;
        struct session *sessions;
        uint32_t answered;   /* sessions that have been, for --announce */
        uint32_t dead, busy; /* sessions in those states */
        bool look;           /* somebody may be able to go on */
        uint64_t started_ns, issued, ok, failed, opened, broken, slow, longest_gap_ns;
        struct net_counts names, errors;
        struct net_times connect, answer;
        struct strbuf last;
};

static bool over(const struct client *c)
{
        return net_stopped || (c->o->count && c->issued >= c->o->count) || c->dead == c->o->concurrency ||
               (c->o->duration_ns && clock_mono_ns() - c->started_ns >= c->o->duration_ns);
}

static bool busy(const struct session *s)
{
        return s->state == SESSION_CONNECTING || s->state == SESSION_ASKING;
}

static void hang_up(const struct client *c, struct session *s)
{
        static const struct linger at_once = {1, 0};

        if (s->fd >= 0 && c->o->close == NET_CLOSE_RESET && !c->o->udp)
                setsockopt(s->fd, SOL_SOCKET, SO_LINGER, &at_once, sizeof(at_once));
        if (s->fd >= 0)
                close(s->fd);
        s->fd = -1;
}

static void note_gap(struct client *c, const struct session *s, uint64_t now)
{
        uint64_t gap = now - (s->last_answer_ns ?: s->started_ns);

        if (gap > c->longest_gap_ns)
                c->longest_gap_ns = gap;
}

/* The request, if there is one, has failed; so has the connection. */
static void fail(struct client *c, struct session *s, const char *why)
{
        uint64_t now = clock_mono_ns();

        if (busy(s)) {
                c->busy--;
                c->failed++;
                net_counts_add(&c->errors, why, strlen(why));
                note_gap(c, s, now);
        }
        s->state = SESSION_IDLE;
        s->next_ns = now;
        if (!c->o->hold) {
                c->look = true;
                hang_up(c, s);
                return;
        }
        /* What fails at once shall not be tried again all the time. */
        s->next_ns += c->o->interval_ns > 10 * NS_PER_MS ? c->o->interval_ns : 10 * NS_PER_MS;
        if (c->o->udp && s->fd >= 0)
                return;
        hang_up(c, s);
        c->broken++;
        if (c->o->reopen)
                return;
        s->state = SESSION_DEAD;
        c->dead++;
}

static void fail_errno(struct client *c, struct session *s, int error)
{
        fail(c, s, strerrorname_np(error) ?: "?");
}

static const struct net_address *target_of(const struct client *c, const struct session *s)
{
        return &c->o->targets[s->target];
}

static int prepare_socket(const struct net_client_opts *o, int fd)
{
        int one = 1;

        if (!o->udp)
                setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
        if (o->unconnected && !o->hold) { /* else nobody tells when it is refused */
                setsockopt(fd, SOL_IP, IP_RECVERR, &one, sizeof(one));
                setsockopt(fd, SOL_IPV6, IPV6_RECVERR, &one, sizeof(one));
        }
        if (!o->bind.len)
                return 0;
        setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one));
        setsockopt(fd, SOL_IP, IP_BIND_ADDRESS_NO_PORT, &one, sizeof(one));
        return bind(fd, (const struct sockaddr *)&o->bind.sa, o->bind.len) < 0 ? errno : 0;
}

/* The socket, connected or on its way; 0 or an errno. */
static int open_socket(struct client *c, struct session *s)
{
        const struct net_client_opts *o = c->o;
        const struct net_address *to;
        int error;

        s->target = c->opened++ % o->n_targets;
        to = target_of(c, s);
        s->fd = socket(to->sa.ss_family, (o->udp ? SOCK_DGRAM : SOCK_STREAM) | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
        if (s->fd < 0)
                return errno;
        error = prepare_socket(o, s->fd);
        if (error)
                return error;
        if (!o->unconnected && connect(s->fd, (const struct sockaddr *)&to->sa, to->len) < 0 && errno != EINPROGRESS)
                return errno;
        s->state = o->udp ? SESSION_ASKING : SESSION_CONNECTING;
        return epoll_ctl(c->epoll, EPOLL_CTL_ADD, s->fd,
                         &(struct epoll_event){.events = o->udp ? EPOLLIN : EPOLLOUT, .data.ptr = s}) < 0
                       ? errno
                       : 0;
}

static void make_request(const struct client *c, struct session *s)
{
        const struct net_client_opts *o = c->o;
        size_t n = 0;

        if (!o->hold && !o->udp && o->close == NET_CLOSE_SERVER)
                s->request[n++] = '!';
        if (o->text) {
                memcpy(s->request + n, o->text, strlen(o->text));
                n += strlen(o->text);
        } else {
                n += (size_t)snprintf(s->request + n, 24, "%llu", (unsigned long long)c->issued);
                for (; n < o->bytes - 1; n++)
                        s->request[n] = '.';
        }
        s->request[n++] = '\n';
        s->len = n;
        s->sent = s->got = 0;
}

static void send_request(struct client *c, struct session *s)
{
        const struct net_address *to = target_of(c, s);

        while (s->sent < s->len) {
                ssize_t n = c->o->unconnected ? sendto(s->fd, s->request, s->len, MSG_NOSIGNAL,
                                                       (const struct sockaddr *)&to->sa, to->len)
                                              : send(s->fd, s->request + s->sent, s->len - s->sent, MSG_NOSIGNAL);

                if (n < 0 && errno == EAGAIN)
                        break;
                if (n < 0) {
                        fail_errno(c, s, errno);
                        return;
                }
                s->sent += (size_t)n;
        }
        /* Large requests: their answers come while they are still being written. */
        if (!c->o->udp)
                epoll_ctl(c->epoll, EPOLL_CTL_MOD, s->fd,
                          &(struct epoll_event){.events = s->sent < s->len ? EPOLLIN | EPOLLOUT : EPOLLIN,
                                                .data.ptr = s});
}

static void begin(struct client *c, struct session *s)
{
        int error = 0;

        make_request(c, s);
        c->issued++;
        c->busy++;
        s->started_ns = clock_mono_ns();
        s->deadline_ns = s->started_ns + c->o->timeout_ns;
        s->state = SESSION_ASKING;
        if (s->fd < 0)
                error = open_socket(c, s);
        if (error)
                fail_errno(c, s, error);
        else if (s->state == SESSION_ASKING)
                send_request(c, s);
}

static void connected(struct client *c, struct session *s)
{
        int error = 0;
        socklen_t len = sizeof(error);
        uint64_t now = clock_mono_ns();

        getsockopt(s->fd, SOL_SOCKET, SO_ERROR, &error, &len);
        if (error) {
                fail_errno(c, s, error);
                return;
        }
        net_times_add(&c->connect, now - s->started_ns);
        c->slow += c->o->slow_ns && now - s->started_ns > c->o->slow_ns;
        if (c->o->hold)
                s->started_ns = now;
        s->state = SESSION_ASKING;
        send_request(c, s);
}

/* The three words before the request; NULL when the answer is not that of the request. */
static const char *answer_words(const struct session *s, const char *words[3])
{
        const char *p = s->answer, *end = p + s->got;

        for (int i = 0; i < 3; i++) {
                const char *space = memchr(p, ' ', (size_t)(end - p));

                if (!space)
                        return NULL;
                words[i] = p;
                p = space + 1;
        }
        return (size_t)(end - p) == s->len && memcmp(p, s->request, s->len) == 0 ? p : NULL;
}

static void describe(struct client *c, const struct session *s, const char *const words[3],
                     const struct sockaddr_storage *from)
{
        static const char *const keys[] = {"name", "client", "local"};
        struct sockaddr_storage own, peer = *from;
        socklen_t own_len = sizeof(own), peer_len = sizeof(peer);
        char text[NET_TEXT];

        if (!c->o->unconnected && getpeername(s->fd, (struct sockaddr *)&peer, &peer_len) < 0)
                peer.ss_family = AF_UNSPEC;
        getsockname(s->fd, (struct sockaddr *)&own, &own_len);
        for (int i = 0; i < 3; i++) {
                strbuf_printf(&c->last, "\"%s\": ", keys[i]);
                strbuf_add_json_str(&c->last, words[i], strcspn(words[i], " "));
                strbuf_add_str(&c->last, ", ");
        }
        strbuf_printf(&c->last, "\"own\": \"%s\", ", net_address_text((struct sockaddr *)&own, text));
        strbuf_printf(&c->last, "\"peer\": \"%s\"", net_address_text((struct sockaddr *)&peer, text));
}

static void complete(struct client *c, struct session *s, const struct sockaddr_storage *from)
{
        uint64_t now = clock_mono_ns();
        const char *words[3], *who;

        if (!answer_words(s, words)) {
                if (c->o->hold && c->o->udp) /* of a request that was given up */
                        s->got = 0;
                else
                        fail(c, s, "garbled");
                return;
        }
        if (c->o->unconnected && !net_address_equal(from, &target_of(c, s)->sa)) {
                fail(c, s, "source");
                return;
        }
        net_times_add(&c->answer, now - s->started_ns);
        who = words[c->o->by_address ? 2 : 0];
        net_counts_add(&c->names, who, strcspn(who, " "));
        c->ok++;
        c->busy--;
        note_gap(c, s, now);
        s->last_answer_ns = now;
        s->state = SESSION_IDLE;
        s->next_ns = now + c->o->interval_ns;
        if (c->o->count == 1)
                describe(c, s, words, from);
        if (!s->answered && ++c->answered == c->o->concurrency && c->o->announce) {
                printf("{\"open\": %u}\n", c->answered);
                fflush(stdout);
        }
        s->answered = true;
        if (!c->o->hold)
                hang_up(c, s);
        if ((!c->o->hold || !c->o->interval_ns) && !over(c))
                begin(c, s);
}

static void receive(struct client *c, struct session *s)
{
        struct sockaddr_storage from = {0};
        socklen_t from_len = sizeof(from);
        size_t room = c->o->bytes + HEAD_BYTES;
        ssize_t n;

        if (c->o->udp)
                s->got = 0;
        n = recvfrom(s->fd, s->answer + s->got, room - s->got, 0, (struct sockaddr *)&from, &from_len);
        if (n < 0 && errno == EAGAIN)
                return;
        if (n < 0) {
                fail_errno(c, s, errno);
        } else if (n == 0 && !c->o->udp) {
                fail(c, s, "closed");
        } else if (s->state == SESSION_ASKING) {
                s->got += (size_t)n;
                if (c->o->udp || s->answer[s->got - 1] == '\n' || s->got == room)
                        complete(c, s, &from);
        } else if (!c->o->udp) {
                fail(c, s, "garbled");
        }
}

static void handle(struct client *c, struct session *s, uint32_t events)
{
        if (s->state == SESSION_CONNECTING) {
                connected(c, s);
                return;
        }
        if (s->fd >= 0 && events & (EPOLLIN | EPOLLHUP | EPOLLERR))
                receive(c, s);
        if (s->state == SESSION_ASKING && events & EPOLLOUT)
                send_request(c, s);
}

/* Requests that have waited too long, sessions that may go on. */
static void look_around(struct client *c)
{
        uint64_t now = clock_mono_ns();

        c->look = false;
        for (uint32_t i = 0; i < c->o->concurrency; i++) {
                struct session *s = &c->sessions[i];

                if (busy(s) && now >= s->deadline_ns)
                        fail(c, s, "timeout");
                if (s->state == SESSION_IDLE && now >= s->next_ns && !over(c))
                        begin(c, s);
        }
}

static void run(struct client *c)
{
        uint64_t tick_ms = c->o->interval_ns ? c->o->interval_ns / 8 / NS_PER_MS : 10;
        struct epoll_event events[256];
        uint64_t looked = 0;

        tick_ms = tick_ms < 1 ? 1 : tick_ms > 10 ? 10 : tick_ms;
        while (!over(c) || c->busy) {
                uint64_t now = clock_mono_ns();
                int n;

                if (c->look || now - looked >= tick_ms * NS_PER_MS) {
                        look_around(c);
                        looked = now;
                }
                if (over(c) && !c->busy)
                        break;
                n = net_wait(c->epoll, events, 256, c->look ? 1 : (int)tick_ms);
                for (int i = 0; i < n; i++)
                        handle(c, events[i].data.ptr, events[i].events);
        }
}

static void print_result(const struct client *c, double seconds)
{
        _cleanup_strbuf_ struct strbuf b = STRBUF_NULL;

        strbuf_printf(&b, "{\"ok\": %llu, \"failed\": %llu, \"errors\": ", (unsigned long long)c->ok,
                      (unsigned long long)c->failed);
        net_counts_json(&c->errors, &b);
        strbuf_add_str(&b, ", \"names\": ");
        net_counts_json(&c->names, &b);
        strbuf_printf(&b, ", \"seconds\": %.3f, \"rate\": %.1f", seconds, seconds > 0 ? (double)c->ok / seconds : 0);
        if (c->o->slow_ns)
                strbuf_printf(&b, ", \"slow\": %llu", (unsigned long long)c->slow);
        if (c->connect.n) {
                strbuf_add_str(&b, ", \"connect_us\": ");
                net_times_json(&c->connect, &b);
        }
        strbuf_add_str(&b, ", \"answer_us\": ");
        net_times_json(&c->answer, &b);
        if (c->o->hold)
                strbuf_printf(&b, ", \"opened\": %llu, \"broken\": %llu, \"longest_gap_ms\": %.1f",
                              (unsigned long long)c->opened, (unsigned long long)c->broken,
                              (double)c->longest_gap_ns / 1e6);
        if (c->last.len)
                strbuf_printf(&b, ", \"last\": {%s}", c->last.data);
        printf("%s}\n", b.data);
}

static void release(struct client *c)
{
        for (uint32_t i = 0; i < c->o->concurrency; i++) {
                hang_up(c, &c->sessions[i]);
                free(c->sessions[i].request);
                free(c->sessions[i].answer);
        }
        free(c->sessions);
        close(c->epoll);
        net_counts_deinit(&c->names);
        net_counts_deinit(&c->errors);
        strbuf_deinit(&c->last);
}

int net_client(const struct net_client_opts *o)
{
        static struct client c;

        c.o = o;
        c.epoll = epoll_create1(EPOLL_CLOEXEC);
        c.sessions = calloc(o->concurrency, sizeof(*c.sessions));
        if (!c.sessions)
                abort();
        for (uint32_t i = 0; i < o->concurrency; i++) {
                struct session *s = &c.sessions[i];

                s->fd = -1;
                s->request = malloc(o->bytes + 2);
                s->answer = malloc(o->bytes + HEAD_BYTES);
                if (!s->request || !s->answer)
                        abort();
        }
        c.look = true;
        c.started_ns = clock_mono_ns();
        run(&c);
        print_result(&c, (double)(clock_mono_ns() - c.started_ns) / 1e9);
        release(&c);
        return c.failed || c.broken ? 1 : 0;
}
