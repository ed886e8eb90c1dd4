/* SPDX-License-Identifier: Apache-2.0 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "agent/net/sysctl.h"
#include "base/str.h"

const char *sysctl_on(int64_t value)
{
        return value ? NULL : "1";
}

const char *sysctl_off(int64_t value)
{
        return value ? "0" : NULL;
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

static int hand_down(int64_t all, bool (*is_ours)(const char *device))
{
        DIR *folder = opendir("/proc/sys/net/ipv4/conf");
        int res = folder ? 0 : -errno;

        for (const struct dirent *e; folder && (e = readdir(folder));) {
                char path[SYSCTL_PATH_SIZE], text[24];
                int64_t own;

                if (*e->d_name == '.' || str_eq(e->d_name, "all") || is_ours(e->d_name))
                        continue;
                snprintf(path, sizeof(path), "net/ipv4/conf/%.64s/rp_filter", e->d_name);
                snprintf(text, sizeof(text), "%lld", (long long)all);
                if (sysctl_read(path, &own) == 0 && own < all && sysctl_write(path, text) < 0)
                        res = -EACCES;
        }
        if (folder)
                closedir(folder);
        return res;
}

int sysctl_lower_rp_filter(bool (*is_ours)(const char *device), struct problems *problems)
{
        static const char path[] = "net/ipv4/conf/all/rp_filter";
        int64_t all;

        if (sysctl_read(path, &all) < 0 || !all)
                return 0;
        if (hand_down(all, is_ours) < 0) {
                problems_add(problems, "cannot write below /proc/sys/net/ipv4/conf; the agent needs to");
                return -EACCES;
        }
        return sysctl_ensure(path, sysctl_off, problems);
}
