/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <yaml.h>

#include "base/base64.h"
#include "base/file.h"
#include "base/mem.h"
#include "base/str.h"
#include "kube/kubeconfig.h"

#define FILE_LIMIT          ((size_t)4 << 20)
#define SERVICE_ACCOUNT_DIR "/var/run/secrets/kubernetes.io/serviceaccount"

/* A file being read, for messages and for relative names. */
struct reader {
        const char *path;
        yaml_document_t doc;
        struct err *reterr;
};

static yaml_node_t *member(struct reader *rd, yaml_node_t *map, const char *key)
{
        if (!map || map->type != YAML_MAPPING_NODE)
                return NULL;
        for (yaml_node_pair_t *p = map->data.mapping.pairs.start; p < map->data.mapping.pairs.top; p++) {
                yaml_node_t *k = yaml_document_get_node(&rd->doc, p->key);

                if (k && k->type == YAML_SCALAR_NODE && str_eq((const char *)k->data.scalar.value, key))
                        return yaml_document_get_node(&rd->doc, p->value);
        }
        return NULL;
}

/* Borrowed text of a scalar member; NULL when there is none, it is empty, or it is null. */
static const char *text(struct reader *rd, yaml_node_t *map, const char *key)
{
        yaml_node_t *n = member(rd, map, key);
        const char *s = n && n->type == YAML_SCALAR_NODE ? (const char *)n->data.scalar.value : NULL;

        if (str_empty(s))
                return NULL;
        if (n->data.scalar.style == YAML_PLAIN_SCALAR_STYLE && (str_eq(s, "null") || str_eq(s, "~")))
                return NULL;
        return s;
}

/* The element named name of the list `list` ("clusters"), and in there the member `what` ("cluster"). */
static int named(struct reader *rd, const char *list, const char *what, const char *name, yaml_node_t **ret)
{
        yaml_node_t *seq = member(rd, yaml_document_get_root_node(&rd->doc), list);

        if (seq && seq->type == YAML_SEQUENCE_NODE)
                for (yaml_node_item_t *i = seq->data.sequence.items.start; i < seq->data.sequence.items.top; i++) {
                        yaml_node_t *e = yaml_document_get_node(&rd->doc, *i);

                        if (!str_eq(text(rd, e, "name"), name))
                                continue;
                        *ret = member(rd, e, what);
                        return 0;
                }
        return err_set(rd->reterr, -EINVAL, "%s: %s: there is no entry named \"%s\"", rd->path, list, name);
}

static char *beside(const struct reader *rd, const char *file)
{
        const char *slash = strrchr(rd->path, '/');

        if (!file || *file == '/' || !slash)
                return mem_strdup(file);
        return mem_printf("%.*s/%s", (int)(slash - rd->path), rd->path, file);
}

/* Reads a PEM that is given as base64 in key-data or as a file name in key; the former wins. */
static int pem(struct reader *rd, yaml_node_t *map, const char *key, char **ret_file, char **ret_pem)
{
        _cleanup_free_ char *data_key = mem_printf("%s-data", key);
        const char *data = text(rd, map, data_key);
        size_t len;

        if (!data) {
                *ret_file = beside(rd, text(rd, map, key));
                return 0;
        }
        if (base64_decode(data, strlen(data), ret_pem, &len))
                return err_set(rd->reterr, -EINVAL, "%s: %s: not base64", rd->path, data_key);
        if (strlen(*ret_pem) != len || !strstr(*ret_pem, "-----BEGIN "))
                return err_set(rd->reterr, -EINVAL, "%s: %s: base64 of something that is not PEM", rd->path, data_key);
        return 0;
}

static int read_cluster(struct reader *rd, yaml_node_t *cluster, struct kubeconfig *k)
{
        const char *server = text(rd, cluster, "server"), *insecure = text(rd, cluster, "insecure-skip-tls-verify");

        if (!server)
                return err_set(rd->reterr, -EINVAL, "%s: clusters: server: must be given", rd->path);
        if (!str_has_prefix(server, "https://") && !str_has_prefix(server, "http://"))
                return err_set(rd->reterr, -EINVAL, "%s: clusters: server: \"%s\" must begin with https:// or http://",
                               rd->path, server);
        k->server = mem_strndup(server, strlen(server) - str_has_suffix(server, "/"));
        k->server_name = mem_strdup(text(rd, cluster, "tls-server-name"));
        if (insecure && str_parse_bool(insecure, &k->insecure))
                return err_set(rd->reterr, -EINVAL,
                               "%s: clusters: insecure-skip-tls-verify: \"%s\" must be true or false", rd->path,
                               insecure);
        return pem(rd, cluster, "certificate-authority", &k->ca_file, &k->ca_pem);
}

