/* SPDX-License-Identifier: Apache-2.0 */
/* The programs on a cluster's machines, as their first processes tell: what runs, and what it said. */
#pragma once

#include "ctl/up/machine.h"

struct service_state {
        struct machine machine;
        const char *name; /* "apiserver" */
        int pid;          /* inside of the machine; 0: it does not run */
        unsigned starts;
        const char *last; /* how it ended; NULL: it has not */
};

/* Calls fn with each program of the machines that are on, until it returns other than 0. */
int services_each(const struct cluster *c, int (*fn)(void *userdata, const struct service_state *s), void *userdata);
/* The path of its log. The caller frees it. */
char *service_log(const struct cluster *c, const struct machine *m, const char *name);
/* The last lines of it, owned by the caller, never NULL. */
char *service_tail(const struct cluster *c, const struct machine *m, const char *name, unsigned lines);
/* "kubelet@node-1", "apiserver", "init@fabric": 0, or -ENOENT with what there is. */
int service_find(const struct cluster *c, const char *word, struct machine *ret_machine, char *ret_name, size_t size,
                 struct err *reterr);
