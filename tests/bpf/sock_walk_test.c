/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A random walk of real sockets, in the node's network namespace and in a pod's, over services that come, change and
 * go: connect, send, receive, getpeername, bind, disconnect, time. A model (sock_world.h) says what each call may give:
 * its error, the pod that hears of it, the address that answers come from.
 *
 *     SOCK_WALK_SEED=7 SOCK_WALK_STEPS=100000 build/bpftest/sock_walk_test       one walk, as long as wanted
 *
 * A seed decides all that is done. Which of several endpoints is chosen is the programs' own chance.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <poll.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>
#include <netinet/in.h>

#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>

#include "base/cleanup.h"
#include "bpf/sock_world.h"

#define KNOBS   (KNOB_SOCK | KNOB_NODEPORT_LOOPBACK | KNOB_BIND_PROTECT | KNOB_RETVAL)
#define CLIENTS 12
#define DESTS   16 /* that a client remembers */
#define STEPS   8000
#define HISTORY 24

struct dest {
        enum place at;
        uint16_t port;
};

/* What an unconnected socket has at a service's address. */
struct memory {
        struct dest dest;
        int site, pod;
        uint32_t generation;
        bool fresh;
};

/* A UDP socket. */
struct client {
        int fd;
        enum tongue tongue;
        int netns;
        bool connected;
        struct dest to;                  /* that, when it is */
        int pod;                         /* whom it speaks to then; -1: nobody who answers */
        struct memory memory[DESTS];     /* by the services' sites */
        struct dest asked[WORLD_PODS];   /* under which address each pod was asked last */
        bool knows[WORLD_PODS];          /* asked is filled */
        struct sockaddr_storage address; /* as a pod saw it */
        int seen_by;                     /* that pod; -1: none since the socket's port may have changed */
};

static struct {
        struct sock_lab lab;
        struct world world;
        int netns[WORLD_NETNS];
        int udp[WORLD_NETNS][WORLD_FAMILIES][WORLD_PODS], tcp[WORLD_NETNS][WORLD_FAMILIES][WORLD_PODS];
        struct client clients[CLIENTS];
        uint64_t seed, state;
        uint32_t step, steps;
        char history[HISTORY][160];
        uint32_t translated, refused;
} walk;

static const char *const place_names[PLACES] = {"ANY",   "LOOPBACK", "VIP",  "VIP2", "NO_VIP", "NODE",
                                                "OTHER", "OUTSIDE",  "POD1", "POD2", "POD3",   "POD4"};

/* ---- chance and blame */

static uint32_t below(uint32_t n)
{
        uint64_t z = walk.state += 0x9e3779b97f4a7c15; /* splitmix64 */

        z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9;
        z = (z ^ z >> 27) * 0x94d049bb133111eb;
        return (uint32_t)((z ^ z >> 31) >> 32) % n;
}

/* What is done in this step; the last ones are shown when one fails. */
static void note(const char *fmt, ...) _printf_(1, 2);
static void note(const char *fmt, ...)
{
        va_list ap;
        char *line = walk.history[walk.step % HISTORY];
        int n = snprintf(line, sizeof(walk.history[0]), "step %u: ", walk.step);

        va_start(ap, fmt);
        vsnprintf(line + n, sizeof(walk.history[0]) - (size_t)n, fmt, ap);
        va_end(ap);
}

static void wrong(const char *fmt, ...) _printf_(1, 2);
static void wrong(const char *fmt, ...)
{
        char text[256];
        va_list ap;

        va_start(ap, fmt);
        vsnprintf(text, sizeof(text), fmt, ap);
        va_end(ap);
        for (uint32_t i = walk.step < HISTORY ? 0 : walk.step - HISTORY + 1; i <= walk.step; i++)
                print_message("# %s\n", walk.history[i % HISTORY]);
        fail_msg("seed %" PRIu64 ", step %u: %s", walk.seed, walk.step, text);
}

static const char *error_name(int error)
{
        return error ? strerrorname_np(error) : "success";
}

