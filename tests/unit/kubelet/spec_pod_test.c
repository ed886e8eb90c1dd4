/* SPDX-License-Identifier: Apache-2.0 */
/* What sandboxes are made of, groups and scores, names and resolvers, and what is refused: a pod in, a line out. */
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

#include "agent/kubelet/pods/resources.h"
#include "agent/kubelet/pods/spec_impl.h"
#include "base/mem.h"
#include "base/str.h"
#include "unit/kubelet/podworld.h"

static struct podworld world;

static int setup(void **state)
{
        podworld_init(&world);
        return 0;
}

static int teardown(void **state)
{
        podworld_deinit(&world);
        return 0;
}

static struct json_object *pod_of(const char *spec)
{
        _cleanup_free_ char *json = mem_printf("{\"spec\":{%s}}", spec);

        return podworld_pod(json);
}

static void node_resolv_conf(const char *text)
{
        _cleanup_free_ char *path = mem_printf("%s/resolv.conf", world.root);
        FILE *f = fopen(path, "w");

        fputs(text, f);
        fclose(f);
}

/* The sandbox, in the arena of the world; NULL: refused. */
static struct sandbox_config *sandbox(const struct json_object *pod, struct err *err)
{
        struct sandbox_config *c = arena_new(&world.mem, struct sandbox_config);
        struct spec s = podworld_spec(&world, pod);

        return spec_sandbox(&s, 3, &world.mem, c, err) ? NULL : c;
}

static void hostnames_are_cut_and_checked(void **state)
{
        static const char long_name[] = "a123456789-123456789-123456789-123456789-123456789-123456789-1-345";
        static const struct {
                const char *spec, *name, *hostname; /* hostname NULL: refused */
        } rows[] = {
                {"", "p", "p"},
                {"", long_name, "a123456789-123456789-123456789-123456789-123456789-123456789-1"},
                {"\"hostname\":\"h\"", "p", "h"},
                {"\"hostname\":\"h\",\"subdomain\":\"s\"", "p", "h"},
                {"\"hostname\":\"h\",\"subdomain\":\"s\",\"setHostnameAsFQDN\":true", "p", "h.s.ns.svc.cluster.local"},
                {"\"hostname\":\"h\",\"setHostnameAsFQDN\":true", "p", "h"},
                {"\"hostname\":\"H_\"", "p", NULL},
                {"\"subdomain\":\"s\",\"setHostnameAsFQDN\":true", long_name, NULL},
                {"\"hostnameOverride\":\"other.example\",\"subdomain\":\"s\"", "p", "other.example"},
                {"\"hostNetwork\":true,\"hostname\":\"h\"", "p", ""},
        };

        node_resolv_conf("");
        for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
                _cleanup_json_ struct json_object *pod = pod_of(rows[i].spec);
                struct sandbox_config *c;
                struct err err = ERR_NULL;

                json_set_str(json_get(pod, "metadata"), "name", rows[i].name);
                c = sandbox(pod, &err);
                assert_int_equal(c != NULL, rows[i].hostname != NULL);
                if (c)
                        assert_string_equal(c->hostname, rows[i].hostname);
                else
                        assert_true(*err.msg);
        }
}

