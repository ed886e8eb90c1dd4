/* SPDX-License-Identifier: Apache-2.0 */
/* Inside the pod validation: what its files share. One struct goes through it all. */
#pragma once

#include "apiserver/kinds/common.h"
#include "apiserver/kinds/pod.h"

struct pod_check {
        const struct kctx *c;
        struct ferrs *e;
        const struct json_object *spec;
        const char *pod_name; /* NULL in a template */
        bool is_pod;
        bool host_users;
        bool host_network;
        const char *restart_policy;
        bool has_grace;
        int64_t grace_seconds;
        struct name_set volumes; /* the good ones: name -> volume */
        struct name_set claims;  /* spec.resourceClaims */
};

/* Which list a container is in. */
enum container_list {
        LIST_CONTAINERS,
        LIST_INIT,
        LIST_EPHEMERAL,
};

/* pod_volumes.c: also fills pc->volumes. */
void pod_check_volumes(struct pod_check *pc, const struct fpath *spec);
/* pod_volume_sources.c: one source of a volume (or of a PersistentVolume), by its field's name. */
struct volume_source_rule {
        const char *field;
        const char *path; /* in messages; upstream's differ from the field here and there */
        void (*check)(struct ferrs *e, const struct fpath *p, const struct json_object *source);
};
const struct volume_source_rule *volume_source_rule(const char *field);
void check_secret_reference(struct ferrs *e, const struct fpath *p, const struct json_object *ref, bool namespaced);
void check_csi_driver_name(struct ferrs *e, const struct fpath *p, const char *name);

/* pod_containers.c */
void pod_check_containers(struct pod_check *pc, const struct fpath *spec);
/* pod_mounts.c */
void pod_check_mounts(struct pod_check *pc, const struct fpath *container_path, const struct json_object *container);
/* pod_env.c */
void pod_check_env(struct ferrs *e, const struct fpath *container_path, const struct json_object *container);
enum field_ref_place {
        FIELD_OF_ENV,
        FIELD_OF_VOLUME,
};
void check_field_ref(struct ferrs *e, const struct fpath *p, const struct json_object *ref, enum field_ref_place place);
void check_resource_field_ref(struct ferrs *e, const struct fpath *p, const struct json_object *ref,
                              enum field_ref_place place);
/* pod_probes.c */
void pod_check_probes(struct pod_check *pc, const struct fpath *container_path, const struct json_object *container);
/* pod_resources.c */
void pod_check_requirements(struct pod_check *pc, const struct fpath *p, const struct json_object *resources,
                            enum resource_place place);
/* pod_security.c */
void pod_check_security(struct pod_check *pc, const struct fpath *spec);
void container_check_security(struct pod_check *pc, const struct fpath *container_path,
                              const struct json_object *container);
/* pod_scheduling.c */
void pod_check_scheduling(struct pod_check *pc, const struct fpath *spec);
/* pod_dns.c */
void pod_check_dns(struct pod_check *pc, const struct fpath *spec);
/* pod_annotations.c */
void pod_check_annotations(struct pod_check *pc, const struct fpath *annotations_path,
                           const struct json_object *annotations);
