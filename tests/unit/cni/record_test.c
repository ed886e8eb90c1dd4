/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <cmocka.h>

#include "base/file.h"
#include "base/mem.h"
#include "cni/code.h"
#include "cni/node.h"
#include "cni/record.h"

static char dir[64];

static int set_up(void **state)
{
        snprintf(dir, sizeof(dir), "/tmp/fairlead-record.XXXXXX");
        return mkdtemp(dir) && record_prepare(dir, NULL) == 0 ? 0 : -1;
}

static int tear_down(void **state)
{
        _cleanup_free_ char *command = mem_printf("rm -rf '%s'", dir);

        return system(command); /* NOLINT(cert-env33-c) */
}

static struct attachment example(void)
{
        struct attachment a = {.container_id = "c1",
                               .ifname = "eth0",
                               .host_ifindex = 0x100007,
                               .host_mac = {{2, 0, 0, 0, 0, 1}},
                               .mac = {{2, 0, 0, 0, 0, 2}},
                               .naddresses = 2,
                               .mtu = 1450,
                               .network = "fairlead",
                               .netns = "/run/netns/x",
                               .pod_namespace = "default",
                               .pod_name = "web-1",
                               .pod_uid = "u"};
        uint32_t bits;

        attachment_host_ifname(a.container_id, a.ifname, a.host_ifname);
        ip_parse("10.244.1.5", &a.addresses[0], &bits);
        ip_parse("fd00:1::5", &a.addresses[1], &bits);
        return a;
}

static char *file_of(const char *id)
{
        return mem_printf("%s/attachments/%s.json", dir, id);
}

static void a_record_comes_back_as_it_was_written(void **state)
{
        struct port_mapping port = {.host_port = 8080, .container_port = 80, .protocol = "tcp"};
        struct cni_conf conf = {.run_dir = dir, .ports = &port, .nports = 1, .bandwidth = {.ingress_rate = 5}};
        struct attachment a = example(), b = {0};

        assert_int_equal(record_write(&a, &conf, NULL), 0);
        assert_int_equal(record_read(dir, "c1-eth0", &b, NULL), 0);
        assert_memory_equal(&a, &b, sizeof(a));
}

static void a_record_is_what_the_agent_reads(void **state)
{
        struct port_mapping port = {.host_port = 8080, .container_port = 80, .protocol = "tcp"};
        struct cni_conf conf = {.run_dir = dir, .ports = &port, .nports = 1, .bandwidth = {.ingress_rate = 5}};
        struct attachment a = example();
        _cleanup_free_ char *path = file_of("c1-eth0");
        _cleanup_free_ char *text = NULL;
        _cleanup_free_ char *want = mem_printf(
                "{\"version\":1,\"containerID\":\"c1\",\"ifname\":\"eth0\",\"netns\":\"/run/netns/x\",\"network\":"
                "\"fairlead\",\"podNamespace\":\"default\",\"podName\":\"web-1\",\"podUID\":\"u\",\"hostIfname\":\"%"
                "s\","
                "\"hostIfindex\":1048583,\"mtu\":1450,\"hostMac\":\"02:00:00:00:00:01\",\"mac\":\"02:00:00:00:00:02\","
                "\"addresses\":[\"10.244.1.5\",\"fd00:1::5\"],\"portMappings\":[{\"hostPort\":8080,\"containerPort\":"
                "80,"
                "\"protocol\":\"tcp\",\"hostIP\":\"\"}],\"bandwidth\":{\"ingressRate\":5,\"ingressBurst\":0,"
                "\"egressRate\":0,\"egressBurst\":0}}\n",
                a.host_ifname);

        assert_int_equal(record_write(&a, &conf, NULL), 0);
        assert_int_equal(file_read(path, 65536, &text, NULL, NULL), 0);
        assert_string_equal(text, want);
}

