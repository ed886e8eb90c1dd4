/* SPDX-License-Identifier: Apache-2.0 */
/*
 * crun runs itself anew from a sealed copy in memory each time, so that no container can write to the program by
 * /proc/PID/exe (CVE-2019-5736). Being started from such a copy it sees that and goes on at once, which is half of its
 * start.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/mman.h>
#include <sys/sendfile.h>
#include <sys/stat.h>
#include <unistd.h>

#include "agent/kubelet/runtime/builtin/impl.h"

static int copy(const char *program, int to)
{
        _cleanup_close_ int from = open(program, O_RDONLY | O_CLOEXEC);
        struct stat st;
        off_t done = 0;

        if (from < 0 || fstat(from, &st))
                return -errno;
        while (done < st.st_size) {
                ssize_t n = sendfile(to, from, &done, (size_t)(st.st_size - done));

                if (n <= 0)
                        return n ? -errno : -EIO;
        }
        return 0;
}

int sealed_copy(const char *program, char *ret_path, size_t size)
{
        _cleanup_close_ int fd = memfd_create("crun", MFD_CLOEXEC | MFD_ALLOW_SEALING);
        int r = fd < 0 ? -errno : copy(program, fd);

        if (!r && fcntl(fd, F_ADD_SEALS, F_SEAL_SEAL | F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_WRITE))
                r = -errno;
        if (r)
                return r;
        snprintf(ret_path, size, "/proc/%d/fd/%d", getpid(), fd);
        return access(ret_path, X_OK) ? -errno : TAKE_FD(fd);
}
