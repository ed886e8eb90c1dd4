/* SPDX-License-Identifier: Apache-2.0 */
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "base/str.h"
#include "controllers/common/claim.h"
#include "controllers/common/pods.h"

#define MESSAGE_ENDING  "because it is being terminated"
#define HASH_LABEL      "pod-template-hash"
#define COST_ANNOTATION "controller.kubernetes.io/pod-deletion-cost"
#define NAME_BASE_MAX   58 /* five letters come behind it */

bool pod_is_ready(const struct kobj *pod)
{
        const struct pod_condition *c = pod_condition(pod->pod, "Ready");

        return c && c->status == TRI_TRUE;
}

bool pod_is_finished(const struct kobj *pod)
{
        return pod->pod->phase == POD_SUCCEEDED || pod->pod->phase == POD_FAILED;
}

bool pod_is_active(const struct kobj *pod)
{
        return !pod_is_finished(pod) && !pod->deleted_s;
}

bool pod_is_available(const struct kobj *pod, int64_t min_ready_s, int64_t now_ms, uint64_t *ret_wait_ms)
{
        const struct pod_condition *c = pod_condition(pod->pod, "Ready");
        int64_t left;

        if (ret_wait_ms)
                *ret_wait_ms = 0;
        if (!c || c->status != TRI_TRUE)
                return false;
        if (!min_ready_s)
                return true;
        left = (c->since_s + min_ready_s) * 1000 - now_ms;
        if (c->since_s && left <= 0)
                return true;
        if (ret_wait_ms)
                *ret_wait_ms = c->since_s ? (uint64_t)left : 0;
        return false;
}

int32_t pod_restarts(const struct kobj *pod)
{
        int32_t most = 0;

        for (size_t i = 0; i < pod->pod->ncontainers; i++)
                if (!pod->pod->containers[i].init)
                        most = MAX(most, pod->pod->containers[i].restarts);
        return most;
}

struct json_object *pod_from_template(const struct kobj *owner, const struct json_object *template)
{
        static const char *const copied[] = {"labels", "annotations", "finalizers"};
        struct json_object *pod = json_object_new_object(), *meta = json_ensure(pod, "metadata");
        struct json_object *owners = json_object_new_array(), *from = json_get(template, "metadata");
        char base[NAME_BASE_MAX + 1];

        for (size_t i = 0; i < ARRAY_SIZE(copied); i++)
                if (json_has(from, copied[i]))
                        json_set(meta, copied[i], json_copy(json_get(from, copied[i])));
        snprintf(base, sizeof(base), "%.*s-", NAME_BASE_MAX - 1, owner->name);
        json_set_str(meta, "generateName", base);
        json_set_str(meta, "namespace", owner->ns);
        json_object_array_add(owners, owner_reference(owner));
        json_set(meta, "ownerReferences", owners);
        json_set(pod, "spec", json_copy(json_get(template, "spec")));
        return pod;
}

bool failure_of_ending_namespace(const struct failure *f)
{
        return f && f->code == 403 && strstr(f->message, MESSAGE_ENDING);
}

static struct json_object *share_members(const struct json_object *from)
{
        struct json_object *o = json_object_new_object();

        json_foreach (from, key, val)
                json_set(o, key, json_object_get(val));
        return o;
}

struct json_object *pod_again(const struct json_object *pod)
{
        struct json_object *again = share_members(pod);

        json_set(again, "metadata", share_members(json_get(pod, "metadata")));
        return again;
}

/* ---- who goes first ---- */

static int phase_rank(const struct pod *p)
{
        return p->phase == POD_PENDING ? 0 : p->phase == POD_RUNNING ? 2 : 1;
}

static int64_t deletion_cost(const struct kobj *pod)
{
        const char *text = kobj_annotation(pod, COST_ANNOTATION);
        int64_t cost = 0;

        if (!text || *text == '+' || str_parse_i64(text, &cost) || cost > INT32_MAX || cost < INT32_MIN)
                return 0;
        return cost;
}

static int sign(int64_t n)
{
        return n < 0 ? -1 : n > 0;
}

/* Ready since, in doublings of seconds: pods that became ready at about the same time are told apart by their age. */
static int log_age(int64_t since_s, int64_t now_s)
{
        int64_t age = now_s - since_s;
        int doublings = -1;

        if (!since_s)
                return -1;
        for (age = MAX(age, (int64_t)0); age; age >>= 1)
                doublings++;
        return doublings;
}

