/* SPDX-License-Identifier: Apache-2.0 */
/* emptyDir, hostPath, subPath and the removal of them, where pods do their worst. */
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
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/statfs.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "agent/kubelet/volumes/impl.h"
#include "agent/kubelet/volumes/subpath.h"
#include "agent/kubelet/volumes/tree.h"
#include "base/clock.h"
#include "base/file.h"
#include "base/mem.h"
#include "base/random.h"
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

/* In the arena of the world. */
static char *at(const char *path)
{
        return arena_printf(&world.mem, "%s/%s", world.root, path);
}

static void put_file(const char *path, const char *text)
{
        FILE *f = fopen(path, "w");

        assert_non_null(f);
        assert_true(fputs(text, f) >= 0);
        fclose(f);
}

static bool there(const char *path)
{
        struct stat st;

        return lstat(path, &st) == 0;
}

static void assert_says(const char *path, const char *want)
{
        _cleanup_free_ char *text = NULL;
        size_t n;

        if (file_read(path, 4096, &text, &n, NULL))
                fail_msg("%s cannot be read", path);
        assert_string_equal(text, want);
}

static struct json_object *pod_with(const char *volume, const char *more)
{
        _cleanup_free_ char *json =
                mem_printf("{\"spec\":{\"volumes\":[{\"name\":\"v\"%s%s}],\"containers\":[{\"name\":"
                           "\"c\",\"resources\":{\"limits\":{\"memory\":\"8Mi\"}}}]%s}}",
                           *volume ? "," : "", volume, more);

        return podworld_pod(json);
}

static void assert_prepared(const struct json_object *pod)
{
        struct err err = ERR_NULL;

        if (volumes_prepare(world.volumes, pod, &err))
                fail_msg("%d: %s", err.code, err.msg);
}

/* The source of a mount, in the arena; NULL: refused, see err. */
static char *source(const struct json_object *pod, const char *sub, struct err *err)
{
        char *path = NULL, *copy;
        bool read_only;

        if (volumes_mount_source(world.volumes, pod, "v", sub, "c", 0, &path, &read_only, err))
                return NULL;
        copy = arena_strdup(&world.mem, path);
        free(path);
        return copy;
}

struct removed {
        bool done;
        int result;
        char message[256];
};

static void note_removed(void *userdata, int result, const char *message)
{
        struct removed *r = userdata;

        *r = (struct removed){.done = true, .result = result};
        str_copy(r->message, sizeof(r->message), message);
}

static bool is_done(void *userdata)
{
        return ((struct removed *)userdata)->done;
}

static void assert_removed(void)
{
        struct removed r = {0};

        volumes_remove(world.volumes, "u-1", note_removed, &r);
        assert_false(r.done); /* never from within the call */
        podworld_until(&world, is_done, &r);
        if (r.result)
                fail_msg("%d: %s", r.result, r.message);
        assert_false(there(at("pods/u-1")));
}

static void an_empty_dir_is_made_once(void **state)
{
        _cleanup_json_ struct json_object *pod = pod_with("\"emptyDir\":{}", ",\"securityContext\":{\"fsGroup\":2000}");
        char *path = at("pods/u-1/volumes/emptyDir/v");
        struct stat st;

        if (!need_mounts())
                skip();
        assert_prepared(pod);
        assert_string_equal(source(pod, NULL, NULL), path);
        assert_int_equal(stat(path, &st), 0);
        assert_int_equal(st.st_mode & 07777, 02777);
        assert_int_equal(st.st_gid, 2000);
        /* What the pod does to it stays. */
        assert_int_equal(chmod(path, 0700), 0);
        assert_prepared(pod);
        assert_int_equal(stat(path, &st), 0);
        assert_int_equal(st.st_mode & 07777, 0700);
        assert_removed();
}

