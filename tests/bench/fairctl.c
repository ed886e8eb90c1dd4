/* SPDX-License-Identifier: Apache-2.0 */
/*
 * How long fairctl and the text tables take, in a dataplane of its own with 10,000 services and a flow table of a
 * million entries, all in use; needs root. One key=value a line: milliseconds of the whole program, output to a pipe
 * that is read; the best of several rounds. FL_BUILD is the build folder.
 */
#include <arpa/inet.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/mem.h"
#include "bpf/host.h"
#include "datapath/flows.h"
#include "datapath/object.h"

#define SERVICES 10000
#define BACKENDS 10 /* each */
#define FLOWS    (1U << 20)
#define ROUNDS   7

static void die(const char *what)
{
        fprintf(stderr, "fairctl_bench: %s: %m\n", what);
        host_leave();
        exit(1);
}

static struct addr v4(uint32_t host)
{
        struct addr a = {.w = {0, 0, htonl(0xffff), htonl(host)}};

        return a;
}

static void put(struct datapath *dp, enum map_id id, const void *key, const void *value)
{
        if (map_update(datapath_maps(dp)->m[id], key, value))
                die("a map");
}

static void add_service(struct datapath *dp, uint32_t n)
{
        struct service_key key = {.addr = v4(0x0a600000 + n), .port = htons(80), .proto = IPPROTO_TCP};
        struct service s = {.id = n + 1, .in = {.base = n * SLOT_LINE, .size = BACKENDS}};
        struct service_name name = {0};
        struct slot_line line = {0};

        snprintf(name.name, sizeof(name.name), "default/service-%u:http/TCP", n);
        for (uint32_t i = 0; i < BACKENDS; i++) {
                uint32_t id = n * BACKENDS + i + 1;
                struct backend b = {.addr = v4(0x0af40000 + id),
                                    .port = htons(8080),
                                    .proto = IPPROTO_TCP,
                                    .service = n + 1,
                                    .generation = 1};

                line.backend[i] = id;
                put(dp, MAP_BACKENDS, &id, &b);
        }
        put(dp, MAP_SERVICE_NAMES, &s.id, &name);
        put(dp, MAP_SLOTS, &n, &line);
        put(dp, MAP_SERVICES, &key, &s);
}

/* A connection's entry; its peer is its neighbour in the set. */
static struct flow flow(uint32_t index)
{
        uint32_t n = index / 2, service = n % SERVICES, backend = service * BACKENDS + n % BACKENDS + 1,
                 now = flow_now();
        struct flow f = {.key = {.src = v4(0xc6330000 + n % 50000),
                                 .dst = v4(0x0a600000 + service),
                                 .sport = htons((uint16_t)(1024 + n / 50000)),
                                 .dport = htons(80),
                                 .proto = IPPROTO_TCP},
                         .new_src = v4(0xc6330000 + n % 50000),
                         .new_dst = v4(0x0af40000 + backend),
                         .new_sport = htons((uint16_t)(1024 + n / 50000)),
                         .new_dport = htons(8080),
                         .backend = backend,
                         .service = service + 1,
                         .peer = index ^ 1,
                         .control = FLOW_CONTROL(1, FLOW_LIVE),
                         .seen = now,
                         .created = now - n % 100,
                         .flags = index & 1 ? FLOW_REPLY : 0,
                         .state = FLOW_ESTABLISHED | FLOW_SEEN_REPLY,
                         .packets = n % 1000,
                         .bytes = n};

        return f;
}

static void fill_flows(struct datapath *dp)
{
        int fd = map_fd(datapath_maps(dp)->m[MAP_FLOWS]);
        size_t size = (size_t)(FLOWS / FLOW_WAYS) * sizeof(struct flow_set);
        struct flow_set *sets = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);

        if (sets == MAP_FAILED)
                die("the flow table");
        for (uint32_t i = 0; i < FLOWS; i++)
                sets[i / FLOW_WAYS].flow[i % FLOW_WAYS] = flow(i);
        munmap(sets, size);
}

/* ---- measuring */

/* Reads it to its end: lines. */
static uint64_t drain(int fd)
{
        static char buf[1 << 16];
        uint64_t lines = 0;
        ssize_t n;

        while ((n = read(fd, buf, sizeof(buf))) > 0)
                for (const char *p = buf; (p = memchr(p, '\n', (size_t)(buf + n - p))); p++)
                        lines++;
        return lines;
}

