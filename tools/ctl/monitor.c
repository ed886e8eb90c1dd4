/* SPDX-License-Identifier: Apache-2.0 */
/* fairctl monitor: packets, and what the dataplane decides for each, as it happens. */
#include <errno.h>
#include <inttypes.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/mem.h"
#include "base/str.h"
#include "ctl/commands.h"
#include "ctl/event_text.h"
#include "ctl/monitor_filter.h"
#include "ctl/pcapng.h"
#include "ctl/records.h"
#include "ctl/service_names.h"
#include "datapath/address.h"
#include "datapath/observe.h"

#define RATE_DEFAULT "1000"
#define PCAP_PAGES   256 /* of each CPU's buffer, when packets are kept */
#define POLL_MS      100

#define HOOK_CHOICES   "sock from_pod to_pod overlay to_overlay uplink to_uplink edge to_lo"
#define REPEATED       "; may be given several times"
#define VERDICT_CHOICE "pass translate forward drop"

static const struct cli_flag flags[] = {
        {"--pod", "NAME", "packets from or to that pod of this node", NULL, CLI_POD},
        {"--host", "ADDR", "from or to that address", NULL, CLI_ANY},
        {"--src", "ADDR", "from that address or prefix", NULL, CLI_ANY},
        {"--dst", "ADDR", "to that address or prefix", NULL, CLI_ANY},
        {"--port", "N", "from or to that port", NULL, CLI_ANY},
        {"--proto", "NAME", "only that protocol", "tcp udp sctp icmp icmpv6", CLI_ANY},
        {"--service", "NAME", "translated for, or refused by, that Service", NULL, CLI_SERVICE},
        {"--hook", "NAME", "decided by that program" REPEATED, HOOK_CHOICES, CLI_ANY},
        {"--verdict", "NAME", "what was decided" REPEATED, VERDICT_CHOICE, CLI_ANY},
        {"--reason", "NAME", "why it was dropped, by its name in `fairctl drops`" REPEATED, NULL, CLI_ANY},
        {"--drops", NULL, "what is dropped or refused: --verdict drop", NULL, CLI_ANY},
        {"--count", "N", "end after N packets", NULL, CLI_ANY},
        {"--duration", "TIME", "end after that time (10s, 2m)", NULL, CLI_ANY},
        {"--rate", "N", "at most N packets a second (default " RATE_DEFAULT ", with --pcap any number: 0)", NULL,
         CLI_ANY},
        {"--pcap", "FILE", "write packets as pcapng instead of showing them; - for stdout", NULL, CLI_ANY},
        {"--snaplen", "N", "bytes of each packet for --pcap (default and most 2047)", NULL, CLI_ANY},
        {0},
};

struct monitoring {
        struct view *view;
        struct observer *observer;
        struct monitor_filter filter;
        uint32_t rate, snap;
        uint64_t count, seen; /* packets to see at most (0: any number), and seen */
        int64_t end_ns;       /* CLOCK_MONOTONIC; 0: never */
        int64_t wall_offset;  /* CLOCK_REALTIME - CLOCK_MONOTONIC */
        const char *service;
        struct pcapng *pcap;
        FILE *to;
        struct observer_losses told;
        int64_t told_ns;
};

static volatile sig_atomic_t interrupted;

static void on_interrupt(int signo)
{
        interrupted = 1;
}

/* ---- what is wanted */

static int find_pod(struct monitoring *m, const char *name)
{
        struct records records;
        int r = 1;

        records_read(m->view, &records);
        for (size_t i = 0; r && i < records.count; i++) {
                if (!record_is_of(&records.items[i], name) || !records.items[i].addresses_n)
                        continue;
                monitor_filter_either(&m->filter, records.items[i].addresses, records.items[i].addresses_n);
                r = 0;
        }
        records_deinit(&records);
        if (r)
                fprintf(stderr, "fairctl monitor: no pod %s is on this node; `fairctl pod list` shows those that are\n",
                        name);
        return r;
}

/* The ids of a Service's ports may be others after a while: looked up anew each second. */
static int find_service(struct monitoring *m)
{
        _cleanup_free_ struct service_ids *ids = mem_new(struct service_ids);
        struct monitor_filter f = m->filter;
        int r = service_ids_find(m->view, m->service, ids);

        if (r)
                return r;
        f.flags |= MONITOR_SERVICE;
        f.service_count = 0;
        for (uint32_t id = 0; id < SERVICE_IDS && f.service_count < MONITOR_SERVICES; id++)
                if (service_ids_has(ids, id))
                        f.services[f.service_count++] = id;
        if (ids->count > MONITOR_SERVICES)
                return -E2BIG;
        m->filter = f;
        return ids->count ? 0 : -ENOENT;
}

