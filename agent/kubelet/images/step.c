/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/utsname.h>
#include <unistd.h>

#include "agent/kubelet/images/outcome.h"
#include "agent/kubelet/images/pull.h"
#include "base/base64.h"
#include "base/file.h"
#include "base/json.h"
#include "base/mem.h"
#include "base/str.h"

#define MANIFEST_MAX (4 * 1024 * 1024)

static void fail(struct pull *p, enum image_outcome outcome, const char *message)
{
        char text[sizeof(p->message)];

        snprintf(text, sizeof(text), "%s: %s", p->ref.text, message);
        pull_finish(p, outcome, NULL, text);
}

/* Something of this node: a full disk has a name of its own. */
static void fail_here(struct pull *p, const struct err *err)
{
        bool full = err->code == -ENOSPC || err->code == -EDQUOT;

        fail(p, full ? IMAGE_NO_SPACE : IMAGE_REFUSED, err->msg);
}

static void add(struct program *prog, const char *arg)
{
        size_t n = 0;

        while (prog->argv[n])
                n++;
        if (arg && n + 1 < PROGRAM_ARGS)
                prog->argv[n] = arg;
}

static void add_option(struct program *prog, const char *name, const char *value)
{
        if (value) {
                add(prog, name);
                add(prog, value);
        }
}

/* --- the end --- */

static void store(struct pull *p, uint64_t rootfs_bytes)
{
        _cleanup_free_ char *root = mem_printf("%s/root/rootfs", p->work);
        struct store_image new = {.id = p->layout.id,
                                  .root = root,
                                  .tag = p->ref.digest ? NULL : p->ref.text,
                                  .digest = p->digest,
                                  .rootfs_bytes = rootfs_bytes,
                                  .blobs = p->layout.blobs,
                                  .nblobs = p->layout.nblobs,
                                  .config = p->layout.config};
        struct image_record *r;
        struct err err = ERR_NULL;

        if (store_add(p->im, &new, &r, &err)) {
                fail_here(p, &err);
                return;
        }
        store_used(p->im, r);
        pull_finish(p, IMAGE_PULLED, &r->image, "");
}

/* --- settle: a record must not reach the disk before what it names --- */

static void settled(struct pull *p, const struct child_end *end)
{
        char why[256];

        if (end->status)
                fail(p, IMAGE_REFUSED, child_why(end, why, sizeof(why)));
        else
                store(p, strtoull(end->out, NULL, 10));
}

static void settle(struct pull *p)
{
        _cleanup_free_ char *root = mem_printf("%s/root/rootfs", p->work);
        struct program prog = {.argv = {"/bin/sh", "-c", "sync -f \"$1\" && exec du -sx -B1 \"$1\"", "sh", root},
                               .doing = "storing",
                               .is_quiet = true};

        program_run(p, &prog, settled);
}

/* --- unpack --- */

static void unpacked(struct pull *p, const struct child_end *end)
{
        char why[sizeof(p->message)];
        enum image_outcome outcome;

        if (!end->status) {
                settle(p);
                return;
        }
        outcome = outcome_of_umoci(end->err_len ? end->err : end->out, p->ref.text, why, sizeof(why));
        pull_finish(p, outcome, NULL, why);
}

/* The root lies in a folder alone: a whiteout of ".." removes nothing else. */
static void unpack(struct pull *p)
{
        _cleanup_free_ char *alone = mem_printf("%s/root", p->work), *root = mem_printf("%s/rootfs", alone);
        _cleanup_free_ char *image = mem_printf("%s/layout:image", p->work);
        struct program prog = {.argv = {p->im->umoci, "raw", "unpack", "--image", image, root}, .doing = "unpacking"};
        struct err err = ERR_NULL;

        if (file_mkdirs(alone, 0700, &err))
                fail_here(p, &err);
        else
                program_run(p, &prog, unpacked);
}

/* --- copy --- */

/* The machine's name in the words of image configurations. */
static const char *own_architecture(void)
{
        static const struct {
                const char *machine, *name;
        } names[] = {{"x86_64", "amd64"},    {"aarch64", "arm64"}, {"ppc64le", "ppc64le"}, {"s390x", "s390x"},
                     {"riscv64", "riscv64"}, {"armv7l", "arm"},    {"i686", "386"}};
        struct utsname u;

        uname(&u);
        for (size_t i = 0; i < ARRAY_SIZE(names); i++)
                if (str_eq(u.machine, names[i].machine))
                        return names[i].name;
        return "";
}

