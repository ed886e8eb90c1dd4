/* SPDX-License-Identifier: Apache-2.0 */
/* Groups on trees of plain folders and files, which are there before as the kernel would make them. */
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "agent/kubelet/runtime/builtin/cgroup.h"
#include "base/file.h"
#include "base/mem.h"

#define GROUP "kubepods/burstable/pod1/c1"

static const struct container_resources nothing = {-1, -1, -1, -1, -1, -1, -1, NULL};

struct tree {
        char folder[64];
        struct cgroups cg;
};

static void touch(const char *root, const char *path, const char *file)
{
        _cleanup_free_ char *folder = mem_printf("%s/%s", root, path), *name = mem_printf("%s/%s", folder, file);

        assert_int_equal(file_mkdirs(folder, 0755, NULL), 0);
        assert_int_equal(file_write_atomic(name, "", 0, 0644, NULL), 0);
}

static void assert_text(const char *root, const char *file, const char *want)
{
        _cleanup_free_ char *name = mem_printf("%s/%s/%s", root, GROUP, file), *text = NULL;
        size_t n;

        assert_int_equal(file_read(name, 4096, &text, &n, NULL), 0);
        assert_string_equal(text, want);
}

static int setup(void **state)
{
        struct tree *t = mem_new(struct tree);

        snprintf(t->folder, sizeof(t->folder), "/tmp/fl-cgroup-XXXXXX");
        assert_non_null(mkdtemp(t->folder));
        snprintf(t->cg.v2, sizeof(t->cg.v2), "%s/v2", t->folder);
        mkdir(t->cg.v2, 0755);
        *state = t;
        return 0;
}

static int teardown(void **state)
{
        struct tree *t = *state;
        _cleanup_free_ char *command = mem_printf("rm -rf %s", t->folder);
        int r = system(command); /* NOLINT(cert-env33-c) a folder of our own */

        free(t);
        return r;
}

static void mounts_tell_the_layout(void **state)
{
        static const char hybrid[] =
                "31 23 0:28 / /sys/fs/cgroup rw - tmpfs tmpfs rw,mode=755\n"
                "32 31 0:29 / /sys/fs/cgroup/cpu,cpuacct rw,relatime shared:9 - cgroup cgroup rw,cpu,cpuacct\n"
                "35 31 0:32 / /sys/fs/cgroup/memory rw - cgroup cgroup rw,memory\n"
                "41 31 0:38 / /sys/fs/cgroup/unified rw - cgroup2 cgroup2 rw\nrubbish\n";
        struct cgroups cg;
        struct err err = ERR_NULL;

        assert_int_equal(cgroups_find(hybrid, &cg, &err), 0);
        assert_string_equal(cg.v2, "/sys/fs/cgroup/unified");
        assert_string_equal(cg.v1[CGROUP_CPU], "/sys/fs/cgroup/cpu,cpuacct");
        assert_string_equal(cg.v1[CGROUP_MEMORY], "/sys/fs/cgroup/memory");
        assert_string_equal(cg.v1[CGROUP_PIDS], "");
        assert_true(cgroups_hybrid(&cg));
        assert_int_equal(cgroups_find("31 23 0:28 / /sys/fs/cgroup rw - tmpfs tmpfs rw\n", &cg, &err), -ENOENT);
        assert_non_null(strstr(err.msg, "cgroup v2"));
}

static void limits_of_v2_are_written_in_its_units(void **state)
{
        static const char *const files[] = {"cpu.weight", "cpu.max", "memory.max", "memory.swap.max", "pids.max"};
        struct container_resources r = {1024, 50000, 100000, 1 << 20, 3 << 20, 7, -1, NULL};
        struct tree *t = *state;

        for (size_t i = 0; i < CGROUP_CONTROLLERS; i++)
                t->cg.in_v2[i] = true;
        for (size_t i = 0; i < ARRAY_SIZE(files); i++)
                touch(t->cg.v2, GROUP, files[i]);
        touch(t->cg.v2, "kubepods/burstable/pod1", "cgroup.subtree_control");
        assert_int_equal(cgroup_make(&t->cg, GROUP, NULL), 0);
        assert_int_equal(cgroup_limit(&t->cg, GROUP, &r, NULL), 0);
        assert_text(t->cg.v2, "cpu.weight", "39");
        assert_text(t->cg.v2, "cpu.max", "50000 100000");
        assert_text(t->cg.v2, "memory.max", "1048576");
        assert_text(t->cg.v2, "memory.swap.max", "2097152");
        assert_text(t->cg.v2, "pids.max", "7");
        /* "+pids", the last, over "+memory": a plain file keeps what the kernel would not. */
        assert_text(t->cg.v2, "../cgroup.subtree_control", "+pidsry");
}

static void v1_groups_are_made_only_for_what_they_limit(void **state)
{
        struct container_resources r = nothing;
        struct tree *t = *state;
        char procs[CGROUP_CONTROLLERS][CGROUP_PATH_MAX], oom[CGROUP_PATH_MAX];

        snprintf(t->cg.v1[CGROUP_MEMORY], sizeof(t->cg.v1[0]), "%.64s/memory", t->folder);
        snprintf(t->cg.v1[CGROUP_CPU], sizeof(t->cg.v1[0]), "%.64s/cpu", t->folder);
        mkdir(t->cg.v1[CGROUP_MEMORY], 0755);
        mkdir(t->cg.v1[CGROUP_CPU], 0755);
        assert_int_equal(cgroup_make(&t->cg, GROUP, NULL), 0);
        assert_int_equal(cgroup_limit(&t->cg, GROUP, &r, NULL), 0);
        assert_int_equal(cgroup_v1_procs(&t->cg, GROUP, procs), 0);
        assert_false(cgroup_oom_file(&t->cg, GROUP, oom));
        r.memory_bytes = 4096;
        touch(t->cg.v1[CGROUP_MEMORY], GROUP, "memory.limit_in_bytes");
        touch(t->cg.v1[CGROUP_MEMORY], GROUP, "cgroup.procs");
        touch(t->cg.v1[CGROUP_MEMORY], GROUP, "memory.oom_control");
        assert_int_equal(cgroup_limit(&t->cg, GROUP, &r, NULL), 0);
        assert_text(t->cg.v1[CGROUP_MEMORY], "memory.limit_in_bytes", "4096");
        assert_int_equal(cgroup_v1_procs(&t->cg, GROUP, procs), 1);
        assert_non_null(strstr(procs[0], "/memory/" GROUP "/cgroup.procs"));
        assert_true(cgroup_oom_file(&t->cg, GROUP, oom));
        assert_int_not_equal(access("cpu/kubepods", F_OK), 0);
}

static void a_limit_that_nothing_enforces_is_an_error(void **state)
{
        struct container_resources r = nothing;
        struct err err = ERR_NULL;
        struct tree *t = *state;

        r.memory_bytes = 4096;
        assert_int_equal(cgroup_limit(&t->cg, GROUP, &r, &err), -EOPNOTSUPP);
        assert_non_null(strstr(err.msg, "memory controller"));
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(mounts_tell_the_layout),
                cmocka_unit_test_setup_teardown(limits_of_v2_are_written_in_its_units, setup, teardown),
                cmocka_unit_test_setup_teardown(v1_groups_are_made_only_for_what_they_limit, setup, teardown),
                cmocka_unit_test_setup_teardown(a_limit_that_nothing_enforces_is_an_error, setup, teardown),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
