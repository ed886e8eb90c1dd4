/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>

#include "agent/kubelet/volumes/impl.h"
#include "base/file.h"
#include "base/str.h"

/* What must be there, and how it is called when it is not. */
static const struct rule {
        const char *type, *what;
        mode_t format;
        bool make;
} rules[] = {
        {"DirectoryOrCreate", "a directory", S_IFDIR, true}, {"Directory", "a directory", S_IFDIR, false},
        {"FileOrCreate", "a file", S_IFREG, true},           {"File", "a file", S_IFREG, false},
        {"Socket", "a socket file", S_IFSOCK, false},        {"CharDevice", "a character device", S_IFCHR, false},
        {"BlockDevice", "a block device", S_IFBLK, false},
};

static int make_file(const char *path, struct err *reterr)
{
        int fd = open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0644);

        if (fd < 0)
                return err_set(reterr, -errno, "cannot make %s: %s", path, strerror(errno));
        close(fd);
        return 0;
}

static int check(const char *path, const struct rule *rule, struct err *reterr)
{
        struct stat st;
        bool there = stat(path, &st) == 0;
        int r = 0;

        if (!there && rule->make)
                r = rule->format == S_IFDIR ? file_mkdirs(path, 0755, reterr) : make_file(path, reterr);
        if (r || (!there && rule->make))
                return r;
        if (!there || (st.st_mode & S_IFMT) != rule->format)
                return err_set(reterr, -ENOENT, "hostPath type check failed: %s is not %s", path, rule->what);
        return 0;
}

int host_path_prepare(const struct volume *vol, struct err *reterr)
{
        const char *path = json_get_str(vol->source, "path"), *type = json_get_str(vol->source, "type") ?: "";
        struct stat st;

        if (str_empty(path) || *path != '/')
                return err_set(reterr, -EINVAL, "hostPath.path \"%s\" must be an absolute path", path ?: "");
        /* Without a type nothing is checked; runtimes make a folder of what is missing. */
        if (!*type)
                return stat(path, &st) == 0 ? 0 : file_mkdirs(path, 0755, reterr);
        for (size_t i = 0; i < ARRAY_SIZE(rules); i++)
                if (str_eq(rules[i].type, type))
                        return check(path, &rules[i], reterr);
        return err_set(reterr, -EINVAL, "%s is an invalid volume type", type);
}
