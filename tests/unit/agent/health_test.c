/* SPDX-License-Identifier: Apache-2.0 */
/* The agent's HTTP server, probes, metrics and status file, asked over real sockets of 127.0.0.1. */
#include <arpa/inet.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>
#include <cmocka.h>

#include "agent/health.h"
#include "agent/status.h"
#include "base/file.h"
#include "base/log.h"
#include "base/json.h"
#include "base/str.h"
#include "unit/agent/svcworld.h"

static struct svcworld w;
static struct loop *loop;
static struct metrics *metrics;
static struct health *health;
static struct status *status;
static char run_dir[] = "/tmp/health_test.XXXXXX";

static int setup(void **state)
{
        struct err err = ERR_NULL;

        log_init("test", LOG_LEVEL_ERROR);
        strcpy(run_dir, "/tmp/health_test.XXXXXX");
        if (!mkdtemp(run_dir))
                return -1;
        svcworld_init(&w, NULL);
        w.config.health_address = (char *)"127.0.0.1:0";
        w.config.run_dir = run_dir;
        assert_int_equal(loop_new(&loop), 0);
        metrics = metrics_agent_new(w.services, &w.maps);
        if (health_new(
                    &(struct health_opts){
                            .loop = loop, .config = &w.config, .services = w.services, .metrics = metrics},
                    &health, &err))
                fail_msg("%s", err.msg);
        return status_new(&(struct status_opts){.loop = loop, .config = &w.config, .services = w.services}, &status,
                          &err);
}

static int teardown(void **state)
{
        char path[80];

        snprintf(path, sizeof(path), "%s/status.json", run_dir);
        unlink(path);
        rmdir(run_dir);
        status_free(status);
        health_free(health);
        metrics_agent_free(metrics);
        svcworld_deinit(&w);
        loop_free(loop);
        return 0;
}

/* Sends bytes to a port and returns all that comes back. */
static char *send_to(uint16_t port, const char *bytes, size_t n)
{
        struct sockaddr_in sa = {.sin_family = AF_INET, .sin_port = htons(port)};
        int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
        struct strbuf b = STRBUF_NULL;

        sa.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
        assert_int_equal(connect(fd, (struct sockaddr *)&sa, sizeof(sa)), 0);
        assert_int_equal(send(fd, bytes, n, MSG_NOSIGNAL), n);
        for (int i = 0; i < 200; i++) {
                char *at = strbuf_reserve(&b, 65536);
                ssize_t got;

                loop_run_for(loop, 5);
                got = recv(fd, at, 65536, MSG_DONTWAIT);
                if (got == 0)
                        break;
                if (got > 0)
                        b.len += (size_t)got;
                b.data[b.len] = '\0';
        }
        close(fd);
        return strbuf_take(&b, NULL);
}

static char *ask(uint16_t port, const char *request)
{
        return send_to(port, request, strlen(request));
}

#define GET(path) "GET " path " HTTP/1.1\r\nHost: x\r\n\r\n"

static void assert_has(const char *text, const char *part)
{
        if (!strstr(text, part))
                fail_msg("no \"%s\" in:\n%s", part, text);
}

static void probes_say_whether_the_tables_are_up_to_date(void **state)
{
        _cleanup_free_ char *ok = ask(health_port(health), GET("/healthz")), *live = NULL, *bad = NULL;
        struct services *good = w.services;

        assert_has(ok, "HTTP/1.1 200 OK\r\n");
        assert_has(ok, "\"nodeEligible\":true");
        live = ask(health_port(health), GET("/livez?verbose"));
        assert_has(live, "HTTP/1.1 200 OK\r\n");
        /* One that has just started: the API's state is not there. */
        health_free(health);
        assert_int_equal(services_new(&(struct services_opts){.config = &w.config, .maps = &w.maps}, &w.services, NULL),
                         0);
        assert_int_equal(health_new(
                                 &(struct health_opts){
                                         .loop = loop, .config = &w.config, .services = w.services, .metrics = metrics},
                                 &health, NULL),
                         0);
        bad = ask(health_port(health), GET("/healthz"));
        assert_has(bad, "HTTP/1.1 503 ");
        assert_has(bad, "\"problem\":\"the state of the API is not in the tables yet\"");
        /* But nobody shall kill it for that. */
        free(live);
        live = ask(health_port(health), GET("/livez"));
        assert_has(live, "HTTP/1.1 200 ");
        services_free(w.services);
        w.services = good;
}

