/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <cmocka.h>

#include "agent/config_setting.h"
#include "base/file.h"
#include "base/str.h"

static char path[64];

static int setup(void **state)
{
        int fd;

        strcpy(path, "/tmp/config_test.XXXXXX");
        fd = mkstemp(path);
        return fd < 0 ? -1 : close(fd);
}

static int teardown(void **state)
{
        return unlink(path);
}

#define FLAGS_MAX 8

/* The file (NULL: none) and flags, which end with NULL. */
static int parse(const char *file, const char *const *flags, struct agent_config *ret, struct err *err)
{
        char *argv[FLAGS_MAX + 3] = {(char *)"fairlead-agent"};
        int argc = 1;

        if (file) {
                assert_int_equal(file_write_atomic(path, file, strlen(file), 0600, err), 0);
                argv[argc++] = (char *)"--config";
                argv[argc++] = path;
        }
        for (; flags && *flags; flags++)
                argv[argc++] = (char *)*flags;
        return agent_config_parse(argc, argv, ret, err);
}

static void without_anything_the_defaults_are_those_of_the_contract(void **state)
{
        struct agent_config c = {0};
        struct err err = ERR_NULL;

        assert_int_equal(parse(NULL, NULL, &c, &err), 0);
        assert_int_equal(c.routing, ROUTING_VXLAN);
        assert_int_equal(c.vxlan_port, 8472);
        assert_int_equal(c.vni, 1);
        assert_true(c.masquerade && c.socket_path && c.bind_protect && c.nodeport_loopback && c.xdp && c.tcx);
        assert_false(c.xdp_generic);
        assert_int_equal(c.snat_port_min, 61000);
        assert_int_equal(c.snat_port_max, 65535);
        assert_int_equal(c.timeouts.tcp_established, 8000);
        assert_int_equal(c.timeouts.udp_stream, 120);
        assert_int_equal(c.flow_entries, 131072);
        assert_int_equal(c.mark, 0x00800000);
        assert_int_equal(c.min_sync_ms, 1);
        assert_int_equal(c.max_sync_ms, 20);
        assert_string_equal(c.run_dir, "/run/fairlead");
        assert_string_equal(c.cni_conf_name, "05-fairlead.conflist");
        assert_string_equal(c.health_address, "0.0.0.0:10256");
        assert_null(c.kubeconfig);
        assert_null(c.service_proxy_name);
        assert_true(*c.node_name);
        assert_int_equal(c.devices.count, 0);
        agent_config_deinit(&c);
}

static void a_flag_wins_over_the_file_and_the_file_over_the_default(void **state)
{
        static const char file[] = "# ours\n"
                                   "routing: native\n"
                                   "nodeName: a\n"
                                   "devices: [eth0, eth1]\n"
                                   "nodeIPs: 192.0.2.1\n"
                                   "xdp: false\n"
                                   "tcpSynTimeout: 1m30s\n"
                                   "mtu:\n"
                                   "maxSync: 50ms\n";
        static const char *const flags[] = {"--node-name=b", "--devices=x", "--devices", "y,z", "--xdp", NULL};
        struct agent_config c = {0};
        struct err err = ERR_NULL;

        assert_int_equal(parse(file, flags, &c, &err), 0);
        assert_int_equal(c.routing, ROUTING_NATIVE);
        assert_string_equal(c.node_name, "b");
        assert_int_equal(c.devices.count, 3);
        assert_string_equal(c.devices.items[0], "x");
        assert_string_equal(c.devices.items[2], "z");
        assert_int_equal(c.node_ips.count, 1);
        assert_true(c.xdp);
        assert_int_equal(c.timeouts.tcp_syn, 90);
        assert_int_equal(c.mtu, 0);
        assert_int_equal(c.max_sync_ms, 50);
        agent_config_deinit(&c);
}

