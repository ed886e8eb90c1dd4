/* SPDX-License-Identifier: Apache-2.0 */
/* What a node finds out about its machine, on played files; and what it makes of it. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "agent/kubelet/node/addresses.h"
#include "agent/kubelet/node/enforce.h"
#include "agent/kubelet/node/group.h"
#include "agent/kubelet/node/machine.h"
#include "agent/kubelet/node/object.h"
#include "base/file.h"
#include "base/mem.h"
#include "base/str.h"

#define MI (1024ULL * 1024)

struct tree {
        char folder[64];
        struct cgroups v2, v1;
};

static void put(const char *root, const char *group, const char *file, const char *text)
{
        _cleanup_free_ char *folder = mem_printf("%s/%s", root, group), *path = mem_printf("%s/%s", folder, file);

        assert_int_equal(file_mkdirs(folder, 0755, NULL), 0);
        assert_int_equal(file_write_atomic(path, text, strlen(text), 0644, NULL), 0);
}

static int setup(void **state)
{
        struct tree *t = mem_new(struct tree);

        snprintf(t->folder, sizeof(t->folder), "/tmp/fl-facts-XXXXXX");
        assert_non_null(mkdtemp(t->folder));
        snprintf(t->v2.v2, sizeof(t->v2.v2), "%s/v2", t->folder);
        snprintf(t->v1.v2, sizeof(t->v1.v2), "%s/unified", t->folder);
        for (size_t i = 0; i < CGROUP_CONTROLLERS; i++) {
                t->v2.in_v2[i] = true;
                snprintf(t->v1.v1[i], sizeof(t->v1.v1[i]), "%s/v1-%zu", t->folder, i);
        }
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

static void limits_of_the_own_group_and_those_above_count(void **state)
{
        struct tree *t = *state;
        uint64_t used, working_set;

        assert_int_equal(group_memory_limit(&t->v2, "a/b"), UINT64_MAX);
        put(t->v2.v2, "", "memory.max", "3000\n");
        put(t->v2.v2, "a", "memory.max", "2000\n");
        put(t->v2.v2, "a/b", "memory.max", "max\n");
        assert_int_equal(group_memory_limit(&t->v2, "a/b"), 2000);
        assert_int_equal(group_memory_limit(&t->v2, ""), 3000);
        put(t->v2.v2, "a", "cpu.max", "150000 100000\n");
        put(t->v2.v2, "a/b", "cpu.max", "max 100000\n");
        assert_int_equal(group_milli_cpus(&t->v2, "a/b"), 1500);
        put(t->v2.v2, "a/b", "cpuset.cpus.effective", "3\n");
        assert_int_equal(group_milli_cpus(&t->v2, "a/b"), 1000);
        put(t->v2.v2, "a/b", "memory.current", "1000\n");
        put(t->v2.v2, "a/b", "memory.stat", "anon 1\ninactive_file 300\nactive_file 200\n");
        assert_int_equal(group_memory(&t->v2, "a/b", &used, &working_set), 0);
        assert_int_equal(used, 1000);
        assert_int_equal(working_set, 700);
        assert_int_equal(group_memory(&t->v2, "", &used, &working_set), -ENOENT);
}

static void limits_of_v1_count_too(void **state)
{
        struct tree *t = *state;
        uint64_t used, working_set;

        put(t->v1.v1[CGROUP_MEMORY], "a", "memory.limit_in_bytes", "2000\n");
        put(t->v1.v1[CGROUP_MEMORY], "", "memory.limit_in_bytes", "9223372036854771712\n");
        put(t->v1.v1[CGROUP_MEMORY], "a", "memory.usage_in_bytes", "500\n");
        put(t->v1.v1[CGROUP_MEMORY], "a", "memory.stat", "inactive_file 1\ntotal_inactive_file 100\n");
        put(t->v1.v1[CGROUP_CPU], "a", "cpu.cfs_quota_us", "-1\n");
        put(t->v1.v1[CGROUP_CPU], "a", "cpu.cfs_period_us", "100000\n");
        put(t->v1.v1[CGROUP_PIDS], "a", "pids.max", "77\n");
        put(t->v1.v1[CGROUP_PIDS], "a", "pids.current", "7\n");
        assert_int_equal(group_memory_limit(&t->v1, "a"), 2000);
        assert_int_equal(group_milli_cpus(&t->v1, "a"), UINT64_MAX);
        put(t->v1.v1[CGROUP_CPU], "a", "cpu.cfs_quota_us", "50000\n");
        assert_int_equal(group_milli_cpus(&t->v1, "a"), 500);
        assert_int_equal(group_memory(&t->v1, "a", &used, &working_set), 0);
        assert_int_equal(working_set, 400);
        assert_int_equal(group_pids_limit(&t->v1, "a", &used), 77);
        assert_int_equal(used, 7);
        assert_int_equal(group_pids_limit(&t->v1, "", &used), UINT64_MAX);
}

static void processes_are_counted_below(void **state)
{
        struct tree *t = *state;

        put(t->v2.v2, "p", "cgroup.procs", "");
        put(t->v2.v2, "p/c1", "cgroup.procs", "1\n2\n");
        put(t->v2.v2, "p/c2/inner", "cgroup.procs", "3\n");
        assert_int_equal(group_count_processes(&t->v2, "p"), 3);
        assert_int_equal(group_count_processes(&t->v2, "none"), 0);
}

static void assert_limit(const struct tree *t, const char *group, const char *file, const char *want)
{
        _cleanup_free_ char *path = mem_printf("%s/a/%s/%s", t->v2.v2, group, file), *text = NULL;
        size_t n;

        assert_int_equal(file_read(path, 4096, &text, &n, NULL), 0);
        text[strcspn(text, "\n")] = '\0';
        assert_string_equal(text, want);
}

static void pods_together_get_what_is_not_reserved(void **state)
{
        static const char *const groups[] = {"a/kubepods", "a/kubepods/burstable", "a/kubepods/besteffort"};
        static const char *const files[] = {"memory.max", "cpu.weight", "pids.max", "cgroup.subtree_control"};
        const struct machine m = {.milli_cpus = 3000, .memory_bytes = 1000 * MI};
        struct node_reserved reserved;
        struct tree *t = *state;
        struct err err = ERR_NULL;

        put(t->v2.v2, "", "cgroup.subtree_control", "");
        put(t->v2.v2, "a", "cgroup.subtree_control", "");
        for (size_t i = 0; i < ARRAY_SIZE(groups); i++)
                for (size_t k = 0; k < ARRAY_SIZE(files); k++)
                        put(t->v2.v2, groups[i], files[k], "");
        assert_int_equal(reserved_parse("cpu=1,memory=200Mi,pid=100", &reserved, NULL), 0);
        if (enforce_limits(&t->v2, "a", &m, &reserved, 1000, &err))
                fail_msg("%s", err.msg);
        assert_limit(t, "kubepods", "memory.max", "838860800");
        assert_limit(t, "kubepods", "pids.max", "900");
        assert_limit(t, "kubepods/besteffort", "cpu.weight", "1");
        assert_limit(t, "kubepods/burstable", "memory.max", "");
}

static void texts_of_the_kernel_are_read(void **state)
{
        static const char meminfo[] =
                "MemTotal:       1024 kB\nMemFree: 10 kB\nInactive(file):  5 kB\nMemTotalX: 7 kB\n";
        char name[64] = "";

        assert_int_equal(meminfo_bytes(meminfo, "MemTotal"), MI);
        assert_int_equal(meminfo_bytes(meminfo, "Inactive(file)"), 5 * 1024);
        assert_int_equal(meminfo_bytes(meminfo, "Swap"), 0);
        assert_int_equal(cpu_list_count("0-3,8,10-11"), 7);
        assert_int_equal(cpu_list_count(""), 0);
        assert_int_equal(cpu_list_count("3-1,x"), 0);
        os_release_name("NAME=x\nPRETTY_NAME=\"Debian GNU/Linux 12 (bookworm)\"\nID=y\n", name, sizeof(name));
        assert_string_equal(name, "Debian GNU/Linux 12 (bookworm)");
        os_release_name("PRETTY_NAME=Plain", name, sizeof(name));
        assert_string_equal(name, "Plain");
}

static void this_machine_has_something(void **state)
{
        struct tree *t = *state;
        struct memory_state memory;
        struct machine m;

        machine_read(&t->v2, "", &m);
        assert_true(m.milli_cpus >= 1000 && m.memory_bytes > 64 * MI);
        assert_true(*m.kernel && *m.boot_id && *m.os_image);
        assert_string_not_equal(m.arch, "unknown");
        memory_read(&t->v2, "", &memory);
        assert_true(memory.total == m.memory_bytes && memory.available > 0 && memory.available <= memory.total);
        put(t->v2.v2, "", "memory.max", "1048576\n");
        put(t->v2.v2, "", "memory.current", "400000\n");
        put(t->v2.v2, "", "memory.stat", "inactive_file 100000\n");
        memory_read(&t->v2, "", &memory);
        assert_int_equal(memory.total, MI);
        assert_int_equal(memory.available, MI - 300000);
}

static void given_addresses_are_taken_and_checked(void **state)
{
        static const struct {
                const char *ips[4], *message;
        } bad[] = {
                {{"192.0.2.1", "192.0.2.2"}, "same family"},
                {{"192.0.2.1", "2001:db8::1", "192.0.2.2"}, "at most one"},
                {{"node-1"}, "is no IP address"},
        };
        const char *const both[] = {"2001:0db8::01", "192.0.2.1", NULL};
        struct node_ips ips;

        assert_int_equal(addresses_find(both, NULL, &ips, NULL), 0);
        assert_string_equal(ips.text[0], "2001:db8::1");
        assert_string_equal(ips.text[1], "192.0.2.1");
        for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
                struct err err = ERR_NULL;

                assert_int_equal(addresses_find(bad[i].ips, NULL, &ips, &err), -EINVAL);
                assert_non_null(strstr(err.msg, bad[i].message));
        }
        /* found ones: of this machine, whatever it has */
        assert_int_equal(addresses_find(NULL, "https://127.0.0.1:6443", &ips, NULL), 0);
        assert_true(*ips.text[0]);
        assert_int_equal(addresses_find(NULL, "https://[::1]:6443/x", &ips, NULL), 0);
        assert_int_equal(addresses_find(NULL, "nonsense", &ips, NULL), 0);
}

