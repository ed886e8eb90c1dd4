/* SPDX-License-Identifier: Apache-2.0 */
/*
 * POD_NS_CONTAINER-ID.log in /var/log/containers, links to the logs below /var/log/pods: log collectors follow that
 * folder and read from the names whose lines they are.
 */
#include <dirent.h>
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "agent/kubelet/node/impl.h"
#include "base/file.h"
#include "base/log.h"
#include "base/str.h"

static const struct sandbox_status *sandbox_of(const struct runtime_list *there, const struct container_status *c)
{
        for (size_t i = 0; i < there->nsandboxes; i++)
                if (strcmp(there->sandboxes[i].id, c->sandbox) == 0)
                        return &there->sandboxes[i];
        return NULL;
}

static void link_log(struct node *n, const struct runtime_list *there, const struct container_status *c)
{
        const struct sandbox_status *s = sandbox_of(there, c);
        char path[PATH_MAX];
        int length;

        if (!s || str_empty(c->log_path) || access(c->log_path, F_OK))
                return; /* not begun */
        length = snprintf(path, sizeof(path), "%s/%.253s_%.63s_%.63s-%s.log", n->links_dir, s->name, s->ns, c->name,
                          c->id);
        if (length >= (int)sizeof(path))
                return;
        if (!symlink(c->log_path, path) || errno == EEXIST)
                hashmap_put(&n->linked, c->id, n);
        else if (errno == ENOENT && file_mkdirs(n->links_dir, 0755, NULL))
                log_limited(LOG_LEVEL_WARN, 60000, "links to logs cannot be made", "folder=%s", n->links_dir);
}

void log_links_follow(struct node *n)
{
        struct runtime_list there;

        n->opts.runtime->ops->list(n->opts.runtime->rt, NULL, &there);
        for (size_t i = 0; i < there.ncontainers; i++)
                if (!hashmap_get(&n->linked, there.containers[i].id))
                        link_log(n, &there, &there.containers[i]);
}

/* Only links into this node's logs: the folder may be shared. */
static bool is_dangling(const struct node *n, const char *path)
{
        char target[PATH_MAX];
        ssize_t length = readlink(path, target, sizeof(target) - 1);

        if (length <= 0)
                return false;
        target[length] = '\0';
        return str_has_prefix(target, n->opts.log_dir) && target[strlen(n->opts.log_dir)] == '/' &&
               access(path, F_OK) && errno == ENOENT;
}

/* The id at the end of "POD_NS_CONTAINER-ID.log". */
static void forget(struct node *n, const char *name)
{
        const char *dash = strrchr(name, '-'), *dot = strrchr(name, '.');

        if (dash && dot && dot > dash)
                hashmap_del_n(&n->linked, dash + 1, (size_t)(dot - dash - 1));
}

void log_links_sweep(struct node *n)
{
        DIR *dir = opendir(n->links_dir);
        struct dirent *e;
        char path[PATH_MAX];

        while (dir && (e = readdir(dir))) {
                snprintf(path, sizeof(path), "%s/%s", n->links_dir, e->d_name);
                if (!is_dangling(n, path))
                        continue;
                unlink(path);
                forget(n, e->d_name);
        }
        if (dir)
                closedir(dir);
}
