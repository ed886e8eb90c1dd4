/* SPDX-License-Identifier: Apache-2.0 */
#include "bpf/sock_lab.h"

#include <arpa/inet.h>
#include <bpf/bpf.h>
#include <bpf/btf.h>
#include <bpf/libbpf.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/str.h"

#define CGROUP_PREFIX "fairlead-sock-"

static const struct {
        const char *name, *v4, *v6;
} places[PLACES] = {
        [ANY] = {"ANY", "0.0.0.0", "::"},
        [LOOPBACK] = {"LOOPBACK", "127.0.0.1", "::1"},
        [VIP] = {"VIP", "10.96.0.1", "fd00:96::1"},
        [VIP2] = {"VIP2", "10.96.0.2", "fd00:96::2"},
        [NO_VIP] = {"NO_VIP", "10.96.0.9", "fd00:96::9"},
        [NODE] = {"NODE", "192.0.2.1", "2001:db8::1"},
        [OTHER_NODE] = {"OTHER_NODE", "192.0.2.2", "2001:db8::2"},
        [OUTSIDE] = {"OUTSIDE", "198.51.100.1", "2001:db8:5::1"},
        [POD1] = {"POD1", "10.244.1.1", "fd00:1::1"},
        [POD2] = {"POD2", "10.244.1.2", "fd00:1::2"},
        [POD3] = {"POD3", "10.244.1.3", "fd00:1::3"},
        [POD4] = {"POD4", "10.244.1.4", "fd00:1::4"},
};

static char cgroup_root[256], cgroup_own[320];
static pid_t cgroup_pid;

static void die(const char *what)
{
        fprintf(stderr, "tests/bpf: %s: %s\n", what, strerror(errno));
        exit(EXIT_FAILURE);
}

static void check(int r, const char *what)
{
        if (r < 0)
                die(what);
}

/* ---- addresses */

struct addr place_addr(enum tongue t, enum place p)
{
        struct addr a = {0};

        if (t == V6) {
                inet_pton(AF_INET6, places[p].v6, a.b);
                return a;
        }
        a.b[10] = a.b[11] = 0xff;
        inet_pton(AF_INET, places[p].v4, a.b + 12);
        return a;
}

socklen_t place_sockaddr(enum tongue t, enum place p, uint16_t port, struct sockaddr_storage *ret)
{
        struct addr a = place_addr(t, p);
        struct sockaddr_in v4 = {.sin_family = AF_INET, .sin_port = htons(port)};
        struct sockaddr_in6 v6 = {.sin6_family = AF_INET6, .sin6_port = htons(port)};

        memcpy(&v4.sin_addr, a.b + 12, 4);
        memcpy(&v6.sin6_addr, a.b, 16);
        memset(ret, 0, sizeof(*ret));
        if (t == V4)
                memcpy(ret, &v4, sizeof(v4));
        else
                memcpy(ret, &v6, sizeof(v6));
        return t == V4 ? sizeof(v4) : sizeof(v6);
}

const char *place_text(const struct sockaddr_storage *sa)
{
        static char texts[8][64];
        static unsigned turn;
        char *text = texts[turn++ % 8];
        struct sockaddr_storage known;

        for (int t = 0; t < TONGUES; t++) {
                for (int p = 0; p < PLACES; p++) {
                        uint16_t port = ntohs(((const struct sockaddr_in *)sa)->sin_port);
                        socklen_t len = place_sockaddr((enum tongue)t, (enum place)p, port, &known);

                        if (sa->ss_family != known.ss_family || memcmp(sa, &known, len) != 0)
                                continue;
                        snprintf(text, sizeof(texts[0]), "%s:%u", places[p].name, port);
                        return text;
                }
        }
        snprintf(text, sizeof(texts[0]), "something else");
        return text;
}

/* ---- the machine */

static void find_cgroup_root(void)
{
        FILE *f = fopen("/proc/self/mountinfo", "re");
        char line[4096];

        while (f && !*cgroup_root && fgets(line, sizeof(line), f)) {
                char place[256];

                if (strstr(line, " - cgroup2 ") && sscanf(line, "%*s %*s %*s %*s %255s", place) == 1)
                        str_copy(cgroup_root, sizeof(cgroup_root), place);
        }
        if (f)
                fclose(f);
        if (*cgroup_root)
                return;
        fprintf(stderr, "tests/bpf: no cgroup v2 is mounted\n");
        exit(77);
}

