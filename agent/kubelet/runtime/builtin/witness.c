/* SPDX-License-Identifier: Apache-2.0 */
/* Processes that outlive us: found by the locks that they keep, watched by pidfds, signalled without mistaking another
 * process of the same number for them. */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "agent/kubelet/runtime/builtin/impl.h"
#include "base/mem.h"
#include "base/str.h"

int witness_watch(struct builtin *rt, struct witness *w, pid_t pid, void (*ended)(void *userdata, unsigned int events),
                  void *userdata)
{
        int fd = (int)syscall(SYS_pidfd_open, pid, 0), r;

        if (fd < 0)
                return -errno;
        r = loop_fd_new(rt->opts.loop, fd, LOOP_READ, ended, userdata, &w->watch);
        if (r) {
                close(fd);
                return r;
        }
        w->fd = fd;
        w->pid = pid;
        return 0;
}

void witness_forget(struct witness *w)
{
        loop_fd_free(TAKE_PTR(w->watch));
        if (w->fd >= 0)
                close(w->fd);
        w->fd = -1;
        w->pid = 0;
}

bool witness_alive(const struct witness *w)
{
        struct pollfd p = {.fd = w->fd, .events = POLLIN};
        int r;

        if (w->fd < 0)
                return false;
        do
                r = poll(&p, 1, 0);
        while (r < 0 && errno == EINTR); /* by a SIGCHLD, although it does not wait */
        return r == 0;
}

int witness_kill(const struct witness *w, int signo)
{
        return w->fd < 0 || syscall(SYS_pidfd_send_signal, w->fd, signo, NULL, 0) ? -errno : 0;
}

int lock_hold(const char *folder)
{
        _cleanup_free_ char *path = mem_printf("%s/lock", folder);
        _cleanup_close_ int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);

        if (fd < 0 || flock(fd, LOCK_EX | LOCK_NB))
                return -errno;
        return TAKE_FD(fd);
}

static bool has_lock(const char *pid, const struct stat *lock)
{
        char path[64];
        struct stat st;

        snprintf(path, sizeof(path), "/proc/%.20s/fd/3", pid);
        return stat(path, &st) == 0 && st.st_dev == lock->st_dev && st.st_ino == lock->st_ino;
}

/* Looked at again behind the pidfd: the number may be another's by then. */
static void kill_if_holder(const char *name, const struct stat *lock)
{
        _cleanup_close_ int fd = -1;
        int64_t pid;

        if (str_parse_i64(name, &pid) || !has_lock(name, lock))
                return;
        fd = (int)syscall(SYS_pidfd_open, (pid_t)pid, 0);
        if (fd >= 0 && has_lock(name, lock))
                syscall(SYS_pidfd_send_signal, fd, SIGKILL, NULL, 0);
}

void lock_kill_holders(const char *folder)
{
        _cleanup_free_ char *path = mem_printf("%s/lock", folder);
        struct stat lock;
        struct dirent *e;
        DIR *dir = stat(path, &lock) == 0 ? opendir("/proc") : NULL;

        while (dir && (e = readdir(dir)))
                if (e->d_name[0] >= '1' && e->d_name[0] <= '9')
                        kill_if_holder(e->d_name, &lock);
        if (dir)
                closedir(dir);
}

bool lock_is_held(const char *folder)
{
        _cleanup_close_ int fd = lock_hold(folder);

        return fd == -EWOULDBLOCK;
}
