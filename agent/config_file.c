/* SPDX-License-Identifier: Apache-2.0 */
/* The YAML file: one mapping from keys to scalars or lists of scalars. */
#include <errno.h>
#include <string.h>
#include <yaml.h>

#include "agent/config_setting.h"
#include "base/file.h"
#include "base/str.h"

#define FILE_LIMIT ((size_t)1 << 20)

struct reader {
        const char *path;
        yaml_document_t doc;
        struct agent_config *config;
        struct err *reterr;
};

static size_t line_of(const yaml_node_t *node)
{
        return node->start_mark.line + 1;
}

static int set_one(struct reader *r, const struct setting *s, const yaml_node_t *value)
{
        int n;

        if (value->type != YAML_SCALAR_NODE)
                return err_set(r->reterr, -EINVAL, "%s:%zu: %s: must be one value%s", r->path, line_of(value), s->key,
                               setting_is_list(s) ? " or a list of values" : "");
        n = setting_set(s, r->config, (const char *)value->data.scalar.value, r->reterr);
        return n ? err_prefix(r->reterr, n, "%s:%zu: %s", r->path, line_of(value), s->key) : 0;
}

static bool is_null(const yaml_node_t *n)
{
        const char *s = n->type == YAML_SCALAR_NODE ? (const char *)n->data.scalar.value : "x";

        return n->type == YAML_SCALAR_NODE && n->data.scalar.style == YAML_PLAIN_SCALAR_STYLE &&
               (!*s || str_eq(s, "~") || str_eq(s, "null"));
}

static int read_value(struct reader *r, const struct setting *s, const yaml_node_t *value)
{
        int n = 0;

        if (is_null(value))
                return 0;
        setting_clear(s, r->config);
        if (!setting_is_list(s) || value->type != YAML_SEQUENCE_NODE)
                return set_one(r, s, value);
        for (yaml_node_item_t *i = value->data.sequence.items.start; !n && i < value->data.sequence.items.top; i++)
                n = set_one(r, s, yaml_document_get_node(&r->doc, *i));
        return n;
}

static int unknown_key(struct reader *r, const yaml_node_t *key, const char *name)
{
        const struct setting *like = setting_like(name);

        if (like)
                return err_set(r->reterr, -EINVAL, "%s:%zu: %s: there is no such setting; is %s meant?", r->path,
                               line_of(key), name, like->key);
        return err_set(r->reterr, -EINVAL, "%s:%zu: %s: there is no such setting; `fairlead-agent --help` lists all",
                       r->path, line_of(key), name);
}

static int read_root(struct reader *r)
{
        const yaml_node_t *root = yaml_document_get_root_node(&r->doc);
        bool seen[128] = {0};
        int n = 0;

        if (!root || is_null(root))
                return 0;
        if (root->type != YAML_MAPPING_NODE)
                return err_set(r->reterr, -EINVAL, "%s:%zu: must be lines of `key: value`", r->path, line_of(root));
        for (yaml_node_pair_t *p = root->data.mapping.pairs.start; !n && p < root->data.mapping.pairs.top; p++) {
                const yaml_node_t *key = yaml_document_get_node(&r->doc, p->key);
                const char *name = key->type == YAML_SCALAR_NODE ? (const char *)key->data.scalar.value : "?";
                const struct setting *s = setting_find(name);

                if (!s)
                        return unknown_key(r, key, name);
                if (seen[s - settings])
                        return err_set(r->reterr, -EINVAL, "%s:%zu: %s: is there twice; keep one", r->path,
                                       line_of(key), name);
                seen[s - settings] = true;
                n = read_value(r, s, yaml_document_get_node(&r->doc, p->value));
        }
        return n;
}

static int read_document(struct reader *r, yaml_parser_t *parser)
{
        int n;

        if (!yaml_parser_load(parser, &r->doc))
                return err_set(r->reterr, -EINVAL, "%s:%zu: this is no YAML: %s", r->path,
                               parser->problem_mark.line + 1, parser->problem ? parser->problem : "cannot be read");
        n = read_root(r);
        yaml_document_delete(&r->doc);
        return n;
}

int config_read_file(const char *path, struct agent_config *c, struct err *reterr)
{
        struct reader r = {.path = path, .config = c, .reterr = reterr};
        _cleanup_free_ char *text = NULL;
        yaml_parser_t parser;
        size_t len;
        int n = file_read(path, FILE_LIMIT, &text, &len, reterr);

        if (n)
                return n;
        if (!yaml_parser_initialize(&parser))
                return err_set(reterr, -ENOMEM, "%s: out of memory", path);
        yaml_parser_set_input_string(&parser, (const unsigned char *)text, len);
        n = read_document(&r, &parser);
        yaml_parser_delete(&parser);
        return n;
}
