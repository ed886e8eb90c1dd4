/* SPDX-License-Identifier: Apache-2.0 */
#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/file.h"
#include "base/mem.h"
#include "base/str.h"
#include "cni/code.h"
#include "cni/record.h"

#define RECORD_VERSION   1
#define RECORD_BYTES_MAX (512 * 1024)
#define SUFFIX           ".json"

const char *attachment_id(const char *container_id, const char *ifname, char buf[static ATTACHMENT_ID_SIZE])
{
        snprintf(buf, ATTACHMENT_ID_SIZE, "%s-%s", container_id, ifname);
        return buf;
}

/* FNV-1a, with a last mixing of the high bits. */
static uint64_t hash_of(const char *container_id, const char *ifname)
{
        const char *parts[] = {container_id, "/", ifname};
        uint64_t h = 0xcbf29ce484222325;

        for (size_t i = 0; i < ARRAY_SIZE(parts); i++)
                for (const char *c = parts[i]; *c; c++)
                        h = (h ^ (uint8_t)*c) * 0x100000001b3;
        h ^= h >> 33;
        h *= 0xff51afd7ed558ccd;
        return h ^ h >> 33;
}

void attachment_host_ifname(const char *container_id, const char *ifname, char buf[static IFNAME_SIZE])
{
        snprintf(buf, IFNAME_SIZE, HOST_PREFIX "%012llx",
                 (unsigned long long)(hash_of(container_id, ifname) & 0xffffffffffff));
}

bool attachment_is_host_ifname(const char *name)
{
        const char *digits = str_after(name, HOST_PREFIX);

        return digits && strlen(digits) == 12 && strspn(digits, "0123456789abcdef") == 12;
}

static char *path_of(const char *run_dir, const char *id)
{
        return mem_printf("%s/attachments/%s" SUFFIX, run_dir, id);
}

static int make_folder(const char *run_dir, const char *name, struct err *reterr)
{
        _cleanup_free_ char *path = mem_printf("%s/%s", run_dir, name);
        struct err why = ERR_NULL;

        if (access(path, F_OK) == 0 || file_mkdirs(path, 0700, &why) == 0)
                return 0;
        return err_set(reterr, CNI_IO, "%s (runDir of the network configuration must be a folder that can be written)",
                       why.msg);
}

int record_prepare(const char *run_dir, struct err *reterr)
{
        int r = make_folder(run_dir, "attachments", reterr);

        return r ? r : make_folder(run_dir, "ipam", reterr);
}

static void add_member(struct strbuf *b, const char *key, const char *value)
{
        strbuf_printf(b, ",\"%s\":", key);
        strbuf_add_json_str(b, value, strlen(value));
}

static void add_ports(struct strbuf *b, const struct cni_conf *conf)
{
        strbuf_add_str(b, ",\"portMappings\":[");
        for (size_t i = 0; i < conf->nports; i++) {
                const struct port_mapping *m = &conf->ports[i];
                bool any = !m->host_ip.w[0] && !m->host_ip.w[2] && !m->host_ip.w[3];
                char text[ADDRESS_TEXT_SIZE];

                strbuf_printf(b, "%s{\"hostPort\":%d,\"containerPort\":%d,\"protocol\":\"%s\",\"hostIP\":\"%s\"}",
                              i ? "," : "", m->host_port, m->container_port, m->protocol,
                              any ? "" : ip_text(&m->host_ip, text));
        }
        strbuf_add_char(b, ']');
}

static void add_addresses(struct strbuf *b, const struct attachment *a)
{
        strbuf_add_str(b, ",\"addresses\":[");
        for (size_t i = 0; i < a->naddresses; i++) {
                char text[ADDRESS_TEXT_SIZE];

                strbuf_printf(b, "%s\"%s\"", i ? "," : "", ip_text(&a->addresses[i], text));
        }
        strbuf_add_char(b, ']');
}

static void add_bandwidth(struct strbuf *b, const struct bandwidth *limits)
{
        strbuf_printf(b,
                      ",\"bandwidth\":{\"ingressRate\":%llu,\"ingressBurst\":%llu,\"egressRate\":%llu,"
                      "\"egressBurst\":%llu}",
                      (unsigned long long)limits->ingress_rate, (unsigned long long)limits->ingress_burst,
                      (unsigned long long)limits->egress_rate, (unsigned long long)limits->egress_burst);
}

