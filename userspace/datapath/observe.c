/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/random.h>
#include <linux/perf_event.h>
#include <bpf/libbpf.h>

#include "base/clock.h"
#include "base/file.h"
#include "base/mem.h"
#include "base/str.h"
#include "datapath/observe.h"

#define BUFFER_PAGES 64
#define WAKE_EVERY   64         /* events: who waits is also woken by the clock */
#define SETTLE_NS    2000000ULL /* between a packet's stamp and its event's coming into the buffer */
#define ONLINE_CPUS  "/sys/devices/system/cpu/online"

/* An event that waits for those of other CPUs that came before it. Behind it: the frame before and after. */
struct waiting {
        uint64_t ns, order;
        struct monitor_event *event;
};

struct observer {
        struct monitors *all; /* the map's memory */
        struct monitor *own;
        uint32_t place;
        uint64_t owner;
        uint32_t renewed; /* second */
        char *lock_path;
        struct perf_buffer *buffer;
        struct waiting *waiting;
        size_t count, cap;
        uint64_t order;
        bool gone; /* the place is somebody else's */
};

struct monitor_filter observer_any(void)
{
        return (struct monitor_filter){.hooks = UINT32_MAX, .reasons = UINT32_MAX};
}

/* ---- places */

static uint32_t seconds(void)
{
        return (uint32_t)(clock_mono_ms() / 1000);
}

static bool is_live(const struct monitor *m, uint32_t now)
{
        uint32_t until = __atomic_load_n(&m->until, __ATOMIC_ACQUIRE);

        return until && (int32_t)(now - until) <= 0;
}

static int lock_places(const char *path, int *ret_fd)
{
        _cleanup_close_ int fd = -1;

        if (path) {
                fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
                if (fd < 0 || flock(fd, LOCK_EX))
                        return -errno;
        }
        *ret_fd = TAKE_FD(fd);
        return 0;
}

/* The switch and the bytes that all places together ask for. Under the lock. */
static void publish(struct monitors *all)
{
        uint32_t now = seconds(), until = 0, snap = 0;

        for (int i = 0; i < MONITORS_MAX; i++) {
                if (!is_live(&all->of[i], now))
                        continue;
                snap = MAX(snap, all->of[i].snap);
                if (!until || (int32_t)(all->of[i].until - until) > 0)
                        until = all->of[i].until;
        }
        __atomic_store_n(&all->snap, snap, __ATOMIC_RELEASE);
        __atomic_store_n(&all->until, until, __ATOMIC_RELEASE);
}

static int find_place(struct observer *o)
{
        uint32_t now = seconds();

        for (uint32_t i = 0; i < MONITORS_MAX; i++) {
                if (is_live(&o->all->of[i], now))
                        continue;
                o->place = i;
                o->own = &o->all->of[i];
                o->own->owner = o->owner;
                o->own->lost = o->own->capped = 0;
                o->own->second = o->own->sent = 0;
                return 0;
        }
        return OBSERVER_BUSY;
}

static void fill_place(struct observer *o, const struct observer_opts *opts)
{
        o->own->snap = MIN(opts->snap, (uint32_t)MONITOR_BYTES);
        o->own->rate = opts->rate;
        o->own->filter = opts->filter;
        o->renewed = seconds();
        __atomic_store_n(&o->own->until, o->renewed + MONITOR_LEASE_S, __ATOMIC_RELEASE);
        publish(o->all);
}

static int renew(struct observer *o)
{
        _cleanup_close_ int lock = -1;
        uint32_t now = seconds();
        int r;

        if (o->gone)
                return OBSERVER_LOST;
        if (now == o->renewed)
                return 0;
        r = lock_places(o->lock_path, &lock);
        if (r)
                return r;
        if (o->own->owner != o->owner) {
                o->gone = true;
                return OBSERVER_LOST;
        }
        o->renewed = now;
        __atomic_store_n(&o->own->until, now + MONITOR_LEASE_S, __ATOMIC_RELEASE);
        publish(o->all);
        return 0;
}

static void release(struct observer *o)
{
        _cleanup_close_ int lock = -1;

        if (!o->own || lock_places(o->lock_path, &lock))
                return;
        o->gone = o->gone || o->own->owner != o->owner;
        if (o->gone)
                return;
        __atomic_store_n(&o->own->until, 0, __ATOMIC_RELEASE);
        publish(o->all);
}