/* Those of tests that were killed: they are empty. */
static void remove_old_cgroups(void)
{
        DIR *dir = opendir(cgroup_root);
        struct dirent *entry;

        while (dir && (entry = readdir(dir))) {
                const char *pid = str_after(entry->d_name, CGROUP_PREFIX);
                uint32_t number;

                if (pid && str_parse_u32(pid, &number) == 0 && kill((pid_t)number, 0) < 0 && errno == ESRCH)
                        unlinkat(dirfd(dir), entry->d_name, AT_REMOVEDIR);
        }
        if (dir)
                closedir(dir);
}

static void join_cgroup(const char *cgroup)
{
        char path[400];
        FILE *f;

        snprintf(path, sizeof(path), "%s/cgroup.procs", cgroup);
        f = fopen(path, "we");
        if (!f || fprintf(f, "%d", getpid()) < 0 || fclose(f) != 0)
                die(path);
}

static void leave_cgroup(void)
{
        if (getpid() != cgroup_pid)
                return;
        join_cgroup(cgroup_root);
        rmdir(cgroup_own);
}

static void run_ip(const char *commands)
{
        FILE *ip = popen("ip -batch -", "we");

        if (!ip || fputs(commands, ip) < 0 || pclose(ip) != 0)
                die("cannot make addresses with ip(8)");
}

/* Nobody listens there: a connection is refused. (A UDP socket would be connected before the address is.) */
static bool is_reachable(enum place p)
{
        struct sockaddr_storage sa;
        socklen_t len = place_sockaddr(V6, p, 1, &sa);
        int fd = socket(AF_INET6, SOCK_STREAM | SOCK_CLOEXEC, 0);
        bool refused = connect(fd, (struct sockaddr *)&sa, len) < 0 && errno == ECONNREFUSED;

        close(fd);
        return refused;
}

/* The kernel makes each new IPv6 address usable a little later. */
static void wait_for_addresses(void)
{
        int tries = 0;

        for (int p = POD1; p < PLACES; p++)
                for (; !is_reachable((enum place)p); tries++) {
                        if (tries == 2000)
                                die("the addresses of the loopback device do not come up");
                        usleep(1000);
                }
}

static void new_netns(bool node)
{
        char commands[2048] = "link set lo up\n";
        size_t len = strlen(commands);

        check(unshare(CLONE_NEWNET), "cannot make a network namespace (needs root)");
        for (int p = node ? NODE : POD1; p < PLACES; p++) {
                if (p == OTHER_NODE)
                        continue;
                len += (size_t)snprintf(commands + len, sizeof(commands) - len,
                                        "addr add %s/32 dev lo\naddr add %s/128 dev lo nodad\n", places[p].v4,
                                        places[p].v6);
        }
        run_ip(commands);
        wait_for_addresses();
}

static void probe_bpf(void)
{
        int fd = bpf_map_create(BPF_MAP_TYPE_ARRAY, "sock_probe", 4, 4, 1, NULL);

        if (fd >= 0) {
                close(fd);
                return;
        }
        fprintf(stderr, "tests/bpf: BPF maps cannot be made (root? CONFIG_BPF_SYSCALL?): %m\n");
        exit(77);
}

static void open_machine(void)
{
        if (*cgroup_own)
                return;
        probe_bpf();
        find_cgroup_root();
        remove_old_cgroups();
        snprintf(cgroup_own, sizeof(cgroup_own), "%s/" CGROUP_PREFIX "%d", cgroup_root, getpid());
        check(mkdir(cgroup_own, 0755), cgroup_own);
        cgroup_pid = getpid();
        atexit(leave_cgroup);
        new_netns(true);
        join_cgroup(cgroup_own);
}

int sock_lab_pod_netns(void)
{
        int own = open("/proc/thread-self/ns/net", O_RDONLY | O_CLOEXEC), fd;

        new_netns(false);
        fd = open("/proc/thread-self/ns/net", O_RDONLY | O_CLOEXEC);
        check(own, "/proc/thread-self/ns/net");
        check(fd, "/proc/thread-self/ns/net");
        check(setns(own, CLONE_NEWNET), "setns");
        close(own);
        return fd;
}

/* ---- the programs */

static uint64_t netns_cookie(void)
{
        int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
        uint64_t cookie = 0;
        socklen_t len = sizeof(cookie);

        check(getsockopt(fd, SOL_SOCKET, SO_NETNS_COOKIE, &cookie, &len), "SO_NETNS_COOKIE");
        close(fd);
        return cookie;
}

static struct bpf_map *section(struct bpf_object *object, const char *suffix)
{
        struct bpf_map *map;

        bpf_object__for_each_map(map, object) if (str_has_suffix(bpf_map__name(map), suffix)) return map;
        return NULL;
}

