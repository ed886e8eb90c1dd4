/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Which service addresses and node ports are in use, in memory: fed by the store's events, asked by every write of a
 * Service. It reserves nothing. A choice becomes true when the Service's own transaction puts the IPAddress object or
 * the port's key with the precondition that it does not exist, so two servers (or two threads) that chose the same lose
 * no more than one attempt.
 *
 * Choosing is a random start and a walk to the next free one, in the upper part of a range first: the lower part (the
 * static band, KEP-3070 and KEP-3668) is for those who name their address or port. All calls are thread-safe.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "apiserver/alloc/ipaddr.h"
#include "apiserver/kind.h"
#include "base/err.h"

#define ALLOC_IP_PREFIX   "/registry/ipaddresses/"
#define ALLOC_CIDR_PREFIX "/registry/servicecidrs/"
#define ALLOC_PORT_PREFIX "/registry/ranges/nodeports/"

enum alloc_outcome {
        ALLOC_FULL = 1,         /* nothing is free in any range */
        ALLOC_TAKEN = 2,        /* somebody has it */
        ALLOC_OUT_OF_RANGE = 3, /* outside of every range */
};

/* Ranges from config's service_cidr and node ports; config is not kept. Returns 0 or -EINVAL with the reason. */
int alloc_new(struct alloc **ret, const struct kind_config *config, struct err *reterr);
void alloc_free(struct alloc *a);
DEFINE_CLEANUP(struct alloc *, alloc_free)

/* The key is one that alloc_observe wants to hear of. */
bool alloc_watches(const char *key);
/*
 * One key of the store as it is now: its value, or NULL when it was deleted. To be called in revision order for every
 * key of the three prefixes, at load and for each event; other keys are ignored.
 */
void alloc_observe(struct alloc *a, const char *key, const char *data, size_t len);

/* A free address of the family (4 or 6). Returns 0 or ALLOC_FULL. */
int alloc_ip_next(struct alloc *a, int family, struct ipaddr *ret);
/* Whether that address may be had: 0, ALLOC_TAKEN or ALLOC_OUT_OF_RANGE. */
int alloc_ip_check(struct alloc *a, const struct ipaddr *ip);
/* Inside a range of that family, taken or not. */
bool alloc_ip_in_range(struct alloc *a, const struct ipaddr *ip);

/* Ports as a set of their own: what one Service has or has chosen. */
struct port_set {
        uint16_t *ports;
        size_t n, cap;
        struct arena *arena;
};

bool port_set_has(const struct port_set *s, uint16_t port);
void port_set_add(struct port_set *s, uint16_t port);

/* A free port that is not in `except`. Returns 0 or ALLOC_FULL. */
int alloc_port_next(struct alloc *a, const struct port_set *except, uint16_t *ret);
/* 0, ALLOC_TAKEN or ALLOC_OUT_OF_RANGE. */
int alloc_port_check(struct alloc *a, uint16_t port);
void alloc_port_range(const struct alloc *a, uint16_t *ret_first, uint16_t *ret_last);

/* For metrics and tests. */
size_t alloc_ips_used(struct alloc *a);
size_t alloc_ports_used(struct alloc *a);

/* The ServiceCIDR `kubernetes` that the configuration stands for; owned by the caller. */
struct json_object *alloc_default_service_cidr(const struct kind_config *config);
