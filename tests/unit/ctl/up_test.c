/* SPDX-License-Identifier: Apache-2.0 */
/* Clusters of this machine: names, addresses, what runs on each machine, and which cgroups there are. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "base/file.h"
#include "base/mem.h"
#include "base/str.h"
#include "ctl/up/remove.h"
#include "ctl/up/spec.h"

static struct cluster cluster_of(unsigned number, bool v4, bool v6)
{
        struct cluster c = CLUSTER_NULL;

        str_copy(c.name, sizeof(c.name), "dev");
        c.number = number;
        c.v4 = v4, c.v6 = v6;
        c.port = 6443;
        c.programs = mem_strdup("/usr/local/bin");
        for (unsigned i = 1; i <= 3; i++)
                cluster_add_node(&c, i);
        return c;
}

static void names_are_short_labels(void **state)
{
        static const struct {
                const char *name;
                bool good;
        } rows[] = {{"dev", true},
                    {"a-1", true},
                    {"0", true},
                    {"", false},
                    {"Dev", false},
                    {"a_b", false},
                    {"-a", false},
                    {"a/../b", false},
                    {"a.b", false},
                    {"twenty-three-characters", true},
                    {"twenty-four--characters-", false}};

        for (size_t i = 0; i < ARRAY_SIZE(rows); i++)
                assert_int_equal(!cluster_name_error(rows[i].name), rows[i].good);
}

static void clusters_have_networks_of_their_own(void **state)
{
        _cleanup_cluster_ struct cluster first = cluster_of(1, true, true), last = cluster_of(60, true, true);
        char a[2 * PLAN_SIZE], b[2 * PLAN_SIZE];

        assert_string_equal(plan_both(&first, plan_pods, a), "10.129.0.0/16,fd10:128:1::/48");
        assert_string_equal(plan_both(&last, plan_pods, b), "10.188.0.0/16,fd10:128:3c::/48");
        assert_string_equal(plan_both(&first, plan_services, a), "10.65.0.0/16,fd10:64:1::/112");
        assert_string_equal(plan_both(&last, plan_services, b), "10.124.0.0/16,fd10:64:3c::/112");
        assert_string_equal(plan_fabric(&first, false, PLAN_NODES + 100, a), "198.18.1.110");
        assert_string_equal(plan_fabric(&last, true, PLAN_NODES + 100, a), "fd10:18:0:3c::6e");
        assert_string_equal(plan_service(&last, false, 1, a), "10.124.0.1");
        assert_string_equal(plan_outside(&first, false, PLAN_CLIENT, a), "198.19.1.10");
}

static void nodes_are_a_set_in_order(void **state)
{
        _cleanup_cluster_ struct cluster c = cluster_of(1, true, false);

        cluster_add_node(&c, 2);
        cluster_add_node(&c, 0);
        cluster_add_node(&c, CLUSTER_NODES + 1);
        assert_int_equal(c.nnodes, 3);
        cluster_drop_node(&c, 2);
        assert_false(cluster_has_node(&c, 2));
        assert_true(cluster_has_node(&c, 3));
        cluster_add_node(&c, 2);
        assert_int_equal(c.nodes[2], 2);
}

/* The words of a service, with a space between them; NULL when the machine has none of that name. */
static char *words_of(const struct json_object *spec, const char *name)
{
        struct strbuf b = STRBUF_NULL;

        json_array_foreach (json_get(spec, "services"), i, service) {
                if (!str_eq(json_get_str(service, "name"), name))
                        continue;
                json_array_foreach (json_get(service, "argv"), k, word)
                        strbuf_printf(&b, "%s ", json_object_get_string(word));
        }
        return b.data;
}

