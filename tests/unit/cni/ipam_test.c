/* SPDX-License-Identifier: Apache-2.0 */
/* Addresses in a folder of the test's own: no network is touched. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>
#include <cmocka.h>

#include "base/file.h"
#include "base/mem.h"
#include "cni/code.h"
#include "cni/ipam.h"

static char dir[64];

static int set_up(void **state)
{
        snprintf(dir, sizeof(dir), "/tmp/fairlead-ipam.XXXXXX");
        return mkdtemp(dir) && record_prepare(dir, NULL) == 0 ? 0 : -1;
}

static int tear_down(void **state)
{
        _cleanup_free_ char *command = mem_printf("rm -rf '%s'", dir);

        return system(command); /* NOLINT(cert-env33-c) */
}

static struct node node_of(const char *first, const char *second)
{
        struct node node = {.mtu = 1450};

        assert_int_equal(ip_range_parse(first, &node.ranges[node.nranges++]), 0);
        if (second)
                assert_int_equal(ip_range_parse(second, &node.ranges[node.nranges++]), 0);
        return node;
}

static struct attachment attachment_of(const char *container)
{
        struct attachment a = {.ifname = "eth0", .host_ifname = "fl0123456789ab", .host_ifindex = 1, .network = "n"};

        snprintf(a.container_id, sizeof(a.container_id), "%s", container);
        a.mac = a.host_mac = (struct mac){{2, 0, 0, 0, 0, 1}};
        return a;
}

/* As ADD does it: lease and record under one lock. ip: the requested one, or NULL. */
static int lease(const struct node *node, const char *container, const char *ip, struct attachment *ret,
                 struct err *err)
{
        struct cni_conf conf = {.run_dir = dir};
        struct attachment a = attachment_of(container);
        struct ipam ipam;
        uint32_t bits;
        int r;

        if (ip) {
                assert_int_equal(ip_parse(ip, &conf.ips[0], &bits), 0);
                conf.nips = 1;
        }
        assert_int_equal(ipam_lock(dir, &ipam, err), 0);
        r = ipam_lease(&ipam, node, &conf, &a, err);
        if (!r)
                assert_int_equal(record_write(&a, &conf, err), 0);
        ipam_unlock(&ipam);
        if (!r && ret)
                *ret = a;
        return r;
}

static void give_back(const struct attachment *a)
{
        char id[ATTACHMENT_ID_SIZE];
        struct ipam ipam;

        attachment_id(a->container_id, a->ifname, id);
        assert_int_equal(ipam_lock(dir, &ipam, NULL), 0);
        assert_int_equal(record_remove(dir, id, NULL), 0);
        ipam_release(&ipam, id, a->addresses, a->naddresses);
        ipam_unlock(&ipam);
}

static void assert_address(const struct attachment *a, size_t i, const char *want)
{
        char text[ADDRESS_TEXT_SIZE];

        assert_true(i < a->naddresses);
        assert_string_equal(ip_text(&a->addresses[i], text), want);
}

static void a_pod_gets_one_address_of_each_family(void **state)
{
        struct node node = node_of("fd00:1::/64", "10.244.1.0/24");
        struct attachment a;

        assert_int_equal(lease(&node, "c1", NULL, &a, NULL), 0);
        assert_int_equal(a.naddresses, 2);
        assert_address(&a, 0, "10.244.1.2");
        assert_address(&a, 1, "fd00:1::2");
}

static void an_address_is_not_given_out_again_at_once(void **state)
{
        struct node node = node_of("10.244.1.0/29", NULL);
        static const char *const turns[] = {"10.244.1.2", "10.244.1.3", "10.244.1.4",
                                            "10.244.1.5", "10.244.1.6", "10.244.1.2"};
        struct attachment a;

        for (size_t i = 0; i < ARRAY_SIZE(turns); i++) {
                assert_int_equal(lease(&node, "c1", NULL, &a, NULL), 0);
                assert_address(&a, 0, turns[i]);
                give_back(&a);
        }
}

static void a_full_range_says_so_and_leases_nothing(void **state)
{
        struct node node = node_of("10.244.1.0/30", "fd00:1::/64");
        struct attachment a;
        struct err err = ERR_NULL;
        struct ipam ipam;

        assert_int_equal(lease(&node, "c1", NULL, &a, NULL), 0);
        assert_int_equal(lease(&node, "c2", NULL, NULL, &err), CNI_NO_ADDRESS);
        assert_non_null(strstr(err.msg, "all 1 IPv4 addresses"));
        give_back(&a);
        assert_int_equal(lease(&node, "c2", NULL, &a, NULL), 0);
        assert_address(&a, 0, "10.244.1.2");
        node = node_of("fd00:2::/126", "10.244.1.0/30");
        assert_int_equal(lease(&node, "c3", NULL, NULL, &err), CNI_NO_ADDRESS);
        ipam_init_unlocked(dir, &ipam);
        assert_int_equal(ipam_free(&ipam, &node, AF_INET6), 2);
        assert_int_equal(ipam_free(&ipam, &node, AF_INET), 0);
        ipam_unlock(&ipam);
}

