/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A route netlink socket for requests: each is sent and its answer awaited (the kernel answers before it returns, so
 * nothing blocks). Requests are built in a struct rtnl_msg on the stack.
 */
#pragma once

#include <linux/netlink.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/cleanup.h"
#include "base/err.h"
#include "bpf/abi/types.h"

struct rtnl;

int rtnl_open(struct rtnl **ret, struct err *reterr);
void rtnl_close(struct rtnl *r);
DEFINE_CLEANUP(struct rtnl *, rtnl_close)
/* The sender's id in notifications of what this socket did. */
uint32_t rtnl_port(const struct rtnl *r);

#define RTNL_MSG_SIZE 512

struct rtnl_msg {
        union {
                struct nlmsghdr header;
                char bytes[RTNL_MSG_SIZE];
        };
};

/* A message of that type with a zeroed family header of that size, which is returned. */
void *rtnl_msg_init(struct rtnl_msg *m, uint16_t type, uint16_t flags, size_t header_size);
/* Attributes; the caller keeps to RTNL_MSG_SIZE (it is asserted). */
void rtnl_put(struct rtnl_msg *m, uint16_t type, const void *data, size_t size);
void rtnl_put_u8(struct rtnl_msg *m, uint16_t type, uint8_t v);
void rtnl_put_u16(struct rtnl_msg *m, uint16_t type, uint16_t v);
void rtnl_put_u32(struct rtnl_msg *m, uint16_t type, uint32_t v);
void rtnl_put_str(struct rtnl_msg *m, uint16_t type, const char *s);
/* 4 or 16 bytes, as the family wants. */
void rtnl_put_addr(struct rtnl_msg *m, uint16_t type, const struct addr *a);
struct nlattr *rtnl_nest(struct rtnl_msg *m, uint16_t type);
void rtnl_nest_end(struct rtnl_msg *m, struct nlattr *nest);

/* Sends and waits for the acknowledgement. 0, or the kernel's negative errno; *reterr gets the kernel's own words where
 * it has some. */
int rtnl_do(struct rtnl *r, struct rtnl_msg *m, struct err *reterr);

typedef void (*rtnl_dump_fn)(void *userdata, const struct nlmsghdr *answer);
/* Sends a dump request and calls fn with each answer. A dump that changed under way is done again, after restart() has
 * thrown away what was got. 0 or negative errno. */
int rtnl_dump(struct rtnl *r, struct rtnl_msg *m, rtnl_dump_fn fn, void (*restart)(void *userdata), void *userdata,
              struct err *reterr);
/* Sends a request for one object, whose answer goes to fn. */
int rtnl_get(struct rtnl *r, struct rtnl_msg *m, rtnl_dump_fn fn, void *userdata, struct err *reterr);