static void machines_run_what_they_are_there_for(void **state)
{
        static const struct {
                enum machine_role role;
                bool kubelet;
                const char *service, *has; /* NULL: it is not there */
        } rows[] = {
                {MACHINE_CONTROL_PLANE, true, "apiserver",
                 "--bind-address=:: --secure-port=6443 --advertise-address=198.18.7.2"},
                {MACHINE_CONTROL_PLANE, true, "controller-manager", "--cluster-cidr=10.135.0.0/16,fd10:128:7::/48"},
                {MACHINE_CONTROL_PLANE, true, "relay", "__relay 127.0.0.1 6443"},
                {MACHINE_CONTROL_PLANE, true, "agent", NULL},
                {MACHINE_NODE, true, "agent", "--node-name=node-2 --routing=vxlan"},
                {MACHINE_NODE, true, "kubelet", "--node-ip=198.18.7.12,fd10:18:0:7::c"},
                {MACHINE_NODE, false, "kubelet", NULL},
                {MACHINE_CLIENT, true, "agent", NULL},
                {MACHINE_FABRIC, true, "apiserver", NULL},
        };
        _cleanup_cluster_ struct cluster c = cluster_of(7, true, true);

        for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
                struct machine m = machine_of(rows[i].role, 2);
                _cleanup_json_ struct json_object *spec = machine_spec(&c, &m, rows[i].kubelet);
                _cleanup_free_ char *words = words_of(spec, rows[i].service);

                assert_int_equal(words != NULL, rows[i].has != NULL);
                if (words && !strstr(words, rows[i].has))
                        fail_msg("%s: %s", rows[i].service, words);
        }
}

static void networks_have_the_families_of_the_cluster(void **state)
{
        _cleanup_cluster_ struct cluster c = cluster_of(7, false, true);
        struct machine node = machine_node(1), client = machine_of(MACHINE_CLIENT, 0);
        _cleanup_json_ struct json_object *a = machine_spec(&c, &node, true), *b = machine_spec(&c, &client, true);

        assert_string_equal(json_get_str(a, "network"), "link set lo up\n"
                                                        "address add fd10:18:0:7::b/64 nodad dev eth0\n"
                                                        "link set eth0 up\n"
                                                        "route add default via fd10:18:0:7::fe\n");
        assert_string_equal(json_get_str(b, "network"), "link set lo up\n"
                                                        "address add fd10:19:0:7::a/64 nodad dev eth0\n"
                                                        "link set eth0 up\n"
                                                        "route add default via fd10:19:0:7::1\n");
        assert_non_null(strstr(json_at_str(a, "files.hosts"), "fd10:18:0:7::d node-3\n"));
        assert_null(strstr(json_at_str(a, "files.hosts"), "198.18"));
}

static void machines_are_found_by_name(void **state)
{
        _cleanup_cluster_ struct cluster c = cluster_of(1, true, false);
        struct machine m;
        struct err err = ERR_NULL;

        assert_int_equal(machine_find(&c, "node-3", &m, &err), 0);
        assert_int_equal(m.role, MACHINE_NODE);
        assert_int_equal(m.number, 3);
        assert_int_equal(machine_find(&c, "control-plane", &m, &err), 0);
        assert_true(machine_find(&c, "node-4", &m, &err) < 0);
        assert_non_null(strstr(err.msg, "it has fabric, control-plane, client, node-1, node-2, node-3"));
}

#define V1_CPU    "31 23 0:28 / /sys/fs/cgroup/cpu,cpuacct rw - cgroup cgroup rw,cpu,cpuacct\n"
#define V1_MEMORY "32 23 0:29 / /sys/fs/cgroup/memory rw shared:3 - cgroup cgroup rw,memory\n"
#define V1_OTHER                                                                                                       \
        "33 23 0:30 / /sys/fs/cgroup/freezer rw - cgroup cgroup rw,freezer\n"                                          \
        "34 23 0:31 / /sys/fs/cgroup/systemd rw - cgroup cgroup rw,xattr,name=systemd\n"
#define V2_BESIDE "35 23 0:32 / /sys/fs/cgroup/unified rw - cgroup2 cgroup2 rw\n"
#define V2_ALONE  "35 23 0:32 / /sys/fs/cgroup rw - cgroup2 cgroup2 rw,nsdelegate\n"
#define V2_ABOVE  "35 23 0:32 /../.. /sys/fs/cgroup rw - cgroup2 cgroup2 rw\n"
#define V2_PART   "36 23 0:32 /a/b /mnt rw - cgroup2 cgroup2 rw\n"

