/* SPDX-License-Identifier: Apache-2.0 */
/* What containers are made of: a pod in, a line of the configuration out. */
#include <errno.h>
#include <malloc.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "agent/kubelet/pods/service_links.h"
#include "agent/kubelet/pods/spec_impl.h"
#include "base/clock.h"
#include "base/file.h"
#include "base/mem.h"
#include "base/str.h"
#include "unit/kubelet/podworld.h"

static const char *const entrypoint[] = {"/entry", "-e", NULL}, *const cmd[] = {"serve", NULL},
                         *const image_env[] = {"PATH=/image/bin", "FROM=image", NULL};
static const struct image image = {.id = "sha256:1",
                                   .entrypoint = entrypoint,
                                   .cmd = cmd,
                                   .env = image_env,
                                   .user = "",
                                   .cwd = "/srv",
                                   .stop_signal = 0};

struct made {
        int r;
        struct container_config c;
        struct err err;
        struct json_object *pod;
};

static struct podworld world;
static bool mounts;

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

static struct made make_of(const char *json, const struct image *im)
{
        struct made m = {.err = ERR_NULL};
        struct spec s;

        m.pod = podworld_pod(json);
        podworld_settle(&world, m.pod);
        s = podworld_spec(&world, m.pod);
        m.r = volumes_prepare(world.volumes, m.pod, &m.err);
        if (!m.r)
                m.r = spec_container(&s, json_idx(json_at(m.pod, "spec.containers"), 0), 0, im, &world.mem, &m.c,
                                     &m.err);
        return m;
}

static void made_done(struct made *m)
{
        json_object_put(m->pod);
}
#define _cleanup_made_ _cleanup_(made_done)

/* A pod of one container with those members. */
static struct made make(const char *container)
{
        _cleanup_free_ char *json = mem_printf("{\"spec\":{\"containers\":[{\"name\":\"c\",\"image\":\"i\"%s%s}]}}",
                                               *container ? "," : "", container);

        return make_of(json, &image);
}

static char *join(const char *const *list)
{
        struct strbuf b = STRBUF_NULL;

        for (; list && *list; list++)
                strbuf_printf(&b, "%s%s", b.len ? "|" : "", *list);
        return strbuf_take(&b, NULL);
}

static void assert_list(const char *const *list, const char *want)
{
        _cleanup_free_ char *text = join(list);

        assert_string_equal(text, want);
}

static void assert_made(const struct made *m)
{
        if (m->r)
                fail_msg("%d: %s", m->r, m->err.msg);
}

static void command_and_args_take_the_place_of_the_image(void **state)
{
        static const struct {
                const char *container, *argv;
        } rows[] = {
                {"", "/entry|-e|serve"},
                {"\"command\":[\"/c\"]", "/c"},
                {"\"args\":[\"a\"]", "/entry|-e|a"},
                {"\"command\":[\"/c\",\"x\"],\"args\":[\"a\"]", "/c|x|a"},
                {"\"command\":[\"$(A)\",\"$$(A)\",\"$(NONE)\",\"$(A\"],\"env\":[{\"name\":\"A\",\"value\":\"1\"}]",
                 "1|$(A)|$(NONE)|$(A"},
                {"\"command\":[\"$(FROM)\"]", "$(FROM)"}, /* the image's variables are no variables of the pod */
        };

        for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
                _cleanup_made_ struct made m = make(rows[i].container);

                assert_made(&m);
                assert_list(m.c.argv, rows[i].argv);
        }
}

static void variables_come_in_the_order_of_their_names(void **state)
{
        static const struct {
                const char *container, *env;
        } rows[] = {
                {"", "PATH=/image/bin|FROM=image"},
                {"\"env\":[{\"name\":\"B\",\"value\":\"2\"},{\"name\":\"A\",\"value\":\"1\"}]",
                 "PATH=/image/bin|FROM=image|B=2|A=1"},
                {"\"env\":[{\"name\":\"FROM\",\"value\":\"pod\"}]", "PATH=/image/bin|FROM=pod"},
                {"\"env\":[{\"name\":\"A\",\"value\":\"1\"},{\"name\":\"A\",\"value\":\"$(A)2\"}]",
                 "PATH=/image/bin|FROM=image|A=12"},
                {"\"env\":[{\"name\":\"A\",\"value\":\"$(B)\"},{\"name\":\"B\",\"value\":\"1\"}]",
                 "PATH=/image/bin|FROM=image|A=$(B)|B=1"},
                {"\"env\":[{\"name\":\"E\"},{\"name\":\"F\",\"value\":\"\"}]", "PATH=/image/bin|FROM=image|E=|F="},
        };

        for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
                _cleanup_made_ struct made m = make(rows[i].container);

                assert_made(&m);
                assert_list(m.c.env, rows[i].env);
        }
}