static int want_service(struct monitoring *m)
{
        int r;

        m->service = view_value(m->view, "--service");
        r = m->service ? find_service(m) : 0;
        if (r == -ENOENT)
                return service_unknown(m->view, m->service);
        if (r == -E2BIG)
                return view_wrong(m->view, "--service %s means more than %d service ports: name one", m->service,
                                  MONITOR_SERVICES);
        return r ? view_wrong(m->view, "the services' names cannot be read: %s", strerror(-r)) : 0;
}

static int want_addresses(struct monitoring *m, struct err *err)
{
        const char *src = view_value(m->view, "--src"), *dst = view_value(m->view, "--dst"),
                   *host = view_value(m->view, "--host");
        struct addr a;
        int r = 0;

        if (src)
                r = monitor_filter_address(&m->filter.src, "--src", src, err);
        if (r == 0 && dst)
                r = monitor_filter_address(&m->filter.dst, "--dst", dst, err);
        if (r == 0 && host && view_value(m->view, "--pod"))
                return err_set(err, -EINVAL, "--host and --pod cannot be given together");
        if (r == 0 && host) {
                if (address_parse(host, &a))
                        return err_set(err, -EINVAL, "--host %s: give an IP address", host);
                monitor_filter_either(&m->filter, &a, 1);
        }
        return r;
}

static int want_decisions(struct monitoring *m, struct err *err)
{
        const struct cli *cli = &m->view->cli;
        uint32_t hooks = 0, reasons = 0;
        const char *text;
        int r = 0;

        for (size_t i = 0; r == 0 && (text = cli_nth(cli, "--hook", i)); i++)
                r = monitor_filter_hook(&hooks, text, err);
        for (size_t i = 0; r == 0 && (text = cli_nth(cli, "--reason", i)); i++)
                r = monitor_filter_reason(&reasons, text, err);
        for (size_t i = 0; r == 0 && (text = cli_nth(cli, "--verdict", i)); i++)
                r = monitor_filter_verdict(&m->filter, &reasons, text, err);
        if (r == 0 && view_is_set(m->view, "--drops"))
                r = monitor_filter_verdict(&m->filter, &reasons, "drop", err);
        m->filter.hooks = hooks ?: UINT32_MAX;
        m->filter.reasons = reasons ?: UINT32_MAX;
        return r;
}

static int want_number(const struct view *v, const char *flag, const char *otherwise, uint32_t *ret, struct err *err)
{
        const char *text = view_value(v, flag) ?: otherwise;

        return str_parse_u32(text, ret) ? err_set(err, -EINVAL, "%s %s: give a number", flag, text) : 0;
}

static int want_limits(struct monitoring *m, struct err *err)
{
        const struct view *v = m->view;
        const char *duration = view_value(v, "--duration");
        int64_t ns;
        uint32_t count;
        int r = want_number(v, "--count", "0", &count, err);

        m->count = count;
        if (r == 0 && !count && view_value(v, "--count"))
                return err_set(err, -EINVAL, "--count 0: give a number above 0");
        if (r == 0)
                r = want_number(v, "--rate", view_value(v, "--pcap") ? "0" : RATE_DEFAULT, &m->rate, err);
        if (r == 0)
                r = want_number(v, "--snaplen", "2047", &m->snap, err);
        if (r == 0 && (m->snap < 14 || m->snap > MONITOR_BYTES))
                return err_set(err, -EINVAL, "--snaplen %" PRIu32 ": give a number from 14 to %d", m->snap,
                               MONITOR_BYTES);
        if (r == 0 && duration) {
                if (str_parse_duration(duration, &ns) || ns <= 0)
                        return err_set(err, -EINVAL, "--duration %s: give a time like 10s or 2m", duration);
                m->end_ns = (int64_t)clock_mono_ns() + ns;
        }
        if (!view_value(v, "--pcap"))
                m->snap = 0;
        return r;
}

