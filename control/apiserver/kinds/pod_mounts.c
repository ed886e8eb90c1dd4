/* SPDX-License-Identifier: Apache-2.0 */
/* volumeMounts and volumeDevices of a container. */
#include <string.h>

#include "apiserver/kinds/pod_check.h"
#include "base/str.h"

struct mounts {
        struct pod_check *pc;
        const struct json_object *container;
        struct name_set mount_names, mount_paths, device_names, device_paths;
};

static void collect(struct mounts *m)
{
        json_array_foreach (json_get(m->container, "volumeMounts"), i, mount) {
                name_set_add(&m->mount_names, str_of(mount, "name"));
                name_set_add(&m->mount_paths, str_of(mount, "mountPath"));
        }
        json_array_foreach (json_get(m->container, "volumeDevices"), i, device) {
                name_set_add(&m->device_names, str_of(device, "name"));
                name_set_add(&m->device_paths, str_of(device, "devicePath"));
        }
}

static void check_propagation(struct mounts *m, const struct fpath *parent, const struct json_object *mount)
{
        static const char *const modes[] = {"Bidirectional", "HostToContainer", "None", NULL};
        const char *mode = json_get_str(mount, "mountPropagation");
        struct fpath p = fpath_child(parent, "mountPropagation");

        if (!mode)
                return;
        if (!one_of(mode, modes))
                ferr_not_supported(m->pc->e, &p, mode, modes);
        if (str_eq(mode, "Bidirectional") && !json_at_bool(m->container, "securityContext.privileged", false))
                ferr_forbidden(m->pc->e, &p,
                               "Bidirectional mount propagation is available only to privileged containers");
}

static void check_recursive_read_only(struct mounts *m, const struct fpath *parent, const struct json_object *mount)
{
        static const char *const modes[] = {"Disabled", "Enabled", "IfPossible", NULL};
        const char *mode = json_get_str(mount, "recursiveReadOnly"), *propagation = str_of(mount, "mountPropagation");
        struct fpath p = fpath_child(parent, "recursiveReadOnly");

        if (!mode || str_eq(mode, "Disabled"))
                return;
        if (!one_of(mode, modes)) {
                ferr_not_supported(m->pc->e, &p, mode, modes);
                return;
        }
        if (!json_get_bool(mount, "readOnly", false))
                ferr_forbidden(m->pc->e, &p, "may only be specified when readOnly is true");
        if (*propagation && !str_eq(propagation, "None"))
                ferr_forbidden(m->pc->e, &p, "may only be specified when mountPropagation is None or not specified");
}

/* Upstream names the list here, not the item. */
static void check_sub_paths(struct mounts *m, const struct fpath *list, const struct fpath *item,
                            const struct json_object *mount)
{
        const char *sub = str_of(mount, "subPath"), *expr = str_of(mount, "subPathExpr");
        const struct json_object *volume = name_set_get(&m->pc->volumes, str_of(mount, "name"));
        struct fpath sub_item = fpath_child(item, "subPath"), expr_item = fpath_child(item, "subPathExpr"),
                     sub_list = fpath_child(list, "subPath"), expr_list = fpath_child(list, "subPathExpr");

        if (!*sub && !*expr)
                return;
        if (*sub && json_has(volume, "image"))
                ferr_invalid_str(m->pc->e, &sub_item, sub, "not allowed in image volume sources");
        if (*expr && json_has(volume, "image"))
                ferr_invalid_str(m->pc->e, &expr_item, expr, "not allowed in image volume sources");
        if (*sub)
                check_descending_path(m->pc->e, &sub_list, sub);
        if (*sub && *expr)
                ferr_invalid_str(m->pc->e, &expr_item, expr, "subPathExpr and subPath are mutually exclusive");
        if (*expr)
                check_descending_path(m->pc->e, &expr_list, expr);
}

