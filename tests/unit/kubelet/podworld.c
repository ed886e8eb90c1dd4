/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <sched.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "agent/kubelet/volumes/mounts.h"
#include "agent/kubelet/volumes/tree.h"
#include "base/clock.h"
#include "base/hashmap.h"
#include "base/mem.h"
#include "base/str.h"
#include "unit/base/fakeserver.h"
#include "unit/kubelet/podworld.h"

#define EVENTS_MAX 16384

struct event {
        char *plural, *ns, *name, *text; /* text: the object; of a deletion its last state */
        bool deleted, replaced;          /* by a later one */
};

struct fakekube {
        struct fake_server *server;
        struct kubeconfig config;
        pthread_mutex_t lock;
        struct event events[EVENTS_MAX];
        struct hashmap newest; /* "plural/ns/name" -> struct event * */
        size_t n;
        int version;
        char *token;
        int64_t token_life_s;
        int tokens, watches;
        char *token_request;
        bool stopping, silent;
};

static void send_event(struct fake_conn *c, const char *type, const char *object)
{
        _cleanup_free_ char *line = mem_printf("{\"type\":\"%s\",\"object\":%s}\n", type, object);

        fake_chunk_str(c, line);
}

struct wanted {
        char plural[64], ns[64], name[256];
};

/* "/api/v1[/namespaces/NS]/PLURAL[/NAME][?...]" */
static void parse_target(const char *target, struct wanted *ret)
{
        const char *rest = str_after(target, "/api/v1/") ?: "", *selector;
        const char *in_ns = str_after(rest, "namespaces/");

        memset(ret, 0, sizeof(*ret));
        if (in_ns) {
                snprintf(ret->ns, sizeof(ret->ns), "%.*s", (int)strcspn(in_ns, "/"), in_ns);
                rest = in_ns + strcspn(in_ns, "/") + 1;
        }
        snprintf(ret->plural, sizeof(ret->plural), "%.*s", (int)strcspn(rest, "/?"), rest);
        rest += strcspn(rest, "/?");
        if (*rest == '/')
                snprintf(ret->name, sizeof(ret->name), "%.*s", (int)strcspn(rest + 1, "?"), rest + 1);
        selector = strstr(target, "metadata.name%3D");
        if (selector)
                snprintf(ret->name, sizeof(ret->name), "%.*s", (int)strcspn(selector + 16, "&"), selector + 16);
}

static bool is_wanted(const struct wanted *w, const struct event *e)
{
        return str_eq(w->plural, e->plural) && (!*w->ns || str_eq(w->ns, e->ns)) &&
               (!*w->name || str_eq(w->name, e->name));
}

static void tell(struct fakekube *k, struct fake_conn *c, const struct wanted *w, size_t from, bool initial)
{
        for (size_t i = from; i < k->n; i++) {
                const struct event *e = &k->events[i];

                if (!is_wanted(w, e) || (initial && (e->deleted || e->replaced)))
                        continue;
                send_event(c, e->deleted ? "DELETED" : initial ? "ADDED" : "MODIFIED", e->text);
        }
}

static void serve_watch(struct fakekube *k, struct fake_conn *c, const struct wanted *w)
{
        char bookmark[256];
        size_t told;
        bool over = false;

        fake_stream(c, 200);
        pthread_mutex_lock(&k->lock);
        k->watches++;
        tell(k, c, w, 0, true);
        told = k->n;
        snprintf(bookmark, sizeof(bookmark),
                 "{\"metadata\":{\"resourceVersion\":\"%d\",\"annotations\":{\"k8s.io/initial-events-end\":\"true\"}}}",
                 ++k->version);
        pthread_mutex_unlock(&k->lock);
        send_event(c, "BOOKMARK", bookmark);
        while (!over) {
                uint64_t before = clock_mono_ms();

                fake_linger(c, 3);
                pthread_mutex_lock(&k->lock);
                tell(k, c, w, told, false);
                told = k->n;
                over = k->stopping || clock_mono_ms() - before < 5; /* the client has gone */
                pthread_mutex_unlock(&k->lock);
        }
        pthread_mutex_lock(&k->lock);
        k->watches--;
        pthread_mutex_unlock(&k->lock);
}

static void serve_token(struct fakekube *k, struct fake_conn *c, const struct fake_request *r)
{
        char when[CLOCK_TEXT_SIZE];
        _cleanup_free_ char *body = NULL;

        pthread_mutex_lock(&k->lock);
        k->tokens++;
        free(k->token_request);
        k->token_request = mem_strndup(r->body, r->body_len);
        if (k->token)
                body = mem_printf(
                        "{\"kind\":\"TokenRequest\",\"status\":{\"token\":\"%s\",\"expirationTimestamp\":\"%s\"}}",
                        k->token, clock_format(clock_wall_s() + k->token_life_s, when));
        pthread_mutex_unlock(&k->lock);
        if (body)
                fake_answer(c, 201, "", body);
        else
                fake_answer(c, 403, "",
                            "{\"kind\":\"Status\",\"code\":403,\"reason\":\"Forbidden\",\"message\":\"no\"}");
}