static const char *dest_text(struct dest d)
{
        static char texts[4][32];
        static unsigned turn;
        char *text = texts[turn++ % 4];

        snprintf(text, sizeof(texts[0]), "%s:%u", place_names[d.at], d.port);
        return text;
}

/* ---- sockets */

static int open_socket(int netns, enum tongue t, int type)
{
        struct timeval patience = {.tv_sec = 2};
        int fd;

        assert_int_equal(setns(walk.netns[netns], CLONE_NEWNET), 0);
        fd = socket(t == V4 ? AF_INET : AF_INET6, type | SOCK_CLOEXEC, 0);
        assert_true(fd >= 0);
        assert_int_equal(setns(walk.netns[0], CLONE_NEWNET), 0);
        setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof(patience));
        return fd;
}

static int call(int (*fn)(int, const struct sockaddr *, socklen_t), int fd, enum tongue t, struct dest d)
{
        struct sockaddr_storage sa;
        socklen_t len = place_sockaddr(t, d.at, d.port, &sa);

        return fn(fd, (struct sockaddr *)&sa, len) < 0 ? errno : 0;
}

static int send_text(int fd, enum tongue t, const struct dest *to, uint32_t text)
{
        struct sockaddr_storage sa;
        socklen_t len = to ? place_sockaddr(t, to->at, to->port, &sa) : 0;

        return sendto(fd, &text, sizeof(text), 0, to ? (struct sockaddr *)&sa : NULL, len) < 0 ? errno : 0;
}

static bool is_at(enum tongue t, const struct sockaddr_storage *sa, struct dest d)
{
        struct sockaddr_storage wanted;
        socklen_t len = place_sockaddr(t, d.at, d.port, &wanted);

        return sa->ss_family == wanted.ss_family && memcmp(sa, &wanted, len) == 0;
}

/* Which of a family's servers has something to read or to accept; -1: none. */
static int ready(const int servers[WORLD_PODS], int patience_ms)
{
        struct pollfd polled[WORLD_PODS];

        for (int i = 0; i < WORLD_PODS; i++)
                polled[i] = (struct pollfd){.fd = servers[i], .events = POLLIN};
        if (poll(polled, WORLD_PODS, patience_ms) <= 0)
                return -1;
        for (int i = 0; i < WORLD_PODS; i++)
                if (polled[i].revents)
                        return i;
        return -1;
}

static void serve(int netns, int family)
{
        enum tongue t = family ? V6 : V4;

        for (int pod = 0; pod < WORLD_PODS; pod++) {
                struct dest d = {(enum place)(POD1 + pod), POD_PORT};
                int udp = open_socket(netns, t, SOCK_DGRAM), tcp = open_socket(netns, t, SOCK_STREAM), one = 1;

                setsockopt(tcp, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one));
                assert_int_equal(call(bind, udp, t, d) | call(bind, tcp, t, d), 0);
                assert_int_equal(listen(tcp, 64), 0);
                walk.udp[netns][family][pod] = udp;
                walk.tcp[netns][family][pod] = tcp;
        }
}

static bool is_local(int netns, enum place at)
{
        if (at >= POD1 || at == LOOPBACK || at == ANY)
                return true;
        return netns == 0 && (at == NODE || at == OUTSIDE);
}

/* ---- clients */

static void renew(struct client *c, enum tongue t, int netns)
{
        if (c->fd > 0)
                close(c->fd);
        *c = (struct client){.tongue = t, .netns = netns, .seen_by = -1};
        c->fd = open_socket(c->netns, c->tongue, SOCK_DGRAM);
}

static struct client *any_client(void)
{
        return &walk.clients[below(CLIENTS)];
}

static struct dest any_dest(uint8_t proto)
{
        static const enum place all[] = {VIP, VIP, VIP, VIP2, VIP2, NO_VIP, NODE, NODE, OTHER_NODE, LOOPBACK, OUTSIDE};
        struct dest d = {all[below(ARRAY_SIZE(all))], 0};

        if (below(6) == 0)
                return (struct dest){(enum place)(POD1 + below(WORLD_PODS)), POD_PORT};
        if (d.at == VIP || d.at == VIP2 || d.at == NO_VIP)
                d.port = proto == IPPROTO_TCP ? 80 : 53;
        else
                d.port = proto == IPPROTO_TCP ? 30080 : 30053;
        if (below(20) == 0)
                d.port++;
        return d;
}