/* `knobs` is all that .rodata holds. */
static void set_knobs(struct sock_lab *lab)
{
        struct bpf_map *map = section(lab->object, ".rodata");
        size_t size = 0;
        void *data = map ? (void *)bpf_map__initial_value(map, &size) : NULL;

        if (!data || size < sizeof(lab->knobs))
                die("the object has no knobs");
        memcpy(data, &lab->knobs, sizeof(lab->knobs));
}

/* What the socket programs do not use is not made. */
static void size_map(struct bpf_map *map, uint32_t max)
{
        static const char *const unused[] = {"flows",     "flow_marks", "pods",         "buckets",
                                             "fragments", "events",     "service_names"};
        static const char *const sized[] = {"services", "slots",        "backends",
                                            "affinity", "sock_replies", "service_stats"};

        bpf_map__set_pin_path(map, NULL);
        for (size_t i = 0; i < ARRAY_SIZE(unused); i++)
                if (str_eq(bpf_map__name(map), unused[i]))
                        bpf_map__set_autocreate(map, false);
        for (size_t i = 0; i < ARRAY_SIZE(sized); i++)
                if (str_eq(bpf_map__name(map), sized[i]))
                        bpf_map__set_max_entries(map, max);
}

static void take_map(struct sock_lab *lab, const struct bpf_map *map)
{
        static const char *const names[MAP_COUNT] = {
#define X(id, name) [MAP_##id] = #name,
                DATAPATH_MAPS(X)
#undef X
        };

        for (int i = 0; i < MAP_COUNT; i++)
                if (bpf_map__fd(map) >= 0 && str_eq(bpf_map__name(map), names[i]))
                        check(map_new_kernel(dup(bpf_map__fd(map)), &lab->maps.m[i]), names[i]);
}

