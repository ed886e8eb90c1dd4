/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The rules are regular expressions in Kubernetes; here each is a small scanner. The expressions stay in the messages,
 * because that is what users see.
 */
#include <arpa/inet.h>
#include <stdbool.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/str.h"
#include "kube/names.h"

#define RE(msg, re)           msg " (regex used for validation is '" re "')"
#define RE1(msg, re, a)       msg " (e.g. '" a "', regex used for validation is '" re "')"
#define RE2(msg, re, a, b)    msg " (e.g. '" a "',  or '" b "', regex used for validation is '" re "')"
#define RE3(msg, re, a, b, c) msg " (e.g. '" a "',  or '" b "',  or '" c "', regex used for validation is '" re "')"
#define TOO_LONG(n)           "must be no more than " #n " bytes"

#define LABEL_RE            "[a-z0-9]([-a-z0-9]*[a-z0-9])?"
#define SUBDOMAIN_RE        LABEL_RE "(\\." LABEL_RE ")*"
#define UNDERSCORE_LABEL_RE "_?[a-z0-9]([-_a-z0-9]*[a-z0-9])?"
#define KEY_RE              "([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9]"

#define LABEL_MSG                                                                                                      \
        RE2("a lowercase RFC 1123 label must consist of lower case alphanumeric characters or '-', and must start "    \
            "and "                                                                                                     \
            "end with an alphanumeric character",                                                                      \
            LABEL_RE, "my-name", "123-abc")
#define SUBDOMAIN_MSG                                                                                                  \
        RE1("a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, '-' or '.', and must " \
            "start and end with an alphanumeric character",                                                            \
            SUBDOMAIN_RE, "example.com")
#define UNDERSCORE_MSG                                                                                                 \
        RE1("a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, '_', '-' or '.', and " \
            "must start and end with an alphanumeric character",                                                       \
            UNDERSCORE_LABEL_RE "(\\." UNDERSCORE_LABEL_RE ")*", "example.com")
#define DNS1035_MSG                                                                                                    \
        RE2("a DNS-1035 label must consist of lower case alphanumeric characters or '-', start with an alphabetic "    \
            "character, and end with an alphanumeric character",                                                       \
            "[a-z]([-a-z0-9]*[a-z0-9])?", "my-name", "abc-123")
#define WILDCARD_MSG                                                                                                   \
        RE1("a wildcard DNS-1123 subdomain must start with '*.', followed by a valid DNS subdomain, which must "       \
            "consist of lower case alphanumeric characters, '-' or '.' and end with an alphanumeric character",        \
            "\\*\\." SUBDOMAIN_RE, "*.example.com")
#define KEY_MSG                                                                                                        \
        RE3("must consist of alphanumeric characters, '-', '_' or '.', and must start and end with an alphanumeric "   \
            "character",                                                                                               \
            KEY_RE, "MyName", "my.name", "123-abc")
#define VALUE_MSG                                                                                                      \
        RE3("a valid label must be an empty string or consist of alphanumeric characters, '-', '_' or '.', and must "  \
            "start and end with an alphanumeric character",                                                            \
            "(" KEY_RE ")?", "MyValue", "my_value", "12345")
#define CONFIG_KEY_MSG                                                                                                 \
        RE3("a valid config key must consist of alphanumeric characters, '-', '_' or '.'", "[-._a-zA-Z0-9]+",          \
            "key.name", "KEY_NAME", "key-name")
#define ENV_MSG                                                                                                        \
        RE3("a valid environment variable name must consist of alphabetic characters, digits, '_', '-', or '.', and "  \
            "must not start with a digit",                                                                             \
            "[-._a-zA-Z][-._a-zA-Z0-9]*", "my.env-name", "MY_ENV.NAME", "MyEnvName1")
#define C_IDENTIFIER_MSG                                                                                               \
        RE3("a valid C identifier must start with alphabetic character or '_', followed by a string of alphanumeric "  \
            "characters or '_'",                                                                                       \
            "[A-Za-z_][A-Za-z0-9_]*", "my_name", "MY_NAME", "MyName")

static void add(struct name_errors *e, const char *msg)
{
        if (e->n < NAME_ERRORS_MAX)
                e->msg[e->n++] = msg;
}