static struct memory *memory_of(struct client *c, struct dest d)
{
        for (int i = 0; i < DESTS; i++)
                if (c->memory[i].fresh && c->memory[i].dest.at == d.at && c->memory[i].dest.port == d.port)
                        return &c->memory[i];
        return NULL;
}

static bool has_memory(const struct client *c)
{
        for (int i = 0; i < DESTS; i++)
                if (c->memory[i].fresh)
                        return true;
        return false;
}

static void remember(struct client *c, struct dest d, int site, int pod)
{
        struct memory *m = memory_of(c, d);

        for (int i = 0; !m && i < DESTS; i++)
                if (!c->memory[i].fresh)
                        m = &c->memory[i];
        assert_non_null(m); /* there are fewer destinations than room */
        *m = (struct memory){d, site, pod, walk.world.frontends[world_family(c->tongue)][site].generation[pod], true};
}

static struct prediction predict(const struct client *c, uint8_t proto, struct dest d)
{
        return world_predict(&walk.world, world_family(c->tongue), c->netns, proto, d.at, d.port);
}

/* The error of a call that meets this. -1: there is no telling which. */
static int predicted_error(enum answer answer)
{
        return answer == REFUSED ? ECONNREFUSED : answer == UNREACHABLE ? EHOSTUNREACH : 0;
}

static bool check_error(const char *what, struct dest d, const struct prediction *p, int error)
{
        int wanted = predicted_error(p->answer);

        if (p->answer != DIRECT && error != wanted)
                wrong("%s %s gave %s, not %s", what, dest_text(d), error_name(error), error_name(wanted));
        walk.refused += p->answer == REFUSED || p->answer == UNREACHABLE;
        return p->answer == TO_A_POD;
}

/* Some pod has got the datagram; which, and nobody else. */
static int arrived(struct client *c, uint32_t text)
{
        const int *servers = walk.udp[c->netns][world_family(c->tongue)];
        int pod = ready(servers, 1000);
        socklen_t len = sizeof(c->address);
        uint32_t got = 0;

        if (pod < 0) {
                wrong("the datagram came to no pod");
                return -1;
        }
        if (recvfrom(servers[pod], &got, sizeof(got), 0, (struct sockaddr *)&c->address, &len) != sizeof(got) ||
            got != text)
                wrong("pod %d got datagram %u, not %u", pod + 1, got, text);
        if (ready(servers, 0) >= 0)
                wrong("a second pod got something, too");
        c->seen_by = pod;
        return pod;
}

/* The pod answers, and the client hears it from `from`. */
static void answers(struct client *c, int pod, struct dest from)
{
        int server = walk.udp[c->netns][world_family(c->tongue)][pod];
        socklen_t len = c->address.ss_family == AF_INET ? sizeof(struct sockaddr_in) : sizeof(struct sockaddr_in6);
        struct sockaddr_storage sa = {0};
        uint32_t text = walk.step, got = 0;

        if (sendto(server, &text, sizeof(text), 0, (struct sockaddr *)&c->address, len) != sizeof(text))
                wrong("pod %d cannot answer: %m", pod + 1);
        len = sizeof(sa);
        if (recvfrom(c->fd, &got, sizeof(got), 0, (struct sockaddr *)&sa, &len) != sizeof(got) || got != text)
                wrong("the client does not hear the answer of pod %d: %m", pod + 1);
        if (!is_at(c->tongue, &sa, from))
                wrong("the answer of pod %d comes from %s, not %s", pod + 1, place_text(&sa), dest_text(from));
}

/* ---- steps */