/* The API server is away when an agent starts, but there are tables of the one before. */
static void what_was_taken_over_is_healthy(void **state)
{
        _cleanup_free_ char *ok = NULL;
        struct services *before = w.services;

        w.service[0] = (struct svcworld_service){.there = true, .type = "ClusterIP", .ports = 1};
        w.service[0].endpoints[0] = (struct svcworld_endpoint){.there = true, .ready = true};
        svcworld_tell(&w, 0);
        services_sync(w.services);
        health_free(health);
        assert_int_equal(services_new(&(struct services_opts){.config = &w.config, .maps = &w.maps}, &w.services, NULL),
                         0);
        assert_int_equal(health_new(
                                 &(struct health_opts){
                                         .loop = loop, .config = &w.config, .services = w.services, .metrics = metrics},
                                 &health, NULL),
                         0);
        ok = ask(health_port(health), GET("/healthz"));
        assert_has(ok, "HTTP/1.1 200 ");
        services_free(w.services);
        w.services = before;
}

static void a_node_that_is_leaving_gets_no_new_clients(void **state)
{
        _cleanup_free_ char *bad = NULL, *live = NULL;

        services_set_node(w.services, &(struct node_view){.name = SVCWORLD_NODE, .leaving = true}, NULL, 0);
        bad = ask(health_port(health), GET("/healthz"));
        assert_has(bad, "HTTP/1.1 503 ");
        assert_has(bad, "\"nodeEligible\":false,\"problem\":\"the node is about to be deleted\"");
        live = ask(health_port(health), GET("/livez"));
        assert_has(live, "HTTP/1.1 200 ");
}

static void metrics_have_kube_proxys_names_and_ours(void **state)
{
        static const char *const want[] = {
                "kubeproxy_sync_proxy_rules_duration_seconds_count 1\n",
                "kubeproxy_network_programming_duration_seconds_bucket{le=\"0.001\"} ",
                "kubeproxy_sync_proxy_rules_last_timestamp_seconds ",
                "kubeproxy_sync_proxy_rules_service_changes_total 1\n",
                "kubeproxy_sync_proxy_rules_service_changes_pending 0\n",
                "kubeproxy_sync_proxy_rules_endpoint_changes_total 2\n",
                "kubeproxy_sync_proxy_rules_no_local_endpoints_total{traffic_policy=\"internal\"} 1\n",
                "fairlead_packets_total{reason=\"no_endpoints\",hook=\"uplink\"} 3\n",
                "fairlead_service_connections_total{namespace=\"ns\",service=\"s0\",port=\"a\",protocol=\"TCP\"} 7\n",
                "fairlead_map_entries{map=\"backends\"} 0\n",
                "fairlead_map_full{map=\"slots\"} 0\n",
                "process_resident_memory_bytes ",
        };
        uint64_t counter[2 * 256] = {3, 300}, stats[6 * 256] = {7};
        uint32_t id = 1, key = REASON_NO_ENDPOINTS * HOOK_COUNT + HOOK_UPLINK;
        _cleanup_free_ char *text = NULL;

        w.service[0] =
                (struct svcworld_service){.there = true, .type = "ClusterIP", .ports = 1, .internal_local = true};
        w.service[0].endpoints[0] = (struct svcworld_endpoint){.there = true, .ready = true};
        svcworld_tell(&w, 0);
        services_sync(w.services);
        assert_int_equal(map_update(w.maps.m[MAP_SERVICE_STATS], &id, stats), 0);
        assert_int_equal(map_update(w.maps.m[MAP_COUNTERS], &key, counter), 0);
        text = ask(health_port(health), GET("/metrics"));
        assert_has(text, "Content-Type: text/plain; version=0.0.4");
        for (size_t i = 0; i < ARRAY_SIZE(want); i++)
                assert_has(text, want[i]);
        /* Each name is introduced once, before its rows. */
        for (const char *p = text; (p = strstr(p, "# TYPE "));) {
                char type[120];

                p += strlen("# TYPE ");
                snprintf(type, sizeof(type), "# TYPE %.*s ", (int)strcspn(p, " "), p);
                assert_null(strstr(p, type));
        }
}

