/* SPDX-License-Identifier: Apache-2.0 */
/* imagePullSecrets: Secrets of type dockerconfigjson (or the older dockercfg), which name registries and accounts. */
#include <errno.h>
#include <fnmatch.h>

#include "agent/kubelet/pods/worker.h"
#include "base/base64.h"
#include "base/str.h"

#define CREDENTIALS_MAX 32

struct search {
        const char *reference;
        struct arena *mem;
        struct image_credentials *found;
        size_t n;
};

/* "https://index.docker.io/v1/" and "docker.io" are the same registry. */
static const char *plain_registry(const char *key, struct arena *mem)
{
        static const char *const schemes[] = {"https://", "http://"}, *const ends[] = {"/", "/v1", "/v2"};
        char *text;

        for (size_t i = 0; i < ARRAY_SIZE(schemes); i++)
                key = str_after(key, schemes[i]) ?: key;
        text = arena_strdup(mem, key);
        for (size_t i = 0; i < ARRAY_SIZE(ends); i++)
                if (str_has_suffix(text, ends[i]))
                        text[strlen(text) - strlen(ends[i])] = '\0';
        return str_eq(text, "index.docker.io") || str_eq(text, "registry-1.docker.io") ? "docker.io" : text;
}

/* "registry.example/team" and "*.example" are as good as the whole name of the image. */
static bool matches(const char *registry, const char *reference, struct arena *mem)
{
        size_t n = strcspn(registry, "/"), m = strcspn(reference, "/");
        const char *rest = registry + n;

        if (fnmatch(arena_strndup(mem, registry, n), arena_strndup(mem, reference, m), 0))
                return false;
        return str_has_prefix(reference + m, rest) && strchr("/:@", reference[m + strlen(rest)]);
}

static void add(struct search *s, const char *username, const char *password)
{
        if (s->n < CREDENTIALS_MAX)
                s->found[s->n++] =
                        (struct image_credentials){arena_strdup(s->mem, username), arena_strdup(s->mem, password)};
}

/* auth is base64 of "user:password". */
static void add_account(struct search *s, const struct json_object *account)
{
        const char *auth = json_get_str(account, "auth"), *user = json_get_str(account, "username");
        _cleanup_free_ char *text = NULL;
        char *colon;
        size_t n;

        if (!str_empty(user)) {
                add(s, user, json_get_str(account, "password") ?: "");
                return;
        }
        if (!auth || base64_decode(auth, strlen(auth), &text, &n) || !(colon = strchr(text, ':')))
                return;
        *colon = '\0';
        add(s, text, colon + 1);
}

static void add_secret(struct search *s, const struct json_object *secret)
{
        const struct json_object *data = json_get(secret, "data");
        const char *now = json_get_str(data, ".dockerconfigjson"), *before = json_get_str(data, ".dockercfg");
        const char *encoded = now ?: before;
        _cleanup_json_ struct json_object *config = NULL;
        _cleanup_free_ char *text = NULL;
        size_t n;

        if (!encoded || base64_decode(encoded, strlen(encoded), &text, &n) || json_parse(text, n, &config, NULL))
                return;
        json_foreach (now ? json_get(config, "auths") : config, registry, account)
                if (matches(plain_registry(registry, s->mem), s->reference, s->mem))
                        add_account(s, account);
}

int pull_secrets(const struct objects *o, const struct json_object *pod, const char *reference, struct arena *mem,
                 struct image_credentials **ret, size_t *ret_n, const char **ret_missing)
{
        struct search s = {.reference = reference, .mem = mem};
        const char *ns = json_at_str(pod, "metadata.namespace"), *missing = NULL;

        s.found = arena_array(mem, struct image_credentials, CREDENTIALS_MAX);
        json_array_foreach (json_at(pod, "spec.imagePullSecrets"), i, ref) {
                const char *name = json_get_str(ref, "name") ?: "";
                struct json_object *secret = NULL;
                int r = objects_get(o, OBJECT_SECRET, ns, name, &secret);

                if (r == -EAGAIN)
                        return r;
                if (r)
                        missing = missing ? arena_printf(mem, "%s, %s", missing, name) : arena_strdup(mem, name);
                else
                        add_secret(&s, secret);
        }
        *ret = s.found;
        *ret_n = s.n;
        *ret_missing = missing;
        return 0;
}
