/* SPDX-License-Identifier: Apache-2.0 */
#include "bpf/host.h"

#include <arpa/inet.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <glob.h>
#include <net/if.h>
#include <sched.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>
#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <linux/if_ether.h>
#include <linux/if_packet.h>
#include <linux/ip.h>
#include <linux/udp.h>

#include "datapath/address.h"
#include "datapath/cgroup.h"
#include "datapath/clsact.h"
#include "datapath/tcx.h"
#include "bpf/kernel.h"

char host_folder[128], host_pins[160], host_cgroup[512], host_cgroup2[512];

static void die(const char *what)
{
        fprintf(stderr, "tests/bpf: %s: %s\n", what, strerror(errno));
        exit(EXIT_FAILURE);
}

int host_run(const char *fmt, ...)
{
        char command[512];
        va_list ap;

        va_start(ap, fmt);
        vsnprintf(command, sizeof(command), fmt, ap);
        va_end(ap);
        return system(command); // NOLINT(cert-env33-c): a test's own command lines
}

uint32_t host_pod(void)
{
        return if_nametoindex("pod0");
}

uint32_t host_nic(void)
{
        return if_nametoindex("nic0");
}

void host_new_devices(void)
{
        host_run("ip link del pod0 2>/dev/null; ip link del nic0 2>/dev/null");
        if (host_run("ip -batch - <<END\n"
                     "link add pod0 index 10 type veth peer name pod0_in index 11\n"
                     "link add nic0 index 20 type veth peer name nic0_out index 21\n"
                     "link set pod0 up\nlink set pod0_in up\nlink set nic0 up\nlink set nic0_out up\nEND"))
                die("ip link");
}

/* What tests that were killed have left there: their names end with the process that made them. */
static void sweep(const char *folder)
{
        DIR *dir = opendir(folder);
        char path[512];
        int pid;

        if (!dir)
                return;
        for (const struct dirent *e; (e = readdir(dir));) {
                if (sscanf(e->d_name, "fairlead-test-%d", &pid) != 1 || !kill(pid, 0) || errno != ESRCH)
                        continue;
                snprintf(path, sizeof(path), "%s/%s", folder, e->d_name);
                rmdir(path);
        }
        closedir(dir);
}

static void make_cgroups(void)
{
        char root[256];

        if (cgroup_find_v2(root, sizeof(root)))
                die("no cgroup v2 hierarchy");
        sweep(root);
        sweep("/tmp");
        snprintf(host_cgroup, sizeof(host_cgroup), "%s/fairlead-test-%d", root, getpid());
        snprintf(host_cgroup2, sizeof(host_cgroup2), "%s/fairlead-test-%d-b", root, getpid());
        if (mkdir(host_cgroup, 0755) || mkdir(host_cgroup2, 0755))
                die(host_cgroup);
}

void host_enter(void)
{
        snprintf(host_folder, sizeof(host_folder), "/tmp/fairlead-test-%d", getpid());
        snprintf(host_pins, sizeof(host_pins), "%s/pins", host_folder);
        make_cgroups();
        if (unshare(CLONE_NEWNET | CLONE_NEWNS) || mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL))
                die("unshare (root is needed)");
        if (mkdir(host_folder, 0700) || mount("tmpfs", host_folder, "tmpfs", 0, NULL))
                die(host_folder);
        host_run("echo 1 > /proc/sys/net/ipv6/conf/default/disable_ipv6; echo 1 > "
                 "/proc/sys/net/ipv6/conf/all/disable_ipv6");
        host_new_devices();
}

void host_leave(void)
{
        umount2(host_folder, MNT_DETACH);
        rmdir(host_folder);
        rmdir(host_cgroup);
        rmdir(host_cgroup2);
}

struct frame {
        struct ethhdr eth;
        struct iphdr ip;
        struct udphdr udp;
        char data[16];
} __attribute__((packed));

static uint16_t ip_sum(struct iphdr ip)
{
        uint16_t words[sizeof(ip) / 2];
        uint32_t sum = 0;

        memcpy(words, &ip, sizeof(ip));
        for (size_t i = 0; i < sizeof(ip) / 2; i++)
                sum += words[i];
        sum = (sum & 0xffff) + (sum >> 16);
        return (uint16_t) ~(sum + (sum >> 16));
}