static bool runs_here(const struct image_config *c)
{
        const char *own = own_architecture();

        return (!*c->os || str_eq(c->os, "linux")) && (!*c->architecture || !*own || str_eq(c->architecture, own));
}

static int check_config(struct pull *p, struct err *reterr)
{
        struct image_config c;
        int e = image_config_parse(&p->layout.mem, p->layout.config, strlen(p->layout.config), &c, reterr);

        if (!e && !runs_here(&c))
                e = err_set(reterr, -ENOEXEC, "the image is for %s/%s, and this node is linux/%s", c.os, c.architecture,
                            own_architecture());
        return e;
}

static void copy(struct pull *p);

/* umoci does not know zstd. Such blobs have to go, or the second copy would take them; and the index, or it would name
 * both. */
static void copy_as_gzip(struct pull *p)
{
        _cleanup_free_ char *index = mem_printf("%s/layout/index.json", p->work);

        for (size_t i = 0; i < p->layout.nzstd; i++)
                store_drop_blob(p->im, p->layout.zstd[i]);
        unlink(index);
        layout_deinit(&p->layout);
        p->packs_again = true;
        copy(p);
}

static void copied(struct pull *p, const struct child_end *end)
{
        _cleanup_free_ char *folder = mem_printf("%s/layout", p->work);
        char why[sizeof(p->message)];
        struct err err = ERR_NULL;
        int e;

        if (end->status) {
                enum image_outcome outcome =
                        outcome_of_skopeo(end->err, p->source_is_local, p->ref.text, why, sizeof(why));

                pull_finish(p, outcome, NULL, why);
                return;
        }
        e = layout_read(folder, &p->layout, &err);
        e = e ?: check_config(p, &err);
        if (e)
                fail(p, e == -ENOEXEC ? IMAGE_REFUSED : IMAGE_BROKEN, err.msg);
        else if (store_by_id(p->im, p->layout.id))
                store(p, 0);
        else if (p->layout.nzstd && !p->packs_again)
                copy_as_gzip(p);
        else
                unpack(p);
}

/* An image that is not signed in the way of a policy.json that is there is skopeo's to refuse. Without one there is no
 * policy. */
static void add_common(struct program *prog, const struct pull *p)
{
        add(prog, p->im->skopeo);
        add_option(prog, "--registries-conf", p->im->registries_conf);
        add_option(prog, "--tmpdir", p->work);
        if (access("/etc/containers/policy.json", F_OK))
                add(prog, "--insecure-policy");
}

/* Layers that are not compressed stay so, since compressing takes far longer than it saves here. But those of a
 * docker-archive would be called compressed in any case. */
static void copy(struct pull *p)
{
        _cleanup_free_ char *layout = mem_printf("oci:%s/layout:image", p->work);
        _cleanup_free_ char *auth = mem_printf("%s/auth.json", p->work);
        struct program prog = {.doing = "pulling"};

        add_common(&prog, p);
        add(&prog, "copy");
        add(&prog, "--quiet");
        add(&prog, "--remove-signatures");
        if (p->packs_again)
                add_option(&prog, "--dest-compress-format", "gzip");
        else if (!str_has_prefix(p->source, "docker-archive:"))
                add(&prog, "--dest-oci-accept-uncompressed-layers");
        add_option(&prog, "--authfile", auth);
        add_option(&prog, "--src-cert-dir", p->im->cert_folder);
        add(&prog, p->source);
        add(&prog, layout);
        program_run(p, &prog, copied);
}

/* --- resolve --- */

/* Not synced: it lives for a pull. */
static int write_secret(const char *path, const char *data, size_t n, struct err *reterr)
{
        _cleanup_close_ int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0600);
        ssize_t written = fd < 0 ? -1 : write(fd, data, n);

        if (written == (ssize_t)n)
                return 0;
        return err_set(reterr, written < 0 ? -errno : -ENOSPC, "%s: cannot write: %s", path,
                       strerror(written < 0 ? errno : ENOSPC));
}

