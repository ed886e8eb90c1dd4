/* SPDX-License-Identifier: Apache-2.0 */
#include <string.h>

#include "agent/kubelet/pods/resolv_conf.h"
#include "base/str.h"

#define BLANKS " \t\r\v\f"

/* Cuts the next word off *at, to the arena; NULL: none is left. */
static char *next_word(struct str_span *at, struct arena *mem)
{
        size_t n = 0;
        char *word;

        while (at->n && strchr(BLANKS, *at->s) && *at->s) {
                at->s++;
                at->n--;
        }
        while (n < at->n && at->s[n] && !strchr(BLANKS, at->s[n]))
                n++;
        if (!n)
                return NULL;
        word = arena_strndup(mem, at->s, n);
        at->s += n;
        at->n -= n;
        return word;
}

static void parse_searches(struct str_span line, struct resolv_conf *ret)
{
        char *word;

        ret->searches = TEXTLIST(ret->searches.mem);
        while ((word = next_word(&line, ret->searches.mem))) {
                if (str_has_suffix(word, ".") && word[1])
                        word[strlen(word) - 1] = '\0';
                textlist_add(&ret->searches, word);
        }
}

static void parse_options(struct str_span line, struct resolv_conf *ret)
{
        char *word;

        while ((word = next_word(&line, ret->options.mem))) {
                char *colon = strchr(word, ':');

                if (colon)
                        *colon = '\0';
                resolv_conf_option(ret, word, colon ? colon + 1 : NULL);
        }
}

void resolv_conf_parse(const char *text, struct resolv_conf *ret)
{
        struct str_span line;

        for (const char *rest = text; str_split(&rest, '\n', &line);) {
                char *word = next_word(&line, ret->servers.mem), *address;

                if (!word || *word == '#' || *word == ';')
                        continue;
                if (str_eq(word, "nameserver") && (address = next_word(&line, ret->servers.mem)))
                        textlist_add(&ret->servers, address);
                else if (str_eq(word, "search"))
                        parse_searches(line, ret);
                else if (str_eq(word, "options"))
                        parse_options(line, ret);
        }
}

void resolv_conf_option(struct resolv_conf *c, const char *name, const char *value)
{
        struct arena *mem = c->options.mem;
        char *text = value ? arena_printf(mem, "%s:%s", name, value) : arena_strdup(mem, name);
        size_t n = strlen(name);

        for (size_t i = 0; i < c->options.n; i++)
                if (strncmp(c->options.v[i], name, n) == 0 && (!c->options.v[i][n] || c->options.v[i][n] == ':')) {
                        c->options.v[i] = text;
                        return;
                }
        textlist_add(&c->options, text);
}

const char *resolv_conf_text(const struct resolv_conf *c)
{
        struct textlist lines = TEXTLIST(c->servers.mem);

        if (c->searches.n)
                textlist_add(&lines, arena_printf(lines.mem, "search %s\n", textlist_join(&c->searches, " ")));
        for (size_t i = 0; i < c->servers.n; i++)
                textlist_add(&lines, arena_printf(lines.mem, "nameserver %s\n", c->servers.v[i]));
        if (c->options.n)
                textlist_add(&lines, arena_printf(lines.mem, "options %s\n", textlist_join(&c->options, " ")));
        return textlist_join(&lines, "");
}
