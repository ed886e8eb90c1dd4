/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The loaded dataplane: maps, programs, and where they are attached. Everything is pinned below one folder of a bpffs:
 *
 *     <pin_root>/v<MAPS_VERSION>/maps/<map>            links/<hook>_<ifindex or cgroup name>   programs/<program>
 *                                tables/<map>: iterators that print it as text (tables.h)
 *
 * so that traffic goes on while no agent runs. A new one adopts maps, replaces the programs of the links in one step
 * each, and copies maps of another version or size into new ones. Programs: connect4 connect6 sendmsg4 sendmsg6
 * recvmsg4 recvmsg6 getpeername4 getpeername6 bind4 bind6 (sock.bpf.c), from_pod to_pod (pod.bpf.c), from_overlay
 * to_overlay (overlay.bpf.c), from_uplink to_uplink (uplink.bpf.c), edge (edge.bpf.c), to_lo (lo.bpf.c). Their ELF
 * files are inside the program that links this library.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"
#include "datapath/map.h"
#include "datapath/probe.h"
#include "bpf/abi/config.h"

struct datapath;

struct datapath_sizes { /* of the maps; 0: the default of limits.h */
        uint32_t services, backends, slot_lines, routes, ranges, affinity, fragments, sock_replies;
};

struct datapath_opts {
        const char *pin_root;    /* "/sys/fs/bpf/fairlead"; a bpffs is mounted there when none is */
        const char *cgroup_root; /* of cgroup v2, for the sock programs; NULL: found in /proc/self/mountinfo */
        struct knobs knobs; /* hz, host_netns and KNOB_RETVAL, KNOB_REDIRECT_PEER, KNOB_WEAK_ORDER are filled in here */
        struct datapath_sizes sizes;
        bool no_xdp, xdp_generic_ok, no_tcx; /* no_tcx: clsact although TCX is there */
};

/* Loads everything; adopts what is pinned. Attaches nothing. The report of what falls back is in datapath_features. */
int datapath_open(const struct datapath_opts *opts, struct datapath **ret, struct err *reterr);
/* Closes descriptors; what is pinned stays and goes on. */
void datapath_close(struct datapath *dp);
DEFINE_CLEANUP(struct datapath *, datapath_close)

struct maps *datapath_maps(struct datapath *dp);
const struct features *datapath_features(const struct datapath *dp);
/* The flow table, mapped read-only on the first call (and unmapped by datapath_unmap_flows). NULL when it cannot be. */
const struct flow_set *datapath_flows(struct datapath *dp);
void datapath_unmap_flows(struct datapath *dp);

enum attach_mode {
        ATTACH_NONE,
        ATTACH_TCX,
        ATTACH_CLSACT,
        ATTACH_XDP_NATIVE,
        ATTACH_XDP_GENERIC,
};

/* Each is idempotent: what is attached already is brought up to date, what somebody took away is put back. *ret_mode
 * may be NULL. 0 or negative errno. */
bool datapath_serves_sockets(const struct datapath *dp); /* KNOB_SOCK was given, and there is cgroup v2 */
int datapath_attach_sock(struct datapath *dp, struct err *reterr);
int datapath_detach_sock(struct datapath *dp);
/* True while all that datapath_attach_sock has attached is still in place. */
bool datapath_sock_attached(struct datapath *dp);
int datapath_attach_pod(struct datapath *dp, uint32_t ifindex, struct err *reterr);
int datapath_attach_overlay(struct datapath *dp, uint32_t ifindex, struct err *reterr);
int datapath_attach_uplink(struct datapath *dp, uint32_t ifindex, enum attach_mode *ret_tc, enum attach_mode *ret_xdp,
                           struct err *reterr);
/* The loopback device: only where sockets are not served (datapath_serves_sockets), else -EOPNOTSUPP. */
int datapath_attach_lo(struct datapath *dp, uint32_t ifindex, struct err *reterr);
/* Whatever is attached there, and its pins; also when the device is gone. */
void datapath_detach(struct datapath *dp, uint32_t ifindex);
/* True while all that was attached to the device (and not detached by datapath_detach) is still in place. */
bool datapath_attached(struct datapath *dp, uint32_t ifindex);
/* Forgets pins of devices that keep() does not want: of a former life. */
void datapath_prune(struct datapath *dp, bool (*keep)(void *userdata, uint32_t ifindex), void *userdata);

/* Removes every link, program and map that is pinned below pin_root, of any version, and clsact filters of ours. */
int datapath_cleanup(const char *pin_root, struct err *reterr);
