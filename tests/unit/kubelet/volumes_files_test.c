/* SPDX-License-Identifier: Apache-2.0 */
/* configMap, secret, projected and downwardAPI volumes, with real mounts in a mount namespace of its own. */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <unistd.h>

#include <cmocka.h>

#include "agent/kubelet/volumes/impl.h"
#include "base/clock.h"
#include "base/file.h"
#include "base/mem.h"
#include "base/str.h"
#include "unit/kubelet/podworld.h"

#define TMPFS 0x01021994

static struct podworld world;
static bool mounts;

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

static bool need_mounts(void)
{
        if (!mounts)
                print_message("# skip: mounts need root and a mount namespace\n");
        return mounts;
}

static char *path_of(const char *kind, const char *file)
{
        return mem_printf("%s/pods/u-1/volumes/%s/v/%s", world.root, kind, file);
}

/* What a file says; NULL: it is not there. */
static char *content(const char *kind, const char *file)
{
        _cleanup_free_ char *path = path_of(kind, file);
        char *text = NULL;
        size_t n;

        return file_read(path, 1 << 20, &text, &n, NULL) ? NULL : text;
}

static void assert_content(const char *kind, const char *file, const char *want)
{
        _cleanup_free_ char *text = content(kind, file);

        if (!str_eq(text, want))
                fail_msg("%s/%s: \"%s\", not \"%s\"", kind, file, text ?: "(none)", want ?: "(none)");
}

static struct stat stat_of(const char *kind, const char *file)
{
        _cleanup_free_ char *path = path_of(kind, file);
        struct stat st = {0};

        if (stat(path, &st))
                fail_msg("%s: %s", path, strerror(errno));
        return st;
}

static void assert_mode(const char *kind, const char *file, mode_t want)
{
        struct stat st = stat_of(kind, file);

        if ((st.st_mode & 07777) != want)
                fail_msg("%s: mode %o, not %o", file, st.st_mode & 07777, want);
}

/* Entries of the volume in order, generations as "@". */
static void assert_entries(const char *kind, const char *want)
{
        _cleanup_free_ char *path = path_of(kind, "");
        _cleanup_strbuf_ struct strbuf b = STRBUF_NULL;
        struct dirent **list;
        int n = scandir(path, &list, NULL, alphasort);

        assert_true(n >= 0);
        for (int i = 0; i < n; i++) {
                const char *name = list[i]->d_name;

                if (!str_eq(name, ".") && !str_eq(name, ".."))
                        strbuf_printf(&b, "%s ", str_has_prefix(name, "..20") ? "@" : name);
                free(list[i]);
        }
        free(list);
        assert_string_equal(b.data ?: "", want);
}

static struct json_object *pod_with(const char *volume, const char *more)
{
        _cleanup_free_ char *json = mem_printf(
                "{\"metadata\":{\"labels\":{\"b\":\"2\",\"a\":\"x \\\"y\\\"\"},\"annotations\":{\"k\":\"v\"}},"
                "\"spec\":{\"volumes\":[{\"name\":\"v\",%s}],\"containers\":[{\"name\":\"c\",\"resources\":{"
                "\"limits\":{\"cpu\":\"1500m\"},\"requests\":{\"memory\":\"1Mi\"}}}]%s}}",
                volume, more);

        return podworld_pod(json);
}

static int prepare(const struct json_object *pod, struct err *err)
{
        podworld_settle(&world, pod);
        return volumes_prepare(world.volumes, pod, err);
}

static void assert_prepared(const struct json_object *pod)
{
        struct err err = ERR_NULL;

        if (prepare(pod, &err))
                fail_msg("%d: %s", err.code, err.msg);
}

#define CONFIG "\"configMap\":{\"name\":\"cm\"}"

static void a_config_map_is_files_behind_one_link(void **state)
{
        _cleanup_json_ struct json_object *pod = pod_with(CONFIG, "");

        podworld_put(&world,
                     "{\"kind\":\"ConfigMap\",\"metadata\":{\"name\":\"cm\"},\"data\":{\"a\":\"1\",\"b\":\"two\"},"
                     "\"binaryData\":{\"c\":\"AAEC\"}}");
        assert_prepared(pod);
        assert_content("configMap", "a", "1");
        assert_content("configMap", "..data/b", "two");
        assert_entries("configMap", "@ ..data a b c ");
        assert_mode("configMap", "a", 0644);
        assert_mode("configMap", "", 0777);
        assert_int_equal(stat_of("configMap", "c").st_size, 3);
}

