/* SPDX-License-Identifier: Apache-2.0 */
/* Services and EndpointSlices as bytes, through the projections into what the tables are to hold. The first half is a
 * Service, the second a slice; what comes out must keep to its bounds and its order. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "agent/desired.h"
#include "agent/diff.h"
#include "base/mem.h"

static void require(int ok)
{
        if (!ok)
                abort();
}

/* The projection keeps nothing of the text. */
static void *project(void *(*fn)(void *userdata, const struct jnode *o), const char *data, size_t n)
{
        struct projector p = {.node_name = "n1"};
        _cleanup_free_ char *text = mem_alloc(n + 1);
        struct jsontree tree = JSONTREE_NULL;
        const struct jnode *o = NULL;
        void *value;

        memcpy(text, data, n);
        text[n] = '\0';
        value = jsontree_parse(&tree, text, n, &o, NULL) ? NULL : fn(&p, o);
        jsontree_deinit(&tree);
        arena_deinit(&p.scratch);
        return value;
}

static void check_state(const struct service_state *s)
{
        for (size_t i = 0; i < s->nfrontends; i++) {
                const struct frontend_state *f = &s->frontends[i];

                require(f->port < s->nports);
                require(f->in == POOL_NONE || s->ports[f->port].pools & 1U << f->in);
                require(f->out == POOL_NONE || s->ports[f->port].pools & 1U << f->out);
                require(!i || service_key_compare(&f[-1].key, &f->key) < 0);
                require(!f->key.port == !f->key.proto);
        }
        for (size_t i = 0; i < s->nports; i++)
                for (uint32_t k = 0; k < s->ports[i].nbackends; k++) {
                        const struct backend_state *b = &s->ports[i].backends[k];

                        require(b->port && b->weight >= 1 && b->weight <= WEIGHT_MAX);
                        require(!k || backend_state_compare(&b[-1], b) < 0);
                }
}

/* From nothing to it, and from it to itself, which must be no step. */
static void check_steps(struct service_state *s, struct arena *arena)
{
        struct op_list first = {.arena = arena}, second = {.arena = arena};
        struct service_state *packed = service_state_pack(s), again = *service_state_unpack(packed, arena);

        diff_service(NULL, s, false, &first);
        require(!s->nports || first.n);
        for (size_t i = 0; i < s->nports; i++) {
                s->ports[i].id = 1;
                for (uint32_t k = 0; k < s->ports[i].nbackends; k++)
                        s->ports[i].backends[k].id = 1 + k;
                for (unsigned pool = 0; pool < POOLS; pool++)
                        for (uint32_t k = 0; s->ports[i].pools & 1U << pool && k < s->ports[i].nbackends; k++)
                                if (backend_in_pool(&s->ports[i].backends[k], pool))
                                        s->ports[i].range[pool].size = 16;
        }
        diff_service(s, &again, false, &second);
        require(second.n == 0);
        free(packed);
}

static void desire(const struct svc_view *svc, const struct slice_view *slice)
{
        struct desired_env env = {.zone = "z1"};
        struct arena arena = ARENA_NULL;
        struct service_state state;

        desired_service(svc, &slice, slice ? 1 : 0, &env, &arena, &state);
        check_state(&state);
        check_steps(&state, &arena);
        arena_deinit(&arena);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
        const char *text = (const char *)data, *line = memchr(text, '\n', size);
        size_t n = line ? (size_t)(line - text) : size;
        struct svc_view *svc = project(project_service, text, n);
        struct slice_view *view = line ? project(project_slice, line + 1, size - n - 1) : NULL;

        if (svc)
                desire(svc, view);
        free(svc);
        free(view);
        return 0;
}
