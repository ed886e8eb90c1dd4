/* SPDX-License-Identifier: Apache-2.0 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <unistd.h>

#include "base/mem.h"
#include "base/str.h"
#include "cni/code.h"
#include "cni/ipam.h"

#define LOCK_NAME   "lock"
#define LOCK_WAIT_S 10

static void on_alarm(int signal)
{
}

/* flock has no time limit: a signal ends it. */
static int lock_within(int fd, unsigned int seconds)
{
        struct sigaction act = {.sa_handler = on_alarm}, old;
        int r;

        if (flock(fd, LOCK_EX | LOCK_NB) == 0)
                return 0;
        sigaction(SIGALRM, &act, &old);
        alarm(seconds);
        r = flock(fd, LOCK_EX) ? -errno : 0;
        alarm(0);
        sigaction(SIGALRM, &old, NULL);
        return r;
}

/* "<IPv4> <IPv6> <interface index>"; what cannot be read is no hint. */
static void read_hints(struct ipam *ipam)
{
        char text[128], v4[ADDRESS_TEXT_SIZE], v6[ADDRESS_TEXT_SIZE];
        ssize_t n = pread(ipam->lock, text, sizeof(text) - 1, 0);
        unsigned int ifindex = 0;
        uint32_t bits;

        if (n <= 0)
                return;
        text[n] = '\0';
        if (sscanf(text, "%45s %45s %u", v4, v6, &ifindex) != 3)
                return;
        ip_parse(v4, &ipam->last[0], &bits);
        ip_parse(v6, &ipam->last[1], &bits);
        ipam->last_ifindex = ifindex;
}

static void write_hints(const struct ipam *ipam)
{
        char text[128], v4[ADDRESS_TEXT_SIZE], v6[ADDRESS_TEXT_SIZE];
        /* Padded, so that every text has the same length and replaces the one before. */
        int n = snprintf(text, sizeof(text), "%-15s %-45s %-10u\n",
                         ip_is_v4(&ipam->last[0]) ? ip_text(&ipam->last[0], v4) : "-",
                         ipam->last[1].w[0] ? ip_text(&ipam->last[1], v6) : "-", ipam->last_ifindex);

        if (pwrite(ipam->lock, text, (size_t)n, 0) != n)
                (void)!ftruncate(ipam->lock, 0);
}

void ipam_init_unlocked(const char *run_dir, struct ipam *ret)
{
        *ret = IPAM_NULL;
        ret->run_dir = run_dir;
        ret->folder = mem_printf("%s/ipam", run_dir);
}

int ipam_lock(const char *run_dir, struct ipam *ret, struct err *reterr)
{
        struct ipam ipam;
        _cleanup_free_ char *path = mem_printf("%s/ipam/" LOCK_NAME, run_dir);
        int r = 0;

        ipam_init_unlocked(run_dir, &ipam);
        ipam.lock = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
        if (ipam.lock < 0)
                r = err_set(reterr, CNI_IO, "%s: %s", path, strerror(errno));
        else if (lock_within(ipam.lock, LOCK_WAIT_S))
                r = err_set(reterr, CNI_TRY_LATER, "%s: another call of the plugin holds the lock for more than %d s",
                            path, LOCK_WAIT_S);
        if (r) {
                if (ipam.lock >= 0)
                        close(ipam.lock);
                free(ipam.folder);
                return r;
        }
        read_hints(&ipam);
        *ret = ipam;
        return 0;
}

void ipam_unlock(struct ipam *ipam)
{
        if (ipam->lock >= 0) {
                write_hints(ipam);
                close(ipam->lock);
        }
        free(ipam->folder);
        *ipam = IPAM_NULL;
}

uint32_t ipam_next_ifindex(struct ipam *ipam)
{
        uint32_t next = ipam->last_ifindex + 1;

        if (next < IFINDEX_FIRST || next >= IFINDEX_FIRST + IFINDEX_COUNT)
                next = IFINDEX_FIRST;
        ipam->last_ifindex = next;
        return next;
}

static void lease_path(const struct ipam *ipam, const struct addr *a, char *buf, size_t size)
{
        char text[ADDRESS_TEXT_SIZE];

        snprintf(buf, size, "%s/%s", ipam->folder, ip_text(a, text));
}

/* Who has it; "" for nobody. */
static const char *owner_at(const char *path, char buf[static ATTACHMENT_ID_SIZE])
{
        ssize_t n = readlink(path, buf, ATTACHMENT_ID_SIZE - 1);

        buf[n > 0 ? n : 0] = '\0';
        return buf;
}