static void an_empty_dir_in_memory_has_a_size(void **state)
{
        static const struct {
                const char *volume;
                uint64_t bytes;
        } rows[] = {
                {"\"emptyDir\":{\"medium\":\"Memory\",\"sizeLimit\":\"2Mi\"}", 2 << 20},
                {"\"emptyDir\":{\"medium\":\"Memory\",\"sizeLimit\":\"1Gi\"}", 8 << 20}, /* the pod's limit */
                {"\"emptyDir\":{\"medium\":\"Memory\"}", 8 << 20},
        };

        if (!need_mounts())
                skip();
        for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
                _cleanup_json_ struct json_object *pod = pod_with(rows[i].volume, "");
                char *path = at("pods/u-1/volumes/emptyDir/v");
                struct statfs fs;
                struct stat st;

                assert_prepared(pod);
                assert_prepared(pod);
                assert_int_equal(statfs(path, &fs), 0);
                assert_int_equal(fs.f_type, TMPFS);
                assert_int_equal((uint64_t)fs.f_blocks * (uint64_t)fs.f_bsize, rows[i].bytes);
                assert_int_equal(stat(path, &st), 0);
                assert_int_equal(st.st_mode & 07777, 0777);
                put_file(at("pods/u-1/volumes/emptyDir/v/x"), "x");
                assert_removed();
        }
}

static void usage_counts_what_lies_on_the_disk(void **state)
{
        _cleanup_json_ struct json_object *pod = pod_with("\"emptyDir\":{}", "");
        char block[65536] = "x", *file = at("pods/u-1/volumes/emptyDir/v/d/file"), *other;
        uint64_t before, after;
        int fd;

        assert_prepared(pod);
        before = volumes_usage(world.volumes, "u-1", NULL);
        assert_int_equal(mkdir(at("pods/u-1/volumes/emptyDir/v/d"), 0755), 0);
        fd = open(file, O_WRONLY | O_CREAT, 0644);
        assert_int_equal(write(fd, block, sizeof(block)), sizeof(block));
        fsync(fd);
        close(fd);
        other = at("pods/u-1/volumes/emptyDir/v/same");
        assert_int_equal(link(file, other), 0); /* counts once */
        assert_int_equal(symlink("/usr", at("pods/u-1/volumes/emptyDir/v/usr")), 0);
        after = volumes_usage(world.volumes, "u-1", "v");
        assert_true(after >= before + sizeof(block) && after < before + 2 * sizeof(block));
        assert_int_equal(volumes_usage(world.volumes, "u-1", "w"), 0);
        assert_int_equal(volumes_usage(world.volumes, "../u-1", NULL), 0);
}

static void host_paths_are_checked_in_upstreams_words(void **state)
{
        static const struct {
                const char *path, *type, *message; /* NULL: it is fine */
        } rows[] = {
                {"dir", "", NULL},
                {"dir", "Directory", NULL},
                {"file", "Directory", "hostPath type check failed: %s is not a directory"},
                {"no", "Directory", "hostPath type check failed: %s is not a directory"},
                {"dir", "File", "hostPath type check failed: %s is not a file"},
                {"file", "File", NULL},
                {"no", "File", "hostPath type check failed: %s is not a file"},
                {"file", "DirectoryOrCreate", "hostPath type check failed: %s is not a directory"},
                {"new/a/b", "DirectoryOrCreate", NULL},
                {"newfile", "FileOrCreate", NULL},
                {"dir", "FileOrCreate", "hostPath type check failed: %s is not a file"},
                {"file", "Socket", "hostPath type check failed: %s is not a socket file"},
                {"file", "CharDevice", "hostPath type check failed: %s is not a character device"},
                {"file", "BlockDevice", "hostPath type check failed: %s is not a block device"},
                {"dir", "Odd", "Odd is an invalid volume type"},
                {"made", "", NULL},
        };

        mkdir(at("dir"), 0755);
        put_file(at("file"), "");
        for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
                char *path = at(rows[i].path),
                     *volume = arena_printf(&world.mem, "\"hostPath\":{\"path\":\"%s\",\"type\":\"%s\"}", path,
                                            rows[i].type);
                _cleanup_json_ struct json_object *pod = pod_with(volume, "");
                struct err err = ERR_NULL;
                int r = volumes_prepare(world.volumes, pod, &err);

                if (!rows[i].message) {
                        assert_int_equal(r, 0);
                        assert_true(there(path));
                        continue;
                }
                assert_true(r < 0);
                assert_string_equal(strstr(err.msg, " : ") + 3,
                                    strchr(rows[i].message, '%')
                                            ? arena_printf(&world.mem, "%.*s%s%s", (int)strcspn(rows[i].message, "%"),
                                                           rows[i].message, path, strchr(rows[i].message, '%') + 2)
                                            : rows[i].message);
        }
        {
                _cleanup_json_ struct json_object *pod =
                        pod_with("\"hostPath\":{\"path\":\"/dev/null\",\"type\":\"CharDevice\"}", "");

                assert_prepared(pod);
        }
}

