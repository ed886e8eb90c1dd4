/* SPDX-License-Identifier: Apache-2.0 */
#include "apiserver/codec/decode.h"

#include <errno.h>
#include <string.h>
#include <strings.h>

#include "apiserver/codec/json_read.h"
#include "apiserver/codec/protobuf.h"
#include "kube/yaml_read.h"

static const struct {
        const char *media_type;
        enum codec_format format;
} formats[] = {
        {"application/json", CODEC_JSON},
        {"application/yaml", CODEC_YAML},
        {"application/vnd.kubernetes.protobuf", CODEC_PROTOBUF},
};

int codec_format_of(const char *content_type, enum codec_format *ret)
{
        size_t n;

        if (!content_type || !*content_type) {
                *ret = CODEC_JSON;
                return 0;
        }
        content_type += strspn(content_type, " \t");
        n = strcspn(content_type, "; \t");
        for (size_t i = 0; i < ARRAY_SIZE(formats); i++) {
                if (strlen(formats[i].media_type) == n && !strncasecmp(formats[i].media_type, content_type, n)) {
                        *ret = formats[i].format;
                        return 0;
                }
        }
        return CODEC_UNSUPPORTED;
}

/* For one call of codec_decode. */
struct decoding {
        const struct codec_input *in;
        struct codec_report *report; /* NULL: nothing is noted */
        struct err *reterr;
};

static int too_large(struct err *reterr)
{
        return err_set(reterr, CODEC_TOO_LARGE, "Request entity too large: limit is %u", CODEC_BODY_MAX);
}

static int read_text(const struct decoding *d, enum codec_format format, struct json_object **ret, struct err *reterr)
{
        const struct json_source source = {
                .data = d->in->data,
                .len = d->in->len,
                .type = d->in->type,
                .duplicates = d->report,
        };

        return format == CODEC_YAML ? yaml_read(d->in->data, d->in->len, ret, reterr) : json_read(&source, ret, reterr);
}

static int read_body(const struct decoding *d, enum codec_format format, struct json_object **ret)
{
        const char *kind = d->in->kind ? d->in->kind : "object";
        struct err why = ERR_NULL;
        int r;

        if (format == CODEC_PROTOBUF) {
                r = protobuf_read(d->in->data, d->in->len, d->in->type, ret, &why);
                if (r)
                        return err_set(d->reterr, r == -ENOMEM ? r : CODEC_INVALID,
                                       "the object provided is unrecognized (must be of type %s): %s", kind, why.msg);
                return 0;
        }
        r = read_text(d, format, ret, &why);
        if (r)
                return err_set(d->reterr, r == -ENOMEM ? r : CODEC_INVALID,
                               "the object provided is unrecognized (must be of type %s): couldn't get version/kind; "
                               "%s: %s",
                               kind, format == CODEC_YAML ? "error converting YAML to JSON" : "json parse error",
                               why.msg);
        return 0;
}

static void split_api_version(const char *api_version, char group[static 128], const char **ret_version)
{
        const char *slash = strchr(api_version, '/');
        size_t n = slash ? (size_t)(slash - api_version) : 0;

        group[0] = '\0';
        *ret_version = slash ? slash + 1 : api_version;
        if (n < 128) {
                memcpy(group, api_version, n);
                group[n] = '\0';
        }
}

static int wrong_kind(const struct decoding *d, const char *group, const char *version, const char *kind)
{
        const struct codec_input *in = d->in;

        if (!schema_kind_find(group, version, kind))
                return err_set(d->reterr, CODEC_INVALID,
                               "%.60s in version \"%.40s\" cannot be handled as a %s: no kind \"%.60s\" is registered "
                               "for version \"%.100s%s%.40s\" in scheme \"pkg/api/legacyscheme/scheme.go:30\"",
                               kind, version, in->kind, kind, group, *group ? "/" : "", version);
        return err_set(d->reterr, CODEC_INVALID,
                       "%s in version \"%s\" cannot be handled as a %s: converting (%s.%s) to (%s.%s): unknown "
                       "conversion",
                       kind, version, in->kind, version, kind, *in->group ? in->group : "core", in->kind);
}

