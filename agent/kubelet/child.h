/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Child processes on a loop: whatever may take long is one. Their output is collected to a bound, they are killed with
 * their whole process group when their time is up, and nobody waits for them.
 *
 * Processes whose parent has died (shims, which their launchers leave behind) come to this process, too, and are reaped
 * here; so a process has one `struct children`, and nothing else in it waits for children.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "base/cleanup.h"
#include "base/loop.h"

struct children;
struct child;

/* Makes this process the reaper of its descendants. 0 or negative errno. */
int children_new(struct loop *l, struct children **ret);
/* Children that still run are left alone and nobody hears of their end. */
void children_free(struct children *cs);
DEFINE_CLEANUP(struct children *, children_free)

struct child_opts {
        const char *const *argv; /* argv[0] is a path */
        const char *const *env;  /* NULL: PATH and nothing else */
        const char *input;       /* standard input, a copy of input_len bytes; NULL: none */
        size_t input_len;
        int in, out, err;    /* descriptors in its place; 0: see input, collected, collected */
        int lock;            /* becomes descriptor 3; 0: none */
        size_t limit;        /* bytes that are kept of each output; 0: 64 KiB */
        uint64_t timeout_ms; /* 0: none */
};

struct child_end {
        int status; /* of wait; 0: it ended well */
        bool timed_out, truncated;
        char *out, *err; /* what it said, NUL-terminated, never NULL; borrowed */
        size_t out_len, err_len;
};

typedef void (*child_done_fn)(void *userdata, const struct child_end *end);

/* done is called once, on the loop, never from here; after child_forget not at all. ret may be NULL. 0 or negative
 * errno.
 */
int child_start(struct children *cs, const struct child_opts *opts, child_done_fn done, void *userdata,
                struct child **ret);
pid_t child_pid(const struct child *c);
/* KILL to its process group; its end is told as ever. */
void child_kill(struct child *c);
/* Nobody is told of its end. */
void child_forget(struct child *c);

/* One sentence about an end that was no success: what it said on standard error, else how it ended. Returns buf. */
const char *child_why(const struct child_end *end, char *buf, size_t size);
