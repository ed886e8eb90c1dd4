/* SPDX-License-Identifier: Apache-2.0 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "agent/kubelet/images/config.h"
#include "agent/kubelet/images/reference.h"
#include "agent/kubelet/images/store.h"
#include "base/clock.h"
#include "base/file.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/random.h"
#include "base/str.h"

#define RECORD_MAX (2 * IMAGE_CONFIG_MAX)
#define MOUNTS_MAX (64 * 1024 * 1024)

#define LOCK_TRIES   100
#define LOCK_WAIT_US 10000

char *store_random(char buf[static STORE_RANDOM_SIZE])
{
        snprintf(buf, STORE_RANDOM_SIZE, "%016llx", (unsigned long long)random_u64());
        return buf;
}

static char *record_path(const struct images *im, const char *id)
{
        return mem_printf("%s/records/%s.json", im->folder, id + strlen("sha256:"));
}

/* --- removing --- */

static void removed(void *userdata, const struct child_end *end)
{
        char why[256];

        if (end->status)
                log_warn("trash is not removed", "why=%s", child_why(end, why, sizeof(why)));
}

static void remove_trash(struct images *im, const char *path)
{
        const char *argv[] = {"/bin/rm", "-rf", "--one-file-system", "--", path, NULL};

        child_start(im->children, &(struct child_opts){.argv = argv}, removed, NULL, NULL);
}

void store_trash(struct images *im, const char *path)
{
        char name[STORE_RANDOM_SIZE];
        _cleanup_free_ char *trash = mem_printf("%s/trash/%s", im->folder, store_random(name));

        if (rename(path, trash) == 0)
                remove_trash(im, trash);
        else if (errno != ENOENT)
                log_warn("cannot be moved to the trash", "path=%s error=%s", path, strerror(errno));
}

/* Calls fn with each entry of a folder below that of the images. */
static void each_entry(struct images *im, const char *below, void (*fn)(struct images *im, const char *path))
{
        _cleanup_free_ char *folder = mem_printf("%s/%s", im->folder, below);
        DIR *dir = opendir(folder);
        struct dirent *e;

        while (dir && (e = readdir(dir))) {
                _cleanup_free_ char *path = mem_printf("%s/%s", folder, e->d_name);

                if (!str_eq(e->d_name, ".") && !str_eq(e->d_name, ".."))
                        fn(im, path);
        }
        if (dir)
                closedir(dir);
}

char *store_mounts(void)
{
        char *text = NULL;
        struct err err = ERR_NULL;

        if (file_read("/proc/self/mountinfo", MOUNTS_MAX, &text, NULL, &err))
                log_error("what is mounted cannot be read", "error=%s", err.msg);
        return text;
}

/* When it cannot be told, it is. */
bool store_is_mounted(const char *mounts, const char *root)
{
        _cleanup_free_ char *option = mem_printf("lowerdir=%s", root);
        size_t n = strlen(option);

        for (const char *at = mounts; at && (at = strstr(at, option)); at += n)
                if (strchr(",: \n", at[n]))
                        return true;
        return !mounts;
}

static bool has_record(const struct images *im, const char *root)
{
        for (size_t i = 0; i < im->nrecords; i++)
                if (str_eq(im->records[i]->image.rootfs, root))
                        return true;
        return false;
}

static void sweep_root(struct images *im, const char *path)
{
        _cleanup_free_ char *mounts = has_record(im, path) ? NULL : store_mounts();

        if (!has_record(im, path) && !store_is_mounted(mounts, path))
                store_trash(im, path);
}

void store_sweep_roots(struct images *im)
{
        each_entry(im, "rootfs", sweep_root);
}

/* --- records --- */

struct image_record *store_by_id(const struct images *im, const char *id)
{
        for (size_t i = 0; i < im->nrecords; i++)
                if (str_eq(im->records[i]->image.id, id))
                        return im->records[i];
        return NULL;
}

static bool lists(const char *const *names, const char *name)
{
        for (; *names; names++)
                if (str_eq(*names, name))
                        return true;
        return false;
}

struct image_record *store_find(const struct images *im, const struct reference *ref)
{
        _cleanup_free_ char *digest = ref->digest ? mem_printf("%s@%s", ref->repository, ref->digest) : NULL;

