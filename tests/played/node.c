/* SPDX-License-Identifier: Apache-2.0 */
/* The played node as a whole: opened, turned, killed, started again. */
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/str.h"
#include "played/impl.h"

struct played *played;

/* How long the loop may lie still before nothing more is expected; longer than the test's shortest backoff is not. */
#define STILL_MS 4

static const char *const ips[] = {"192.0.2.1", NULL};
static const struct spec_node node = {.name = "played", .ips = ips};

void played_open(struct played *p)
{
        *p = (struct played){.image_here = true,
                             .startup = VERDICT_SUCCESS,
                             .readiness = VERDICT_SUCCESS,
                             .runtime = {&played_runtime_ops, NULL}};
        played = p;
        str_copy(p->last_words_folder, sizeof(p->last_words_folder), "/nonexistent");
        if (loop_new(&p->loop))
                abort();
        played_start();
}

void played_close(struct played *p)
{
        played_kill(false);
        for (size_t i = 0; i < p->napi; i++)
                json_object_put(p->api[i]);
        json_object_put(p->docker_secret);
        loop_free(p->loop);
        strbuf_deinit(&p->log);
        strbuf_deinit(&p->events);
        strbuf_deinit(&p->told);
        played = NULL;
}

void played_start_with(int (*admit)(void *userdata, const struct json_object *pod, char reason[static 64],
                                    struct err *reterr))
{
        struct pods_opts o = {.loop = played->loop,
                              .runtime = &played->runtime,
                              .node = &node,
                              .admit = admit,
                              .backoff_initial_ms = 100,
                              .backoff_max_ms = 400};

        if (pods_new(&o, &played->pods, NULL))
                abort();
}

void played_start(void)
{
        played_start_with(NULL);
}

void played_kill(bool fate)
{
        struct pods *p = played->pods;

        played->pods = NULL;
        played_api_forget(fate);
        pods_free(p);
        played_runtime_forget(fate);
        played_rooms_forget();
}

void played_restart(void)
{
        played_start();
        for (size_t i = 0; i < played->napi; i++)
                played_tell_pod(played->api[i]);
        pods_sources_ready(played->pods);
}

void played_release(void)
{
        while (played_runtime_turn() || played_rooms_turn() || played_api_turn())
                ;
}

static bool turn(void)
{
        loop_run_for(played->loop, 0);
        return !played->hold && (played_runtime_turn() || played_rooms_turn() || played_api_turn());
}

void played_turn(void)
{
        if (!played_runtime_turn() && !played_rooms_turn())
                played_api_turn();
        for (int i = 0; i < 3; i++)
                loop_run_for(played->loop, 0);
}

void played_settle(void)
{
        for (uint64_t still = clock_mono_ms() + STILL_MS; clock_mono_ms() < still;)
                if (turn())
                        still = clock_mono_ms() + STILL_MS;
}

void played_wait(uint64_t ms)
{
        for (uint64_t end = clock_mono_ms() + ms; clock_mono_ms() < end;)
                if (!turn())
                        usleep(200);
}
