/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The dataplane's programs, loaded for BPF_PROG_TEST_RUN, with maps of their own (nothing is pinned) in a network
 * namespace of the test's own that has a node's devices: two pods, an uplink with a default route, a vxlan device. One
 * lab a process; it goes with the process.
 */
#pragma once

#include <linux/bpf.h>

#include "bpf/abi/config.h"
#include "bpf/abi/maps.h"
#include "bpf/packet.h"
#include "datapath/map.h"

#define LAB_FLOW_SETS  256
#define LAB_MARK       0x00800000
#define LAB_VNI        1
#define LAB_BACKENDS   8     /* of a lab_service */
#define LAB_SNAT_PORT  61000 /* the only one there is */
#define LAB_NODEPORT   30080
#define LAB_MTU_UPLINK 1500
#define LAB_MTU_POD    1450

struct bpf_object;
struct bpf_program;

struct lab {
        struct knobs knobs;
        struct bpf_object *objects[8];
        int map[MAP_COUNT];
        int program[HOOK_COUNT];
        uint32_t pod_a, pod_b, uplink, vxlan; /* interface indexes */
        struct flow_set *flows;
        uint64_t *flow_marks; /* as many words */
        uint32_t route_epoch;
        uint32_t next_service, next_backend, next_line;
        int cpus;
};

/* Knobs as the agent would set them: tunnel, masquerade, redirect_peer, skbs
 * if the kernel shows them. */
struct knobs lab_knobs(void);
/* Makes the devices on the first call; loads the programs. Exits the process, with a message, when that fails: 77 when
 * BPF cannot be loaded here at all. With other knobs.flow_sets than LAB_FLOW_SETS all maps are as large as the objects
 * say. */
void lab_open(struct lab *ret, const struct knobs *knobs);
void lab_close(struct lab *lab);
/* Before lab_open: the objects, each of which has a map of that name for itself, have one together, as if they were one
 * object. */
void lab_share_scratch(const char *map);
/* No services, backends, flows, affinity and fragments; the node's routes and pods as in the beginning. */
void lab_reset(struct lab *lab);

struct lab_backend {
        enum who who;
        uint16_t port;
        uint8_t flags; /* BACKEND_LOCAL and BACKEND_HOST are set by who it is */
};

enum lab_ranges {
        LAB_IN_LOCAL = 1 << 0, /* the range for clients inside has only local backends */
        LAB_OUT_LOCAL = 1 << 1,
};

struct lab_service {
        enum who addr; /* ANY: a NodePort */
        uint16_t port;
        uint8_t proto;  /* 0: TCP */
        uint8_t ranges; /* enum lab_ranges */
        uint32_t flags; /* enum service_flags; SERVICE_RANGES is set by source_range */
        uint32_t affinity_s;
        enum who source_range; /* NOBODY: none; else that address alone is let in */
        struct lab_backend backends[LAB_BACKENDS];
};

/* Adds one, its address and its backends. Returns its id. */
uint32_t lab_service(struct lab *lab, const struct lab_service *service, int family);
/* Gives the backend's id to nobody: as when it was removed. */
void lab_remove_backends(struct lab *lab, enum who who, int family);
void lab_route(struct lab *lab, enum who who, uint32_t bits, const struct route *route, int family);
void lab_pod_limit(struct lab *lab, uint64_t egress_bps, uint64_t egress_burst);

struct lab_run {
        enum hook hook;
        uint32_t ifindex; /* 0: the hook's own (pod A's at the pods') */
        const struct packet *in;
        uint32_t mark;
        int verdict;
        uint32_t ret_mark;
        struct packet out;
};

/* 0, or the negative errno that the kernel gave. */
int lab_run(struct lab *lab, struct lab_run *run);

uint64_t lab_counter(struct lab *lab, enum hook hook, enum reason reason);
/* Live entries, in no order. Returns how many there are. */
size_t lab_flows(struct lab *lab, struct flow *ret, size_t max);
/* As if the flows had not been seen for so long. */
void lab_age_flows(struct lab *lab, uint32_t seconds);
/* As if the clients that have an affinity had not been seen for so long. */
void lab_age_affinity(struct lab *lab, uint32_t seconds);
void lab_clear_flows(struct lab *lab);
