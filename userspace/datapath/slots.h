/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Who has which part of the slot map, and which ids are given out: allocators that only keep books. A range that is
 * freed rests for a grace time before it is given out again, because a program that is running may still read it.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/cleanup.h"
#include "bpf/abi/maps.h"

enum { SLOTS_FULL = 1 };

struct slots;
int slots_new(uint32_t total, uint64_t grace_ms, struct slots **ret);
void slots_free(struct slots *s);
DEFINE_CLEANUP(struct slots *, slots_free)
/* 0, SLOTS_FULL, -ENOMEM. Size 0 gives {0, 0}. now_ms: clock_monotonic_ms or a test's. */
int slots_alloc(struct slots *s, uint32_t size, uint64_t now_ms, struct slot_range *ret);
/* Marks a range that a running dataplane uses already. 0, or -EEXIST when it overlaps another, -ERANGE. */
int slots_adopt(struct slots *s, struct slot_range range);
void slots_release(struct slots *s, struct slot_range range, uint64_t now_ms);
/* Those that somebody has; not those that rest. */
uint32_t slots_used(const struct slots *s);

/* Ids 1 to total - 1, lowest first, with the same grace. */
struct ids;
int ids_new(uint32_t total, uint64_t grace_ms, struct ids **ret);
void ids_free(struct ids *ids);
DEFINE_CLEANUP(struct ids *, ids_free)
int ids_alloc(struct ids *ids, uint64_t now_ms, uint32_t *ret); /* 0, SLOTS_FULL, -ENOMEM */
int ids_adopt(struct ids *ids, uint32_t id);                    /* 0, -EEXIST, -ERANGE */
void ids_release(struct ids *ids, uint32_t id, uint64_t now_ms);
uint32_t ids_used(const struct ids *ids);
bool ids_has(const struct ids *ids, uint32_t id); /* somebody does; not one that rests */
