/* SPDX-License-Identifier: Apache-2.0 */
#include <ctype.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/file.h"
#include "base/json.h"
#include "base/mem.h"
#include "base/str.h"
#include "base/strbuf.h"
#include "ctl/up/images.h"
#include "ctl/up/remove.h"

#define LOAD       "disk/var/lib/fairlead/images/load"
#define FILE_LIMIT ((size_t)4 << 20)
#define REF_NAME   "org.opencontainers.image.ref.name"

/* ---- what it is called */

static bool is_layout(const char *path)
{
        _cleanup_free_ char *mark = mem_printf("%s/oci-layout", path);

        return access(mark, F_OK) == 0;
}

/* A file of a layout, or of an archive; NULL when there is none. */
static char *member(const char *path, const char *name)
{
        char *text = NULL;
        size_t used = 0, n;
        int out[2];
        pid_t pid;

        if (is_layout(path)) {
                _cleanup_free_ char *file = mem_printf("%s/%s", path, name);

                file_read(file, FILE_LIMIT, &text, NULL, NULL);
                return text;
        }
        if (pipe2(out, O_CLOEXEC))
                return NULL;
        pid = fork();
        if (pid == 0) {
                dup2(out[1], STDOUT_FILENO);
                dup2(open("/dev/null", O_WRONLY | O_CLOEXEC), STDERR_FILENO);
                execlp("tar", "tar", "-xOf", path, name, (char *)NULL);
                _exit(127);
        }
        close(out[1]);
        text = mem_zalloc(FILE_LIMIT);
        while (used < FILE_LIMIT - 1 && (ssize_t)(n = (size_t)read(out[0], text + used, FILE_LIMIT - 1 - used)) > 0)
                used += n;
        close(out[0]);
        if (pid > 0)
                waitpid(pid, NULL, 0);
        if (used)
                return text;
        free(text);
        return NULL;
}

/* OCI's index.json names its manifests by an annotation, Docker's manifest.json by RepoTags. */
static const char *name_in(const struct json_object *o)
{
        json_array_foreach (json_get(o, "manifests"), i, manifest) {
                const char *name = json_get_str(json_get(manifest, "annotations"), REF_NAME);

                if (name && strchr(name, ':')) /* else it is a tag alone */
                        return name;
        }
        json_array_foreach (o, k, image) {
                const struct json_object *tag = json_idx(json_get(image, "RepoTags"), 0);

                if (json_is_string(tag))
                        return json_object_get_string((struct json_object *)tag);
        }
        return NULL;
}

int image_own_name(const char *path, char **ret, struct err *reterr)
{
        static const char *const files[] = {"index.json", "manifest.json"};
        bool found = false;

        if (access(path, R_OK))
                return err_set(reterr, -errno, "%s: %s", path, strerror(errno));
        for (size_t i = 0; i < ARRAY_SIZE(files); i++) {
                _cleanup_free_ char *text = member(path, files[i]);
                _cleanup_json_ struct json_object *o = NULL;
                const char *name;

                if (!text || json_parse(text, strlen(text), &o, NULL))
                        continue;
                found = true;
                name = name_in(o);
                if (name) {
                        *ret = mem_strdup(name);
                        return 0;
                }
        }
        if (found)
                return err_set(reterr, -ENOENT, "%s does not say how the image is called: give its name behind it",
                               path);
        return err_set(reterr, -EINVAL,
                       "%s is no image: give an archive (docker save, skopeo copy ... oci-archive:FILE) or the folder "
                       "of an OCI layout",
                       path);
}

/* ---- keeping it */

static char *encode(const char *name, bool layout)
{
        struct strbuf b = STRBUF_NULL;

        for (const char *p = name; *p; p++)
                if (isalnum((unsigned char)*p) || strchr("._-", *p))
                        strbuf_add_char(&b, *p);
                else
                        strbuf_printf(&b, "%%%02X", (unsigned char)*p);
        strbuf_add_str(&b, layout ? ".oci" : ".tar");
        return strbuf_take(&b, NULL);
}

