/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <linux/capability.h>
#include <sys/personality.h>
#include <sys/socket.h>

#include "agent/kubelet/runtime/builtin/oci_seccomp.h"
#include "base/cleanup.h"

/* CLONE_NEWNS, NEWCGROUP, NEWUTS, NEWIPC, NEWUSER, NEWPID, NEWNET */
#define CLONE_NAMESPACES 0x7E020000

/* Names that this machine's libseccomp does not know are passed over by crun. */
static const char *const always[] = {"accept",
                                     "accept4",
                                     "access",
                                     "adjtimex",
                                     "alarm",
                                     "bind",
                                     "brk",
                                     "cachestat",
                                     "capget",
                                     "capset",
                                     "chdir",
                                     "chmod",
                                     "chown",
                                     "chown32",
                                     "clock_adjtime",
                                     "clock_adjtime64",
                                     "clock_getres",
                                     "clock_getres_time64",
                                     "clock_gettime",
                                     "clock_gettime64",
                                     "clock_nanosleep",
                                     "clock_nanosleep_time64",
                                     "close",
                                     "close_range",
                                     "connect",
                                     "copy_file_range",
                                     "creat",
                                     "dup",
                                     "dup2",
                                     "dup3",
                                     "epoll_create",
                                     "epoll_create1",
                                     "epoll_ctl",
                                     "epoll_ctl_old",
                                     "epoll_pwait",
                                     "epoll_pwait2",
                                     "epoll_wait",
                                     "epoll_wait_old",
                                     "eventfd",
                                     "eventfd2",
                                     "execve",
                                     "execveat",
                                     "exit",
                                     "exit_group",
                                     "faccessat",
                                     "faccessat2",
                                     "fadvise64",
                                     "fadvise64_64",
                                     "fallocate",
                                     "fanotify_mark",
                                     "fchdir",
                                     "fchmod",
                                     "fchmodat",
                                     "fchmodat2",
                                     "fchown",
                                     "fchown32",
                                     "fchownat",
                                     "fcntl",
                                     "fcntl64",
                                     "fdatasync",
                                     "fgetxattr",
                                     "flistxattr",
                                     "flock",
                                     "fork",
                                     "fremovexattr",
                                     "fsetxattr",
                                     "fstat",
                                     "fstat64",
                                     "fstatat64",
                                     "fstatfs",
                                     "fstatfs64",
                                     "fsync",
                                     "ftruncate",
                                     "ftruncate64",
                                     "futex",
                                     "futex_requeue",
                                     "futex_time64",
                                     "futex_wait",
                                     "futex_waitv",
                                     "futex_wake",
                                     "futimesat",
                                     "getcpu",
                                     "getcwd",
                                     "getdents",
                                     "getdents64",
                                     "getegid",
                                     "getegid32",
                                     "geteuid",
                                     "geteuid32",
                                     "getgid",
                                     "getgid32",
                                     "getgroups",
                                     "getgroups32",
                                     "getitimer",
                                     "getpeername",
                                     "getpgid",
                                     "getpgrp",
                                     "getpid",
                                     "getppid",
                                     "getpriority",
                                     "getrandom",
                                     "getresgid",
                                     "getresgid32",
                                     "getresuid",
                                     "getresuid32",
                                     "getrlimit",
                                     "get_robust_list",
                                     "getrusage",
                                     "getsid",
                                     "getsockname",
                                     "getsockopt",
                                     "get_thread_area",
                                     "gettid",
                                     "gettimeofday",
                                     "getuid",
                                     "getuid32",
                                     "getxattr",
                                     "inotify_add_watch",
                                     "inotify_init",
                                     "inotify_init1",
                                     "inotify_rm_watch",
                                     "io_cancel",
                                     "ioctl",
                                     "io_destroy",
                                     "io_getevents",
                                     "io_pgetevents",
                                     "io_pgetevents_time64",
                                     "ioprio_get",
                                     "ioprio_set",
                                     "io_setup",
                                     "io_submit",
                                     "ipc",
                                     "kill",
                                     "landlock_add_rule",
                                     "landlock_create_ruleset",
                                     "landlock_restrict_self",
                                     "lchown",
                                     "lchown32",
                                     "lgetxattr",
                                     "link",
                                     "linkat",
                                     "listen",
                                     "listxattr",
                                     "llistxattr",
                                     "_llseek",
                                     "lremovexattr",
                                     "lseek",
                                     "lsetxattr",
                                     "lstat",
                                     "lstat64",
                                     "madvise",
                                     "map_shadow_stack",
                                     "membarrier",
                                     "memfd_create",
                                     "memfd_secret",
                                     "mincore",
                                     "mkdir",
                                     "mkdirat",
                                     "mknod",
                                     "mknodat",
                                     "mlock",
                                     "mlock2",
                                     "mlockall",
                                     "mmap",
                                     "mmap2",
                                     "mprotect",
                                     "mq_getsetattr",
                                     "mq_notify",
                                     "mq_open",
                                     "mq_timedreceive",
                                     "mq_timedreceive_time64",
                                     "mq_timedsend",
                                     "mq_timedsend_time64",
                                     "mq_unlink",
                                     "mremap",
                                     "msgctl",
                                     "msgget",
                                     "msgrcv",
                                     "msgsnd",
                                     "msync",
                                     "munlock",
                                     "munlockall",
                                     "munmap",
                                     "name_to_handle_at",
                                     "nanosleep",
                                     "newfstatat",
                                     "_newselect",
                                     "open",
                                     "openat",
                                     "openat2",
                                     "pause",
                                     "pidfd_open",
                                     "pidfd_send_signal",
                                     "pipe",
                                     "pipe2",
                                     "pkey_alloc",
                                     "pkey_free",
                                     "pkey_mprotect",
                                     "poll",
                                     "ppoll",
                                     "ppoll_time64",
                                     "prctl",
                                     "pread64",
                                     "preadv",
                                     "preadv2",
                                     "prlimit64",
                                     "process_mrelease",
                                     "process_vm_readv",
                                     "process_vm_writev",
                                     "pselect6",
                                     "pselect6_time64",
                                     "ptrace",
                                     "pwrite64",
                                     "pwritev",
                                     "pwritev2",
                                     "read",
                                     "readahead",
                                     "readlink",
                                     "readlinkat",
                                     "readv",
                                     "recv",
                                     "recvfrom",
                                     "recvmmsg",
                                     "recvmmsg_time64",
                                     "recvmsg",
                                     "remap_file_pages",
                                     "removexattr",
                                     "rename",
                                     "renameat",
                                     "renameat2",
                                     "restart_syscall",
                                     "rmdir",
                                     "rseq",
                                     "rt_sigaction",
                                     "rt_sigpending",
                                     "rt_sigprocmask",
                                     "rt_sigqueueinfo",
                                     "rt_sigreturn",
                                     "rt_sigsuspend",
                                     "rt_sigtimedwait",
                                     "rt_sigtimedwait_time64",
                                     "rt_tgsigqueueinfo",
                                     "sched_getaffinity",
                                     "sched_getattr",
                                     "sched_getparam",
                                     "sched_get_priority_max",
                                     "sched_get_priority_min",
                                     "sched_getscheduler",
                                     "sched_rr_get_interval",
                                     "sched_rr_get_interval_time64",
                                     "sched_setaffinity",
                                     "sched_setattr",
                                     "sched_setparam",
                                     "sched_setscheduler",
                                     "sched_yield",
                                     "seccomp",
                                     "select",
                                     "semctl",
                                     "semget",
                                     "semop",
                                     "semtimedop",
                                     "semtimedop_time64",
                                     "send",
                                     "sendfile",
                                     "sendfile64",
                                     "sendmmsg",
                                     "sendmsg",
                                     "sendto",
                                     "setfsgid",
                                     "setfsgid32",
                                     "setfsuid",
                                     "setfsuid32",
                                     "setgid",
                                     "setgid32",
                                     "setgroups",
                                     "setgroups32",
                                     "setitimer",
                                     "setpgid",
                                     "setpriority",
                                     "setregid",
                                     "setregid32",
                                     "setresgid",
                                     "setresgid32",
                                     "setresuid",
                                     "setresuid32",
                                     "setreuid",
                                     "setreuid32",
                                     "setrlimit",
                                     "set_robust_list",
                                     "setsid",
                                     "setsockopt",
                                     "set_thread_area",
                                     "set_tid_address",
                                     "setuid",
                                     "setuid32",
                                     "setxattr",
                                     "shmat",
                                     "shmctl",
                                     "shmdt",
                                     "shmget",
                                     "shutdown",
                                     "sigaltstack",
                                     "signalfd",
                                     "signalfd4",
                                     "sigprocmask",
                                     "sigreturn",
                                     "socketcall",
                                     "socketpair",
                                     "splice",
                                     "stat",
                                     "stat64",
                                     "statfs",
                                     "statfs64",
                                     "statx",
                                     "symlink",
                                     "symlinkat",
                                     "sync",
                                     "sync_file_range",
                                     "syncfs",
                                     "sysinfo",
                                     "tee",
                                     "tgkill",
                                     "time",
                                     "timer_create",
                                     "timer_delete",
                                     "timer_getoverrun",
                                     "timer_gettime",
                                     "timer_gettime64",
                                     "timer_settime",
                                     "timer_settime64",
                                     "timerfd_create",
                                     "timerfd_gettime",
                                     "timerfd_gettime64",
                                     "timerfd_settime",
                                     "timerfd_settime64",
                                     "times",
                                     "tkill",
                                     "truncate",
                                     "truncate64",
                                     "ugetrlimit",
                                     "umask",
                                     "uname",
                                     "unlink",
                                     "unlinkat",
                                     "utime",
                                     "utimensat",
                                     "utimensat_time64",
                                     "utimes",
                                     "vfork",
                                     "vmsplice",
                                     "wait4",
                                     "waitid",
                                     "waitpid",
                                     "write",
                                     "writev",
#ifdef __x86_64__
                                     "arch_prctl",
                                     "modify_ldt",
#elif defined(__aarch64__)
                                     "arm_fadvise64_64",
                                     "arm_sync_file_range",
                                     "sync_file_range2",
                                     "breakpoint",
                                     "cacheflush",
                                     "set_tls",
#endif
                                     NULL};