static void hierarchies_are_those_that_limit_pods(void **state)
{
        static const struct {
                const char *mountinfo;
                size_t n;
                const char *v2, *v1; /* mount of v2, controllers of the second; n 0: refused */
        } rows[] = {
                {V1_CPU V1_MEMORY V1_OTHER V2_BESIDE, 3, "/sys/fs/cgroup/unified", "cpu,cpuacct"},
                {V2_ALONE, 1, "/sys/fs/cgroup", ""},
                {V2_PART V2_ALONE V1_OTHER, 1, "/sys/fs/cgroup", ""},
                {V2_ABOVE, 1, "/sys/fs/cgroup", ""},
                {V2_ALONE V1_MEMORY V1_MEMORY, 2, "/sys/fs/cgroup", "memory"},
                {V1_CPU V1_MEMORY, 0, "", ""},
                {"", 0, "", ""},
        };

        for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
                struct hierarchies h = {0};
                struct err err = ERR_NULL;
                int r = hierarchies_parse(rows[i].mountinfo, &h, &err);

                assert_int_equal(r, rows[i].n ? 0 : -ENOENT);
                assert_int_equal(h.n, rows[i].n);
                if (!h.n) {
                        assert_non_null(strstr(err.msg, "mount -t cgroup2"));
                        continue;
                }
                assert_string_equal(h.items[0].mount, rows[i].v2);
                assert_string_equal(h.items[0].controllers, "");
                if (h.n > 1)
                        assert_string_equal(h.items[1].controllers, rows[i].v1);
        }
}

/* ---- groups, as folders with the files that the kernel would have there */

static void put_file(const char *mount, const char *name, const char *text)
{
        _cleanup_free_ char *path = mem_printf("%s/%s", mount, name);

        assert_int_equal(file_write_atomic(path, text, strlen(text), 0600, NULL), 0);
}

static void put_group(const char *mount, const char *group)
{
        _cleanup_free_ char *path = mem_printf("%s/%s", mount, group), *procs = mem_printf("%s/cgroup.procs", group),
                            *kill = mem_printf("%s/cgroup.kill", group);

        assert_int_equal(file_mkdirs(path, 0700, NULL), 0);
        put_file(mount, procs, "1\n");
        put_file(mount, kill, "");
}

static bool was_killed(const char *mount, const char *group)
{
        _cleanup_free_ char *path = mem_printf("%s/%s/cgroup.kill", mount, group), *text = NULL;

        assert_int_equal(file_read(path, 16, &text, NULL, NULL), 0);
        return str_eq(text, "1");
}

static int note_name(void *userdata, const char *name)
{
        struct strbuf *b = userdata;

        strbuf_printf(b, "%s ", name);
        return 0;
}

static int remove_at_once(const struct hierarchies *h, const char *group, struct err *reterr)
{
        struct groups_end end = {0};

        return groups_remove(h, group, 0, &end, reterr);
}

static void groups_of_others_are_left_alone(void **state)
{
        char mount[] = "/tmp/up-test-XXXXXX";
        struct hierarchies h = {.n = 1};
        _cleanup_strbuf_ struct strbuf names = STRBUF_NULL;
        struct err err = ERR_NULL;
        size_t files = 0;

        str_copy(h.items[0].mount, sizeof(h.items[0].mount), mkdtemp(mount));
        put_group(mount, "fairlead.slice"); /* a systemd unit of that name */
        put_group(mount, "fairlead.dev");
        put_group(mount, "fairlead+theirs"); /* the prefix alone proves nothing */
        put_group(mount, "fairlead+ours");
        assert_int_equal(groups_make(&h, "fairlead+ours/node-1", &err), 0);
        assert_int_equal(groups_each(&h, note_name, &names), 0);
        assert_string_equal(names.data, "ours ");

        assert_int_equal(remove_at_once(&h, "fairlead+theirs", &err), -EPERM);
        assert_non_null(strstr(err.msg, "not made by fairctl"));
        assert_int_equal(remove_at_once(&h, "fairlead.slice", &err), -EPERM);
        assert_int_equal(remove_at_once(&h, "fairlead+ours", &err), -EBUSY); /* these are folders with files */
        assert_false(was_killed(mount, "fairlead+theirs"));
        assert_false(was_killed(mount, "fairlead.slice"));
        assert_true(was_killed(mount, "fairlead+ours"));
        assert_int_equal(remove_folder(mount, &files, NULL), 0);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(names_are_short_labels),
                cmocka_unit_test(clusters_have_networks_of_their_own),
                cmocka_unit_test(nodes_are_a_set_in_order),
                cmocka_unit_test(machines_run_what_they_are_there_for),
                cmocka_unit_test(networks_have_the_families_of_the_cluster),
                cmocka_unit_test(machines_are_found_by_name),
                cmocka_unit_test(hierarchies_are_those_that_limit_pods),
                cmocka_unit_test(groups_of_others_are_left_alone),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
