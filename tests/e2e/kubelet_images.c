/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Drives the kubelet's images for tests/e2e/kubelet_images.py: a JSON object a line comes in
 * ({"op": "pull", "tag": "1", "reference": "..."}), one goes out when it is done ({"tag": "1", "outcome": "pulled",
 * ...}).
 *
 *     kubelet_images '{"folder": "/...", "registriesConf": "...", ...}'
 */
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "agent/kubelet/images/images.h"
#include "base/clock.h"
#include "base/json.h"
#include "base/mem.h"
#include "base/str.h"
#include "base/strbuf.h"

struct driver {
        struct loop *loop;
        struct loop_fd *in;
        struct strbuf line;
        struct images *images;
};

struct request {
        struct json_object *o;
        uint64_t begin_ns;
};

static void say(struct json_object *o)
{
        _cleanup_free_ char *text = json_text(o);

        printf("%s\n", text);
        fflush(stdout);
        json_object_put(o);
}

static struct json_object *strings(const char *const *v)
{
        struct json_object *a = json_object_new_array();

        for (; v && *v; v++)
                json_object_array_add(a, json_object_new_string(*v));
        return a;
}

static struct json_object *image_object(const struct image *image)
{
        struct json_object *o = json_object_new_object(), *labels = json_object_new_object();

        json_set_str(o, "id", image->id);
        json_set(o, "tags", strings(image->tags));
        json_set(o, "digests", strings(image->digests));
        json_set_str(o, "rootfs", image->rootfs);
        json_set_i64(o, "bytes", (int64_t)image->bytes);
        json_set(o, "entrypoint", strings(image->entrypoint));
        json_set(o, "cmd", strings(image->cmd));
        json_set(o, "env", strings(image->env));
        json_set(o, "volumes", strings(image->volumes));
        for (size_t i = 0; i < image->nlabels; i++)
                json_set_str(labels, image->labels[i].key, image->labels[i].value);
        json_set(o, "labels", labels);
        json_set_str(o, "user", image->user);
        json_set_str(o, "cwd", image->cwd);
        json_set_i64(o, "stopSignal", image->stop_signal);
        json_set_i64(o, "used", image->used_ns);
        return o;
}

static struct json_object *answer(const struct request *q)
{
        struct json_object *o = json_object_new_object();

        json_set_str(o, "tag", json_get_str(q->o, "tag"));
        json_set_i64(o, "us", (int64_t)((clock_mono_ns() - q->begin_ns) / NS_PER_US));
        return o;
}

static void end(struct request *q, struct json_object *o)
{
        say(o);
        json_object_put(q->o);
        free(q);
}

static void pulled(void *userdata, enum image_outcome outcome, const struct image *image, const char *message)
{
        static const char *const names[] = {"pulled", "invalid name", "unavailable", "refused", "broken", "no space"};
        struct json_object *o = answer(userdata);

        json_set_str(o, "outcome", names[outcome]);
        json_set_str(o, "message", message);
        if (image)
                json_set(o, "image", image_object(image));
        end(userdata, o);
}

static void pull(struct driver *d, struct request *q)
{
        struct json_object *list = json_get(q->o, "credentials");
        struct image_credentials c[8];
        size_t n = 0;

        json_array_foreach (list, i, pair)
                c[n++] = (struct image_credentials){json_object_get_string(json_idx(pair, 0)),
                                                    json_object_get_string(json_idx(pair, 1))};
        images_pull(d->images, json_get_str(q->o, "reference"), c, n, pulled, q);
}

static void add_image(void *userdata, const struct image *image)
{
        json_object_array_add(userdata, image_object(image));
}

static void list(struct driver *d, struct request *q)
{
        struct json_object *o = answer(q), *a = json_object_new_array();

        images_each(d->images, add_image, a);
        json_set(o, "images", a);
        end(q, o);
}

static void find(struct driver *d, struct request *q)
{
        struct json_object *o = answer(q);
        const struct image *image = images_find(d->images, json_get_str(q->o, "reference"));

        if (image)
                json_set(o, "image", image_object(image));
        end(q, o);
}

static void mount(struct driver *d, struct request *q)
{
        struct json_object *o = answer(q);
        struct err err = ERR_NULL;

        json_set_i64(o, "result",
                     images_mount(d->images, json_get_str(q->o, "id"), json_get_str(q->o, "upper"),
                                  json_get_str(q->o, "work"), json_get_str(q->o, "target"), &err));
        json_set_str(o, "message", err.msg);
        json_set_i64(o, "mountUs", (int64_t)((clock_mono_ns() - q->begin_ns) / NS_PER_US));
        end(q, o);
}

