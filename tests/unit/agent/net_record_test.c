/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>
#include <string.h>

#include "agent/net/conflist.h"
#include "agent/net/plug.h"
#include "agent/net/record.h"
#include "base/mem.h"
#include "base/str.h"
#include "datapath/address.h"
#include "unit/agent/net_world.h"

#define GOOD                                                                                                           \
        "{\"version\":1,\"containerID\":\"c1\",\"ifname\":\"eth0\",\"netns\":\"/run/netns/x\","                        \
        "\"podNamespace\":\"default\",\"podName\":\"web-1\",\"hostIfname\":\"fl0123456789ab\",\"hostIfindex\":12,"     \
        "\"hostMac\":\"02:00:00:00:00:01\",\"mac\":\"02:00:00:00:00:0A\","                                             \
        "\"addresses\":[\"10.244.1.5\",\"fd00:1::5\"],"                                                                \
        "\"portMappings\":[{\"hostPort\":8080,\"containerPort\":80,\"protocol\":\"tcp\",\"hostIP\":\"\"}],"            \
        "\"bandwidth\":{\"ingressRate\":1000,\"ingressBurst\":0,\"egressRate\":2000,\"egressBurst\":500}}"

static int parse(const char *id, const char *text, struct record *ret, struct err *reterr)
{
        *ret = RECORD_NULL;
        return record_parse(id, text, strlen(text), ret, reterr);
}

static void a_record_tells_all_about_a_pod(void **state)
{
        struct err err = ERR_NULL;
        struct record r;

        assert_int_equal(parse("c1-eth0", GOOD, &r, &err), 0);
        assert_string_equal(r.pod, "default/web-1");
        assert_string_equal(r.host_ifname, "fl0123456789ab");
        assert_int_equal(r.host_ifindex, 12);
        assert_memory_equal(r.mac, "\x02\0\0\0\0\x0a", 6);
        assert_memory_equal(r.host_mac, "\x02\0\0\0\0\x01", 6);
        assert_true(address_is_v4(&r.v4));
        assert_false(address_is_zero(&r.v6));
        assert_int_equal(r.ports_n, 1);
        assert_int_equal(r.ports[0].host_port, 8080);
        assert_int_equal(r.ports[0].container_port, 80);
        assert_int_equal(r.ports[0].proto, 6);
        assert_true(r.ports[0].any_v4 && r.ports[0].any_v6 && address_is_zero(&r.ports[0].host_ip));
        assert_int_equal(r.bandwidth.ingress_burst, 1000); /* a second's worth, as none was given */
        assert_int_equal(r.bandwidth.egress_burst, 500);
        record_deinit(&r);
}