#define NAMES(...)                                                                                                     \
        (const char *const[])                                                                                          \
        {                                                                                                              \
                __VA_ARGS__, NULL                                                                                      \
        }

static const struct {
        int capability;
        const char *const *names;
} with_capability[] = {
        {CAP_DAC_READ_SEARCH, NAMES("open_by_handle_at")},
        {CAP_SYS_ADMIN,
         NAMES("bpf", "clone", "clone3", "fanotify_init", "fsconfig", "fsmount", "fsopen", "fspick", "lookup_dcookie",
               "mount", "mount_setattr", "move_mount", "open_tree", "perf_event_open", "quotactl", "quotactl_fd",
               "setdomainname", "sethostname", "setns", "syslog", "umount", "umount2", "unshare")},
        {CAP_SYS_BOOT, NAMES("reboot")},
        {CAP_SYS_CHROOT, NAMES("chroot")},
        {CAP_SYS_MODULE, NAMES("delete_module", "init_module", "finit_module")},
        {CAP_SYS_PACCT, NAMES("acct")},
        {CAP_SYS_PTRACE, NAMES("kcmp", "pidfd_getfd", "process_madvise")},
        {CAP_SYS_RAWIO, NAMES("iopl", "ioperm")},
        {CAP_SYS_TIME, NAMES("settimeofday", "stime", "clock_settime", "clock_settime64")},
        {CAP_SYS_TTY_CONFIG, NAMES("vhangup")},
        {CAP_SYS_NICE, NAMES("get_mempolicy", "mbind", "set_mempolicy", "set_mempolicy_home_node")},
        {CAP_SYSLOG, NAMES("syslog")},
        {CAP_BPF, NAMES("bpf")},
        {CAP_PERFMON, NAMES("perf_event_open")},
};

