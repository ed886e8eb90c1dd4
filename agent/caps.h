/* SPDX-License-Identifier: Apache-2.0 */
/* What the agent may do once it runs. */
#pragma once

#include "base/err.h"

/*
 * Keeps CAP_NET_ADMIN (devices, routes, TC), CAP_BPF and CAP_PERFMON (maps, programs), CAP_SYS_ADMIN (entering the
 * network namespaces of pods whose UDP sockets lost their backend) and CAP_SYS_PTRACE (finding them); no program that
 * is started later can get more. 0 or negative errno.
 */
int caps_drop(struct err *reterr);
