/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/*
 * Services at the socket: connect() and sendmsg() get a backend's address instead of the service's, once, and no packet
 * needs to be changed; recvmsg() and getpeername() are told the service's. An IPv4 address on an AF_INET6 socket comes
 * to the hooks of IPv6 in its mapped form, which is the form of struct addr: so there is one path for all.
 *
 * What a caller sees when there is no backend: ECONNREFUSED where the network would refuse (no endpoints, an unknown
 * port of a service's address), EHOSTUNREACH where it would drop (the traffic policy is Local and no endpoint is here):
 * a connect cannot hang inside a hook, and unlike a refusal it says that others may well reach the service. Kernels
 * without bpf_set_retval (before 5.18) have one errno for all: EPERM.
 *
 * Multipath TCP connects by sockets of its own behind the application's: they are translated, and its getpeername()
 * gives the backend.
 */
#pragma once

#include "addr.h"
#include "clock.h"
#include "maps.h"
#include "monitor_sock.h"
#include "service.h"

/* Errno numbers of the kernel's; its headers for BPF have none. */
#define SOCK_EADDRINUSE   98
#define SOCK_ECONNREFUSED 111
#define SOCK_EHOSTUNREACH 113

/* Backends tried for one whose answers are not taken for those of another service by the same socket. */
#define SOCK_TRIES 4

enum sock_verdict {
        SOCK_REFUSE = 0,
        SOCK_PROCEED = 1,
};

/* A load each time: the verifier takes no pointer into the context that the compiler keeps. */
static __always_inline struct bpf_sock *sock_of(struct bpf_sock_addr *ctx)
{
        return READ_ONCE(ctx->sk);
}

/* The caller's address. */
static __always_inline struct sock_dest sock_read(const struct bpf_sock_addr *ctx, bool v6)
{
        struct sock_dest d = {.port = (__be16)ctx->user_port, .proto = (__u8)ctx->protocol, .v6 = v6};

        if (ctx->protocol == IPPROTO_MPTCP)
                d.proto = IPPROTO_TCP;
        if (v6) {
                d.addr.w[0] = ctx->user_ip6[0];
                d.addr.w[1] = ctx->user_ip6[1];
                d.addr.w[2] = ctx->user_ip6[2];
                d.addr.w[3] = ctx->user_ip6[3];
        } else {
                d.addr = addr_of_v4(ctx->user_ip4);
        }
        return d;
}

static __always_inline void sock_write(struct bpf_sock_addr *ctx, bool v6, const struct addr *a, __be16 port)
{
        if (v6) {
                ctx->user_ip6[0] = a->w[0];
                ctx->user_ip6[1] = a->w[1];
                ctx->user_ip6[2] = a->w[2];
                ctx->user_ip6[3] = a->w[3];
        } else {
                ctx->user_ip4 = a->w[3];
        }
        ctx->user_port = port;
}

static __always_inline void sock_count(enum reason reason)
{
        __u32 key = reason * HOOK_COUNT + HOOK_SOCK;
        struct counter *c = bpf_map_lookup_elem(&counters, &key);

        if (c)
                __sync_fetch_and_add(&c->packets, 1);
}

static __always_inline int sock_fail(int error)
{
        if (knobs.flags & KNOB_RETVAL)
                bpf_set_retval(-error);
        return SOCK_REFUSE;
}

/* The one exit of what may be refused. */
static __always_inline int sock_exit(enum reason reason)
{
        sock_count(reason);
        switch (reason) {
        case REASON_OK:
        case REASON_TRANSLATED:
                return SOCK_PROCEED;
        case REASON_NO_ENDPOINTS:
        case REASON_UNKNOWN_PORT:
                sock_count(REASON_REFUSED);
                return sock_fail(SOCK_ECONNREFUSED);
        case REASON_BIND_TAKEN:
                return sock_fail(SOCK_EADDRINUSE);
        default:
                return sock_fail(SOCK_EHOSTUNREACH);
        }
}

static __always_inline bool sock_is_any(const struct addr *a)
{
        return !a->w[3] && (addr_is_v4(a) || addr_is_zero(a));
}

