/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the embedded store does on this disk, as name=number lines:
 *   store_bench [FOLDER [SECONDS]]      FOLDER for the database (default: a new one below /var/tmp)
 * Values are 1 KiB; the transactions are half creates, half updates of present keys, all durable.
 */
#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "store/sqlite/sqlite.h"

#define VALUE_BYTES 1024
#define KEYS        10000
#define SAMPLES_MAX 400000

static double seconds_per_run = 2;

struct caller {
        pthread_t thread;
        struct store *store;
        int index;
        double until, ended;
        uint32_t *samples_us;
        size_t n;
};

static double now_s(void)
{
        struct timespec ts;

        clock_gettime(CLOCK_MONOTONIC, &ts);
        return (double)ts.tv_sec + (double)ts.tv_nsec / 1e9;
}

/* Of all threads: what a busy machine does not change. */
static double cpu_s(void)
{
        struct timespec ts;

        clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &ts);
        return (double)ts.tv_sec + (double)ts.tv_nsec / 1e9;
}

static void die(const char *what, int r, const struct err *err)
{
        fprintf(stderr, "store_bench: %s: %d %s\n", what, r, err->msg);
        exit(1);
}

static void key_of(char *buf, size_t size, int caller, size_t i)
{
        if (i % 2)
                snprintf(buf, size, "/registry/services/specs/default/new-%d-%zu", caller, i);
        else
                snprintf(buf, size, "/registry/services/specs/default/svc-%05zu", (i * 7919 + (size_t)caller) % KEYS);
}

static void put(struct store *s, const char *key, struct blob *value)
{
        struct store_op op = {.kind = STORE_PUT, .key = key, .expect_rev = STORE_REV_ANY, .value = value};
        struct store_txn txn = {.ops = &op, .nops = 1};
        struct err err = ERR_NULL;
        int r = store_txn(s, &txn, NULL, &err);

        if (r)
                die("put", r, &err);
}

static struct blob *value_new(void)
{
        char bytes[VALUE_BYTES];
        struct blob *b;

        memset(bytes, 'v', sizeof(bytes));
        b = blob_new(bytes, sizeof(bytes));
        if (!b)
                abort();
        return b;
}

static void *caller_main(void *arg)
{
        struct caller *c = arg;
        _cleanup_blob_ struct blob *value = value_new();
        double begun, done;
        char key[96];

        for (begun = now_s(); begun < c->until && c->n < SAMPLES_MAX; begun = done) {
                key_of(key, sizeof(key), c->index, c->n);
                put(c->store, key, value);
                done = now_s();
                c->samples_us[c->n++] = (uint32_t)((done - begun) * 1e6);
        }
        c->ended = begun;
        return NULL;
}

static int compare_u32(const void *a, const void *b)
{
        uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;

        return (x > y) - (x < y);
}

static void report(const char *name, struct caller *callers, int n, double begun)
{
        double ended = begun;
        uint32_t *all = malloc(SAMPLES_MAX * sizeof(*all) * (size_t)n);
        size_t total = 0;

        for (int i = 0; i < n; i++) {
                memcpy(all + total, callers[i].samples_us, callers[i].n * sizeof(*all));
                total += callers[i].n;
                ended = MAX(ended, callers[i].ended);
                free(callers[i].samples_us);
        }
        qsort(all, total, sizeof(*all), compare_u32);
        printf("%s_txns_per_s=%.0f\n%s_p50_us=%u\n%s_p99_us=%u\n%s_worst_us=%u\n", name,
               (double)total / (ended - begun), name, all[total / 2], name, all[total * 99 / 100], name,
               all[total - 1]);
        fflush(stdout);
        free(all);
}

static void storm(struct store *s, const char *name, int n, void (*meanwhile)(struct store *))
{
        static int generation;
        struct caller *callers = calloc((size_t)n, sizeof(*callers));
        struct store_stats before, after;
        double begun = now_s(), cpu_begun = cpu_s();

        store_stats(s, &before);
        for (int i = 0; i < n; i++) {
                callers[i] = (struct caller){.store = s,
                                             .index = generation++,
                                             .until = begun + seconds_per_run,
                                             .samples_us = malloc(SAMPLES_MAX * sizeof(uint32_t))};
                pthread_create(&callers[i].thread, NULL, caller_main, &callers[i]);
        }
        if (meanwhile)
                meanwhile(s);
        for (int i = 0; i < n; i++)
                pthread_join(callers[i].thread, NULL);
        report(name, callers, n, begun);
        store_stats(s, &after);
        printf("%s_cpu_per_txn_us=%.1f\n", name, (cpu_s() - cpu_begun) * 1e6 / (double)(after.txns - before.txns));
        printf("%s_txns_per_commit=%.1f\n%s_mean_commit_us=%.0f\n", name,
               (double)(after.txns - before.txns) / (double)(after.commits - before.commits), name,
               (double)(after.commit_ns_total - before.commit_ns_total) / 1e3 /
                       (double)(after.commits - before.commits));
        free(callers);
}

