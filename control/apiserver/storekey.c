/* SPDX-License-Identifier: Apache-2.0 */
#include <stdio.h>
#include <string.h>

#include "apiserver/storekey.h"
#include "base/str.h"
#include "base/strbuf.h"

struct builtin {
        const char *plural, *group;
        const char *dir; /* NULL: the plural */
        bool namespaced;
};

/* Sorted by plural, which is unique among them: events.k8s.io shares the events of the core group. */
static const struct builtin builtins[] = {
        {"apiservices", "apiregistration.k8s.io", NULL, false},
        {"certificatesigningrequests", "certificates.k8s.io", NULL, false},
        {"clusterrolebindings", "rbac.authorization.k8s.io", NULL, false},
        {"clusterroles", "rbac.authorization.k8s.io", NULL, false},
        {"configmaps", "", NULL, true},
        {"controllerrevisions", "apps", NULL, true},
        {"cronjobs", "batch", NULL, true},
        {"csidrivers", "storage.k8s.io", NULL, false},
        {"csinodes", "storage.k8s.io", NULL, false},
        {"csistoragecapacities", "storage.k8s.io", NULL, true},
        {"customresourcedefinitions", "apiextensions.k8s.io", NULL, false},
        {"daemonsets", "apps", NULL, true},
        {"deployments", "apps", NULL, true},
        {"endpoints", "", "services/endpoints", true},
        {"endpointslices", "discovery.k8s.io", NULL, true},
        {"events", "", NULL, true},
        {"horizontalpodautoscalers", "autoscaling", NULL, true},
        {"ingressclasses", "networking.k8s.io", NULL, false},
        {"ingresses", "networking.k8s.io", NULL, true},
        {"ipaddresses", "networking.k8s.io", NULL, false},
        {"jobs", "batch", NULL, true},
        {"leases", "coordination.k8s.io", NULL, true},
        {"limitranges", "", NULL, true},
        {"mutatingadmissionpolicies", "admissionregistration.k8s.io", NULL, false},
        {"mutatingadmissionpolicybindings", "admissionregistration.k8s.io", NULL, false},
        {"mutatingwebhookconfigurations", "admissionregistration.k8s.io", NULL, false},
        {"namespaces", "", NULL, false},
        {"networkpolicies", "networking.k8s.io", NULL, true},
        {"nodes", "", "minions", false},
        {"persistentvolumeclaims", "", NULL, true},
        {"persistentvolumes", "", NULL, false},
        {"poddisruptionbudgets", "policy", NULL, true},
        {"pods", "", NULL, true},
        {"podtemplates", "", NULL, true},
        {"priorityclasses", "scheduling.k8s.io", NULL, false},
        {"replicasets", "apps", NULL, true},
        {"replicationcontrollers", "", "controllers", true},
        {"resourcequotas", "", NULL, true},
        {"rolebindings", "rbac.authorization.k8s.io", NULL, true},
        {"roles", "rbac.authorization.k8s.io", NULL, true},
        {"runtimeclasses", "node.k8s.io", NULL, false},
        {"secrets", "", NULL, true},
        {"serviceaccounts", "", NULL, true},
        {"servicecidrs", "networking.k8s.io", NULL, false},
        {"services", "", "services/specs", true},
        {"statefulsets", "apps", NULL, true},
        {"storageclasses", "storage.k8s.io", NULL, false},
        {"validatingadmissionpolicies", "admissionregistration.k8s.io", NULL, false},
        {"validatingadmissionpolicybindings", "admissionregistration.k8s.io", NULL, false},
        {"validatingwebhookconfigurations", "admissionregistration.k8s.io", NULL, false},
        {"volumeattachments", "storage.k8s.io", NULL, false},
        {"volumeattributesclasses", "storage.k8s.io", NULL, false},
};

static const struct builtin *builtin_find(const char *plural)
{
        size_t low = 0, high = ARRAY_SIZE(builtins);

        while (low < high) {
                size_t mid = (low + high) / 2;
                int c = strcmp(plural, builtins[mid].plural);

                if (c == 0)
                        return &builtins[mid];
                if (c < 0)
                        high = mid;
                else
                        low = mid + 1;
        }
        return NULL;
}

