/* SPDX-License-Identifier: Apache-2.0 */
/* Volumes, claims, classes and CSI. */
#include "apiserver/table/table_cell.h"
#include "base/str.h"

/* In this order, each once. */
static const struct {
        const char *mode, *abbreviation;
} access_modes[] = {
        {"ReadWriteOnce", "RWO"},
        {"ReadOnlyMany", "ROX"},
        {"ReadWriteMany", "RWX"},
        {"ReadWriteOncePod", "RWOP"},
};

static bool has_string(const struct json_object *list, const char *s)
{
        json_array_foreach (list, i, item) {
                if (str_eq(json_object_get_string(item), s))
                        return true;
        }
        return false;
}

static struct json_object *cell_access_modes(CELL_ARGS)
{
        const struct json_object *list = json_at(obj, col->path);
        struct strbuf b = STRBUF_NULL;

        for (size_t i = 0; i < ARRAY_SIZE(access_modes); i++)
                if (has_string(list, access_modes[i].mode))
                        text_join(&b, ",", access_modes[i].abbreviation);
        return text_cell_take(&b, "");
}

/* An object that is being deleted says so, whatever its phase. */
static struct json_object *cell_phase(CELL_ARGS)
{
        if (json_at(obj, "metadata.deletionTimestamp"))
                return text_cell("Terminating");
        return text_cell(json_at_str(obj, "status.phase"));
}

static struct json_object *cell_class(CELL_ARGS)
{
        const char *old = json_get_str(json_at(obj, "metadata.annotations"), "volume.beta.kubernetes.io/storage-class");

        return text_cell(old ? old : json_at_str(obj, "spec.storageClassName"));
}

static struct json_object *cell_claim(CELL_ARGS)
{
        const struct json_object *claim = json_at(obj, "spec.claimRef");
        const char *namespace = json_get_str(claim, "namespace"), *name = json_get_str(claim, "name");

        if (!claim)
                return text_cell("");
        return text_cell(arena_printf(ctx->arena, "%s/%s", namespace ? namespace : "", name ? name : ""));
}

static const struct table_column volumes[] = {
        NAME_COLUMN,
        TEXT("Capacity", "Size of the volume", "spec.capacity.storage", .otherwise = "0"),
        TEXT_COLUMN("Access Modes", "How it can be mounted", cell_access_modes, .path = "spec.accessModes"),
        TEXT("Reclaim Policy", "What happens to it when it is released", "spec.persistentVolumeReclaimPolicy",
             .otherwise = ""),
        TEXT_COLUMN("Status", "Phase of the volume", cell_phase, .path = NULL),
        TEXT_COLUMN("Claim", "Claim that has it", cell_claim, .path = NULL),
        TEXT_COLUMN("StorageClass", "Class of the volume", cell_class, .path = NULL),
        TEXT("VolumeAttributesClass", "Class of its attributes", "spec.volumeAttributesClassName",
             .otherwise = "<unset>"),
        TEXT("Reason", "Why it is in that phase", "status.reason", .otherwise = ""),
        AGE_COLUMN,
        WIDE_TEXT("VolumeMode", "Block or Filesystem", "spec.volumeMode", .otherwise = "<unset>"),
};

/* A claim without a volume has no capacity and no modes yet. */
static struct json_object *cell_claim_capacity(CELL_ARGS)
{
        const char *size = json_at_str(obj, "status.capacity.storage");

        if (str_empty(json_at_str(obj, "spec.volumeName")))
                return text_cell("");
        return text_cell(size ? size : "0");
}

static struct json_object *cell_claim_modes(CELL_ARGS)
{
        if (str_empty(json_at_str(obj, "spec.volumeName")))
                return text_cell("");
        return cell_access_modes(ctx, obj, col);
}

static const struct table_column claims[] = {
        NAME_COLUMN,
        TEXT_COLUMN("Status", "Phase of the claim", cell_phase, .path = NULL),
        TEXT("Volume", "Volume that it has", "spec.volumeName", .otherwise = ""),
        TEXT_COLUMN("Capacity", "Size of that volume", cell_claim_capacity, .path = NULL),
        TEXT_COLUMN("Access Modes", "How it can be mounted", cell_claim_modes, .path = "status.accessModes"),
        TEXT_COLUMN("StorageClass", "Class of the claim", cell_class, .path = NULL),
        TEXT("VolumeAttributesClass", "Class of its attributes", "spec.volumeAttributesClassName",
             .otherwise = "<unset>"),
        AGE_COLUMN,
        WIDE_TEXT("VolumeMode", "Block or Filesystem", "spec.volumeMode", .otherwise = "<unset>"),
};

/* ---- classes ---- */

static bool has_true_annotation(const struct json_object *obj, const char *key)
{
        return str_eq(json_get_str(json_at(obj, "metadata.annotations"), key), "true");
}

static struct json_object *marked_name(const struct table_ctx *ctx, const struct json_object *obj, bool by_default)
{
        const char *name = json_at_str(obj, "metadata.name");

