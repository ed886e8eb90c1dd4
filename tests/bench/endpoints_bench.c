/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a pod's readiness costs the endpoint controllers, from the informer's event to the write that is ready to be
 * sent: a service of 5,000 endpoints alone, and a service of one among 10,000. Microseconds, one key=value a line; each
 * the least and the median of ROUNDS changes.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/jsontree.h"
#include "base/mem.h"
#include "base/random.h"
#include "base/str.h"
#include "controllers/config.h"
#include "controllers/controllers.h"
#include "controllers/engine/engine.h"

#define NODES  100
#define ROUNDS 200

/* An API server that keeps whatever it is sent. */
struct bench {
        struct api api;
        struct engine *engine;
        const struct step *sent[64];
        step_done_fn done[64];
        void *userdata[64];
        size_t nsent;
        uint64_t version;
};

static void submit(struct api *api, const struct step *st, step_done_fn done, void *userdata)
{
        struct bench *b = container_of(api, struct bench, api);

        b->sent[b->nsent] = st;
        b->done[b->nsent] = done;
        b->userdata[b->nsent++] = userdata;
}

static void event(struct api *api, const char *component, const struct kobj *about, bool warning, const char *reason,
                  const char *text)
{
}

static int64_t wall_ms(struct api *api)
{
        return clock_wall_s() * 1000;
}

static void wake(void *userdata)
{
}

static void observe(struct bench *b, const struct resource *r, const char *text)
{
        _cleanup_(jsontree_deinit) struct jsontree tree = JSONTREE_NULL;
        _cleanup_free_ char *copy = mem_strdup(text);
        const struct jnode *o;
        struct err err = ERR_NULL;
        struct kobj *k;

        if (jsontree_parse(&tree, copy, strlen(copy), &o, &err)) {
                fprintf(stderr, "endpoints_bench: %s in %s\n", err.msg, text);
                exit(1);
        }
        k = kobj_new(r, o);
        engine_observe(b->engine, r, k->key, k);
}

/* Each write is done, answered and seen. */
static void answer(struct bench *b)
{
        const struct kube_status status = {.code = 200};

        for (size_t i = 0; i < b->nsent; i++) {
                const struct step *st = b->sent[i];
                struct answer a = {.uid = "u", .version = ++b->version};
                char version[24];

                snprintf(version, sizeof(version), "%llu", (unsigned long long)a.version);
                json_set_str(json_get(st->body, "metadata"), "resourceVersion", version);
                json_set_str(json_get(st->body, "metadata"), "uid", a.uid);
                observe(b, st->resource, json_object_to_json_string(st->body));
                b->done[i](b->userdata[i], 0, &a, &status);
        }
        b->nsent = 0;
}

static void settle(struct bench *b)
{
        do {
                answer(b);
                engine_run(b->engine, SIZE_MAX);
        } while (b->nsent);
}

/* ---- objects ---- */

static void add_node(struct bench *b, unsigned int i)
{
        _cleanup_free_ char *text = mem_printf("{\"metadata\":{\"name\":\"node-%u\",\"labels\":{"
                                               "\"topology.kubernetes.io/zone\":\"zone-%u\"}}}",
                                               i, i % 3);

        observe(b, &res_nodes, text);
}

static void add_service(struct bench *b, unsigned int i)
{
        _cleanup_free_ char *text = mem_printf(
                "{\"metadata\":{\"namespace\":\"d\",\"name\":\"svc-%u\",\"uid\":\"svc-uid-%u\",\"resourceVersion\":"
                "\"1\","
                "\"creationTimestamp\":\"2026-01-01T00:00:00Z\"},\"spec\":{\"clusterIP\":\"10.96.0.1\",\"ipFamilies\":["
                "\"IPv4\"],\"selector\":{\"app\":\"svc-%u\"},\"ports\":[{\"name\":\"http\",\"port\":80,\"protocol\":"
                "\"TCP\",\"targetPort\":\"http\"}]}}",
                i, i, i);

        observe(b, &res_services, text);
}

static void set_pod(struct bench *b, unsigned int i, unsigned int service, bool ready)
{
        _cleanup_free_ char *text = mem_printf(
                "{\"metadata\":{\"namespace\":\"d\",\"name\":\"svc-%u-5d4f8c7b9-%05u\",\"uid\":"
                "\"6f1c7b1e-2d3a-4b5c-8d7e-9f0a1b2%05u\",\"labels\":{\"app\":\"svc-%u\",\"pod-template-hash\":"
                "\"5d4f8c7b9\"}},\"spec\":{\"nodeName\":\"node-%u\",\"containers\":[{\"name\":\"c\",\"ports\":[{"
                "\"name\":"
                "\"http\",\"containerPort\":8080}]}]},\"status\":{\"phase\":\"Running\",\"podIP\":\"10.%u.%u.%u\","
                "\"podIPs\":[{\"ip\":\"10.%u.%u.%u\"}],\"conditions\":[{\"type\":\"Ready\",\"status\":\"%s\","
                "\"lastTransitionTime\":\"2026-01-01T00:00:00Z\"}]}}",
                service, i, i, service, i % NODES, i / 60000, i / 250 % 250, 1 + i % 250, i / 60000, i / 250 % 250,
                1 + i % 250, ready ? "True" : "False");

        observe(b, &res_pods, text);
}

/* ---- rounds ---- */

static int by_value(const void *a, const void *b)
{
        double x = *(const double *)a, y = *(const double *)b;

        return (x > y) - (x < y);
}

static void tell(const char *name, double *us)
{
        qsort(us, ROUNDS, sizeof(*us), by_value);
        printf("%s_min_us=%.1f\n%s_p50_us=%.1f\n", name, us[0], name, us[ROUNDS / 2]);
}

static void measure(const char *name, const struct controller *controller, unsigned int services, unsigned int pods)
{
        const struct config config = {.endpoints_per_slice = 100};
        struct bench b = {.api = {submit, event, wall_ms, clock_mono_ns, random_below}};
        double us[ROUNDS];

        b.engine = engine_new(&(struct engine_opts){
                .api = &b.api, .config = &config, .controllers = &controller, .ncontrollers = 1, .wake = wake});
        for (unsigned int i = 0; i < NODES && lister_follows(engine_lister(b.engine), &res_nodes); i++)
                add_node(&b, i);
        for (unsigned int i = 0; i < services; i++)
                add_service(&b, i);
        for (unsigned int i = 0; i < pods; i++)
                set_pod(&b, i, i % services, true);
        settle(&b);
        for (unsigned int i = 0; i < ROUNDS; i++) {
                unsigned int pod = (i * 7919) % pods;
                uint64_t began;

                began = clock_mono_ns();
                set_pod(&b, pod, pod % services, false);
                engine_run(b.engine, SIZE_MAX);
                us[i] = (double)(clock_mono_ns() - began) / 1000;
                if (b.nsent != 1) {
                        fprintf(stderr, "endpoints_bench: %s: %zu writes for one change\n", name, b.nsent);
                        exit(1);
                }
                settle(&b);
        }
        engine_free(b.engine);
        tell(name, us);
}

int main(void)
{
        measure("slices_5000", &controller_endpointslice, 1, 5000);
        measure("slices_one_of_10000_services", &controller_endpointslice, 10000, 10000);
        measure("endpoints_900", &controller_endpoints, 1, 900);
        return 0;
}
