/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "agent/kubelet/images/config.h"
#include "agent/kubelet/images/record.h"
#include "base/mem.h"
#include "base/str.h"

#define ID      "sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
#define LAYER   "sha256:01ba4719c80b6fe911b091a7c05124b64eeece964e09c058ef8f9805daca546b"
#define PULLED  "docker.io/library/x@" LAYER
#define NAMES   "\"tags\":[\"docker.io/library/x:1\"],\"digests\":[\"" PULLED "\"],"
#define ROOT    "\"rootfs\":\"e3b0-1\",\"rootfsBytes\":100,\"updated\":7,"
#define BLOBS   "\"blobs\":[{\"digest\":\"" LAYER "\",\"size\":20}],"
#define CONFIG  "\"config\":{\"config\":{\"Cmd\":[\"a\"]}}"
#define PATH_OF "/images"

static void a_configuration_is_read(void **state)
{
        static const char text[] =
                "{\"architecture\":\"amd64\",\"os\":\"linux\",\"config\":{\"User\":\"1:2\",\"Env\":[\"A=1\",\"B\"],"
                "\"Entrypoint\":[\"/e\",\"\"],\"Cmd\":null,\"WorkingDir\":\"srv\",\"StopSignal\":\"SIGRTMIN+3\","
                "\"Volumes\":{\"/v\":{},\"/w\":null},\"Labels\":{\"k\":\"v\"},\"ExposedPorts\":{\"80/tcp\":{}}},"
                "\"rootfs\":{\"type\":\"layers\",\"diff_ids\":[]}}";
        struct arena mem = ARENA_NULL;
        struct image_config c;
        struct err err = ERR_NULL;

        if (image_config_parse(&mem, text, strlen(text), &c, &err))
                fail_msg("%s", err.msg);
        assert_string_equal(c.os, "linux");
        assert_string_equal(c.architecture, "amd64");
        assert_string_equal(c.user, "1:2");
        assert_string_equal(c.cwd, "/srv");
        assert_string_equal(c.env[1], "B");
        assert_null(c.env[2]);
        assert_string_equal(c.entrypoint[1], "");
        assert_null(c.entrypoint[2]);
        assert_null(c.cmd[0]);
        assert_string_equal(c.volumes[1], "/w");
        assert_null(c.volumes[2]);
        assert_int_equal(c.nlabels, 1);
        assert_string_equal(c.labels[0].value, "v");
        assert_int_equal(c.stop_signal, SIGRTMIN + 3);
        arena_deinit(&mem);
}

static void what_is_not_said_is_empty(void **state)
{
        static const char *const texts[] = {"{}", "{\"config\":null}", "{\"config\":{}}"};

        for (size_t i = 0; i < ARRAY_SIZE(texts); i++) {
                struct arena mem = ARENA_NULL;
                struct image_config c;

                assert_int_equal(image_config_parse(&mem, texts[i], strlen(texts[i]), &c, NULL), 0);
                assert_null(c.entrypoint[0]);
                assert_null(c.cmd[0]);
                assert_null(c.env[0]);
                assert_null(c.volumes[0]);
                assert_string_equal(c.user, "");
                assert_string_equal(c.cwd, "");
                assert_int_equal(c.stop_signal, 0);
                assert_int_equal(c.nlabels, 0);
                arena_deinit(&mem);
        }
}

