/* SPDX-License-Identifier: Apache-2.0 */
#include "apiserver/kinds/netcheck.h"

#include "apiserver/alloc/ipaddr.h"
#include "base/str.h"

const char *const supported_protocols[] = {"SCTP", "TCP", "UDP", NULL};

const char *str_at(const struct json_object *array, size_t i)
{
        struct json_object *v = json_idx(array, i);

        return json_is_string(v) ? json_object_get_string(v) : "";
}

void check_immutable_str(struct ferrs *e, const struct fpath *parent, const struct json_object *obj,
                         const struct json_object *old, const char *name)
{
        if (!str_eq(str_of(obj, name), str_of(old, name)))
                ferr_invalid_str(e, FP(parent, name), str_of(obj, name), MSG_IMMUTABLE);
}

void check_protocol(struct ferrs *e, const struct fpath *p, const char *protocol)
{
        if (str_empty(protocol))
                ferr_required(e, p, NULL);
        else if (!one_of(protocol, supported_protocols))
                ferr_not_supported(e, p, protocol, supported_protocols);
}

void check_endpoint_ip(struct ferrs *e, const struct fpath *p, const char *text)
{
        struct ipaddr ip;

        if (ipaddr_parse(text, &ip)) {
                ferr_invalid_str(e, p, text, "must be a valid IP address");
                return;
        }
        if (ipaddr_is_unspecified(&ip))
                ferr_invalid_str(e, p, text, "may not be unspecified (%s)", text);
        if (ipaddr_is_loopback(&ip))
                ferr_invalid_str(e, p, text, "may not be in the loopback range (127.0.0.0/8, ::1/128)");
        if (ipaddr_is_link_local(&ip))
                ferr_invalid_str(e, p, text, "may not be in the link-local range (169.254.0.0/16, fe80::/10)");
        if (ipaddr_is_link_local_multicast(&ip))
                ferr_invalid_str(e, p, text, "may not be in the link-local multicast range (224.0.0.0/24, ff02::/10)");
}
