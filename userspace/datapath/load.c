/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdarg.h>
#include <string.h>
#include <sys/mman.h>
#include <bpf/bpf.h>
#include <bpf/btf.h>
#include <bpf/libbpf.h>

#include "base/log.h"
#include "base/mem.h"
#include "base/str.h"
#include "datapath/load.h"
#include "datapath/map_ops.h"
#include "datapath/tcx.h"

#define LOG_BYTES      (4 * 1024 * 1024) /* of the verifier; pages that stay untouched cost nothing */
#define LOG_TAIL       220               /* of it, in an error's message */
#define LOG_TAIL_LINES 60                /* of it, in the agent's log */

#define X(name)                                                                                                        \
        extern const char bpf_object_##name[] __attribute__((visibility("hidden")));                                   \
        extern const char bpf_object_##name##_end[] __attribute__((visibility("hidden")));
OBJECTS(X)
#undef X

static const struct {
        const char *name, *begin, *end;
} files[OBJECT_COUNT] = {
#define X(name) [OBJECT_##name] = {#name, bpf_object_##name, bpf_object_##name##_end},
        OBJECTS(X)
#undef X
};

/* libbpf speaks in whole lines, to be told apart by their level. */
static int print_to_log(enum libbpf_print_level level, const char *fmt, va_list ap)
{
        char line[1024];

        if (!log_enabled(LOG_LEVEL_DEBUG) || level == LIBBPF_DEBUG)
                return 0;
        vsnprintf(line, sizeof(line), fmt, ap);
        line[strcspn(line, "\n")] = '\0';
        log_debug("libbpf", "text=%s", line);
        return 0;
}

/* Maps of the dataplane are shared by the objects, by name; all others are an object's own. */
static int find_map(const char *name, enum map_id *ret)
{
        for (int id = 0; id < MAP_COUNT; id++) {
                if (str_eq(map_layout(id)->info.name, name)) {
                        *ret = id;
                        return 0;
                }
        }
        return -ENOENT;
}

static int open_one(struct loader *l, enum object_id id, struct err *reterr)
{
        LIBBPF_OPTS(bpf_object_open_opts, opts, .object_name = files[id].name, .kernel_log_size = LOG_BYTES);
        struct bpf_object *object;
        struct bpf_map *map;

        l->logs[id] = mem_alloc(LOG_BYTES);
        l->logs[id][0] = '\0';
        opts.kernel_log_buf = l->logs[id];
        object = bpf_object__open_mem(files[id].begin, (size_t)(files[id].end - files[id].begin), &opts);
        if (!object)
                return err_set(reterr, -errno, "the built-in BPF object %s cannot be read: %s", files[id].name,
                               strerror(errno));
        l->objects[id] = object;
        bpf_object__for_each_map(map, object) bpf_map__set_pin_path(map, NULL);
        for (int i = 0; i < PROGRAM_COUNT; i++) {
                struct bpf_program *program;

                if (program_infos[i].object != id)
                        continue;
                program = bpf_object__find_program_by_name(object, program_infos[i].name);
                if (!program)
                        return err_set(reterr, -ENOENT, "the built-in BPF object %s lacks the program %s",
                                       files[id].name, program_infos[i].name);
                bpf_program__set_type(program, program_infos[i].type);
                if (!program_infos[i].device)
                        bpf_program__set_expected_attach_type(program, program_infos[i].attach);
        }
        return 0;
}

int loader_open(struct loader *ret, uint32_t wanted, struct err *reterr)
{
        struct loader l = LOADER_NULL;
        int r = 0;

        libbpf_set_print(print_to_log);
        for (int id = 0; r == 0 && id < OBJECT_COUNT; id++)
                if (wanted >> id & 1)
                        r = open_one(&l, id, reterr);
        if (r)
                loader_close(&l);
        else
                *ret = l;
        return r;
}

/* The pages of an object inside this program: they were read once, and never will be again. */
static void drop_pages(enum object_id id)
{
        uintptr_t page = (uintptr_t)sysconf(_SC_PAGESIZE), begin = (uintptr_t)files[id].begin,
                  end = (uintptr_t)files[id].end;

        begin = (begin + page - 1) / page * page;
        end = end / page * page;
        if (begin < end)
                madvise((void *)begin, end - begin, MADV_DONTNEED);
}

void loader_close(struct loader *l)
{
        for (int id = 0; id < OBJECT_COUNT; id++) {
                bpf_object__close(l->objects[id]);
                if (l->objects[id])
                        drop_pages(id);
                free(l->logs[id]);
        }
        *l = LOADER_NULL;
}

