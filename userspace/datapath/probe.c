/* SPDX-License-Identifier: Apache-2.0 */
/* Each probe does, in small, what the dataplane will do: programs of a few instructions that are loaded and thrown
 * away, maps of one element, requests that fail for another reason than "not known". Nothing is attached or left
 * behind. */
#include <errno.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <linux/bpf.h>
#include <linux/if_link.h>
#include <linux/rtnetlink.h>
#include <bpf/bpf.h>
#include <bpf/btf.h>

#include "base/clock.h"
#include "datapath/cgroup.h"
#include "datapath/probe.h"
#include "datapath/tcx.h"

#ifndef SO_NETNS_COOKIE
#define SO_NETNS_COOKIE 71
#endif

#define INSN(opcode, dst, src, offset, immediate)                                                                      \
        ((struct bpf_insn){.code = (opcode), .dst_reg = (dst), .src_reg = (src), .off = (offset), .imm = (immediate)})
#define CALL(helper) INSN(BPF_JMP | BPF_CALL, 0, 0, 0, helper)
#define MOVE(dst, v) INSN(BPF_ALU64 | BPF_MOV | BPF_K, dst, 0, 0, v)
#define EXIT()       INSN(BPF_JMP | BPF_EXIT, 0, 0, 0, 0)

static int load(enum bpf_prog_type type, enum bpf_attach_type attach, const struct bpf_insn *insns, size_t n)
{
        LIBBPF_OPTS(bpf_prog_load_opts, opts, .expected_attach_type = attach);

        return bpf_prog_load(type, "fl_probe", "GPL", insns, n, &opts);
}

/* A program that calls the helper with up to three numbers (or nothing) and returns 1. */
static bool helper_works(enum bpf_prog_type type, enum bpf_attach_type attach, int helper)
{
        const struct bpf_insn insns[] = {MOVE(1, 1),   MOVE(2, 0), MOVE(3, 0), MOVE(4, 0),
                                         CALL(helper), MOVE(0, 1), EXIT()};
        _cleanup_close_ int fd = load(type, attach, insns, ARRAY_SIZE(insns));

        return fd >= 0;
}

static bool program_works(enum bpf_prog_type type, enum bpf_attach_type attach)
{
        const struct bpf_insn insns[] = {MOVE(0, 1), EXIT()};
        _cleanup_close_ int fd = load(type, attach, insns, ARRAY_SIZE(insns));

        return fd >= 0;
}

/* Loading at all, and what CAP_PERFMON allows: programs that compare pointers, or as here return one. */
static bool bpf_works(void)
{
        const struct bpf_insn insns[] = {INSN(BPF_ALU64 | BPF_MOV | BPF_X, 0, BPF_REG_10, 0, 0), EXIT()};
        _cleanup_close_ int fd = load(BPF_PROG_TYPE_SCHED_CLS, 0, insns, ARRAY_SIZE(insns));

        return fd >= 0;
}

/* The helper wants a context there, so the probe hands its own on. */
static bool retval_works(void)
{
        const struct bpf_insn insns[] = {MOVE(1, -ECONNREFUSED), CALL(BPF_FUNC_set_retval), MOVE(0, 1), EXIT()};
        _cleanup_close_ int fd =
                load(BPF_PROG_TYPE_CGROUP_SOCK_ADDR, BPF_CGROUP_INET4_CONNECT, insns, ARRAY_SIZE(insns));

        return fd >= 0;
}

/* A kernel function that takes the context. */
static bool kernel_ctx_works(const struct btf *btf)
{
        int id = btf__find_by_name_kind(btf, "bpf_cast_to_kern_ctx", BTF_KIND_FUNC);
        const struct bpf_insn insns[] = {INSN(BPF_JMP | BPF_CALL, 0, BPF_PSEUDO_KFUNC_CALL, 0, id), MOVE(0, 0), EXIT()};
        _cleanup_close_ int fd = id < 0 ? -1 : load(BPF_PROG_TYPE_SCHED_CLS, 0, insns, ARRAY_SIZE(insns));

        return fd >= 0;
}

static void probe_btf(struct features *f)
{
        struct btf *btf = btf__load_vmlinux_btf();

        f->btf = btf != NULL;
        f->kernel_ctx = btf && kernel_ctx_works(btf);
        f->sock_destroy = btf && btf__find_by_name_kind(btf, "bpf_sock_destroy", BTF_KIND_FUNC) > 0;
        btf__free(btf);
}

