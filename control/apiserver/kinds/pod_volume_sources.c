/* SPDX-License-Identifier: Apache-2.0 */
/* What each kind of volume source needs, for pods and for PersistentVolumes. */
#include <stdlib.h>
#include <string.h>

#include "apiserver/kinds/pod_check.h"
#include "base/str.h"

#define MSG_MODE "must be a number between 0 and 0777 (octal), both inclusive"

static void check_mode(struct ferrs *e, const struct fpath *parent, const struct json_object *o, const char *name)
{
        int64_t mode = json_get_i64(o, name, 0);
        struct fpath p = fpath_child(parent, name);

        if (mode < 0 || mode > 0777)
                ferr_invalid_i64(e, &p, mode, MSG_MODE);
}

static void empty_dir(struct ferrs *e, const struct fpath *p, const struct json_object *source)
{
        const char *limit = json_get_str(source, "sizeLimit");
        struct fpath at = fpath_child(p, "sizeLimit");

        if (limit && quantity_text_cmp(limit, "0") < 0)
                ferr_forbidden(e, &at, "SizeLimit field must be a valid resource quantity");
}

static void host_path(struct ferrs *e, const struct fpath *p, const struct json_object *source)
{
        static const char *const types[] = {"",     "BlockDevice",  "CharDevice", "Directory", "DirectoryOrCreate",
                                            "File", "FileOrCreate", "Socket",     NULL};
        struct fpath path = fpath_child(p, "path");

        if (!check_required(e, p, source, "path"))
                return;
        check_no_backsteps(e, &path, str_of(source, "path"));
        check_one_of(e, p, source, "type", types, false);
}

static void git_repo(struct ferrs *e, const struct fpath *p, const struct json_object *source)
{
        struct fpath directory = fpath_child(p, "directory");

        check_required(e, p, source, "repository");
        check_descending_path(e, &directory, str_of(source, "directory"));
}

static void check_items(struct ferrs *e, const struct fpath *parent, const struct json_object *items)
{
        struct fpath p = fpath_child(parent, "items");

        json_array_foreach (items, i, item) {
                struct fpath at = fpath_index(&p, i), path = fpath_child(&at, "path");

                check_required(e, &at, item, "key");
                check_required(e, &at, item, "path");
                check_non_reserved_path(e, &path, str_of(item, "path"));
                check_mode(e, &at, item, "mode");
        }
}

static void secret(struct ferrs *e, const struct fpath *p, const struct json_object *source)
{
        check_required(e, p, source, "secretName");
        check_mode(e, p, source, "defaultMode");
        check_items(e, p, json_get(source, "items"));
}

static void config_map(struct ferrs *e, const struct fpath *p, const struct json_object *source)
{
        check_required(e, p, source, "name");
        check_mode(e, p, source, "defaultMode");
        check_items(e, p, json_get(source, "items"));
}

static void claim(struct ferrs *e, const struct fpath *p, const struct json_object *source)
{
        check_required(e, p, source, "claimName");
}

static void nfs(struct ferrs *e, const struct fpath *p, const struct json_object *source)
{
        struct fpath path = fpath_child(p, "path");

        check_required(e, p, source, "server");
        check_required(e, p, source, "path");
        if (*str_of(source, "path") != '/')
                ferr_invalid_str(e, &path, str_of(source, "path"), "must be an absolute path");
}

static void downward_file(struct ferrs *e, const struct fpath *p, const struct json_object *file)
{
        struct fpath path = fpath_child(p, "path"), field = fpath_child(p, "fieldRef"),
                     resource = fpath_child(p, "resourceFieldRef");
        struct json_object *f = json_get(file, "fieldRef"), *r = json_get(file, "resourceFieldRef");

        check_required(e, p, file, "path");
        check_non_reserved_path(e, &path, str_of(file, "path"));
        if (f) {
                check_field_ref(e, &field, f, FIELD_OF_VOLUME);
                if (r)
                        ferr_invalid_str(e, p, "resource",
                                         "fieldRef and resourceFieldRef can not be specified simultaneously");
        } else if (r) {
                check_resource_field_ref(e, &resource, r, FIELD_OF_VOLUME);
        } else {
                ferr_required(e, p, "one of fieldRef and resourceFieldRef is required");
        }
        check_mode(e, p, file, "mode");
}

static void downward_api(struct ferrs *e, const struct fpath *p, const struct json_object *source)
{
        check_mode(e, p, source, "defaultMode");
        json_array_foreach (json_get(source, "items"), i, file) {
                downward_file(e, p, file);
        }
}