        for (size_t i = 0; i < im->nrecords; i++) {
                const struct image *image = &im->records[i]->image;

                if (digest ? lists(image->digests, digest) : lists(image->tags, ref->text))
                        return im->records[i];
        }
        return NULL;
}

static int load(struct images *im, const char *path, struct image_record **ret, struct err *reterr)
{
        _cleanup_(image_record_freep) struct image_record *r = NULL;
        _cleanup_free_ char *text = NULL, *own = NULL;
        struct stat st;
        size_t n;
        int e = file_read(path, RECORD_MAX, &text, &n, reterr);

        e = e ?: image_record_parse(text, n, im->folder, &r, reterr);
        if (e)
                return e;
        own = record_path(im, r->image.id);
        if (!str_eq(own, path))
                return err_set(reterr, -EINVAL, "tells of %s, whose record is %s", r->image.id, own);
        if (stat(r->image.rootfs, &st) || !S_ISDIR(st.st_mode))
                return err_set(reterr, -ENOENT, "its root %s is not there", r->image.rootfs);
        if (stat(path, &st) == 0)
                r->image.used_ns = st.st_mtim.tv_sec * (int64_t)NS_PER_S + st.st_mtim.tv_nsec;
        *ret = TAKE_PTR(r);
        return 0;
}

static void put(struct images *im, struct image_record *r)
{
        for (size_t i = 0; i < im->nrecords; i++)
                if (str_eq(im->records[i]->image.id, r->image.id)) {
                        image_record_free(im->records[i]);
                        im->records[i] = r;
                        return;
                }
        im->records = mem_realloc(im->records, im->nrecords + 1, sizeof(*im->records));
        im->records[im->nrecords++] = r;
}

static void load_or_leave(struct images *im, const char *path)
{
        _cleanup_free_ char *bad = NULL;
        struct image_record *r;
        struct err err = ERR_NULL;

        if (!str_has_suffix(path, ".json"))
                return;
        if (!load(im, path, &r, &err)) {
                put(im, r);
                return;
        }
        log_error("the record of an image cannot be used, and the image is forgotten", "record=%s error=%s", path,
                  err.msg);
        bad = mem_printf("%s.bad", path);
        if (rename(path, bad))
                log_error("cannot be renamed", "record=%s error=%s", path, strerror(errno));
}

static struct json_object *strings(const char *const *v, const char *without, const char *with)
{
        struct json_object *a = json_object_new_array();

        if (with)
                json_object_array_add(a, json_object_new_string(with));
        for (; v && *v; v++)
                if (!str_eq(*v, without) && !str_eq(*v, with))
                        json_object_array_add(a, json_object_new_string(*v));
        return a;
}

/* Writes it and knows it as it was written. */
static int save(struct images *im, struct json_object *o, struct image_record **ret, struct err *reterr)
{
        _cleanup_free_ char *path = record_path(im, json_get_str(o, "id")), *text = NULL;
        struct image_record *r;
        int e;

        json_set_i64(o, "updated", clock_wall_ns());
        text = json_text(o);
        e = file_write_atomic(path, text, strlen(text), 0600, reterr);
        e = e ?: load(im, path, &r, reterr);
        if (e)
                return e;
        put(im, r);
        if (ret)
                *ret = r;
        return 0;
}

/* Changes the names in a record; all else stays as the file has it. */
static int rename_image(struct images *im, const struct image_record *r, const char *without, const char *tag,
                        const char *digest, struct image_record **ret, struct err *reterr)
{
        _cleanup_free_ char *path = record_path(im, r->image.id), *text = NULL;
        _cleanup_json_ struct json_object *o = NULL;
        size_t n;
        int e = file_read(path, RECORD_MAX, &text, &n, reterr);

        e = e ?: json_parse(text, n, &o, reterr);
        if (e)
                return e;
        json_set(o, "tags", strings(r->image.tags, without, tag));
        json_set(o, "digests", strings(r->image.digests, NULL, digest));
        return save(im, o, ret, reterr);
}