        return text_cell(arena_printf(ctx->arena, "%s%s", name ? name : "", by_default ? " (default)" : ""));
}

static struct json_object *cell_storage_class_name(CELL_ARGS)
{
        return marked_name(ctx, obj,
                           has_true_annotation(obj, "storageclass.kubernetes.io/is-default-class") ||
                                   has_true_annotation(obj, "storageclass.beta.kubernetes.io/is-default-class"));
}

static struct json_object *cell_attributes_class_name(CELL_ARGS)
{
        return marked_name(ctx, obj, has_true_annotation(obj, "volumeattributesclass.kubernetes.io/is-default-class"));
}

#define CLASS_NAME_COLUMN(fn)                                                                                          \
        {                                                                                                              \
                .name = "Name", .type = "string", .format = "name", .description = "Name of the object", .cell = fn    \
        }

static const struct table_column storage_classes[] = {
        CLASS_NAME_COLUMN(cell_storage_class_name),
        TEXT("Provisioner", "Who makes its volumes", "provisioner", .otherwise = ""),
        TEXT("ReclaimPolicy", "What happens to released volumes", "reclaimPolicy", .otherwise = "Delete"),
        TEXT("VolumeBindingMode", "When claims are bound", "volumeBindingMode", .otherwise = "Immediate"),
        TEXT_COLUMN("AllowVolumeExpansion", "Whether claims may grow", cell_bool, .path = "allowVolumeExpansion"),
        AGE_COLUMN,
};

static const struct table_column attributes_classes[] = {
        CLASS_NAME_COLUMN(cell_attributes_class_name),
        TEXT("DriverName", "Driver of the class", "driverName", .otherwise = ""),
        AGE_COLUMN,
};

/* ---- attachments and CSI ---- */

static const struct table_column attachments[] = {
        NAME_COLUMN,
        TEXT("Attacher", "Who attaches the volume", "spec.attacher", .otherwise = ""),
        TEXT("PV", "Volume to attach", "spec.source.persistentVolumeName", .otherwise = ""),
        TEXT("Node", "Node to attach it to", "spec.nodeName", .otherwise = ""),
        COLUMN("Attached", "boolean", "Whether it is attached", cell_bool, .path = "status.attached"),
        AGE_COLUMN,
};

static const struct table_column csi_nodes[] = {
        NAME_COLUMN,
        COLUMN("Drivers", "integer", "Number of drivers on the node", cell_count, .path = "spec.drivers"),
        AGE_COLUMN,
};

static struct json_object *cell_audiences(CELL_ARGS)
{
        const struct json_object *list = json_at(obj, "spec.tokenRequests");
        struct strbuf b = STRBUF_NULL;

        json_array_foreach (list, i, t) {
                const char *audience = json_get_str(t, "audience");

                if (i)
                        strbuf_add_char(&b, ',');
                strbuf_add_str(&b, audience ? audience : "");
        }
        return text_cell_take(&b, list ? "" : "<unset>");
}

#define FLAG(n, d, at, ...) COLUMN(n, "boolean", d, cell_bool, .path = at, __VA_ARGS__)

static const struct table_column csi_drivers[] = {
        NAME_COLUMN,
        FLAG("AttachRequired", "Whether volumes are attached before they are mounted", "spec.attachRequired",
             .otherwise = "true"),
        FLAG("PodInfoOnMount", "Whether the driver is told of the pod", "spec.podInfoOnMount", .otherwise = NULL),
        FLAG("StorageCapacity", "Whether the driver publishes its capacity", "spec.storageCapacity", .otherwise = NULL),
        TEXT_COLUMN("TokenRequests", "Audiences of the tokens that the driver gets", cell_audiences, .path = NULL),
        FLAG("RequiresRepublish", "Whether mounting is repeated", "spec.requiresRepublish", .otherwise = NULL),
        TEXT_COLUMN("Modes", "Kinds of volumes", cell_join, .path = "spec.volumeLifecycleModes", .otherwise = "<none>"),
        AGE_COLUMN,
};

static const struct table_column csi_capacities[] = {
        NAME_COLUMN,
        TEXT("StorageClassName", "Class that the capacity is for", "storageClassName", .otherwise = ""),
        TEXT("Capacity", "What can still be provisioned", "capacity", .otherwise = "<unset>"),
};

const struct table_def table_storage[] = {
        TABLE("", "persistentvolumeclaims", claims, .summarise = NULL),
        TABLE("", "persistentvolumes", volumes, .summarise = NULL),
        TABLE("storage.k8s.io", "csidrivers", csi_drivers, .summarise = NULL),
        TABLE("storage.k8s.io", "csinodes", csi_nodes, .summarise = NULL),
        TABLE("storage.k8s.io", "csistoragecapacities", csi_capacities, .summarise = NULL),
        TABLE("storage.k8s.io", "storageclasses", storage_classes, .summarise = NULL),
        TABLE("storage.k8s.io", "volumeattachments", attachments, .summarise = NULL),
        TABLE("storage.k8s.io", "volumeattributesclasses", attributes_classes, .summarise = NULL),
        {.plural = NULL},
};
