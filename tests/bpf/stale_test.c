/* SPDX-License-Identifier: Apache-2.0 */
/* Connected UDP sockets to backends that are gone. */
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <stdarg.h>
#include <setjmp.h>
#include <cmocka.h>

#include "bpf/kernel.h"
#include "bpf/sock_lab.h"
#include "datapath/stale.h"

static struct sock_lab lab;
static struct stale *stale;
static int opened[32];
static size_t n_opened;
static char mounted[64]; /* a file over which a namespace is mounted; "": none */

static int remember(int fd)
{
        assert_true(fd >= 0);
        assert_true(n_opened < ARRAY_SIZE(opened));
        return opened[n_opened++] = fd;
}

static int connected(enum tongue t, int type, enum place p, uint16_t port)
{
        struct sockaddr_storage sa;
        socklen_t len = place_sockaddr(t, p, port, &sa);
        int fd = remember(socket(t == V4 ? AF_INET : AF_INET6, type | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));

        assert_true(connect(fd, (struct sockaddr *)&sa, len) == 0 || errno == EINPROGRESS);
        return fd;
}

/* "alive", or the errno that a dead one gives. */
static const char *health(int fd)
{
        char data[8];

        if (recv(fd, data, sizeof(data), 0) < 0 && errno != EAGAIN)
                return strerrorname_np(errno);
        return "alive";
}

static struct stale_result sweep(void)
{
        struct stale_result result;
        struct err e = ERR_NULL;

        if (stale_sweep(stale, &result, &e) != 0)
                fail_msg("%s", e.msg);
        return result;
}

static uint32_t udp_service(enum tongue t, enum place at, uint32_t first)
{
        struct sock_service s = {.at = at, .port = 53, .proto = IPPROTO_UDP, .first = first, .count = 1};

        return sock_lab_service(&lab, t, &s);
}

/* Where the kernel cannot do it, all that can be shown is that the attempt says so: set_up. */
static void need_support(void)
{
        if (!stale)
                skip();
}

static void sockets_to_a_removed_backend_are_destroyed_and_no_others(void **state)
{
        enum tongue t = *(const enum tongue *)*state;
        static const struct sockaddr nowhere = {.sa_family = AF_UNSPEC};
        uint32_t gone = udp_service(t, VIP, 0), tcp;
        int dead[2], disconnected, others, direct, stream, listener;
        struct stale_result result;
        struct sockaddr_storage sa;
        socklen_t len;

        need_support();
        udp_service(t, VIP2, 1);
        tcp = sock_lab_service(&lab, t, &(struct sock_service){.at = VIP, .port = 80, .first = 2, .count = 1});
        listener = remember(socket(t == V4 ? AF_INET : AF_INET6, SOCK_STREAM | SOCK_CLOEXEC, 0));
        len = place_sockaddr(t, POD3, POD_PORT, &sa);
        assert_int_equal(bind(listener, (struct sockaddr *)&sa, len) | listen(listener, 4), 0);
        dead[0] = connected(t, SOCK_DGRAM, VIP, 53);
        dead[1] = connected(t, SOCK_DGRAM, VIP, 53);
        others = connected(t, SOCK_DGRAM, VIP2, 53);
        direct = connected(t, SOCK_DGRAM, POD1, POD_PORT);
        stream = connected(t, SOCK_STREAM, VIP, 80);
        disconnected = connected(t, SOCK_DGRAM, VIP, 53);
        assert_int_equal(connect(disconnected, &nowhere, sizeof(nowhere)), 0);
        len = place_sockaddr(t, VIP2, 53, &sa);
        assert_int_equal(sendto(disconnected, "?", 1, 0, (struct sockaddr *)&sa, len), 1);

        result = sweep();
        assert_int_equal(result.sockets, 0);
        assert_int_equal(result.namespaces, 0);
        sock_lab_remove_backend(&lab, gone, 0);
        sock_lab_remove_backend(&lab, tcp, 0);
        result = sweep();
        assert_int_equal(result.sockets, 2);
        assert_int_equal(result.namespaces, 1);
        assert_int_equal(result.unreached, 0);
        assert_string_equal(health(dead[0]), "ECONNABORTED");
        assert_string_equal(health(dead[1]), "ECONNABORTED");
        assert_string_equal(health(others), "alive");
        assert_string_equal(health(direct), "alive");
        assert_string_equal(health(stream), "alive");
        assert_string_equal(health(disconnected), "alive");
        assert_int_equal(sweep().namespaces, 0);
}

static void an_id_that_was_given_out_again_is_another_backend(void **state)
{
        enum tongue t = *(const enum tongue *)*state;
        uint32_t service = udp_service(t, VIP, 0), id = service * 16 + 1;
        int fd = connected(t, SOCK_DGRAM, VIP, 53);
        struct backend b;

        need_support();
        assert_int_equal(map_lookup(lab.maps.m[MAP_BACKENDS], &id, &b), 0);
        b.generation++;
        assert_int_equal(map_update(lab.maps.m[MAP_BACKENDS], &id, &b), 0);
        assert_int_equal(sweep().sockets, 1);
        assert_string_equal(health(fd), "ECONNABORTED");
        /* And it can be used again. */
        udp_service(t, VIP, 1);
        assert_int_equal(connect(fd, (struct sockaddr *)&(struct sockaddr_storage){.ss_family = AF_UNSPEC}, 16), 0);
}