static int read_user(struct reader *rd, yaml_node_t *user, struct kubeconfig *k)
{
        static const char *const unknown[] = {"exec", "auth-provider", "username", "as"};
        int r;

        for (size_t i = 0; i < ARRAY_SIZE(unknown); i++)
                if (member(rd, user, unknown[i]))
                        return err_set(rd->reterr, -ENOTSUP,
                                       "%s: users: %s: not supported; use a client certificate, token or tokenFile",
                                       rd->path, unknown[i]);
        k->token = mem_strdup(text(rd, user, "token"));
        k->token_file = beside(rd, text(rd, user, "tokenFile"));
        r = pem(rd, user, "client-certificate", &k->cert_file, &k->cert_pem);
        if (!r)
                r = pem(rd, user, "client-key", &k->key_file, &k->key_pem);
        if (r)
                return r;
        if (!(k->cert_file || k->cert_pem) != !(k->key_file || k->key_pem))
                return err_set(rd->reterr, -EINVAL,
                               "%s: users: client-certificate and client-key must be given together", rd->path);
        return 0;
}

static int read_context(struct reader *rd, const char *name, struct kubeconfig *k)
{
        yaml_node_t *root = yaml_document_get_root_node(&rd->doc), *context, *cluster, *user;
        int r;

        if (!name)
                name = text(rd, root, "current-context");
        if (!name)
                return err_set(rd->reterr, -EINVAL, "%s: current-context: must be given, or a context chosen",
                               rd->path);
        r = named(rd, "contexts", "context", name, &context);
        if (r)
                return r;
        k->namespace = mem_strdup(text(rd, context, "namespace"));
        if (!text(rd, context, "cluster"))
                return err_set(rd->reterr, -EINVAL, "%s: contexts: %s: cluster: must be given", rd->path, name);
        r = named(rd, "clusters", "cluster", text(rd, context, "cluster"), &cluster);
        if (!r)
                r = read_cluster(rd, cluster, k);
        if (r || !text(rd, context, "user"))
                return r;
        r = named(rd, "users", "user", text(rd, context, "user"), &user);
        return r ? r : read_user(rd, user, k);
}

static int parse(struct reader *rd, const char *data, size_t len)
{
        yaml_parser_t parser;
        int r = 0;

        if (!yaml_parser_initialize(&parser))
                return -ENOMEM;
        yaml_parser_set_input_string(&parser, (const unsigned char *)data, len);
        if (!yaml_parser_load(&parser, &rd->doc))
                r = err_set(rd->reterr, -EINVAL, "%s: line %zu: %s", rd->path, parser.problem_mark.line + 1,
                            parser.problem ? parser.problem : "not YAML");
        yaml_parser_delete(&parser);
        return r;
}

int kubeconfig_load(const char *path, const char *context, struct kubeconfig **ret, struct err *reterr)
{
        _cleanup_kubeconfig_ struct kubeconfig *k = mem_new(struct kubeconfig);
        struct reader rd = {.path = path, .reterr = reterr};
        _cleanup_free_ char *data = NULL;
        size_t len;
        int r = file_read(path, FILE_LIMIT, &data, &len, reterr);

        if (!r)
                r = parse(&rd, data, len);
        if (r)
                return r;
        r = read_context(&rd, context, k);
        yaml_document_delete(&rd.doc);
        if (r)
                return r;
        *ret = TAKE_PTR(k);
        return 0;
}

