/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A container's log file, which never grows beyond its limit: it is renamed to PATH.YYYYMMDD-HHMMSS.MICROSECONDS and a
 * new one begun, and the oldest of those that were renamed goes. The shim does it by itself, at the line that would be
 * too much: a container that floods its log fills no disk, also while no kubelet runs.
 */
#pragma once

#include <stdint.h>
#include <sys/uio.h>

#define LOG_FILES_MAX   1000
#define LOG_SUFFIX_SIZE 24

struct log_file {
        const char *path;  /* NULL: there is no log */
        uint64_t limit;    /* bytes; 0: none */
        unsigned int keep; /* files in all, with the present one; 0: no limit to them */
        int fd;
        uint64_t bytes;
        unsigned int rotations;
        char rotated[LOG_FILES_MAX][LOG_SUFFIX_SIZE]; /* a ring; pages of it are touched as they are needed */
};

/* Appends to what is there. 0 or negative errno. */
int log_file_open(struct log_file *f);
/* A new file in the place of one that somebody has renamed; on failure the old one goes on. */
void log_file_reopen(struct log_file *f);
/* Whole lines. On a full disk they are lost, not half of them. */
void log_file_write(struct log_file *f, int64_t now_ns, const struct iovec *v, size_t n);
