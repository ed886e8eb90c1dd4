/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/*
 * Connected UDP sockets whose backend is gone. Nothing tells their owners: a datagram is not refused by an address that
 * nobody has, and the socket was told once, at connect(), where to send to. They are destroyed: the owner's next call
 * gives ECONNABORTED, and a new connect() finds another backend. Unconnected sockets and the flow table see for
 * themselves that a backend has another generation; TCP connections are the peers' affair.
 *
 * Two iterators, because the storage of all sockets of the machine can be walked at once, but sockets only be destroyed
 * where they are: find_stale says in which network namespaces there are such sockets (the namespace's number for each
 * socket), destroy_stale destroys those of the namespace it is run in (a byte for each).
 */
#define SOCKET_PROGRAMS
#include "vmlinux/iter.h"
#include "lib/service.h"

#define ITER_TCP_ESTABLISHED 1 /* also of a connected UDP socket */

extern int bpf_sock_destroy(struct sock_common *sock) __ksym;

static __always_inline bool is_stale(const struct sock *sk, const struct sock_peer *peer)
{
        return sk->sk_protocol == IPPROTO_UDP && sk->__sk_common.skc_state == ITER_TCP_ESTABLISHED &&
               peer->flags & SOCK_PEER_CONNECTED && !backend_is_current(peer->backend, peer->generation);
}

SEC("iter/bpf_sk_storage_map")
int find_stale(struct bpf_iter__bpf_sk_storage_map *ctx)
{
        struct sock *sk = ctx->sk;
        struct sock_peer *value = ctx->value;
        __u32 netns;

        if (!sk || !value || !is_stale(sk, value))
                return 0;
        netns = sk->__sk_common.skc_net.net->ns.inum;
        bpf_seq_write(ctx->meta->seq, &netns, sizeof(netns));
        return 0;
}

SEC("iter/udp")
int destroy_stale(struct bpf_iter__udp *ctx)
{
        struct udp_sock *udp = ctx->udp_sk;
        const struct sock_peer *peer;
        __u8 one = 1;

        if (!udp)
                return 0;
        peer = bpf_sk_storage_get(&sock_connected, udp, NULL, 0);
        if (peer && is_stale(&udp->inet.sk, peer) && bpf_sock_destroy((struct sock_common *)udp) == 0)
                bpf_seq_write(ctx->meta->seq, &one, sizeof(one));
        return 0;
}

char _license[] SEC("license") = "Dual BSD/GPL";
