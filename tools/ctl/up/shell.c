/* SPDX-License-Identifier: Apache-2.0 */
/* fairctl shell: a command, or a shell, on a machine of a cluster. */
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/mem.h"
#include "base/str.h"
#include "ctl/commands.h"
#include "ctl/up/command.h"
#include "ctl/up/machine.h"

#define NAMESPACES (CLONE_NEWCGROUP | CLONE_NEWIPC | CLONE_NEWUTS | CLONE_NEWNET | CLONE_NEWPID | CLONE_NEWNS)
#define PATH       "/opt/fairlead/bin:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"

static const struct cli_flag flags[] = {
        CLUSTER_FLAG,
        {0},
};

/* Its own group of the v2 hierarchy, where the machine's programs have theirs, so that what is attached to the
 * machine's groups holds for it, and it ends with the machine. */
static int enter_group(const struct cluster *c, const struct machine *m, struct err *reterr)
{
        _cleanup_free_ char *machine = machine_group(c, m), *path = mem_printf("%s/system/shell", machine);
        struct hierarchies h;
        int r = hierarchies_find(&h, reterr);

        h.n = 1;
        if (!r)
                r = groups_make(&h, path, reterr);
        return r ? r : groups_enter(&h, path, reterr);
}

static int enter(const struct cluster *c, const struct machine *m, struct err *reterr)
{
        pid_t pid = machine_pid(c, m);
        _cleanup_close_ int fd = -1;
        int r;

        if (!pid)
                return err_set(reterr, -ESRCH, "%s is off: `fairctl node restart %s` switches it on", m->name, m->name);
        fd = (int)syscall(SYS_pidfd_open, pid, 0);
        if (fd < 0)
                return err_set(reterr, -errno, "%s has just ended", m->name);
        r = enter_group(c, m, reterr);
        if (!r && setns(fd, NAMESPACES))
                r = err_set(reterr, -errno, "the namespaces of %s cannot be entered: %s", m->name, strerror(errno));
        return r;
}

static _noreturn_ void become(const struct cli *cli)
{
        char **argv = mem_zalloc((cli->argument_count + 1) * sizeof(*argv)); /* ends with NULL */

        prctl(PR_SET_PDEATHSIG, SIGKILL);
        setenv("PATH", PATH, 1);
        unsetenv("KUBECONFIG"); /* the host's address of the API server is none here */
        argv[0] = (char *)"sh";
        for (size_t i = 1; i < cli->argument_count; i++)
                argv[i - 1] = (char *)cli->arguments[i];
        if (chdir("/"))
                _exit(126);
        execvp(argv[0], argv);
        fprintf(stderr, "fairctl shell: %s: %s\n", argv[0], strerror(errno));
        _exit(errno == ENOENT ? 127 : 126);
}

/* Who is in a pid namespace is a child of who has entered it; who has entered it cannot make threads any more, which
 * leak checkers do at exit, so that it ends without one. Signals of the terminal are for the child. */
static int run_child(struct view *v, struct err *reterr)
{
        int status;
        pid_t pid = fork();

        if (pid == 0)
                become(&v->cli);
        if (pid < 0)
                return err_set(reterr, -errno, "fork: %s", strerror(errno));
        signal(SIGINT, SIG_IGN);
        signal(SIGQUIT, SIG_IGN);
        while (waitpid(pid, &status, 0) != pid)
                if (errno != EINTR)
                        return err_set(reterr, -errno, "waitpid: %s", strerror(errno));
        _exit(WIFSIGNALED(status) ? 128 + WTERMSIG(status) : WEXITSTATUS(status));
}

static int run(struct view *v)
{
        _cleanup_cluster_ struct cluster c = CLUSTER_NULL;
        struct err err = ERR_NULL;
        struct machine m;
        int r = command_load(v, &c);

        if (r)
                return r;
        r = machine_find(&c, view_argument(v, 0), &m, &err);
        if (!r)
                r = enter(&c, &m, &err);
        if (!r)
                r = run_child(v, &err);
        return command_failed(v, &err);
}

const struct cli_command ctl_shell = {
        .name = "shell",
        .summary = "a shell, or a command, on a machine of a cluster",
        .arguments = "MACHINE [COMMAND...]",
        .flags = flags,
        .about = "MACHINE is a node (node-1), control-plane, client (a host outside of the cluster) or fabric. The "
                 "exit\n"
                 "status is the command's. Put -- before a command that has flags.\n",
        .examples = "fairctl shell node-1\n"
                    "fairctl shell node-1 -- fairctl status\n"
                    "fairctl shell client -- curl -s http://node-1:30080/\n",
        .run = run,
};
