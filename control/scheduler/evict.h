/* SPDX-License-Identifier: Apache-2.0 */
/* What is done for a preemption: victims get the condition DisruptionTarget and are deleted with their own grace
 * period, the pod is nominated for the node, and pods that were nominated there and have less priority are not any
 * more. */
#pragma once

struct pod;
struct preemption;
struct scheduler;

void evict_victims(struct scheduler *s, struct pod *preemptor, const struct preemption *p);
