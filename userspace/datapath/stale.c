/* SPDX-License-Identifier: Apache-2.0 */
#include "datapath/stale.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <sched.h>
#include <string.h>
#include <sys/stat.h>
#include <bpf/bpf.h>
#include <bpf/libbpf.h>

#include "base/mem.h"
#include "base/str.h"

#define SOCKETS_MAX 16384 /* looked at at a time */

extern const char bpf_object_iter[], bpf_object_iter_end[];

struct stale {
        struct bpf_object *object;
        struct bpf_link *find, *destroy;
};

/* ---- loading */

static int share_map(struct bpf_map *map, const struct maps *maps)
{
        const char *name = bpf_map__name(map);

        bpf_map__set_pin_path(map, NULL);
        if (str_eq(name, "sock_connected"))
                return bpf_map__reuse_fd(map, map_fd(maps->m[MAP_SOCK_CONNECTED]));
        if (str_eq(name, "backends"))
                return bpf_map__reuse_fd(map, map_fd(maps->m[MAP_BACKENDS]));
        return bpf_map__is_internal(map) ? 0 : bpf_map__set_autocreate(map, false);
}

static int load(struct stale *s, const struct maps *maps, struct err *reterr)
{
        struct bpf_map *map;
        int r;

        s->object = bpf_object__open_mem(bpf_object_iter, (size_t)(bpf_object_iter_end - bpf_object_iter), NULL);
        if (!s->object)
                return err_set(reterr, -errno, "iter.bpf.o: cannot be read: %m");
        bpf_object__for_each_map(map, s->object)
        {
                r = share_map(map, maps);
                if (r < 0)
                        return err_set(reterr, r, "iter.bpf.o: map %s: %s", bpf_map__name(map), strerror(-r));
        }
        r = bpf_object__load(s->object);
        if (r == -ENOMEM || r == -EPERM)
                return err_set(reterr, r, "iter.bpf.o: cannot be loaded: %s", strerror(-r));
        if (r < 0)
                return err_set(reterr, STALE_UNSUPPORTED,
                               "the kernel cannot destroy sockets by BPF (bpf_sock_destroy, Linux 6.5): UDP clients of "
                               "removed endpoints find out by themselves");
        return 0;
}

static struct bpf_link *attach(const struct stale *s, const char *name, int over_map)
{
        struct bpf_program *program = bpf_object__find_program_by_name(s->object, name);
        union bpf_iter_link_info info = {.map = {.map_fd = (__u32)over_map}};
        DECLARE_LIBBPF_OPTS(bpf_iter_attach_opts, opts, .link_info = &info, .link_info_len = sizeof(info));

        if (!program) {
                errno = ENOENT;
                return NULL;
        }
        return bpf_program__attach_iter(program, over_map < 0 ? NULL : &opts);
}

int stale_new(const struct maps *maps, struct stale **ret, struct err *reterr)
{
        _cleanup_(stale_freep) struct stale *s = mem_new(struct stale);
        int r = load(s, maps, reterr);

        if (r)
                return r;
        s->find = attach(s, "find_stale", map_fd(maps->m[MAP_SOCK_CONNECTED]));
        if (s->find)
                s->destroy = attach(s, "destroy_stale", -1);
        if (!s->destroy)
                return err_set(reterr, -errno, "iter.bpf.o: %s cannot be attached: %m",
                               s->find ? "destroy_stale" : "find_stale");
        *ret = TAKE_PTR(s);
        return 0;
}

void stale_free(struct stale *s)
{
        if (!s)
                return;
        bpf_link__destroy(s->find);
        bpf_link__destroy(s->destroy);
        bpf_object__close(s->object);
        free(s);
}

/* ---- running an iterator */

/* Runs it to its end and gives the first bytes of what it wrote; *ret_n is how many there were in all. 0 or negative
 * errno. */
static int run(const struct bpf_link *link, void *buf, size_t size, size_t *ret_n)
{
        _cleanup_close_ int fd = bpf_iter_create(bpf_link__fd(link));
        char rest[4096];
        size_t n = 0;

        if (fd < 0)
                return -errno;
        for (;;) {
                bool full = n >= size;
                ssize_t got = read(fd, full ? rest : (char *)buf + n, full ? sizeof(rest) : size - n);

                if (got < 0 && (errno == EINTR || errno == EAGAIN))
                        continue;
                if (got < 0)
                        return -errno;
                if (got == 0)
                        break;
                n += (size_t)got;
        }
        *ret_n = n;
        return 0;
}

struct visit {
        const struct stale *stale;
        int netns_fd;
        size_t sockets;
        int r;
};

