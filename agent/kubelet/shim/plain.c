/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <fcntl.h>
#include <linux/sched.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "agent/kubelet/shim/plain.h"

void text_add(struct text *t, const char *s)
{
        while (*s && t->n + 1 < sizeof(t->s))
                t->s[t->n++] = *s++;
        t->s[t->n] = '\0';
}

void text_add_i64(struct text *t, int64_t v)
{
        char digits[24];
        size_t n = sizeof(digits) - 1;
        uint64_t u = v < 0 ? 0 - (uint64_t)v : (uint64_t)v;

        digits[n] = '\0';
        do {
                digits[--n] = (char)('0' + u % 10);
        } while (u /= 10);
        if (v < 0)
                digits[--n] = '-';
        text_add(t, digits + n);
}

int write_all(int fd, const void *data, size_t n)
{
        const char *p = data;

        while (n) {
                ssize_t w = write(fd, p, n);

                if (w < 0 && errno == EINTR)
                        continue;
                if (w < 0)
                        return -errno;
                p += w;
                n -= (size_t)w;
        }
        return 0;
}

ssize_t read_file(int dirfd, const char *path, char *buf, size_t size)
{
        int fd = openat(dirfd, path, O_RDONLY | O_CLOEXEC);
        size_t n = 0;
        ssize_t r;

        if (fd < 0)
                return -errno;
        while (n + 1 < size && (r = read(fd, buf + n, size - 1 - n)) > 0)
                n += (size_t)r;
        close(fd);
        buf[n] = '\0';
        return (ssize_t)n;
}

int write_file(const char *path, const char *text)
{
        int fd = open(path, O_WRONLY | O_CLOEXEC);
        int r = fd < 0 ? -errno : write_all(fd, text, strlen(text));

        if (fd >= 0)
                close(fd);
        return r;
}

int write_file_atomic(int dirfd, const char *name, const char *text)
{
        struct text temp = {0};
        int fd, r;

        text_add(&temp, name);
        text_add(&temp, ".new");
        fd = openat(dirfd, temp.s, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
        if (fd < 0)
                return -errno;
        r = write_all(fd, text, strlen(text));
        if (!r && fsync(fd))
                r = -errno;
        close(fd);
        return !r && renameat(dirfd, temp.s, dirfd, name) ? -errno : r;
}

pid_t fork_into(const char *cgroup, uint64_t flags)
{
        struct clone_args args = {.flags = flags, .exit_signal = SIGCHLD};
        int fd = -1;
        long pid;

        if (cgroup) {
                fd = open(cgroup, O_PATH | O_DIRECTORY | O_CLOEXEC);
                if (fd < 0)
                        return -errno;
                args.flags |= CLONE_INTO_CGROUP;
                args.cgroup = (uint64_t)fd;
        }
        pid = syscall(SYS_clone3, &args, sizeof(args));
        if (pid < 0)
                pid = -errno;
        if (fd >= 0)
                close(fd);
        return (pid_t)pid;
}

/* crun 1.8 refuses a hybrid layout, also when it shall not touch cgroups. It sees v2 alone, in a mount namespace of its
 * own; everything but that one mount still propagates both ways. */
static int hide_v1(const char *v2root)
{
        if (mount(NULL, "/sys/fs/cgroup", NULL, MS_REC | MS_PRIVATE, NULL))
                return -errno;
        return mount(v2root, "/sys/fs/cgroup", NULL, MS_BIND, NULL) ? -errno : 0;
}

void enter_groups(const struct shim_words *w)
{
        int r;

        for (size_t i = 0; i < w->nv1; i++) {
                r = write_file(w->v1[i], "0");
                if (r)
                        _exit(complain(w->v1[i], -r));
        }
        r = w->v2root ? hide_v1(w->v2root) : 0;
        if (r)
                _exit(complain(w->v2root, -r));
}

void exec_command(const struct shim_words *w)
{
        sigset_t none;

        sigemptyset(&none);
        sigprocmask(SIG_SETMASK, &none, NULL);
        signal(SIGPIPE, SIG_DFL);
        execv(w->command[0], w->command);
        _exit(complain(w->command[0], errno));
}

int complain(const char *what, int error)
{
        struct text t = {0};

        text_add(&t, what);
        text_add(&t, ": ");
        text_add(&t, strerrordesc_np(error) ?: "unknown error");
        text_add(&t, "\n");
        write_all(STDERR_FILENO, t.s, t.n);
        return 1;
}
