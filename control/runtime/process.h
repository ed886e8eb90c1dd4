/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A program that follows the API and of which one replica acts: command line, log, kubeconfig, client, leader election
 * by Lease, /healthz, /readyz and /metrics, signals. The controllers' manager and the scheduler are such programs.
 *
 * A standby follows the API too, so that it is ready when its turn comes. A leader that has lost its Lease ends at
 * once, with status 1, and is started again by whoever runs it: nothing of what it was doing can go on by mistake.
 */
#pragma once

#include "base/err.h"
#include "base/flags.h"
#include "base/loop.h"
#include "base/strbuf.h"
#include "kube/client.h"
#include "kube/events.h"

struct process;

struct process_program {
        const char *name;      /* "fairlead-scheduler" */
        const char *component; /* "kube-scheduler": name of the Lease, as upstream's, so that both never act at once */
        const char *event_source; /* source.component of Events: "default-scheduler" */
        const char *introduction; /* the help's first lines */
        const char *permissions;  /* its last ones; or NULL */
        const char *address;      /* of /healthz and /metrics by default: "127.0.0.1:10259" */
        const struct flag *flags;
        size_t nflags;
        void *config; /* that the flags are written into */

        /* All below get userdata. */
        void *userdata;
        /* Flags are parsed, nothing has begun. What is wrong with them is said in reterr. Or NULL. */
        int (*check)(void *userdata, struct err *reterr);
        /* Loop, client and recorder are there: make and start the informers. */
        int (*start)(void *userdata, struct process *p, struct err *reterr);
        void (*lead)(void *userdata); /* from now on it acts */
        /* NULL: ready; else why not. */
        const char *(*unready)(void *userdata);
        void (*metrics)(void *userdata, struct strbuf *b);
        void (*stop)(void *userdata); /* free everything; no callback follows */
};

/* The whole program; returns its exit status. */
int process_main(const struct process_program *program, int argc, char **argv);

struct loop *process_loop(const struct process *p);
struct kube_client *process_client(const struct process *p);
struct events *process_events(const struct process *p);
const struct kubeconfig *process_kubeconfig(const struct process *p);
bool process_leads(const struct process *p);
/* Ends it with a message on stderr and that status, once the loop is back. */
void process_fail(struct process *p, int status, const char *fmt, ...) _printf_(3, 4);