/* Those whose folder is not their plural are few: a scan of them only. */
static const struct builtin *builtin_by_dir(const char *dir)
{
        size_t i;

        for (i = 0; i < ARRAY_SIZE(builtins); i++)
                if (builtins[i].dir && strcmp(builtins[i].dir, dir) == 0)
                        return &builtins[i];
        return NULL;
}

static bool is_builtin(const struct builtin *b, const char *group)
{
        return b && (strcmp(b->group, group) == 0 ||
                     (strcmp(b->plural, "events") == 0 && strcmp(group, "events.k8s.io") == 0));
}

static void prefix_into(struct strbuf *b, const char *group, const char *plural)
{
        const struct builtin *builtin = builtin_find(plural);

        strbuf_add_str(b, STORE_KEY_ROOT);
        if (!is_builtin(builtin, group)) {
                strbuf_add_str(b, group);
                strbuf_add_char(b, '/');
                builtin = NULL;
        }
        strbuf_add_str(b, builtin && builtin->dir ? builtin->dir : plural);
        strbuf_add_char(b, '/');
}

static char *finish(struct arena *a, struct strbuf *b)
{
        char *key = arena_strndup(a, b->data, b->len);

        strbuf_deinit(b);
        return key;
}

char *store_key_prefix(struct arena *a, const char *group, const char *plural, const char *namespace)
{
        struct strbuf b = STRBUF_NULL;

        prefix_into(&b, group, plural);
        if (!str_empty(namespace)) {
                strbuf_add_str(&b, namespace);
                strbuf_add_char(&b, '/');
        }
        return finish(a, &b);
}

char *store_key(struct arena *a, const char *group, const char *plural, const char *namespace, const char *name)
{
        struct strbuf b = STRBUF_NULL;

        prefix_into(&b, group, plural);
        if (!str_empty(namespace)) {
                strbuf_add_str(&b, namespace);
                strbuf_add_char(&b, '/');
        }
        strbuf_add_str(&b, name);
        return finish(a, &b);
}

/* Cuts the next path segment off *rest; NULL when there is none or it is empty. */
static char *segment(char **rest)
{
        char *s = *rest, *slash;

        if (!s || !*s || *s == '/')
                return NULL;
        slash = strchr(s, '/');
        if (slash)
                *slash = '\0';
        *rest = slash ? slash + 1 : NULL;
        return s;
}

/* "services/specs": the folder of two names; out of "services" and what follows it. */
static const struct builtin *builtin_of_path(const char *first, char **rest)
{
        const struct builtin *b;
        char dir[64];
        size_t n;

        b = builtin_by_dir(first);
        if (b)
                return b;
        n = *rest ? strcspn(*rest, "/") : 0;
        if (n && (size_t)snprintf(dir, sizeof(dir), "%s/%.*s", first, (int)n, *rest) < sizeof(dir)) {
                b = builtin_by_dir(dir);
                if (b) {
                        *rest = (*rest)[n] ? *rest + n + 1 : NULL;
                        return b;
                }
        }
        b = builtin_find(first);
        return b && !b->dir ? b : NULL;
}

int store_key_parse(struct arena *a, const char *key, struct store_key_parts *ret)
{
        struct store_key_parts parts = {0};
        const char *path = str_after(key, STORE_KEY_ROOT);
        const struct builtin *b;
        char *rest, *first, *last;

        if (!path)
                return STORE_KEY_OTHER;
        rest = arena_strdup(a, path);
        first = segment(&rest);
        if (!first)
                return STORE_KEY_OTHER;

        b = builtin_of_path(first, &rest);
        if (b) {
                parts.group = b->group;
                parts.plural = b->plural;
        } else if (strchr(first, '.')) {
                parts.group = first;
                parts.plural = segment(&rest);
        }
        parts.name = segment(&rest);
        last = segment(&rest);
        if (last) {
                parts.namespace = parts.name;
                parts.name = last;
        }
        if (!parts.plural || !parts.name || rest || (b && b->namespaced != (parts.namespace != NULL)))
                return STORE_KEY_OTHER;
        *ret = parts;
        return 0;
}
