/* SPDX-License-Identifier: Apache-2.0 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <net/if.h>
#include <string.h>
#include <sys/stat.h>

#include "agent/net/attachments.h"
#include "agent/net/plug.h"
#include "base/file.h"
#include "base/hashmap.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/str.h"
#include "datapath/address.h"

struct stamp { /* of the record's file, as it was read */
        struct timespec mtime;
        off_t size;
        ino_t inode;
};

struct attachment {
        char id[RECORD_ID_SIZE];
        struct stamp stamp;
        struct record record;
        uint32_t bound; /* the device that has our program; 0: none */
        bool readable;  /* record is filled */
        bool there;     /* maps, program and routes are in place */
        bool detached;  /* the plugin said so, or its record is gone: only an attach revives it */
        bool file;      /* the record is there, as of the last scan or attach */
        char problem[256];
};

struct attachments {
        struct plug plug;
        char *folder;
        struct hashmap by_id;
        uint64_t generation, port_changes, plugs, failures;
        struct pod_place *places;
        struct host_port *ports;
        uint64_t places_generation, ports_generation; /* of what is in them */
        size_t places_n, ports_n;
};

int attachments_new(const struct attachments_opts *opts, struct attachments **ret, struct err *reterr)
{
        struct attachments *a;
        int res = file_mkdirs(opts->folder, 0700, reterr);

        if (res < 0)
                return res;
        a = mem_new(struct attachments);
        a->plug = (struct plug){.dataplane = opts->dataplane, .rtnl = opts->rtnl, .routes = opts->routes};
        a->folder = mem_strdup(opts->folder);
        a->generation = 1;
        hashmap_init(&a->by_id, HASHMAP_STR);
        *ret = a;
        return 0;
}

static void attachment_free(struct attachment *t)
{
        record_deinit(&t->record);
        free(t);
}

void attachments_free(struct attachments *a)
{
        if (!a)
                return;
        hashmap_foreach (&a->by_id, slot)
                attachment_free(slot->value);
        hashmap_deinit(&a->by_id);
        free(a->places);
        free(a->ports);
        free(a->folder);
        free(a);
}

static struct attachment *obtain(struct attachments *a, const char *id)
{
        struct attachment *t = hashmap_get(&a->by_id, id);

        if (t)
                return t;
        t = mem_new(struct attachment);
        str_copy(t->id, sizeof(t->id), id);
        hashmap_put(&a->by_id, t->id, t);
        return t;
}

static void count_change(struct attachments *a, const struct attachment *t)
{
        a->generation++;
        a->port_changes += t->record.ports_n > 0;
}

/* Out of the maps; the program stays while the device is there, so that the pod cannot speak past it. */
static void leave(struct attachments *a, struct attachment *t)
{
        if (!t->there)
                return;
        plug_out(&a->plug, &t->record);
        t->there = false;
        count_change(a, t);
}

static void unbind(struct attachments *a, struct attachment *t)
{
        if (t->bound)
                a->plug.dataplane->detach(a->plug.dataplane->userdata, t->bound);
        t->bound = 0;
}

static void forget(struct attachments *a, struct attachment *t)
{
        leave(a, t);
        unbind(a, t);
        hashmap_del(&a->by_id, t->id);
        attachment_free(t);
}

/* ---- reading */

static char *path_of(const struct attachments *a, const char *id)
{
        return mem_printf("%s/%s.json", a->folder, id);
}

static int stamp_of(const char *path, struct stamp *ret)
{
        struct stat st;

        if (lstat(path, &st) < 0)
                return -errno;
        if (!S_ISREG(st.st_mode))
                return -EINVAL;
        *ret = (struct stamp){.mtime = st.st_mtim, .size = st.st_size, .inode = st.st_ino};
        return 0;
}

static bool same_stamp(const struct stamp *a, const struct stamp *b)
{
        return a->mtime.tv_sec == b->mtime.tv_sec && a->mtime.tv_nsec == b->mtime.tv_nsec && a->size == b->size &&
               a->inode == b->inode;
}

static int load(const struct attachments *a, const char *id, struct stamp *ret_stamp, struct record *ret,
                struct err *reterr)
{
        _cleanup_free_ char *path = path_of(a, id), *text = NULL;
        struct stamp stamp;
        size_t len;
        int res = stamp_of(path, &stamp);