static void resolvers_follow_the_policy(void **state)
{
        static const char node[] = "# c\nnameserver 192.0.2.1\n; d\n nameserver\t192.0.2.2 \nnameserver\nsearch x.\n"
                                   "search corp.example. example . \noptions ndots:2 rotate\noptions ndots:3\n";
        static const struct {
                const char *spec, *text;
        } rows[] = {
                {"", "search ns.svc.cluster.local svc.cluster.local cluster.local corp.example example .\n"
                     "nameserver 10.96.0.10\noptions ndots:5\n"},
                {"\"dnsPolicy\":\"Default\"", "search corp.example example .\nnameserver 192.0.2.1\nnameserver "
                                              "192.0.2.2\noptions ndots:3 rotate\n"},
                {"\"hostNetwork\":true", "search corp.example example .\nnameserver 192.0.2.1\nnameserver "
                                         "192.0.2.2\noptions ndots:3 rotate\n"},
                {"\"hostNetwork\":true,\"dnsPolicy\":\"ClusterFirstWithHostNet\"",
                 "search ns.svc.cluster.local svc.cluster.local cluster.local corp.example example .\n"
                 "nameserver 10.96.0.10\noptions ndots:5\n"},
                {"\"dnsPolicy\":\"None\",\"dnsConfig\":{\"nameservers\":[\"192.0.2.9\"],\"searches\":[\"a.b\"],"
                 "\"options\":[{"
                 "\"name\":\"edns0\"},{\"name\":\"ndots\",\"value\":\"1\"}]}",
                 "search a.b\nnameserver 192.0.2.9\noptions edns0 ndots:1\n"},
                {"\"dnsPolicy\":\"None\"", ""},
                {"\"dnsConfig\":{\"nameservers\":[\"10.96.0.10\",\"192.0.2.9\"],\"searches\":[\"cluster.local\",\"z\"],"
                 "\"options\":[{\"name\":\"ndots\",\"value\":\"2\"},{\"name\":\"use-vc\"}]}",
                 "search ns.svc.cluster.local svc.cluster.local cluster.local corp.example example . z\n"
                 "nameserver 10.96.0.10\nnameserver 192.0.2.9\noptions ndots:2 use-vc\n"},
        };

        node_resolv_conf(node);
        for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
                _cleanup_json_ struct json_object *pod = pod_of(rows[i].spec);
                struct err err = ERR_NULL;
                struct sandbox_config *c = sandbox(pod, &err);

                if (!c)
                        fail_msg("%s", err.msg);
                assert_string_equal(c->resolv_conf, rows[i].text);
        }
        assert_null(world.warnings.data);
}

static void resolvers_have_limits_and_say_so(void **state)
{
        _cleanup_strbuf_ struct strbuf node = STRBUF_NULL;
        _cleanup_json_ struct json_object *pod = pod_of("\"dnsPolicy\":\"Default\",\"dnsConfig\":{\"nameservers\":["
                                                        "\"192.0.2.3\",\"192.0.2.4\"]}"),
                                          *none = pod_of("");
        static const char *const no_dns[] = {NULL};
        struct sandbox_config *c;

        strbuf_add_str(&node, "nameserver 192.0.2.1\nnameserver 192.0.2.2\nsearch");
        for (int i = 0; i < 40; i++)
                strbuf_printf(&node, " s%02d", i);
        node_resolv_conf(node.data);
        c = sandbox(pod, NULL);
        assert_non_null(strstr(c->resolv_conf, "nameserver 192.0.2.3\n"));
        assert_null(strstr(c->resolv_conf, "192.0.2.4"));
        assert_non_null(strstr(c->resolv_conf, " s31\n"));
        assert_non_null(strstr(world.warnings.data,
                               "DNSConfigForming: Nameserver limits were exceeded, some nameservers have been omitted, "
                               "the applied nameserver line is: 192.0.2.1 192.0.2.2 192.0.2.3\n"));
        assert_non_null(strstr(world.warnings.data, "DNSConfigForming: Search Line limits were exceeded, some search "
                                                    "paths have been omitted, the applied search line is: s00 s01"));
        strbuf_deinit(&world.warnings);
        world.node.cluster_dns = no_dns;
        c = sandbox(none, NULL);
        assert_non_null(strstr(c->resolv_conf, "nameserver 192.0.2.1\n"));
        assert_non_null(strstr(world.warnings.data, "MissingClusterDNS: pod: \"p_ns(u-1)\". kubelet does not have "
                                                    "ClusterDNS IP configured"));
}

static void hosts_have_aliases(void **state)
{
        _cleanup_json_ struct json_object *pod = pod_of(
                                                  "\"hostname\":\"h\",\"subdomain\":\"s\",\"hostAliases\":[{\"ip\":"
                                                  "\"192.0.2.5\",\"hostnames\":[\"a\",\"b.c\"]}]"),
                                          *host = pod_of("\"hostNetwork\":true");
        struct spec s = podworld_spec(&world, pod), of_node = podworld_spec(&world, host);
        struct spec_work w = spec_work(&s, NULL, &world.mem), n = spec_work(&of_node, NULL, &world.mem);
        const char *text;

        assert_int_equal(spec_hosts(&w, &text, NULL), 0);
        assert_non_null(strstr(text,
                               "198.51.100.7\th.s.ns.svc.cluster.local\th\n2001:db8:1::7\th.s.ns.svc.cluster.local\th\n"
                               "\n# Entries added by HostAliases.\n192.0.2.5\ta\tb.c\n"));
        assert_int_equal(spec_hosts(&n, &text, NULL), 0);
        assert_non_null(str_after(text, "# Kubernetes-managed hosts file (host network).\n"));
}

