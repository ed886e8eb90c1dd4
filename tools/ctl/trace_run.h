/* SPDX-License-Identifier: Apache-2.0 */
/* A pinned program runs over a frame that nobody sent, and tells what it decided. */
#pragma once

#include "base/err.h"
#include "bpf/abi/monitor.h"
#include "ctl/trace_packet.h"
#include "datapath/load.h"
#include "datapath/observe.h"

struct trace_run {
        enum program_id program;
        uint32_t ifindex; /* the device that it comes by, or leaves by */
        uint32_t mark;    /* of the packet */
        struct trace_frame in;

        struct trace_frame out;
        int verdict; /* what the program returned: TC_ACT_.. or XDP_.. */
        bool outer;  /* it came out with a tunnel's header, which `out` does not have any more */
        bool told;   /* `event`, which is what the program says itself */
        struct monitor_event event;
};

enum {
        TRACE_NO_PROGRAM = 1, /* it is not pinned: not loaded here */
        TRACE_CANNOT = 2,     /* the kernel cannot run it over such a device (XDP) */
};

/* The observer's filter must let the frame through. 0, one of the above, or negative errno. */
int trace_run(const char *pin_root, struct observer *observer, struct trace_run *run, struct err *reterr);
/* "redirect", "pass on", "drop": what the program's verdict means to the kernel. */
const char *trace_verdict_name(enum program_id program, int verdict);