static void hosts_and_the_termination_log_are_mounted(void **state)
{
        _cleanup_made_ struct made m = make("");
        _cleanup_free_ char *text = NULL;
        size_t n;

        assert_made(&m);
        assert_int_equal(m.c.nmounts, 2);
        assert_string_equal(m.c.mounts[0].target, "/etc/hosts");
        assert_string_equal(m.c.mounts[1].target, "/dev/termination-log");
        assert_int_equal(file_read(m.c.mounts[0].source, 4096, &text, &n, NULL), 0);
        assert_string_equal(text, "# Kubernetes-managed hosts file.\n"
                                  "127.0.0.1\tlocalhost\n"
                                  "::1\tlocalhost ip6-localhost ip6-loopback\n"
                                  "fe00::0\tip6-localnet\n"
                                  "fe00::0\tip6-mcastprefix\n"
                                  "fe00::1\tip6-allnodes\n"
                                  "fe00::2\tip6-allrouters\n"
                                  "198.51.100.7\tp\n"
                                  "2001:db8:1::7\tp\n");
}

/* Of the container, in the order of the variables; without the image's. */
static void assert_env(const struct made *m, const char *want)
{
        _cleanup_free_ char *text = join(m->c.env);

        assert_made(m);
        assert_string_equal(str_after(text, "PATH=/image/bin|FROM=image") ?: text, want);
}

static void put_objects(void)
{
        podworld_put(&world,
                     "{\"kind\":\"ConfigMap\",\"metadata\":{\"name\":\"cm\"},\"data\":{\"K1\":\"one\",\"k-2\":\"two\","
                     "\"3k\":\"three\"}}");
        podworld_put(&world, "{\"kind\":\"Secret\",\"metadata\":{\"name\":\"s\"},\"data\":{\"S\":\"aGlkZGVu\","
                             "\"NUL\":\"YQBi\",\"ODD\":\"!\"}}");
        podworld_put(&world,
                     "{\"kind\":\"ConfigMap\",\"metadata\":{\"name\":\"plain\"},\"data\":{\"A\":\"1\",\"B\":\"2\"}}");
}

static void variables_come_from_all_sources(void **state)
{
        static const struct {
                const char *container, *env; /* or the message */
                int r;
        } rows[] = {
                {"\"envFrom\":[{\"configMapRef\":{\"name\":\"plain\"}}]", "|A=1|B=2", 0},
                {"\"envFrom\":[{\"prefix\":\"P_\",\"configMapRef\":{\"name\":\"plain\"}}]", "|P_A=1|P_B=2", 0},
                {"\"envFrom\":[{\"configMapRef\":{\"name\":\"plain\"}}],\"env\":[{\"name\":\"B\",\"value\":\"$(A)x\"}]",
                 "|A=1|B=1x", 0},
                {"\"envFrom\":[{\"configMapRef\":{\"name\":\"no\",\"optional\":true}}]", "", 0},
                {"\"envFrom\":[{\"configMapRef\":{\"name\":\"no\"}}]", "configmap \"no\" not found", -EAGAIN},
                {"\"envFrom\":[{\"secretRef\":{\"name\":\"no\"}}]", "secret \"no\" not found", -EAGAIN},
                {"\"env\":[{\"name\":\"X\",\"valueFrom\":{\"configMapKeyRef\":{\"name\":\"cm\",\"key\":\"k-2\"}}}]",
                 "|X=two", 0},
                {"\"env\":[{\"name\":\"X\",\"valueFrom\":{\"configMapKeyRef\":{\"name\":\"cm\",\"key\":\"no\"}}}]",
                 "couldn't find key no in ConfigMap ns/cm", -EAGAIN},
                {"\"env\":[{\"name\":\"X\",\"valueFrom\":{\"configMapKeyRef\":{\"name\":\"cm\",\"key\":\"no\","
                 "\"optional\":true}}}]",
                 "", 0},
                {"\"env\":[{\"name\":\"X\",\"valueFrom\":{\"secretKeyRef\":{\"name\":\"s\",\"key\":\"S\"}}},"
                 "{\"name\":\"Y\",\"value\":\"<$(X)>\"}]",
                 "|X=hidden|Y=<hidden>", 0},
                {"\"env\":[{\"name\":\"X\",\"valueFrom\":{\"secretKeyRef\":{\"name\":\"s\",\"key\":\"no\"}}}]",
                 "couldn't find key no in Secret ns/s", -EAGAIN},
                {"\"env\":[{\"name\":\"X\",\"valueFrom\":{\"secretKeyRef\":{\"name\":\"s\",\"key\":\"NUL\"}}}]",
                 "key NUL of a Secret cannot be a variable: it has a NUL byte", -EINVAL},
                {"\"env\":[{\"name\":\"X\",\"valueFrom\":{\"fileKeyRef\":{}}}]",
                 "valueFrom: must name a fieldRef, resourceFieldRef, configMapKeyRef or secretKeyRef", -EOPNOTSUPP},
        };

        put_objects();
        for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
                _cleanup_made_ struct made m = make(rows[i].container);

                assert_int_equal(m.r, rows[i].r);
                if (m.r)
                        assert_string_equal(m.err.msg, rows[i].env);
                else
                        assert_env(&m, rows[i].env);
        }
}

