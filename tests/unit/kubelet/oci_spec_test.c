/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#include "agent/kubelet/runtime/builtin/oci_caps.h"
#include "agent/kubelet/runtime/builtin/oci_spec.h"
#include "base/str.h"
#include "base/strbuf.h"

static const char *const argv[] = {"/bin/app", "-x", NULL};
static const char *const env[] = {"A=1", NULL};

/* A container as small as one can be; tests change what they are about. */
struct fixture {
        struct container_config config;
        struct oci_input in;
};

static struct fixture *plain(struct fixture *f)
{
        *f = (struct fixture){
                .config = {.name = "c",
                           .argv = argv,
                           .env = env,
                           .security = {.uid = -1, .gid = -1},
                           .resources = {-1, -1, -1, -1, -1, -1, -1, NULL}},
                .in = {.namespaces = {"", "/n", "/i", "/u"},
                       .rootfs = "/r",
                       .shm = "/shm",
                       .hostname = "h",
                       .capabilities = UINT64_MAX},
        };
        f->in.config = &f->config;
        return f;
}

static struct json_object *spec_of(const struct fixture *f)
{
        struct json_object *o = NULL;
        struct err err = ERR_NULL;

        if (oci_spec(&f->in, &o, &err))
                fail_msg("%s", err.msg);
        return o;
}

static void assert_json(const struct json_object *o, const char *path, const char *want)
{
        struct json_object *at = json_at(o, path);
        _cleanup_free_ char *text = at ? json_text(at) : strdup("absent");

        assert_string_equal(text, want);
}

static void the_plain_container_is_as_containerd_makes_it(void **state)
{
        struct fixture f;
        _cleanup_json_ struct json_object *o = spec_of(plain(&f));

        assert_json(o, "process.args", "[\"/bin/app\",\"-x\"]");
        assert_json(o, "process.env",
                    "[\"PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin\","
                    "\"HOSTNAME=h\",\"A=1\"]");
        assert_json(o, "process.cwd", "\"/\"");
        assert_json(o, "process.user", "{\"uid\":0,\"gid\":0,\"additionalGids\":[0]}");
        assert_json(o, "process.oomScoreAdj", "absent");
        assert_json(o, "root", "{\"path\":\"/r\",\"readonly\":false}");
        assert_json(o, "linux.namespaces",
                    "[{\"type\":\"pid\"},{\"type\":\"network\",\"path\":\"/n\"},{\"type\":\"ipc\",\"path\":\"/i\"},"
                    "{\"type\":\"uts\",\"path\":\"/u\"},{\"type\":\"mount\"},{\"type\":\"cgroup\"}]");
        assert_json(o, "process.capabilities.bounding",
                    "[\"CAP_CHOWN\",\"CAP_DAC_OVERRIDE\",\"CAP_FOWNER\",\"CAP_FSETID\",\"CAP_KILL\",\"CAP_SETGID\","
                    "\"CAP_SETUID\",\"CAP_SETPCAP\",\"CAP_NET_BIND_SERVICE\",\"CAP_NET_RAW\",\"CAP_SYS_CHROOT\","
                    "\"CAP_MKNOD\",\"CAP_AUDIT_WRITE\",\"CAP_SETFCAP\"]");
        assert_int_equal(json_len(json_at(o, "linux.maskedPaths")), 12);
        assert_int_equal(json_len(json_at(o, "linux.readonlyPaths")), 5);
        assert_string_equal(json_at_str(o, "linux.seccomp.defaultAction"), "SCMP_ACT_ERRNO");
}

static void what_the_node_shares_is_no_namespace(void **state)
{
        struct fixture f;
        _cleanup_json_ struct json_object *o = NULL;

        plain(&f)->in.namespaces = (struct oci_namespaces){NULL, NULL, NULL, NULL};
        o = spec_of(&f);
        assert_json(o, "linux.namespaces", "[{\"type\":\"mount\"},{\"type\":\"cgroup\"}]");
}

