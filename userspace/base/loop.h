/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Event loop: descriptors, timers, signals, and work posted by other threads; on libevent. A loop belongs to the thread
 * that runs it: everything below is to be called there (or before it runs), but for loop_post and loop_stop. Callbacks
 * may free their own source and any other.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/cleanup.h"

struct loop;
struct loop_fd;
struct loop_timer;
struct loop_signal;

/* 0 or negative errno. */
int loop_new(struct loop **ret);
/* Not from inside a callback; all sources must be gone. Work that was posted and has not run yet runs now, so that it
 * can release what it holds. */
void loop_free(struct loop *l);
DEFINE_CLEANUP(struct loop *, loop_free)

/* Runs until loop_stop. 0 or negative errno. Can be run again. */
int loop_run(struct loop *l);
/* Runs for that long at most (0: only what is ready). */
int loop_run_for(struct loop *l, uint64_t ms);
/* Any thread. Ends the present run (or the next one, when none is running) once its ready callbacks are done. */
void loop_stop(struct loop *l);

/* Any thread. fn runs once in the loop's thread, after everything posted before it. */
void loop_post(struct loop *l, void (*fn)(void *userdata), void *userdata);

enum {
        LOOP_READ = 1 << 0,
        LOOP_WRITE = 1 << 1,
};

/* fn is called with the ready ones of events as long as they are ready. The descriptor stays the caller's, who must
 * free the source before closing it. 0 or negative errno. */
int loop_fd_new(struct loop *l, int fd, unsigned int events, void (*fn)(void *userdata, unsigned int events),
                void *userdata, struct loop_fd **ret);
int loop_fd_set(struct loop_fd *f, unsigned int events);
void loop_fd_free(struct loop_fd *f);

/* A timer that is not armed. */
int loop_timer_new(struct loop *l, void (*fn)(void *userdata), void *userdata, struct loop_timer **ret);
/* Fires once, in that time from now; replaces an earlier setting. */
void loop_timer_set(struct loop_timer *t, uint64_t ms);
void loop_timer_set_ns(struct loop_timer *t, uint64_t ns);
void loop_timer_cancel(struct loop_timer *t);
void loop_timer_free(struct loop_timer *t);

int loop_signal_new(struct loop *l, int signo, void (*fn)(void *userdata), void *userdata, struct loop_signal **ret);
void loop_signal_free(struct loop_signal *s);