/* "net pid ipc ports sysctls bandwidth" of a sandbox. */
static char *sandbox_line(const struct sandbox_config *c)
{
        static const char *const modes[] = {"pod", "container", "node"};
        struct strbuf b = STRBUF_NULL;

        strbuf_printf(&b, "%s %s %s", modes[c->network], modes[c->pid], modes[c->ipc]);
        for (size_t i = 0; i < c->nports; i++)
                strbuf_printf(&b, " %s%s%u>%u/%s", c->ports[i].host_ip ?: "", c->ports[i].host_ip ? ":" : "",
                              c->ports[i].host_port, c->ports[i].container_port, c->ports[i].protocol);
        for (size_t i = 0; i < c->nsysctls; i++)
                strbuf_printf(&b, " %s=%s", c->sysctls[i].key, c->sysctls[i].value);
        if (c->ingress_bits || c->egress_bits)
                strbuf_printf(&b, " %llu/%llu", (unsigned long long)c->ingress_bits,
                              (unsigned long long)c->egress_bits);
        return strbuf_take(&b, NULL);
}

static void sandboxes_share_what_the_pod_says(void **state)
{
        static const struct {
                const char *spec, *annotations, *line; /* or the message */
                bool refused;
        } rows[] = {
                {"", "", "pod container pod", false},
                {"\"hostNetwork\":true,\"hostPID\":true,\"hostIPC\":true,\"containers\":[{\"ports\":[{\"hostPort\":80}]"
                 "}]",
                 "", "node node node", false},
                {"\"shareProcessNamespace\":true", "", "pod pod pod", false},
                {"\"containers\":[{\"ports\":[{\"containerPort\":1},{\"hostPort\":80,\"containerPort\":8080}]}],"
                 "\"initContainers\":[{\"ports\":[{\"hostPort\":1,\"containerPort\":1}]},{\"restartPolicy\":\"Always\","
                 "\"ports\":[{"
                 "\"hostPort\":53,\"containerPort\":53,\"protocol\":\"UDP\",\"hostIP\":\"192.0.2.1\"}]}]",
                 "", "pod container pod 80>8080/TCP 192.0.2.1:53>53/UDP", false},
                {"\"securityContext\":{\"sysctls\":[{\"name\":\"net/ipv4/tcp_syncookies\",\"value\":\"0\"},{\"name\":"
                 "\"kernel.shm_rmid_forced\",\"value\":\"1\"}]}",
                 "", "pod container pod net.ipv4.tcp_syncookies=0 kernel.shm_rmid_forced=1", false},
                {"\"securityContext\":{\"sysctls\":[{\"name\":\"kernel.msgmax\",\"value\":\"1\"}]}", "",
                 "forbidden sysctl: \"kernel.msgmax\" not allowlisted", true},
                {"\"hostNetwork\":true,\"securityContext\":{\"sysctls\":[{\"name\":\"net.ipv4.tcp_rmem\",\"value\":"
                 "\"1\"}]}",
                 "", "forbidden sysctl: \"net.ipv4.tcp_rmem\" not allowed with host net enabled", true},
                {"\"hostIPC\":true,\"securityContext\":{\"sysctls\":[{\"name\":\"kernel.shm_rmid_forced\",\"value\":"
                 "\"1\"}]}",
                 "", "forbidden sysctl: \"kernel.shm_rmid_forced\" not allowed with host ipc enabled", true},
                {"", "\"kubernetes.io/ingress-bandwidth\":\"10M\",\"kubernetes.io/egress-bandwidth\":\"1k\"",
                 "pod container pod 10000000/1000", false},
                {"", "\"kubernetes.io/ingress-bandwidth\":\"1\"",
                 "annotation kubernetes.io/ingress-bandwidth: resource is unreasonably small (< 1kbit)", true},
                {"", "\"kubernetes.io/egress-bandwidth\":\"2P\"",
                 "annotation kubernetes.io/egress-bandwidth: resource is unreasonably large (> 1Pbit)", true},
        };

        node_resolv_conf("");
        for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
                _cleanup_free_ char *json = mem_printf("{\"metadata\":{\"annotations\":{%s}},\"spec\":{%s}}",
                                                       rows[i].annotations, rows[i].spec),
                                    *line = NULL;
                _cleanup_json_ struct json_object *pod = podworld_pod(json);
                struct err err = ERR_NULL;
                struct sandbox_config *c = sandbox(pod, &err);

                assert_int_equal(!c, rows[i].refused);
                line = c ? sandbox_line(c) : mem_strdup(err.msg);
                assert_string_equal(line, rows[i].line);
                if (c) {
                        assert_string_equal(c->log_folder, "/var/log/pods/ns_p_u-1");
                        assert_int_equal(c->attempt, 3);
                }
        }
}