        if (res < 0)
                return err_set(reterr, res, "record %s: %s", path,
                               res == -EINVAL ? "is no regular file" : strerror(-res));
        *ret_stamp = stamp;
        res = file_read(path, RECORD_BYTES_MAX, &text, &len, reterr);
        return res < 0 ? res : record_parse(id, text, len, ret, reterr);
}

/* Another attachment that is in the way: a live one with the same address, device or place in the map. */
static int find_conflict(const struct attachments *a, const struct attachment *t, const struct record *r,
                         struct err *reterr)
{
        hashmap_foreach (&a->by_id, slot) {
                const struct attachment *o = slot->value;

                if (o == t || !o->there)
                        continue;
                if ((!address_is_zero(&r->v4) && address_equal(&r->v4, &o->record.v4)) ||
                    (!address_is_zero(&r->v6) && address_equal(&r->v6, &o->record.v6)))
                        return err_set(reterr, -EADDRINUSE, "an address of it belongs to attachment %s", o->id);
                if (r->host_ifindex % POD_SLOTS == o->record.host_ifindex % POD_SLOTS)
                        return err_set(reterr, -EBUSY, "its device has the place of attachment %s's in the map pods",
                                       o->id);
        }
        return 0;
}

/* ---- plugging */

static int plug(struct attachments *a, const struct net_inputs *in, struct attachment *t, struct err *reterr)
{
        int res = find_conflict(a, t, &t->record, reterr);

        if (res < 0)
                return res;
        if (t->bound && t->bound != t->record.host_ifindex)
                unbind(a, t);
        t->bound = t->record.host_ifindex;
        a->plugs++;
        return plug_in(&a->plug, in, &t->record, reterr);
}

static int attach(struct attachments *a, const struct net_inputs *in, struct attachment *t, struct err *reterr)
{
        _cleanup_(record_deinit) struct record r = RECORD_NULL;
        int res = load(a, t->id, &t->stamp, &r, reterr);
        bool changed;

        if (res == -ENOENT)
                return res;
        if (res < 0) {
                /* What is plugged in stays so: a damaged file is no reason to cut a pod off. */
                t->readable = t->there;
                t->file = true;
                return res;
        }
        t->file = true;
        changed = !t->there || !record_equal(&r, &t->record);
        if (t->there && changed)
                leave(a, t);
        record_deinit(&t->record);
        t->record = r;
        r = RECORD_NULL;
        t->readable = true;
        if (!t->record.host_ifindex)
                return err_set(reterr, -EAGAIN, "record %s: has no device yet", t->id);
        res = plug(a, in, t, reterr);
        if (res < 0) {
                /* What worked before and could not be repaired now still works as far as it does. */
                if (t->there && res == -ENODEV)
                        leave(a, t);
                else if (changed)
                        plug_out(&a->plug, &t->record); /* what is half in place */
                return err_prefix(reterr, res, "attachment %s", t->id);
        }
        t->there = true;
        if (changed)
                count_change(a, t);
        return 0;
}

/* A record without its device waits for one, or for its end: nothing is wrong about that. */
static bool is_failure(int res)
{
        return res < 0 && res != -EAGAIN && res != -ENODEV && res != -ENOENT;
}

static int try_attach(struct attachments *a, const struct net_inputs *in, struct attachment *t, struct err *reterr)
{
        struct err err = ERR_NULL;
        int res = attach(a, in, t, &err);

        if (is_failure(res) && !str_eq(t->problem, err.msg)) {
                a->failures++;
                log_warn("pod not attached", "id=%s pod=%s error=%s", t->id, t->record.pod, err.msg);
        }
        str_copy(t->problem, sizeof(t->problem), is_failure(res) ? err.msg : "");
        return res < 0 ? err_set(reterr, res, "%s", err.msg) : 0;
}

int attachments_attach(struct attachments *a, const struct net_inputs *in, const char *id, struct err *reterr)
{
        struct attachment *t = obtain(a, id);
        int res;

        t->detached = false;
        res = try_attach(a, in, t, reterr);
        if (res < 0 && !t->readable && !t->there)
                forget(a, t);
        return res;
}

