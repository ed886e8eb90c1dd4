/* SPDX-License-Identifier: Apache-2.0 */
/* Who a container runs as and what it may do. The container's securityContext goes before the pod's. */
#include <errno.h>
#include <string.h>

#include "agent/kubelet/pods/spec_impl.h"
#include "agent/kubelet/pods/textlist.h"
#include "base/str.h"

struct json_object *spec_security_field(const struct spec_work *w, const char *field)
{
        return json_get(json_get(w->container, "securityContext"), field)
                       ?: json_get(json_get(w->spec, "securityContext"), field);
}

static int64_t number(const struct spec_work *w, const char *field)
{
        struct json_object *v = spec_security_field(w, field);

        return v ? json_object_get_int64(v) : -1;
}

/* Upstream's bound of user and group ids; what is larger would be another id once the kernel has it. */
static int check_id(const struct spec_work *w, const char *field, struct err *reterr)
{
        struct json_object *v = spec_security_field(w, field);
        int64_t id = v ? json_object_get_int64(v) : 0;

        if (id >= 0 && id <= INT32_MAX)
                return 0;
        return err_set(reterr, -EINVAL, "securityContext.%s: %lld must be between 0 and 2147483647, inclusive", field,
                       (long long)id);
}

/* The image's USER: "UID", "NAME", or either with ":GROUP". False: it is a name. A number here must be one to the
 * runtime too, which looks anything else up in the image's /etc/passwd, where a hostile image may give it uid 0. */
static bool image_uid(const char *user, uint32_t *ret)
{
        char text[sizeof("2147483647")];
        size_t n = strcspn(user, ":");

        *ret = 0;
        if (!n)
                return true;
        if (n >= sizeof(text))
                return false;
        memcpy(text, user, n);
        text[n] = '\0';
        return str_parse_u32(text, ret) == 0 && *ret <= INT32_MAX;
}

static int check_non_root(const struct spec_work *w, const char *user, int64_t uid, struct err *reterr)
{
        struct json_object *asked = spec_security_field(w, "runAsNonRoot");
        const char *pod = arena_printf(w->mem, "%s_%s(%s)", w->name, w->ns, w->uid);
        uint32_t of_image;

        if (!asked || !json_object_get_boolean(asked))
                return 0;
        if (uid == 0)
                return err_set(reterr, -EPERM,
                               "container's runAsUser breaks non-root policy (pod: \"%s\", container: %s)", pod,
                               w->container_name);
        if (uid > 0)
                return 0;
        if (!image_uid(user, &of_image))
                return err_set(
                        reterr, -EPERM,
                        "container has runAsNonRoot and image has non-numeric user (%.*s), cannot verify user is "
                        "non-root (pod: \"%s\", container: %s)",
                        (int)strcspn(user, ":"), user, pod, w->container_name);
        if (of_image == 0)
                return err_set(reterr, -EPERM,
                               "container has runAsNonRoot and image will run as root (pod: \"%s\", container: %s)",
                               pod, w->container_name);
        return 0;
}

static void add_group(int64_t *groups, size_t *n, int64_t gid)
{
        for (size_t i = 0; i < *n; i++)
                if (groups[i] == gid)
                        return;
        groups[(*n)++] = gid;
}

static void groups(const struct spec_work *w, struct container_security *ret)
{
        struct json_object *context = json_get(w->spec, "securityContext"),
                           *list = json_get(context, "supplementalGroups");
        int64_t *v = arena_array(w->mem, int64_t, json_len(list) + 1);
        size_t n = 0;

        json_array_foreach (list, i, gid)
                add_group(v, &n, json_object_get_int64(gid));
        if (json_has(context, "fsGroup"))
                add_group(v, &n, json_get_i64(context, "fsGroup", 0));
        ret->groups = v;
        ret->ngroups = n;
        ret->strict_groups = str_eq(json_get_str(context, "supplementalGroupsPolicy"), "Strict");
}

static const char *const *names(const struct json_object *list, struct arena *mem)
{
        struct textlist l = TEXTLIST(mem);

        json_array_foreach (list, i, name)
                textlist_add(&l, json_object_get_string(name));
        return textlist_all(&l);
}

/* A path below the folder of profiles, and no way out of it. */
static int local_profile(const struct spec_work *w, const struct json_object *profile, const char **ret,
                         struct err *reterr)
{
        const char *path = json_get_str(profile, "localhostProfile");
        struct str_span piece;

        if (str_empty(path) || *path == '/')
                return err_set(reterr, -EINVAL, "seccompProfile.localhostProfile must be a relative path");
        for (const char *rest = path; str_split(&rest, '/', &piece);)
                if (str_span_eq(piece, ".."))
                        return err_set(reterr, -EINVAL,
                                       "seccompProfile.localhostProfile: \"%s\" must not contain \"..\"", path);
        if (str_empty(w->s->node->seccomp_dir))
                return err_set(reterr, -EINVAL, "seccompProfile: this node has no folder of profiles");
        *ret = arena_printf(w->mem, "%s/%s", w->s->node->seccomp_dir, path);
        return 0;
}

static int seccomp(const struct spec_work *w, struct container_security *ret, struct err *reterr)
{
        struct json_object *profile = spec_security_field(w, "seccompProfile");
        const char *type = json_get_str(profile, "type");

        ret->seccomp = SECCOMP_RUNTIME_DEFAULT;
        if (ret->privileged || str_eq(type, "Unconfined")) {
                ret->seccomp = SECCOMP_UNCONFINED;
                return 0;
        }
        if (!str_eq(type, "Localhost"))
                return 0;
        ret->seccomp = SECCOMP_LOCALHOST;
        return local_profile(w, profile, &ret->seccomp_file, reterr);
}

static void apparmor(const struct spec_work *w, struct container_security *ret)
{
        struct json_object *profile = spec_security_field(w, "appArmorProfile");

        if (str_eq(json_get_str(profile, "type"), "Localhost"))
                ret->apparmor = json_get_str(profile, "localhostProfile");
}

int spec_security(const struct spec_work *w, const struct image *image, struct container_security *ret,
                  struct err *reterr)
{
        struct json_object *own = json_get(w->container, "securityContext"), *caps = json_get(own, "capabilities");
        struct container_security s = {
                .privileged = json_get_bool(own, "privileged", false),
                .read_only_root = json_get_bool(own, "readOnlyRootFilesystem", false),
                .no_new_privileges = !json_get_bool(own, "allowPrivilegeEscalation", true),
                .proc_unmasked = str_eq(json_get_str(own, "procMount"), "Unmasked"),
                .uid = number(w, "runAsUser"),
                .gid = number(w, "runAsGroup"),
                .user = image->user,
                .add = names(json_get(caps, "add"), w->mem),
                .drop = names(json_get(caps, "drop"), w->mem),
        };
        int r = check_id(w, "runAsUser", reterr) ?: check_id(w, "runAsGroup", reterr);

        if (!r)
                r = check_non_root(w, image->user ?: "", s.uid, reterr);
        groups(w, &s);
        apparmor(w, &s);
        if (!r)
                r = seccomp(w, &s, reterr);
        if (!r)
                *ret = s;
        return r;
}
