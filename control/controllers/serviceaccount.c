/* SPDX-License-Identifier: Apache-2.0 */
/* Every namespace has the ServiceAccount "default". */
#include "base/str.h"
#include "controllers/engine/controller.h"

#define NAME "default"

static void on_namespace(struct runner *r, const struct kobj *old, const struct kobj *now)
{
        if (now && !now->deleted_s)
                runner_add_object(r, now);
}

static void on_account(struct runner *r, const struct kobj *old, const struct kobj *now)
{
        if (!now && str_eq(old->name, NAME))
                runner_add(r, old->ns);
}

static void sync_namespace(struct sync *s)
{
        const struct kobj *ns = lister_find(s->lister, &res_namespaces, s->key);
        struct json_object *account;

        if (!ns || ns->deleted_s || lister_get(s->lister, &res_serviceaccounts, s->name, NAME))
                return;
        account = json_object_new_object();
        json_set_str(json_ensure(account, "metadata"), "name", NAME);
        json_set_str(json_ensure(account, "metadata"), "namespace", s->name);
        plan_create(s, &res_serviceaccounts, account);
}

const struct controller controller_serviceaccount = {
        .name = "serviceaccount",
        .watches = (const struct watch[]){{&res_namespaces, on_namespace}, {&res_serviceaccounts, on_account}, {0}},
        .sync = sync_namespace,
};