static const char *const architectures[] = {
#ifdef __x86_64__
        "SCMP_ARCH_X86_64", "SCMP_ARCH_X86", "SCMP_ARCH_X32",
#elif defined(__aarch64__)
        "SCMP_ARCH_AARCH64", "SCMP_ARCH_ARM",
#else
#error "which calls this architecture has is to be written here"
#endif
        NULL};

static struct json_object *names_of(const char *const *names)
{
        struct json_object *a = json_object_new_array();

        for (; *names; names++)
                json_object_array_add(a, json_object_new_string(*names));
        return a;
}

static struct json_object *rule(struct json_object *rules, const char *const *names, const char *action)
{
        struct json_object *r = json_object_new_object();

        json_set(r, "names", names_of(names));
        json_set_str(r, "action", action);
        json_object_array_add(rules, r);
        return r;
}

/* Conditions of one rule are all to be met; alternatives are rules of their own. */
static void when(struct json_object *r, uint64_t value, uint64_t value_two, const char *op)
{
        struct json_object *args = json_object_new_array(), *arg = json_object_new_object();

        json_set_i64(arg, "index", 0);
        json_set_i64(arg, "value", (int64_t)value);
        json_set_i64(arg, "valueTwo", (int64_t)value_two);
        json_set_str(arg, "op", op);
        json_object_array_add(args, arg);
        json_set(r, "args", args);
}

static void conditional(struct json_object *rules, uint64_t capabilities)
{
        static const uint64_t personalities[] = {PER_LINUX, PER_LINUX32, UNAME26, UNAME26 | PER_LINUX32, 0xffffffff};

        for (size_t i = 0; i < ARRAY_SIZE(personalities); i++)
                when(rule(rules, NAMES("personality"), "SCMP_ACT_ALLOW"), personalities[i], 0, "SCMP_CMP_EQ");
        when(rule(rules, NAMES("socket"), "SCMP_ACT_ALLOW"), AF_VSOCK, 0, "SCMP_CMP_NE");
        if (capabilities >> CAP_SYS_ADMIN & 1)
                return;
        /* clone3 hides its flags behind a pointer: ENOSYS has libraries fall back to clone, whose flags are seen. */
        when(rule(rules, NAMES("clone"), "SCMP_ACT_ALLOW"), CLONE_NAMESPACES, 0, "SCMP_CMP_MASKED_EQ");
        json_set_i64(rule(rules, NAMES("clone3"), "SCMP_ACT_ERRNO"), "errnoRet", ENOSYS);
}

struct json_object *oci_seccomp(uint64_t capabilities)
{
        struct json_object *o = json_object_new_object(), *rules = json_object_new_array();

        json_set_str(o, "defaultAction", "SCMP_ACT_ERRNO");
        json_set_i64(o, "defaultErrnoRet", EPERM);
        json_set(o, "architectures", names_of(architectures));
        rule(rules, always, "SCMP_ACT_ALLOW");
        conditional(rules, capabilities);
        for (size_t i = 0; i < ARRAY_SIZE(with_capability); i++)
                if (capabilities >> with_capability[i].capability & 1)
                        rule(rules, with_capability[i].names, "SCMP_ACT_ALLOW");
        json_set(o, "syscalls", rules);
        return o;
}