/* Of the pod: its class, its group and its limits; then the limits of its containers. -1 are left out. */
static void add_limits(struct strbuf *b, const char *what, const struct container_resources *r)
{
        const struct {
                const char *name;
                int64_t value;
        } fields[] = {{"shares", r->cpu_shares}, {"quota", r->cpu_quota_us}, {"memory", r->memory_bytes},
                      {"swap", r->swap_bytes},   {"pids", r->pids},          {"oom", r->oom_score_adj}};

        strbuf_add_str(b, what);
        for (size_t i = 0; i < ARRAY_SIZE(fields); i++)
                if (fields[i].value != -1)
                        strbuf_printf(b, " %s=%lld", fields[i].name, (long long)fields[i].value);
}

static char *groups_line(const struct json_object *pod)
{
        struct spec s = podworld_spec(&world, pod);
        struct container_resources limits;
        struct strbuf b = STRBUF_NULL;
        const char *path;

        strbuf_printf(&b, "%s ", spec_cgroup(&s, &world.mem, &path, &limits));
        add_limits(&b, path, &limits);
        json_array_foreach (json_at(pod, "spec.containers"), i, c) {
                limits = container_limits(pod, c, 1000 << 20);
                add_limits(&b, " |", &limits);
        }
        json_array_foreach (json_at(pod, "spec.initContainers"), k, init) {
                limits = container_limits(pod, init, 1000 << 20);
                add_limits(&b, " i", &limits);
        }
        return strbuf_take(&b, NULL);
}

