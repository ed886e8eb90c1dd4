/* SPDX-License-Identifier: Apache-2.0 */
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/mem.h"
#include "base/str.h"
#include "base/strbuf.h"
#include "ctl/up/net.h"
#include "ctl/up/spec.h"

#define API_FOLDER "/var/lib/fairlead/apiserver"
#define PROGRAMS   "/opt/fairlead/bin/"
/* Without a sign of life for so long a node is lost. Upstream's 50 s are for networks that lose messages. */
#define LEASE "12s"

bool cluster_has_program(const struct cluster *c, const char *program)
{
        _cleanup_free_ char *path = mem_printf("%s/%s", c->programs, program);

        return access(path, X_OK) == 0;
}

/* ---- services */

static struct json_object *add_service(struct json_object *list, const char *name, const char *program)
{
        struct json_object *service = json_object_new_object(), *argv = json_object_new_array();
        _cleanup_free_ char *path = mem_printf(PROGRAMS "%s", program);

        json_set_str(service, "name", name);
        json_object_array_add(argv, json_object_new_string(path));
        json_set(service, "argv", argv);
        json_object_array_add(list, service);
        return service;
}

static void __attribute__((format(printf, 2, 3))) add_word(struct json_object *service, const char *fmt, ...)
{
        _cleanup_strbuf_ struct strbuf b = STRBUF_NULL;
        va_list ap;

        va_start(ap, fmt);
        strbuf_vprintf(&b, fmt, ap);
        va_end(ap);
        json_object_array_add(json_get(service, "argv"), json_object_new_string(b.data));
}

/* The address of that host in the fabric, of the cluster's first family. */
static const char *first_address(const struct cluster *c, unsigned host, char buf[static PLAN_SIZE])
{
        return plan_fabric(c, !c->v4, host, buf);
}

static void add_after(const struct cluster *c, struct json_object *service)
{
        char address[PLAN_SIZE];

        json_set_str(service, "after", first_address(c, PLAN_API, address));
}

static void add_apiserver(const struct cluster *c, struct json_object *list)
{
        struct json_object *s = add_service(list, "apiserver", "fairlead-apiserver");
        char address[PLAN_SIZE], services[2 * PLAN_SIZE];

        add_word(s, "--data-dir=" API_FOLDER);
        add_word(s, "--bind-address=%s", c->v6 ? "::" : "0.0.0.0");
        add_word(s, "--secure-port=%d", API_PORT);
        add_word(s, "--advertise-address=%s", first_address(c, PLAN_API, address));
        add_word(s, "--service-cluster-ip-range=%s", plan_both(c, plan_services, services));
}

static void add_controllers(const struct cluster *c, struct json_object *list)
{
        struct json_object *s = add_service(list, "controller-manager", "fairlead-controller-manager");
        char pods[2 * PLAN_SIZE];

        add_word(s, "--kubeconfig=" API_FOLDER "/pki/controller-manager.kubeconfig");
        add_word(s, "--leader-elect=false");
        add_word(s, "--allocate-node-cidrs=true");
        add_word(s, "--cluster-cidr=%s", plan_both(c, plan_pods, pods));
        add_word(s, "--node-monitor-period=1s");
        add_word(s, "--node-monitor-grace-period=" LEASE);
        add_after(c, s);
        s = add_service(list, "scheduler", "fairlead-scheduler");
        add_word(s, "--kubeconfig=" API_FOLDER "/pki/scheduler.kubeconfig");
        add_word(s, "--leader-elect=false");
        add_after(c, s);
}

static void add_relay(struct json_object *list)
{
        struct json_object *s = add_service(list, "relay", "fairctl");

        add_word(s, "__relay");
        add_word(s, "127.0.0.1"); /* that of the control plane's namespace */
        add_word(s, "%d", API_PORT);
        json_set_bool(s, "socket", true);
}

static void add_agent(const struct cluster *c, const struct machine *m, struct json_object *list)
{
        struct json_object *s = add_service(list, "agent", "fairlead-agent");

        add_word(s, "--kubeconfig=/etc/fairlead/agent.kubeconfig");
        add_word(s, "--node-name=%s", m->name);
        add_word(s, "--routing=%s", c->native ? "native" : "vxlan");
        add_word(s, "--health-address=%s:10256", c->v6 ? "[::]" : "0.0.0.0");
        add_after(c, s);
}