bool loader_wish(const struct loader *l, enum map_id id, struct map_wish *ret)
{
        for (int i = 0; i < OBJECT_COUNT; i++) {
                struct bpf_map *map =
                        l->objects[i] ? bpf_object__find_map_by_name(l->objects[i], map_layout(id)->info.name) : NULL;

                if (!map)
                        continue;
                *ret = (struct map_wish){
                        .type = bpf_map__type(map),
                        .key_size = bpf_map__key_size(map),
                        .value_size = bpf_map__value_size(map),
                        .max_entries = bpf_map__max_entries(map),
                        .flags = bpf_map__map_flags(map),
                };
                return true;
        }
        return false;
}

/* Where `knobs` lies in an object's .rodata: its BTF tells. Negative when there is none of this layout. */
static int find_knobs(struct bpf_object *object)
{
        const struct btf *btf = bpf_object__btf(object);
        int section = btf ? btf__find_by_name_kind(btf, ".rodata", BTF_KIND_DATASEC) : -ENOENT;
        const struct btf_type *type = section > 0 ? btf__type_by_id(btf, (uint32_t)section) : NULL;
        const struct btf_var_secinfo *var = type ? btf_var_secinfos(type) : NULL;

        for (int i = 0; type && i < btf_vlen(type); i++, var++) {
                const struct btf_type *v = btf__type_by_id(btf, var->type);

                if (str_eq(btf__name_by_offset(btf, v->name_off), "knobs") && var->size == sizeof(struct knobs))
                        return (int)var->offset;
        }
        return -ENOENT;
}

int loader_set_knobs(struct bpf_object *object, const struct knobs *knobs)
{
        int offset = find_knobs(object);
        struct bpf_map *map;

        if (offset < 0)
                return offset;
        bpf_object__for_each_map(map, object)
        {
                _cleanup_free_ char *copy = NULL;
                const void *data;
                size_t size = 0;

                if (!str_has_suffix(bpf_map__name(map), ".rodata"))
                        continue;
                data = bpf_map__initial_value(map, &size);
                if (!data || (size_t)offset + sizeof(*knobs) > size)
                        return -ENOENT;
                copy = mem_alloc(size);
                memcpy(copy, data, size);
                memcpy(copy + offset, knobs, sizeof(*knobs));
                return bpf_map__set_initial_value(map, copy, size);
        }
        return -ENOENT;
}

/* The end of the verifier's log without its statistics: what it says last is what it did not like. */
static void cut_tail(char *log, char *ret, size_t size)
{
        char *end = strstr(log, "\nprocessed ");
        size_t n;

        if (end)
                *end = '\0';
        n = strlen(log);
        while (n && log[n - 1] == '\n')
                log[--n] = '\0';
        if (n >= size) { /* from the beginning of a line, when there is one */
                log += n - size + 1;
                log = strchr(log, '\n') ? strchr(log, '\n') + 1 : log;
        }
        str_copy(ret, size, log);
        for (char *p = ret; *p; p++)
                if (*p == '\n')
                        *p = '|';
}

/* The last lines at level error, all before them at debug. */
static void log_verifier(const char *object, char *log)
{
        char *save = NULL;
        size_t lines = 0, line = 0;

        for (const char *p = log; *p; p++)
                lines += *p == '\n';
        for (char *s = strtok_r(log, "\n", &save); s; s = strtok_r(NULL, "\n", &save), line++) {
                if (line + LOG_TAIL_LINES >= lines)
                        log_error("verifier", "object=%s line=%s", object, s);
                else
                        log_debug("verifier", "object=%s line=%s", object, s);
        }
}

static int explain(struct loader *l, enum object_id id, int r, struct err *reterr)
{
        char tail[LOG_TAIL] = "";
        _cleanup_free_ char *whole = mem_strdup(l->logs[id]);

        cut_tail(l->logs[id], tail, sizeof(tail));
        log_verifier(files[id].name, whole);
        if (!tail[0])
                return err_set(reterr, r, "the BPF object %s does not load: %s%s", files[id].name, strerror(-r),
                               r == -EPERM ? "; it needs CAP_BPF, CAP_NET_ADMIN and CAP_PERFMON" : "");
        return err_set(reterr, r, "the BPF object %s does not load: %s; the kernel's verifier says: %s", files[id].name,
                       strerror(-r), tail);
}

/* Gives the object the maps that are there, and the sizes of those that it is to make. */
static int set_maps(struct bpf_object *object, const int fds[MAP_COUNT], const uint32_t max_entries[MAP_COUNT])
{
        struct bpf_map *map;
        enum map_id id;
        int r = 0;

        bpf_object__for_each_map(map, object)
        {
                if (find_map(bpf_map__name(map), &id))
                        continue;
                if (fds[id] >= 0)
                        r = bpf_map__reuse_fd(map, fds[id]);
                else if (max_entries[id])
                        r = bpf_map__set_max_entries(map, max_entries[id]);
                if (r)
                        return r;
        }
        return 0;
}

static int keep_maps(struct bpf_object *object, int fds[MAP_COUNT])
{
        struct bpf_map *map;
        enum map_id id;

        bpf_object__for_each_map(map, object)
        {
                if (find_map(bpf_map__name(map), &id) || fds[id] >= 0)
                        continue;
                fds[id] = fcntl(bpf_map__fd(map), F_DUPFD_CLOEXEC, 3);
                if (fds[id] < 0)
                        return -errno;
        }
        return 0;
}