static void step_change(void)
{
        int family = (int)below(WORLD_FAMILIES), site = (int)below(WORLD_SITES);
        struct frontend *f = &walk.world.frontends[family][site];

        f->there = below(8) != 0;
        f->flags = (below(3) == 0 ? SERVICE_AFFINITY : 0) | (below(4) == 0 ? SERVICE_DROP_IN : 0) |
                   (world_sites[site].at == ANY && below(4) == 0 ? SERVICE_HOSTPORT : 0);
        for (int pod = 0; pod < WORLD_PODS; pod++) {
                enum pod_state before = f->pods[pod];

                if (below(3) == 0)
                        f->pods[pod] = (enum pod_state)below(3);
                if (!f->there || below(12) == 0)
                        f->pods[pod] = POD_GONE;
                if (before == POD_GONE && f->pods[pod] != POD_GONE)
                        f->generation[pod]++;
        }
        note("IPv%d %s:%u %s, flags 0x%x, pods %d%d%d%d (1 ready, 2 draining)", family ? 6 : 4,
             place_names[world_sites[site].at], world_sites[site].port, f->there ? "is" : "is not", f->flags,
             f->pods[0], f->pods[1], f->pods[2], f->pods[3]);
        world_write(&walk.world, family, site);
}

static void step_time(void)
{
        note("%u s pass", WORLD_AGE);
        world_age(&walk.world);
        for (int i = 0; i < CLIENTS; i++)
                memset(walk.clients[i].memory, 0, sizeof(walk.clients[i].memory));
}

static void step_renew(void)
{
        struct client *c = any_client();

        renew(c, (enum tongue)below(TONGUES), (int)below(WORLD_NETNS));
        note("client %td is new: tongue %d, netns %d", c - walk.clients, c->tongue, c->netns);
}

static void expect_peer(int fd, enum tongue t, const struct dest *d)
{
        struct sockaddr_storage sa = {0};
        socklen_t len = sizeof(sa);
        int error = getpeername(fd, (struct sockaddr *)&sa, &len) < 0 ? errno : 0;

        if (!d && error != ENOTCONN)
                wrong("getpeername of an unconnected socket gave %s", error_name(error));
        if (d && (error || !is_at(t, &sa, *d)))
                wrong("getpeername gave %s, not %s", error ? error_name(error) : place_text(&sa), dest_text(*d));
}

/* Without a service: as the kernel does it. */
static void check_direct_stream(int netns, bool bound, struct dest d, int error)
{
        bool served = d.at >= POD1 && d.port == POD_PORT;

        if (is_local(netns, d.at) && error != (served ? 0 : ECONNREFUSED))
                wrong("connect to %s, which is no service's, gave %s", dest_text(d), error_name(error));
        if (!is_local(netns, d.at) && error != ENETUNREACH && error != EADDRNOTAVAIL)
                wrong("connect to %s, which nothing leads to, gave %s%s", dest_text(d), error_name(error),
                      bound ? " (bound)" : "");
}

static void accept_at(int netns, int family, uint32_t pods, int *ret_pod)
{
        int pod = ready(walk.tcp[netns][family], 1000), fd;

        if (pod < 0) {
                wrong("no pod has the connection");
                return;
        }
        fd = accept(walk.tcp[netns][family][pod], NULL, NULL);
        close(fd);
        if (!(pods >> pod & 1))
                wrong("pod %d got the connection; it may be those of 0x%x (bits)", pod + 1, pods);
        *ret_pod = pod;
}

static void connect_stream(int fd, enum tongue t, int netns, bool bound, struct dest d)
{
        int family = world_family(t), error, pod = -1;
        struct prediction p = world_predict(&walk.world, family, netns, IPPROTO_TCP, d.at, d.port);

        /* A pod's that was bound first is left to the packet path, which is not here. */
        if (bound && netns != 0)
                p = (struct prediction){.answer = DIRECT, .site = -1};
        if (p.answer == DIRECT && (d.at == VIP || d.at == VIP2 || d.at == NO_VIP) && !bound)
                wrong("the model lets a service's address through");
        error = call(connect, fd, t, d);
        if (p.answer == DIRECT)
                check_direct_stream(netns, bound, d, error);
        if (!check_error("connect to", d, &p, error) && (p.answer != DIRECT || error))
                return;
        accept_at(netns, family, p.answer == DIRECT ? 1u << (d.at - POD1) : p.pods, &pod);
        expect_peer(fd, t, &d);
        if (p.answer == TO_A_POD) {
                world_met(&walk.world, family, netns, p.site, pod);
                walk.translated++;
        }
}

