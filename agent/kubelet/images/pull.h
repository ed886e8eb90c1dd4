/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A pull: resolve (what is the digest of that tag?) -> copy -> unpack -> settle (all on the disk? how large?) -> a
 * record. Each step is a program whose end calls the next. pull.c has the queue and those who wait, step.c the steps,
 * program.c runs a program and watches what it takes.
 */
#pragma once

#include "agent/kubelet/images/layout.h"
#include "agent/kubelet/images/reference.h"
#include "agent/kubelet/images/store.h"

struct waiter {
        struct waiter *next;
        image_done_fn done; /* NULL: was forgotten */
        void *userdata;
};

struct pull {
        struct pull *next;
        struct images *im;
        struct reference ref; /* what it will be called */
        char *source;         /* what to copy, in skopeo's words; NULL: to be resolved */
        bool source_is_local; /* it lies on the disk */
        char *load_entry;     /* the file of load/ that asks for it, or NULL */
        uint64_t load_inode;
        struct waiter *waiters;
        struct image_credentials *credentials;
        size_t ncredentials, credential; /* which one is tried; ncredentials: none */

        bool running;
        bool is_failed; /* before it began: refused and message say it */
        char *work;     /* tmp/RANDOM */
        char *digest;   /* "docker.io/library/nginx@sha256:...", of what the registry has; NULL: from the disk */
        struct layout layout;
        bool packs_again;           /* the copy is to make gzip of every layer */
        enum image_outcome refused; /* what the first credentials came to, when message says something */
        char message[600];

        struct loop_timer *timer;
        uint64_t asked_ms, told_ms;
        const char *doing;
        uint64_t total; /* bytes that the copy will take; 0: not known */

        /* The program that runs. */
        struct child *child;
        void (*ended)(struct pull *p, const struct child_end *end);
        uint64_t bytes, moved, moved_ms; /* written; all that was read and written, and when that last grew */
        bool is_quiet;                   /* it may do nothing for long */
        enum image_outcome stopped;      /* why it was killed, when stopped_why says something */
        char stopped_why[200];
};

/* --- step.c --- */

/* Begins. Its end is pull_finish. */
void step_begin(struct pull *p);

/* --- program.c --- */

#define PROGRAM_ARGS 32

struct program {
        const char *argv[PROGRAM_ARGS];
        const char *doing;
        bool is_quiet;
        size_t limit; /* of its output */
};

/* It dies with this process. ended is called when it has ended by itself; else pull_finish. */
void program_run(struct pull *p, const struct program *what,
                 void (*ended)(struct pull *p, const struct child_end *end));
/* Every so often while a program runs. */
void program_watch(struct pull *p);

/* --- pull.c --- */

/* image: NULL but for IMAGE_PULLED. Frees the pull. */
void pull_finish(struct pull *p, enum image_outcome outcome, const struct image *image, const char *message);
void pulls_free(struct images *im);
/* load_entry (taken over), inode: see above. */
void pull_load(struct images *im, const char *source, const char *reference, char *load_entry, uint64_t inode,
               image_done_fn done, void *userdata);

/* --- load.c --- */

int load_watch_new(struct images *im, struct err *reterr);
void load_watch_free(struct load_watch *w);
/* The image is there, or why says why not. */
void load_done(struct pull *p, const char *why);
