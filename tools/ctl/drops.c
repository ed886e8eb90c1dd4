/* SPDX-License-Identifier: Apache-2.0 */
/* fairctl drops: what the dataplane dropped or refused, where and why; with --follow, packet by packet. */
#include <bpf/libbpf.h>
#include <errno.h>
#include <inttypes.h>
#include <signal.h>
#include <string.h>
#include <sys/file.h>
#include <fcntl.h>

#include "base/clock.h"
#include "base/mem.h"
#include "ctl/commands.h"
#include "ctl/event_text.h"
#include "ctl/view.h"
#include "datapath/address.h"

static const struct cli_flag flags[] = {
        {"--all", NULL, "also what is no drop: packets left to the kernel, translated, sent on", NULL, CLI_ANY},
        {"--follow", NULL, "then print sampled packets as they are dropped (Ctrl-C ends it)", NULL, CLI_ANY},
        {0},
};

static const struct column columns[] = {
        {"REASON", "reason", COLUMN_TEXT, false, "as in the metrics"},
        {"WHERE", "where", COLUMN_TEXT, false, "the program that has decided so"},
        {"PACKETS", "packets", COLUMN_NUMBER, false, "since the maps were made"},
        {"BYTES", "bytes", COLUMN_NUMBER, false, "0 where there was no packet yet (sock)"},
        {"MEANING", "meaning", COLUMN_TEXT, false, "in words"},
};

static volatile sig_atomic_t interrupted;

static void on_interrupt(int signo)
{
        interrupted = 1;
}

static void list_counter(const struct view *v, struct table *t, uint32_t reason, uint32_t hook)
{
        uint64_t sum[2];

        if (view_sum(v, MAP_COUNTERS, reason * HOOK_COUNT + hook, sum, 2) || !sum[0])
                return;
        table_cell(t, "%s", event_reason(reason));
        table_cell(t, "%s", event_hook(hook));
        table_number(t, sum[0]);
        table_number(t, sum[1]);
        table_cell(t, "%s", event_meaning(reason));
}

static int print_counters(struct view *v, bool all)
{
        struct table t;

        view_table(v, &t);
        for (uint32_t reason = all ? 0 : REASON_FORWARDED + 1; reason < REASON_COUNT; reason++)
                for (uint32_t hook = 0; hook < HOOK_COUNT; hook++)
                        list_counter(v, &t, reason, hook);
        if (!table_rows(&t) && !v->json) {
                puts("nothing was dropped or refused");
                table_deinit(&t);
                return 0;
        }
        table_sort(&t);
        return view_print(v, &t);
}

static int print_event(void *ctx, void *data, size_t size)
{
        struct view *v = ctx;
        const struct drop_event *e = data;
        const char *name;
        char src[64], dst[64], proto[8], when[CLOCK_TEXT_SIZE];

        if (size < sizeof(*e))
                return 0;
        clock_format_micro(clock_wall_ns() - (int64_t)(clock_mono_ns() - e->ns), when);
        address_port_text(&e->tuple.src, e->tuple.sport, src);
        address_port_text(&e->tuple.dst, e->tuple.dport, dst);
        view_proto(e->tuple.proto, proto);
        name = e->service ? view_service_name(v, e->service) : "";
        if (v->json)
                printf("{\"time\":\"%s\",\"reason\":\"%s\",\"where\":\"%s\",\"protocol\":\"%s\",\"source\":\"%s\","
                       "\"destination\":\"%s\",\"interface\":%u,\"length\":%u,\"service\":\"%s\"}\n",
                       when, event_reason(e->reason), event_hook(e->hook), proto, src, dst, e->ifindex, e->length,
                       name);
        else
                printf("%s  %-18s %-10s %-5s %s -> %s  if %u  %u bytes  %s\n", when, event_reason(e->reason),
                       event_hook(e->hook), proto, src, dst, e->ifindex, e->length, name);
        fflush(stdout);
        return 0;
}

/* The ring has one reader: who comes second is told so. */
static int lock_ring(const struct view *v, int *ret_fd)
{
        _cleanup_free_ char *path = mem_printf("%s/drops.lock", v->run_dir);
        _cleanup_close_ int fd = open(path, O_CREAT | O_RDWR | O_CLOEXEC, 0600);

        if (fd >= 0 && flock(fd, LOCK_EX | LOCK_NB)) {
                fputs("fairctl drops: another `fairctl drops --follow` is reading the events on this node\n", stderr);
                return -EBUSY;
        }
        *ret_fd = TAKE_FD(fd);
        return 0;
}

static int follow(struct view *v)
{
        struct sigaction on_int = {.sa_handler = on_interrupt};
        _cleanup_close_ int lock = -1;
        struct ring_buffer *ring;
        int r = lock_ring(v, &lock);

        if (r)
                return 1;
        ring = ring_buffer__new(map_fd(v->maps.m[MAP_EVENTS]), print_event, v, NULL);
        if (!ring) {
                fprintf(stderr, "fairctl drops: cannot read the events: %s\n", strerror(errno));
                return 1;
        }
        sigaction(SIGINT, &on_int, NULL);
        sigaction(SIGTERM, &on_int, NULL);
        while (!interrupted && r >= 0) {
                r = ring_buffer__poll(ring, 500);
                if (r == -EINTR)
                        r = 0;
        }
        ring_buffer__free(ring);
        return r < 0;
}

static int run(struct view *v)
{
        bool go_on = view_is_set(v, "--follow");
        int r = go_on && v->json ? 0 : print_counters(v, view_is_set(v, "--all"));

        if (!r && go_on)
                r = follow(v);
        return r;
}

const struct cli_command ctl_drops = {
        .name = "drops",
        .summary = "packets that were dropped or refused, by reason and place",
        .flags = flags,
        .columns = columns,
        .width = ARRAY_SIZE(columns),
        .about = "Places: sock (connect, sendmsg, bind), from_pod and to_pod (a pod's veth), overlay and to_overlay "
                 "(VXLAN),\n"
                 "uplink and to_uplink (a NIC), edge (XDP), to_lo (the loopback device).\n"
                 "With --follow -o json each packet is a line of its own: time, reason, where, protocol, source,\n"
                 "destination, interface, length, service.\n",
        .examples = "fairctl drops\n"
                    "fairctl drops --follow\n"
                    "fairctl drops -o json | jq 'map(select(.reason == \"spoofed\").packets) | add'\n",
        .prints = true,
        .has_maps = true,
        .run = run,
};