static void keys_that_are_no_names_are_skipped_with_an_event(void **state)
{
        _cleanup_made_ struct made m = {0};

        put_objects();
        m = make("\"envFrom\":[{\"configMapRef\":{\"name\":\"cm\"}}]");
        assert_env(&m, "|K1=one|k-2=two");
        assert_string_equal(world.warnings.data,
                            "InvalidEnvironmentVariableNames: Keys [3k] from the EnvFrom configMap ns/cm were skipped "
                            "since they are considered invalid environment variable names.\n");
}

static void variables_tell_of_the_pod_itself(void **state)
{
        static const char json[] =
                "{\"metadata\":{\"labels\":{\"app\":\"web\"},\"annotations\":{\"a/"
                "b\":\"x\"}},\"spec\":{\"nodeName\":\"n1\","
                "\"serviceAccountName\":\"sa\"%s,\"containers\":[{\"name\":\"c\",\"resources\":{\"requests\":{\"cpu\":"
                "\"250m\",\"memory\":\"1.5Mi\"}},\"env\":[{\"name\":\"X\",\"valueFrom\":{%s}}]}]}}";
        static const struct {
                const char *from, *value;
                bool host;
        } rows[] = {
                {"\"fieldRef\":{\"fieldPath\":\"metadata.name\"}", "p", false},
                {"\"fieldRef\":{\"fieldPath\":\"metadata.namespace\"}", "ns", false},
                {"\"fieldRef\":{\"fieldPath\":\"metadata.uid\"}", "u-1", false},
                {"\"fieldRef\":{\"fieldPath\":\"metadata.labels['app']\"}", "web", false},
                {"\"fieldRef\":{\"fieldPath\":\"metadata.labels['no']\"}", "", false},
                {"\"fieldRef\":{\"fieldPath\":\"metadata.annotations['a/b']\"}", "x", false},
                {"\"fieldRef\":{\"fieldPath\":\"metadata.labels\"}", "app=\"web\"", false},
                {"\"fieldRef\":{\"fieldPath\":\"spec.nodeName\"}", "n1", false},
                {"\"fieldRef\":{\"fieldPath\":\"spec.serviceAccountName\"}", "sa", false},
                {"\"fieldRef\":{\"fieldPath\":\"status.hostIP\"}", "192.0.2.10", false},
                {"\"fieldRef\":{\"fieldPath\":\"status.hostIPs\"}", "192.0.2.10,2001:db8::10", false},
                {"\"fieldRef\":{\"fieldPath\":\"status.podIP\"}", "198.51.100.7", false},
                {"\"fieldRef\":{\"fieldPath\":\"status.podIPs\"}", "198.51.100.7,2001:db8:1::7", false},
                {"\"fieldRef\":{\"fieldPath\":\"status.podIP\"}", "192.0.2.10", true},
                {"\"resourceFieldRef\":{\"resource\":\"requests.cpu\"}", "1", false},
                {"\"resourceFieldRef\":{\"resource\":\"requests.cpu\",\"divisor\":\"1m\"}", "250", false},
                {"\"resourceFieldRef\":{\"resource\":\"requests.memory\"}", "1572864", false},
                {"\"resourceFieldRef\":{\"resource\":\"requests.memory\",\"divisor\":\"1Mi\"}", "2", false},
                {"\"resourceFieldRef\":{\"resource\":\"requests.ephemeral-storage\"}", "0", false},
                {"\"resourceFieldRef\":{\"resource\":\"limits.cpu\",\"divisor\":\"1m\"}", "3900",
                 false}, /* the node's */
                {"\"resourceFieldRef\":{\"resource\":\"limits.memory\",\"divisor\":\"1Gi\"}", "8", false},
        };

        world.node_object = podworld_pod("{\"status\":{\"allocatable\":{\"cpu\":\"3900m\",\"memory\":\"7800Mi\"}}}");
        for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
                _cleanup_free_ char *text = mem_printf(json, rows[i].host ? ",\"hostNetwork\":true" : "", rows[i].from),
                                    *want = mem_printf("|X=%s", rows[i].value);
                _cleanup_made_ struct made m = make_of(text, &image);

                assert_env(&m, want);
        }
}