static int wrong_version(const struct decoding *d, const char *have, const char *want)
{
        return err_set(d->reterr, CODEC_INVALID,
                       "the API version in the data (%.100s) does not match the expected API version (%s)", have, want);
}

/* apiVersion and kind: filled in where absent, else what is expected. */
static int check_kind(const struct decoding *d, struct json_object *obj)
{
        const struct codec_input *in = d->in;
        const char *have_version = json_get_str(obj, "apiVersion"), *have_kind = json_get_str(obj, "kind");
        char want[200], group[128];
        const char *version;

        if ((!have_version && json_has(obj, "apiVersion")) || (!have_kind && json_has(obj, "kind")))
                return 0; /* no strings: codec_normalise says so */
        snprintf(want, sizeof(want), "%s%s%s", in->group, *in->group ? "/" : "", in->version);
        if (!have_version || !*have_version)
                json_set_str(obj, "apiVersion", have_version = want);
        if (!have_kind || !*have_kind)
                json_set_str(obj, "kind", have_kind = in->kind);
        if (!strcmp(have_kind, in->kind) && !strcmp(have_version, want))
                return 0;
        split_api_version(have_version, group, &version);
        if (schema_kind_find(group, version, have_kind) == in->type) /* DeleteOptions, of any group */
                return 0;
        if (!strcmp(have_version, want) || !schema_kind_find(group, version, have_kind))
                return wrong_kind(d, group, version, have_kind);
        return wrong_version(d, have_version, want);
}

/* Puts what Kubernetes says in front of a message about a member, and makes it an outcome. */
static int cannot_be_handled(const struct decoding *d, const char *what)
{
        const struct codec_input *in = d->in;

        if (!in->kind)
                return err_set(d->reterr, CODEC_INVALID, "%s", what);
        return err_set(d->reterr, CODEC_INVALID, "%s in version \"%s\" cannot be handled as a %s: %s", in->kind,
                       in->version, in->kind, what);
}

static int check_strict(const struct decoding *d)
{
        _cleanup_strbuf_ struct strbuf b = STRBUF_NULL;

        if (d->in->validation != CODEC_STRICT || !d->report->n)
                return 0;
        strbuf_add_str(&b, "strict decoding error: ");
        codec_report_write(&b, d->report);
        return cannot_be_handled(d, b.data);
}

static int decode(const struct decoding *d, struct json_object **ret)
{
        _cleanup_json_ struct json_object *tree = NULL;
        struct err why = ERR_NULL;
        enum codec_format format;
        int r;

        if (codec_format_of(d->in->content_type, &format))
                return err_set(d->reterr, CODEC_UNSUPPORTED,
                               "the body of the request was in an unknown format - accepted media types include: "
                               "application/json, application/yaml, application/vnd.kubernetes.protobuf");
        if (d->in->len > CODEC_BODY_MAX)
                return too_large(d->reterr);
        r = read_body(d, format, &tree);
        if (r)
                return r;
        if (json_is_object(tree) && d->in->kind) {
                r = check_kind(d, tree);
                if (r)
                        return r;
        }
        if (!tree)
                tree = json_object_new_object();
        r = codec_normalise(tree, d->in->type, d->report, &why);
        if (r)
                return cannot_be_handled(d, why.msg);
        r = check_strict(d);
        if (r)
                return r;
        *ret = TAKE_PTR(tree);
        return 0;
}

int codec_decode(const struct codec_input *in, struct json_object **ret, struct codec_report *report,
                 struct err *reterr)
{
        _cleanup_report_ struct codec_report own = CODEC_REPORT_NULL;
        const struct decoding d = {
                .in = in,
                .report = in->validation == CODEC_IGNORE ? NULL
                          : report                       ? report
                                                         : &own,
                .reterr = reterr,
        };

        return decode(&d, ret);
}

int codec_parse(enum codec_format format, const char *data, size_t len, struct json_object **ret, struct err *reterr)
{
        const struct codec_input in = {.data = data, .len = len};
        const struct decoding d = {.in = &in, .reterr = reterr};
        struct err why = ERR_NULL;

        if (len > CODEC_BODY_MAX)
                return too_large(reterr);
        if (read_text(&d, format, ret, &why))
                return err_set(reterr, CODEC_INVALID, "%s", why.msg);
        return 0;
}
