/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Starting a machine: a launcher enters the machine's groups, makes its namespaces, and leaves behind the first
 * process, which runs `fairctl __machine FOLDER`. That one waits for its cable, and says "ok" when it is up. When
 * whoever starts it dies before, its socket ends and so does the machine.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/ethtool.h>
#include <linux/sockios.h>
#include <net/if.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/file.h"
#include "base/mem.h"
#include "base/str.h"
#include "base/strbuf.h"
#include "ctl/up/init.h"
#include "ctl/up/machine.h"
#include "ctl/up/net.h"

#define AWAIT_MS   30000
#define NAMESPACES (CLONE_NEWNET | CLONE_NEWNS | CLONE_NEWUTS | CLONE_NEWIPC | CLONE_NEWCGROUP | CLONE_NEWPID)

struct launch {
        const struct cluster *cluster;
        const struct hierarchies *hierarchies;
        const struct machine *machine;
        char *folder, *group;
        int lock, log, listen; /* what the machine gets */
        int theirs;            /* its end of the conversation */
        int said;              /* where the launcher writes what was wrong */
};

/* ---- in the launcher */

static _noreturn_ void fail(const struct launch *l, const char *what)
{
        dprintf(l->said, "%s: %s", what, strerror(errno));
        _exit(1);
}

/* The fixed descriptors of a first process: 0 nothing, 1 and 2 its log, then INIT_*. The lock stays, too. */
static _noreturn_ void become_first(const struct launch *l)
{
        char *const argv[] = {(char *)"fairctl", (char *)"__machine", l->folder, NULL};
        int null = fcntl(open("/dev/null", O_RDONLY | O_CLOEXEC), F_DUPFD, 20);
        int listen = l->listen >= 0 ? l->listen : null;

        /* Out of the way of the numbers that they get. */
        int lock = fcntl(l->lock, F_DUPFD, 20), theirs = fcntl(l->theirs, F_DUPFD, 20);
        int log = fcntl(l->log, F_DUPFD, 20), heard = fcntl(listen, F_DUPFD, 20);

        dup2(null, 0);
        dup2(log, 1);
        dup2(log, 2);
        dup2(theirs, INIT_TALK);
        dup2(heard, INIT_LISTEN);
        dup2(lock, INIT_LOCK);
        if (close_range(INIT_LOCK + 1, ~0U, 0))
                fail(l, "close_range");
        setsid();
        execv("/proc/self/exe", argv);
        _exit(1);
}

static _noreturn_ void run_launcher(const struct launch *l)
{
        _cleanup_free_ char *path = mem_printf("%s/pid", l->folder);
        struct err err = ERR_NULL;
        char text[32];
        pid_t pid;

        if (groups_enter(l->hierarchies, l->group, &err)) {
                dprintf(l->said, "%s", err.msg);
                _exit(1);
        }
        if (unshare(NAMESPACES))
                fail(l, "namespaces cannot be made (is the kernel built with namespaces, and is this root?)");
        pid = fork();
        if (pid < 0)
                fail(l, "fork");
        if (pid == 0)
                become_first(l);
        snprintf(text, sizeof(text), "%d\n", pid);
        if (file_write_atomic(path, text, strlen(text), 0600, &err))
                dprintf(l->said, "%s", err.msg);
        _exit(*err.msg ? 1 : 0);
}

/* ---- the cable */

struct cable {
        const struct cluster *cluster;
        const struct machine *machine;
        pid_t pid;
};

/* What the fabric's end of the cable gets: a port of the bridge; the client is behind the router. */
static void add_port(const struct cable *cable, struct strbuf *b)
{
        const struct cluster *c = cable->cluster;
        const char *name = cable->machine->name;
        char address[PLAN_SIZE];

        if (cable->machine->role != MACHINE_CLIENT) {
                strbuf_printf(b, "link set %s master br0\n", name);
                return;
        }
        if (c->v4)
                strbuf_printf(b, "address add %s/24 dev %s\n", plan_outside(c, false, PLAN_GATE, address), name);
        if (c->v6)
                strbuf_printf(b, "address add %s/64 dev %s nodad\n", plan_outside(c, true, PLAN_GATE, address), name);
}

/* In the fabric's namespace. What comes from a machine is received as from a NIC: without that a veth refuses frames
 * that the machine's XDP programs send. */
static int plug(void *userdata, struct err *reterr)
{
        const struct cable *cable = userdata;
        const char *name = cable->machine->name;
        _cleanup_free_ char *old = mem_printf("link delete %s\n", name);
        _cleanup_strbuf_ struct strbuf lines = STRBUF_NULL;
        int r;

        if (if_nametoindex(name)) /* of a machine whose power was cut: it goes sooner or later by itself */
                net_ip(old, NULL);
        strbuf_printf(&lines, "link add %s type veth peer name eth0 netns %d\n", name, cable->pid);
        add_port(cable, &lines);
        strbuf_printf(&lines, "link set %s up\n", name);
        r = net_ip(lines.data, reterr);
        return r ? r : net_ethtool(name, ETHTOOL_SGRO, 1, reterr);
}

