/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>

#include "base/mem.h"
#include "cni/code.h"
#include "cni/conf.h"

static int parse(enum cni_verb verb, const char *text, struct cni_conf *conf, struct err *err)
{
        struct cni_env env = {.verb = verb, .container_id = "c1", .netns = "/ns", .ifname = "eth0", .path = ""};

        *conf = CNI_CONF_NULL;
        return cni_conf_parse(text, strlen(text), &env, conf, err);
}

static void each_mistake_has_its_code_and_a_hint(void **state)
{
        static const struct {
                enum cni_verb verb;
                const char *text;
                int code;
                const char *hint;
        } cases[] = {
                {VERB_ADD, "", CNI_UNDECODABLE, "unexpected end"},
                {VERB_ADD, "{", CNI_UNDECODABLE, "unexpected end"},
                {VERB_ADD, "[]", CNI_UNDECODABLE, "JSON object"},
                {VERB_ADD, "null", CNI_UNDECODABLE, "JSON object"},
                {VERB_ADD, "{\"cniVersion\":\"1.0.0\"}x", CNI_UNDECODABLE, "byte 22"},
                {VERB_ADD, "{\"cniVersion\":1}", CNI_UNDECODABLE, "must be a string"},
                {VERB_ADD, "{\"name\":\"n\"}", CNI_BAD_VERSION, "\"0.1.0\""},
                {VERB_ADD, "{\"cniVersion\":\"0.2.0\",\"name\":\"n\"}", CNI_BAD_VERSION,
                 "0.3.1, 0.4.0, 1.0.0 and 1.1.0"},
                {VERB_ADD, "{\"cniVersion\":\"2.0.0\",\"name\":\"n\"}", CNI_BAD_VERSION, "2.0.0"},
                {VERB_CHECK, "{\"cniVersion\":\"0.3.1\",\"name\":\"n\"}", CNI_BAD_VERSION,
                 "CHECK exists since CNI 0.4.0"},
                {VERB_GC, "{\"cniVersion\":\"1.0.0\",\"name\":\"n\"}", CNI_BAD_VERSION, "GC exists since CNI 1.1.0"},
                {VERB_STATUS, "{\"cniVersion\":\"1.0.0\",\"name\":\"n\"}", CNI_BAD_VERSION, "STATUS exists since"},
                {VERB_ADD, "{\"cniVersion\":\"1.0.0\"}", CNI_BAD_CONFIG, "name"},
                {VERB_ADD, "{\"cniVersion\":\"1.0.0\",\"name\":\"-n\"}", CNI_BAD_CONFIG, "name"},
                {VERB_ADD, "{\"cniVersion\":\"1.0.0\",\"name\":\"a/b\"}", CNI_BAD_CONFIG, "name"},
                {VERB_ADD, "{\"cniVersion\":\"1.0.0\",\"name\":7}", CNI_BAD_CONFIG, "name"},
                {VERB_DEL, "{\"cniVersion\":\"1.0.0\",\"name\":\"n\",\"runDir\":\"run\"}", CNI_BAD_CONFIG, "absolute"},
                {VERB_ADD, "{\"cniVersion\":\"1.0.0\",\"name\":\"n\",\"runDir\":{}}", CNI_BAD_CONFIG,
                 "runDir must be a string"},
                {VERB_ADD, "{\"cniVersion\":\"1.0.0\",\"name\":\"n\",\"mtu\":\"big\"}", CNI_BAD_CONFIG, "mtu must be"},
                {VERB_ADD, "{\"cniVersion\":\"1.0.0\",\"name\":\"n\",\"mtu\":576}", CNI_BAD_CONFIG, "1280 to 65535"},
                {VERB_ADD, "{\"cniVersion\":\"1.0.0\",\"name\":\"n\",\"mtu\":70000}", CNI_BAD_CONFIG, "1280 to 65535"},
                {VERB_ADD, "{\"cniVersion\":\"1.0.0\",\"name\":\"n\",\"ipam\":[]}", CNI_BAD_CONFIG,
                 "ipam must be an object"},
                {VERB_ADD, "{\"cniVersion\":\"1.0.0\",\"name\":\"n\",\"ipam\":{\"type\":\"../x\"}}", CNI_BAD_CONFIG,
                 "ipam.type"},
                {VERB_ADD, "{\"cniVersion\":\"1.0.0\",\"name\":\"n\",\"ipam\":{\"subnet\":\"x\"}}", CNI_BAD_CONFIG,
                 "ipam.type"},
                {VERB_ADD, "{\"cniVersion\":\"1.0.0\",\"name\":\"n\",\"prevResult\":7}", CNI_BAD_CONFIG, "prevResult"},
                {VERB_CHECK, "{\"cniVersion\":\"1.0.0\",\"name\":\"n\"}", CNI_BAD_CONFIG, "CHECK needs prevResult"},
                {VERB_GC, "{\"cniVersion\":\"1.1.0\",\"name\":\"n\"}", CNI_BAD_CONFIG, "cni.dev/valid-attachments"},
                {VERB_GC, "{\"cniVersion\":\"1.1.0\",\"name\":\"n\",\"cni.dev/valid-attachments\":[{}]}",
                 CNI_BAD_CONFIG, "[0]"},
                {VERB_GC, "{\"cniVersion\":\"1.1.0\",\"name\":\"n\",\"cni.dev/valid-attachments\":[]}", 0, NULL},
                {VERB_DEL, "{\"cniVersion\":\"1.0.0\",\"name\":\"n\",\"prevResult\":7,\"mtu\":1}", 0, NULL},
                {VERB_STATUS, "{\"cniVersion\":\"1.1.0\",\"name\":\"n\"}", 0, NULL},
                {VERB_ADD, "{\"cniVersion\":\"0.3.1\",\"name\":\"n\",\"unknown\":1,\"ipam\":{}}", 0, NULL},
        };

        for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
                _cleanup_(cni_conf_deinit) struct cni_conf conf = CNI_CONF_NULL;
                struct err err = ERR_NULL;

                if (parse(cases[i].verb, cases[i].text, &conf, &err) != cases[i].code)
                        fail_msg("case %zu: code %d, \"%s\"", i, err.code, err.msg);
                if (cases[i].hint && !strstr(err.msg, cases[i].hint))
                        fail_msg("case %zu: \"%s\" lacks \"%s\"", i, err.msg, cases[i].hint);
        }
}