static void too_large_for_the_kernel_is_told(void **state)
{
        static const struct {
                size_t bytes, variables;
                const char *message; /* NULL: it fits */
        } rows[] = {
                {1000, 1000, NULL}, /* 1 MB */
                {131068, 1, NULL},
                {131069, 1, "argument list too long: variable \"V0\" has 131072 bytes, at most 131071 are possible"},
                {100000, 100, "argument list too long: command and variables have "},
        };

        for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
                _cleanup_strbuf_ struct strbuf b = STRBUF_NULL;
                _cleanup_free_ char *value = mem_alloc(rows[i].bytes + 1);
                _cleanup_made_ struct made m = {0};

                memset(value, 'x', rows[i].bytes);
                value[rows[i].bytes] = '\0';
                strbuf_add_str(&b, "\"env\":[");
                for (size_t k = 0; k < rows[i].variables; k++)
                        strbuf_printf(&b, "%s{\"name\":\"V%zu\",\"value\":\"%s\"}", k ? "," : "", k, value);
                strbuf_add_str(&b, "]");
                m = make(b.data);
                assert_int_equal(m.r, rows[i].message ? -E2BIG : 0);
                if (m.r)
                        assert_non_null(str_after(m.err.msg, rows[i].message));
        }
}

#define KUBERNETES                                                                                                     \
        "|KUBERNETES_SERVICE_HOST=10.96.0.1|KUBERNETES_SERVICE_PORT=443|KUBERNETES_SERVICE_PORT_HTTPS=443|"            \
        "KUBERNETES_PORT=tcp://10.96.0.1:443|KUBERNETES_PORT_443_TCP=tcp://10.96.0.1:443|"                             \
        "KUBERNETES_PORT_443_TCP_PROTO=tcp|KUBERNETES_PORT_443_TCP_PORT=443|KUBERNETES_PORT_443_TCP_ADDR=10.96.0.1"

static bool has_services(void *userdata)
{
        struct arena mem = ARENA_NULL;
        struct envs e;
        size_t n;

        envs_init(&e, &mem);
        service_links_env(world.services, "ns", true, &e);
        n = e.n;
        envs_deinit(&e);
        arena_deinit(&mem);
        return n >= *(size_t *)userdata;
}

static void put_services(void)
{
        size_t want = 8 + 13;

        podworld_put(
                &world,
                "{\"kind\":\"Service\",\"metadata\":{\"name\":\"kubernetes\",\"namespace\":\"default\"},\"spec\":{"
                "\"clusterIP\":\"10.96.0.1\",\"ports\":[{\"name\":\"https\",\"port\":443,\"protocol\":\"TCP\"}]}}");
        podworld_put(&world,
                     "{\"kind\":\"Service\",\"metadata\":{\"name\":\"headless\"},\"spec\":{\"clusterIP\":\"None\","
                     "\"ports\":[{\"port\":1}]}}");
        podworld_put(&world, "{\"kind\":\"Service\",\"metadata\":{\"name\":\"other\",\"namespace\":\"ns2\"},\"spec\":{"
                             "\"clusterIP\":\"10.96.0.3\",\"ports\":[{\"port\":1}]}}");
        podworld_put(
                &world,
                "{\"kind\":\"Service\",\"metadata\":{\"name\":\"my-db\"},\"spec\":{\"clusterIP\":\"fd00::5\","
                "\"ports\":[{\"name\":\"q-l\",\"port\":53,\"protocol\":\"UDP\"},{\"name\":\"web\",\"port\":80}]}}");
        podworld_until(&world, has_services, &want);
}

static void services_are_variables(void **state)
{
        static const char my_db[] =
                "|MY_DB_SERVICE_HOST=fd00::5|MY_DB_SERVICE_PORT=53|MY_DB_SERVICE_PORT_Q_L=53|MY_DB_SERVICE_PORT_WEB=80|"
                "MY_DB_PORT=udp://[fd00::5]:53|MY_DB_PORT_53_UDP=udp://[fd00::5]:53|MY_DB_PORT_53_UDP_PROTO=udp|"
                "MY_DB_PORT_53_UDP_PORT=53|MY_DB_PORT_53_UDP_ADDR=fd00::5|MY_DB_PORT_80_TCP=tcp://[fd00::5]:80|"
                "MY_DB_PORT_80_TCP_PROTO=tcp|MY_DB_PORT_80_TCP_PORT=80|MY_DB_PORT_80_TCP_ADDR=fd00::5";
        _cleanup_free_ char *both = mem_printf(KUBERNETES "%s", my_db);
        _cleanup_made_ struct made all = {0}, master = {0}, own = {0};

        put_services();
        all = make("");
        assert_env(&all, both);
        master = make_of("{\"spec\":{\"enableServiceLinks\":false,\"containers\":[{\"name\":\"c\"}]}}", &image);
        assert_env(&master, KUBERNETES);
        own = make_of("{\"spec\":{\"enableServiceLinks\":false,\"containers\":[{\"name\":\"c\",\"env\":[{\"name\":"
                      "\"URL\",\"value\":\"https://"
                      "$(KUBERNETES_SERVICE_HOST)\"},{\"name\":\"KUBERNETES_SERVICE_HOST\",\"value\":"
                      "\"mine\"}]}]}}",
                      &image);
        assert_non_null(strstr(own.c.env[2], "URL=https://10.96.0.1"));
        assert_string_equal(own.c.env[3], "KUBERNETES_SERVICE_HOST=mine");
}

