/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A cluster of this machine: what it is made of, where it is kept, and its addresses. Everything of it is below its
 * folder, /var/lib/fairlead/clusters/NAME, in the cgroup fairlead+NAME of each hierarchy, and in namespaces of its own.
 *
 *     NAME/cluster.json        what was asked for
 *     NAME/kubeconfig          the administrator's, for the host
 *     NAME/machines/MACHINE/   machine.h
 */
#pragma once

#include <netinet/in.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"

#define CLUSTERS        "/var/lib/fairlead/clusters"
#define CLUSTER_DEFAULT "fairlead"
#define CLUSTER_NODES   100
#define CLUSTER_NUMBERS 60
#define CLUSTER_GROUP   "fairlead+" /* no systemd unit's: their names have no + (and fairlead.slice may be one) */

struct cluster {
        char name[24];
        unsigned number; /* 1 to CLUSTER_NUMBERS, of no other cluster here: its networks follow from it */
        bool v4, v6, native;
        uint16_t port;  /* of 127.0.0.1, where the API server is reached from the host */
        char *programs; /* the folder of fairlead's programs */
        char *folder;
        unsigned nodes[CLUSTER_NODES]; /* numbers, from 1 */
        size_t nnodes;
        int lock; /* -1: not held */
};

#define CLUSTER_NULL ((struct cluster){.lock = -1})

/* May a cluster be called so? NULL, or what a name must be. */
const char *cluster_name_error(const char *name);

enum { CLUSTER_NONE = 1 };

/* Reads a cluster; its lock is not taken. 0, CLUSTER_NONE when there is no such cluster (reterr says which there are),
 * or negative errno. */
int cluster_load(const char *name, struct cluster *ret, struct err *reterr);
/* Takes the cluster for changes, and waits for whoever has it; makes its folder when `make`. Then reads it, as
 * cluster_load. After CLUSTER_NONE with `make` name, folder and lock are set. */
int cluster_take(const char *name, bool make, struct cluster *ret, struct err *reterr);
/* Takes it without reading it. 0 with name, folder and lock, CLUSTER_NONE, or negative errno. */
int cluster_lock(const char *name, bool make, struct cluster *ret, struct err *reterr);
int cluster_save(const struct cluster *c, struct err *reterr);
void cluster_deinit(struct cluster *c);
#define _cleanup_cluster_ _cleanup_(cluster_deinit)

/* Gives it a number that no other cluster of this machine has, and saves it. 0 or negative errno. */
int cluster_number(struct cluster *c, struct err *reterr);
/* Calls fn with the name of each cluster that has left something, a folder or a group, until it returns other than 0.
 */
int clusters_each(int (*fn)(void *userdata, const char *name), void *userdata);

void cluster_add_node(struct cluster *c, unsigned number);
void cluster_drop_node(struct cluster *c, unsigned number);
bool cluster_has_node(const struct cluster *c, unsigned number);

/* ---- addresses (plan.c; pure)
 *
 * |                          | IPv4               | IPv6                |
 * |---|---|---|
 * | fabric of cluster N      | 198.18.N.0/24      | fd10:18:0:N::/64    |
 * | the client behind it     | 198.19.N.10/24     | fd10:19:0:N::10/64  |
 * | pods                     | 10.(128 + N).0.0/16 | fd10:128:N::/48    |
 * | services                 | 10.(64 + N).0.0/16 | fd10:64:N::/112     |
 */
#define PLAN_SIZE (INET6_ADDRSTRLEN + 8)

enum plan_host {
        PLAN_GATE = 1, /* outside: the fabric's router, as the client sees it */
        PLAN_API = 2,
        PLAN_CLIENT = 10, /* outside */
        PLAN_NODES = 10,  /* node 1 has the next one */
        PLAN_ROUTER = 254,
};

/* Of IPv4, or IPv6 with v6. Each returns buf. */
const char *plan_fabric(const struct cluster *c, bool v6, unsigned host, char buf[static PLAN_SIZE]);
const char *plan_outside(const struct cluster *c, bool v6, unsigned host, char buf[static PLAN_SIZE]);
const char *plan_pods(const struct cluster *c, bool v6, char buf[static PLAN_SIZE]);
const char *plan_services(const struct cluster *c, bool v6, char buf[static PLAN_SIZE]);
const char *plan_service(const struct cluster *c, bool v6, unsigned host, char buf[static PLAN_SIZE]);
/* Those of the cluster's families, with a comma between them: by one of the functions above without a host. */
const char *plan_both(const struct cluster *c, const char *(*fn)(const struct cluster *c, bool v6, char *buf),
                      char buf[static 2 * PLAN_SIZE]);