/* A process in the pod's namespace: connects, says so, waits for an error, says which. */
static pid_t pod_process(enum tongue t, int netns, int report)
{
        pid_t pid = fork();
        const char *how;
        int fd;

        if (pid)
                return pid;
        prctl(PR_SET_PDEATHSIG, SIGKILL);
        if (setns(netns, CLONE_NEWNET) < 0)
                _exit(1);
        fd = connected(t, SOCK_DGRAM, VIP, 53);
        dprintf(report, "connected\n");
        do {
                usleep(10000);
                how = health(fd);
        } while (strcmp(how, "alive") == 0);
        dprintf(report, "%s\n", how);
        _exit(0);
}

static const char *read_word(int fd)
{
        static char word[64];
        ssize_t n = read(fd, word, sizeof(word) - 1);

        word[n > 0 ? n : 0] = '\0';
        return word;
}

static void sockets_in_pods_are_found_by_their_processes(void **state)
{
        enum tongue t = *(const enum tongue *)*state;
        uint32_t service = udp_service(t, VIP, 0);
        int netns = sock_lab_pod_netns(), pipes[2], status = -1;
        struct stale_result result;
        pid_t pid;

        need_support();
        assert_int_equal(pipe2(pipes, O_CLOEXEC), 0);
        pid = pod_process(t, netns, pipes[1]);
        close(netns);
        close(pipes[1]);
        remember(pipes[0]);
        assert_string_equal(read_word(pipes[0]), "connected\n");
        sock_lab_remove_backend(&lab, service, 0);
        result = sweep();
        if (result.sockets != 1)
                kill(pid, SIGKILL);
        assert_string_equal(read_word(pipes[0]), "ECONNABORTED\n");
        assert_int_equal(waitpid(pid, &status, 0), pid);
        assert_int_equal(status, 0);
        assert_int_equal(result.sockets, 1);
        assert_int_equal(result.unreached, 0);
}

static void sockets_in_namespaces_without_a_process_are_found_by_their_mounts(void **state)
{
        enum tongue t = *(const enum tongue *)*state;
        uint32_t service = udp_service(t, VIP, 0);
        char source[64];
        int netns = remember(sock_lab_pod_netns()), fd;
        int own = remember(open("/proc/thread-self/ns/net", O_RDONLY | O_CLOEXEC));

        need_support();
        strcpy(mounted, "/tmp/fairlead-stale-XXXXXX");
        remember(mkstemp(mounted));
        assert_int_equal(setns(netns, CLONE_NEWNET), 0);
        fd = connected(t, SOCK_DGRAM, VIP, 53);
        assert_int_equal(setns(own, CLONE_NEWNET), 0);
        sock_lab_remove_backend(&lab, service, 0);
        assert_int_equal(sweep().unreached, 1);
        assert_string_equal(health(fd), "alive");
        snprintf(source, sizeof(source), "/proc/self/fd/%d", netns);
        assert_int_equal(mount(source, mounted, NULL, MS_BIND, NULL), 0);
        assert_int_equal(sweep().sockets, 1);
        assert_string_equal(health(fd), "ECONNABORTED");
}

static int set_up(void **state)
{
        struct err e = ERR_NULL;
        int r;

        sock_lab_open(&lab, KNOB_SOCK | KNOB_RETVAL, SOCK_LAB_SMALL);
        r = stale_new(&lab.maps, &stale, &e);
        if (r == 0 || (r == STALE_UNSUPPORTED && kernel_lacks("sock_destroy")))
                return 0;
        fprintf(stderr, "%s\n", e.msg);
        return -1;
}

static int tear_down(void **state)
{
        while (n_opened)
                close(opened[--n_opened]);
        if (*mounted) {
                umount2(mounted, MNT_DETACH);
                unlink(mounted);
                *mounted = '\0';
        }
        stale_free(stale);
        stale = NULL;
        sock_lab_close(&lab);
        return 0;
}

#define TEST(fn, tongue)                                                                                               \
        {                                                                                                              \
#fn "_" #tongue, fn, set_up, tear_down, &tongues[tongue]                                               \
        }
#define TESTS(fn) TEST(fn, V4), TEST(fn, V6), TEST(fn, MAPPED)

int main(void)
{
        static enum tongue tongues[] = {V4, V6, MAPPED};
        const struct CMUnitTest tests[] = {
                TESTS(sockets_to_a_removed_backend_are_destroyed_and_no_others),
                TESTS(an_id_that_was_given_out_again_is_another_backend),
                TESTS(sockets_in_pods_are_found_by_their_processes),
                TESTS(sockets_in_namespaces_without_a_process_are_found_by_their_mounts),
        };

        /* Mounts are the test's own. */
        if (unshare(CLONE_NEWNS) < 0 || mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) < 0) {
                fprintf(stderr, "tests/bpf: cannot make a mount namespace: %m\n");
                return EXIT_FAILURE;
        }
        return cmocka_run_group_tests_name("stale", tests, NULL, NULL);
}