static void a_service_of_that_name_hides_the_masters(void **state)
{
        size_t want = 8;
        struct envs e;

        podworld_put(&world,
                     "{\"kind\":\"Service\",\"metadata\":{\"name\":\"kubernetes\",\"namespace\":\"default\"},\"spec\":{"
                     "\"clusterIP\":\"10.96.0.1\",\"ports\":[{\"name\":\"https\",\"port\":443}]}}");
        podworld_put(&world, "{\"kind\":\"Service\",\"metadata\":{\"name\":\"kubernetes\"},\"spec\":{"
                             "\"clusterIP\":\"10.96.0.9\",\"ports\":[{\"name\":\"https\",\"port\":444}]}}");
        podworld_until(&world, has_services, &want);
        loop_run_for(world.loop, 50);
        envs_init(&e, &world.mem);
        service_links_env(world.services, "ns", true, &e);
        assert_string_equal(envs_find(&e, "KUBERNETES_SERVICE_HOST", 23)->value, "10.96.0.9");
        envs_deinit(&e);
        envs_init(&e, &world.mem);
        service_links_env(world.services, "ns", false, &e);
        assert_string_equal(envs_find(&e, "KUBERNETES_SERVICE_HOST", 23)->value, "10.96.0.1");
        envs_deinit(&e);
}

static bool second_synced(void *userdata)
{
        return service_links_synced(userdata);
}

#define SERVICES 10000

static void ten_thousand_services_take_little_memory(void **state)
{
        struct service_links *links = NULL;
        size_t before, after;
        uint64_t begin;
        struct envs e;

        for (int i = 0; i < SERVICES; i++) {
                _cleanup_free_ char *json = mem_printf(
                        "{\"kind\":\"Service\",\"metadata\":{\"name\":\"service-%d\",\"namespace\":\"team-%d\"},"
                        "\"spec\":{\"clusterIP\":\"10.96.%d.%d\",\"ports\":[{\"name\":\"http\",\"port\":80,"
                        "\"protocol\":\"TCP\"}]}}",
                        i, i % 100, i / 250, i % 250 + 1);

                podworld_put(&world, json);
        }
        before = mallinfo2().uordblks;
        assert_int_equal(service_links_new(world.client, &links), 0);
        podworld_until(&world, second_synced, links);
        loop_run_for(world.loop, 100);
        after = mallinfo2().uordblks;
        envs_init(&e, &world.mem);
        begin = clock_mono_ns();
        service_links_env(links, "team-7", true, &e);
        print_message("# 10,000 services take %zu kB; the variables of 100 of them take %llu us\n",
                      (after - before) / 1024, (unsigned long long)(clock_mono_ns() - begin) / 1000);
        assert_int_equal(e.n, 100 * 8);
#ifndef __SANITIZE_ADDRESS__
        assert_true(after - before < 4 << 20);
#endif
        envs_deinit(&e);
        service_links_free(links);
}

/* Who a container runs as and what it may do, in a line. */
static char *security_line(const struct container_security *s)
{
        static const char *const profiles[] = {"default", "unconfined", "local"};
        _cleanup_free_ char *add = join(s->add), *drop = join(s->drop);
        struct strbuf b = STRBUF_NULL;

        strbuf_printf(&b, "%lld:%lld", (long long)s->uid, (long long)s->gid);
        for (size_t i = 0; i < s->ngroups; i++)
                strbuf_printf(&b, ",%lld", (long long)s->groups[i]);
        strbuf_printf(&b, " +%s -%s %s%s", add, drop, profiles[s->seccomp], s->seccomp_file ?: "");
        strbuf_printf(&b, "%s%s%s%s%s", s->privileged ? " privileged" : "", s->read_only_root ? " ro" : "",
                      s->no_new_privileges ? " nnp" : "", s->proc_unmasked ? " unmasked" : "",
                      s->strict_groups ? " strict" : "");
        return strbuf_take(&b, NULL);
}