/* Whoever else has the tag loses it. One that cannot be written keeps it on the disk, where the later record wins. */
static void take_tag(struct images *im, const struct image_record *owner, const char *tag)
{
        for (size_t i = 0; i < im->nrecords; i++) {
                const struct image_record *r = im->records[i];
                struct err err = ERR_NULL;

                if (r != owner && lists(r->image.tags, tag) && rename_image(im, r, tag, NULL, NULL, NULL, &err))
                        log_error("an image keeps a tag that is another's now", "image=%s tag=%s error=%s", r->image.id,
                                  tag, err.msg);
        }
}

/* After a kill between two records both may have it. */
static void settle_tags(struct images *im)
{
        for (size_t i = 0; i < im->nrecords; i++)
                for (size_t k = 0; k < im->nrecords; k++)
                        for (const char *const *t = im->records[i]->image.tags; *t; t++)
                                if (k != i && lists(im->records[k]->image.tags, *t) &&
                                    im->records[k]->updated_ns <= im->records[i]->updated_ns)
                                        take_tag(im, im->records[i], *t);
}

static struct json_object *blob_list(const struct store_image *new)
{
        struct json_object *a = json_object_new_array();

        for (size_t i = 0; i < new->nblobs; i++) {
                struct json_object *b = json_object_new_object();

                json_set_str(b, "digest", new->blobs[i].digest);
                json_set_i64(b, "size", (int64_t) new->blobs[i].bytes);
                json_object_array_add(a, b);
        }
        return a;
}

static int record_of(const struct store_image *new, const char *rootfs, struct json_object **ret, struct err *reterr)
{
        struct json_object *o, *config;
        int e = json_parse(new->config, strlen(new->config), &config, reterr);

        if (e)
                return e;
        o = json_object_new_object();
        json_set_str(o, "id", new->id);
        json_set(o, "tags", strings(NULL, NULL, new->tag));
        json_set(o, "digests", strings(NULL, NULL, new->digest));
        json_set_str(o, "rootfs", rootfs);
        json_set_i64(o, "rootfsBytes", (int64_t) new->rootfs_bytes);
        json_set(o, "blobs", blob_list(new));
        json_set(o, "config", config);
        *ret = o;
        return 0;
}

static int move_root(struct images *im, const char *from, const char *name, struct err *reterr)
{
        _cleanup_free_ char *folder = mem_printf("%s/rootfs", im->folder), *to = mem_printf("%s/%s", folder, name);
        _cleanup_close_ int fd = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

        if (fd < 0 || rename(from, to) || fsync(fd)) {
                int e = -errno;

                return err_set(reterr, e, "%s: cannot move the unpacked image there: %s", to, strerror(-e));
        }
        return 0;
}

static int add_new(struct images *im, const struct store_image *new, struct image_record **ret, struct err *reterr)
{
        char random[STORE_RANDOM_SIZE];
        _cleanup_free_ char *name = mem_printf("%s-%s", new->id + strlen("sha256:"), store_random(random));
        _cleanup_json_ struct json_object *o = NULL;
        int e = record_of(new, name, &o, reterr);

        e = e ?: move_root(im, new->root, name, reterr);
        e = e ?: save(im, o, ret, reterr);
        if (e)
                store_sweep_roots(im);
        return e;
}

int store_add(struct images *im, const struct store_image *new, struct image_record **ret, struct err *reterr)
{
        struct image_record *r = store_by_id(im, new->id);
        int e = r ? rename_image(im, r, NULL, new->tag, new->digest, &r, reterr) : add_new(im, new, &r, reterr);

        if (e)
                return e;
        if (new->tag)
                take_tag(im, r, new->tag);
        *ret = r;
        return 0;
}

/* The time of a file, so that no record has to be written for it. */
void store_used(struct images *im, struct image_record *r)
{
        _cleanup_free_ char *path = record_path(im, r->image.id);

        r->image.used_ns = clock_wall_ns();
        if (utimensat(AT_FDCWD, path, NULL, 0))
                log_warn("the use of an image cannot be noted", "record=%s error=%s", path, strerror(errno));
}