int record_write(const struct attachment *a, const struct cni_conf *conf, struct err *reterr)
{
        char id[ATTACHMENT_ID_SIZE], mac[MAC_TEXT_SIZE];
        _cleanup_free_ char *path = path_of(conf->run_dir, attachment_id(a->container_id, a->ifname, id));
        _cleanup_strbuf_ struct strbuf b = STRBUF_NULL;
        struct err why = ERR_NULL;

        strbuf_printf(&b, "{\"version\":%d", RECORD_VERSION);
        add_member(&b, "containerID", a->container_id);
        add_member(&b, "ifname", a->ifname);
        add_member(&b, "netns", a->netns);
        add_member(&b, "network", a->network);
        add_member(&b, "podNamespace", a->pod_namespace);
        add_member(&b, "podName", a->pod_name);
        add_member(&b, "podUID", a->pod_uid);
        add_member(&b, "hostIfname", a->host_ifname);
        strbuf_printf(&b, ",\"hostIfindex\":%u,\"mtu\":%u", a->host_ifindex, a->mtu);
        add_member(&b, "hostMac", mac_text(&a->host_mac, mac));
        add_member(&b, "mac", mac_text(&a->mac, mac));
        add_addresses(&b, a);
        add_ports(&b, conf);
        add_bandwidth(&b, &conf->bandwidth);
        strbuf_add_str(&b, "}\n");
        return file_write_atomic(path, b.data, b.len, 0600, &why) ? err_set(reterr, CNI_IO, "%s", why.msg) : 0;
}

static bool copy_member(const struct json_object *o, const char *key, char *dst, size_t size)
{
        const char *s = json_get_str(o, key);

        return s && str_copy(dst, size, s);
}

static bool parse_addresses(const struct json_object *o, struct attachment *a)
{
        json_array_foreach (json_get(o, "addresses"), i, v) {
                uint32_t bits;

                if (i == ATTACHMENT_ADDRESSES || !json_is_string(v) ||
                    ip_parse(json_object_get_string(v), &a->addresses[i], &bits))
                        return false;
                a->naddresses++;
        }
        return true;
}

static bool parse(const struct json_object *o, struct attachment *a)
{
        const char *host_mac = json_get_str(o, "hostMac"), *mac = json_get_str(o, "mac");

        a->host_ifindex = (uint32_t)json_get_i64(o, "hostIfindex", 0);
        a->mtu = (uint32_t)json_get_i64(o, "mtu", 0);
        return json_get_i64(o, "version", 0) == RECORD_VERSION &&
               copy_member(o, "containerID", a->container_id, sizeof(a->container_id)) &&
               copy_member(o, "ifname", a->ifname, sizeof(a->ifname)) &&
               copy_member(o, "hostIfname", a->host_ifname, sizeof(a->host_ifname)) &&
               copy_member(o, "network", a->network, sizeof(a->network)) &&
               copy_member(o, "netns", a->netns, sizeof(a->netns)) &&
               copy_member(o, "podNamespace", a->pod_namespace, sizeof(a->pod_namespace)) &&
               copy_member(o, "podName", a->pod_name, sizeof(a->pod_name)) &&
               copy_member(o, "podUID", a->pod_uid, sizeof(a->pod_uid)) && host_mac && mac &&
               mac_parse(host_mac, &a->host_mac) == 0 && mac_parse(mac, &a->mac) == 0 && a->host_ifindex &&
               attachment_is_host_ifname(a->host_ifname) && parse_addresses(o, a);
}

int record_read(const char *run_dir, const char *id, struct attachment *ret, struct err *reterr)
{
        _cleanup_free_ char *path = path_of(run_dir, id);
        _cleanup_free_ char *text = NULL;
        _cleanup_json_ struct json_object *o = NULL;
        struct attachment a = {0};
        char own[ATTACHMENT_ID_SIZE];
        struct err why = ERR_NULL;
        size_t len = 0;
        int r = file_read(path, RECORD_BYTES_MAX, &text, &len, &why);

        if (r == -ENOENT || r == -ENOTDIR || r == -EFBIG)
                return 1;
        if (r)
                return err_set(reterr, CNI_IO, "%s", why.msg);
        if (json_parse(text, len, &o, NULL) || !parse(o, &a) ||
            !str_eq(attachment_id(a.container_id, a.ifname, own), id))
                return 1;
        *ret = a;
        return 0;
}

bool record_exists(const char *run_dir, const char *id)
{
        _cleanup_free_ char *path = path_of(run_dir, id);

        return access(path, F_OK) == 0;
}

int record_remove(const char *run_dir, const char *id, struct err *reterr)
{
        _cleanup_free_ char *path = path_of(run_dir, id);

        if (unlink(path) == 0 || errno == ENOENT || errno == ENOTDIR)
                return 0;
        return err_set(reterr, CNI_IO, "%s: cannot be removed: %s", path, strerror(errno));
}

struct json_object *record_list(const char *run_dir)
{
        _cleanup_free_ char *folder = mem_printf("%s/attachments", run_dir);
        struct json_object *list = json_object_new_array();
        DIR *dir = opendir(folder);
        struct dirent *e;

        while (dir && (e = readdir(dir))) {
                size_t n = strlen(e->d_name), suffix = sizeof(SUFFIX) - 1;

                if (*e->d_name != '.' && n > suffix && str_has_suffix(e->d_name, SUFFIX))
                        json_object_array_add(list, json_object_new_string_len(e->d_name, (int)(n - suffix)));
        }
        if (dir)
                closedir(dir);
        return list;
}

void record_remove_temps(const char *run_dir)
{
        _cleanup_free_ char *folder = mem_printf("%s/attachments", run_dir);

        file_remove_temps(folder);
}
