/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/* Sockets as the kernel has them, and what iterators are given. */
#pragma once

#include <linux/types.h>

#pragma clang attribute push(__attribute__((preserve_access_index)), apply_to = record)

struct ns_common {
        unsigned int inum;
};

struct net {
        struct ns_common ns;
};

typedef struct {
        struct net *net;
} possible_net_t;

struct sock_common {
        unsigned char skc_state;
        possible_net_t skc_net;
};

struct sock {
        struct sock_common __sk_common;
        __u16 sk_protocol;
};

struct inet_sock {
        struct sock sk;
};

struct udp_sock {
        struct inet_sock inet;
};

struct seq_file;

struct bpf_iter_meta {
        struct seq_file *seq;
        __u64 session_id;
        __u64 seq_num;
};

struct bpf_map;

struct bpf_iter__bpf_map_elem {
        struct bpf_iter_meta *meta;
        struct bpf_map *map;
        void *key;
        void *value;
};

struct bpf_iter__udp {
        struct bpf_iter_meta *meta;
        struct udp_sock *udp_sk;
};

struct bpf_iter__bpf_sk_storage_map {
        struct bpf_iter_meta *meta;
        struct sock *sk;
        void *value;
};

#pragma clang attribute pop