static void check_mount(struct mounts *m, struct name_set *seen, const struct fpath *list, const struct fpath *p,
                        const struct json_object *mount)
{
        const char *name = str_of(mount, "name"), *path = str_of(mount, "mountPath");
        struct fpath at_name = fpath_child(p, "name"), at_path = fpath_child(p, "mountPath");
        struct ferrs *e = m->pc->e;

        check_required(e, p, mount, "name");
        if (!name_set_get(&m->pc->volumes, name))
                ferr_not_found_str(e, &at_name, name);
        check_required(e, p, mount, "mountPath");
        if (!name_set_add(seen, path))
                ferr_invalid_str(e, &at_path, path, "must be unique");
        if (name_set_get(&m->device_names, name))
                ferr_invalid_str(e, &at_name, name, "must not already exist in volumeDevices");
        if (name_set_get(&m->device_paths, path))
                ferr_invalid_str(e, &at_path, path, "must not already exist as a path in volumeDevices");
        check_sub_paths(m, list, p, mount);
        check_propagation(m, list, mount);
        check_recursive_read_only(m, list, mount);
}

static void check_device_name(struct mounts *m, struct name_set *seen, const struct fpath *p,
                              const struct json_object *device)
{
        const char *name = str_of(device, "name");
        const struct json_object *volume = name_set_get(&m->pc->volumes, name);
        struct fpath at = fpath_child(p, "name");
        struct ferrs *e = m->pc->e;

        check_required(e, p, device, "name");
        if (*name && !name_set_add(seen, name))
                ferr_invalid_str(e, &at, name, "must be unique");
        if (!volume)
                ferr_not_found_str(e, &at, name);
        else if (!json_has(volume, "persistentVolumeClaim") && !json_has(volume, "ephemeral"))
                ferr_invalid_str(e, &at, name,
                                 "can only use volume source type of PersistentVolumeClaim or Ephemeral for block "
                                 "mode");
}

static void check_device(struct mounts *m, struct name_set *names, struct name_set *paths, const struct fpath *p,
                         const struct json_object *device)
{
        const char *name = str_of(device, "name"), *path = str_of(device, "devicePath");
        struct fpath at_name = fpath_child(p, "name"), at_path = fpath_child(p, "devicePath");
        struct ferrs *e = m->pc->e, scratch = FERRS(m->pc->e->arena);

        check_device_name(m, names, p, device);
        check_required(e, p, device, "devicePath");
        if (*path && !name_set_add(paths, path))
                ferr_invalid_str(e, &at_path, path, "must be unique");
        check_no_backsteps(&scratch, p, path);
        if (scratch.n)
                ferr_invalid_str(e, &at_path, path, "can not contain backsteps ('..')");
        if (name_set_get(&m->mount_names, name))
                ferr_invalid_str(e, &at_name, name, "must not already exist in volumeMounts");
        if (name_set_get(&m->mount_paths, path))
                ferr_invalid_str(e, &at_path, path, "must not already exist as a path in volumeMounts");
}

static void check_all(struct mounts *m, const struct fpath *container_path)
{
        _cleanup_names_ struct name_set seen = NAME_SET_NULL, names = NAME_SET_NULL, paths = NAME_SET_NULL;
        struct fpath mounts = fpath_child(container_path, "volumeMounts"),
                     devices = fpath_child(container_path, "volumeDevices");

        json_array_foreach (json_get(m->container, "volumeMounts"), i, mount) {
                struct fpath at = fpath_index(&mounts, i);

                check_mount(m, &seen, &mounts, &at, mount);
        }
        json_array_foreach (json_get(m->container, "volumeDevices"), i, device) {
                struct fpath at = fpath_index(&devices, i);

                check_device(m, &names, &paths, &at, device);
        }
}

void pod_check_mounts(struct pod_check *pc, const struct fpath *container_path, const struct json_object *container)
{
        struct mounts m;

        if (!json_has(container, "volumeMounts") && !json_has(container, "volumeDevices"))
                return;
        memset(&m, 0, sizeof(m));
        m.pc = pc;
        m.container = container;
        collect(&m);
        check_all(&m, container_path);
        name_set_deinit(&m.mount_names);
        name_set_deinit(&m.mount_paths);
        name_set_deinit(&m.device_names);
        name_set_deinit(&m.device_paths);
}