void store_remove(struct images *im, struct image_record *r)
{
        _cleanup_free_ char *path = record_path(im, r->image.id);

        if (unlink(path) && errno != ENOENT) {
                log_error("an image cannot be removed", "record=%s error=%s", path, strerror(errno));
                return;
        }
        store_trash(im, r->image.rootfs);
        for (size_t i = 0; i < im->nrecords; i++)
                if (im->records[i] == r) {
                        im->records[i] = im->records[--im->nrecords];
                        break;
                }
        image_record_free(r);
}

/* --- blobs --- */

bool store_is_shared(const struct images *im, const struct image_record *r, const char *digest)
{
        for (size_t i = 0; i < im->nrecords; i++)
                for (size_t k = 0; im->records[i] != r && k < im->records[i]->nblobs; k++)
                        if (str_eq(im->records[i]->blobs[k].digest, digest))
                                return true;
        return false;
}

static bool is_needed(const struct images *im, const char *hex)
{
        _cleanup_free_ char *digest = mem_printf("sha256:%s", hex);

        return store_is_shared(im, NULL, digest);
}

void store_drop_blob(struct images *im, const char *digest)
{
        _cleanup_free_ char *path = mem_printf("%s/blobs/sha256/%s", im->folder, digest + strlen("sha256:"));

        unlink(path);
}

uint64_t store_sweep_blobs(struct images *im)
{
        _cleanup_free_ char *folder = mem_printf("%s/blobs/sha256", im->folder);
        DIR *dir = im->running ? NULL : opendir(folder);
        uint64_t bytes = 0;
        struct dirent *e;
        struct stat st;

        while (dir && (e = readdir(dir)))
                if (*e->d_name != '.' && !is_needed(im, e->d_name) &&
                    !fstatat(dirfd(dir), e->d_name, &st, AT_SYMLINK_NOFOLLOW) && !unlinkat(dirfd(dir), e->d_name, 0))
                        bytes += (uint64_t)st.st_blocks * 512;
        if (dir)
                closedir(dir);
        return bytes;
}

/* --- the folder --- */

static int make_folders(struct images *im, struct err *reterr)
{
        static const char *const names[] = {"records", "rootfs", "blobs/sha256", "tmp", "trash", "load/failed"};
        int e = 0;

        for (size_t i = 0; i < ARRAY_SIZE(names) && !e; i++) {
                _cleanup_free_ char *path = mem_printf("%s/%s", im->folder, names[i]);

                e = file_mkdirs(path, 0700, reterr);
        }
        return e;
}

/* What strangers have made (programs with set user ids, device nodes) is reached by root alone. */
static int close_folder(struct images *im, struct err *reterr)
{
        if (chmod(im->folder, 0700))
                return err_set(reterr, -errno, "%s: cannot be closed to others: %s", im->folder, strerror(errno));
        return 0;
}

/* A child that was being started when the kubelet was killed has the lock until it is another program. */
static int lock(struct images *im, struct err *reterr)
{
        _cleanup_free_ char *path = mem_printf("%s/lock", im->folder);
        int held = -1;

        im->lock = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
        if (im->lock < 0)
                return err_set(reterr, -errno, "%s: %s", path, strerror(errno));
        for (int i = 0; i < LOCK_TRIES && (held = flock(im->lock, LOCK_EX | LOCK_NB)); i++)
                usleep(LOCK_WAIT_US);
        if (held)
                return err_set(reterr, -EBUSY, "%s: another process works with these images", im->folder);
        return 0;
}

int store_open(struct images *im, struct err *reterr)
{
        _cleanup_free_ char *records = mem_printf("%s/records", im->folder);
        int e = file_mkdirs(im->folder, 0700, reterr);

        e = e ?: close_folder(im, reterr);
        e = e ?: lock(im, reterr);
        e = e ?: make_folders(im, reterr);
        if (e)
                return e;
        file_remove_temps(records);
        each_entry(im, "trash", remove_trash);
        each_entry(im, "tmp", store_trash);
        each_entry(im, "records", load_or_leave);
        settle_tags(im);
        store_sweep_roots(im);
        return 0;
}

void store_close(struct images *im)
{
        for (size_t i = 0; i < im->nrecords; i++)
                image_record_free(im->records[i]);
        free(im->records);
        if (im->lock >= 0)
                close(im->lock);
}