/* One thing of the good record replaced. */
static const struct {
        const char *what, *by, *message;
} bad[] = {
        {"\"version\":1", "\"version\":2", "version: must be 1"},
        {"\"version\":1,", "", "version: must be 1"},
        {"\"containerID\":\"c1\"", "\"containerID\":\"c2\"",
         "containerID and ifname: must be what the file's name says (c1-eth0)"},
        {"\"containerID\":\"c1\"", "\"containerID\":7", "containerID and ifname: must be there"},
        {"\"ifname\":\"eth0\"", "\"ifname\":\"\"", "containerID and ifname: must be there"},
        {"fl0123456789ab", "eth0", "hostIfname: \"eth0\" is not fl and twelve hexadecimal digits"},
        {"fl0123456789ab", "flannel.1", "hostIfname: \"flannel.1\" is not fl and twelve hexadecimal digits"},
        {"\"hostIfindex\":12", "\"hostIfindex\":-1", "hostIfindex: must be a number from 0 to 2147483647"},
        {"\"hostIfindex\":12", "\"hostIfindex\":4294967296", "hostIfindex: must be a number from 0 to 2147483647"},
        {"\"hostIfindex\":12", "\"hostIfindex\":\"12\"", "hostIfindex: must be a number from 0 to 2147483647"},
        {"\"hostIfindex\":12", "\"hostIfindex\":1.5", "hostIfindex: must be a number from 0 to 2147483647"},
        {"02:00:00:00:00:0A", "02:00:00:00:00", "mac: \"02:00:00:00:00\" is no MAC address like 02:00:00:00:00:01"},
        {"02:00:00:00:00:0A", "02-00-00-00-00-0A",
         "mac: \"02-00-00-00-00-0A\" is no MAC address like 02:00:00:00:00:01"},
        {"02:00:00:00:00:0A", "02:00:00:00:00:0G",
         "mac: \"02:00:00:00:00:0G\" is no MAC address like 02:00:00:00:00:01"},
        {"02:00:00:00:00:0A", "ff:ff:ff:ff:ff:ff", "mac: ff:ff:ff:ff:ff:ff is no single device's MAC address"},
        {"02:00:00:00:00:01", "00:00:00:00:00:00", "hostMac: 00:00:00:00:00:00 is no single device's MAC address"},
        {"[\"10.244.1.5\",\"fd00:1::5\"]", "[]", "addresses: must be a list of the pod's addresses"},
        {"[\"10.244.1.5\",\"fd00:1::5\"]", "\"10.244.1.5\"", "addresses: must be a list of the pod's addresses"},
        {"\"fd00:1::5\"", "\"10.244.1.6\"", "addresses: a pod has one address of a family, 10.244.1.6 is the second"},
        {"10.244.1.5", "10.244.1.5/32", "addresses: \"10.244.1.5/32\" is no unicast address"},
        {"10.244.1.5", "127.0.0.1", "addresses: \"127.0.0.1\" is no unicast address"},
        {"10.244.1.5", "239.0.0.1", "addresses: \"239.0.0.1\" is no unicast address"},
        {"fd00:1::5", "fe80::5", "addresses: \"fe80::5\" is no unicast address"},
        {"\"fd00:1::5\"", "5", "addresses: \"\" is no unicast address"},
        {"\"hostPort\":8080", "\"hostPort\":0", "portMappings[0]: hostPort and containerPort: must be from 1 to 65535"},
        {"\"hostPort\":8080", "\"hostPort\":70000", "portMappings[0]: hostPort: must be a number from 0 to 65535"},
        {"\"containerPort\":80", "\"containerPort\":null",
         "portMappings[0]: hostPort and containerPort: must be from 1 to 65535"},
        {"\"protocol\":\"tcp\"", "\"protocol\":\"icmp\"",
         "portMappings[0]: protocol: \"icmp\" is not tcp, udp or sctp"},
        {"\"hostIP\":\"\"", "\"hostIP\":\"localhost\"", "portMappings[0]: hostIP: \"localhost\" is no IP address"},
        {"\"egressRate\":2000", "\"egressRate\":-5",
         "bandwidth: egressRate: must be a number from 0 to 1125899906842624"},
        {"\"version\":1", "\"version\":1,", NULL}, /* no JSON */
        {GOOD, "[]", "is no JSON object"},
        {GOOD, "null", "is no JSON object"},
        {GOOD, "", NULL},
};

static char *replaced(const char *what, const char *by)
{
        const char *at = strstr(GOOD, what);

        assert_non_null(at);
        return mem_printf("%.*s%s%s", (int)(at - GOOD), GOOD, by, at + strlen(what));
}

static void what_is_wrong_with_a_record_is_named(void **state)
{
        for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
                _cleanup_free_ char *text = replaced(bad[i].what, bad[i].by);
                struct err err = ERR_NULL;
                struct record r;
                char wanted[300];

                assert_true(parse("c1-eth0", text, &r, &err) < 0);
                snprintf(wanted, sizeof(wanted), "record c1-eth0: %s", bad[i].message ? bad[i].message : "");
                if (bad[i].message)
                        assert_string_equal(err.msg, wanted);
                else
                        assert_true(str_has_prefix(err.msg, wanted));
        }
}

static void a_record_cut_anywhere_is_refused(void **state)
{
        for (size_t n = 0; n < strlen(GOOD); n++) {
                struct record r = RECORD_NULL;

                if (record_parse("c1-eth0", GOOD, n, &r, NULL) == 0)
                        fail_msg("%zu bytes are enough", n);
        }
}

static void what_may_be_left_out_may_be_left_out(void **state)
{
        static const char *const pieces[][2] = {
                {"\"podName\":\"web-1\",", ""},
                {",\"bandwidth\":{\"ingressRate\":1000,\"ingressBurst\":0,\"egressRate\":2000,\"egressBurst\":500}",
                 ""},
                {",\"hostIP\":\"\"", ""},
                {"\"protocol\":\"tcp\"", "\"protocol\":\"UDP\""},
                {",\"fd00:1::5\"", ""},
                {"\"hostIfindex\":12", "\"hostIfindex\":0"},
        };

        for (size_t i = 0; i < ARRAY_SIZE(pieces); i++) {
                _cleanup_free_ char *text = replaced(pieces[i][0], pieces[i][1]);
                struct err err = ERR_NULL;
                struct record r;

                if (parse("c1-eth0", text, &r, &err) < 0)
                        fail_msg("%s", err.msg);
                if (i == 0)
                        assert_string_equal(r.pod, "c1");
                record_deinit(&r);
        }
}