static void make_frame(struct frame *f)
{
        *f = (struct frame){
                .eth = {.h_dest = {2, 0, 0, 0, 0, 1}, .h_source = {2, 0, 0, 0, 0, 2}, .h_proto = htons(ETH_P_IP)},
                .ip = {.version = 4,
                       .ihl = 5,
                       .tot_len = htons(sizeof(*f) - sizeof(f->eth)),
                       .ttl = 64,
                       .protocol = IPPROTO_UDP,
                       .saddr = htonl(0x0af40105),
                       .daddr = htonl(0x0af40106)},
                .udp = {.source = htons(1000), .dest = htons(2000), .len = htons(sizeof(f->udp) + sizeof(f->data))},
        };
        f->ip.check = ip_sum(f->ip);
}

static bool send_one(int fd)
{
        struct sockaddr_ll to = {.sll_family = AF_PACKET, .sll_ifindex = (int)if_nametoindex("pod0_in")};
        struct frame f;

        make_frame(&f);
        return sendto(fd, &f, sizeof(f), 0, (struct sockaddr *)&to, sizeof(to)) == sizeof(f);
}

uint32_t host_send(uint32_t n)
{
        int fd = socket(AF_PACKET, SOCK_RAW | SOCK_CLOEXEC, 0);
        uint32_t sent = 0;

        for (uint32_t i = 0; i < n; i++)
                sent += send_one(fd);
        close(fd);
        usleep(20000); /* frames wait for the softirq of their CPU */
        return sent;
}

uint32_t host_send_while(const volatile bool *going)
{
        int fd = socket(AF_PACKET, SOCK_RAW | SOCK_CLOEXEC, 0);
        uint32_t sent = 0;

        while (*going) {
                sent += send_one(fd);
                usleep(50);
        }
        close(fd);
        usleep(20000);
        return sent;
}

uint64_t host_counted(struct maps *maps, enum hook hook)
{
        struct map *m = maps->m[MAP_COUNTERS];
        struct counter *values = malloc(map_lookup_size(m));
        uint64_t sum = 0;

        for (uint32_t reason = 0; reason < REASON_COUNT; reason++) {
                uint32_t key = reason * HOOK_COUNT + hook;

                if (reason == REASON_REFUSED || map_lookup(m, &key, values)) /* refused: counted beside its reason */
                        continue;
                for (int cpu = 0; cpu < map_cpus(); cpu++)
                        sum += values[cpu].packets;
        }
        free(values);
        return sum;
}

int host_count_pins(const char *pattern)
{
        char path[512];
        glob_t found = {0};
        int n;

        snprintf(path, sizeof(path), "%s/%s", host_pins, pattern);
        n = glob(path, 0, NULL, &found) == 0 ? (int)found.gl_pathc : 0;
        globfree(&found);
        return n;
}

uint32_t host_programs_at_cgroup(const char *path)
{
        static const enum bpf_attach_type types[] = {BPF_CGROUP_INET4_CONNECT,     BPF_CGROUP_INET6_CONNECT,
                                                     BPF_CGROUP_UDP4_SENDMSG,      BPF_CGROUP_UDP6_SENDMSG,
                                                     BPF_CGROUP_UDP4_RECVMSG,      BPF_CGROUP_UDP6_RECVMSG,
                                                     BPF_CGROUP_INET4_GETPEERNAME, BPF_CGROUP_INET6_GETPEERNAME,
                                                     BPF_CGROUP_INET4_BIND,        BPF_CGROUP_INET6_BIND};
        int fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        uint32_t sum = 0;

        for (size_t i = 0; i < ARRAY_SIZE(types); i++) {
                uint32_t count = 0;

                if (bpf_prog_query(fd, types[i], 0, NULL, NULL, &count) == 0)
                        sum += count;
        }
        close(fd);
        return sum;
}

uint32_t host_tcx_at_device(uint32_t ifindex)
{
        uint32_t sum = 0, count = 0;

        if (bpf_prog_query((int)ifindex, TCX_INGRESS, 0, NULL, NULL, &count) == 0)
                sum += count;
        count = 0;
        if (bpf_prog_query((int)ifindex, TCX_EGRESS, 0, NULL, NULL, &count) == 0)
                sum += count;
        return sum;
}

uint32_t host_programs_at_device(uint32_t ifindex)
{
        uint32_t sum = host_tcx_at_device(ifindex), xdp = 0;

        sum += clsact_present(ifindex, false) + clsact_present(ifindex, true);
        if (bpf_xdp_query_id((int)ifindex, 0, &xdp) == 0 && xdp)
                sum++;
        return sum;
}

bool host_has_tcx(void)
{
        uint32_t count = 0;

        if (bpf_prog_query(1, TCX_INGRESS, 0, NULL, NULL, &count) == 0)
                return true;
        if (!kernel_lacks("tcx"))
                die("TCX cannot be asked for");
        return false;
}

int host_device_pins(void)
{
        return host_has_tcx() ? 5 : 7;
}