static uint64_t run_once(char *const argv[], double *ret_cpu_ms)
{
        struct rusage used;
        int ends[2], status;
        uint64_t lines;
        pid_t pid;

        if (pipe(ends))
                die("pipe");
        pid = fork();
        if (pid == 0) {
                dup2(ends[1], STDOUT_FILENO);
                close(ends[0]);
                close(ends[1]);
                execv(argv[0], argv);
                _exit(127);
        }
        close(ends[1]);
        lines = drain(ends[0]);
        close(ends[0]);
        if (pid < 0 || wait4(pid, &status, 0, &used) != pid || !WIFEXITED(status) || WEXITSTATUS(status) > 1)
                die(argv[0]);
        *ret_cpu_ms = (double)(used.ru_utime.tv_sec + used.ru_stime.tv_sec) * 1e3 +
                      (double)(used.ru_utime.tv_usec + used.ru_stime.tv_usec) / 1e3;
        return lines;
}

/* least: of lines, so that a program which fails is no fast one. */
static void measure(const char *name, char *const argv[], uint64_t least)
{
        double best = 0, best_cpu = 0;

        for (int i = 0; i < ROUNDS; i++) {
                double cpu_ms = 0, ms;
                uint64_t begin = clock_mono_ns(), lines = run_once(argv, &cpu_ms);

                ms = (double)(clock_mono_ns() - begin) / 1e6;

                if (lines < least) {
                        fprintf(stderr, "fairctl_bench: %s: %llu lines and not %llu\n", name, (unsigned long long)lines,
                                (unsigned long long)least);
                        exit(1);
                }
                best = i == 0 || ms < best ? ms : best;
                best_cpu = i == 0 || cpu_ms < best_cpu ? cpu_ms : best_cpu;
        }
        printf("%s_ms=%.2f\n%s_cpu_ms=%.2f\n", name, best, name, best_cpu);
        fflush(stdout);
}

#define COMMANDS_WORDS 8

static const struct {
        const char *name;
        uint64_t least;
        const char *words[COMMANDS_WORDS];
} commands[] = {
        {"version", 1, {"--version"}},
        {"help", 10, {"--help"}},
        {"pod_list", 1, {"pod", "list"}},
        {"status_1m_flows", 10, {"status"}},
        {"service_show_1m_flows", 15, {"service", "show", "default/service-77"}},
        {"service_list_10000", SERVICES + 1, {"service", "list"}},
        {"backend_list_100000", SERVICES *BACKENDS + 1, {"backend", "list"}},
        {"flow_list_1m_of_one_service", FLOWS / 2 / SERVICES, {"flow", "list", "--service", "default/service-77"}},
        {"flow_list_1m_top_10", 11, {"flow", "list", "--sort", "bytes", "--limit", "10"}},
        {"flow_list_1m_all", FLOWS / 2 + 1, {"flow", "list"}},
        {"flow_list_1m_all_json", FLOWS / 2, {"flow", "list", "-o", "json"}},
};

static void measure_commands(void)
{
        _cleanup_free_ char *fairctl = mem_printf("%s/fairctl", getenv("FL_BUILD") ?: "build");

        for (size_t i = 0; i < ARRAY_SIZE(commands); i++) {
                char *argv[COMMANDS_WORDS + 4] = {fairctl};
                bool maps = commands[i].words[0][0] != '-';
                size_t n = 1;

                for (size_t k = 0; k < COMMANDS_WORDS && commands[i].words[k]; k++)
                        argv[n++] = (char *)commands[i].words[k];
                argv[n++] = maps ? (char *)"--pin-root" : NULL;
                argv[n++] = maps ? host_pins : NULL;
                measure(commands[i].name, argv, commands[i].least);
        }
}

static void measure_tables(void)
{
        static const struct {
                const char *table, *name;
                uint64_t least;
        } tables[] = {{"services", "cat_services_10000", SERVICES + 1},
                      {"backends", "cat_backends_100000", SERVICES * BACKENDS + 1},
                      {"flows", "cat_flows_1m", FLOWS / 2 + 1}};

        for (size_t i = 0; i < ARRAY_SIZE(tables); i++) {
                _cleanup_free_ char *path = mem_printf("%s/v%d/tables/%s", host_pins, MAPS_VERSION, tables[i].table);
                char *argv[] = {(char *)"/bin/cat", path, NULL};

                measure(tables[i].name, argv, tables[i].least);
        }
}

int main(void)
{
        struct datapath_opts opts = {
                .pin_root = host_pins,
                .cgroup_root = host_cgroup,
                .knobs = {.flags = KNOB_SOCK, .flow_sets = FLOWS / FLOW_WAYS, .timeouts = {60, 8000, 10, 30, 120, 30}}};
        struct datapath *dp;
        struct err err = ERR_NULL;

        host_enter();
        if (datapath_open(&opts, &dp, &err)) {
                fprintf(stderr, "fairctl_bench: %s\n", err.msg);
                host_leave();
                return 1;
        }
        for (uint32_t i = 0; i < SERVICES; i++)
                add_service(dp, i);
        fill_flows(dp);
        measure_commands();
        measure_tables();
        datapath_close(dp);
        datapath_cleanup(host_pins, &err);
        host_leave();
        return 0;
}
