/* SPDX-License-Identifier: Apache-2.0 */
/* Images that the disk has no room for, and what pods left that nobody knows any more: logs, groups. What is there is
 * compared with who is known, so that it does not matter how it came to be left. */
#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "agent/kubelet/node/impl.h"
#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/str.h"

#define SWEEP_MS   30000
#define SWEEP_MAX  1000 /* log folders at a time */
#define RM_TIME_MS 300000

/* ---- images ---- */

struct images_used {
        const struct runtime_list *there;
};

static bool in_use(void *userdata, const char *id)
{
        const struct images_used *u = userdata;

        for (size_t i = 0; i < u->there->ncontainers; i++)
                if (str_eq(u->there->containers[i].image_id, id))
                        return true;
        return false;
}

static uint64_t free_images(struct node *n, uint64_t bytes, int64_t min_age_s)
{
        struct runtime_list there;
        struct images_used used = {&there};
        uint64_t freed;

        n->opts.runtime->ops->list(n->opts.runtime->rt, NULL, &there);
        freed = images_collect(n->opts.images, bytes, min_age_s, in_use, &used);
        n->images_freed += freed;
        return freed;
}

bool collect_for_room(struct node *n, uint64_t bytes)
{
        return free_images(n, bytes, 0) > 0;
}

static void collect_images(struct node *n)
{
        uint64_t free_wanted, freed, available;
        struct node_usage u;

        node_usage(n, &u);
        available = u.image_fs_available;
        if (!u.image_fs_bytes || available * 100 > u.image_fs_bytes * (100 - n->opts.image_gc_high_percent))
                return;
        free_wanted = u.image_fs_bytes / 100 * (100 - n->opts.image_gc_low_percent);
        if (free_wanted <= available)
                return;
        freed = free_images(n, free_wanted - available, (int64_t)n->opts.image_gc_min_age_s);
        log_info("images collected for room", "wanted=%llu freed=%llu", (unsigned long long)(free_wanted - available),
                 (unsigned long long)freed);
        if (freed < free_wanted - available)
                node_event(
                        n, true, "FreeDiskSpaceFailed",
                        "Failed to garbage collect required amount of images. Attempted to free %llu bytes, but only "
                        "found %llu bytes eligible to free.",
                        (unsigned long long)(free_wanted - available), (unsigned long long)freed);
}

/* ---- who is known ---- */

static void know_pod(void *userdata, const struct pod_view *p)
{
        hashmap_put(userdata, p->uid, userdata);
}

/* By the API or the static folder, or because something of it runs still. */
static void know_all(struct node *n, struct hashmap *known)
{
        struct runtime_list there;

        hashmap_init(known, HASHMAP_STR_OWNED);
        pods_each(n->opts.pods, know_pod, known);
        n->opts.runtime->ops->list(n->opts.runtime->rt, NULL, &there);
        for (size_t i = 0; i < there.nsandboxes; i++)
                hashmap_put(known, there.sandboxes[i].uid, known);
}

/* ---- groups ---- */

static void sweep_groups_in(struct node *n, const char *hierarchy, const char *folder, const struct hashmap *known)
{
        char path[CGROUP_PATH_MAX], group[CGROUP_PATH_MAX];
        const char *root = n->opts.cgroup_root;
        struct dirent *e;
        DIR *dir;

        snprintf(path, sizeof(path), "%s/%s/kubepods/%s", hierarchy, root, folder);
        dir = opendir(path);
        while (dir && (e = readdir(dir))) {
                const char *uid = str_after(e->d_name, "pod");

                if (!uid || e->d_type != DT_DIR || hashmap_get(known, uid))
                        continue;
                snprintf(group, sizeof(group), "%s%skubepods/%s%.200s", root, *root ? "/" : "", folder, e->d_name);
                if (!cgroup_remove(n->opts.cgroups, group))
                        log_info("a group that was left is removed", "group=%s", group);
        }
        if (dir)
                closedir(dir);
}

static void sweep_groups(struct node *n, const struct hashmap *known)
{
        static const char *const folders[] = {"", "burstable/", "besteffort/"};

        for (size_t i = 0; i < ARRAY_SIZE(folders); i++) {
                sweep_groups_in(n, n->opts.cgroups->v2, folders[i], known);
                for (size_t k = 0; k < CGROUP_CONTROLLERS; k++)
                        if (*n->opts.cgroups->v1[k])
                                sweep_groups_in(n, n->opts.cgroups->v1[k], folders[i], known);
        }
}

/* ---- logs ---- */

static void on_swept(void *userdata, const struct child_end *end)
{
        struct node *n = userdata;
        char why[256];

        n->sweeping = NULL;
        if (end->status)
                log_warn("logs that were left cannot be removed", "why=%s", child_why(end, why, sizeof(why)));
        log_links_sweep(n);
}

/* A tree may be large: rm does it. Its arguments end with NULL. */
static void remove_trees(struct node *n, const char *const *argv)
{
        const struct child_opts opts = {.argv = argv, .timeout_ms = RM_TIME_MS};

        if (child_start(n->opts.children, &opts, on_swept, n, &n->sweeping))
                log_limited(LOG_LEVEL_WARN, 60000, "logs that were left cannot be removed", "folder=%s",
                            n->opts.log_dir);
}

/* "NS_NAME_UID": neither of the first two has an underscore. */
static const char *uid_of_folder(const char *name)
{
        const char *first = strchr(name, '_'), *second = first ? strchr(first + 1, '_') : NULL;

        return second && second[1] ? second + 1 : NULL;
}

static void sweep_logs(struct node *n, const struct hashmap *known)
{
        static const char *const words[] = {"/usr/bin/nice", "-n", "19", "rm", "-rf", "--one-file-system", "--"};
        const char **argv = mem_realloc(NULL, ARRAY_SIZE(words) + SWEEP_MAX + 1, sizeof(*argv));
        size_t count = ARRAY_SIZE(words);
        DIR *dir = opendir(n->opts.log_dir);
        struct dirent *e;

        memcpy(argv, words, sizeof(words));
        while (dir && (e = readdir(dir)) && count < ARRAY_SIZE(words) + SWEEP_MAX) {
                const char *uid = uid_of_folder(e->d_name);

                if (uid && !hashmap_get(known, uid))
                        argv[count++] = mem_printf("%s/%s", n->opts.log_dir, e->d_name);
        }
        if (dir)
                closedir(dir);
        argv[count] = NULL;
        if (count > ARRAY_SIZE(words))
                remove_trees(n, argv);
        else
                log_links_sweep(n);
        while (count > ARRAY_SIZE(words))
                free((char *)argv[--count]);
        free(argv);
}

void collect_leftovers(struct node *n)
{
        uint64_t now = clock_mono_ms();
        struct hashmap known;

        if (!n->sources_ready || n->sweeping || (n->swept_ms && now - n->swept_ms < SWEEP_MS))
                return;
        n->swept_ms = now;
        know_all(n, &known);
        sweep_groups(n, &known);
        sweep_logs(n, &known);
        hashmap_deinit(&known);
        collect_images(n);
}