bool ipam_has(const struct ipam *ipam, const char *id, const struct addr *a)
{
        char path[PATH_MAX], owner[ATTACHMENT_ID_SIZE];

        lease_path(ipam, a, path, sizeof(path));
        return str_eq(owner_at(path, owner), id);
}

/* 0, -EEXIST, or another negative errno. */
static int take(struct ipam *ipam, const char *id, const struct addr *a)
{
        char path[PATH_MAX];

        lease_path(ipam, a, path, sizeof(path));
        return symlink(id, path) ? -errno : 0;
}

static void release_one(struct ipam *ipam, const char *id, const struct addr *a)
{
        char path[PATH_MAX];

        lease_path(ipam, a, path, sizeof(path));
        if (ipam_has(ipam, id, a))
                unlink(path);
}

/* Calls back for each lease, with its file and owner. */
static void for_each_lease(struct ipam *ipam,
                           void (*call)(struct ipam *ipam, int folder, const char *file, const char *owner,
                                        void *userdata),
                           void *userdata)
{
        DIR *dir = opendir(ipam->folder);
        struct dirent *e;

        while (dir && (e = readdir(dir))) {
                char owner[ATTACHMENT_ID_SIZE];
                ssize_t n;

                if (*e->d_name == '.' || str_eq(e->d_name, LOCK_NAME))
                        continue;
                n = readlinkat(dirfd(dir), e->d_name, owner, sizeof(owner) - 1);
                if (n <= 0)
                        continue;
                owner[n] = '\0';
                call(ipam, dirfd(dir), e->d_name, owner, userdata);
        }
        if (dir)
                closedir(dir);
}

static void release_if_own(struct ipam *ipam, int folder, const char *file, const char *owner, void *userdata)
{
        if (str_eq(owner, userdata))
                unlinkat(folder, file, 0);
}

void ipam_release(struct ipam *ipam, const char *id, const struct addr *addresses, size_t n)
{
        if (!n)
                for_each_lease(ipam, release_if_own, (void *)id);
        for (size_t i = 0; i < n; i++)
                release_one(ipam, id, &addresses[i]);
}

static void release_if_stray(struct ipam *ipam, int folder, const char *file, const char *owner, void *userdata)
{
        if (!record_exists(ipam->run_dir, owner) && unlinkat(folder, file, 0) == 0)
                ++*(size_t *)userdata;
}

size_t ipam_release_stray(struct ipam *ipam)
{
        size_t count = 0;

        for_each_lease(ipam, release_if_stray, &count);
        return count;
}

static uint64_t usable_of(const struct node *node, int family)
{
        uint64_t sum = 0;

        for (size_t i = 0; i < node->nranges; i++)
                if (ip_family(&node->ranges[i].net) == family)
                        sum += node->ranges[i].usable;
        return sum;
}

static bool has_range(const struct node *node, int family)
{
        for (size_t i = 0; i < node->nranges; i++)
                if (ip_family(&node->ranges[i].net) == family)
                        return true;
        return false;
}

/* The ranges of a family, one behind the other. */
static struct addr address_at(const struct node *node, int family, uint64_t index)
{
        for (size_t i = 0; i < node->nranges; i++) {
                const struct ip_range *range = &node->ranges[i];

                if (ip_family(&range->net) != family)
                        continue;
                if (index < range->usable)
                        return ip_range_at(range, index);
                index -= range->usable;
        }
        return (struct addr){0};
}

/* UINT64_MAX when it is not usable. */
static uint64_t index_of(const struct node *node, const struct addr *a)
{
        uint64_t before = 0;

        for (size_t i = 0; i < node->nranges; i++) {
                const struct ip_range *range = &node->ranges[i];
                uint64_t index;

                if (ip_family(&range->net) != ip_family(a))
                        continue;
                index = ip_range_index(range, a);
                if (index != UINT64_MAX)
                        return before + index;
                before += range->usable;
        }
        return UINT64_MAX;
}

/* A full /12 and more is searched no further than this. */
#define TRIES_MAX (1u << 20)

/* 0, 1: all are given out, or negative errno. */
static int take_next(struct ipam *ipam, const char *id, const struct node *node, int family, struct addr *ret)
{
        struct addr *last = &ipam->last[family == AF_INET6];
        uint64_t usable = usable_of(node, family), tries = MIN(usable, (uint64_t)TRIES_MAX);
        uint64_t index = index_of(node, last);

        if (index == UINT64_MAX) /* none yet, or the ranges are others now: start at the first */
                index = usable - 1;
        for (; tries; tries--) {
                struct addr a;
                int r;

                index = (index + 1) % usable;
                a = address_at(node, family, index);
                r = take(ipam, id, &a);
                if (r == -EEXIST)
                        continue;
                if (!r)
                        *ret = *last = a;
                return r;
        }
        return 1;
}