static int lay_cable(const struct cluster *c, const struct machine *m, struct err *reterr)
{
        struct machine fabric = machine_of(MACHINE_FABRIC, 0);
        struct cable cable = {c, m, machine_pid(c, m)};
        pid_t pid = machine_pid(c, &fabric);

        if (m->role == MACHINE_FABRIC)
                return 0;
        if (!pid || !cable.pid)
                return err_set(reterr, -ESRCH, "%s has ended at once: see its log, `fairctl logs init@%s --name %s`",
                               pid ? m->name : "the fabric", pid ? m->name : "fabric", c->name);
        return net_within(pid, plug, &cable, reterr);
}

/* ---- starting */

static int open_files(struct launch *l, struct err *reterr)
{
        static const char *const folders[] = {"disk/var", "disk/etc", "disk/etc.work", "log"};
        _cleanup_free_ char *lock = mem_printf("%s/lock", l->folder), *log = mem_printf("%s/log/init.log", l->folder);
        int r = 0;

        for (size_t i = 0; !r && i < ARRAY_SIZE(folders); i++) {
                _cleanup_free_ char *path = mem_printf("%s/%s", l->folder, folders[i]);

                r = file_mkdirs(path, 0755, reterr);
        }
        if (r)
                return r;
        l->log = open(log, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
        l->lock = open(lock, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
        if (l->log < 0 || l->lock < 0)
                return err_set(reterr, -errno, "%s: files cannot be made: %s", l->folder, strerror(errno));
        if (flock(l->lock, LOCK_EX | LOCK_NB))
                return err_set(reterr, -EALREADY, "%s is running already", l->machine->name);
        return 0;
}

static int run(struct launch *l, struct err *reterr)
{
        char text[400] = "";
        int said[2], status;
        ssize_t n;
        pid_t pid;

        if (pipe2(said, O_CLOEXEC))
                return err_set(reterr, -errno, "pipe: %s", strerror(errno));
        l->said = said[1];
        pid = fork();
        if (pid == 0)
                run_launcher(l);
        close(said[1]);
        n = pid < 0 ? 0 : read(said[0], text, sizeof(text) - 1);
        close(said[0]);
        if (pid < 0 || waitpid(pid, &status, 0) != pid)
                return err_set(reterr, -errno, "fork: %s", strerror(errno));
        text[n < 0 ? 0 : n] = '\0';
        return status ? err_set(reterr, -ECHILD, "%s cannot be started: %s", l->machine->name, text) : 0;
}

static int talk(struct launch *l, int ours, struct err *reterr)
{
        int r = run(l, reterr);

        if (!r)
                r = lay_cable(l->cluster, l->machine, reterr);
        if (!r && write(ours, "", 1) != 1)
                r = err_set(reterr, -errno, "%s does not listen: %s", l->machine->name, strerror(errno));
        return r;
}

int machine_start(const struct cluster *c, const struct hierarchies *h, const struct machine *m, int listen_fd,
                  struct booting *ret, struct err *reterr)
{
        struct launch l = {.cluster = c,
                           .hierarchies = h,
                           .machine = m,
                           .folder = machine_path(c, m, NULL),
                           .group = machine_group(c, m),
                           .lock = -1,
                           .log = -1,
                           .listen = listen_fd};
        int pair[2] = {-1, -1}, r;

        if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair))
                r = err_set(reterr, -errno, "socketpair: %s", strerror(errno));
        else
                r = open_files(&l, reterr);
        l.theirs = pair[1];
        if (!r)
                r = groups_make(h, l.group, reterr);
        if (!r)
                r = talk(&l, pair[0], reterr);
        if (!r)
                *ret = (struct booting){.machine = *m, .fd = TAKE_FD(pair[0])};
        closep(&pair[0]);
        closep(&pair[1]);
        closep(&l.lock);
        closep(&l.log);
        free(l.folder);
        free(l.group);
        return r;
}

int machine_await(struct booting *b, struct err *reterr)
{
        char text[sizeof(reterr->msg)] = "";
        struct pollfd p = {.fd = b->fd, .events = POLLIN};
        size_t n = 0;
        ssize_t got = 0;

        while (poll(&p, 1, AWAIT_MS) > 0 && (got = read(b->fd, text + n, sizeof(text) - 1 - n)) > 0)
                n += (size_t)got;
        close(TAKE_FD(b->fd));
        if (str_eq(text, "ok"))
                return 0;
        return err_set(reterr, -EIO, "%s did not come up: %s", b->machine.name,
                       n ? text : "its first process ended without a word; see log/init.log in its folder");
}
