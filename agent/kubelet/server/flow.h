/* SPDX-License-Identifier: Apache-2.0 */
/* Between a stream of a client's connection and a descriptor: a pump sends what it says, a sink writes what came. */
#pragma once

#include "agent/kubelet/server/link.h"

#define SINK_PENDING_MAX (64 * 1024)

struct pump {
        struct link *link;
        struct loop_fd *watch;
        uint32_t stream;
        int fd;       /* -1: none, or over */
        bool discard; /* nobody wants to hear it */
        bool blocked; /* there is no room on the connection */
        bool last;    /* what is there now is all */
        void (*over)(void *userdata);
        void *userdata;
};

/* Takes over fd, which becomes non-blocking. over is called once, never from here: fd's end was seen, and all was sent.
 */
int pump_open(struct pump *p, struct loop *loop, int fd, void (*over)(void *userdata), void *userdata);
/* There may be room again. */
void pump_resume(struct pump *p);
/* Nothing more will be written at the other end: when what is there was sent, it is over. May call over. */
void pump_last(struct pump *p);
void pump_close(struct pump *p);

struct sink {
        struct link *link;
        struct loop_fd *watch;
        int fd; /* -1: not yet, or no more */
        struct strbuf pending;
        size_t at;
        bool ending, dead, paused;
};

/* Takes over fd, which becomes non-blocking. What came before is written now. */
int sink_open(struct sink *s, struct loop *loop, int fd);
/* Everything is taken; too much of it pauses the connection. After the end it is dropped. */
void sink_write(struct sink *s, const char *data, size_t n);
/* Closed when all is written; of a socket, that half is over. */
void sink_end(struct sink *s);
void sink_close(struct sink *s);
