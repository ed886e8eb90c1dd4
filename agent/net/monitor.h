/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Notifications of the kernel: something about links, addresses, routes, neighbours, filters or forwarding has changed,
 * and was not done by the given socket. They are only a hint to look: what is lost (a full buffer) is told as a change.
 */
#pragma once

#include "base/loop.h"
#include "agent/net/rtnl.h"

struct monitor;

struct monitor_opts {
        struct loop *loop;
        uint32_t own_port; /* whose changes are not told */
        /* gone: the index of a link that was deleted, else 0. */
        void (*changed)(void *userdata, uint32_t gone);
        void *userdata;
};

int monitor_new(const struct monitor_opts *opts, struct monitor **ret, struct err *reterr);
void monitor_free(struct monitor *m);
DEFINE_CLEANUP(struct monitor *, monitor_free)