#define RUNTIME(body) "{\"cniVersion\":\"1.0.0\",\"name\":\"n\",\"runtimeConfig\":{" body "}}"
#define PORTS(body)   RUNTIME("\"portMappings\":[" body "]")

static void odd_capabilities_are_refused(void **state)
{
        static const struct {
                const char *text;
                int code;
                const char *hint;
        } cases[] = {
                {RUNTIME("\"ipRanges\":[[]]"), CNI_UNSUPPORTED_FIELD, "ipRanges: [ [ ] ]"},
                {RUNTIME("\"portMappings\":{}"), CNI_BAD_CONFIG, "must be an array"},
                {PORTS("{\"hostPort\":70000,\"containerPort\":80}"), CNI_BAD_CONFIG, "[0].hostPort"},
                {PORTS("{\"hostPort\":-1,\"containerPort\":80}"), CNI_BAD_CONFIG, "[0].hostPort"},
                {PORTS("{\"hostPort\":\"80\",\"containerPort\":80}"), CNI_BAD_CONFIG, "[0].hostPort"},
                {PORTS("{\"hostPort\":80,\"containerPort\":0}"), CNI_BAD_CONFIG, "[0].containerPort"},
                {PORTS("{\"hostPort\":80}"), CNI_BAD_CONFIG, "[0].containerPort"},
                {PORTS("7"), CNI_BAD_CONFIG, "[0].hostPort"},
                {PORTS("{\"hostPort\":80,\"containerPort\":80,\"protocol\":\"sctp\"}"), CNI_UNSUPPORTED_FIELD,
                 "\"sctp\""},
                {PORTS("{\"hostPort\":80,\"containerPort\":80,\"hostIP\":\"x\"}"), CNI_BAD_CONFIG, "hostIP"},
                {PORTS("{\"hostPort\":80,\"containerPort\":80},{\"hostPort\":80,\"containerPort\":81,\"protocol\":"
                       "\"TCP\"}"),
                 CNI_BAD_CONFIG, "80/tcp is mapped twice"},
                {RUNTIME("\"bandwidth\":[]"), CNI_BAD_CONFIG, "bandwidth must be an object"},
                {RUNTIME("\"bandwidth\":{\"ingressRate\":-1}"), CNI_BAD_CONFIG, "ingressRate"},
                {RUNTIME("\"bandwidth\":{\"ingressRate\":1000}"), CNI_BAD_CONFIG, "a rate needs a burst"},
                {RUNTIME("\"bandwidth\":{\"egressBurst\":1000}"), CNI_BAD_CONFIG, "a burst a rate"},
                {RUNTIME("\"ips\":\"10.0.0.1\""), CNI_BAD_CONFIG, "must be an array"},
                {RUNTIME("\"ips\":[\"10.0.0\"]"), CNI_BAD_CONFIG, "\"10.0.0\" is no IP address"},
                {RUNTIME("\"ips\":[\"10.0.0.1\",\"10.0.0.2/24\"]"), CNI_BAD_CONFIG, "10.0.0.2/24 is a second"},
                {RUNTIME("\"mac\":\"01:00:00:00:00:01\""), CNI_BAD_CONFIG, "unicast MAC"},
                {RUNTIME("\"mac\":\"2:0:0:0:0:1\""), CNI_BAD_CONFIG, "unicast MAC"},
                {RUNTIME("\"mac\":\"00:00:00:00:00:00\""), CNI_BAD_CONFIG, "unicast MAC"},
                {RUNTIME("\"mac\":\"020000000001:::::\""), CNI_BAD_CONFIG, "unicast MAC"},
                {RUNTIME("\"mac\":7"), CNI_BAD_CONFIG, "unicast MAC"},
                {"{\"cniVersion\":\"1.0.0\",\"name\":\"n\",\"runtimeConfig\":[]}", CNI_BAD_CONFIG, "runtimeConfig"},
                {"{\"cniVersion\":\"1.0.0\",\"name\":\"n\",\"args\":{\"cni\":{\"ips\":[\"x\"]}}}", CNI_BAD_CONFIG,
                 "args.cni.ips"},
        };

        for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
                _cleanup_(cni_conf_deinit) struct cni_conf conf = CNI_CONF_NULL;
                struct err err = ERR_NULL;

                if (parse(VERB_ADD, cases[i].text, &conf, &err) != cases[i].code)
                        fail_msg("case %zu: code %d, \"%s\"", i, err.code, err.msg);
                if (!strstr(err.msg, cases[i].hint))
                        fail_msg("case %zu: \"%s\" lacks \"%s\"", i, err.msg, cases[i].hint);
        }
}

