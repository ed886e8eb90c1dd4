/* SPDX-License-Identifier: Apache-2.0 */
#include "base/str.h"
#include "controllers/engine/kobj_pod.h"

static enum pod_phase phase_of(const char *s)
{
        static const struct {
                const char *text;
                enum pod_phase phase;
        } phases[] = {
                {"Pending", POD_PENDING},
                {"Running", POD_RUNNING},
                {"Succeeded", POD_SUCCEEDED},
                {"Failed", POD_FAILED},
        };

        for (size_t i = 0; i < ARRAY_SIZE(phases); i++)
                if (str_eq(s, phases[i].text))
                        return phases[i].phase;
        return str_empty(s) ? POD_PENDING : POD_UNKNOWN;
}

enum tri kobj_tri(const char *s)
{
        return str_eq(s, "True") ? TRI_TRUE : str_eq(s, "False") ? TRI_FALSE : str_empty(s) ? TRI_UNSET : TRI_UNKNOWN;
}

static const struct pod_condition *pack_conditions(struct pack *p, const struct jnode *list, uint16_t *ret_n)
{
        struct pod_condition *all = pack_array(p, struct pod_condition, jnode_len(list));
        uint16_t n = 0;

        jnode_foreach (list, c)
                all[n++] = (struct pod_condition){.type = pack_text(p, jnode_str(c, "type")),
                                                  .reason = pack_text(p, jnode_str(c, "reason")),
                                                  .status = kobj_tri(jnode_str(c, "status")),
                                                  .since_s = kobj_time(c, "lastTransitionTime")};
        *ret_n = n;
        return all;
}

static size_t count_ports(const struct jnode *containers)
{
        size_t n = 0;

        jnode_foreach (containers, c)
                n += jnode_len(jnode_get(c, "ports"));
        return n;
}

static void add_ports(struct pack *p, const struct jnode *container, struct pod_port *all, uint16_t *n)
{
        jnode_foreach (jnode_get(container, "ports"), port) {
                const char *protocol = jnode_str(port, "protocol");

                all[(*n)++] = (struct pod_port){.name = pack_text(p, jnode_str(port, "name")),
                                                .protocol = pack_text(p, protocol ? protocol : "TCP"),
                                                .port = (int32_t)jnode_i64(port, "containerPort", 0)};
        }
}

/* A sidecar (an init container that is always restarted) may serve, too. */
static const struct pod_port *pack_ports(struct pack *p, const struct jnode *spec, uint16_t *ret_n)
{
        const struct jnode *init = jnode_get(spec, "initContainers"), *containers = jnode_get(spec, "containers");
        struct pod_port *all = pack_array(p, struct pod_port, count_ports(containers) + count_ports(init));

        *ret_n = 0;
        jnode_foreach (containers, c)
                add_ports(p, c, all, ret_n);
        jnode_foreach (init, side)
                if (str_eq(jnode_str(side, "restartPolicy"), "Always"))
                        add_ports(p, side, all, ret_n);
        return all;
}

static const struct pod_toleration *pack_tolerations(struct pack *p, const struct jnode *list, uint16_t *ret_n)
{
        struct pod_toleration *all = pack_array(p, struct pod_toleration, jnode_len(list));
        uint16_t n = 0;

        jnode_foreach (list, t)
                all[n++] = (struct pod_toleration){.key = pack_text(p, jnode_str(t, "key")),
                                                   .op = pack_text(p, jnode_str(t, "operator")),
                                                   .value = pack_text(p, jnode_str(t, "value")),
                                                   .effect = pack_text(p, jnode_str(t, "effect")),
                                                   .seconds = jnode_i64(t, "tolerationSeconds", -1)};
        *ret_n = n;
        return all;
}

static void add_statuses(struct pack *p, const struct jnode *list, bool init, struct pod_container *all, uint16_t *n)
{
        jnode_foreach (list, c) {
                const struct jnode *now = jnode_at(c, "state.terminated"), *last = jnode_at(c, "lastState.terminated");

                all[(*n)++] = (struct pod_container){
                        .name = pack_text(p, jnode_str(c, "name")),
                        .restarts = (int32_t)jnode_i64(c, "restartCount", 0),
                        .exit_code = (int32_t)jnode_i64(now ? now : last, "exitCode", 0),
                        .init = init,
                        .ready = jnode_bool(c, "ready", false),
                        .terminated = now != NULL,
                        .last_terminated = last != NULL,
                        .finished_s = kobj_time(now, "finishedAt"),
                        .waiting = pack_text(p, jnode_at_str(c, "state.waiting.reason")),
                };
        }
}