static void add_kubelet(const struct cluster *c, const struct machine *m, struct json_object *list)
{
        struct json_object *s = add_service(list, "kubelet", "fairlead-kubelet");
        char address[2 * PLAN_SIZE];

        add_word(s, "--kubeconfig=/etc/fairlead/kubelet.kubeconfig");
        add_word(s, "--node-name=%s", m->name);
        add_word(s, "--node-ip=%s", machine_addresses(c, m, address));
        add_word(s, "--address=%s", c->v6 ? "::" : "0.0.0.0");
        add_word(s, "--node-lease-duration=" LEASE);
        add_word(s, "--tls-cert-file=/etc/fairlead/kubelet.crt");
        add_word(s, "--tls-private-key-file=/etc/fairlead/kubelet.key");
        add_after(c, s);
}

static struct json_object *services_of(const struct cluster *c, const struct machine *m, bool kubelet)
{
        struct json_object *list = json_object_new_array();

        if (m->role == MACHINE_CONTROL_PLANE) {
                add_apiserver(c, list);
                add_controllers(c, list);
                add_relay(list);
        } else if (m->role == MACHINE_NODE) {
                add_agent(c, m, list);
                if (kubelet)
                        add_kubelet(c, m, list);
        }
        return list;
}

/* ---- network */

static void add_family(const struct cluster *c, const struct machine *m, bool v6, struct strbuf *b)
{
        const char *more = v6 ? "/64 nodad" : "/24";
        char address[PLAN_SIZE], gate[PLAN_SIZE];

        plan_fabric(c, v6, m->role == MACHINE_NODE ? PLAN_NODES + m->number : PLAN_API, address);
        plan_fabric(c, v6, PLAN_ROUTER, gate);
        if (m->role == MACHINE_FABRIC) {
                strbuf_printf(b, "address add %s%s dev br0\n", gate, more);
                return;
        }
        if (m->role == MACHINE_CLIENT) {
                plan_outside(c, v6, PLAN_CLIENT, address);
                plan_outside(c, v6, PLAN_GATE, gate);
        }
        strbuf_printf(b, "address add %s%s dev eth0\nlink set eth0 up\nroute add default via %s\n", address, more,
                      gate);
}

static void add_network(const struct cluster *c, const struct machine *m, struct json_object *spec)
{
        _cleanup_strbuf_ struct strbuf b = STRBUF_NULL;

        strbuf_add_str(&b, "link set lo up\n");
        if (m->role == MACHINE_FABRIC)
                strbuf_add_str(&b, "link add br0 type bridge mcast_snooping 0 forward_delay 0\nlink set br0 up\n");
        if (c->v4)
                add_family(c, m, false, &b);
        if (c->v6)
                add_family(c, m, true, &b);
        json_set_str(spec, "network", b.data);
        if (m->role != MACHINE_FABRIC)
                json_set_str(spec, "device", "eth0");
}

/* ---- files */

struct host_lines {
        const struct cluster *cluster;
        struct strbuf text;
};

static int add_host(void *userdata, const struct machine *m)
{
        struct host_lines *h = userdata;
        unsigned host = m->role == MACHINE_NODE ? PLAN_NODES + m->number : PLAN_API;
        char address[PLAN_SIZE];

        for (int v6 = 0; v6 < 2; v6++)
                if ((m->role == MACHINE_NODE || m->role == MACHINE_CONTROL_PLANE) &&
                    (v6 ? h->cluster->v6 : h->cluster->v4))
                        strbuf_printf(&h->text, "%s %s\n", plan_fabric(h->cluster, v6, host, address), m->name);
        return 0;
}

static void add_files(const struct cluster *c, const struct machine *m, struct json_object *spec)
{
        struct json_object *files = json_object_new_object();
        _cleanup_free_ char *hostname = mem_printf("%s\n", m->name);
        struct host_lines hosts = {.cluster = c};

        strbuf_add_str(&hosts.text, "127.0.0.1 localhost\n::1 localhost\n");
        machines_each(c, add_host, &hosts);
        json_set_str(files, "hosts", hosts.text.data);
        json_set_str(files, "hostname", hostname);
        json_set_str(files, "resolv.conf", "# There is no way out of this cluster, and so no name server.\n");
        strbuf_deinit(&hosts.text);
        json_set(spec, "files", files);
}

struct json_object *machine_spec(const struct cluster *c, const struct machine *m, bool kubelet)
{
        struct json_object *spec = json_object_new_object();

        json_set_str(spec, "name", m->name);
        json_set_str(spec, "programs", c->programs);
        add_network(c, m, spec);
        add_files(c, m, spec);
        json_set(spec, "services", services_of(c, m, kubelet));
        return spec;
}
