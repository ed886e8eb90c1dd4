/* SPDX-License-Identifier: Apache-2.0 */
/* resolv.conf of a pod: the node's, the cluster's, or its own words, within the limits of resolvers. */
#include <errno.h>
#include <string.h>

#include "agent/kubelet/pods/resolv_conf.h"
#include "agent/kubelet/pods/spec_impl.h"
#include "base/file.h"
#include "base/str.h"

#define FILE_MAX         (1024 * 1024)
#define NAMESERVERS_MAX  3
#define SEARCHES_MAX     32
#define SEARCH_CHARS_MAX 2048

enum dns_kind {
        DNS_NONE,
        DNS_CLUSTER,
        DNS_NODE,
};

static int kind_of(const struct spec_work *w, enum dns_kind *ret, struct err *reterr)
{
        const char *policy = json_get_str(w->spec, "dnsPolicy") ?: "ClusterFirst";

        if (str_eq(policy, "None"))
                *ret = DNS_NONE;
        else if (str_eq(policy, "Default"))
                *ret = DNS_NODE;
        else if (str_eq(policy, "ClusterFirstWithHostNet"))
                *ret = DNS_CLUSTER;
        else if (str_eq(policy, "ClusterFirst"))
                *ret = spec_host_network(w) ? DNS_NODE : DNS_CLUSTER;
        else
                return err_set(reterr, -EINVAL, "invalid DNSPolicy=%s", policy);
        return 0;
}

static int read_node(const struct spec_work *w, struct resolv_conf *ret, struct err *reterr)
{
        _cleanup_free_ char *text = NULL;
        size_t n;
        int r;

        if (str_empty(w->s->node->resolv_conf))
                return 0;
        r = file_read(w->s->node->resolv_conf, FILE_MAX, &text, &n, reterr);
        if (r)
                return r;
        resolv_conf_parse(text, ret);
        return 0;
}

static void use_cluster(const struct spec_work *w, struct resolv_conf *c)
{
        const char *domain = w->s->node->cluster_domain ?: "cluster.local";
        struct textlist of_node = c->searches;

        c->servers = c->searches = c->options = TEXTLIST(w->mem);
        for (const char *const *ip = w->s->node->cluster_dns; ip && *ip; ip++)
                textlist_add(&c->servers, *ip);
        if (*domain) {
                textlist_add_once(&c->searches, arena_printf(w->mem, "%s.svc.%s", w->ns, domain));
                textlist_add_once(&c->searches, arena_printf(w->mem, "svc.%s", domain));
                textlist_add_once(&c->searches, domain);
        }
        for (size_t i = 0; i < of_node.n; i++)
                textlist_add_once(&c->searches, of_node.v[i]);
        textlist_add(&c->options, "ndots:5");
}

static struct textlist merged(const struct textlist *first, const struct json_object *second, struct arena *mem)
{
        struct textlist l = TEXTLIST(mem);

        for (size_t i = 0; i < first->n; i++)
                textlist_add_once(&l, first->v[i]);
        json_array_foreach (second, i, s)
                textlist_add_once(&l, json_object_get_string(s));
        return l;
}

/* dnsConfig of the pod on top of what its policy gives. */
static void add_own(const struct spec_work *w, struct resolv_conf *c)
{
        struct json_object *own = json_get(w->spec, "dnsConfig");

        if (!own)
                return;
        c->servers = merged(&c->servers, json_get(own, "nameservers"), w->mem);
        c->searches = merged(&c->searches, json_get(own, "searches"), w->mem);
        json_array_foreach (json_get(own, "options"), i, o)
                resolv_conf_option(c, json_get_str(o, "name") ?: "", json_get_str(o, "value"));
}

/* Cuts the list to whole names that fit. */
static bool fit_searches(struct textlist *l)
{
        size_t chars = 0, n = 0;

        while (n < l->n && n < SEARCHES_MAX) {
                chars += strlen(l->v[n]) + (n != 0);
                if (chars > SEARCH_CHARS_MAX)
                        break;
                n++;
        }
        if (n == l->n)
                return true;
        l->n = n;
        l->v[n] = NULL;
        return false;
}

static void fit(const struct spec_work *w, struct resolv_conf *c)
{
        if (c->servers.n > NAMESERVERS_MAX) {
                c->servers.n = NAMESERVERS_MAX;
                spec_warn(w, "DNSConfigForming",
                          "Nameserver limits were exceeded, some nameservers have been omitted, the applied nameserver "
                          "line is: %s",
                          textlist_join(&c->servers, " "));
        }
        if (!fit_searches(&c->searches))
                spec_warn(w, "DNSConfigForming",
                          "Search Line limits were exceeded, some search paths have been omitted, the applied search "
                          "line is: %s",
                          textlist_join(&c->searches, " "));
}

int spec_resolv_conf(const struct spec_work *w, const char **ret, struct err *reterr)
{
        struct resolv_conf c = RESOLV_CONF(w->mem);
        enum dns_kind kind = DNS_NODE;
        int r = kind_of(w, &kind, reterr);

        if (!r && kind != DNS_NONE)
                r = read_node(w, &c, reterr);
        if (r)
                return r;
        if (kind == DNS_CLUSTER && w->s->node->cluster_dns && *w->s->node->cluster_dns)
                use_cluster(w, &c);
        else if (kind == DNS_CLUSTER)
                spec_warn(w, "MissingClusterDNS",
                          "pod: \"%s_%s(%s)\". kubelet does not have ClusterDNS IP configured and cannot create Pod "
                          "using "
                          "\"ClusterFirst\" policy. Falling back to \"Default\" policy.",
                          w->name, w->ns, w->uid);
        add_own(w, &c);
        fit(w, &c);
        *ret = resolv_conf_text(&c);
        return 0;
}
