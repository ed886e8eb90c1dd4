/* SPDX-License-Identifier: Apache-2.0 */
/* fairctl logs: what a program of a cluster has said. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/str.h"
#include "ctl/commands.h"
#include "ctl/up/command.h"
#include "ctl/up/services.h"

#define LOOK_US 100000

static const struct cli_flag flags[] = {
        CLUSTER_FLAG,
        {"-f", NULL, "go on with what comes", NULL, CLI_ANY},
        {"--tail", "N", "the last N lines (all)", NULL, CLI_ANY},
        {0},
};

/* Prints what is there from offset on. Returns the new offset, or -1 when nobody reads it any more. */
static off_t print_from(int fd, off_t offset)
{
        char buf[65536];
        ssize_t n;

        while ((n = pread(fd, buf, sizeof(buf), offset)) > 0) {
                if (fwrite(buf, 1, (size_t)n, stdout) != (size_t)n)
                        return -1;
                offset += n;
        }
        return fflush(stdout) ? -1 : offset;
}

/* A log that was put aside, or removed with its cluster, is at its end. */
static bool is_same(int fd, const char *path)
{
        struct stat open_one, named;

        return !fstat(fd, &open_one) && !stat(path, &named) && open_one.st_ino == named.st_ino;
}

static int follow(const char *path, off_t offset, bool on)
{
        int fd = open(path, O_RDONLY | O_CLOEXEC);

        while (fd >= 0 && (offset = print_from(fd, offset)) >= 0 && on) {
                if (!is_same(fd, path)) {
                        close(fd);
                        fd = open(path, O_RDONLY | O_CLOEXEC);
                        offset = 0;
                        continue;
                }
                usleep(LOOK_US);
        }
        closep(&fd);
        return offset < 0;
}

/* Where the last lines begin. */
static off_t tail_offset(const struct cluster *c, const struct machine *m, const char *name, const char *path,
                         uint32_t lines)
{
        _cleanup_free_ char *tail = service_tail(c, m, name, lines);
        struct stat st;

        if (stat(path, &st) || !lines)
                return 0;
        return MAX((off_t)0, st.st_size - (off_t)strlen(tail) - 1);
}

static int run(struct view *v)
{
        _cleanup_cluster_ struct cluster c = CLUSTER_NULL;
        _cleanup_free_ char *path = NULL;
        const char *tail = view_value(v, "--tail");
        struct err err = ERR_NULL;
        struct machine m;
        char name[64];
        uint32_t lines = 0;
        int r;

        if (tail && (str_parse_u32(tail, &lines) || !lines))
                return view_wrong(v, "--tail %s: use a number from 1 on", tail);
        r = command_load(v, &c);
        if (r)
                return r;
        r = service_find(&c, view_argument(v, 0), &m, name, sizeof(name), &err);
        if (r)
                return command_failed(v, &err);
        path = service_log(&c, &m, name);
        return follow(path, tail ? tail_offset(&c, &m, name, path, lines) : 0, view_is_set(v, "-f"));
}

const struct cli_command ctl_logs = {
        .name = "logs",
        .summary = "what a program of a cluster has said",
        .arguments = "COMPONENT",
        .flags = flags,
        .about = "COMPONENT is apiserver, controller-manager, scheduler or relay, or a program of a node: "
                 "agent@node-1,\n"
                 "kubelet@node-1. init@MACHINE is the first process of a machine, which starts the others.\n",
        .examples = "fairctl logs apiserver --tail 20\n"
                    "fairctl logs kubelet@node-2 -f\n",
        .run = run,
};