static void resources_become_groups(void **state)
{
        static const struct {
                const char *spec, *line;
        } rows[] = {
                {"\"containers\":[{\"name\":\"c\"}]", "BestEffort kubepods/besteffort/podu-1 | oom=1000"},
                {"\"containers\":[{\"name\":\"c\",\"resources\":{\"limits\":{\"cpu\":\"500m\",\"memory\":\"64Mi\"}}}]",
                 "Guaranteed kubepods/podu-1 shares=2 quota=50000 memory=67108864 swap=67108864 | shares=512 "
                 "quota=50000 memory=67108864 swap=67108864 oom=-997"},
                {"\"containers\":[{\"name\":\"c\",\"resources\":{\"requests\":{\"cpu\":\"500m\",\"memory\":\"64Mi\"},"
                 "\"limits\":{\"cpu\":\"0.5\",\"memory\":\"64Mi\"}}}]",
                 "Guaranteed kubepods/podu-1 shares=512 quota=50000 memory=67108864 swap=67108864 | shares=512 "
                 "quota=50000 memory=67108864 swap=67108864 oom=-997"},
                {"\"containers\":[{\"name\":\"c\",\"resources\":{\"requests\":{\"memory\":\"100Mi\"}}},{\"name\":\"d\"}"
                 "]",
                 "Burstable kubepods/burstable/podu-1 shares=2 | oom=900 | oom=999"},
                {"\"containers\":[{\"name\":\"c\",\"resources\":{\"requests\":{\"cpu\":\"100m\"}}},{\"name\":\"d\"}]",
                 "Burstable kubepods/burstable/podu-1 shares=102 | shares=102 oom=999 | shares=2 oom=999"},
                {"\"containers\":[{\"name\":\"c\",\"resources\":{\"requests\":{\"memory\":\"999Mi\"}}}]",
                 "Burstable kubepods/burstable/podu-1 shares=2 | oom=3"},
                {"\"containers\":[{\"name\":\"c\",\"resources\":{\"limits\":{\"cpu\":\"1m\"}}}]",
                 "Burstable kubepods/burstable/podu-1 shares=2 quota=1000 | shares=2 quota=1000 oom=999"},
                {"\"containers\":[{\"name\":\"c\",\"resources\":{\"limits\":{\"memory\":\"64Mi\"}}},{\"name\":\"d\"}]",
                 "Burstable kubepods/burstable/podu-1 shares=2 | memory=67108864 swap=67108864 oom=999 | "
                 "oom=999"},
                /* Pod level. */
                {"\"resources\":{\"requests\":{\"cpu\":\"1\",\"memory\":\"200Mi\"},\"limits\":{\"cpu\":\"1\","
                 "\"memory\":\"200Mi\"}},\"containers\":[{\"name\":\"c\"}]",
                 "Guaranteed kubepods/podu-1 shares=1024 quota=100000 memory=209715200 swap=209715200 | "
                 "shares=2 "
                 "oom=-997"},
                {"\"resources\":{\"requests\":{\"memory\":\"200Mi\"}},\"containers\":[{\"name\":\"c\"},{"
                 "\"name\":\"d\",\"resources\":{\"requests\":{\"memory\":\"100Mi\"}}}]",
                 "Burstable kubepods/burstable/podu-1 shares=2 | oom=950 | oom=850"},
                /* Sidecars are not killed before those that need them; init containers count by the most. */
                {"\"containers\":[{\"name\":\"c\",\"resources\":{\"requests\":{\"memory\":\"300Mi\",\"cpu\":\"1\"}}}],"
                 "\"initContainers\":[{\"name\":\"s\",\"restartPolicy\":\"Always\",\"resources\":{\"requests\":{"
                 "\"memory\":\"1Mi\",\"cpu\":\"500m\"}}},{\"name\":\"i\",\"resources\":{\"requests\":{\"cpu\":\"2\"}}}"
                 "]",
                 "Burstable kubepods/burstable/podu-1 shares=2560 | shares=1024 oom=700 i shares=512 "
                 "oom=700 i shares=2048 "
                 "oom=999"},
                {"\"overhead\":{\"cpu\":\"1\"},\"containers\":[{\"name\":\"c\",\"resources\":{\"requests\":{\"cpu\":"
                 "\"1\"}}}]",
                 "Burstable kubepods/burstable/podu-1 shares=2048 | shares=1024 oom=999"},
                {"\"priority\":2000001000,\"priorityClassName\":\"system-node-critical\",\"containers\":[{"
                 "\"name\":\"c\"}]",
                 "BestEffort kubepods/besteffort/podu-1 | oom=-997"},
        };

        for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
                _cleanup_json_ struct json_object *pod = pod_of(rows[i].spec);
                _cleanup_free_ char *line = groups_line(pod);

                assert_string_equal(line, rows[i].line);
        }
}

static void groups_lie_below_a_root_and_count_processes(void **state)
{
        _cleanup_json_ struct json_object *pod = pod_of("\"containers\":[{\"name\":\"c\"}]");
        _cleanup_free_ char *line = NULL;

        world.node.cgroup_root = "node1";
        world.node.pod_pids_limit = 100;
        line = groups_line(pod);
        assert_string_equal(line, "BestEffort node1/kubepods/besteffort/podu-1 pids=100 | oom=1000");
}

