/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/file.h>

#include "store/sqlite/internal.h"

/* The lock is the flock, which the kernel drops with its holder; the pid in the file is only for the message. */
static void note_pid(int fd)
{
        char pid[32];
        int n = snprintf(pid, sizeof(pid), "%d\n", (int)getpid());

        if (ftruncate(fd, 0) == 0 && pwrite(fd, pid, (size_t)n, 0) != n)
                (void)!ftruncate(fd, 0);
}

static int lock_busy(int fd, const char *path, struct err *reterr)
{
        char pid[32] = "";
        ssize_t n = pread(fd, pid, sizeof(pid) - 1, 0);

        if (n > 0)
                pid[strcspn(pid, "\n")] = '\0';
        return err_set(reterr, -EBUSY,
                       "%s: in use by another server (process %s): one data folder serves one server; stop it first",
                       path, pid[0] ? pid : "unknown");
}

int lock_take(const char *path, int *ret_fd, struct err *reterr)
{
        _cleanup_free_ char *name = NULL;
        _cleanup_close_ int fd = -1;

        if (asprintf(&name, "%s.lock", path) < 0)
                return -ENOMEM;
        fd = open(name, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
        if (fd < 0)
                return err_set(reterr, -errno, "%s: cannot open the lock file: %s", name, strerror(errno));
        if (flock(fd, LOCK_EX | LOCK_NB) < 0) {
                if (errno == EWOULDBLOCK)
                        return lock_busy(fd, path, reterr);
                return err_set(reterr, -errno, "%s: cannot lock: %s", name, strerror(errno));
        }
        note_pid(fd);
        *ret_fd = TAKE_FD(fd);
        return 0;
}