static void serve_get(struct fakekube *k, struct fake_conn *c, const struct wanted *w)
{
        _cleanup_free_ char *text = NULL;

        pthread_mutex_lock(&k->lock);
        for (size_t i = 0; i < k->n && !text; i++)
                if (is_wanted(w, &k->events[i]) && !k->events[i].deleted && !k->events[i].replaced)
                        text = mem_strdup(k->events[i].text);
        pthread_mutex_unlock(&k->lock);
        if (text)
                fake_answer(c, 200, "", text);
        else
                fake_answer(c, 404, "",
                            "{\"kind\":\"Status\",\"code\":404,\"reason\":\"NotFound\",\"message\":\"no\"}");
}

static bool script(void *userdata, struct fake_conn *c, const struct fake_request *r)
{
        struct fakekube *k = userdata;
        struct wanted w;

        parse_target(r->target, &w);
        if (k->silent) {
                fake_linger(c, 20);
                return false;
        }
        if (strstr(r->target, "/token")) {
                serve_token(k, c, r);
                return true;
        }
        if (strstr(r->target, "watch=")) {
                serve_watch(k, c, &w);
                return false;
        }
        serve_get(k, c, &w);
        return true;
}

static void add_event(struct fakekube *k, const char *plural, const char *ns, const char *name, char *text,
                      bool deleted)
{
        _cleanup_free_ char *key = mem_printf("%s/%s/%s", plural, ns, name);
        struct event *before = hashmap_put(&k->newest, key, &k->events[k->n]);

        if (before)
                before->replaced = true;
        assert_true(k->n < EVENTS_MAX);
        k->events[k->n++] = (struct event){mem_strdup(plural), mem_strdup(ns), mem_strdup(name), text, deleted, false};
}

static const char *plural_of(const char *kind)
{
        return str_eq(kind, "ConfigMap") ? "configmaps" : str_eq(kind, "Secret") ? "secrets" : "services";
}

void podworld_put(struct podworld *w, const char *json)
{
        _cleanup_json_ struct json_object *o = NULL;
        struct json_object *meta;
        struct err err = ERR_NULL;
        char version[16];

        if (json_parse(json, strlen(json), &o, &err))
                fail_msg("%s: %s", json, err.msg);
        meta = json_ensure(o, "metadata");
        json_default_str(meta, "namespace", "ns");
        pthread_mutex_lock(&w->api->lock);
        snprintf(version, sizeof(version), "%d", ++w->api->version);
        json_set_str(meta, "resourceVersion", version);
        add_event(w->api, plural_of(json_get_str(o, "kind")), json_get_str(meta, "namespace"),
                  json_get_str(meta, "name"), json_text(o), false);
        pthread_mutex_unlock(&w->api->lock);
}

void podworld_delete(struct podworld *w, const char *plural, const char *name)
{
        pthread_mutex_lock(&w->api->lock);
        add_event(w->api, plural, "ns", name,
                  mem_printf("{\"metadata\":{\"name\":\"%s\",\"namespace\":\"ns\",\"resourceVersion\":\"%d\"}}", name,
                             ++w->api->version),
                  true);
        pthread_mutex_unlock(&w->api->lock);
}

void podworld_token(struct podworld *w, const char *text, int64_t life_s)
{
        pthread_mutex_lock(&w->api->lock);
        free(w->api->token);
        w->api->token = mem_strdup(text);
        w->api->token_life_s = life_s;
        pthread_mutex_unlock(&w->api->lock);
}

void podworld_silence(struct podworld *w, bool silent)
{
        w->api->silent = silent;
}

int podworld_tokens_asked(struct podworld *w)
{
        int n;

        pthread_mutex_lock(&w->api->lock);
        n = w->api->tokens;
        pthread_mutex_unlock(&w->api->lock);
        return n;
}

const char *podworld_token_request(struct podworld *w)
{
        return w->api->token_request ?: "";
}

int podworld_watches(struct podworld *w)
{
        int n;

        pthread_mutex_lock(&w->api->lock);
        n = w->api->watches;
        pthread_mutex_unlock(&w->api->lock);
        return n - (service_links_synced(w->services) ? 1 : 0);
}

static struct fakekube *fakekube_start(void)
{
        struct fakekube *k = mem_new(struct fakekube);

        pthread_mutex_init(&k->lock, NULL);
        hashmap_init(&k->newest, HASHMAP_STR_OWNED);
        k->server = fake_server_start(script, k);
        assert_non_null(k->server);
        k->config.server = mem_strdup(fake_server_url(k->server));
        return k;
}

static void fakekube_stop(struct fakekube *k)
{
        pthread_mutex_lock(&k->lock);
        k->stopping = true;
        pthread_mutex_unlock(&k->lock);
        fake_server_stop(k->server);
        for (size_t i = 0; i < k->n; i++) {
                free(k->events[i].plural);
                free(k->events[i].ns);
                free(k->events[i].name);
                free(k->events[i].text);
        }
        hashmap_deinit(&k->newest);
        free(k->token);
        free(k->token_request);
        free(k->config.server);
        free(k);
}

