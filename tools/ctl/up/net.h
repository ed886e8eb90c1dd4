/* SPDX-License-Identifier: Apache-2.0 */
/* Networks of namespaces, by iproute2. */
#pragma once

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "base/err.h"

#define API_PORT 6443

/* Runs `ip -batch` with those lines, in the caller's network namespace. 0 or negative errno with what ip says. */
int net_ip(const char *lines, struct err *reterr);
/* ETHTOOL_SGRO, ETHTOOL_STXCSUM and so on, of a device in the caller's network namespace. */
int net_ethtool(const char *device, uint32_t command, uint32_t value, struct err *reterr);
/* Does port API_PORT of that IP address accept connections, within that time? */
bool net_accepts(const char *address, int patience_ms);
/* Calls fn in a child process that is in the network namespace of that process. Returns what it returns, its error
 * included. */
int net_within(pid_t pid, int (*fn)(void *userdata, struct err *reterr), void *userdata, struct err *reterr);