static void a_host_ip_limits_the_family(void **state)
{
        static const struct {
                const char *host_ip;
                bool v4, v6, zero;
        } rows[] = {
                {"", true, true, true},          {"0.0.0.0", true, false, true},
                {"::", false, true, true},       {"10.99.0.1", true, false, false},
                {"fd99::1", false, true, false},
        };

        for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
                char by[64];
                struct record r;

                snprintf(by, sizeof(by), "\"hostIP\":\"%s\"", rows[i].host_ip);
                _cleanup_free_ char *text = replaced("\"hostIP\":\"\"", by);
                assert_int_equal(parse("c1-eth0", text, &r, NULL), 0);
                assert_int_equal(r.ports[0].any_v4, rows[i].v4);
                assert_int_equal(r.ports[0].any_v6, rows[i].v6);
                assert_int_equal(address_is_zero(&r.ports[0].host_ip), rows[i].zero);
                record_deinit(&r);
        }
}

static void records_are_compared_whole(void **state)
{
        _cleanup_free_ char *other = replaced("\"containerPort\":80", "\"containerPort\":81");
        struct record a, b, c;

        assert_int_equal(parse("c1-eth0", GOOD, &a, NULL), 0);
        assert_int_equal(parse("c1-eth0", GOOD, &b, NULL), 0);
        assert_int_equal(parse("c1-eth0", other, &c, NULL), 0);
        assert_true(record_equal(&a, &b));
        assert_false(record_equal(&a, &c));
        record_deinit(&a);
        record_deinit(&b);
        record_deinit(&c);
}

static void the_maps_get_what_the_record_says(void **state)
{
        struct pod_place place;
        struct record r;
        struct pod p;

        assert_int_equal(parse("c1-eth0", GOOD, &r, NULL), 0);
        p = plug_pod(&r);
        assert_int_equal(p.ifindex, 12);
        assert_memory_equal(p.mac, r.mac, 6);
        assert_memory_equal(p.host_mac, r.host_mac, 6);
        assert_int_equal(p.ingress_bps, 1000);
        assert_int_equal(p.egress_burst, 500);
        place = plug_place(&r);
        assert_int_equal(place.ifindex, 12);
        assert_true(address_equal(&place.v6, &r.v6));
        record_deinit(&r);
}

static void only_records_have_their_file_names(void **state)
{
        static const struct {
                const char *name, *id;
        } rows[] = {
                {"c1-eth0.json", "c1-eth0"},
                {"a.b_C-9-net1.json", "a.b_C-9-net1"},
                {".json", NULL},
                {".c1-eth0.json", NULL},
                {"c1-eth0.json.tmp", NULL},
                {"c1-eth0", NULL},
                {"c1 eth0.json", NULL},
                {"c1-eth0\n.json", NULL},
                {"..json", NULL},
                {"", NULL},
        };
        char longest[400];

        for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
                char id[RECORD_ID_SIZE] = "";

                assert_int_equal(record_id_of_file(rows[i].name, id) == 0, rows[i].id != NULL);
                assert_string_equal(id, rows[i].id ? rows[i].id : "");
        }
        for (size_t n = 1; n < sizeof(longest) - 6; n++) {
                char id[RECORD_ID_SIZE];

                memset(longest, 'a', n);
                strcpy(longest + n, ".json");
                assert_int_equal(record_id_of_file(longest, id) == 0, n <= RECORD_ID_SIZE - 1 - 5);
        }
}

/* ---- lines of the socket */

static const struct {
        const char *line;
        int op; /* -1: refused */
        const char *said;
} lines[] = {
        {"{\"op\":\"attach\",\"id\":\"c1-eth0\"}", REQUEST_ATTACH, "c1-eth0"},
        {"{\"op\":\"detach\",\"id\":\"c1-eth0\"}", REQUEST_DETACH, "c1-eth0"},
        {" {\"op\" : \"status\"} ", REQUEST_STATUS, ""},
        {"{\"op\":\"status\",\"id\":\"../x\"}", REQUEST_STATUS, ""},
        {"{\"op\":\"repair\"}", REQUEST_REPAIR, ""},
        {"{\"op\":\"attach\"}", -1, "id: must be containerID-ifname, as the record's file is named"},
        {"{\"op\":\"attach\",\"id\":\"../etc/passwd\"}", -1,
         "id: must be containerID-ifname, as the record's file is named"},
        {"{\"op\":\"attach\",\"id\":\"\"}", -1, "id: must be containerID-ifname, as the record's file is named"},
        {"{\"op\":\"attach\",\"id\":[\"c1\"]}", -1, "id: must be containerID-ifname, as the record's file is named"},
        {"{\"op\":\"destroy\"}", -1, "op: must be attach, detach, status or repair"},
        {"{}", -1, "op: must be attach, detach, status or repair"},
        {"[]", -1, "op: must be attach, detach, status or repair"},
        {"null", -1, "op: must be attach, detach, status or repair"},
};

