/* SPDX-License-Identifier: Apache-2.0 */
#include <arpa/inet.h>
#include <inttypes.h>
#include <net/if.h>
#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "base/str.h"
#include "ctl/event_text.h"
#include "ctl/view.h"
#include "datapath/address.h"

static const struct {
        const char *label, *text;
} reasons[] = {
#define X(name, label, text) {label, text},
        REASONS(X)
#undef X
};

static const char *const hooks[] = {
#define X(name, label) label,
        HOOKS(X)
#undef X
};

const char *event_hook(uint32_t hook)
{
        return hook < HOOK_COUNT ? hooks[hook] : "unknown";
}

const char *event_reason(uint32_t reason)
{
        return reason < REASON_COUNT ? reasons[reason].label : "unknown";
}

const char *event_meaning(uint32_t reason)
{
        return reason < REASON_COUNT ? reasons[reason].text : "unknown";
}

const char *event_verdict(uint32_t reason)
{
        static const char *const names[] = {
                [REASON_OK] = "pass", [REASON_TRANSLATED] = "translate", [REASON_FORWARDED] = "forward"};

        return reason <= REASON_FORWARDED ? names[reason] : "drop";
}

bool event_find_hook(const char *label, uint32_t *ret)
{
        for (uint32_t i = 0; i < HOOK_COUNT; i++) {
                if (str_eq(hooks[i], label)) {
                        *ret = i;
                        return true;
                }
        }
        return false;
}

bool event_find_reason(const char *label, uint32_t *ret)
{
        for (uint32_t i = 0; i < REASON_COUNT; i++) {
                if (str_eq(reasons[i].label, label)) {
                        *ret = i;
                        return true;
                }
        }
        return false;
}

const char *event_tcp_flags(uint8_t flags, char buf[static 32])
{
        static const char *const names[] = {"FIN", "SYN", "RST", "PSH", "ACK", "URG", "ECE", "CWR"};
        size_t n = 0;

        buf[0] = '\0';
        for (size_t i = 0; i < ARRAY_SIZE(names); i++)
                if (flags >> i & 1)
                        n += (size_t)snprintf(buf + n, 32 - n, "%s%s", n ? "," : "", names[i]);
        return n ? buf : strcpy(buf, "-");
}

const char *event_device(uint32_t ifindex, char buf[static 32])
{
        char name[IF_NAMESIZE];

        if (if_indextoname(ifindex, name))
                snprintf(buf, 32, "%s", name);
        else
                snprintf(buf, 32, "#%u", ifindex);
        return buf;
}

static bool has_ports(uint8_t proto)
{
        return proto == IPPROTO_TCP || proto == IPPROTO_UDP || proto == IPPROTO_SCTP;
}

static void add_end(struct strbuf *b, const struct addr *a, __be16 port, uint8_t proto)
{
        char text[ADDRESS_TEXT];

        if (view_is_any(a))
                strbuf_add_char(b, '?');
        else
                strbuf_add_str(b, has_ports(proto) ? address_port_text(a, port, text) : address_text(a, text));
}

void event_tuple(struct strbuf *b, const struct tuple *t)
{
        add_end(b, &t->src, t->sport, t->proto);
        strbuf_add_str(b, " > ");
        add_end(b, &t->dst, t->dport, t->proto);
}

static const char *way_name(const struct monitor_event *e)
{
        static const char *const names[] = {"kernel", "pod", "tunnel", "next hop"};

        return e->way < ARRAY_SIZE(names) ? names[e->way] : "unknown";
}

static void add_way(struct strbuf *b, const struct monitor_event *e)
{
        char device[32], text[ADDRESS_TEXT];

        if (e->reason != REASON_FORWARDED || e->way == MONITOR_WAY_KERNEL)
                return;
        strbuf_printf(b, " -> %s", event_device(e->next_ifindex, device));
        if (!view_is_any(&e->next))
                strbuf_printf(b, " to %s", address_text(&e->next, text));
}

/* What the packet is and became, and where it goes. */
static void add_story(struct strbuf *b, const struct monitor_event *e, const char *service)
{
        char flags[32];

        if (!e->tuple.proto && view_is_any(&e->tuple.src) && view_is_any(&e->tuple.dst)) {
                strbuf_add_str(b, "not IP");
                return;
        }
        event_tuple(b, &e->tuple);
        if (e->rewritten) {
                strbuf_add_str(b, " => ");
                event_tuple(b, &e->to);
        }
        if (e->tuple.proto == IPPROTO_TCP && e->hook != HOOK_SOCK)
                strbuf_printf(b, " [%s]", event_tcp_flags(e->tcp, flags));
        if (e->tuple.proto == IPPROTO_ICMP || e->tuple.proto == IPPROTO_ICMPV6)
                strbuf_printf(b, " type %u id %u", e->icmp, ntohs(e->tuple.sport | e->tuple.dport));
        add_way(b, e);
        if (service)
                strbuf_printf(b, "  %s", service);
        if (e->reason > REASON_FORWARDED)
                strbuf_printf(b, "  (%s)", event_meaning(e->reason));
}