bool podworld_private_mounts(void)
{
        return geteuid() == 0 && unshare(CLONE_NEWNS) == 0 && mount("", "/", NULL, MS_REC | MS_PRIVATE, NULL) == 0;
}

static void changed(void *userdata, const char *uid)
{
        struct podworld *w = userdata;

        w->changed++;
        str_copy(w->changed_uid, sizeof(w->changed_uid), uid);
}

static const struct json_object *node_object(void *userdata)
{
        struct podworld *w = userdata;

        return w->node_object;
}

void podworld_init(struct podworld *w)
{
        static const char *const ips[] = {"192.0.2.10", "2001:db8::10", NULL}, *const dns[] = {"10.96.0.10", NULL};
        struct kube_client_opts client = {.qps = 10000, .burst = 10000};
        struct objects_opts objects = {.changed = changed, .userdata = w};
        struct volumes_opts volumes = {.node_name = "n1", .node = node_object, .changed = changed, .userdata = w};
        struct err err = ERR_NULL;
        char *resolv;

        memset(w, 0, sizeof(*w));
        snprintf(w->root, sizeof(w->root), "/tmp/fairlead-podworld.XXXXXX");
        assert_non_null(mkdtemp(w->root));
        chmod(w->root, 0755);
        w->api = fakekube_start();
        assert_int_equal(loop_new(&w->loop), 0);
        client.config = &w->api->config;
        client.loop = w->loop;
        assert_int_equal(kube_client_new(&client, &w->client, &err), 0);
        objects.client = w->client;
        assert_int_equal(objects_new(&objects, &w->objects), 0);
        assert_int_equal(service_links_new(w->client, &w->services), 0);
        volumes.loop = w->loop;
        volumes.client = w->client;
        volumes.objects = w->objects;
        volumes.root = w->root;
        assert_int_equal(volumes_new(&volumes, &w->volumes, &err), 0);
        resolv = mem_printf("%s/resolv.conf", w->root);
        w->node = (struct spec_node){.name = "n1",
                                     .ips = ips,
                                     .cluster_dns = dns,
                                     .cluster_domain = "cluster.local",
                                     .resolv_conf = arena_strdup(&w->mem, resolv),
                                     .log_dir = "/var/log/pods",
                                     .cgroup_root = "",
                                     .seccomp_dir = "/profiles",
                                     .object = node_object,
                                     .userdata = w};
        free(resolv);
}

static void remove_root(const char *root)
{
        struct arena mem = ARENA_NULL;
        struct textlist mounts = TEXTLIST(&mem);
        int tmp = open("/tmp", O_RDONLY | O_DIRECTORY | O_CLOEXEC);

        mounts_below(root, &mounts);
        for (size_t i = mounts.n; i-- > 0;)
                umount2(mounts.v[i], MNT_DETACH);
        arena_deinit(&mem);
        assert_int_equal(tree_remove(tmp, root + strlen("/tmp/")), 0);
        close(tmp);
}

void podworld_deinit(struct podworld *w)
{
        volumes_free(w->volumes);
        service_links_free(w->services);
        objects_free(w->objects);
        kube_client_free(w->client);
        loop_free(w->loop);
        fakekube_stop(w->api);
        json_object_put(w->node_object);
        strbuf_deinit(&w->warnings);
        arena_deinit(&w->mem);
        remove_root(w->root);
}

void podworld_until(struct podworld *w, bool (*fn)(void *userdata), void *userdata)
{
        uint64_t end = clock_mono_ms() + 10000;

        while (!fn(userdata)) {
                assert_true(clock_mono_ms() < end);
                loop_run_for(w->loop, 5);
        }
}

struct json_object *podworld_pod(const char *json)
{
        struct json_object *o = NULL, *meta;
        struct err err = ERR_NULL;

        if (json_parse(json, strlen(json), &o, &err))
                fail_msg("%s: %s", json, err.msg);
        meta = json_ensure(o, "metadata");
        json_default_str(meta, "name", "p");
        json_default_str(meta, "namespace", "ns");
        json_default_str(meta, "uid", "u-1");
        return o;
}

struct waiting {
        struct podworld *w;
        const char *uid;
};

static bool settled(void *userdata)
{
        struct waiting *wait = userdata;

        return service_links_synced(wait->w->services) && objects_answered(wait->w->objects, wait->uid);
}

void podworld_settle(struct podworld *w, const struct json_object *pod)
{
        struct waiting wait = {w, json_at_str(pod, "metadata.uid")};

        objects_hold(w->objects, pod);
        podworld_until(w, settled, &wait);
}

static void warn(void *userdata, const char *reason, const char *message)
{
        struct podworld *w = userdata;

        strbuf_printf(&w->warnings, "%s: %s\n", reason, message);
}

struct spec podworld_spec(struct podworld *w, const struct json_object *pod)
{
        static const char *const ips[] = {"198.51.100.7", "2001:db8:1::7", NULL};

        return (struct spec){.pod = pod,
                             .node = &w->node,
                             .volumes = w->volumes,
                             .objects = w->objects,
                             .services = w->services,
                             .ips = ips,
                             .warn = warn,
                             .userdata = w};
}