static void *visit(void *userdata)
{
        struct visit *v = userdata;

        v->r = v->netns_fd >= 0 && setns(v->netns_fd, CLONE_NEWNET) < 0 ? -errno : 0;
        if (!v->r)
                v->r = run(v->stale->destroy, NULL, 0, &v->sockets);
        return NULL;
}

int stale_destroy(struct stale *s, int netns_fd, uint32_t *ret_sockets, struct err *reterr)
{
        struct visit v = {.stale = s, .netns_fd = netns_fd};
        pthread_t thread;
        int r;

        /* A network namespace is a thread's: one that ends afterwards cannot be left in the wrong one. */
        if (netns_fd < 0) {
                visit(&v);
        } else {
                r = pthread_create(&thread, NULL, visit, &v);
                if (r)
                        return err_set(reterr, -r, "cannot start a thread for another network namespace: %s",
                                       strerror(r));
                pthread_join(thread, NULL);
        }
        if (v.r)
                return err_set(reterr, v.r, "cannot destroy stale UDP sockets of a network namespace: %s",
                               strerror(-v.r));
        *ret_sockets = (uint32_t)v.sockets;
        return 0;
}

/* ---- finding network namespaces by their numbers */

static int open_if(const char *path, uint32_t number)
{
        struct stat st;
        int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);

        if (fd >= 0 && fstat(fd, &st) == 0 && (uint32_t)st.st_ino == number)
                return fd;
        if (fd >= 0)
                close(fd);
        return -1;
}

/* Pods' are mounted: "... 4 0:4 net:[4026532281] /run/netns/x ...". */
static int open_mounted(uint32_t number)
{
        _cleanup_(fclosep) FILE *f = fopen("/proc/self/mountinfo", "re");
        _cleanup_free_ char *line = NULL;
        size_t cap = 0;

        while (f && getline(&line, &cap, f) > 0) {
                char path[4096];
                unsigned found;
                int fd;

                if (sscanf(line, "%*s %*s %*s net:[%u] %4095s", &found, path) != 2 || found != number)
                        continue;
                fd = open_if(path, number);
                if (fd >= 0)
                        return fd;
        }
        return -1;
}

/* Others, and the node's own, are some process's. */
static int open_of_process(uint32_t number)
{
        DIR *proc = opendir("/proc");
        struct dirent *entry;
        int fd = -1;

        while (proc && fd < 0 && (entry = readdir(proc))) {
                char path[64];
                struct stat st;
                uint32_t pid;

                if (str_parse_u32(entry->d_name, &pid) < 0)
                        continue;
                snprintf(path, sizeof(path), "/proc/%u/ns/net", pid);
                if (stat(path, &st) == 0 && (uint32_t)st.st_ino == number)
                        fd = open_if(path, number);
        }
        if (proc)
                closedir(proc);
        return fd;
}

static int open_namespace(uint32_t number)
{
        int fd = open_if("/proc/thread-self/ns/net", number);

        if (fd < 0)
                fd = open_mounted(number);
        return fd < 0 ? open_of_process(number) : fd;
}

static int compare_numbers(const void *a, const void *b)
{
        uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;

        return x < y ? -1 : x > y;
}

static int destroy_in(struct stale *s, uint32_t number, struct stale_result *result, struct err *reterr)
{
        _cleanup_close_ int fd = open_namespace(number);
        uint32_t sockets = 0;
        int r = 0;

        result->namespaces++;
        if (fd < 0)
                result->unreached++;
        else
                r = stale_destroy(s, fd, &sockets, reterr);
        result->sockets += sockets;
        return r;
}

/* One number for each socket, sorted. *ret_n: how many fit. */
static int find_numbers(const struct stale *s, uint32_t *numbers, size_t *ret_n, struct err *reterr)
{
        size_t n = 0;
        int r = run(s->find, numbers, SOCKETS_MAX * sizeof(*numbers), &n);

        if (r < 0)
                return err_set(reterr, r, "cannot look for stale UDP sockets: %s", strerror(-r));
        *ret_n = MIN(n / sizeof(*numbers), (size_t)SOCKETS_MAX);
        qsort(numbers, *ret_n, sizeof(*numbers), compare_numbers);
        return 0;
}

int stale_sweep(struct stale *s, struct stale_result *ret, struct err *reterr)
{
        _cleanup_free_ uint32_t *numbers = mem_array(uint32_t, SOCKETS_MAX);
        struct stale_result result = {0};
        uint32_t before;
        size_t n = 0;
        int r;

        do {
                before = result.sockets;
                r = find_numbers(s, numbers, &n, reterr);
                for (size_t i = 0; !r && i < n; i++)
                        if (!i || numbers[i] != numbers[i - 1])
                                r = destroy_in(s, numbers[i], &result, reterr);
                if (r)
                        return r;
        } while (n == SOCKETS_MAX && result.sockets > before);
        *ret = result;
        return 0;
}
