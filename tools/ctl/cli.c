/* SPDX-License-Identifier: Apache-2.0 */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/err.h"
#include "base/mem.h"
#include "base/str.h"
#include "ctl/cli.h"
#include "ctl/suggest.h"

/* ---- flags that many commands have */

static const struct cli_flag help_flags[] = {{.name = "--help", .text = "print this"}, {0}};

static const struct cli_flag print_flags[] = {
        {"-o", "FORMAT", "table, wide (more columns) or json", "table wide json", CLI_ANY},
        {"--color", "WHEN", "auto (on a terminal without NO_COLOR), always or never", "auto always never", CLI_ANY},
        {0},
};

static const struct cli_flag map_flags[] = {
        {"--pin-root", "DIR", "where the agent pins its maps (/sys/fs/bpf/fairlead)", NULL, CLI_FOLDER},
        {"--run-dir", "DIR", "the agent's run_dir (/run/fairlead)", NULL, CLI_FOLDER},
        {0},
};

/* Other spellings. */
static const struct {
        const char *spelling, *name;
} aliases[] = {{"--output", "-o"}, {"-h", "--help"}};

static void flag_lists(const struct cli_command *command, const struct cli_flag *ret[static 4])
{
        static const struct cli_flag none[] = {{0}};

        ret[0] = command->flags ? command->flags : none;
        ret[1] = command->prints ? print_flags : none;
        ret[2] = command->has_maps ? map_flags : none;
        ret[3] = help_flags;
}

void cli_each_flag(const struct cli_command *command, void (*fn)(void *userdata, const struct cli_flag *flag),
                   void *userdata)
{
        const struct cli_flag *lists[4];

        flag_lists(command, lists);
        for (size_t i = 0; i < ARRAY_SIZE(lists); i++)
                for (const struct cli_flag *f = lists[i]; f->name; f++)
                        fn(userdata, f);
}

struct search {
        const char *name;
        size_t length;
        const struct cli_flag *found;
};

static void compare_flag(void *userdata, const struct cli_flag *flag)
{
        struct search *s = userdata;

        if (strlen(flag->name) == s->length && strncmp(flag->name, s->name, s->length) == 0)
                s->found = flag;
}

const struct cli_flag *cli_flag(const struct cli_command *command, const char *name, size_t length)
{
        struct search s = {.name = name, .length = length};

        for (size_t i = 0; i < ARRAY_SIZE(aliases); i++)
                if (strlen(aliases[i].spelling) == length && strncmp(aliases[i].spelling, name, length) == 0)
                        s = (struct search){.name = aliases[i].name, .length = strlen(aliases[i].name)};
        cli_each_flag(command, compare_flag, &s);
        return s.found;
}

/* ---- finding a command */

static size_t first_word(const char *name)
{
        return strcspn(name, " ");
}

const struct cli_command *cli_find(int argc, char *const argv[], int *ret_words)
{
        for (size_t i = 0; argc > 0 && cli_commands[i]; i++) {
                const char *name = cli_commands[i]->name;
                size_t n = first_word(name);
                bool two = name[n];

                if (strlen(argv[0]) != n || strncmp(argv[0], name, n) != 0)
                        continue;
                if (two && (argc < 2 || strcmp(argv[1], name + n + 1) != 0))
                        continue;
                *ret_words = 1 + two;
                return cli_commands[i];
        }
        return NULL;
}

static bool is_group(const char *word)
{
        for (size_t i = 0; cli_commands[i]; i++) {
                size_t n = first_word(cli_commands[i]->name);

                if (cli_commands[i]->name[n] && strlen(word) == n && strncmp(word, cli_commands[i]->name, n) == 0)
                        return true;
        }
        return false;
}

static void offer_verbs(struct suggestion *s, const char *group)
{
        for (size_t i = 0; cli_commands[i]; i++) {
                const char *verb = str_after(cli_commands[i]->name, group);

                if (verb && *verb == ' ')
                        suggest_offer(s, verb + 1);
        }
}