static void items_choose_names_and_modes(void **state)
{
        _cleanup_json_ struct json_object *pod = pod_with(
                "\"configMap\":{\"name\":\"cm\",\"defaultMode\":416,\"items\":[{\"key\":\"a\",\"path\":\"d/e/x\"},"
                "{\"key\":\"b\",\"path\":\"y\",\"mode\":256}]}",
                "");

        podworld_put(&world, "{\"kind\":\"ConfigMap\",\"metadata\":{\"name\":\"cm\"},\"data\":{\"a\":\"1\",\"b\":\"2\","
                             "\"c\":\"3\"}}");
        assert_prepared(pod);
        assert_entries("configMap", "@ ..data d y ");
        assert_content("configMap", "d/e/x", "1");
        assert_mode("configMap", "d/e/x", 0640);
        assert_mode("configMap", "y", 0400);
}

static void what_is_missing_is_told_and_what_is_optional_is_not(void **state)
{
        static const struct {
                const char *volume, *message;
        } rows[] = {
                {CONFIG, "MountVolume.SetUp failed for volume \"v\" : configmap \"cm\" not found"},
                {"\"configMap\":{\"name\":\"cm\",\"optional\":true}", NULL},
                {"\"secret\":{\"secretName\":\"s\"}",
                 "MountVolume.SetUp failed for volume \"v\" : secret \"s\" not found"},
                {"\"configMap\":{\"name\":\"there\",\"items\":[{\"key\":\"no\",\"path\":\"x\"}]}",
                 "MountVolume.SetUp failed for volume \"v\" : configmap references non-existent config key: no"},
                {"\"configMap\":{\"name\":\"there\",\"optional\":true,\"items\":[{\"key\":\"no\",\"path\":\"x\"}]}",
                 NULL},
        };

        if (!need_mounts())
                skip();
        podworld_put(&world, "{\"kind\":\"ConfigMap\",\"metadata\":{\"name\":\"there\"},\"data\":{\"a\":\"1\"}}");
        for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
                _cleanup_json_ struct json_object *pod = pod_with(rows[i].volume, "");
                char uid[16];
                struct err err = ERR_NULL;
                int r;

                /* Another pod each: what one has been given stays. */
                snprintf(uid, sizeof(uid), "u-%zu", i + 1);
                json_set_str(json_get(pod, "metadata"), "uid", uid);
                r = prepare(pod, &err);
                assert_int_equal(r, rows[i].message ? -EAGAIN : 0);
                if (rows[i].message)
                        assert_string_equal(err.msg, rows[i].message);
        }
}

static void paths_that_lead_out_are_refused(void **state)
{
        static const char *const paths[] = {"../x", "a/../../x", "/x", "..x", "..data", "..", "", "./..data/x"};

        podworld_put(&world, "{\"kind\":\"ConfigMap\",\"metadata\":{\"name\":\"cm\"},\"data\":{\"a\":\"1\"}}");
        for (size_t i = 0; i < ARRAY_SIZE(paths); i++) {
                _cleanup_free_ char *volume = mem_printf(
                        "\"configMap\":{\"name\":\"cm\",\"items\":[{\"key\":\"a\",\"path\":\"%s\"}]}", paths[i]);
                _cleanup_json_ struct json_object *pod = pod_with(volume, "");
                struct err err = ERR_NULL;

                assert_int_equal(prepare(pod, &err), -EINVAL);
                assert_non_null(strstr(err.msg, "must be a relative path"));
        }
}

static void secrets_lie_in_memory(void **state)
{
        _cleanup_json_ struct json_object *pod = pod_with("\"secret\":{\"secretName\":\"s\",\"defaultMode\":256}",
                                                          ",\"securityContext\":{\"fsGroup\":2000}");
        _cleanup_free_ char *path = path_of("secret", "");
        struct statfs fs;

        if (!need_mounts())
                skip();
        podworld_put(&world, "{\"kind\":\"Secret\",\"metadata\":{\"name\":\"s\"},\"data\":{\"k\":\"aGlkZGVu\"}}");
        assert_prepared(pod);
        assert_content("secret", "k", "hidden");
        assert_int_equal(statfs(path, &fs), 0);
        assert_int_equal(fs.f_type, TMPFS);
        assert_mode("secret", "k", 0440); /* fsGroup may read it */
        assert_int_equal(stat_of("secret", "k").st_gid, 2000);
        assert_mode("secret", "..data", 02755);
}

