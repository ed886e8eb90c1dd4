/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <linux/bpf.h>
#include <linux/pkt_cls.h>
#include <stdio.h>
#include <string.h>
#include <bpf/bpf.h>
#include <bpf/libbpf.h>

#include "base/cleanup.h"
#include "ctl/trace_run.h"
#include "datapath/pins.h"

static bool is_xdp(enum program_id p)
{
        return program_infos[p].type == BPF_PROG_TYPE_XDP;
}

static int open_program(const char *pin_root, enum program_id p)
{
        char path[PINS_PATH + 64];

        snprintf(path, sizeof(path), "%.300s/v%d/programs/%s", pin_root, MAPS_VERSION, program_infos[p].name);
        return bpf_obj_get(path);
}

static int take_event(void *userdata, const struct monitor_event *e, const uint8_t *before, const uint8_t *after)
{
        struct trace_run *run = userdata;

        run->event = *e;
        run->told = true;
        return 0;
}

static int test_run(int fd, struct trace_run *run)
{
        struct __sk_buff skb = {.ifindex = run->ifindex, .mark = run->mark};
        struct xdp_md xdp = {.data_end = (uint32_t)run->in.length, .ingress_ifindex = run->ifindex};
        bool is_xdp_run = is_xdp(run->program);
        LIBBPF_OPTS(bpf_test_run_opts, opts, .data_in = run->in.bytes, .data_size_in = (uint32_t)run->in.length,
                    .data_out = run->out.bytes, .data_size_out = sizeof(run->out.bytes),
                    .ctx_in = is_xdp_run ? (void *)&xdp : (void *)&skb,
                    .ctx_size_in = is_xdp_run ? sizeof(xdp) : sizeof(skb), .repeat = 1);
        int r = bpf_prog_test_run_opts(fd, &opts);

        if (r)
                return r;
        run->out.length = opts.data_size_out;
        run->verdict = (int)opts.retval;
        return 0;
}

int trace_run(const char *pin_root, struct observer *observer, struct trace_run *run, struct err *reterr)
{
        _cleanup_close_ int fd = open_program(pin_root, run->program);
        int r;

        run->told = false;
        if (fd == -ENOENT)
                return TRACE_NO_PROGRAM;
        if (fd < 0)
                return err_set(reterr, fd, "the program %s cannot be opened: %s", program_infos[run->program].name,
                               strerror(-fd));
        r = test_run(fd, run);
        if (r == -EINVAL && is_xdp(run->program))
                return TRACE_CANNOT; /* the device has no receive queue that is set up for XDP */
        if (r)
                return err_set(reterr, r, "the program %s cannot be run over a packet: %s",
                               program_infos[run->program].name, strerror(-r));
        return observer_drain(observer, take_event, run);
}

const char *trace_verdict_name(enum program_id program, int verdict)
{
        if (is_xdp(program)) {
                static const char *const names[] = {"aborted", "drop", "pass", "send back (TX)", "redirect"};

                return verdict >= 0 && verdict <= XDP_REDIRECT ? names[verdict] : "unknown";
        }
        switch (verdict) {
        case TC_ACT_UNSPEC:
                return "pass";
        case TC_ACT_OK:
                return "ok";
        case TC_ACT_SHOT:
                return "drop";
        case TC_ACT_REDIRECT:
                return "redirect";
        default:
                return "unknown";
        }
}