/* Two sources of a projected volume may not put a file at the same path. */
struct projection {
        struct ferrs *e;
        const struct fpath *volume;
        struct name_set paths;
};

static void claim_path(struct projection *pr, const char *path, const char *who)
{
        if (*path && !name_set_add(&pr->paths, path))
                ferr_invalid_str(pr->e, pr->volume, who, "conflicting duplicate paths");
}

static void projected_keys(struct projection *pr, const struct fpath *p, const struct json_object *o)
{
        check_required(pr->e, p, o, "name");
        check_items(pr->e, p, json_get(o, "items"));
        json_array_foreach (json_get(o, "items"), i, item) {
                claim_path(pr, str_of(item, "path"), str_of(o, "name"));
        }
}

static void projected_downward(struct projection *pr, const struct fpath *p, const struct json_object *o)
{
        json_array_foreach (json_get(o, "items"), i, file) {
                downward_file(pr->e, p, file);
                claim_path(pr, str_of(file, "path"), str_of(file, "path"));
        }
}

static void projected_token(struct projection *pr, const struct fpath *p, const struct json_object *o)
{
        struct fpath seconds_path = fpath_child(p, "expirationSeconds"), path = fpath_child(pr->volume, "path");
        int64_t seconds = json_get_i64(o, "expirationSeconds", 3600);

        if (seconds < 600)
                ferr_invalid_i64(pr->e, &seconds_path, seconds, "may not specify a duration less than 10 minutes");
        if (seconds > 1LL << 32)
                ferr_invalid_i64(pr->e, &seconds_path, seconds, "may not specify a duration larger than 2^32 seconds");
        if (check_required(pr->e, pr->volume, o, "path"))
                check_non_reserved_path(pr->e, &path, str_of(o, "path"));
}

static void projected_bundle(struct projection *pr, const struct fpath *p, const struct json_object *o)
{
        struct fpath path = fpath_child(p, "path"), selector = fpath_child(p, "labelSelector");
        bool name = json_has(o, "name"), signer = json_has(o, "signerName");

        if (name && signer)
                ferr_invalid(pr->e, p, o, "only one of name and signerName may be used");
        else if (!name && !signer)
                ferr_required(pr->e, p, "either name or signerName must be specified");
        else if (name && json_has(o, "labelSelector"))
                ferr_invalid(pr->e, &selector, json_get(o, "labelSelector"),
                             "labelSelector must be unset if name is specified");
        else
                check_label_selector(pr->e, &selector, json_get(o, "labelSelector"));
        check_required(pr->e, p, o, "path");
        check_non_reserved_path(pr->e, &path, str_of(o, "path"));
        claim_path(pr, str_of(o, "path"), str_of(o, "path"));
}

static const struct {
        const char *field;
        void (*check)(struct projection *pr, const struct fpath *p, const struct json_object *o);
} projections[] = {
        {"secret", projected_keys},
        {"configMap", projected_keys},
        {"downwardAPI", projected_downward},
        {"serviceAccountToken", projected_token},
        {"clusterTrustBundle", projected_bundle},
        {"podCertificate", NULL},
};

static void projected(struct ferrs *e, const struct fpath *p, const struct json_object *source)
{
        struct projection pr = {.e = e, .volume = p};
        struct fpath sources = fpath_child(p, "sources");

        check_mode(e, p, source, "defaultMode");
        json_array_foreach (json_get(source, "sources"), i, item) {
                struct fpath at = fpath_index(&sources, i);
                int found = 0;

                for (size_t k = 0; k < ARRAY_SIZE(projections); k++) {
                        struct json_object *o = json_get(item, projections[k].field);
                        struct fpath here = fpath_child(&at, projections[k].field);

                        if (!o)
                                continue;
                        found++;
                        if (projections[k].check)
                                projections[k].check(&pr, &here, o);
                }
                if (found > 1)
                        ferr_forbidden(e, &at, "may not specify more than 1 volume type per source");
        }
        name_set_deinit(&pr.paths);
}

void check_secret_reference(struct ferrs *e, const struct fpath *p, const struct json_object *ref, bool namespaced)
{
        if (!ref)
                return;
        check_name_required(e, p, ref, "name", NAME_DNS1123_SUBDOMAIN);
        if (namespaced)
                check_name_required(e, p, ref, "namespace", NAME_DNS1123_LABEL);
}