int kubeconfig_in_cluster(const char *folder, struct kubeconfig **ret, struct err *reterr)
{
        const char *host = getenv("KUBERNETES_SERVICE_HOST"), *port = getenv("KUBERNETES_SERVICE_PORT");
        _cleanup_kubeconfig_ struct kubeconfig *k = mem_new(struct kubeconfig);
        _cleanup_free_ char *namespace_file = NULL;
        bool v6;
        int r;

        if (str_empty(host) || str_empty(port))
                return err_set(reterr, -ENOENT,
                               "not in a pod: KUBERNETES_SERVICE_HOST and KUBERNETES_SERVICE_PORT are not set");
        if (!folder)
                folder = SERVICE_ACCOUNT_DIR;
        v6 = strchr(host, ':');
        k->server = mem_printf("https://%s%s%s:%s", v6 ? "[" : "", host, v6 ? "]" : "", port);
        k->ca_file = mem_printf("%s/ca.crt", folder);
        k->token_file = mem_printf("%s/token", folder);
        namespace_file = mem_printf("%s/namespace", folder);
        r = file_read(k->token_file, FILE_LIMIT, &k->token, NULL, reterr);
        if (r)
                return r;
        file_read(namespace_file, 256, &k->namespace, NULL, NULL); /* optional */
        *ret = TAKE_PTR(k);
        return 0;
}

int kubeconfig_find(const char *path, struct kubeconfig **ret, struct err *reterr)
{
        const char *env = getenv("KUBECONFIG"), *home = getenv("HOME");
        _cleanup_free_ char *file = NULL;

        if (!str_empty(path))
                return kubeconfig_load(path, NULL, ret, reterr);
        if (!str_empty(env)) {
                file = mem_strndup(env, strcspn(env, ":"));
                return kubeconfig_load(file, NULL, ret, reterr);
        }
        if (!str_empty(getenv("KUBERNETES_SERVICE_HOST")))
                return kubeconfig_in_cluster(NULL, ret, reterr);
        file = mem_printf("%s/.kube/config", home ? home : "");
        return kubeconfig_load(file, NULL, ret, reterr);
}

void kubeconfig_free(struct kubeconfig *k)
{
        if (!k)
                return;
        free(k->server);
        free(k->ca_file);
        free(k->ca_pem);
        free(k->cert_file);
        free(k->cert_pem);
        free(k->key_file);
        free(k->key_pem);
        free(k->token);
        free(k->token_file);
        free(k->server_name);
        free(k->namespace);
        free(k);
}

/* A JSON string is also a YAML one. */
static void add_text(struct strbuf *b, const char *key, const char *value)
{
        if (!value)
                return;
        strbuf_printf(b, "    %s: ", key);
        strbuf_add_json_str(b, value, strlen(value));
        strbuf_add_char(b, '\n');
}

static void add_pem(struct strbuf *b, const char *key, const char *file, const char *data)
{
        if (!data) {
                add_text(b, key, file);
                return;
        }
        strbuf_printf(b, "    %s-data: ", key);
        base64_encode(b, data, strlen(data));
        strbuf_add_char(b, '\n');
}

int kubeconfig_write(const char *path, const char *cluster, const char *user, const struct kubeconfig *k,
                     struct err *reterr)
{
        _cleanup_strbuf_ struct strbuf b = STRBUF_NULL;

        strbuf_printf(&b, "apiVersion: v1\nkind: Config\ncurrent-context: %s@%s\nclusters:\n- name: %s\n  cluster:\n",
                      user, cluster, cluster);
        add_text(&b, "server", k->server);
        add_text(&b, "tls-server-name", k->server_name);
        if (k->insecure)
                strbuf_add_str(&b, "    insecure-skip-tls-verify: true\n");
        add_pem(&b, "certificate-authority", k->ca_file, k->ca_pem);
        strbuf_printf(&b, "contexts:\n- name: %s@%s\n  context:\n", user, cluster);
        add_text(&b, "cluster", cluster);
        add_text(&b, "user", user);
        add_text(&b, "namespace", k->namespace);
        strbuf_printf(&b, "users:\n- name: %s\n  user:\n", user);
        add_pem(&b, "client-certificate", k->cert_file, k->cert_pem);
        add_pem(&b, "client-key", k->key_file, k->key_pem);
        add_text(&b, "token", k->token);
        add_text(&b, "tokenFile", k->token_file);
        return file_write_atomic(path, b.data, b.len, 0600, reterr);
}
