/* SPDX-License-Identifier: Apache-2.0 */
/* Who may do what: the cluster's certificates, and each machine's share of them. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/file.h"
#include "base/mem.h"
#include "base/str.h"
#include "ctl/up/net.h"
#include "ctl/up/spec.h"
#include "kube/kubeconfig.h"
#include "kube/pki.h"

#define PKI        "disk/var/lib/fairlead/apiserver/pki"
#define FILE_LIMIT (1 << 20)

static char *pki_path(const struct cluster *c, const char *file)
{
        struct machine api = machine_of(MACHINE_CONTROL_PLANE, 0);
        _cleanup_free_ char *name = mem_printf(PKI "%s%s", file ? "/" : "", file ?: "");

        return machine_path(c, &api, name);
}

/* The administrator's kubeconfig with the address that the host has. */
static int write_kubeconfig(const struct cluster *c, struct err *reterr)
{
        _cleanup_free_ char *from = pki_path(c, "admin.kubeconfig"), *to = mem_printf("%s/kubeconfig", c->folder),
                            *cluster = mem_printf("fairlead-%s", c->name);
        _cleanup_kubeconfig_ struct kubeconfig *k = NULL;
        int r = kubeconfig_load(from, NULL, &k, reterr);

        if (r)
                return r;
        free(k->server);
        k->server = mem_printf("https://127.0.0.1:%u", c->port);
        return kubeconfig_write(to, cluster, "kubernetes-admin", k, reterr);
}

struct addresses {
        char text[4][PLAN_SIZE];
        const char *list[5];
        size_t n;
};

static void list_addresses(const struct cluster *c, struct addresses *a)
{
        *a = (struct addresses){0};
        for (int v6 = 0; v6 < 2; v6++) {
                if (v6 ? !c->v6 : !c->v4)
                        continue;
                a->list[a->n] = plan_fabric(c, v6, PLAN_API, a->text[a->n]), a->n++;
                a->list[a->n] = plan_service(c, v6, 1, a->text[a->n]), a->n++;
        }
}

int cluster_pki(const struct cluster *c, struct err *reterr)
{
        struct machine nodes[CLUSTER_NODES];
        char addresses[CLUSTER_NODES][2 * PLAN_SIZE];
        const char *names[CLUSTER_NODES + 1] = {NULL}, *node_ips[CLUSTER_NODES + 1] = {NULL};
        _cleanup_free_ char *folder = pki_path(c, NULL), *server = NULL;
        struct addresses a;
        struct pki_opts opts = {.cluster = c->name, .ips = a.list, .nodes = names, .node_ips = node_ips};
        int r;

        list_addresses(c, &a);
        server = mem_printf(c->v4 ? "https://%s:%d" : "https://[%s]:%d", a.list[0], API_PORT);
        opts.server = server;
        for (size_t i = 0; i < c->nnodes; i++) {
                nodes[i] = machine_node(c->nodes[i]);
                names[i] = nodes[i].name;
                node_ips[i] = machine_addresses(c, &nodes[i], addresses[i]);
        }
        r = pki_init(folder, &opts, NULL, reterr);
        return r ? r : write_kubeconfig(c, reterr);
}

static int add_file(const struct cluster *c, struct json_object *spec, const char *from, const char *to,
                    struct err *reterr)
{
        _cleanup_free_ char *path = pki_path(c, from), *text = NULL;
        int r = file_read(path, FILE_LIMIT, &text, NULL, reterr);

        if (!r)
                json_set_str(json_get(spec, "files"), to, text);
        return r;
}

static int add_credentials(const struct cluster *c, const struct machine *m, struct json_object *spec,
                           struct err *reterr)
{
        static const struct {
                const char *before, *after, *to; /* "agent-" node-1 ".kubeconfig" */
        } files[] = {{"agent-", ".kubeconfig", "fairlead/agent.kubeconfig"},
                     {"kubelet-", ".kubeconfig", "fairlead/kubelet.kubeconfig"},
                     {"kubelet-", ".crt", "fairlead/kubelet.crt"},
                     {"kubelet-", ".key", "fairlead/kubelet.key"}};
        int r = 0;

        for (size_t i = 0; !r && i < ARRAY_SIZE(files); i++) {
                _cleanup_free_ char *from = mem_printf("%s%s%s", files[i].before, m->name, files[i].after);

                r = add_file(c, spec, from, files[i].to, reterr);
        }
        return r;
}

int machine_describe(const struct cluster *c, const struct machine *m, struct err *reterr)
{
        _cleanup_json_ struct json_object *spec = machine_spec(c, m, cluster_has_program(c, "fairlead-kubelet"));
        _cleanup_free_ char *folder = machine_path(c, m, NULL), *path = machine_path(c, m, "machine.json"),
                            *text = NULL;
        int r = m->role == MACHINE_NODE ? add_credentials(c, m, spec, reterr) : 0;

        if (!r)
                r = file_mkdirs(folder, 0755, reterr);
        if (r)
                return r;
        text = json_text(spec);
        return file_write_atomic(path, text, strlen(text), 0600, reterr);
}
