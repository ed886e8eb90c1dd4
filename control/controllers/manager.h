/* SPDX-License-Identifier: Apache-2.0 */
/* The engine at work in a process: fed by informers, run by the loop. */
#pragma once

#include "controllers/engine/engine.h"
#include "runtime/process.h"

struct manager;

/* Follows everything that the chosen controllers watch; writes nothing before manager_lead. 0, or -EINVAL when
 * config->controllers names one that there is not. */
int manager_new(struct process *p, const struct config *config, struct manager **ret, struct err *reterr);
void manager_lead(struct manager *m);
/* NULL: every informer has its state. */
const char *manager_unready(const struct manager *m);
void manager_metrics(struct manager *m, struct strbuf *b);
void manager_free(struct manager *m);

/* "*", "*,-cronjob", "deployment,replicaset": 0, or -EINVAL with the names that there are. */
int manager_check_names(const char *names, struct err *reterr);
