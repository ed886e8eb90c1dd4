/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "base/cleanup.h"
#include "base/file.h"
#include "base/str.h"
#include "datapath/cgroup.h"

#define MOUNTINFO_LIMIT (4 * 1024 * 1024)

/* The kernel writes space, tab, newline and backslash of a path as \ooo (proc(5)). In place. */
static void unescape(char *s)
{
        char *to = s;

        for (; *s; s++) {
                if (s[0] == '\\' && strspn(s + 1, "01234567") >= 3) {
                        *to++ = (char)((s[1] - '0') << 6 | (s[2] - '0') << 3 | (s[3] - '0'));
                        s += 3;
                } else {
                        *to++ = *s;
                }
        }
        *to = '\0';
}

/* "31 23 0:28 / /sys/fs/cgroup rw - cgroup2 cgroup2 rw": the fourth word is the root, the fifth the mount point, and
 * the type follows " - ". Cut in place; false when it is another type or shows only a part of the hierarchy. */
static bool is_whole_cgroup2(char *line, char **ret_point)
{
        char *type = strstr(line, " - "), *save = NULL, *root = NULL, *point = NULL;

        if (!type || !str_has_prefix(type + 3, "cgroup2 "))
                return false;
        *type = '\0';
        for (int i = 0; i < 5; i++) {
                char *word = strtok_r(i ? NULL : line, " ", &save);

                if (i == 3)
                        root = word;
                point = word;
        }
        if (!str_eq(root, "/") || !point)
                return false;
        unescape(point);
        *ret_point = point;
        return true;
}

int cgroup_parse_mountinfo(char *text, char *ret_path, size_t size)
{
        char *save = NULL, *point;

        for (char *line = strtok_r(text, "\n", &save); line; line = strtok_r(NULL, "\n", &save))
                if (is_whole_cgroup2(line, &point))
                        return str_copy(ret_path, size, point) ? 0 : -ENAMETOOLONG;
        return -ENOENT;
}

int cgroup_find_v2(char *ret_path, size_t size)
{
        _cleanup_free_ char *text = NULL;
        int r = file_read("/proc/self/mountinfo", MOUNTINFO_LIMIT, &text, NULL, NULL);

        return r ? r : cgroup_parse_mountinfo(text, ret_path, size);
}

/* The inode's number on kernels that have cgroup v2 links with 64 bit inodes, which all of ours are. */
int cgroup_id(const char *path, uint64_t *ret)
{
        struct stat st;

        if (stat(path, &st))
                return -errno;
        *ret = st.st_ino;
        return 0;
}