static void step_stream(void)
{
        enum tongue t = (enum tongue)below(TONGUES);
        int netns = (int)below(WORLD_NETNS), fd = open_socket(netns, t, SOCK_STREAM);
        struct linger at_once = {.l_onoff = 1};
        struct dest d = any_dest(IPPROTO_TCP);
        bool bound = below(6) == 0;

        if (below(12) == 0 && netns == 0)
                d.at = ANY;
        note("a %sTCP socket, tongue %d, netns %d, connects to %s", bound ? "bound " : "", t, netns, dest_text(d));
        setsockopt(fd, SOL_SOCKET, SO_LINGER, &at_once, sizeof(at_once));
        if (bound)
                assert_int_equal(call(bind, fd, t, (struct dest){ANY, 0}), 0);
        if (d.at != ANY || predict(&(struct client){.tongue = t}, IPPROTO_TCP, d).answer != DIRECT)
                connect_stream(fd, t, netns, bound, d);
        close(fd);
}

/* The first datagram shows whom a connect() chose. */
static void probe_connection(struct client *c, const struct prediction *p)
{
        if (send_text(c->fd, c->tongue, NULL, walk.step))
                wrong("the connected socket cannot send: %m");
        c->pod = arrived(c, walk.step);
        if (c->pod >= 0 && !(p->pods >> c->pod & 1))
                wrong("pod %d was chosen; it may be those of 0x%x (bits)", c->pod + 1, p->pods);
        answers(c, c->pod, c->to);
}

/* Linux 6.18 delivers nothing to an IPv6 socket of UDP that was disconnected and not bound, with BPF or without: such a
 * one is replaced. */
static void disconnect(struct client *c)
{
        static const struct sockaddr nowhere = {.sa_family = AF_UNSPEC};
        enum tongue t = c->tongue;
        int netns = c->netns;

        if (connect(c->fd, &nowhere, sizeof(nowhere)))
                wrong("cannot disconnect: %m");
        expect_peer(c->fd, c->tongue, NULL);
        c->connected = false;
        c->seen_by = -1;
        if (t == V6)
                renew(c, t, netns);
}

static void connect_direct(struct client *c, struct dest d)
{
        bool local = is_local(c->netns, d.at);
        int error;

        if (c->connected)
                disconnect(c);
        if (has_memory(c)) /* whether it is kept is nobody's business */
                renew(c, c->tongue, c->netns);
        error = call(connect, c->fd, c->tongue, d);
        if (local ? error != 0 : error != ENETUNREACH && error != EADDRNOTAVAIL)
                wrong("connect to %s, which is no service's, gave %s", dest_text(d), error_name(error));
        c->seen_by = -1;
        if (!local)
                return;
        c->connected = true;
        c->to = d;
        c->pod = -1;
        if (d.at >= POD1)
                probe_connection(c, &(struct prediction){.pods = 1u << (d.at - POD1)});
}

static void step_connect(void)
{
        struct client *c = any_client();
        struct dest d = any_dest(IPPROTO_UDP);
        struct prediction p = predict(c, IPPROTO_UDP, d);
        int error;

        note("client %td connects to %s", c - walk.clients, dest_text(d));
        if (p.answer == DIRECT) {
                connect_direct(c, d);
                return;
        }
        error = call(connect, c->fd, c->tongue, d);
        if (!check_error("connect to", d, &p, error))
                return; /* and it has its old peer */
        c->connected = true;
        c->to = d;
        probe_connection(c, &p);
        world_met(&walk.world, world_family(c->tongue), c->netns, p.site, c->pod);
        walk.translated++;
}

static void step_disconnect(void)
{
        struct client *c = any_client();

        note("client %td disconnects", c - walk.clients);
        if (c->connected)
                disconnect(c);
}

static void step_peer(void)
{
        struct client *c = any_client();

        note("client %td asks for its peer", c - walk.clients);
        expect_peer(c->fd, c->tongue, c->connected ? &c->to : NULL);
}

