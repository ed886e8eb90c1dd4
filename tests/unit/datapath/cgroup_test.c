/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <cmocka.h>

#include "base/cleanup.h"
#include "base/mem.h"
#include "datapath/cgroup.h"

#define BEFORE                                                                                                         \
        "22 1 254:1 / / rw,relatime shared:1 - ext4 /dev/vda1 rw\n"                                                    \
        "31 23 0:28 / /sys/fs/cgroup rw,relatime - tmpfs tmpfs rw,mode=755\n"

static void cgroup_v2_is_found_where_it_is_mounted(void **state)
{
        static const struct {
                const char *text, *path; /* NULL: there is none */
        } rows[] = {
                {BEFORE "32 31 0:29 / /sys/fs/cgroup/cpu rw - cgroup cgroup rw,cpu\n"
                        "41 31 0:38 / /sys/fs/cgroup/unified rw,relatime - cgroup2 cgroup2 rw\n",
                 "/sys/fs/cgroup/unified"},
                {"30 23 0:26 / /sys/fs/cgroup rw,nosuid shared:4 master:9 - cgroup2 cgroup2 rw,nsdelegate\n",
                 "/sys/fs/cgroup"},
                {BEFORE "32 31 0:29 / /sys/fs/cgroup/cpu rw - cgroup cgroup rw,cpu\n", NULL},
                /* a part of the hierarchy, mounted elsewhere, is not its root */
                {"50 23 0:26 /system.slice /mnt/part rw - cgroup2 cgroup2 rw\n"
                 "51 23 0:26 / /mnt/all rw - cgroup2 cgroup2 rw",
                 "/mnt/all"},
                {"51 23 0:26 / /mnt/a\\040b\\134c rw - cgroup2 cgroup2 rw", "/mnt/a b\\c"},
                /* a mount point that looks like a type */
                {"51 23 0:26 / /mnt/cgroup2 rw - tmpfs cgroup2 rw\n", NULL},
                {"51 23 - cgroup2 cgroup2 rw\n", NULL},
                {" - cgroup2 \n\n- cgroup2\n", NULL},
                {"", NULL},
        };

        for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
                _cleanup_free_ char *text = mem_strdup(rows[i].text);
                char path[64] = "untouched";
                int r = cgroup_parse_mountinfo(text, path, sizeof(path));

                assert_int_equal(r, rows[i].path ? 0 : -ENOENT);
                if (rows[i].path)
                        assert_string_equal(path, rows[i].path);
        }
}

static void a_path_that_does_not_fit_is_an_error(void **state)
{
        char text[] = "51 23 0:26 / /sys/fs/cgroup rw - cgroup2 cgroup2 rw", path[8];

        assert_int_equal(cgroup_parse_mountinfo(text, path, sizeof(path)), -ENAMETOOLONG);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(cgroup_v2_is_found_where_it_is_mounted),
                cmocka_unit_test(a_path_that_does_not_fit_is_an_error),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