static void a_family_that_is_full_gives_the_other_back(void **state)
{
        struct node node = node_of("10.244.1.0/24", "fd00:2::/127");
        struct ipam ipam;

        assert_int_equal(lease(&node, "c1", NULL, NULL, NULL), CNI_NO_ADDRESS);
        ipam_init_unlocked(dir, &ipam);
        assert_int_equal(ipam_free(&ipam, &node, AF_INET), 253);
        ipam_unlock(&ipam);
}

static void a_range_without_usable_addresses_says_so(void **state)
{
        struct node node = node_of("10.244.1.0/31", NULL), none = {.mtu = 1450};
        struct err err = ERR_NULL;

        assert_int_equal(lease(&node, "c1", NULL, NULL, &err), CNI_NO_ADDRESS);
        assert_int_equal(lease(&none, "c1", NULL, NULL, &err), CNI_NO_ADDRESS);
        assert_non_null(strstr(err.msg, "podCIDR"));
}

static void a_second_range_of_a_family_serves_when_the_first_is_full(void **state)
{
        struct node node = node_of("10.244.1.0/30", "10.244.9.0/30");
        struct attachment a;

        assert_int_equal(lease(&node, "c1", NULL, &a, NULL), 0);
        assert_address(&a, 0, "10.244.1.2");
        assert_int_equal(lease(&node, "c2", NULL, &a, NULL), 0);
        assert_address(&a, 0, "10.244.9.2");
        assert_int_equal(lease(&node, "c3", NULL, NULL, NULL), CNI_NO_ADDRESS);
}

static void requested_addresses_are_given_or_refused(void **state)
{
        struct node node = node_of("10.244.1.0/24", "fd00:1::/64");
        struct attachment a;
        struct err err = ERR_NULL;

        assert_int_equal(lease(&node, "c1", "10.244.1.77", &a, NULL), 0);
        assert_address(&a, 0, "10.244.1.77");
        assert_address(&a, 1, "fd00:1::2");
        assert_int_equal(lease(&node, "c2", "10.244.1.77", NULL, &err), CNI_ADDRESS_REFUSED);
        assert_non_null(strstr(err.msg, "in use by attachment c1-eth0"));
        assert_int_equal(lease(&node, "c2", "10.244.1.1", NULL, &err), CNI_ADDRESS_REFUSED);
        assert_int_equal(lease(&node, "c2", "10.244.1.255", NULL, &err), CNI_ADDRESS_REFUSED);
        assert_int_equal(lease(&node, "c2", "192.0.2.7", NULL, &err), CNI_ADDRESS_REFUSED);
        assert_int_equal(lease(&node, "c2", "fd00:1::77", &a, NULL), 0);
        assert_address(&a, 0, "10.244.1.2");
        assert_address(&a, 1, "fd00:1::77");
}

/* What a killed ADD leaves: a lease, and no record. */
static void leave_stray(const char *address)
{
        _cleanup_free_ char *path = mem_printf("%s/ipam/%s", dir, address);

        assert_int_equal(symlink("killed-eth0", path), 0);
}

static void leases_without_a_record_are_taken_back_when_they_are_needed(void **state)
{
        struct node node = node_of("10.244.1.0/29", NULL);
        struct attachment a;

        leave_stray("10.244.1.2");
        leave_stray("10.244.1.3");
        for (int i = 0; i < 5; i++) {
                char name[8];

                snprintf(name, sizeof(name), "c%d", i);
                assert_int_equal(lease(&node, name, NULL, &a, NULL), 0);
        }
        assert_int_equal(lease(&node, "c9", NULL, NULL, NULL), CNI_NO_ADDRESS);
        give_back(&a);
        leave_stray("10.244.1.3");
        assert_int_equal(lease(&node, "c9", "10.244.1.3", &a, NULL), 0);
}

static void a_release_takes_only_what_is_its_own(void **state)
{
        struct node node = node_of("10.244.1.0/24", NULL);
        struct attachment a, b;

        assert_int_equal(lease(&node, "c1", NULL, &a, NULL), 0);
        assert_int_equal(lease(&node, "c2", NULL, &b, NULL), 0);
        snprintf(a.container_id, sizeof(a.container_id), "c3");
        give_back(&a); /* c3 never had it */
        assert_int_equal(lease(&node, "c4", "10.244.1.2", NULL, NULL), CNI_ADDRESS_REFUSED);
        snprintf(b.container_id, sizeof(b.container_id), "c1");
        b.naddresses = 0; /* all of c1's, whatever they are */
        give_back(&b);
        assert_int_equal(lease(&node, "c4", "10.244.1.2", NULL, NULL), 0);
        assert_int_equal(lease(&node, "c5", "10.244.1.3", NULL, NULL), CNI_ADDRESS_REFUSED);
}

