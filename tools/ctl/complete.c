/* SPDX-License-Identifier: Apache-2.0 */
#include <stdio.h>
#include <string.h>

#include "base/str.h"
#include "ctl/cli.h"
#include "ctl/complete.h"
#include "ctl/records.h"
#include "ctl/service_names.h"

struct offer {
        void (*fn)(void *userdata, const char *word);
        void *userdata;
        const char *begun; /* the beginning of the word, or of what follows the = in it */
        char before[64];   /* what stands before that: "--proto=" */
        char last[SERVICE_NAME_SIZE];
};

static void offer(struct offer *o, const char *word)
{
        char whole[sizeof(o->before) + SERVICE_NAME_SIZE];

        if (!str_has_prefix(word, o->begun))
                return;
        snprintf(whole, sizeof(whole), "%s%s", o->before, word);
        o->fn(o->userdata, whole);
}

static void offer_choices(struct offer *o, const char *choices)
{
        struct str_span span;
        char word[64];

        while (choices && str_split(&choices, ' ', &span)) {
                snprintf(word, sizeof(word), "%.*s", (int)span.n, span.s);
                offer(o, word);
        }
}

/* ---- names of what is there */

static void offer_service(void *userdata, uint32_t id, const char *name)
{
        struct offer *o = userdata;
        char cut[SERVICE_NAME_SIZE];

        service_name_cut(name, cut);
        if (str_eq(cut, o->last)) /* another port of the same */
                return;
        memcpy(o->last, cut, sizeof(cut));
        offer(o, cut);
}

static void offer_pods(struct offer *o, const struct view *v)
{
        struct records records;

        records_read(v, &records);
        for (size_t i = 0; i < records.count; i++)
                offer(o, records.items[i].pod);
        records_deinit(&records);
}

static void offer_kind(struct offer *o, struct view *v, enum cli_kind kind)
{
        if (kind == CLI_SERVICE && view_open_quietly(v) == 0)
                service_names_each(v, offer_service, o);
        if (kind == CLI_POD) {
                v->run_dir = view_value(v, "--run-dir") ?: "/run/fairlead";
                offer_pods(o, v);
        }
}

/* ---- commands and flags */

/* The first or second word of commands. group: what the first one is. */
static void offer_commands(struct offer *o, const char *group)
{
        char last[64] = "", word[64];

        for (size_t i = 0; cli_commands[i]; i++) {
                const char *rest = group ? str_after(cli_commands[i]->name, group) : cli_commands[i]->name;

                if (cli_commands[i]->hidden || !rest || (group && *rest++ != ' '))
                        continue;
                snprintf(word, sizeof(word), "%.*s", (int)strcspn(rest, " "), rest);
                if (!str_eq(word, last))
                        offer(o, word);
                str_copy(last, sizeof(last), word);
        }
        if (!group) {
                offer(o, "help");
                offer(o, "--help");
                offer(o, "--version");
        }
}

static void offer_flag(void *userdata, const struct cli_flag *flag)
{
        offer(userdata, flag->name);
}

/* The flag whose value the last word is: "--proto t", "--proto = t" (as bash cuts it), or "--proto=t". */
static const struct cli_flag *flag_before(const struct cli_command *command, int count, char *const words[],
                                          struct offer *o)
{
        const char *last = words[count - 1], *equal = strchr(last, '=');
        int before = count - 2;

        o->begun = last;
        if (*last == '-' && equal) {
                snprintf(o->before, sizeof(o->before), "%.*s", (int)(equal + 1 - last), last);
                o->begun = equal + 1;
                return cli_flag(command, last, (size_t)(equal - last));
        }
        if (str_eq(last, "="))
                o->begun = "";
        else if (before >= 1 && str_eq(words[before], "="))
                before--;
        if (before < 0 || words[before][0] != '-')
                return NULL;
        return cli_flag(command, words[before], strlen(words[before]));
}

static void complete_in(const struct cli_command *command, int count, char *const words[], struct offer *o)
{
        const struct cli_flag *flag = flag_before(command, count, words, o);
        struct view v = {0};
        size_t least, most;

        /* What was given before it, --pin-root above all; a line that is not finished has its faults. */
        cli_parse_quietly(&v.cli, command, count - 1, words);
        cli_argument_range(command, &least, &most);
        if (flag && flag->value) {
                offer_choices(o, flag->choices);
                offer_kind(o, &v, flag->kind);
        } else if (*o->begun == '-') {
                cli_each_flag(command, offer_flag, o);
        } else if (v.cli.argument_count < most) {
                if (command->choices)
                        offer_choices(o, command->choices);
                offer_kind(o, &v, command->kind);
        } else {
                cli_each_flag(command, offer_flag, o);
        }
        view_close(&v);
}

void complete_words(int count, char *const words[], void (*fn)(void *userdata, const char *word), void *userdata)
{
        struct offer o = {.fn = fn, .userdata = userdata, .begun = count ? words[count - 1] : ""};
        const struct cli_command *command;
        int used;

        if (count > 1 && str_eq(words[0], "help")) {
                if (count == 2)
                        offer_commands(&o, NULL);
                else if (count == 3)
                        offer_commands(&o, words[1]);
                return;
        }
        command = count > 1 ? cli_find(count - 1, words, &used) : NULL;
        if (command)
                complete_in(command, count - used, words + used, &o);
        else if (count <= 1)
                offer_commands(&o, NULL);
        else if (count == 2)
                offer_commands(&o, words[0]);
}
