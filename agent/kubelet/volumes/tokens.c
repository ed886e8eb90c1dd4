/* SPDX-License-Identifier: Apache-2.0 */
/* Service account tokens of pods, by TokenRequest: each bound to its pod, kept in memory alone. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "agent/kubelet/volumes/impl.h"
#include "base/clock.h"
#include "base/mem.h"
#include "base/random.h"
#include "base/str.h"

#define LIFETIME_DEFAULT_S 3600
#define RENEW_AFTER_MAX_MS (24 * 3600 * 1000ULL)
#define JITTER_MAX_MS      10000
#define RETRY_MIN_MS       1000
#define RETRY_MAX_MS       60000

struct token {
        struct volumes *v;
        char *key, *uid, *path;
        char *request; /* as text: there is one for each pod, and it is needed once an hour */
        struct kube_call *call;
        char *text;        /* NULL: none yet */
        uint64_t due_ms;   /* ask (again) at that time; monotonic */
        uint64_t retry_ms; /* the next pause after a failure */
        int64_t expires_s; /* wall clock */
        char problem[560];
};

static void ask_when_due(struct volumes *v);

static uint64_t renew_after_ms(int64_t lifetime_s)
{
        uint64_t life = (uint64_t)MAX(lifetime_s, 1) * 1000, after = MIN(life / 5 * 4, RENEW_AFTER_MAX_MS);

        return after - MIN(random_below(JITTER_MAX_MS), after / 20);
}

static bool take(struct token *t, const struct json_object *answer)
{
        const char *text = json_at_str(answer, "status.token"),
                   *when = json_at_str(answer, "status.expirationTimestamp");
        struct timespec expires;

        if (str_empty(text) || !when || clock_parse(when, &expires))
                return false;
        free(t->text);
        t->text = mem_strdup(text);
        t->expires_s = expires.tv_sec;
        t->due_ms = clock_mono_ms() + renew_after_ms(expires.tv_sec - clock_wall_s());
        t->retry_ms = RETRY_MIN_MS;
        return true;
}

static void failed(struct token *t, const char *why)
{
        snprintf(t->problem, sizeof(t->problem), "failed to fetch token: %s", why);
        t->due_ms = clock_mono_ms() + t->retry_ms;
        t->retry_ms = MIN(t->retry_ms * 2, RETRY_MAX_MS);
}

/* The last thing here: who is told may end the pod, and this token with it. */
static void answered(void *userdata, int result, struct json_object *obj, const struct kube_status *status)
{
        struct token *t = userdata;
        struct volumes *v = t->v;
        _cleanup_free_ char *uid = mem_strdup(t->uid);
        bool had = t->text, got = false;

        t->call = NULL;
        if (result == 0)
                got = take(t, obj);
        if (!got)
                failed(t, result == 0              ? "the answer has no token"
                          : result == KUBE_REFUSED ? status->message
                                                   : strerror(-result));
        ask_when_due(v);
        if (got || !had)
                v->opts.changed(v->opts.userdata, uid);
}

static void ask(struct token *t)
{
        _cleanup_json_ struct json_object *body = NULL;
        struct kube_request req = {.method = "POST", .path = t->path};

        t->due_ms = UINT64_MAX;
        if (json_parse(t->request, strlen(t->request), &body, NULL) == 0)
                req.body = body;
        t->call = kube_start(t->v->opts.client, &req, answered, t);
        if (!t->call)
                failed(t, "the request cannot be sent");
}

static void ask_when_due(struct volumes *v)
{
        uint64_t now = clock_mono_ms(), next = UINT64_MAX;

        hashmap_foreach (&v->tokens, slot) {
                struct token *t = slot->value;

                if (!t->call && t->due_ms <= now)
                        ask(t);
                next = MIN(next, t->due_ms);
        }
        if (next == UINT64_MAX)
                loop_timer_cancel(v->token_timer);
        else
                loop_timer_set(v->token_timer, next > now ? next - now : 1);
}

