/* SPDX-License-Identifier: Apache-2.0 */
/* Pinned iterators: files that print the tables as text (bpf/tables.bpf.c). */
#pragma once

#include "base/err.h"
#include "bpf/abi/config.h"
#include "datapath/map.h"

/* X(file, program, map) */
#define TABLES(X)                                                                                                      \
        X(services, show_services, SERVICES)                                                                           \
        X(backends, show_backends, BACKENDS)                                                                           \
        X(pods, show_pods, PODS)                                                                                       \
        X(flows, show_flows, FLOWS)

enum { TABLES_UNSUPPORTED = 1 };

/*
 * Pins <folder>/services and the like, in the place of those of a former agent, whose maps may be others. They go on
 * without the caller. 0; TABLES_UNSUPPORTED with the reason when this kernel has no such iterators, then none is left
 * there; or negative errno.
 */
int tables_pin(const struct maps *maps, const struct knobs *knobs, const char *folder, struct err *reterr);
