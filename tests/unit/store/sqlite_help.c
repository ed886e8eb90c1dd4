/* SPDX-License-Identifier: Apache-2.0 */
#include <dirent.h>
#include <signal.h>
#include <string.h>
#include <unistd.h>

#include "unit/store/sqlite_help.h"

static char folder[64];

void help_init(void)
{
        strcpy(folder, "/tmp/fairlead-store.XXXXXX");
        if (!mkdtemp(folder)) {
                perror(folder);
                exit(1);
        }
        signal(SIGXFSZ, SIG_IGN);
}

const char *help_path(const char *name)
{
        static char paths[4][384];
        static unsigned int next;
        char *path = paths[next++ % ARRAY_SIZE(paths)];

        snprintf(path, sizeof(paths[0]), "%s/%s", folder, name);
        return path;
}

void help_reset(void)
{
        DIR *dir = opendir(folder);
        struct dirent *e;

        assert_non_null(dir);
        while ((e = readdir(dir)))
                if (e->d_name[0] != '.')
                        unlink(help_path(e->d_name));
        closedir(dir);
}

void help_deinit(void)
{
        help_reset();
        rmdir(folder);
}

int help_try_open(struct store **ret, struct err *reterr)
{
        return store_sqlite_open(&(struct store_sqlite_config){.path = help_path("db")}, ret, reterr);
}

struct store *help_open(void)
{
        struct err err = ERR_NULL;
        struct store *s = NULL;

        if (help_try_open(&s, &err))
                fail_msg("open: %s", err.msg);
        return s;
}