static void compact_all(struct store *s)
{
        struct store_stats stats;
        struct err err = ERR_NULL;
        double begun = now_s();
        int r;

        usleep(100000);
        store_stats(s, &stats);
        r = store_compact(s, stats.revision, &err);
        if (r)
                die("compact", r, &err);
        printf("compact_history=%llu\ncompact_call_us=%.0f\n", (unsigned long long)(stats.revision - stats.keys),
               (now_s() - begun - 0.1) * 1e6);
        do {
                usleep(1000);
                store_stats(s, &stats);
        } while (stats.compacting && now_s() - begun < 60);
        printf("compact_seconds=%.2f\n", now_s() - begun - 0.1);
}

static int count_key(void *userdata, const char *key, struct blob *value, uint64_t mod, uint64_t created)
{
        ++*(size_t *)userdata;
        return 0;
}

static void list(struct store *s)
{
        struct store_range range = {.prefix = "/registry/services/specs/default/svc-"};
        struct err err = ERR_NULL;
        double best = 1e9;
        size_t n = 0;
        int r;

        for (int i = 0; i < 5; i++) {
                double begun = now_s();

                n = 0;
                r = store_range(s, &range, count_key, &n, NULL, &err);
                if (r)
                        die("range", r, &err);
                best = MIN(best, now_s() - begun);
        }
        printf("list_keys=%zu\nlist_ms=%.1f\n", n, best * 1e3);
}

static void fill(struct store *s)
{
        _cleanup_blob_ struct blob *value = value_new();
        struct store_op ops[100];
        char keys[100][96];
        struct err err = ERR_NULL;
        int r;

        for (size_t i = 0; i < KEYS; i += 100) {
                for (size_t k = 0; k < 100; k++) {
                        snprintf(keys[k], sizeof(keys[k]), "/registry/services/specs/default/svc-%05zu", i + k);
                        ops[k] = (struct store_op){
                                .kind = STORE_PUT, .key = keys[k], .expect_rev = STORE_REV_NONE, .value = value};
                }
                r = store_txn(s, &(struct store_txn){.ops = ops, .nops = 100}, NULL, &err);
                if (r)
                        die("fill", r, &err);
        }
}

static void remove_files(const char *path, const char *own_folder)
{
        static const char *const suffixes[] = {"", "-wal", "-shm", ".lock"};
        char name[4200];

        for (size_t i = 0; i < ARRAY_SIZE(suffixes); i++) {
                snprintf(name, sizeof(name), "%s%s", path, suffixes[i]);
                unlink(name);
        }
        if (own_folder)
                rmdir(own_folder);
}

int main(int argc, char **argv)
{
        char made[] = "/var/tmp/store_bench.XXXXXX", path[4096];
        const char *folder = argc > 1 ? argv[1] : mkdtemp(made);
        struct store_sqlite_config config = {.path = path};
        struct store_stats stats;
        struct err err = ERR_NULL;
        struct store *s;
        double begun;
        int r;

        if (argc > 2)
                seconds_per_run = atof(argv[2]);
        snprintf(path, sizeof(path), "%s/bench.db", folder);
        r = store_sqlite_open(&config, &s, &err);
        if (r)
                die("open", r, &err);
        fill(s);
        storm(s, "callers1", 1, NULL);
        storm(s, "callers32", 32, NULL);
        storm(s, "callers64", 64, NULL);
        list(s);
        storm(s, "compacting", 16, compact_all);
        store_stats(s, &stats);
        printf("keys=%llu\nsize_bytes=%llu\n", (unsigned long long)stats.keys, (unsigned long long)stats.size_bytes);
        begun = now_s();
        store_close(s);
        printf("close_ms=%.1f\n", (now_s() - begun) * 1e3);
        begun = now_s();
        r = store_sqlite_open(&config, &s, &err);
        if (r)
                die("reopen", r, &err);
        printf("open_ms=%.1f\n", (now_s() - begun) * 1e3);
        store_close(s);
        remove_files(path, argc > 1 ? NULL : folder);
        return 0;
}
