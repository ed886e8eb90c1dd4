/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Finding a pod's shape. Each event of a pod comes through here, so an existing shape is found without parsing: the
 * fields that matter are written one behind the other, and these bytes are the key.
 */
#include <string.h>

#include "base/mem.h"
#include "base/str.h"
#include "scheduler/model/shape.h"

/* Parts of the spec that matter with all that is in them. */
static const char *const whole_fields[] = {
        "nodeSelector",   "affinity",         "tolerations",   "topologySpreadConstraints",
        "priority",       "preemptionPolicy", "schedulerName", "schedulingGates",
        "resourceClaims", "overhead",         "resources",
};

static void key_text(struct strbuf *b, const char *s, size_t n)
{
        uint32_t len = (uint32_t)n;

        strbuf_add(b, &len, sizeof(len));
        strbuf_add(b, s, n);
}

static void key_node(struct strbuf *b, const struct jnode *o)
{
        uint8_t type = o ? o->type : JNODE_NULL;

        strbuf_add(b, &type, sizeof(type));
        if (type == JNODE_BOOL) {
                strbuf_add_char(b, o->yes ? '1' : '0');
        } else if (type == JNODE_NUMBER || type == JNODE_STRING) {
                key_text(b, o->text, o->n);
        } else if (type != JNODE_NULL) {
                strbuf_add(b, &o->n, sizeof(o->n));
                for (const struct jnode *it = o->first; it; it = it->next) {
                        if (it->key)
                                key_text(b, it->key, strlen(it->key));
                        key_node(b, it);
                }
        }
}

static void key_controller(struct strbuf *b, const struct jnode *pod)
{
        jnode_foreach (jnode_at(pod, "metadata.ownerReferences"), ref) {
                if (!jnode_bool(ref, "controller", false))
                        continue;
                key_node(b, jnode_get(ref, "apiVersion"));
                key_node(b, jnode_get(ref, "kind"));
                key_node(b, jnode_get(ref, "name"));
        }
}

static void key_host_ports(struct strbuf *b, const struct jnode *container)
{
        jnode_foreach (jnode_get(container, "ports"), port) {
                if (jnode_i64(port, "hostPort", 0) > 0)
                        key_node(b, port);
        }
}

static void key_containers(struct strbuf *b, const struct jnode *list)
{
        jnode_foreach (list, container) {
                strbuf_add_char(b, 'c');
                key_node(b, jnode_get(container, "image"));
                key_node(b, jnode_at(container, "resources.requests"));
                key_node(b, jnode_get(container, "restartPolicy"));
                key_host_ports(b, container);
        }
        strbuf_add_char(b, '.');
}

static void key_claims(struct strbuf *b, const struct jnode *list)
{
        jnode_foreach (list, volume) {
                const struct jnode *claim = jnode_at(volume, "persistentVolumeClaim.claimName");

                if (claim)
                        key_node(b, claim);
                else if (jnode_get(volume, "ephemeral")) {
                        strbuf_add_char(b, 'e');
                        key_node(b, jnode_get(volume, "name"));
                }
        }
        strbuf_add_char(b, '.');
}

static void key_statuses(struct strbuf *b, const struct jnode *list)
{
        jnode_foreach (list, status) {
                key_node(b, jnode_get(status, "name"));
                key_node(b, jnode_get(status, "allocatedResources"));
                key_node(b, jnode_at(status, "resources.requests"));
        }
}

static void write_key(struct strbuf *b, const struct jnode *pod)
{
        const struct jnode *spec = jnode_get(pod, "spec");

        b->len = 0;
        key_node(b, jnode_at(pod, "metadata.namespace"));
        key_node(b, jnode_at(pod, "metadata.labels"));
        key_controller(b, pod);
        for (size_t i = 0; i < ARRAY_SIZE(whole_fields); i++)
                key_node(b, jnode_get(spec, whole_fields[i]));
        key_containers(b, jnode_get(spec, "containers"));
        key_containers(b, jnode_get(spec, "initContainers"));
        key_claims(b, jnode_get(spec, "volumes"));
        if (pod_request_is_resizing(pod)) {
                key_statuses(b, jnode_at(pod, "status.containerStatuses"));
                key_statuses(b, jnode_at(pod, "status.initContainerStatuses"));
        }
}

/* Pods of a StatefulSet are of a shape each, and have one rule. */
static void write_rule_key(struct shape *s, const struct jnode *pod)
{
        const struct jnode *affinity = jnode_at(pod, "spec.affinity");

        if (!shape_has_pod_rules(s))
                return;
        key_node(&s->pods.key, jnode_at(pod, "metadata.namespace"));
        key_node(&s->pods.key, jnode_get(affinity, "podAffinity"));
        key_node(&s->pods.key, jnode_get(affinity, "podAntiAffinity"));
        if (s->pods.by_own_labels)
                key_node(&s->pods.key, jnode_at(pod, "metadata.labels"));
}

void shapes_init(struct shapes *s, struct atoms *atoms)
{
        *s = (struct shapes){.atoms = atoms, .key = STRBUF_NULL};
        hashmap_init(&s->table, HASHMAP_STR);
}

static void shape_free(struct shape *shape)
{
        pod_request_deinit(&shape->request);
        atom_pool_deinit(&shape->siblings.pool);
        strbuf_deinit(&shape->pods.key);
        atom_pool_deinit(&shape->pool);
        free(shape->key);
        free(shape);
}

void shapes_deinit(struct shapes *s)
{
        hashmap_foreach (&s->table, slot)
                shape_free(slot->value);
        hashmap_deinit(&s->table);
        strbuf_deinit(&s->key);
}

struct shape *shapes_get(struct shapes *s, const struct jnode *pod)
{
        struct shape *shape;

        write_key(&s->key, pod);
        shape = hashmap_get_n(&s->table, s->key.data, s->key.len);
        if (shape)
                return shape_ref(shape);
        shape = mem_new(struct shape);
        shape->refs = 1;
        shape->key = mem_alloc(s->key.len + 1);
        shape->key_len = (uint32_t)s->key.len;
        memcpy(shape->key, s->key.data, s->key.len);
        atom_pool_init(&shape->pool, s->atoms);
        shape_parse(shape, pod);
        write_rule_key(shape, pod);
        hashmap_put_n(&s->table, shape->key, shape->key_len, shape);
        return shape;
}

struct shape *shape_ref(struct shape *shape)
{
        shape->refs++;
        return shape;
}

void shapes_put(struct shapes *s, struct shape *shape)
{
        if (!shape || --shape->refs)
                return;
        hashmap_del_n(&s->table, shape->key, shape->key_len);
        shape_free(shape);
}

/* ---- tolerations ---- */

enum taint_effect taint_effect_parse(const char *name)
{
        if (str_eq(name, "NoSchedule"))
                return EFFECT_NO_SCHEDULE;
        if (str_eq(name, "PreferNoSchedule"))
                return EFFECT_PREFER_NO_SCHEDULE;
        return str_eq(name, "NoExecute") ? EFFECT_NO_EXECUTE : EFFECT_ANY;
}

bool toleration_matches(const struct toleration *t, const struct taint *taint)
{
        if (t->never || (t->effect != EFFECT_ANY && t->effect != taint->effect))
                return false;
        if (t->key && t->key != taint->key)
                return false;
        return t->exists || t->value == taint->value;
}

bool shape_tolerates(const struct shape *s, const struct taint *taint)
{
        for (uint32_t i = 0; i < s->ntolerations; i++)
                if (toleration_matches(&s->tolerations[i], taint))
                        return true;
        return false;
}
