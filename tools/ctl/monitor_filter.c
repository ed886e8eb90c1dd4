/* SPDX-License-Identifier: Apache-2.0 */
#include <arpa/inet.h>
#include <errno.h>
#include <string.h>

#include "base/str.h"
#include "bpf/abi/reasons.h"
#include "ctl/event_text.h"
#include "ctl/monitor_filter.h"
#include "datapath/address.h"

static struct addr ones(void)
{
        struct addr a;

        memset(&a, 0xff, sizeof(a));
        return a;
}

int monitor_filter_address(struct monitor_address *ret, const char *flag, const char *text, struct err *reterr)
{
        const struct addr all = ones();
        struct addr a;
        uint32_t bits = 128;

        if (address_parse(text, &a) && address_parse_cidr(text, false, &a, &bits))
                return err_set(reterr, -EINVAL, "%s %s: give an IP address or a prefix like 10.0.0.0/8 or fd00::/64",
                               flag, text);
        ret->mask = address_mask(&all, bits);
        ret->is = address_mask(&a, bits);
        return 0;
}

int monitor_filter_port(__be16 *ret, const char *text, struct err *reterr)
{
        uint16_t port;

        if (str_parse_u16(text, &port) || !port)
                return err_set(reterr, -EINVAL, "--port %s: give a number from 1 to 65535", text);
        *ret = htons(port);
        return 0;
}

int monitor_filter_proto(struct monitor_filter *f, const char *text, struct err *reterr)
{
        static const struct {
                const char *name;
                uint8_t number;
        } names[] = {{"tcp", IPPROTO_TCP},
                     {"udp", IPPROTO_UDP},
                     {"sctp", IPPROTO_SCTP},
                     {"icmp", IPPROTO_ICMP},
                     {"icmpv6", IPPROTO_ICMPV6}};

        for (size_t i = 0; i < ARRAY_SIZE(names); i++) {
                if (strcasecmp(names[i].name, text) == 0) {
                        f->proto = names[i].number;
                        return 0;
                }
        }
        return err_set(reterr, -EINVAL, "--proto %s: give tcp, udp, sctp, icmp or icmpv6", text);
}

int monitor_filter_hook(uint32_t *bits, const char *text, struct err *reterr)
{
        uint32_t hook;

        if (!event_find_hook(text, &hook))
                return err_set(reterr, -EINVAL,
                               "--hook %s: give sock, from_pod, to_pod, overlay, to_overlay, uplink, to_uplink, edge "
                               "or to_lo",
                               text);
        *bits |= 1U << hook;
        return 0;
}

int monitor_filter_reason(uint32_t *bits, const char *text, struct err *reterr)
{
        uint32_t reason;

        if (!event_find_reason(text, &reason))
                return err_set(reterr, -EINVAL, "--reason %s: there is none; `fairctl drops --all` shows their names",
                               text);
        *bits |= 1U << reason;
        return 0;
}

int monitor_filter_verdict(struct monitor_filter *f, uint32_t *bits, const char *text, struct err *reterr)
{
        if (str_eq(text, "drop"))
                *bits |= ~((1U << (REASON_FORWARDED + 1)) - 1);
        else if (str_eq(text, "forward"))
                *bits |= 1U << REASON_FORWARDED;
        else if (str_eq(text, "pass"))
                *bits |= 1U << REASON_OK;
        else if (str_eq(text, "translate")) {
                *bits |= 1U << REASON_TRANSLATED | 1U << REASON_FORWARDED;
                f->flags |= MONITOR_REWRITTEN;
        } else
                return err_set(reterr, -EINVAL, "--verdict %s: give pass, translate, forward or drop", text);
        return 0;
}

void monitor_filter_either(struct monitor_filter *f, const struct addr *a, size_t n)
{
        f->flags |= MONITOR_EITHER;
        for (size_t i = 0; i < 2; i++)
                f->either[i] = (struct monitor_address){.is = a[i < n ? i : 0], .mask = ones()};
}
