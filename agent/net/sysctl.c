/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "agent/net/sysctl.h"
#include "base/str.h"

const char *sysctl_forwarding(int64_t value)
{
        return value ? NULL : "1";
}

const char *sysctl_loose(int64_t value)
{
        return value == 2 ? NULL : "2"; /* also for 0: the greater of it and conf/all is what counts */
}

const char *sysctl_accept_ra(int64_t value)
{
        return value == 1 ? "2" : NULL;
}

static int open_setting(const char *path, int flags)
{
        char full[SYSCTL_PATH_SIZE + 16];
        int fd;

        snprintf(full, sizeof(full), "/proc/sys/%s", path);
        fd = open(full, flags | O_CLOEXEC);
        return fd < 0 ? -errno : fd;
}

int sysctl_read(const char *path, int64_t *ret)
{
        _cleanup_close_ int fd = open_setting(path, O_RDONLY);
        char text[32];
        ssize_t n;

        if (fd < 0)
                return fd;
        n = read(fd, text, sizeof(text) - 1);
        if (n < 0)
                return -errno;
        text[n] = '\0';
        text[strcspn(text, " \t\n")] = '\0';
        return str_parse_i64(text, ret);
}

int sysctl_write(const char *path, const char *value)
{
        _cleanup_close_ int fd = open_setting(path, O_WRONLY);

        if (fd < 0)
                return fd;
        return write(fd, value, strlen(value)) < 0 ? -errno : 0;
}

int sysctl_ensure(const char *path, const char *(*decide)(int64_t value), struct problems *problems)
{
        const char *wanted;
        int64_t value;
        int res = sysctl_read(path, &value);

        if (res == -ENOENT)
                return 0;
        if (res == 0) {
                wanted = decide(value);
                if (!wanted)
                        return 0;
                res = sysctl_write(path, wanted);
                if (res == 0)
                        return SYSCTL_CHANGED;
        }
        problems_add(problems, "cannot set /proc/sys/%s: %s; the agent needs to write there", path, strerror(-res));
        return res;
}

int sysctl_ensure_device(const char *family, const char *device, const char *name, const char *(*decide)(int64_t value),
                         struct problems *problems)
{
        char path[SYSCTL_PATH_SIZE];

        if (strchr(device, '/'))
                return 0;
        snprintf(path, sizeof(path), "net/%s/conf/%s/%s", family, device, name);
        return sysctl_ensure(path, decide, problems);
}
