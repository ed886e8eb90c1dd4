/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A pod and what there is of it, written in words:
 *
 *   spec   "Always i:setup s:proxy m:app e:debug": policy, then init containers, sidecars, main, ephemeral ones;
 *          "m:app=Never" has a policy of its own, "m:app=Never?1,2" runs again when it ends with 1 or 2
 *   there  "B0 b1": sandboxes, ready and not, with their attempts; "app/0:run", ":made", ":exit0", ":lost", ":oom", of
 * the last sandbox that was named before; ":old" runs what the spec said before, ":never" is only being made facts
 * "app:starting", ":stopping",
 * ":blocked", ":sick" (liveness), ":failed" (startup), ":unstarted" (startup not passed), ":again" (was ended in order
 * to run again); "deleted", "ended", "busy" (sandbox), "stopped" (the last sandbox was), "box-blocked"; "told:app/3"
 * (in the API's status)
 */
#pragma once

#include "agent/kubelet/pods/actions.h"

#define SCENE_NOW_MS    1000000
#define SCENE_LATER_MS  1005000
#define SCENE_PARTS_MAX 16
#define SCENE_WORD_MAX  64

struct scene {
        struct json_object *pod;
        struct sandbox_status boxes[SCENE_PARTS_MAX];
        struct container_status containers[SCENE_PARTS_MAX];
        struct container_facts facts[SCENE_PARTS_MAX];
        char names[SCENE_PARTS_MAX * 2][SCENE_WORD_MAX];
        size_t nnames;
        struct runtime_list there;
        struct pod_input in;
};

void scene_read(struct scene *s, const char *spec, const char *there, const char *facts);
void scene_free(struct scene *s);