void observer_filter(struct observer *o, const struct monitor_filter *filter)
{
        /* Programs may read it half changed: of a few packets the wrong ones are told. */
        o->own->filter = *filter;
}

struct observer_losses observer_losses(const struct observer *o)
{
        return (struct observer_losses){__atomic_load_n(&o->own->lost, __ATOMIC_RELAXED),
                                        __atomic_load_n(&o->own->capped, __ATOMIC_RELAXED)};
}

/* ---- events */

/* libbpf gives them of one CPU after the other. */
static enum bpf_perf_event_ret take_record(void *userdata, int cpu, struct perf_event_header *header)
{
        struct observer *o = userdata;
        const struct {
                struct perf_event_header header;
                uint32_t size;
                char data[];
        } *sample = (void *)header;
        const struct monitor_event *e = (const void *)sample->data;
        struct monitor_event head;

        if (header->type != PERF_RECORD_SAMPLE || sample->size < sizeof(head))
                return LIBBPF_PERF_EVENT_CONT;
        memcpy(&head, e, sizeof(head));
        if (sample->size < sizeof(head) + head.captured + head.after)
                return LIBBPF_PERF_EVENT_CONT;
        if (o->count == o->cap) {
                o->cap = MAX(2 * o->cap, (size_t)256);
                o->waiting = mem_realloc(o->waiting, o->cap, sizeof(*o->waiting));
        }
        o->waiting[o->count] = (struct waiting){head.ns, o->order++, mem_alloc(sample->size)};
        memcpy(o->waiting[o->count++].event, e, sample->size);
        return LIBBPF_PERF_EVENT_CONT;
}

static int compare_times(const void *a, const void *b)
{
        const struct waiting *x = a, *y = b;

        if (x->ns != y->ns)
                return x->ns < y->ns ? -1 : 1;
        return x->order < y->order ? -1 : x->order > y->order;
}

/* Those that are as old as `until`, in order. */
static int give(struct observer *o, uint64_t until, observer_fn *fn, void *userdata)
{
        size_t done = 0;
        int r = 0;

        if (o->count)
                qsort(o->waiting, o->count, sizeof(*o->waiting), compare_times);
        while (r == 0 && done < o->count && o->waiting[done].ns <= until) {
                _cleanup_free_ struct monitor_event *e = o->waiting[done++].event;
                const uint8_t *frame = (const uint8_t *)(e + 1);

                r = fn(userdata, e, frame, frame + e->captured);
        }
        o->count -= done;
        if (o->count)
                memmove(o->waiting, o->waiting + done, o->count * sizeof(*o->waiting));
        return r;
}

int observer_poll(struct observer *o, int timeout_ms, observer_fn *fn, void *userdata)
{
        uint64_t before;
        int r = perf_buffer__poll(o->buffer, timeout_ms), renewed;

        if (r < 0)
                return r;
        before = clock_mono_ns();
        r = perf_buffer__consume(o->buffer);
        if (r < 0)
                return r;
        renewed = renew(o);
        r = give(o, before > SETTLE_NS ? before - SETTLE_NS : 0, fn, userdata);
        return r ? r : renewed;
}

int observer_drain(struct observer *o, observer_fn *fn, void *userdata)
{
        int r = perf_buffer__consume(o->buffer);

        return r < 0 ? r : give(o, UINT64_MAX, fn, userdata);
}

/* ---- opening */

int observer_parse_cpus(const char *text, int *ret, int max)
{
        struct str_span piece;
        int count = 0;

        for (const char *rest = text; str_split(&rest, ',', &piece);) {
                char range[32], *dash;
                uint32_t first, last;

                if (!piece.n || piece.n >= sizeof(range))
                        return -EINVAL;
                memcpy(range, piece.s, piece.n);
                range[piece.n] = '\0';
                range[strcspn(range, "\n")] = '\0';
                dash = strchr(range, '-');
                if (dash)
                        *dash++ = '\0';
                if (str_parse_u32(range, &first) || str_parse_u32(dash ?: range, &last) || last < first)
                        return -EINVAL;
                for (uint32_t cpu = first; cpu <= last && count < max; cpu++)
                        ret[count++] = (int)cpu;
        }
        return count ? count : -EINVAL;
}

