/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <fcntl.h>
#include <linux/bpf.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "agent/kubelet/runtime/builtin/device_filter.h"

#define ANY UINT32_MAX

static const struct device_rule usual[] = {
        {'c', ANY, ANY, "m"},   {'b', ANY, ANY, "m"}, /* mknod */
        {'c', 1, 3, "rwm"},                           /* null */
        {'c', 1, 5, "rwm"},                           /* zero */
        {'c', 1, 7, "rwm"},                           /* full */
        {'c', 1, 8, "rwm"},                           /* random */
        {'c', 1, 9, "rwm"},                           /* urandom */
        {'c', 5, 0, "rwm"},                           /* tty */
        {'c', 5, 1, "rwm"},                           /* console */
        {'c', 5, 2, "rwm"},                           /* ptmx */
        {'c', 136, ANY, "rwm"},                       /* pts */
};

/* Registers: 2 type, 3 wanted access, 4 major, 5 minor of what is to be opened; 1 is scratch. */
#define INSN(c, d, s, o, i) ((struct bpf_insn){.code = (c), .dst_reg = (d), .src_reg = (s), .off = (o), .imm = (i)})
#define MOV(d, i)           INSN(BPF_ALU64 | BPF_MOV | BPF_K, d, 0, 0, i)
#define COPY(d, s)          INSN(BPF_ALU64 | BPF_MOV | BPF_X, d, s, 0, 0)
#define AND(d, i)           INSN(BPF_ALU64 | BPF_AND | BPF_K, d, 0, 0, i)
#define SHIFT(d, i)         INSN(BPF_ALU64 | BPF_RSH | BPF_K, d, 0, 0, i)
#define LOAD(d, o)          INSN(BPF_LDX | BPF_MEM | BPF_W, d, 1, o, 0)
#define JNE(d, i, o)        INSN(BPF_JMP32 | BPF_JNE | BPF_K, d, 0, o, i)
#define EXIT                INSN(BPF_JMP | BPF_EXIT, 0, 0, 0, 0)
#define RULE_INSNS          8

static const struct bpf_insn prologue[] = {
        LOAD(2, offsetof(struct bpf_cgroup_dev_ctx, access_type)),
        COPY(3, 2),
        SHIFT(3, 16),
        AND(2, 0xffff),
        LOAD(4, offsetof(struct bpf_cgroup_dev_ctx, major)),
        LOAD(5, offsetof(struct bpf_cgroup_dev_ctx, minor)),
};

static int access_bits(const char *access)
{
        return (strchr(access, 'r') ? BPF_DEVCG_ACC_READ : 0) | (strchr(access, 'w') ? BPF_DEVCG_ACC_WRITE : 0) |
               (strchr(access, 'm') ? BPF_DEVCG_ACC_MKNOD : 0);
}

/* The next rule's place is the same distance from every test; what a rule does not ask for jumps nowhere. */
static void emit_rule(struct bpf_insn *p, const struct device_rule *r)
{
        int others = ~access_bits(r->access) & 7;

        p[0] = JNE(2, r->type == 'b' ? BPF_DEVCG_DEV_BLOCK : BPF_DEVCG_DEV_CHAR, RULE_INSNS - 1);
        p[1] = COPY(1, 3);
        p[2] = AND(1, others);
        p[3] = JNE(1, 0, RULE_INSNS - 4);
        p[4] = r->major == ANY ? MOV(1, 0) : JNE(4, (int)r->major, RULE_INSNS - 5);
        p[5] = r->minor == ANY ? MOV(1, 0) : JNE(5, (int)r->minor, RULE_INSNS - 6);
        p[6] = MOV(0, 1);
        p[7] = EXIT;
}

static int load(const struct bpf_insn *insns, size_t n)
{
        union bpf_attr attr = {
                .prog_type = BPF_PROG_TYPE_CGROUP_DEVICE,
                .insns = (uint64_t)(uintptr_t)insns,
                .insn_cnt = (uint32_t)n,
                .license = (uint64_t)(uintptr_t) "Apache-2.0",
                .prog_name = "pod_devices",
        };
        int fd;

        do
                fd = (int)syscall(SYS_bpf, BPF_PROG_LOAD, &attr, sizeof(attr));
        while (fd < 0 && errno == EAGAIN); /* the verifier gives up when a signal comes, such as SIGCHLD */
        return fd < 0 ? -errno : fd;
}

int device_filter_load(const struct device_rule *rules, size_t n, struct err *reterr)
{
        struct bpf_insn insns[ARRAY_SIZE(prologue) + (ARRAY_SIZE(usual) + DEVICE_RULES_MAX) * RULE_INSNS + 2];
        size_t at = ARRAY_SIZE(prologue);
        int fd;

        if (n > DEVICE_RULES_MAX)
                return err_set(reterr, -E2BIG, "a container may name at most %d devices", DEVICE_RULES_MAX);
        memcpy(insns, prologue, sizeof(prologue));
        for (size_t i = 0; i < ARRAY_SIZE(usual); i++, at += RULE_INSNS)
                emit_rule(insns + at, &usual[i]);
        for (size_t i = 0; i < n; i++, at += RULE_INSNS)
                emit_rule(insns + at, &rules[i]);
        insns[at++] = MOV(0, 0);
        insns[at++] = EXIT;
        fd = load(insns, at);
        return fd < 0 ? err_set(reterr, fd, "cannot load the device filter: %s", strerror(-fd)) : fd;
}

int device_filter_attach(int program, const char *cgroup, struct err *reterr)
{
        _cleanup_close_ int group = open(cgroup, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        union bpf_attr attr = {
                .target_fd = (uint32_t)group,
                .attach_bpf_fd = (uint32_t)program,
                .attach_type = BPF_CGROUP_DEVICE,
                .attach_flags = BPF_F_ALLOW_MULTI,
        };

        if (group < 0 || syscall(SYS_bpf, BPF_PROG_ATTACH, &attr, sizeof(attr)))
                return err_set(reterr, -errno, "cannot attach the device filter to %s: %s", cgroup, strerror(errno));
        return 0;
}
