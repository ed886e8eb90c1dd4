/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Kernel settings below /proc/sys that forwarding pods' packets needs. A table of what is wanted; what cannot be there
 * (no IPv6) is left out.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "agent/net/problems.h"

#define SYSCTL_PATH_SIZE 96

/* Decides on a value that is there: NULL when it will do, else the one to write. */
const char *sysctl_off(int64_t value);
const char *sysctl_on(int64_t value);
const char *sysctl_accept_ra(int64_t value); /* 1 stops working when forwarding is on, 2 does not */

/* path as in net/ipv4/ip_forward. 0, -ENOENT, or negative errno. */
int sysctl_read(const char *path, int64_t *ret);
int sysctl_write(const char *path, const char *value);

enum { SYSCTL_CHANGED = 1 };
/* Puts right what decide() does not like. 0, also when there is no such file; SYSCTL_CHANGED; or negative errno with
 * the problem added. */
int sysctl_ensure(const char *path, const char *(*decide)(int64_t value), struct problems *problems);
/* The same for net/<family>/conf/<device>/<name>. */
int sysctl_ensure_device(const char *family, const char *device, const char *name, const char *(*decide)(int64_t value),
                         struct problems *problems);
/* The kernel goes by the greater of net/ipv4/conf/all/rp_filter and the device's own. This hands the value of all down
 * to every device but ours, and to those to come, so that it is in force as before, and clears it. 0, SYSCTL_CHANGED,
 * or negative errno with the problem added. */
int sysctl_lower_rp_filter(bool (*is_ours)(const char *device), struct problems *problems);