void check_csi_driver_name(struct ferrs *e, const struct fpath *p, const char *name)
{
        char *lower = arena_strdup(e->arena, name);
        struct name_errors errors;
        size_t n;

        if (!*name)
                ferr_required(e, p, NULL);
        if (strlen(name) > 63)
                ferr_too_long(e, p, 63);
        for (char *s = lower; *s; s++)
                *s = (char)(*s >= 'A' && *s <= 'Z' ? *s + 32 : *s);
        n = name_check(NAME_DNS1123_SUBDOMAIN, lower, &errors);
        for (size_t i = 0; i < n; i++)
                ferr_invalid_str(e, p, name, "%s", errors.msg[i]);
}

/* Inline, in a pod; a PersistentVolume checks what more its own needs. */
static void csi(struct ferrs *e, const struct fpath *p, const struct json_object *source)
{
        struct fpath driver = fpath_child(p, "driver"), node_secret = fpath_child(p, "nodePublishSecretRef");

        check_csi_driver_name(e, &driver, str_of(source, "driver"));
        check_secret_reference(e, &node_secret, json_get(source, "nodePublishSecretRef"), false);
}

static void ephemeral(struct ferrs *e, const struct fpath *p, const struct json_object *source)
{
        struct fpath template = fpath_child(p, "volumeClaimTemplate"), meta = fpath_child(&template, "metadata"),
                     spec = fpath_child(&template, "spec");
        struct json_object *t = json_get(source, "volumeClaimTemplate");

        if (!t) {
                ferr_required(e, &template, NULL);
                return;
        }
        check_template_meta(e, &meta, json_get(t, "metadata"));
        claim_spec_validate(&spec, json_get(t, "spec"), e);
}

static void image(struct ferrs *e, const struct fpath *p, const struct json_object *source)
{
        static const char *const policies[] = {"Always", "IfNotPresent", "Never", NULL};

        check_required(e, p, source, "reference");
        check_one_of(e, p, source, "pullPolicy", policies, true);
}

static void iscsi(struct ferrs *e, const struct fpath *p, const struct json_object *source)
{
        const char *iqn = str_of(source, "iqn");
        struct fpath at = fpath_child(p, "iqn");

        check_required(e, p, source, "targetPortal");
        if (check_required(e, p, source, "iqn") && !str_has_prefix(iqn, "iqn") && !str_has_prefix(iqn, "eui") &&
            !str_has_prefix(iqn, "naa"))
                ferr_invalid_str(e, &at, iqn, "must be valid format starting with iqn, eui, or naa");
        check_range(e, p, source, "lun", 0, 255);
        if ((json_get_bool(source, "chapAuthDiscovery", false) || json_get_bool(source, "chapAuthSession", false)) &&
            !json_has(source, "secretRef"))
                check_required(e, p, source, "secretRef");
}

static void fc(struct ferrs *e, const struct fpath *p, const struct json_object *source)
{
        struct json_object *names = json_get(source, "targetWWNs"), *ids = json_get(source, "wwids");
        struct fpath at = fpath_child(p, "targetWWNs"), lun = fpath_child(p, "lun");

        if (!json_len(names) && !json_len(ids))
                ferr_required(e, &at, "must specify either targetWWNs or wwids, but not both");
        if (json_len(names) && json_len(ids))
                ferr_invalid(e, &at, names, "targetWWNs and wwids can not be specified simultaneously");
        if (json_len(names) && !json_has(source, "lun"))
                ferr_required(e, &lun, "lun is required if targetWWNs is specified");
        if (json_len(names))
                check_range(e, p, source, "lun", 0, 255);
}

static void flex_volume(struct ferrs *e, const struct fpath *p, const struct json_object *source)
{
        check_required(e, p, source, "driver");
}

static void gce_disk(struct ferrs *e, const struct fpath *p, const struct json_object *source)
{
        int64_t part = json_get_i64(source, "partition", 0);
        struct fpath at = fpath_child(p, "partition");

        check_required(e, p, source, "pdName");
        if (part < 0 || part > 255)
                ferr_invalid_i64(e, &at, part, "must be between 1 and 255, inclusive");
}

static void aws_disk(struct ferrs *e, const struct fpath *p, const struct json_object *source)
{
        int64_t part = json_get_i64(source, "partition", 0);
        struct fpath at = fpath_child(p, "partition");

        check_required(e, p, source, "volumeID");
        if (part < 0 || part > 255)
                ferr_invalid_i64(e, &at, part, "must be between 1 and 255, inclusive");
}

static void glusterfs(struct ferrs *e, const struct fpath *p, const struct json_object *source)
{
        check_required(e, p, source, "endpoints");
        check_required(e, p, source, "path");
}

