/* SPDX-License-Identifier: Apache-2.0 */
/* What runs on each machine, and how its network is laid: machine.json, made of the cluster's description. */
#pragma once

#include "base/json.h"
#include "ctl/up/machine.h"

/* The spec (init.h), owned by the caller. Pure. Files with credentials are not in it. */
struct json_object *machine_spec(const struct cluster *c, const struct machine *m, bool kubelet);

/* Certificates and kubeconfigs of the cluster and all its nodes, what is there and good is kept. The administrator's
 * for the host is CLUSTER/kubeconfig. 0 or negative errno. */
int cluster_pki(const struct cluster *c, struct err *reterr);

/* Writes MACHINE/machine.json, with the credentials of that machine. 0 or negative errno. */
int machine_describe(const struct cluster *c, const struct machine *m, struct err *reterr);

/* Is that program in the cluster's folder of programs? */
bool cluster_has_program(const struct cluster *c, const char *program);