static void limit(struct name_errors *e, const char *v, size_t max, const char *msg)
{
        if (strlen(v) > max)
                add(e, msg);
}

static bool is_lower(char c)
{
        return c >= 'a' && c <= 'z';
}

static bool is_digit(char c)
{
        return c >= '0' && c <= '9';
}

static bool is_alnum(char c)
{
        return is_lower(c) || is_digit(c) || (c >= 'A' && c <= 'Z');
}

static bool is_dns(char c)
{
        return is_lower(c) || is_digit(c);
}

/* Not empty, and every byte is one of set. */
static bool all_of(const char *v, const char *set)
{
        return *v && !v[strspn(v, set)];
}

#define LOWER    "abcdefghijklmnopqrstuvwxyz"
#define UPPER    "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
#define DECIMALS "0123456789"

static bool is_label(const char *s, size_t n, bool underscore)
{
        if (underscore && n && *s == '_') {
                s++;
                n--;
        }
        if (!n || !is_dns(s[0]) || !is_dns(s[n - 1]))
                return false;
        for (size_t i = 0; i < n; i++)
                if (!is_dns(s[i]) && s[i] != '-' && !(underscore && s[i] == '_'))
                        return false;
        return true;
}

static bool is_subdomain(const char *s, size_t n, bool underscore)
{
        const char *end = s + n;

        for (;;) {
                const char *dot = memchr(s, '.', (size_t)(end - s));

                if (!is_label(s, (size_t)((dot ? dot : end) - s), underscore))
                        return false;
                if (!dot)
                        return true;
                s = dot + 1;
        }
}

/* ([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9] */
static bool is_key_name(const char *v)
{
        size_t n = strlen(v);

        return n && is_alnum(v[0]) && is_alnum(v[n - 1]) && all_of(v, LOWER UPPER DECIMALS "-_.");
}

static void check_label(const char *v, struct name_errors *e)
{
        size_t n = strlen(v);

        limit(e, v, 63, TOO_LONG(63));
        if (is_label(v, n, false))
                return;
        add(e, is_subdomain(v, n, false) ? "must not contain dots" : LABEL_MSG);
}

static void check_subdomain(const char *v, struct name_errors *e)
{
        limit(e, v, 253, TOO_LONG(253));
        if (!is_subdomain(v, strlen(v), false))
                add(e, SUBDOMAIN_MSG);
}

static void check_underscore(const char *v, struct name_errors *e)
{
        limit(e, v, 253, TOO_LONG(253));
        if (!is_subdomain(v, strlen(v), true))
                add(e, UNDERSCORE_MSG);
}

static void check_dns1035(const char *v, struct name_errors *e)
{
        limit(e, v, 63, TOO_LONG(63));
        if (!is_lower(*v) || !is_label(v, strlen(v), false))
                add(e, DNS1035_MSG);
}

static void check_wildcard(const char *v, struct name_errors *e)
{
        limit(e, v, 253, TOO_LONG(253));
        if (!str_has_prefix(v, "*.") || !is_subdomain(v + 2, strlen(v + 2), false))
                add(e, WILDCARD_MSG);
}

static void check_key_prefix(const char *v, size_t n, struct name_errors *e)
{
        if (!n) {
                add(e, "prefix part must be non-empty");
                return;
        }
        if (n > 253)
                add(e, "prefix part " TOO_LONG(253));
        if (!is_subdomain(v, n, false))
                add(e, "prefix part " SUBDOMAIN_MSG);
}

static void check_label_key(const char *v, struct name_errors *e)
{
        const char *slash = strchr(v, '/');

        if (slash && strchr(slash + 1, '/')) {
                add(e, "a valid label key " KEY_MSG
                       " with an optional DNS subdomain prefix and '/' (e.g. 'example.com/MyName')");
                return;
        }
        if (slash) {
                check_key_prefix(v, (size_t)(slash - v), e);
                v = slash + 1;
        }
        if (!*v)
                add(e, "name part must be non-empty");
        limit(e, v, 63, "name part " TOO_LONG(63));
        if (!is_key_name(v))
                add(e, "name part " KEY_MSG);
}

static void check_label_value(const char *v, struct name_errors *e)
{
        limit(e, v, 63, TOO_LONG(63));
        if (*v && !is_key_name(v))
                add(e, VALUE_MSG);
}