static void rbd(struct ferrs *e, const struct fpath *p, const struct json_object *source)
{
        check_required(e, p, source, "monitors");
        check_required(e, p, source, "image");
}

static void cephfs(struct ferrs *e, const struct fpath *p, const struct json_object *source)
{
        check_required(e, p, source, "monitors");
}

static void volume_id(struct ferrs *e, const struct fpath *p, const struct json_object *source)
{
        check_required(e, p, source, "volumeID");
}

static void azure_file(struct ferrs *e, const struct fpath *p, const struct json_object *source)
{
        check_required(e, p, source, "secretName");
        check_required(e, p, source, "shareName");
}

static void azure_disk(struct ferrs *e, const struct fpath *p, const struct json_object *source)
{
        static const char *const caching[] = {"None", "ReadOnly", "ReadWrite", NULL};
        static const char *const kinds[] = {"Dedicated", "Managed", "Shared", NULL};

        check_required(e, p, source, "diskName");
        check_required(e, p, source, "diskURI");
        check_one_of(e, p, source, "cachingMode", caching, false);
        check_one_of(e, p, source, "kind", kinds, false);
}

static void vsphere(struct ferrs *e, const struct fpath *p, const struct json_object *source)
{
        check_required(e, p, source, "volumePath");
}

static void photon(struct ferrs *e, const struct fpath *p, const struct json_object *source)
{
        check_required(e, p, source, "pdID");
}

static void quobyte(struct ferrs *e, const struct fpath *p, const struct json_object *source)
{
        struct fpath registry = fpath_child(p, "registry");

        if (!*str_of(source, "registry"))
                ferr_required(e, &registry, "must be a host:port pair or multiple pairs separated by commas");
        check_required(e, p, source, "volume");
}

static void flocker(struct ferrs *e, const struct fpath *p, const struct json_object *source)
{
        bool name = *str_of(source, "datasetName"), uuid = *str_of(source, "datasetUUID");

        if (!name && !uuid)
                ferr_required(e, p, "one of datasetName and datasetUUID is required");
        if (name && uuid)
                ferr_invalid_str(e, p, "resource", "datasetName and datasetUUID can not be specified simultaneously");
}

static void scale_io(struct ferrs *e, const struct fpath *p, const struct json_object *source)
{
        check_required(e, p, source, "gateway");
        check_required(e, p, source, "system");
        check_required(e, p, source, "volumeName");
}

static void storage_os(struct ferrs *e, const struct fpath *p, const struct json_object *source)
{
        check_name_required(e, p, source, "volumeName", NAME_DNS1123_LABEL);
        check_name_if(e, p, source, "volumeNamespace", NAME_DNS1123_LABEL);
}

/* Sorted by field. */
static const struct volume_source_rule rules[] = {
        {"awsElasticBlockStore", "awsElasticBlockStore", aws_disk},
        {"azureDisk", "azureDisk", azure_disk},
        {"azureFile", "azureFile", azure_file},
        {"cephfs", "cephfs", cephfs},
        {"cinder", "cinder", volume_id},
        {"configMap", "configMap", config_map},
        {"csi", "csi", csi},
        {"downwardAPI", "downwardAPI", downward_api},
        {"emptyDir", "emptyDir", empty_dir},
        {"ephemeral", "ephemeral", ephemeral},
        {"fc", "fc", fc},
        {"flexVolume", "flexVolume", flex_volume},
        {"flocker", "flocker", flocker},
        {"gcePersistentDisk", "persistentDisk", gce_disk},
        {"gitRepo", "gitRepo", git_repo},
        {"glusterfs", "glusterfs", glusterfs},
        {"hostPath", "hostPath", host_path},
        {"image", "image", image},
        {"iscsi", "iscsi", iscsi},
        {"nfs", "nfs", nfs},
        {"persistentVolumeClaim", "persistentVolumeClaim", claim},
        {"photonPersistentDisk", "photonPersistentDisk", photon},
        {"portworxVolume", "portworxVolume", volume_id},
        {"projected", "projected", projected},
        {"quobyte", "quobyte", quobyte},
        {"rbd", "rbd", rbd},
        {"scaleIO", "scaleIO", scale_io},
        {"secret", "secret", secret},
        {"storageos", "storageos", storage_os},
        {"vsphereVolume", "vsphereVolume", vsphere},
};

static int rule_compare(const void *key, const void *rule)
{
        return strcmp(key, ((const struct volume_source_rule *)rule)->field);
}

const struct volume_source_rule *volume_source_rule(const char *field)
{
        return bsearch(field, rules, ARRAY_SIZE(rules), sizeof(rules[0]), rule_compare);
}
