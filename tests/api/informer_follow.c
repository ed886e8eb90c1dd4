/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Follows the ConfigMaps of all namespaces by an informer, keeping one number of each, and says every 100 ms what it
 * has: "count SUM-OF-NUMBERS VmRSS-in-KiB synced lists watchlists". Ends when its standard input does.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/log.h"
#include "base/mem.h"
#include "kube/informer.h"

struct follower {
        struct loop *loop;
        struct informer *inf;
        struct loop_timer *timer;
        struct loop_fd *input;
};

static void *keep_number(void *userdata, struct json_object *o)
{
        long *n = mem_new(long);

        *n = atol(json_at_str(o, "data.n") ? json_at_str(o, "data.n") : "0");
        (void)userdata;
        return n;
}

static void release(void *userdata, void *value)
{
        free(value);
        (void)userdata;
}

static void add(void *userdata, const char *key, void *value)
{
        *(long *)userdata += *(long *)value;
        (void)key;
}

static long rss_kib(void)
{
        FILE *f = fopen("/proc/self/statm", "re");
        long pages = 0;

        if (!f || fscanf(f, "%*d %ld", &pages) != 1)
                pages = 0;
        if (f)
                fclose(f);
        return pages * (sysconf(_SC_PAGESIZE) / 1024);
}

static void tell(void *userdata)
{
        struct follower *f = userdata;
        struct informer_stats stats;
        long sum = 0;

        informer_each(f->inf, add, &sum);
        informer_stats(f->inf, &stats);
        printf("%zu %ld %ld %d %llu %llu\n", informer_count(f->inf), sum, rss_kib(), informer_has_synced(f->inf),
               (unsigned long long)stats.lists, (unsigned long long)stats.watchlists);
        fflush(stdout);
        loop_timer_set(f->timer, 100);
}

static void input_ended(void *userdata, unsigned int events)
{
        struct follower *f = userdata;
        char c;

        if (read(STDIN_FILENO, &c, 1) <= 0)
                loop_stop(f->loop);
        (void)events;
}

static int follow(const char *kubeconfig, struct err *reterr)
{
        _cleanup_kubeconfig_ struct kubeconfig *config = NULL;
        struct kube_client *client = NULL;
        struct follower f = {0};
        int r;

        r = kubeconfig_load(kubeconfig, NULL, &config, reterr);
        if (!r)
                r = loop_new(&f.loop);
        if (!r)
                r = kube_client_new(&(struct kube_client_opts){.config = config, .loop = f.loop}, &client, reterr);
        if (!r)
                r = informer_new(&(struct informer_opts){.client = client,
                                                         .path = "/api/v1/configmaps",
                                                         .project = keep_number,
                                                         .release = release,
                                                         .backoff_min_ms = 100,
                                                         .backoff_max_ms = 500},
                                 &f.inf);
        if (!r)
                r = loop_timer_new(f.loop, tell, &f, &f.timer);
        if (!r)
                r = loop_fd_new(f.loop, STDIN_FILENO, LOOP_READ, input_ended, &f, &f.input);
        if (r)
                return r;
        informer_start(f.inf);
        loop_timer_set(f.timer, 100);
        r = loop_run(f.loop);
        loop_fd_free(f.input);
        loop_timer_free(f.timer);
        informer_free(f.inf);
        kube_client_free(client);
        loop_free(f.loop);
        return r;
}

int main(int argc, char **argv)
{
        struct err err = ERR_NULL;
        int r;

        if (argc != 2) {
                fprintf(stderr, "use: informer_follow KUBECONFIG\n");
                return 2;
        }
        log_init("informer_follow", LOG_LEVEL_WARN);
        r = follow(argv[1], &err);
        if (r)
                fprintf(stderr, "informer_follow: %s\n", *err.msg ? err.msg : strerror(-r));
        return r ? 1 : 0;
}
