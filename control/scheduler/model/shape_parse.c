/* SPDX-License-Identifier: Apache-2.0 */
/* From a pod's JSON to its shape. What the API server has let through is taken as valid; what nobody understands never
 * matches. */
#include <string.h>

#include "base/str.h"
#include "scheduler/model/shape.h"

#define WEIGHT_MAX      100
#define WEIGHT_REQUIRED 1 /* upstream's hardPodAffinityWeight: a required term counts so much for others' scores */

static const struct atom *text_or(struct atom_pool *p, const struct jnode *o, const char *key, const char *otherwise)
{
        const char *s = jnode_str(o, key);

        return atom_pool_get(p, s ? s : otherwise);
}

static int64_t weight_of(const struct jnode *o)
{
        return MAX(0, MIN(jnode_i64(o, "weight", 0), WEIGHT_MAX));
}

static int32_t i32_of(const struct jnode *o, const char *key, int32_t otherwise)
{
        return (int32_t)MAX(INT32_MIN, MIN(jnode_i64(o, key, otherwise), INT32_MAX));
}

/* ---- nodes ---- */

static struct node_term parse_node_term(struct atom_pool *p, const struct jnode *o)
{
        struct node_term t = {.labels = query_of_expressions(p, jnode_get(o, "matchExpressions")),
                              .fields = query_of_expressions(p, jnode_get(o, "matchFields"))};

        t.labels.nothing = !t.labels.nreqs && !t.fields.nreqs;
        return t;
}

const struct node_term *node_terms_parse(struct atom_pool *p, const struct jnode *list, uint32_t *ret_n)
{
        struct node_term *terms = arena_array(&p->mem, struct node_term, jnode_len(list) + 1);
        uint32_t n = 0;

        jnode_foreach (list, o)
                terms[n++] = parse_node_term(p, o);
        *ret_n = n;
        return terms;
}

static void parse_preferred_nodes(struct shape *s, const struct jnode *list)
{
        struct node_term *terms = arena_array(&s->pool.mem, struct node_term, jnode_len(list) + 1);

        jnode_foreach (list, o) {
                int64_t weight = weight_of(o);

                if (!weight)
                        continue;
                terms[s->node.npreferred] = parse_node_term(&s->pool, jnode_get(o, "preference"));
                terms[s->node.npreferred++].weight = (int32_t)weight;
        }
        s->node.preferred = terms;
}

static void parse_node_rule(struct shape *s, const struct jnode *spec)
{
        const struct jnode *affinity = jnode_at(spec, "affinity.nodeAffinity");
        const struct jnode *required = jnode_get(affinity, "requiredDuringSchedulingIgnoredDuringExecution");

        s->node.selector = query_of_map(&s->pool, jnode_get(spec, "nodeSelector"));
        s->node.has_required = required != NULL;
        s->node.required = node_terms_parse(&s->pool, jnode_get(required, "nodeSelectorTerms"), &s->node.nrequired);
        parse_preferred_nodes(s, jnode_get(affinity, "preferredDuringSchedulingIgnoredDuringExecution"));
}

static void parse_tolerations(struct shape *s, const struct jnode *list)
{
        struct toleration *tolerations = arena_array(&s->pool.mem, struct toleration, jnode_len(list) + 1);

        jnode_foreach (list, o) {
                const char *key = jnode_str(o, "key"), *op = jnode_str(o, "operator");
                struct toleration *t = &tolerations[s->ntolerations++];

                t->key = str_empty(key) ? NULL : atom_pool_get(&s->pool, key);
                t->value = text_or(&s->pool, o, "value", "");
                t->effect = taint_effect_parse(jnode_str(o, "effect"));
                t->exists = str_eq(op, "Exists");
                t->never = !t->exists && !str_empty(op) && !str_eq(op, "Equal");
        }
        s->tolerations = tolerations;
}

/* ---- other pods ---- */

/* matchLabelKeys and mismatchLabelKeys: "those with the same value as I have", "with another". */
static struct query add_label_keys(struct shape *s, struct query q, const struct jnode *keys, enum query_op op)
{
        jnode_foreach (keys, o) {
                const char *text = jnode_text(o);
                const struct atom *key = text ? atom_pool_get(&s->pool, text) : NULL;
                const struct atom *value = key ? label_get(&s->labels, key) : NULL;

                if (value)
                        q = query_with(&s->pool, &q, key, op, value);
        }
        return q;
}

static void parse_term_namespaces(struct shape *s, struct pod_term *t, const struct jnode *o)
{
        const struct jnode *list = jnode_get(o, "namespaces"), *selector = jnode_get(o, "namespaceSelector");
        const struct atom **names = arena_array(&s->pool.mem, const struct atom *, jnode_len(list) + 1);

        jnode_foreach (list, name) {
                if (jnode_text(name))
                        names[t->nnamespaces++] = atom_pool_get(&s->pool, jnode_text(name));
        }
        if (!t->nnamespaces && !selector)
                names[t->nnamespaces++] = s->ns;
        t->namespaces = names;
        t->namespace_query = query_of_selector(&s->pool, selector);
}