static void the_downward_api_is_files(void **state)
{
        _cleanup_json_ struct json_object *pod = pod_with(
                "\"downwardAPI\":{\"items\":[{\"path\":\"labels\",\"fieldRef\":{\"fieldPath\":\"metadata.labels\"}},"
                "{\"path\":\"a\",\"fieldRef\":{\"fieldPath\":\"metadata.labels['a']\"}},"
                "{\"path\":\"name\",\"fieldRef\":{\"fieldPath\":\"metadata.name\"}},"
                "{\"path\":\"cpu\",\"resourceFieldRef\":{\"containerName\":\"c\",\"resource\":\"limits.cpu\"}},"
                "{\"path\":\"mem\",\"resourceFieldRef\":{\"containerName\":\"c\",\"resource\":\"requests.memory\","
                "\"divisor\":\"1Ki\"}}]}",
                "");

        if (!need_mounts())
                skip();
        assert_prepared(pod);
        assert_content("downwardAPI", "labels", "a=\"x \\\"y\\\"\"\nb=\"2\"");
        assert_content("downwardAPI", "a", "x \"y\"");
        assert_content("downwardAPI", "name", "p");
        assert_content("downwardAPI", "cpu", "2");
        assert_content("downwardAPI", "mem", "1024");
        json_set_str(json_at(pod, "metadata.labels"), "b", "3");
        assert_prepared(pod);
        assert_content("downwardAPI", "labels", "a=\"x \\\"y\\\"\"\nb=\"3\"");
        assert_entries("downwardAPI", "@ ..data a cpu labels mem name ");
}

/* As the kubelet does it: told of a change, it prepares the volumes again. */
struct updating {
        const struct json_object *pod;
        const char *want;
        int seen;
};

static bool is_updated(void *userdata)
{
        struct updating *u = userdata;
        _cleanup_free_ char *text = NULL;

        if (u->seen == world.changed)
                return false;
        u->seen = world.changed;
        assert_int_equal(volumes_prepare(world.volumes, u->pod, NULL), 0);
        text = content("configMap", "a");
        return str_eq(text, u->want);
}

static bool is_gone(void *userdata)
{
        struct json_object *o;

        return objects_get(world.objects, OBJECT_CONFIG_MAP, "ns", "cm", &o) == -ENOENT;
}

static void an_update_reaches_a_running_pod_within_a_second(void **state)
{
        _cleanup_json_ struct json_object *pod = pod_with(CONFIG, "");
        struct updating update = {pod, "2", 0};
        uint64_t before;

        podworld_put(&world,
                     "{\"kind\":\"ConfigMap\",\"metadata\":{\"name\":\"cm\"},\"data\":{\"a\":\"1\",\"gone\":\"x\"}}");
        assert_prepared(pod);
        update.seen = world.changed;
        before = clock_mono_ms();
        podworld_put(&world,
                     "{\"kind\":\"ConfigMap\",\"metadata\":{\"name\":\"cm\"},\"data\":{\"a\":\"2\",\"new\":\"y\"}}");
        podworld_until(&world, is_updated, &update);
        assert_string_equal(world.changed_uid, "u-1");
        assert_true(clock_mono_ms() - before < 1000);
        assert_content("configMap", "a", "2");
        assert_entries("configMap", "@ ..data a new ");
}

static void what_was_known_holds_when_the_object_goes(void **state)
{
        _cleanup_json_ struct json_object *pod = pod_with(CONFIG, "");

        podworld_put(&world, "{\"kind\":\"ConfigMap\",\"metadata\":{\"name\":\"cm\"},\"data\":{\"a\":\"1\"}}");
        assert_prepared(pod);
        podworld_delete(&world, "configmaps", "cm");
        podworld_until(&world, is_gone, NULL);
        assert_prepared(pod);
        assert_content("configMap", "a", "1");
}