/* A volume v beside a secret file `outside/secret`, which nothing may reach. */
static struct json_object *hostile_pod(void)
{
        struct json_object *pod = pod_with("\"emptyDir\":{}", "");

        assert_prepared(pod);
        assert_int_equal(mkdir(at("outside"), 0755), 0);
        put_file(at("outside/secret"), "hidden");
        return pod;
}

static char *in_volume(const char *path)
{
        return arena_printf(&world.mem, "%s/pods/u-1/volumes/emptyDir/v/%s", world.root, path);
}

static void a_host_path_that_is_mounted_is_not_looked_at_again(void **state)
{
        const char *path = at("away");
        _cleanup_json_ struct json_object *pod = pod_with(
                arena_printf(&world.mem, "\"hostPath\":{\"path\":\"%s\",\"type\":\"DirectoryOrCreate\"}", path), "");

        assert_int_equal(volumes_prepare(world.volumes, pod, NULL), 0);
        assert_true(there(path));
        assert_int_equal(rmdir(path), 0);
        assert_int_equal(volumes_refresh(world.volumes, pod, NULL), 0);
        assert_false(there(path));
}

static void sub_paths_stay_in_their_volume(void **state)
{
        static const struct {
                const char *path;
                bool fine;
        } rows[] = {
                {"plain", true},     {"made/of/many", true}, {"inner", true},       {"inner/x", true},
                {"up", false},       {"absolute", false},    {"up/secret", false},  {"absolute/new", false},
                {"proc", false},     {"dangling", false},    {"dangling/x", false}, {"../v/plain", false},
                {"plain/..", false}, {"/etc", false},        {"loop", false},       {"deep/back", true},
                {"deep/out", false}, {"file", true},         {"file/x", false},     {".", true},
        };
        _cleanup_json_ struct json_object *pod = NULL;

        if (!need_mounts())
                skip();
        pod = hostile_pod();
        assert_int_equal(mkdir(in_volume("plain"), 0755), 0);
        assert_int_equal(mkdir(in_volume("deep"), 0755), 0);
        put_file(in_volume("file"), "");
        assert_int_equal(symlink("plain", in_volume("inner")), 0);
        assert_int_equal(symlink("../../../../../outside", in_volume("up")), 0);
        assert_int_equal(symlink(at("outside"), in_volume("absolute")), 0);
        assert_int_equal(symlink("/proc/self/root", in_volume("proc")), 0);
        assert_int_equal(symlink("../../../../../outside/new", in_volume("dangling")), 0);
        assert_int_equal(symlink("loop", in_volume("loop")), 0);
        assert_int_equal(symlink("../plain", in_volume("deep/back")), 0);
        assert_int_equal(symlink("../../plain", in_volume("deep/out")), 0);
        for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
                struct err err = ERR_NULL;
                char *path = source(pod, rows[i].path, &err);

                if (!path != !rows[i].fine)
                        fail_msg("%s: %s", rows[i].path, path ?: err.msg);
                if (path)
                        assert_true(is_mount(path));
                else
                        assert_non_null(strstr(err.msg, "failed to prepare subPath for volumeMount \"v\""));
        }
        assert_false(there(at("outside/new")));
        assert_removed();
        assert_says(at("outside/secret"), "hidden");
}