static void privileged_lifts_every_fence(void **state)
{
        struct fixture f;
        _cleanup_json_ struct json_object *o = NULL;

        plain(&f)->config.security.privileged = true;
        o = spec_of(&f);
        assert_int_equal(json_len(json_at(o, "process.capabilities.bounding")), 41);
        assert_json(o, "linux.seccomp", "absent");
        assert_json(o, "linux.maskedPaths", "absent");
        assert_json(o, "linux.readonlyPaths", "absent");
}

static void capabilities_follow_kubernetes_rules(void **state)
{
        static const struct {
                const char *add[3], *drop[3];
                bool privileged;
                const char *want;
        } table[] = {
                {{"NET_ADMIN"}, {"ALL"}, false, "[\"CAP_NET_ADMIN\"]"},
                {{"cap_net_admin"}, {"all"}, false, "[\"CAP_NET_ADMIN\"]"},
                {{NULL}, {"ALL"}, false, "[]"},
                {{"ALL"}, {"ALL"}, false, "[\"CAP_CHOWN\",\"CAP_NET_ADMIN\",\"CAP_NET_RAW\"]"},
                {{"ALL"}, {"NET_RAW"}, false, "[\"CAP_CHOWN\",\"CAP_NET_ADMIN\"]"},
                {{NULL}, {"CHOWN"}, false, "[\"CAP_NET_RAW\"]"},
                {{NULL}, {"ALL"}, true, "[\"CAP_CHOWN\",\"CAP_NET_ADMIN\",\"CAP_NET_RAW\"]"},
        };
        const uint64_t available = 1ULL << 0 | 1ULL << 12 | 1ULL << 13; /* CHOWN, NET_ADMIN, NET_RAW */
        struct err err = ERR_NULL;
        uint64_t set;

        for (size_t i = 0; i < ARRAY_SIZE(table); i++) {
                _cleanup_json_ struct json_object *o = NULL;
                _cleanup_free_ char *text = NULL;

                assert_int_equal(caps_choose(table[i].add, table[i].drop, available, table[i].privileged, &set, &err),
                                 0);
                o = caps_names(set);
                text = json_text(o);
                assert_string_equal(text, table[i].want);
        }
        assert_int_equal(caps_choose((const char *[]){"FLY", NULL}, NULL, available, false, &set, &err), -EINVAL);
        assert_non_null(strstr(err.msg, "\"FLY\""));
}

static bool names(const struct json_object *rule, const char *name)
{
        json_array_foreach (json_get(rule, "names"), i, n) {
                if (str_eq(json_object_get_string(n), name))
                        return true;
        }
        return false;
}

/* The first rule for that call. */
static const struct json_object *rule_for(const struct json_object *o, const char *name)
{
        json_array_foreach (json_at(o, "linux.seccomp.syscalls"), i, rule) {
                if (names(rule, name))
                        return rule;
        }
        return NULL;
}

static void seccomp_follows_the_capabilities(void **state)
{
        static const char *const admin[] = {"SYS_ADMIN", "SYS_TIME", NULL};
        struct fixture f;
        _cleanup_json_ struct json_object *o = spec_of(plain(&f)), *with = NULL;

        assert_non_null(rule_for(o, "openat"));
        assert_null(rule_for(o, "mount"));
        assert_null(rule_for(o, "bpf"));
        assert_null(rule_for(o, "keyctl"));
        assert_null(rule_for(o, "clock_settime"));
        assert_non_null(rule_for(o, "chroot"));
        assert_int_equal(json_get_i64(rule_for(o, "clone3"), "errnoRet", 0), ENOSYS);
        assert_string_equal(json_at_str(json_idx(json_get(rule_for(o, "clone"), "args"), 0), "op"),
                            "SCMP_CMP_MASKED_EQ");
        f.config.security.add = admin;
        with = spec_of(&f);
        assert_non_null(rule_for(with, "mount"));
        assert_non_null(rule_for(with, "clock_settime"));
        assert_string_equal(json_get_str(rule_for(with, "clone3"), "action"), "SCMP_ACT_ALLOW");
        assert_null(json_get(rule_for(with, "clone"), "args"));
}

