/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What runs pods: sandboxes (the namespaces that a pod's containers share, with its network) and containers in them.
 * The built-in runtime (builtin/) implements it; another one may speak CRI.
 *
 * Everything happens on one loop. Calls that may take long give their result to a callback, once, never before they
 * return; calls about one sandbox are carried out in their order. Strings and arrays that are handed in are copied;
 * those handed out are borrowed during the callback.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/cleanup.h"
#include "base/err.h"
#include "base/loop.h"

#define RUNTIME_ID_SIZE 65

/* 0, or negative errno; message says what went wrong in words for an Event ("" when nothing). */
typedef void (*runtime_done_fn)(void *userdata, int result, const char *id, const char *message);

enum namespace_mode {
        NAMESPACE_POD,
        NAMESPACE_CONTAINER, /* pid alone: one for each container */
        NAMESPACE_NODE,
};

struct runtime_label {
        const char *key, *value;
};

struct port_mapping {
        uint16_t host_port, container_port;
        const char *protocol; /* "TCP", "UDP", "SCTP" */
        const char *host_ip;  /* or NULL */
};

/* -1: not said. swap_bytes is memory and swap together. */
struct container_resources {
        int64_t cpu_shares, cpu_quota_us, cpu_period_us, memory_bytes, swap_bytes, pids, oom_score_adj;
        const char *cpuset;
};

/* What the containers of a sandbox share. */
struct sandbox_config {
        const char *ns, *name, *uid; /* of the pod */
        uint32_t attempt;
        const char *hostname;    /* "" for the node's */
        const char *resolv_conf; /* the file's text; NULL: the node's */
        const char *log_folder;  /* of all containers */
        const char *cgroup;      /* the pod's group, relative to the hierarchies' roots: "kubepods/burstable/podUID" */
        enum namespace_mode network, pid, ipc;
        const struct port_mapping *ports;
        size_t nports;
        const struct runtime_label *sysctls, *labels, *annotations;
        size_t nsysctls, nlabels, nannotations;
        uint64_t ingress_bits, egress_bits;   /* bandwidth a second; 0: no limit */
        const char *const *ips;               /* addresses that it asks for; NULL-terminated, or NULL */
        bool user_namespace;                  /* hostUsers: false */
        struct container_resources resources; /* of the pod as a whole; what is not positive is not limited */
};

enum mount_propagation {
        PROPAGATION_PRIVATE,
        PROPAGATION_HOST_TO_CONTAINER,
        PROPAGATION_BIDIRECTIONAL,
};

struct container_mount {
        const char *source; /* on the node; opened below its volume by the caller, no links followed outside */
        const char *target; /* in the container */
        bool read_only, recursive_read_only;
        enum mount_propagation propagation;
};

struct container_device {
        const char *host_path, *container_path, *permissions;
};

enum seccomp_profile {
        SECCOMP_RUNTIME_DEFAULT,
        SECCOMP_UNCONFINED,
        SECCOMP_LOCALHOST, /* seccomp_file */
};

struct container_security {
        bool privileged, read_only_root, no_new_privileges;
        bool proc_unmasked;    /* procMount: Unmasked */
        int64_t uid, gid;      /* -1: the image's */
        const char *user;      /* the image's USER, used when uid is -1; or NULL */
        const int64_t *groups; /* supplementary */
        size_t ngroups;
        bool strict_groups; /* these alone; else those that the image's /etc/group has for the user, too */
        const char *const *add, *const *drop; /* capabilities without CAP_; "ALL"; NULL-terminated or NULL */
        enum seccomp_profile seccomp;
        const char *seccomp_file;
        const char *apparmor; /* profile, or NULL */
};

struct container_config {
        const char *name;                     /* of the container in its pod */
        uint32_t attempt;                     /* how often it was made before */
        const char *image;                    /* as the pod says it, for people */
        const char *image_id;                 /* of images.h: what it is made of */
        const char *const *argv, *const *env; /* NULL-terminated; env "NAME=value" */
        const char *cwd;
        const struct container_mount *mounts;
        size_t nmounts;
        const struct container_device *devices;
        size_t ndevices;
        const struct runtime_label *labels, *annotations;
        size_t nlabels, nannotations;
        struct container_security security;
        struct container_resources resources;
        const char *log_path; /* relative to the sandbox's log folder: "NAME/ATTEMPT.log" */
        bool tty, stdin, stdin_once;
        int stop_signal; /* the image's; 0: TERM */
};

enum sandbox_state {
        SANDBOX_READY,
        SANDBOX_NOT_READY, /* stopped, or its holder or network is gone */
};

struct sandbox_status {
        char id[RUNTIME_ID_SIZE];
        const char *uid, *ns, *name;
        uint32_t attempt;
        enum sandbox_state state;
        const char *netns;      /* path that can be opened; "" on the node's network */
        const char *const *ips; /* NULL-terminated; none on the node's network */
        int64_t created_ns;     /* wall clock */
        enum namespace_mode network;
};

enum container_state {
        CONTAINER_CREATED,
        CONTAINER_RUNNING,
        CONTAINER_EXITED,
        CONTAINER_UNKNOWN, /* its shim is gone without a word */
};

struct container_status {
        char id[RUNTIME_ID_SIZE], sandbox[RUNTIME_ID_SIZE];
        const char *name;
        uint32_t attempt;
        enum container_state state;
        const char *image, *image_id;
        int64_t created_ns, started_ns, finished_ns; /* wall clock; 0: not yet */
        int32_t exit_code, signal;
        bool oom_killed;
        const char *log_path; /* absolute */
        int64_t pid;          /* on the node; 0: it does not run */
        const char *hash;     /* label "fairlead.dev/hash": of the spec that it was made from */
};

/* What runs, of one pod (uid) or of all (NULL), each sandbox followed by its containers; from memory, at once. */
struct runtime_list {
        const struct sandbox_status *sandboxes;
        size_t nsandboxes;
        const struct container_status *containers;
        size_t ncontainers;
};

/* Streams of an exec or attach. Descriptors are the callee's to close; -1: none. */
struct runtime_streams {
        int in, out, err;
        bool tty;
};

struct exec_result {
        int32_t exit_code;
        const char *output; /* of exec_sync: both streams, cut at 64 KiB */
        size_t len;
        bool timed_out;
};

struct runtime_session; /* an exec or attach under way */

/* A command in a container. Callbacks come on the loop, never before exec returns, and not after session_end. */
struct exec_request {
        const char *const *argv;
        bool in, tty;
        /* Once: streams are there, and the callee's; or message says why the command could not be run. */
        void (*started)(void *userdata, int result, const struct runtime_streams *streams, const char *message);
        /* After started with 0, once: the process has ended; what it said is in the streams. */
        void (*ended)(void *userdata, int32_t exit_code);
        void *userdata;
};

struct runtime_ops {
        const char *(*version)(void *rt); /* "fairlead://0.1.0" */

        /* -EAGAIN: the network is not ready, or asks to try again. Whatever fails with an id is there, not ready, and
         * is to be removed. */
        void (*sandbox_run)(void *rt, const struct sandbox_config *c, runtime_done_fn done, void *userdata);
        /* Its containers are killed, its network is given back. What is gone already is a success; where the network
         * cannot be given back they fail, and are to be called again. */
        void (*sandbox_stop)(void *rt, const char *id, runtime_done_fn done, void *userdata);
        void (*sandbox_remove)(void *rt, const char *id, runtime_done_fn done, void *userdata);

        void (*container_create)(void *rt, const char *sandbox, const struct container_config *c, runtime_done_fn done,
                                 void *userdata);
        void (*container_start)(void *rt, const char *id, runtime_done_fn done, void *userdata);
        /* The stop signal (0: the image's, else TERM), then KILL after grace_ms. done when it has ended. */
        void (*container_stop)(void *rt, const char *id, int signal, uint64_t grace_ms, runtime_done_fn done,
                               void *userdata);
        void (*container_remove)(void *rt, const char *id, runtime_done_fn done, void *userdata);
        void (*container_update)(void *rt, const char *id, const struct container_resources *r, runtime_done_fn done,
                                 void *userdata);

        /* Whether sandboxes can get a network now; else *ret_why says why not (for the node's Ready condition),
         * borrowed until the next call. Cheap. */
        bool (*network_status)(void *rt, const char **ret_why);
        void (*list)(void *rt, const char *uid, struct runtime_list *ret);
        /* Something of that pod has changed by itself: a container ended, a holder died. */
        void (*on_change)(void *rt, void (*fn)(void *userdata, const char *uid), void *userdata);

        void (*exec_sync)(void *rt, const char *id, const char *const *argv, uint64_t timeout_ms,
                          void (*done)(void *userdata, int result, const struct exec_result *r), void *userdata);
        /* 0, -ENOENT: it does not run, or negative errno. The session is ended by session_end in any case. */
        int (*exec)(void *rt, const char *id, const struct exec_request *q, struct runtime_session **ret);
        /* Output from now on; the end of a stream is the end of what the container says. */
        int (*attach)(void *rt, const char *id, bool in, struct runtime_streams *ret,
                      struct runtime_session **ret_session);
        void (*resize)(struct runtime_session *s, uint16_t columns, uint16_t rows);
        /* Whoever does the session's work is gone: a command that still runs is killed (one with a terminal is hung up
         * before). The streams are not closed. */
        void (*session_end)(struct runtime_session *s);

        /* Asks the shim to go on in a new file, after the old one was renamed. */
        int (*reopen_log)(void *rt, const char *id);
        /* From the groups of the container: nanoseconds of CPU, bytes. 0, or -ENOENT. */
        int (*usage)(void *rt, const char *id, uint64_t *ret_cpu_ns, uint64_t *ret_memory, uint64_t *ret_working_set);
        void (*free)(void *rt);
};

struct runtime {
        const struct runtime_ops *ops;
        void *rt;
};
