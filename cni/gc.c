/* SPDX-License-Identifier: Apache-2.0 */
/*
 * GC: what is not in cni.dev/valid-attachments goes, of this network; and whatever killed calls have left, of any. It
 * goes on after an error and reports the first.
 */
#include <string.h>

#include "base/mem.h"
#include "base/str.h"
#include "cni/code.h"
#include "cni/ipam.h"
#include "cni/release.h"
#include "cni/veth.h"
#include "cni/verbs.h"

struct gc {
        struct call *call;
        struct ipam ipam;
        char (*kept)[IFNAME_SIZE]; /* host sides */
        size_t nkept;
        int result;
        struct err *reterr;
};

static void note(struct gc *gc, int r, const struct err *why)
{
        if (!r || gc->result)
                return;
        gc->result = r;
        err_set(gc->reterr, r, "%s", why->msg);
}

static bool valid(const struct json_object *list, const char *id)
{
        json_array_foreach (list, i, v) {
                const char *container = conf_get_str(v, "containerID"), *ifname = conf_get_str(v, "ifname");
                size_t n = strlen(container);

                if (strncmp(id, container, n) == 0 && id[n] == '-' && str_eq(id + n + 1, ifname))
                        return true;
        }
        return false;
}

static void keep(struct gc *gc, const char *host_ifname)
{
        gc->kept = mem_realloc(gc->kept, gc->nkept + 1, sizeof(*gc->kept));
        str_copy(gc->kept[gc->nkept++], IFNAME_SIZE, host_ifname);
}

static void collect_record(struct gc *gc, const char *id)
{
        const struct cni_conf *conf = &gc->call->conf;
        struct attachment a;
        struct err why = ERR_NULL;
        int r = record_read(conf->run_dir, id, &a, &why);

        if (r == CNI_IO) {
                note(gc, r, &why);
                return;
        }
        /* A record that cannot be read says of no network; then only the list protects it. */
        if (valid(conf->valid_attachments, id))
                return;
        if (!r && !str_eq(a.network, conf->name)) {
                keep(gc, a.host_ifname);
                return;
        }
        note(gc, release_locked(&gc->ipam, id, r ? NULL : &a, &why), &why);
        if (conf->ipam_type && !r)
                note(gc, delegate_del_of(&gc->call->delegate, &a, &why), &why);
}

static bool is_kept(const char *name, void *userdata)
{
        const struct gc *gc = userdata;

        for (size_t i = 0; i < gc->nkept; i++)
                if (str_eq(gc->kept[i], name))
                        return true;
        return false;
}

static void keep_valid(struct gc *gc)
{
        json_array_foreach (gc->call->conf.valid_attachments, i, v) {
                char name[IFNAME_SIZE];

                attachment_host_ifname(conf_get_str(v, "containerID"), conf_get_str(v, "ifname"), name);
                keep(gc, name);
        }
}

/* With the lock: records are written under it, before their devices are made. */
static void collect(struct gc *gc, struct netlink *host, uint32_t **ret_devices, size_t *ret_n)
{
        _cleanup_json_ struct json_object *ids = record_list(gc->call->conf.run_dir);
        struct err why = ERR_NULL;

        record_remove_temps(gc->call->conf.run_dir);
        keep_valid(gc);
        json_array_foreach (ids, i, v)
                collect_record(gc, json_object_get_string(v));
        ipam_release_stray(&gc->ipam);
        note(gc, veth_list_stray(host, is_kept, gc, ret_devices, ret_n, &why), &why);
}

int verb_gc(struct call *c, struct err *reterr)
{
        _cleanup_(netlink_close) struct netlink host = NETLINK_NULL;
        _cleanup_free_ uint32_t *devices = NULL;
        struct gc gc = {.call = c, .reterr = reterr};
        struct err why = ERR_NULL;
        size_t n = 0;
        int r = record_prepare(c->conf.run_dir, reterr);

        if (!r && netlink_open(&host, reterr))
                r = CNI_KERNEL;
        if (!r)
                r = ipam_lock(c->conf.run_dir, &gc.ipam, reterr);
        if (r)
                return r;
        collect(&gc, &host, &devices, &n);
        ipam_unlock(&gc.ipam);
        for (size_t i = 0; i < n; i++)
                note(&gc, veth_delete(&host, devices[i], &why), &why);
        free(gc.kept);
        if (c->conf.ipam_type)
                note(&gc, delegate_call(&c->delegate, VERB_GC, &why), &why);
        return gc.result;
}