static void what_is_wrong_is_named(void **state)
{
        static const struct {
                const char *text, *why;
        } table[] = {
                {"", "the image's configuration: "},
                {"[]", "the image's configuration: an object is expected, not a list"},
                {"null", "an object is expected, not null"},
                {"{\"config\":7}", "config: an object is expected, not a number"},
                {"{\"os\":[]}", "os: a string is expected, not a list"},
                {"{\"config\":{\"Env\":{}}}", "config.Env: a list is expected, not an object"},
                {"{\"config\":{\"Env\":[null]}}", "config.Env[0]: a string is expected, not null"},
                {"{\"config\":{\"Env\":[\"\"]}}", "config.Env[0]: \"NAME=value\" is expected"},
                {"{\"config\":{\"Cmd\":[\"a\",true]}}", "config.Cmd[1]: a string is expected, not a boolean"},
                {"{\"config\":{\"Entrypoint\":\"sh\"}}", "config.Entrypoint: a list is expected, not a string"},
                {"{\"config\":{\"User\":0}}", "config.User: a string is expected, not a number"},
                {"{\"config\":{\"User\":\"a\\u0000b\"}}", "config.User: has a NUL character"},
                {"{\"config\":{\"Volumes\":[]}}", "config.Volumes: an object is expected, not a list"},
                {"{\"config\":{\"Volumes\":{\"x\":{}}}}", "config.Volumes: an absolute path is expected, not \"x\""},
                {"{\"config\":{\"Labels\":{\"a\":1}}}", "config.Labels: a string is expected, not a number"},
                {"{\"config\":{\"Labels\":\"\"}}", "config.Labels: an object is expected, not a string"},
                {"{\"config\":{\"StopSignal\":\"SIGWHAT\"}}", "config.StopSignal: \"SIGWHAT\" is no signal"},
        };

        for (size_t i = 0; i < ARRAY_SIZE(table); i++) {
                struct arena mem = ARENA_NULL;
                struct image_config c;
                struct err err = ERR_NULL;

                assert_int_equal(image_config_parse(&mem, table[i].text, strlen(table[i].text), &c, &err), -EINVAL);
                if (!strstr(err.msg, table[i].why))
                        fail_msg("%s: %s", table[i].text, err.msg);
                arena_deinit(&mem);
        }
}

static void sizes_have_their_limits(void **state)
{
        struct arena mem = ARENA_NULL;
        _cleanup_free_ char *text = mem_alloc(IMAGE_CONFIG_MAX + 1);
        struct image_config c;
        struct err err = ERR_NULL;

        memset(text, ' ', IMAGE_CONFIG_MAX + 1);
        memcpy(text, "{}", 2);
        assert_int_equal(image_config_parse(&mem, text, IMAGE_CONFIG_MAX, &c, &err), 0);
        assert_int_equal(image_config_parse(&mem, text, IMAGE_CONFIG_MAX + 1, &c, &err), -EINVAL);
        assert_non_null(strstr(err.msg, "larger than"));
        arena_deinit(&mem);
}

static void signals_have_many_names(void **state)
{
        assert_int_equal(image_signal("SIGTERM"), SIGTERM);
        assert_int_equal(image_signal("term"), SIGTERM);
        assert_int_equal(image_signal("sigquit"), SIGQUIT);
        assert_int_equal(image_signal("9"), SIGKILL);
        assert_int_equal(image_signal("64"), 64);
        assert_int_equal(image_signal("RTMIN"), SIGRTMIN);
        assert_int_equal(image_signal("SIGRTMAX-14"), SIGRTMAX - 14);
        assert_int_equal(image_signal("RTMIN+30"), SIGRTMAX);
        assert_int_equal(image_signal("RTMIN+31"), -EINVAL);
        assert_int_equal(image_signal("RTMIN-1"), -EINVAL);
        assert_int_equal(image_signal("RTMINX"), -EINVAL);
        assert_int_equal(image_signal("0"), -EINVAL);
        assert_int_equal(image_signal("65"), -EINVAL);
        assert_int_equal(image_signal(""), -EINVAL);
        assert_int_equal(image_signal("SIG"), -EINVAL);
}