static void timer(void *userdata)
{
        ask_when_due(userdata);
}

static char *request_for(const struct json_object *pod, const struct json_object *projection)
{
        _cleanup_json_ struct json_object *o = json_object_new_object();
        struct json_object *spec = json_ensure(o, "spec"), *bound = json_ensure(spec, "boundObjectRef");
        const char *audience = json_get_str(projection, "audience");

        json_set_str(o, "apiVersion", "authentication.k8s.io/v1");
        json_set_str(o, "kind", "TokenRequest");
        json_set_i64(spec, "expirationSeconds", json_get_i64(projection, "expirationSeconds", LIFETIME_DEFAULT_S));
        if (!str_empty(audience)) {
                json_set(spec, "audiences", json_object_new_array());
                json_object_array_add(json_get(spec, "audiences"), json_object_new_string(audience));
        }
        json_set_str(bound, "apiVersion", "v1");
        json_set_str(bound, "kind", "Pod");
        json_set_str(bound, "name", json_at_str(pod, "metadata.name") ?: "");
        json_set_str(bound, "uid", json_at_str(pod, "metadata.uid") ?: "");
        return json_text(o);
}

static struct token *token_new(struct volumes *v, char *key, const struct json_object *pod,
                               const struct json_object *projection)
{
        static const struct kube_resource accounts = {"", "v1", "serviceaccounts"};
        const char *account = json_at_str(pod, "spec.serviceAccountName");
        struct token *t = mem_new(struct token);

        *t = (struct token){.v = v,
                            .key = key,
                            .uid = mem_strdup(json_at_str(pod, "metadata.uid") ?: ""),
                            .path = kube_path(&accounts, json_at_str(pod, "metadata.namespace"),
                                              str_empty(account) ? "default" : account, "token"),
                            .request = request_for(pod, projection),
                            .retry_ms = RETRY_MIN_MS};
        hashmap_put(&v->tokens, t->key, t);
        return t;
}

static void token_free(struct token *t)
{
        kube_cancel(t->call);
        free(t->request);
        free(t->key);
        free(t->uid);
        free(t->path);
        free(t->text);
        free(t);
}

int token_get(struct volumes *v, const struct json_object *pod, const struct json_object *projection, const char **ret,
              struct err *reterr)
{
        _cleanup_free_ char *key =
                mem_printf("%s/%lld/%s", json_at_str(pod, "metadata.uid") ?: "",
                           (long long)json_get_i64(projection, "expirationSeconds", LIFETIME_DEFAULT_S),
                           json_get_str(projection, "audience") ?: "");
        struct token *t = hashmap_get(&v->tokens, key);

        if (!t) {
                t = token_new(v, TAKE_PTR(key), pod, projection);
                ask_when_due(v);
        }
        if (!t->text || t->expires_s <= clock_wall_s())
                return err_set(reterr, -EAGAIN, "%s", *t->problem ? t->problem : "a token was asked for");
        *ret = t->text;
        return 0;
}

static struct token *of_pod(struct volumes *v, const char *uid)
{
        hashmap_foreach (&v->tokens, slot) {
                struct token *t = slot->value;

                if (!uid || str_eq(t->uid, uid))
                        return t;
        }
        return NULL;
}

void tokens_forget(struct volumes *v, const char *uid)
{
        struct token *t;

        while ((t = of_pod(v, uid))) {
                hashmap_del(&v->tokens, t->key);
                token_free(t);
        }
}

int tokens_init(struct volumes *v)
{
        hashmap_init(&v->tokens, HASHMAP_STR);
        return loop_timer_new(v->opts.loop, timer, v, &v->token_timer);
}

void tokens_deinit(struct volumes *v)
{
        tokens_forget(v, NULL);
        hashmap_deinit(&v->tokens);
        loop_timer_free(v->token_timer);
}
