/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>

#include "base/clock.h"
#include "base/file.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/str.h"
#include "kube/kubeconfig.h"
#include "kube/names.h"
#include "kube/pki.h"
#include "kube/x509.h"

#define DAY_S      ((int64_t)86400)
#define FILE_LIMIT ((size_t)1 << 20)

struct pki {
        const char *dir;
        const struct pki_opts *opts;
        int64_t now_s, cert_lifetime_s;
        struct x509_ca *ca;
        struct pki_result result;
        struct err *reterr;
};

static char *path_in(const struct pki *p, const char *name)
{
        return mem_printf("%s/%s", p->dir, name);
}

/* Reads a file of the folder; *ret stays NULL when there is none. */
static int load(struct pki *p, const char *name, char **ret)
{
        _cleanup_free_ char *path = path_in(p, name);
        int r = file_read(path, FILE_LIMIT, ret, NULL, p->reterr);

        return r == -ENOENT ? 0 : r;
}

static int save(struct pki *p, const char *name, const char *text)
{
        _cleanup_free_ char *path = path_in(p, name);

        return file_write_atomic(path, text, strlen(text), 0600, p->reterr);
}

/* Loads that key, or makes and saves one. */
static int load_or_make_key(struct pki *p, const char *name, char **ret)
{
        int r = load(p, name, ret);

        if (r || *ret)
                return r;
        r = x509_key_new(ret, p->reterr);
        return r ? r : save(p, name, *ret);
}

static int init_ca(struct pki *p)
{
        _cleanup_free_ char *cert = NULL, *key = NULL;
        int64_t lifetime = p->opts->ca_lifetime_s ? p->opts->ca_lifetime_s : 3650 * DAY_S;
        bool had_cert;
        int r = load(p, "ca.crt", &cert);

        if (!r)
                r = load(p, "ca.key", &key);
        if (r)
                return r;
        had_cert = cert;
        if (cert && !key)
                return err_set(p->reterr, -ENOENT,
                               "%s/ca.key: missing while ca.crt is there: put it back, or remove ca.crt for a new CA",
                               p->dir);
        if (!key)
                r = load_or_make_key(p, "ca.key", &key);
        if (!r && !cert)
                r = x509_ca_cert_new(key, "kubernetes", lifetime, &cert, p->reterr);
        if (!r && !had_cert)
                r = save(p, "ca.crt", cert);
        if (!r)
                r = x509_ca_new(cert, key, &p->ca, p->reterr);
        if (r)
                return err_prefix(p->reterr, r, "%s/ca.crt", p->dir);
        if (had_cert)
                p->result.kept++;
        else
                p->result.made++;
        return 0;
}

static int init_service_account(struct pki *p)
{
        _cleanup_free_ char *key = NULL, *pub = NULL, *want = NULL;
        int r = load_or_make_key(p, "sa.key", &key);

        if (!r)
                r = load(p, "sa.pub", &pub);
        if (!r)
                r = x509_key_public(key, &want, p->reterr);
        if (r)
                return err_prefix(p->reterr, r, "%s/sa.key", p->dir);
        if (str_eq(pub, want)) {
                p->result.kept++;
                return 0;
        }
        p->result.made++;
        return save(p, "sa.pub", want);
}

/* Whether what is there still does; counts it, and says in *ret whether it must be written. */
static int judge(struct pki *p, const char *name, const struct x509_spec *spec, const char *cert, const char *key,
                 bool *ret)
{
        struct err why = ERR_NULL;
        int r;

        *ret = true;
        if (!cert || !key) {
                p->result.made++;
                return 0;
        }
        r = x509_check(p->ca, spec, cert, key, p->now_s, &why);
        if (r < 0)
                return err_set(p->reterr, r, "%s/%s: %s", p->dir, name, why.msg);
        *ret = r == X509_UNFIT;
        if (*ret) {
                log_info("renewing certificate", "file=%s/%s reason=%s", p->dir, name, why.msg);
                p->result.renewed++;
        } else {
                p->result.kept++;
        }
        return 0;
}

static int init_pair(struct pki *p, const char *name, const struct x509_spec *spec)
{
        _cleanup_free_ char *crt_name = mem_printf("%s.crt", name), *key_name = mem_printf("%s.key", name);
        _cleanup_free_ char *cert = NULL, *key = NULL, *new_cert = NULL, *new_key = NULL;
        bool needed;
        int r = load(p, crt_name, &cert);

        if (!r)
                r = load(p, key_name, &key);
        if (!r)
                r = judge(p, crt_name, spec, cert, key, &needed);
        if (r || !needed)
                return r;
        r = x509_issue(p->ca, spec, &new_cert, &new_key, p->reterr);
        if (!r)
                r = save(p, key_name, new_key);
        return r ? r : save(p, crt_name, new_cert);
}

/* What the file has of certificate and key, when the rest of it is as it should be. */
static struct kubeconfig *usable(struct pki *p, const char *path)
{
        _cleanup_kubeconfig_ struct kubeconfig *k = NULL;

        if (kubeconfig_load(path, NULL, &k, NULL))
                return NULL;
        if (!str_eq(k->server, p->opts->server) || !str_eq(k->ca_pem, x509_ca_pem(p->ca)))
                return NULL;
        return TAKE_PTR(k);
}