void attachments_detach(struct attachments *a, const char *id)
{
        struct attachment *t = hashmap_get(&a->by_id, id);

        if (!t)
                return;
        leave(a, t);
        t->detached = true;
}

/* ---- comparing with the folder */

static void scan_file(struct attachments *a, const struct net_inputs *in, const char *id)
{
        _cleanup_free_ char *path = path_of(a, id);
        struct attachment *t = obtain(a, id);
        struct stamp stamp;
        bool known = stamp_of(path, &stamp) == 0 && same_stamp(&stamp, &t->stamp);

        t->file = true;
        /* What failed is tried again: a veth may have moved in late, an address become free. */
        if (!t->detached && (!known || (t->readable && !t->there && t->record.host_ifindex)))
                try_attach(a, in, t, NULL);
}

static int scan_folder(struct attachments *a, const struct net_inputs *in)
{
        DIR *folder = opendir(a->folder);
        char id[RECORD_ID_SIZE];

        if (!folder)
                return -errno;
        for (const struct dirent *e; (e = readdir(folder));)
                if (record_id_of_file(e->d_name, id) == 0)
                        scan_file(a, in, id);
        closedir(folder);
        return 0;
}

/* Records that are gone: the pods leave the maps at once; the rest is forgotten when their devices are gone, too.
 * Returns one to forget: the map must not change while it is walked. */
static struct attachment *find_gone(struct attachments *a)
{
        hashmap_foreach (&a->by_id, slot) {
                struct attachment *t = slot->value;

                if (t->file)
                        continue;
                leave(a, t);
                t->detached = true;
                if (!t->bound)
                        return t;
        }
        return NULL;
}

static void report(const struct attachments *a, struct problems *problems)
{
        hashmap_foreach (&a->by_id, slot) {
                const struct attachment *t = slot->value;

                if (*t->problem && !t->detached && (!t->there || !t->readable))
                        problems_add(problems, "%s", t->problem);
        }
}

void attachments_scan(struct attachments *a, const struct net_inputs *in, struct problems *problems)
{
        struct attachment *t;
        int res;

        hashmap_foreach (&a->by_id, slot)
                ((struct attachment *)slot->value)->file = false;
        res = scan_folder(a, in);
        if (res == -ENOENT && file_mkdirs(a->folder, 0700, NULL) == 0)
                res = 0;
        if (res < 0) {
                problems_add(problems, "cannot read %s: %s", a->folder, strerror(-res));
                return;
        }
        while ((t = find_gone(a)))
                forget(a, t);
        report(a, problems);
}

/* ---- comparing with the kernel */

static void vanish(struct attachments *a, struct attachment *t)
{
        if (t->there)
                log_info("the veth of a pod is gone", "id=%s pod=%s device=%s", t->id, t->record.pod,
                         t->record.host_ifname);
        leave(a, t);
        unbind(a, t);
}

void attachments_link_gone(struct attachments *a, uint32_t ifindex)
{
        hashmap_foreach (&a->by_id, slot) {
                struct attachment *t = slot->value;

                if (t->bound == ifindex)
                        vanish(a, t);
        }
}

static bool whole(const struct attachments *a, const struct net_link *l, bool programs, const char **ret_why)
{
        *ret_why = "device down";
        if (!(l->flags & IFF_UP))
                return false;
        *ret_why = "program gone";
        return !programs || a->plug.dataplane->attached(a->plug.dataplane->userdata, l->ifindex);
}

static uint32_t check_one(struct attachments *a, const struct net_inputs *in, struct attachment *t, bool programs)
{
        const struct net_link *l = net_link_by_index(in->state, t->bound);
        struct err err = ERR_NULL;
        const char *why;

        if (!l || !str_eq(l->name, t->record.host_ifname)) {
                vanish(a, t);
                return 0;
        }
        if (!t->there || whole(a, l, programs, &why))
                return 0;
        a->plugs++;
        if (plug_in(&a->plug, in, &t->record, &err) < 0) {
                log_limited(LOG_LEVEL_WARN, 5000, "pod not repaired", "id=%s pod=%s error=%s", t->id, t->record.pod,
                            err.msg);
                return 0;
        }
        log_warn("repaired", "what=pod id=%s pod=%s device=%s reason=%s", t->id, t->record.pod, l->name, why);
        return 1;
}

