/* SPDX-License-Identifier: Apache-2.0 */
/* node.json, for the CNI plugin, and the network configuration list, for container runtimes (agent/README.md). */
#pragma once

#include "agent/config.h"
#include "agent/net/inputs.h"
#include "base/strbuf.h"

/* The texts: pure. */
void node_json_text(const struct net_inputs *in, uint32_t mtu, struct strbuf *ret);
void conflist_text(const struct agent_config *config, struct strbuf *ret);

enum { CONFLIST_WRITTEN = 1 };
/* Writes a file atomically unless that is its content. 0, CONFLIST_WRITTEN, or negative errno. */
int conflist_write(const char *folder, const char *name, const struct strbuf *text, mode_t mode, struct err *reterr);
/* 0, also when there is none. */
int conflist_remove(const char *folder, const char *name, struct err *reterr);