static int want(struct monitoring *m)
{
        const char *port = view_value(m->view, "--port"), *proto = view_value(m->view, "--proto"),
                   *pod = view_value(m->view, "--pod");
        struct err err = ERR_NULL;
        int r = want_addresses(m, &err);

        if (r == 0 && port)
                r = monitor_filter_port(&m->filter.port, port, &err);
        if (r == 0 && proto)
                r = monitor_filter_proto(&m->filter, proto, &err);
        if (r == 0)
                r = want_decisions(m, &err);
        if (r == 0)
                r = want_limits(m, &err);
        if (r)
                return view_wrong(m->view, "%s", err.msg);
        if (pod && find_pod(m, pod))
                return 1;
        return want_service(m);
}

/* ---- what is shown */

static int write_packet(struct monitoring *m, const struct monitor_event *e, const uint8_t *frame, bool after,
                        int64_t wall_ns, const char *service)
{
        _cleanup_strbuf_ struct strbuf comment = STRBUF_NULL;
        char device[32], interface[64];
        struct pcapng_packet p = {
                .ifindex = e->ifindex,
                .hook = e->hook,
                .interface = interface,
                .wall_ns = wall_ns,
                .data = frame,
                .captured = after ? e->after : e->captured,
                .length = e->length,
                .outbound = after,
        };

        if (!p.captured)
                return 0;
        if (p.length < p.captured)
                p.length = p.captured; /* a tunnel's header came before it */
        snprintf(interface, sizeof(interface), "%s:%s", event_device(e->ifindex, device), event_hook(e->hook));
        if (after)
                strbuf_add_str(&comment, "rewritten by ");
        event_comment(&comment, e, service);
        p.comment = comment.data;
        return pcapng_write(m->pcap, &p);
}

static int show(struct monitoring *m, const struct monitor_event *e, int64_t wall_ns, const char *service)
{
        _cleanup_strbuf_ struct strbuf b = STRBUF_NULL;
        enum tone tone = e->reason > REASON_FORWARDED ? TONE_BAD : TONE_PLAIN;

        if (m->view->json)
                event_json(&b, e, wall_ns, service);
        else
                event_line(&b, e, wall_ns, service);
        fprintf(m->to, "%s%s%s\n", m->view->json ? "" : tone_begin(tone, m->view->color), b.data,
                m->view->json ? "" : tone_end(tone, m->view->color));
        return 0;
}

static int on_event(void *userdata, const struct monitor_event *e, const uint8_t *before, const uint8_t *after)
{
        struct monitoring *m = userdata;
        int64_t wall_ns = (int64_t)e->ns + m->wall_offset;
        const char *service = e->service ? view_service_name(m->view, e->service) : NULL;
        int r = 0;

        if (m->count && m->seen == m->count)
                return 0;
        m->seen++;
        if (!m->pcap) {
                r = show(m, e, wall_ns, service);
        } else {
                r = write_packet(m, e, before, false, wall_ns, service);
                if (r == 0)
                        r = write_packet(m, e, after, true, wall_ns, service);
        }
        return r || ferror(m->to) ? -EPIPE : 0;
}

/* What was not seen: told as it happens, but not more often than once a second. */
static void tell_losses(struct monitoring *m, bool last)
{
        struct observer_losses now = observer_losses(m->observer);
        int64_t ns = (int64_t)clock_mono_ns();

        if (!last && ns - m->told_ns < 1000000000)
                return;
        m->told_ns = ns;
        if (now.lost > m->told.lost)
                fprintf(stderr,
                        "fairctl monitor: %" PRIu64 " packets were lost: they came faster than they were read\n",
                        now.lost - m->told.lost);
        if (now.capped > m->told.capped)
                fprintf(stderr, "fairctl monitor: %" PRIu64 " packets were above --rate %u and are not shown\n",
                        now.capped - m->told.capped, m->rate);
        m->told = now;
        if (m->service && !last && find_service(m) == 0)
                observer_filter(m->observer, &m->filter);
}

static bool is_done(const struct monitoring *m)
{
        return interrupted || (m->count && m->seen >= m->count) || (m->end_ns && (int64_t)clock_mono_ns() >= m->end_ns);
}