static ino_t generation(void)
{
        return stat_of("configMap", "..data").st_ino;
}

static void nothing_is_written_twice_and_what_is_broken_is_mended(void **state)
{
        _cleanup_json_ struct json_object *pod = pod_with(CONFIG, "");
        _cleanup_free_ char *a = path_of("configMap", "a"), *stray = path_of("configMap", "stray"),
                            *half = path_of("configMap", "..2026_01_01_00_00_00.1"),
                            *tmp = path_of("configMap", "..data_tmp");
        ino_t first;

        podworld_put(&world, "{\"kind\":\"ConfigMap\",\"metadata\":{\"name\":\"cm\"},\"data\":{\"a\":\"1\"}}");
        assert_prepared(pod);
        first = generation();
        assert_prepared(pod);
        assert_true(generation() == first);
        /* As a kill in the middle leaves it. */
        assert_int_equal(unlink(a), 0);
        assert_int_equal(mkdir(half, 0755), 0);
        assert_int_equal(symlink("..2026_01_01_00_00_00.1", tmp), 0);
        assert_int_equal(mkdir(stray, 0755), 0);
        assert_prepared(pod);
        assert_true(generation() == first);
        assert_content("configMap", "a", "1");
        assert_entries("configMap", "@ ..data a ");
}

static bool token_is(void *userdata)
{
        struct json_object *pod = ((void **)userdata)[0];
        _cleanup_free_ char *text = NULL;

        if (volumes_prepare(world.volumes, pod, NULL))
                return false;
        text = content("projected", "t/token");
        return str_eq(text, ((void **)userdata)[1]);
}

#define TOKEN                                                                                                          \
        "\"projected\":{\"sources\":[{\"serviceAccountToken\":{\"path\":\"t/token\",\"audience\":\"x\","               \
        "\"expirationSeconds\":600}},{\"configMap\":{\"name\":\"cm\"}}]}"

static void tokens_are_asked_for_and_renewed(void **state)
{
        _cleanup_json_ struct json_object *pod = pod_with(TOKEN, ",\"serviceAccountName\":\"sa\"");
        _cleanup_json_ struct json_object *request = NULL;
        const void *want[] = {pod, "first"};
        struct err err = ERR_NULL;

        if (!need_mounts())
                skip();
        podworld_put(&world, "{\"kind\":\"ConfigMap\",\"metadata\":{\"name\":\"cm\"},\"data\":{\"a\":\"1\"}}");
        podworld_token(&world, "first", 2);
        assert_int_equal(prepare(pod, &err), -EAGAIN);
        podworld_until(&world, token_is, want);
        assert_content("projected", "a", "1");
        assert_mode("projected", "t/token", 0644);
        assert_int_equal(
                json_parse(podworld_token_request(&world), strlen(podworld_token_request(&world)), &request, NULL), 0);
        assert_string_equal(json_at_str(request, "spec.boundObjectRef.uid"), "u-1");
        assert_int_equal(json_at_i64(request, "spec.expirationSeconds", 0), 600);
        assert_string_equal(json_object_get_string(json_at(request, "spec.audiences")), "[ \"x\" ]");
        assert_int_equal(podworld_tokens_asked(&world), 1);
        podworld_token(&world, "second", 3600);
        want[1] = "second";
        podworld_until(&world, token_is, want);
        assert_int_equal(podworld_tokens_asked(&world), 2);
}

static bool says_forbidden(void *userdata)
{
        struct err err = ERR_NULL;

        return volumes_prepare(world.volumes, userdata, &err) == -EAGAIN &&
               str_eq(err.msg, "MountVolume.SetUp failed for volume \"v\" : failed to fetch token: no");
}

static void a_refused_token_is_told_and_tried_again(void **state)
{
        _cleanup_json_ struct json_object *pod =
                pod_with(TOKEN, ",\"securityContext\":{\"runAsUser\":1000},\"initContainers\":[{\"name\":\"i\"}]");
        const void *want[] = {pod, "late"};

        if (!need_mounts())
                skip();
        podworld_put(&world, "{\"kind\":\"ConfigMap\",\"metadata\":{\"name\":\"cm\"},\"data\":{\"a\":\"1\"}}");
        podworld_settle(&world, pod);
        podworld_until(&world, says_forbidden, pod);
        podworld_token(&world, "late", 3600);
        podworld_until(&world, token_is, want);
        assert_mode("projected", "t/token", 0600);
        assert_int_equal(stat_of("projected", "t/token").st_uid, 1000);
}

