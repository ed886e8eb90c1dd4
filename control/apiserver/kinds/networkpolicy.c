/* SPDX-License-Identifier: Apache-2.0 */
#include "apiserver/alloc/ipaddr.h"
#include "apiserver/kinds/kinds.h"
#include "apiserver/kinds/netcheck.h"
#include "base/str.h"

static void default_protocols(const struct json_object *rules)
{
        json_array_foreach (rules, i, rule) {
                json_array_foreach (json_get(rule, "ports"), j, port)
                        json_default_str(port, "protocol", "TCP");
        }
}

static void defaults(const struct kctx *c, struct json_object *obj)
{
        struct json_object *spec = json_ensure(obj, "spec"), *types;

        default_protocols(json_get(spec, "ingress"));
        default_protocols(json_get(spec, "egress"));
        if (json_len(json_get(spec, "policyTypes")))
                return;
        types = json_object_new_array();
        json_object_array_add(types, json_object_new_string("Ingress"));
        if (json_len(json_get(spec, "egress")))
                json_object_array_add(types, json_object_new_string("Egress"));
        json_set(spec, "policyTypes", types);
}

static void check_policy_port(const struct json_object *port, const struct fpath *p, struct ferrs *e)
{
        static const char *const protocols[] = {"TCP", "UDP", "SCTP", NULL};
        const struct json_object *number = json_get(port, "port"), *end = json_get(port, "endPort");
        const struct fpath *end_path = FP(p, "endPort");

        check_one_of(e, p, port, "protocol", protocols, false);
        if (number)
                check_port_number_or_name(e, FP(p, "port"), number);
        if (!end)
                return;
        if (!number) {
                ferr_invalid(e, end_path, end, "may not be specified when `port` is not specified");
        } else if (json_is_string(number)) {
                ferr_invalid(e, end_path, end, "may not be specified when `port` is non-numeric");
        } else {
                if (json_get_i64(port, "endPort", 0) < json_get_i64(port, "port", 0))
                        ferr_invalid(e, end_path, end, "must be greater than or equal to `port`");
                check_port_number(e, end_path, json_get_i64(port, "endPort", 0));
        }
}

static void check_block(const struct json_object *block, const struct fpath *p, struct ferrs *e)
{
        const struct json_object *except = json_get(block, "except");
        const char *text = str_of(block, "cidr");
        struct ipcidr cidr, part;

        if (!*text) {
                ferr_required(e, FP(p, "cidr"), NULL);
                return;
        }
        check_cidr(e, FP(p, "cidr"), text);
        if (ipcidr_parse(text, &cidr))
                return;
        for (size_t i = 0; i < json_len(except); i++) {
                const struct fpath *at = FPI(FP(p, "except"), i);
                struct ipaddr first;

                check_cidr(e, at, str_at(except, i));
                if (ipcidr_parse(str_at(except, i), &part))
                        continue;
                first = ipcidr_first(&part);
                if (!ipcidr_contains(&cidr, &first) || part.bits <= cidr.bits)
                        ferr_invalid_str(e, at, str_at(except, i), "must be a strict subset of `cidr`");
        }
}

static void check_peer(const struct json_object *peer, const struct fpath *p, struct ferrs *e)
{
        const struct json_object *pods = json_get(peer, "podSelector"), *ns = json_get(peer, "namespaceSelector");
        const struct json_object *block = json_get(peer, "ipBlock");

        check_label_selector(e, FP(p, "podSelector"), pods);
        check_label_selector(e, FP(p, "namespaceSelector"), ns);
        if (block)
                check_block(block, FP(p, "ipBlock"), e);
        if (!pods && !ns && !block)
                ferr_required(e, p, "must specify a peer");
        else if (block && (pods || ns))
                ferr_forbidden(e, p, "may not specify both ipBlock and another peer");
}

static void check_rules(const struct json_object *rules, const char *peers, const struct fpath *p, struct ferrs *e)
{
        json_array_foreach (rules, i, rule) {
                json_array_foreach (json_get(rule, "ports"), j, port)
                        check_policy_port(port, FPI(FP(FPI(p, i), "ports"), j), e);
                json_array_foreach (json_get(rule, peers), k, peer)
                        check_peer(peer, FPI(FP(FPI(p, i), peers), k), e);
        }
}

static void validate(const struct kctx *c, const struct json_object *obj, struct ferrs *e)
{
        static const char *const types[] = {"Ingress", "Egress", NULL};
        const struct json_object *spec = json_get(obj, "spec"), *given = json_get(spec, "policyTypes");
        const struct fpath *p = FP(NULL, "spec");

        check_label_selector(e, FP(p, "podSelector"), json_get(spec, "podSelector"));
        check_rules(json_get(spec, "ingress"), "from", FP(p, "ingress"), e);
        check_rules(json_get(spec, "egress"), "to", FP(p, "egress"), e);
        if (json_len(given) > 2) {
                ferr_invalid(e, FP(p, "policyTypes"), given, "may not specify more than two policyTypes");
                return;
        }
        for (size_t i = 0; i < json_len(given); i++)
                if (!one_of(str_at(given, i), types))
                        ferr_not_supported(e, FPI(FP(p, "policyTypes"), i), str_at(given, i), types);
}

const struct kind_ops kind_networkpolicies = {
        .group = "networking.k8s.io",
        .plural = "networkpolicies",
        .flags = KIND_GENERATION,
        .defaults = defaults,
        .validate = validate,
};