static void what_is_not_supported_is_named(void **state)
{
        static const struct {
                const char *spec, *first; /* NULL: all is supported */
        } rows[] = {
                {"\"volumes\":[{\"name\":\"a\",\"emptyDir\":{\"medium\":\"Memory\"}},{\"name\":\"b\",\"hostPath\":{"
                 "\"path\":\"/\"}},"
                 "{\"name\":\"c\"}],\"containers\":[{\"name\":\"c\",\"securityContext\":{\"appArmorProfile\":{\"type\":"
                 "\"Unconfined\"}}}]",
                 NULL},
                {"\"volumes\":[{\"name\":\"a\",\"emptyDir\":{}},{\"name\":\"b\",\"nfs\":{}}]",
                 "spec.volumes[1].nfs: not supported"},
                {"\"volumes\":[{\"name\":\"b\",\"persistentVolumeClaim\":{\"claimName\":\"x\"}}]",
                 "spec.volumes[0].persistentVolumeClaim: not supported yet"},
                {"\"volumes\":[{\"name\":\"b\",\"image\":{}}]", "spec.volumes[0].image: not supported"},
                {"\"volumes\":[{\"name\":\"b\",\"csi\":{}}]", "spec.volumes[0].csi: not supported"},
                {"\"volumes\":[{\"name\":\"b\",\"emptyDir\":{\"medium\":\"HugePages-2Mi\"}}]",
                 "spec.volumes[0].emptyDir.medium: HugePages-2Mi is not supported"},
                {"\"volumes\":[{\"name\":\"b\",\"projected\":{\"sources\":[{\"secret\":{}},{\"clusterTrustBundle\":{}}]"
                 "}}]",
                 "spec.volumes[0].projected.sources[1].clusterTrustBundle: not supported"},
                {"\"containers\":[{\"volumeDevices\":[{}]}]", "spec.containers[0].volumeDevices: not supported"},
                {"\"initContainers\":[{\"env\":[{\"valueFrom\":{\"fileKeyRef\":{}}}]}]",
                 "spec.initContainers[0].env[0].valueFrom.fileKeyRef: not supported"},
                {"\"containers\":[{\"resources\":{\"limits\":{\"hugepages-2Mi\":\"2Mi\"}}}]",
                 "spec.containers[0].resources.limits[hugepages-2Mi]: huge pages are not supported"},
                {"\"resourceClaims\":[{}]", "spec.resourceClaims: not supported"},
                {"\"hostUsers\":false", "spec.hostUsers: user namespaces are not supported"},
                {"\"runtimeClassName\":\"kata\"", "spec.runtimeClassName: not supported"},
                {"\"os\":{\"name\":\"windows\"}", "spec.os.name: windows is not supported"},
                {"\"os\":{\"name\":\"linux\"}", NULL},
                {"\"securityContext\":{\"windowsOptions\":{}}",
                 "spec.securityContext.windowsOptions: not supported on Linux"},
        };

        for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
                _cleanup_json_ struct json_object *pod = pod_of(rows[i].spec);
                const char *first = spec_unsupported(pod, &world.mem);

                if (!str_eq(first, rows[i].first))
                        fail_msg("%s: %s", rows[i].spec, first ?: "(nothing)");
        }
}

static void profiles_of_apparmor_need_a_kernel_with_it(void **state)
{
        _cleanup_json_ struct json_object *pod =
                pod_of("\"containers\":[{\"securityContext\":{\"appArmorProfile\":{\"type\":"
                       "\"RuntimeDefault\"}}}]");
        const char *first = spec_unsupported(pod, &world.mem);
        bool there = access("/sys/module/apparmor/parameters/enabled", F_OK) == 0;

        assert_non_null(first);
        if (!there)
                assert_string_equal(first,
                                    "spec.containers[0].securityContext.appArmorProfile: AppArmor is not enabled "
                                    "on the host");
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test_setup_teardown(hostnames_are_cut_and_checked, setup, teardown),
                cmocka_unit_test_setup_teardown(resolvers_follow_the_policy, setup, teardown),
                cmocka_unit_test_setup_teardown(resolvers_have_limits_and_say_so, setup, teardown),
                cmocka_unit_test_setup_teardown(hosts_have_aliases, setup, teardown),
                cmocka_unit_test_setup_teardown(sandboxes_share_what_the_pod_says, setup, teardown),
                cmocka_unit_test_setup_teardown(resources_become_groups, setup, teardown),
                cmocka_unit_test_setup_teardown(groups_lie_below_a_root_and_count_processes, setup, teardown),
                cmocka_unit_test_setup_teardown(what_is_not_supported_is_named, setup, teardown),
                cmocka_unit_test_setup_teardown(profiles_of_apparmor_need_a_kernel_with_it, setup, teardown),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