static const struct pod_container *pack_statuses(struct pack *p, const struct jnode *status, uint16_t *ret_n)
{
        const struct jnode *init = jnode_get(status, "initContainerStatuses"),
                           *containers = jnode_get(status, "containerStatuses");
        struct pod_container *all = pack_array(p, struct pod_container, jnode_len(init) + jnode_len(containers));

        *ret_n = 0;
        add_statuses(p, init, true, all, ret_n);
        add_statuses(p, containers, false, all, ret_n);
        return all;
}

static const struct pod_claim *pack_claims(struct pack *p, const struct jnode *volumes, uint16_t *ret_n)
{
        struct pod_claim *all;
        size_t n = 0;

        jnode_foreach (volumes, counted)
                n += jnode_get(counted, "persistentVolumeClaim") != NULL;
        all = pack_array(p, struct pod_claim, n);
        *ret_n = 0;
        jnode_foreach (volumes, v)
                if (jnode_get(v, "persistentVolumeClaim"))
                        all[(*ret_n)++] =
                                (struct pod_claim){pack_text(p, jnode_str(v, "name")),
                                                   pack_text(p, jnode_at_str(v, "persistentVolumeClaim.claimName"))};
        return all;
}

static const char *const *pack_ips(struct pack *p, const struct jnode *status, uint16_t *ret_n)
{
        const struct jnode *list = jnode_get(status, "podIPs");
        const char **ips = pack_array(p, const char *, jnode_len(list) + 1), *single = jnode_str(status, "podIP");

        *ret_n = 0;
        jnode_foreach (list, ip)
                if (!str_empty(jnode_str(ip, "ip")))
                        ips[(*ret_n)++] = pack_text(p, jnode_str(ip, "ip"));
        if (!*ret_n && !str_empty(single))
                ips[(*ret_n)++] = pack_text(p, single);
        return ips;
}

/* A DaemonSet's pod says so before the scheduler has put it there. */
static const char *wanted_node(const struct jnode *spec)
{
        const struct jnode *required =
                jnode_at(spec, "affinity.nodeAffinity.requiredDuringSchedulingIgnoredDuringExecution");

        jnode_foreach (jnode_get(required, "nodeSelectorTerms"), term) {
                jnode_foreach (jnode_get(term, "matchFields"), f) {
                        const struct jnode *values = jnode_get(f, "values");

                        if (str_eq(jnode_str(f, "key"), "metadata.name") && jnode_len(values) == 1)
                                return jnode_text(values->first);
                }
        }
        return NULL;
}

static void pack_spec(struct pack *p, struct pod *pod, const struct jnode *spec)
{
        pod->node = pack_text(p, jnode_str(spec, "nodeName"));
        pod->wants_node = pack_text(p, wanted_node(spec));
        pod->hostname = pack_text(p, jnode_str(spec, "hostname"));
        pod->subdomain = pack_text(p, jnode_str(spec, "subdomain"));
        pod->restart_policy = pack_text(p, jnode_str(spec, "restartPolicy"));
        pod->host_network = jnode_bool(spec, "hostNetwork", false);
        pod->priority = (int32_t)jnode_i64(spec, "priority", 0);
        pod->active_deadline_s = jnode_i64(spec, "activeDeadlineSeconds", 0);
        pod->spec_containers = (uint16_t)jnode_len(jnode_get(spec, "containers"));
        pod->ports = pack_ports(p, spec, &pod->nports);
        pod->tolerations = pack_tolerations(p, jnode_get(spec, "tolerations"), &pod->ntolerations);
        pod->claims = pack_claims(p, jnode_get(spec, "volumes"), &pod->nclaims);
}

static void pack_status(struct pack *p, struct pod *pod, const struct jnode *status)
{
        pod->phase = phase_of(jnode_str(status, "phase"));
        pod->reason = pack_text(p, jnode_str(status, "reason"));
        pod->host_ip = pack_text(p, jnode_str(status, "hostIP"));
        pod->nominated_node = pack_text(p, jnode_str(status, "nominatedNodeName"));
        pod->started_s = kobj_time(status, "startTime");
        pod->observed_generation = jnode_i64(status, "observedGeneration", 0);
        pod->ips = pack_ips(p, status, &pod->nips);
        pod->conditions = pack_conditions(p, jnode_get(status, "conditions"), &pod->nconditions);
        pod->containers = pack_statuses(p, status, &pod->ncontainers);
}

const struct pod *kobj_pack_pod(struct pack *p, const struct jnode *o)
{
        struct pod *pod = pack_array(p, struct pod, 1);

        pod->grace_s = jnode_at_i64(o, "metadata.deletionGracePeriodSeconds", -1);
        pack_spec(p, pod, jnode_get(o, "spec"));
        pack_status(p, pod, jnode_get(o, "status"));
        return pod;
}