static void what_is_made_for_a_sub_path_has_the_volumes_mode(void **state)
{
        _cleanup_json_ struct json_object *pod = pod_with("\"emptyDir\":{}", ",\"securityContext\":{\"fsGroup\":2000}");
        struct stat st;

        if (!need_mounts())
                skip();
        assert_prepared(pod);
        assert_non_null(source(pod, "a/b", NULL));
        assert_int_equal(stat(in_volume("a/b"), &st), 0);
        assert_int_equal(st.st_mode & 07777, 02777);
        assert_int_equal(st.st_gid, 2000);
        assert_removed();
}

/* Somebody in the container exchanges a folder and a link to the outside as fast as he can. */
struct swapper {
        char folder[256];
        atomic_bool stop;
        atomic_long swaps;
};

static void *swap(void *arg)
{
        struct swapper *s = arg;
        int fd = open(s->folder, O_RDONLY | O_DIRECTORY);

        while (!atomic_load(&s->stop)) {
                renameat2(fd, "a", fd, "b", RENAME_EXCHANGE);
                atomic_fetch_add(&s->swaps, 1);
        }
        close(fd);
        return NULL;
}

static void no_race_leads_out_of_a_volume(void **state)
{
        _cleanup_json_ struct json_object *pod = NULL;
        struct swapper s = {.stop = false};
        size_t inside = 0, refused = 0;
        struct stat outside;
        pthread_t thread;

        if (!need_mounts())
                skip();
        pod = hostile_pod();
        assert_int_equal(mkdir(at("outside/x"), 0755), 0);
        assert_int_equal(stat(at("outside/x"), &outside), 0);
        assert_int_equal(mkdir(in_volume("a"), 0755), 0);
        assert_int_equal(symlink("../../../../../outside", in_volume("b")), 0);
        snprintf(s.folder, sizeof(s.folder), "%s", in_volume(""));
        assert_int_equal(pthread_create(&thread, NULL, swap, &s), 0);
        for (uint64_t now = clock_mono_ms(), enough = now + 500, end = now + 10000;
             now < enough || ((inside <= 20 || refused <= 20) && now < end); now = clock_mono_ms()) {
                struct err err = ERR_NULL;
                char *path = source(pod, inside % 2 ? "a/x" : "a/x/y", &err);
                struct stat st;

                if (!path) {
                        refused++;
                        continue;
                }
                inside++;
                assert_int_equal(stat(path, &st), 0);
                assert_true(st.st_ino != outside.st_ino);
        }
        atomic_store(&s.stop, true);
        pthread_join(thread, NULL);
        assert_true(inside > 20 && refused > 20 && atomic_load(&s.swaps) > 1000);
        assert_false(there(at("outside/x/y")));
        assert_removed();
        assert_says(at("outside/secret"), "hidden");
}

static void a_sub_path_keeps_what_it_was_bound_to(void **state)
{
        _cleanup_json_ struct json_object *pod = NULL;
        char *path;

        if (!need_mounts())
                skip();
        pod = hostile_pod();
        assert_int_equal(mkdir(in_volume("a"), 0755), 0);
        put_file(in_volume("a/mine"), "mine");
        path = source(pod, "a", NULL);
        assert_non_null(path);
        assert_int_equal(rename(in_volume("a"), in_volume("elsewhere")), 0);
        assert_int_equal(symlink(at("outside"), in_volume("a")), 0);
        assert_says(arena_printf(&world.mem, "%s/mine", path), "mine");
        /* Asked for again, it is looked at again. */
        assert_null(source(pod, "a", NULL));
        assert_removed();
        assert_says(at("outside/secret"), "hidden");
}

static void a_file_of_a_config_map_can_be_a_sub_path(void **state)
{
        _cleanup_json_ struct json_object *pod = pod_with("\"configMap\":{\"name\":\"cm\"}", "");
        char *path;
        bool read_only = false;

        if (!need_mounts())
                skip();
        podworld_put(&world, "{\"kind\":\"ConfigMap\",\"metadata\":{\"name\":\"cm\"},\"data\":{\"a\":\"1\"}}");
        podworld_settle(&world, pod);
        assert_prepared(pod);
        assert_int_equal(volumes_mount_source(world.volumes, pod, "v", "a", "c", 0, &path, &read_only, NULL), 0);
        assert_true(read_only);
        assert_says(path, "1");
        free(path);
        assert_removed();
}

