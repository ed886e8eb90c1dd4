/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/str.h"
#include "unit/kubelet/scene.h"

static const char *keep_name(struct scene *s, const char *text, size_t n)
{
        char *name = s->names[s->nnames++];

        snprintf(name, SCENE_WORD_MAX, "%.*s", (int)n, text);
        return name;
}

static void add_rules(struct json_object *c, const char *codes)
{
        struct json_object *rule = json_object_new_object(), *rules = json_object_new_array();
        struct json_object *exit_codes = json_ensure(rule, "exitCodes"), *values = json_object_new_array();

        json_set_str(rule, "action", "Restart");
        json_set_str(exit_codes, "operator", "In");
        for (const char *at = codes; at; at = strchr(at, ',') ? strchr(at, ',') + 1 : NULL)
                json_object_array_add(values, json_object_new_int(atoi(at)));
        json_set(exit_codes, "values", values);
        json_object_array_add(rules, rule);
        json_set(c, "restartPolicyRules", rules);
}

static void read_container(struct json_object *spec, const char *word)
{
        static const char *const lists[] = {['i'] = "initContainers",
                                            ['s'] = "initContainers",
                                            ['m'] = "containers",
                                            ['e'] = "ephemeralContainers"};
        const char *list = lists[(unsigned char)word[0]], *policy = strchr(word, '='), *codes = strchr(word, '?');
        struct json_object *c = json_object_new_object();
        char text[SCENE_WORD_MAX];

        snprintf(text, sizeof(text), "%.*s", (int)strcspn(word + 2, "=?"), word + 2);
        json_set_str(c, "name", text);
        json_set_str(c, "image", "new");
        if (word[0] == 's')
                json_set_str(c, "restartPolicy", "Always");
        if (policy) {
                snprintf(text, sizeof(text), "%.*s", (int)strcspn(policy + 1, "?"), policy + 1);
                json_set_str(c, "restartPolicy", text);
        }
        if (codes)
                add_rules(c, codes + 1);
        if (!json_get(spec, list))
                json_set(spec, list, json_object_new_array());
        json_object_array_add(json_get(spec, list), c);
}

static void read_spec(struct scene *s, const char *word)
{
        if (word[1] == ':')
                read_container(json_ensure(s->pod, "spec"), word);
        else
                json_set_str(json_ensure(s->pod, "spec"), "restartPolicy", word);
}

static void read_box(struct scene *s, const char *word)
{
        struct sandbox_status *b = &s->boxes[s->there.nsandboxes++];

        *b = (struct sandbox_status){.state = word[0] == 'B' ? SANDBOX_READY : SANDBOX_NOT_READY,
                                     .attempt = (uint32_t)atoi(word + 1)};
        snprintf(b->id, sizeof(b->id), "box%u", b->attempt);
}

static void read_state(struct container_status *c, const char *state)
{
        if (str_eq(state, "run") || str_eq(state, "old"))
                c->state = CONTAINER_RUNNING;
        else if (str_eq(state, "made"))
                c->state = CONTAINER_CREATED;
        else
                c->state = str_eq(state, "lost") || str_eq(state, "never") ? CONTAINER_UNKNOWN : CONTAINER_EXITED;
        c->hash = str_eq(state, "old") ? "old" : "new";
        c->exit_code = str_after(state, "exit") ? atoi(str_after(state, "exit")) : 0;
        c->oom_killed = str_eq(state, "oom");
        c->started_ns = c->state == CONTAINER_CREATED || str_eq(state, "never") ? 0 : 1;
        if (c->oom_killed)
                c->exit_code = 137;
}

static void read_there(struct scene *s, const char *word)
{
        struct container_status *c;
        const char *slash = strchr(word, '/');

        if (!slash) {
                read_box(s, word);
                return;
        }
        c = &s->containers[s->there.ncontainers++];
        *c = (struct container_status){.name = keep_name(s, word, (size_t)(slash - word)),
                                       .attempt = (uint32_t)atoi(slash + 1)};
        snprintf(c->id, sizeof(c->id), "%.*s", (int)strcspn(word, ":"), word);
        str_copy(c->sandbox, sizeof(c->sandbox), s->boxes[s->there.nsandboxes - 1].id);
        read_state(c, strchr(word, ':') + 1);
}