/* Names of commands as words; those of groups once. buf holds them while the suggestion is used. */
static void offer_words(struct suggestion *s, char buf[][32], size_t size)
{
        for (size_t i = 0; cli_commands[i] && i < size; i++) {
                if (cli_commands[i]->hidden)
                        continue;
                snprintf(buf[i], sizeof(buf[i]), "%.*s", (int)first_word(cli_commands[i]->name), cli_commands[i]->name);
                suggest_offer(s, buf[i]);
        }
}

#define COMMANDS_MAX 64

void cli_complain_command(int argc, char *const argv[])
{
        const char *group = is_group(argv[0]) ? argv[0] : NULL;
        struct suggestion s = {.typed = group && argc > 1 ? argv[1] : argv[0]};
        char words[COMMANDS_MAX][32];

        if (group && argc < 2) {
                cli_help_group(group, "say which of these:", stderr);
                return;
        }
        if (group)
                offer_verbs(&s, group);
        else
                offer_words(&s, words, ARRAY_SIZE(words));
        fprintf(stderr, "fairctl: there is no command `%s%s%s`", group ?: "", group ? " " : "", s.typed);
        if (s.best)
                fprintf(stderr, "; did you mean `%s%s%s`?\n", group ?: "", group ? " " : "", s.best);
        else
                fprintf(stderr, "; `fairctl %s%s--help` lists what there is\n", group ?: "", group ? " " : "");
}

/* ---- parsing */

bool cli_is_choice(const char *choices, const char *word)
{
        struct str_span span;

        while (choices && str_split(&choices, ' ', &span))
                if (str_span_eq(span, word))
                        return true;
        return false;
}

static void offer_flag(void *userdata, const struct cli_flag *flag)
{
        suggest_offer(userdata, flag->name);
}

static int unknown_flag(const struct cli *c, const char *word)
{
        char name[64];
        struct suggestion s = {.typed = name};

        snprintf(name, sizeof(name), "%.*s", (int)strcspn(word, "="), word);
        cli_each_flag(c->command, offer_flag, &s);
        fprintf(stderr, "fairctl %s: there is no flag %s", c->command->name, name);
        if (s.best)
                fprintf(stderr, "; did you mean %s?\n", s.best);
        else
                fprintf(stderr, "; `fairctl %s --help` lists them\n", c->command->name);
        return 2;
}

static int check_choice(const struct cli *c, const struct cli_flag *flag, const char *value)
{
        _cleanup_strbuf_ struct strbuf list = STRBUF_NULL;
        const char *choices = flag->choices;
        struct str_span span;

        if (!choices || cli_is_choice(choices, value))
                return 0;
        while (str_split(&choices, ' ', &span))
                strbuf_printf(&list, "%s%.*s", !list.len ? "" : choices ? ", " : " or ", (int)span.n, span.s);
        fprintf(stderr, "fairctl %s: %s %s: give %s\n", c->command->name, flag->name, value, list.data);
        return 2;
}

static void add_given(struct cli *c, const struct cli_flag *flag, const char *value)
{
        c->given = mem_realloc(c->given, c->given_count + 1, sizeof(*c->given));
        c->given[c->given_count++] = (struct cli_given){.flag = flag, .value = value};
}

/* A word that begins with a dash, and the value behind it. */
static int parse_flag(struct cli *c, int *i, int argc, char *const argv[])
{
        const char *word = argv[*i];
        size_t length = strcspn(word, "=");
        const struct cli_flag *flag = cli_flag(c->command, word, length);
        const char *value = word[length] ? word + length + 1 : NULL;

        if (!flag)
                return unknown_flag(c, word);
        if (!flag->value && value) {
                fprintf(stderr, "fairctl %s: %s takes no value\n", c->command->name, flag->name);
                return 2;
        }
        if (flag->value && !value && *i + 1 < argc)
                value = argv[++*i];
        if (flag->value && !value) {
                fprintf(stderr, "fairctl %s: %s needs a value: %s %s (%s)\n", c->command->name, flag->name, flag->name,
                        flag->value, flag->text);
                return 2;
        }
        if (str_eq(flag->name, "--help"))
                c->help = true;
        add_given(c, flag, value);
        return value ? check_choice(c, flag, value) : 0;
}

