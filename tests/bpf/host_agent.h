/* SPDX-License-Identifier: Apache-2.0 */
/* The loader's side of an agent on the test's host (host.h), one at a time. What fails, fails the test that runs. */
#pragma once

#include "bpf/host.h"

#define SOCK_PROGRAMS 8       /* without bind protection */
#define OWN_PINS      "*[!g]" /* all but progs.debug and maps.debug, which the kernel puts into a bpffs */

/* Small maps, so that a start is quick. */
struct datapath_opts agent_options(void);
struct datapath *agent_open(const struct datapath_opts *opts);
struct datapath *agent_start(void);
void agent_close(struct datapath *dp);
/* The programs of a pod at pod0, of an uplink at nic0, and of sockets. */
void agent_attach(struct datapath *dp);
bool agent_holds(struct datapath *dp);

/* Frames from the pod, without a pause, by a thread; how many it has sent. */
void sender_start(void);
uint32_t sender_stop(void);

/* A test's teardown: ends the agent and the sender that a test which failed has left, and removes every trace. */
int agent_clean(void **state);