static int write_auth(struct pull *p, struct err *reterr)
{
        const struct image_credentials *c = p->credential < p->ncredentials ? &p->credentials[p->credential] : NULL;
        _cleanup_free_ char *path = mem_printf("%s/auth.json", p->work);
        _cleanup_strbuf_ struct strbuf pair = STRBUF_NULL, b64 = STRBUF_NULL, text = STRBUF_NULL;
        int e;

        strbuf_printf(&pair, "%s:%s", c ? c->username : "", c ? c->password : "");
        base64_encode(&b64, pair.data, pair.len);
        strbuf_add_str(&text, "{\"auths\":{");
        if (c && p->ref.domain)
                strbuf_printf(&text, "\"%s\":{\"auth\":\"%s\"}", p->ref.domain, b64.data);
        strbuf_add_str(&text, "}}");
        e = write_secret(path, text.data, text.len, reterr);
        explicit_bzero(pair.data, pair.len);
        explicit_bzero(b64.data, b64.len);
        explicit_bzero(text.data, text.len);
        return e;
}

static void resolve(struct pull *p);

static bool is_denial(const char *message)
{
        return strstr(message, OUTCOME_DENIED) != NULL;
}

/* Of several answers the first is told that is more than a denial: it came to those who may look. */
static void not_resolved(struct pull *p, const struct child_end *end)
{
        char why[sizeof(p->message)];
        enum image_outcome outcome = outcome_of_skopeo(end->err, false, p->ref.text, why, sizeof(why));

        if (!*p->message || (is_denial(p->message) && !is_denial(why))) {
                p->refused = outcome;
                str_copy(p->message, sizeof(p->message), why);
        }
        if (outcome == IMAGE_REFUSED && p->credential < p->ncredentials) {
                p->credential++;
                resolve(p);
                return;
        }
        str_copy(why, sizeof(why), p->message);
        pull_finish(p, p->refused, NULL, why);
}

/* By its digest it is the same that was asked about, also when the tag moves meanwhile. Also what is here has been
 * asked for by then: whoever may not pull it shall not get it. */
static void resolved(struct pull *p, const struct child_end *end)
{
        char digest[SHA256_TEXT_SIZE];
        struct reference ref = {.repository = p->ref.repository, .digest = digest};
        struct image_record *r;

        if (end->status) {
                not_resolved(p, end);
                return;
        }
        *p->message = '\0';
        sha256_text(end->out, end->out_len, digest);
        if (end->truncated || (p->ref.digest && !str_eq(p->ref.digest, digest))) {
                fail(p, IMAGE_BROKEN, "what the registry has by that digest is something else");
                return;
        }
        p->digest = mem_printf("%s@%s", p->ref.repository, digest);
        p->source = mem_printf("docker://%s", p->digest);
        p->total = manifest_bytes(end->out, end->out_len);
        r = store_find(p->im, &ref);
        if (r) {
                p->layout.id = arena_strdup(&p->layout.mem, r->image.id);
                store(p, 0);
                return;
        }
        copy(p);
}

static void resolve(struct pull *p)
{
        _cleanup_free_ char *auth = mem_printf("%s/auth.json", p->work), *what = NULL;
        struct program prog = {.doing = "resolving", .limit = MANIFEST_MAX};
        struct err err = ERR_NULL;

        if (write_auth(p, &err)) {
                fail_here(p, &err);
                return;
        }
        what = p->ref.digest ? mem_printf("docker://%s@%s", p->ref.repository, p->ref.digest)
                             : mem_printf("docker://%s", p->ref.text);
        add_common(&prog, p);
        add(&prog, "inspect");
        add(&prog, "--raw");
        add_option(&prog, "--authfile", auth);
        add_option(&prog, "--cert-dir", p->im->cert_folder);
        add(&prog, what);
        program_run(p, &prog, resolved);
}

/* --- the beginning --- */

/* skopeo writes blobs under another name and moves them to their place, so pulls share the folder. */
static int make_work(struct pull *p, struct err *reterr)
{
        char name[STORE_RANDOM_SIZE];
        _cleanup_free_ char *layout = NULL, *link = NULL;
        int e;

        p->work = mem_printf("%s/tmp/%s", p->im->folder, store_random(name));
        layout = mem_printf("%s/layout", p->work);
        link = mem_printf("%s/blobs", layout);
        e = file_mkdirs(layout, 0700, reterr);
        if (!e && symlink("../../../blobs", link)) {
                e = -errno;
                err_set(reterr, e, "%s: %s", link, strerror(-e));
        }
        return e;
}

void step_begin(struct pull *p)
{
        struct err err = ERR_NULL;

        if (make_work(p, &err) || (p->source && write_auth(p, &err)))
                fail_here(p, &err);
        else if (p->source)
                copy(p);
        else
                resolve(p);
}