/* NodePorts are served at the loopback of the node; that of a pod is its own. */
static __always_inline bool sock_is_node_loopback(const struct addr *a, __u64 netns)
{
        return knobs.flags & KNOB_NODEPORT_LOOPBACK && knobs.host_netns && netns == knobs.host_netns &&
               addr_is_loopback(a);
}

static __always_inline void sock_query(struct bpf_sock_addr *ctx, const struct sock_dest *d, struct service_query *ret)
{
        __u64 netns = bpf_get_netns_cookie(ctx);

        ret->client.w[0] = (__u32)netns;
        ret->client.w[1] = (__u32)(netns >> 32);
        ret->client.w[2] = ret->client.w[3] = 0xffffffff;
        ret->addr = d->addr;
        ret->port = d->port;
        ret->proto = d->proto;
        ret->own_node = sock_is_node_loopback(&d->addr, netns);
        ret->hash = ret->lot = bpf_get_prandom_u32();
}

/* REASON_OK: not a service's address. An address of the service CIDR that no service has is refused like a port that it
 * does not have: beyond this node nobody would answer either. */
static __always_inline enum reason sock_choose(struct bpf_sock_addr *ctx, const struct sock_dest *d,
                                               struct service_choice *ret)
{
        enum reason r = REASON_OK;

        if (service_filter(&d->addr, d->port, d->proto)) {
                struct service_query q = {};

                sock_query(ctx, d, &q);
                r = service_choose(&q, ret);
        }
        if (r == REASON_OK) {
                const struct route *route = route_find(&d->addr);

                if (route && route->type == ROUTE_SERVICE)
                        r = REASON_UNKNOWN_PORT;
        }
        if (monitor_is_on())
                monitor_sock(ctx, d, ret, r);
        return r;
}

static __always_inline void sock_count_connection(__u32 service)
{
        struct service_stats *stats = service_stats_get(service);

        /* Processes are preempted in between: not a plain increment. */
        if (stats)
                __sync_fetch_and_add(&stats->connections, 1);
}

static __always_inline bool sock_proto(const struct sock_dest *d)
{
        return d->proto == IPPROTO_TCP || d->proto == IPPROTO_UDP;
}

/*
 * A TCP socket that was bound to a port before it connects. Two of them with one port may speak to two services, but
 * not to the one endpoint that both have: connect() would fail with EADDRNOTAVAIL. The packet path finds another source
 * port for the second. The host's own processes have no packet path everywhere and are translated all the same.
 */
static __always_inline bool sock_is_for_packets(struct bpf_sock_addr *ctx, const struct sock_dest *d)
{
        struct bpf_sock *sk = sock_of(ctx);

        return d->proto == IPPROTO_TCP && sk && sk->src_port && knobs.host_netns &&
               bpf_get_netns_cookie(ctx) != knobs.host_netns;
}

static __always_inline int sock_connect(struct bpf_sock_addr *ctx, bool v6)
{
        struct sock_dest d = sock_read(ctx, v6);
        struct sock_peer *peer, fresh = {};
        struct service_choice choice = {};
        enum reason r;

        if (!sock_proto(&d) || !sock_of(ctx))
                return SOCK_PROCEED;
        r = sock_is_for_packets(ctx, &d) ? REASON_OK : sock_choose(ctx, &d, &choice);
        if (r == REASON_OK) /* it may have been a service's before */
                bpf_sk_storage_delete(&sock_connected, sock_of(ctx));
        if (r != REASON_TRANSLATED)
                return sock_exit(r);
        fresh.addr = d.addr;
        fresh.port = d.port;
        fresh.flags = SOCK_PEER_CONNECTED;
        fresh.service = choice.service;
        fresh.backend = choice.backend;
        fresh.generation = choice.generation;
        /* Without memory for it the connection works as well, and only getpeername tells the backend. */
        peer = bpf_sk_storage_get(&sock_connected, sock_of(ctx), &fresh, BPF_SK_STORAGE_GET_F_CREATE);
        if (peer)
                *peer = fresh;
        sock_count_connection(choice.service);
        sock_write(ctx, v6, &choice.addr, choice.port);
        return sock_exit(REASON_TRANSLATED);
}

static __always_inline bool sock_same(const struct sock_dest *d, const struct addr *a, __be16 port)
{
        return d->port == port && addr_equal(&d->addr, a);
}

/* ---- datagrams of sockets that are not connected */

