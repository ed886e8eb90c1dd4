/* SPDX-License-Identifier: Apache-2.0 */
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/file.h"
#include "base/mem.h"
#include "base/str.h"
#include "base/strbuf.h"
#include "ctl/up/boot.h"
#include "ctl/up/spec.h"

#define PORT_FIRST 6443
#define PORT_LAST  6543

/* ---- requirements */

static const char *find_in(const char *folders, const char *program, char *buf, size_t size)
{
        struct str_span folder;

        for (const char *rest = folders; str_split(&rest, ':', &folder);) {
                snprintf(buf, size, "%.*s/%s", (int)folder.n, folder.s, program);
                if (access(buf, X_OK) == 0)
                        return buf;
        }
        return NULL;
}

static void need_programs(const struct cluster *c, struct strbuf *b)
{
        static const char *const own[] = {"fairlead-apiserver", "fairlead-controller-manager", "fairlead-scheduler",
                                          "fairlead-agent", "fairlead-cni"};
        static const struct {
                const char *program, *package;
                bool kubelet;
        } others[] = {{"ip", "iproute2", false},
                      {"crun", "crun", true},
                      {"skopeo", "skopeo", true},
                      {"umoci", "umoci", true}};
        bool kubelet = cluster_has_program(c, "fairlead-kubelet");
        char path[256];

        for (size_t i = 0; i < ARRAY_SIZE(own); i++)
                if (!cluster_has_program(c, own[i]))
                        strbuf_printf(b, "\n  %s is not in %s: build it (make all)", own[i], c->programs);
        for (size_t i = 0; i < ARRAY_SIZE(others); i++)
                if ((kubelet || !others[i].kubelet) &&
                    !find_in("/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", others[i].program, path,
                             sizeof(path)))
                        strbuf_printf(b, "\n  %s is not installed: apt-get install %s", others[i].program,
                                      others[i].package);
}

/* File systems may be modules that load when they are first mounted: only what can be neither is missing. */
static void need_kernel(struct strbuf *b)
{
        static const struct {
                const char *path, *text;
        } needed[] = {
                {"/proc/self/ns/cgroup", "cgroup namespaces (CONFIG_CGROUPS)"},
                {"/proc/self/ns/pid", "pid namespaces (CONFIG_PID_NS)"},
                {"/proc/self/ns/net", "network namespaces (CONFIG_NET_NS)"},
                {"/sys/fs/bpf", "the BPF file system (CONFIG_BPF_SYSCALL)"},
        };
        struct hierarchies h;
        struct err err = ERR_NULL;

        for (size_t i = 0; i < ARRAY_SIZE(needed); i++)
                if (access(needed[i].path, F_OK))
                        strbuf_printf(b, "\n  this kernel lacks %s: use a kernel of your distribution, 5.14 or newer",
                                      needed[i].text);
        if (access("/opt", F_OK))
                strbuf_add_str(b, "\n  there is no folder /opt, where machines have their programs: mkdir /opt");
        if (hierarchies_find(&h, &err))
                strbuf_printf(b, "\n  %s", err.msg);
}

int boot_requirements(const struct cluster *c, struct err *reterr)
{
        _cleanup_strbuf_ struct strbuf b = STRBUF_NULL;

        if (geteuid())
                return err_set(reterr, -EPERM, "namespaces, devices and BPF need root: run it with sudo");
        need_programs(c, &b);
        need_kernel(&b);
        return b.len ? err_set(reterr, -ENOENT, "something is missing:%s", b.data) : 0;
}

/* ---- the port of the host */

static int listen_at(uint16_t port)
{
        struct sockaddr_in a = {.sin_family = AF_INET, .sin_port = htons(port)};
        int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0), one = 1, r;

        a.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
        if (fd < 0)
                return -errno;
        setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one));
        if (bind(fd, (struct sockaddr *)&a, sizeof(a)) || listen(fd, SOMAXCONN)) {
                r = -errno;
                close(fd);
                return r;
        }
        return fd;
}

int boot_listen(uint16_t *port, int *ret, struct err *reterr)
{
        uint16_t first = *port ? *port : PORT_FIRST, last = *port ? *port : PORT_LAST;
        int fd = -EADDRINUSE;

        for (uint16_t p = first; fd == -EADDRINUSE && p <= last; p++) {
                fd = listen_at(p);
                if (fd >= 0)
                        *port = p;
        }
        if (fd == -EADDRINUSE && first == last)
                return err_set(reterr, fd,
                               "port %u of 127.0.0.1 is in use by another program: end that one, or take "
                               "the cluster down and up again",
                               first);
        if (fd < 0)
                return err_set(reterr, fd, "no port of 127.0.0.1 can be had: %s", strerror(-fd));
        *ret = fd;
        return 0;
}

/* ---- machines */

struct fleet {
        struct cluster *cluster;
        const struct hierarchies *hierarchies;
        int listen;
        struct booting booting[CLUSTER_NODES + MACHINE_NODE];
        size_t n;
        struct err *reterr;
};

static int await_all(struct fleet *f)
{
        int r = 0;

        for (size_t i = 0; !r && i < f->n; i++)
                if (f->booting[i].fd >= 0)
                        r = machine_await(&f->booting[i], f->reterr);
        return r;
}

static int own_listener(struct fleet *f)
{
        return f->listen >= 0 ? 0 : boot_listen(&f->cluster->port, &f->listen, f->reterr);
}

/* The others are plugged into the fabric, so that it is waited for; they come up side by side. */
static int start_if_off(void *userdata, const struct machine *m)
{
        struct fleet *f = userdata;
        bool api = m->role == MACHINE_CONTROL_PLANE;
        int r;

        if (machine_pid(f->cluster, m))
                return 0;
        r = api ? own_listener(f) : 0;
        if (!r)
                r = machine_describe(f->cluster, m, f->reterr);
        if (!r)
                r = machine_start(f->cluster, f->hierarchies, m, api ? f->listen : -1, &f->booting[f->n], f->reterr);
        if (!r)
                f->n++;
        if (!r && m->role == MACHINE_FABRIC)
                r = await_all(f);
        return r;
}

int boot_machines(struct cluster *c, const struct hierarchies *h, int listen_fd, size_t *ret_started,
                  struct err *reterr)
{
        struct fleet f = {.cluster = c, .hierarchies = h, .listen = listen_fd, .reterr = reterr};
        int r = machines_each(c, start_if_off, &f);

        if (!r)
                r = await_all(&f);
        for (size_t i = 0; i < f.n; i++)
                closep(&f.booting[i].fd);
        closep(&f.listen);
        if (!r)
                *ret_started = f.n;
        return r;
}
