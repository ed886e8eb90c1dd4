/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The life of a container beside its shim: output into the log and to who is attached, input from who is attached,
 * window sizes, reopening of the log (SIGHUP), and the end of its first process.
 *
 * Attaching: connect to the socket `attach` in the container's folder and send one byte. 'o' and 'e': output and error
 * output come from now on; 'i': what is sent goes to the input, whose end is the connection's when the container asked
 * for that (stdinOnce); 'r' and two 16-bit big-endian numbers: columns and rows of the terminal.
 */
#pragma once

#include <signal.h>
#include <stdbool.h>
#include <sys/types.h>

#include "agent/kubelet/shim/logfile.h"
#include "agent/kubelet/shim/logline.h"
#include "agent/kubelet/shim/shim.h"

#define CLIENTS_MAX 64

struct client {
        int fd;
        char kind; /* 0: it has not said yet */
};

struct container {
        const struct shim_words *words;
        int dir, signals, listener;
        int in, out, err; /* ends of the shim; -1: none any more. With a terminal in and out are the same */
        pid_t init;
        bool ended;
        int status; /* of wait, when ended */
        bool oom;
        int64_t finished_ns;
        struct client clients[CLIENTS_MAX];
        struct log_stream logs[2];
        struct log_file log;
        char input[4096]; /* what the container has not taken yet */
        size_t input_at, input_used;
};

int64_t wall_ns(void);
/* Returns when the first process has ended, its output is written, and no process of it is left. */
void serve(struct container *c);