bool attachments_whole(const struct attachments *a)
{
        hashmap_foreach (&a->by_id, slot) {
                const struct attachment *t = slot->value;

                if (t->there && !a->plug.dataplane->attached(a->plug.dataplane->userdata, t->bound))
                        return false;
        }
        return true;
}

uint64_t attachments_plugs(const struct attachments *a)
{
        return a->plugs;
}

uint32_t attachments_check(struct attachments *a, const struct net_inputs *in, bool programs)
{
        uint32_t repairs = 0;

        hashmap_foreach (&a->by_id, slot) {
                struct attachment *t = slot->value;

                if (t->bound)
                        repairs += check_one(a, in, t, programs);
        }
        return repairs;
}

void attachments_again(struct attachments *a)
{
        hashmap_foreach (&a->by_id, slot)
                ((struct attachment *)slot->value)->stamp = (struct stamp){0};
}

/* ---- what others want to know */

uint64_t attachments_port_changes(const struct attachments *a)
{
        return a->port_changes;
}

size_t attachments_places(struct attachments *a, const struct pod_place **ret)
{
        if (a->places_generation != a->generation) {
                a->places_generation = a->generation;
                a->places = mem_realloc(a->places, a->by_id.count + 1, sizeof(*a->places));
                a->places_n = 0;
                hashmap_foreach (&a->by_id, slot) {
                        const struct attachment *t = slot->value;

                        if (t->there)
                                a->places[a->places_n++] = plug_place(&t->record);
                }
        }
        *ret = a->places;
        return a->places_n;
}

static int compare_ports(const void *a, const void *b)
{
        const struct host_port *x = a, *y = b;
        int order = strcmp(x->owner, y->owner);

        order = order ? order : memcmp(&x->pod_ip, &y->pod_ip, sizeof(x->pod_ip));
        order = order ? order : x->proto - y->proto;
        order = order ? order : x->host_port - y->host_port;
        return order ? order : memcmp(&x->host_ip, &y->host_ip, sizeof(x->host_ip));
}

size_t attachments_host_ports(struct attachments *a, const struct host_port **ret)
{
        size_t most = 0;

        if (a->ports_generation == a->generation) {
                *ret = a->ports;
                return a->ports_n;
        }
        hashmap_foreach (&a->by_id, slot)
                most += 2 * ((struct attachment *)slot->value)->record.ports_n;
        a->ports_generation = a->generation;
        a->ports = mem_realloc(a->ports, most + 1, sizeof(*a->ports));
        a->ports_n = 0;
        hashmap_foreach (&a->by_id, slot) {
                const struct attachment *t = slot->value;

                if (t->there)
                        a->ports_n += plug_host_ports(&t->record, a->ports + a->ports_n);
        }
        qsort(a->ports, a->ports_n, sizeof(*a->ports), compare_ports);
        *ret = a->ports;
        return a->ports_n;
}

bool attachments_has_device(const struct attachments *a, const char *host_ifname)
{
        hashmap_foreach (&a->by_id, slot) {
                const struct attachment *t = slot->value;

                if (t->file && t->readable && str_eq(t->record.host_ifname, host_ifname))
                        return true;
        }
        return false;
}

bool attachments_has_index(const struct attachments *a, uint32_t ifindex)
{
        hashmap_foreach (&a->by_id, slot)
                if (((const struct attachment *)slot->value)->bound == ifindex)
                        return true;
        return false;
}

uint32_t attachments_unread(const struct attachments *a)
{
        uint32_t n = 0;

        hashmap_foreach (&a->by_id, slot)
                n += !((const struct attachment *)slot->value)->readable;
        return n;
}

uint64_t attachments_failures(const struct attachments *a)
{
        return a->failures;
}

static int prune_one(void *userdata, const void *key, const void *value)
{
        static const struct pod none;
        const struct attachments *a = userdata;
        const struct pod *p = value;

        if (!p->ifindex || attachments_has_index(a, p->ifindex))
                return 0;
        return map_update(a->plug.dataplane->maps->m[MAP_PODS], key, &none) < 0;
}

void attachments_prune(struct attachments *a)
{
        if (map_each(a->plug.dataplane->maps->m[MAP_PODS], prune_one, a) != 0)
                log_warn("entries of former pods stay in the map pods", "folder=%s", a->folder);
}
