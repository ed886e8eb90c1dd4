/* SPDX-License-Identifier: Apache-2.0 */
/* Checks that the networking kinds share, and short ways to write paths. */
#pragma once

#include "apiserver/kinds/common.h"

/* Paths that live as long as the block they are written in: FP(FPI(ports, i), "name"). */
#define FP(up, child)  (&(struct fpath){.parent = (up), .name = (child)})
#define FPI(up, at)    (&(struct fpath){.parent = (up), .index = (at)})
#define FPK(up, value) (&(struct fpath){.parent = (up), .key = (value)})

/* NULL-terminated { "SCTP", "TCP", "UDP" } */
extern const char *const supported_protocols[];

/* The i-th text of an array, "" when it is not there. */
const char *str_at(const struct json_object *array, size_t i);

/* The member did not change; an absent one counts as the empty text. */
void check_immutable_str(struct ferrs *e, const struct fpath *parent, const struct json_object *obj,
                         const struct json_object *old, const char *name);
/* A member that must be a supported value; in the update case it may also stay what it was. */
void check_protocol(struct ferrs *e, const struct fpath *p, const char *protocol);
/* No unspecified, loopback, link-local or link-local multicast address: traffic is sent there. */
void check_endpoint_ip(struct ferrs *e, const struct fpath *p, const char *ip);
