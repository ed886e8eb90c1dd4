/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <fcntl.h>
#include <linux/openat2.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "agent/kubelet/runtime/builtin/oci_user.h"
#include "base/mem.h"
#include "base/str.h"

#define FILE_MAX (1024 * 1024)

/* The fields of one line; what is missing is empty. */
#define FIELDS 7
struct line {
        struct str_span field[FIELDS];
};

static bool next_line(const char **rest, struct line *ret)
{
        struct str_span line, piece;
        size_t n = 0;

        if (!str_split(rest, '\n', &line))
                return false;
        *ret = (struct line){0};
        for (size_t at = 0; n < FIELDS && at <= line.n; at += piece.n + 1) {
                const char *colon = memchr(line.s + at, ':', line.n - at);

                piece = (struct str_span){line.s + at, colon ? (size_t)(colon - line.s) - at : line.n - at};
                ret->field[n++] = piece;
        }
        return true;
}

static bool number(struct str_span s, uint32_t *ret)
{
        char text[16];

        if (!s.n || s.n >= sizeof(text))
                return false;
        memcpy(text, s.s, s.n);
        text[s.n] = '\0';
        return str_parse_u32(text, ret) == 0;
}

/* A line whose first field is name, or whose number (the third) is id. */
static bool find(const char *file, struct str_span name, bool by_id, uint32_t id, struct line *ret)
{
        struct line line;
        uint32_t n;

        while (next_line(&file, &line))
                if (by_id ? number(line.field[2], &n) && n == id
                          : line.field[0].n == name.n && memcmp(line.field[0].s, name.s, name.n) == 0) {
                        *ret = line;
                        return true;
                }
        return false;
}

static void add_group(struct oci_user *u, uint32_t gid)
{
        for (size_t i = 0; i < u->ngroups; i++)
                if (u->groups[i] == gid)
                        return;
        if (gid != u->gid && u->ngroups < OCI_GROUPS_MAX)
                u->groups[u->ngroups++] = gid;
}

static bool lists(struct str_span members, struct str_span name)
{
        for (size_t at = 0; at < members.n;) {
                const char *comma = memchr(members.s + at, ',', members.n - at);
                size_t n = comma ? (size_t)(comma - members.s) - at : members.n - at;

                if (n == name.n && memcmp(members.s + at, name.s, n) == 0)
                        return true;
                at += n + 1;
        }
        return false;
}

static void add_memberships(struct oci_user *u, const char *group, struct str_span name)
{
        struct line line;
        uint32_t gid;

        while (name.n && next_line(&group, &line))
                if (lists(line.field[3], name) && number(line.field[2], &gid))
                        add_group(u, gid);
}

static int choose_group(const struct oci_user_asked *asked, struct str_span text, const char *group, struct oci_user *u,
                        struct err *reterr)
{
        struct line line;

        if (asked->gid >= 0) {
                u->gid = (uint32_t)asked->gid;
                return 0;
        }
        if (!text.n || number(text, &u->gid))
                return 0;
        if (find(group, text, false, 0, &line) && number(line.field[2], &u->gid))
                return 0;
        return err_set(reterr, -EINVAL, "group \"%.*s\" of the image's user is not in its /etc/group", (int)text.n,
                       text.s);
}

int oci_user_resolve(const struct oci_user_asked *asked, const char *passwd, const char *group, struct oci_user *ret,
                     struct err *reterr)
{
        const char *text = asked->uid < 0 && asked->user ? asked->user : "", *colon = strchr(text, ':');
        struct str_span name = {text, colon ? (size_t)(colon - text) : strlen(text)};
        struct str_span of_group = colon ? (struct str_span){colon + 1, strlen(colon + 1)} : (struct str_span){"", 0};
        struct line line = {0};
        struct oci_user u = {0};
        bool by_id = asked->uid >= 0 || !name.n || number(name, &u.uid);
        bool known;
        int r;

        if (asked->uid >= 0)
                u.uid = (uint32_t)asked->uid;
        known = find(passwd, name, by_id, u.uid, &line);
        if (!known && !by_id)
                return err_set(reterr, -EINVAL, "user \"%.*s\" of the image is not in its /etc/passwd", (int)name.n,
                               name.s);
        if (known && ((!by_id && !number(line.field[2], &u.uid)) || !number(line.field[3], &u.gid)))
                return err_set(reterr, -EINVAL, "the image's /etc/passwd: user \"%.*s\" has no valid numbers",
                               (int)line.field[0].n, line.field[0].s);
        r = choose_group(asked, of_group, group, &u, reterr);
        if (r)
                return r;
        if (!asked->strict)
                add_memberships(&u, group, known ? line.field[0] : (struct str_span){"", 0});
        for (size_t i = 0; i < asked->ngroups; i++)
                add_group(&u, (uint32_t)asked->groups[i]);
        *ret = u;
        return 0;
}

/* Missing is empty. Links of the image lead to places in the image; what is no plain file is not opened for reading. */
static int read_inside(int root, const char *path, char **ret, struct err *reterr)
{
        struct open_how how = {.flags = O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY, .resolve = RESOLVE_IN_ROOT};
        _cleanup_close_ int fd = (int)syscall(SYS_openat2, root, path, &how, sizeof(how));
        _cleanup_free_ char *text = NULL;
        struct stat st;
        size_t n = 0;
        ssize_t got;

        if (fd < 0 && errno != ENOENT && errno != ENOTDIR)
                return err_set(reterr, -EINVAL, "the image's %s: %s", path, strerror(errno));
        if (fd >= 0 && (fstat(fd, &st) || !S_ISREG(st.st_mode) || st.st_size > FILE_MAX))
                return err_set(reterr, -EINVAL, "the image's %s is no plain file of at most 1 MiB", path);
        text = mem_zalloc(fd < 0 ? 1 : (size_t)st.st_size + 1);
        while (fd >= 0 && n < (size_t)st.st_size && (got = read(fd, text + n, (size_t)st.st_size - n)) > 0)
                n += (size_t)got;
        *ret = TAKE_PTR(text);
        return 0;
}

int oci_user_find(const struct oci_user_asked *asked, const char *rootfs, struct oci_user *ret, struct err *reterr)
{
        _cleanup_close_ int root = open(rootfs, O_PATH | O_DIRECTORY | O_CLOEXEC);
        _cleanup_free_ char *passwd = NULL, *group = NULL;
        int r;

        if (root < 0)
                return err_set(reterr, -errno, "%s: %s", rootfs, strerror(errno));
        r = read_inside(root, "etc/passwd", &passwd, reterr);
        if (!r)
                r = read_inside(root, "etc/group", &group, reterr);
        return r ?: oci_user_resolve(asked, passwd, group, ret, reterr);
}