static int compare_readiness_age(const struct kobj *a, const struct kobj *b, int64_t now_s)
{
        const struct pod_condition *ca = pod_condition(a->pod, "Ready"), *cb = pod_condition(b->pod, "Ready");
        int64_t since_a = ca ? ca->since_s : 0, since_b = cb ? cb->since_s : 0;

        if (!pod_is_ready(a) || since_a == since_b)
                return 0;
        if (!since_a || !since_b)
                return since_a ? 1 : -1;
        return sign(log_age(since_a, now_s) - log_age(since_b, now_s));
}

static int compare_age(const struct kobj *a, const struct kobj *b, int64_t now_s)
{
        int by_doublings = sign(log_age(a->created_s, now_s) - log_age(b->created_s, now_s));

        return by_doublings ? by_doublings : strcmp(a->uid, b->uid);
}

int pod_compare_for_deletion(const struct kobj *a, const struct kobj *b, uint32_t rank_a, uint32_t rank_b,
                             int64_t now_s)
{
        const int64_t orders[] = {
                (int64_t)(*a->pod->node != '\0') - (*b->pod->node != '\0'),
                phase_rank(a->pod) - phase_rank(b->pod),
                (int64_t)pod_is_ready(a) - pod_is_ready(b),
                deletion_cost(a) - deletion_cost(b),
                (int64_t)rank_b - rank_a,
                compare_readiness_age(a, b, now_s),
                (int64_t)pod_restarts(b) - pod_restarts(a),
        };

        for (size_t i = 0; i < ARRAY_SIZE(orders); i++)
                if (orders[i])
                        return sign(orders[i]);
        return compare_age(a, b, now_s);
}

/* ---- templates ---- */

static int by_text(const void *a, const void *b)
{
        return strcmp(*(const char *const *)a, *(const char *const *)b);
}

static void write_sorted(struct strbuf *b, struct json_object *o);

static void write_members(struct strbuf *b, struct json_object *o)
{
        _cleanup_free_ const char **keys = mem_array(const char *, (size_t)json_object_object_length(o) + 1);
        size_t n = 0;

        json_foreach (o, key, val)
                keys[n++] = key;
        qsort(keys, n, sizeof(*keys), by_text);
        for (size_t i = 0; i < n; i++) {
                strbuf_printf(b, "%s:", keys[i]);
                write_sorted(b, json_get(o, keys[i]));
                strbuf_add_char(b, ';');
        }
}

static void write_sorted(struct strbuf *b, struct json_object *o)
{
        if (json_is_object(o)) {
                write_members(b, o);
        } else if (json_is_array(o)) {
                json_array_foreach (o, i, val) {
                        write_sorted(b, val);
                        strbuf_add_char(b, ',');
                }
        } else {
                json_write(b, o);
        }
}

char *template_hash(const struct json_object *template, int64_t collisions, char *buf)
{
        static const char letters[] = "bcdfghjklmnpqrstvwxz2456789";
        _cleanup_json_ struct json_object *plain = json_copy(template);
        _cleanup_strbuf_ struct strbuf b = STRBUF_NULL;
        uint32_t hash = 2166136261U;
        char digits[16];
        size_t n;

        json_del(json_at(plain, "metadata.labels"), HASH_LABEL);
        write_sorted(&b, plain);
        if (collisions)
                strbuf_printf(&b, "#%lld", (long long)collisions);
        for (size_t i = 0; i < b.len; i++)
                hash = (hash ^ (unsigned char)b.data[i]) * 16777619U;
        n = (size_t)snprintf(digits, sizeof(digits), "%u", hash);
        for (size_t i = 0; i < n; i++)
                buf[i] = letters[(unsigned char)digits[i] % (sizeof(letters) - 1)];
        buf[n] = '\0';
        return buf;
}

bool template_equal(const struct json_object *a, const struct json_object *b)
{
        _cleanup_json_ struct json_object *x = json_copy(a), *y = json_copy(b);

        json_del(json_at(x, "metadata.labels"), HASH_LABEL);
        json_del(json_at(y, "metadata.labels"), HASH_LABEL);
        return json_equal(x, y);
}