static __always_inline struct sock_reply_key sock_key(__u64 cookie, const struct addr *a, __be16 port, __u8 kind)
{
        return (struct sock_reply_key){.cookie = cookie, .addr = *a, .port = port, .kind = kind};
}

/* Would answers from there be taken for another service's? */
static __always_inline bool sock_is_ambiguous(__u64 cookie, const struct sock_dest *d, const struct service_choice *c)
{
        struct sock_reply_key key = sock_key(cookie, &c->addr, c->port, SOCK_ANSWERS_AS);
        const struct sock_peer *p = bpf_map_lookup_elem(&sock_replies, &key);

        return p && !sock_same(d, &p->addr, p->port) && clock_age(clock_now(), p->seen) <= knobs.timeouts.udp_stream;
}

/* A backend for a socket that has none at this address. */
static __always_inline enum reason sock_choose_datagram(struct bpf_sock_addr *ctx, const struct sock_dest *d,
                                                        __u64 cookie, struct service_choice *ret)
{
        enum reason r = sock_choose(ctx, d, ret);

        for (int i = 1; i < SOCK_TRIES && r == REASON_TRANSLATED && sock_is_ambiguous(cookie, d, ret); i++)
                r = sock_choose(ctx, d, ret);
        return r;
}

/* Answers of the backend come from the address that the socket asked last. */
static __always_inline void sock_expect(__u64 cookie, const struct sock_dest *d, const struct sock_peer *backend)
{
        struct sock_reply_key key = sock_key(cookie, &backend->addr, backend->port, SOCK_ANSWERS_AS);
        struct sock_peer *p = bpf_map_lookup_elem(&sock_replies, &key), fresh = *backend;

        if (p && sock_same(d, &p->addr, p->port)) {
                if (p->seen != backend->seen)
                        WRITE_ONCE(p->seen, backend->seen);
                return;
        }
        fresh.addr = d->addr;
        fresh.port = d->port;
        bpf_map_update_elem(&sock_replies, &key, &fresh, BPF_ANY);
}

/* An endpoint was asked by its own address, which it answers from. */
static __always_inline void sock_expect_itself(__u64 cookie, const struct sock_dest *d)
{
        struct sock_reply_key key = sock_key(cookie, &d->addr, d->port, SOCK_ANSWERS_AS);

        bpf_map_delete_elem(&sock_replies, &key);
}

/* Where the socket is connected to. False: nowhere. */
static __always_inline bool sock_connected_to(const struct bpf_sock *sk, bool v6, struct sock_dest *ret)
{
        ret->port = sk->dst_port;
        if (v6) {
                ret->addr.w[0] = sk->dst_ip6[0];
                ret->addr.w[1] = sk->dst_ip6[1];
                ret->addr.w[2] = sk->dst_ip6[2];
                ret->addr.w[3] = sk->dst_ip6[3];
        } else {
                ret->addr = addr_of_v4(sk->dst_ip4);
        }
        return ret->port;
}

/* The backend that the socket has at this address; false: it has none (any more). */
static __always_inline bool sock_recall(__u64 cookie, const struct sock_dest *d, __u32 now, struct sock_peer *ret)
{
        struct sock_reply_key key = sock_key(cookie, &d->addr, d->port, SOCK_HAS);
        struct sock_peer *known = bpf_map_lookup_elem(&sock_replies, &key);

        if (!known || clock_age(now, known->seen) > knobs.timeouts.udp_stream ||
            !backend_is_current(known->backend, known->generation))
                return false;
        if (known->seen != now)
                WRITE_ONCE(known->seen, now);
        *ret = *known;
        return true;
}

/* A new backend, which is remembered. */
static __always_inline enum reason sock_assign(struct bpf_sock_addr *ctx, const struct sock_dest *d, __u64 cookie,
                                               __u32 now, struct sock_peer *ret)
{
        struct sock_reply_key key = sock_key(cookie, &d->addr, d->port, SOCK_HAS);
        struct service_choice choice = {};
        enum reason r = sock_choose_datagram(ctx, d, cookie, &choice);

        if (r != REASON_TRANSLATED)
                return r;
        ret->addr = choice.addr;
        ret->port = choice.port;
        ret->service = choice.service;
        ret->backend = choice.backend;
        ret->generation = choice.generation;
        ret->seen = now;
        bpf_map_update_elem(&sock_replies, &key, ret, BPF_ANY);
        sock_count_connection(choice.service);
        return r;
}