/* Balancer checks go to a port of the Service's own; it closes with the Service. */
static void a_health_check_port_counts_local_endpoints(void **state)
{
        _cleanup_json_ struct json_object *o = svcworld_json(
                "{'metadata':{'namespace':'ns','name':'lb'},'spec':{'type':'LoadBalancer','clusterIP':'10.96.0.9',"
                "'externalTrafficPolicy':'Local','healthCheckNodePort':%d,'ports':[{'port':80,'nodePort':30080}]}}",
                20000 + getpid() % 10000);
        _cleanup_json_ struct json_object *slice = svcworld_json(
                "{'metadata':{'namespace':'ns','name':'lb-1','labels':{'kubernetes.io/"
                "service-name':'lb'}},'addressType':"
                "'IPv4','ports':[{'port':80}],'endpoints':[{'addresses':['10.0.0.1'],'nodeName':'n1'},{'addresses':["
                "'10.0.0.2'],'nodeName':'n2'}]}");
        struct projector p = {.node_name = "n1"};
        struct svc_view *svc = svcworld_project(project_service, &p, o);
        struct slice_view *view = svcworld_project(project_slice, &p, slice);
        uint16_t port = (uint16_t)(20000 + getpid() % 10000);
        _cleanup_free_ char *none = NULL, *one = NULL;

        services_set_service(w.services, "ns/lb", svc);
        services_sync(w.services);
        health_changed(health);
        loop_run_for(loop, 100);
        none = ask(port, GET("/"));
        assert_has(none, "HTTP/1.1 503 ");
        assert_has(none, "\"localEndpoints\": 0");
        services_set_slice(w.services, NULL, view);
        services_sync(w.services);
        health_changed(health);
        loop_run_for(loop, 100);
        one = ask(port, GET("/any"));
        assert_has(one, "HTTP/1.1 200 ");
        assert_has(one, "\"namespace\": \"ns\",\n\t\t\"name\": \"lb\"");
        assert_has(one, "\"localEndpoints\": 1");
        assert_has(one, "X-Load-Balancing-Endpoint-Weight: 1\r\n");
        services_set_service(w.services, "ns/lb", NULL);
        services_set_slice(w.services, view, NULL);
        services_sync(w.services);
        health_changed(health);
        loop_run_for(loop, 100);
        {
                struct sockaddr_in sa = {.sin_family = AF_INET, .sin_port = htons(port)};
                int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

                sa.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
                assert_int_equal(connect(fd, (struct sockaddr *)&sa, sizeof(sa)), -1);
                close(fd);
        }
        free(svc);
        free(view);
}

static void bad_requests_get_an_answer_and_no_more(void **state)
{
        static const struct {
                const char *request, *want;
        } cases[] = {
                {GET("/x"), "HTTP/1.1 404 "},           {"POST /healthz HTTP/1.1\r\n\r\n", "HTTP/1.1 405 "},
                {"GET\r\n\r\n", "HTTP/1.1 400 "},       {"GET healthz HTTP/1.1\r\n\r\n", "HTTP/1.1 400 "},
                {"GET / FTP\r\n\r\n", "HTTP/1.1 400 "}, {"\r\n\r\n", "HTTP/1.1 400 "},
        };
        static char large[10000];
        _cleanup_free_ char *cut = NULL, *zero = NULL;

        for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
                _cleanup_free_ char *got = ask(health_port(health), cases[i].request);

                assert_has(got, cases[i].want);
        }
        memset(large, 'a', sizeof(large));
        cut = send_to(health_port(health), large, 8191);
        assert_has(cut, "HTTP/1.1 400 ");
        zero = send_to(health_port(health), "GET \0/ HTTP/1.1\r\n\r\n", 19);
        assert_has(zero, "HTTP/1.1 400 ");
}

