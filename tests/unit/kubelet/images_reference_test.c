/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "agent/kubelet/images/images.h"
#include "agent/kubelet/images/reference.h"
#include "base/mem.h"
#include "base/random.h"
#include "base/str.h"

#define HEX "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"

static void names_become_what_docker_makes_of_them(void **state)
{
        static const struct {
                const char *text, *want;
        } table[] = {
                {"nginx", "docker.io/library/nginx:latest"},
                {"nginx:1.27", "docker.io/library/nginx:1.27"},
                {"bitnami/nginx", "docker.io/bitnami/nginx:latest"},
                {"docker.io/nginx", "docker.io/library/nginx:latest"},
                {"index.docker.io/nginx:1", "docker.io/library/nginx:1"},
                {"index.docker.io/a/b", "docker.io/a/b:latest"},
                {"nginx@sha256:" HEX, "docker.io/library/nginx@sha256:" HEX},
                {"nginx:1@sha256:" HEX, "docker.io/library/nginx:1@sha256:" HEX},
                {"localhost/x", "localhost/x:latest"},
                {"localhost:5000/x", "localhost:5000/x:latest"},
                {"localhost:5000", "docker.io/library/localhost:5000"},
                {"127.0.0.1:5000/a/b/c:v1", "127.0.0.1:5000/a/b/c:v1"},
                {"[::1]:5000/x", "[::1]:5000/x:latest"},
                {"[fd00::A]/x:1", "[fd00::A]/x:1"},
                {"registry.k8s.io/pause:3.9", "registry.k8s.io/pause:3.9"},
                {"Host/x", "Host/x:latest"},
                {"REGISTRY.example:1/x", "REGISTRY.example:1/x:latest"},
                {"a/b:5000", "docker.io/a/b:5000"},
                {"a__b/c-----d.e_f", "docker.io/a__b/c-----d.e_f:latest"},
                {"x:UPPER_and.dots-1", "docker.io/library/x:UPPER_and.dots-1"},
                {"oci:1", "docker.io/library/oci:1"},
                {"dir", "docker.io/library/dir:latest"},
                {"oci:/srv/a:1", "oci:/srv/a:1"},
                {"oci-archive:/srv/a.tar", "oci-archive:/srv/a.tar"},
                {"docker-archive:/srv/a.tar:docker.io/x/y:1", "docker-archive:/srv/a.tar:docker.io/x/y:1"},
                {"dir:/srv/a", "dir:/srv/a"},
        };

        for (size_t i = 0; i < ARRAY_SIZE(table); i++) {
                _cleanup_free_ char *got = NULL, *again = NULL;
                struct err err = ERR_NULL;

                if (image_reference(table[i].text, &got, &err))
                        fail_msg("%s: %s", table[i].text, err.msg);
                assert_string_equal(got, table[i].want);
                assert_int_equal(image_reference(got, &again, &err), 0);
                assert_string_equal(again, got);
        }
}

static void what_is_no_name_is_refused_in_kubernetes_words(void **state)
{
        static const struct {
                const char *text, *why;
        } table[] = {
                {"", "couldn't parse image reference \"\": invalid reference format"},
                {"nginx:", "couldn't parse image reference \"nginx:\": invalid reference format"},
                {"nginx@", "invalid reference format"},
                {":1", "invalid reference format"},
                {"@sha256:" HEX, "invalid reference format"},
                {"/x", "invalid reference format"},
                {"a//b", "invalid reference format"},
                {"a/", "invalid reference format"},
                {"a b", "invalid reference format"},
                {"a\n", "\"a\\n\": invalid reference format"},
                {"a..b", "invalid reference format"},
                {"a___b", "invalid reference format"},
                {"-a", "invalid reference format"},
                {"a-", "invalid reference format"},
                {"a/../b", "invalid reference format"},
                {"x:.1", "invalid reference format"},
                {"x:-1", "invalid reference format"},
                {"x:1:2", "invalid reference format"},
                {"h.example:port/x", "invalid reference format"},
                {"-h.example/x", "invalid reference format"},
                {"h..example/x", "invalid reference format"},
                {"[::1/x", "invalid reference format"},
                {"[::g]/x", "invalid reference format"},
                {"docker://nginx", "invalid reference format"},
                {"Nginx", "invalid reference format: repository name (Nginx) must be lowercase"},
                {"a/Nginx:1", "must be lowercase"},
                {HEX, "invalid repository name (" HEX "), cannot specify 64-byte hexadecimal strings"},
                {"x@sha256:" HEX "00", "invalid checksum digest length"},
                {"x@sha256:e3b0c44298fc1c149afbf4c8996fb924", "invalid checksum digest length"},
                {"x@sha256:E3B0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
                 "invalid checksum digest format"},
                {"x@md5:" HEX, "unsupported digest algorithm"},
                {"x@sha256:abc", "invalid reference format"},
                {"oci:/", "it names no file"},
                {"oci:/a/../b", "may not have"},
                {"oci:/a/..", "may not have"},
                {"oci:/a/..:1", "may not have"},
                {"dir:/a\tb", "no control characters"},
                {"oci:a/b", "invalid reference format"},
        };

        for (size_t i = 0; i < ARRAY_SIZE(table); i++) {
                char *got = NULL;
                struct err err = ERR_NULL;

                assert_int_equal(image_reference(table[i].text, &got, &err), -EINVAL);
                assert_null(got);
                if (!strstr(err.msg, table[i].why))
                        fail_msg("%s: %s", table[i].text, err.msg);
        }
}

