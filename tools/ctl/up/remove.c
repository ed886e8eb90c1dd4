/* SPDX-License-Identifier: Apache-2.0 */
#include <dirent.h>
#include <errno.h>
#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/file.h"
#include "base/hashmap.h"
#include "base/mem.h"
#include "base/str.h"
#include "ctl/up/remove.h"

#define PATIENCE_MS 15000
#define TEXT_LIMIT  (4 << 20)
#define FTW_FDS     32

/* ---- namespaces: those of the processes of a group are gone when nobody is in them */

static uint64_t network_of(const char *pid)
{
        _cleanup_free_ char *path = mem_printf("/proc/%s/ns/net", pid);
        struct stat st;

        return stat(path, &st) ? 0 : st.st_ino;
}

static bool is_in_group(const char *pid, const char *group)
{
        _cleanup_free_ char *path = mem_printf("/proc/%s/cgroup", pid), *text = NULL,
                            *within = mem_printf("0::/%s/", group);
        const char *found;

        if (file_read(path, 65536, &text, NULL, NULL))
                return false;
        found = strstr(text, within);
        return found && (found == text || found[-1] == '\n');
}

/* Calls fn with the number of each process, as text. */
static void each_process(void (*fn)(void *userdata, const char *pid), void *userdata)
{
        DIR *proc = opendir("/proc");
        struct dirent *e;

        while (proc && (e = readdir(proc)))
                if (e->d_name[0] >= '1' && e->d_name[0] <= '9')
                        fn(userdata, e->d_name);
        if (proc)
                closedir(proc);
}

struct census {
        const char *group;
        struct hashmap networks; /* by inode */
        uint64_t own;
        const char *held_by; /* a process that is still in one of them; owned */
};

static void note_network(void *userdata, const char *pid)
{
        struct census *c = userdata;
        uint64_t network = is_in_group(pid, c->group) ? network_of(pid) : 0;

        if (network && network != c->own)
                hashmap_put_u64(&c->networks, network, c);
}

static void find_holder(void *userdata, const char *pid)
{
        struct census *c = userdata;
        uint64_t network = c->held_by ? 0 : network_of(pid);

        if (network && hashmap_get_u64(&c->networks, network))
                c->held_by = mem_strdup(pid);
}

static int await_networks(struct census *c, struct err *reterr)
{
        uint64_t end = clock_mono_ms() + PATIENCE_MS;

        for (;;) {
                free((char *)TAKE_PTR(c->held_by));
                each_process(find_holder, c);
                if (!c->held_by)
                        return 0;
                if (clock_mono_ms() > end)
                        return err_set(reterr, -EBUSY, "process %s is still in a network namespace of it: end that one",
                                       c->held_by);
                usleep(5000);
        }
}

int remove_group(const struct hierarchies *h, const char *group, struct removed *ret, struct err *reterr)
{
        struct census c = {.group = group, .own = network_of("self")};
        int r;

        hashmap_init(&c.networks, HASHMAP_U64);
        each_process(note_network, &c);
        r = groups_remove(h, group, PATIENCE_MS, &ret->groups, reterr);
        if (!r)
                r = await_networks(&c, reterr);
        ret->networks += c.networks.count;
        free((char *)c.held_by);
        hashmap_deinit(&c.networks);
        return r;
}

/* ---- folders */

static size_t files_removed;

static int remove_one(const char *path, const struct stat *st, int kind, struct FTW *where)
{
        if (remove(path) == 0)
                files_removed++;
        else if (errno != ENOENT)
                return -errno;
        return 0;
}

int remove_folder(const char *path, size_t *ret_files, struct err *reterr)
{
        int r;

        files_removed = 0;
        r = nftw(path, remove_one, FTW_FDS, FTW_DEPTH | FTW_PHYS | FTW_MOUNT);
        *ret_files += files_removed;
        if (r == -1 && errno == ENOENT)
                return 0;
        return r ? err_set(reterr, r, "%s cannot be removed: %s", path, strerror(r == -1 ? errno : -r)) : 0;
}

int remove_check_mounts(const char *path, struct err *reterr)
{
        _cleanup_free_ char *text = NULL, *below = mem_printf("%s/", path);
        struct str_span line;
        char target[1024];

        if (file_read("/proc/self/mountinfo", TEXT_LIMIT, &text, NULL, NULL))
                return 0;
        for (const char *rest = text; str_split(&rest, '\n', &line);) {
                _cleanup_free_ char *copy = mem_strndup(line.s, line.n);

                if (sscanf(copy, "%*s %*s %*s %*s %1023s", target) == 1 &&
                    (str_eq(target, path) || str_has_prefix(target, below)))
                        return err_set(reterr, -EBUSY, "%s is still mounted: umount it", target);
        }
        return 0;
}