static void an_address_that_is_taken_is_named(void **state)
{
        struct err err = ERR_NULL;
        struct health *second = NULL;
        char address[32];

        snprintf(address, sizeof(address), "127.0.0.1:%u", health_port(health));
        w.config.health_address = address;
        assert_int_not_equal(health_new(&(struct health_opts){.loop = loop,
                                                              .config = &w.config,
                                                              .services = w.services,
                                                              .metrics = metrics},
                                        &second, &err),
                             0);
        assert_has(err.msg, "healthAddress: cannot listen on 127.0.0.1:");
        assert_has(err.msg, "Address already in use");
}

static struct json_object *read_status(void)
{
        struct json_object *got = NULL;
        _cleanup_free_ char *text = NULL;
        char path[80];
        size_t n;

        snprintf(path, sizeof(path), "%s/status.json", run_dir);
        assert_int_equal(file_read(path, 1 << 20, &text, &n, NULL), 0);
        assert_int_equal(json_parse(text, n, &got, NULL), 0);
        return got;
}

static void the_status_file_says_what_is_skipped(void **state)
{
        _cleanup_json_ struct json_object *o = svcworld_json("{'metadata':{'namespace':'ns','name':'odd'},'spec':{'"
                                                             "clusterIP':'10.96.0.9','ports':[{'port':70000}]}}");
        struct projector p = {.node_name = "n1"};
        struct svc_view *svc = svcworld_project(project_service, &p, o);
        _cleanup_json_ struct json_object *got = NULL;

        services_set_service(w.services, "ns/odd", svc);
        services_sync(w.services);
        status_changed(status);
        loop_run_for(loop, 20);
        got = read_status();
        assert_string_equal(json_get_str(got, "node"), SVCWORLD_NODE);
        assert_true(json_get_bool(got, "synced", false));
        assert_int_equal(json_len(json_get(got, "skipped")), 1);
        assert_string_equal(json_get_str(json_idx(json_get(got, "skipped"), 0), "object"), "Service ns/odd");
        assert_string_equal(json_get_str(json_idx(json_get(got, "skipped"), 0), "reason"),
                            "port \"\": 70000 is no port number");
        assert_int_equal(json_get_i64(json_get(got, "timeouts"), "udp", -1), 0);
        services_set_service(w.services, "ns/odd", NULL);
        services_sync(w.services);
        free(svc);
}

/* What `fairctl status` prints behind "fallback:". */
static void status_names_what_the_kernel_lacks_and_what_is_done_instead(void **state)
{
        static const struct features all = {
#define X(name, necessary, use, without) .name = true,
                FEATURES(X)
#undef X
        };
        struct features old = all;
        const struct features *rows[] = {&all, &old};

        old.sock_destroy = false;
        for (size_t i = 0; i < 2; i++) {
                struct status_opts opts = {
                        .loop = loop, .config = &w.config, .services = w.services, .features = rows[i]};
                _cleanup_(status_freep) struct status *s = NULL;
                _cleanup_json_ struct json_object *o = NULL;

                assert_int_equal(status_new(&opts, &s, NULL), 0);
                status_write(s);
                o = read_status();
                assert_int_equal(json_len(json_get(o, "fallbacks")), i);
                if (i)
                        assert_string_equal(
                                json_object_get_string(json_object_array_get_idx(json_get(o, "fallbacks"), 0)),
                                "no sock_destroy (closing connected UDP sockets of removed endpoints): instead they "
                                "stay with them until an ICMP error comes or their programs give up");
        }
}

#define TEST(fn) cmocka_unit_test_setup_teardown(fn, setup, teardown)

int main(void)
{
        const struct CMUnitTest tests[] = {
                TEST(status_names_what_the_kernel_lacks_and_what_is_done_instead),
                TEST(probes_say_whether_the_tables_are_up_to_date),
                TEST(what_was_taken_over_is_healthy),
                TEST(a_node_that_is_leaving_gets_no_new_clients),
                TEST(metrics_have_kube_proxys_names_and_ours),
                TEST(a_health_check_port_counts_local_endpoints),
                TEST(bad_requests_get_an_answer_and_no_more),
                TEST(an_address_that_is_taken_is_named),
                TEST(the_status_file_says_what_is_skipped),
        };

        return cmocka_run_group_tests_name("health", tests, NULL, NULL);
}
