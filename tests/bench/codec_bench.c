/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Microseconds for decoding and normalising a body, one key=value a line: a Pod of 2 KB and an EndpointSlice of 3.7 KB
 * (10 endpoints), as JSON. Each figure is the best of five runs.
 */
#include <stdio.h>
#include <stdlib.h>

#include "apiserver/codec/decode.h"
#include "base/clock.h"

#define ROUNDS 4000
#define RUNS   5

static void container(struct strbuf *b, const char *name)
{
        strbuf_printf(
                b,
                "{\"name\":\"%s\",\"image\":\"registry.example.org/team/%s:1.2.3\",\"args\":[\"--port=8080\","
                "\"--log-level=info\"],\"ports\":[{\"name\":\"http\",\"containerPort\":8080,\"protocol\":\"TCP\"}],"
                "\"env\":[{\"name\":\"POD_NAME\",\"valueFrom\":{\"fieldRef\":{\"apiVersion\":\"v1\",\"fieldPath\":"
                "\"metadata.name\"}}},{\"name\":\"MODE\",\"value\":\"production\"}],\"resources\":{\"limits\":{"
                "\"cpu\":\"0.5\",\"memory\":\"512Mi\"},\"requests\":{\"cpu\":\"100m\",\"memory\":\"128Mi\"}},"
                "\"readinessProbe\":{\"httpGet\":{\"path\":\"/ready\",\"port\":\"http\"},\"periodSeconds\":5},"
                "\"volumeMounts\":[{\"name\":\"config\",\"mountPath\":\"/etc/app\",\"readOnly\":true}]}",
                name, name);
}

static void pod(struct strbuf *b)
{
        strbuf_add_str(b,
                       "{\"apiVersion\":\"v1\",\"kind\":\"Pod\",\"metadata\":{\"name\":\"web-5d4f8c7b9-x2x7z\","
                       "\"namespace\":\"default\",\"labels\":{\"app\":\"web\",\"tier\":\"front\",\"pod-template-hash\":"
                       "\"5d4f8c7b9\"},\"annotations\":{\"example.org/owner\":\"team-a\"},\"ownerReferences\":[{"
                       "\"apiVersion\":\"apps/v1\",\"kind\":\"ReplicaSet\",\"name\":\"web-5d4f8c7b9\",\"uid\":"
                       "\"6f1c7b1e-2d3a-4b5c-8d7e-9f0a1b2c3d4e\",\"controller\":true,\"blockOwnerDeletion\":true}]},"
                       "\"spec\":{\"containers\":[");
        container(b, "web");
        strbuf_add_char(b, ',');
        container(b, "sidecar");
        strbuf_add_str(
                b, "],\"volumes\":[{\"name\":\"config\",\"configMap\":{\"name\":\"web-config\",\"defaultMode\":420}}],"
                   "\"restartPolicy\":\"Always\",\"serviceAccountName\":\"web\",\"nodeSelector\":{\"disk\":\"ssd\"},"
                   "\"tolerations\":[{\"key\":\"dedicated\",\"operator\":\"Exists\",\"effect\":\"NoSchedule\"}]}}");
}

static void endpointslice(struct strbuf *b)
{
        strbuf_add_str(b, "{\"apiVersion\":\"discovery.k8s.io/v1\",\"kind\":\"EndpointSlice\",\"metadata\":{\"name\":"
                          "\"web-abcde\",\"namespace\":\"default\",\"labels\":{\"kubernetes.io/service-name\":\"web\","
                          "\"endpointslice.kubernetes.io/managed-by\":\"endpointslice-controller.k8s.io\"}},"
                          "\"addressType\":\"IPv4\",\"ports\":[{\"name\":\"http\",\"port\":8080,\"protocol\":\"TCP\"}],"
                          "\"endpoints\":[");
        for (int i = 0; i < 10; i++)
                strbuf_printf(
                        b,
                        "%s{\"addresses\":[\"10.244.%d.%d\"],\"conditions\":{\"ready\":true,\"serving\":true,"
                        "\"terminating\":false},\"nodeName\":\"node-%d\",\"zone\":\"zone-a\",\"hints\":{\"forZones\":[{"
                        "\"name\":\"zone-a\"}]},\"targetRef\":{\"kind\":\"Pod\",\"namespace\":\"default\",\"name\":"
                        "\"web-5d4f8c7b9-x2x7%d\",\"uid\":\"6f1c7b1e-2d3a-4b5c-8d7e-9f0a1b2c3d4%d\"}}",
                        i ? "," : "", i, i + 10, i % 3, i, i);
        strbuf_add_str(b, "]}");
}

static double once(const struct codec_input *in)
{
        uint64_t begun = clock_mono_ns();

        for (int i = 0; i < ROUNDS; i++) {
                struct json_object *tree = NULL;
                struct err err = ERR_NULL;

                if (codec_decode(in, &tree, NULL, &err)) {
                        fprintf(stderr, "codec_bench: %s\n", err.msg);
                        exit(1);
                }
                json_object_put(tree);
        }
        return (double)(clock_mono_ns() - begun) / ROUNDS / 1000;
}

static void measure(const char *name, void (*write)(struct strbuf *b), const char *struct_name)
{
        _cleanup_strbuf_ struct strbuf b = STRBUF_NULL;
        struct codec_input in = {.type = schema_struct_find(struct_name), .validation = CODEC_STRICT};
        double best = 1e9;

        write(&b);
        in.data = b.data;
        in.len = b.len;
        for (int i = 0; i < RUNS; i++) {
                double us = once(&in);

                best = MIN(best, us);
        }
        printf("%s_bytes=%zu\n%s_decode_us=%.1f\n", name, b.len, name, best);
}

int main(void)
{
        measure("pod", pod, "io.k8s.api.core.v1.Pod");
        measure("endpointslice", endpointslice, "io.k8s.api.discovery.v1.EndpointSlice");
        return 0;
}