static void keys_are_found_in_any_case(void **state)
{
        _cleanup_(cni_conf_deinit) struct cni_conf conf = CNI_CONF_NULL;
        struct err err = ERR_NULL;
        char mac[MAC_TEXT_SIZE], ip[ADDRESS_TEXT_SIZE];
        int r = parse(VERB_ADD,
                      "{\"CNIVersion\":\"1.0.0\",\"Name\":\"n\",\"RUNDIR\":\"/run/x\",\"Mtu\":1400,\"runtimeConfig\":{"
                      "\"PortMappings\":[{\"HostPort\":8080,\"ContainerPort\":80,\"Protocol\":\"TCP\",\"HostIP\":\"127."
                      "0.0.1\"},"
                      "{\"HostPort\":53,\"ContainerPort\":53,\"Protocol\":\"UDP\",\"HostIP\":\"0.0.0.0\"},"
                      "{\"HostPort\":0,\"ContainerPort\":53}],"
                      "\"Bandwidth\":{\"IngressRate\":1000,\"IngressBurst\":2147483647},\"IPs\":[\"10.0.0.9/"
                      "24\",\"fd00::9\"],"
                      "\"MAC\":\"02:AA:00:00:00:01\"}}",
                      &conf, &err);

        assert_int_equal(r, 0);
        assert_string_equal(conf.name, "n");
        assert_string_equal(conf.run_dir, "/run/x");
        assert_int_equal(conf.mtu, 1400);
        assert_int_equal(conf.nports, 2);
        assert_int_equal(conf.ports[0].host_port, 8080);
        assert_string_equal(conf.ports[0].protocol, "tcp");
        assert_string_equal(ip_text(&conf.ports[0].host_ip, ip), "127.0.0.1");
        assert_string_equal(conf.ports[1].protocol, "udp");
        assert_int_equal(conf.ports[1].host_ip.w[2], 0);
        assert_int_equal(conf.bandwidth.ingress_burst, 2147483647);
        assert_int_equal(conf.nips, 2);
        assert_string_equal(ip_text(&conf.ips[1], ip), "fd00::9");
        assert_string_equal(mac_text(&conf.mac, mac), "02:aa:00:00:00:01");
}