/* To where it is connected, with the address or without. */
static void send_connected(struct client *c, bool named)
{
        int pod;

        if (send_text(c->fd, c->tongue, named ? &c->to : NULL, walk.step))
                wrong("a connected socket cannot send: %m");
        pod = arrived(c, walk.step);
        if (pod != c->pod)
                wrong("a connected socket's datagram came to pod %d, not %d", pod + 1, c->pod + 1);
        answers(c, pod, c->to);
}

/* A service's address from a socket that is not connected to it. */
static void send_to_service(struct client *c, struct dest d, struct prediction *p)
{
        int family = world_family(c->tongue), pod, error;
        struct memory *m = memory_of(c, d);
        bool known = m && world_has(&walk.world, family, m->site, m->pod, m->generation);

        if (known)
                *p = (struct prediction){.answer = TO_A_POD, .site = m->site, .pods = 1u << m->pod};
        error = send_text(c->fd, c->tongue, &d, walk.step);
        if (!check_error("sendto", d, p, error))
                return;
        pod = arrived(c, walk.step);
        if (pod >= 0 && !(p->pods >> pod & 1))
                wrong("pod %d got it; it may be those of 0x%x (bits)", pod + 1, p->pods);
        if (!known) {
                remember(c, d, p->site, pod);
                world_met(&walk.world, family, c->netns, p->site, pod);
        }
        c->asked[pod] = d;
        c->knows[pod] = true;
        if (!c->connected)
                answers(c, pod, d);
        else if (pod == c->pod)
                answers(c, pod, c->to);
        walk.translated++;
}

static void send_direct(struct client *c, struct dest d)
{
        int pod;

        if (c->connected || d.at < POD1 || d.port != POD_PORT)
                return;
        if (send_text(c->fd, c->tongue, &d, walk.step))
                wrong("cannot send to a pod itself: %m");
        pod = arrived(c, walk.step);
        if (pod != (int)d.at - POD1)
                wrong("pod %d got what was sent to %s", pod + 1, dest_text(d));
        c->asked[pod] = d;
        c->knows[pod] = true;
        answers(c, pod, d);
}

static void step_send(void)
{
        struct client *c = any_client();
        struct dest d = any_dest(IPPROTO_UDP);
        struct prediction p;

        if (c->connected && below(2)) {
                note("client %td sends to its peer %s", c - walk.clients, dest_text(c->to));
                if (c->pod >= 0)
                        send_connected(c, below(2));
                return;
        }
        p = predict(c, IPPROTO_UDP, d);
        note("client %td (%sconnected) sends to %s", c - walk.clients, c->connected ? "" : "not ", dest_text(d));
        if (c->connected && d.at == c->to.at && d.port == c->to.port) {
                if (c->pod >= 0)
                        send_connected(c, true);
                return;
        }
        /* Connected to a pod itself: its answers to a service's datagram could not be told from others. */
        if (c->connected && c->to.at != VIP && c->to.at != VIP2 && c->to.port != 30053)
                return;
        if (p.answer == DIRECT && !(memory_of(c, d)))
                send_direct(c, d);
        else
                send_to_service(c, d, &p);
}

/* A pod says something later, of its own accord. */
static void step_late(void)
{
        struct client *c = any_client();
        int pod = c->seen_by;

        note("client %td hears once more from pod %d", c - walk.clients, pod + 1);
        if (pod < 0)
                return;
        if (c->connected && pod == c->pod)
                answers(c, pod, c->to);
        else if (!c->connected && c->knows[pod])
                answers(c, pod, c->asked[pod]);
}