/* RFC 6335, section 5.1. */
static void check_port(const char *v, struct name_errors *e)
{
        size_t n = strlen(v);

        limit(e, v, 15, TOO_LONG(15));
        if (!all_of(v, LOWER DECIMALS "-"))
                add(e, "must contain only alpha-numeric characters (a-z, 0-9), and hyphens (-)");
        if (!v[strcspn(v, LOWER)])
                add(e, "must contain at least one letter (a-z)");
        if (strstr(v, "--"))
                add(e, "must not contain consecutive hyphens");
        if (n && (v[0] == '-' || v[n - 1] == '-'))
                add(e, "must not begin or end with a hyphen");
}

static void check_parent_dir(const char *v, struct name_errors *e)
{
        if (str_eq(v, "."))
                add(e, "must not be '.'");
        else if (str_eq(v, ".."))
                add(e, "must not be '..'");
        else if (str_has_prefix(v, ".."))
                add(e, "must not start with '..'");
}

static void check_config_key(const char *v, struct name_errors *e)
{
        limit(e, v, 253, TOO_LONG(253));
        if (!all_of(v, LOWER UPPER DECIMALS "-_."))
                add(e, CONFIG_KEY_MSG);
        check_parent_dir(v, e);
}

static void check_env(const char *v, struct name_errors *e)
{
        if (!all_of(v, LOWER UPPER DECIMALS "-_.") || is_digit(*v))
                add(e, ENV_MSG);
        check_parent_dir(v, e);
}

static void check_env_relaxed(const char *v, struct name_errors *e)
{
        if (!*v)
                add(e, "environment variable name must be non-empty");
        for (; *v; v++)
                if (*v < 0x20 || *v > 0x7e || *v == '=') {
                        add(e,
                            "a valid environment variable name must consist only of printable ASCII characters other "
                            "than '='");
                        return;
                }
}

static void check_c_identifier(const char *v, struct name_errors *e)
{
        if (!all_of(v, LOWER UPPER DECIMALS "_") || is_digit(*v))
                add(e, C_IDENTIFIER_MSG);
}

static void check_http_header(const char *v, struct name_errors *e)
{
        if (!all_of(v, LOWER UPPER DECIMALS "-"))
                add(e, RE1("a valid HTTP header must consist of alphanumeric characters or '-'", "[-A-Za-z0-9]+",
                           "X-Header-Name"));
}

static void check_percent(const char *v, struct name_errors *e)
{
        size_t digits = strspn(v, DECIMALS);

        if (!digits || !str_eq(v + digits, "%"))
                add(e, RE2("a valid percent string must be a numeric string followed by an ending '%'", "[0-9]+%", "1%",
                           "93%"));
}

static void check_path_segment(const char *v, struct name_errors *e)
{
        if (str_eq(v, "."))
                add(e, "may not be '.'");
        if (str_eq(v, ".."))
                add(e, "may not be '..'");
        if (strchr(v, '/'))
                add(e, "may not contain '/'");
        if (strchr(v, '%'))
                add(e, "may not contain '%'");
}

/* An address as the API has it. zeros: some decimal number has leading zeros; mapped: ::ffff:a.b.c.d. */
struct address {
        unsigned char bytes[16];
        int bits; /* 32 or 128 */
        bool zeros, mapped;
};

static bool parse_v4(const char *s, size_t n, struct address *ret)
{
        const char *end = s + n;

        ret->bits = 32;
        for (int i = 0; i < 4; i++) {
                unsigned int v = 0;
                const char *start = s;

                for (; s < end && is_digit(*s); s++)
                        if ((v = v * 10 + (unsigned int)(*s - '0')) > 255)
                                return false;
                if (s == start || (i < 3 ? s == end || *s++ != '.' : s != end))
                        return false;
                if (*start == '0' && is_digit(start[1]))
                        ret->zeros = true;
                ret->bytes[i] = (unsigned char)v;
        }
        return true;
}