static struct container_facts *facts_of(struct scene *s, const char *name, size_t n)
{
        for (size_t i = 0; i < s->in.nfacts; i++)
                if (strlen(s->facts[i].name) == n && strncmp(s->facts[i].name, name, n) == 0)
                        return &s->facts[i];
        s->facts[s->in.nfacts] = (struct container_facts){.name = keep_name(s, name, n), .startup = VERDICT_SUCCESS};
        return &s->facts[s->in.nfacts++];
}

static void read_told(struct scene *s, const char *word)
{
        struct json_object *c = json_object_new_object(), *list = json_object_new_array();
        char name[SCENE_WORD_MAX];

        snprintf(name, sizeof(name), "%.*s", (int)strcspn(word, "/"), word);
        json_set_str(c, "name", name);
        json_set_str(c, "containerID", "fairlead://x");
        json_set_i64(c, "restartCount", atoi(strchr(word, '/') + 1));
        json_object_array_add(list, c);
        json_set(json_ensure(s->pod, "status"), "containerStatuses", list);
        s->in.status = json_get(s->pod, "status");
}

static void read_container_fact(struct scene *s, const char *word)
{
        struct container_facts *f = facts_of(s, word, strcspn(word, ":"));
        const char *fact = strchr(word, ':') + 1;

        if (str_eq(fact, "starting"))
                f->activity = ACTIVITY_STARTING;
        else if (str_eq(fact, "stopping"))
                f->activity = ACTIVITY_STOPPING;
        else if (str_eq(fact, "blocked"))
                f->blocked_until_ms = SCENE_LATER_MS;
        else if (str_eq(fact, "sick"))
                f->liveness = VERDICT_FAILURE;
        else if (str_eq(fact, "failed"))
                f->startup = VERDICT_FAILURE;
        else if (str_eq(fact, "unstarted"))
                f->startup = VERDICT_UNKNOWN;
        else if (str_eq(fact, "again"))
                f->restart = true;
        else
                fail_msg("unknown fact: %s", word);
}

static void read_fact(struct scene *s, const char *word)
{
        if (str_has_prefix(word, "told:"))
                read_told(s, word + strlen("told:"));
        else if (strchr(word, ':'))
                read_container_fact(s, word);
        else if (str_eq(word, "deleted"))
                s->in.deleted = true;
        else if (str_eq(word, "ended"))
                s->in.ended = true;
        else if (str_eq(word, "busy"))
                s->in.sandbox_busy = true;
        else if (str_eq(word, "stopped"))
                s->in.sandbox_stopped = s->boxes[s->there.nsandboxes - 1].id;
        else if (str_eq(word, "box-blocked"))
                s->in.sandbox_blocked_ms = SCENE_LATER_MS;
        else
                fail_msg("unknown fact: %s", word);
}

static void each_word(struct scene *s, const char *text, void (*fn)(struct scene *s, const char *word))
{
        char word[SCENE_WORD_MAX];

        while (*(text += strspn(text, " "))) {
                snprintf(word, sizeof(word), "%.*s", (int)strcspn(text, " "), text);
                fn(s, word);
                text += strlen(word);
        }
}

void scene_read(struct scene *s, const char *spec, const char *there, const char *facts)
{
        memset(s, 0, sizeof(*s));
        s->pod = json_object_new_object();
        s->there.sandboxes = s->boxes;
        s->there.containers = s->containers;
        s->in = (struct pod_input){.pod = s->pod, .there = &s->there, .facts = s->facts, .mono_ms = SCENE_NOW_MS};
        each_word(s, spec, read_spec);
        each_word(s, there, read_there);
        each_word(s, facts, read_fact);
}

void scene_free(struct scene *s)
{
        json_object_put(s->pod);
}
