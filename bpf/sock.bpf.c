/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/* The socket's programs, on the root of cgroup v2. */
#define SOCKET_PROGRAMS
#include "lib/sock.h"

#define SOCK_HOOK(name, family, v6)                                                                                    \
        SEC("cgroup/" #name #family)                                                                                   \
        int name##family(struct bpf_sock_addr *ctx)                                                                    \
        {                                                                                                              \
                return sock_##name(ctx, v6);                                                                           \
        }

SOCK_HOOK(connect, 4, false)
SOCK_HOOK(connect, 6, true)
SOCK_HOOK(sendmsg, 4, false)
SOCK_HOOK(sendmsg, 6, true)
SOCK_HOOK(recvmsg, 4, false)
SOCK_HOOK(recvmsg, 6, true)
SOCK_HOOK(getpeername, 4, false)
SOCK_HOOK(getpeername, 6, true)
SOCK_HOOK(bind, 4, false)
SOCK_HOOK(bind, 6, true)

char _license[] SEC("license") = "Dual BSD/GPL";
