/* SPDX-License-Identifier: Apache-2.0 */
#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "base/str.h"
#include "cni/code.h"
#include "cni/env.h"

/* What a verb needs (!) or may have (?); what it does not know is not looked at. */
static const struct {
        const char *name;
        char container_id, netns, ifname;
} verbs[VERB_COUNT] = {
        [VERB_ADD] = {"ADD", '!', '!', '!'},     [VERB_DEL] = {"DEL", '!', '?', '!'},
        [VERB_CHECK] = {"CHECK", '!', '!', '!'}, [VERB_GC] = {"GC", 0, 0, 0},
        [VERB_STATUS] = {"STATUS", 0, 0, 0},     [VERB_VERSION] = {"VERSION", 0, 0, 0},
};

const char *cni_verb_name(enum cni_verb verb)
{
        return verbs[verb].name;
}

static bool alphanumeric(char c)
{
        return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
}

static bool name_byte(char c)
{
        return alphanumeric(c) || (c && strchr("_.-", c));
}

bool cni_name_valid(const char *name, size_t max)
{
        if (!alphanumeric(*name) || strlen(name) > max)
                return false;
        while (name_byte(*name))
                name++;
        return !*name;
}

/* Less than Linux takes: the name becomes part of a file's name and of JSON. */
bool cni_ifname_valid(const char *name)
{
        if (!*name || strlen(name) >= IFNAME_SIZE || str_eq(name, ".") || str_eq(name, ".."))
                return false;
        while (name_byte(*name))
                name++;
        return !*name;
}

static int parse_verb(const char *text, enum cni_verb *ret, struct err *reterr)
{
        if (str_empty(text))
                return err_set(reterr, CNI_BAD_ENVIRONMENT,
                               "CNI_COMMAND is not set: this is a CNI plugin, which container runtimes call");
        for (int i = 0; i < VERB_COUNT; i++)
                if (str_eq(text, verbs[i].name)) {
                        *ret = (enum cni_verb)i;
                        return 0;
                }
        return err_set(reterr, CNI_BAD_ENVIRONMENT,
                       "CNI_COMMAND is \"%.32s\"; there are ADD, DEL, CHECK, GC, STATUS and VERSION", text);
}

/* CNI_ARGS that we know. K8S_POD_INFRA_CONTAINER_ID says what CNI_CONTAINERID says. */
static char *known_arg(struct cni_env *env, const char *key, size_t n)
{
        static char ignored[CNI_ARG_SIZE];
        const struct {
                const char *key;
                char *to;
        } known[] = {
                {"K8S_POD_NAMESPACE", env->pod_namespace},
                {"K8S_POD_NAME", env->pod_name},
                {"K8S_POD_UID", env->pod_uid},
                {"K8S_POD_INFRA_CONTAINER_ID", ignored},
                {"IP", env->ip},
                {"MAC", env->mac},
                {"IgnoreUnknown", ignored},
        };

        for (size_t i = 0; i < ARRAY_SIZE(known); i++)
                if (strlen(known[i].key) == n && strncasecmp(key, known[i].key, n) == 0)
                        return known[i].to;
        return NULL;
}

static bool ignores_unknown(const char *args)
{
        struct str_span piece;
        bool on = false;

        for (const char *rest = args; str_split(&rest, ';', &piece);) {
                char value[8] = "";
                static const char key[] = "IgnoreUnknown=";
                size_t n = sizeof(key) - 1;

                if (piece.n <= n || piece.n - n >= sizeof(value) || strncasecmp(piece.s, key, n) != 0)
                        continue;
                memcpy(value, piece.s + n, piece.n - n);
                if (str_parse_bool(value, &on))
                        on = false;
        }
        return on;
}

static bool printable(const char *s, size_t n)
{
        for (size_t i = 0; i < n; i++)
                if (s[i] < ' ' || s[i] > '~')
                        return false;
        return true;
}