static int program_id(int fd, uint32_t *ret)
{
        struct bpf_prog_info info = {0};
        uint32_t size = sizeof(info);
        int r = bpf_obj_get_info_by_fd(fd, &info, &size);

        if (r == 0)
                *ret = info.id;
        return r;
}

static int keep_programs(struct bpf_object *object, enum object_id id, struct program programs[PROGRAM_COUNT])
{
        int r = 0;

        for (int i = 0; r == 0 && i < PROGRAM_COUNT; i++) {
                if (program_infos[i].object != id)
                        continue;
                programs[i].fd = fcntl(bpf_program__fd(bpf_object__find_program_by_name(object, program_infos[i].name)),
                                       F_DUPFD_CLOEXEC, 3);
                r = programs[i].fd < 0 ? -errno : program_id(programs[i].fd, &programs[i].id);
        }
        return r;
}

static int load_one(struct loader *l, enum object_id id, const struct knobs *knobs, int fds[MAP_COUNT],
                    const uint32_t max_entries[MAP_COUNT], struct err *reterr)
{
        int r = loader_set_knobs(l->objects[id], knobs);

        if (r)
                return err_set(reterr, r, "the BPF object %s has no `knobs` of this program's layout", files[id].name);
        r = set_maps(l->objects[id], fds, max_entries);
        if (r)
                return err_set(reterr, r, "the maps of the BPF object %s cannot be set: %s", files[id].name,
                               strerror(-r));
        r = bpf_object__load(l->objects[id]);
        return r ? explain(l, id, r, reterr) : keep_maps(l->objects[id], fds);
}

/* One object's loading, by a thread of its own. */
struct job {
        pthread_t thread;
        struct loader *loader;
        enum object_id id;
        const struct knobs *knobs;
        int *fds;
        const uint32_t *max_entries;
        struct err err;
        int result;
};

static void *run_job(void *userdata)
{
        struct job *j = userdata;

        j->result = load_one(j->loader, j->id, j->knobs, j->fds, j->max_entries, &j->err);
        return NULL;
}

static bool all_there(const int fds[MAP_COUNT])
{
        for (int id = 0; id < MAP_COUNT; id++)
                if (fds[id] < 0)
                        return false;
        return true;
}

/* Maps that are not there yet, by one of the objects, all of which have them all; without its programs, which take the
 * verifier's time and can be loaded beside those of the others. */
static int make_maps(const struct job *job, struct err *reterr)
{
        struct loader l = LOADER_NULL;
        struct bpf_program *program;
        int r;

        if (all_there(job->fds))
                return 0;
        r = open_one(&l, job->id, reterr);
        if (r == 0) {
                bpf_object__for_each_program(program, l.objects[job->id]) bpf_program__set_autoload(program, false);
                r = load_one(&l, job->id, job->knobs, job->fds, job->max_entries, reterr);
        }
        loader_close(&l);
        return r;
}

/* Side by side. The first error counts. */
static int run_jobs(struct job *jobs, int count, struct err *reterr)
{
        int r = count ? make_maps(&jobs[0], reterr) : 0;

        if (r)
                return r;
        for (int i = 0; i < count; i++)
                if (pthread_create(&jobs[i].thread, NULL, run_job, &jobs[i])) {
                        run_job(&jobs[i]);
                        jobs[i].thread = 0;
                }
        for (int i = 0; i < count; i++) {
                if (jobs[i].thread)
                        pthread_join(jobs[i].thread, NULL);
                if (jobs[i].result && r == 0)
                        r = err_set(reterr, jobs[i].result, "%s", jobs[i].err.msg);
        }
        return r;
}

int loader_load(struct loader *l, const struct knobs *knobs, int fds[MAP_COUNT], const uint32_t max_entries[MAP_COUNT],
                struct program programs[PROGRAM_COUNT], struct err *reterr)
{
        struct job jobs[OBJECT_COUNT];
        int count = 0, r;

        for (int i = 0; i < PROGRAM_COUNT; i++)
                programs[i] = (struct program){.fd = -1};
        for (int id = 0; id < OBJECT_COUNT; id++)
                if (l->objects[id])
                        jobs[count++] = (struct job){
                                .loader = l, .id = id, .knobs = knobs, .fds = fds, .max_entries = max_entries};
        r = run_jobs(jobs, count, reterr);
        for (int id = 0; r == 0 && id < OBJECT_COUNT; id++)
                if (l->objects[id])
                        r = keep_programs(l->objects[id], id, programs);
        for (int i = 0; r && i < PROGRAM_COUNT; i++) {
                if (programs[i].fd >= 0)
                        close(programs[i].fd);
                programs[i].fd = -1;
        }
        return r;
}
