/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The loaded programs with a world's tables, for BPF_PROG_TEST_RUN. Services come into the maps as they do on a node:
 * by the agent's desired_service and apply. Time stands still for the programs (a second of very many jiffies), and
 * passes when the rig makes what was seen older.
 */
#pragma once

#include "model/model.h"

struct rig;

/* Loads the programs. One at a time. folder: of the objects, "<build>/bpf" being below it. */
struct rig *rig_open(const struct knobs *knobs);
void rig_close(struct rig *rig);
const struct devices *rig_devices(const struct rig *rig);

/* Empties all tables and makes those of that world. */
void rig_begin(struct rig *rig, const struct world *world);
/* The world has changed. */
void rig_changed(struct rig *rig, const struct world *world);
/* Takes the services off again; false: something of them stayed behind (printed). */
bool rig_end(struct rig *rig);
const struct ids *rig_ids(const struct rig *rig);

void rig_clock(struct rig *rig, uint32_t seconds);
void rig_spend_answers(struct rig *rig);
/* Sets what a pod has used of its bandwidth, in bits. */
void rig_debt(struct rig *rig, const struct world *world, unsigned pod, bool egress, uint32_t bits);
void rig_run(struct rig *rig, const struct event *e, struct observed *ret);
/* Of the table as it is. False: there is none of that key. now: the model's. */
bool rig_find(const struct rig *rig, const struct tuple *key, struct seen_half *ret);
size_t rig_halves(const struct rig *rig, struct seen_half *ret, size_t max);
/* Since the id was given out. */
void rig_stats(struct rig *rig, uint32_t id, struct service_stats *ret);
