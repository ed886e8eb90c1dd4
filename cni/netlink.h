/* SPDX-License-Identifier: Apache-2.0 */
/*
 * rtnetlink in batches: messages are built by libnl and sent together, because each system call and each wakeup counts
 * in a program whose whole life is two milliseconds. A socket belongs to the network namespace it was made in.
 */
#pragma once

#include <netlink/msg.h>
#include <stdint.h>

#include "base/err.h"
#include "base/strbuf.h"

#define NETLINK_BATCH_MAX 32

struct netlink {
        int fd;
        uint32_t first_seq, count;
        struct strbuf out;
        struct {
                char what[96]; /* for messages: "create the veth pair" */
                int tolerated; /* an errno that is as good as success here; 0: none */
                int result;
        } steps[NETLINK_BATCH_MAX];
};

#define NETLINK_NULL ((struct netlink){.fd = -1})

/* In the thread's present network namespace. 0 or negative errno. */
int netlink_open(struct netlink *ret, struct err *reterr);
void netlink_close(struct netlink *nl);

/* A new request of that type and flags (NLM_F_*; NLM_F_REQUEST and NLM_F_ACK are added) with its fixed header. */
struct nl_msg *netlink_request(int type, int flags, const void *header, size_t n);
/* Adds it to the batch and frees it. what: for messages. Returns the step. */
uint32_t netlink_add(struct netlink *nl, struct nl_msg *msg, int tolerated, const char *what, ...) _printf_(4, 5);
/* Sends the batch and waits for all answers. 0 or the first negative errno that was not tolerated, with a message that
 * names the step. ret_failed, when not NULL, is then that step. The kernel goes on after a failed step. */
int netlink_run(struct netlink *nl, uint32_t *ret_failed, struct err *reterr);

/* Sends one dump or get request (freed) and calls back for each answer. 0 or negative errno. */
int netlink_ask(struct netlink *nl, struct nl_msg *msg, void (*call)(struct nlmsghdr *h, void *userdata),
                void *userdata, struct err *reterr);