static int parse_arg(struct cni_env *env, struct str_span arg, bool lenient, struct err *reterr)
{
        const char *equals = memchr(arg.s, '=', arg.n);
        int shown = (int)MIN(arg.n, (size_t)64);
        size_t n;
        char *to;

        if (!equals || !printable(arg.s, arg.n))
                return err_set(reterr, CNI_BAD_ENVIRONMENT,
                               "CNI_ARGS: \"%.*s\" is not KEY=VALUE in printable ASCII (pairs are separated by ;)",
                               printable(arg.s, (size_t)shown) ? shown : 0, arg.s);
        to = known_arg(env, arg.s, (size_t)(equals - arg.s));
        if (!to && !lenient)
                return err_set(reterr, CNI_BAD_ENVIRONMENT,
                               "CNI_ARGS: unknown key \"%.*s\" (IgnoreUnknown=1 makes such keys harmless)",
                               (int)MIN(equals - arg.s, 64), arg.s);
        n = arg.n - (size_t)(equals + 1 - arg.s);
        if (to && n >= CNI_ARG_SIZE)
                return err_set(reterr, CNI_BAD_ENVIRONMENT, "CNI_ARGS: the value of %.*s is longer than %d bytes",
                               (int)(equals - arg.s), arg.s, CNI_ARG_SIZE - 1);
        if (to) {
                memcpy(to, equals + 1, n);
                to[n] = '\0';
        }
        return 0;
}

static int parse_args(const char *args, struct cni_env *env, struct err *reterr)
{
        bool lenient = ignores_unknown(args);
        struct str_span piece;

        for (const char *rest = args; str_split(&rest, ';', &piece);) {
                int r = piece.n ? parse_arg(env, piece, lenient, reterr) : 0;

                if (r)
                        return r;
        }
        return 0;
}

static const char *given(char *(*get)(const char *name), const char *name)
{
        const char *value = get(name);

        return value ? value : "";
}

static int check_needed(const struct cni_env *env, struct err *reterr)
{
        const struct {
                const char *name, *value;
                char need;
        } needed[] = {
                {"CNI_CONTAINERID", env->container_id, verbs[env->verb].container_id},
                {"CNI_NETNS", env->netns, verbs[env->verb].netns},
                {"CNI_IFNAME", env->ifname, verbs[env->verb].ifname},
        };
        char missing[64] = "";

        for (size_t i = 0; i < ARRAY_SIZE(needed); i++)
                if (needed[i].need == '!' && !*needed[i].value)
                        snprintf(missing + strlen(missing), sizeof(missing) - strlen(missing), "%s%s",
                                 *missing ? ", " : "", needed[i].name);
        return *missing ? err_set(reterr, CNI_BAD_ENVIRONMENT, "%s needs %s, which %s not set or empty",
                                  verbs[env->verb].name, missing, strchr(missing, ',') ? "are" : "is")
                        : 0;
}

static int check_values(const struct cni_env *env, struct err *reterr)
{
        int r = check_needed(env, reterr);

        if (r)
                return r;
        if (verbs[env->verb].container_id && !cni_name_valid(env->container_id, CONTAINER_ID_MAX))
                return err_set(reterr, CNI_BAD_ENVIRONMENT,
                               "CNI_CONTAINERID must begin with a letter or digit, go on with letters, digits, \"_\", "
                               "\".\" or \"-\", and have at most %d bytes",
                               CONTAINER_ID_MAX);
        if (verbs[env->verb].ifname && !cni_ifname_valid(env->ifname))
                return err_set(reterr, CNI_BAD_ENVIRONMENT,
                               "CNI_IFNAME must have 1 to 15 letters, digits, \"_\", \".\" and \"-\", and not be "
                               "\".\" or \"..\"");
        if (strlen(env->netns) > NETNS_PATH_MAX || !printable(env->netns, strlen(env->netns)))
                return err_set(reterr, CNI_BAD_ENVIRONMENT,
                               "CNI_NETNS must be a path of at most %d printable ASCII characters", NETNS_PATH_MAX);
        return 0;
}

int cni_env_parse(char *(*get)(const char *name), struct cni_env *ret, struct err *reterr)
{
        const char *override = given(get, "CNI_NETNS_OVERRIDE");
        struct cni_env env = {0};
        int r = parse_verb(get("CNI_COMMAND"), &env.verb, reterr);

        if (r)
                return r;
        env.container_id = given(get, "CNI_CONTAINERID");
        env.netns = given(get, "CNI_NETNS");
        env.ifname = given(get, "CNI_IFNAME");
        env.path = given(get, "CNI_PATH");
        if (*override && str_parse_bool(override, &env.netns_override))
                return err_set(reterr, CNI_BAD_ENVIRONMENT, "CNI_NETNS_OVERRIDE must be true or false, or not set");
        if (!verbs[env.verb].container_id) {
                *ret = env;
                return 0;
        }
        r = check_values(&env, reterr);
        if (!r)
                r = parse_args(given(get, "CNI_ARGS"), &env, reterr);
        if (!r)
                *ret = env;
        return r;
}
