/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "agent/kubelet/runtime/builtin/oci_user.h"
#include "base/file.h"
#include "base/mem.h"

#define PASSWD "root:x:0:0:root:/root:/bin/sh\napp:x:1000:50::/:\nbroken:x:no:7::/:\nshort\n\n"
#define GROUP  "root:x:0:\nstaff:x:50:\nextra:x:77:app,other\nmore:x:78:other,app\nbad:x:y:app\n"

static void users_are_looked_up_as_docker_does(void **state)
{
        static const struct {
                const char *user;
                int64_t uid, gid;
                uint32_t want_uid, want_gid;
                size_t ngroups;
        } table[] = {
                {NULL, -1, -1, 0, 0, 0},          {"", -1, -1, 0, 0, 0},
                {"root", -1, -1, 0, 0, 0},        {"app", -1, -1, 1000, 50, 2},
                {"1000", -1, -1, 1000, 50, 2},    {"4711", -1, -1, 4711, 0, 0},
                {"app:0", -1, -1, 1000, 0, 2},    {"app:staff", -1, -1, 1000, 50, 2},
                {"4711:12", -1, -1, 4711, 12, 0}, {"app", 5, -1, 5, 0, 0},
                {"app", 1000, -1, 1000, 50, 2},   {"app", -1, 9, 1000, 9, 2},
                {"nobody", 5, 6, 5, 6, 0},
        };
        struct oci_user u;
        struct err err = ERR_NULL;

        for (size_t i = 0; i < sizeof(table) / sizeof(*table); i++) {
                struct oci_user_asked asked = {table[i].uid, table[i].gid, table[i].user, NULL, 0, false};

                assert_int_equal(oci_user_resolve(&asked, PASSWD, GROUP, &u, &err), 0);
                assert_int_equal(u.uid, table[i].want_uid);
                assert_int_equal(u.gid, table[i].want_gid);
                assert_int_equal(u.ngroups, table[i].ngroups);
        }
}

static void supplementary_groups_are_added_once(void **state)
{
        static const int64_t groups[] = {77, 9, 9, 50};
        struct oci_user_asked asked = {-1, -1, "app", groups, 4, false};
        struct oci_user u;

        assert_int_equal(oci_user_resolve(&asked, PASSWD, GROUP, &u, NULL), 0);
        assert_int_equal(u.ngroups, 3);
        assert_int_equal(u.groups[2], 9);
        asked.strict = true;
        asked.ngroups = 1;
        assert_int_equal(oci_user_resolve(&asked, PASSWD, GROUP, &u, NULL), 0);
        assert_int_equal(u.ngroups, 1);
        assert_int_equal(u.groups[0], 77);
}

static void who_is_not_there_is_named(void **state)
{
        static const char *const bad[] = {"ghost", "app:ghosts", "broken"};
        struct oci_user u;

        for (size_t i = 0; i < 3; i++) {
                struct oci_user_asked asked = {-1, -1, bad[i], NULL, 0, false};
                struct err err = ERR_NULL;

                assert_int_equal(oci_user_resolve(&asked, PASSWD, GROUP, &u, &err), -EINVAL);
                assert_non_null(strstr(err.msg, strrchr(bad[i], ':') ? "ghosts" : bad[i]));
        }
}

/* A link in the image that points out of it ends in the image. */
static void links_stay_inside_the_image(void **state)
{
        char folder[] = "/tmp/fl-oci-user-XXXXXX";
        struct oci_user_asked asked = {-1, -1, "app", NULL, 0, false};
        struct err err = ERR_NULL;
        struct oci_user u;

        assert_non_null(mkdtemp(folder));
        {
                _cleanup_free_ char *etc = mem_printf("%s/etc", folder), *passwd = mem_printf("%s/etc/passwd", folder);
                _cleanup_free_ char *inside = mem_printf("%s/real", folder);

                assert_int_equal(oci_user_find(&asked, folder, &u, &err), -EINVAL);
                assert_int_equal(mkdir(etc, 0755), 0);
                assert_int_equal(symlink("../../../../real", passwd), 0);
                assert_int_equal(file_write_atomic(inside, PASSWD, strlen(PASSWD), 0644, NULL), 0);
                assert_int_equal(oci_user_find(&asked, folder, &u, &err), 0);
                assert_int_equal(u.uid, 1000);
                unlink(inside);
                assert_int_equal(mkfifo(inside, 0644), 0);
                assert_int_equal(oci_user_find(&asked, folder, &u, &err), -EINVAL);
                unlink(inside);
                unlink(passwd);
                rmdir(etc);
        }
        rmdir(folder);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(users_are_looked_up_as_docker_does),
                cmocka_unit_test(supplementary_groups_are_added_once),
                cmocka_unit_test(who_is_not_there_is_named),
                cmocka_unit_test(links_stay_inside_the_image),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
