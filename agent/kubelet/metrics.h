/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "agent/kubelet/node/node.h"
#include "agent/kubelet/pods/pods.h"
#include "base/strbuf.h"

/* The kubelet's own figures as Prometheus text, by upstream's names where it has one. */
void kubelet_metrics(const struct pods *pods, const struct node *node, struct strbuf *b);