void cli_argument_range(const struct cli_command *command, size_t *ret_least, size_t *ret_most)
{
        const char *rest = command->arguments;
        struct str_span span;

        *ret_least = *ret_most = 0;
        while (rest && str_split(&rest, ' ', &span)) {
                *ret_least += span.s[0] != '[';
                *ret_most = memmem(span.s, span.n, "...", 3) ? SIZE_MAX : *ret_most + 1;
        }
}

/* Which of the arguments is not there: those that may be left out come last. */
static void complain_missing(const struct cli *c)
{
        const char *rest = c->command->arguments;
        struct str_span span = {0};

        for (size_t i = 0; i <= c->argument_count; i++)
                str_split(&rest, ' ', &span);
        fprintf(stderr, "fairctl %s: %.*s is missing; use", c->command->name, (int)span.n, span.s);
}

static int check_arguments(const struct cli *c)
{
        size_t least, most;

        cli_argument_range(c->command, &least, &most);
        if (c->argument_count >= least && c->argument_count <= most)
                return 0;
        if (c->argument_count > most)
                fprintf(stderr, "fairctl %s: `%s` is too much; use", c->command->name, c->arguments[most]);
        else
                complain_missing(c);
        fprintf(stderr, " `fairctl %s%s%s [flags]` (see fairctl %s --help)\n", c->command->name,
                c->command->arguments ? " " : "", c->command->arguments ?: "", c->command->name);
        return 2;
}

int cli_parse(struct cli *ret, const struct cli_command *command, int argc, char *const argv[])
{
        bool flags = true;
        int r = 0;

        *ret = (struct cli){.command = command, .arguments = mem_array(const char *, (size_t)argc + 1)};
        for (int i = 0; i < argc && !r; i++) {
                if (flags && strcmp(argv[i], "--") == 0)
                        flags = false;
                else if (flags && argv[i][0] == '-' && argv[i][1])
                        r = parse_flag(ret, &i, argc, argv);
                else
                        ret->arguments[ret->argument_count++] = argv[i];
        }
        return r || ret->help ? r : check_arguments(ret);
}

void cli_parse_quietly(struct cli *ret, const struct cli_command *command, int argc, char *const argv[])
{
        *ret = (struct cli){.command = command, .arguments = mem_array(const char *, (size_t)argc + 1)};
        for (int i = 0; i < argc; i++) {
                size_t length = strcspn(argv[i], "=");
                const struct cli_flag *flag = cli_flag(command, argv[i], length);

                if (!flag && argv[i][0] != '-')
                        ret->arguments[ret->argument_count++] = argv[i];
                else if (flag && flag->value && argv[i][length])
                        add_given(ret, flag, argv[i] + length + 1);
                else if (flag && flag->value && i + 1 < argc && str_eq(argv[i + 1], "=") && i + 2 < argc)
                        add_given(ret, flag, argv[i += 2]); /* as bash cuts "--flag=value" */
                else if (flag && flag->value && i + 1 < argc)
                        add_given(ret, flag, argv[++i]);
        }
}

void cli_deinit(struct cli *c)
{
        free(c->given);
        free(c->arguments);
        *c = CLI_NULL;
}

/* ---- what was given */

static const struct cli_given *find_given(const struct cli *c, const char *flag)
{
        const struct cli_given *found = NULL;

        if (!cli_flag(c->command, flag, strlen(flag)))
                abort(); /* the program asks for what its own table does not have */
        for (size_t i = 0; i < c->given_count; i++)
                if (str_eq(c->given[i].flag->name, flag))
                        found = &c->given[i];
        return found;
}

const char *cli_value(const struct cli *c, const char *flag)
{
        const struct cli_given *given = find_given(c, flag);

        return given ? given->value : NULL;
}

bool cli_is_set(const struct cli *c, const char *flag)
{
        return find_given(c, flag);
}

const char *cli_nth(const struct cli *c, const char *flag, size_t n)
{
        for (size_t i = 0; i < c->given_count; i++)
                if (str_eq(c->given[i].flag->name, flag) && n-- == 0)
                        return c->given[i].value;
        return NULL;
}
