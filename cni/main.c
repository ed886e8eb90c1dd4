/* SPDX-License-Identifier: Apache-2.0 */
/* fairlead-cni: reads environment and standard input, does what the verb says, prints result or error. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/str.h"
#include "cni/code.h"
#include "cni/result.h"
#include "cni/verbs.h"

static int print(const struct json_object *o)
{
        _cleanup_strbuf_ struct strbuf b = STRBUF_NULL;
        size_t done = 0;

        json_write(&b, o);
        strbuf_add_char(&b, '\n');
        while (done < b.len) {
                ssize_t n = write(STDOUT_FILENO, b.data + done, b.len - done);

                if (n < 0 && errno != EINTR)
                        return -errno;
                done += n > 0 ? (size_t)n : 0;
        }
        return 0;
}

static int read_input(struct strbuf *b, struct err *reterr)
{
        for (;;) {
                ssize_t n = read(STDIN_FILENO, strbuf_reserve(b, 8192), 8192);

                if (n < 0 && errno == EINTR)
                        continue;
                if (n < 0)
                        return err_set(reterr, CNI_IO, "standard input cannot be read: %s", strerror(errno));
                if (!n)
                        return 0;
                b->len += (size_t)n;
                if (b->len > CNI_STDIN_MAX)
                        return err_set(reterr, CNI_UNDECODABLE, "standard input has more than %d bytes", CNI_STDIN_MAX);
        }
}

static int run_verb(struct call *c, struct err *reterr)
{
        static int (*const verbs[VERB_COUNT])(struct call * c, struct err * reterr) = {
                [VERB_ADD] = verb_add, [VERB_DEL] = verb_del,       [VERB_CHECK] = verb_check,
                [VERB_GC] = verb_gc,   [VERB_STATUS] = verb_status,
        };

        return verbs[c->env.verb](c, reterr);
}

/* The version that VERSION answers in: the one it is asked in, if any that we speak. */
static enum cni_version asked_version(const struct strbuf *input)
{
        _cleanup_json_ struct json_object *o = NULL;
        const char *text;

        if (!input->len || json_parse(input->data, input->len, &o, NULL))
                return CNI_1_1_0;
        text = conf_get_str(o, "cniVersion");
        for (int i = 0; i < CNI_VERSIONS; i++)
                if (str_eq(text, cni_version_text((enum cni_version)i)))
                        return (enum cni_version)i;
        return CNI_1_1_0;
}

static int answer(struct call *c, struct strbuf *input, struct err *reterr)
{
        int r = cni_env_parse(getenv, &c->env, reterr);

        if (!r)
                r = read_input(input, reterr);
        if (!r && c->env.verb == VERB_VERSION) {
                c->output = result_version(asked_version(input));
                return 0;
        }
        if (!r)
                r = cni_conf_parse(input->data ? input->data : "", input->len, &c->env, &c->conf, reterr);
        if (r)
                return r;
        c->delegate = (struct delegate){
                .type = c->conf.ipam_type, .path = c->env.path, .input = input->data, .input_len = input->len};
        return run_verb(c, reterr);
}

int main(void)
{
        struct call c = {.conf = {.version = CNI_1_1_0}};
        struct strbuf input = STRBUF_NULL;
        struct err err = ERR_NULL;
        int r = answer(&c, &input, &err);

        if (r) {
                err.code = r < 0 ? CNI_IO : r;
                c.output = result_error(c.conf.version, &err, c.details.data);
        }
        if (c.output && print(c.output))
                r = CNI_IO;
        json_object_put(c.output);
        cni_conf_deinit(&c.conf);
        strbuf_deinit(&c.details);
        strbuf_deinit(&input);
        return r ? 1 : 0;
}