static void a_record_is_read(void **state)
{
        static const char text[] = "{\"id\":\"" ID "\"," NAMES ROOT BLOBS CONFIG "}";
        struct image_record *r;
        struct err err = ERR_NULL;

        if (image_record_parse(text, strlen(text), PATH_OF, &r, &err))
                fail_msg("%s", err.msg);
        assert_string_equal(r->image.id, ID);
        assert_string_equal(r->image.tags[0], "docker.io/library/x:1");
        assert_null(r->image.tags[1]);
        assert_string_equal(r->image.digests[0], PULLED);
        assert_string_equal(r->image.rootfs, "/images/rootfs/e3b0-1");
        assert_string_equal(r->image.cmd[0], "a");
        assert_int_equal(r->image.bytes, 120);
        assert_int_equal(r->updated_ns, 7);
        assert_int_equal(r->nblobs, 1);
        image_record_free(r);
}

static void a_record_that_leads_elsewhere_is_refused(void **state)
{
        static const struct {
                const char *text, *why;
        } table[] = {
                {"{}", "id: "},
                {"{\"id\":\"sha256:00\"}", "id: "},
                {"{\"id\":\"" ID "\"," NAMES BLOBS CONFIG "}", "rootfs: the name of a folder"},
                {"{\"id\":\"" ID "\",\"rootfs\":\"../x\",\"rootfsBytes\":1," NAMES BLOBS CONFIG "}",
                 "rootfs: the name"},
                {"{\"id\":\"" ID "\",\"rootfs\":\".\",\"rootfsBytes\":1," NAMES BLOBS CONFIG "}", "rootfs: the name"},
                {"{\"id\":\"" ID "\",\"rootfs\":\"\",\"rootfsBytes\":1," NAMES BLOBS CONFIG "}", "rootfs: the name"},
                {"{\"id\":\"" ID "\",\"rootfs\":\"a\",\"rootfsBytes\":-1," NAMES BLOBS CONFIG "}", "rootfsBytes: "},
                {"{\"id\":\"" ID "\"," ROOT "\"tags\":[\"x\"],\"digests\":[]," BLOBS CONFIG "}",
                 "tags[0]: \"docker.io/library/x:latest\" is meant"},
                {"{\"id\":\"" ID "\"," ROOT "\"tags\":[\"X\"],\"digests\":[]," BLOBS CONFIG "}", "must be lowercase"},
                {"{\"id\":\"" ID "\"," ROOT "\"tags\":{},\"digests\":[]," BLOBS CONFIG "}", "tags: a list"},
                {"{\"id\":\"" ID "\"," ROOT "\"tags\":[5],\"digests\":[]," BLOBS CONFIG "}", "tags[0]: "},
                {"{\"id\":\"" ID "\"," NAMES ROOT "\"blobs\":7," CONFIG "}", "blobs: a list"},
                {"{\"id\":\"" ID "\"," NAMES ROOT "\"blobs\":[{\"digest\":\"../x\",\"size\":1}]," CONFIG "}",
                 "blobs[0]: "},
                {"{\"id\":\"" ID "\"," NAMES ROOT BLOBS "\"config\":[]}", "the image's configuration: an object"},
                {"{\"id\":\"" ID "\"," NAMES ROOT BLOBS "\"x\":1}", "the image's configuration: an object"},
        };

        for (size_t i = 0; i < ARRAY_SIZE(table); i++) {
                struct image_record *r = NULL;
                struct err err = ERR_NULL;

                assert_int_not_equal(image_record_parse(table[i].text, strlen(table[i].text), PATH_OF, &r, &err), 0);
                assert_null(r);
                if (!strstr(err.msg, table[i].why))
                        fail_msg("%s: %s", table[i].text, err.msg);
        }
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(a_configuration_is_read),
                cmocka_unit_test(what_is_not_said_is_empty),
                cmocka_unit_test(what_is_wrong_is_named),
                cmocka_unit_test(sizes_have_their_limits),
                cmocka_unit_test(signals_have_many_names),
                cmocka_unit_test(a_record_is_read),
                cmocka_unit_test(a_record_that_leads_elsewhere_is_refused),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