static bool map_works(enum bpf_map_type type, uint32_t key_size, uint32_t value_size, uint32_t entries, uint32_t flags)
{
        LIBBPF_OPTS(bpf_map_create_opts, opts, .map_flags = flags);
        _cleanup_close_ int fd = bpf_map_create(type, "fl_probe", key_size, value_size, entries, &opts);

        return fd >= 0;
}

/* A link without the parameters that it needs: a kernel that knows the kind says so, another does not know the kind. */
static bool link_kind_known(const char *kind)
{
        struct {
                struct nlmsghdr head;
                struct ifinfomsg info;
                struct rtattr linkinfo, name;
                char kind[16];
        } request = {
                .head = {.nlmsg_len = sizeof(request),
                         .nlmsg_type = RTM_NEWLINK,
                         .nlmsg_flags = NLM_F_REQUEST | NLM_F_ACK | NLM_F_CREATE | NLM_F_EXCL},
                .linkinfo = {.rta_len = 2 * sizeof(struct rtattr) + sizeof(request.kind),
                             .rta_type = IFLA_LINKINFO | NLA_F_NESTED},
                .name = {.rta_len = sizeof(struct rtattr) + sizeof(request.kind), .rta_type = IFLA_INFO_KIND},
        };
        struct {
                struct nlmsghdr head;
                struct nlmsgerr error;
                char rest[512];
        } answer;
        _cleanup_close_ int fd = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_ROUTE);

        strncpy(request.kind, kind, sizeof(request.kind) - 1);
        if (fd < 0 || send(fd, &request, sizeof(request), 0) < 0)
                return false;
        if (recv(fd, &answer, sizeof(answer), 0) < (ssize_t)(sizeof(answer.head) + sizeof(answer.error.error)))
                return false;
        return answer.head.nlmsg_type == NLMSG_ERROR && answer.error.error == -EINVAL;
}

/* The jiffies now, by a program that writes them into a shared page. */
static int jiffies_program(int *ret_prog, uint64_t **ret_page)
{
        LIBBPF_OPTS(bpf_map_create_opts, opts, .map_flags = BPF_F_MMAPABLE);
        _cleanup_close_ int map = bpf_map_create(BPF_MAP_TYPE_ARRAY, "fl_probe", 4, 8, 1, &opts);
        struct bpf_insn insns[] = {
                INSN(BPF_LD | BPF_IMM | BPF_DW, 6, BPF_PSEUDO_MAP_VALUE, 0, map),
                INSN(0, 0, 0, 0, 0),
                CALL(BPF_FUNC_jiffies64),
                INSN(BPF_STX | BPF_MEM | BPF_DW, 6, 0, 0, 0),
                MOVE(0, 0),
                EXIT(),
        };
        void *page;
        int fd;

        if (map < 0)
                return map;
        page = mmap(NULL, (size_t)sysconf(_SC_PAGESIZE), PROT_READ, MAP_SHARED, map, 0);
        if (page == MAP_FAILED)
                return -errno;
        fd = load(BPF_PROG_TYPE_SCHED_CLS, 0, insns, ARRAY_SIZE(insns));
        if (fd < 0) {
                munmap(page, (size_t)sysconf(_SC_PAGESIZE));
                return fd;
        }
        *ret_prog = fd;
        *ret_page = page;
        return 0;
}

static int read_jiffies(int prog, const uint64_t *page, uint64_t *ret)
{
        char packet[64] = {0};
        LIBBPF_OPTS(bpf_test_run_opts, opts, .data_in = packet, .data_size_in = sizeof(packet));
        int r = bpf_prog_test_run_opts(prog, &opts);

        if (r)
                return r;
        *ret = __atomic_load_n(page, __ATOMIC_RELAXED);
        return 0;
}

/* The rate that a kernel can be built with which is nearest to the measured one; 0 when none is within tolerance. */
static uint32_t nearest_hz(double measured, double tolerance)
{
        static const uint32_t rates[] = {24, 32, 48, 64, 100, 128, 250, 256, 300, 500, 512, 1000, 1024, 1200};

        for (size_t i = 0; i < ARRAY_SIZE(rates); i++)
                if (measured > rates[i] * (1 - tolerance) && measured < rates[i] * (1 + tolerance))
                        return rates[i];
        return 0;
}