static void security_is_the_containers_before_the_pods(void **state)
{
        static const struct {
                const char *pod, *container, *line;
        } rows[] = {
                {"{}", "{}", "-1:-1 + - default"},
                {"{\"runAsUser\":1,\"runAsGroup\":2}", "{}", "1:2 + - default"},
                {"{\"runAsUser\":1,\"runAsGroup\":2}", "{\"runAsUser\":0}", "0:2 + - default"},
                {"{\"supplementalGroups\":[5,6,5],\"fsGroup\":7}", "{}", "-1:-1,5,6,7 + - default"},
                {"{\"supplementalGroups\":[5],\"fsGroup\":5,\"supplementalGroupsPolicy\":\"Strict\"}", "{}",
                 "-1:-1,5 + - default strict"},
                {"{}", "{\"privileged\":true}", "-1:-1 + - unconfined privileged"},
                {"{}", "{\"capabilities\":{\"add\":[\"NET_ADMIN\"],\"drop\":[\"ALL\"]}}",
                 "-1:-1 +NET_ADMIN -ALL default"},
                {"{}",
                 "{\"readOnlyRootFilesystem\":true,\"allowPrivilegeEscalation\":false,\"procMount\":\"Unmasked\"}",
                 "-1:-1 + - default ro nnp unmasked"},
                {"{\"seccompProfile\":{\"type\":\"Unconfined\"}}", "{}", "-1:-1 + - unconfined"},
                {"{\"seccompProfile\":{\"type\":\"Unconfined\"}}", "{\"seccompProfile\":{\"type\":\"RuntimeDefault\"}}",
                 "-1:-1 + - default"},
                {"{}", "{\"seccompProfile\":{\"type\":\"Localhost\",\"localhostProfile\":\"a/b.json\"}}",
                 "-1:-1 + - local/profiles/a/b.json"},
        };

        for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
                _cleanup_free_ char *json = mem_printf(
                                            "{\"spec\":{\"securityContext\":%s,\"containers\":[{\"name\":\"c\","
                                            "\"securityContext\":%s}]}}",
                                            rows[i].pod, rows[i].container),
                                    *line = NULL;
                _cleanup_made_ struct made m = make_of(json, &image);

                assert_made(&m);
                line = security_line(&m.c.security);
                assert_string_equal(line, rows[i].line);
        }
}

static void who_must_not_be_root_is_checked_in_upstreams_words(void **state)
{
        static const struct {
                const char *context, *user, *message;
        } rows[] = {
                {"\"runAsNonRoot\":true,\"runAsUser\":0", "",
                 "container's runAsUser breaks non-root policy (pod: \"p_ns(u-1)\", container: c)"},
                {"\"runAsNonRoot\":true", "",
                 "container has runAsNonRoot and image will run as root (pod: \"p_ns(u-1)\", container: c)"},
                {"\"runAsNonRoot\":true", "0:5",
                 "container has runAsNonRoot and image will run as root (pod: \"p_ns(u-1)\", container: c)"},
                {"\"runAsNonRoot\":true", "app:grp",
                 "container has runAsNonRoot and image has non-numeric user (app), cannot verify user is non-root "
                 "(pod: "
                 "\"p_ns(u-1)\", container: c)"},
                /* What the runtime would look up in the image's /etc/passwd is no number. */
                {"\"runAsNonRoot\":true", "4294967296",
                 "container has runAsNonRoot and image has non-numeric user (4294967296), cannot verify user is "
                 "non-root "
                 "(pod: \"p_ns(u-1)\", container: c)"},
                {"\"runAsNonRoot\":true", "-1",
                 "container has runAsNonRoot and image has non-numeric user (-1), cannot verify user is non-root "
                 "(pod: \"p_ns(u-1)\", container: c)"},
                {"\"runAsNonRoot\":true", "0000000000000001:0",
                 "container has runAsNonRoot and image has non-numeric user (0000000000000001), cannot verify user is "
                 "non-root "
                 "(pod: \"p_ns(u-1)\", container: c)"},
                {"\"runAsNonRoot\":true", "2147483648",
                 "container has runAsNonRoot and image has non-numeric user (2147483648), cannot verify user is "
                 "non-root "
                 "(pod: \"p_ns(u-1)\", container: c)"},
                {"\"runAsNonRoot\":true", "1000", NULL},
                {"\"runAsNonRoot\":true", "2147483647:0", NULL},
                {"\"runAsNonRoot\":true,\"runAsUser\":4294967296", "",
                 "securityContext.runAsUser: 4294967296 must be between 0 and 2147483647, inclusive"},
                {"\"runAsUser\":-1", "7", "securityContext.runAsUser: -1 must be between 0 and 2147483647, inclusive"},
                {"\"runAsGroup\":4294967296", "",
                 "securityContext.runAsGroup: 4294967296 must be between 0 and 2147483647, inclusive"},
                {"\"runAsNonRoot\":true,\"runAsUser\":7", "app", NULL},
                {"\"runAsNonRoot\":false", "0", NULL},
                {"\"seccompProfile\":{\"type\":\"Localhost\",\"localhostProfile\":\"../x\"}", "",
                 "seccompProfile.localhostProfile: \"../x\" must not contain \"..\""},
        };

        for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
                _cleanup_free_ char *container = mem_printf("\"securityContext\":{%s}", rows[i].context),
                                    *json = mem_printf("{\"spec\":{\"containers\":[{\"name\":\"c\",%s}]}}", container);
                struct image of = image;
                _cleanup_made_ struct made m = {0};

                of.user = rows[i].user;
                m = make_of(json, &of);
                assert_int_equal(m.r != 0, rows[i].message != NULL);
                if (rows[i].message)
                        assert_string_equal(m.err.msg, rows[i].message);
        }
}