/* One generation at a time: every file of it says the same number, whatever the reader does. */
struct reader {
        char folder[256];
        atomic_bool stop;
        atomic_int torn, reads, missed;
};

static int number_in(int folder, const char *name)
{
        _cleanup_close_ int fd = openat(folder, name, O_RDONLY);
        char text[32] = "";

        return fd >= 0 && read(fd, text, sizeof(text) - 1) > 0 ? atoi(text) : -1;
}

static void *read_generations(void *arg)
{
        struct reader *r = arg;

        while (!atomic_load(&r->stop)) {
                _cleanup_free_ char *data = mem_printf("%s/..data", r->folder);
                _cleanup_close_ int fd = open(data, O_RDONLY | O_DIRECTORY);
                int a = fd < 0 ? -1 : number_in(fd, "a"), b = fd < 0 ? -1 : number_in(fd, "b");

                /* -1: it was removed between the link and the file, as upstream's; then the next one is there. */
                if (a >= 0 && b >= 0 && a != b)
                        atomic_fetch_add(&r->torn, 1);
                atomic_fetch_add(a >= 0 && b >= 0 ? &r->reads : &r->missed, 1);
        }
        return NULL;
}

static void readers_see_one_generation(void **state)
{
        struct reader reader = {.stop = false};
        pthread_t thread;

        snprintf(reader.folder, sizeof(reader.folder), "%s/gen", world.root);
        assert_int_equal(mkdir(reader.folder, 0755), 0);
        for (int i = 0; i < 300; i++) {
                char text[16];
                struct payload p = {.mem = &world.mem, .gid = i % 3 ? -1 : 7};
                struct err err = ERR_NULL;

                snprintf(text, sizeof(text), "%d", i);
                assert_int_equal(payload_add(&p, "a", text, strlen(text), 0644, &err), 0);
                if (rand() % 2)
                        assert_int_equal(payload_add(&p, "only/sometimes", text, strlen(text), 0644, &err), 0);
                assert_int_equal(payload_add(&p, "b", text, strlen(text), 0644, &err), 0);
                if (payload_write(&p, reader.folder, &err))
                        fail_msg("%s", err.msg);
                if (i == 0)
                        assert_int_equal(pthread_create(&thread, NULL, read_generations, &reader), 0);
        }
        atomic_store(&reader.stop, true);
        pthread_join(thread, NULL);
        assert_true(atomic_load(&reader.reads) > 100);
        assert_int_equal(atomic_load(&reader.torn), 0);
        assert_true(atomic_load(&reader.missed) < atomic_load(&reader.reads));
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test_setup_teardown(a_config_map_is_files_behind_one_link, setup, teardown),
                cmocka_unit_test_setup_teardown(items_choose_names_and_modes, setup, teardown),
                cmocka_unit_test_setup_teardown(what_is_missing_is_told_and_what_is_optional_is_not, setup, teardown),
                cmocka_unit_test_setup_teardown(paths_that_lead_out_are_refused, setup, teardown),
                cmocka_unit_test_setup_teardown(secrets_lie_in_memory, setup, teardown),
                cmocka_unit_test_setup_teardown(the_downward_api_is_files, setup, teardown),
                cmocka_unit_test_setup_teardown(an_update_reaches_a_running_pod_within_a_second, setup, teardown),
                cmocka_unit_test_setup_teardown(what_was_known_holds_when_the_object_goes, setup, teardown),
                cmocka_unit_test_setup_teardown(nothing_is_written_twice_and_what_is_broken_is_mended, setup, teardown),
                cmocka_unit_test_setup_teardown(tokens_are_asked_for_and_renewed, setup, teardown),
                cmocka_unit_test_setup_teardown(a_refused_token_is_told_and_tried_again, setup, teardown),
                cmocka_unit_test_setup_teardown(readers_see_one_generation, setup, teardown),
        };

        mounts = podworld_private_mounts();
        return cmocka_run_group_tests(tests, NULL, NULL);
}
