/* SPDX-License-Identifier: Apache-2.0 */
/* The sandbox's holder: its namespaces live as long as it does. In a shared pid namespace it is pid 1 and reaps. */
#include <errno.h>
#include <fcntl.h>
#include <net/if.h>
#include <sched.h>
#include <signal.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "agent/kubelet/shim/confine.h"
#include "agent/kubelet/shim/plain.h"
#include "agent/kubelet/shim/shim.h"

static int raise_loopback(void)
{
        struct ifreq ifr = {.ifr_name = "lo"};
        int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
        int r = 0;

        if (fd < 0)
                return -errno;
        ifr.ifr_flags = IFF_UP | IFF_RUNNING;
        if (ioctl(fd, SIOCSIFFLAGS, &ifr))
                r = -errno;
        close(fd);
        return r;
}

/* "net/ipv4/ip_forward=1". /proc/sys shows the namespaces of who opens it. */
static int set_sysctl(const char *word)
{
        struct text path = {0}, name = {0};
        const char *eq = strchr(word, '=');

        if (!eq || (size_t)(eq - word) >= sizeof(name.s) || strstr(word, ".."))
                return -EINVAL;
        memcpy(name.s, word, (size_t)(eq - word));
        text_add(&path, "/proc/sys/");
        text_add(&path, name.s);
        return write_file(path.s, eq + 1);
}

static int furnish(const struct shim_words *w)
{
        int r;

        if (w->hostname && w->uts && sethostname(w->hostname, strlen(w->hostname)))
                return complain("hostname", errno);
        r = w->net ? raise_loopback() : 0;
        if (r)
                return complain("lo", -r);
        for (size_t i = 0; i < w->nsysctl; i++) {
                r = set_sysctl(w->sysctl[i]);
                if (r)
                        return complain(w->sysctl[i], -r);
        }
        return 0;
}

/* Containers of a shared pid namespace see its first process: whoever may trace it shall find nothing there. */
static int give_up(const struct shim_words *w)
{
        int r = confine(w->pid);

        return r ? complain("confining the holder", -r) : 0;
}

static void forget_stdio(int null)
{
        for (int fd = 0; null >= 0 && fd < 3; fd++)
                dup2(null, fd);
        if (null > 2)
                close(null);
}

static void __attribute__((__noreturn__)) hold(const struct shim_words *w, int ready)
{
        int null = open("/dev/null", O_RDWR | O_CLOEXEC); /* while it is there */
        sigset_t chld;

        setsid();
        sigemptyset(&chld);
        sigaddset(&chld, SIGCHLD);
        sigprocmask(SIG_BLOCK, &chld, NULL);
        if (furnish(w) || chdir("/") || give_up(w) || write_all(ready, "1", 1))
                _exit(1);
        close(ready);
        forget_stdio(null);
        for (;;) {
                while (waitpid(-1, NULL, WNOHANG) > 0)
                        ;
                sigwaitinfo(&chld, NULL);
        }
}

/* The pid goes into the file before anybody hears of it: who starts again after a crash finds it there. */
static int tell(const struct shim_words *w, const char *name, pid_t pid)
{
        int dir = open(w->dir, O_PATH | O_DIRECTORY | O_CLOEXEC);
        struct text t = {0};
        int r;

        if (dir < 0)
                return -errno;
        text_add_i64(&t, pid);
        text_add(&t, "\n");
        r = write_file_atomic(dir, name, t.s);
        close(dir);
        return r ?: write_all(STDOUT_FILENO, t.s, t.n);
}

int shim_holder(const struct shim_words *w)
{
        uint64_t flags = (w->net ? CLONE_NEWNET : 0) | (w->ipc ? CLONE_NEWIPC : 0) | (w->uts ? CLONE_NEWUTS : 0) |
                         (w->pid ? CLONE_NEWPID : 0);
        int ready[2], r;
        char c;
        pid_t pid;

        if (pipe2(ready, O_CLOEXEC))
                return complain("pipe", errno);
        pid = fork_into(w->cgroup, flags);
        if (pid < 0)
                return complain(w->cgroup ? w->cgroup : "clone", -pid);
        if (!pid)
                hold(w, ready[1]);
        close(ready[1]);
        if (read(ready[0], &c, 1) != 1) {
                waitpid(pid, NULL, 0);
                return 1;
        }
        r = tell(w, "holder", pid);
        if (!r)
                return 0;
        kill(pid, SIGKILL);
        waitpid(pid, NULL, 0);
        return complain(w->dir, -r);
}