/* "TARGET<-SOURCE[ ro][ rro][ slave|shared]" of what the pod asked for; sources below the world's folder. */
static char *mounts_line(const struct made *m)
{
        static const char *const propagations[] = {"", " slave", " shared"};
        struct strbuf b = STRBUF_NULL;

        for (size_t i = 0; i < m->c.nmounts; i++) {
                const struct container_mount *x = &m->c.mounts[i];

                if (str_eq(x->target, "/etc/hosts") || strstr(x->source, "termination-log"))
                        continue;
                strbuf_printf(&b, "%s%s<-%s%s%s%s", b.len ? "|" : "", x->target,
                              str_after(x->source, world.root) ?: x->source, x->read_only ? " ro" : "",
                              x->recursive_read_only ? " rro" : "", propagations[x->propagation]);
        }
        return strbuf_take(&b, NULL);
}

static void mounts_are_those_of_volumes(void **state)
{
        static const struct {
                const char *mount, *line, *message;
        } rows[] = {
                {"\"name\":\"e\",\"mountPath\":\"/data\"", "/data<-/pods/u-1/volumes/emptyDir/e", NULL},
                {"\"name\":\"e\",\"mountPath\":\"data\",\"readOnly\":true", "/data<-/pods/u-1/volumes/emptyDir/e ro",
                 NULL},
                {"\"name\":\"e\",\"mountPath\":\"/d\",\"readOnly\":true,\"recursiveReadOnly\":\"IfPossible\"",
                 "/d<-/pods/u-1/volumes/emptyDir/e ro rro", NULL},
                {"\"name\":\"cm\",\"mountPath\":\"/d\"", "/d<-/pods/u-1/volumes/configMap/cm ro", NULL},
                {"\"name\":\"h\",\"mountPath\":\"/d\",\"mountPropagation\":\"HostToContainer\"", "/d<-/tmp slave",
                 NULL},
                {"\"name\":\"h\",\"mountPath\":\"/d\",\"mountPropagation\":\"Bidirectional\"", NULL,
                 "Bidirectional mount propagation is available only to privileged containers"},
                {"\"name\":\"no\",\"mountPath\":\"/d\"", NULL,
                 "cannot find volume \"no\" to mount into container \"c\""},
                {"\"name\":\"e\",\"mountPath\":\"/d\",\"subPathExpr\":\"$(NO)\"", NULL,
                 "failed to expand subPath for volumeMount \"e\" of container \"c\": missing value for \"NO\""},
        };

        podworld_put(&world, "{\"kind\":\"ConfigMap\",\"metadata\":{\"name\":\"cm\"},\"data\":{}}");
        for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
                _cleanup_free_ char *json = mem_printf(
                                            "{\"spec\":{\"volumes\":[{\"name\":\"e\",\"emptyDir\":{}},{\"name\":\"cm\","
                                            "\"configMap\":{\"name\":"
                                            "\"cm\"}},{\"name\":\"h\",\"hostPath\":{\"path\":\"/"
                                            "tmp\"}}],\"containers\":[{\"name\":\"c\","
                                            "\"env\":[{\"name\":\"A\",\"value\":\"x/y\"}],\"volumeMounts\":[{%s}]}]}}",
                                            rows[i].mount),
                                    *line = NULL;
                _cleanup_made_ struct made m = make_of(json, &image);

                assert_int_equal(m.r != 0, rows[i].message != NULL);
                if (rows[i].message) {
                        assert_string_equal(m.err.msg, rows[i].message);
                        continue;
                }
                line = mounts_line(&m);
                assert_string_equal(line, rows[i].line);
        }
}

static void a_sub_path_can_name_variables(void **state)
{
        _cleanup_made_ struct made m = {0};
        _cleanup_free_ char *line = NULL;
        struct stat st;

        if (!mounts) {
                print_message("# skip: mounts need root and a mount namespace\n");
                skip();
        }
        m = make_of(
                "{\"spec\":{\"volumes\":[{\"name\":\"e\",\"emptyDir\":{}}],\"containers\":[{\"name\":\"c\",\"env\":["
                "{\"name\":\"A\",\"value\":\"x/y\"}],\"volumeMounts\":[{\"name\":\"e\",\"mountPath\":\"/d\","
                "\"subPathExpr\":\"z/$(A)\"}]}]}}",
                &image);
        assert_made(&m);
        line = mounts_line(&m);
        assert_string_equal(line, "/d<-/pods/u-1/subpaths/c/0");
        assert_int_equal(stat(arena_printf(&world.mem, "%s/pods/u-1/volumes/emptyDir/e/z/x/y", world.root), &st), 0);
}

