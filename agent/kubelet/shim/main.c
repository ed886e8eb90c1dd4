/* SPDX-License-Identifier: Apache-2.0 */
#include <stdlib.h>
#include <string.h>
#include <errno.h>

#include "agent/kubelet/shim/plain.h"
#include "agent/kubelet/shim/shim.h"

static bool one(const char *word, const char *key, const char **ret)
{
        size_t n = strlen(key);

        if (strncmp(word, key, n) != 0 || word[n] != '=')
                return false;
        *ret = word + n + 1;
        return true;
}

static bool flag(const char *word, const char *key, bool *ret)
{
        if (strcmp(word, key) != 0)
                return false;
        *ret = true;
        return true;
}

static bool many(const char *word, const char *key, const char **list, size_t cap, size_t *n)
{
        const char *value;

        if (!one(word, key, &value) || *n == cap)
                return false;
        list[(*n)++] = value;
        return true;
}

static bool number(const char *word, const char *key, int *ret)
{
        const char *value;

        if (!one(word, key, &value))
                return false;
        *ret = atoi(value);
        return true;
}

static bool amount(const char *word, const char *key, unsigned int *ret)
{
        const char *value;

        if (!one(word, key, &value))
                return false;
        *ret = (unsigned int)strtoul(value, NULL, 10);
        return true;
}

static bool take(struct shim_words *w, const char *word)
{
        return one(word, "dir", &w->dir) || one(word, "cgroup", &w->cgroup) || one(word, "home", &w->home) ||
               one(word, "v2root", &w->v2root) || one(word, "oom", &w->oom) || one(word, "oom_adj", &w->oom_adj) ||
               one(word, "log", &w->log) || amount(word, "log_limit", &w->log_limit) ||
               amount(word, "log_files", &w->log_files) || one(word, "hostname", &w->hostname) ||
               number(word, "lock", &w->lock) || many(word, "v1", w->v1, sizeof(w->v1) / sizeof(*w->v1), &w->nv1) ||
               many(word, "sysctl", w->sysctl, sizeof(w->sysctl) / sizeof(*w->sysctl), &w->nsysctl) ||
               flag(word, "net", &w->net) || flag(word, "ipc", &w->ipc) || flag(word, "uts", &w->uts) ||
               flag(word, "pid", &w->pid) || flag(word, "tty", &w->tty) || flag(word, "stdin", &w->stdin_open) ||
               flag(word, "once", &w->stdin_once);
}

int main(int argc, char **argv)
{
        struct shim_words w = {.lock = -1};
        const char *mode = argc > 1 ? argv[1] : "";

        for (int i = 2; i < argc && !w.command; i++)
                if (strcmp(argv[i], "--") == 0)
                        w.command = argv + i + 1;
                else if (!take(&w, argv[i]))
                        return complain(argv[i], EINVAL);
        if (strcmp(mode, "holder") == 0 && w.dir)
                return shim_holder(&w);
        if (!w.command || !w.command[0])
                return complain("usage: fairlead-shim holder|container|enter KEY=VALUE... [-- COMMAND...]", EINVAL);
        if (strcmp(mode, "container") == 0 && w.dir)
                return shim_container(&w);
        if (strcmp(mode, "enter") == 0)
                return shim_enter(&w);
        return complain(mode, EINVAL);
}
