/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Wakes those who follow logs: when something in the log's folder was written, and when the container has ended. One
 * descriptor for all of them, and one question a second to the kubelet's loop while there is anybody.
 */
#pragma once

#include <stdatomic.h>

#include "agent/kubelet/runtime/runtime.h"
#include "http/http.h"

struct kubelet_server;
struct logwatch;

/* Embedded in who follows. */
struct log_follower {
        struct log_follower *prev, *next;
        struct http_stream *stream; /* woken */
        char container[RUNTIME_ID_SIZE];
        atomic_bool ended; /* the container writes no more */
        int watch;         /* inotify's; -1: looked at each second */
        bool added;
};

int logwatch_new(struct loop *loop, struct kubelet_server *s, struct logwatch **ret);
void logwatch_free(struct logwatch *w);

/* From any thread. */
void logwatch_add(struct logwatch *w, struct log_follower *f, const char *folder);
/* From any thread; nothing is woken after it. */
void logwatch_remove(struct logwatch *w, struct log_follower *f);