static struct pod_term parse_pod_term(struct shape *s, const struct jnode *o, int64_t weight)
{
        struct pod_term t = {.weight = weight, .topology_key = text_or(&s->pool, o, "topologyKey", "")};

        s->pods.by_own_labels |= jnode_get(o, "matchLabelKeys") || jnode_get(o, "mismatchLabelKeys");
        t.pods = query_of_selector(&s->pool, jnode_get(o, "labelSelector"));
        t.pods = add_label_keys(s, t.pods, jnode_get(o, "matchLabelKeys"), QUERY_IN);
        t.pods = add_label_keys(s, t.pods, jnode_get(o, "mismatchLabelKeys"), QUERY_NOT_IN);
        parse_term_namespaces(s, &t, o);
        return t;
}

static const struct pod_term *parse_required_terms(struct shape *s, const struct jnode *list, uint32_t *ret_n)
{
        struct pod_term *terms = arena_array(&s->pool.mem, struct pod_term, jnode_len(list) + 1);
        uint32_t n = 0;

        jnode_foreach (list, o)
                terms[n++] = parse_pod_term(s, o, WEIGHT_REQUIRED);
        *ret_n = n;
        return terms;
}

static void add_preferred_terms(struct shape *s, struct pod_term *terms, const struct jnode *list, int64_t sign)
{
        jnode_foreach (list, o) {
                int64_t weight = sign * weight_of(o);

                terms[s->pods.npreferred++] = parse_pod_term(s, jnode_get(o, "podAffinityTerm"), weight);
        }
}

static void parse_pod_rule(struct shape *s, const struct jnode *affinity)
{
        const struct jnode *with = jnode_get(affinity, "podAffinity"),
                           *against = jnode_get(affinity, "podAntiAffinity");
        const char *required = "requiredDuringSchedulingIgnoredDuringExecution";
        const char *preferred = "preferredDuringSchedulingIgnoredDuringExecution";
        size_t n = jnode_len(jnode_get(with, preferred)) + jnode_len(jnode_get(against, preferred));
        struct pod_term *terms = arena_array(&s->pool.mem, struct pod_term, n + 1);

        s->pods.required = parse_required_terms(s, jnode_get(with, required), &s->pods.nrequired);
        s->pods.forbidden = parse_required_terms(s, jnode_get(against, required), &s->pods.nforbidden);
        add_preferred_terms(s, terms, jnode_get(with, preferred), 1);
        add_preferred_terms(s, terms, jnode_get(against, preferred), -1);
        s->pods.preferred = terms;
}

static void parse_spreads(struct shape *s, const struct jnode *list)
{
        struct spread *spreads = arena_array(&s->pool.mem, struct spread, jnode_len(list) + 1);

        jnode_foreach (list, o) {
                struct spread *t = &spreads[s->nspreads++];
                struct query q = query_of_selector(&s->pool, jnode_get(o, "labelSelector"));

                t->pods = add_label_keys(s, q, jnode_get(o, "matchLabelKeys"), QUERY_IN);
                t->topology_key = text_or(&s->pool, o, "topologyKey", "");
                t->max_skew = i32_of(o, "maxSkew", 1);
                t->min_domains = i32_of(o, "minDomains", 1);
                t->hard = str_eq(jnode_str(o, "whenUnsatisfiable"), "DoNotSchedule");
                t->honor_affinity = !str_eq(jnode_str(o, "nodeAffinityPolicy"), "Ignore");
                t->honor_taints = str_eq(jnode_str(o, "nodeTaintsPolicy"), "Honor");
        }
        s->spreads = spreads;
}

/* ---- containers, volumes ---- */

const struct atom *image_name_parse(struct atom_pool *p, const char *name)
{
        const char *colon = strrchr(name, ':'), *slash = strrchr(name, '/');

        if (colon && (!slash || colon > slash))
                return atom_pool_get(p, name);
        return atom_pool_get(p, arena_printf(&p->mem, "%s:latest", name));
}

static void parse_images(struct shape *s, const struct jnode *spec)
{
        const struct jnode *lists[] = {jnode_get(spec, "initContainers"), jnode_get(spec, "containers")};
        const struct atom **images =
                arena_array(&s->pool.mem, const struct atom *, jnode_len(lists[0]) + jnode_len(lists[1]) + 1);

        for (size_t i = 0; i < ARRAY_SIZE(lists); i++)
                jnode_foreach (lists[i], container) {
                        const char *image = jnode_str(container, "image");

                        images[s->nimages++] = image_name_parse(&s->pool, image ? image : "");
                }
        s->images = images;
}