static int watch(struct monitoring *m)
{
        int r = 0;

        while (r == 0 && !is_done(m)) {
                r = observer_poll(m->observer, POLL_MS, on_event, m);
                if (r == -EINTR)
                        r = 0;
                fflush(m->to);
                tell_losses(m, false);
        }
        if (r == 0 && !(m->count && m->seen >= m->count))
                r = observer_drain(m->observer, on_event, m);
        tell_losses(m, true);
        if (fflush(m->to) && r == 0)
                r = -errno;
        return r;
}

static int open_output(struct monitoring *m)
{
        const char *path = view_value(m->view, "--pcap");
        int r;

        m->to = stdout;
        if (!path)
                return 0;
        if (str_eq(path, "-") && isatty(STDOUT_FILENO))
                return view_wrong(m->view, "--pcap - writes bytes that a terminal cannot show: give a file or a pipe");
        if (!str_eq(path, "-"))
                m->to = fopen(path, "we");
        r = m->to ? pcapng_new(m->to, m->snap, &m->pcap) : -errno;
        if (r)
                fprintf(stderr, "fairctl monitor: %s cannot be written: %s\n", path, strerror(-r));
        return r ? 1 : 0;
}

static int open_observer(struct monitoring *m)
{
        _cleanup_free_ char *folder = mem_printf("%s/v%d/maps", m->view->pin_root, MAPS_VERSION);
        struct observer_opts opts = {.maps = &m->view->maps,
                                     .lock_path = folder,
                                     .filter = m->filter,
                                     .snap = m->snap,
                                     .rate = m->rate,
                                     .buffer_pages = m->pcap ? PCAP_PAGES : 0};
        struct err err = ERR_NULL;
        int r = observer_open(&opts, &m->observer, &err);

        if (r)
                fprintf(stderr, "fairctl monitor: %s\n", err.msg);
        return r ? 1 : 0;
}

static int finish(struct monitoring *m, int r)
{
        if (r == OBSERVER_LOST)
                fputs("fairctl monitor: this process was stopped for too long, and another one watches in its place\n",
                      stderr);
        else if (r && r != -EPIPE)
                fprintf(stderr, "fairctl monitor: %s\n", strerror(-r));
        if (m->pcap && m->to != stdout) {
                if (fclose(m->to) && !r)
                        r = -errno;
                fprintf(stderr, "fairctl monitor: %" PRIu64 " packets in %s\n", m->seen, view_value(m->view, "--pcap"));
        }
        return r != 0;
}

static int run(struct view *v)
{
        /* Waiting for events ends all the same; a write to a reader that is slow must not end in the middle of a line.
         */
        struct sigaction on_int = {.sa_handler = on_interrupt, .sa_flags = SA_RESTART},
                         ignore = {.sa_handler = SIG_IGN};
        struct monitoring m = {.view = v, .filter = observer_any(), .to = stdout};
        int r;

        sigaction(SIGPIPE, &ignore, NULL);
        m.wall_offset = clock_wall_ns() - (int64_t)clock_mono_ns();
        r = want(&m);
        if (r == 0)
                r = open_output(&m);
        if (r == 0)
                r = open_observer(&m);
        if (r == 0) {
                sigaction(SIGINT, &on_int, NULL);
                sigaction(SIGTERM, &on_int, NULL);
                r = finish(&m, watch(&m));
        }
        observer_close(m.observer);
        pcapng_free(m.pcap);
        return r;
}

const struct cli_command ctl_monitor = {
        .name = "monitor",
        .summary = "packets as they come, and what is decided for each",
        .flags = flags,
        .about = "Filters are applied in the kernel, all that are given together, to the packet as it came or as it "
                 "was\n"
                 "rewritten. Up to 4 can watch at once. What is lost or above --rate is said on stderr.\n"
                 "Hook sock: a connect() or the first datagram of a socket; later datagrams are not shown. Its\n"
                 "source is not known yet: filters of sources and --pod leave it out.\n"
                 "--pcap has each packet as it came and, if it was rewritten, also as it left; the decision is its\n"
                 "comment, and an interface is a device and a hook.\n",
        .examples = "fairctl monitor --drops\n"
                    "fairctl monitor --pod default/web-1 --port 80\n"
                    "fairctl monitor --service default/web --verdict translate -o json\n"
                    "fairctl monitor --src 192.0.2.0/24 --hook uplink --count 100 --pcap /tmp/seen.pcapng\n"
                    "fairctl monitor --pcap - | tshark -r - -T fields -e frame.interface_name -e pkt_comment\n",
        .prints = true,
        .has_maps = true,
        .run = run,
};