static bool parse_v6(const char *s, size_t n, struct address *ret)
{
        static const unsigned char prefix[12] = {[10] = 0xff, [11] = 0xff};
        char copy[INET6_ADDRSTRLEN];

        if (n >= sizeof(copy))
                return false;
        memcpy(copy, s, n);
        copy[n] = '\0';
        if (inet_pton(AF_INET6, copy, ret->bytes) != 1)
                return false;
        ret->bits = 128;
        ret->mapped = memcmp(ret->bytes, prefix, sizeof(prefix)) == 0;
        return true;
}

static bool parse_address(const char *s, size_t n, struct address *ret)
{
        *ret = (struct address){.bits = 0};
        return memchr(s, ':', n) ? parse_v6(s, n, ret) : parse_v4(s, n, ret);
}

static const char *ip_error(const char *v, bool strict)
{
        struct address a;

        if (!parse_address(v, strlen(v), &a))
                return "must be a valid IP address, (e.g. 10.9.8.7 or 2001:db8::ffff)";
        if (strict && a.zeros)
                return "must not have leading 0s";
        if (strict && a.mapped)
                return "must not be an IPv4-mapped IPv6 address";
        return NULL;
}

static bool has_host_bits(const struct address *a, unsigned int prefix)
{
        for (unsigned int i = prefix; i < (unsigned int)a->bits; i++)
                if (a->bytes[i / 8] & (0x80 >> i % 8))
                        return true;
        return false;
}

static const char *cidr_error(const char *v, bool strict)
{
        const char *slash = strchr(v, '/');
        struct address a;
        uint16_t prefix;

        if (!slash || !parse_address(v, (size_t)(slash - v), &a) || str_parse_u16(slash + 1, &prefix) ||
            prefix > a.bits)
                return "must be a valid CIDR value, (e.g. 10.9.8.0/24 or 2001:db8::/64)";
        if (!strict)
                return NULL;
        if (a.zeros || (slash[1] == '0' && slash[2]))
                return "must not have leading 0s in IP or prefix length";
        if (a.mapped)
                return "must not have an IPv4-mapped IPv6 address";
        if (has_host_bits(&a, prefix))
                return "must not have bits set beyond the prefix length";
        return NULL;
}

static void add_if(struct name_errors *e, const char *msg)
{
        if (msg)
                add(e, msg);
}

static void check_ip(const char *v, struct name_errors *e)
{
        add_if(e, ip_error(v, true));
}

static void check_ip_sloppy(const char *v, struct name_errors *e)
{
        add_if(e, ip_error(v, false));
}

static void check_cidr(const char *v, struct name_errors *e)
{
        add_if(e, cidr_error(v, true));
}

static void check_cidr_sloppy(const char *v, struct name_errors *e)
{
        add_if(e, cidr_error(v, false));
}

static void (*const checks[NAME_RULE_COUNT])(const char *value, struct name_errors *e) = {
        [NAME_DNS1123_LABEL] = check_label,
        [NAME_DNS1123_SUBDOMAIN] = check_subdomain,
        [NAME_DNS1123_SUBDOMAIN_UNDERSCORE] = check_underscore,
        [NAME_DNS1035_LABEL] = check_dns1035,
        [NAME_WILDCARD_SUBDOMAIN] = check_wildcard,
        [NAME_LABEL_KEY] = check_label_key,
        [NAME_LABEL_VALUE] = check_label_value,
        [NAME_PORT] = check_port,
        [NAME_CONFIG_KEY] = check_config_key,
        [NAME_ENV_VAR] = check_env,
        [NAME_ENV_VAR_RELAXED] = check_env_relaxed,
        [NAME_C_IDENTIFIER] = check_c_identifier,
        [NAME_HTTP_HEADER] = check_http_header,
        [NAME_PERCENT] = check_percent,
        [NAME_PATH_SEGMENT] = check_path_segment,
        [NAME_IP] = check_ip,
        [NAME_IP_SLOPPY] = check_ip_sloppy,
        [NAME_CIDR] = check_cidr,
        [NAME_CIDR_SLOPPY] = check_cidr_sloppy,
};

size_t name_check(enum name_rule rule, const char *value, struct name_errors *ret)
{
        *ret = (struct name_errors){.n = 0};
        checks[rule](value, ret);
        return ret->n;
}

const char *name_error(enum name_rule rule, const char *value)
{
        struct name_errors e;

        return name_check(rule, value, &e) ? e.msg[0] : NULL;
}