static struct host_port parse_port(struct atom_pool *p, const struct jnode *o)
{
        const char *ip = jnode_str(o, "hostIP");
        bool any = str_empty(ip) || str_eq(ip, "0.0.0.0") || str_eq(ip, "::");

        return (struct host_port){.ip = any ? NULL : atom_pool_get(p, ip),
                                  .protocol = text_or(p, o, "protocol", "TCP"),
                                  .port = (uint16_t)jnode_i64(o, "hostPort", 0)};
}

/* Ports of containers, and of init containers that stay. */
static uint32_t each_port(struct shape *s, const struct jnode *spec, struct host_port *ports)
{
        static const char *const lists[] = {"containers", "initContainers"};
        uint32_t n = 0;

        for (size_t i = 0; i < ARRAY_SIZE(lists); i++)
                jnode_foreach (jnode_get(spec, lists[i]), container) {
                        if (i && !str_eq(jnode_str(container, "restartPolicy"), "Always"))
                                continue;
                        jnode_foreach (jnode_get(container, "ports"), port) {
                                if (jnode_i64(port, "hostPort", 0) <= 0)
                                        continue;
                                if (ports)
                                        ports[n] = parse_port(&s->pool, port);
                                n++;
                        }
                }
        return n;
}

static void parse_ports(struct shape *s, const struct jnode *spec)
{
        struct host_port *ports;

        s->nports = each_port(s, spec, NULL);
        if (!s->nports)
                return;
        ports = arena_array(&s->pool.mem, struct host_port, s->nports);
        each_port(s, spec, ports);
        s->ports = ports;
}

static void parse_claims(struct shape *s, const struct jnode *list)
{
        struct claim_ref *claims = arena_array(&s->pool.mem, struct claim_ref, jnode_len(list) + 1);

        jnode_foreach (list, volume) {
                const char *claim = jnode_at_str(volume, "persistentVolumeClaim.claimName");
                bool ephemeral = jnode_get(volume, "ephemeral") != NULL;

                if (!claim && !ephemeral)
                        continue;
                claims[s->nclaims++] = (struct claim_ref){.name = claim ? atom_pool_get(&s->pool, claim)
                                                                        : text_or(&s->pool, volume, "name", ""),
                                                          .ephemeral = !claim};
        }
        s->claims = claims;
}

static void parse_gates(struct shape *s, const struct jnode *list)
{
        const struct atom **gates = arena_array(&s->pool.mem, const struct atom *, jnode_len(list) + 1);

        jnode_foreach (list, o)
                gates[s->ngates++] = text_or(&s->pool, o, "name", "");
        s->gates = gates;
}

/* ---- the owner ---- */

static enum owner_kind owner_kind_of(const struct jnode *ref)
{
        const char *version = jnode_str(ref, "apiVersion"), *kind = jnode_str(ref, "kind");

        if (str_eq(version, "v1") && str_eq(kind, "ReplicationController"))
                return OWNER_REPLICATION_CONTROLLER;
        if (!str_eq(version, "apps/v1"))
                return OWNER_OTHER;
        if (str_eq(kind, "ReplicaSet"))
                return OWNER_REPLICA_SET;
        return str_eq(kind, "StatefulSet") ? OWNER_STATEFUL_SET : OWNER_OTHER;
}

static void parse_owner(struct shape *s, const struct jnode *refs)
{
        jnode_foreach (refs, ref) {
                if (!jnode_bool(ref, "controller", false))
                        continue;
                s->owner = owner_kind_of(ref);
                s->owner_name = text_or(&s->pool, ref, "name", "");
                return;
        }
}

void shape_parse(struct shape *s, const struct jnode *pod)
{
        const struct jnode *meta = jnode_get(pod, "metadata"), *spec = jnode_get(pod, "spec");

        s->ns = text_or(&s->pool, meta, "namespace", "");
        s->labels = label_set_parse(&s->pool, jnode_get(meta, "labels"));
        s->scheduler_name = text_or(&s->pool, spec, "schedulerName", "default-scheduler");
        s->priority = i32_of(spec, "priority", 0);
        s->never_preempts = str_eq(jnode_str(spec, "preemptionPolicy"), "Never");
        s->wants_devices = jnode_len(jnode_get(spec, "resourceClaims")) > 0;
        pod_request_parse(&s->pool, pod, &s->request);
        parse_node_rule(s, spec);
        parse_tolerations(s, jnode_get(spec, "tolerations"));
        parse_pod_rule(s, jnode_get(spec, "affinity"));
        parse_spreads(s, jnode_get(spec, "topologySpreadConstraints"));
        parse_images(s, spec);
        parse_ports(s, spec);
        parse_claims(s, jnode_get(spec, "volumes"));
        parse_gates(s, jnode_get(spec, "schedulingGates"));
        parse_owner(s, jnode_get(meta, "ownerReferences"));
}
