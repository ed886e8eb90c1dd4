/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The pod network: sandboxes are plugged into what the node's CNI configuration says.
 *
 * What a sandbox was plugged into is an attachment, a folder STATE/network/SANDBOX with all that DEL needs: written
 * before the first plugin is called, removed after the last one has said that all is gone. So what was added is taken
 * away by the configuration that it was added by, after any crash and after a boot, too. A plugin inherits the lock on
 * that folder: one that a killed kubelet has left behind is waited for, before the same sandbox is touched again.
 */
#pragma once

#include "agent/kubelet/runtime/builtin/impl.h"

struct pod_network;

/* Strings of rt->opts are used as long as it lives. 0 or negative errno. */
int pod_network_new(struct builtin *rt, struct pod_network **ret, struct err *reterr);
/* Plugins that run go on by themselves. */
void pod_network_free(struct pod_network *n);

/* Whether sandboxes can be plugged in now; *ret_why: why not, else "". Borrowed until the next call. */
bool pod_network_is_ready(struct pod_network *n, const char **ret_why);

/* Writes down what the sandbox is going to be plugged into. -EAGAIN: there is no configuration. */
int pod_network_prepare(struct pod_network *n, const char *id, const struct sandbox_config *c, struct err *reterr);

/* ips: of an ADD that succeeded; borrowed. May come before the call returns. */
typedef void (*pod_network_done_fn)(struct operation *op, int result, struct json_object *ips, const char *message);

/* Of op's sandbox, whose holder is there. */
void pod_network_add(struct operation *op, pod_network_done_fn done);
/* What is not plugged in, or no longer, is a success. The holder may be gone. */
void pod_network_del(struct operation *op, pod_network_done_fn done);

/* Takes away attachments of sandboxes that are gone, then tells the plugins what is valid (GC, where they know it). */
void pod_network_collect(struct pod_network *n, runtime_done_fn done, void *userdata);