static void an_exact_key_goes_before_one_in_another_case(void **state)
{
        _cleanup_(cni_conf_deinit) struct cni_conf conf = CNI_CONF_NULL;

        assert_int_equal(
                parse(VERB_ADD, "{\"cniVersion\":\"1.0.0\",\"NAME\":\"wrong\",\"name\":\"right\"}", &conf, NULL), 0);
        assert_string_equal(conf.name, "right");
}

static void an_error_is_told_in_the_version_that_was_asked_in(void **state)
{
        _cleanup_(cni_conf_deinit) struct cni_conf conf = CNI_CONF_NULL;

        assert_int_equal(parse(VERB_ADD, "{\"cniVersion\":\"0.4.0\"}", &conf, NULL), CNI_BAD_CONFIG);
        assert_int_equal(conf.version, CNI_0_4_0);
        assert_int_equal(parse(VERB_ADD, "{", &conf, NULL), CNI_UNDECODABLE);
        assert_int_equal(conf.version, CNI_1_1_0);
}

static void newer_ways_of_asking_win(void **state)
{
        _cleanup_(cni_conf_deinit) struct cni_conf conf = CNI_CONF_NULL;
        struct cni_env env = {.verb = VERB_ADD, .ip = "10.0.0.1,fd00::1", .mac = "02:00:00:00:00:01"};
        const char *text = "{\"cniVersion\":\"1.0.0\",\"name\":\"n\",\"args\":{\"cni\":{\"ips\":[\"10.0.0.2\"]}}}";
        char ip[ADDRESS_TEXT_SIZE], mac[MAC_TEXT_SIZE];

        assert_int_equal(cni_conf_parse(text, strlen(text), &env, &conf, NULL), 0);
        assert_int_equal(conf.nips, 1);
        assert_string_equal(ip_text(&conf.ips[0], ip), "10.0.0.2");
        assert_string_equal(mac_text(&conf.mac, mac), "02:00:00:00:00:01");
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(each_mistake_has_its_code_and_a_hint),
                cmocka_unit_test(odd_capabilities_are_refused),
                cmocka_unit_test(keys_are_found_in_any_case),
                cmocka_unit_test(an_exact_key_goes_before_one_in_another_case),
                cmocka_unit_test(an_error_is_told_in_the_version_that_was_asked_in),
                cmocka_unit_test(newer_ways_of_asking_win),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