static void attach(struct sock_lab *lab)
{
        int cgroup = open(cgroup_own, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        struct bpf_program *program;

        check(cgroup, cgroup_own);
        bpf_object__for_each_program(program, lab->object)
        {
                struct bpf_link *link = bpf_program__attach_cgroup(program, cgroup);

                if (!link)
                        die(bpf_program__name(program));
                lab->links[lab->n_links++] = link;
        }
        close(cgroup);
}

static void set(struct sock_lab *lab, enum map_id map, const void *key, const void *value)
{
        errno = -map_update(lab->maps.m[map], key, value);
        if (errno)
                die("map_update");
}

static void set_route(struct sock_lab *lab, const char *text, int bits, enum route_type type)
{
        struct route_key key = {.prefixlen = (uint32_t)bits};
        struct route route = {.type = type, .flags = type == ROUTE_SERVICE ? 0 : ROUTE_NODEPORT};

        if (strchr(text, ':')) {
                inet_pton(AF_INET6, text, key.addr.b);
        } else {
                key.prefixlen += ADDR_V4_BITS;
                key.addr.b[10] = key.addr.b[11] = 0xff;
                inet_pton(AF_INET, text, key.addr.b + 12);
        }
        set(lab, MAP_ROUTES, &key, &route);
}

void sock_lab_open(struct sock_lab *ret, uint32_t knob_flags, uint32_t max)
{
        const char *build = getenv("FL_BUILD");
        struct bpf_map *map;
        char path[4096];

        open_machine();
        *ret = (struct sock_lab){.next_service = 1, .next_line = 1};
        ret->knobs = (struct knobs){.flags = knob_flags,
                                    .hz = 250,
                                    .host_netns = netns_cookie(),
                                    .timeouts = {.udp = 30, .udp_stream = 120}};
        snprintf(path, sizeof(path), "%s/bpf/sock.bpf.o", build ? build : "build");
        ret->object = bpf_object__open_file(path, NULL);
        if (!ret->object)
                die(path);
        bpf_object__for_each_map(map, ret->object) size_map(map, max);
        set_knobs(ret);
        check(bpf_object__load(ret->object), path);
        bpf_object__for_each_map(map, ret->object) take_map(ret, map);
        set_route(ret, "10.96.0.0", 24, ROUTE_SERVICE);
        set_route(ret, "fd00:96::", 64, ROUTE_SERVICE);
        set_route(ret, places[NODE].v4, 32, ROUTE_HOST);
        set_route(ret, places[NODE].v6, 128, ROUTE_HOST);
        set_route(ret, places[OTHER_NODE].v4, 32, ROUTE_NODE);
        set_route(ret, places[OTHER_NODE].v6, 128, ROUTE_NODE);
        attach(ret);
}

void sock_lab_close(struct sock_lab *lab)
{
        for (size_t i = 0; i < lab->n_links; i++)
                bpf_link__destroy(lab->links[i]);
        for (int i = 0; i < MAP_COUNT; i++)
                map_free(lab->maps.m[i]);
        bpf_object__close(lab->object);
        *lab = (struct sock_lab){0};
}

/* ---- services */

static void set_filters(struct sock_lab *lab, const struct service_key *key, bool nodeport)
{
        static struct filters f;
        uint32_t zero = 0, bit = nodeport ? ntohs(key->port) : addr_filter_bit(&key->addr);
        __u64 *bits = nodeport ? (key->proto == IPPROTO_TCP ? f.tcp : f.udp) : f.address;

        errno = -map_lookup(lab->maps.m[MAP_FILTERS], &zero, &f);
        if (errno)
                die("filters");
        bits[bit / 64] |= 1ULL << bit % 64;
        set(lab, MAP_FILTERS, &zero, &f);
}

uint32_t sock_lab_service(struct sock_lab *lab, enum tongue t, const struct sock_service *s)
{
        uint32_t id = lab->next_service++, line_number = lab->next_line++;
        struct service_key key = {place_addr(t, s->at), htons(s->port), s->proto ? s->proto : IPPROTO_TCP, 0};
        struct service_key address = {.addr = key.addr};
        struct service value = {.id = id,
                                .flags = s->flags | (s->affinity_s ? SERVICE_AFFINITY : 0),
                                .affinity_s = s->affinity_s,
                                .in = {line_number * SLOT_LINE, s->count}};
        struct service owner = {.flags = SERVICE_ADDRESS};
        struct slot_line line = {0};

        for (uint32_t i = 0; i < s->count; i++) {
                uint32_t backend = id * 16 + 1 + i;
                struct backend b = {.addr = place_addr(t, (enum place)(POD1 + s->first + i)),
                                    .port = htons(POD_PORT),
                                    .proto = key.proto,
                                    .flags = BACKEND_LOCAL,
                                    .service = id,
                                    .generation = 1};

                line.backend[i] = backend;
                set(lab, MAP_BACKENDS, &backend, &b);
        }
        set(lab, MAP_SLOTS, &line_number, &line);
        set(lab, MAP_SERVICES, &key, &value);
        set_filters(lab, &key, s->at == ANY);
        if (s->at != ANY)
                set(lab, MAP_SERVICES, &address, &owner);
        return id;
}

void sock_lab_remove_backend(struct sock_lab *lab, uint32_t service, uint32_t index)
{
        uint32_t id = service * 16 + 1 + index;
        struct backend b = {.generation = 2};

        set(lab, MAP_BACKENDS, &id, &b);
}

uint64_t sock_lab_counter(struct sock_lab *lab, enum reason reason)
{
        struct counter values[256];
        uint32_t key = (uint32_t)reason * HOOK_COUNT + HOOK_SOCK;
        uint64_t sum = 0;

        errno = -map_lookup(lab->maps.m[MAP_COUNTERS], &key, values);
        if (errno || libbpf_num_possible_cpus() > 256)
                die("counters");
        for (int i = 0; i < libbpf_num_possible_cpus(); i++)
                sum += values[i].packets;
        return sum;
}

struct service_stats sock_lab_stats(struct sock_lab *lab, uint32_t service)
{
        struct service_stats values[256], sum = {0};

        errno = -map_lookup(lab->maps.m[MAP_SERVICE_STATS], &service, values);
        if (errno || libbpf_num_possible_cpus() > 256)
                die("service_stats");
        for (int i = 0; i < libbpf_num_possible_cpus(); i++) {
                sum.connections += values[i].connections;
                sum.refused += values[i].refused;
        }
        return sum;
}

struct aging {
        struct map *map;
        uint32_t seconds;
};

static int age_affinity(void *userdata, const void *key, const void *value)
{
        struct aging *a = userdata;
        struct affinity entry = *(const struct affinity *)value;

        entry.seen -= a->seconds;
        return map_update(a->map, key, &entry);
}

static int age_reply(void *userdata, const void *key, const void *value)
{
        struct aging *a = userdata;
        struct sock_peer entry = *(const struct sock_peer *)value;

        entry.seen -= a->seconds;
        return map_update(a->map, key, &entry);
}

void sock_lab_age(struct sock_lab *lab, uint32_t seconds)
{
        struct aging affinity = {lab->maps.m[MAP_AFFINITY], seconds};
        struct aging replies = {lab->maps.m[MAP_SOCK_REPLIES], seconds};

        errno = -map_each(affinity.map, age_affinity, &affinity);
        if (!errno)
                errno = -map_each(replies.map, age_reply, &replies);
        if (errno)
                die("cannot age entries");
}
