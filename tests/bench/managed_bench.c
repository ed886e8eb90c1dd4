/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Microseconds of CPU time that tracking managedFields adds to a write, one key=value a line: creates of a Service, an
 * EndpointSlice of 10 endpoints and a Pod of 2 KB, an update that changes nothing, a status update, and a server-side
 * apply without changes. Freeing what was made is included. Each figure is the best of five runs.
 */
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "apiserver/patch/managed.h"

#define ROUNDS 4000
#define RUNS   5

#define META(name, more)                                                                                               \
        "{\"name\":\"" name "\",\"namespace\":\"default\",\"labels\":{\"app\":\"web\",\"tier\":\"front\"}" more "}"

static const char service[] = "{\"apiVersion\":\"v1\",\"kind\":\"Service\",\"metadata\":" META(
        "web",
        "") ",\"spec\":{\"clusterIP\":\"10.96.0.10\","
            "\"clusterIPs\":[\"10.96.0.10\"],\"internalTrafficPolicy\":\"Cluster\",\"ipFamilies\":[\"IPv4\"],"
            "\"ipFamilyPolicy\":\"SingleStack\",\"ports\":[{\"name\":\"http\",\"port\":80,\"protocol\":\"TCP\","
            "\"targetPort\":8080},{\"name\":\"https\",\"port\":443,\"protocol\":\"TCP\",\"targetPort\":8443}],"
            "\"selector\":{"
            "\"app\":\"web\"},\"sessionAffinity\":\"None\",\"type\":\"ClusterIP\"},\"status\":{\"loadBalancer\":{}}}";

#define CONTAINER(name)                                                                                                \
        "{\"name\":\"" name "\",\"image\":\"registry.example.org/team/" name ":1.2.3\",\"imagePullPolicy\":"           \
        "\"IfNotPresent\",\"args\":[\"--port=8080\",\"--log-level=info\"],\"ports\":[{\"name\":\"http\","              \
        "\"containerPort\":8080,\"protocol\":\"TCP\"}],\"env\":[{\"name\":\"POD_NAME\",\"valueFrom\":{\"fieldRef\":{"  \
        "\"apiVersion\":\"v1\",\"fieldPath\":\"metadata.name\"}}},{\"name\":\"MODE\",\"value\":\"production\"}],"      \
        "\"resources\":{\"limits\":{\"cpu\":\"500m\",\"memory\":\"512Mi\"},\"requests\":{\"cpu\":\"100m\",\"memory\":" \
        "\"128Mi\"}},\"readinessProbe\":{\"httpGet\":{\"path\":\"/ready\",\"port\":\"http\",\"scheme\":\"HTTP\"},"     \
        "\"periodSeconds\":5,\"failureThreshold\":3,\"successThreshold\":1,\"timeoutSeconds\":1},\"volumeMounts\":[{"  \
        "\"name\":\"config\",\"mountPath\":\"/etc/app\",\"readOnly\":true}],\"terminationMessagePath\":"               \
        "\"/dev/termination-log\",\"terminationMessagePolicy\":\"File\"}"

#define POD(phase)                                                                                                     \
        "{\"apiVersion\":\"v1\",\"kind\":\"Pod\",\"metadata\":" META(                                                  \
                "web-0", ",\"uid\":\"6f1c7b1e\","                                                                      \
                         "\"generateName\":"                                                                           \
                         "\"web-\",\"ownerReferences\":[{"                                                             \
                         "\"apiVersion\":\"apps/"                                                                      \
                         "v1\",\"kind\":\"ReplicaSet\",\"name\":"                                                      \
                         "\"web\",\"uid\":"                                                                            \
                         "\"6f1c7b1e-2d3a\",\"controller\":true}"                                                      \
                         "]") ",\"spec\":{\"containers\":"                                                             \
                              "[" CONTAINER("web") "," CONTAINER(                                                      \
                                      "sidecar") "],\"volumes\":[{\"name\":\"config\",\"configMap\":{\"name\":\"web-"  \
                                                 "config\",\"defaultMode\":"                                           \
                                                 "420}}],\"dnsPolicy\":\"ClusterFirst\",\"restartPolicy\":\"Always\"," \
                                                 "\"schedulerName\":\"default-scheduler\","                            \
                                                 "\"serviceAccountName\":\"web\",\"terminationGracePeriodSeconds\":"   \
                                                 "30,\"enableServiceLinks\":true,"                                     \
                                                 "\"securityContext\":{},\"nodeSelector\":{\"disk\":\"ssd\"},"         \
                                                 "\"tolerations\":[{\"key\":\"dedicated\","                            \
                                                 "\"operator\":\"Exists\"}]},\"status\":{\"phase\":\"" phase           \
                                                 "\",\"conditions\":[{\"type\":\"Ready\","                             \
                                                 "\"status\":\"True\"},{\"type\":\"PodScheduled\",\"status\":"         \
                                                 "\"True\"}],\"qosClass\":\"Burstable\"}}"

