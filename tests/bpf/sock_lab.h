/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The socket programs on a cgroup of the test's own, and a network namespace of its own in which all addresses of a
 * small cluster lie on the loopback device: the test's sockets are clients and servers. One lab a process.
 */
#pragma once

#include <stdbool.h>
#include <sys/socket.h>

#include "bpf/abi/config.h"
#include "bpf/abi/maps.h"
#include "datapath/map.h"

/* How a test's clients speak: each test runs in all three. */
enum tongue {
        V4,
        V6,
        MAPPED, /* IPv4 on an AF_INET6 socket */
        TONGUES,
};

/* Addresses, the same numbers in both families. */
enum place {
        ANY,
        LOOPBACK,
        VIP, /* the cluster IP of a service */
        VIP2,
        NO_VIP, /* in the service CIDR and nobody's */
        NODE,
        OTHER_NODE,
        OUTSIDE, /* an address on no list */
        POD1,    /* backends */
        POD2,
        POD3,
        POD4,
        PLACES,
};

#define POD_PORT 8080

struct sock_lab {
        struct maps maps;
        struct bpf_object *object;
        struct bpf_link *links[16];
        size_t n_links;
        uint32_t next_service, next_line;
        struct knobs knobs;
};

#define SOCK_LAB_SMALL 1024

/* Makes namespace and cgroup on the first call. max: elements of the maps. Without BPF or cgroup v2 the process ends
 * with 77. */
void sock_lab_open(struct sock_lab *ret, uint32_t knob_flags, uint32_t max);
void sock_lab_close(struct sock_lab *lab);

struct sock_service {
        enum place at; /* ANY: a NodePort */
        uint16_t port;
        uint8_t proto; /* 0: TCP */
        uint32_t flags;
        uint32_t affinity_s;
        uint32_t first, count; /* backends: POD1 + first and so on, all at POD_PORT */
};

/* Returns its id. Its backends' ids are id * 16 + 1 and so on, their generations 1. */
uint32_t sock_lab_service(struct sock_lab *lab, enum tongue t, const struct sock_service *s);
/* The backend's id becomes free and has another generation. */
void sock_lab_remove_backend(struct sock_lab *lab, uint32_t service, uint32_t index);
uint64_t sock_lab_counter(struct sock_lab *lab, enum reason reason);
struct service_stats sock_lab_stats(struct sock_lab *lab, uint32_t service);
/* As if the affinity, or the datagrams, were so old. */
void sock_lab_age(struct sock_lab *lab, uint32_t seconds);

struct addr place_addr(enum tongue t, enum place p);
/* As a socket of that tongue wants it. */
socklen_t place_sockaddr(enum tongue t, enum place p, uint16_t port, struct sockaddr_storage *ret);
/* "VIP:80", whatever the family; what is no place as it is. Static memory, for a few calls. */
const char *place_text(const struct sockaddr_storage *sa);

/* Another network namespace with a loopback that is up and has the pods' addresses: a pod. A descriptor. */
int sock_lab_pod_netns(void);
