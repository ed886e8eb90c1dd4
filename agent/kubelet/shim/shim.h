/* SPDX-License-Identifier: Apache-2.0 */
/*
 * fairlead-shim: the small program that stays beside pods, one process a sandbox and one a container. It is static,
 * never allocates and never uses stdio, so that a hundred of them cost less than one ordinary daemon.
 *
 *     fairlead-shim holder    KEY=VALUE...              keeps a sandbox's namespaces by its life
 *     fairlead-shim container KEY=VALUE... -- crun ...  parent, log writer and exit witness of one container
 *     fairlead-shim enter     KEY=VALUE... -- crun ...  runs a command in a container's groups and ends as it ends
 *
 * holder and container come back as soon as what they started is there: they print its pid, or say on standard error
 * what went wrong and end with 1. What stays holds the lock that it inherited on descriptor `lock`, which is how others
 * see that it lives.
 *
 * In its folder: `holder` or `shim` (its pid), `pid` (of the container's first process, by crun), `attach` (serve.h),
 * and last `exit`: "CODE SIGNAL OOM FINISHED_NS", where CODE is 128 + SIGNAL for who was killed by one.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#define SHIM_WORDS_MAX 64

/* The command line. Strings are argv's. */
struct shim_words {
        const char *dir;        /* the sandbox's or container's folder; files below are written there */
        const char *cgroup;     /* v2 group of what is started, an absolute path; or NULL */
        const char *home;       /* v2 group of the shim itself; or NULL */
        const char *v2root;     /* where cgroup v2 is mounted in a hybrid layout, which crun refuses; or NULL */
        const char *oom;        /* the file whose line "oom_kill N" counts kills; or NULL */
        const char *log;        /* the container's log; or NULL */
        const char *hostname;   /* or NULL */
        const char *oom_adj;    /* oom_score_adj of a command, which would else have the kubelet's; or NULL */
        const char *v1[8];      /* cgroup.procs files to write oneself into */
        const char *sysctl[32]; /* "net/ipv4/x=1" */
        size_t nv1, nsysctl;
        int lock;                          /* or -1 */
        unsigned int log_limit, log_files; /* bytes, and files in all (logfile.h); 0: no limit */
        bool net, ipc, uts, pid;
        bool tty, stdin_open, stdin_once;
        char *const *command; /* behind "--"; NULL-terminated; or NULL */
};

int shim_holder(const struct shim_words *w);
int shim_container(const struct shim_words *w);
int shim_enter(const struct shim_words *w);