/*
 * Jiffies start at 2^32 - 300 s, so that they were at 2^32 after five minutes: their distance from it, over that of the
 * uptime from 300 s, is the rate. Near the five minutes, and where that gives nothing sensible, ticks are counted.
 */
static uint32_t measure_hz(void)
{
        uint64_t *page = NULL, first = 0, second = 0, ns;
        _cleanup_close_ int prog = -1;
        uint32_t hz = 0;
        double age;

        if (jiffies_program(&prog, &page) || read_jiffies(prog, page, &first))
                goto out;
        ns = clock_mono_ns();
        age = (double)ns / NS_PER_S - 300;
        if (age > 60 || age < -60)
                hz = nearest_hz(((double)first - 4294967296.0) / age, 0.01);
        if (!hz) {
                nanosleep(&(struct timespec){.tv_nsec = 250 * NS_PER_MS}, NULL);
                if (read_jiffies(prog, page, &second) == 0)
                        hz = nearest_hz((double)(second - first) * NS_PER_S / (double)(clock_mono_ns() - ns), 0.08);
        }
out:
        if (page)
                munmap(page, (size_t)sysconf(_SC_PAGESIZE));
        return hz;
}

static uint64_t netns_cookie(void)
{
        _cleanup_close_ int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
        socklen_t size = sizeof(uint64_t);
        uint64_t cookie = 0;

        if (fd < 0 || getsockopt(fd, SOL_SOCKET, SO_NETNS_COOKIE, &cookie, &size))
                return 0;
        return cookie;
}

static bool cgroup_works(void)
{
        char path[512];

        return cgroup_find_v2(path, sizeof(path)) == 0 &&
               program_works(BPF_PROG_TYPE_CGROUP_SOCK_ADDR, BPF_CGROUP_INET4_CONNECT);
}

/* Names what is missing and necessary; says more when it is BPF as a whole. */
static int complain(const struct features *f, struct err *reterr)
{
        char missing[256] = "";
        size_t n = 0;

        if (!f->bpf)
                return err_set(reterr, -EPERM,
                               "the kernel lets this process load no BPF programs: it needs CAP_BPF, CAP_NET_ADMIN and "
                               "CAP_PERFMON (or root), and a kernel built with CONFIG_BPF_SYSCALL");
#define X(name, necessary, use, without)                                                                               \
        if ((necessary) && !f->name && n < sizeof(missing))                                                            \
                n += (size_t)snprintf(missing + n, sizeof(missing) - n, "%s%s (%s)", n ? ", " : "", #name, use);
        FEATURES(X)
#undef X
        return n ? err_set(reterr, -EOPNOTSUPP,
                           "this kernel lacks what the dataplane cannot do without: %s; Linux 6.1 or newer has it",
                           missing)
                 : 0;
}

int features_probe(struct features *ret, struct err *reterr)
{
        struct features f = {.bpf = bpf_works()};
        long page = sysconf(_SC_PAGESIZE);
        int r;

        if (f.bpf) {
                f.hz = measure_hz();
                f.cgroup_v2 = cgroup_works();
                f.sock_retval = f.cgroup_v2 && retval_works();
                f.tcx = tcx_works();
                f.redirect_peer = helper_works(BPF_PROG_TYPE_SCHED_CLS, 0, BPF_FUNC_redirect_peer);
                f.redirect_neigh = helper_works(BPF_PROG_TYPE_SCHED_CLS, 0, BPF_FUNC_redirect_neigh);
                f.ringbuf = map_works(BPF_MAP_TYPE_RINGBUF, 0, 0, (uint32_t)page, 0);
                f.mmapable = map_works(BPF_MAP_TYPE_ARRAY, 4, 8, 1, BPF_F_MMAPABLE);
                f.jiffies64 = f.hz && helper_works(BPF_PROG_TYPE_SCHED_CLS, 0, BPF_FUNC_jiffies64);
                probe_btf(&f);
                f.vxlan = link_kind_known("vxlan");
                f.xdp = program_works(BPF_PROG_TYPE_XDP, BPF_XDP);
        }
        r = complain(&f, reterr);
        if (r)
                return r;
        f.host_netns = netns_cookie();
        *ret = f;
        return 0;
}
