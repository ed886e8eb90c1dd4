/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A client's connection after 101: carries the bytes of its streams (channels.h) on a loop. Whoever sends minds the
 * backlog; who cannot take what comes pauses the reading.
 */
#pragma once

#include "agent/kubelet/server/channels.h"
#include "base/loop.h"

#define LINK_BACKLOG_MAX (256 * 1024)
#define LINK_IDLE_MS     (4 * 3600 * 1000ULL) /* upstream's streamingConnectionIdleTimeout */

struct link;

struct link_ops {
        struct stream_events streams;
        /* There is room again for who found the backlog too long. */
        void (*drained)(void *userdata);
        /* Once: the connection is over, by the client or after link_finish. The link is still to be freed. */
        void (*closed)(void *userdata);
};

/* Takes over fd, also when it fails. Callbacks never come from inside this call. 0 or negative errno. */
int link_new(struct loop *loop, int fd, enum channels_kind kind, const struct link_ops *ops, void *userdata,
             struct link **ret);
void link_free(struct link *l);

/* Bytes that may be sent on that stream now: 0 when its window or the connection's backlog is full. */
size_t link_room(const struct link *l, uint32_t stream);
void link_send(struct link *l, uint32_t stream, const char *data, size_t n);
void link_close(struct link *l, uint32_t stream);
/* Counted: reading goes on when all who paused it have resumed. */
void link_pause(struct link *l);
void link_resume(struct link *l);
/* Says goodbye; closed follows when all is out and the client has gone, too, or after a moment. */
void link_finish(struct link *l);
