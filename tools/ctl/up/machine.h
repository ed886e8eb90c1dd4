/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The machines of a cluster: a set of namespaces each, with a first process (init.h) whose death is a power cut. The
 * fabric is the bridge and router that the others are plugged into; the client is a host outside of the cluster.
 *
 *     MACHINE/machine.json   what its first process is to do (spec.h)
 *     MACHINE/disk/          what outlives it: var/, and what differs from the host's /etc
 *     MACHINE/log/           what its programs say
 *     MACHINE/pid            of its first process, for the host; holds while MACHINE/lock is locked
 *     MACHINE/status.json    what its programs are doing (init.h)
 */
#pragma once

#include <sys/types.h>

#include "ctl/up/cluster.h"
#include "ctl/up/groups.h"

enum machine_role {
        MACHINE_FABRIC,
        MACHINE_CONTROL_PLANE,
        MACHINE_CLIENT,
        MACHINE_NODE,
};

struct machine {
        enum machine_role role;
        unsigned number; /* of a node */
        char name[24];   /* "fabric", "control-plane", "client", "node-1" */
};

struct machine machine_of(enum machine_role role, unsigned number);
struct machine machine_node(unsigned number);
/* 0, or -ENOENT with the names that there are. */
int machine_find(const struct cluster *c, const char *name, struct machine *ret, struct err *reterr);
/* Calls fn with each machine of the cluster, the fabric first, until it returns other than 0. */
int machines_each(const struct cluster *c, int (*fn)(void *userdata, const struct machine *m), void *userdata);

/* MACHINE/FILE; file NULL: the folder. The caller frees it. */
char *machine_path(const struct cluster *c, const struct machine *m, const char *file);
/* "fairlead+dev/node-1". The caller frees it. */
char *machine_group(const struct cluster *c, const struct machine *m);

/* Its addresses, those of the cluster's families with a comma between them. Returns buf. */
const char *machine_addresses(const struct cluster *c, const struct machine *m, char buf[static 2 * PLAN_SIZE]);

/* The first process, for this pid namespace; 0: the machine is off. */
pid_t machine_pid(const struct cluster *c, const struct machine *m);

/* A machine that is being started; fd -1: none. Closing fd before it said that it is up ends it. */
struct booting {
        struct machine machine;
        int fd;
};

/*
 * Makes groups and namespaces, plugs the machine in, and lets its first process begin. The cluster is locked, and the
 * fabric (for others than itself) is up. listen_fd: a listening socket that the machine gets, or -1. 0 or negative
 * errno.
 */
int machine_start(const struct cluster *c, const struct hierarchies *h, const struct machine *m, int listen_fd,
                  struct booting *ret, struct err *reterr);
/* Waits until it is up: file systems and network are there and its programs are started. 0 or negative errno with what
 * went wrong. */
int machine_await(struct booting *b, struct err *reterr);

/* SIGKILL of its first process, and the end of whatever is in its groups: the power is off when this returns. 0,
 * or negative errno. Does nothing when it is off. */
int machine_cut(const struct cluster *c, const struct hierarchies *h, const struct machine *m, struct groups_end *ret,
                struct err *reterr);