static void requests_are_read_strictly(void **state)
{
        for (size_t i = 0; i < ARRAY_SIZE(lines); i++) {
                struct err err = ERR_NULL;
                struct request q;
                int res = request_parse(lines[i].line, strlen(lines[i].line), &q, &err);

                assert_int_equal(res == 0, lines[i].op >= 0);
                assert_string_equal(res == 0 ? q.id : err.msg, lines[i].said);
                if (res == 0)
                        assert_int_equal(q.op, lines[i].op);
        }
        assert_true(request_parse("", 0, &(struct request){0}, NULL) < 0);
}

/* ---- files for others */

static void node_json_tells_the_plugin_what_it_needs(void **state)
{
        _cleanup_strbuf_ struct strbuf text = STRBUF_NULL;
        struct world w;

        world_init(&w);
        node_json_text(&w.in, 1450, &text);
        assert_string_equal(text.data,
                            "{\"version\":1,\"nodeName\":\"n1\",\"podCIDRs\":[\"10.244.1.0/24\",\"fd00:1::/64\"],"
                            "\"mtu\":1450,\"gateways\":[\"169.254.1.1\",\"fe80::1\"],"
                            "\"hostAddresses\":[\"10.99.0.1\",\"fd99::1\"]}\n");
        world_deinit(&w);
}

static void the_conflist_names_the_plugin_and_its_capabilities(void **state)
{
        static const char *const capabilities[] = {"portMappings", "bandwidth", "ips", "mac"};
        const struct agent_config config = {.run_dir = "/run/fairlead"};
        _cleanup_strbuf_ struct strbuf text = STRBUF_NULL;
        _cleanup_json_ struct json_object *o = NULL;
        const struct json_object *plugin;

        conflist_text(&config, &text);
        assert_int_equal(json_parse(text.data, text.len, &o, NULL), 0);
        assert_string_equal(json_get_str(o, "cniVersion"), "0.4.0");
        assert_string_equal(json_object_get_string(json_idx(json_get(o, "cniVersions"), 3)), "1.1.0");
        assert_string_equal(json_get_str(o, "name"), "fairlead");
        assert_int_equal(json_len(json_get(o, "plugins")), 1);
        plugin = json_idx(json_get(o, "plugins"), 0);
        assert_string_equal(json_get_str(plugin, "type"), "fairlead-cni");
        assert_string_equal(json_get_str(plugin, "runDir"), "/run/fairlead");
        for (size_t i = 0; i < ARRAY_SIZE(capabilities); i++)
                assert_true(json_get_bool(json_get(plugin, "capabilities"), capabilities[i], false));
}

static void a_file_is_written_once_and_removed_twice(void **state)
{
        char folder[] = "/tmp/fairlead-test.XXXXXX";
        struct strbuf text = {.data = (char *)"x\n", .len = 2}, other = {.data = (char *)"y\n", .len = 2};

        assert_non_null(mkdtemp(folder));
        assert_int_equal(conflist_write(folder, "f", &text, 0644, NULL), CONFLIST_WRITTEN);
        assert_int_equal(conflist_write(folder, "f", &text, 0644, NULL), 0);
        assert_int_equal(conflist_write(folder, "f", &other, 0644, NULL), CONFLIST_WRITTEN);
        assert_int_equal(conflist_remove(folder, "f", NULL), 0);
        assert_int_equal(conflist_remove(folder, "f", NULL), 0);
        assert_int_equal(rmdir(folder), 0);
        assert_int_equal(conflist_remove(folder, "f", NULL), 0);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(a_record_tells_all_about_a_pod),
                cmocka_unit_test(what_is_wrong_with_a_record_is_named),
                cmocka_unit_test(a_record_cut_anywhere_is_refused),
                cmocka_unit_test(what_may_be_left_out_may_be_left_out),
                cmocka_unit_test(a_host_ip_limits_the_family),
                cmocka_unit_test(records_are_compared_whole),
                cmocka_unit_test(the_maps_get_what_the_record_says),
                cmocka_unit_test(only_records_have_their_file_names),
                cmocka_unit_test(requests_are_read_strictly),
                cmocka_unit_test(node_json_tells_the_plugin_what_it_needs),
                cmocka_unit_test(the_conflist_names_the_plugin_and_its_capabilities),
                cmocka_unit_test(a_file_is_written_once_and_removed_twice),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
