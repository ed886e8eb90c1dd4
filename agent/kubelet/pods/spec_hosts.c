/* SPDX-License-Identifier: Apache-2.0 */
/* What a pod is called, and its /etc/hosts. */
#include <errno.h>
#include <string.h>

#include "agent/kubelet/pods/spec_impl.h"
#include "agent/kubelet/pods/textlist.h"
#include "base/file.h"
#include "base/str.h"
#include "kube/names.h"

#define HOSTS_FILE     "/etc/hosts"
#define HOSTS_FILE_MAX (1024 * 1024)
#define HOSTNAME_MAX   63
#define FQDN_MAX       64 /* of the kernel */

/* A pod's name may be longer than a host's: cut, and nothing but letters and digits at the end. */
static const char *shortened(const char *name, struct arena *mem)
{
        size_t n = strlen(name);

        if (n <= HOSTNAME_MAX)
                return name;
        n = HOSTNAME_MAX;
        while (n && (name[n - 1] == '-' || name[n - 1] == '.'))
                n--;
        return arena_strndup(mem, name, n);
}

static int check_label(const char *what, const char *label, struct err *reterr)
{
        const char *wrong = name_error(NAME_DNS1123_LABEL, label);

        return wrong ? err_set(reterr, -EINVAL, "pod %s \"%s\" is not a valid DNS label: %s", what, label, wrong) : 0;
}

int spec_hostname(const struct spec_work *w, const char **ret_name, const char **ret_domain, struct err *reterr)
{
        const char *hostname = json_get_str(w->spec, "hostname"), *subdomain = json_get_str(w->spec, "subdomain");
        const char *override = json_get_str(w->spec, "hostnameOverride");
        int r = str_empty(hostname) ? 0 : check_label("Hostname", hostname, reterr);

        *ret_domain = "";
        if (!str_empty(override)) {
                *ret_name = override;
                return 0;
        }
        if (!r && !str_empty(subdomain))
                r = check_label("Subdomain", subdomain, reterr);
        if (r)
                return r;
        *ret_name = shortened(str_empty(hostname) ? w->name : hostname, w->mem);
        if (!str_empty(subdomain))
                *ret_domain = arena_printf(w->mem, "%s.%s.svc.%s", subdomain, w->ns,
                                           w->s->node->cluster_domain ?: "cluster.local");
        return 0;
}

int spec_sandbox_hostname(const struct spec_work *w, const char **ret, struct err *reterr)
{
        const char *name, *domain, *full;
        int r = spec_hostname(w, &name, &domain, reterr);

        if (r)
                return r;
        *ret = name;
        if (!*domain || !json_get_bool(w->spec, "setHostnameAsFQDN", false))
                return 0;
        full = arena_printf(w->mem, "%s.%s", name, domain);
        if (strlen(full) > FQDN_MAX)
                return err_set(reterr, -ENAMETOOLONG,
                               "failed to construct FQDN from pod hostname and cluster domain, FQDN %s is too long (%d "
                               "characters is the max, %zu characters requested)",
                               full, FQDN_MAX, strlen(full));
        *ret = full;
        return 0;
}

static void add_aliases(const struct spec_work *w, struct textlist *text)
{
        struct json_object *aliases = json_get(w->spec, "hostAliases");

        if (json_len(aliases))
                textlist_add(text, "\n# Entries added by HostAliases.\n");
        json_array_foreach (aliases, i, alias) {
                struct textlist names = TEXTLIST(w->mem);

                json_array_foreach (json_get(alias, "hostnames"), k, name)
                        textlist_add(&names, json_object_get_string(name));
                textlist_add(text, arena_printf(w->mem, "%s\t%s\n", json_get_str(alias, "ip") ?: "",
                                                textlist_join(&names, "\t")));
        }
}

/* On the node's network the node's names hold. */
static int add_node_hosts(const struct spec_work *w, struct textlist *text, struct err *reterr)
{
        _cleanup_free_ char *hosts = NULL;
        size_t n = 0;
        int r = file_read(HOSTS_FILE, HOSTS_FILE_MAX, &hosts, &n, reterr);

        if (r && r != -ENOENT)
                return r;
        textlist_add(text, "# Kubernetes-managed hosts file (host network).\n");
        textlist_add(text, arena_strndup(w->mem, hosts ?: "", n));
        return 0;
}

static int add_pod_hosts(const struct spec_work *w, struct textlist *text, struct err *reterr)
{
        const char *name, *domain;
        int r = spec_hostname(w, &name, &domain, reterr);

        if (r)
                return r;
        textlist_add(text, "# Kubernetes-managed hosts file.\n"
                           "127.0.0.1\tlocalhost\n"
                           "::1\tlocalhost ip6-localhost ip6-loopback\n"
                           "fe00::0\tip6-localnet\n"
                           "fe00::0\tip6-mcastprefix\n"
                           "fe00::1\tip6-allnodes\n"
                           "fe00::2\tip6-allrouters\n");
        for (const char *const *ip = spec_ips(w); *ip; ip++)
                textlist_add(text, *domain ? arena_printf(w->mem, "%s\t%s.%s\t%s\n", *ip, name, domain, name)
                                           : arena_printf(w->mem, "%s\t%s\n", *ip, name));
        return 0;
}

int spec_hosts(const struct spec_work *w, const char **ret, struct err *reterr)
{
        struct textlist text = TEXTLIST(w->mem);
        int r = spec_host_network(w) ? add_node_hosts(w, &text, reterr) : add_pod_hosts(w, &text, reterr);

        if (r)
                return r;
        add_aliases(w, &text);
        *ret = textlist_join(&text, "");
        return 0;
}
