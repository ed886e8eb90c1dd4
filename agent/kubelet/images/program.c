/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/statvfs.h>

#include "agent/kubelet/images/pull.h"
#include "base/clock.h"
#include "base/file.h"
#include "base/mem.h"
#include "base/str.h"

#define WATCH_MS       200
#define INODES_RESERVE 4096

/* Names of variables that the programs get from this process's environment: proxies, and where there are CAs. */
static const char *const passed[] = {"HTTP_PROXY",  "HTTPS_PROXY", "NO_PROXY",      "http_proxy",
                                     "https_proxy", "no_proxy",    "SSL_CERT_FILE", "SSL_CERT_DIR"};

struct environment {
        const char *v[ARRAY_SIZE(passed) + 2];
        char *owned[ARRAY_SIZE(passed)];
        size_t n;
};

static void environment_init(struct environment *e)
{
        *e = (struct environment){.v = {"PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"}};
        for (size_t i = 0; i < ARRAY_SIZE(passed); i++) {
                const char *value = getenv(passed[i]);

                if (!value)
                        continue;
                e->owned[e->n] = mem_printf("%s=%s", passed[i], value);
                e->v[e->n + 1] = e->owned[e->n];
                e->n++;
        }
}

static void environment_deinit(struct environment *e)
{
        for (size_t i = 0; i < e->n; i++)
                free(e->owned[i]);
}

static void program_ended(void *userdata, const struct child_end *end)
{
        struct pull *p = userdata;

        p->child = NULL;
        loop_timer_cancel(p->timer);
        if (end->timed_out)
                snprintf(p->stopped_why, sizeof(p->stopped_why), "%s took longer than %llu s", p->doing,
                         (unsigned long long)(p->im->timeout_ms / 1000));
        if (end->timed_out)
                p->stopped = IMAGE_UNAVAILABLE;
        if (*p->stopped_why) {
                snprintf(p->message, sizeof(p->message), "%s: %s", p->ref.text, p->stopped_why);
                pull_finish(p, p->stopped, NULL, p->message);
                return;
        }
        p->ended(p, end);
}

/* A pull that lost its kubelet has nobody who watches what it takes: it ends with it. */
void program_run(struct pull *p, const struct program *what, void (*ended)(struct pull *p, const struct child_end *end))
{
        const char *argv[PROGRAM_ARGS + 3] = {"/usr/bin/setpriv", "--pdeathsig", "KILL"};
        struct environment env;
        struct child_opts opts = {.argv = argv, .env = env.v, .limit = what->limit, .timeout_ms = p->im->timeout_ms};
        int e;

        memcpy(argv + 3, what->argv, sizeof(what->argv));
        environment_init(&env);
        p->doing = what->doing;
        p->is_quiet = what->is_quiet;
        p->ended = ended;
        p->bytes = p->moved = 0;
        p->moved_ms = clock_mono_ms();
        e = child_start(p->im->children, &opts, program_ended, p, &p->child);
        environment_deinit(&env);
        if (e) {
                snprintf(p->message, sizeof(p->message), "%s: cannot start %s: %s", p->ref.text, what->argv[0],
                         strerror(-e));
                pull_finish(p, IMAGE_REFUSED, NULL, p->message);
                return;
        }
        loop_timer_set(p->timer, WATCH_MS);
}

/* --- what it takes --- */

static uint64_t field(const char *text, const char *name)
{
        const char *at = strstr(text, name);

        return at ? strtoull(at + strlen(name), NULL, 10) : 0;
}

/* Its reads and writes say whether it lives, and its writes how much it made. Whether the disk has them yet does not
 * matter. */
static void measure(struct pull *p)
{
        char path[64];
        _cleanup_free_ char *text = NULL;
        uint64_t moved;

        snprintf(path, sizeof(path), "/proc/%d/io", child_pid(p->child));
        if (file_read(path, 4096, &text, NULL, NULL))
                return;
        p->bytes = field(text, "wchar: ");
        moved = p->bytes + field(text, "rchar: ");
        if (moved != p->moved)
                p->moved_ms = clock_mono_ms();
        p->moved = moved;
}

static void stop(struct pull *p, enum image_outcome outcome, const char *why)
{
        p->stopped = outcome;
        str_copy(p->stopped_why, sizeof(p->stopped_why), why);
        child_kill(p->child);
}

static bool disk_is_full(const struct images *im)
{
        struct statvfs fs;

        if (statvfs(im->folder, &fs))
                return false;
        return (uint64_t)fs.f_bavail * fs.f_frsize < im->reserve_bytes || (fs.f_files && fs.f_favail < INODES_RESERVE);
}

static void tell_progress(struct pull *p)
{
        uint64_t now = clock_mono_ms();
        struct image_progress progress = {p->ref.text, p->doing, p->bytes, p->total, (now - p->asked_ms) / 1000};

        if (now - p->told_ms < p->im->progress_ms)
                return;
        p->told_ms = now;
        if (p->im->progress)
                p->im->progress(p->im->progress_userdata, &progress);
}

void program_watch(struct pull *p)
{
        struct images *im = p->im;
        char why[160];

        measure(p);
        loop_timer_set(p->timer, WATCH_MS);
        if (*p->stopped_why)
                return;
        if (p->bytes > im->max_bytes) {
                snprintf(why, sizeof(why), "%s gives more than the %llu bytes that an image may have", p->doing,
                         (unsigned long long)im->max_bytes);
                stop(p, IMAGE_BROKEN, why);
        } else if (!p->is_quiet && disk_is_full(im)) {
                snprintf(why, sizeof(why), "less than the %llu bytes that stay free are left on the disk, or no inodes",
                         (unsigned long long)im->reserve_bytes);
                stop(p, IMAGE_NO_SPACE, why);
        } else if (!p->is_quiet && clock_mono_ms() - p->moved_ms > im->stall_ms) {
                snprintf(why, sizeof(why), "%s has had no byte for %llu s", p->doing,
                         (unsigned long long)(im->stall_ms / 1000));
                stop(p, IMAGE_UNAVAILABLE, why);
        } else {
                tell_progress(p);
        }
}
