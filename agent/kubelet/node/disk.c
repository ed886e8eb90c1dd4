/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "agent/kubelet/node/disk.h"
#include "base/clock.h"
#include "base/hashmap.h"
#include "base/mem.h"
#include "base/str.h"

#define OUTPUT_MAX (1024UL * 1024)
#define TIMEOUT_MS 300000

struct disk {
        struct children *children;
        struct child *child;
        struct hashmap used; /* path -> amount, as a pointer's value */
        void (*done)(void *userdata);
        void *userdata;
        bool inodes, inodes_under_way;
        uint64_t begun_ms, ended_ms, took_ms;
};

int disk_new(struct children *children, struct disk **ret)
{
        struct disk *d = mem_new(struct disk);

        d->children = children;
        hashmap_init(&d->used, HASHMAP_STR_OWNED);
        *ret = d;
        return 0;
}

void disk_free(struct disk *d)
{
        if (!d)
                return;
        if (d->child) {
                child_forget(d->child);
                child_kill(d->child);
        }
        hashmap_deinit(&d->used);
        free(d);
}

/* "123\t/path": a path may have anything in it but a newline, which none of ours has. */
static void take_line(struct disk *d, struct str_span line)
{
        const char *tab = memchr(line.s, '\t', line.n);
        uint64_t amount;
        char digits[24];

        if (!tab || (size_t)(tab - line.s) >= sizeof(digits))
                return;
        memcpy(digits, line.s, (size_t)(tab - line.s));
        digits[tab - line.s] = '\0';
        if (!str_parse_u64(digits, &amount))
                hashmap_put_n(&d->used, tab + 1, line.n - (size_t)(tab + 1 - line.s), (void *)(uintptr_t)amount);
}

static void on_end(void *userdata, const struct child_end *end)
{
        struct disk *d = userdata;
        struct str_span line;

        d->child = NULL;
        d->ended_ms = clock_mono_ms();
        d->took_ms = d->ended_ms - d->begun_ms;
        d->inodes = d->inodes_under_way;
        hashmap_clear(&d->used);
        for (const char *rest = end->out; str_split(&rest, '\n', &line);)
                take_line(d, line);
        d->done(d->userdata);
}

int disk_scan(struct disk *d, const struct strbuf *paths, bool inodes, void (*done)(void *userdata), void *userdata)
{
        /* On one file system: what is mounted below (a volume in memory) is not on the disk. */
        const char *const argv[] = {"/usr/bin/nice",
                                    "-n",
                                    "19",
                                    "du",
                                    "--summarize",
                                    "--one-file-system",
                                    inodes ? "--inodes" : "--block-size=1",
                                    "--files0-from=-",
                                    NULL};
        const struct child_opts opts = {.argv = argv,
                                        .input = paths->data,
                                        .input_len = paths->len,
                                        .limit = OUTPUT_MAX,
                                        .timeout_ms = TIMEOUT_MS};

        if (d->child)
                return -EBUSY;
        d->done = done;
        d->userdata = userdata;
        d->inodes_under_way = inodes;
        d->begun_ms = clock_mono_ms();
        return child_start(d->children, &opts, on_end, d, &d->child);
}

uint64_t disk_used(const struct disk *d, const char *path)
{
        return (uint64_t)(uintptr_t)hashmap_get(&d->used, path);
}

uint64_t disk_scanned_ms(const struct disk *d, uint64_t *ret_took_ms, bool *ret_inodes)
{
        if (ret_took_ms)
                *ret_took_ms = d->took_ms;
        if (ret_inodes)
                *ret_inodes = d->inodes;
        return d->ended_ms;
}

bool disk_is_busy(const struct disk *d)
{
        return d->child != NULL;
}