static const char *verdict_and_reason(const struct monitor_event *e)
{
        return e->reason > REASON_FORWARDED ? event_reason(e->reason) : event_verdict(e->reason);
}

void event_line(struct strbuf *b, const struct monitor_event *e, int64_t wall_ns, const char *service)
{
        char when[CLOCK_TEXT_SIZE], proto[8], device[32];

        clock_format_micro(wall_ns, when);
        if (e->hook == HOOK_SOCK)
                snprintf(device, sizeof(device), "%.15s[%u]", e->comm, e->pid);
        else
                event_device(e->ifindex, device);
        /* 2006-01-02T15:04:05.000000Z: the time of the day is enough */
        strbuf_printf(b, "%.15s %-10s %-16s %s%-9s %-6s ", when + 11, event_hook(e->hook), device,
                      e->reason > REASON_FORWARDED ? "DROP " : "", verdict_and_reason(e),
                      e->tuple.proto ? view_proto(e->tuple.proto, proto) : "-");
        add_story(b, e, service);
        if (e->length)
                strbuf_printf(b, "  %u bytes", e->length);
}

void event_comment(struct strbuf *b, const struct monitor_event *e, const char *service)
{
        strbuf_printf(b, "%s: %s%s ", event_hook(e->hook), e->reason > REASON_FORWARDED ? "drop " : "",
                      verdict_and_reason(e));
        add_story(b, e, service);
}

static void add_json_tuple(struct strbuf *b, const char *key, const struct tuple *t)
{
        char src[ADDRESS_TEXT], dst[ADDRESS_TEXT];

        strbuf_printf(b, ",\"%s\":{\"source\":", key);
        if (view_is_any(&t->src))
                strbuf_add_str(b, "null");
        else
                strbuf_printf(b, "\"%s\"", address_text(&t->src, src));
        strbuf_printf(b, ",\"sourcePort\":%u,\"destination\":\"%s\",\"destinationPort\":%u}", ntohs(t->sport),
                      address_text(&t->dst, dst), ntohs(t->dport));
}

static void add_json_way(struct strbuf *b, const struct monitor_event *e)
{
        char device[32], text[ADDRESS_TEXT];

        if (e->reason != REASON_FORWARDED) {
                strbuf_add_str(b, ",\"way\":null");
                return;
        }
        strbuf_printf(b, ",\"way\":{\"kind\":\"%s\"", way_name(e));
        if (e->way != MONITOR_WAY_KERNEL)
                strbuf_printf(b, ",\"interface\":\"%s\",\"ifindex\":%u", event_device(e->next_ifindex, device),
                              e->next_ifindex);
        if (!view_is_any(&e->next))
                strbuf_printf(b, ",\"address\":\"%s\"", address_text(&e->next, text));
        strbuf_add_char(b, '}');
}

void event_json(struct strbuf *b, const struct monitor_event *e, int64_t wall_ns, const char *service)
{
        char when[CLOCK_TEXT_SIZE], proto[8], device[32], flags[32];

        strbuf_printf(b, "{\"time\":\"%s\",\"hook\":\"%s\",\"verdict\":\"%s\",\"reason\":\"%s\",\"protocol\":\"%s\"",
                      clock_format_micro(wall_ns, when), event_hook(e->hook), event_verdict(e->reason),
                      event_reason(e->reason), view_proto(e->tuple.proto, proto));
        add_json_tuple(b, "packet", &e->tuple);
        if (e->rewritten)
                add_json_tuple(b, "rewritten", &e->to);
        else
                strbuf_add_str(b, ",\"rewritten\":null");
        add_json_way(b, e);
        strbuf_add_str(b, ",\"service\":");
        if (service)
                strbuf_add_json_str(b, service, strlen(service));
        else
                strbuf_add_str(b, "null");
        if (e->hook == HOOK_SOCK) {
                strbuf_printf(b, ",\"pid\":%u,\"command\":", e->pid);
                strbuf_add_json_str(b, e->comm, strnlen(e->comm, sizeof(e->comm)));
        } else {
                strbuf_printf(b, ",\"interface\":\"%s\",\"ifindex\":%u,\"length\":%u,\"ttl\":%u",
                              event_device(e->ifindex, device), e->ifindex, e->length, e->ttl);
        }
        if (e->tuple.proto == IPPROTO_TCP && e->hook != HOOK_SOCK)
                strbuf_printf(b, ",\"tcpFlags\":\"%s\"", event_tcp_flags(e->tcp, flags));
        if (e->tuple.proto == IPPROTO_ICMP || e->tuple.proto == IPPROTO_ICMPV6)
                strbuf_printf(b, ",\"icmpType\":%u", e->icmp);
        strbuf_add_char(b, '}');
}