static void lengths_have_their_limits(void **state)
{
        char text[5000], *got = NULL;
        struct err err = ERR_NULL;

        memset(text, 'a', sizeof(text));
        text[255 - strlen("library/")] = '\0';
        assert_int_equal(image_reference(text, &got, &err), 0);
        free(got);
        text[255 - strlen("library/")] = 'a';
        text[256 - strlen("library/")] = '\0';
        assert_int_equal(image_reference(text, &got, &err), -EINVAL);
        assert_non_null(strstr(err.msg, "repository name must not be more than 255 characters"));
        memset(text, 'a', sizeof(text) - 1);
        text[sizeof(text) - 1] = '\0';
        assert_int_equal(image_reference(text, &got, &err), -EINVAL);
        memset(text, 'a', 200);
        text[1] = ':';
        text[2 + 128] = '\0';
        assert_int_equal(image_reference(text, &got, &err), 0);
        free(got);
        memset(text + 130, 'a', 1);
        text[131] = '\0';
        assert_int_equal(image_reference(text, &got, &err), -EINVAL);
}

static void the_pieces_make_up_the_whole(void **state)
{
        struct reference r;

        assert_int_equal(reference_parse("localhost:5000/a/b:1@sha256:" HEX, &r, NULL), 0);
        assert_string_equal(r.domain, "localhost:5000");
        assert_string_equal(r.repository, "localhost:5000/a/b");
        assert_string_equal(r.tag, "1");
        assert_string_equal(r.digest, "sha256:" HEX);
        assert_null(r.path);
        reference_deinit(&r);
        assert_int_equal(reference_parse("oci:/srv/a:v1", &r, NULL), 0);
        assert_null(r.domain);
        assert_string_equal(r.path, "/srv/a");
        assert_string_equal(r.tag, "v1");
        reference_deinit(&r);
}

/* Whatever is accepted has a normal form that stays as it is, and whose pieces are found in it. */
static void normal_forms_are_stable(void **state)
{
        static const char digest[] = "sha256:" HEX;
        static const char *const bits[] = {
                "a",     "b1",   "/",         ":",    "@", ".",         "_",     "__",
                "-",     digest, "localhost", "5000", "A", "docker.io", "[::1]", "index.docker.io",
                "oci:/", ".."};
        unsigned int accepted = 0;

        for (int i = 0; i < 200000; i++) {
                char text[1024] = "";
                _cleanup_reference_ struct reference r = {0}, again = {0};

                for (uint64_t n = random_below(9); n; n--)
                        strcat(text, bits[random_below(ARRAY_SIZE(bits))]);
                if (reference_parse(text, &r, NULL))
                        continue;
                accepted++;
                if (reference_parse(r.text, &again, NULL) || !str_eq(r.text, again.text) ||
                    !str_eq(r.repository, again.repository) || !str_eq(r.tag, again.tag) ||
                    !str_eq(r.digest, again.digest) || !str_eq(r.domain, again.domain))
                        fail_msg("%s -> %s -> %s", text, r.text, again.text ?: "refused");
                if (r.repository && !str_has_prefix(r.text, r.repository))
                        fail_msg("%s -> %s", r.repository, r.text);
        }
        assert_true(accepted > 1000);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(names_become_what_docker_makes_of_them),
                cmocka_unit_test(what_is_no_name_is_refused_in_kubernetes_words),
                cmocka_unit_test(lengths_have_their_limits),
                cmocka_unit_test(the_pieces_make_up_the_whole),
                cmocka_unit_test(normal_forms_are_stable),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