/* Hard links where the file system allows: images are large, and nobody writes into them. */
static int copy(const char *from, const char *to, struct err *reterr)
{
        int status;
        pid_t pid = fork();

        if (pid == 0) {
                dup2(open("/dev/null", O_WRONLY | O_CLOEXEC), STDERR_FILENO);
                execlp("cp", "cp", "-rlT", "--remove-destination", from, to, (char *)NULL);
                _exit(127);
        }
        if (pid < 0 || waitpid(pid, &status, 0) != pid)
                return err_set(reterr, -errno, "fork: %s", strerror(errno));
        if (!status)
                return 0;
        pid = fork(); /* another file system */
        if (pid == 0) {
                execlp("cp", "cp", "-rT", "--reflink=auto", "--remove-destination", from, to, (char *)NULL);
                _exit(127);
        }
        if (pid < 0 || waitpid(pid, &status, 0) != pid)
                return err_set(reterr, -errno, "fork: %s", strerror(errno));
        return status ? err_set(reterr, -EIO, "%s cannot be copied to %s", from, to) : 0;
}

/* It has its name when it is whole. */
static int put(const char *from, const char *folder, const char *file, struct err *reterr)
{
        _cleanup_free_ char *half = mem_printf("%s/.%s", folder, file), *whole = mem_printf("%s/%s", folder, file);
        size_t removed = 0;
        int r = file_mkdirs(folder, 0700, reterr);

        if (!r)
                r = remove_folder(half, &removed, reterr);
        if (!r)
                r = copy(from, half, reterr);
        if (!r)
                r = remove_folder(whole, &removed, reterr);
        if (!r && rename(half, whole))
                r = err_set(reterr, -errno, "%s: %s", whole, strerror(errno));
        return r;
}

int image_keep(const struct cluster *c, const char *path, const char *name, char **ret_file, struct err *reterr)
{
        _cleanup_free_ char *folder = mem_printf("%s/images", c->folder), *file = NULL;
        struct stat st;
        int r;

        if (stat(path, &st))
                return err_set(reterr, -errno, "%s: %s", path, strerror(errno));
        if (S_ISDIR(st.st_mode) && !is_layout(path))
                return err_set(reterr, -EINVAL, "%s is a folder without `oci-layout`: no OCI layout", path);
        file = encode(name, S_ISDIR(st.st_mode));
        r = put(path, folder, file, reterr);
        if (!r)
                *ret_file = TAKE_PTR(file);
        return r;
}

static int give_one(const struct cluster *c, const struct machine *m, const char *file, struct err *reterr)
{
        _cleanup_free_ char *from = mem_printf("%s/images/%s", c->folder, file), *to = machine_path(c, m, LOAD);

        return put(from, to, file, reterr);
}

int image_give(const struct cluster *c, const struct machine *m, const char *file, struct err *reterr)
{
        _cleanup_free_ char *folder = mem_printf("%s/images", c->folder);
        DIR *dir = file ? NULL : opendir(folder);
        struct dirent *e;
        int r = file ? give_one(c, m, file, reterr) : 0;

        while (dir && !r && (e = readdir(dir)))
                if (e->d_name[0] != '.')
                        r = give_one(c, m, e->d_name, reterr);
        if (dir)
                closedir(dir);
        return r;
}

int image_taken(const struct cluster *c, const struct machine *m, const char *file, struct err *reterr)
{
        _cleanup_free_ char *folder = machine_path(c, m, LOAD), *waiting = mem_printf("%s/%s", folder, file),
                            *failed = mem_printf("%s/failed/%s.txt", folder, file), *why = NULL;

        if (access(waiting, F_OK) == 0)
                return IMAGE_WAITS;
        if (file_read(failed, FILE_LIMIT, &why, NULL, NULL))
                return 0;
        why[strcspn(why, "\n")] = '\0';
        return err_set(reterr, -EIO, "%s does not take it: %s", m->name, why);
}
