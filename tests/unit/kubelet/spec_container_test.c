/* SPDX-License-Identifier: Apache-2.0 */
/* What containers are made of: a pod in, a line of the configuration out. */
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

#include "agent/kubelet/pods/spec_impl.h"
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

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test_setup_teardown(command_and_args_take_the_place_of_the_image, setup, teardown),
                cmocka_unit_test_setup_teardown(variables_come_in_the_order_of_their_names, setup, teardown),
                cmocka_unit_test_setup_teardown(hosts_and_the_termination_log_are_mounted, setup, teardown),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