static void hints_that_make_no_sense_are_no_hints(void **state)
{
        static const char *const bad[] = {
                "", "x", "10.244.1.9", "999.1.1.1 zz 4294967295", "10.9.9.9 fd00:9::9 5", "- - -", "\xff\xfe\n"};
        struct node node = node_of("10.244.1.0/24", "fd00:1::/64");
        _cleanup_free_ char *lock = mem_printf("%s/ipam/lock", dir);
        struct attachment a;

        for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
                struct ipam ipam;

                assert_int_equal(file_write_atomic(lock, bad[i], strlen(bad[i]), 0600, NULL), 0);
                assert_int_equal(lease(&node, "c1", NULL, &a, NULL), 0);
                assert_address(&a, 0, "10.244.1.2");
                assert_address(&a, 1, "fd00:1::2");
                give_back(&a);
                assert_int_equal(file_write_atomic(lock, bad[i], strlen(bad[i]), 0600, NULL), 0);
                assert_int_equal(ipam_lock(dir, &ipam, NULL), 0);
                assert_int_equal(ipam_next_ifindex(&ipam), IFINDEX_FIRST);
                ipam_unlock(&ipam);
        }
}

static void interface_indexes_go_round_in_their_range(void **state)
{
        struct ipam ipam;

        assert_int_equal(ipam_lock(dir, &ipam, NULL), 0);
        assert_int_equal(ipam_next_ifindex(&ipam), IFINDEX_FIRST);
        ipam.last_ifindex = IFINDEX_FIRST + IFINDEX_COUNT - 2;
        assert_int_equal(ipam_next_ifindex(&ipam), IFINDEX_FIRST + IFINDEX_COUNT - 1);
        assert_int_equal(ipam_next_ifindex(&ipam), IFINDEX_FIRST);
        ipam_unlock(&ipam);
        assert_int_equal(ipam_lock(dir, &ipam, NULL), 0);
        assert_int_equal(ipam_next_ifindex(&ipam), IFINDEX_FIRST + 1);
        ipam_unlock(&ipam);
}

/* n processes that each want an address; how many got one. */
static int lease_in_parallel(const struct node *node, size_t n)
{
        pid_t pids[64];
        int got = 0;

        for (size_t i = 0; i < n; i++) {
                pids[i] = fork();
                if (!pids[i]) {
                        char name[16];

                        snprintf(name, sizeof(name), "p%zu", i);
                        _exit(lease(node, name, NULL, NULL, NULL) ? 1 : 0);
                }
        }
        for (size_t i = 0; i < n; i++) {
                int status = 0;

                assert_int_equal(waitpid(pids[i], &status, 0), pids[i]);
                got += status == 0;
        }
        return got;
}

static void parallel_callers_never_share_an_address(void **state)
{
        struct node node = node_of("10.244.1.0/26", NULL);

        assert_int_equal(lease_in_parallel(&node, 60), 60);
        assert_int_equal(lease(&node, "last", NULL, NULL, NULL), 0); /* the 61st of 61 */
        assert_int_equal(lease(&node, "more", NULL, NULL, NULL), CNI_NO_ADDRESS);
}

/* Whoever finds the range full looks for leases without a record: those of a caller that is about to write one do not
 * count. */
static void a_lease_that_is_being_recorded_is_not_taken_back(void **state)
{
        struct node node = node_of("10.244.1.0/29", NULL);

        for (int round = 0; round < 20; round++) {
                tear_down(NULL);
                assert_int_equal(set_up(NULL), 0);
                assert_int_equal(lease_in_parallel(&node, 24), 5);
        }
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)

int main(void)
{
        const struct CMUnitTest tests[] = {
                TEST(a_pod_gets_one_address_of_each_family),
                TEST(an_address_is_not_given_out_again_at_once),
                TEST(a_full_range_says_so_and_leases_nothing),
                TEST(a_family_that_is_full_gives_the_other_back),
                TEST(a_range_without_usable_addresses_says_so),
                TEST(a_second_range_of_a_family_serves_when_the_first_is_full),
                TEST(requested_addresses_are_given_or_refused),
                TEST(leases_without_a_record_are_taken_back_when_they_are_needed),
                TEST(a_release_takes_only_what_is_its_own),
                TEST(hints_that_make_no_sense_are_no_hints),
                TEST(interface_indexes_go_round_in_their_range),
                TEST(parallel_callers_never_share_an_address),
                TEST(a_lease_that_is_being_recorded_is_not_taken_back),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