static int lease_next(struct ipam *ipam, const char *id, const struct node *node, int family, struct addr *ret,
                      struct err *reterr)
{
        int r = take_next(ipam, id, node, family, ret);

        if (r == 1 && ipam_release_stray(ipam))
                r = take_next(ipam, id, node, family, ret);
        if (r == 1)
                return err_set(reterr, CNI_NO_ADDRESS,
                               "all %llu %s addresses of this node's pod CIDRs are given out: the node needs a larger "
                               "one, or fewer pods",
                               (unsigned long long)usable_of(node, family), family == AF_INET ? "IPv4" : "IPv6");
        return r ? err_set(reterr, CNI_IO, "%s: cannot note an address: %s", ipam->folder, strerror(-r)) : 0;
}

static int lease_requested(struct ipam *ipam, const char *id, const struct node *node, const struct addr *a,
                           struct err *reterr)
{
        char text[ADDRESS_TEXT_SIZE], path[PATH_MAX], owner[ATTACHMENT_ID_SIZE];
        int r;

        if (index_of(node, a) == UINT64_MAX)
                return err_set(reterr, CNI_ADDRESS_REFUSED,
                               "the requested address %s is not usable: it must be in one of the node's pod CIDRs, and "
                               "not one of the first two or the broadcast address",
                               ip_text(a, text));
        r = take(ipam, id, a);
        if (r == -EEXIST && ipam_release_stray(ipam))
                r = take(ipam, id, a);
        if (!r)
                return 0;
        lease_path(ipam, a, path, sizeof(path));
        if (r == -EEXIST)
                return err_set(reterr, CNI_ADDRESS_REFUSED, "the requested address %s is in use by attachment %.256s",
                               ip_text(a, text), owner_at(path, owner));
        return err_set(reterr, CNI_IO, "%s: %s", path, strerror(-r));
}

static const struct addr *requested(const struct cni_conf *conf, int family)
{
        for (size_t i = 0; i < conf->nips; i++)
                if (ip_family(&conf->ips[i]) == family)
                        return &conf->ips[i];
        return NULL;
}

static int lease_family(struct ipam *ipam, const struct node *node, const struct cni_conf *conf, int family,
                        struct attachment *a, struct err *reterr)
{
        const struct addr *wanted = requested(conf, family);
        char id[ATTACHMENT_ID_SIZE];
        int r;

        if (!wanted && !has_range(node, family))
                return 0;
        attachment_id(a->container_id, a->ifname, id);
        if (wanted)
                r = lease_requested(ipam, id, node, wanted, reterr);
        else
                r = lease_next(ipam, id, node, family, &a->addresses[a->naddresses], reterr);
        if (r)
                return r;
        if (wanted)
                a->addresses[a->naddresses] = *wanted;
        a->naddresses++;
        return 0;
}

int ipam_lease(struct ipam *ipam, const struct node *node, const struct cni_conf *conf, struct attachment *a,
               struct err *reterr)
{
        char id[ATTACHMENT_ID_SIZE];
        int r;

        if (!node->nranges)
                return err_set(reterr, CNI_NO_ADDRESS,
                               "node.json has no podCIDRs: the Node object needs spec.podCIDR, or the network "
                               "configuration an ipam section");
        r = lease_family(ipam, node, conf, AF_INET, a, reterr);
        if (!r)
                r = lease_family(ipam, node, conf, AF_INET6, a, reterr);
        if (r && a->naddresses) {
                ipam_release(ipam, attachment_id(a->container_id, a->ifname, id), a->addresses, a->naddresses);
                a->naddresses = 0;
        }
        return r;
}

struct usage {
        const struct node *node;
        int family;
        uint64_t used;
};

static void count_lease(struct ipam *ipam, int folder, const char *file, const char *owner, void *userdata)
{
        struct usage *usage = userdata;
        struct addr a;
        uint32_t bits;

        if (ip_parse(file, &a, &bits) == 0 && ip_family(&a) == usage->family && index_of(usage->node, &a) != UINT64_MAX)
                usage->used++;
}

uint64_t ipam_free(const struct ipam *ipam, const struct node *node, int family)
{
        struct usage usage = {.node = node, .family = family};

        if (!has_range(node, family))
                return UINT64_MAX;
        for_each_lease((struct ipam *)ipam, count_lease, &usage);
        return usable_of(node, family) - usage.used;
}
