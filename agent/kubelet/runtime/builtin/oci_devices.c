/* SPDX-License-Identifier: Apache-2.0 */
#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>

#include "agent/kubelet/runtime/builtin/oci_devices.h"
#include "base/mem.h"
#include "base/str.h"

#define DEPTH_MAX 8

static struct json_object *describe(const char *path, const struct stat *st)
{
        struct json_object *o = json_object_new_object();

        json_set_str(o, "path", path);
        json_set_str(o, "type", S_ISBLK(st->st_mode) ? "b" : "c");
        json_set_i64(o, "major", major(st->st_rdev));
        json_set_i64(o, "minor", minor(st->st_rdev));
        json_set_i64(o, "fileMode", st->st_mode & 0777);
        json_set_i64(o, "uid", st->st_uid);
        json_set_i64(o, "gid", st->st_gid);
        return o;
}

static bool is_device(const struct stat *st)
{
        return S_ISCHR(st->st_mode) || S_ISBLK(st->st_mode);
}

static int named(const struct container_device *d, struct json_object *list, struct err *reterr)
{
        struct stat st;

        if (stat(d->host_path, &st))
                return err_set(reterr, -EINVAL, "device %s: %s", d->host_path, strerror(errno));
        if (!is_device(&st))
                return err_set(reterr, -EINVAL, "%s is no device", d->host_path);
        json_object_array_add(list, describe(d->container_path, &st));
        return 0;
}

/* What each container has of its own. */
static bool is_own(const char *path)
{
        static const char *const own[] = {"/dev/console", "/dev/ptmx",   "/dev/pts",
                                          "/dev/shm",     "/dev/mqueue", "/dev/fd"};

        for (size_t i = 0; i < ARRAY_SIZE(own); i++)
                if (str_eq(path, own[i]))
                        return true;
        return false;
}

/* Links are left out: they may lead out of /dev. */
static void all_in(const char *folder, struct json_object *list, int depth)
{
        DIR *dir = depth < DEPTH_MAX ? opendir(folder) : NULL;
        struct dirent *e;

        while (dir && (e = readdir(dir))) {
                _cleanup_free_ char *path = mem_printf("%s/%s", folder, e->d_name);
                struct stat st;

                if (e->d_name[0] == '.' || is_own(path) || lstat(path, &st))
                        continue;
                if (S_ISDIR(st.st_mode))
                        all_in(path, list, depth + 1);
                else if (is_device(&st))
                        json_object_array_add(list, describe(path, &st));
        }
        if (dir)
                closedir(dir);
}

int oci_devices(const struct container_config *c, struct json_object *linux_part, struct err *reterr)
{
        struct json_object *list = json_object_new_array();
        int r = 0;

        json_set(linux_part, "devices", list);
        if (c->security.privileged)
                all_in("/dev", list, 0);
        for (size_t i = 0; !r && i < c->ndevices; i++)
                r = named(&c->devices[i], list, reterr);
        return r;
}