static void a_compiled_profile_goes_only_where_it_is_meant(void **state)
{
        struct fixture f;
        _cleanup_json_ struct json_object *with = NULL, *without = NULL;

        plain(&f)->in.compiled_seccomp = "QUJD";
        with = spec_of(&f);
        assert_json(with, "annotations", "{\"run.oci.seccomp_bpf_data\":\"QUJD\"}");
        assert_string_equal(json_at_str(with, "linux.seccomp.defaultAction"), "SCMP_ACT_ERRNO");
        f.config.security.seccomp = SECCOMP_UNCONFINED;
        without = spec_of(&f);
        assert_json(without, "annotations", "absent");
}

static void inner_mounts_come_after_outer_ones(void **state)
{
        static const struct container_mount mounts[] = {
                {"/v/deep", "/data/x/y", .read_only = true},
                {"/v/hosts", "/etc/hosts", .propagation = PROPAGATION_HOST_TO_CONTAINER},
                {"/v/data", "/data", .recursive_read_only = true, .read_only = true},
                {"/v/shm", "/dev/shm", .read_only = false},
        };
        static const char *const want[] = {"/proc",          "/dev",  "/dev/pts",   "/dev/mqueue", "/sys",
                                           "/sys/fs/cgroup", "/data", "/etc/hosts", "/dev/shm",    "/data/x/y"};
        _cleanup_json_ struct json_object *o = NULL;
        struct json_object *list;
        struct fixture f;

        plain(&f)->config.mounts = mounts;
        f.config.nmounts = ARRAY_SIZE(mounts);
        o = spec_of(&f);
        list = json_get(o, "mounts");
        assert_int_equal(json_len(list), ARRAY_SIZE(want));
        for (size_t i = 0; i < ARRAY_SIZE(want); i++)
                assert_string_equal(json_get_str(json_idx(list, i), "destination"), want[i]);
        assert_json(json_idx(list, 6), "options", "[\"rbind\",\"rprivate\",\"rro\"]");
        assert_json(json_idx(list, 7), "options", "[\"rbind\",\"rslave\",\"rw\"]");
        assert_json(json_idx(list, 9), "options", "[\"rbind\",\"rprivate\",\"ro\"]");
        assert_json(o, "linux.rootfsPropagation", "\"rslave\"");
}

static void what_cannot_be_meant_is_refused(void **state)
{
        static const char *const bad[] = {"", "relative", "/a/../b", "/.."};
        struct container_mount m = {.source = "/v"};
        struct json_object *o = NULL;
        struct err err = ERR_NULL;
        struct fixture f;

        for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
                m.target = bad[i];
                plain(&f)->config.mounts = &m;
                f.config.nmounts = 1;
                assert_int_equal(oci_spec(&f.in, &o, &err), -EINVAL);
                assert_non_null(strstr(err.msg, "mountPath"));
        }
        plain(&f)->config.argv = NULL;
        assert_int_equal(oci_spec(&f.in, &o, &err), -EINVAL);
        assert_string_equal(err.msg, "no command specified");
        plain(&f)->config.security.seccomp = SECCOMP_LOCALHOST;
        assert_int_equal(oci_spec(&f.in, &o, &err), -EINVAL);
}

static void oom_scores_are_raised_to_what_can_be_given(void **state)
{
        struct fixture f;
        _cleanup_json_ struct json_object *o = NULL;

        plain(&f)->config.resources.oom_score_adj = -997;
        f.in.oom_score_adj_min = -10;
        o = spec_of(&f);
        assert_json(o, "process.oomScoreAdj", "-10");
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(the_plain_container_is_as_containerd_makes_it),
                cmocka_unit_test(what_the_node_shares_is_no_namespace),
                cmocka_unit_test(privileged_lifts_every_fence),
                cmocka_unit_test(capabilities_follow_kubernetes_rules),
                cmocka_unit_test(seccomp_follows_the_capabilities),
                cmocka_unit_test(a_compiled_profile_goes_only_where_it_is_meant),
                cmocka_unit_test(inner_mounts_come_after_outer_ones),
                cmocka_unit_test(what_cannot_be_meant_is_refused),
                cmocka_unit_test(oom_scores_are_raised_to_what_can_be_given),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