static void removal_never_follows_and_never_crosses(void **state)
{
        _cleanup_json_ struct json_object *pod = NULL;
        char *bound, *stacked;

        if (!need_mounts())
                skip();
        pod = hostile_pod();
        assert_int_equal(mkdir(at("outside/folder"), 0755), 0);
        put_file(at("outside/folder/precious"), "precious");
        assert_int_equal(symlink(at("outside"), in_volume("link")), 0);
        assert_int_equal(symlink("../../../../../outside", in_volume("up")), 0);
        assert_int_equal(link(at("outside/secret"), in_volume("hard")), 0);
        /* Mounts that somebody left in it: a folder, twice, and a file. */
        bound = in_volume("bound");
        stacked = in_volume("file");
        assert_int_equal(mkdir(bound, 0755), 0);
        put_file(stacked, "");
        assert_int_equal(mount(at("outside"), bound, NULL, MS_BIND, NULL), 0);
        assert_int_equal(mount(at("outside/folder"), bound, NULL, MS_BIND, NULL), 0);
        assert_int_equal(mount(at("outside/secret"), stacked, NULL, MS_BIND, NULL), 0);
        assert_removed();
        assert_says(at("outside/secret"), "hidden");
        assert_says(at("outside/folder/precious"), "precious");
}

/* The same without the list of mounts: the walk itself stops at them. */
static void a_walk_takes_mounts_away_instead_of_entering_them(void **state)
{
        int root;

        if (!need_mounts())
                skip();
        assert_int_equal(mkdir(at("outside"), 0755), 0);
        put_file(at("outside/secret"), "hidden");
        assert_int_equal(mkdir(at("tree"), 0755), 0);
        assert_int_equal(mkdir(at("tree/m"), 0755), 0);
        put_file(at("tree/f"), "");
        assert_int_equal(mount(at("outside"), at("tree/m"), NULL, MS_BIND, NULL), 0);
        assert_int_equal(mount(at("outside"), at("tree/m"), NULL, MS_BIND, NULL), 0);
        assert_int_equal(mount(at("outside/secret"), at("tree/f"), NULL, MS_BIND, NULL), 0);
        root = open(world.root, O_RDONLY | O_DIRECTORY);
        assert_int_equal(tree_remove(root, "tree"), 0);
        close(root);
        assert_false(there(at("tree")));
        assert_says(at("outside/secret"), "hidden");
}

static void a_busy_mount_goes_lazily(void **state)
{
        _cleanup_json_ struct json_object *pod = pod_with("\"emptyDir\":{\"medium\":\"Memory\"}", "");
        int fd;

        if (!need_mounts())
                skip();
        assert_prepared(pod);
        put_file(in_volume("open"), "still");
        fd = open(in_volume("open"), O_RDONLY);
        assert_removed();
        close(fd);
}

static void trees_may_be_deeper_than_descriptors(void **state)
{
        _cleanup_json_ struct json_object *pod = pod_with("\"emptyDir\":{}", "");
        int fd, next, depth = 5000;

        assert_prepared(pod);
        fd = open(in_volume(""), O_RDONLY | O_DIRECTORY);
        for (int i = 0; i < depth; i++) {
                assert_int_equal(mkdirat(fd, "d", 0755), 0);
                next = openat(fd, "d", O_RDONLY | O_DIRECTORY);
                assert_true(next >= 0);
                close(fd);
                fd = next;
        }
        close(fd);
        assert_true(volumes_usage(world.volumes, "u-1", NULL) == UINT64_MAX);
        assert_removed();
}