static void every_mistake_is_named_with_its_place(void **state)
{
        static const struct {
                const char *file, *flag, *want;
        } cases[] = {
                {"routing: ipip\n", NULL, ":1: routing: \"ipip\" is no way to route; use vxlan or native"},
                {"vni: 1\nnodename: x\n", NULL, ":2: nodename: there is no such setting; is nodeName meant?"},
                {"colour: red\n", NULL, ":1: colour: there is no such setting; `fairlead-agent --help` lists all"},
                {"vni: 1\nvni: 2\n", NULL, ":2: vni: is there twice; keep one"},
                {"vni: [1]\n", NULL, ":1: vni: must be one value"},
                {"\nvni: 16777216\n", NULL, ":2: vni: \"16777216\" is no number from 1 to 16777215"},
                {"nodeIPs: [192.0.2.1, 192.0.2.256]\n", NULL, ":1: nodeIPs: \"192.0.2.256\" is no IP address"},
                {"nodePortAddresses: [10.0.0.0/33]\n", NULL, "\"10.0.0.0/33\" is no prefix, such as"},
                {"xdp: maybe\n", NULL, ":1: xdp: \"maybe\" is neither true nor false"},
                {"udpTimeout: 30\n", NULL, "udpTimeout: \"30\" is no duration from 1s to 86400s, such as 30s"},
                {"minSync: 1us\n", NULL, "minSync: \"1us\" is no duration"},
                {"- a\n", NULL, ":1: must be lines of `key: value`"},
                {"a: [\n", NULL, "this is no YAML: "},
                {"devices: [{a: b}]\n", NULL, "devices: must be one value or a list of values"},
                {"minSync: 30ms\n", NULL, "minSync is 30 and maxSync is 20: the first must not be above the second"},
                {"mark: 0x3\n", NULL, "mark: 0x3 has several bits set"},
                {"mark: 0x\n", NULL, "mark: \"0x\" is no number"},
                {"mtu: 100\n", NULL, "mtu: 100 is too small"},
                {"healthAddress: localhost\n", NULL, "healthAddress: \"localhost\" is no address and port"},
                {"healthAddress: '[::1:80'\n", NULL, "is no address and port"},
                {"logLevel: loud\n", NULL, "logLevel: \"loud\" is none"},
                {"runDir: run\n", NULL, "must be absolute"},
                {"cniConfName: a/b\n", NULL, "cniConfName: \"a/b\" must be a file's name"},
                {"nodeName: ''\n", NULL, "nodeName: must be the name"},
                {"snatPortMin: 32000\n", NULL, "(32000-65535) overlaps the NodePorts (30000-32767)"},
                {NULL, "--node-nam=x", "--node-nam: there is no such flag; is --node-name meant?"},
                {NULL, "--colour=x", "--colour: there is no such flag; see --help"},
                {NULL, "--mtu", "--mtu: needs a value"},
                {NULL, "--mtu=-1", "--mtu: \"-1\" is no number from 0 to 65535"},
                {NULL, "--devices=a,,b", "--devices: an entry is empty"},
                {NULL, "run", "unexpected argument run"},
                {NULL, "--=", "--=: there is no such flag"},
        };

        for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
                struct agent_config c = {0};
                struct err err = ERR_NULL;

                assert_int_equal(parse(cases[i].file, (const char *const[]){cases[i].flag, NULL}, &c, &err), -EINVAL);
                if (!strstr(err.msg, cases[i].want))
                        fail_msg("case %zu: \"%s\" does not have \"%s\"", i, err.msg, cases[i].want);
                if (cases[i].file && cases[i].want[0] == ':' && !str_has_prefix(err.msg, path))
                        fail_msg("case %zu: \"%s\" does not name the file", i, err.msg);
        }
}

static void a_file_that_is_not_there_is_named(void **state)
{
        static const char *const flags[] = {"--config=/nonexistent/x.yaml", NULL};
        struct agent_config c = {0};
        struct err err = ERR_NULL;

        assert_int_equal(parse(NULL, flags, &c, &err), -ENOENT);
        assert_non_null(strstr(err.msg, "/nonexistent/x.yaml"));
}

static void an_empty_file_is_the_defaults(void **state)
{
        struct agent_config c = {0};
        struct err err = ERR_NULL;

        assert_int_equal(parse("# nothing\n", NULL, &c, &err), 0);
        agent_config_deinit(&c);
        assert_int_equal(parse("", NULL, &c, &err), 0);
        agent_config_deinit(&c);
}

static void no_two_settings_share_a_key_a_flag_or_a_place(void **state)
{
        for (size_t i = 0; i < settings_count; i++)
                for (size_t j = 0; j < i; j++) {
                        char a[64], b[64];

                        if (setting_is_heading(&settings[i]) || setting_is_heading(&settings[j]))
                                continue;
                        assert_string_not_equal(settings[i].key, settings[j].key);
                        assert_string_not_equal(setting_flag(&settings[i], a), setting_flag(&settings[j], b));
                        assert_int_not_equal(settings[i].offset, settings[j].offset);
                }
}

/* Catches that help, run into a file, with its standard output. */
static size_t help_text(char *buf, size_t size)
{
        static const char *const flags[] = {"--help", NULL};
        struct agent_config c = {0};
        struct err err = ERR_NULL;
        FILE *f = tmpfile();
        int saved = dup(STDOUT_FILENO);
        size_t n;

        assert_non_null(f);
        fflush(stdout);
        dup2(fileno(f), STDOUT_FILENO);
        assert_int_equal(parse(NULL, flags, &c, &err), CONFIG_EXIT);
        fflush(stdout);
        dup2(saved, STDOUT_FILENO);
        close(saved);
        rewind(f);
        n = fread(buf, 1, size - 1, f);
        buf[n] = '\0';
        fclose(f);
        return n;
}

static void help_has_every_setting_and_fits_a_wide_terminal(void **state)
{
        static char text[32768];
        size_t n = help_text(text, sizeof(text)), width = 0;

        assert_true(n > 1000 && n < sizeof(text) - 1);
        for (size_t i = 0; i < settings_count; i++) {
                char flag[64], want[80];

                if (setting_is_heading(&settings[i]))
                        continue;
                snprintf(want, sizeof(want), "--%s=", setting_flag(&settings[i], flag));
                if (!strstr(text, want))
                        fail_msg("--help has no %s", want);
        }
        assert_non_null(strstr(text, "when a\nnode fails"));
        for (const char *p = text; *p; p++) {
                width = *p == '\n' ? 0 : width + 1;
                assert_true(width <= 115);
        }
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(without_anything_the_defaults_are_those_of_the_contract),
                cmocka_unit_test(a_flag_wins_over_the_file_and_the_file_over_the_default),
                cmocka_unit_test(every_mistake_is_named_with_its_place),
                cmocka_unit_test(a_file_that_is_not_there_is_named),
                cmocka_unit_test(an_empty_file_is_the_defaults),
                cmocka_unit_test(no_two_settings_share_a_key_a_flag_or_a_place),
                cmocka_unit_test(help_has_every_setting_and_fits_a_wide_terminal),
        };

        return cmocka_run_group_tests_name("config", tests, setup, teardown);
}
