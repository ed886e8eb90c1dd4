/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "agent/kubelet/images/outcome.h"
#include "base/cleanup.h"

#define FATAL(text) "time=\"2026-01-02T03:04:05Z\" level=fatal msg=\"" text "\"\n"
#define PING                                                                                                           \
        "Error parsing image name \\\"docker://r:5000/x:1\\\": pinging container registry r:5000: Get "                \
        "\\\"https://r:5000/v2/\\\": "

/* What skopeo 1.9 said, as it was seen. */
static void skopeo_is_understood(void **state)
{
        static const struct {
                const char *said;
                enum image_outcome outcome;
                const char *want;
        } table[] = {
                {FATAL("Error parsing image name \\\"docker://r/x:2\\\": reading manifest 2 in r/x: manifest unknown: "
                       "manifest unknown"),
                 IMAGE_REFUSED, "r/x:1: not found"},
                {FATAL("initializing source docker://r/x:1: reading manifest 1 in r/x: name unknown: repository name "
                       "not known to registry"),
                 IMAGE_REFUSED, "r/x:1: not found"},
                {FATAL("initializing source docker://r/x:1: reading manifest 1 in r/x: unauthorized: authentication "
                       "required"),
                 IMAGE_REFUSED, "r/x:1: pull access denied: it does not exist or needs credentials"},
                {FATAL("Error parsing image name: reading manifest 1 in r/x: errors:\\ndenied: requested access to the "
                       "resource is denied\\nunauthorized: authentication required\\n"),
                 IMAGE_REFUSED, "r/x:1: pull access denied: it does not exist or needs credentials"},
                {FATAL(PING "dial tcp 127.0.0.1:5000: connect: connection refused"), IMAGE_UNAVAILABLE,
                 "r/x:1: no connection to the registry: dial tcp 127.0.0.1:5000: connect: connection refused"},
                {FATAL(PING "dial tcp: lookup r on 127.0.0.1:53: no such host"), IMAGE_UNAVAILABLE,
                 "r/x:1: the registry's name is not known: dial tcp: lookup r on 127.0.0.1:53: no such host"},
                {FATAL(PING "x509: certificate signed by unknown authority"), IMAGE_UNAVAILABLE,
                 "r/x:1: the registry's certificate is not trusted: x509: certificate signed by unknown authority"},
                {FATAL(PING "http: server gave HTTP response to HTTPS client"), IMAGE_UNAVAILABLE,
                 "r/x:1: the registry speaks no TLS, and registries.conf does not call it insecure"},
                {FATAL("reading blob sha256:ab: received unexpected HTTP status: 503 Service Unavailable"),
                 IMAGE_UNAVAILABLE,
                 "r/x:1: the registry fails: reading blob sha256:ab: received unexpected HTTP status: 503 Service "
                 "Unavailable"},
                {FATAL("writing blob: storing blob to file \\\"/x\\\": write /x: no space left on device"),
                 IMAGE_NO_SPACE, "r/x:1: no space is left on the disk"},
                {FATAL("copying system image from manifest list: writing blob: Digest did not match, expected "
                       "sha256:aa, got sha256:bb"),
                 IMAGE_BROKEN,
                 "r/x:1: what came is not what its digest says: copying system image from manifest list: writing blob: "
                 "Digest did not match, expected sha256:aa, got sha256:bb"},
                {"level=warning msg=\"manifest unknown\"\n" FATAL("something else"), IMAGE_REFUSED,
                 "r/x:1: something else"},
                {"", IMAGE_REFUSED, "r/x:1: skopeo failed without a word"},
                {"panic: \x1b[31mhere\nmore", IMAGE_REFUSED, "r/x:1: panic:  [31mhere"},
                {FATAL("ends\\"), IMAGE_REFUSED, "r/x:1: ends\""},
        };

        for (size_t i = 0; i < ARRAY_SIZE(table); i++) {
                char buf[600];

                assert_int_equal(outcome_of_skopeo(table[i].said, false, "r/x:1", buf, sizeof(buf)), table[i].outcome);
                assert_string_equal(buf, table[i].want);
        }
}

static void a_file_has_no_connection(void **state)
{
        char buf[600];

        assert_int_equal(outcome_of_skopeo(FATAL("loading tar component manifest.json: unexpected EOF"), true, "f", buf,
                                           sizeof(buf)),
                         IMAGE_BROKEN);
        assert_string_equal(buf, "f: cannot be read: loading tar component manifest.json: unexpected EOF");
        assert_int_equal(outcome_of_skopeo(FATAL("open /x: no such file or directory"), true, "f", buf, sizeof(buf)),
                         IMAGE_REFUSED);
}

static void umoci_is_understood(void **state)
{
        char buf[600];

        assert_int_equal(
                outcome_of_umoci(
                        "   \xe2\x80\xa2 unpacking rootfs ...\n   \xe2\xa8\xaf create rootfs: gzip: invalid header\n",
                        "x", buf, sizeof(buf)),
                IMAGE_BROKEN);
        assert_string_equal(buf, "x: cannot be unpacked: create rootfs: gzip: invalid header");
        assert_int_equal(outcome_of_umoci("\xe2\xa8\xaf write /a: no space left on device\n", "x", buf, sizeof(buf)),
                         IMAGE_NO_SPACE);
        assert_string_equal(buf, "x: no space is left on the disk");
        assert_int_equal(outcome_of_umoci("", "x", buf, sizeof(buf)), IMAGE_BROKEN);
        assert_string_equal(buf, "x: cannot be unpacked: umoci failed without a word");
}

static void long_words_are_cut(void **state)
{
        char said[5000], buf[600];

        memset(said, 'x', sizeof(said));
        said[sizeof(said) - 1] = '\0';
        outcome_of_skopeo(said, false, "r/x:1", buf, sizeof(buf));
        assert_in_range(strlen(buf), 300, 500);
        outcome_of_umoci(said, "r/x:1", buf, sizeof(buf));
        assert_in_range(strlen(buf), 300, 500);
}

static void messages_are_text(void **state)
{
        static const struct {
                const char *said, *want;
        } table[] = {
                {"plain", "plain"},        {"gr\xc3\xbc\xc3\x9f", "gr\xc3\xbc\xc3\x9f"},
                {"a\nb\tc\x7f", "a b c "}, {"\xff\xfe x", "?? x"},
                {"cut \xc3", "cut ?"},     {"cut \xe2\x82", "cut ??"},
                {"\xed\xa0\x80", "???"},   {"", ""},
        };

        for (size_t i = 0; i < ARRAY_SIZE(table); i++) {
                char buf[64];

                strcpy(buf, table[i].said);
                outcome_clean(buf);
                assert_string_equal(buf, table[i].want);
        }
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(skopeo_is_understood), cmocka_unit_test(a_file_has_no_connection),
                cmocka_unit_test(umoci_is_understood),  cmocka_unit_test(long_words_are_cut),
                cmocka_unit_test(messages_are_text),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
