/* SPDX-License-Identifier: Apache-2.0 */
/* What somebody wants to watch, as the kernel's filter. Pure functions. */
#pragma once

#include "base/err.h"
#include "bpf/abi/monitor.h"

/* Each: 0, or -EINVAL and what would be right. They add to the filter. */
int monitor_filter_address(struct monitor_address *ret, const char *flag, const char *text, struct err *reterr);
int monitor_filter_port(__be16 *ret, const char *text, struct err *reterr);
int monitor_filter_proto(struct monitor_filter *f, const char *text, struct err *reterr);
/* bits: 0 at first. */
int monitor_filter_hook(uint32_t *bits, const char *text, struct err *reterr);
int monitor_filter_reason(uint32_t *bits, const char *text, struct err *reterr);
/* pass, translate, forward, drop: reasons, and for translate that something was rewritten. */
int monitor_filter_verdict(struct monitor_filter *f, uint32_t *bits, const char *text, struct err *reterr);
/* Packets from or to that address, or one of those two. */
void monitor_filter_either(struct monitor_filter *f, const struct addr *a, size_t n);
