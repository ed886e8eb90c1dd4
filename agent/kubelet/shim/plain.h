/* SPDX-License-Identifier: Apache-2.0 */
/* What the shim needs of a C library and does not take from stdio: text, small files, processes in groups. */
#pragma once

#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "agent/kubelet/shim/shim.h"

/* A line of text on the stack; what does not fit is cut. */
struct text {
        char s[512];
        size_t n;
};

void text_add(struct text *t, const char *s);
void text_add_i64(struct text *t, int64_t v);

/* All of it, whatever signals come. 0 or negative errno. */
int write_all(int fd, const void *data, size_t n);
/* At most size - 1 bytes and a NUL. Bytes, or negative errno. */
ssize_t read_file(int dirfd, const char *path, char *buf, size_t size);
int write_file(const char *path, const char *text);
/* Replaces name in the folder: readers see the old one, none, or all of the new one. 0 or negative errno. */
int write_file_atomic(int dirfd, const char *name, const char *text);

/* fork into a v2 group (NULL: the caller's), with clone's CLONE_NEW* flags. pid, 0 in the child, or negative errno. */
pid_t fork_into(const char *cgroup, uint64_t flags);
/* In a child: everything between fork_into and exec. Does not return when it fails; says why on standard error. */
void enter_groups(const struct shim_words *w);
void exec_command(const struct shim_words *w) __attribute__((__noreturn__));
/* Says "what: why" on standard error and gives 1. */
int complain(const char *what, int error);