static __always_inline int sock_sendmsg(struct bpf_sock_addr *ctx, bool v6)
{
        struct sock_dest d = sock_read(ctx, v6), to;
        const struct sock_peer *peer;
        struct sock_peer backend = {};
        __u32 now = clock_now();
        enum reason r;
        __u64 cookie;

        if (!sock_proto(&d) || !sock_of(ctx))
                return SOCK_PROCEED;
        peer = bpf_sk_storage_get(&sock_connected, sock_of(ctx), NULL, 0);
        /* A connected socket hears its own backend only. */
        if (peer && peer->flags & SOCK_PEER_CONNECTED && sock_same(&d, &peer->addr, peer->port) &&
            sock_connected_to(sock_of(ctx), v6, &to)) {
                sock_write(ctx, v6, &to.addr, to.port);
                return sock_exit(REASON_TRANSLATED);
        }
        cookie = bpf_get_socket_cookie(ctx);
        if (!peer || !sock_recall(cookie, &d, now, &backend)) {
                r = sock_assign(ctx, &d, cookie, now, &backend);
                if (r == REASON_OK && peer)
                        sock_expect_itself(cookie, &d);
                if (r != REASON_TRANSLATED)
                        return sock_exit(r);
        }
        sock_expect(cookie, &d, &backend);
        if (!peer) /* tells that there is something to look up */
                bpf_sk_storage_get(&sock_connected, sock_of(ctx), NULL, BPF_SK_STORAGE_GET_F_CREATE);
        sock_write(ctx, v6, &backend.addr, backend.port);
        return sock_exit(REASON_TRANSLATED);
}

static __always_inline int sock_recvmsg(struct bpf_sock_addr *ctx, bool v6)
{
        const struct sock_peer *peer;
        struct sock_reply_key key;
        struct sock_dest d, to;

        if (!sock_of(ctx))
                return SOCK_PROCEED;
        peer = bpf_sk_storage_get(&sock_connected, sock_of(ctx), NULL, 0);
        if (!peer)
                return SOCK_PROCEED;
        d = sock_read(ctx, v6);
        if (!(peer->flags & SOCK_PEER_CONNECTED && sock_connected_to(sock_of(ctx), v6, &to) &&
              sock_same(&to, &d.addr, d.port))) {
                key = sock_key(bpf_get_socket_cookie(ctx), &d.addr, d.port, SOCK_ANSWERS_AS);
                peer = bpf_map_lookup_elem(&sock_replies, &key);
        }
        if (peer)
                sock_write(ctx, v6, &peer->addr, peer->port);
        return SOCK_PROCEED;
}

static __always_inline int sock_getpeername(struct bpf_sock_addr *ctx, bool v6)
{
        const struct sock_peer *peer = NULL;

        if (sock_of(ctx))
                peer = bpf_sk_storage_get(&sock_connected, sock_of(ctx), NULL, 0);
        if (peer && peer->flags & SOCK_PEER_CONNECTED)
                sock_write(ctx, v6, &peer->addr, peer->port);
        return SOCK_PROCEED;
}

/* Would a process that listens there on the node wait in vain, because a NodePort takes the connections? */
static __always_inline int sock_bind(struct bpf_sock_addr *ctx, bool v6)
{
        struct service_query q = {};
        struct service svc;
        struct sock_dest d;

        if (!(knobs.flags & KNOB_BIND_PROTECT) || !knobs.host_netns)
                return SOCK_PROCEED;
        d = sock_read(ctx, v6);
        if (!sock_proto(&d) || !(service_filter(&d.addr, d.port, d.proto) & FILTER_PORT))
                return SOCK_PROCEED;
        sock_query(ctx, &d, &q);
        if (bpf_get_netns_cookie(ctx) != knobs.host_netns)
                return SOCK_PROCEED;
        if (sock_is_any(&d.addr))
                return sock_exit(REASON_BIND_TAKEN);
        return service_find(&q, &svc) == REASON_TRANSLATED ? sock_exit(REASON_BIND_TAKEN) : SOCK_PROCEED;
}