static int init_kubeconfig(struct pki *p, const char *name, const char *user, const char *group)
{
        const char *const groups[] = {group, NULL};
        const struct x509_spec spec = {
                .common_name = user,
                .organizations = group ? groups : NULL,
                .client = true,
                .lifetime_s = p->cert_lifetime_s,
        };
        _cleanup_free_ char *file = mem_printf("%s.kubeconfig", name), *path = path_in(p, file);
        _cleanup_kubeconfig_ struct kubeconfig *old = usable(p, path), *k = mem_new(struct kubeconfig);
        bool needed;
        int r = judge(p, file, &spec, old ? old->cert_pem : NULL, old ? old->key_pem : NULL, &needed);

        if (r || !needed)
                return r;
        k->server = mem_strdup(p->opts->server);
        k->ca_pem = mem_strdup(x509_ca_pem(p->ca));
        r = x509_issue(p->ca, &spec, &k->cert_pem, &k->key_pem, p->reterr);
        if (r)
                return r;
        return kubeconfig_write(path, p->opts->cluster ? p->opts->cluster : "fairlead", user, k, p->reterr);
}

/* A NULL-terminated list of both; borrowed strings, the list is the caller's. */
static const char **join(const char *const *fixed, const char *const *more)
{
        size_t n = 0, m = 0;
        const char **list;

        while (fixed[n])
                n++;
        while (more && more[m])
                m++;
        list = mem_zalloc((n + m + 1) * sizeof(*list));
        memcpy(list, fixed, n * sizeof(*list));
        if (m)
                memcpy(list + n, more, m * sizeof(*list));
        return list;
}

static int init_server(struct pki *p)
{
        static const char *const names[] = {"localhost",
                                            "kubernetes",
                                            "kubernetes.default",
                                            "kubernetes.default.svc",
                                            "kubernetes.default.svc.cluster.local",
                                            NULL};
        static const char *const addresses[] = {"127.0.0.1", "::1", NULL};
        static const char *const masters[] = {"system:masters", NULL};
        const char **dns = join(names, p->opts->dns_names), **ips = join(addresses, p->opts->ips);
        const struct x509_spec server = {
                .common_name = "kube-apiserver",
                .dns_names = dns,
                .ips = ips,
                .server = true,
                .lifetime_s = p->cert_lifetime_s,
        };
        const struct x509_spec client = {
                .common_name = "kube-apiserver-kubelet-client",
                .organizations = masters,
                .client = true,
                .lifetime_s = p->cert_lifetime_s,
        };
        int r = init_pair(p, "apiserver", &server);

        if (!r)
                r = init_pair(p, "apiserver-kubelet-client", &client);
        free(dns);
        free(ips);
        return r;
}

#define NODE_IPS_MAX 8

/* What the kubelet serves with. ips: separated by commas, or NULL. */
static int init_node_server(struct pki *p, const char *node, const char *user, const char *ips)
{
        static const char *const groups[] = {"system:nodes", NULL};
        const char *const names[] = {node, NULL};
        _cleanup_free_ char *file = mem_printf("kubelet-%s", node), *text = mem_strdup(ips ? ips : "");
        const char *list[NODE_IPS_MAX + 1] = {0};
        const struct x509_spec spec = {
                .common_name = user,
                .organizations = groups,
                .dns_names = names,
                .ips = list,
                .server = true,
                .lifetime_s = p->cert_lifetime_s,
        };
        char *rest = text, *ip;
        size_t n = 0;

        while ((ip = strsep(&rest, ",")))
                if (*ip && n == NODE_IPS_MAX)
                        return err_set(p->reterr, -EINVAL, "node \"%s\": at most %d addresses", node, NODE_IPS_MAX);
                else if (*ip)
                        list[n++] = ip;
        return init_pair(p, file, &spec);
}

static int init_node(struct pki *p, const char *node, const char *ips)
{
        _cleanup_free_ char *user = mem_printf("system:node:%s", node);
        _cleanup_free_ char *kubelet = mem_printf("kubelet-%s", node), *agent = mem_printf("agent-%s", node);
        const char *wrong = name_error(NAME_DNS1123_SUBDOMAIN, node);
        int r;

        if (wrong)
                return err_set(p->reterr, -EINVAL, "node \"%s\": %s", node, wrong);
        r = init_kubeconfig(p, kubelet, user, "system:nodes");
        if (!r)
                r = init_node_server(p, node, user, ips);
        return r ? r : init_kubeconfig(p, agent, user, "system:nodes");
}

static int init_all(struct pki *p)
{
        static const struct {
                const char *name, *user, *group;
        } components[] = {
                {"admin", "kubernetes-admin", "system:masters"},
                {"controller-manager", "system:kube-controller-manager", NULL},
                {"scheduler", "system:kube-scheduler", NULL},
        };
        int r = init_ca(p);

        if (!r)
                r = init_service_account(p);
        if (!r)
                r = init_server(p);
        for (size_t i = 0; i < ARRAY_SIZE(components) && !r; i++)
                r = init_kubeconfig(p, components[i].name, components[i].user, components[i].group);
        for (size_t i = 0; p->opts->nodes && p->opts->nodes[i] && !r; i++)
                r = init_node(p, p->opts->nodes[i], p->opts->node_ips ? p->opts->node_ips[i] : NULL);
        return r;
}

int pki_init(const char *dir, const struct pki_opts *opts, struct pki_result *ret, struct err *reterr)
{
        struct pki p = {
                .dir = dir,
                .opts = opts,
                .now_s = opts->now_s ? opts->now_s : clock_wall_s(),
                .cert_lifetime_s = opts->cert_lifetime_s ? opts->cert_lifetime_s : 365 * DAY_S,
                .reterr = reterr,
        };
        _cleanup_close_ int lock = -1;
        int r = file_mkdirs(dir, 0700, reterr);

        if (r)
                return r;
        lock = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        if (lock < 0 || flock(lock, LOCK_EX)) {
                r = -errno;
                return err_set(reterr, r, "%s: cannot lock: %s", dir, strerror(-r));
        }
        file_remove_temps(dir);
        r = init_all(&p);
        x509_ca_free(p.ca);
        if (!r && ret)
                *ret = p.result;
        return r;
}
