/* SPDX-License-Identifier: Apache-2.0 */
/* The ELF files inside this program, their programs, and how they come into the kernel. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"
#include "bpf/abi/config.h"
#include "datapath/map.h"

/* X(the file's name without .bpf.o) */
#define OBJECTS(X) X(sock) X(pod) X(overlay) X(uplink) X(edge) X(lo)

/* X(program, object, type, attach type, whether it is of devices). BPF_PROG_TYPE_ and values of enum bpf_attach_type.
 */
#define PROGRAMS(X)                                                                                                    \
        X(connect4, sock, CGROUP_SOCK_ADDR, BPF_CGROUP_INET4_CONNECT, false)                                           \
        X(connect6, sock, CGROUP_SOCK_ADDR, BPF_CGROUP_INET6_CONNECT, false)                                           \
        X(sendmsg4, sock, CGROUP_SOCK_ADDR, BPF_CGROUP_UDP4_SENDMSG, false)                                            \
        X(sendmsg6, sock, CGROUP_SOCK_ADDR, BPF_CGROUP_UDP6_SENDMSG, false)                                            \
        X(recvmsg4, sock, CGROUP_SOCK_ADDR, BPF_CGROUP_UDP4_RECVMSG, false)                                            \
        X(recvmsg6, sock, CGROUP_SOCK_ADDR, BPF_CGROUP_UDP6_RECVMSG, false)                                            \
        X(getpeername4, sock, CGROUP_SOCK_ADDR, BPF_CGROUP_INET4_GETPEERNAME, false)                                   \
        X(getpeername6, sock, CGROUP_SOCK_ADDR, BPF_CGROUP_INET6_GETPEERNAME, false)                                   \
        X(bind4, sock, CGROUP_SOCK_ADDR, BPF_CGROUP_INET4_BIND, false)                                                 \
        X(bind6, sock, CGROUP_SOCK_ADDR, BPF_CGROUP_INET6_BIND, false)                                                 \
        X(from_pod, pod, SCHED_CLS, TCX_INGRESS, true)                                                                 \
        X(to_pod, pod, SCHED_CLS, TCX_EGRESS, true)                                                                    \
        X(from_overlay, overlay, SCHED_CLS, TCX_INGRESS, true)                                                         \
        X(to_overlay, overlay, SCHED_CLS, TCX_EGRESS, true)                                                            \
        X(from_uplink, uplink, SCHED_CLS, TCX_INGRESS, true)                                                           \
        X(to_uplink, uplink, SCHED_CLS, TCX_EGRESS, true)                                                              \
        X(edge, edge, XDP, BPF_XDP, true)                                                                              \
        X(to_lo, lo, SCHED_CLS, TCX_EGRESS, true)

enum object_id {
#define X(name) OBJECT_##name,
        OBJECTS(X)
#undef X
                OBJECT_COUNT,
};

enum program_id {
#define X(name, object, type, attach, device) PROGRAM_##name,
        PROGRAMS(X)
#undef X
                PROGRAM_COUNT,
};

struct program_info {
        const char *name;
        enum object_id object;
        uint32_t type, attach; /* enum bpf_prog_type, enum bpf_attach_type */
        bool device;           /* attached to devices, not to a cgroup */
};

extern const struct program_info program_infos[PROGRAM_COUNT];

/* Pins of links: "from_pod_12", "connect4_cgroup"; "to_pod_12_clsact" marks a filter, "clsact_12" a qdisc of ours. */
struct pin_name {
        enum { PIN_UNKNOWN, PIN_DEVICE, PIN_CGROUP, PIN_CLSACT, PIN_QDISC } kind;
        enum program_id program;
        uint32_t ifindex;
};

struct pin_name pin_name_parse(const char *name);

/* A loaded program. */
struct program {
        int fd; /* -1: not loaded */
        uint32_t id;
};

struct bpf_object;

/* The `knobs` of an object that is opened and not loaded yet. 0, -ENOENT (none of this layout), or negative errno. */
int loader_set_knobs(struct bpf_object *object, const struct knobs *knobs);

/* The objects between being opened and being loaded. */
struct loader {
        struct bpf_object *objects[OBJECT_COUNT]; /* NULL: not wanted */
        char *logs[OBJECT_COUNT];                 /* of the verifier */
};

/* Opens the wanted ones (bits of 1 << enum object_id), loads nothing. 0 or negative errno. */
int loader_open(struct loader *ret, uint32_t wanted, struct err *reterr);
void loader_close(struct loader *l);
#define LOADER_NULL ((struct loader){0})

/* What the ELF files say of a map. False when none of them has it. */
struct map_wish {
        uint32_t type, key_size, value_size, max_entries, flags;
};
bool loader_wish(const struct loader *l, enum map_id id, struct map_wish *ret);

/*
 * Loads all. fds[id] of a map is the one to use, or -1: then a map of max_entries[id] elements (0: as the file says) is
 * made and *fds set. The verifier takes about a second for all, so that objects are loaded side by side, by threads
 * that have ended when this returns. The programs' descriptors are the caller's. 0 or negative errno; then nothing is
 * left but the fds.
 */
int loader_load(struct loader *l, const struct knobs *knobs, int fds[MAP_COUNT], const uint32_t max_entries[MAP_COUNT],
                struct program programs[PROGRAM_COUNT], struct err *reterr);