static int64_t cpu_ns(void)
{
        struct timespec t;

        clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
        return t.tv_sec * INT64_C(1000000000) + t.tv_nsec;
}

static struct json_object *parse(const char *text)
{
        struct json_object *o = NULL;

        if (json_parse(text, strlen(text), &o, NULL) < 0)
                abort();
        return o;
}

static struct json_object *endpointslice(void)
{
        struct json_object *o =
                parse("{\"apiVersion\":\"discovery.k8s.io/v1\",\"kind\":\"EndpointSlice\",\"metadata\":" META(
                        "web-abc", "") ",\"addressType\":\"IPv4\",\"ports\":[{\"name\":\"http\","
                                       "\"port\":8080,\"protocol\":\"TCP\"}],\"endpoints\":[]}");

        for (int i = 0; i < 10; i++)
                json_object_array_add(json_get(o, "endpoints"),
                                      parse("{\"addresses\":[\"10.244.0.1\"],\"conditions\":{\"ready\":true,"
                                            "\"serving\":true},\"nodeName\":\"node-1\",\"zone\":\"a\",\"targetRef\":{"
                                            "\"kind\":\"Pod\",\"name\":\"web-0\",\"namespace\":\"default\"}}"));
        return o;
}

static struct managed_context context(struct arena *a, const char *group, const char *version, const char *kind,
                                      const char *subresource)
{
        return (struct managed_context){
                .arena = a,
                .type = schema_kind_find(group, version, kind),
                .api_version = *group ? "discovery.k8s.io/v1" : "v1",
                .kind = kind,
                .manager = subresource ? "kubelet" : "kubectl-create",
                .subresource = subresource,
                .reset = managed_reset_fields(schema_resource_by_kind(group, version, kind), subresource),
                .time = "2026-01-01T00:00:00Z",
        };
}

static void update(struct managed_context ctx, const struct json_object *old, struct json_object *new)
{
        struct arena a = ARENA_NULL;

        ctx.arena = &a;
        managed_update(&ctx, old, new);
        arena_deinit(&a);
}

static void apply(struct managed_context ctx, const struct json_object *live, const struct json_object *config)
{
        struct arena a = ARENA_NULL;
        struct apply_result ret = {0};

        ctx.arena = &a;
        if (managed_apply(&ctx, live, config, false, &ret, NULL))
                abort();
        json_object_put(ret.object);
        arena_deinit(&a);
}

/* new is measured against old; its managedFields are taken off again each time. */
static void measure(const char *name, struct managed_context ctx, const struct json_object *old,
                    struct json_object *new, bool applying)
{
        int64_t best = INT64_MAX;

        for (int run = 0; run < RUNS; run++) {
                int64_t start = cpu_ns(), spent;

                for (int i = 0; i < ROUNDS; i++) {
                        if (applying) {
                                apply(ctx, old, new);
                                continue;
                        }
                        update(ctx, old, new);
                        json_del(json_get(new, "metadata"), "managedFields");
                }
                spent = cpu_ns() - start;
                best = MIN(best, spent);
        }
        printf("%s_us=%.2f\n", name, (double)best / ROUNDS / 1000);
}

int main(void)
{
        struct managed_context svc = context(NULL, "", "v1", "Service", NULL);
        struct managed_context slice = context(NULL, "discovery.k8s.io", "v1", "EndpointSlice", NULL);
        struct managed_context pod = context(NULL, "", "v1", "Pod", NULL);
        struct managed_context status = context(NULL, "", "v1", "Pod", "status");
        _cleanup_json_ struct json_object *s = parse(service), *e = endpointslice(), *p = parse(POD("Pending"));
        _cleanup_json_ struct json_object *live = parse(POD("Pending")), *same = NULL, *running = parse(POD("Running"));
        _cleanup_json_ struct json_object *config = parse(POD("Pending"));

        measure("create_service", svc, NULL, s, false);
        measure("create_endpointslice", slice, NULL, e, false);
        measure("create_pod", pod, NULL, p, false);
        update(pod, NULL, live);
        same = parse(POD("Pending"));
        measure("update_pod_same", pod, live, same, false);
        measure("update_pod_status", status, live, running, false);
        json_del(config, "status");
        measure("apply_pod_first", pod, live, config, true);
        return 0;
}