static int online_cpus(int *ret, int max)
{
        _cleanup_free_ char *text = NULL;
        size_t len;

        if (file_read(ONLINE_CPUS, 4096, &text, &len, NULL) == 0) {
                int n = observer_parse_cpus(text, ret, max);

                if (n > 0)
                        return n;
        }
        for (int i = 0; i < MIN(map_cpus(), max); i++)
                ret[i] = i;
        return MIN(map_cpus(), max);
}

static int open_buffer(struct observer *o, const struct observer_opts *opts)
{
        _cleanup_free_ int *cpus = mem_array(int, MONITOR_CPUS), *keys = mem_array(int, MONITOR_CPUS);
        struct perf_event_attr attr = {
                .type = PERF_TYPE_SOFTWARE,
                .size = sizeof(attr),
                .config = PERF_COUNT_SW_BPF_OUTPUT,
                .sample_type = PERF_SAMPLE_RAW,
                .sample_period = 1,
                .wakeup_events = WAKE_EVERY,
        };
        int n = online_cpus(cpus, MONITOR_CPUS);
        LIBBPF_OPTS(perf_buffer_raw_opts, raw, .cpu_cnt = n, .cpus = cpus, .map_keys = keys);

        for (int i = 0; i < n; i++)
                keys[i] = (int)(o->place * MONITOR_CPUS) + cpus[i];
        o->buffer = perf_buffer__new_raw(map_fd(opts->maps->m[MAP_MONITOR_EVENTS]),
                                         opts->buffer_pages ? opts->buffer_pages : BUFFER_PAGES, &attr, take_record, o,
                                         &raw);
        return o->buffer ? 0 : -errno;
}

static int map_places(struct observer *o, const struct observer_opts *opts)
{
        void *at = mmap(NULL, sizeof(struct monitors), PROT_READ | PROT_WRITE, MAP_SHARED,
                        map_fd(opts->maps->m[MAP_MONITORS]), 0);

        if (at == MAP_FAILED)
                return -errno;
        o->all = at;
        return 0;
}

static int take_place(struct observer *o, const struct observer_opts *opts, struct err *reterr)
{
        _cleanup_close_ int lock = -1;
        int r = lock_places(opts->lock_path, &lock);

        if (r)
                return err_set(reterr, r, "%s cannot be locked: %s", opts->lock_path, strerror(-r));
        r = find_place(o);
        if (r)
                return err_set(reterr, r, "%d others watch packets on this node, and there is no place for more",
                               MONITORS_MAX);
        r = open_buffer(o, opts);
        if (r) {
                o->own = NULL;
                return err_set(reterr, r, "the buffers for events cannot be made: %s%s", strerror(-r),
                               r == -EPERM || r == -EACCES ? " (this needs CAP_PERFMON)" : "");
        }
        fill_place(o, opts);
        return 0;
}

int observer_open(const struct observer_opts *opts, struct observer **ret, struct err *reterr)
{
        _cleanup_(observer_closep) struct observer *o = mem_new(struct observer);
        int r = getrandom(&o->owner, sizeof(o->owner), 0) == sizeof(o->owner) ? 0 : -errno;

        o->lock_path = opts->lock_path ? mem_strdup(opts->lock_path) : NULL;
        if (r == 0)
                r = map_places(o, opts);
        if (r)
                return err_set(reterr, r, "the map monitors cannot be used: %s", strerror(-r));
        r = take_place(o, opts, reterr);
        if (r)
                return r;
        *ret = TAKE_PTR(o);
        return 0;
}

void observer_close(struct observer *o)
{
        if (!o)
                return;
        release(o);
        /* libbpf would take away the buffers of who has the place now; ours go with the process. */
        if (o->buffer && !o->gone)
                perf_buffer__free(o->buffer);
        for (size_t i = 0; i < o->count; i++)
                free(o->waiting[i].event);
        free(o->waiting);
        if (o->all)
                munmap(o->all, sizeof(*o->all));
        free(o->lock_path);
        free(o);
}