static void labels_and_taints_are_checked(void **state)
{
        static const char *const good_labels[] = {"a=b", "c=", NULL}, *const bad_labels[] = {"a", NULL},
                                 *const good_taints[] = {"a=b:NoSchedule", "a:NoExecute", "a=:PreferNoSchedule", NULL},
                                 *const bad_taints[] = {"a=b", NULL}, *const odd_taints[] = {"a=b:Never", NULL};

        assert_int_equal(facts_check(NULL, NULL, NULL), 0);
        assert_int_equal(facts_check(good_labels, good_taints, NULL), 0);
        assert_int_equal(facts_check(bad_labels, NULL, NULL), -EINVAL);
        assert_int_equal(facts_check(NULL, bad_taints, NULL), -EINVAL);
        assert_int_equal(facts_check(NULL, odd_taints, NULL), -EINVAL);
}

/* "key value effect;" of each. */
static void taints_become_objects(void **state)
{
        static const char *const given[] = {"a=b:NoSchedule", "x.org/c:NoExecute", NULL};
        const struct machine m = {.arch = "arm64"};
        const struct node_ips ips = {{"192.0.2.1"}};
        struct node_facts f = {.name = "n",
                               .ips = &ips,
                               .taints = given,
                               .machine = &m,
                               .provider_id = "lab://1",
                               .runtime_version = "r"};
        _cleanup_json_ struct json_object *o = NULL;
        struct json_object *taints;

        f.capacity = json_object_new_object();
        f.allocatable = json_object_new_object();
        f.images = json_object_new_array();
        o = object_make(&f, 0);
        taints = json_at(o, "spec.taints");
        assert_int_equal(json_len(taints), 2);
        assert_string_equal(json_get_str(json_idx(taints, 0), "key"), "a");
        assert_string_equal(json_get_str(json_idx(taints, 0), "value"), "b");
        assert_string_equal(json_get_str(json_idx(taints, 1), "key"), "x.org/c");
        assert_null(json_get_str(json_idx(taints, 1), "value"));
        assert_string_equal(json_get_str(json_idx(taints, 1), "effect"), "NoExecute");
        assert_string_equal(json_at_str(o, "spec.providerID"), "lab://1");
        assert_string_equal(json_at_str(o, "status.nodeInfo.architecture"), "arm64");
        assert_int_equal(json_len(json_at(o, "status.conditions")), 4);
        assert_null(object_metadata_patch(&f, o)); /* it lacks nothing */
        assert_null(object_status_patch(&f, o, 0, false));
        json_object_put(f.capacity);
        json_object_put(f.allocatable);
        json_object_put(f.images);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test_setup_teardown(limits_of_the_own_group_and_those_above_count, setup, teardown),
                cmocka_unit_test_setup_teardown(limits_of_v1_count_too, setup, teardown),
                cmocka_unit_test_setup_teardown(processes_are_counted_below, setup, teardown),
                cmocka_unit_test_setup_teardown(pods_together_get_what_is_not_reserved, setup, teardown),
                cmocka_unit_test(texts_of_the_kernel_are_read),
                cmocka_unit_test_setup_teardown(this_machine_has_something, setup, teardown),
                cmocka_unit_test(given_addresses_are_taken_and_checked),
                cmocka_unit_test(labels_and_taints_are_checked),
                cmocka_unit_test(taints_become_objects),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