static void what_is_no_record_is_none(void **state)
{
        static const char *const bad[] = {"", "{", "[]", "{}", "{\"version\":2}", "null"};
        struct cni_conf conf = {.run_dir = dir};
        struct attachment a = example(), b;
        _cleanup_free_ char *path = file_of("c1-eth0"), *other = file_of("c2-eth0");

        assert_int_equal(record_read(dir, "c1-eth0", &b, NULL), 1);
        for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
                assert_int_equal(file_write_atomic(path, bad[i], strlen(bad[i]), 0600, NULL), 0);
                assert_int_equal(record_read(dir, "c1-eth0", &b, NULL), 1);
        }
        /* A record under another's name is nobody's. */
        assert_int_equal(record_write(&a, &conf, NULL), 0);
        assert_int_equal(rename(path, other), 0);
        assert_int_equal(record_read(dir, "c2-eth0", &b, NULL), 1);
}

static void removing_what_is_gone_is_fine(void **state)
{
        struct cni_conf conf = {.run_dir = dir};
        struct attachment a = example();
        _cleanup_json_ struct json_object *ids = NULL;

        assert_int_equal(record_write(&a, &conf, NULL), 0);
        ids = record_list(dir);
        assert_int_equal(json_len(ids), 1);
        assert_string_equal(json_object_get_string(json_idx(ids, 0)), "c1-eth0");
        assert_true(record_exists(dir, "c1-eth0"));
        assert_int_equal(record_remove(dir, "c1-eth0", NULL), 0);
        assert_int_equal(record_remove(dir, "c1-eth0", NULL), 0);
        assert_int_equal(record_remove("/tmp/fairlead-no-such-folder", "c1-eth0", NULL), 0);
        assert_false(record_exists(dir, "c1-eth0"));
}

static void host_names_are_valid_and_differ(void **state)
{
        char names[200][IFNAME_SIZE];

        for (int i = 0; i < 200; i++) {
                char container[16];

                snprintf(container, sizeof(container), "c%d", i / 2);
                attachment_host_ifname(container, i % 2 ? "eth0" : "eth1", names[i]);
                assert_true(attachment_is_host_ifname(names[i]));
                for (int k = 0; k < i; k++)
                        assert_string_not_equal(names[i], names[k]);
        }
        assert_false(attachment_is_host_ifname("flannel.1"));
        assert_false(attachment_is_host_ifname("fl0123456789ag"));
        assert_false(attachment_is_host_ifname("fl0123456789abc"));
        assert_false(attachment_is_host_ifname("eth0"));
}

static void node_json_is_read_or_says_what_is_wrong(void **state)
{
        static const struct {
                const char *text;
                int code;
                const char *hint;
        } cases[] = {
                {"{\"version\":1,\"podCIDRs\":[\"10.244.1.0/24\",\"fd00:1::/64\"],\"mtu\":1450}", 0, NULL},
                {"{\"version\":1,\"mtu\":1450}", 0, NULL},
                {"{\"version\":2,\"mtu\":1450}", CNI_IO, "version is 2"},
                {"{\"version\":1}", CNI_IO, "mtu is 0"},
                {"{\"version\":1,\"podCIDRs\":[7],\"mtu\":1450}", CNI_IO, "podCIDRs[0]"},
                {"{\"version\":1,\"podCIDRs\":[\"10.244.1.1/24\"],\"mtu\":1450}", CNI_IO, "10.244.1.1/24"},
                {"{", CNI_IO, "unexpected end"},
                {"[]", CNI_IO, "version is 0"},
        };

        for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
                struct node node;
                struct err err = ERR_NULL;

                assert_int_equal(node_parse(cases[i].text, strlen(cases[i].text), &node, &err), cases[i].code);
                if (cases[i].hint && !strstr(err.msg, cases[i].hint))
                        fail_msg("case %zu: \"%s\" lacks \"%s\"", i, err.msg, cases[i].hint);
        }
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)

int main(void)
{
        const struct CMUnitTest tests[] = {
                TEST(a_record_comes_back_as_it_was_written),
                TEST(a_record_is_what_the_agent_reads),
                TEST(what_is_no_record_is_none),
                TEST(removing_what_is_gone_is_fine),
                cmocka_unit_test(host_names_are_valid_and_differ),
                cmocka_unit_test(node_json_is_read_or_says_what_is_wrong),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
