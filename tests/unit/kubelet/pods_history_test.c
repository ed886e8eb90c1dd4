/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Random histories of a node's pods: made, deleted in all ways, crashing; sandboxes that break, calls that fail, an API
 * that is away or whose answers get lost, a kubelet that is killed at any point. The played node watches all the while
 * that nothing runs twice; in the end every pod has to be as its API object says, and nothing else may be left.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/log.h"
#include "base/str.h"
#include "played/node.h"

#define HISTORIES 60
#define EVENTS    250
#define CALM_MS   20000
#define PODS      24

static struct played node;
static unsigned int seed, made;

static unsigned int roll(unsigned int n)
{
        return (unsigned int)rand_r(&seed) % n;
}

static void add_pod(void)
{
        static const char *const
                policies[] = {"Always", "OnFailure", "Never"},
                *const inits[] = {
                        "",
                        "\"initContainers\": [{\"name\": \"i\", \"image\": \"b\"}],",
                        "\"initContainers\": [{\"name\": \"s\", \"image\": \"b\", \"restartPolicy\": \"Always\"}],",
                };
        char text[512];

        if (made == PODS)
                return;
        snprintf(text, sizeof(text),
                 "{\"metadata\": {\"name\": \"p%u\"}, \"spec\": {\"restartPolicy\": \"%s\", %s \"containers\": "
                 "[{\"name\": \"a\", "
                 "\"image\": \"b\"}, {\"name\": \"z\", \"image\": \"b\"}]}}",
                 made++, policies[roll(3)], inits[roll(3)]);
        played_add(text);
}

static const char *some_pod(void)
{
        return node.napi ? json_at_str(node.api[roll((unsigned int)node.napi)], "metadata.name") : NULL;
}

static void delete_pod(void)
{
        const char *name = some_pod();

        if (!name)
                return;
        if (roll(4))
                played_delete(name, roll(3));
        else
                played_force_delete(name);
}

static void end_container(void)
{
        struct played_container *c = node.ncontainers ? &node.containers[roll((unsigned int)node.ncontainers)] : NULL;
        char pod[64], name[64];

        if (!c || c->state != CONTAINER_RUNNING)
                return;
        str_copy(pod, sizeof(pod), c->uid);
        str_copy(name, sizeof(name), c->name);
        played_exit(pod, name, (int32_t)roll(2));
}

static void break_sandbox(void)
{
        char uid[64];

        if (!node.nboxes)
                return;
        str_copy(uid, sizeof(uid), node.boxes[roll((unsigned int)node.nboxes)].uid);
        played_break_sandbox(uid);
}

static void fail_something(void)
{
        static const char *const ops[] = {"sandbox_run",     "sandbox_stop",   "sandbox_remove",  "container_create",
                                          "container_start", "container_stop", "container_remove"};

        node.fault = (struct played_fault){ops[roll(ARRAY_SIZE(ops))], "it does not work", 1 + (int)roll(3)};
}

static void change_api(void)
{
        node.api_away = roll(3) == 0;
        node.lose_answers = roll(4) == 0;
}

static void restart(void)
{
        played_kill(roll(2));
        played_restart();
}

static void something_happens(void)
{
        static void (*const events[])(void) = {add_pod,       add_pod,        delete_pod, end_container,
                                               break_sandbox, fail_something, change_api, restart};

        if (roll(5) == 0)
                events[roll(ARRAY_SIZE(events))]();
        else
                played_turn();
}

/* Init containers end, nothing fails, everybody can be reached. */
static void calm_down(void)
{
        node.fault = (struct played_fault){0};
        node.api_away = node.lose_answers = false;
        restart();
}

static void end_inits(void)
{
        for (size_t i = 0; i < node.ncontainers; i++)
                if (str_eq(node.containers[i].name, "i") && node.containers[i].state == CONTAINER_RUNNING) {
                        char uid[64];

                        str_copy(uid, sizeof(uid), node.containers[i].uid);
                        played_exit(uid, "i", 0);
                }
}

static bool is_settled(const struct json_object *pod)
{
        const char *phase = json_at_str(pod, "status.phase"), *name = json_at_str(pod, "metadata.name");
        bool over = str_eq(phase, "Succeeded") || str_eq(phase, "Failed");

        if (json_at_str(pod, "metadata.deletionTimestamp"))
                return false;
        if (over)
                return played_living(name, NULL) == 0;
        return str_eq(phase, "Running") && (played_living(name, "a") || played_living(name, "z"));
}

static bool all_settled(void)
{
        struct pods_stats stats;
        size_t owned = 0;

        pods_stats(node.pods, &stats);
        if (stats.pods != node.napi) /* workers of pods that are gone are freed */
                return false;
        for (size_t i = 0; i < node.napi; i++)
                if (!is_settled(node.api[i]))
                        return false;
        for (size_t i = 0; i < node.nboxes; i++)
                owned += played_pod(node.boxes[i].uid) != NULL;
        return owned == node.nboxes;
}

/* Who keeps it from being settled. */
static void tell_unsettled(void)
{
        struct pods_stats stats;

        pods_stats(node.pods, &stats);
        print_error("%zu pods in the API, %zu workers, %zu sandboxes\n", node.napi, (size_t)stats.pods, node.nboxes);
        for (size_t i = 0; i < node.napi; i++)
                if (!is_settled(node.api[i]))
                        print_error("%s\n", json_object_to_json_string(node.api[i]));
        for (size_t i = 0; i < node.nboxes; i++)
                if (!played_pod(node.boxes[i].uid))
                        print_error("sandbox of %s\n", node.boxes[i].uid);
}

static void live(unsigned int history)
{
        seed = history;
        made = 0;
        played_open(&node);
        for (int i = 0; i < EVENTS && !node.broken; i++)
                something_happens();
        calm_down();
        for (int i = 0; i < CALM_MS / 4 && !node.broken && !all_settled(); i++) {
                end_inits();
                played_wait(4);
        }
        if (!node.broken && !all_settled())
                tell_unsettled();
        if (node.broken || !all_settled())
                fail_msg("history %u: %s\n%s\n%s", history, node.broken ? node.broken : "it does not settle",
                         node.log.data, node.events.data);
        played_close(&node);
}

static void everything_comes_to_where_it_should(void **state)
{
        log_set_level(LOG_LEVEL_ERROR);
        for (unsigned int history = 1; history <= HISTORIES; history++)
                live(history);
}

int main(int argc, char **argv)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(everything_comes_to_where_it_should),
        };

        if (argc > 1) {
                live((unsigned int)atoi(argv[1]));
                return 0;
        }
        return cmocka_run_group_tests(tests, NULL, NULL);
}