static void the_pods_own_files_go_before_ours(void **state)
{
        _cleanup_made_ struct made m =
                make_of("{\"spec\":{\"volumes\":[{\"name\":\"e\",\"emptyDir\":{}}],\"containers\":[{\"name\":\"c\","
                        "\"terminationMessagePath\":\"/t/log\",\"volumeMounts\":[{\"name\":\"e\",\"mountPath\":\"/etc/"
                        "hosts\"}]}]}}",
                        &image);

        assert_made(&m);
        assert_int_equal(m.c.nmounts, 2);
        assert_string_equal(m.c.mounts[0].target, "/etc/hosts");
        assert_non_null(strstr(m.c.mounts[0].source, "/volumes/emptyDir/e"));
        assert_string_equal(m.c.mounts[1].target, "/t/log");
}

static void the_rest_is_taken_over(void **state)
{
        _cleanup_made_ struct made m = make("\"workingDir\":\"/w\",\"tty\":true,\"stdin\":true,\"stdinOnce\":true,"
                                            "\"lifecycle\":{\"stopSignal\":\"SIGUSR1\"}");
        _cleanup_made_ struct made plain = make(""), odd = make("\"lifecycle\":{\"stopSignal\":\"SIGODD\"}"),
                                   debug = make("\"targetContainerName\":\"x\"");

        assert_made(&m);
        assert_string_equal(m.c.cwd, "/w");
        assert_true(m.c.tty && m.c.stdin && m.c.stdin_once);
        assert_int_equal(m.c.stop_signal, SIGUSR1);
        assert_string_equal(m.c.log_path, "c/0.log");
        assert_string_equal(plain.c.cwd, "/srv");
        assert_string_equal(odd.err.msg, "lifecycle.stopSignal: unknown signal \"SIGODD\"");
        assert_int_equal(debug.r, -EOPNOTSUPP);
}

static void hashes_tell_what_must_be_made_anew(void **state)
{
        static const struct {
                const char *a, *b;
                bool same;
        } rows[] = {
                {"{\"name\":\"c\",\"image\":\"i\"}", "{\"image\":\"i\",\"name\":\"c\",\"resources\":{}}", true},
                {"{\"name\":\"c\",\"image\":\"i\"}", "{\"name\":\"c\",\"image\":\"j\"}", false},
                {"{\"name\":\"c\",\"image\":\"i\"}", "{\"name\":\"d\",\"image\":\"i\"}", false},
        };

        for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
                _cleanup_json_ struct json_object *a = podworld_pod(rows[i].a), *b = podworld_pod(rows[i].b);
                char x[17], y[17];

                spec_hash(a, x);
                spec_hash(b, y);
                assert_int_equal(strlen(x), 16);
                assert_int_equal(str_eq(x, y), rows[i].same);
        }
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test_setup_teardown(command_and_args_take_the_place_of_the_image, setup, teardown),
                cmocka_unit_test_setup_teardown(variables_come_in_the_order_of_their_names, setup, teardown),
                cmocka_unit_test_setup_teardown(hosts_and_the_termination_log_are_mounted, setup, teardown),
                cmocka_unit_test_setup_teardown(variables_come_from_all_sources, setup, teardown),
                cmocka_unit_test_setup_teardown(keys_that_are_no_names_are_skipped_with_an_event, setup, teardown),
                cmocka_unit_test_setup_teardown(variables_tell_of_the_pod_itself, setup, teardown),
                cmocka_unit_test_setup_teardown(too_large_for_the_kernel_is_told, setup, teardown),
                cmocka_unit_test_setup_teardown(services_are_variables, setup, teardown),
                cmocka_unit_test_setup_teardown(a_service_of_that_name_hides_the_masters, setup, teardown),
                cmocka_unit_test_setup_teardown(ten_thousand_services_take_little_memory, setup, teardown),
                cmocka_unit_test_setup_teardown(security_is_the_containers_before_the_pods, setup, teardown),
                cmocka_unit_test_setup_teardown(who_must_not_be_root_is_checked_in_upstreams_words, setup, teardown),
                cmocka_unit_test_setup_teardown(mounts_are_those_of_volumes, setup, teardown),
                cmocka_unit_test_setup_teardown(a_sub_path_can_name_variables, setup, teardown),
                cmocka_unit_test_setup_teardown(the_pods_own_files_go_before_ours, setup, teardown),
                cmocka_unit_test_setup_teardown(the_rest_is_taken_over, setup, teardown),
                cmocka_unit_test(hashes_tell_what_must_be_made_anew),
        };

        mounts = podworld_private_mounts();
        return cmocka_run_group_tests(tests, NULL, NULL);
}
