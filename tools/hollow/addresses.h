/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Addresses: a node's own, and those of its pods out of its podCIDRs. A pod has the same place in each of them. Nobody
 * can be reached under any of them.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#define ADDRESSES_TEXT 46
#define PLACE_NONE     0

struct addresses {
        char cidrs[2][ADDRESSES_TEXT + 4]; /* "": none */
        uint64_t *taken;                   /* a bit for each place */
        uint32_t nwords;
};

/* Of the range for benchmarks of network devices, 198.18.0.0/15 (RFC 2544). */
void address_of_node(uint32_t index, char ret[ADDRESSES_TEXT]);
/* 256 pod addresses of the shared address space, 100.64.0.0/10 (RFC 6598), for a node that was given none. */
void addresses_make_up(struct addresses *a, uint32_t index);

void addresses_deinit(struct addresses *a);
/* Takes the lowest free place that all CIDRs have. PLACE_NONE when there is none. */
uint32_t addresses_take(struct addresses *a);
/* Takes the place of an address that a pod has already. PLACE_NONE when it is in none of the CIDRs. */
uint32_t addresses_adopt(struct addresses *a, const char *ip);
void addresses_release(struct addresses *a, uint32_t place);
/* The address at a place of the CIDR. False when that is none, or has no such place. */
bool address_at(const char *cidr, uint32_t place, char ret[ADDRESSES_TEXT]);