/* Another process removes and is killed after so many microseconds; then it is done again. */
static void killed_removals_are_done_again(void **state)
{
        if (!need_mounts())
                skip();
        assert_int_equal(mkdir(at("outside"), 0755), 0);
        put_file(at("outside/secret"), "hidden");
        for (int round = 0; round < 12; round++) {
                _cleanup_json_ struct json_object *pod = pod_with("\"emptyDir\":{}", "");
                pid_t child;

                assert_prepared(pod);
                for (int i = 0; i < 150; i++) {
                        assert_int_equal(mkdir(in_volume(arena_printf(&world.mem, "d%d", i)), 0755), 0);
                        put_file(in_volume(arena_printf(&world.mem, "d%d/f", i)), "x");
                }
                assert_non_null(source(pod, "d1", NULL));
                assert_int_equal(mkdir(in_volume("host"), 0755), 0);
                assert_int_equal(mount(at("outside"), in_volume("host"), NULL, MS_BIND, NULL), 0);
                child = fork();
                if (child == 0) {
                        struct removed r = {0};

                        volumes_remove(world.volumes, "u-1", note_removed, &r);
                        while (!r.done)
                                loop_run_for(world.loop, 1);
                        _exit(0);
                }
                usleep((useconds_t)random_below(4000));
                kill(child, SIGKILL);
                waitpid(child, NULL, 0);
                assert_removed();
                assert_says(at("outside/secret"), "hidden");
        }
}

static void note_pod(void *userdata, const char *uid)
{
        strbuf_printf(userdata, "%s ", uid);
}

static void leftovers_can_be_found(void **state)
{
        _cleanup_json_ struct json_object *pod = pod_with("\"emptyDir\":{}", "");
        _cleanup_strbuf_ struct strbuf b = STRBUF_NULL;

        volumes_each_pod(world.volumes, note_pod, &b);
        assert_int_equal(b.len, 0);
        assert_prepared(pod);
        volumes_each_pod(world.volumes, note_pod, &b);
        assert_string_equal(b.data, "u-1 ");
}

static void names_that_are_paths_are_refused(void **state)
{
        static const char *const bad[] = {"..", "a/b", "", "."};

        for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
                _cleanup_json_ struct json_object *pod = pod_with("\"emptyDir\":{}", "");
                struct removed r = {0};

                json_set_str(json_get(pod, "metadata"), "uid", bad[i]);
                assert_int_equal(volumes_prepare(world.volumes, pod, NULL), -EINVAL);
                volumes_remove(world.volumes, bad[i], note_removed, &r);
                podworld_until(&world, is_done, &r);
                assert_int_equal(r.result, -EINVAL);
        }
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test_setup_teardown(an_empty_dir_is_made_once, setup, teardown),
                cmocka_unit_test_setup_teardown(an_empty_dir_in_memory_has_a_size, setup, teardown),
                cmocka_unit_test_setup_teardown(usage_counts_what_lies_on_the_disk, setup, teardown),
                cmocka_unit_test_setup_teardown(host_paths_are_checked_in_upstreams_words, setup, teardown),
                cmocka_unit_test_setup_teardown(a_host_path_that_is_mounted_is_not_looked_at_again, setup, teardown),
                cmocka_unit_test_setup_teardown(sub_paths_stay_in_their_volume, setup, teardown),
                cmocka_unit_test_setup_teardown(what_is_made_for_a_sub_path_has_the_volumes_mode, setup, teardown),
                cmocka_unit_test_setup_teardown(no_race_leads_out_of_a_volume, setup, teardown),
                cmocka_unit_test_setup_teardown(a_sub_path_keeps_what_it_was_bound_to, setup, teardown),
                cmocka_unit_test_setup_teardown(a_file_of_a_config_map_can_be_a_sub_path, setup, teardown),
                cmocka_unit_test_setup_teardown(removal_never_follows_and_never_crosses, setup, teardown),
                cmocka_unit_test_setup_teardown(a_walk_takes_mounts_away_instead_of_entering_them, setup, teardown),
                cmocka_unit_test_setup_teardown(a_busy_mount_goes_lazily, setup, teardown),
                cmocka_unit_test_setup_teardown(trees_may_be_deeper_than_descriptors, setup, teardown),
                cmocka_unit_test_setup_teardown(killed_removals_are_done_again, setup, teardown),
                cmocka_unit_test_setup_teardown(leftovers_can_be_found, setup, teardown),
                cmocka_unit_test_setup_teardown(names_that_are_paths_are_refused, setup, teardown),
        };

        mounts = podworld_private_mounts();
        return cmocka_run_group_tests(tests, NULL, NULL);
}