static void step_bind(void)
{
        static const enum place where[] = {ANY, NODE, LOOPBACK, OUTSIDE};
        enum tongue t = (enum tongue)below(TONGUES);
        int netns = (int)below(WORLD_NETNS), type = below(2) ? SOCK_STREAM : SOCK_DGRAM, error, wanted;
        uint8_t proto = type == SOCK_STREAM ? IPPROTO_TCP : IPPROTO_UDP;
        struct dest d = {where[below(netns ? 1 : ARRAY_SIZE(where))], proto == IPPROTO_TCP ? 30080 : 30053};
        int fd = open_socket(netns, t, type);

        if (below(8) == 0)
                d.port += 1;
        note("a socket of type %d, tongue %d, netns %d, binds to %s", type, t, netns, dest_text(d));
        wanted = world_may_bind(&walk.world, world_family(t), netns, proto, d.at, d.port) ? 0 : EADDRINUSE;
        error = call(bind, fd, t, d);
        close(fd);
        if (error != wanted)
                wrong("bind to %s gave %s, not %s", dest_text(d), error_name(error), error_name(wanted));
}

static const struct {
        void (*fn)(void);
        uint32_t weight;
} steps[] = {
        {step_change, 20},    {step_time, 1},  {step_renew, 6}, {step_stream, 24}, {step_connect, 12},
        {step_disconnect, 6}, {step_peer, 10}, {step_send, 40}, {step_late, 10},   {step_bind, 8},
};

static void one_step(void)
{
        uint32_t sum = 0, at;

        for (size_t i = 0; i < ARRAY_SIZE(steps); i++)
                sum += steps[i].weight;
        at = below(sum);
        for (size_t i = 0; i < ARRAY_SIZE(steps); i++) {
                if (at < steps[i].weight) {
                        steps[i].fn();
                        return;
                }
                at -= steps[i].weight;
        }
}

/* ---- running */

static int set_up(void **state)
{
        sock_lab_open(&walk.lab, KNOBS, SOCK_LAB_SMALL);
        world_init(&walk.world, &walk.lab);
        walk.netns[0] = open("/proc/thread-self/ns/net", O_RDONLY | O_CLOEXEC);
        walk.netns[1] = sock_lab_pod_netns();
        for (int netns = 0; netns < WORLD_NETNS; netns++)
                for (int family = 0; family < WORLD_FAMILIES; family++)
                        serve(netns, family);
        return 0;
}

static int tear_down(void **state)
{
        for (int i = 0; i < WORLD_NETNS * WORLD_FAMILIES * WORLD_PODS; i++) {
                close((&walk.udp[0][0][0])[i]);
                close((&walk.tcp[0][0][0])[i]);
        }
        for (int i = 0; i < CLIENTS; i++) {
                close(walk.clients[i].fd);
                walk.clients[i].fd = 0;
        }
        for (int i = 0; i < WORLD_NETNS; i++)
                close(walk.netns[i]);
        sock_lab_close(&walk.lab);
        return 0;
}

static void run(uint64_t seed)
{
        walk.seed = walk.state = seed;
        walk.translated = walk.refused = 0;
        for (int i = 0; i < CLIENTS; i++)
                renew(&walk.clients[i], (enum tongue)(i % TONGUES), i % WORLD_NETNS);
        for (walk.step = 0; walk.step < walk.steps; walk.step++)
                one_step();
        print_message("# SOCK_WALK_SEED=%" PRIu64 ": %u steps, %u translated, %u refused\n", seed, walk.steps,
                      walk.translated, walk.refused);
        if (walk.steps >= STEPS) {
                assert_in_range(walk.translated, walk.steps / 20, walk.steps);
                assert_in_range(walk.refused, walk.steps / 100, walk.steps);
        }
}

static void a_walk_that_is_always_the_same(void **state)
{
        run(1);
}

static void a_walk_that_nobody_has_taken_yet(void **state)
{
        struct timespec now;
        const char *seed = getenv("SOCK_WALK_SEED");

        clock_gettime(CLOCK_REALTIME, &now);
        run(seed ? strtoull(seed, NULL, 10) : (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test_setup_teardown(a_walk_that_is_always_the_same, set_up, tear_down),
                cmocka_unit_test_setup_teardown(a_walk_that_nobody_has_taken_yet, set_up, tear_down),
        };
        const char *wanted = getenv("SOCK_WALK_STEPS");

        walk.steps = wanted ? (uint32_t)strtoul(wanted, NULL, 10) : STEPS;
        return cmocka_run_group_tests_name("sock_walk", tests, NULL, NULL);
}
