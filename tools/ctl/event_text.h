/* SPDX-License-Identifier: Apache-2.0 */
/* What the programs tell of a packet (bpf/abi/monitor.h), in words. */
#pragma once

#include <stdbool.h>

#include "base/strbuf.h"
#include "bpf/abi/maps.h"
#include "bpf/abi/monitor.h"

/* "from_pod", "no_endpoints", and what that means. "unknown" for numbers of a newer release. */
const char *event_hook(uint32_t hook);
const char *event_reason(uint32_t reason);
const char *event_meaning(uint32_t reason);
/* "pass": left to the kernel as it was; "translate": left to it rewritten; "forward"; "drop": dropped or refused. */
const char *event_verdict(uint32_t reason);
/* The number of a label. False: there is none. */
bool event_find_hook(const char *label, uint32_t *ret);
bool event_find_reason(const char *label, uint32_t *ret);

/* "SYN,ACK"; "-" for none. Returns buf. */
const char *event_tcp_flags(uint8_t flags, char buf[static 32]);
/* The name of an interface, or "#7". Returns buf. */
const char *event_device(uint32_t ifindex, char buf[static 32]);

/* "10.0.0.1:1 > 10.0.0.2:2"; for protocols without ports no ports; "?" for a source that is not known (sockets). */
void event_tuple(struct strbuf *b, const struct tuple *t);
/* A line for people, without its end. service: its name, or NULL. */
void event_line(struct strbuf *b, const struct monitor_event *e, int64_t wall_ns, const char *service);
/* A JSON object. */
void event_json(struct strbuf *b, const struct monitor_event *e, int64_t wall_ns, const char *service);
/* The decision alone, for a comment: "from_pod: forward to 10.1.0.2:80 ..." */
void event_comment(struct strbuf *b, const struct monitor_event *e, const char *service);