static bool in_use(void *userdata, const char *id)
{
        json_array_foreach (userdata, i, s)
                if (str_eq(json_object_get_string(s), id))
                        return true;
        return false;
}

static void collect(struct driver *d, struct request *q)
{
        struct json_object *o = answer(q);

        json_set_i64(o, "freed",
                     (int64_t)images_collect(d->images, (uint64_t)json_get_i64(q->o, "bytes", INT64_MAX),
                                             json_get_i64(q->o, "minAge", 0), in_use, json_get(q->o, "inUse")));
        end(q, o);
}

static void command(struct driver *d, struct request *q)
{
        const char *op = json_get_str(q->o, "op");

        if (str_eq(op, "pull"))
                pull(d, q);
        else if (str_eq(op, "load"))
                images_load(d->images, json_get_str(q->o, "source"), json_get_str(q->o, "reference"), pulled, q);
        else if (str_eq(op, "find"))
                find(d, q);
        else if (str_eq(op, "mount"))
                mount(d, q);
        else if (str_eq(op, "collect"))
                collect(d, q);
        else
                list(d, q);
}

static void read_lines(void *userdata, unsigned int events)
{
        struct driver *d = userdata;
        char buf[65536], *nl;
        ssize_t n = read(STDIN_FILENO, buf, sizeof(buf));

        if (n <= 0) {
                loop_stop(d->loop);
                return;
        }
        strbuf_add(&d->line, buf, (size_t)n);
        while ((nl = memchr(d->line.data, '\n', d->line.len))) {
                struct request *q = mem_new(struct request);
                size_t len = (size_t)(nl - d->line.data);

                q->begin_ns = clock_mono_ns();
                if (json_parse(d->line.data, len, &q->o, NULL))
                        _exit(2);
                memmove(d->line.data, nl + 1, d->line.len - len - 1);
                d->line.len -= len + 1;
                command(d, q);
        }
}

static void progress(void *userdata, const struct image_progress *p)
{
        struct json_object *o = json_object_new_object();

        json_set_str(o, "progress", p->doing);
        json_set_str(o, "reference", p->reference);
        json_set_i64(o, "bytes", (int64_t)p->bytes);
        json_set_i64(o, "total", (int64_t)p->total);
        say(o);
}

int main(int argc, char **argv)
{
        struct driver d = {0};
        _cleanup_json_ struct json_object *o = NULL;
        struct children *children;
        struct images_opts opts;
        struct err err = ERR_NULL;

        if (argc != 2 || json_parse(argv[1], strlen(argv[1]), &o, &err) || loop_new(&d.loop) ||
            children_new(d.loop, &children))
                return 2;
        opts = (struct images_opts){.loop = d.loop,
                                    .children = children,
                                    .skopeo = json_get_str(o, "skopeo"),
                                    .folder = json_get_str(o, "folder"),
                                    .registries_conf = json_get_str(o, "registriesConf"),
                                    .cert_folder = json_get_str(o, "certFolder"),
                                    .disk_folder = json_get_str(o, "diskFolder"),
                                    .parallel_pulls = (unsigned int)json_get_i64(o, "parallel", 0),
                                    .max_bytes = (uint64_t)json_get_i64(o, "maxBytes", 0),
                                    .reserve_bytes = (uint64_t)json_get_i64(o, "reserveBytes", 0),
                                    .progress_s = (unsigned int)json_get_i64(o, "progressSeconds", 0),
                                    .stall_s = (unsigned int)json_get_i64(o, "stallSeconds", 0)};
        if (images_new(&opts, &d.images, &err)) {
                fprintf(stderr, "%s\n", err.msg);
                return 1;
        }
        images_on_progress(d.images, progress, NULL);
        if (loop_fd_new(d.loop, STDIN_FILENO, LOOP_READ, read_lines, &d, &d.in))
                return 2;
        printf("{\"ready\": true}\n");
        fflush(stdout);
        loop_run(d.loop);
        loop_fd_free(d.in);
        images_free(d.images);
        children_free(children);
        loop_free(d.loop);
        strbuf_deinit(&d.line);
        return 0;
}
